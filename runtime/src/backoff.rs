//! How long to wait before something that failed is tried once more: exponentially longer, with jitter.
//!
//! One value for all who try again: supervisors before a restart, [`retry`](crate::retry) before an attempt, links before they
//! connect. It keeps no state, reads no clock and throws no dice: failures and dice are arguments.
//!
//! The waits are the "capped exponential backoff" of Brooker, *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015),
//! whose "full jitter" clears a crowd of clients with the fewest calls.
//!
//! # Invariants
//! - No wait is longer than [`Backoff::max`], whatever the number of failures.
//! - Without a failure there is no wait.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST_DEFAULT, BACKOFF_MAX_DEFAULT};

/// Waits that grow with each failure.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::backoff::{Backoff, Jitter};
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).jitter(Jitter::None);
/// let waits = [0, 1, 2, 3, 7].map(|failures| backoff.wait(failures, 0).as_millis());
/// assert_eq!(waits, [0, 100, 200, 400, 5_000]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub first: Duration,
    /// By what each further failure multiplies it; 0 counts as 1.
    pub factor: u32,
    /// The longest wait.
    pub max: Duration,
    /// How dice shorten it.
    pub jitter: Jitter,
}

/// How dice shorten a wait, so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Not at all.
    None,
    /// To something between half of it and all of it.
    Equal,
    /// To something between nothing and all of it.
    #[default]
    Full,
}

impl Backoff {
    /// No wait at all.
    pub const NONE: Self =
        Self { first: Duration::ZERO, factor: 1, max: Duration::ZERO, jitter: Jitter::None };

    /// Waits of `first`, doubled by each further failure, up to `max`, with full jitter.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, factor: 2, max, jitter: Jitter::Full }
    }

    /// Multiplies by `factor` instead of 2; 1 keeps the wait constant.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// Shortens by `jitter` instead of full jitter.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The wait after `failures` in a row, shortened as the `dice` fall; none after none.
    ///
    /// A supervisor, whose first restart is immediate, counts the restarts before this one.
    pub fn wait(&self, failures: u32, dice: u64) -> Duration {
        let full = self.longest(failures);
        match self.jitter {
            Jitter::None => full,
            Jitter::Equal => full / 2 + share(full - full / 2, dice),
            Jitter::Full => share(full, dice),
        }
    }

    /// The wait after `failures` in a row, before jitter.
    pub fn longest(&self, failures: u32) -> Duration {
        let Some(further) = failures.checked_sub(1) else { return Duration::ZERO };
        let times = self.factor.max(1).saturating_pow(further);
        self.first.saturating_mul(times).min(self.max)
    }
}

impl Default for Backoff {
    /// From 100 ms to 5 s.
    fn default() -> Self {
        Self::new(BACKOFF_FIRST_DEFAULT, BACKOFF_MAX_DEFAULT)
    }
}

/// A share of `whole`, evenly spread over it and both its ends, as the `dice` fall.
fn share(whole: Duration, dice: u64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of a 128-bit product: even to within 2⁻⁶⁴, without a division (Lemire, 2019).
    let product = u128::from(dice) * (u128::from(nanos) + 1);
    Duration::from_nanos(u64::try_from(product >> 64).unwrap_or(nanos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        let jitter = prop_oneof![Just(Jitter::None), Just(Jitter::Equal), Just(Jitter::Full)];
        (any::<u64>(), any::<u32>(), any::<u64>(), jitter).prop_map(
            |(first, factor, max, jitter)| Backoff {
                first: Duration::from_nanos(first),
                factor,
                max: Duration::from_nanos(max),
                jitter,
            },
        )
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::new(ms(100), ms(5_000));
        let full =
            [(0, 0), (1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (u32::MAX, 5_000)];
        for (failures, longest) in full {
            assert_eq!(backoff.longest(failures), ms(longest), "{failures}");
            assert_eq!(backoff.wait(failures, u64::MAX), ms(longest), "{failures}");
            assert_eq!(backoff.wait(failures, 0), Duration::ZERO);
            assert_eq!(backoff.jitter(Jitter::Equal).wait(failures, 0), ms(longest) / 2);
        }
        assert_eq!(Backoff::NONE.wait(7, u64::MAX), Duration::ZERO);
    }

    #[test]
    fn full_jitter_is_even() {
        let backoff = Backoff::new(ms(1_000), ms(1_000));
        let dice = |n: u64| n * (u64::MAX / 1_000);
        let waits: Vec<_> = (0..=1_000).map(|n| backoff.wait(1, dice(n))).collect();
        for (n, wait) in waits.iter().enumerate() {
            assert!(wait.abs_diff(ms(n as u64)) <= ms(1), "{n} {wait:?}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_above_the_longest_and_more_failures_never_shorten_it(
            backoff in any_backoff(), failures in 0_u32..200, dice in any::<u64>(),
        ) {
            let wait = backoff.wait(failures, dice);
            prop_assert!(wait <= backoff.longest(failures));
            prop_assert!(backoff.longest(failures) <= backoff.max);
            prop_assert!(backoff.longest(failures) <= backoff.longest(failures + 1));
            if backoff.jitter == Jitter::Equal {
                prop_assert!(wait >= backoff.longest(failures) / 2);
            }
        }
    }
}
