//! Several questions of one call: a join, a race or a quorum, whose outcomes become one message.
//!
//! Made by [`Cx::call_many`](crate::context::Cx::call_many).
//!
//! # Invariants
//! - The call ends once: when enough have answered, when too few can still answer, or at its deadline.
//! - An edge leaves the graph before anyone can see that its call has ended.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    Answer, AskError, Reply,
    deadline::Asker,
    tally::{Outcomes, Tally},
};
use crate::{
    belongings::Cancel,
    clock::Moment,
    mailbox::Slot,
    timers::Due,
    waits::{Edge, Holder},
};

/// The questions of one call.
pub(crate) struct Join<T, M, F> {
    asker: Asker<M>,
    open: Mutex<Option<Open<T, F>>>,
}

struct Open<T, F> {
    into_message: F,
    tally: Tally<T>,
    /// Whether nothing of the step that asked is held back any more.
    step_is_over: bool,
    edge: Option<Edge>,
}

impl<T, M, F> Join<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Outcomes<T>) -> M + Send + 'static,
{
    /// Opens a call of the questions of `tally`, to end by `deadline`, which is `within` from now.
    pub(crate) fn open(
        (slot, incarnation): (&Arc<Slot<M>>, u32),
        tally: Tally<T>,
        (deadline, within): (Moment, Duration),
        into_message: F,
    ) -> Arc<Self> {
        let join = Arc::new(Self {
            asker: Asker::new(slot, incarnation, within),
            open: Mutex::new(Some(Open { into_message, tally, step_is_over: false, edge: None })),
        });
        join.asker.wait_until(deadline, Arc::<Self>::clone(&join));
        join
    }

    /// Ends a call that cannot begin, before anything is asked.
    pub(crate) fn begin(&self) {
        self.change(|open, _| open.tally.refused().map_or(Ok(()), Err));
    }

    /// The right to answer one of the questions.
    pub(crate) fn reply(self: &Arc<Self>, question: usize) -> Reply<T> {
        Reply::new(Arc::new(Branch { join: Arc::clone(self), question }))
    }

    /// Whether this question still wants an answer.
    pub(crate) fn wants(&self, question: usize) -> bool {
        self.open.lock().as_ref().is_some_and(|open| open.tally.wants(question))
    }

    /// One question was delivered to `holder`; after the last, and when the step is over, the wait is an edge.
    pub(crate) fn delivered(&self, question: usize, holder: Holder) {
        self.change(|open, asker| {
            open.tally.delivered(question, holder);
            open.watch(asker)
        });
    }

    /// One question has ended without an answer, or (`Ok`) with one.
    pub(crate) fn ended(&self, question: usize, outcome: Result<T, AskError>) -> bool {
        let met = outcome.is_ok();
        // What nobody wants is dropped after the lock is released.
        let mut outcome = Some(outcome);
        self.change(|open, asker| {
            let holder = open.tally.ended(question, &mut outcome);
            if outcome.is_some() {
                return Ok(());
            }
            if open.tally.is_over() {
                return Err(AskError::Cancelled);
            }
            match (&open.edge, holder) {
                (Some(edge), Some(holder)) => {
                    let waits = &asker.kernel.waits;
                    edge.answered(waits, holder, met).map_err(AskError::Deadlock)
                }
                _ => open.watch(asker),
            }
        });
        outcome.is_none()
    }

    fn passed(&self, question: usize, holder: Holder) {
        self.change(|open, asker| {
            let before = open.tally.passed(question, holder);
            let (Some(edge), Some(before)) = (&open.edge, before) else { return Ok(()) };
            edge.passed(&asker.kernel.waits, before, holder).map_err(AskError::Deadlock)
        });
    }

    /// Changes an open call; an error of `change` ends it, and is the outcome of every question that has none.
    fn change(&self, change: impl FnOnce(&mut Open<T, F>, &Slot<M>) -> Result<(), AskError>) {
        let mut open = self.open.lock();
        let Some(changed) = &mut *open else { return };
        let Err(rest) = change(changed, &self.asker.slot) else { return };
        let closed = close(&mut open);
        drop(open);
        self.asker.forget_deadline();
        self.finish(closed, &rest);
    }

    fn finish(&self, closed: Option<Open<T, F>>, rest: &AskError) {
        let Some(Open { into_message, tally, .. }) = closed else { return };
        let outcomes = tally.outcomes(rest);
        let Asker { slot, incarnation, .. } = &self.asker;
        slot.deliver_answer(*incarnation, || into_message(outcomes));
    }
}

/// Ends a call; its edge leaves the graph before anyone can see that it has ended.
fn close<T, F>(open: &mut Option<Open<T, F>>) -> Option<Open<T, F>> {
    let mut closed = open.take()?;
    drop(closed.edge.take());
    Some(closed)
}

impl<T, F> Open<T, F> {
    /// Opens the edge once every question that is still open was delivered and the step is over.
    fn watch<M>(&mut self, asker: &Slot<M>) -> Result<(), AskError> {
        if self.edge.is_some() || !self.step_is_over {
            return Ok(());
        }
        let Some((need, holders)) = self.tally.wait() else { return Ok(()) };
        let opened = asker.kernel.waits.open(|| asker.waiter(), need, holders);
        self.edge = opened.map_err(AskError::Deadlock)?;
        Ok(())
    }
}

impl<T, M, F> Due for Join<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Outcomes<T>) -> M + Send + 'static,
{
    fn due(&self) {
        let closed = close(&mut self.open.lock());
        self.finish(closed, &self.asker.timed_out());
    }
}

/// The asker's incarnation has ended: nobody waits.
impl<T, M, F> Cancel for Join<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Outcomes<T>) -> M + Send + 'static,
{
    fn is_waiting(&self) -> bool {
        self.open.lock().is_some()
    }

    fn step_is_over(&self) {
        self.change(|open, asker| {
            open.step_is_over = true;
            open.watch(asker)
        });
    }

    fn cancel(&self) {
        let closed = close(&mut self.open.lock());
        if closed.is_some() {
            self.asker.forget_deadline();
        }
    }
}

/// One question of a call.
struct Branch<T, M, F> {
    join: Arc<Join<T, M, F>>,
    question: usize,
}

impl<T, M, F> Answer<T> for Branch<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Outcomes<T>) -> M + Send + 'static,
{
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        self.join.ended(self.question, outcome)
    }

    fn is_wanted(&self) -> bool {
        self.join.wants(self.question)
    }

    fn asker(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.join.asker.slot.name))
    }

    fn held_by(&self, holder: Holder) {
        self.join.passed(self.question, holder);
    }
}
