//! `WorkCx`: what the async work of an actor may await and read: answers, events, sleeps, time and dice of its node.
//!
//! Made by [`Cx::work_cx`] and [`Cx::handler_cx`]; agents see it through their call context. The work of a handler is an edge of
//! the wait-for graph while it awaits nothing but answers.
//!
//! # Invariants
//! - A handler waits only after a poll that found it pending, with an ask open and no sleep; any answer ends its wait at once.
//! - A handler that awaits several answers waits for any of them, since nobody can see whether it joins or selects.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::Either;
use parking_lot::Mutex;
use protocol::{EventId, Refusal};

use crate::{
    actor::{Actor, ActorId},
    address::{Addr, Delivery, PlaceInLine},
    ask::{Answer, AskError, Reply, TaskAsk, Waiter},
    budget::Budget,
    child::Child,
    clock::Moment,
    context::{AskTarget, Cx},
    emergency::Halt,
    events::{Draft, Filter, PublishError, Received, Subscription},
    kernel::Kernel,
    mailbox::Slot,
    scope::Guests,
    spawn::{self, Place, Spawn},
    timers::Sleep,
    waits::{self, Edge, Holder},
};

/// Time, dice and asks for async work.
#[derive(Clone)]
pub struct WorkCx {
    /// The actor whose work it is.
    owner: Arc<dyn Child>,
    /// Which of its incarnations.
    incarnation: u32,
    /// What the work starts ends with this, where it has a scope of its own.
    pub(crate) scope: Option<Arc<Guests>>,
    /// What its asks and its children are charged to.
    budget: Option<Budget>,
    handler: Option<Arc<Handler>>,
}

impl<A: Actor> Cx<A> {
    /// What the async work of this actor may use; its asks and children are charged to the actor's budget.
    pub fn work_cx(&self) -> WorkCx {
        let owner = Arc::<Slot<A::Msg>>::clone(&self.slot);
        let (incarnation, budget) = (self.incarnation(), self.slot.budget.clone());
        WorkCx { owner, incarnation, scope: None, budget, handler: None }
    }

    /// The same for work that answers questions of this actor, as number `handler` of at most `handlers` at a time.
    ///
    /// Its numbers are never used twice. Such work runs within [`WorkCx::run`], and its asks are refused where they could never
    /// be answered.
    pub fn handler_cx(&self, handlers: u32, handler: u64) -> WorkCx {
        let waiter = waits::Waiter { handlers, handler, ..self.slot.waiter() };
        let state = Mutex::default();
        let handler = Handler { waiter, kernel: Arc::clone(&self.slot.kernel), state };
        WorkCx { handler: Some(Arc::new(handler)), ..self.work_cx() }
    }
}

impl WorkCx {
    /// The same, its asks and children charged to `budget` instead of the actor's, or to nobody.
    #[must_use]
    pub fn charged_to(mut self, budget: Option<Budget>) -> Self {
        self.budget = budget;
        self
    }

    fn kernel(&self) -> &Arc<Kernel> {
        self.owner.kernel()
    }

    /// The present moment of the node's clock.
    pub fn now(&self) -> Moment {
        self.kernel().now()
    }

    /// One throw of the node's dice.
    pub fn random(&self) -> u64 {
        self.kernel().random.next_u64()
    }

