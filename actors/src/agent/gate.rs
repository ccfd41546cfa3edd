//! The gate of one instance of an agent: its circuit breaker, and the rate limit of the key that it uses.
//!
//! A slot asks it before each call and tells it how calls ended. It outlives the slot's incarnations, since a crash is a failure
//! like any other. An agent without breaker and limit has an open gate that costs nothing.
//!
//! # Invariants
//! - While the breaker is open no call begins; half-open, no more than its probes.
//! - Calls of all agents of one key are limited together.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use runtime::{
    breaker::{Breaker, Options, Permit, State},
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
        // A call that its breaker holds back takes nothing of the limit.
        let held = |after: Duration, failures: Option<u32>| {
            let often =
                failures.map_or_else(String::new, |often| format!(" {often} times in a row"));
            Closed::Held(AgentError::Held { reason: format!("the agent failed{often}"), after })
        };
        if let Some((breaker, _)) = &parts.breaker
            && let State::Open(until) = breaker.lock().state(now)
        {
            return Err(held(now.until(until), None));
        }
        match parts.limit.as_ref().map_or(Ok(()), |limit| limit.take((), 1, now)) {
            Ok(()) => {}
            Err(Limited::After { after, .. }) => return Err(Closed::Limited(after)),
            Err(error @ Limited::TooMuch { .. }) => {
                let reason = error.to_string();
                return Err(Closed::Held(AgentError::Refused { reason }));
            }
        }
        let Some((breaker, _)) = &parts.breaker else { return Ok(None) };
        let admitted = breaker.lock().admit(now);
        admitted.map(Some).map_err(|refused| held(refused.after, Some(refused.failures)))
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
            | AgentError::NotFound { .. },
        ) => Some(false),
    }
}

/// Tells the roster, and counts what it tells.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) to: runtime::address::Recipient<Health>,
    pub(crate) opened: Counter,
}
