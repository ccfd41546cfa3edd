//! Until when an ask waits, and for an ask out of a step: who waits.
//!
//! # Invariants
//! - A deadline is forgotten before anyone can hear of the answer: whoever hears finds it gone from the wheel.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::AskError;
use crate::{
    clock::Moment,
    mailbox::Slot,
    timers::{Due, TimerKey, Timers},
};

/// The place of an ask in the timer wheel.
#[derive(Default)]
pub(crate) struct Deadline(OnceLock<TimerKey>);

impl Deadline {
    /// Puts `ask` into the wheel; called once, before the question leaves.
    pub(crate) fn set(&self, timers: &Timers, at: Moment, ask: Arc<dyn Due>) {
        self.0.get_or_init(|| timers.insert(at, ask));
    }

    /// Takes the ask out of the wheel; without effect if it has come due.
    pub(crate) fn forget(&self, timers: &Timers) {
        if let Some(key) = self.0.get() {
            timers.cancel(*key);
        }
    }
}

/// The incarnation that asked in a step, and until when it waits.
pub(super) struct Asker<M> {
    pub(super) slot: Arc<Slot<M>>,
    pub(super) incarnation: u32,
    within: Duration,
    deadline: Deadline,
}

impl<M> Asker<M> {
    pub(super) fn new(slot: &Arc<Slot<M>>, incarnation: u32, within: Duration) -> Self {
        Self { slot: Arc::clone(slot), incarnation, within, deadline: Deadline::default() }
    }

    /// Lets `ask`, whose asker this is, come due at `at`.
    pub(super) fn wait_until(&self, at: Moment, ask: Arc<dyn Due>) {
        self.deadline.set(&self.slot.kernel.timers, at, ask);
    }

    /// The ask has ended, or is about to.
    pub(super) fn forget_deadline(&self) {
        self.deadline.forget(&self.slot.kernel.timers);
    }

    /// What an ask ends with when it comes due.
    pub(super) fn timed_out(&self) -> AskError {
        AskError::TimedOut(self.within)
    }
}
