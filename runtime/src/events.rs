//! The event bus of a node: what happens is published once and seen by everyone who subscribed to it.
//!
//! Coordinators, slots, supervisors and users publish; actors ([`Cx::subscribe`]), agents, progress bars and gateways subscribe,
//! by type, run and receiver. The words are [`protocol::Event`]; the types that Synod itself publishes are [`EventKind`], users
//! have their own words.
//!
//! # Invariants
//! - Publishing never waits. A subscriber that is slow loses its oldest events, hears how many, and slows nobody else.
//! - All subscribers see the events that they want in the same order, each once, stamped by the bus.
//! - An invalid event reaches nobody.
//!
//! Limits: [`EVENT_SUBSCRIPTIONS_MAX`], [`EVENT_QUEUE`], [`EVENT_QUEUE_MAX`], [`EVENT_IDS_MAX`], [`EVENT_DATA_BYTES_MAX`].

mod draft;
mod filter;
mod handler;
mod kind;
mod subscription;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;
use protocol::{ActorId, Code, EventId, Fault, Refusal, RunId};

pub use protocol::{Event, event::Target};

pub use self::{
    draft::{Draft, PublishError},
    filter::Filter,
    kind::EventKind,
    subscription::{Received, Subscription},
};
use self::{handler::Owner, subscription::Inbox};
#[cfg(doc)]
use crate::context::Cx;
#[cfg(any(doc, test))]
use crate::limits::EVENT_DATA_BYTES_MAX;
use crate::limits::{EVENT_IDS_MAX, EVENT_QUEUE, EVENT_QUEUE_MAX, EVENT_SUBSCRIPTIONS_MAX};

/// Spreads events to their subscribers; dropping it ends their subscriptions.
#[derive(Debug, Default)]
pub struct Bus(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The number of subscriptions, so that publishing to nobody costs one read.
    subscriptions: AtomicUsize,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their subscriptions.
    seats: Vec<Seat>,
    published: HashSet<EventId>,
    /// By the time of their publication.
    published_order: VecDeque<EventId>,
}

/// One subscription.
#[derive(Debug)]
struct Seat {
    filter: Filter,
    inbox: Arc<Mutex<Inbox>>,
    /// The actor whose messages the events become.
    owner: Option<Owner>,
}

impl Bus {
    /// Makes a bus without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stamps an event with its time (Unix nanoseconds) and its coordinator, and hands it to all who want it.
    ///
    /// The second event of an id is dropped. Never waits.
    ///
    /// # Errors
    /// [`Fault`] names the field that makes the event invalid.
    pub fn publish(
        &self,
        mut event: Event,
        unix_nanos: i64,
        coordinator: ActorId,
    ) -> Result<(), Fault> {
        event.publish(unix_nanos, coordinator);
        draft::check(&event)?;
        if self.0.subscriptions.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let wakers = self.0.spread(&Arc::new(event));
        // Outside of the lock: waking runs the code of others.
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Tells whether anyone would see such an event, so that others need not be built.
    pub fn wants(&self, kind: &str, run: Option<RunId>) -> bool {
        self.0.subscriptions.load(Ordering::Acquire) > 0
            && self.0.state.lock().seats.iter().any(|seat| seat.filter.wants(kind, run))
    }

    /// Subscribes to the events that pass `filter`, published from now on; [`EVENT_QUEUE`] may wait.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when there are [`EVENT_SUBSCRIPTIONS_MAX`] subscriptions.
    pub fn subscribe(&self, filter: Filter) -> Result<Subscription, Refusal> {
        self.subscribe_with(filter, EVENT_QUEUE)
    }

    /// Subscribes as [`subscribe`](Self::subscribe) does; `capacity` events may wait, 1 to [`EVENT_QUEUE_MAX`].
    ///
    /// # Errors
    /// [`Code::Overloaded`] when there are [`EVENT_SUBSCRIPTIONS_MAX`] subscriptions.
    pub fn subscribe_with(&self, filter: Filter, capacity: usize) -> Result<Subscription, Refusal> {
        let mut state = self.0.state.lock();
        if state.seats.len() >= EVENT_SUBSCRIPTIONS_MAX {
            let text = format!("{EVENT_SUBSCRIPTIONS_MAX} subscriptions are open; end one first");
            return Err(Refusal::new(Code::Overloaded, text));
        }
        let inbox = Arc::new(Mutex::new(Inbox::new(capacity.clamp(1, EVENT_QUEUE_MAX))));
        state.seats.push(Seat { filter, inbox: Arc::clone(&inbox), owner: None });
        self.0.subscriptions.store(state.seats.len(), Ordering::Release);
        Ok(Subscription { bus: Arc::downgrade(&self.0), inbox })
    }

    /// How many subscriptions are open.
    pub fn subscriptions(&self) -> usize {
        self.0.subscriptions.load(Ordering::Acquire)
    }

    /// The events that slow subscribers have missed, summed over all.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let seats = std::mem::take(&mut self.0.state.lock().seats);
        for seat in seats {
            let waker = seat.inbox.lock().close();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Shared {
    fn spread(&self, event: &Arc<Event>) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        if state.note(event.id) {
            for seat in state.seats.iter().filter(|seat| seat.filter.passes(event)) {
                let mut inbox = seat.inbox.lock();
                if inbox.push(Arc::clone(event)) {
                    self.missed.fetch_add(1, Ordering::Relaxed);
                }
                wakers.extend(inbox.waker.take());
            }
        }
        wakers
    }
}

impl State {
    /// Notes an id and tells whether it is new.
    fn note(&mut self, id: EventId) -> bool {
        if !self.published.insert(id) {
            return false;
        }
        self.published_order.push_back(id);
        if self.published_order.len() > EVENT_IDS_MAX
            && let Some(oldest) = self.published_order.pop_front()
        {
            self.published.remove(&oldest);
        }
        true
    }

    /// Takes the first subscription out that `is_it`.
    fn take(&mut self, is_it: impl Fn(&Seat) -> bool) -> Option<Seat> {
        self.seats.iter().position(is_it).map(|at| self.seats.remove(at))
    }
}
