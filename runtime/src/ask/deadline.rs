//! Until when an ask waits, and for an ask out of a step: who waits.
//!
//! # Invariants
//! - A deadline is forgotten before anyone can hear of the answer: whoever hears finds it gone from the wheel.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::AskError;
use crate::{
    clock::Moment,
    mailbox::Slot,
    timers::{Due, TimerKey, Timers},
};

/// The place of an ask in the timer wheel, none before it is set.
///
/// Two plain stores: whoever hands the question on, and so lets others forget the deadline, publishes them.
#[derive(Default)]
pub(crate) struct Deadline {
    index: AtomicU32,
    stamp: AtomicU64,
}

impl Deadline {
    /// Puts `ask` into the wheel; called once, before the question leaves.
    pub(crate) fn set(&self, timers: &Timers, at: Moment, ask: Arc<dyn Due>) {
        let TimerKey { index, stamp } = timers.insert(at, ask);
        self.index.store(index, Ordering::Relaxed);
        self.stamp.store(stamp, Ordering::Relaxed);
    }

    /// Takes the ask out of the wheel; without effect if it has come due.
    pub(crate) fn forget(&self, timers: &Timers) {
        let stamp = self.stamp.load(Ordering::Relaxed);
        if stamp != 0 {
            timers.cancel(TimerKey { index: self.index.load(Ordering::Relaxed), stamp });
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
