//! `[pipeline.NAME]`: read from a checked tree, checked against the rest of the file, filled in.

use std::{collections::BTreeMap, time::Duration};

use actors::limits::STAGES_MAX;
use runtime::retry::Retries;
use serde_json::Value as Json;

use super::build::{Fields, retry};
use super::cross::{field, known_agent, text};
use super::keys::{PIPELINE, RETRY, STAGE};
use super::model::{Accepts, Name};
use super::problem::Problem;
use super::template::{Template, Values};
use super::tree::{Entry, Table, json};

/// One `[pipeline.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline<T = String> {
    /// What `main` calls it.
    pub name: Name,
    /// The folder of the documents, or the one file, relative to the working directory.
    pub documents: T,
    /// The files that are documents.
    pub accepts: Accepts,
    /// What is done to each, in this order; never empty, each name once.
    pub stages: Vec<Stage>,
    /// Whether the order of the documents is kept.
    pub ordered: bool,
    /// The JSON Schema of what leaves the last stage.
    pub output: Option<Json>,
    /// The patterns that it comes after.
    pub after: Vec<Name>,
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What reports call it.
    pub name: Name,
    /// Who does it.
    pub agent: Name,
    /// How long each call may take.
    pub timeout: Duration,
    /// The JSON Schema of what comes in.
    pub input: Option<Json>,
    /// The JSON Schema of what the agent answers.
    pub output: Option<Json>,
    /// What is made of each answer.
    pub transform: Option<Transform>,
    /// The most documents in it at a time.
    pub window: usize,
    /// How often and when a failed call is made again.
    pub retry: Retries,
}

/// What is made of each answer before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// Adds who made it of what, and when.
    Metadata,
}

/// Builds the pipeline that a checked table stands for.
pub(super) fn build(entry: &Entry, table: &Table) -> Option<Pipeline<Template>> {
    let fields = Fields { table, shape: &PIPELINE };
    let stages = fields.list("stages");
    Some(Pipeline {
        name: Name::new(&entry.key)?,
        documents: Template::new(&fields.text("documents")?),
        accepts: Accepts::new(fields.strings("accepts"))?,
        stages: stages.iter().map(|node| stage(node.value.table()?)).collect::<Option<_>>()?,
        ordered: fields.boolean("ordered"),
        output: fields.node("output").and_then(|node| json(&node.value)),
        after: fields.names("after")?,
    })
}

fn stage(table: &Table) -> Option<Stage> {
    let fields = Fields { table, shape: &STAGE };
    let schema = |key: &str| fields.node(key).and_then(|node| json(&node.value));
    Some(Stage {
        name: Name::new(&fields.text("name")?)?,
        agent: Name::new(&fields.text("agent")?)?,
        timeout: fields.duration("timeout")?,
        input: schema("input"),
        output: schema("output"),
        transform: fields.text("transform").map(|_| Transform::Metadata),
        window: fields.count("window")?.get(),
        retry: retry(&fields.inner("retry", &RETRY))?,
    })
}

/// Fills in the texts of a pipeline.
pub(super) fn fill(pipeline: &Pipeline<Template>, values: &Values) -> Pipeline {
    Pipeline {
        name: pipeline.name.clone(),
        documents: pipeline.documents.fill(values).unwrap_or_else(|| ".".to_owned()),
        accepts: pipeline.accepts.clone(),
        stages: pipeline.stages.clone(),
        ordered: pipeline.ordered,
        output: pipeline.output.clone(),
        after: pipeline.after.clone(),
    }
}

impl<T> Pipeline<T> {
    /// The agents of the stages, in their order, each once.
    pub fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for stage in &self.stages {
            if !names.contains(&stage.agent) {
                names.push(stage.agent.clone());
            }
        }
        names
    }
}

/// Finds every problem of a pipeline with itself and with the rest of the file.
pub(super) fn check(pattern: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let Some(own) = field(pattern, "stages") else { return };
    let nodes = own.node.value.list().unwrap_or_default();
    if nodes.len() > STAGES_MAX {
        let message = format!("a pipeline has {} stages", nodes.len());
        let problem = Problem::new(own.key_at, message)
            .label("too many")
            .help_with(format!("at most {STAGES_MAX}: let an agent do more than one of them"));
        problems.push(problem);
    }
    let mut named: BTreeMap<&str, &Entry> = BTreeMap::new();
    for table in nodes.iter().filter_map(|node| node.value.table()) {
        if let Some(entry) = table.entry("name")
            && let Some(name) = text(&entry.node)
            && let Some(first) = named.insert(name, entry)
        {
            let problem = Problem::new(entry.node.at, format!("two stages are called `{name}`"))
                .label("again")
                .also(first.node.at, "first here")
                .help_with("reports could not tell them apart: rename one of the two");
            problems.push(problem);
        }
        problems.extend(table.entry("agent").and_then(|entry| worker(entry, root)));
    }
}

/// The keys of an agent that say nothing in a stage.
const OF_CODE: [&str; 3] = ["accepts", "whole", "capabilities"];

/// Checks who does a stage: an agent of the file that takes documents.
fn worker(entry: &Entry, root: &Table) -> Option<Problem> {
    if let Some(problem) = known_agent(&entry.node, root) {
        return Some(problem);
    }
    let name = text(&entry.node)?;
    let agent = root.entries_of("agents").iter().find(|agent| agent.key == name)?;
    let builtin = field(agent, "builtin").and_then(|entry| text(&entry.node));
    if builtin.is_some_and(|name| name.starts_with("review.")) {
        return Some(
            Problem::new(entry.node.at, format!("`{name}` takes code, not documents"))
                .label("a built-in reviewer")
                .also(agent.key_at, "the agent")
                .help_with("let a `document.…`, a `command` or a `process` do the stage"),
        );
    }
    let key = OF_CODE.into_iter().find_map(|key| field(agent, key))?;
    Some(
        Problem::new(key.key_at, format!("`{}` says nothing of an agent of a stage", key.key))
            .label("every document comes to it")
            .also(entry.node.at, "the stage")
            .help_with("delete it; `accepts` of the pipeline says which files are documents"),
    )
}
