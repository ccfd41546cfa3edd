//! What a run file asks for, ready to run, whatever its pattern is.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use actors::{
    agent::{Launcher, Part},
    pattern::{
        Completed, Outcome, RunError,
        consensus::{Consensus, Decision},
        map_reduce::MapReduce,
        pipeline::{Pipeline as Line, Report as Passages},
    },
};
use review::merge::Report;
use runtime::budget::Limits;
use serde_json::Value;

use super::{Cast, Job, JobError, Merge, Pipeline, StandIns, Themselves, Vote, cast};
use crate::{
    node::Node,
    runfile::{Agent, Resolved, crew_of},
};

/// What a run file asks for.
#[derive(Debug)]
pub enum Plan {
    /// Work that is split.
    Review(Arc<Job>),
    /// A question that is voted on.
    Vote(Arc<Vote>),
    /// Documents that go through stages.
    Pipeline(Arc<Pipeline>),
}

/// The run of a plan whose agents are on a node.
#[derive(Debug)]
pub enum Ready {
    /// Of a [`Job`].
    Review(MapReduce<Part, Value, Merge>),
    /// Of a [`Vote`].
    Vote(Box<Consensus>),
    /// Of a [`Pipeline`].
    Pipeline(Line),
}

/// Describes the run of a plan whose agents are on a node, as often as it is taken up there.
#[derive(Clone)]
pub struct Runs(Arc<dyn Fn() -> Ready + Send + Sync>);

/// What came of it.
#[derive(Debug)]
pub enum Product {
    /// What reviewers found.
    Review(Report),
    /// What the ballots come to.
    Vote(Box<Decision>),
    /// What became of documents.
    Pipeline(Passages),
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
        if resolved.vote(&resolved.main).is_some() {
            return Ok(Self::Vote(Arc::new(Vote::with(resolved, launcher, cast)?)));
        }
        if resolved.pipeline(&resolved.main).is_some() {
            return Ok(Self::Pipeline(Arc::new(Pipeline::with(resolved, launcher, cast)?)));
        }
        Ok(Self::Review(Arc::new(Job::with(resolved, launcher, cast)?)))
    }

    /// Everyone who may do the work of the pattern that runs, fallbacks behind.
    ///
    /// # Errors
    /// [`JobError::Unknown`] where there is no such pattern; a checked run file has each that it names.
    pub fn crew(resolved: &Resolved) -> Result<Vec<&Agent>, JobError> {
        let names = match (resolved.vote(&resolved.main), resolved.pipeline(&resolved.main)) {
            (Some(vote), _) => vote.names(),
            (None, Some(pipeline)) => pipeline.names(),
            (None, None) => return Ok(super::crew(resolved)?.1),
        };
        Ok(crew_of(&resolved.agents, &names))
    }

    /// Starts the agents on `node` and describes the run.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn start(&self, node: &Node) -> Result<Ready, JobError> {
        Ok(self.hire(node, &Themselves)?.again())
    }

    /// Starts the agents on `node`, or whoever stands in for them.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn hire(&self, node: &Node, stand_ins: &dyn StandIns) -> Result<Runs, JobError> {
        Ok(match self {
            Self::Review(job) => {
                let (job, branches) = (Arc::clone(job), job.hire(node, stand_ins)?);
                Runs(Arc::new(move || Ready::Review(job.pattern(branches.clone()))))
            }
            Self::Vote(vote) => {
                let vote = Box::new(vote.hire(node, stand_ins)?);
                Runs(Arc::new(move || Ready::Vote(vote.clone())))
            }
            Self::Pipeline(pipeline) => {
                let (pipeline, stages) = (Arc::clone(pipeline), pipeline.hire(node, stand_ins)?);
                Runs(Arc::new(move || Ready::Pipeline(pipeline.pattern(stages.clone()))))
            }
        })
    }

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        match self {
            Self::Review(job) => job.agents(),
            Self::Vote(vote) => vote.agents(),
            Self::Pipeline(pipeline) => pipeline.agents(),
        }
    }

    /// Who takes part.
    pub fn cast(&self) -> &Cast {
        match self {
            Self::Review(job) => &job.cast,
            Self::Vote(vote) => &vote.cast,
            Self::Pipeline(pipeline) => &pipeline.cast,
        }
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        match self {
            Self::Review(job) => job.name(),
            Self::Vote(vote) => vote.name(),
            Self::Pipeline(pipeline) => pipeline.name(),
        }
    }

    /// What is looked at.
    pub fn root(&self) -> &Path {
        match self {
            Self::Review(job) => job.files.origin(),
            Self::Vote(vote) => vote.root(),
            Self::Pipeline(pipeline) => pipeline.root(),
        }
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        match self {
            Self::Review(job) => job.limits(),
            Self::Vote(vote) => vote.limits(),
            Self::Pipeline(pipeline) => pipeline.limits(),
        }
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        match self {
            Self::Review(job) => job.deadline(),
            Self::Vote(vote) => vote.deadline(),
            Self::Pipeline(pipeline) => pipeline.deadline(),
        }
    }
}

impl Runs {
    /// Describes the run once more.
    pub fn again(&self) -> Ready {
        (self.0)()
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
