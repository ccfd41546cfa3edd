//! `Cx`: what an actor's step may ask for. Everything is recorded as an effect and performed after the step, in order.
//!
//! Handed to actors by `serve` and [`Probe`](crate::probe::Probe); what it records is performed by `outbox`.
//!
//! # Invariants
//! - No effect is performed before the records ahead of it are durable.
//! - Answers, timers, notices and results of tasks come back as messages of the incarnation that asked, or not at all.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::AbortHandle};
use parking_lot::Mutex;
use protocol::{RunId, Value};
use serde::Serialize;

use crate::{
    actor::{Actor, ActorId, ChildExit, Down, ExitReason},
    address::{Addr, Delivery, Target},
    ask::{AskError, Reply},
    belongings::{Belongings, Cancel},
    budget::Budget,
    child::ChildRef,
    clock::Moment,
    events::EventKind,
    kernel::Kernel,
    lab::{carried, sent},
    mailbox::Slot,
    outbox::Effect,
    rare::Rare,
    record,
    spawn::{self, Birth, News, Place, Shutdown, Spawn},
    supervisor::{Supervised, Supervisor},
    telemetry::metrics::Stale,
    timers::{Due, TimerKey},
    work::{self, TaskError},
};

/// Records the effects of one step and gives it time and dice.
pub struct Cx<A: Actor> {
    pub(crate) slot: Arc<Slot<A::Msg>>,
    pub(crate) incarnation: u32,
    now: Option<Moment>,
    pub(crate) effects: Vec<Effect>,
    /// Boxed, since it is for the last step alone; so is the fault.
    pub(crate) exit: Option<Box<ExitReason>>,
    /// Why this step fails as a whole.
    pub(crate) fault: Option<String>,
    /// Calls whose answer this actor has not handled yet; meanwhile it serves nothing else.
    pub(crate) calls: usize,
    /// Asks, calls and tasks that the incarnation has begun; each ends with a message to it.
    pub(crate) begun: u32,
    journaled: bool,
    /// A stash, a receive timeout: none of most actors.
    pub(crate) rare: Option<Box<Rare<A::Msg>>>,
}

impl<A: Actor> Cx<A> {
    pub(crate) fn new(slot: Arc<Slot<A::Msg>>, incarnation: u32, journaled: bool) -> Self {
        let (effects, exit, fault) = (Vec::new(), None, None);
        Self {
            slot,
            incarnation,
            now: None,
            effects,
            exit,
            fault,
            calls: 0,
            begun: 0,
            journaled,
            rare: None,
        }
    }

    /// Forgets the time of the step before.
    pub(crate) fn begin_step(&mut self) {
        self.now = None;
    }

    /// The actor's own address.
    pub fn me(&self) -> Addr<A::Msg> {
        Addr(Arc::clone(&self.slot))
    }

