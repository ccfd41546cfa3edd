//! A swarm that a run file asks for: its map or cities read, its model made, ready to be run.
//!
//! [`model`] reads and makes, [`report`] says what came of it in the words of the file, [`scene`] keeps what is to be drawn.
//!
//! # Invariants
//! - A swarm that cannot begin is refused before anything is started.
//! - One that is taken up again has the file that it began with, or is refused.

/// Does the same with the model of a colony, whichever it is.
macro_rules! each {
    ($colony:expr, $model:ident => $do:expr) => {
        match $colony {
            Colony::Path($model) => $do,
            Colony::Tsp($model) => $do,
            Colony::Boids($model) => $do,
            Colony::Foraging($model) => $do,
        }
    };
}

mod model;
mod report;
mod scene;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actors::{
    pattern::{
        plan::{Before, Plan as Line},
        swarm::{Report, Swarm as Run, recount},
    },
    swarm::{
        Model,
        boids::{Boids, Flock, Polarised},
        detect::Reached,
        foraging::{Colony as Foraged, Foragers},
        path::{Convergence, PathColony, PathWorld},
        tsp::{TspColony, TspWorld},
    },
};
use protocol::RunId;
use runtime::{budget::Limits, engine::journal::Journal};

use self::model::Colony;
pub use self::{
    model::Ground,
    report::{Answer, Found, Stretch, Swarmed},
    scene::{Scene, Trail},
};
use super::{Cast, Follow, JobError, Product, brief};
use crate::runfile::{Agent, Resolved, Swarm as Pattern};

/// A swarm of a run file.
#[derive(Debug)]
pub struct Swarm {
    /// What it is made of; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    pattern: Pattern,
    ground: Ground,
    colony: Colony,
    root: PathBuf,
    deadline: Duration,
    limits: Limits,
}

/// A run of one.
#[derive(Debug)]
pub struct Flight(Arc<Swarm>);

impl Swarm {
    /// Reads the file of the model and makes it; `cast` is that of the run that is resumed, if it is. Blocks on the file system.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(resolved: &Resolved, cast: Cast) -> Result<Self, JobError> {
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let pattern = resolved.swarm(&resolved.main).ok_or_else(unknown)?.clone();
        let (colony, ground) = Colony::read(&pattern)?;
        if let Some(before) = cast.swarm.as_ref().filter(|before| **before != ground) {
            let path = PathBuf::from(before.file.as_deref().unwrap_or_default());
            return Err(JobError::DataChanged { path });
        }
        Ok(Self {
            cast: Cast { swarm: Some(ground.clone()), ..cast },
            root: PathBuf::from(ground.file.as_deref().unwrap_or(".")),
            ground,
            colony,
            deadline: resolved.deadline,
            limits: Limits { messages: resolved.messages, ..Limits::default() },
            pattern,
        })
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        self.pattern.name.as_str()
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The file of its map or its cities.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// None of the file's: a swarm brings its own.
    pub fn agents(&self) -> &[Agent] {
        &[]
    }

    /// Describes a run of it.
    pub fn run(self: &Arc<Self>) -> Flight {
        Flight(Arc::clone(self))
    }

    /// What the journal of a run says that it came to, or how far it came.
    ///
    /// # Errors
    /// The journal cannot be read, or tells of another pattern.
    pub fn recount(&self, journal: &dyn Journal, run: RunId) -> Result<Swarmed, String> {
        let told = recount(journal, run)?;
        each!(&self.colony, model => Ok(self.told(&told.report(&**model)?, &**model)))
    }

    /// What came of it, in the words of the file.
    fn told<M: Kind>(&self, report: &Report<M>, model: &M) -> Swarmed {
        let rows = (report.trace.every, report.trace.rows.clone());
        let told = report::in_json(report.told());
        let scene = report.world.as_ref().map(|world| model.scene(world));
        Swarmed { scene, ..Swarmed::of(&self.ground, self.pattern.seed, told, rows) }
    }

    fn make<M: Kind>(&self, model: &Arc<M>) -> Run<M> {
        let own = &self.pattern;
        let mut run = Run::of(Arc::clone(model))
            .name(own.name.as_str())
            .ticks(own.ticks)
            .seed(own.seed)
            .activation(own.activation)
            .agents_per_actor(own.agents_per_actor)
            .tick_deadline(own.tick_deadline)
            .snapshot_every(own.snapshot_every);
        if let Some(time) = own.time {
            run = run.time(time);
        }
        if let Some(cost) = own.stop_at {
            run = run.detector(Reached(cost));
        }
        M::dressed(run, (own, &self.ground))
    }

    /// Adds a run of it to a plan, behind these.
    pub(super) fn add(self: &Arc<Self>, line: Line, name: &str, after: &[&str]) -> Line {
        each!(&self.colony, model => {
            let (own, of) = (Arc::clone(self), Arc::clone(model));
            let (teller, told) = (Arc::clone(self), Arc::clone(model));
            let make = move |_: &Before| Ok(own.make(&of));
            line.task_as(name, after, make, move |report, _| brief::of_swarm(&teller.told(&report, &*told)))
        })
    }
}

impl Flight {
    /// Has somebody follow the run.
    pub async fn follow<F: Follow>(self, follower: F) -> F::Ended {
        let Self(own) = self;
        each!(&own.colony, model => {
            let (teller, told) = (Arc::clone(&own), Arc::clone(model));
            let into = move |report| Product::Swarm(Box::new(teller.told(&report, &*told)));
            follower.follow(own.make(model), into).await
        })
    }
}

/// What is particular to a model in a run file.
trait Kind: Model {
    /// Adds to a run what only this model has.
    fn dressed(run: Run<Self>, of: (&Pattern, &Ground)) -> Run<Self>
    where
        Self: Sized,
    {
        let _ = of;
        run
    }

    /// What is to be drawn of a world.
    fn scene(&self, world: &Self::World) -> Scene;
}

impl Kind for PathColony {
    fn dressed(run: Run<Self>, (own, ground): (&Pattern, &Ground)) -> Run<Self> {
        let usual = Convergence::default();
        let run = run.detector(Convergence {
            share: own.pattern.share.unwrap_or(usual.share),
            strength: own.pattern.strength.unwrap_or(usual.strength),
        });
        own.changes.iter().fold(run, |run, change| {
            let places = model::places(ground, &change.cells);
            run.change(change.tick, move |colony, world, _| {
                places.iter().try_for_each(|place| colony.block(world, *place))
            })
        })
    }

    fn scene(&self, world: &PathWorld) -> Scene {
        scene::of_path(self, world)
    }
}

impl Kind for TspColony {
    fn scene(&self, world: &TspWorld) -> Scene {
        scene::of_tsp(self, world)
    }
}

impl Kind for Boids {
    fn dressed(run: Run<Self>, (own, _): (&Pattern, &Ground)) -> Run<Self> {
        run.detector(own.pattern.strength.map_or_else(Polarised::default, Polarised))
    }

    fn scene(&self, world: &Flock) -> Scene {
        scene::of_boids(world)
    }
}

impl Kind for Foragers {
    fn scene(&self, world: &Foraged) -> Scene {
        scene::of_foraging(self, world)
    }
}
