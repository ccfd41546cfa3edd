//! The edge word of an actor: the one plain call that it waits for, in an atomic of its own.
//!
//! Nearly every wait is that of an actor with one call open. It takes no lock and no room: begun by one store, ended by another.
//! What does not fit (a second call of the same step, a join, a quorum, a handler, a place in line, a holder on another node) is
//! a wait of the graph.
//!
//! # Invariants
//! - A word is written by whoever has the lock of the ask that it stands for.
//! - A round is never used twice, so a word that is found unchanged was not changed in between.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::graph::{Holder, Holders, Wait, Waiter};
use crate::actor::ActorId;

/// The word: the round in the upper half, the holder's number in the lower one, 0 for none.
pub(crate) struct Word {
    actor: ActorId,
    name: Arc<str>,
    word: AtomicU64,
}

const ROUND: u64 = 1 << 32;
const HOLDER: u64 = ROUND - 1;

impl Word {
    pub(super) fn new(actor: ActorId, name: Arc<str>) -> Self {
        Self { actor, name, word: AtomicU64::new(0) }
    }

    /// Begins to wait for `holder`; false, and nothing changed, if the word is taken or cannot say that.
    pub(super) fn begin(&self, holder: Holder) -> bool {
        let Holder::Actor(holder) = holder else { return false };
        let (number, before) = (holder.number(), self.word.load(Ordering::Relaxed));
        if before & HOLDER != 0 || number > HOLDER || self.actor.beside(number) != holder {
            return false;
        }
        // Sequentially consistent: seen by whoever begins to wait later, before this one looks at the others.
        self.word.store(before.wrapping_add(ROUND) | number, Ordering::SeqCst);
        true
    }

    /// Waits no more.
    pub(crate) fn end(&self) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word & !HOLDER, Ordering::Release);
    }

    /// For whom the actor waits, and in which round.
    fn now(&self) -> Option<(ActorId, u64)> {
        let word = self.word.load(Ordering::SeqCst);
        (word & HOLDER != 0).then(|| (self.actor.beside(word & HOLDER), word / ROUND))
    }

    /// Who keeps `holder` from answering, if this is the word of its actor.
    pub(super) fn behind(&self, holder: Holder) -> Option<Holder> {
        // An actor has one handler.
        let is_behind = !matches!(holder, Holder::Handler(_, 1..));
        self.now().filter(|_| is_behind).map(|(on, _)| Holder::Actor(on))
    }

    /// The call as a wait of the graph.
    pub(super) fn wait(&self) -> Option<Wait> {
        let (on, changes) = self.now()?;
        let waiter =
            Waiter { actor: self.actor, name: Arc::clone(&self.name), handlers: 1, handler: 0 };
        Some(Wait { waiter, need: 1, holders: Holders::One(Holder::Actor(on)), changes })
    }

    pub(super) fn actor(&self) -> ActorId {
        self.actor
    }

    pub(super) fn is_begun(&self) -> bool {
        self.now().is_some()
    }
}
