//! Dispatch: admits a run, starts the coordinator that its pattern names, and waits for its outcome.
//!
//! Called by [`AgentSystem::run`]; calls admission and the pattern. A run is acknowledged once its first record is durable.

use std::{
    fmt,
    future::{self, Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::{MessageId, RunId};
use runtime::{
    actor::{Actor, ExitReason},
    address::{Addr, TellError},
    admission::{Admitted, Credit, Request},
    ask::{AskError, Promise, Reply},
    budget::{Budget, Limits},
    child::ChildRef,
    clock::Moment,
    spawn::Spawn,
    supervisor::{ChildError, ChildSpec, Command, Restart},
};

use crate::{
    agent::{CallContext, below::Origin},
    limits::{ACCEPT_WAIT, PARTIAL_REDUCE_WAIT, QUIESCENCE_WAIT, RUN_DEADLINE_DEFAULT},
    pattern::{Brief, FailureKind, Outcome, PatternKind, RunError, Tally},
    system::AgentSystem,
};

/// A pattern that can be run: it makes its own coordinator.
pub trait Pattern: Send + 'static {
    /// What a run of it brings.
    type Output: Send + 'static;

    /// Makes the coordinator, to be started by dispatch.
    #[doc(hidden)]
    fn launch(self, launch: Launch<Self::Output>) -> Coordination;
}

/// What a coordinator is made with. Made by dispatch.
#[doc(hidden)]
pub struct Launch<T> {
    pub(crate) system: AgentSystem,
    pub(crate) run: RunId,
    /// The time until its deadline.
    pub(crate) within: Duration,
    pub(crate) budget: Budget,
    /// The call that it is below, where it is below one.
    pub(crate) origin: Option<Origin>,
    /// Its place among the active ones; none of its own below a call.
    place: Option<Arc<ActivePlace>>,
    /// Told how the run ended, once.
    pub(crate) outcome: Reply<Outcome<T>>,
}

impl<T> fmt::Debug for Launch<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Launch({}, within {:?})", self.run, self.within)
    }
}

/// A run's place among the active ones: held by its coordinator, so that it is free when that has ended, whoever has lost interest.
pub(crate) struct ActivePlace(Mutex<(Option<Admitted>, Option<Credit>)>);

impl ActivePlace {
    fn of(admitted: Admitted) -> Arc<Self> {
        Arc::new(Self(Mutex::new((Some(admitted), None))))
    }

    /// The run is accepted, durably: its request is remembered.
    fn commit(&self, now: Moment) {
        let (admitted, credit) = &mut *self.0.lock();
        *credit = admitted.take().map(|admitted| admitted.commit(now));
    }
}

/// A coordinator to be started, whatever its pattern is. Made by the patterns.
#[doc(hidden)]
pub struct Coordination {
    spec: ChildSpec,
    /// How the child is steered that it becomes.
    steer: fn(&ChildRef) -> Option<Arc<dyn Steer>>,
}

impl fmt::Debug for Coordination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Coordination({:?})", self.spec)
    }
}

/// What is asked of any coordinator.
trait Steer: Send + Sync {
    fn accepted(&self, within: Duration) -> BoxFuture<'_, Result<(), AskError>>;
    fn cancel(&self);
    fn stopped(&self) -> BoxFuture<'_, ExitReason>;
}

/// What any coordinator is told, whatever else it is.
pub(crate) trait Steered: Send + 'static {
    /// To say when the run is accepted, durably.
    fn accepted(to: Reply<()>) -> Self;
    /// To end the run as cancelled.
    fn cancel() -> Self;
}

impl<T: Send + 'static> Launch<T> {
    /// A coordinator of `pattern`, whose journal is the run's; `make` makes it, with whoever waits for the outcome.
    ///
    /// Its end is final: one that crashes ends its run as lost.
    pub(crate) fn start<A: Actor<Msg: Steered>>(
        self,
        pattern: PatternKind,
        mut make: impl FnMut(Brief, Option<Reply<Outcome<T>>>) -> A + Send + 'static,
    ) -> Coordination {
        let Self { system, run, within, budget, origin, place, outcome } = self;
        let mut outcome = Some(outcome);
        let counters = system.counters(pattern);
        let brief = Brief { counters, system, run, within, budget, origin, _place: place };
        let birth = move || make(brief.clone(), outcome.take());
        let spawn = Spawn::named(run.to_string()).journal(run);
        let spec = ChildSpec::new(spawn, birth).restart(Restart::Temporary);
        Coordination { spec, steer: |child| Some(Arc::new(child.addr::<A::Msg>()?)) }
    }
}

