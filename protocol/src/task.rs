//! Tasks: one piece of work for one agent, its states and its outcome.
//!
//! Gateways make them, coordinators split and assign them, agents do them, journals keep them.
//!
//! # Invariants
//! - A task ends exactly once, in one [`Outcome`].
//! - Its states change only as [`TaskStatus::can_become`] says.
//! - Money is counted in whole millionths of a US dollar, time in milliseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::check::{self, Fault, ensure};
use crate::id::{NodeId, RunId, TaskId};
use crate::refusal::Refusal;

/// One piece of work, as the journal keeps it and as an agent receives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Names the task.
    pub id: TaskId,
    /// The run that it belongs to.
    pub run: RunId,
    /// The task that it was split from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// What kind of work it is, such as `review` or `vote`; agents offer it as a capability.
    #[serde(rename = "type")]
    pub kind: String,
    /// What to work on; its schema belongs to the kind of work.
    #[serde(default)]
    pub input: Value,
    /// Capabilities beyond the type that the agent must have, such as `lang:rust` or `tool:docker`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// How urgent it is among others.
    #[serde(default)]
    pub priority: Priority,
    /// Unix milliseconds by which it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What it may use up.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub budget: Budget,
    /// What the assignment may know of its size.
    #[serde(default, skip_serializing_if = "Estimate::is_unknown")]
    pub estimate: Estimate,
    /// Free labels, for rules and for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Task {
    /// Makes a task without needs, deadline, budget or labels, of normal priority.
    pub fn new(id: TaskId, run: RunId, kind: impl Into<String>, input: Value) -> Self {
        Self {
            id,
            run,
            parent: None,
            kind: kind.into(),
            input,
            needs: Vec::new(),
            priority: Priority::Normal,
            deadline_ms: None,
            budget: Budget::default(),
            estimate: Estimate::default(),
            labels: BTreeMap::new(),
        }
    }

    /// Checks what the types leave open: names, counts, ranges.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        check::name("type", &self.kind)?;
        check::names("needs", &self.needs)?;
        check::labels("labels", &self.labels)?;
        let complexity = self.estimate.complexity;
        ensure(
            (0.0..=f64::MAX).contains(&complexity),
            "estimate.complexity",
            "is no finite number from 0",
        )
    }
}

/// How urgent a task is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Done when nothing else waits.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before normal ones, by fast and reliable agents.
    High,
    /// Before all others.
    Critical,
}

/// What a task or run may use up; an absent limit is the parent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Model tokens, in and out together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_micros: Option<u64>,
    /// Wall clock, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Messages sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Children spawned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<u64>,
}

impl Budget {
    /// Tells whether no limit is set.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// What was used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Model tokens read.
    pub tokens_in: u64,
    /// Model tokens written.
    pub tokens_out: u64,
    /// Money, in millionths of a US dollar.
    pub usd_micros: u64,
    /// Wall clock, in milliseconds.
    pub wall_ms: u64,
}

impl Usage {
    /// Adds up two usages, at most to the largest number.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            tokens_in: self.tokens_in.saturating_add(other.tokens_in),
            tokens_out: self.tokens_out.saturating_add(other.tokens_out),
            usd_micros: self.usd_micros.saturating_add(other.usd_micros),
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
        }
    }
}

/// What the assignment may know of a task before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Estimate {
    /// Expected duration, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Difficulty, from 0; 10 doubles the expected cost.
    pub complexity: f64,
    /// Size of the data to work on, in bytes.
    pub data_bytes: u64,
    /// Whether a low cost matters more than speed.
    pub cost_sensitive: bool,
}

impl Estimate {
    /// Tells whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// How a task, an ask or a run ended; it ends in exactly one of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, with its failed parts, if any, named.
    Completed {
        /// The result; its schema belongs to the kind of work.
        #[serde(default)]
        output: Value,
        /// Parts that are missing in the result.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed_parts: Vec<FailedPart>,
    },
    /// Tried and failed.
    Failed(Refusal),
    /// Not done by its deadline; whether an effect took place is unknown.
    TimedOut,
    /// Stopped by its caller, a parent, or an emergency stop.
    Cancelled {
        /// Who or what stopped it, for people.
        #[serde(default)]
        reason: String,
    },
    /// Never started.
    Rejected(Refusal),
    /// The node that held it is gone; whether an effect took place is unknown.
    NodeLost {
        /// The node.
        node: NodeId,
    },
}

impl Outcome {
    /// Makes the outcome of a result without failed parts.
    pub const fn completed(output: Value) -> Self {
        Self::Completed { output, failed_parts: Vec::new() }
    }

    /// Gives the final status that goes with the outcome; a lost node is a failure.
    pub const fn status(&self) -> TaskStatus {
        match self {
            Self::Completed { .. } => TaskStatus::Completed,
            Self::Failed(_) | Self::NodeLost { .. } => TaskStatus::Failed,
            Self::TimedOut => TaskStatus::TimedOut,
            Self::Cancelled { .. } => TaskStatus::Cancelled,
            Self::Rejected(_) => TaskStatus::Rejected,
        }
    }

