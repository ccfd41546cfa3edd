//! What a plan comes to: each task with its output, or why it has none.

use protocol::RunId;
use serde::Serialize;
use serde_json::Value;

/// The outcome of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The tasks, in the plan's order.
    pub tasks: Vec<TaskReport>,
}

impl Report {
    /// What a task came to, if it is done.
    pub fn output(&self, name: &str) -> Option<&Value> {
        match &self.task(name)?.end {
            TaskEnd::Done { output, .. } => Some(output),
            TaskEnd::Failed { .. } | TaskEnd::Skipped { .. } | TaskEnd::Open { .. } => None,
        }
    }

    /// A task, by its name.
    pub fn task(&self, name: &str) -> Option<&TaskReport> {
        self.tasks.iter().find(|task| task.name == name)
    }
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// The tasks that it is after.
    pub after: Vec<String>,
    /// Its run, whose journal is beside that of the plan.
    pub run: RunId,
    /// How it ended.
    pub end: TaskEnd,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum TaskEnd {
    /// Its run completed.
    Done {
        /// What it came to.
        output: Value,
        /// Parts of its run that brought no result.
        missing: u64,
        /// When it began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
        /// Whether it was taken from the journal.
        resumed: bool,
    },
    /// Its run failed, for good.
    Failed {
        /// Why.
        why: String,
        /// What there is of it.
        partial: Option<Value>,
    },
    /// It never began.
    Skipped {
        /// The task that failed before it, directly or not.
        because: String,
    },
    /// The plan ended before it did; it goes on when that is taken up again.
    Open {
        /// What there is of it.
        partial: Option<Value>,
    },
}
