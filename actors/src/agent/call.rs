//! One call of an agent: what goes in, what comes out, and how it may end.
//!
//! Slots make the calls; function, command and process agents answer them.
//!
//! # Invariants
//! - An [`AgentError`] says whose fault it is through its kind, and through [`AgentError::retry`] what to do next.
//! - Dropping the future of a call cancels it; [`Cancelled`] is for work that cannot be dropped.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::{Code, EventId, Refusal, Retry, TaskId};
use runtime::{
    ask::AskError,
    budget::Budget,
    clock::Moment,
    context::AskTarget,
    events::{Draft, Filter},
    waits::Need,
    work_cx::{Events, WorkCx},
};
use serde::{Deserialize, Serialize};

use super::{below::Origin, heartbeat::Heart};
use crate::{
    conversation::{Conversation, Opened, Seat, Talk, Voice},
    system::AgentSystem,
};

/// Does one piece of work at a time for whoever calls it.
pub trait Behaviour<I, O>: Send + Sync + 'static {
    /// Starts the work; nothing happens until the future is polled.
    ///
    /// # Errors
    /// The future resolves to an [`AgentError`] when the work was not done.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the work, with every process that belongs to it.
    fn call(&self, input: I, context: CallContext) -> BoxFuture<'static, Result<O, AgentError>>;

    /// The instance has ended, or starts anew: what is kept between calls goes. Nothing by default.
    fn rest(&self) {}

    /// Whether calls beyond what it does at a time wait in a line of its own; otherwise its slot holds them back.
    fn keeps_line(&self) -> bool {
        false
    }
}

/// Surrounds one call: which task and attempt it is, where progress goes, and whether it was cancelled.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The task that the part belongs to; with the part's id it is the idempotency key of effects.
    pub task: TaskId,
    /// Counts the attempts at this part from 1.
    pub attempt: u32,
    /// Takes what the agent says about its progress.
    pub progress: ProgressSink,
    /// What the call may use: tokens and money are reserved from it before they are spent; what the call asks, and the actors that
    /// it starts, are charged to it. None sets no limit.
    pub budget: Option<Budget>,
    /// Is set once nobody waits for the answer any more.
    pub cancelled: Cancelled,
    /// Gives asks, sleeps, time and dice of the node that the call runs on. None where it runs on no node.
    pub work: Option<WorkCx>,
    /// Where runs below the call start.
    pub(crate) system: Option<AgentSystem>,
    /// What it is part of. None for a call that somebody makes directly.
    pub(crate) origin: Option<Origin>,
}

impl CallContext {
    /// Makes the context of a first attempt whose progress nobody watches.
    pub fn new(task: TaskId) -> Self {
        let progress = ProgressSink::default();
        Self {
            task,
            attempt: 1,
            progress,
            budget: None,
            cancelled: Cancelled::default(),
            work: None,
            system: None,
            origin: None,
        }
    }

    /// Asks an agent or an actor and waits for the answer, at the most for `within`.
    ///
    /// # Errors
    /// See [`AskError`]: `Deadlock`, at once, where the answer could never come; `Refused` where the call runs on no node.
    ///
    /// # Cancel safety
    /// Dropping the future gives the ask up; a question already queued is still handled.
    pub async fn ask<K, Q, T>(
        &self,
        target: &K,
        question: Q,
        within: Duration,
    ) -> Result<T, AskError>
    where
        K: AskTarget<Q, T> + Sync,
        Q: Send + 'static,
        T: Send + 'static,
    {
        self.on_node()?.ask(target, question, within).await
    }

    /// Asks several agents or actors and waits until enough have answered or too few still can, at the most for `within`.
    ///
    /// An outcome for each question, in the order asked, as of [`WorkCx::ask_many`]; `Refused` where the call runs on no node.
    /// Dropping the future gives all of them up; questions already queued are still handled.
    pub async fn ask_many<K, Q, T>(
        &self,
        targets: impl IntoIterator<Item = (K, Q)> + Send,
        need: Need,
        within: Duration,
    ) -> Vec<Result<T, AskError>>
    where
        K: AskTarget<Q, T>,
        Q: Send + 'static,
        T: Send + 'static,
    {
        match self.on_node() {
            Ok(work) => work.ask_many(targets, need, within).await,
            Err(why) => targets.into_iter().map(|_| Err(why.clone())).collect(),
        }
    }

