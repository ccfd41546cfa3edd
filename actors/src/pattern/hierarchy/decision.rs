//! What is decided when something fails, by whom, and what a monitor may say: plain values.
//!
//! # Invariants
//! - Whoever decides has a [`DecisionLevel`]; what is above it is for whoever is above, and above the supervisor for nobody.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::agent::AgentError;

/// How far a decision goes, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionLevel {
    /// To take note.
    Inform,
    /// To have it done again.
    Retry,
    /// To have somebody else do it.
    Reassign,
    /// To put another plan in the place of what is not done.
    Replan,
    /// To end the run.
    Abort,
}

impl DecisionLevel {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inform => "inform",
            Self::Retry => "retry",
            Self::Reassign => "reassign",
            Self::Replan => "replan",
            Self::Abort => "abort",
        }
    }
}

impl fmt::Display for DecisionLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What is decided. As JSON, `{"decision": "retry"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Take note and go on: what failed is given up, and what comes after it does without.
    Inform,
    /// Have the same team do it again.
    Retry,
    /// Have somebody else do it.
    Reassign {
        /// Which team; none leaves the choice: of a leader another of its workers, of the others the least loaded of the other teams.
        #[serde(default)]
        to: Option<String>,
    },
    /// Put these assignments in the place of all that are not done; results that are there are kept.
    Replan {
        /// They may come after assignments that are done.
        plan: Plan,
    },
    /// End the run as failed.
    Abort {
        /// Why.
        why: String,
    },
}

impl Decision {
    /// To have somebody else do it, whoever that is.
    pub const REASSIGN: Self = Self::Reassign { to: None };

    /// How far it goes.
    pub const fn level(&self) -> DecisionLevel {
        match self {
            Self::Inform => DecisionLevel::Inform,
            Self::Retry => DecisionLevel::Retry,
            Self::Reassign { .. } => DecisionLevel::Reassign,
            Self::Replan { .. } => DecisionLevel::Replan,
            Self::Abort { .. } => DecisionLevel::Abort,
        }
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// The leader of the team.
    Leader,
    /// The supervisor.
    Supervisor,
    /// The monitor.
    Monitor,
}

/// What a failure or a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A task, by its number in the run.
    Task(u64),
    /// An assignment that no team takes, by its number in the run.
    Assignment(u32),
    /// A team whose leader ended too often, by its number.
    Team(u32),
    /// The integration of the results.
    Mission,
}

/// Something that failed, and waits for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What it is about.
    pub of: Subject,
    /// The team; empty where there is none.
    pub team: String,
    /// The assignment; empty where it is about none in particular.
    pub assignment: String,
    /// The task; empty where it is about none in particular.
    pub task: String,
    /// The worker that failed last; empty where there is none.
    pub worker: String,
    /// How.
    pub error: AgentError,
    /// Whether the worker ended by it, and may not be started again by itself.
    pub crashed: bool,
    /// The calls that were made for the task.
    pub attempts: u32,
    /// Whether the run's [retries](super::Rules::retries) allow another attempt, and the error does not make it vain.
    pub may_retry: bool,
    /// Workers of the team that live and have not failed at the task.
    pub others: u32,
    /// What was decided on it before.
    pub decisions: u32,
    /// Why whoever stood below did not decide; empty where it had nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Failure {
    /// Why, for people.
    pub fn why(&self) -> String {
        match self.note.as_str() {
            "" => self.error.to_string(),
            note => format!("{}; {note}", self.error),
        }
    }
}

/// What a team's leader reports: in order, each once, to the supervisor and its [`Monitor`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress<'a> {
    /// The team.
    pub team: &'a str,
    /// Which incarnation of its leader reports, from 1.
    pub life: u32,
    /// Which of its reports it is, from 1.
    pub number: u64,
    /// The assignment.
    pub assignment: &'a str,
    /// The task.
    pub task: &'a str,
    /// The worker.
    pub worker: &'a str,
    /// What happened.
    pub what: Happened<'a>,
    /// Tasks of the run that are done, this one not counted.
    pub done: u64,
    /// Tasks of the run in all.
    pub units: u64,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happened<'a> {
    /// A worker has it.
    Began,
    /// It is done. A monitor that has it done again or by others refuses this output.
    Done {
        /// What it came to.
        output: &'a serde_json::Value,
    },
    /// Its worker crashed and was started again; the task runs once more.
    Crashed {
        /// How.
        error: &'a AgentError,
    },
    /// It failed. What the monitor decides counts before what the leader has decided.
    Failed {
        /// How.
        failure: &'a Failure,
    },
}

/// Sees what is reported, and may intervene.
///
/// It is asked in a step of the supervisor's actor: it computes for a moment, and waits for nothing. What it decides is the
/// supervisor's to decide: what is above the supervisor's level, and a panic, ends the run.
pub trait Monitor: Send + Sync + 'static {
    /// Takes in what happened; gives what is to be done about the task, if anything.
    fn see(&self, progress: &Progress<'_>) -> Option<Decision>;
}

impl<F: Fn(&Progress<'_>) -> Option<Decision> + Send + Sync + 'static> Monitor for F {
    fn see(&self, progress: &Progress<'_>) -> Option<Decision> {
        self(progress)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_go_from_taking_note_to_the_end_and_decisions_are_json() {
        let decisions = [
            (json!({ "decision": "inform" }), Decision::Inform),
            (json!({ "decision": "retry" }), Decision::Retry),
            (json!({ "decision": "reassign" }), Decision::REASSIGN),
            (
                json!({ "decision": "reassign", "to": "b" }),
                Decision::Reassign { to: Some("b".to_owned()) },
            ),
            (
                json!({ "decision": "replan", "plan": { "assignments": [] } }),
                Decision::Replan { plan: Plan::new() },
            ),
            (json!({ "decision": "abort", "why": "no" }), Decision::Abort { why: "no".to_owned() }),
        ];
        let read = decisions.map(|(json, decision)| {
            assert_eq!(serde_json::from_value::<Decision>(json).unwrap(), decision);
            decision.level()
        });
        assert!(read.is_sorted(), "{read:?}");
        assert_eq!(read.map(|level| level.to_string())[5], "abort");
    }
}
