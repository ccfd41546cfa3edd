//! Dispatch: admits a run, starts the coordinator that its pattern names, and waits for its outcome.
//!
//! Called by [`AgentSystem::run`]; calls admission and the pattern. A run is acknowledged once its first record is durable.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::{MessageId, RunId};
use runtime::{
    actor::Actor,
    address::{Addr, TellError},
    admission::{Credit, Request},
    ask::{AskError, Promise, Reply},
    budget::{Budget, Limits},
    node::Node,
    spawn::Spawn,
    tasks::TaskKind,
};

use crate::{
    limits::{ACCEPT_WAIT, PARTIAL_REDUCE_WAIT, QUIESCENCE_WAIT, RUN_DEADLINE_DEFAULT},
    pattern::{Brief, FailureKind, Outcome, PatternKind, RunError, Tally},
    system::AgentSystem,
};

/// A pattern that can be run: it starts its own coordinator.
pub trait Pattern: Send + 'static {
    /// What a run of it brings.
    type Output: Send + 'static;

    /// Starts the coordinator. Called by dispatch.
    #[doc(hidden)]
    fn launch(self, launch: Launch<Self::Output>) -> Coordination;
}

/// What a coordinator is started with. Made by dispatch.
#[doc(hidden)]
pub struct Launch<T> {
    pub(crate) system: AgentSystem,
    pub(crate) run: RunId,
    /// The time until its deadline.
    pub(crate) within: Duration,
    pub(crate) budget: Budget,
    /// Told how the run ended, once.
    pub(crate) outcome: Reply<Outcome<T>>,
}

impl<T> fmt::Debug for Launch<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Launch({}, within {:?})", self.run, self.within)
    }
}

/// A running coordinator, whatever its pattern is. Made by the patterns.
#[doc(hidden)]
pub struct Coordination(Arc<dyn Steer>);

impl fmt::Debug for Coordination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Coordination")
    }
}

/// What is asked of any coordinator.
trait Steer: Send + Sync {
    fn accepted(&self, within: Duration) -> BoxFuture<'_, Result<(), AskError>>;
    fn cancel(&self);
    fn stopped(&self) -> BoxFuture<'_, ()>;
    fn has_stopped(&self) -> bool;
}

/// What any coordinator is told, whatever else it is.
pub(crate) trait Steered: Send + 'static {
    /// To say when the run is accepted, durably.
    fn accepted(to: Reply<()>) -> Self;
    /// To end the run as cancelled.
    fn cancel() -> Self;
}

impl Coordination {
    /// Starts the coordinator of `run`, whose journal is the run's.
    pub(crate) fn start<A: Actor<Msg: Steered>>(
        system: &AgentSystem,
        run: RunId,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Self {
        let spawn = Spawn::named(coordinator_name(run)).journal(run);
        Self(Arc::new(system.node().spawn(spawn, birth)))
    }
}

impl<T: Send + 'static> Launch<T> {
    /// Starts a coordinator of `pattern`; `make` makes each incarnation, the first with whoever waits for the outcome.
    pub(crate) fn start<A: Actor<Msg: Steered>>(
        self,
        pattern: PatternKind,
        mut make: impl FnMut(Brief, Option<Reply<Outcome<T>>>) -> A + Send + 'static,
    ) -> Coordination {
        let Self { system, run, within, budget, outcome } = self;
        let (starter, mut outcome) = (system.clone(), Some(outcome));
        let brief = Brief { counters: system.counters(pattern), system, run, within, budget };
        Coordination::start(&starter, run, move || make(brief.clone(), outcome.take()))
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

    fn stopped(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let reason = Self::stopped(self).await;
            tracing::debug!(coordinator = self.name(), %reason, "coordinator ended");
        })
    }

    fn has_stopped(&self) -> bool {
        self.is_stopped()
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
}

impl<P: Pattern> RunBuilder<P> {
    pub(crate) fn new(system: AgentSystem, pattern: P) -> Self {
        let (within, limits) = (RUN_DEADLINE_DEFAULT, Limits::default());
        Self { system, pattern, within, limits, run: None, key: None }
    }

