//! Restarts counted exactly over a sliding period, in which waits do not count.
//!
//! Asked by the supervisor's actor before each restart.
//!
//! # Invariants
//! - The n-th restart within the period is allowed for intensity n; one more is not, the period's last moment included (as OTP's
//!   `supervisor` counts).
//! - While a child waits for its restart its restarts do not age: no backoff, however long, hides a child that never recovers.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use crate::{
    clock::Moment,
    planted::{self, Planted},
};

/// Restarts counted exactly over a sliding period, by whom they were for.
#[derive(Clone, Debug)]
pub struct Intensity {
    restarts: u32,
    period: Duration,
    windows: BTreeMap<u64, Window>,
}

impl Intensity {
    /// Allows `restarts` within any `period`.
    pub fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period, windows: BTreeMap::new() }
    }

    /// Spends one restart of `who` at `now`; returns how many of its restarts the period already holds, nothing when all that
    /// are allowed are used up.
    pub fn spend(&mut self, who: u64, now: Moment) -> Option<u32> {
        self.windows.retain(|_, window| window.holds(now, self.period));
        let spent: usize = self.windows.values().map(|window| window.spent.len()).sum();
        let more = usize::from(planted::is_planted(Planted::IntensityOffByOne));
        if spent >= usize::try_from(self.restarts).unwrap_or(usize::MAX).saturating_add(more) {
            return None;
        }
        let window = self.windows.entry(who).or_default();
        let before = window.spent.len();
        window.spent.push_back(window.active(now));
        u32::try_from(before).ok()
    }

    /// From `now` on `who` waits: its restarts do not age.
    pub fn hold(&mut self, who: u64, now: Moment) {
        let window = self.windows.entry(who).or_default();
        window.since = window.since.or(Some(now));
        window.waits += 1;
    }

    /// A wait of `who` is over at `now`.
    pub fn release(&mut self, who: u64, now: Moment) {
        let Some(window) = self.windows.get_mut(&who) else { return };
        window.waits = window.waits.saturating_sub(1);
        if window.waits == 0
            && let Some(since) = window.since.take()
        {
            window.waited += now.since(since);
        }
    }
}

impl fmt::Display for Intensity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "more than {} restarts within {:?}", self.restarts, self.period)
    }
}

/// The restarts of one child, or of a group that restarts together, on a clock that stands still while it waits.
#[derive(Clone, Debug, Default)]
struct Window {
    spent: VecDeque<Duration>,
    /// Waits that are not over.
    waits: u32,
    /// When the first of them began.
    since: Option<Moment>,
    /// The waits that are over.
    waited: Duration,
}

impl Window {
    /// Forgets what is older than `period`; returns whether anything is left to remember.
    fn holds(&mut self, now: Moment, period: Duration) -> bool {
        let active = self.active(now);
        while self.spent.front().is_some_and(|at| active.saturating_sub(*at) > period) {
            self.spent.pop_front();
        }
        self.waits > 0 || !self.spent.is_empty()
    }

    fn active(&self, now: Moment) -> Duration {
        let waits = self.since.map_or(Duration::ZERO, |since| now.since(since));
        now.since(Moment::START).saturating_sub(self.waited + waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);
    const INSTANT: Duration = Duration::from_nanos(1);

    fn at(nanos: Duration) -> Moment {
        Moment::START + nanos
    }

    #[test]
    fn the_nth_restart_within_the_period_is_allowed_and_the_next_is_not() {
        let mut budget = Intensity::new(3, PERIOD);
        for before in 0..3 {
            assert_eq!(budget.spend(1, at(INSTANT)), Some(before));
        }
        // The last moment of the period counts, the one after it does not.
        assert_eq!(budget.spend(1, at(INSTANT + PERIOD)), None);
        assert_eq!(budget.spend(1, at(INSTANT + PERIOD + INSTANT)), Some(0));
    }

    #[test]
    fn none_at_all_are_allowed_by_an_intensity_of_none() {
        assert_eq!(Intensity::new(0, PERIOD).spend(1, at(PERIOD)), None);
    }

    #[test]
    fn all_children_draw_on_one_allowance_and_each_has_its_own_count() {
        let mut budget = Intensity::new(3, PERIOD);
        assert_eq!(budget.spend(1, at(INSTANT)), Some(0));
        assert_eq!(budget.spend(2, at(INSTANT)), Some(0));
        assert_eq!(budget.spend(1, at(INSTANT)), Some(1));
        assert_eq!(budget.spend(3, at(INSTANT)), None);
    }

    #[test]
    fn a_wait_does_not_age_the_restarts_of_who_waits_and_of_nobody_else() {
        let mut budget = Intensity::new(2, PERIOD);
        assert_eq!(budget.spend(1, at(INSTANT)), Some(0));
        budget.hold(1, at(INSTANT));
        budget.hold(1, at(2 * INSTANT));
        assert_eq!(budget.spend(2, at(100 * PERIOD)), Some(0));
        budget.release(1, at(200 * PERIOD));
        budget.release(1, at(300 * PERIOD + INSTANT));
        // Only the restart of 2 has aged.
        assert_eq!(budget.spend(1, at(300 * PERIOD + INSTANT + PERIOD)), Some(1));
        assert_eq!(budget.spend(1, at(300 * PERIOD + INSTANT + PERIOD)), None);
        assert_eq!(budget.spend(1, at(300 * PERIOD + INSTANT + PERIOD + INSTANT)), Some(1));
    }

    #[test]
    fn what_has_aged_is_forgotten() {
        let mut budget = Intensity::new(1, PERIOD);
        for who in 0..1_000 {
            let now = at((PERIOD + INSTANT) * u32::try_from(who).unwrap());
            assert_eq!(budget.spend(who, now), Some(0));
            assert_eq!(budget.windows.len(), 1);
        }
    }
}