    /// Waits for `delay` by the clock of the node.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn sleep(&self, delay: Duration) -> Result<(), AskError> {
        self.on_node()?.sleep(delay).await;
        Ok(())
    }

    /// Throws the dice of the node once.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node.
    pub fn random(&self) -> Result<u64, AskError> {
        self.on_node().map(WorkCx::random)
    }

    /// Reads the clock of the node.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node.
    pub fn now(&self) -> Result<Moment, AskError> {
        self.on_node().map(WorkCx::now)
    }

    /// Subscribes to the events that pass `filter`, published from now on, until what is returned is dropped.
    ///
    /// Of the events for somebody, those come that are for this agent's name (`agent/rust` for the agent `rust`) or for the run
    /// in `filter`. A slow reader is told how many it missed.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node, or the node has too many subscriptions.
    pub fn subscribe(&self, filter: Filter) -> Result<Events, AskError> {
        Ok(self.on_node()?.subscribe(filter)?)
    }

    /// Publishes an event of this agent.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node, or the event is not valid; it then reaches nobody.
    pub fn publish(&self, draft: Draft) -> Result<EventId, AskError> {
        self.on_node()?.publish(draft).map_err(|error| Refusal::from(error).into())
    }

    /// Opens a conversation below this agent, charged to the call's budget unless it has one; it ends when what is returned is
    /// dropped, with the call at the latest.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node, or a name or the topic is not valid.
    pub fn open(&self, talk: Talk) -> Result<Opened, AskError> {
        Ok(talk.or_budget(self.budget.as_ref()).open_for(self.on_node()?)?)
    }

    /// Takes part in a conversation as `name`, until the seat that is returned is dropped.
    ///
    /// # Errors
    /// As [`Conversation::join`]; `Refused` where the call runs on no node.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it again.
    pub async fn join(
        &self,
        conversation: &Conversation,
        name: impl Into<Arc<str>>,
    ) -> Result<Seat, AskError> {
        let work = self.on_node()?.clone();
        conversation.join_with(name.into(), Some(work)).await
    }

    /// Speaks as the member whose voice it is, on behalf of this call: of the agent that heard something, for one.
    ///
    /// # Errors
    /// `Refused` where the call runs on no node.
    pub fn speak(&self, voice: &Voice) -> Result<Voice, AskError> {
        Ok(voice.clone().on_behalf(Some(self.on_node()?.clone())))
    }

    fn on_node(&self) -> Result<&WorkCx, AskError> {
        self.work.as_ref().ok_or_else(|| {
            let text =
                "this call runs on no node; start its agent on one to ask, sleep, throw dice or hear events";
            Refusal::new(Code::NotSupported, text).into()
        })
    }
}

/// Holds one part of a task, as an agent is given it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Numbers the parts of one task from 0.
    pub id: u32,
    /// Names the part for people.
    pub name: String,
    /// Classifies the part, so that agents can be matched to it.
    pub kind: String,
    /// The size of the part's content in bytes.
    pub bytes: u64,
    /// The part's files, relative to `root`.
    pub files: Vec<String>,
    /// The working directory of programs.
    pub root: PathBuf,
    /// What else the split has to say.
    #[serde(default)]
    pub data: serde_json::Value,
}

/// Gives the share of a call that is done, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Progress(f64);

impl Progress {
    /// Takes a share; outside of 0 to 1, and for no number, there is none.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// Gives the share, from 0 to 1.
    pub const fn share(self) -> f64 {
        self.0
    }
}

