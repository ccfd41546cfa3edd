//! `WorkCx`: what the async work of an actor may await and read: answers, events, sleeps, time and dice of its node.
//!
//! Made by [`Cx::work_cx`] and [`Cx::handler_cx`]; agents see it through their call context. The work of a handler is an edge of
//! the wait-for graph while it awaits nothing but answers.
//!
//! # Invariants
//! - Nobody is refused as stuck whose work anything but an answer can wake; `handler` says when it waits.

mod alarm;
mod asks;
mod handler;

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    time::Duration,
};

use futures_util::future::Either;
use protocol::{EventId, Refusal};

use self::{asks::Waiting, handler::Handler};

use crate::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Outcomes, Reply, Tally},
    budget::Budget,
    child::Child,
    clock::Moment,
    context::{AskTarget, Cx},
    emergency::Halt,
    events::{Draft, Filter, PublishError, Received, Subscription},
    kernel::Kernel,
    limits::CALL_TARGETS_MAX,
    mailbox::Slot,
    scope::Guests,
    spawn::{self, Place, Spawn},
    timers::Sleep,
    waits::{self, Need},
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
        let handler = Arc::new(Handler::new(&self.slot.kernel, waiter));
        WorkCx { handler: Some(handler), ..self.work_cx() }
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
        let kernel = Arc::clone(self.kernel());
        async move { Sleep::until(&kernel.timers, kernel.now() + delay).await }
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
        let asks = self.asks(vec![(target.clone(), question)], Need::All, within);
        async move { asks.await.pop().unwrap_or(Err(AskError::Cancelled)) }
    }

    /// Asks each target its question and waits until enough of them have answered or too few still can, at the most for `within`.
    ///
    /// Resolves to an outcome for each question, in the order of `targets`. One that had none when the asks ended has
    /// [`AskError::Cancelled`], [`AskError::TimedOut`] or, at once where the need could never be met, [`AskError::Deadlock`].
    ///
    /// Each question costs one message, all of them before the first is asked. [`AskError::Refused`] is the outcome of every
    /// question, and nothing is asked, where a budget (it is named) allows fewer messages, where more answers are needed than there are
    /// targets, and with more than [`CALL_TARGETS_MAX`] targets: of these there is one outcome more than that, and those beyond are
    /// not even looked at. A need for no answer asks nobody.
    ///
    /// In a handler's wait the asks stand with what they need, as long as the work awaits no others beside them.
    ///
    /// # Cancel safety
    /// Dropping the future gives all the asks up; questions already queued are still handled.
    pub fn ask_many<I, K, Q, T>(
        &self,
        targets: I,
        need: Need,
        within: Duration,
    ) -> impl Future<Output = Vec<Result<T, AskError>>> + Send + use<I, K, Q, T>
    where
        I: IntoIterator<Item = (K, Q)>,
        K: AskTarget<Q, T>,
        Q: Send + 'static,
        T: Send + 'static,
    {
        // One too many is enough to be refused.
        self.asks(targets.into_iter().take(CALL_TARGETS_MAX + 1).collect(), need, within)
    }

    fn asks<K, Q, T>(
        &self,
        targets: Vec<(K, Q)>,
        need: Need,
        within: Duration,
    ) -> impl Future<Output = Outcomes<T>> + Send + use<K, Q, T>
    where
        K: AskTarget<Q, T>,
        Q: Send + 'static,
        T: Send + 'static,
    {
        let cx = self.clone();
        async move {
            let (count, kernel) = (targets.len(), cx.kernel());
            let tally = Tally::new(need.of(count), count);
            let begins = tally.refused().map_or(Ok(()), Err);
            if let Err(why) =
                begins.and_then(|()| kernel.charge_messages(cx.budget.as_ref(), count))
            {
                return tally.outcomes(&why);
            }
            let mut waiting = Waiting::open(kernel, cx.handler.clone(), tally, within);
            for (number, (target, question)) in targets.into_iter().enumerate() {
                waiting.ask(number, (target, question), cx.owner.id());
            }
            waiting.await
        }
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
        Ok(Events(self.kernel().bus.subscribe(filter)?))
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
            reply.held_by(handler.holder());
        }
    }

    /// Runs the handler's work; while nothing but answers can wake that, the handler is an edge of the wait-for graph.
    ///
    /// One work at a time is seen so. Asks that are polled by the work itself, or by what it joins or selects, are known as answers;
    /// those within another task or a set of futures such as `FuturesUnordered` may be anything, and hide the wait.
    ///
    /// # Cancel safety
    /// Dropping the future drops the work.
    pub fn run<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        let Some(running) = self.handler.as_ref().and_then(Handler::begin) else {
            return Either::Left(work);
        };
        // Dropped in this order: work that is given up waits for nothing.
        let mut run = (running, Box::pin(work));
        Either::Right(poll_fn(move |cx| {
            let (running, work) = &mut run;
            running.poll(cx.waker(), |cx| work.as_mut().poll(cx))
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
pub struct Events(Subscription);

impl Events {
    /// Waits for the next event; `None` when the node is gone and everything is read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        self.0.next().await
    }

    /// Takes the next event if one waits.
    pub fn try_next(&mut self) -> Option<Received> {
        self.0.try_next()
    }
}
