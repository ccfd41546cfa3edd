//! What a pipeline comes to: each document with every stage's output, each stage with its figures.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::agent::AgentError;

/// The outcome of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The documents that entered, in the order in which they did.
    pub documents: Vec<Passage>,
    /// The stages, in their order.
    pub stages: Vec<StageFigures>,
}

impl Report {
    /// What came out at the end, by the number of its document.
    pub fn outputs(&self) -> impl Iterator<Item = (u32, &Value)> {
        self.documents.iter().filter_map(|passage| Some((passage.document, passage.output()?)))
    }
}

/// One document's way through the stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passage {
    /// Its number, from 0.
    pub document: u32,
    /// Its name.
    pub name: String,
    /// The stages that it has passed.
    pub steps: Vec<Step>,
    /// How it ended.
    pub end: PassageEnd,
}

impl Passage {
    /// What came out at the end, if the document got there.
    pub fn output(&self) -> Option<&Value> {
        match self.end {
            PassageEnd::Done => self.steps.last().map(|step| &*step.output),
            PassageEnd::Failed { .. } | PassageEnd::Open { .. } => None,
        }
    }
}

/// How a document ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum PassageEnd {
    /// It has passed all stages.
    Done,
    /// It failed at a stage, for good.
    Failed {
        /// The stage.
        stage: String,
        /// The agent that failed last; none where the document itself was refused.
        agent: Option<String>,
        /// The calls that were made.
        attempts: u32,
        /// What the last of them ended with.
        error: AgentError,
        /// The same for people, with who was asked before.
        why: String,
    },
    /// The run ended before it did.
    Open {
        /// The stage that it was at, or would have come to next.
        stage: String,
    },
}

/// One stage that a document has passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The stage.
    #[serde(serialize_with = "shared")]
    pub stage: Arc<str>,
    /// Who answered.
    #[serde(serialize_with = "shared")]
    pub agent: Arc<str>,
    /// The calls that were made, those of agents that failed included.
    pub attempts: u32,
    /// Whether a fallback answered.
    pub fallback: bool,
    /// When the call that was answered began, in Unix milliseconds.
    pub at: i64,
    /// Time from the coming in to that, in microseconds.
    pub waited_micros: u64,
    /// The time that the call took, in microseconds.
    pub took_micros: u64,
    /// Whether it was taken from the journal.
    pub resumed: bool,
    /// What went on: the agent's answer, transformed.
    #[serde(serialize_with = "shared")]
    pub output: Arc<Value>,
}

/// Writes what is shared as if it were not.
fn shared<T: Serialize + ?Sized, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
    value.serialize(to)
}

/// What a stage did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageFigures {
    /// Its name.
    pub name: String,
    /// Documents that passed it.
    pub passed: u64,
    /// Of these, those that a fallback answered for.
    pub fallbacks: u64,
    /// Documents that failed at it.
    pub failed: u64,
    /// Calls of agents in this process, of documents that have passed or failed.
    pub attempts: u64,
    /// The most documents that were in it at a time.
    pub most_inside: u64,
    /// How often its actor ended and was started anew, in this process.
    pub restarts: u64,
    /// Time that documents waited in it for an agent.
    pub waited: Spread,
    /// Time that agents took.
    pub took: Spread,
}

impl StageFigures {
    /// Counts a document that has passed.
    pub(super) fn count(&mut self, step: &Step) {
        self.passed += 1;
        self.fallbacks += u64::from(step.fallback);
        self.waited.add(step.waited_micros);
        self.took.add(step.took_micros);
    }
}

/// How long something took, over many times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// All of it.
    pub total_micros: u64,
    /// The longest.
    pub longest_micros: u64,
}

impl Spread {
    pub(super) fn add(&mut self, micros: u64) {
        self.total_micros = self.total_micros.saturating_add(micros);
        self.longest_micros = self.longest_micros.max(micros);
    }
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
