//! What async work asks: one question, or several that end together, as a future.
//!
//! Made by [`WorkCx::ask`](super::WorkCx::ask) and [`WorkCx::ask_many`](super::WorkCx::ask_many). Those of a handler change while it is
//! no edge of the wait-for graph, so that the edge is always for what is still open.
//!
//! # Invariants
//! - They end once: when enough have answered, when too few can still answer, at their one deadline, or with their future.
//! - They have left the graph and the timer wheel before anybody can see that they have ended.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

use super::handler::{Awaited, Handler};
use crate::{
    actor::ActorId,
    address::{Delivery, PlaceInLine, Placed},
    ask::{Answer, AskError, Deadline, Outcomes, Reply, Tally},
    call::wanted,
    context::AskTarget,
    kernel::Kernel,
    lab::carried,
    timers::Due,
    waits::Holder,
};

/// The outcomes to come of some questions; dropped, it gives the asks up.
pub(super) struct Waiting<T: Send + 'static> {
    asks: Arc<Asks<T>>,
    /// Their number with the handler, where there is one.
    number: Option<u64>,
    /// Questions that wait for a place in a mailbox.
    lines: Vec<Box<dyn Placed>>,
}

/// Questions of async work that end together.
struct Asks<T> {
    kernel: Arc<Kernel>,
    handler: Option<Arc<Handler>>,
    within: Duration,
    deadline: Deadline,
    state: Mutex<State<T>>,
}

enum State<T> {
    /// Somebody waits; there is no tally between the end and its outcomes.
    Open {
        tally: Option<Tally<T>>,
        waker: Option<Waker>,
    },
    Done(Outcomes<T>),
    /// The outcomes were taken, or nobody wants them.
    Over,
}

impl<T: Send + 'static> Waiting<T> {
    /// Opens the questions of `tally`, to end `within` from now at the latest.
    pub(super) fn open(
        kernel: &Arc<Kernel>,
        handler: Option<Arc<Handler>>,
        tally: Tally<T>,
        within: Duration,
    ) -> Self {
        let asks = Arc::new(Asks {
            kernel: Arc::clone(kernel),
            handler,
            within,
            deadline: Deadline::default(),
            state: Mutex::new(State::Open { tally: Some(tally), waker: None }),
        });
        let number = asks.handler.as_ref().map(|of| of.opens(Arc::<Asks<T>>::clone(&asks)));
        asks.deadline.set(&kernel.timers, kernel.now() + within, Arc::<Asks<T>>::clone(&asks));
        Self { asks, number, lines: Vec::new() }
    }

    /// Asks one of the questions, unless nobody wants its answer any more.
    pub(super) fn ask<Q>(
        &mut self,
        number: usize,
        (target, question): (impl AskTarget<Q, T>, Q),
        from: ActorId,
    ) where
        Q: Send + 'static,
    {
        if !self.asks.wants(number) {
            return;
        }
        let (asks, kernel) = (Arc::clone(&self.asks), &self.asks.kernel);
        let to = kernel.lab.as_ref().and_then(|_| target.target_name());
        let line = carried(kernel, from, to, move |_| {
            let reply = Reply::new(Arc::new(Branch { asks: Arc::clone(&asks), number }));
            let (holder, place) = match target.deliver_question(question, reply, from) {
                Delivery::Refused(why, question) => {
                    asks.ended(number, Err(why));
                    drop(question);
                    return None;
                }
                Delivery::Done(holder) => (holder, None),
                Delivery::InLine(PlaceInLine(place)) => (place.holder(), Some(place)),
            };
            asks.delivered(number, holder);
            place.map(|place| wanted(place, move || asks.wants(number)))
        });
        self.lines.extend(line);
    }
}

