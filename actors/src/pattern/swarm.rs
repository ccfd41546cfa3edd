//! swarm: agents that act tick by tick in an environment that they share, each by what it sees.
//!
//! A [`Swarm`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator, which hosts the agents
//! in actors, [one an agent](Swarm::agents_per_actor) by default. What a swarm is says a [`Model`]; how it goes from tick to tick
//! says a [`Course`](crate::swarm::Course): neither knows of actors.
//!
//! # Invariants
//! - One seed has one course, bit for bit, whoever hosts the agents, as long as nobody misses a move.
//! - Nobody holds a tick up past its deadline; who misses a move is in the journal before that has an effect.
//! - A run that is taken up again goes on from its last snapshot, and comes to what it would have come to.

mod coordinator;
mod host;
mod record;
mod recount;
mod report;

use std::{sync::Arc, time::Duration};

pub use record::Record;
pub use recount::{Recount, recount};
pub use report::{Report, Told};

use coordinator::Coordinator;

use super::PatternKind;
use crate::{
    dispatch::{Coordination, Launch, Pattern},
    limits::{HOSTS_MAX, MEASURES_MAX, SNAPSHOT_EVERY_DEFAULT, TICK_DEADLINE_DEFAULT},
    swarm::{Activation, Best, Model, course::Setup, detect::Detector},
};

/// A run of a swarm before it starts.
///
/// ```
/// use runtime::node::Node;
/// use synod_actors::{
///     pattern::swarm::Swarm,
///     swarm::{path::{Convergence, PathColony}, terrain::Grid},
///     system::AgentSystem,
/// };
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let map = Grid::parse("type octile\nheight 3\nwidth 5\nmap\n.....\n.@@@.\n.....\n")?;
/// let colony = PathColony::new(map.terrain(), 0, 14).ants(10);
/// let done = system.run(Swarm::new(colony).ticks(20).seed(7).detector(Convergence::default())).await?;
/// let best = done.value.best.ok_or("a swarm that ends well has an answer")?;
/// assert_eq!(best.cost, 6.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a swarm starts when it is run"]
pub struct Swarm<M: Model> {
    name: String,
    setup: Setup<M>,
    options: Options,
}

/// How a swarm is run; what it comes to depends on its seed alone.
#[derive(Clone, Copy, Debug)]
struct Options {
    seed: u64,
    agents_per_actor: u32,
    tick_deadline: Duration,
    time: Option<Duration>,
    snapshot_every: Duration,
}

impl<M: Model> Swarm<M> {
    /// A swarm of 1,000 ticks, with the seed 0, an actor an agent, and nobody who looks for what emerges.
    pub fn new(model: M) -> Self {
        Self::of(Arc::new(model))
    }

    /// The same, of a model that others have too.
    pub fn of(model: Arc<M>) -> Self {
        let options = Options {
            seed: 0,
            agents_per_actor: 1,
            tick_deadline: TICK_DEADLINE_DEFAULT,
            time: None,
            snapshot_every: SNAPSHOT_EVERY_DEFAULT,
        };
        let name = PatternKind::Swarm.as_str().to_owned();
        Self { name, setup: Setup::of(model, TICKS_DEFAULT), options }
    }

    /// Sets what the run is called in listings.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Ends the run well after so many ticks, at least 1.
    pub fn ticks(mut self, ticks: u64) -> Self {
        self.setup.ticks = ticks;
        self
    }

    /// Ends the run well after this time, with the best so far; unlike a run's deadline, which is a failure.
    ///
    /// How many ticks that are depends on the machine. Each life of a run has this time.
    pub const fn time(mut self, time: Duration) -> Self {
        self.options.time = Some(time);
        self
    }

    /// Sets what all dice follow from.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Hosts so many agents in one actor, at least 1: what comes in tens of thousands needs less memory so, and is faster.
    pub const fn agents_per_actor(mut self, agents: u32) -> Self {
        self.options.agents_per_actor = agents;
        self
    }