    /// The actor's name: its path from the root of its tree.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.slot.name
    }

    /// Which actor this is.
    pub fn id(&self) -> ActorId {
        self.slot.id
    }

    /// Which incarnation runs, from 1.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// The present moment; the same throughout one step.
    pub fn now(&mut self) -> Moment {
        *self.now.get_or_insert_with(|| self.slot.kernel.now())
    }

    /// Wall-clock time in Unix nanoseconds, for people and for the wire; never for order.
    pub fn unix_nanos(&self) -> i64 {
        self.slot.kernel.clock.unix_nanos()
    }

    /// One throw of the node's dice.
    pub fn random(&mut self) -> u64 {
        self.slot.kernel.random.next_u64()
    }

    /// Sends `message`; where the target's mailbox is full and waits, later effects of this actor wait behind it.
    ///
    /// A message to oneself is handled before queued ones. What cannot be delivered becomes a dead letter.
    pub fn send<T: Send + 'static>(&mut self, target: &impl Target<T>, message: T) {
        let (target, from) = (target.clone(), self.slot.id);
        let Some(budget) = self.slot.budget.clone() else {
            return self
                .effects
                .push(Effect::Send(Box::new(move |kernel| sent(kernel, &target, message, from))));
        };
        self.effects.push(Effect::Send(Box::new(move |kernel| match kernel.charge(&budget) {
            Ok(()) => sent(kernel, &target, message, from),
            Err(why) => {
                kernel.dead_letter::<T>(target.target_name(), why, Box::new(message));
                None
            }
        })));
    }

    /// What this actor's messages and children are charged to, and the tasks that it starts should be.
    pub fn budget(&self) -> Option<&Budget> {
        self.slot.budget.as_ref()
    }

    /// Answers an ask.
    pub fn reply<T: Send + 'static>(&mut self, to: Reply<T>, value: T) {
        if self.slot.kernel.lab.is_some() {
            return self.reply_in_lab(to, Ok(value));
        }
        self.act(move |_| {
            to.send(value);
        });
    }

    /// Ends an ask without an answer, and says why.
    pub fn refuse<T: Send + 'static>(&mut self, to: Reply<T>, why: impl Into<AskError>) {
        let why = why.into();
        if self.slot.kernel.lab.is_some() {
            return self.reply_in_lab(to, Err(why));
        }
        self.act(move |_| {
            to.refuse(why);
        });
    }

    /// Ends an ask the way that the lab has for it.
    #[cold]
    fn reply_in_lab<T: Send + 'static>(&mut self, to: Reply<T>, outcome: Result<T, AskError>) {
        let from = self.slot.id;
        self.effects.push(Effect::Send(Box::new(move |kernel| {
            let asker = to.asker().unwrap_or_else(|| "an asker outside".into());
            // An answer on its way waits for nobody.
            let to = to.delegated();
            let answer = move |_: &Kernel| {
                to.end(outcome);
                None
            };
            carried(kernel, from, Some(asker), answer)
        })));
    }

    /// Asks `target`; the answer, or why there is none after `within`, comes back as a message. Meanwhile the actor goes on.
    pub fn ask<Q, T, F>(
        &mut self,
        target: &impl AskTarget<Q, T>,
        question: Q,
        within: Duration,
        into_message: F,
    ) where
        Q: Send + 'static,
        T: Send + 'static,
        F: FnOnce(Result<T, AskError>) -> A::Msg + Send + 'static,
    {
        self.question(target, question, (within, false), into_message);
    }

    /// Sends `message` to this actor after `delay`, unless cancelled or restarted before.
    pub fn after(&mut self, delay: Duration, message: A::Msg) -> Timer {
        let cell = Arc::new(TimerCell {
            slot: Arc::clone(&self.slot),
            incarnation: self.incarnation,
            state: Mutex::new(TimerState { message: Some(message), key: None }),
        });
        let (armed, at) = (Arc::clone(&cell), self.now() + delay);
        self.act(move |belongings| {
            if armed.arm(at) {
                let armed: Arc<dyn Cancel> = armed;
                belongings.keep_wait(&armed);
            }
        });
        Timer(cell)
    }

    /// Cancels a timer; without effect if it has gone off.
    pub fn cancel_timer(&mut self, timer: &Timer) {
        let timer = timer.clone();
        self.act(move |_| timer.0.cancel());
    }

    /// Runs `work` as a task that this actor owns; its result comes back as a message.
    ///
    /// The task is polled once in place, so work that is ready at once costs no task. It is dropped when cancelled or when the
    /// actor's incarnation ends.
    pub fn perform<T, F>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        into_message: F,
    ) -> Task
    where
        T: Send + 'static,
        F: FnOnce(Result<T, TaskError>) -> A::Msg + Send + 'static,
    {
        self.begins();
        let (handle, registration) = AbortHandle::new_pair();
        let (told, incarnation, owned) = (Arc::clone(&self.slot), self.incarnation, handle.clone());
        let work = work::guarded(work, registration).map(move |outcome| {
            told.deliver_made(incarnation, Stale::Task, || into_message(outcome));
        });
        let (slot, work) = (Arc::clone(&self.slot), work.boxed());
        self.act(move |belongings| belongings.run(&slot, owned, work));
        Task(handle)
    }

    /// Runs `work`, which may block or compute for long, on a thread of its own; its result comes back as a message.
    ///
    /// Cancelling ends the wait for it at once; the work itself runs to its end and its result is dropped.
    pub fn perform_blocking<T, F>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        into_message: F,
    ) -> Task
    where
        T: Send + 'static,
        F: FnOnce(Result<T, TaskError>) -> A::Msg + Send + 'static,
    {
        let kernel = Arc::clone(&self.slot.kernel);
        let (run, done) = work::blocking(work);
        self.act(move |_| kernel.executor.spawn_blocking(crate::tasks::TaskKind::Work, run));
        self.perform(done, |outcome| into_message(outcome.and_then(|inner| inner)))
    }

    /// Cancels a task; its message then says so.
    pub fn cancel(&mut self, task: &Task) {
        let handle = task.0.clone();
        self.act(move |_| handle.abort());
    }

    /// Starts a child whose end is final; it is stopped before this actor is.
    pub fn spawn<B: Actor>(
        &mut self,
        spawn: Spawn,
        birth: impl FnMut() -> B + Send + 'static,
    ) -> Addr<B::Msg> {
        self.start_child(spawn, Box::new(birth), None)
    }

    /// Starts a child and is told of each end of it; the child then waits for [`restart`](Self::restart) or
    /// [`stop_child`](Self::stop_child).
    pub fn spawn_supervised<B: Actor>(
        &mut self,
        spawn: Spawn,
        birth: impl FnMut() -> B + Send + 'static,
        into_message: impl Fn(ChildExit) -> A::Msg + Send + Sync + 'static,
    ) -> Addr<B::Msg> {
        let (slot, incarnation) = (Arc::clone(&self.slot), self.incarnation);
        let report = move |news| {
            if let News::Exited(exit) = news {
                slot.deliver_made(incarnation, Stale::Notice, || into_message(exit));
            }
        };
        self.start_child(spawn, Box::new(birth), Some(Arc::new(report)))
    }

    fn start_child<B: Actor>(
        &mut self,
        spawn: Spawn,
        birth: Birth<B>,
        report: Option<spawn::Report>,
    ) -> Addr<B::Msg> {
        let (place, shutdown) = (Place { report, ..self.place() }, spawn.shutdown);
        let (addr, launch) = spawn::prepare(&self.slot.kernel, place, spawn, birth);
        let child = addr.child();
        self.act(move |belongings| {
            belongings.adopt(child, shutdown);
            launch();
        });
        addr
    }

    /// A place right below this actor.
    fn place(&self) -> Place<'_> {
        let Slot { id, name, budget, .. } = &*self.slot;
        Place { parent: Some((*id, name)), budget: budget.as_ref(), ..Place::default() }
    }

    /// Starts a supervisor and its children below this actor; it is stopped before this actor is.
    pub fn supervise(&mut self, supervisor: Supervisor) -> Supervised {
        let (supervised, launch) = supervisor.prepare(&self.slot.kernel, self.place());
        let child = supervised.actor();
        self.act(move |belongings| {
            belongings.adopt(child, Shutdown::Infinity);
            launch();
        });
        supervised
    }

    /// Begins a new incarnation of a child that has reported its end.
    pub fn restart(&mut self, child: &ChildRef) {
        let child = child.clone();
        self.act(move |_| child.0.order_restart());
    }

    /// Ends a child for good.
    pub fn stop_child(&mut self, child: &ChildRef) {
        let child = child.clone();
        self.act(move |_| child.0.order_stop());
    }

    /// Cancels a child, with all below it; see [`ChildRef::cancel`].
    pub fn cancel_child(&mut self, child: &ChildRef) {
        let child = child.clone();
        self.act(move |_| child.cancel());
    }

    /// Asks for exactly one notice of an actor's final end; at once, if it has ended.
    pub fn watch(
        &mut self,
        actor: &ChildRef,
        into_message: impl FnOnce(Down) -> A::Msg + Send + 'static,
    ) {
        let (actor, slot, incarnation) = (actor.clone(), Arc::clone(&self.slot), self.incarnation);
        self.act(move |belongings| {
            let by = Some(slot.id);
            let key = actor.0.watch(
                by,
                Box::new(move |down| {
                    slot.deliver_made(incarnation, Stale::Notice, || into_message(down));
                }),
            );
            if let Some(key) = key {
                belongings.keep_watch(actor, key);
            }
        });
    }

    /// Writes `record` to the actor's journal; every effect recorded after it waits until it is durable.
    ///
    /// If the record cannot be encoded or the actor has no journal, the step crashes the actor and leaves no effect at all.
    pub fn record(&mut self, record: &impl Serialize) {
        let why = match record::encode(record) {
            Ok(bytes) if self.journaled => return self.effects.push(Effect::Record(bytes)),
            Ok(_) => "record without a journal: spawn this actor with `Spawn::journal`".to_owned(),
            Err(why) => why,
        };
        self.fault.get_or_insert(why);
    }

    /// Publishes an event of `run` on the node's bus; `data` is made only if somebody wants it.
    pub fn publish(&mut self, kind: EventKind, run: Option<RunId>, data: impl FnOnce() -> Value) {
        if !self.slot.kernel.bus.wants(kind.as_str(), run) {
            return;
        }
        let mut event = self.slot.kernel.event(kind, &self.slot.name);
        event.run = run;
        event.data = data();
        let kernel = Arc::clone(&self.slot.kernel);
        self.act(move |_| kernel.publish(event));
    }

    /// Ends this incarnation as [`Normal`](ExitReason::Normal), after the effects recorded so far: for good, unless a supervisor
    /// starts it again.
    pub fn stop(&mut self) {
        self.exit.get_or_insert_with(|| Box::new(ExitReason::Normal));
    }

    /// Ends this incarnation as a crash, after the effects recorded so far; the supervisor decides what follows.
    pub fn crash(&mut self, why: impl Into<String>) {
        self.exit.get_or_insert_with(|| Box::new(ExitReason::Crashed(why.into())));
    }

    /// Ends this incarnation for `reason`, after the effects recorded so far; the supervisor, if any, decides what follows.
    pub fn exit(&mut self, reason: ExitReason) {
        self.exit.get_or_insert_with(|| Box::new(reason));
    }

    pub(crate) fn act(&mut self, act: impl FnOnce(&mut Belongings) + Send + 'static) {
        self.effects.push(Effect::Act(Box::new(act)));
    }
}

