//! Events as messages of an actor: what it subscribes to waits in line at its mailbox, one event at a time.
//!
//! # Invariants
//! - A subscription belongs to the address: like the queue it outlives a restart, and ends with the actor. An incarnation that
//!   subscribes with an equal filter takes it over with all that waits.
//! - Events never evict a message nor are they evicted by the bus while there is room: they stand in line whatever the mailbox's
//!   overflow policy is, and what comes meanwhile waits on the bus, up to the subscription's bound.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak, atomic::Ordering},
    task::Waker,
};

use parking_lot::Mutex;
use protocol::{EventId, Refusal};

use super::{Bus, Draft, Filter, PublishError, Received, Seat, Subscription};
use crate::{
    actor::{Actor, ActorId},
    address::Addr,
    context::Cx,
    mailbox::Slot,
    tasks::TaskKind,
    work::panic_text,
};

/// Makes a message of what was received.
type IntoMessage<M> = Arc<dyn Fn(Received) -> M + Send + Sync>;

/// What a subscription's events become; an equal subscription of the same actor replaces it.
struct Handler<M>(Mutex<IntoMessage<M>>);

/// The actor that a subscription belongs to, with its [`Handler`].
pub(super) struct Owner {
    actor: ActorId,
    handler: Arc<dyn Any + Send + Sync>,
}

