//! A subscriber's end of the bus: what waits for it, and how many it missed.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use parking_lot::Mutex;

use super::{Event, Shared};

/// Receives what passes its filter, until it or the bus is dropped.
#[derive(Debug)]
pub struct Subscription {
    pub(super) bus: Weak<Shared>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
}

/// What a subscriber hears next.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// This happened.
    Event(Arc<Event>),
    /// The subscriber was slow: this many events are lost between the last one and the next.
    Missed(u64),
}

impl Subscription {
    /// Waits for the next event; `None` when the bus is gone and everything is read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        let unwatched = Unwatched(Arc::clone(&self.inbox));
        let next = poll_fn(|context| self.poll(context)).await;
        drop(unwatched);
        next
    }

    /// Takes the next event if one waits.
    pub fn try_next(&mut self) -> Option<Received> {
        self.inbox.lock().take()
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Received>> {
        let mut inbox = self.inbox.lock();
        match inbox.take() {
            Some(received) => Poll::Ready(Some(received)),
            None if inbox.closed => Poll::Ready(None),
            None => {
                inbox.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Once nobody waits for the next event, nobody's waker is kept: it would look like somebody who is about to be woken.
struct Unwatched(Arc<Mutex<Inbox>>);

impl Drop for Unwatched {
    fn drop(&mut self) {
        let waker = self.0.lock().waker.take();
        drop(waker);
    }
}

impl Stream for Subscription {
    type Item = Received;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Received>> {
        self.poll(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(bus) = self.bus.upgrade() else { return };
        let mut state = bus.state.lock();
        let left = state.take(|seat| Arc::ptr_eq(&seat.inbox, &self.inbox));
        bus.subscriptions.store(state.seats.len(), Ordering::Release);
        drop(state);
        // A handler is the subscriber's own code: never dropped under the lock.
        drop(left);
    }
}

/// The events that wait for one subscriber.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: VecDeque<Arc<Event>>,
    capacity: usize,
    missed: u64,
    closed: bool,
    pub(super) waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), capacity, missed: 0, closed: false, waker: None }
    }

    /// Adds an event and tells whether the oldest had to go for it.
    pub(super) fn push(&mut self, event: Arc<Event>) -> bool {
        let full = self.waiting.len() >= self.capacity;
        if full {
            self.waiting.pop_front();
            self.missed += 1;
        }
        self.waiting.push_back(event);
        full
    }

    fn take(&mut self) -> Option<Received> {
        if self.missed > 0 {
            return Some(Received::Missed(std::mem::take(&mut self.missed)));
        }
        self.waiting.pop_front().map(Received::Event)
    }

    /// Takes in nothing more; what waits can still be read.
    pub(super) fn close(&mut self) -> Option<Waker> {
        self.closed = true;
        self.waker.take()
    }

    /// Closes it, what waits forgotten.
    pub(super) fn shut(&mut self) -> Option<Waker> {
        (self.waiting, self.missed) = (VecDeque::new(), 0);
        self.close()
    }
}
