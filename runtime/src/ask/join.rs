//! Several questions of one call: a join, a race or a quorum, whose outcomes become one message.
//!
//! Made by [`Cx::call_many`](crate::context::Cx::call_many).
//!
//! # Invariants
//! - The call ends once: when enough have answered, when too few can still answer, or at its deadline.
//! - Every question has one outcome, in the order in which they were asked.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Answer, AskError, Reply, deadline::Asker};
use crate::{
    belongings::Cancel,
    clock::Moment,
    mailbox::Slot,
    timers::Due,
    waits::{Edge, Holder},
};

/// The outcome of each question.
type Outcomes<T> = Vec<Result<T, AskError>>;

/// The questions of one call.
pub(crate) struct Join<T, M, F> {
    asker: Asker<M>,
    open: Mutex<Option<Open<T, F>>>,
}

struct Open<T, F> {
    into_message: F,
    /// Answers that are still needed.
    need: usize,
    questions: Vec<Question<T>>,
    /// Whether nothing of the step that asked is held back any more.
    step_is_over: bool,
    edge: Option<Edge>,
}

enum Question<T> {
    /// Not delivered yet, unless somebody has said that they hold it.
    Asked(Option<Holder>),
    /// With whoever it was delivered to or passed on to.
    Held(Holder),
    Ended(Result<T, AskError>),
}

impl<T> Question<T> {
    fn is_open(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }

    fn holder(&self) -> Option<Holder> {
        match self {
            Self::Asked(holder) => *holder,
            Self::Held(holder) => Some(*holder),
            Self::Ended(_) => None,
        }
    }
}

impl<T, M, F> Join<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Outcomes<T>) -> M + Send + 'static,
{
    /// Opens a call of `questions`, of which `need` must be answered by `deadline`, which is `within` from now.
    pub(crate) fn open(
        (slot, incarnation): (&Arc<Slot<M>>, u32),
        (need, questions): (usize, usize),
        (deadline, within): (Moment, Duration),
        into_message: F,
    ) -> Arc<Self> {
        let asked = (0..questions).map(|_| Question::Asked(None)).collect();
        let join = Arc::new(Self {
            asker: Asker::new(slot, incarnation, within),
            open: Mutex::new(Some(Open {
                into_message,
                need,
                questions: asked,
                step_is_over: false,
                edge: None,
            })),
        });
        join.asker.wait_until(deadline, Arc::<Self>::clone(&join));
        join
    }

    /// Ends a call that is refused, or needs no answer, before anything is asked.
    pub(crate) fn begin(&self, refused: Option<AskError>) {
        self.change(|open, _| match refused {
            Some(why) => Err(why),
            None if open.need == 0 => Err(AskError::Cancelled),
            None => Ok(()),
        });
    }

    /// The right to answer one of the questions.
    pub(crate) fn reply(self: &Arc<Self>, question: usize) -> Reply<T> {
        Reply::new(Arc::new(Branch { join: Arc::clone(self), question }))
    }

    /// Whether this question still wants an answer.
    pub(crate) fn wants(&self, question: usize) -> bool {
        let open = self.open.lock();
        let questions = open.as_ref().map(|open| &open.questions);
        questions.and_then(|all| all.get(question)).is_some_and(Question::is_open)
    }

    /// One question was delivered to `holder`; after the last, and when the step is over, the wait is an edge.
    pub(crate) fn delivered(&self, question: usize, holder: Holder) {
        self.change(|open, asker| {
            if let Some(question) = open.questions.get_mut(question)
                && let Question::Asked(said) = question
            {
                *question = Question::Held(said.unwrap_or(holder));
            }
            open.watch(asker)
        });
    }

    /// One question has ended without an answer, or (`Ok`) with one.
    pub(crate) fn ended(&self, question: usize, outcome: Result<T, AskError>) -> bool {
        // What nobody wants is dropped after the lock is released.
        let mut outcome = Some(outcome);
        self.change(|open, asker| {
            let of = open.questions.get_mut(question).filter(|question| question.is_open());
            let Some(of) = of else { return Ok(()) };
            let Some(outcome) = outcome.take() else { return Ok(()) };
            let (holder, met) = (of.holder(), outcome.is_ok());
            *of = Question::Ended(outcome);
            open.need = open.need.saturating_sub(usize::from(met));
            let left = open.questions.iter().filter(|question| question.is_open()).count();
            if open.need == 0 || left < open.need {
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
            let Some(of) = open.questions.get_mut(question) else { return Ok(()) };
            match of {
                Question::Asked(said) => *said = Some(holder),
                Question::Held(held) => {
                    let before = std::mem::replace(held, holder);
                    if let Some(edge) = &open.edge {
                        let passed = edge.passed(&asker.kernel.waits, before, holder);
                        return passed.map_err(AskError::Deadlock);
                    }
                }
                Question::Ended(_) => {}
            }
            Ok(())
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
        let Some(Open { into_message, questions, .. }) = closed else { return };
        let outcomes = questions.into_iter().map(|question| match question {
            Question::Ended(outcome) => outcome,
            Question::Asked(_) | Question::Held(_) => Err(rest.clone()),
        });
        let outcomes = outcomes.collect();
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
        let mut holders = Vec::new();
        for question in &self.questions {
            match question {
                Question::Asked(_) => return Ok(()),
                Question::Held(holder) => holders.push(*holder),
                Question::Ended(_) => {}
            }
        }
        let opened = asker.kernel.waits.open(|| asker.waiter(), self.need, holders);
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