    /// Waits for `delay` by the node's clock.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (kernel, handler) = (Arc::clone(self.kernel()), self.handler.clone());
        async move {
            let _asleep = handler.map(Asleep::new);
            Sleep::until(&kernel.timers, kernel.now() + delay).await;
        }
    }

    /// Asks `target` and waits for the answer, at the most for `within`. The question costs one message.
    ///
    /// # Errors
    /// The future resolves to an [`AskError`] where there is no answer; to [`AskError::Deadlock`] at once, where it could never
    /// come, and to [`AskError::Refused`] where a budget allows no more messages: it names that, and nothing is asked.
    ///
    /// # Cancel safety
    /// Dropping the future gives the ask up; a question already queued is still handled.
    pub fn ask<K, Q, T>(
        &self,
        target: &K,
        question: Q,
        within: Duration,
    ) -> impl Future<Output = Result<T, AskError>> + Send + use<K, Q, T>
    where
        K: AskTarget<Q, T>,
        Q: Send + 'static,
        T: Send + 'static,
    {
        let (target, cx) = (target.clone(), self.clone());
        async move {
            cx.kernel().charge_message(cx.budget.as_ref())?;
            let ask = TaskAsk::open(cx.kernel(), within);
            let mut waiter = Waiter(Arc::clone(&ask));
            let open = cx.handler.map(|handler| OpenAsk::new(handler, &ask));
            let reply = match &open {
                Some(open) => Reply::new(Arc::new(open.answer(ask))),
                None => Reply::new(ask),
            };
            let mut line = match target.deliver_question(question, reply, cx.owner.id()) {
                Delivery::Refused(why, question) => {
                    drop(question);
                    return Err(why);
                }
                Delivery::Done(holder) => {
                    open.iter().for_each(|open| open.handler.holds(open.number, holder));
                    None
                }
                Delivery::InLine(PlaceInLine(place)) => {
                    open.iter().for_each(|open| open.handler.holds(open.number, place.holder()));
                    Some(place)
                }
            };
            poll_fn(|cx| {
                // A place that is settled, or given up with the future, is left.
                line.take_if(|place| place.is_settled(cx.waker(), false));
                Pin::new(&mut waiter).poll(cx)
            })
            .await
        }
    }

    /// Waits for something that is no answer of an actor; meanwhile the handler counts as one that goes on by itself.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub async fn besides<F: Future>(&self, future: F) -> F::Output {
        let _asleep = self.handler.clone().map(Asleep::new);
        future.await
    }

    /// Starts a child of the actor that this work belongs to, with whose present incarnation it ends, as any child of it.
    ///
    /// If the work has a [`Scope`](crate::scope::Scope), as calls of agents have, it is cancelled when that ends, with all below it.
    /// Where the one or the other is over, nothing is started: the address is that of an actor which ended as
    /// [`Cancelled`](crate::actor::ExitReason::Cancelled).
    ///
    /// It is a child, and costs one, of whatever this work is charged to, and inherits that. One too many ends at once as
    /// [`Refused`](crate::actor::ExitReason::Refused), which names the budget.
    pub fn spawn<B: Actor>(
        &self,
        spawn: Spawn,
        birth: impl FnMut() -> B + Send + 'static,
    ) -> Addr<B::Msg> {
        let (parent, budget) = (Some((self.owner.id(), self.owner.name())), self.budget.as_ref());
        let place = Place { parent, budget, ..Place::default() };
        let shutdown = spawn.shutdown;
        let (addr, launch) = spawn::prepare(self.kernel(), place, spawn, Box::new(birth));
        let child = addr.child();
        let admitted = self.owner.take_in(self.incarnation, &child, shutdown)
            && self.scope.as_ref().is_none_or(|scope| scope.admit(&child));
        if admitted {
            launch();
        } else {
            child.0.order_cancel(None);
        }
        addr
    }

    /// Wall-clock time in Unix nanoseconds, for people and for the wire; never for order.
    pub fn unix_nanos(&self) -> i64 {
        self.kernel().clock.unix_nanos()
    }

    /// Subscribes to the events that pass `filter`, published from now on, until what is returned is dropped.
    ///
    /// Of the events for somebody, those come that are for the actor's name or one above it, or for the run in `filter`.
    ///
    /// # Errors
    /// [`Code::Overloaded`](protocol::Code::Overloaded) when the node has
    /// [`EVENT_SUBSCRIPTIONS_MAX`](crate::limits::EVENT_SUBSCRIPTIONS_MAX) subscriptions.
    pub fn subscribe(&self, filter: Filter) -> Result<Events, Refusal> {
        let filter = filter.receiver_named(self.owner.name());
        let subscription = self.kernel().bus.subscribe(filter)?;
        Ok(Events { subscription, handler: self.handler.clone() })
    }

    /// Publishes an event of the actor, at once.
    ///
    /// # Errors
    /// [`PublishError`] when the event is not valid; it then reaches nobody.
    pub fn publish(&self, draft: Draft) -> Result<EventId, PublishError> {
        self.kernel().publish_draft(draft, self.owner.name())
    }

    /// Tells whether the node was stopped in an emergency, also to those who outlive it.
    pub fn halt(&self) -> Halt {
        Halt::of(self.kernel())
    }

    /// Says that this handler has taken the question behind `reply`: nobody else of the actor can answer it.
    pub fn take<T>(&self, reply: &Reply<T>) {
        if let Some(handler) = &self.handler {
            reply.held_by(Holder::Handler(handler.waiter.actor, handler.waiter.handler));
        }
    }

    /// Runs the handler's work; while that awaits answers alone, the handler is an edge of the wait-for graph.
    ///
    /// # Cancel safety
    /// Dropping the future drops the work.
    pub fn run<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        let Some(handler) = self.handler.clone() else { return Either::Left(work) };
        let mut work = Box::pin(work);
        Either::Right(poll_fn(move |cx| {
            let polled = work.as_mut().poll(cx);
            if polled.is_pending() {
                handler.rest();
            }
            polled
        }))
    }
}

impl fmt::Debug for WorkCx {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WorkCx({})", self.owner.id())
    }
}

