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

/// A message in line for a place, and whoever waits for it.
pub(crate) struct Waiting<M> {
    pub(crate) message: M,
    pub(crate) turn: Arc<Turn<M>>,
}

impl<M> Waiting<M> {
    /// Puts `message` in line.
    pub(crate) fn new(message: M) -> Self {
        Self { message, turn: Arc::new(Turn(Mutex::new(TurnState::Waiting(None)))) }
    }
}

/// What became of a message in line.
pub(crate) struct Turn<M>(Mutex<TurnState<M>>);

enum TurnState<M> {
    Waiting(Option<Waker>),
    Taken,
    Returned(M),
    Over,
}

impl<M> Turn<M> {
    /// Ready when the message was taken in, or with the message when it came back.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Result<(), M>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, TurnState::Over) {
            TurnState::Waiting(_) => {
                *state = TurnState::Waiting(Some(waker.clone()));
                Poll::Pending
            }
            TurnState::Returned(message) => Poll::Ready(Err(message)),
            TurnState::Taken | TurnState::Over => Poll::Ready(Ok(())),
        }
    }

    /// Whether the message is still in line.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.0.lock(), TurnState::Waiting(_))
    }

    /// Settles the turn as taken in; returns whom to wake once no lock is held.
    pub(crate) fn take(&self) -> Option<Waker> {
        self.settle(TurnState::Taken)
    }

    /// Hands `message` back; returns whom to wake once no lock is held.
    pub(crate) fn hand_back(&self, message: M) -> Option<Waker> {
        self.settle(TurnState::Returned(message))
    }

    fn settle(&self, end: TurnState<M>) -> Option<Waker> {
        let before = mem::replace(&mut *self.0.lock(), end);
        if let TurnState::Waiting(waker) = before { waker } else { None }
    }
}

impl<M> fmt::Debug for Turn<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Turn")
    }
}
