//! The circuit breaker: calls nobody who keeps failing, and tries again carefully.
//!
//! Closed, it lets every call through. So many failures in a row open it: calls are refused at once, for a time that grows with
//! each opening. Then it is half-open: a few probes are let through; if they succeed it closes, if one fails it opens again.
//! (Nygard, *Release It!*, 2007; the states' names are Fowler's, *CircuitBreaker*, 2014.)
//!
//! A pure value: time and dice are arguments. Kept by whoever calls: an agent's slot, a link.
//!
//! # Invariants
//! - While it is open nothing is let through; while it is half-open no more than its probes.
//! - The end of a call that was let through before the last change of state changes nothing.
//! - A probe that never ends holds its place for [`Options::patience`] at the most.

use std::time::Duration;

use crate::{
    backoff::Backoff,
    clock::Moment,
    limits::{BREAKER_FAILURES, BREAKER_OPEN_FIRST, BREAKER_OPEN_MAX, BREAKER_PATIENCE},
};

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Failures in a row that open it, at least 1.
    pub failures: u32,
    /// How long it stays open, by the number of openings since it was last closed.
    pub open: Backoff,
    /// Calls that are let through half-open, all of which must succeed to close it; at least 1.
    pub probes: u32,
    /// How long a probe may take before another is let through in its place.
    pub patience: Duration,
}

impl Default for Options {
    /// Opens after five failures in a row, for between half a second and a minute; one probe closes it.
    fn default() -> Self {
        Self {
            failures: BREAKER_FAILURES,
            open: Backoff::new(BREAKER_OPEN_FIRST, BREAKER_OPEN_MAX)
                .jitter(crate::backoff::Jitter::Equal),
            probes: 1,
            patience: BREAKER_PATIENCE,
        }
    }
}

/// What a breaker does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Lets it through.
    Closed,
    /// Refuses it until this moment.
    Open(Moment),
    /// Lets it through as a probe, if there is a place for one.
    HalfOpen,
}

/// The right to make one call; its end is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "tell the breaker how the call ended"]
pub struct Permit(u64);

/// The breaker refuses calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it failed {failures} times in a row; not called again for {after:?}")]
pub struct Refused {
    /// How often it failed in a row.
    pub failures: u32,
    /// When it may be tried again.
    pub after: Duration,
}

/// A circuit breaker.
///
/// ```
/// use synod_runtime::{breaker::{Breaker, Options, State}, clock::Moment};
/// let mut breaker = Breaker::new(Options { failures: 2, ..Options::default() });
/// for _ in 0..2 {
///     let permit = breaker.admit(Moment::START)?;
///     breaker.ended(permit, false, Moment::START, 0);
/// }
/// let refused = breaker.admit(Moment::START).unwrap_err();
/// let later = Moment::START + refused.after;
/// let probe = breaker.admit(later)?;
/// breaker.ended(probe, true, later, 0);
/// assert_eq!(breaker.state(later), State::Closed);
/// # Ok::<(), synod_runtime::breaker::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    options: Options,
    /// Changes with each change of state, so that ends of earlier calls are known.
    epoch: u64,
    failures: u32,
    openings: u32,
    mode: Mode,
}

#[derive(Clone, Debug)]
enum Mode {
    Closed,
    Open(Moment),
    HalfOpen { began: Vec<Moment>, succeeded: u32 },
}