impl<M: Steered> Steer for Addr<M> {
    fn accepted(&self, within: Duration) -> BoxFuture<'_, Result<(), AskError>> {
        Box::pin(self.ask(M::accepted, within))
    }

    fn cancel(&self) {
        // A coordinator whose mailbox is too full to take it is ended at once; its journal has what it did.
        if let Err(TellError::Full(_)) = self.try_tell(M::cancel()) {
            tracing::warn!(coordinator = self.name(), "coordinator takes no cancel, ended at once");
            Self::cancel(self);
        }
    }

    fn stopped(&self) -> BoxFuture<'_, ExitReason> {
        Box::pin(async move {
            let reason = Self::stopped(self).await;
            tracing::debug!(coordinator = self.name(), %reason, "coordinator ended");
            reason
        })
    }
}

/// A coordinator that ended before it had started.
struct Over(ExitReason);

impl Steer for Over {
    fn accepted(&self, _: Duration) -> BoxFuture<'_, Result<(), AskError>> {
        Box::pin(future::ready(Err(AskError::Stopped)))
    }

    fn cancel(&self) {}

    fn stopped(&self) -> BoxFuture<'_, ExitReason> {
        Box::pin(future::ready(self.0.clone()))
    }
}

/// A run before it starts. Awaiting it starts it and waits for its outcome.
#[must_use = "a run starts when it is awaited or its `start` is called"]
pub struct RunBuilder<P: Pattern> {
    system: AgentSystem,
    pattern: P,
    within: Duration,
    limits: Limits,
    run: Option<RunId>,
    key: Option<MessageId>,
    /// The call that it is below: its budget, and the run that the call is of.
    above: (Option<Budget>, Option<Origin>),
}

impl<P: Pattern> RunBuilder<P> {
    pub(crate) fn new(system: AgentSystem, pattern: P) -> Self {
        let (within, limits) = (RUN_DEADLINE_DEFAULT, Limits::default());
        Self { system, pattern, within, limits, run: None, key: None, above: (None, None) }
    }

    /// Ends the run after `within`, whatever it has by then; one hour by default.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Limits what the run may use, its agents included while they work for it.
    ///
    /// `messages` are its attempts at parts and what its agents ask, `children` the actors that they start by their call context,
    /// `depth` the levels of those; `wall_clock` is the time that each life of the run has, and the outcome names the budget where that is
    /// over before the deadline; tokens and money are what agents reserve of the budget in their call context. A run that is taken up
    /// again goes on with what its earlier lives have left of these. What the run's own actor says to the roster costs nothing.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives the run its id: a new one, or that of a run in the journal, which is then resumed.
    pub fn id(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Names the request, so that a repetition of it is refused.
    pub fn idempotency_key(mut self, key: MessageId) -> Self {
        self.key = Some(key);
        self
    }

    /// Puts the run below a call: what it uses is charged to the call's budget, and the door is not asked, which the run above has
    /// passed already.
    pub(crate) fn below(mut self, call: &CallContext) -> Self {
        self.above = (call.budget.clone(), call.origin.clone());
        self
    }

    /// Starts the run; ready when it is accepted, durably.
    ///
    /// # Errors
    /// The run was not accepted; nothing was started.
    ///
    /// # Cancel safety
    /// Dropping the future after its first poll may leave the run started; it then ends by its deadline.
    pub async fn start(self) -> Result<RunHandle<P::Output>, Box<RunError<P::Output>>> {
        let Self { system, pattern, within, limits, run, key, above: (above, origin) } = self;
        let node = system.node().clone();
        let run = run.unwrap_or_else(|| node.new_run());
        if let Some(why) = closed(&system) {
            return Err(failed(run, FailureKind::Rejected { why: why.to_owned() }));
        }
        let request = Request {
            id: key.unwrap_or_else(|| MessageId::from_u128(node.new_run().as_u128())),
            time_left: Some(limits.wall_clock.map_or(within, |wall_clock| wall_clock.min(within))),
        };
        let place = match &origin {
            Some(_) => None,
            None => {
                let admitted = system.admission().admit(&request, node.now());
                Some(ActivePlace::of(admitted.map_err(|refusal| rejected(run, &refusal))?))
            }
        };
        let patience = within + QUIESCENCE_WAIT + PARTIAL_REDUCE_WAIT + ACCEPT_WAIT;
        let (outcome, promise) = node.promise(patience);
        let limits =
            Limits { wall_clock: limits.wall_clock.filter(|time| *time < within), ..limits };
        let (by, name) = (node.now() + ACCEPT_WAIT, budget_name(run));
        let budget = match above {
            Some(above) => above.subtree(&name, limits, node.now()),
            None => Budget::root(name, limits, node.now()),
        };
        let held = place.clone();
        let launch =
            Launch { system: system.clone(), run, within, budget, origin, place: held, outcome };
        let steer = match Box::pin(begin(&system, run, pattern.launch(launch))).await {
            Ok(steer) => steer,
            Err(why) => return Err(failed(run, FailureKind::Rejected { why })),
        };
        match steer.accepted(node.now().until(by)).await {
            // A coordinator that has ended already has told its outcome, or was lost: the promise says which.
            Ok(()) | Err(AskError::Stopped | AskError::Dropped) => {
                place.iter().for_each(|place| place.commit(node.now()));
                Ok(RunHandle { run, steer, promise })
            }
            Err(error) => {
                steer.cancel();
                let why = format!("the journal took no record: {error}");
                Err(failed(run, FailureKind::Rejected { why }))
            }
        }
    }
}

/// Why the node can have no more runs, if it cannot.
pub(crate) fn closed(system: &AgentSystem) -> Option<&'static str> {
    if system.node().is_halted() {
        Some("the node was stopped in an emergency; open another")
    } else if system.roster().is_stopped() {
        Some("the roster of the node's agents has ended; open another node")
    } else {
        None
    }
}