/// Takes the progress of one call to whoever watches it; the default watches nothing.
#[derive(Clone, Default)]
pub struct ProgressSink {
    watch: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    /// The heart of the call, where its agent declares a heartbeat, and what tells it the time.
    heart: Option<(Heart, WorkCx)>,
}

impl ProgressSink {
    /// Calls `watch` at each report; it must not block.
    pub fn new(watch: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Arc::new(watch)), heart: None }
    }

    /// Lets `heart` beat at each report.
    pub(crate) fn beating(self, heart: Heart, work: WorkCx) -> Self {
        Self { heart: Some((heart, work)), ..self }
    }

    /// Reports progress, which is a sign of life.
    pub fn report(&self, progress: Progress) {
        self.alive();
        if let Some(watch) = &self.watch {
            watch(progress);
        }
    }

    /// Shows that the agent is alive, where there is no progress to report: for agents that declare a
    /// [heartbeat](crate::agent::AgentBuilder::heartbeat).
    pub fn alive(&self) {
        if let Some((heart, work)) = &self.heart {
            heart.beat(work.now());
        }
    }
}

impl fmt::Debug for ProgressSink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (watched, beats) = (self.watch.is_some(), self.heart.is_some());
        write!(out, "ProgressSink(watched: {watched}, beats: {beats})")
    }
}

/// Tells work that cannot be dropped, such as a computation on its own thread, that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// Tells whether the call was cancelled; one relaxed load.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Cancels the call, for every clone.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Says why a call of an agent brought no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum AgentError {
    /// The agent did the work and says that it failed.
    #[error("{message}")]
    Failed {
        /// What the agent says.
        message: String,
    },
    /// The agent panicked.
    #[error("the agent panicked: {message}")]
    Panicked {
        /// The panic's text.
        message: String,
    },
    /// The agent gave no answer in time; its processes are dead.
    #[error("no answer within {after:?}; give the agent a longer timeout or smaller parts")]
    TimedOut {
        /// The time it had.
        after: Duration,
    },
    /// Nobody waits for the answer any more.
    #[error("cancelled")]
    Cancelled,
    /// The agent died, or was cut off, before it answered.
    #[error("the agent was lost: {reason}")]
    Lost {
        /// How it died.
        reason: String,
    },
    /// The agent answered with something that is not what it was to answer with.
    #[error("{what} printed {excerpt:?}, expected {expected}")]
    Garbage {
        /// Who answered.
        what: String,
        /// What was expected, and where the answer differs.
        expected: String,
        /// The beginning of the answer.
        excerpt: String,
    },
    /// The agent printed more than it may; its processes are dead.
    #[error("the agent printed more than {limit} bytes and was killed")]
    TooMuchOutput {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The agent's program is not installed.
    #[error("the program {program:?} was not found; install it, or mark the agent `optional`")]
    NotFound {
        /// The program, as it was asked for.
        program: String,
    },
    /// The agent's program is there, and this user may not run it.
    #[error("the program {program:?} is not executable; make it so: chmod +x {program}")]
    NotExecutable {
        /// The program's file.
        program: String,
    },
    /// The agent takes no work now and says when it may again.
    #[error("busy: {reason}; again in {after:?}")]
    Busy {
        /// Why: a rate limit, an open circuit, too much to do.
        reason: String,
        /// How long it asks to be left alone.
        after: Duration,
    },
    /// The call was not started: the circuit breaker of the agent's instance is open. It counts as no attempt.
    #[error("not called: {reason}; again in {after:?}")]
    Held {
        /// What the breaker says.
        reason: String,
        /// When the instance may be tried again.
        after: Duration,
    },
    /// The call was not even started, because it can never succeed.
    #[error("refused: {reason}")]
    Refused {
        /// Why, and what to change.
        reason: String,
    },
}

