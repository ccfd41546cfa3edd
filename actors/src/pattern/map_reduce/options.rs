//! How the parts of a map_reduce are assigned, retried and given up.

use std::time::Duration;

pub use runtime::retry::Retries;

use crate::{assign::Strategy, limits::ATTEMPT_TIMEOUT_DEFAULT};

/// Options of one run; the defaults try each part three times and keep what succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What the run is called in listings.
    pub name: String,
    /// To whom each part goes.
    pub assignment: Assignment,
    /// How failed attempts are repeated.
    pub retries: Retries,
    /// Whether an idle agent runs the longest-running part once more when nothing else is left to do.
    pub speculate: bool,
    /// How long a part must have been running before it is run once more; never sooner than half of the others took.
    pub speculate_after: Duration,
    /// What becomes of a run some of whose parts failed.
    pub on_partial_failure: OnPartialFailure,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "map_reduce".to_owned(),
            assignment: Assignment::AllOf,
            retries: Retries::default(),
            speculate: false,
            speculate_after: Duration::ZERO,
            on_partial_failure: OnPartialFailure::Keep,
            timeout: ATTEMPT_TIMEOUT_DEFAULT,
        }
    }
}

/// To whom each part goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assignment {
    /// To each agent that takes it.
    #[default]
    AllOf,
    /// To one of the agents that take it, chosen by this strategy.
    AnyOf(Strategy),
}

/// What becomes of a run some of whose parts failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPartialFailure {
    /// It fails at the first such part; the rest is cancelled.
    Fail,
    /// It completes with the parts that were done and names the others.
    #[default]
    Keep,
    /// Failed attempts are repeated by instances that have not tried the part yet, while there are any; then as `Keep`.
    RetryElsewhere,
}