/// Starts the coordinator of `run` below the node's supervisor of runs.
///
/// # Errors
/// Why the run is not accepted.
async fn begin(
    system: &AgentSystem,
    run: RunId,
    coordination: Coordination,
) -> Result<Arc<dyn Steer>, String> {
    let (Coordination { spec, steer }, runs) = (coordination, system.runs());
    Err(match runs.start_child(spec, ACCEPT_WAIT).await {
        Ok(child) => return steer(&child).ok_or_else(|| format!("{child:?} is no coordinator")),
        Err(ChildError::Failed(reason)) => return Ok(Arc::new(Over(reason))),
        // A run may be resumed as often as it takes, but not while it still goes on.
        Err(ChildError::AlreadyStarted(_) | ChildError::AlreadyPresent(_)) => {
            format!("run {run} still goes on; wait for its end or cancel it first")
        }
        Err(ChildError::TooMany) => "too many runs go on; wait for the end of some".to_owned(),
        Err(ChildError::Unanswered(AskError::Stopped | AskError::Dropped)) => {
            "the node was stopped; open another".to_owned()
        }
        Err(
            late @ (ChildError::NotFound(_)
            | ChildError::Running(_)
            | ChildError::Restarting(_)
            | ChildError::Unanswered(_)),
        ) => {
            // Whether it starts later is not known: it shall not.
            let (to, _) = system.node().promise(ACCEPT_WAIT);
            if let Err(error) = runs.addr().try_tell(Command::terminate_child(run.to_string(), to))
            {
                tracing::warn!(%run, ?error, "a run that was not accepted may still start");
            }
            format!("its coordinator did not start: {late}")
        }
    })
}

impl<P: Pattern> IntoFuture for RunBuilder<P> {
    type Output = Outcome<P::Output>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.outcome().await })
    }
}

impl<P: Pattern> fmt::Debug for RunBuilder<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RunBuilder({:?}, within {:?})", self.run, self.within)
    }
}

/// A run that was accepted. Dropping it leaves the run to its deadline; its outcome is then in the journal alone.
pub struct RunHandle<T: Send + 'static> {
    run: RunId,
    steer: Arc<dyn Steer>,
    promise: Promise<Outcome<T>>,
}

impl<T: Send + 'static> RunHandle<T> {
    /// The run's id.
    pub fn id(&self) -> RunId {
        self.run
    }

    /// What cancels the run, to be kept where the cancel comes from.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.steer))
    }

    /// Waits for the outcome; it comes at the latest a moment after the deadline.
    ///
    /// # Errors
    /// See [`RunError`]: why the run did not complete, and what there is of it.
    ///
    /// # Cancel safety
    /// The run goes on when the future is dropped; its outcome is in the journal.
    pub async fn outcome(self) -> Outcome<T> {
        let outcome = self.promise.await;
        let why = match &outcome {
            Err(AskError::TimedOut(_)) => "it did not end in time".to_owned(),
            // Told or lost, its coordinator is about to be gone; then the run may be taken up again.
            Ok(_) | Err(_) => self.steer.stopped().await.to_string(),
        };
        outcome.unwrap_or_else(|_| Err(failed(self.run, FailureKind::NodeLost { why })))
    }
}

/// Cancels one run.
#[derive(Clone)]
pub struct Canceller(Arc<dyn Steer>);

impl Canceller {
    /// Ends the run as cancelled, with what there is of it; without effect once it has ended.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Canceller")
    }
}

impl<T: Send + 'static> fmt::Debug for RunHandle<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RunHandle({})", self.run)
    }
}

fn budget_name(run: RunId) -> String {
    format!("run/{run}")
}

fn rejected<T>(run: RunId, refusal: &protocol::Refusal) -> Box<RunError<T>> {
    failed(run, FailureKind::Rejected { why: refusal.text.clone() })
}

fn failed<T>(run: RunId, kind: FailureKind) -> Box<RunError<T>> {
    Box::new(RunError { run, kind, partial: None, failed: Vec::new(), tally: Tally::default() })
}