impl<A: Actor> Cx<A> {
    /// Lets every event that passes `filter`, published from now on, come back as a message; [`EVENT_QUEUE`] may wait, beyond
    /// which the oldest are lost and a message tells how many.
    ///
    /// Of the events for somebody, those come that are for this actor's name or one above it, or for the run in `filter`. Events
    /// wait for their place in the mailbox behind other messages. The subscription belongs to the address: it outlives a restart
    /// with what waits, an equal one (of the next incarnation, from its `start`) takes it over, [`unsubscribe`](Self::unsubscribe)
    /// or the actor's end ends it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use synod_runtime::{actor::Actor, context::Cx, events::{EventKind, Filter, Received}};
    ///
    /// struct Counter { ended: u64, missed: u64, deaf: bool }
    /// impl Actor for Counter {
    ///     type Msg = Received;
    ///     fn start(&mut self, cx: &mut Cx<Self>) {
    ///         let ends = Filter::new().kinds([EventKind::RunEnded]);
    ///         // A full bus is no reason to fail: a restart would find it full too.
    ///         self.deaf = cx.subscribe(ends, |received| received).is_err();
    ///     }
    ///     fn handle(&mut self, received: Received, _cx: &mut Cx<Self>) {
    ///         match received {
    ///             Received::Event(_) => self.ended += 1,
    ///             Received::Missed(count) => self.missed += count,
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Code::Overloaded`](protocol::Code::Overloaded) when the node has
    /// [`EVENT_SUBSCRIPTIONS_MAX`](crate::limits::EVENT_SUBSCRIPTIONS_MAX) subscriptions and none of them is an equal one of this
    /// actor.
    ///
    /// [`EVENT_QUEUE`]: crate::limits::EVENT_QUEUE
    pub fn subscribe(
        &mut self,
        filter: Filter,
        into_message: impl Fn(Received) -> A::Msg + Send + Sync + 'static,
    ) -> Result<(), Refusal> {
        let slot = Arc::clone(&self.slot);
        // From now on nothing is missed; if the step fails, the subscription ends with its effects.
        let (filter, fresh) = reserve(&slot, filter)?;
        let into: IntoMessage<A::Msg> = Arc::new(into_message);
        self.act(move |_| hear(slot, filter, fresh, into));
        Ok(())
    }

    /// Ends the subscription with an equal filter; what of it waits in the mailbox already is still handled.
    pub fn unsubscribe(&mut self, filter: Filter) {
        let slot = Arc::clone(&self.slot);
        let filter = filter.receiver_named(&*slot.name);
        self.act(move |_| slot.kernel.bus.disown(slot.id, &filter));
    }

    /// Publishes an event of this actor on the node's bus, once the records ahead of it are durable.
    ///
    /// # Errors
    /// [`PublishError`], at once, when the event is not valid; it then reaches nobody.
    pub fn publish_event(&mut self, draft: Draft) -> Result<EventId, PublishError> {
        let kernel = Arc::clone(&self.slot.kernel);
        let event = draft.event(kernel.new_event(), &self.slot.name)?;
        let id = event.id;
        self.act(move |_| kernel.publish(event));
        Ok(id)
    }
}

impl<M: Send + 'static> Addr<M> {
    /// Subscribes the actor as [`Cx::subscribe`] does, from outside of its steps: events that are published from now on come to it.
    ///
    /// # Errors
    /// [`Code::Overloaded`](protocol::Code::Overloaded) when the node has
    /// [`EVENT_SUBSCRIPTIONS_MAX`](crate::limits::EVENT_SUBSCRIPTIONS_MAX) subscriptions and none of them is an equal one of this
    /// actor.
    pub fn subscribe(
        &self,
        filter: Filter,
        into_message: impl Fn(Received) -> M + Send + Sync + 'static,
    ) -> Result<(), Refusal> {
        let (filter, fresh) = reserve(&self.0, filter)?;
        hear(Arc::clone(&self.0), filter, fresh, Arc::new(into_message));
        Ok(())
    }
}

/// Takes a seat for an actor that has none with this filter yet; gives the filter with the actor's name in it.
fn reserve<M: Send + 'static>(
    slot: &Slot<M>,
    filter: Filter,
) -> Result<(Filter, Option<Subscription>), Refusal> {
    let (bus, filter) = (&slot.kernel.bus, filter.receiver_named(&*slot.name));
    let fresh = match bus.handler::<M>(slot.id, &filter) {
        Some(_) => None,
        None => Some(bus.subscribe(filter.clone())?),
    };
    Ok((filter, fresh))
}

impl Bus {
    /// The handler of the actor's subscription with this filter.
    fn handler<M: 'static>(&self, actor: ActorId, filter: &Filter) -> Option<Arc<Handler<M>>> {
        let state = self.0.state.lock();
        let seat = state.seats.iter().find(|seat| seat.is_of(actor, filter))?;
        let handler = Arc::clone(&seat.owner.as_ref()?.handler);
        drop(state);
        handler.downcast().ok()
    }

    /// Gives a subscription to an actor.
    fn own(&self, subscription: &Subscription, owner: Owner) {
        let mut state = self.0.state.lock();
        let ours = |seat: &&mut Seat| Arc::ptr_eq(&seat.inbox, &subscription.inbox);
        if let Some(seat) = state.seats.iter_mut().find(ours) {
            seat.owner = Some(owner);
        }
    }

    /// Ends the actor's subscription with this filter.
    fn disown(&self, actor: ActorId, filter: &Filter) {
        let mut state = self.0.state.lock();
        let seat = state.take(|seat| seat.is_of(actor, filter));
        self.0.subscriptions.store(state.seats.len(), Ordering::Release);
        drop(state);
        let Some(seat) = seat else { return };
        let waker = seat.inbox.lock().shut();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Seat {
    fn is_of(&self, actor: ActorId, filter: &Filter) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.actor == actor) && self.filter == *filter
    }
}

/// Lets `into` make the messages of the actor's subscription with this filter: of the one that it has, or else of a `fresh` one.
fn hear<M: Send + 'static>(
    slot: Arc<Slot<M>>,
    filter: Filter,
    fresh: Option<Subscription>,
    into: IntoMessage<M>,
) {
    let bus = &slot.kernel.bus;
    if let Some(handler) = bus.handler::<M>(slot.id, &filter) {
        let before = mem::replace(&mut *handler.0.lock(), into);
        return drop(before);
    }
    // The one that it had when it asked has ended meanwhile, by an earlier effect: its seat is free again, or somebody else's.
    let subscription = match fresh.map_or_else(|| bus.subscribe(filter), Ok) {
        Ok(subscription) => subscription,
        Err(refusal) => return slot.crash(refusal.text),
    };
    let handler = Arc::new(Handler(Mutex::new(into)));
    let any: Arc<dyn Any + Send + Sync> = Arc::<Handler<M>>::clone(&handler);
    bus.own(&subscription, Owner { actor: slot.id, handler: any });
    let executor = Arc::clone(&slot.kernel.executor);
    executor.spawn(TaskKind::Service, Box::pin(deliver(slot, subscription, handler)));
}

/// Makes messages of events, one after the other, until the subscription or the actor has ended.
async fn deliver<M: Send + 'static>(
    slot: Arc<Slot<M>>,
    mut subscription: Subscription,
    handler: Arc<Handler<M>>,
) {
    let inbox = Arc::downgrade(&subscription.inbox);
    let watch = slot.watch(
        None,
        Box::new(move |_| {
            let waker = Weak::upgrade(&inbox).and_then(|inbox| inbox.lock().shut());
            waker.into_iter().for_each(Waker::wake);
        }),
    );
    while let Some(received) = subscription.next().await {
        let into = Arc::clone(&*handler.0.lock());
        match std::panic::catch_unwind(AssertUnwindSafe(|| into(received))) {
            Ok(message) => stand_in_line(&slot, message).await,
            Err(panic) => slot.crash(panic_text(&*panic)),
        }
    }
    watch.into_iter().for_each(|key| slot.unwatch(key));
}

/// Waits until the mailbox has taken the message in; an actor that has ended gets it no more.
async fn stand_in_line<M: Send + 'static>(slot: &Slot<M>, message: M) {
    if let Ok(Some(turn)) = slot.join_line(message) {
        poll_fn(|cx| turn.poll(cx.waker(), false).map(drop)).await;
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Owner({})", self.actor)
    }
}
