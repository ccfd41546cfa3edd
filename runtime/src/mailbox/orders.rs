//! Orders: what those who have a right to an actor tell its host to do, ahead of every message.
//!
//! Given by parents, supervisors, handles of children and the node; obeyed by `serve` through the mailbox's `host` end.

use std::mem;

use super::Slot;
use crate::{actor::ExitReason, clock::Moment};

/// What was ordered: flags, so that no number of orders takes room.
#[derive(Default)]
pub(super) struct Orders {
    /// End for good. Never taken back, so that no end of an incarnation can lose it.
    pub(super) stop: bool,
    /// End for good without winding down, and with all below. Never taken back; a `stop` too.
    pub(super) cancel: bool,
    /// When the cancel was ordered, of the one whom it was meant for.
    pub(super) cancelled_at: Option<Moment>,
    /// End this incarnation; taken back by the order to restart.
    pub(super) halt: Option<Halt>,
    /// Meant for an incarnation that has ended; the next one takes it back.
    pub(super) restart: bool,
}

/// How an incarnation ends that another may follow; the later outranks the earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Halt {
    /// As one that ends for good does.
    Pause,
    /// Without winding down.
    Kill,
}

impl Orders {
    /// Why the present incarnation has to end, if it has.
    pub(super) fn end(&self) -> Option<ExitReason> {
        if self.cancel {
            return Some(ExitReason::Cancelled);
        }
        match self.halt {
            Some(Halt::Kill) => Some(ExitReason::Killed),
            Some(Halt::Pause) => Some(ExitReason::Shutdown),
            None => self.stop.then_some(ExitReason::Shutdown),
        }
    }
}

impl<M> Slot<M> {
    /// Orders the actor to end for good.
    pub(crate) fn order_stop(&self) {
        self.order(|orders| orders.stop = true);
    }

    /// Orders the present incarnation to end, its address and its queue to stay.
    pub(crate) fn order_pause(&self) {
        self.order(|orders| orders.halt = orders.halt.max(Some(Halt::Pause)));
    }

    /// Orders the present incarnation to end without winding down; what follows is its parent's decision.
    pub(crate) fn order_kill(&self) {
        self.order(|orders| orders.halt = Some(Halt::Kill));
    }

    /// Orders the actor, with all below it, to end for good without winding down; `at` where the cancel is meant for it.
    pub(crate) fn order_cancel(&self, at: Option<Moment>) {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return;
        }
        let orders = &mut lanes.orders;
        orders.stop = true;
        orders.cancelled_at = orders.cancelled_at.or(at);
        // A whole tree hears it twice, at once and from each parent.
        if !mem::replace(&mut orders.cancel, true) {
            self.urge(lanes);
        }
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_none() {
            give(&mut lanes.orders);
            self.urge(lanes);
        }
    }

    /// Orders the next incarnation of an actor whose present one has ended.
    pub(crate) fn order_restart(&self) {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_none() && !lanes.live {
            lanes.orders.halt = None;
            lanes.orders.restart = true;
            lanes.resting = false;
            self.urge(lanes);
        }
    }
}
