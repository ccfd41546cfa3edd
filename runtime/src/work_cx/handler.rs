//! The handler of an agent: a piece of work that answers a question, and the answers that it awaits.
//!
//! Made by [`Cx::handler_cx`](crate::context::Cx::handler_cx), polled by [`WorkCx::run`](super::WorkCx::run), told by its asks
//! (`asks`).
//! It is an edge of the wait-for graph while it can do nothing until an answer comes.
//!
//! # Invariants
//! - It waits only after a poll that found it pending, with nobody but its asks to wake it, and not with an answer that it has not
//!   taken. What else it awaits, be it a channel, a timer or a socket, has kept its waker, which is counted: it goes on by itself.
//! - A waker that stays where nobody will use it, and asks that are polled by a set of futures, hide a wait; its deadline ends it.
//! - Asks that stand alone are awaited with their need: a join, a race or a quorum. Of several beside each other the handler awaits
//!   any answer, since nobody can see whether the work joins or selects.
//! - The edge leaves the graph, under the lock of the wait, before the handler or anybody else can see that an ask has ended. It is
//!   there anew, for what is still needed, before whoever answered goes on.
//! - The lock of asks is taken under that of their handler, never the other way round.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::alarm::Alarm;
use crate::{
    ask::AskError,
    kernel::Kernel,
    waits::{self, Edge, Holder, WaitPath},
};

/// Asks that end together: one question, or several of which some must be answered.
pub(super) trait Awaited: Send + Sync {
    /// How many answers they need, and of whom; none while that is not known, and once they have ended.
    fn wait(&self) -> Option<(usize, Vec<Holder>)>;
    /// Ends them, with `why` for every question that has no outcome.
    fn fail(&self, why: AskError);
}

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
    asks: BTreeMap<u64, Arc<dyn Awaited>>,
    /// Whether its work is being run.
    runs: bool,
    /// Whether nothing but an answer can wake it.
    rests: bool,
    edge: Option<Edge>,
}

impl Awaits {
    /// How many answers the handler needs, and of whom; none if it has something to do.
    fn wait(&self) -> Option<(usize, Vec<Holder>)> {
        let mut asks = self.asks.values().filter(|_| self.rests).map(|asks| asks.wait());
        let (mut need, mut holders) = asks.next()??;
        for beside in asks {
            let (_, others) = beside?;
            need = 1;
            holders.extend(others);
        }
        Some((need, holders))
    }
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
            let asks: Vec<_> = state.asks.values().map(Arc::clone).collect();
            drop(state);
            asks.iter().for_each(|ask| ask.fail(AskError::Deadlock(path.clone())));
        }
        changed
    }

    /// Opens the edge if it waits.
    fn watch(&self, state: &mut Awaits) -> Result<(), WaitPath> {
        let Some((need, holders)) = state.wait() else { return Ok(()) };
        state.edge = self.kernel.waits.open(|| self.waiter.clone(), need, holders)?;
        Ok(())
    }

    /// Awaits `asks` too; returns their number.
    pub(super) fn opens(&self, asks: Arc<dyn Awaited>) -> u64 {
        self.change(|state| {
            state.asks_ever += 1;
            state.asks.insert(state.asks_ever, asks);
            state.asks_ever
        })
    }

    /// Changes some of its asks, while it is no edge.
    pub(super) fn unseen<T>(&self, change: impl FnOnce() -> T) -> T {
        self.change(|_| change())
    }

    /// Awaits the asks called `number` no more, and closes them.
    pub(super) fn closes<T>(&self, number: u64, close: impl FnOnce() -> T) -> T {
        let (closed, asks) = self.change(|state| (close(), state.asks.remove(&number)));
        // Dropped outside of the lock: they may hold answers.
        drop(asks);
        closed
    }

    /// What its asks keep of the waker that they are polled with.
    pub(super) fn waker<'a>(&'a self, given: &'a Waker) -> &'a Waker {
        self.alarm.for_answers(given)
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
