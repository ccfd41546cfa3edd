//! Whom the roster knows: what outlives its incarnations, so that a new one begins with the slots and the owners there are.
//!
//! Slots are written down by whoever starts them and crossed out by the roster; an owner is on the list as long as its coordinator.
//! No lease and no demand is here: owners tell theirs when a new incarnation asks.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use runtime::{
    actor::ActorId,
    address::{Addr, Recipient, TellError},
    child::ChildRef,
};

use super::{Grant, LeaseId, Msg};
use crate::{
    agent::gate::Gate,
    assign::{Card, SlotId},
};

/// The lists; clones are the same ones.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lists: Mutex<Lists>,
    /// Whether there are ends that nobody was told.
    untold: AtomicBool,
}

#[derive(Default)]
struct Lists {
    slots: BTreeMap<SlotId, KnownSlot>,
    owners: BTreeMap<ActorId, Recipient<Grant>>,
    /// Owners that ended while the roster's mailbox was full.
    untold: Vec<ActorId>,
}

/// What a slot joins with.
#[derive(Clone, Debug)]
pub(crate) struct KnownSlot {
    pub(crate) card: Card,
    pub(crate) child: ChildRef,
    /// Where the cancel of work under a lease goes.
    pub(crate) cancel: Recipient<LeaseId>,
    pub(crate) gate: Gate,
}

impl Known {
    /// Writes a slot down.
    pub(crate) fn join(&self, id: SlotId, slot: KnownSlot) {
        self.0.lists.lock().slots.insert(id, slot);
    }

    /// Crosses a slot out.
    pub(super) fn leave(&self, id: SlotId) {
        let left = self.0.lists.lock().slots.remove(&id);
        drop(left);
    }

    /// Writes an owner of demands down, for as long as what is returned lives; the roster then hears that it has ended.
    pub(crate) fn enlist(
        &self,
        owner: ActorId,
        to: Recipient<Grant>,
        roster: &Addr<Msg>,
    ) -> Enlisted {
        self.0.lists.lock().owners.insert(owner, to);
        Enlisted { known: self.clone(), owner, roster: roster.clone() }
    }

    /// The owners that have ended and could not tell so.
    pub(super) fn take_untold(&self) -> Vec<ActorId> {
        if !self.0.untold.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.0.lists.lock().untold)
    }

    pub(super) fn slots(&self) -> Vec<(SlotId, KnownSlot)> {
        self.0.lists.lock().slots.iter().map(|(id, slot)| (*id, slot.clone())).collect()
    }

    /// Where the grants of an owner go, as long as it is on the list.
    pub(super) fn recipient(&self, owner: ActorId) -> Option<Recipient<Grant>> {
        self.0.lists.lock().owners.get(&owner).cloned()
    }

    pub(super) fn owners(&self) -> Vec<(ActorId, Recipient<Grant>)> {
        self.0.lists.lock().owners.iter().map(|(id, to)| (*id, to.clone())).collect()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.0.lists.lock();
        write!(out, "Known({} slots, {} owners)", lists.slots.len(), lists.owners.len())
    }
}

/// An owner's place on the list.
#[derive(Debug)]
pub(crate) struct Enlisted {
    known: Known,
    owner: ActorId,
    roster: Addr<Msg>,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let gone = self.known.0.lists.lock().owners.remove(&self.owner);
        drop(gone);
        // In line behind what the owner has said, so that what it gave back is known to be free.
        let told = || self.roster.try_tell(Msg::OwnerEnded(self.owner));
        if let Err(TellError::Full(_)) = told() {
            self.known.0.lists.lock().untold.push(self.owner);
            self.known.0.untold.store(true, Ordering::Release);
            // The roster looks there at each message: at this one, or, where there is no room again, at one of those before it.
            drop(told());
        }
    }
}
