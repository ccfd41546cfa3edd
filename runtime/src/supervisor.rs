//! Supervision: children by specification, started again as their supervisor's strategy says, within an intensity per period.
//!
//! A supervisor is an actor like any other, with other supervisors below it to any depth. It is told of each end of a child and
//! answers with restarts or with its own end. Names and defaults are OTP's (one restart in five seconds); `docs/SUPERVISION.md`
//! says where it differs.
//!
//! # Invariants
//! - Children start in order and stop in reverse, each within its own shutdown time.
//! - A restart, of a child or of any supervisor above it, keeps addresses and queued messages; only a final end closes them.
//! - The n-th restart within the period is allowed for intensity n; one more ends the supervisor and with it all children.

mod intensity;
mod requests;
mod supervising;
mod table;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;

pub use self::{
    intensity::Intensity,
    requests::{ChildCounts, ChildError, ChildInfo, ChildStatus},
};
use self::{
    requests::Request,
    supervising::Supervising,
    table::{Plan, Table},
};
use crate::{
    actor::{Actor, ActorId, ExitReason},
    address::Addr,
    backoff::Backoff,
    child::ChildRef,
    ending::Kept,
    kernel::Kernel,
    limits::{RESTART_PERIOD_DEFAULT, RESTARTS_DEFAULT, SUPERVISOR_CHILDREN_MAX},
    mailbox::Slot,
    spawn::{self, News, Place, Report, Shutdown, Spawn},
};

/// When an ended child is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After a failure only.
    Transient,
    /// Never, not even when a sibling's failure restarts the others. When the supervisor itself starts again it starts those of
    /// its own specification anew, as it does all others, and ends those that were added at run time.
    Temporary,
}

impl Restart {
    /// Whether an incarnation that ended for `reason` is followed by another.
    pub fn wants(self, reason: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => reason.is_failure(),
            Self::Temporary => false,
        }
    }
}

/// Who is started again when a child has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// That child alone.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// That child and those behind it.
    RestForOne,
}

/// What a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildKind {
    /// An actor that does the work.
    Worker,
    /// A supervisor.
    Supervisor,
}

/// The specification of a supervisor and its children.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::{actor::Actor, context::Cx, supervisor::Supervisor};
///
/// struct Echo;
/// impl Actor for Echo {
///     type Msg = String;
///     fn handle(&mut self, _: String, _: &mut Cx<Self>) {}
/// }
///
/// let tree = Supervisor::one_for_all("tree")
///     .intensity(3, Duration::from_secs(60))
///     .child("store", || Echo)
///     .supervisor(Supervisor::one_for_one("echoes").child("first", || Echo).child("second", || Echo));
/// # drop(tree);
/// ```
pub struct Supervisor {
    plan: Plan,
}

impl Supervisor {
    /// A supervisor called `name` that restarts a failed child alone.
    pub fn one_for_one(name: impl Into<String>) -> Self {
        Self::new(name, Strategy::OneForOne)
    }

    /// A supervisor called `name` that restarts all children when one has failed.
    pub fn one_for_all(name: impl Into<String>) -> Self {
        Self::new(name, Strategy::OneForAll)
    }

    /// A supervisor called `name` that restarts a failed child and those that were started after it.
    pub fn rest_for_one(name: impl Into<String>) -> Self {
        Self::new(name, Strategy::RestForOne)
    }

    /// A supervisor called `name` with a chosen strategy, which allows one restart in 5 s.
    pub fn new(name: impl Into<String>, strategy: Strategy) -> Self {
        let plan = Plan {
            name: name.into(),
            strategy,
            intensity: RESTARTS_DEFAULT,
            period: RESTART_PERIOD_DEFAULT,
            backoff: Backoff::NONE,
            table: Mutex::new(Table::default()),
        };
        Self { plan }
    }

