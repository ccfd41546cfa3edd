//! The event bus of a node: what happens is published once and seen by everyone who subscribed to it.
//!
//! Coordinators, slots, supervisors and users publish; progress bars, handlers and gateways subscribe by type and run.
//! The words are [`protocol::Event`]; the types that Synod itself publishes are [`EventKind`], users have their own words.
//!
//! # Invariants
//! - Publishing never waits. A subscriber that is slow loses its oldest events, hears how many, and slows nobody else.
//! - All subscribers see the events that they want in the same order, each once, stamped by the bus.
//! - An invalid event reaches nobody.
//!
//! Limits: [`EVENT_SUBSCRIPTIONS_MAX`], [`EVENT_QUEUE`], [`EVENT_QUEUE_MAX`], [`EVENT_IDS_MAX`].

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use parking_lot::Mutex;
use protocol::{ActorId, Code, EventId, Fault, Refusal, RunId, event};

pub use protocol::Event;

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
    inboxes: Vec<(Filter, Arc<Mutex<Inbox>>)>,
    published: HashSet<EventId>,
    /// By the time of their publication.
    published_order: VecDeque<EventId>,
}

#[derive(Debug)]
struct Inbox {
    waiting: VecDeque<Arc<Event>>,
    capacity: usize,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
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
        event.check()?;
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
            && self.0.state.lock().inboxes.iter().any(|(filter, _)| filter.wants(kind, run))
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
        if state.inboxes.len() >= EVENT_SUBSCRIPTIONS_MAX {
            let text = format!("{EVENT_SUBSCRIPTIONS_MAX} subscriptions are open; end one first");
            return Err(Refusal::new(Code::Overloaded, text));
        }
        let inbox = Arc::new(Mutex::new(Inbox::new(capacity.clamp(1, EVENT_QUEUE_MAX))));
        state.inboxes.push((filter, Arc::clone(&inbox)));
        self.0.subscriptions.store(state.inboxes.len(), Ordering::Release);
        Ok(Subscription { bus: Arc::downgrade(&self.0), inbox })
    }

    /// The events that slow subscribers have missed, summed over all.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let inboxes = std::mem::take(&mut self.0.state.lock().inboxes);
        for (_, inbox) in inboxes {
            let waker = inbox.lock().close();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Shared {
    fn spread(&self, event: &Arc<Event>) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        if state.note(event.id) {
            for (_, inbox) in state.inboxes.iter().filter(|(filter, _)| filter.passes(event)) {
                let mut inbox = inbox.lock();
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
}

impl Inbox {
    fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), capacity, missed: 0, closed: false, waker: None }
    }

    /// Adds an event and tells whether the oldest had to go for it.
    fn push(&mut self, event: Arc<Event>) -> bool {
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

    fn close(&mut self) -> Option<Waker> {
        self.closed = true;
        self.waker.take()
    }
}

/// Receives what passes its filter, until it or the bus is dropped.
#[derive(Debug)]
pub struct Subscription {
    bus: Weak<Shared>,
    inbox: Arc<Mutex<Inbox>>,
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
        poll_fn(|context| self.poll(context)).await
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
        state.inboxes.retain(|(_, inbox)| !Arc::ptr_eq(inbox, &self.inbox));
        bus.subscriptions.store(state.inboxes.len(), Ordering::Release);
    }
}

/// Picks events; a new one passes all.
///
/// ```
/// use synod_runtime::events::{EventKind, Filter};
/// let ends = Filter::new().kinds([EventKind::RunEnded, EventKind::TaskFailed]);
/// let own_words = Filter::new().kinds(["price_changed"]);
/// # let _ = (ends, own_words);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    kinds: Vec<String>,
    run: Option<RunId>,
    receiver: Option<ActorId>,
}