impl<T: Send + 'static> Future for Waiting<T> {
    type Output = Outcomes<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { asks, lines, .. } = &mut *self;
        let waker = asks.handler.as_ref().map_or(cx.waker(), |of| of.waker(cx.waker()));
        // A place that is settled, or given up with the future, is left.
        lines.retain(|place| !place.is_settled(waker, false));
        let mut state = asks.state.lock();
        if let State::Open { waker: kept, .. } = &mut *state {
            let before = kept.replace(waker.clone());
            drop(state);
            // The last waker of a task may drop the task.
            drop(before);
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Done(outcomes) => Poll::Ready(outcomes),
            State::Open { .. } | State::Over => Poll::Ready(Vec::new()),
        }
    }
}

impl<T: Send + 'static> Drop for Waiting<T> {
    fn drop(&mut self) {
        let Self { asks, number, .. } = self;
        let close = || std::mem::replace(&mut *asks.state.lock(), State::Over);
        let left = match (&asks.handler, number) {
            (Some(handler), Some(number)) => handler.closes(*number, close),
            _ => close(),
        };
        if matches!(left, State::Open { .. }) {
            asks.deadline.forget(&asks.kernel.timers);
        }
    }
}

impl<T: Send + 'static> Asks<T> {
    /// Whether this question still wants an answer.
    fn wants(&self, question: usize) -> bool {
        match &*self.state.lock() {
            State::Open { tally: Some(tally), .. } => tally.wants(question),
            State::Open { .. } | State::Done(_) | State::Over => false,
        }
    }

    fn delivered(&self, question: usize, to: ActorId) {
        self.change(|tally| {
            tally.delivered(question, Holder::Actor(to));
            Ok(())
        });
    }

    /// One question has ended without an answer, or (`Ok`) with one.
    fn ended(&self, question: usize, outcome: Result<T, AskError>) -> bool {
        // What nobody wants is dropped after the locks are released.
        let mut outcome = Some(outcome);
        self.change(|tally| {
            tally.ended(question, &mut outcome);
            if tally.is_over() { Err(AskError::Cancelled) } else { Ok(()) }
        });
        outcome.is_none()
    }

    /// Changes what is open; an error of `change` ends it, and is the outcome of every question that has none.
    fn change(&self, change: impl FnOnce(&mut Tally<T>) -> Result<(), AskError>) {
        let change = || {
            let State::Open { tally, .. } = &mut *self.state.lock() else { return None };
            let rest = change(tally.as_mut()?).err()?;
            Some((tally.take()?, rest))
        };
        let ended = match &self.handler {
            Some(handler) => handler.unseen(change),
            None => change(),
        };
        if let Some((tally, rest)) = ended {
            self.deadline.forget(&self.kernel.timers);
            self.finish(tally.outcomes(&rest));
        }
    }

    fn finish(&self, outcomes: Outcomes<T>) {
        let mut state = self.state.lock();
        let State::Open { waker, .. } = &mut *state else { return };
        let waker = waker.take();
        *state = State::Done(outcomes);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Send + 'static> Awaited for Asks<T> {
    fn wait(&self) -> Option<(usize, Vec<Holder>)> {
        match &*self.state.lock() {
            State::Open { tally: Some(tally), .. } => tally.wait(),
            State::Open { .. } | State::Done(_) | State::Over => None,
        }
    }

    fn fail(&self, why: AskError) {
        self.change(|_| Err(why));
    }
}

impl<T: Send + 'static> Due for Asks<T> {
    fn due(&self) {
        self.fail(AskError::TimedOut(self.within));
    }
}

/// One of the questions.
struct Branch<T> {
    asks: Arc<Asks<T>>,
    number: usize,
}

impl<T: Send + 'static> Answer<T> for Branch<T> {
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        self.asks.ended(self.number, outcome)
    }

    fn is_wanted(&self) -> bool {
        self.asks.wants(self.number)
    }

    fn held_by(&self, holder: Holder) {
        self.asks.change(|tally| {
            tally.passed(self.number, holder);
            Ok(())
        });
    }
}
