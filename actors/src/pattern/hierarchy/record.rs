//! What a hierarchy writes to its run's journal, and reads back when it is resumed.

use runtime::budget::Cost;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Decider, Decision, Failure, Plan, Subject};
use crate::pattern::Ended;

/// One record. Names are part of the format. Tasks and assignments are numbered in the order in which they were planned.
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
        /// What the supervisor plans for.
        mission: Value,
        /// The teams, in the order in which other records number them.
        teams: Vec<TeamBegan>,
    },
    /// The supervisor has a plan.
    Planned {
        /// Unix milliseconds.
        at: i64,
        /// The plan.
        plan: Plan,
    },
    /// An assignment was given to a team.
    Delegated {
        /// Which assignment.
        assignment: u32,
        /// Which team.
        team: u32,
    },
    /// A task is done.
    Done {
        /// Which task.
        unit: u64,
        /// The team whose worker did it.
        team: u32,
        /// Which worker of it.
        worker: u32,
        /// The calls that were made.
        attempts: u32,
        /// Whether a fallback of the worker's agent answered.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fallback: bool,
        /// When the call that was answered began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
        /// What it came to.
        output: Value,
    },
    /// A task failed and waits for the supervisor's decision.
    Failed {
        /// Which task.
        unit: u64,
        /// How.
        failure: Box<Failure>,
    },
    /// Something was decided, and is carried out from now on.
    Decided(Decided),
    /// The supervisor has put the results together.
    Integrated {
        /// What they came to.
        output: Value,
    },
    /// What the run has spent of its budget so far.
    Spent(Cost),
    /// The run ended.
    Ended(Ended),
}

/// A decision that was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Unix milliseconds.
    pub at: i64,
    /// By whom.
    pub by: Decider,
    /// On what.
    pub of: Subject,
    /// What.
    pub decision: Decision,
    /// The team that has it from now on, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<u32>,
    /// The worker that shall not have it again, as far as there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avoid: Option<u32>,
    /// What failed, for people; empty where nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A team that a run began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamBegan {
    /// Its name.
    pub name: String,
    /// Its workers, in their order.
    pub workers: Vec<String>,
}

/// A task that is done, as it is written: its output is not copied for that.
#[derive(Serialize)]
pub(super) struct DoneRecord<'a> {
    pub(super) record: &'static str,
    pub(super) unit: u64,
    pub(super) team: u32,
    pub(super) worker: u32,
    pub(super) attempts: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) fallback: bool,
    pub(super) at: i64,
    pub(super) micros: u64,
    pub(super) output: &'a Value,
}

/// A plan, as it is written.
#[derive(Serialize)]
pub(super) struct PlannedRecord<'a> {
    pub(super) record: &'static str,
    pub(super) at: i64,
    pub(super) plan: &'a Plan,
}

/// The beginning of a run, as it is written.
#[derive(Serialize)]
pub(super) struct BeganRecord<'a> {
    pub(super) record: &'static str,
    pub(super) at: i64,
    pub(super) pattern: &'static str,
    pub(super) name: &'a str,
    pub(super) mission: &'a Value,
    pub(super) teams: &'a [TeamBegan],
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_without_a_copy_is_read_as_any_record() {
        let output = json!({ "n": [1, null] });
        let written = DoneRecord {
            record: "done",
            unit: 7,
            team: 1,
            worker: 2,
            attempts: 3,
            fallback: true,
            at: 4,
            micros: 5,
            output: &output,
        };
        let read: Record = serde_json::from_value(json!(written)).unwrap();
        let same = Record::Done {
            unit: 7,
            team: 1,
            worker: 2,
            attempts: 3,
            fallback: true,
            at: 4,
            micros: 5,
            output: output.clone(),
        };
        assert_eq!(read, same);
        let plan = Plan::new();
        let written = PlannedRecord { record: "planned", at: 3, plan: &plan };
        let read: Record = serde_json::from_value(json!(written)).unwrap();
        assert_eq!(read, Record::Planned { at: 3, plan });
        let teams = vec![TeamBegan { name: "a".to_owned(), workers: vec!["w".to_owned()] }];
        let (at, pattern, name) = (9, "hierarchy", "h");
        let mission = &output;
        let written = BeganRecord { record: "began", at, pattern, name, mission, teams: &teams };
        let read: Record = serde_json::from_value(json!(written)).unwrap();
        let (pattern, name) = (pattern.to_owned(), name.to_owned());
        assert_eq!(read, Record::Began { at, pattern, name, mission: output, teams });
    }
}