    /// Sets in which order agents see the world and act on it.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.setup.activation = activation;
        self
    }

    /// Lets somebody look at the world after each tick: what it says is a solution ends the run, patterns are reported.
    pub fn detector(mut self, detector: impl Detector<M>) -> Self {
        self.setup.detectors.push(Box::new(detector));
        self
    }

    /// Changes the world from outside before a tick; `change` is told the best so far, and its error ends the run.
    ///
    /// It is called in the middle of other work, so it must not wait, and must always do the same to the same world.
    pub fn change(
        mut self,
        before_tick: u64,
        change: impl Fn(&M, &mut M::World, Option<&Best<M::Solution>>) -> Result<(), String>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.setup.changes.push((before_tick, Box::new(change)));
        self
    }

    /// Sets the time that all agents together have in one tick; 10 s by default. Who has not acted by then has missed the tick.
    pub const fn tick_deadline(mut self, within: Duration) -> Self {
        self.options.tick_deadline = within;
        self
    }

    /// Sets the time between two snapshots, from which a run that was killed goes on; 1 s by default, and never less than a
    /// tenth of the run's time so far. Zero takes one after each tick.
    ///
    /// A world that is larger than 4 MiB has no snapshots: its run begins again, and comes to the same.
    pub const fn snapshot_every(mut self, time: Duration) -> Self {
        self.options.snapshot_every = time;
        self
    }
}

/// The ticks of a swarm where none are given.
const TICKS_DEFAULT: u64 = 1_000;

impl<M: Model> std::fmt::Debug for Swarm<M> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, setup, options } = self;
        write!(out, "Swarm({name}, {setup:?}, {options:?})")
    }
}

impl<M: Model> Pattern for Swarm<M> {
    type Output = Report<M>;

    fn launch(self, launch: Launch<Report<M>>) -> Coordination {
        let Self { name, setup, options } = self;
        let scheme = Arc::new(Scheme { name, setup: Arc::new(setup), options });
        launch.start(PatternKind::Swarm, move |brief, outcome| {
            Coordinator::new(brief, Arc::clone(&scheme), outcome)
        })
    }
}

/// A swarm that is run.
struct Scheme<M: Model> {
    name: String,
    setup: Arc<Setup<M>>,
    options: Options,
}

impl<M: Model> Scheme<M> {
    /// What its course follows from: a run that is taken up again must have the same.
    fn describe(&self) -> String {
        let Setup { model, activation, ticks, changes, detectors } = &*self.setup;
        let before: Vec<u64> = changes.iter().map(|(tick, _)| *tick).collect();
        let (seed, detectors) = (self.options.seed, detectors.len());
        let model = model.describe();
        format!(
            "{model}; seed {seed}, {activation:?}, {ticks} ticks, changes before {before:?}, {detectors} detectors"
        )
    }

    /// Everything that is wrong with how it is run.
    fn check(&self) -> Result<(), String> {
        let Options { agents_per_actor, tick_deadline, .. } = self.options;
        let measures = self.setup.model.measures().len();
        let mut problems = Vec::new();
        if agents_per_actor == 0 {
            problems.push("actors of 0 agents host nobody; give them one at the least".to_owned());
        }
        if tick_deadline.is_zero() {
            problems.push("a tick without time moves nobody; give it some".to_owned());
        }
        if measures > MEASURES_MAX {
            problems.push(format!("{measures} measures; at most {MEASURES_MAX} are possible"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// The actor that hosts an agent.
    fn host(&self, agent: u32) -> usize {
        let host = agent / self.options.agents_per_actor.max(1);
        (host as usize).min(HOSTS_MAX - 1)
    }

    /// The agents that an actor hosts, of so many.
    fn hosted(&self, host: usize, born: u32) -> std::ops::Range<u32> {
        let per = self.options.agents_per_actor.max(1);
        let from = u32::try_from(host).unwrap_or(u32::MAX).saturating_mul(per);
        let to = if host + 1 == HOSTS_MAX { born } else { from.saturating_add(per) };
        from.min(born)..to.min(born)
    }
}
