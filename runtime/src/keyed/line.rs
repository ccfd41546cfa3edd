//! The line of one key: what its router has sent and the key's full mailbox has not taken in yet.
//!
//! Kept by the router, beside its outbox, in which one message that waits holds up all behind it.
//!
//! # Invariants
//! - The order is that of the mailbox's own line; what is here are the places in it.
//! - What the key's end hands back becomes a dead letter.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use parking_lot::Mutex;

use crate::{
    actor::Actor,
    address::{Addr, Placed},
    ask::AskError,
    context::Cx,
    lab::sent,
    limits::KEYED_LINE_MAX,
    outbox::Effect,
};

/// The line of one key; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Places>>);

/// The places, the first at the front.
#[derive(Default)]
struct Places(VecDeque<Box<dyn Placed>>);

impl Line {
    /// Sends `message` to `addr`; where it has to wait for a place it does so here, and nothing else behind it.
    pub(super) fn send<R: Actor, M: Send + 'static>(
        self,
        addr: Addr<M>,
        message: M,
        cx: &mut Cx<R>,
    ) {
        let from = cx.id();
        cx.effects.push(Effect::Send(Box::new(move |kernel| {
            let placed = sent(kernel, &addr, message, from);
            self.0.lock().0.extend(placed);
            None
        })));
    }

    /// Whether one more may stand in it.
    pub(super) fn has_room(&self) -> bool {
        let places = &mut self.0.lock().0;
        while places.front().is_some_and(|place| place.is_settled(Waker::noop(), true)) {
            places.pop_front();
        }
        places.len() < KEYED_LINE_MAX
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for place in &self.0 {
            if !place.is_settled(Waker::noop(), true) {
                place.give_up(AskError::Stopped);
            }
        }
    }
}