    /// Allows `restarts` within any `period`; one more ends the supervisor.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.plan.intensity = restarts;
        self.plan.period = period;
        self
    }

    /// Waits before each restart but the first of a period; none by default.
    ///
    /// The waits do not age the restarts they follow on, so they never hide that a child does not recover.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.backoff = backoff;
        self
    }

    /// Adds a permanent worker called `name`.
    #[must_use]
    pub fn child<A: Actor>(
        self,
        name: impl Into<String>,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Self {
        self.spec(ChildSpec::new(Spawn::named(name), birth))
    }

    /// Adds a worker with options of its own.
    #[must_use]
    pub fn child_with<A: Actor>(
        self,
        spawn: Spawn,
        restart: Restart,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Self {
        self.spec(ChildSpec::new(spawn, birth).restart(restart))
    }

    /// Adds a permanent supervisor.
    #[must_use]
    pub fn supervisor(self, supervisor: Self) -> Self {
        self.spec(ChildSpec::supervisor(supervisor))
    }

    /// Adds a child; a second one of a name, or one beyond 65,536, is left out and an error logged.
    #[must_use]
    pub fn spec(mut self, spec: ChildSpec) -> Self {
        let (name, table) = (&self.plan.name, self.plan.table.get_mut());
        if table.named(&spec.name).is_some() {
            tracing::error!(
                supervisor = name,
                child = spec.name,
                "second child of a name left out"
            );
        } else if table.len() >= SUPERVISOR_CHILDREN_MAX {
            tracing::error!(supervisor = name, child = spec.name, "one child too many left out");
        } else {
            table.push(spec);
        }
        self
    }

    /// Makes the addresses of the supervisor and of everything below it, and the closure that launches it.
    pub(crate) fn prepare(self, kernel: &Arc<Kernel>, place: Place<'_>) -> (Supervised, Launch) {
        prepare(&Arc::new(self.plan), kernel, place, Shutdown::Infinity)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { name, strategy, table, .. } = &self.plan;
        write!(out, "Supervisor({name}, {strategy:?}, {} children)", table.lock().len())
    }
}

fn prepare(
    plan: &Arc<Plan>,
    kernel: &Arc<Kernel>,
    mut place: Place<'_>,
    shutdown: Shutdown,
) -> (Supervised, Launch) {
    let kept: Arc<dyn Kept> = Arc::<Plan>::clone(plan);
    place.kept = Some(kept);
    let (own, of, report) = (Arc::clone(plan), Arc::clone(kernel), place.report.clone());
    let birth = Box::new(move || Supervising::new(&own, &of, report.clone()));
    let spawn = Spawn::named(&*plan.name).shutdown(shutdown);
    let (addr, launch) = spawn::prepare(kernel, place, spawn, birth);
    let mut table = plan.table.lock();
    let passing = table.take_passing();
    table.bring_back();
    table.all_mut().for_each(|entry| entry.prepare(&addr));
    drop(table);
    drop(passing);
    let supervised = Supervised { addr, plan: Arc::clone(plan), kernel: Arc::clone(kernel) };
    (supervised, Box::new(launch))
}

/// Tells `supervisor` how its child with this serial number fares.
fn report_to(supervisor: &Addr<Command>, serial: u64) -> Report {
    let slot = Arc::clone(&supervisor.0);
    Arc::new(move |news| slot.notify(Command(Order::News(serial, news))))
}

/// The specification of one child: permanent, ended within 5 s, unless told otherwise.
pub struct ChildSpec {
    name: String,
    kind: ChildKind,
    restart: Restart,
    shutdown: Shutdown,
    prepare: Prepare,
}

/// Makes an address below a supervisor's name, as often as its specification is used; it is launched later.
type Prepare = Box<dyn FnMut(&Arc<Kernel>, Place<'_>, Shutdown) -> Prepared + Send>;
type Launch = Box<dyn FnOnce() + Send>;

struct Prepared {
    child: ChildRef,
    launch: Launch,
}

impl ChildSpec {
    /// A worker.
    pub fn new<A: Actor>(spawn: Spawn, birth: impl FnMut() -> A + Send + 'static) -> Self {
        let (name, shutdown) = (spawn.name.clone(), spawn.shutdown);
        let birth = Arc::new(Mutex::new(birth));
        let prepare: Prepare = Box::new(move |kernel, place, shutdown| {
            let (spawn, birth) = (spawn.clone().shutdown(shutdown), Arc::clone(&birth));
            let (addr, launch) =
                spawn::prepare(kernel, place, spawn, Box::new(move || (birth.lock())()));
            Prepared { child: addr.child(), launch: Box::new(launch) }
        });
        Self { name, kind: ChildKind::Worker, restart: Restart::default(), shutdown, prepare }
    }

    /// A supervisor; whoever ends it waits until it has ended its children.
    pub fn supervisor(supervisor: Supervisor) -> Self {
        let plan = Arc::new(supervisor.plan);
        Self {
            name: Spawn::named(&*plan.name).name,
            kind: ChildKind::Supervisor,
            restart: Restart::default(),
            shutdown: Shutdown::Infinity,
            prepare: Box::new(move |kernel, place, shutdown| {
                let (supervised, launch) = prepare(&plan, kernel, place, shutdown);
                Prepared { child: supervised.actor(), launch }
            }),
        }
    }

    /// Says when it is started again.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Says how long its end is waited for.
    #[must_use]
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = shutdown.into();
        self
    }

    fn prepare(&mut self, parent: &Addr<Command>, report: Report) -> Prepared {
        let Slot { id, kernel, name, budget, .. } = &*parent.0;
        let (parent, budget) = (Some((*id, &**name)), budget.as_ref());
        let place = Place { parent, budget, report: Some(report), kept: None };
        (self.prepare)(kernel, place, self.shutdown)
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, restart, shutdown, .. } = self;
        write!(out, "ChildSpec({name}, {kind:?}, {restart:?}, {shutdown:?})")
    }
}

