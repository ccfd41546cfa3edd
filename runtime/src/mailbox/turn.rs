//! A sender's turn: its place in the line before a full mailbox.
//!
//! Made by the slot when a sender joins the line, settled by the slot when the message is taken in or handed back.
//!
//! # Invariants
//! - A turn is settled once, and whoever waits for it is woken after every lock is released.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Poll, Waker},
};

use parking_lot::Mutex;

use crate::waits::{Edge, WaitPath};

/// A message in line for a place, and whoever waits for it.
pub(crate) struct Waiting<M> {
    pub(crate) message: M,
    pub(crate) turn: Arc<Turn<M>>,
}

impl<M> Waiting<M> {
    /// Puts `message` in line.
    pub(crate) fn new(message: M) -> Self {
        let state = TurnState::Waiting { waker: None, quiet: false, edge: None };
        Self { message, turn: Arc::new(Turn(Mutex::new(state))) }
    }
}

/// What became of a message in line.
pub(crate) struct Turn<M>(Mutex<TurnState<M>>);

enum TurnState<M> {
    Waiting {
        waker: Option<Waker>,
        /// Whether the sender is to be woken only if its message comes back.
        quiet: bool,
        /// The sender's wait in the wait-for graph, while it can do nothing else.
        edge: Option<Edge>,
    },
    /// Taken in, by a mailbox whose lanes are locked: a waker that is not used is left here, to be dropped by the sender.
    Taken {
        _unused: Option<Waker>,
    },
    Returned(M),
    Over,
}

impl<M> Turn<M> {
    /// Ready when the message was taken in, or with the message when it came back.
    ///
    /// A sender that has nothing to do once its message is taken in waits `quiet`ly: only what comes back wakes it.
    pub(crate) fn poll(&self, waker: &Waker, quiet: bool) -> Poll<Result<(), M>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, TurnState::Over) {
            TurnState::Waiting { edge, .. } => {
                *state = TurnState::Waiting { waker: Some(waker.clone()), quiet, edge };
                Poll::Pending
            }
            TurnState::Returned(message) => Poll::Ready(Err(message)),
            TurnState::Taken { .. } | TurnState::Over => Poll::Ready(Ok(())),
        }
    }

    /// Whether the message is still in line.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.0.lock(), TurnState::Waiting { .. })
    }

    /// Keeps the edge that `open` opens, unless there is one or the message has left the line.
    ///
    /// # Errors
    /// Why `open` opened none.
    pub(crate) fn block(
        &self,
        open: impl FnOnce() -> Result<Option<Edge>, WaitPath>,
    ) -> Result<(), WaitPath> {
        if let TurnState::Waiting { edge: edge @ None, .. } = &mut *self.0.lock() {
            *edge = open()?;
        }
        Ok(())
    }

    /// Drops the edge: the sender has something else to do.
    pub(crate) fn stand_by(&self) {
        if let TurnState::Waiting { edge, .. } = &mut *self.0.lock() {
            *edge = None;
        }
    }

    /// Settles the turn as taken in; returns whom to wake once no lock is held.
    pub(crate) fn take(&self) -> Option<Waker> {
        let mut state = self.0.lock();
        let TurnState::Waiting { waker, quiet, edge } = &mut *state else { return None };
        let waker = waker.take();
        let (woken, unused) = if *quiet { (None, waker) } else { (waker, None) };
        // The edge leaves the graph while the turn is locked, so no check sees a wait that has ended.
        drop(edge.take());
        *state = TurnState::Taken { _unused: unused };
        woken
    }

    /// Hands `message` back; returns whom to wake once no lock is held.
    pub(crate) fn hand_back(&self, message: M) -> Option<Waker> {
        let mut state = self.0.lock();
        let TurnState::Waiting { waker, edge, .. } = &mut *state else { return None };
        let waker = waker.take();
        drop(edge.take());
        *state = TurnState::Returned(message);
        waker
    }
}

impl<M> fmt::Debug for Turn<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Turn")
    }
}
