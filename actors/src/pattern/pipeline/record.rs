//! What a pipeline writes to its run's journal, and reads back when it is resumed.

use runtime::budget::Cost;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{agent::AgentError, pattern::Ended};

/// One record. Names are part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The run was accepted.
    Began {
        /// Unix milliseconds.
        at: i64,
        /// Which pattern.
        pattern: String,
        /// The run's name.
        name: String,
        /// The stages, in their order.
        stages: Vec<StageBegan>,
    },
    /// A document came in.
    Entered {
        /// Its number, from 0 without gaps.
        document: u32,
        /// Its name.
        name: String,
        /// When, in Unix milliseconds.
        at: i64,
        /// What the first stage gets.
        content: Value,
    },
    /// There are no more documents than these.
    Dry {
        /// How many came in.
        documents: u32,
    },
    /// A document has passed a stage.
    Passed {
        /// Which document.
        document: u32,
        /// Which stage.
        stage: u32,
        /// Which of the stage's agents answered.
        agent: u32,
        /// The calls that were made.
        attempts: u32,
        /// Which instance answered.
        slot: u32,
        /// When that call began, in Unix milliseconds.
        at: i64,
        /// Time from the coming in to that, in microseconds.
        waited: u64,
        /// How long the call took, in microseconds.
        micros: u64,
        /// What goes on; none where that is what came in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
    /// A document failed at a stage for good.
    Failed {
        /// Which document.
        document: u32,
        /// Which stage.
        stage: u32,
        /// Which of the stage's agents failed last; none where nobody was asked.
        agent: Option<u32>,
        /// The calls that were made; none where the document itself was refused.
        attempts: u32,
        /// When that was, in Unix milliseconds.
        at: i64,
        /// What the last call ended with.
        error: AgentError,
    },
    /// An agent has failed at a document for good, and the next of the stage's chain is asked.
    FellBack {
        /// Which document.
        document: u32,
        /// Which stage.
        stage: u32,
        /// Which of the stage's agents failed.
        agent: u32,
        /// Which one is asked now.
        to: u32,
        /// The calls that were made so far.
        attempts: u32,
        /// When that was, in Unix milliseconds.
        at: i64,
        /// How it failed.
        error: AgentError,
    },
    /// What the run has spent of its budget so far; written ahead of each call, where it has a budget.
    Spent(Cost),
    /// The run ended.
    Ended(Ended),
}

/// A stage, as the record of the run's beginning has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBegan {
    /// Its name.
    pub name: String,
    /// Its agent and those behind it, in the order in which they are asked.
    pub agents: Vec<String>,
}

/// [`Record::Entered`], without a copy of the content.
#[derive(Serialize)]
pub(super) struct EnteredRecord<'a> {
    pub(super) record: &'static str,
    pub(super) document: u32,
    pub(super) name: &'a str,
    pub(super) at: i64,
    pub(super) content: &'a Value,
}

/// [`Record::Passed`], without a copy of the output.
#[derive(Serialize)]
pub(super) struct PassedRecord<'a> {
    pub(super) record: &'static str,
    pub(super) document: u32,
    pub(super) stage: u32,
    pub(super) agent: u32,
    pub(super) attempts: u32,
    pub(super) slot: u32,
    pub(super) at: i64,
    pub(super) waited: u64,
    pub(super) micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<&'a Value>,
}
