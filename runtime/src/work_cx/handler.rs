//! The handler of an agent: a piece of work that answers a question, and the answers that it awaits.
//!
//! Made by [`Cx::handler_cx`](crate::context::Cx::handler_cx), polled by [`WorkCx::run`](super::WorkCx::run), told by the asks.
//! It is an edge of the wait-for graph while it can do nothing until an answer comes.
//!
//! # Invariants
//! - It waits only after a poll that found it pending, with nobody but its asks to wake it, and not with an answer that it has not
//!   taken. What else it awaits, be it a channel, a timer or a socket, has kept its waker, which is counted: it goes on by itself.
//! - A waker that stays where nobody will use it, and asks that are polled by a set of futures, hide a wait; its deadline ends it.
//! - Several answers are awaited as any of them, since nobody can see whether the work joins or selects.
//! - The edge leaves the graph, under the lock of the wait, before the handler or anybody else can see that an ask has ended.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

use super::alarm::Alarm;
use crate::{
    actor::ActorId,
    ask::{Answer, AskError, Reply, TaskAsk},
    kernel::Kernel,
    timers::Due,
    waits::{self, Edge, Holder, WaitPath},
};

/// One handler of an actor, and what it awaits.
pub(super) struct Handler {
    waiter: waits::Waiter,
    kernel: Arc<Kernel>,
    alarm: Alarm,
    state: Mutex<Awaits>,
}

#[derive(Default)]
struct Awaits {
    asks_ever: u64,
    asks: BTreeMap<u64, Asked>,
    /// Whether its work is being run.
    runs: bool,
    /// Whether nothing but an answer can wake it.
    rests: bool,
    edge: Option<Edge>,
}

struct Asked {
    /// Who has the question, once that is known.
    holder: Option<Holder>,
    /// Whether it has ended, and the handler has not looked yet.
    ended: bool,
    ask: Arc<dyn Fail>,
}

impl Handler {
    pub(super) fn new(kernel: &Arc<Kernel>, waiter: waits::Waiter) -> Self {
        let (alarm, state) = (Alarm::new(), Mutex::default());
        Self { waiter, kernel: Arc::clone(kernel), alarm, state }
    }

    /// As a holder of questions.
    pub(super) fn holder(&self) -> Holder {
        Holder::Handler(self.waiter.actor, self.waiter.handler)
    }

    /// Begins to run its work; `None` while other work of it is run.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Running> {
        let begins = self.change(|state| !std::mem::replace(&mut state.runs, true));
        begins.then(|| Running(Arc::clone(self)))
    }

    /// Changes what it awaits and looks at its wait anew; one that could never end fails every ask of it.
    fn change<T>(&self, change: impl FnOnce(&mut Awaits) -> T) -> T {
        let mut state = self.state.lock();
        drop(state.edge.take());
        let changed = change(&mut state);
        if let Err(path) = self.watch(&mut state) {
            state.rests = false;
            let asks: Vec<_> = state.asks.values().map(|asked| Arc::clone(&asked.ask)).collect();
            drop(state);
            asks.iter().for_each(|ask| ask.fail(AskError::Deadlock(path.clone())));
        }
        changed
    }

    /// Opens the edge if it waits.
    fn watch(&self, state: &mut Awaits) -> Result<(), WaitPath> {
        if !state.rests || state.asks.is_empty() || state.asks.values().any(|asked| asked.ended) {
            return Ok(());
        }
        let holders = state.asks.values().map(|asked| asked.holder.unwrap_or(Holder::Elsewhere));
        let holders: Vec<Holder> = holders.collect();
        state.edge = self.kernel.waits.open(|| self.waiter.clone(), 1, holders)?;
        Ok(())
    }

    /// An ask has an answer, or will have none.
    fn ended(&self, number: u64) {
        self.change(|state| {
            if let Some(asked) = state.asks.get_mut(&number) {
                asked.ended = true;
            }
        });
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Handler({} of {})", self.waiter.handler, self.waiter.name)
    }
}

/// The work of a handler is run, until this is dropped.
pub(super) struct Running(Arc<Handler>);

impl Running {
    /// Polls the work by `poll`, and waits if it then has nothing to do until an answer comes.
    pub(super) fn poll<T>(
        &self,
        task: &Waker,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Self(handler) = self;
        handler.alarm.set(task);
        handler.change(|state| state.rests = false);
        let polled = poll(&mut Context::from_waker(handler.alarm.waker()));
        if polled.is_pending() && handler.alarm.is_quiet() {
            handler.change(|state| state.rests = true);
        }
        polled
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(|state| (state.runs, state.rests) = (false, false));
        self.0.alarm.forget();
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

/// An ask of a handler, open until dropped.
pub(super) struct OpenAsk {
    handler: Arc<Handler>,
    number: u64,
}

impl OpenAsk {
    /// Opens an ask that ends `within` from now, with the right to answer it.
    pub(super) fn open<T: Send + 'static>(
        handler: Arc<Handler>,
        within: Duration,
    ) -> (Self, Arc<TaskAsk<T>>, Reply<T>) {
        let ask = TaskAsk::new(&handler.kernel, within);
        let number = handler.change(|state| {
            state.asks_ever += 1;
            let (number, ask) = (state.asks_ever, Arc::<TaskAsk<T>>::clone(&ask));
            state.asks.insert(number, Asked { holder: None, ended: false, ask });
            number
        });
        let (of, to) = (Arc::clone(&handler), Arc::clone(&ask));
        let answer = Arc::new(HandlerAsk { ask: to, handler: of, number });
        ask.wait_as(Arc::<HandlerAsk<T>>::clone(&answer));
        (Self { handler, number }, ask, Reply::new(answer))
    }

    /// The question was delivered to an actor, which has it unless somebody has said so before.
    pub(super) fn delivered(&self, to: ActorId) {
        self.handler.change(|state| {
            if let Some(asked) = state.asks.get_mut(&self.number) {
                asked.holder.get_or_insert(Holder::Actor(to));
            }
        });
    }

    /// What the ask keeps of the waker that it is polled with.
    pub(super) fn waker<'a>(&'a self, given: &'a Waker) -> &'a Waker {
        self.handler.alarm.for_answers(given)
    }
}

impl Drop for OpenAsk {
    fn drop(&mut self) {
        // Dropped outside of the lock: it may hold an answer.
        let ended = self.handler.change(|state| state.asks.remove(&self.number));
        drop(ended);
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
        self.handler.change(|state| {
            if let Some(asked) = state.asks.get_mut(&self.number) {
                asked.holder = Some(holder);
            }
        });
    }
}

impl<T: Send + 'static> Due for HandlerAsk<T> {
    fn due(&self) {
        self.handler.ended(self.number);
        self.ask.due();
    }
}
