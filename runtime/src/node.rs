//! A node: one kernel and the roots of its supervision tree, opened and stopped as one.
//!
//! Made by the facade, by tests and by examples. A process may hold many.
//!
//! # Invariants
//! - Stop order: roots that count as last, then the others in the reverse order of their start, then tasks; then the journal is
//!   flushed.

use std::{collections::BTreeSet, fmt, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::{EventId, RunId, Value};
use tokio::runtime::Handle;

use crate::{
    actor::{Actor, ActorId},
    address::Addr,
    ask::{AskError, Promise, Reply},
    child::ChildRef,
    clock::{Clock, Moment, Random, SystemClock, SystemRandom},
    dead_letters::{DeadLetter, ReplayError},
    ending::first,
    engine::{
        journal::{Journal, JournalError},
        local::{MemoryJournal, OpenJournalError, RedbJournal},
    },
    events::{Bus, Draft, EventKind, PublishError},
    graph::{Graph, ObservableState},
    kernel::{Host, Kernel, Parts},
    lab::Lab,
    limits::{FLUSH_WAIT, SHUTDOWN_DEFAULT},
    shell::Tokio,
    spawn::{self, Place, Spawn},
    supervisor::{Supervised, Supervisor},
    tasks::{Executor, TaskKind, Tasks},
    telemetry::metrics::{KernelMetrics, Metrics},
    timers::{self, Sleep},
};

/// One node: actors, their journal, clock, timers and counters.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    kernel: Arc<Kernel>,
    /// None once the node was told to stop.
    roots: Mutex<Option<Roots>>,
}

/// The roots of the tree, each list in the order of their start.
#[derive(Default)]
struct Roots {
    usual: Vec<ChildRef>,
    /// Those that count as started last.
    last: Vec<ChildRef>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for root in self.roots.get_mut().take().unwrap_or_default().in_order().iter().rev() {
            root.stop();
        }
    }
}

impl Roots {
    fn in_order(mut self) -> Vec<ChildRef> {
        self.usual.append(&mut self.last);
        self.usual
    }
}

/// What a node stands on: tokio in production, one seeded thread in a simulation.
pub(crate) struct Ground {
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) lab: Option<Arc<dyn Lab>>,
}

/// Why a node could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no tokio runtime to run on.
    #[error(
        "open a node outside of a tokio runtime: call this from an async function or enter a runtime first"
    )]
    NoRuntime,
    /// The journal could not be opened.
    #[error(transparent)]
    Journal(#[from] OpenJournalError),
}

/// How a node stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every actor and every task that is waited for has ended.
    Clean,
    /// The deadline passed; what was left was dropped.
    Overrun {
        /// The actors that had not ended, youngest first, which is the order that they stop in.
        alive: Vec<Arc<str>>,
        /// The pieces of work that had not.
        tasks: usize,
    },
}

/// The parts of a node, each with the embedded default.
#[derive(Default)]
pub struct NodeBuilder {
    clock: Option<Arc<dyn Clock>>,
    random: Option<Arc<dyn Random>>,
    journal: Option<Arc<dyn Journal>>,
    metrics: Option<Metrics>,
    blind: bool,
}

impl NodeBuilder {
    /// Tells the time by `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Throws the dice of `random`.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = Some(random);
        self
    }

    /// Remembers in `journal`; in memory by default.
    #[must_use]
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Counts into `metrics`; nowhere by default.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Refuses calls that could never be answered, at once and with their path; on by default.
    ///
    /// Without it they end by their deadlines.
    #[must_use]
    pub fn deadlock_detection(mut self, on: bool) -> Self {
        self.blind = !on;
        self
    }

    /// Opens the node on the present tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::NoRuntime`] outside of a tokio runtime.
    pub fn open(self) -> Result<Node, OpenError> {
        let handle = Handle::try_current().map_err(|_| OpenError::NoRuntime)?;
        let tasks = Arc::new(Tasks::new(handle.clone()));
        let host = Arc::new(Tokio(handle));
        let node = self.open_on(Ground { executor: tasks, host, lab: None });
        let Kernel { timers, clock, executor, .. } = &*node.0.kernel;
        let drive = timers::drive(Arc::clone(timers), Arc::clone(clock), tokio::time::sleep);
        executor.spawn(TaskKind::Timers, Box::pin(drive));
        Ok(node)
    }

    /// Opens the node on `ground`, whose keeper turns the node's timers.
    pub(crate) fn open_on(self, ground: Ground) -> Node {
        let Ground { executor, host, lab } = ground;
        let kernel = Kernel::new(Parts {
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            random: self.random.unwrap_or_else(|| Arc::new(SystemRandom::new())),
            executor,
            host,
            journal: self.journal.unwrap_or_else(|| Arc::new(MemoryJournal::default())),
            metrics: KernelMetrics::new(self.metrics.unwrap_or_else(Metrics::unrecorded)),
            lab,
            detection: !self.blind,
        });
        Node(Arc::new(Inner { kernel, roots: Mutex::new(Some(Roots::default())) }))
    }
}

