//! Whom the roster knows: what outlives its incarnations, so that a new one begins with the slots and the owners there are.
//!
//! Slots are written down by whoever starts them and crossed out by the roster; an owner is on the list as long as its coordinator.
//! No lease and no demand is here: owners tell theirs when a new incarnation asks.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::Mutex;
use runtime::{actor::ActorId, address::Recipient, child::ChildRef};

use super::{Grant, LeaseId};
use crate::{
    agent::gate::Gate,
    assign::{Card, SlotId},
};

/// The lists; clones are the same ones.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Lists>>);

#[derive(Default)]
struct Lists {
    slots: BTreeMap<SlotId, KnownSlot>,
    owners: BTreeMap<ActorId, (ChildRef, Recipient<Grant>)>,
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
        self.0.lock().slots.insert(id, slot);
    }

    /// Crosses a slot out.
    pub(super) fn leave(&self, id: SlotId) {
        let left = self.0.lock().slots.remove(&id);
        drop(left);
    }

    /// Writes an owner of demands down, for as long as what is returned lives.
    pub(crate) fn enlist(&self, owner: ChildRef, to: Recipient<Grant>) -> Enlisted {
        let id = owner.id();
        self.0.lock().owners.insert(id, (owner, to));
        Enlisted { known: self.clone(), id }
    }

    pub(super) fn slots(&self) -> Vec<(SlotId, KnownSlot)> {
        self.0.lock().slots.iter().map(|(id, slot)| (*id, slot.clone())).collect()
    }

    pub(super) fn owners(&self) -> Vec<(ChildRef, Recipient<Grant>)> {
        self.0.lock().owners.values().cloned().collect()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.0.lock();
        write!(out, "Known({} slots, {} owners)", lists.slots.len(), lists.owners.len())
    }
}

/// An owner's place on the list.
#[derive(Debug)]
pub(crate) struct Enlisted {
    known: Known,
    id: ActorId,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let gone = self.known.0.lock().owners.remove(&self.id);
        drop(gone);
    }
}
