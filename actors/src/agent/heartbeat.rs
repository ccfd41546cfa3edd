//! The heartbeat of a call: an agent that declares one and shows no sign of life for too long is taken for hung.
//!
//! The [`slot`](super::slot) gives each call a heart, which beats whenever the agent reports progress, and listens to it. When the
//! next beat is so late that it will not come, by phi accrual, the call ends as lost and the slot restarts, long before the timeout.
//!
//! # Invariants
//! - A silence no longer than the interval that the agent declared is never taken for a hang, however fast it beat before.
//! - Time is an argument; listening costs one timer for each silence that is awaited, not one a beat.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use runtime::{
    clock::Moment,
    phi::{Options, Phi},
    telemetry::metrics::Counter,
};

use super::call::AgentError;

/// What a slot listens to its agent with.
#[derive(Clone)]
pub(crate) struct Stethoscope {
    /// The interval that the agent declared.
    pub(crate) every: Duration,
    /// Counts the calls that hung.
    pub(crate) silent: Counter,
}

/// The heart of one call; clones are the same heart.
#[derive(Clone, Debug)]
pub(crate) struct Heart {
    every: Duration,
    phi: Arc<Mutex<Phi>>,
}

/// A silence that is no pause any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Silence {
    every: Duration,
    pub(crate) lasted: Duration,
    pub(crate) phi: f64,
    threshold: f64,
}

impl Heart {
    /// The heart of a call that begins now, which is its first beat.
    pub(crate) fn new(every: Duration, now: Moment) -> Self {
        let mut phi = Phi::new(options(every));
        phi.heartbeat(now);
        Self { every, phi: Arc::new(Mutex::new(phi)) }
    }

    pub(crate) fn beat(&self, now: Moment) {
        self.phi.lock().heartbeat(now);
    }

    /// Says how long to wait until it can be told whether it still beats.
    ///
    /// # Errors
    /// The silence, when it does not.
    pub(crate) fn listen(&self, now: Moment) -> Result<Duration, Silence> {
        let phi = self.phi.lock();
        let (Some(last), Some(deadline)) = (phi.last(), phi.deadline()) else {
            return Ok(self.every);
        };
        if phi.is_alive(now) {
            return Ok(now.until(deadline));
        }
        let threshold = options(self.every).threshold;
        Err(Silence { every: self.every, lasted: now.since(last), phi: phi.phi(now), threshold })
    }
}

/// Akka's detector in units of the declared interval: so much pause is granted beyond what is usual for the call.
fn options(every: Duration) -> Options {
    Options { deviation_min: every / 10, pause: every, first_interval: every, ..Options::default() }
}

impl From<Silence> for AgentError {
    fn from(Silence { every, lasted, phi, threshold }: Silence) -> Self {
        let lasted = lasted.as_secs_f64();
        Self::Lost {
            reason: format!(
                "it showed no sign of life for {lasted:.1} s (phi {phi:.1} over {threshold}) and was ended; \
                 its heartbeat is {every:?}: let it report progress as often, or give it a longer one"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    /// How long a call is silent, after beats at these intervals, until it is taken for hung.
    fn patience(beats: impl IntoIterator<Item = Duration>) -> Duration {
        let mut now = Moment::START;
        let heart = Heart::new(EVERY, now);
        for pause in beats {
            now = now + pause;
            heart.beat(now);
        }
        let wait = heart.listen(now).unwrap();
        let silence = heart.listen(now + wait).unwrap_err();
        assert_eq!(silence.lasted, wait, "it says when to listen, and no earlier moment would do");
        assert!(heart.listen(now + (wait - Duration::from_millis(1))).is_ok());
        wait
    }

    #[test]
    fn a_call_that_beats_as_declared_is_taken_for_hung_after_two_to_three_and_a_half_intervals() {
        assert!((2 * EVERY..7 * EVERY / 2).contains(&patience([])));
        assert!((2 * EVERY..3 * EVERY).contains(&patience([EVERY; 20])));
    }

    #[test]
    fn an_irregular_heart_is_given_more_time() {
        let irregular = (0..40).map(|n| EVERY / 2 + EVERY / 20 * (n * 7 % 20));
        assert!(patience(irregular) > patience([EVERY; 40]));
    }

    #[test]
    fn the_error_says_what_happened_and_what_to_do_and_may_be_tried_elsewhere() {
        let heart = Heart::new(EVERY, Moment::START);
        let silence = heart.listen(Moment::START + 4 * EVERY).unwrap_err();
        let error = AgentError::from(silence);
        let text = error.to_string();
        assert!(text.contains("no sign of life for 20.0 s (phi 21"), "{text}");
        assert!(text.contains("over 8)") && text.contains("its heartbeat is 5s"), "{text}");
        assert_eq!(error.retry(), protocol::Retry::Elsewhere);
    }

    proptest! {
        #[test]
        fn no_silence_that_was_declared_is_ever_taken_for_a_hang(
            beats in proptest::collection::vec(1..5_000_u64, 0..200),
        ) {
            prop_assert!(patience(beats.into_iter().map(Duration::from_millis)) > EVERY);
        }
    }
}
