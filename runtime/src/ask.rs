//! Questions with a deadline: the reply that an actor answers with, and the cells that hold who waits for it.
//!
//! # Invariants
//! - Every ask ends exactly once: answered, refused, timed out, or unanswered because its [`Reply`] was dropped.
//! - An answered ask leaves the timer wheel at once.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    kernel::Kernel,
    mailbox::Slot,
    planted::{self, Planted},
    timers::{Due, TimerKey},
};

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
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
    /// The question was never delivered: a budget, a limit or the actor itself refused it; the text says which and why.
    #[error("refused: {0}")]
    Refused(String),
    /// The question was handled and failed; the text says how.
    #[error("{0}")]
    Failed(String),
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
    pub fn send(mut self, value: T) -> bool {
        self.0.take().is_some_and(|answer| answer.answer(Ok(value)))
    }

    /// Whether somebody still waits for the answer.
    pub fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|answer| answer.is_wanted())
    }
}

impl<T: 'static> Reply<T> {
    /// The same right for an answer that may be an error, which then ends the ask as [`AskError::Failed`].
    pub fn fallible<E: fmt::Display + 'static>(mut self) -> Reply<Result<T, E>> {
        Reply(
            self.0.take().map(|answer| Arc::new(Fallible(answer)) as Arc<dyn Answer<Result<T, E>>>),
        )
    }
}

struct Fallible<T>(Arc<dyn Answer<T>>);

impl<T, E: fmt::Display> Answer<Result<T, E>> for Fallible<T> {
    fn answer(&self, outcome: Result<Result<T, E>, AskError>) -> bool {
        self.0.answer(match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(AskError::Failed(error.to_string())),
            Err(error) => Err(error),
        })
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
}

/// An ask of an actor: the answer becomes a message to it.
pub(crate) struct ActorAsk<T, M, F> {
    asker: Arc<Slot<M>>,
    incarnation: u32,
    within: Duration,
    timer: OnceLock<TimerKey>,
    into_message: Mutex<Option<F>>,
    answer: PhantomData<fn(T)>,
}

impl<T, M, F> ActorAsk<T, M, F>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Result<T, AskError>) -> M + Send + 'static,
{
    /// Opens an ask whose deadline is in the wheel before the question leaves, so that no answer can miss it.
    pub(crate) fn open(
        asker: &Arc<Slot<M>>,
        incarnation: u32,
        within: Duration,
        into_message: F,
    ) -> Arc<Self> {
        let ask = Arc::new(Self {
            asker: Arc::clone(asker),
            incarnation,
            within,
            timer: OnceLock::new(),
            into_message: Mutex::new(Some(into_message)),
            answer: PhantomData,
        });
        let kernel = &asker.kernel;
        ask.timer
            .get_or_init(|| kernel.timers.insert(kernel.now() + within, Arc::<Self>::clone(&ask)));
        ask
    }

    fn finish(&self, outcome: Result<T, AskError>) -> bool {
        let Some(into_message) = self.into_message.lock().take() else { return false };
        self.asker.deliver_made(self.incarnation, || into_message(outcome));
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
        if waited && let Some(key) = self.timer.get() {
            self.asker.kernel.timers.cancel(*key);
        }
        waited
    }

    fn is_wanted(&self) -> bool {
        self.into_message.lock().is_some()
    }
}

/// An ask from outside: a future waits for the answer.
pub(crate) struct TaskAsk<T> {
    kernel: Arc<Kernel>,
    within: Duration,
    timer: OnceLock<TimerKey>,
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
            timer: OnceLock::new(),
            state: Mutex::new(TaskState::Waiting(None)),
        });
        ask.timer
            .get_or_init(|| kernel.timers.insert(kernel.now() + within, Arc::<Self>::clone(&ask)));
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
        let waited = self.finish(outcome);
        if waited && let Some(key) = self.timer.get() {
            self.kernel.timers.cancel(*key);
        }
        waited
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
        (Reply::new(Arc::<TaskAsk<T>>::clone(&ask)), Self(Waiter(ask)))
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
pub(crate) struct Waiter<T: Send + 'static>(pub(crate) Arc<TaskAsk<T>>);

impl<T: Send + 'static> Future for Waiter<T> {
    type Output = Result<T, AskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        match &mut *state {
            TaskState::Waiting(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            TaskState::Done(_) | TaskState::Over => {
                match std::mem::replace(&mut *state, TaskState::Over) {
                    TaskState::Done(outcome) => Poll::Ready(outcome),
                    TaskState::Waiting(_) | TaskState::Over => Poll::Ready(Err(AskError::Dropped)),
                }
            }
        }
    }
}

impl<T: Send + 'static> Drop for Waiter<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if matches!(*state, TaskState::Waiting(_)) {
            *state = TaskState::Over;
            drop(state);
            if let Some(key) = self.0.timer.get() {
                self.0.kernel.timers.cancel(*key);
            }
        }
    }
}
