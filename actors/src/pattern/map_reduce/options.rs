//! How the parts of a map_reduce are assigned, retried and given up.

use std::time::Duration;

use crate::{
    assign::Strategy,
    limits::{ATTEMPT_TIMEOUT_DEFAULT, ATTEMPTS_MAX},
};

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

/// How failed attempts are repeated: exponentially later, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all, 1 to 100.
    pub attempts: u32,
    /// The wait before the second attempt; each further one doubles it.
    pub backoff_min: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

impl Retries {
    /// Whether another attempt follows after `attempts` were made.
    pub fn allows(&self, attempts: u32) -> bool {
        attempts < self.attempts.clamp(1, ATTEMPTS_MAX)
    }

    /// The wait after `attempts` failed ones: doubled each time, then between half and all of it, as `dice` falls
    /// (the "equal jitter" of Brooker, Exponential Backoff And Jitter, 2015).
    pub fn wait(&self, attempts: u32, dice: u64) -> Duration {
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.backoff_min.saturating_mul(doubled).min(self.backoff_max);
        let half = full / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(dice % nanos.max(1))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_fall_below_half() {
        let retries = Retries {
            attempts: 100,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        };
        for (attempts, full) in [(1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (90, 5_000)]
        {
            for dice in [0, 1, u64::MAX / 2, u64::MAX] {
                let wait = retries.wait(attempts, dice);
                assert!(
                    wait >= Duration::from_millis(full / 2) && wait <= Duration::from_millis(full),
                    "{attempts} {wait:?}"
                );
            }
        }
        assert!(retries.allows(99) && !retries.allows(100));
        assert!(!Retries { attempts: 0, ..retries }.allows(1));
    }
}
