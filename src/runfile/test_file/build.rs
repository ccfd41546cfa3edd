//! Turns a checked tree into a [`TestFile`]; defaults come from the table of keys.
//!
//! # Invariants
//! `None` only for a tree that the checks refuse.

use std::path::PathBuf;

use runtime::sim::Fault;
use serde_json::{Map, Value as Json};

use super::super::build::Fields;
use super::super::cross::input_value;
use super::super::keys::{CONDITION, FAILURE, FINDING, MOCK, TEST};
use super::super::model::{Accepts, Name, RunFile};
use super::super::problem::Texts;
use super::super::scalar;
use super::super::tree::{Node, Table, json};
use super::model::{
    Condition, Count, FailureMatch, FindingMatch, Mock, OutcomeName, Saying, Test, TestFile,
};

/// Builds the file that a checked tree stands for.
pub(super) fn build(root: &Table, run_file: &RunFile, texts: &Texts) -> Option<TestFile> {
    let nodes = root.node("test")?.value.list()?;
    let tests = nodes.iter().map(|node| test(node.value.table()?, run_file, texts));
    Some(TestFile { tests: tests.collect::<Option<_>>()? })
}

fn test(table: &Table, run_file: &RunFile, texts: &Texts) -> Option<Test> {
    let fields = Fields { table, shape: &TEST };
    let conditions = |key: &str| -> Option<Vec<Condition>> {
        fields.list(key).iter().map(|node| condition(node, texts)).collect()
    };
    let mocks = table.entries_of("mock").iter().map(|entry| {
        let mocks = each(&entry.node).iter().map(|node| mock(node.value.table()?));
        Some((Name::new(&entry.key)?, mocks.collect::<Option<Vec<_>>>()?))
    });
    let files = table.entries_of("files").iter();
    let files = files
        .map(|file| Some((scalar::below(&file.key).ok()?, file.node.value.text()?.to_owned())));
    let env = table.entries_of("env").iter();
    let env = env.map(|given| Some((given.key.clone(), given.node.value.text()?.to_owned())));
    let faults = fields.strings("faults");
    Some(Test {
        name: fields.text("name")?,
        run: match fields.text("run") {
            Some(name) => Name::new(&name)?,
            None => run_file.main.clone(),
        },
        inputs: inputs(table, run_file)?,
        env: env.collect::<Option<_>>()?,
        files: files.collect::<Option<_>>()?,
        mocks: mocks.collect::<Option<_>>()?,
        cassette: fields.text("cassette").map(PathBuf::from),
        faults: faults.iter().map(|name| fault(name)).collect::<Option<_>>()?,
        cancel: fields.duration("cancel"),
        seeds: u64::try_from(fields.integer("seeds")?).ok()?,
        never: conditions("never")?,
        always: conditions("always")?,
        expect: conditions("expect")?,
    })
}

fn inputs(table: &Table, run_file: &RunFile) -> Option<Vec<(String, String)>> {
    let given = table.entries_of("input").iter().map(|given| {
        let input = run_file.inputs.iter().find(|input| input.name.as_str() == given.key)?;
        Some((given.key.clone(), input_value(input.kind, &given.node.value)?.to_string()))
    });
    given.collect()
}

/// What a fault of a test file is in the simulation. There, whatever is held up is overtaken: to delay is to reorder.
fn fault(name: &str) -> Option<Fault> {
    match name {
        "crash" => Some(Fault::Crash),
        "disk_crash" => Some(Fault::DiskCrash),
        "panic" => Some(Fault::Panic),
        "hang" => Some(Fault::Hang),
        "slow" => Some(Fault::Slow),
        "delay" | "reorder" => Some(Fault::Delay),
        "duplicate" => Some(Fault::Duplicate),
        _ => None,
    }
}

fn mock(table: &Table) -> Option<Mock> {
    let fields = Fields { table, shape: &MOCK };
    let saying = if table.node("says").is_some() || fields.boolean("abstains") {
        Saying::Says(said(table)?)
    } else if fields.boolean("passes") {
        Saying::Passes
    } else if let Some(words) = fields.text("fails") {
        Saying::Fails(words)
    } else if let Some(after) = fields.duration("busy") {
        Saying::Busy(after)
    } else if fields.boolean("hang") {
        Saying::Hang
    } else if fields.boolean("panic") {
        Saying::Panic
    } else if fields.boolean("crash") {
        Saying::Crash
    } else {
        Saying::Own
    };
    let stage = fields.text("stage").and_then(|name| Name::new(&name));
    let on = Accepts::new(fields.strings("on"))?;
    Some(Mock { on, stage, slow: fields.duration("slow"), saying })
}