impl std::fmt::Display for Breaker {
    /// As it was left by the last call: `closed`, `open` or `half_open`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.mode {
            Mode::Closed => "closed",
            Mode::Open(_) => "open",
            Mode::HalfOpen { .. } => "half_open",
        })
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(options: Options) -> Self {
        Self { options, epoch: 0, failures: 0, openings: 0, mode: Mode::Closed }
    }

    /// What it does with the next call.
    pub fn state(&self, now: Moment) -> State {
        match &self.mode {
            Mode::Closed => State::Closed,
            Mode::Open(until) if now < *until => State::Open(*until),
            Mode::Open(_) | Mode::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// [`Refused`] says when to come back.
    pub fn admit(&mut self, now: Moment) -> Result<Permit, Refused> {
        let Options { probes, patience, .. } = self.options;
        if let Mode::Open(until) = self.mode {
            if now < until {
                return Err(self.refused(now.until(until)));
            }
            self.change(Mode::HalfOpen { began: Vec::new(), succeeded: 0 });
        }
        if let Mode::HalfOpen { began, succeeded } = &mut self.mode {
            began.retain(|began| now.since(*began) < patience);
            let places = probes.max(1).saturating_sub(*succeeded);
            if began.len() >= usize::try_from(places).unwrap_or(usize::MAX) {
                let oldest =
                    began.first().map_or(Duration::ZERO, |began| now.until(*began + patience));
                return Err(self.refused(oldest));
            }
            began.push(now);
        }
        Ok(Permit(self.epoch))
    }

    /// Takes the end of a call; the `dice` say how long it stays open, should it open.
    pub fn ended(&mut self, permit: Permit, ok: bool, now: Moment, dice: u64) {
        if permit.0 != self.epoch {
            return;
        }
        match (&mut self.mode, ok) {
            (Mode::Closed, true) => self.failures = 0,
            (Mode::Closed, false) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.options.failures.max(1) {
                    self.open(now, dice);
                }
            }
            (Mode::HalfOpen { began, succeeded }, true) => {
                *succeeded = succeeded.saturating_add(1);
                if !began.is_empty() {
                    began.remove(0);
                }
                if *succeeded >= self.options.probes.max(1) {
                    (self.failures, self.openings) = (0, 0);
                    self.change(Mode::Closed);
                }
            }
            (Mode::HalfOpen { .. }, false) => {
                self.failures = self.failures.saturating_add(1);
                self.open(now, dice);
            }
            // No call is let through while it is open, so none of this epoch can end.
            (Mode::Open(_), _) => {}
        }
    }

    /// Takes the end of a call that says nothing of whom it called, as a cancel; a probe's place is free again.
    pub fn forget(&mut self, permit: Permit) {
        if let Mode::HalfOpen { began, .. } = &mut self.mode
            && permit.0 == self.epoch
            && !began.is_empty()
        {
            began.remove(0);
        }
    }

    fn open(&mut self, now: Moment, dice: u64) {
        self.openings = self.openings.saturating_add(1);
        let until = now + self.options.open.wait(self.openings, dice);
        self.change(Mode::Open(until));
    }

    fn change(&mut self, mode: Mode) {
        self.mode = mode;
        self.epoch += 1;
    }

    fn refused(&self, after: Duration) -> Refused {
        Refused { failures: self.failures, after }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backoff::Jitter;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> Options {
        let open = Backoff::new(SECOND, 4 * SECOND).jitter(Jitter::None);
        Options { failures: 3, open, probes: 2, patience: 10 * SECOND }
    }

    fn at(seconds: u32) -> Moment {
        Moment::START + seconds * SECOND
    }

    fn call(breaker: &mut Breaker, ok: bool, now: Moment) {
        let permit = breaker.admit(now).unwrap();
        breaker.ended(permit, ok, now, 0);
    }

    fn opened(now: Moment) -> Breaker {
        let mut breaker = Breaker::new(options());
        (0..3).for_each(|_| call(&mut breaker, false, now));
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut breaker = Breaker::new(options());
        for ok in [false, false, true, false, false] {
            call(&mut breaker, ok, at(0));
        }
        assert_eq!(breaker.state(at(0)), State::Closed);
        call(&mut breaker, false, at(0));
        assert_eq!(breaker.state(at(0)), State::Open(at(1)));
        assert_eq!(breaker.admit(at(0)), Err(Refused { failures: 3, after: SECOND }));
    }

    #[test]
    fn all_probes_must_succeed_and_each_opening_lasts_longer() {
        let mut breaker = opened(at(0));
        let first = breaker.admit(at(1)).unwrap();
        let second = breaker.admit(at(1)).unwrap();
        assert!(breaker.admit(at(1)).is_err(), "two probes and no more");
        breaker.ended(first, true, at(2), 0);
        assert!(breaker.admit(at(2)).is_err(), "the one that succeeded is not repeated");
        breaker.ended(second, false, at(2), 0);
        assert_eq!(breaker.state(at(2)), State::Open(at(4)), "twice as long");
        call(&mut breaker, true, at(4));
        call(&mut breaker, true, at(4));
        assert_eq!(breaker.state(at(4)), State::Closed);
        (0..3).for_each(|_| call(&mut breaker, false, at(5)));
        assert_eq!(breaker.state(at(5)), State::Open(at(6)), "as at first");
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let mut breaker = Breaker::new(options());
        let slow = breaker.admit(at(0)).unwrap();
        (0..3).for_each(|_| call(&mut breaker, false, at(0)));
        breaker.ended(slow, true, at(0), 0);
        assert_eq!(breaker.state(at(0)), State::Open(at(1)));
        let probe = breaker.admit(at(1)).unwrap();
        breaker.ended(slow, false, at(1), 0);
        assert_eq!(breaker.state(at(1)), State::HalfOpen);
        breaker.ended(probe, true, at(1), 0);
    }

    #[test]
    fn a_probe_without_a_verdict_gives_its_place_back_at_once() {
        let mut breaker = opened(at(0));
        let (first, _second) = (breaker.admit(at(1)).unwrap(), breaker.admit(at(1)).unwrap());
        assert!(breaker.admit(at(1)).is_err());
        breaker.forget(first);
        assert_eq!(breaker.state(at(1)), State::HalfOpen);
        assert!(breaker.admit(at(1)).is_ok());
    }

    #[test]
    fn a_probe_that_never_ends_gives_its_place_up() {
        let mut breaker = opened(at(0));
        let (_lost, _too) = (breaker.admit(at(1)).unwrap(), breaker.admit(at(2)).unwrap());
        assert_eq!(breaker.admit(at(3)).unwrap_err().after, 8 * SECOND);
        assert!(breaker.admit(at(11)).is_ok());
    }

    proptest! {
        #[test]
        fn open_lets_nothing_through_and_half_open_no_more_than_its_probes(
            steps in proptest::collection::vec((0..3_u32, any::<bool>(), any::<u8>()), 0..200),
        ) {
            let mut breaker = Breaker::new(options());
            let (mut seconds, mut running): (u32, Vec<(Permit, u32)>) = (0, Vec::new());
            for (pause, ok, choice) in steps {
                seconds += pause;
                let before = breaker.state(at(seconds));
                if choice % 2 == 0 {
                    let admitted = breaker.admit(at(seconds));
                    match before {
                        State::Closed => prop_assert!(admitted.is_ok()),
                        State::Open(until) => {
                            prop_assert_eq!(admitted.map_err(|refused| at(seconds) + refused.after), Err(until));
                        }
                        State::HalfOpen => {
                            let epoch = breaker.epoch;
                            let probes = running.iter().filter(|(permit, began)| permit.0 == epoch && seconds - began < 10);
                            prop_assert!(probes.count() < 2 || admitted.is_err());
                        }
                    }
                    running.extend(admitted.ok().map(|permit| (permit, seconds)));
                } else if !running.is_empty() {
                    let (permit, _) = running.swap_remove(usize::from(choice) % running.len());
                    breaker.ended(permit, ok, at(seconds), 0);
                }
            }
        }
    }
}