/// The events that some work has subscribed to.
#[derive(Debug)]
pub struct Events {
    subscription: Subscription,
    handler: Option<Arc<Handler>>,
}

impl Events {
    /// Waits for the next event; `None` when the node is gone and everything is read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        let _asleep = self.handler.clone().map(Asleep::new);
        self.subscription.next().await
    }

    /// Takes the next event if one waits.
    pub fn try_next(&mut self) -> Option<Received> {
        self.subscription.try_next()
    }
}

/// One handler of an actor, and what it awaits.
struct Handler {
    waiter: waits::Waiter,
    kernel: Arc<Kernel>,
    state: Mutex<Awaits>,
}

#[derive(Default)]
struct Awaits {
    asks_ever: u64,
    asks: BTreeMap<u64, (Option<Holder>, Arc<dyn Fail>)>,
    sleeps: usize,
    edge: Option<Edge>,
}

impl fmt::Debug for Handler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Handler({} of {})", self.waiter.handler, self.waiter.name)
    }
}

/// An ask that can be ended from outside.
trait Fail: Send + Sync {
    fn fail(&self, why: AskError);
}

impl<T: Send + 'static> Fail for TaskAsk<T> {
    fn fail(&self, why: AskError) {
        self.answer(Err(why));
    }
}

impl Handler {
    /// An ask was delivered to an actor.
    fn holds(&self, number: u64, holder: ActorId) {
        if let Some((at, _)) = self.state.lock().asks.get_mut(&number) {
            at.get_or_insert(Holder::Actor(holder));
        }
    }

    /// An ask has ended: the handler has something to do.
    fn ended(&self, number: u64) {
        let mut state = self.state.lock();
        drop(state.edge.take());
        let ended = state.asks.remove(&number);
        drop(state);
        drop(ended);
    }

    /// The handler has nothing to do until what it awaits comes.
    fn rest(&self) {
        let mut state = self.state.lock();
        if state.asks.is_empty() || state.sleeps > 0 || state.edge.is_some() {
            return;
        }
        let holders: Vec<Holder> = state.asks.values().filter_map(|(holder, _)| *holder).collect();
        match self.kernel.waits.open(|| self.waiter.clone(), 1, holders) {
            Ok(edge) => state.edge = edge,
            Err(path) => {
                let asks: Vec<_> = state.asks.values().map(|(_, ask)| Arc::clone(ask)).collect();
                drop(state);
                asks.iter().for_each(|ask| ask.fail(AskError::Deadlock(path.clone())));
            }
        }
    }

    /// A question has passed to somebody else: the wait is looked at anew.
    fn passed(&self, number: u64, holder: Holder) {
        let mut state = self.state.lock();
        let waits = state.edge.take().is_some();
        if let Some((at, _)) = state.asks.get_mut(&number) {
            *at = Some(holder);
        }
        drop(state);
        if waits {
            self.rest();
        }
    }
}

/// An ask of a handler, open until dropped.
struct OpenAsk {
    handler: Arc<Handler>,
    number: u64,
}

impl OpenAsk {
    fn new<T: Send + 'static>(handler: Arc<Handler>, ask: &Arc<TaskAsk<T>>) -> Self {
        let mut state = handler.state.lock();
        state.asks_ever += 1;
        let (number, ask) = (state.asks_ever, Arc::<TaskAsk<T>>::clone(ask));
        state.asks.insert(number, (None, ask));
        drop(state);
        Self { handler, number }
    }

    fn answer<T>(&self, ask: Arc<TaskAsk<T>>) -> HandlerAsk<T> {
        HandlerAsk { ask, handler: Arc::clone(&self.handler), number: self.number }
    }
}

impl Drop for OpenAsk {
    fn drop(&mut self) {
        self.handler.ended(self.number);
    }
}

/// Where the answer of a handler's ask goes: first out of the graph, then to the handler.
struct HandlerAsk<T> {
    ask: Arc<TaskAsk<T>>,
    handler: Arc<Handler>,
    number: u64,
}

impl<T: Send + 'static> Answer<T> for HandlerAsk<T> {
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        self.handler.ended(self.number);
        self.ask.answer(outcome)
    }

    fn is_wanted(&self) -> bool {
        self.ask.is_wanted()
    }

    fn held_by(&self, holder: Holder) {
        self.handler.passed(self.number, holder);
    }
}

/// A handler that sleeps, or waits for an event, goes on by itself.
struct Asleep(Arc<Handler>);

impl Asleep {
    fn new(handler: Arc<Handler>) -> Self {
        let mut state = handler.state.lock();
        state.sleeps += 1;
        drop(state.edge.take());
        drop(state);
        Self(handler)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.0.state.lock().sleeps -= 1;
    }
}