impl AgentError {
    /// Tells the caller what to do next: faults of the agent may go away elsewhere, faults of the call never do.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Failed { .. }
            | Self::Panicked { .. }
            | Self::TimedOut { .. }
            | Self::Lost { .. }
            | Self::Garbage { .. } => Retry::Elsewhere,
            Self::Busy { after, .. } | Self::Held { after, .. } => Retry::After(*after),
            Self::Cancelled
            | Self::TooMuchOutput { .. }
            | Self::NotFound { .. }
            | Self::NotExecutable { .. }
            | Self::Refused { .. } => Retry::Never,
        }
    }
}

impl AgentError {
    /// The kind of the error, as it stands in records and labels.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "failed",
            Self::Panicked { .. } => "panicked",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost { .. } => "lost",
            Self::Garbage { .. } => "garbage",
            Self::TooMuchOutput { .. } => "too_much_output",
            Self::NotFound { .. } => "not_found",
            Self::NotExecutable { .. } => "not_executable",
            Self::Busy { .. } => "busy",
            Self::Held { .. } => "held",
            Self::Refused { .. } => "refused",
        }
    }

    /// The same error with `more` behind its text, where it has one of its own.
    pub(crate) fn with(mut self, more: &str) -> Self {
        match &mut self {
            Self::Failed { message: text }
            | Self::Panicked { message: text }
            | Self::Lost { reason: text }
            | Self::Busy { reason: text, .. }
            | Self::Held { reason: text, .. }
            | Self::Refused { reason: text } => text.push_str(more),
            Self::TimedOut { .. }
            | Self::Cancelled
            | Self::Garbage { .. }
            | Self::TooMuchOutput { .. }
            | Self::NotFound { .. }
            | Self::NotExecutable { .. } => {}
        }
        self
    }
}

/// An ask that ended without an answer of the agent, as the error of its call.
impl From<AskError> for AgentError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::TimedOut(after) => Self::TimedOut { after },
            AskError::Cancelled => Self::Cancelled,
            AskError::Refused(refusal) => match refusal.retry() {
                Retry::After(after) => Self::Busy { reason: refusal.text, after },
                Retry::Never | Retry::Elsewhere => Self::Lost { reason: refusal.to_string() },
            },
            other @ (AskError::Dropped
            | AskError::Stopped
            | AskError::Full
            | AskError::Failed(_)
            | AskError::NodeLost
            | AskError::Deadlock(_)) => Self::Lost { reason: other.to_string() },
        }
    }
}

impl From<AgentError> for AskError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::TimedOut { after } => Self::TimedOut(after),
            AgentError::Cancelled => Self::Cancelled,
            AgentError::Lost { .. } => Refusal::from_error(Code::AgentLost, &error).into(),
            AgentError::NotFound { .. } | AgentError::NotExecutable { .. } => {
                Refusal::from_error(Code::UnknownTarget, &error).into()
            }
            AgentError::Busy { reason, after } | AgentError::Held { reason, after } => {
                Refusal::new(Code::Overloaded, reason).after(after).into()
            }
            AgentError::Refused { reason } => Refusal::new(Code::Invalid, reason).into(),
            AgentError::Failed { .. }
            | AgentError::Panicked { .. }
            | AgentError::Garbage { .. }
            | AgentError::TooMuchOutput { .. } => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_share_or_nothing() {
        assert_eq!(Progress::new(0.5).map(Progress::share), Some(0.5));
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Progress::new(wrong), None);
        }
    }

    #[test]
    fn a_cancelled_call_is_cancelled_in_every_clone() {
        let context = CallContext::new(TaskId::from_u128(7));
        let clone = context.clone();
        assert!(!clone.cancelled.is_set());
        context.cancelled.set();
        assert!(clone.cancelled.is_set());
    }

    #[test]
    fn an_error_crosses_as_a_tagged_object_and_keeps_its_advice() {
        let error = AgentError::TimedOut { after: Duration::from_secs(3) };
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json["error"], error.word());
        assert_eq!(serde_json::from_value::<AgentError>(json).unwrap(), error);
        assert_eq!(error.retry(), Retry::Elsewhere);
        assert_eq!(AgentError::Cancelled.retry(), Retry::Never);
    }
}
