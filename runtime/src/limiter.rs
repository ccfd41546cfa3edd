//! Rate limits by key: so many at once, so many over time, shared by all who use one key.
//!
//! A provider's limit on one API key holds for every agent that uses it, so clones of a limiter share what they know. It reads no
//! clock and waits for nothing: who is limited learns how long to wait.
//!
//! The algorithm is the generic cell rate algorithm in its form of virtual scheduling (ITU-T I.371, annex A): for each key one
//! moment is kept, at which the key would be idle if it came exactly at its rate.
//!
//! # Invariants
//! - In any stretch of time no key is let through more often than its burst plus its rate times that stretch.
//! - What was refused costs nothing.
//! - No more keys are remembered than allowed: an idle one is forgotten, and where none is idle a new key waits for one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::clock::Moment;

/// So many in a period, and all of them at once if nobody came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many in a period, at least 1.
    pub count: u32,
    /// The period.
    pub period: Duration,
}

impl Rate {
    /// `count` in a `period`.
    pub const fn new(count: u32, period: Duration) -> Self {
        Self { count, period }
    }

    /// The time that `amount` of the rate take; rounded up, so that no rounding lets more through.
    fn time_of(self, amount: u32) -> Duration {
        let nanos = self.period.as_nanos() * u128::from(amount);
        let nanos = nanos.div_ceil(u128::from(self.count.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A limit said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// Not now.
    #[error("limited to {count} in {period:?}: come back in {after:?}")]
    After {
        /// How many are allowed.
        count: u32,
        /// In which time.
        period: Duration,
        /// How long to wait.
        after: Duration,
    },
    /// Never: more at once than a whole period allows.
    #[error("{asked} at once are more than {count}, which is all that is allowed; ask for less")]
    TooMuch {
        /// How many were asked for.
        asked: u32,
        /// How many are allowed.
        count: u32,
    },
}

/// Limits each key to one rate; clones share what they know.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::{clock::Moment, limiter::{Limited, Rate, RateLimiter}};
/// let second = Duration::from_secs(1);
/// let limiter = RateLimiter::new(Rate::new(2, second), 1_000);
/// let (now, later) = (Moment::START, Moment::START + second / 2);
/// assert_eq!((limiter.take("key", 1, now), limiter.take("key", 1, now)), (Ok(()), Ok(())));
/// assert!(matches!(limiter.take("key", 1, now), Err(Limited::After { after, .. }) if after == second / 2));
/// assert_eq!((limiter.take("other", 1, now), limiter.take("key", 1, later)), (Ok(()), Ok(())));
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter<K> {
    rate: Rate,
    keys_max: usize,
    keys: Arc<Mutex<Keys<K>>>,
}

/// For each key that is not idle the moment at which it is, and the keys by that moment.
#[derive(Debug)]
struct Keys<K> {
    idle_at: BTreeMap<K, Moment>,
    by_moment: BTreeSet<(Moment, K)>,
}

impl<K: Ord + Clone> RateLimiter<K> {
    /// A limiter of `rate` for each of at most `keys_max` keys, at least one.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        let keys = Keys { idle_at: BTreeMap::new(), by_moment: BTreeSet::new() };
        Self { rate, keys_max: keys_max.max(1), keys: Arc::new(Mutex::new(keys)) }
    }

    /// Lets `amount` through for `key`, all or nothing.
    ///
    /// # Errors
    /// [`Limited`] says how long to wait, or that waiting does not help. Nothing is taken then.
    pub fn take(&self, key: K, amount: u32, now: Moment) -> Result<(), Limited> {
        let Rate { count, period } = self.rate;
        if amount > count.max(1) {
            return Err(Limited::TooMuch { asked: amount, count });
        }
        let limited = |after| Err(Limited::After { count, period, after });
        let mut keys = self.keys.lock();
        keys.forget_idle(now);
        let before = keys.idle_at.get(&key).copied();
        if before.is_none() && keys.idle_at.len() >= self.keys_max {
            return limited(keys.next_idle(now));
        }
        let idle_at = before.unwrap_or(now).max(now) + self.rate.time_of(amount);
        let (ahead, whole) = (idle_at.since(now), self.rate.time_of(count.max(1)));
        match ahead.checked_sub(whole).filter(|after| !after.is_zero()) {
            Some(after) => limited(after),
            None => {
                keys.set(key, before, idle_at);
                Ok(())
            }
        }
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.keys.lock().idle_at.len()
    }
}

impl<K: Ord + Clone> Keys<K> {
    fn forget_idle(&mut self, now: Moment) {
        while self.by_moment.first().is_some_and(|(idle_at, _)| *idle_at <= now) {
            if let Some((_, key)) = self.by_moment.pop_first() {
                self.idle_at.remove(&key);
            }
        }
    }

    fn next_idle(&self, now: Moment) -> Duration {
        self.by_moment.first().map_or(Duration::ZERO, |(idle_at, _)| idle_at.since(now))
    }

    fn set(&mut self, key: K, before: Option<Moment>, idle_at: Moment) {
        if let Some(before) = before {
            self.by_moment.remove(&(before, key.clone()));
        }
        self.by_moment.insert((idle_at, key.clone()));
        self.idle_at.insert(key, idle_at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Moment {
        Moment::START + Duration::from_millis(millis)
    }

    #[test]
    fn the_wait_is_exact() {
        let limiter = RateLimiter::new(Rate::new(10, SECOND), 10);
        assert_eq!(limiter.take(1, 10, at(0)), Ok(()));
        for (amount, after) in [(1, 100), (3, 300), (10, 1_000)] {
            let Err(Limited::After { after: wait, .. }) = limiter.take(1, amount, at(0)) else {
                panic!("{amount} were let through");
            };
            assert_eq!(wait, Duration::from_millis(after));
        }
        assert!(limiter.take(1, 3, at(299)).is_err());
        assert_eq!(limiter.take(1, 3, at(300)), Ok(()), "what was refused cost nothing");
        let too_much = limiter.take(2, 11, at(0)).unwrap_err();
        assert_eq!(too_much, Limited::TooMuch { asked: 11, count: 10 });
    }

    #[test]
    fn no_more_keys_are_remembered_than_allowed_and_idle_ones_are_forgotten() {
        let limiter = RateLimiter::new(Rate::new(1, SECOND), 2);
        assert_eq!((limiter.take(1, 1, at(0)), limiter.take(2, 1, at(100))), (Ok(()), Ok(())));
        let Err(Limited::After { after, .. }) = limiter.take(3, 1, at(200)) else {
            panic!("a third key");
        };
        assert_eq!((after, limiter.keys()), (Duration::from_millis(800), 2));
        assert_eq!(limiter.take(3, 1, at(1_000)), Ok(()));
        assert_eq!(limiter.keys(), 2);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_lets_more_through_than_burst_and_rate(
            count in 1..20_u32, period in 1..5_000_u64,
            calls in proptest::collection::vec((0..3_u8, 0..400_u64, 1..6_u32), 1..120),
        ) {
            let limiter = RateLimiter::new(Rate::new(count, Duration::from_millis(period)), 3);
            let (mut now, mut let_through) = (0, Vec::new());
            for (key, pause, amount) in calls {
                now += pause;
                if limiter.take(key, amount, at(now)).is_ok() {
                    let_through.push((key, now, amount));
                }
            }
            for (from, (key, start, _)) in let_through.iter().enumerate() {
                let mut sum = 0;
                for (_, end, amount) in let_through[from..].iter().filter(|call| call.0 == *key) {
                    sum += u64::from(*amount);
                    // Exact: sum ≤ count + count × stretch ÷ period.
                    prop_assert!(sum * period <= u64::from(count) * (period + (end - start)));
                }
            }
        }

        #[test]
        fn who_waits_as_told_is_let_through(
            count in 1..20_u32, period in 1..5_000_u64, amounts in proptest::collection::vec(1..6_u32, 1..50),
        ) {
            let limiter = RateLimiter::new(Rate::new(count, Duration::from_millis(period)), 1);
            let mut now = Moment::START;
            for amount in amounts {
                match limiter.take((), amount, now) {
                    Err(Limited::After { after, .. }) => {
                        now = now + after;
                        prop_assert_eq!(limiter.take((), amount, now), Ok(()));
                    }
                    Err(Limited::TooMuch { .. }) => prop_assert!(amount > count),
                    Ok(()) => {}
                }
            }
        }
    }
}
