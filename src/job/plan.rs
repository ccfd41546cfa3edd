//! What a run file asks for, ready to run: one pattern, or several of which some come after others.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use actors::{
    agent::{Launcher, Part},
    dispatch::Pattern,
    pattern::{
        Completed, FailedPart, Outcome, RunError,
        consensus::{Consensus, Decision},
        hierarchy::{Hierarchy as Teams, Report as Account},
        map_reduce::MapReduce,
        pipeline::{Pipeline as Line, Report as Passages},
        plan::{Plan as Several, Report as Course},
    },
};
use review::merge::Report;
use runtime::budget::Limits;
use serde_json::Value;

use super::{
    Cast, JobError, Merge, Planned, StandIns, Swarmed, Tasks, Themselves, Work, cast, hierarchy,
    swarm::Flight, work::Hired,
};
use crate::{
    node::Node,
    runfile::{Agent, Resolved},
};

/// What a run file asks for.
#[derive(Debug)]
pub enum Plan {
    /// One pattern.
    One(Work),
    /// A pattern and those that it comes after.
    Several(Arc<Tasks>),
}

/// The run of a plan whose agents are on a node.
#[derive(Debug)]
pub enum Ready {
    /// Of a [`Job`](super::Job).
    Review(MapReduce<Part, Value, Merge>),
    /// Of a [`Vote`](super::Vote).
    Vote(Box<Consensus>),
    /// Of a [`Pipeline`](super::Pipeline).
    Pipeline(Line),
    /// Of a [`Swarm`](super::Swarm).
    Swarm(Flight),
    /// Of a [`Hierarchy`](super::Hierarchy).
    Hierarchy(Box<Teams>),
    /// Of [`Tasks`].
    Several(Several),
}

/// What is done with the run of a plan, whatever its pattern is.
pub trait Follow: Sized {
    /// What comes of that.
    type Ended;

    /// Does it; `into` says what the run's value is.
    fn follow<P: Pattern>(
        self,
        run: P,
        into: impl Fn(P::Output) -> Product + Send + Sync + 'static,
    ) -> impl Future<Output = Self::Ended>;
}

impl Ready {
    /// Has somebody follow the run.
    pub async fn follow<F: Follow>(self, follower: F) -> F::Ended {
        match self {
            Self::Review(run) => follower.follow(run, Product::Review).await,
            Self::Vote(run) => follower.follow(*run, Product::of_vote).await,
            Self::Pipeline(run) => follower.follow(run, Product::Pipeline).await,
            Self::Swarm(run) => run.follow(follower).await,
            Self::Hierarchy(run) => follower.follow(*run, Product::of_hierarchy).await,
            Self::Several(run) => follower.follow(run, Product::of_several).await,
        }
    }
}

/// Describes the run of a plan whose agents are on a node, as often as it is taken up there.
#[derive(Clone)]
pub struct Runs(Arc<Staff>);

/// The agents of a plan on a node.
enum Staff {
    One(Hired),
    Several(Arc<Tasks>, Vec<Hired>),
}

/// What came of it.
#[derive(Debug)]
pub enum Product {
    /// What reviewers found.
    Review(Report),
    /// What the ballots come to.
    Vote(Box<Decision>),
    /// What became of documents.
    Pipeline(Passages),
    /// What a swarm has found.
    Swarm(Box<Swarmed>),
    /// What teams have done.
    Hierarchy(Box<Account>),
    /// What became of several patterns.
    Several(Box<Planned>),
}

