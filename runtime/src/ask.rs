//! Questions with a deadline: the reply that an actor answers with, and the cells that hold who waits for it.
//!
//! # Invariants
//! - Every ask ends exactly once, by its deadline: answered, or with one [`AskError`]. A dropped [`Reply`] ends it too.
//! - An answered ask leaves the timer wheel before anyone hears of the answer.

mod actor;
mod deadline;
mod join;
mod tally;
mod through;

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use protocol::{Code, Refusal, Retry};

pub(crate) use self::{
    actor::ActorAsk,
    deadline::Deadline,
    join::Join,
    tally::{Outcomes, Tally},
};
use crate::{
    actor::ActorId,
    kernel::Kernel,
    planted::{self, Planted},
    timers::Due,
    waits::{Holder, WaitPath},
};

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The deadline passed; whether the question was or will be handled is not known.
    #[error("no answer within {0:?}; whether it was acted on is not known")]
    TimedOut(Duration),
    /// The actor dropped the reply: it ended, crashed on the question, or chose not to answer.
    #[error("the question was dropped without an answer")]
    Dropped,
    /// The actor has ended, so the question was never delivered.
    #[error("the actor has ended")]
    Stopped,
    /// The mailbox was full and its policy is to reject, so the question was never delivered.
    #[error("the mailbox is full")]
    Full,
    /// The question was handled and failed; the text says how.
    #[error("{0}")]
    Failed(String),
    /// The question was not acted on: a budget, a limit or the actor itself refused it, and says why and when to come again.
    #[error("refused: {}", .0.text)]
    Refused(Box<Refusal>),
    /// Nobody wants the answer any more, or what was asked was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The node that had the question is gone; whether it was acted on is not known.
    #[error("the node that had the question is lost; whether it was acted on is not known")]
    NodeLost,
    /// The answer could never come: everyone on this path waits for the next. The question may still be handled.
    #[error(
        "the wait could never end: {0}; let one of them ask without holding back its other messages, \
         or, if a task gives the answer, pass it `reply.delegated()`; give an agent that is asked back more concurrency"
    )]
    Deadlock(WaitPath),
}

impl AskError {
    /// The stable number by which this end is known on the wire.
    pub const fn code(&self) -> Code {
        match self {
            Self::TimedOut(_) => Code::DeadlinePassed,
            Self::Dropped => Code::AgentLost,
            Self::Stopped => Code::Unavailable,
            Self::Full => Code::Overloaded,
            Self::Failed(_) => Code::Failed,
            Self::Refused(refusal) => refusal.code,
            Self::Cancelled => Code::Cancelled,
            Self::NodeLost => Code::NodeLost,
            Self::Deadlock(_) => Code::Deadlock,
        }
    }

    /// This end as a refusal, for whoever asked from afar.
    pub fn refusal(&self) -> Refusal {
        if let Self::Refused(refusal) = self {
            return (**refusal).clone();
        }
        Refusal::new(self.code(), self.to_string())
    }

    /// What the asker does next.
    pub fn retry(&self) -> Retry {
        self.refusal().retry()
    }
}

impl From<Refusal> for AskError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<String> for AskError {
    fn from(failure: String) -> Self {
        Self::Failed(failure)
    }
}

/// The right to answer one ask, once.
///
/// Dropping it answers [`AskError::Dropped`], so nobody waits for an actor that forgot.
pub struct Reply<T>(Option<Arc<dyn Answer<T>>>);

impl<T> Reply<T> {
    pub(crate) fn new(answer: Arc<dyn Answer<T>>) -> Self {
        Self(Some(answer))
    }

    /// Answers at once, from outside of an actor's step; inside one, use [`Cx::reply`](crate::context::Cx::reply).
    ///
    /// Returns whether somebody still waited.
    pub fn send(self, value: T) -> bool {
        self.end(Ok(value))
    }

    /// Says at once, from outside of an actor's step, why there is no answer; inside one, use
    /// [`Cx::refuse`](crate::context::Cx::refuse).
    ///
    /// Returns whether somebody still waited.
    pub fn refuse(self, why: impl Into<AskError>) -> bool {
        self.end(Err(why.into()))
    }

    pub(crate) fn end(mut self, outcome: Result<T, AskError>) -> bool {
        self.0.take().is_some_and(|answer| answer.answer(outcome))
    }

    /// The same right, for somebody else to use: who asked no longer waits for the actor that has it now.
    ///
    /// An actor that passes a reply on (to another actor, to a task) and then calls somebody says so by this; else its call
    /// may be refused as a [`Deadlock`](AskError::Deadlock) with whoever waits for the reply.
    #[must_use = "dropping a reply answers it"]
    pub fn delegated(self) -> Self {
        self.held_by(Holder::Elsewhere);
        self
    }

    /// The same right, on its way to another actor that answers: a call waits for that one from now on.
    #[must_use = "dropping a reply answers it"]
    pub fn passed_to(self, actor: ActorId) -> Self {
        self.held_by(Holder::Actor(actor));
        self
    }

    /// Says who answers.
    pub(crate) fn held_by(&self, holder: Holder) {
        if let Some(answer) = &self.0 {
            answer.held_by(holder);
        }
    }

    /// The address of the actor that asked, if it is one.
    pub(crate) fn asker(&self) -> Option<Arc<str>> {
        self.0.as_ref()?.asker()
    }

    /// Ends the ask if whoever hands the question on cannot: then it is no matter what becomes of the reply.
    pub(crate) fn refuser(&self) -> Box<dyn FnOnce(AskError) + Send>
    where
        T: 'static,
    {
        let answer = self.0.clone();
        Box::new(move |why| {
            answer.map(|answer| answer.answer(Err(why)));
        })
    }

