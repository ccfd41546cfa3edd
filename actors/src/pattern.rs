//! Patterns: how agents work together on one task. One contract for all.
//!
//! A pattern file holds its coordinator, an actor. [`dispatch`](crate::dispatch) starts it; it ends in exactly one
//! [`Outcome`](crate::pattern::RunError) by its deadline.

mod bounds;
mod brief;
pub mod consensus;
mod counters;
mod ending;
pub mod hierarchy;
mod link;
pub mod map_reduce;
pub mod pipeline;
pub mod plan;
pub mod swarm;

use std::{fmt, time::Duration};

use protocol::RunId;
use serde::{Deserialize, Serialize};

pub(crate) use brief::Brief;
pub(crate) use counters::{Counters, assignment_latency};

/// The patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternKind {
    /// [`map_reduce`].
    MapReduce,
    /// Stages, each for many documents at a time.
    Pipeline,
    /// [`consensus`].
    Consensus,
    /// [`plan`]: tasks of which some come after others, each a run of a pattern.
    Plan,
    /// [`hierarchy`]: a supervisor, leaders of teams, and their workers.
    Hierarchy,
    /// [`swarm`]: agents that act tick by tick in an environment that they share.
    Swarm,
}

impl PatternKind {
    /// Every pattern.
    pub const ALL: [Self; 6] = [
        Self::MapReduce,
        Self::Pipeline,
        Self::Consensus,
        Self::Plan,
        Self::Hierarchy,
        Self::Swarm,
    ];

    /// Its name in run files, records and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MapReduce => "map_reduce",
            Self::Pipeline => "pipeline",
            Self::Consensus => "consensus",
            Self::Plan => "plan",
            Self::Hierarchy => "hierarchy",
            Self::Swarm => "swarm",
        }
    }
}

/// What is known of a run that ended, besides its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Pieces of work: parts, once for each agent that they go to.
    pub units: u64,
    /// Pieces that were done, in this process or before a resume.
    pub done: u64,
    /// Of these, pieces whose results were taken from the journal.
    pub resumed: u64,
    /// Of these, pieces that a fallback did.
    #[serde(default)]
    pub fallbacks: u64,
    /// Attempts that were made in this process.
    pub attempts: u64,
    /// Of these, second and further attempts after a failure.
    pub retries: u64,
    /// Of these, attempts beside a running one.
    pub speculative: u64,
}

/// A piece of work that brought no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPart {
    /// The part's number in the split.
    pub part: u32,
    /// The part's name.
    pub name: String,
    /// The agent that should have done it: the last of its chain of fallbacks.
    pub agent: String,
    /// The attempts that were made.
    pub attempts: u32,
    /// What the last of them ended with, and the agents that had failed at it before.
    pub error: String,
}

/// A run that came to its end: all parts done, or those that failed are named.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed<T> {
    /// The run.
    pub run: RunId,
    /// What the run was for.
    pub value: T,
    /// Parts without a result, in the order of the split.
    pub failed: Vec<FailedPart>,
    /// Counts.
    pub tally: Tally,
}

/// Why a run did not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FailureKind {
    /// It was not admitted.
    #[error("rejected: {why}")]
    Rejected {
        /// Why, and when to try again.
        why: String,
    },
    /// The pattern contradicts itself, or what the run was begun with.
    #[error("the run cannot begin: {why}")]
    Invalid {
        /// What, and what to change.
        why: String,
    },
    /// The split was not possible or not valid.
    #[error("the task could not be split: {why}")]
    Split {
        /// Why.
        why: String,
    },
    /// Parts failed and the run was to fail then.
    #[error("{failed} of {units} parts failed, first: {first}")]
    Parts {
        /// How many.
        failed: u64,
        /// Of how many.
        units: u64,
        /// The first failure.
        first: String,
    },
    /// The results could not be put together.
    #[error("the results could not be reduced: {why}")]
    Reduce {
        /// Why.
        why: String,
    },
    /// What failed was for nobody to decide on, or was decided to end the run.
    #[error("team `{team}` failed at `{task}`: {why}")]
    Aborted {
        /// The team; empty where no team had it.
        team: String,
        /// The task, behind its assignment and a `/`; empty where it was the team's leader that failed.
        task: String,
        /// Why.
        why: String,
    },
    /// It came to its end without an answer.
    #[error("no answer was found: {why}")]
    NoAnswer {
        /// Why.
        why: String,
    },
    /// The deadline passed.
    #[error("the deadline of {after:?} passed with {done} of {units} parts done")]
    TimedOut {
        /// The time the run had.
        after: Duration,
        /// Parts done.
        done: u64,
        /// Parts in all.
        units: u64,
    },
    /// Its budget allows no more.
    #[error("{why}; {done} of {units} parts are done")]
    OverBudget {
        /// Which budget, and what of it is used up.
        why: String,
        /// Parts done.
        done: u64,
        /// Parts in all.
        units: u64,
    },
    /// It was cancelled.
    #[error("cancelled with {done} of {units} parts done")]
    Cancelled {
        /// Parts done.
        done: u64,
        /// Parts in all.
        units: u64,
    },
    /// Its coordinator was lost, or what it cannot go on without; the run can be resumed.
    #[error("lost: {why}; the run can be resumed")]
    NodeLost {
        /// How.
        why: String,
    },
}

/// How a run ended, as its journal tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Unix milliseconds.
    pub at: i64,
    /// Why it did not complete; none if it did.
    pub failure: Option<FailureKind>,
    /// Parts without a result: the first of them, as many as one record holds.
    pub failed: Vec<FailedPart>,
    /// Counts.
    pub tally: Tally,
}

/// A run that did not complete, with what there is of it.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct RunError<T> {
    /// The run.
    pub run: RunId,
    /// Why.
    pub kind: FailureKind,
    /// What the parts that were done came to, where the reducer could make something of them.
    pub partial: Option<T>,
    /// Parts without a result, in the order of the split.
    pub failed: Vec<FailedPart>,
    /// Counts.
    pub tally: Tally,
}

impl<T> fmt::Debug for RunError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RunError({}, {}, {:?})", self.run, self.kind, self.tally)
    }
}

/// How a run ended: exactly one of these.
pub type Outcome<T> = Result<Completed<T>, Box<RunError<T>>>;
