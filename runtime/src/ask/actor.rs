//! An ask of an actor: its answer becomes a message to that actor.
//!
//! Made by [`Cx::ask`](crate::context::Cx::ask), and by [`Cx::call`](crate::context::Cx::call), whose asker serves nothing else
//! until the answer: that wait is an edge of the wait-for graph from the moment on when the question was delivered and all else that
//! the step recorded has left.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Answer, AskError, deadline::Asker};
use crate::{
    belongings::Cancel,
    clock::Moment,
    mailbox::Slot,
    telemetry::metrics::Stale,
    timers::Due,
    waits::{CallEdge, Holder},
};

/// One question of one incarnation.
pub(crate) struct ActorAsk<T, M, F> {
    asker: Asker<M>,
    /// Whether the asker serves nothing else.
    is_call: bool,
    open: Mutex<Option<Open<F>>>,
    answer: PhantomData<fn(T)>,
}

struct Open<F> {
    into_message: F,
    /// Who holds the question, where that was said before its delivery was seen, or it was delivered.
    holder: Option<Holder>,
    is_delivered: bool,
    /// Whether nothing of the step that asked is held back any more.
    step_is_over: bool,
    edge: Option<CallEdge>,
}

impl<T, M, F> ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    /// Opens an ask that ends at `deadline`, which is `within` from now and stands in the wheel before the question leaves.
    pub(crate) fn open(
        (slot, incarnation): (&Arc<Slot<M>>, u32),
        is_call: bool,
        (deadline, within): (Moment, Duration),
        into_message: F,
    ) -> Arc<Self> {
        let ask = Arc::new(Self {
            asker: Asker::new(slot, incarnation, within),
            is_call,
            open: Mutex::new(Some(Open {
                into_message,
                holder: None,
                is_delivered: false,
                step_is_over: false,
                edge: None,
            })),
            answer: PhantomData,
        });
        ask.asker.wait_until(deadline, Arc::<Self>::clone(&ask));
        ask
    }

    /// The question was delivered to `holder`, for whom a call waits; false if it has ended, be it because that wait never could.
    pub(crate) fn delivered(&self, holder: Holder) -> bool {
        if !self.is_call {
            return true;
        }
        self.wait_when(|open| {
            open.is_delivered = true;
            open.holder.get_or_insert(holder);
        })
    }

    /// Waits for the holder once the question was delivered and nothing else is held back; false if the call has ended.
    fn wait_when(&self, change: impl FnOnce(&mut Open<F>)) -> bool {
        let stuck = {
            let mut open = self.open.lock();
            let Some(open) = &mut *open else { return false };
            change(open);
            let Some(holder) = open.holder.filter(|_| open.is_delivered && open.step_is_over)
            else {
                return true;
            };
            let slot = &self.asker.slot;
            match slot.kernel.waits.call(&slot.word, || slot.waiter(), holder) {
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
        self.end(edge);
        Some(into_message)
    }

    /// Takes the edge out of the graph, with the call locked.
    fn end(&self, edge: Option<CallEdge>) {
        if let (Some(CallEdge::Word), Some(word)) = (edge, self.asker.slot.word.get()) {
            word.end();
        }
    }

    fn finish(&self, outcome: Result<T, AskError>) -> bool {
        let Some(into_message) = self.close() else { return false };
        let make = || into_message(outcome);
        let Asker { slot, incarnation, .. } = &self.asker;
        if self.is_call {
            slot.deliver_answer(*incarnation, make);
        } else {
            slot.deliver_made(*incarnation, Stale::Answer, make);
        }
        true
    }
}

impl<T, M, F> Due for ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    fn due(&self) {
        self.finish(Err(self.asker.timed_out()));
    }
}

impl<T, M, F> Answer<T> for ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        self.asker.forget_deadline();
        self.finish(outcome)
    }

    fn is_wanted(&self) -> bool {
        let Asker { slot, incarnation, .. } = &self.asker;
        // Whoever asked in an incarnation that has ended hears no answer.
        self.open.lock().is_some() && slot.is_in(*incarnation)
    }

    fn asker(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.asker.slot.name))
    }

    fn held_by(&self, holder: Holder) {
        if !self.is_call {
            return;
        }
        let passed = {
            let mut open = self.open.lock();
            let Some(open) = &mut *open else { return };
            let before = open.holder.replace(holder);
            let slot = &self.asker.slot;
            let waits = &slot.kernel.waits;
            match (&open.edge, before) {
                (Some(CallEdge::Graph(edge)), Some(before)) => edge.passed(waits, before, holder),
                (Some(CallEdge::Word), _) => {
                    self.end(open.edge.take());
                    let opened = waits.open(|| slot.waiter(), 1, holder);
                    opened.map(|edge| open.edge = edge.map(CallEdge::Graph))
                }
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
    fn is_waiting(&self) -> bool {
        self.open.lock().is_some()
    }

    fn step_is_over(&self) {
        self.wait_when(|open| open.step_is_over = true);
    }

    fn cancel(&self) {
        if self.close().is_some() {
            self.asker.forget_deadline();
        }
    }
}
