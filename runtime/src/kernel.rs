//! What every actor of one node shares: clock, dice, timers, tasks, journal, registry, bus and counters.
//!
//! No globals: ten nodes live in one process, each with a kernel of its own.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::{Code, EventId, Refusal};

use crate::{
    actor::{ActorId, ExitReason},
    ask::AskError,
    budget::{Budget, Cost, Exceeded},
    child::ChildRef,
    clock::{Clock, ManualClock, Moment, Random, SeededRandom},
    dead_letters::DeadLetters,
    engine::{journal::Journal, local::MemoryJournal},
    events::{Bus, Draft, Event, EventKind, PublishError},
    lab::Lab,
    registry::Registry,
    tasks::{Executor, TaskKind},
    telemetry::metrics::KernelMetrics,
    timers::Timers,
    waits::Waits,
};

/// Runs the future that serves an actor; the port that a simulation replaces.
pub trait Host: Send + Sync + 'static {
    /// Runs `life` to its end. Dropping it ends the actor as [`Shutdown`](crate::actor::ExitReason::Shutdown).
    fn launch(&self, actor: ChildRef, life: BoxFuture<'static, ()>);
}

/// The parts that a kernel is made of.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) metrics: KernelMetrics,
    pub(crate) lab: Option<Arc<dyn Lab>>,
    /// Whether waits that could never end are found.
    pub(crate) detection: bool,
}

pub(crate) struct Kernel {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) metrics: KernelMetrics,
    pub(crate) waits: Waits,
    pub(crate) timers: Arc<Timers>,
    pub(crate) registry: Registry,
    pub(crate) bus: Bus,
    /// The hand of a simulation; none in production.
    pub(crate) lab: Option<Arc<dyn Lab>>,
    /// Tells this node apart from others in the ids of its actors.
    number: usize,
    /// Who stamps the events of this node.
    coordinator: protocol::ActorId,
    actors: AtomicU64,
    /// Stopped in an emergency.
    halted: AtomicBool,
    pub(crate) dead: DeadLetters,
}