impl<A: Actor> fmt::Debug for Cx<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Cx({} {}, {} effects)", self.slot.name, self.slot.id, self.effects.len())
    }
}

/// Whatever a step can ask: an address with a function that makes the message, or an agent with its input.
pub trait AskTarget<Q, T>: Clone + Send + 'static {
    /// Delivers the question with the right to answer it. Called by the kernel, not by actors.
    #[doc(hidden)]
    fn deliver_question(&self, question: Q, reply: Reply<T>, from: ActorId) -> Delivery;

    /// The name of the address, where there is one.
    #[doc(hidden)]
    fn target_name(&self) -> Option<Arc<str>> {
        None
    }
}

impl<M: Send + 'static, T, F: FnOnce(Reply<T>) -> M> AskTarget<F, T> for Addr<M> {
    fn deliver_question(&self, question: F, reply: Reply<T>, from: ActorId) -> Delivery {
        Target::deliver(self, question(reply), from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Target::target_name(self)
    }
}

/// A timer set by a step.
#[derive(Clone)]
pub struct Timer(Arc<dyn Cancel>);

impl fmt::Debug for Timer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Timer")
    }
}

/// A task started by a step.
#[derive(Clone, Debug)]
pub struct Task(AbortHandle);

struct TimerCell<M> {
    slot: Arc<Slot<M>>,
    incarnation: u32,
    state: Mutex<TimerState<M>>,
}

struct TimerState<M> {
    message: Option<M>,
    key: Option<TimerKey>,
}

impl<M: Send + 'static> TimerCell<M> {
    /// Puts the timer into the wheel, unless it was cancelled before.
    fn arm(self: &Arc<Self>, at: Moment) -> bool {
        let mut state = self.state.lock();
        if state.message.is_none() {
            return false;
        }
        state.key = Some(self.slot.kernel.timers.insert(at, Arc::<Self>::clone(self)));
        true
    }
}

impl<M: Send + 'static> Due for TimerCell<M> {
    fn due(&self) {
        let message = self.state.lock().message.take();
        if let Some(message) = message {
            self.slot.deliver(self.incarnation, message);
        }
        // Only now: an actor with a timer is not idle until its message is there.
        self.state.lock().key = None;
    }
}

impl<M: Send + 'static> Cancel for TimerCell<M> {
    fn is_waiting(&self) -> bool {
        self.state.lock().key.is_some()
    }

    fn cancel(&self) {
        let (message, key) = {
            let mut state = self.state.lock();
            (state.message.take(), state.key.take())
        };
        drop(message);
        if let Some(key) = key {
            self.slot.kernel.timers.cancel(key);
        }
    }
}
