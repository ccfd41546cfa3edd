//! Turns a checked tree into a [`RunFile`]; defaults come from the table of keys.
//!
//! # Invariants
//! `None` only for a tree that the checks refuse.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use runtime::{
    backoff::{Backoff, Jitter},
    breaker,
    limiter::Rate,
    retry::Retries,
};

use super::cross::{input_kind, input_value};
use super::hierarchy;
use super::keys::{
    AGENT, BREAKER, FILE, INPUT, LIMIT, LIMITS, MAP_REDUCE, RATE_LIMIT, RETRY, SPECULATE, SPLIT,
    Shape,
};
use super::model::{
    Accepts, Actor, Agent, AgentKind, Argument, Assign, ByteSize, Command, Input, MapReduce, Name,
    OnPartialFailure, Process, ProcessLimits, RateLimit, Reads, RunFile, Sandbox, Speculate, Split,
    SplitBy, SplitSource, Workers,
};
use super::pipeline;
use super::problem::{At, Texts};
use super::scalar;
use super::swarm;
use super::template::Template;
use super::tree::{Entry, Node, Table, Value, json, read};
use super::vote;

/// Builds the file that a checked tree stands for.
pub(crate) fn build(root: &Table, env: Vec<(String, At)>, texts: &Texts) -> Option<RunFile> {
    let file = Fields { table: root, shape: &FILE };
    // The version is checked to be 1: that format is this function.
    file.integer("synod")?;
    let limit = file.inner("limit", &LIMIT);
    Some(RunFile {
        main: Name::new(&file.text("main")?)?,
        deadline: limit.duration("deadline")?,
        messages: limit.integer("messages").and_then(|most| u64::try_from(most).ok()),
        inputs: all(root, "input", input)?,
        agents: all(root, "agents", agent)?,
        map_reduces: all(root, "map_reduce", map_reduce)?,
        votes: all(root, "consensus", vote::build)?,
        pipelines: all(root, "pipeline", pipeline::build)?,
        swarms: all(root, "swarm", swarm::build)?,
        hierarchies: all(root, "hierarchy", hierarchy::build)?,
        env,
        texts: texts.clone(),
    })
}

fn all<T>(root: &Table, key: &str, build: fn(&Entry, &Table) -> Option<T>) -> Option<Vec<T>> {
    let entries = root.entries_of(key).iter();
    entries.map(|entry| build(entry, entry.node.value.table()?)).collect()
}

fn input(entry: &Entry, table: &Table) -> Option<Input> {
    let fields = Fields { table, shape: &INPUT };
    let kind = input_kind(&fields.text("type")?)?;
    let default = match fields.node("default") {
        Some(node) => Some(input_value(kind, &node.value)?),
        None => None,
    };
    Some(Input {
        name: Name::new(&entry.key)?,
        kind,
        default,
        optional: fields.boolean("optional"),
        description: fields.text("description"),
        at: entry.key_at,
    })
}

fn agent(entry: &Entry, table: &Table) -> Option<Agent<Template>> {
    let fields = Fields { table, shape: &AGENT };
    let mut capabilities = fields.strings("capabilities");
    capabilities.sort();
    capabilities.dedup();
    Some(Agent {
        name: Name::new(&entry.key)?,
        kind: kind(&fields)?,
        accepts: Accepts::new(fields.strings("accepts"))?,
        count: fields.count("count"),
        concurrency: fields.count("concurrency")?,
        optional: fields.boolean("optional"),
        trusted: fields.boolean("trusted"),
        whole: fields.boolean("whole"),
        timeout: fields.duration("timeout")?,
        breaker: breaker(&fields)?,
        rate_limit: match fields.table.entry("rate_limit") {
            Some(_) => Some(rate_limit(&fields.inner("rate_limit", &RATE_LIMIT))?),
            None => None,
        },
        fallback: fields.text("fallback").and_then(|name| Name::new(&name)),
        capabilities,
    })
}