/// What a mock says: as it is written, or, where it says how sure it is or why, a ballot for that; of none one that abstains.
fn said(table: &Table) -> Option<Json> {
    let says = table.node("says").map(|node| json(&node.value));
    let more = ["confidence", "reasoning"].into_iter().filter_map(|key| table.entry(key));
    let more = more.map(|entry| Some((entry.key.clone(), json(&entry.node.value)?)));
    let mut ballot = more.collect::<Option<Map<_, _>>>()?;
    match says {
        Some(says) if ballot.is_empty() => says,
        says => {
            ballot.insert("choice".to_owned(), says.unwrap_or(Some(Json::Null))?);
            Some(Json::Object(ballot))
        }
    }
}

fn condition(node: &Node, texts: &Texts) -> Option<Condition> {
    let fields = Fields { table: node.value.table()?, shape: &CONDITION };
    let (_, text) = texts.get(node.at.origin);
    let mut lines = text.get(node.at.start..node.at.end)?.lines();
    let first = lines.next().unwrap_or("");
    let written = if lines.next().is_some() { format!("{first} …") } else { first.to_owned() };
    let outcomes = fields.strings("outcome");
    let outcome = |name: &String| {
        OutcomeName::ALL.iter().find(|(_, known)| known == name).map(|(outcome, _)| *outcome)
    };
    let (findings, failures) = (fields.list("finding"), fields.list("failure"));
    let calls = fields.table.entries_of("calls").iter();
    let calls = calls.map(|entry| Some((Name::new(&entry.key)?, count(&entry.node)?)));
    Some(Condition {
        written: (written, texts.line(node.at) + 1),
        outcome: outcomes.iter().map(outcome).collect::<Option<_>>()?,
        choice: fields.strings("choice"),
        findings: optional(fields.table.node("findings"), count)?,
        finding: findings.iter().map(finding).collect::<Option<_>>()?,
        done: optional(fields.table.node("done"), count)?,
        cost: fields
            .table
            .node("cost")
            .and_then(|node| scalar::weight(&node.value).ok())
            .map(|cost| cost.to_f64()),
        ticks: optional(fields.table.node("ticks"), count)?,
        pattern: fields.strings("pattern"),
        failed: optional(fields.table.node("failed"), count)?,
        failure: failures.iter().map(failure).collect::<Option<_>>()?,
        calls: calls.collect::<Option<_>>()?,
    })
}

/// Builds what may be missing; outer `None` when it is there and cannot be built.
#[expect(clippy::option_option, reason = "missing and wrong are two things")]
fn optional<T>(node: Option<&Node>, build: fn(&Node) -> Option<T>) -> Option<Option<T>> {
    match node {
        Some(node) => build(node).map(Some),
        None => Some(None),
    }
}

fn count(node: &Node) -> Option<Count> {
    let number = node.value.integer().map(|number| number.to_string());
    scalar::count(&number.or_else(|| node.value.text().map(str::to_owned))?).ok()
}

fn finding(node: &Node) -> Option<FindingMatch> {
    let fields = Fields { table: node.value.table()?, shape: &FINDING };
    let glob = |key: &str| match fields.text(key) {
        Some(glob) => Accepts::new(vec![glob]).map(Some),
        None => Some(None),
    };
    Some(FindingMatch {
        rule: glob("rule")?,
        file: glob("file")?,
        line: fields.integer("line").and_then(|line| u32::try_from(line).ok()),
        severity: fields.text("severity"),
        agent: fields.text("agent"),
        message: fields.text("message"),
    })
}

fn failure(node: &Node) -> Option<FailureMatch> {
    let fields = Fields { table: node.value.table()?, shape: &FAILURE };
    let (agent, part, error) = (fields.text("agent"), fields.text("part"), fields.text("error"));
    Some(FailureMatch { agent, part, error })
}

/// A value, or the values of a list.
pub(super) fn each(node: &Node) -> &[Node] {
    node.value.list().unwrap_or(std::slice::from_ref(node))
}
