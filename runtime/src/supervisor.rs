//! Supervision: children by specification, restarted one for one, within an intensity per period.
//!
//! A supervisor is an actor like any other. It is told of each end of a child and answers with a restart or with its own end.
//! Names and defaults are OTP's (one restart in five seconds).
//!
//! # Invariants
//! - The n-th restart within the period is allowed for intensity n; one more ends the supervisor and with it all children.
//! - Children start in order and stop in reverse.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{
    actor::{Actor, ActorId, ChildExit, ExitReason},
    address::Addr,
    child::ChildRef,
    clock::Moment,
    context::Cx,
    kernel::Kernel,
    limits::{RESTART_PERIOD_DEFAULT, RESTARTS_DEFAULT, SHUTDOWN_DEFAULT, SUPERVISOR_CHILDREN_MAX},
    node::Node,
    planted::{self, Planted},
    spawn::{self, Report, Spawn},
};

/// When an ended child is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After a failure only.
    Transient,
    /// Never.
    Temporary,
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
/// let echoes = Supervisor::one_for_one("echoes")
///     .intensity(3, Duration::from_secs(60))
///     .child("first", || Echo)
///     .child("second", || Echo);
/// # drop(echoes);
/// ```
pub struct Supervisor {
    name: String,
    intensity: u32,
    period: Duration,
    children: Vec<ChildSpec>,
}

/// Makes the child's address below a parent's name; it is launched later.
type Prepare = Box<dyn FnOnce(&Arc<Kernel>, &str, Report) -> Prepared + Send>;

struct ChildSpec {
    restart: Restart,
    shutdown: Duration,
    prepare: Prepare,
}

struct Prepared {
    child: ChildRef,
    launch: Box<dyn FnOnce() + Send>,
}

impl Supervisor {
    /// A supervisor called `name` that restarts an ended child alone.
    pub fn one_for_one(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            intensity: RESTARTS_DEFAULT,
            period: RESTART_PERIOD_DEFAULT,
            children: Vec::new(),
        }
    }

    /// Allows `restarts` within any `period`; one more ends the supervisor.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = restarts;
        self.period = period;
        self
    }

    /// Adds a permanent child called `name`.
    #[must_use]
    pub fn child<A: Actor>(
        self,
        name: impl Into<String>,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Self {
        self.child_with(Spawn::named(name), Restart::Permanent, birth)
    }

    /// Adds a child with options of its own; beyond 65,536 children the newcomer is left out and an error logged.
    #[must_use]
    pub fn child_with<A: Actor>(
        mut self,
        spawn: Spawn,
        restart: Restart,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Self {
        if self.children.len() >= SUPERVISOR_CHILDREN_MAX {
            tracing::error!(
                supervisor = self.name,
                "supervisor has too many children, child left out"
            );
            return self;
        }
        let shutdown = spawn.shutdown;
        let prepare: Prepare = Box::new(move |kernel, parent, report| {
            let (addr, launch) =
                spawn::prepare(kernel, Some(parent), spawn, Box::new(birth), Some(report));
            Prepared { child: addr.child(), launch: Box::new(launch) }
        });
        self.children.push(ChildSpec { restart, shutdown, prepare });
        self
    }

    /// Starts the supervisor as a root of `node`; its children have their addresses when this returns.
    pub(crate) fn start(self, node: &Node) -> Supervised {
        let Self { name, intensity, period, children } = self;
        let shelf: Arc<Mutex<Vec<(Prepared, Restart)>>> = Arc::default();
        let taken = Arc::clone(&shelf);
        // Children stop one after the other, so their supervisor has the time of all of them, and its own.
        let shutdown = children.iter().map(|child| child.shutdown);
        let shutdown = shutdown.fold(SHUTDOWN_DEFAULT, Duration::saturating_add);
        let spawn = Spawn::named(name).shutdown(shutdown);
        let (addr, launch) = node.prepare_root(spawn, move || Supervising {
            prepared: std::mem::take(&mut *taken.lock()),
            children: Vec::new(),
            budget: Intensity::new(intensity, period),
        });
        let mut refs = Vec::with_capacity(children.len());
        for ChildSpec { restart, prepare, .. } in children {
            let supervisor = Arc::clone(&addr.0);
            let report: Report = Box::new(move |exit| supervisor.notify(Command::Exited(exit)));
            let prepared = prepare(&addr.0.kernel, addr.name(), report);
            refs.push(prepared.child.clone());
            shelf.lock().push((prepared, restart));
        }
        launch();
        Supervised { node: node.clone(), addr, children: refs.into() }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Supervisor({}, {} children)", self.name, self.children.len())
    }
}

/// A running supervisor.
#[derive(Clone, Debug)]
pub struct Supervised {
    node: Node,
    addr: Addr<Command>,
    children: Arc<[ChildRef]>,
}

impl Supervised {
    /// The child called `name`, if it lives and takes messages of type `M`.
    pub fn child<M: Send + 'static>(&self, name: &str) -> Option<Addr<M>> {
        self.node.find(&format!("{}/{name}", self.addr.name()))
    }

    /// Every child by its name's last part, in the order of their start.
    pub fn children(&self) -> &[ChildRef] {
        &self.children
    }

    /// Stops the children in reverse, then the supervisor.
    pub fn stop(&self) {
        self.addr.stop();
    }

    /// Waits until the supervisor has ended, and says why.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> ExitReason {
        self.addr.stopped().await
    }
}

