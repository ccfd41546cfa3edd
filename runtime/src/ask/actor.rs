//! An ask of an actor: its answer becomes a message to that actor.
//!
//! Made by [`Cx::ask`](crate::context::Cx::ask), and by [`Cx::call`](crate::context::Cx::call), whose asker serves nothing else
//! until the answer: that wait is an edge of the wait-for graph from the question's delivery on.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Answer, AskError};
use crate::{
    belongings::Cancel,
    clock::Moment,
    mailbox::Slot,
    timers::{Due, TimerKey},
    waits::{Edge, Holder},
};

/// One question of one incarnation.
pub(crate) struct ActorAsk<T, M, F> {
    asker: Arc<Slot<M>>,
    incarnation: u32,
    within: Duration,
    /// Whether the asker serves nothing else.
    is_call: bool,
    timer: OnceLock<TimerKey>,
    open: Mutex<Option<Open<F>>>,
    answer: PhantomData<fn(T)>,
}

struct Open<F> {
    into_message: F,
    /// Who holds the question, where that was said before its delivery was seen.
    holder: Option<Holder>,
    edge: Option<Edge>,
}

impl<T, M, F> ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    /// Opens an ask that ends at `deadline`, which is `within` from now and stands in the wheel before the question leaves.
    pub(crate) fn open(
        (asker, incarnation): (&Arc<Slot<M>>, u32),
        is_call: bool,
        (deadline, within): (Moment, Duration),
        into_message: F,
    ) -> Arc<Self> {
        let ask = Arc::new(Self {
            asker: Arc::clone(asker),
            incarnation,
            within,
            is_call,
            timer: OnceLock::new(),
            open: Mutex::new(Some(Open { into_message, holder: None, edge: None })),
            answer: PhantomData,
        });
        ask.timer.get_or_init(|| asker.kernel.timers.insert(deadline, Arc::<Self>::clone(&ask)));
        ask
    }

    /// Waits for `holder`, to whom the question was delivered; false if the ask has ended, be it because that wait never could.
    pub(crate) fn wait_for(&self, holder: Holder) -> bool {
        let stuck = {
            let mut open = self.open.lock();
            let Some(open) = &mut *open else { return false };
            let holder = *open.holder.get_or_insert(holder);
            let opened = self.asker.kernel.waits.open(self.asker.waiter(), 1, vec![holder]);
            match opened {
                Ok(edge) => {
                    open.edge = edge;
                    return true;
                }
                Err(path) => path,
            }
        };
        self.answer(Err(AskError::Deadlock(stuck)));
        false
    }

    /// Ends the ask; its edge leaves the graph before anyone can see that it has ended.
    fn close(&self) -> Option<F> {
        let mut open = self.open.lock();
        let Open { into_message, edge, .. } = open.take()?;
        drop(edge);
        Some(into_message)
    }

    fn finish(&self, outcome: Result<T, AskError>) -> bool {
        let Some(into_message) = self.close() else { return false };
        let make = || into_message(outcome);
        if self.is_call {
            self.asker.deliver_answer(self.incarnation, make);
        } else {
            self.asker.deliver_made(self.incarnation, make);
        }
        true
    }

    fn forget_deadline(&self) {
        if let Some(key) = self.timer.get() {
            self.asker.kernel.timers.cancel(*key);
        }
    }
}

impl<T, M, F> Due for ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    fn due(&self) {
        self.finish(Err(AskError::TimedOut(self.within)));
    }
}

impl<T, M, F> Answer<T> for ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        let waited = self.finish(outcome);
        if waited {
            self.forget_deadline();
        }
        waited
    }

    fn is_wanted(&self) -> bool {
        self.open.lock().is_some()
    }

    fn asker(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.asker.name))
    }

    fn held_by(&self, holder: Holder) {
        if !self.is_call {
            return;
        }
        let passed = {
            let mut open = self.open.lock();
            let Some(open) = &mut *open else { return };
            let before = open.holder.replace(holder);
            match (&open.edge, before) {
                (Some(edge), Some(before)) => edge.passed(before, holder),
                _ => return,
            }
        };
        if let Err(path) = passed {
            self.answer(Err(AskError::Deadlock(path)));
        }
    }
}

/// The asker's incarnation has ended: nobody waits.
impl<T, M, F> Cancel for ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    fn cancel(&self) {
        if self.close().is_some() {
            self.forget_deadline();
        }
    }
}