    /// Whether somebody still waits for the answer.
    pub fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|answer| answer.is_wanted())
    }
}

impl<T: 'static> Reply<T> {
    /// The same right for an answer that may be an error, which then ends the ask as the [`AskError`] that it stands for.
    pub fn fallible<E: Into<AskError> + 'static>(mut self) -> Reply<Result<T, E>> {
        Reply(
            self.0.take().map(|answer| Arc::new(Fallible(answer)) as Arc<dyn Answer<Result<T, E>>>),
        )
    }
}

struct Fallible<T>(Arc<dyn Answer<T>>);

impl<T, E: Into<AskError>> Answer<Result<T, E>> for Fallible<T> {
    fn answer(&self, outcome: Result<Result<T, E>, AskError>) -> bool {
        self.0.answer(outcome.and_then(|outcome| outcome.map_err(Into::into)))
    }

    fn held_by(&self, holder: Holder) {
        self.0.held_by(holder);
    }

    fn asker(&self) -> Option<Arc<str>> {
        self.0.asker()
    }

    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take()
            && !planted::strikes(Planted::ForgottenReply, 10)
        {
            answer.answer(Err(AskError::Dropped));
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reply(wanted: {})", self.is_wanted())
    }
}

/// Where an answer goes.
pub(crate) trait Answer<T>: Send + Sync {
    /// Takes the one answer; false if the ask had ended before.
    fn answer(&self, outcome: Result<T, AskError>) -> bool;
    /// Whether the ask is still open.
    fn is_wanted(&self) -> bool;
    /// Somebody else holds the question now; told only to those whose wait is an edge of the wait-for graph.
    fn held_by(&self, holder: Holder) {
        let _ = holder;
    }
    /// The address of the actor that asked, if it is one.
    fn asker(&self) -> Option<Arc<str>> {
        None
    }
}

/// An ask from outside: a future waits for the answer.
pub(crate) struct TaskAsk<T> {
    kernel: Arc<Kernel>,
    within: Duration,
    deadline: Deadline,
    state: Mutex<TaskState<T>>,
}

enum TaskState<T> {
    Waiting(Option<Waker>),
    Done(Result<T, AskError>),
    Over,
}

impl<T: Send + 'static> TaskAsk<T> {
    pub(crate) fn open(kernel: &Arc<Kernel>, within: Duration) -> Arc<Self> {
        let ask = Arc::new(Self {
            kernel: Arc::clone(kernel),
            within,
            deadline: Deadline::default(),
            state: Mutex::new(TaskState::Waiting(None)),
        });
        let due = Arc::<Self>::clone(&ask);
        ask.deadline.set(&kernel.timers, kernel.now() + within, due);
        ask
    }

    fn finish(&self, outcome: Result<T, AskError>) -> bool {
        let mut state = self.state.lock();
        let TaskState::Waiting(waker) = &mut *state else { return false };
        let waker = waker.take();
        *state = TaskState::Done(outcome);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<T: Send + 'static> Due for TaskAsk<T> {
    fn due(&self) {
        self.finish(Err(AskError::TimedOut(self.within)));
    }
}

impl<T: Send + 'static> Answer<T> for TaskAsk<T> {
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        self.deadline.forget(&self.kernel.timers);
        self.finish(outcome)
    }

    fn is_wanted(&self) -> bool {
        matches!(*self.state.lock(), TaskState::Waiting(_))
    }
}

/// The answer to come of an ask whose reply was made by [`Node::promise`](crate::node::Node::promise).
///
/// # Cancel safety
/// Dropping it gives the answer up.
pub struct Promise<T: Send + 'static>(Waiter<T>);

impl<T: Send + 'static> Promise<T> {
    /// A reply and the future that waits for it, at the most for `within`.
    pub(crate) fn open(kernel: &Arc<Kernel>, within: Duration) -> (Reply<T>, Self) {
        let ask = TaskAsk::open(kernel, within);
        (Reply::new(Arc::<TaskAsk<T>>::clone(&ask)), Self(Waiter::new(ask)))
    }
}

impl<T: Send + 'static> Future for Promise<T> {
    type Output = Result<T, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T: Send + 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Promise")
    }
}

/// Waits for the answer; dropping it gives the ask up.
pub(crate) struct Waiter<T: Send + 'static>(Option<Arc<TaskAsk<T>>>);

impl<T: Send + 'static> Waiter<T> {
    pub(crate) fn new(ask: Arc<TaskAsk<T>>) -> Self {
        Self(Some(ask))
    }
}

impl<T: Send + 'static> Future for Waiter<T> {
    type Output = Result<T, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(ask) = &self.0 else { return Poll::Ready(Err(AskError::Dropped)) };
        let mut state = ask.state.lock();
        if let TaskState::Waiting(waker) = &mut *state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let over = mem::replace(&mut *state, TaskState::Over);
        drop(state);
        self.0 = None;
        Poll::Ready(match over {
            TaskState::Done(outcome) => outcome,
            TaskState::Waiting(_) | TaskState::Over => Err(AskError::Dropped),
        })
    }
}

impl<T: Send + 'static> Drop for Waiter<T> {
    fn drop(&mut self) {
        let Some(ask) = &self.0 else { return };
        let mut state = ask.state.lock();
        if matches!(*state, TaskState::Waiting(_)) {
            *state = TaskState::Over;
            drop(state);
            ask.deadline.forget(&ask.kernel.timers);
        }
    }
}
