//! A slot as the roster knows it.

use runtime::{address::Recipient, clock::Moment};

use super::LeaseId;
use crate::assign::{Candidate, Card, SlotId};

/// Whether a slot takes work, as its circuit breaker says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// As much as it can.
    #[default]
    Well,
    /// Nothing until a moment, then a few probes until it is well.
    Resting {
        /// The moment.
        until: Moment,
        /// How many at a time then.
        probes: u32,
    },
    /// So many at a time.
    Probed(u32),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) card: Card,
    pub(super) cancel: Recipient<LeaseId>,
    pub(super) leased: u32,
    pub(super) last_turn: u64,
    pub(super) health: Health,
}

impl Entry {
    pub(super) fn is_free(&self) -> bool {
        let places = self.card.concurrency.max(1);
        match self.health {
            Health::Well => self.leased < places,
            Health::Resting { .. } => false,
            Health::Probed(probes) => self.leased < probes.min(places),
        }
    }

    pub(super) fn candidate(&self, slot: SlotId) -> Candidate<'_> {
        Candidate { slot, card: &self.card, leased: self.leased, last_turn: self.last_turn }
    }
}