impl Filter {
    /// Passes every event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes events of these types only: [`EventKind`]s or words of the user's own.
    #[must_use]
    pub fn kinds<K: Into<String>>(mut self, kinds: impl IntoIterator<Item = K>) -> Self {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// Passes events of this run only.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Passes, of the events with a target, only those for `receiver`; without this, all.
    #[must_use]
    pub fn receiver(mut self, receiver: ActorId) -> Self {
        self.receiver = Some(receiver);
        self
    }

    fn wants(&self, kind: &str, run: Option<RunId>) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind))
            && (self.run.is_none() || self.run == run)
    }

    fn passes(&self, event: &Event) -> bool {
        let is_for_us = match (self.receiver, event.target) {
            (Some(receiver), Some(target)) => receiver == target,
            _ => true,
        };
        is_for_us && self.wants(&event.kind, event.run)
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $word:expr,)+) => {
        /// The types of events that Synod itself publishes: a closed set, fit for metric labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[$doc])* $name,)+ }

        impl EventKind {
            /// Every type.
            pub const EVERY: &'static [Self] = &[$(Self::$name,)+];

            /// Gives the word that stands in events.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

event_kinds! {
    /// A run was accepted and begins.
    RunStarted = "run_started",
    /// A run ended, in whatever way.
    RunEnded = "run_ended",
    /// A run was split and this task came to be.
    TaskCreated = event::TASK_CREATED,
    /// An agent was picked for a task.
    TaskAssigned = event::TASK_ASSIGNED,
    /// A task ended with a result.
    TaskCompleted = event::TASK_COMPLETED,
    /// A task ended without a result.
    TaskFailed = "task_failed",
    /// A task is tried again.
    TaskRetried = "task_retried",
    /// An agent crashed and was started again.
    AgentRestarted = "agent_restarted",
    /// An optional agent is not there, so its tasks are left out.
    AgentSkipped = "agent_skipped",
    /// A document of shared state changed.
    StateChanged = event::STATE_CHANGED,
    /// Somebody asks for synchronisation at once.
    SyncRequested = event::SYNC_REQUESTED,
    /// A vote was opened.
    VoteRequested = event::VOTE_REQUESTED,
    /// A vote ended with a decision.
    ConsensusReached = event::CONSENSUS_REACHED,
    /// A task or run came further.
    ProgressUpdate = event::PROGRESS_UPDATE,
    /// A task or run reached a named point.
    MilestoneReached = event::MILESTONE_REACHED,
}

impl EventKind {
    /// Reads the word of an event; `None` for a word of the user's own.
    pub fn of(word: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    const RUN: RunId = RunId::from_u128(5);
    const COORDINATOR: ActorId = ActorId::from_u128(9);

    fn event(id: u128, kind: EventKind) -> Event {
        Event::new(EventId::from_u128(id), kind, "agent/rust")
    }

    fn publish(bus: &Bus, event: Event) {
        bus.publish(event, 77, COORDINATOR).unwrap();
    }

    /// Reads all that waits: the ids of events, and how many were missed as a negative number.
    fn heard(subscription: &mut Subscription) -> Vec<i128> {
        let heard = std::iter::from_fn(|| subscription.try_next());
        let heard = heard.map(|received| match received {
            Received::Event(event) => event.id.as_u128().cast_signed(),
            Received::Missed(count) => -i128::from(count),
        });
        heard.collect()
    }

    #[test]
    fn an_event_reaches_those_who_want_its_type_run_or_target() {
        let bus = Bus::new();
        let mut everything = bus.subscribe(Filter::new()).unwrap();
        let mut ends = bus.subscribe(Filter::new().kinds([EventKind::RunEnded])).unwrap();
        let mut of_run = bus.subscribe(Filter::new().run(RUN)).unwrap();
        let mut own = bus.subscribe(Filter::new().receiver(ActorId::from_u128(1))).unwrap();
        publish(&bus, event(1, EventKind::RunStarted));
        publish(&bus, Event { run: Some(RUN), ..event(2, EventKind::RunEnded) });
        publish(
            &bus,
            Event { target: Some(ActorId::from_u128(1)), ..event(3, EventKind::StateChanged) },
        );
        publish(
            &bus,
            Event { target: Some(ActorId::from_u128(2)), ..event(4, EventKind::StateChanged) },
        );
        assert_eq!(heard(&mut everything), [1, 2, 3, 4]);
        assert_eq!(heard(&mut ends), [2]);
        assert_eq!(heard(&mut of_run), [2]);
        assert_eq!(heard(&mut own), [1, 2, 3]);
    }

    #[test]
    fn the_bus_stamps_events_and_refuses_invalid_ones() {
        let bus = Bus::new();
        let mut subscription = bus.subscribe(Filter::new()).unwrap();
        let forged = Event { published_at: Some(1), ..event(1, EventKind::TaskCreated) };
        publish(&bus, forged);
        let Some(Received::Event(event)) = subscription.try_next() else { panic!("no event") };
        assert_eq!((event.published_at, event.coordinator_id), (Some(77), Some(COORDINATOR)));
        let nameless = Event::new(EventId::from_u128(2), "", "agent/rust");
        assert_eq!(bus.publish(nameless, 77, COORDINATOR).unwrap_err().field, "type");
        assert_eq!(subscription.try_next(), None);
    }

    #[test]
    fn a_slow_subscriber_hears_how_many_it_missed_and_slows_nobody() {
        let bus = Bus::new();
        let mut slow = bus.subscribe_with(Filter::new(), 3).unwrap();
        let mut quick = bus.subscribe(Filter::new()).unwrap();
        for id in 0..10 {
            publish(&bus, event(id, EventKind::ProgressUpdate));
        }
        assert_eq!(heard(&mut quick), (0..10).collect::<Vec<_>>());
        assert_eq!(heard(&mut slow), [-7, 7, 8, 9]);
        assert_eq!(bus.missed(), 7);
        publish(&bus, event(10, EventKind::ProgressUpdate));
        assert_eq!(heard(&mut slow), [10], "and then keeps up");
    }

    #[test]
    fn the_second_event_of_an_id_is_dropped_as_far_as_memory_reaches() {
        let bus = Bus::new();
        let mut subscription = bus.subscribe_with(Filter::new(), EVENT_QUEUE_MAX).unwrap();
        publish(&bus, event(1, EventKind::TaskCompleted));
        publish(&bus, event(1, EventKind::TaskCompleted));
        assert_eq!(heard(&mut subscription), [1]);
        for id in 0..EVENT_IDS_MAX as u128 {
            publish(&bus, event(100 + id, EventKind::TaskCompleted));
        }
        assert_eq!(bus.0.state.lock().published.len(), EVENT_IDS_MAX);
        heard(&mut subscription);
        publish(&bus, event(1, EventKind::TaskCompleted));
        assert_eq!(heard(&mut subscription), [1]);
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_and_ends_with_the_bus() {
        let bus = Bus::new();
        let mut subscription = bus.subscribe(Filter::new()).unwrap();
        assert!(subscription.next().now_or_never().is_none());
        let (received, ()) = tokio::join!(subscription.next(), async {
            publish(&bus, event(1, EventKind::MilestoneReached));
        });
        assert!(matches!(received, Some(Received::Event(_))));
        publish(&bus, event(2, EventKind::MilestoneReached));
        let (rest, ()) = tokio::join!(subscription.by_ref().count(), async { drop(bus) });
        assert_eq!(rest, 1, "what was published before the end is still read");
        assert_eq!(subscription.next().await, None);
    }

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let bus = Bus::new();
        assert!(!bus.wants("run_ended", None), "nobody is there");
        let filter = Filter::new().kinds(["run_ended"]).run(RUN);
        let subscription = bus.subscribe(filter).unwrap();
        assert!(bus.wants("run_ended", Some(RUN)));
        assert!(!bus.wants("run_ended", None) && !bus.wants("run_started", Some(RUN)));
        drop(subscription);
        assert!(!bus.wants("run_ended", Some(RUN)));
        assert_eq!(bus.0.state.lock().inboxes.len(), 0);
    }

    #[test]
    fn subscriptions_are_bounded() {
        let bus = Bus::new();
        let mut open: Vec<_> =
            (0..EVENT_SUBSCRIPTIONS_MAX).map(|_| bus.subscribe(Filter::new()).unwrap()).collect();
        assert_eq!(bus.subscribe(Filter::new()).unwrap_err().code, Code::Overloaded);
        open.pop();
        assert!(bus.subscribe(Filter::new()).is_ok());
    }

    #[test]
    fn every_type_has_a_word_of_its_own() {
        for kind in EventKind::EVERY {
            assert_eq!(EventKind::of(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::of("price_changed"), None);
    }
}
