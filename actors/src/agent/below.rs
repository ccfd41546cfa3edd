//! Runs below a call: what an agent starts while it works, and what of its caller passes on to them.
//!
//! [`CallContext::run`] is the whole of it; an agent that does nothing else is a [`PatternAgent`]. Calls [`dispatch`](crate::dispatch).
//!
//! # Invariants
//! - A run below a call is over, or cancelled, when the call's future is dropped: whatever cancels the call cancels the run.
//! - All attempts at one piece of work have the same run below them, which goes on where it was; also after its node was lost.
//! - What such a run uses is charged to the run that it is below; its deadline is before that of its call.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use protocol::{RunId, TaskId};
use runtime::{
    clock::{Moment, Random as _, SeededRandom},
    supervisor::Command,
};

use super::call::{AgentError, Behaviour, CallContext};
use crate::{
    dispatch::{Canceller, Pattern, RunHandle},
    limits::{
        ACCEPT_WAIT, BELOW_BUSY_WAIT, BELOW_MARGIN_MAX, BELOW_MARGIN_OF, RUN_DEADLINE_DEFAULT,
    },
    pattern::{FailureKind, Outcome, RunError, Tally},
    system::AgentSystem,
};

/// Of which run a call is, by when it must have answered, and in which span of a trace it is.
#[derive(Clone, Debug)]
pub struct Origin {
    pub(crate) run: RunId,
    pub(crate) until: Moment,
    pub(crate) span: tracing::Span,
}

impl CallContext {
    /// Runs a pattern below this call, and waits for its outcome.
    ///
    /// It is cancelled with the call, charged to the call's budget, and ends a little before the call's time is up. `name` tells
    /// it from other runs of the same call. Another attempt at the same work, or the same attempt after its node was lost, takes
    /// up the run of that name where it was, so the pattern must be the same each time.
    ///
    /// A run that needs the very place that its call takes waits for it until its deadline: the two need agents of their own.
    ///
    /// # Errors
    /// See [`RunError`]: `Rejected` also where the call runs on no node, or the run of another attempt still goes on.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the run.
    pub async fn run<P: Pattern>(&self, name: &str, pattern: P) -> Outcome<P::Output> {
        self.begin(name, pattern).await?.outcome().await
    }

    /// Starts a run below this call, as [`run`](Self::run) does; ready when it is accepted.
    pub(crate) async fn begin<P: Pattern>(
        &self,
        name: &str,
        pattern: P,
    ) -> Result<Below<P::Output>, Box<RunError<P::Output>>> {
        let run = run_below(self.task, name);
        let Some(system) = &self.system else {
            let why = "this call runs on no node; start its agent on one".to_owned();
            let kind = FailureKind::Rejected { why };
            let (failed, tally) = (Vec::new(), Tally::default());
            return Err(Box::new(RunError { run, kind, partial: None, failed, tally }));
        };
        let left = self.origin.as_ref().map(|origin| system.node().now().until(origin.until));
        let within = left.map_or(RUN_DEADLINE_DEFAULT, before);
        let mut cut_off = CutOff { system: system.clone(), run, state: State::Begins };
        let started = system.run(pattern).id(run).deadline(within).below(self).start().await;
        // Whoever is refused has started nothing.
        cut_off.state = match &started {
            Ok(handle) => State::GoesOn(handle.canceller()),
            Err(_) => State::Over,
        };
        Ok(Below { handle: started?, cut_off })
    }
}

/// A run below a call that was accepted; dropping it, or the future of its outcome, cancels the run.
pub(crate) struct Below<T: Send + 'static> {
    handle: RunHandle<T>,
    cut_off: CutOff,
}

impl<T: Send + 'static> Below<T> {
    pub(crate) fn canceller(&self) -> Canceller {
        self.handle.canceller()
    }

    pub(crate) async fn outcome(self) -> Outcome<T> {
        let Self { handle, mut cut_off } = self;
        let outcome = handle.outcome().await;
        cut_off.state = State::Over;
        outcome
    }
}

/// The time of a run below a call that has this time: a little less, so that what comes of it reaches the call.
fn before(left: Duration) -> Duration {
    left.saturating_sub((left / BELOW_MARGIN_OF).min(BELOW_MARGIN_MAX))
}

/// The id of the run of this name below all attempts at a task: it begins as the task's does, and so as that of the run above.
pub(crate) fn run_below(task: TaskId, name: &str) -> RunId {
    // FNV-1a, by G. Fowler, L. C. Noll and K.-P. Vo: any hash would do that stays the same for ever.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let end = u64::try_from(task.as_u128() & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    let begin = task.as_u128() >> 64 << 64;
    let mixed = SeededRandom::new(SeededRandom::new(end).next_u64() ^ hash).next_u64();
    RunId::from_u128(begin | u128::from(mixed))
}

/// Cuts a run off when the call that waits for it is dropped.
struct CutOff {
    system: AgentSystem,
    run: RunId,
    state: State,
}

enum State {
    /// It may have started or not.
    Begins,
    GoesOn(Canceller),
    Over,
}

impl Drop for CutOff {
    fn drop(&mut self) {
        match &self.state {
            State::Over => {}
            State::GoesOn(canceller) => canceller.cancel(),
            State::Begins => {
                // In line behind its start.
                let (to, _) = self.system.node().promise(ACCEPT_WAIT);
                let end = Command::terminate_child(self.run.to_string(), to);
                if let Err(error) = self.system.runs().addr().try_tell(end) {
                    tracing::warn!(run = %self.run, ?error, "a run whose call was dropped may go on");
                }
            }
        }
    }
}

/// An agent that runs a pattern for each of its calls.
pub struct PatternAgent<F> {
    name: Arc<str>,
    make: Arc<F>,
}

impl<F> PatternAgent<F> {
    /// Runs what `make` makes of an input, as the run `name` below the call.
    pub fn new(name: &str, make: F) -> Self {
        Self { name: name.into(), make: Arc::new(make) }
    }
}

impl<I, P, F> Behaviour<I, P::Output> for PatternAgent<F>
where
    I: Send + 'static,
    P: Pattern,
    F: Fn(I, CallContext) -> P + Send + Sync + 'static,
{
    fn call(
        &self,
        input: I,
        context: CallContext,
    ) -> BoxFuture<'static, Result<P::Output, AgentError>> {
        let (name, make) = (Arc::clone(&self.name), Arc::clone(&self.make));
        Box::pin(async move {
            let pattern = make(input, context.clone());
            let done = context.run(&name, pattern).await;
            done.map(|done| done.value).map_err(|error| error.kind.into())
        })
    }
}

impl<F> fmt::Debug for PatternAgent<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PatternAgent({})", self.name)
    }
}

impl From<FailureKind> for AgentError {
    /// What the failure of a run below a call is for the call: what no other attempt changes is a refusal.
    fn from(kind: FailureKind) -> Self {
        let why = kind.to_string();
        match kind {
            FailureKind::Rejected { .. } => Self::Busy { reason: why, after: BELOW_BUSY_WAIT },
            FailureKind::Invalid { .. }
            | FailureKind::Split { .. }
            | FailureKind::OverBudget { .. } => Self::Refused { reason: why },
            FailureKind::Parts { .. }
            | FailureKind::Reduce { .. }
            | FailureKind::NoAnswer { .. }
            | FailureKind::Aborted { .. } => Self::Failed { message: why },
            FailureKind::TimedOut { after, .. } => Self::TimedOut { after },
            FailureKind::Cancelled { .. } => Self::Cancelled,
            FailureKind::NodeLost { .. } => Self::Lost { reason: why },
        }
    }
}
