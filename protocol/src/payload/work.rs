//! Payloads of work: TaskRequest, TaskResponse, ProgressReport, EmergencyStop.

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::check::{self, Fault, ensure};
use crate::id::{AgentId, ConversationId, RunId, TaskId};
use crate::task::{Outcome, Task, Usage};

/// Gives a task to an agent, or takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskRequest {
    /// Do this; answer with an Ack or an Error at once, and with a TaskResponse at the end.
    Do(Box<Assignment>),
    /// Stop doing that; answer with a TaskResponse whose outcome is `cancelled`, unless it ended before.
    Cancel {
        /// The task.
        task: TaskId,
        /// The attempt to stop; a later one goes on.
        fence: u64,
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
}

/// A task in the hands of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The task.
    pub task: Task,
    /// Fencing token: grows with every assignment of the task; a result under an older one is refused as `stale`.
    pub fence: u64,
    /// Counts the attempts, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// Milliseconds after which the task goes to another agent unless a ProgressReport or Heartbeat came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

const fn first() -> u32 {
    1
}

/// Ends a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResponse {
    /// The task.
    pub task: TaskId,
    /// The fencing token of its assignment.
    pub fence: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used up.
    #[serde(default)]
    pub usage: Usage,
}

/// Reports how far a task is; extends its lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The task.
    pub task: TaskId,
    /// The fencing token of its assignment.
    pub fence: u64,
    /// Counts the reports of the assignment, from 1; older ones that come late are dropped.
    #[serde(default)]
    pub sequence: u64,
    /// Share that is done, from 0 to 1, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// What goes on, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// A named point that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<String>,
    /// The next piece of a streamed output, in the order of `sequence`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub partial: Value,
    /// What it has used up so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Stops work at once; answered with an Ack when everything in the scope has been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyStop {
    /// What is to stop.
    pub scope: StopScope,
    /// Why, for people and the audit.
    pub reason: String,
    /// Milliseconds for cleaning up; then processes are killed.
    #[serde(default)]
    pub grace_ms: u32,
}

/// What an emergency stop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopScope {
    /// Every run and every agent.
    Everything,
    /// One run with all its descendants.
    Run(RunId),
    /// One task with all its descendants.
    Task(TaskId),
    /// Everything that one agent does.
    Agent(AgentId),
    /// One conversation.
    Conversation(ConversationId),
}

impl TaskRequest {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Do(assignment) => {
                ensure(assignment.attempt > 0, "attempt", "is 0; attempts count from 1")?;
                assignment.task.check()
            }
            Self::Cancel { reason, .. } => check::text("reason", reason),
        }
    }
}

impl TaskResponse {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match &self.outcome {
            Outcome::Completed { failed_parts, .. } => failed_parts
                .iter()
                .try_for_each(|part| check::optional_name("outcome.failed_parts.name", &part.name)),
            Outcome::Failed(refusal) | Outcome::Rejected(refusal) => {
                check::text("outcome.text", &refusal.text)
            }
            Outcome::Cancelled { reason } => check::text("outcome.reason", reason),
            Outcome::TimedOut | Outcome::NodeLost { .. } => Ok(()),
        }
    }
}

impl ProgressReport {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Some(fraction) = self.fraction {
            check::share("fraction", fraction)?;
        }
        if let Some(milestone) = &self.milestone {
            check::name("milestone", milestone)?;
        }
        check::text("text", &self.text)
    }
}

impl EmergencyStop {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        ensure(!self.reason.is_empty(), "reason", "is empty; the audit needs one")?;
        check::text("reason", &self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_outside_of_0_to_1_is_refused() {
        let report = |fraction| ProgressReport {
            task: TaskId::from_u128(1),
            fence: 1,
            sequence: 1,
            fraction: Some(fraction),
            text: String::new(),
            milestone: None,
            partial: Value::Null,
            usage: None,
        };
        assert_eq!(report(1.0).check(), Ok(()));
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(report(wrong).check().unwrap_err().field, "fraction");
        }
    }

    #[test]
    fn an_emergency_stop_needs_a_reason() {
        let stop =
            EmergencyStop { scope: StopScope::Everything, reason: String::new(), grace_ms: 0 };
        assert_eq!(stop.check().unwrap_err().field, "reason");
    }
}