/// What a supervisor is told.
#[derive(Debug)]
pub enum Command {
    /// A child's incarnation ended.
    Exited(ChildExit),
}

/// The supervisor's own actor.
struct Supervising {
    prepared: Vec<(Prepared, Restart)>,
    children: Vec<(ChildRef, Restart)>,
    budget: Intensity,
}

impl Actor for Supervising {
    type Msg = Command;

    fn start(&mut self, cx: &mut Cx<Self>) {
        for (Prepared { child, launch }, restart) in std::mem::take(&mut self.prepared) {
            cx.launch_child(child.clone(), launch);
            self.children.push((child, restart));
        }
    }

    fn handle(&mut self, Command::Exited(exit): Command, cx: &mut Cx<Self>) {
        let Some(at) = self.find(exit.child) else { return };
        let Some((child, restart)) = self.children.get(at).cloned() else { return };
        if !restart.wants(&exit.reason) {
            cx.stop_child(&child);
            self.children.remove(at);
            return;
        }
        if self.budget.spend(cx.now()) {
            cx.restart(&child);
        } else {
            cx.give_up(ExitReason::Intensity(format!(
                "{}: {}; {}",
                child.name(),
                exit.reason,
                self.budget
            )));
        }
    }
}

impl Supervising {
    fn find(&self, id: ActorId) -> Option<usize> {
        self.children.iter().position(|(child, _)| child.id() == id)
    }
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

/// Restarts counted exactly over a sliding period.
#[derive(Clone, Debug)]
pub struct Intensity {
    restarts: u32,
    period: Duration,
    spent: VecDeque<Moment>,
}

impl Intensity {
    /// Allows `restarts` within any `period`.
    pub fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period, spent: VecDeque::new() }
    }

    /// Spends one restart at `now`; false when the period's are used up.
    pub fn spend(&mut self, now: Moment) -> bool {
        while self.spent.front().is_some_and(|at| now.since(*at) > self.period) {
            self.spent.pop_front();
        }
        let more = u32::from(planted::is_planted(Planted::IntensityOffByOne));
        if self.spent.len() >= (self.restarts + more) as usize {
            return false;
        }
        self.spent.push_back(now);
        true
    }
}

impl fmt::Display for Intensity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "more than {} restarts within {:?}", self.restarts, self.period)
    }
}