/// A running supervisor.
#[derive(Clone)]
pub struct Supervised {
    addr: Addr<Command>,
    plan: Arc<Plan>,
    kernel: Arc<Kernel>,
}

impl Supervised {
    /// The child called `name`, if it has not ended and takes messages of type `M`; `/` leads to children of children.
    pub fn child<M: Send + 'static>(&self, name: &str) -> Option<Addr<M>> {
        let own = self.plan.table.lock().named(name).and_then(|entry| entry.child.clone());
        match own {
            Some(child) => child.ended().is_none().then(|| child.addr()).flatten(),
            None => self.kernel.registry.find(&format!("{}/{name}", self.addr.name())),
        }
    }

    /// The present address, or the last one, of every child, in the order of their start.
    pub fn children(&self) -> Vec<ChildRef> {
        self.plan.table.lock().all().filter_map(|entry| entry.child.clone()).collect()
    }

    /// The supervisor's own address, for actors that ask it.
    pub fn addr(&self) -> &Addr<Command> {
        &self.addr
    }

    /// The supervisor itself, to watch, to list or to end it.
    pub fn actor(&self) -> ChildRef {
        self.addr.child()
    }

    /// Stops the children in reverse, then the supervisor.
    pub fn stop(&self) {
        self.addr.stop();
    }

    /// Waits until the supervisor has ended for good, and says why.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> ExitReason {
        self.addr.stopped().await
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Supervised({})", self.addr.name())
    }
}

/// What a supervisor is told.
#[derive(Debug)]
pub struct Command(Order);

#[derive(Debug)]
enum Order {
    /// How the child with this serial number fares.
    News(u64, News),
    /// The address of a child has ended for good.
    Ended(u64, ActorId, ExitReason),
    /// A backoff is over.
    Go(u64),
    /// The time that a child has to end is over.
    Overdue(u64, u64),
    Request(Request),
}