    /// Ends the run after `within`, whatever it has by then; one hour by default.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Limits what the run may use, its agents included while they work for it.
    ///
    /// `messages` are its attempts at parts and what its agents ask, `children` the actors that they start by their call context,
    /// `depth` the levels of those; `wall_clock` is a second deadline; tokens and money are what agents reserve of the budget in their
    /// call context. A run that is taken up again goes on with what its earlier lives have left. What the run's own actor says to
    /// the roster costs nothing.
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

    /// Starts the run; ready when it is accepted, durably.
    ///
    /// # Errors
    /// The run was not accepted; nothing was started.
    ///
    /// # Cancel safety
    /// Dropping the future after its first poll may leave the run started; it then ends by its deadline.
    pub async fn start(self) -> Result<RunHandle<P::Output>, Box<RunError<P::Output>>> {
        let Self { system, pattern, within, limits, run, key } = self;
        let within = limits.wall_clock.map_or(within, |wall_clock| wall_clock.min(within));
        let node = system.node().clone();
        if node.is_halted() {
            let why = "the node was stopped in an emergency; open another".to_owned();
            return Err(failed(
                run.unwrap_or_else(|| node.new_run()),
                FailureKind::Rejected { why },
            ));
        }
        let resumed = run.is_some();
        let run = run.unwrap_or_else(|| node.new_run());
        // A run may be resumed as often as it takes, but not while it still goes on.
        let name = coordinator_name(run);
        if resumed && node.actors().iter().any(|actor| actor.name() == name) {
            let why = format!("run {run} still goes on; wait for its end or cancel it first");
            return Err(failed(run, FailureKind::Rejected { why }));
        }
        let request = Request {
            id: key.unwrap_or_else(|| MessageId::from_u128(node.new_run().as_u128())),
            time_left: Some(within),
        };
        let admitted = system
            .admission()
            .admit(&request, node.now())
            .map_err(|refusal| rejected(run, &refusal))?;
        let patience = within + QUIESCENCE_WAIT + PARTIAL_REDUCE_WAIT + ACCEPT_WAIT;
        let (outcome, promise) = node.promise(patience);
        // The coordinator itself keeps the time, so that a run out of time ends as that.
        let limits = Limits { wall_clock: None, ..limits };
        let budget = Budget::root(coordinator_name(run), limits, node.now());
        let Coordination(steer) = pattern.launch(Launch { system, run, within, budget, outcome });
        match steer.accepted(ACCEPT_WAIT).await {
            // A coordinator that has ended already has told its outcome, or was lost: the promise says which.
            Ok(()) | Err(AskError::Stopped | AskError::Dropped) => {
                let credit = Some(admitted.commit(node.now()));
                let active = Active { node, steer: Arc::clone(&steer), credit };
                Ok(RunHandle { run, steer, promise, _active: active })
            }
            Err(error) => {
                steer.cancel();
                let why = format!("the journal took no record: {error}");
                Err(failed(run, FailureKind::Rejected { why }))
            }
        }
    }
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
    _active: Active,
}

/// The run's place among the active ones, held until its coordinator has ended, whoever has lost interest in it.
struct Active {
    node: Node,
    steer: Arc<dyn Steer>,
    credit: Option<Credit>,
}

impl Drop for Active {
    fn drop(&mut self) {
        if self.steer.has_stopped() {
            return;
        }
        let (steer, credit) = (Arc::clone(&self.steer), self.credit.take());
        let held = async move {
            steer.stopped().await;
            drop(credit);
        };
        self.node.run_task(TaskKind::Service, Box::pin(held));
    }
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
        if !matches!(outcome, Err(AskError::TimedOut(_))) {
            // Told or lost, its coordinator is about to be gone; then the run may be taken up again.
            self.steer.stopped().await;
        }
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => Err(failed(self.run, FailureKind::NodeLost { why: error.to_string() })),
        }
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

fn coordinator_name(run: RunId) -> String {
    format!("run/{run}")
}

fn rejected<T>(run: RunId, refusal: &protocol::Refusal) -> Box<RunError<T>> {
    failed(run, FailureKind::Rejected { why: refusal.text.clone() })
}

fn failed<T>(run: RunId, kind: FailureKind) -> Box<RunError<T>> {
    Box::new(RunError { run, kind, partial: None, failed: Vec::new(), tally: Tally::default() })
}
