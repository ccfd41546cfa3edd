//! How much a mailbox holds, what it does with one message more, and the counts of what it did.
//!
//! Given with [`Spawn::mailbox`](crate::spawn::Spawn::mailbox), obeyed by the slot; read by whoever asks for a tally.

use crate::limits::{BATCH_MESSAGES, MAILBOX_CAPACITY};

/// What happens to a message that meets a full mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The sender waits in line; first come, first served.
    #[default]
    Wait,
    /// The sender gets its message back.
    Reject,
    /// The oldest queued message makes room.
    DropOldest,
    /// The message itself is dropped.
    DropNewest,
}

/// Size and policy of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Messages held at the most, at least 1.
    pub capacity: usize,
    /// What happens to one more.
    pub overflow: Overflow,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { capacity: MAILBOX_CAPACITY, overflow: Overflow::Wait }
    }
}

impl Mailbox {
    /// A mailbox of `capacity` messages (at least 1) with the policy `overflow`.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        Self { capacity: capacity.max(1), overflow }
    }

    /// Half the capacity, so that `drop_oldest` always finds something older than the newcomer.
    pub(super) fn batch(self) -> usize {
        (self.capacity / 2).clamp(1, BATCH_MESSAGES)
    }

    /// Whether a taken message keeps its place until it is handled.
    ///
    /// Not where there is one place for the newest message: whoever drops the oldest must find that place.
    pub(super) fn counts_taken(self) -> bool {
        self.capacity > 1 || self.overflow != Overflow::DropOldest
    }
}

/// Exact counts of what a mailbox did with the messages offered to it, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages taken in, over the address's life.
    pub accepted: u64,
    /// Messages handed back to their sender because the mailbox was full.
    pub refused: u64,
    /// Messages dropped by `drop_oldest` or `drop_newest`.
    pub dropped: u64,
    /// Messages held now: queued, or taken by the host and not yet handled.
    pub kept: usize,
    /// Senders in line now.
    pub waiting: usize,
    /// Watchers that have not heard of the end yet.
    pub watchers: usize,
    /// Answers, timers and notices meant for an earlier incarnation, dropped.
    pub stale: u64,
}