fn breaker(agent: &Fields<'_>) -> Option<Option<breaker::Options>> {
    if matches!(agent.node("breaker")?.value, Value::Boolean(false)) {
        return Some(None);
    }
    let fields = agent.inner("breaker", &BREAKER);
    let (first, max) = scalar::backoff(&fields.text("open")?).ok()?;
    Some(Some(breaker::Options {
        failures: fields.count32("failures")?.get(),
        open: Backoff::new(first, max).jitter(Jitter::Equal),
        probes: fields.count32("probes")?.get(),
        patience: fields.duration("patience")?,
    }))
}

fn rate_limit(fields: &Fields<'_>) -> Option<RateLimit> {
    let rate = Rate::new(fields.count32("count")?.get(), fields.duration("per")?);
    Some(RateLimit { key: fields.text("key")?, rate })
}

fn kind(agent: &Fields<'_>) -> Option<AgentKind<Template>> {
    if let Some(name) = agent.text("builtin") {
        return Some(AgentKind::Builtin(name));
    }
    if let Some(name) = agent.text("actor") {
        let with = agent.node("with")?;
        let serde_json::Value::Object(with) = json(&with.value)? else { return None };
        return Some(AgentKind::Actor(Actor { name, with }));
    }
    if agent.table.entry("process").is_some() {
        let argv = agent.strings("process").iter().map(|text| Template::new(text)).collect();
        let heartbeat = agent.duration("heartbeat");
        return Some(AgentKind::Process(Process { argv, heartbeat, sandbox: sandbox(agent)? }));
    }
    let argument = |text: &String| match text.as_str() {
        "{files}" => Argument::Files,
        text => Argument::Text(Template::new(text)),
    };
    let exit_ok: Result<BTreeSet<u8>, _> =
        agent.integers("exit_ok").into_iter().map(u8::try_from).collect();
    Some(AgentKind::Command(Command {
        argv: agent.strings("command").iter().map(argument).collect(),
        reads: reads(&agent.text("reads")?)?,
        exit_ok: Some(exit_ok.ok()?).filter(|codes| !codes.is_empty()),
        sandbox: sandbox(agent)?,
    }))
}

fn sandbox(agent: &Fields<'_>) -> Option<Sandbox> {
    let limits = agent.inner("limits", &LIMITS);
    Some(Sandbox {
        env: agent.strings("env"),
        limits: ProcessLimits {
            memory: limits.size("memory")?,
            cpu: limits.duration("cpu")?,
            processes: limits.count32("processes"),
            open_files: limits.count32("open_files")?,
            file: limits.size("file")?,
            output: limits.size("output")?,
        },
    })
}

fn reads(text: &str) -> Option<Reads> {
    match text {
        "sarif" => Some(Reads::Sarif),
        "json" => Some(Reads::Json),
        "lines" => Some(Reads::Lines),
        "exit" => Some(Reads::Exit),
        _ => None,
    }
}

fn map_reduce(entry: &Entry, table: &Table) -> Option<MapReduce<Template>> {
    let fields = Fields { table, shape: &MAP_REDUCE };
    Some(MapReduce {
        name: Name::new(&entry.key)?,
        split: split(&fields.inner("split", &SPLIT))?,
        workers: workers(&fields)?,
        assign: match fields.text("assign")?.as_str() {
            "round_robin" => Assign::RoundRobin,
            "capability_match" => Assign::CapabilityMatch,
            _ => return None,
        },
        retry: retry(&fields.inner("retry", &RETRY))?,
        speculate: speculate(&fields)?,
        on_partial_failure: match fields.text("on_partial_failure")?.as_str() {
            "fail" => OnPartialFailure::Fail,
            "keep" => OnPartialFailure::Keep,
            "retry_elsewhere" => OnPartialFailure::RetryElsewhere,
            _ => return None,
        },
        timeout: fields.duration("timeout"),
        reduce: fields.text("reduce")?,
        after: fields.names("after")?,
    })
}

fn split(fields: &Fields<'_>) -> Option<Split<Template>> {
    let by = fields.strings("by");
    Some(Split {
        source: match fields.text("use")?.as_str() {
            "code.files" => SplitSource::CodeFiles,
            _ => return None,
        },
        by: by.iter().map(|by| split_by(by)).collect::<Option<_>>()?,
        path: Template::new(&fields.text("path")?),
        diff: fields.text("diff").map(|diff| Template::new(&diff)),
        max_bytes: fields.size("max_bytes")?,
        max_files: fields.count("max_files")?,
    })
}

