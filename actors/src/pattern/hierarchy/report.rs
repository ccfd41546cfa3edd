//! What a hierarchy comes to: the supervisor's output, each assignment with its tasks, what was decided on the way.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Decided;

/// The outcome of a hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// What the supervisor made of the results; null where the run did not come to that.
    pub output: Value,
    /// The assignments, in the order in which they were planned.
    pub assignments: Vec<AssignmentReport>,
    /// What was decided, in order.
    pub decisions: Vec<Decided>,
    /// How often leaders were started again, in this process.
    pub restarts: u64,
}

impl Report {
    /// An assignment, by its name: of several, by plans that took each other's place, the last.
    pub fn assignment(&self, name: &str) -> Option<&AssignmentReport> {
        self.assignments.iter().rev().find(|assignment| assignment.name == name)
    }

    /// What a task came to, if it is done.
    pub fn task(&self, assignment: &str, task: &str) -> Option<&Value> {
        let tasks = &self.assignment(assignment)?.tasks;
        match &tasks.iter().find(|own| own.name == task)?.end {
            TaskEnd::Done { output, .. } => Some(output),
            TaskEnd::GivenUp { .. } | TaskEnd::Open => None,
        }
    }
}

/// One assignment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssignmentReport {
    /// Its name.
    pub name: String,
    /// The team that had it first; none where no team did.
    pub team: Option<String>,
    /// The assignments that it was after.
    pub after: Vec<String>,
    /// How it ended.
    pub end: AssignmentEnd,
    /// Its tasks. One without tasks has one that is called as it is.
    pub tasks: Vec<TaskReport>,
}

/// How an assignment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum AssignmentEnd {
    /// All of its tasks have ended.
    Done,
    /// No team took it, and it was given up.
    Failed {
        /// Why.
        why: String,
    },
    /// It never began.
    Skipped {
        /// The assignment that failed before it, directly or not.
        because: String,
    },
    /// Another plan took its place.
    Replaced,
    /// The run ended before it did.
    Open,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// The team that had it last; none where no team did.
    pub team: Option<String>,
    /// What the plan gave to whoever did it.
    #[serde(serialize_with = "shared")]
    pub input: Arc<Value>,
    /// How it ended.
    pub end: TaskEnd,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum TaskEnd {
    /// It was done.
    Done {
        /// What it came to.
        #[serde(serialize_with = "shared")]
        output: Arc<Value>,
        /// Who did it.
        worker: String,
        /// The calls that were made.
        attempts: u32,
        /// When the call that was answered began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
        /// Whether it was taken from the journal.
        resumed: bool,
    },
    /// It failed, and was given up.
    GivenUp {
        /// Why.
        why: String,
        /// Who failed last.
        worker: String,
        /// The calls that were made.
        attempts: u32,
    },
    /// The run, or its plan, ended before it did.
    Open,
}

/// Writes what is shared as if it were not.
fn shared<S: Serializer>(value: &Arc<Value>, to: S) -> Result<S::Ok, S::Error> {
    value.serialize(to)
}