impl Kernel {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { clock, random, executor, host, journal, metrics, lab, detection } = parts;
        let millis = u64::try_from(clock.unix_nanos() / 1_000_000).unwrap_or(0);
        let coordinator = protocol::ActorId::from_parts(millis, random.next_u128());
        let timers = Arc::new(Timers::new());
        let address = Arc::as_ptr(&timers).addr();
        Arc::new(Self {
            number: lab.as_ref().map_or(address, |lab| lab.number()),
            lab,
            coordinator,
            clock,
            random,
            executor,
            host,
            journal,
            metrics,
            waits: Waits::new(detection),
            timers,
            registry: Registry::default(),
            bus: Bus::default(),
            actors: AtomicU64::new(1),
            halted: AtomicBool::new(false),
            dead: DeadLetters::default(),
        })
    }

    /// A kernel that runs nothing, for addresses and probes in unit tests: its clock stands still.
    pub(crate) fn detached() -> Arc<Self> {
        let journal = Arc::new(MemoryJournal::default());
        Self::still(Arc::new(ManualClock::default()), journal, &Arc::default())
    }

    /// A kernel whose children and tasks go on the `shelf`.
    pub(crate) fn still(
        clock: Arc<ManualClock>,
        journal: Arc<dyn Journal>,
        shelf: &Arc<Shelf>,
    ) -> Arc<Self> {
        Self::new(Parts {
            clock,
            random: Arc::new(SeededRandom::new(0)),
            executor: Arc::<Shelf>::clone(shelf),
            host: Arc::<Shelf>::clone(shelf),
            journal,
            metrics: KernelMetrics::unrecorded(),
            lab: None,
            detection: true,
        })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn next_actor(&self) -> ActorId {
        ActorId::new(self.actors.fetch_add(1, Ordering::Relaxed), self.number)
    }

    /// From here on whoever is born ends at once.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// How many messages a host handles at once, of `most`: a simulation lets others run between any two.
    pub(crate) fn batch(&self, most: usize) -> usize {
        self.lab.as_ref().map_or(most, |lab| lab.batch(most))
    }

    /// The id of an event that is published now.
    pub(crate) fn new_event(&self) -> EventId {
        let millis = u64::try_from(self.clock.unix_nanos() / 1_000_000).unwrap_or(0);
        EventId::from_parts(millis, self.random.next_u128())
    }

    /// An event that `source` publishes now.
    pub(crate) fn event(&self, kind: EventKind, source: &str) -> Event {
        Event::new(self.new_event(), kind, source)
    }

    /// Publishes an event that was found valid, or is of the kernel's own.
    pub(crate) fn publish(&self, event: Event) {
        let kind = event.kind.clone();
        if let Err(fault) = self.bus.publish(event, self.clock.unix_nanos(), self.coordinator) {
            tracing::error!(%fault, kind, "an event of the kernel's own is not valid");
        }
    }

    /// Publishes what `source` wants to.
    pub(crate) fn publish_draft(
        &self,
        draft: Draft,
        source: &str,
    ) -> Result<EventId, PublishError> {
        let event = draft.event(self.new_event(), source)?;
        let id = event.id;
        self.publish(event);
        Ok(id)
    }

    /// Charges a message to `budget`.
    pub(crate) fn charge(&self, budget: &Budget) -> Result<(), AskError> {
        self.spend(budget, Cost::MESSAGE)
    }

    /// Charges a message to the budget of its sender, if it has one.
    pub(crate) fn charge_message(&self, budget: Option<&Budget>) -> Result<(), AskError> {
        budget.map_or(Ok(()), |budget| self.charge(budget))
    }

    /// Charges `count` messages to the budget of their sender, if it has one: all of them or none.
    pub(crate) fn charge_messages(
        &self,
        budget: Option<&Budget>,
        count: usize,
    ) -> Result<(), AskError> {
        let messages = u64::try_from(count).unwrap_or(u64::MAX);
        let cost = Cost { messages, ..Cost::ZERO };
        budget.map_or(Ok(()), |budget| self.spend(budget, cost))
    }

    /// Charges a child to `budget`.
    pub(crate) fn charge_child(&self, budget: &Budget) -> Result<(), ExitReason> {
        let spent = budget.spend_child(self.now_for(budget));
        spent.map_err(|refused| ExitReason::Refused(self.over_budget(&refused)))
    }

    /// The clock is read for budgets that end with time only.
    fn now_for(&self, budget: &Budget) -> Moment {
        if budget.ends() == Moment::NEVER { Moment::START } else { self.now() }
    }

    fn spend(&self, budget: &Budget, cost: Cost) -> Result<(), AskError> {
        let spent = budget.spend(cost, self.now_for(budget));
        spent.map_err(|refused| Refusal::new(Code::Budget, self.over_budget(&refused)).into())
    }

    fn over_budget(&self, refused: &Exceeded) -> String {
        self.metrics.budget_refusal();
        refused.to_string()
    }
}

/// Keeps what others would run: children are never stepped, tasks only when told, blocking work is done in place.
#[derive(Default)]
pub(crate) struct Shelf {
    lives: Mutex<Vec<BoxFuture<'static, ()>>>,
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl Shelf {
    /// Polls every task once; returns whether one ended.
    pub(crate) fn poll_tasks(&self) -> bool {
        let mut tasks = mem::take(&mut *self.tasks.lock());
        let before = tasks.len();
        let mut cx = Context::from_waker(Waker::noop());
        tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
        let ended = tasks.len() < before;
        self.tasks.lock().append(&mut tasks);
        ended
    }

    /// Drops everything on it.
    pub(crate) fn clear(&self) {
        let lives = mem::take(&mut *self.lives.lock());
        let tasks = mem::take(&mut *self.tasks.lock());
        drop((lives, tasks));
    }
}

impl Host for Shelf {
    fn launch(&self, _: ChildRef, life: BoxFuture<'static, ()>) {
        self.lives.lock().push(life);
    }
}

impl Executor for Shelf {
    fn spawn(&self, _: TaskKind, work: BoxFuture<'static, ()>) {
        self.tasks.lock().push(work);
    }

    fn spawn_blocking(&self, _: TaskKind, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.clear();
        Box::pin(std::future::ready(()))
    }

    fn abort_all(&self) {
        self.clear();
    }

    fn alive(&self) -> usize {
        self.tasks.lock().len()
    }
}