    /// Gives the word for metric labels and people; `node_lost` has its own.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NodeLost { .. } => "node_lost",
            Self::Completed { .. }
            | Self::Failed(_)
            | Self::TimedOut
            | Self::Cancelled { .. }
            | Self::Rejected(_) => self.status().as_str(),
        }
    }
}

/// A part that is missing in a completed result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPart {
    /// The part's task.
    pub task: TaskId,
    /// The part, for people.
    #[serde(default)]
    pub name: String,
    /// Why it is missing.
    pub refusal: Refusal,
}

/// Where a task stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for an agent.
    #[default]
    Pending,
    /// An agent is picked and reserved.
    Assigned,
    /// The agent took it.
    Accepted,
    /// The agent, or admission, declined it.
    Rejected,
    /// The agent works on it.
    InProgress,
    /// Ended with a result.
    Completed,
    /// Ended without a result.
    Failed,
    /// Ended because it was cancelled.
    Cancelled,
    /// Ended because its deadline passed.
    TimedOut,
}

impl TaskStatus {
    /// Every status, in the order of a life.
    pub const EVERY: &'static [Self] = &[
        Self::Pending,
        Self::Assigned,
        Self::Accepted,
        Self::Rejected,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// Gives the word for metric labels and people, the same as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Lists where a task may go from here; back to pending when its agent declined, was lost, or is retried.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Assigned, Self::Rejected, Self::Cancelled, Self::TimedOut],
            Self::Assigned => &[
                Self::Accepted,
                Self::Rejected,
                Self::Pending,
                Self::Failed,
                Self::Cancelled,
                Self::TimedOut,
            ],
            Self::Accepted => {
                &[Self::InProgress, Self::Pending, Self::Failed, Self::Cancelled, Self::TimedOut]
            }
            Self::InProgress => {
                &[Self::Completed, Self::Failed, Self::Pending, Self::Cancelled, Self::TimedOut]
            }
            Self::Rejected => &[Self::Pending, Self::Failed, Self::Cancelled, Self::TimedOut],
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut => &[],
        }
    }

    /// Tells whether a task in this status may go to that one.
    pub fn can_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// Tells whether the task has ended for good.
    pub const fn is_final(self) -> bool {
        self.next().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Code;

    #[test]
    fn the_table_of_transitions_allows_a_life_and_nothing_after_its_end() {
        use TaskStatus::{Accepted, Assigned, Completed, InProgress, Pending};
        for pair in [Pending, Assigned, Accepted, InProgress, Completed].windows(2) {
            assert!(pair[0].can_become(pair[1]), "{pair:?}");
        }
        assert!(InProgress.can_become(Pending), "a lost agent's task goes to another");
        for (from, to) in [
            (Pending, Completed),
            (Pending, InProgress),
            (Assigned, Completed),
            (Accepted, Completed),
        ] {
            assert!(!from.can_become(to), "{from:?} {to:?}");
        }
        for status in TaskStatus::EVERY {
            assert!(!status.can_become(*status), "{status:?} stays without an event");
            assert!(
                status.is_final() || status.can_become(TaskStatus::Cancelled),
                "{status:?} can be cancelled"
            );
            assert!(
                status.is_final() || status.can_become(TaskStatus::TimedOut),
                "{status:?} can time out"
            );
        }
        assert_eq!(TaskStatus::EVERY.iter().filter(|status| status.is_final()).count(), 4);
    }

    #[test]
    fn words_of_a_status_are_those_of_the_wire() {
        for status in TaskStatus::EVERY {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(Outcome::NodeLost { node: NodeId::NIL }.as_str(), "node_lost");
        assert_eq!(Outcome::Failed(Refusal::new(Code::Failed, "")).as_str(), "failed");
    }

    #[test]
    fn a_plain_task_is_short_on_the_wire_and_unknown_fields_are_skipped() {
        let task = Task::new(TaskId::from_u128(1), RunId::from_u128(2), "review", Value::from(3));
        let json = serde_json::to_value(&task).unwrap();
        let fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["id", "input", "priority", "run", "type"]);
        let mut newer = json;
        newer["colour"] = "red".into();
        assert_eq!(serde_json::from_value::<Task>(newer).unwrap(), task);
    }

    #[test]
    fn a_task_with_a_wrong_field_is_named() {
        let sound = Task::new(TaskId::from_u128(1), RunId::from_u128(2), "review", Value::Null);
        assert_eq!(sound.check(), Ok(()));
        let nameless = Task { kind: String::new(), ..sound.clone() };
        assert_eq!(nameless.check().unwrap_err().field, "type");
        let forged = Task { needs: vec![String::from("a\nb")], ..sound.clone() };
        assert_eq!(forged.check().unwrap_err().field, "needs");
        for complexity in [f64::NAN, -1.0, f64::INFINITY] {
            let odd =
                Task { estimate: Estimate { complexity, ..Estimate::default() }, ..sound.clone() };
            assert_eq!(odd.check().unwrap_err().field, "estimate.complexity");
        }
    }
}