fn split_by(text: &str) -> Option<SplitBy> {
    match text {
        "type" => Some(SplitBy::Type),
        "size" => Some(SplitBy::Size),
        "complexity" => Some(SplitBy::Complexity),
        "dependency" => Some(SplitBy::Dependency),
        _ => None,
    }
}

fn workers(fields: &Fields<'_>) -> Option<Workers> {
    let all = fields.names("all_of")?;
    Some(if all.is_empty() { Workers::AnyOf(fields.names("any_of")?) } else { Workers::AllOf(all) })
}

pub(super) fn retry(fields: &Fields<'_>) -> Option<Retries> {
    let (first, max) = scalar::backoff(&fields.text("backoff")?).ok()?;
    let attempts = fields.count32("attempts")?.get();
    Some(Retries { attempts, backoff: Backoff::new(first, max) })
}

fn speculate(fields: &Fields<'_>) -> Option<Option<Speculate>> {
    if matches!(fields.node("speculate")?.value, Value::Boolean(false)) {
        return Some(None);
    }
    let after = fields.inner("speculate", &SPECULATE).duration("after")?;
    Some(Some(Speculate { after }))
}

/// A table whose missing keys have the defaults of its shape.
pub(crate) struct Fields<'t> {
    pub(crate) table: &'t Table,
    pub(crate) shape: &'static Shape,
}

static EMPTY: Table = Table { entries: Vec::new() };

impl Fields<'_> {
    pub(crate) fn node(&self, key: &str) -> Option<Node> {
        match self.table.node(key) {
            Some(node) => Some(node.clone()),
            None => default(self.shape.key(key)?.default?),
        }
    }

    pub(crate) fn inner(&self, key: &str, shape: &'static Shape) -> Fields<'_> {
        let table = self.table.node(key).and_then(|node| node.value.table());
        Fields { table: table.unwrap_or(&EMPTY), shape }
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.node(key)?.value.text().map(str::to_owned)
    }

    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        self.node(key)?.value.integer()
    }

    pub(crate) fn boolean(&self, key: &str) -> bool {
        matches!(self.node(key), Some(Node { value: Value::Boolean(true), .. }))
    }

    pub(crate) fn count(&self, key: &str) -> Option<NonZeroUsize> {
        NonZeroUsize::new(usize::try_from(self.integer(key)?).ok()?)
    }

    pub(crate) fn count32(&self, key: &str) -> Option<NonZeroU32> {
        NonZeroU32::new(u32::try_from(self.integer(key)?).ok()?)
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        scalar::duration(&self.text(key)?).ok()
    }

    pub(crate) fn size(&self, key: &str) -> Option<ByteSize> {
        let value = self.node(key)?.value;
        let text = value.integer().map(|bytes| bytes.to_string());
        scalar::size(&text.or_else(|| value.text().map(str::to_owned))?).ok()
    }

    /// Gives the texts of a list, or the one text that stands for a list.
    pub(crate) fn strings(&self, key: &str) -> Vec<String> {
        let nodes = self.list(key);
        nodes.iter().filter_map(|node| node.value.text().map(str::to_owned)).collect()
    }

    /// Gives the names of a list; `None` where one is none.
    pub(crate) fn names(&self, key: &str) -> Option<Vec<Name>> {
        self.strings(key).iter().map(|name| Name::new(name)).collect()
    }

    pub(crate) fn integers(&self, key: &str) -> Vec<i64> {
        self.list(key).iter().filter_map(|node| node.value.integer()).collect()
    }

    pub(crate) fn list(&self, key: &str) -> Vec<Node> {
        match self.node(key) {
            Some(Node { value: Value::Array(nodes), .. }) => nodes,
            Some(node) => vec![node],
            None => Vec::new(),
        }
    }
}

/// Reads a default of the table of keys.
fn default(text: &str) -> Option<Node> {
    let table = read(&format!("value = {text}"), &mut Vec::new());
    table.node("value").cloned()
}