impl Plan {
    /// Finds out who takes part, and on what; blocks.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn prepare(
        resolved: &Resolved,
        launcher: &Launcher,
        before: Option<&Cast>,
    ) -> Result<Self, JobError> {
        let cast = cast::now_or(&Self::crew(resolved)?, before)?;
        Self::with(resolved, launcher, cast)
    }

    /// As [`prepare`](Self::prepare) for a first run; the programs of agents that are `mocked` are not looked for.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn prepare_but(
        resolved: &Resolved,
        launcher: &Launcher,
        mocked: &dyn Fn(&Agent) -> bool,
    ) -> Result<Self, JobError> {
        let cast = cast::cast(&Self::crew(resolved)?, mocked)?;
        Self::with(resolved, launcher, cast)
    }

    /// Lists what there is to do for a cast that is known; its programs are not looked for. Blocks on the file system.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(resolved: &Resolved, launcher: &Launcher, cast: Cast) -> Result<Self, JobError> {
        if resolved.after(&resolved.main).is_empty() {
            return Ok(Self::One(Work::with(resolved, launcher, cast)?));
        }
        Ok(Self::Several(Arc::new(Tasks::with(resolved, launcher, cast)?)))
    }

    /// Everyone who may do the work of the patterns that run, fallbacks behind; each once.
    ///
    /// # Errors
    /// [`JobError::Unknown`] where there is no such pattern; a checked run file has each that it names.
    pub fn crew(resolved: &Resolved) -> Result<Vec<&Agent>, JobError> {
        let mut crew: Vec<&Agent> = Vec::new();
        for name in resolved.order() {
            let own = Work::crew(resolved, name)?;
            let is_new = |agent: &&Agent| crew.iter().all(|other| other.name != agent.name);
            let new: Vec<&Agent> = own.into_iter().filter(is_new).collect();
            crew.extend(new);
        }
        Ok(crew)
    }

    /// Starts the agents on `node` and describes the run.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn start(&self, node: &Node) -> Result<Ready, JobError> {
        self.hire(node, &Themselves)?.again()
    }

    /// Starts the agents on `node`, or whoever stands in for them.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn hire(&self, node: &Node, stand_ins: &dyn StandIns) -> Result<Runs, JobError> {
        Ok(Runs(Arc::new(match self {
            Self::One(work) => Staff::One(work.hire(node, stand_ins)?),
            Self::Several(tasks) => Staff::Several(Arc::clone(tasks), tasks.hire(node, stand_ins)?),
        })))
    }

    /// The pattern that was asked for.
    pub fn main(&self) -> &Work {
        match self {
            Self::One(work) => work,
            Self::Several(tasks) => &tasks.main().work,
        }
    }

    /// The agents that take part, each once, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        match self {
            Self::One(work) => work.agents(),
            Self::Several(tasks) => tasks.agents(),
        }
    }

    /// Who takes part.
    pub fn cast(&self) -> &Cast {
        match self {
            Self::One(work) => work.cast(),
            Self::Several(tasks) => &tasks.cast,
        }
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        self.main().name()
    }

    /// What is looked at.
    pub fn root(&self) -> &Path {
        self.main().root()
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.main().limits()
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.main().deadline()
    }
}

impl Runs {
    /// Describes the run once more.
    ///
    /// # Errors
    /// [`JobError::Unknown`] where an agent is missing; a checked run file has each that it names.
    pub fn again(&self) -> Result<Ready, JobError> {
        match &*self.0 {
            Staff::One(hired) => hired.again(),
            Staff::Several(tasks, hired) => Ok(Ready::Several(tasks.pattern(hired))),
        }
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Runs")
    }
}

impl Product {
    /// What the ballots come to.
    pub fn of_vote(decision: Decision) -> Self {
        Self::Vote(Box::new(decision))
    }

    /// What teams have done.
    pub fn of_hierarchy(account: Account) -> Self {
        Self::Hierarchy(Box::new(account))
    }

    /// What became of several patterns; what each has brought is not told yet.
    pub fn of_several(report: Course) -> Self {
        Self::Several(Box::new(Planned { report, products: Vec::new(), failed: Vec::new() }))
    }

    /// Whether nothing is missing of what was asked for, where a run completed without these parts.
    pub fn is_whole(&self, failed: &[FailedPart]) -> bool {
        match self {
            Self::Review(_) | Self::Pipeline(_) => failed.is_empty(),
            Self::Vote(decision) => decision.outcome.choice().is_some(),
            // One that seeks an answer and has none does not complete.
            Self::Swarm(_) => true,
            Self::Hierarchy(account) => failed.is_empty() && hierarchy::is_whole(account),
            Self::Several(planned) => failed.is_empty() && planned.is_whole(),
        }
    }

    /// An outcome with what its value is.
    ///
    /// # Errors
    /// Those of the outcome.
    pub fn outcome<T>(outcome: Outcome<T>, into: impl Fn(T) -> Self) -> Outcome<Self> {
        match outcome {
            Ok(Completed { run, value, failed, tally }) => {
                Ok(Completed { run, value: into(value), failed, tally })
            }
            Err(error) => {
                let RunError { run, kind, partial, failed, tally } = *error;
                Err(Box::new(RunError { run, kind, partial: partial.map(into), failed, tally }))
            }
        }
    }
}
