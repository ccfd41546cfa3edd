//! The gate of one instance of an agent: its circuit breaker, and the rate limit of the key that it uses.
//!
//! A slot asks it before each call and tells it how calls ended. It outlives the slot's incarnations, since a crash is a failure
//! like any other. An agent without breaker and limit has an open gate that costs nothing.
//!
//! # Invariants
//! - While the breaker is open no call begins; half-open, no more than its probes.
//! - Calls of all agents of one key are limited together; one that the breaker holds back takes nothing of the limit.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use runtime::{
    breaker::{Breaker, Options, Permit, Refused, State},
    clock::Moment,
    limiter::{Limited, RateLimiter},
    telemetry::metrics::Counter,
};

use super::call::AgentError;
use crate::roster::Health;

/// The gate of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Option<Arc<Parts>>);

#[derive(Debug)]
struct Parts {
    breaker: Option<(Mutex<Breaker>, u32)>,
    limit: Option<RateLimiter<()>>,
}

/// Why a call may not begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Its breaker says no: somebody else may do it.
    Held(AgentError),
    /// Its turn comes later.
    Limited(Duration),
}

impl Gate {
    pub(crate) fn new(breaker: Option<Options>, limit: Option<RateLimiter<()>>) -> Self {
        if breaker.is_none() && limit.is_none() {
            return Self(None);
        }
        let breaker =
            breaker.map(|options| (Mutex::new(Breaker::new(options)), options.probes.max(1)));
        Self(Some(Arc::new(Parts { breaker, limit })))
    }

    /// Lets a call begin.
    pub(crate) fn admit(&self, now: impl FnOnce() -> Moment) -> Result<Option<Permit>, Closed> {
        let Some(parts) = &self.0 else { return Ok(None) };
        let now = now();
        // The breaker first: a call that it holds back takes nothing of the limit.
        let permit = parts.breaker.as_ref().map(|(breaker, _)| breaker.lock().admit(now));
        let permit = permit.transpose().map_err(|Refused { failures, after }| {
            let reason = format!("the agent failed {failures} times in a row");
            Closed::Held(AgentError::Held { reason, after })
        })?;
        let Err(limited) = parts.limit.as_ref().map_or(Ok(()), |limit| limit.take((), 1, now))
        else {
            return Ok(permit);
        };
        // Its place as a probe is for another.
        if let (Some(permit), Some((breaker, _))) = (permit, &parts.breaker) {
            breaker.lock().forget(permit);
        }
        Err(match limited {
            Limited::After { after, .. } => Closed::Limited(after),
            Limited::TooMuch { .. } => {
                Closed::Held(AgentError::Refused { reason: limited.to_string() })
            }
        })
    }

    /// Takes how a call ended (`None`: that says nothing of the agent); tells what the roster has to know of it.
    pub(crate) fn ended(
        &self,
        permit: Permit,
        ok: Option<bool>,
        now: Moment,
        dice: impl FnOnce() -> u64,
    ) -> Option<Health> {
        let (breaker, probes) = self.0.as_ref()?.breaker.as_ref()?;
        let mut breaker = breaker.lock();
        let before = breaker.state(now);
        match ok {
            Some(ok) => breaker.ended(permit, ok, now, if ok { 0 } else { dice() }),
            None => breaker.forget(permit),
        }
        match (before, breaker.state(now)) {
            (State::Open(_), _) => None,
            (State::Closed | State::HalfOpen, State::Open(until)) => {
                Some(Health::Resting { until, probes: *probes })
            }
            (State::HalfOpen, State::Closed) => Some(Health::Well),
            (State::Closed | State::HalfOpen, State::Closed | State::HalfOpen) => None,
        }
    }
}

impl Gate {
    /// What the roster has to know of it now.
    pub(crate) fn health(&self, now: Moment) -> Health {
        let Some((breaker, probes)) = self.0.as_ref().and_then(|parts| parts.breaker.as_ref())
        else {
            return Health::Well;
        };
        match breaker.lock().state(now) {
            State::Closed => Health::Well,
            State::Open(until) => Health::Resting { until, probes: *probes },
            State::HalfOpen => Health::Probed(*probes),
        }
    }

    /// What the breaker does, for people; nothing where there is none.
    pub(crate) fn shown(&self) -> Option<String> {
        let (breaker, _) = self.0.as_ref()?.breaker.as_ref()?;
        Some(breaker.lock().to_string())
    }
}

/// What the end of a call says of its agent: that it works, that it does not, or nothing.
pub(crate) const fn verdict<O>(answer: &Result<O, AgentError>, timed_out: bool) -> Option<bool> {
    match answer {
        Ok(_) => Some(true),
        Err(AgentError::Cancelled) if timed_out => Some(false),
        Err(
            AgentError::Cancelled
            | AgentError::Busy { .. }
            | AgentError::Held { .. }
            | AgentError::Refused { .. },
        ) => None,
        Err(
            AgentError::Failed { .. }
            | AgentError::Panicked { .. }
            | AgentError::TimedOut { .. }
            | AgentError::Lost { .. }
            | AgentError::Garbage { .. }
            | AgentError::TooMuchOutput { .. }
            | AgentError::NotFound { .. }
            | AgentError::NotExecutable { .. },
        ) => Some(false),
    }
}

/// Tells the roster, and counts what it tells.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) to: runtime::address::Recipient<Health>,
    pub(crate) opened: Counter,
}

#[cfg(test)]
mod tests {
    use runtime::{
        backoff::{Backoff, Jitter},
        limiter::Rate,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A gate that one failure closes for a second, with one probe after it, and the limit that it shares.
    fn gate(rate: Rate) -> (Gate, RateLimiter<()>) {
        let open = Backoff::new(SECOND, SECOND).jitter(Jitter::None);
        let options = Options { failures: 1, open, probes: 1, patience: 100 * SECOND };
        let limit = RateLimiter::new(rate, 1);
        (Gate::new(Some(options), Some(limit.clone())), limit)
    }

    fn fail(gate: &Gate, now: Moment) {
        let permit = gate.admit(|| now).unwrap().unwrap();
        assert!(gate.ended(permit, Some(false), now, || 0).is_some());
    }

    #[test]
    fn calls_that_find_no_place_as_a_probe_take_nothing_of_the_limit() {
        let (gate, limit) = gate(Rate::new(10, 1_000 * SECOND));
        fail(&gate, Moment::START);
        let later = Moment::START + SECOND;
        let _probe = gate.admit(|| later).unwrap().unwrap();
        for _ in 0..100 {
            assert!(matches!(gate.admit(|| later), Err(Closed::Held(AgentError::Held { .. }))));
        }
        // Two of the ten were called.
        assert_eq!(limit.take((), 8, later), Ok(()));
    }

    #[test]
    fn a_probe_that_the_limit_puts_off_gives_its_place_back() {
        let (gate, limit) = gate(Rate::new(1, 10 * SECOND));
        fail(&gate, Moment::START);
        let later = Moment::START + SECOND;
        assert_eq!(gate.admit(|| later).unwrap_err(), Closed::Limited(9 * SECOND));
        let turn = Moment::START + 10 * SECOND;
        let probe = gate.admit(|| turn).unwrap().unwrap();
        assert_eq!(gate.ended(probe, Some(true), turn, || 0), Some(Health::Well));
        assert!(limit.take((), 1, turn).is_err());
    }
}
