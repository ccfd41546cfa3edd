//! What a plan writes to its run's journal, and reads back when it is resumed.

use runtime::budget::Cost;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pattern::Ended;

/// One record. Names are part of the format. What the run of a task does is in a journal of that run.
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
        /// The tasks, in the order in which other records number them.
        tasks: Vec<TaskBegan>,
    },
    /// A task was done.
    Done {
        /// Which task.
        task: u32,
        /// When it began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
        /// Parts of its run that brought no result.
        missing: u64,
        /// What it came to.
        output: Value,
    },
    /// A task failed for good.
    Failed {
        /// Which task.
        task: u32,
        /// When it began, in Unix milliseconds.
        at: i64,
        /// Why.
        error: String,
        /// What there is of it; none also where that is too large for a record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<Value>,
    },
    /// What the run has spent of its budget so far.
    Spent(Cost),
    /// The run ended.
    Ended(Ended),
}

/// A task that a run began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBegan {
    /// Its name.
    pub name: String,
    /// The tasks that it is after, by number, ascending.
    pub after: Vec<u32>,
}