impl Node {
    /// A node whose journal is the file `synod.redb` in `folder`, made if missing.
    ///
    /// # Errors
    /// [`OpenError::Journal`] when the file cannot be made, is held by another writer or is not a journal.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        let journal = RedbJournal::open(&folder.as_ref().join("synod.redb"))?;
        Self::builder().journal(Arc::new(journal)).open()
    }

    /// A node that remembers in memory only.
    ///
    /// # Errors
    /// [`OpenError::NoRuntime`] outside of a tokio runtime.
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::builder().open()
    }

    /// A node of chosen parts.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// Starts a root actor whose end is final; on a node that was told to stop, it has ended as shut down.
    pub fn spawn<A: Actor>(
        &self,
        spawn: Spawn,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Addr<A::Msg> {
        let (addr, launch) =
            spawn::prepare(&self.0.kernel, Place::default(), spawn, Box::new(birth));
        self.launch_root(addr.child(), launch, |roots| &mut roots.usual);
        addr
    }

    /// Starts a supervisor and its children, which have their addresses when this returns.
    pub fn supervise(&self, supervisor: Supervisor) -> Supervised {
        let (supervised, launch) = supervisor.prepare(&self.0.kernel, Place::default());
        self.launch_root(supervised.actor(), launch, |roots| &mut roots.usual);
        supervised
    }

    /// Starts a supervisor as [`supervise`](Self::supervise) does, but stops it as if it had been started last: before all other
    /// roots, also those that are started later. For what makes use of them.
    pub fn supervise_as_last(&self, supervisor: Supervisor) -> Supervised {
        let (supervised, launch) = supervisor.prepare(&self.0.kernel, Place::default());
        self.launch_root(supervised.actor(), launch, |roots| &mut roots.last);
        supervised
    }

    /// Launches a root, or ends it as shut down on a node that was told to stop.
    fn launch_root(
        &self,
        root: ChildRef,
        launch: impl FnOnce(),
        among: fn(&mut Roots) -> &mut Vec<ChildRef>,
    ) {
        let mut roots = self.0.roots.lock();
        let open = roots.as_mut().map(among).map(|roots| {
            if roots.len() == roots.capacity() {
                roots.retain(|root| root.ended().is_none());
            }
            roots.push(root);
        });
        drop(roots);
        if open.is_some() { launch() } else { drop(launch) }
    }

    /// The live actor called `name`, if it takes messages of type `M`.
    pub fn find<M: Send + 'static>(&self, name: &str) -> Option<Addr<M>> {
        self.0.kernel.registry.find(name)
    }

    /// Every live actor, by name.
    pub fn actors(&self) -> Vec<ChildRef> {
        self.0.kernel.registry.list()
    }

    /// What runs on the node: every actor with its parent, state, queue, restarts, watches and waits.
    ///
    /// Read on demand while the actors go on, each at an instant of its own; see [`graph`](crate::graph).
    pub fn graph(&self) -> Graph {
        Graph::take(&self.0.kernel)
    }

    /// Lets some actors of a `graph` of this node show their state, each within this time; what others showed is forgotten.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answers up.
    pub async fn observe_in(&self, graph: &mut Graph, of: &BTreeSet<ActorId>, within: Duration) {
        graph.observe(&self.0.kernel, of, within).await;
    }

    /// [`graph`](Self::graph), with the state that each actor shows within this time.
    ///
    /// # Cancel safety
    /// Dropping the future gives the states up.
    pub async fn observed_graph(&self, within: Duration) -> Graph {
        Graph::observed(&self.0.kernel, within).await
    }

    /// What an actor shows of its state ([`Actor::observe`]), even while it is in a call; asked for between two of its steps.
    ///
    /// # Errors
    /// [`AskError::TimedOut`] where it does not come out of its step in time, [`AskError::Stopped`] where it has ended,
    /// [`AskError::Refused`] where it has no incarnation now or too many observers wait, [`AskError::Dropped`] where its
    /// incarnation ended first, [`AskError::Failed`] where showing it panicked, which leaves the actor as it was.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up.
    pub async fn observe(
        &self,
        actor: impl Into<ChildRef>,
        within: Duration,
    ) -> Result<ObservableState, AskError> {
        let (to, shown) = self.promise(within);
        actor.into().0.observe(to);
        shown.await
    }

    /// The node's event bus.
    pub fn events(&self) -> &Bus {
        &self.0.kernel.bus
    }

    /// Publishes an event of `run`, unless nobody wants it.
    pub fn publish(&self, kind: EventKind, source: &str, run: RunId, data: Value) {
        let kernel = &self.0.kernel;
        if kernel.bus.wants(kind.as_str(), Some(run)) {
            let mut event = kernel.event(kind, source);
            event.run = Some(run);
            event.data = data;
            kernel.publish(event);
        }
    }

    /// Publishes an event of `source`, at once.
    ///
    /// # Errors
    /// [`PublishError`] when the event is not valid; it then reaches nobody.
    pub fn publish_event(&self, draft: Draft, source: &str) -> Result<EventId, PublishError> {
        self.0.kernel.publish_draft(draft, source)
    }

    /// The node's journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.kernel.journal
    }

    /// The node's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.kernel.metrics.all
    }

    /// The latest messages that nobody took or that crashed their actor, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.0.kernel.dead.list()
    }

    /// Delivers a dead letter that its actor kept once more, behind what its mailbox holds.
    ///
    /// # Errors
    /// [`ReplayError::NotKept`] when the actor kept no clone of it or it was replayed before; [`ReplayError::Refused`] when the
    /// mailbox is full, whereupon it can be tried again, or the actor has ended.
    pub fn replay_dead_letter(&self, id: u64) -> Result<(), ReplayError> {
        self.0.kernel.dead.replay(id)
    }

    /// How many deadlines, timers and sleeps wait for their moment.
    pub fn pending_timers(&self) -> usize {
        self.0.kernel.timers.pending()
    }

    /// How many calls, sends in line and handlers of agents wait for somebody and can serve nothing meanwhile.
    pub fn pending_waits(&self) -> usize {
        self.0.kernel.waits.len()
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.0.kernel.now()
    }

    /// Wall-clock time in Unix nanoseconds, for people and for the wire.
    pub fn unix_nanos(&self) -> i64 {
        self.0.kernel.clock.unix_nanos()
    }

    /// A new run id, from the node's clock and dice.
    pub fn new_run(&self) -> RunId {
        let millis = u64::try_from(self.unix_nanos() / 1_000_000).unwrap_or(0);
        RunId::from_parts(millis, self.0.kernel.random.next_u128())
    }

    /// A reply to give away and the future that waits for it, at the most for `within`.
    pub fn promise<T: Send + 'static>(&self, within: Duration) -> (Reply<T>, Promise<T>) {
        Promise::open(&self.0.kernel, within)
    }

    /// Waits for `delay` by the node's clock.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn sleep(&self, delay: Duration) {
        self.wait_for(delay).await;
    }

    fn wait_for(&self, delay: Duration) -> Sleep {
        Sleep::until(&self.0.kernel.timers, self.now() + delay)
    }

    /// Takes no new roots; returns those there are, in the order of their start.
    pub(crate) fn close_door(&self) -> Vec<ChildRef> {
        self.0.roots.lock().take().unwrap_or_default().in_order()
    }

    /// The kernel, for whoever turns its timers.
    pub(crate) fn kernel(&self) -> &Arc<Kernel> {
        &self.0.kernel
    }

    /// Runs `work` as a task of the node, of a kind that says its fate when the node stops.
    pub fn run_task(&self, kind: TaskKind, work: BoxFuture<'static, ()>) {
        self.0.kernel.executor.spawn(kind, work);
    }

    /// Runs `work`, which may block or compute for long, on a thread of its own.
    pub fn run_blocking(&self, kind: TaskKind, work: impl FnOnce() + Send + 'static) {
        self.0.kernel.executor.spawn_blocking(kind, Box::new(work));
    }

    /// Stops the node within `deadline`: roots in reverse, those that count as last first, then tasks; the journal then has 5 s more to be flushed.
    ///
    /// # Errors
    /// What the journal could not make durable.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the node half stopped; drop the node then.
    pub async fn stop(&self, deadline: Duration) -> Result<Stopped, JournalError> {
        let kernel = &self.0.kernel;
        let roots = self.close_door();
        let wind_down = async {
            for root in roots.iter().rev() {
                root.stop();
                let reason = root.stopped().await;
                tracing::info!(root = root.name(), %reason, "root stopped");
            }
            kernel.executor.stop().await;
        };
        let stopped = match first(wind_down, self.wait_for(deadline)).await {
            Some(()) => self.wound_down(),
            None => {
                let overrun = self.overrun();
                for root in roots.iter().rev() {
                    root.stop();
                }
                kernel.executor.abort_all();
                overrun
            }
        };
        match first(kernel.journal.flush(), self.wait_for(FLUSH_WAIT)).await {
            Some(flushed) => {
                flushed.map(|()| stopped).inspect(|how| tracing::info!(?how, "journal flushed"))
            }
            None => {
                let cause = format!("not done within {FLUSH_WAIT:?}").into();
                Err(JournalError::Failed { operation: "flush the journal at the stop", cause })
            }
        }
    }

    /// How the node has stopped, when every root and every task has ended: nobody is left.
    fn wound_down(&self) -> Stopped {
        match self.overrun() {
            Stopped::Overrun { alive, .. } if alive.is_empty() => Stopped::Clean,
            left @ (Stopped::Overrun { .. } | Stopped::Clean) => left,
        }
    }

    /// What has not ended.
    fn overrun(&self) -> Stopped {
        let mut left = self.actors();
        left.retain(|actor| actor.ended().is_none());
        left.sort_by_key(|actor| std::cmp::Reverse(actor.id()));
        let alive = left.iter().map(|actor| actor.name().into()).collect();
        Stopped::Overrun { alive, tasks: self.0.kernel.executor.alive() }
    }

    /// Stops the node within 5 s.
    ///
    /// # Errors
    /// See [`stop`](Self::stop).
    pub async fn close(&self) -> Result<Stopped, JournalError> {
        self.stop(SHUTDOWN_DEFAULT).await
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Node({} actors)", self.actors().len())
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("NodeBuilder")
    }
}
