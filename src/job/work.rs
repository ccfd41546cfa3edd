//! What one pattern of a run file asks for, ready to run, whatever its kind is.

use std::{path::Path, sync::Arc, time::Duration};

use actors::{
    agent::{Launcher, Part},
    pattern::{consensus, hierarchy, map_reduce::Branch, pipeline},
};
use protocol::RunId;
use runtime::{budget::Limits, engine::journal::Journal};
use serde_json::Value;

use super::{
    Cast, Hierarchy, Job, JobError, Pipeline, Product, Ready, StandIns, Swarm, Vote,
    hierarchy::Crew, vote::Electorate,
};
use crate::{
    node::Node,
    runfile::{
        Agent, Consensus, Hierarchy as Teams, Name, Pipeline as Documents, Resolved, crew_of,
    },
};

/// What one pattern asks for.
#[derive(Clone, Debug)]
pub enum Work {
    /// Work that is split.
    Review(Arc<Job>),
    /// A question that is voted on.
    Vote(Arc<Vote>),
    /// Documents that go through stages.
    Pipeline(Arc<Pipeline>),
    /// Agents of its own that look for something.
    Swarm(Arc<Swarm>),
    /// A mission of teams.
    Hierarchy(Arc<Hierarchy>),
}

/// A pattern whose agents are on a node.
pub(super) enum Hired {
    Review(Arc<Job>, Vec<Branch<Part, Value>>),
    Vote(Arc<Vote>, Electorate),
    Pipeline(Arc<Pipeline>, Vec<pipeline::Stage>),
    Swarm(Arc<Swarm>),
    Hierarchy(Arc<Hierarchy>, Crew),
}

impl Work {
    /// Lists what there is to do in the pattern that is `main`, for a cast that is known. Blocks on the file system.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub(super) fn with(
        resolved: &Resolved,
        launcher: &Launcher,
        cast: Cast,
    ) -> Result<Self, JobError> {
        if resolved.vote(&resolved.main).is_some() {
            return Ok(Self::Vote(Arc::new(Vote::with(resolved, launcher, cast)?)));
        }
        if resolved.pipeline(&resolved.main).is_some() {
            return Ok(Self::Pipeline(Arc::new(Pipeline::with(resolved, launcher, cast)?)));
        }
        if resolved.swarm(&resolved.main).is_some() {
            return Ok(Self::Swarm(Arc::new(Swarm::with(resolved, cast)?)));
        }
        if resolved.hierarchy(&resolved.main).is_some() {
            return Ok(Self::Hierarchy(Arc::new(Hierarchy::with(resolved, launcher, cast)?)));
        }
        Ok(Self::Review(Arc::new(Job::with(resolved, launcher, cast)?)))
    }

    /// Everyone who may do the work of the pattern of this name, fallbacks behind.
    ///
    /// # Errors
    /// [`JobError::Unknown`] where there is no such pattern; a checked run file has each that it names.
    pub(super) fn crew<'r>(
        resolved: &'r Resolved,
        name: &Name,
    ) -> Result<Vec<&'r Agent>, JobError> {
        let names = resolved.vote(name).map(Consensus::names);
        let names = names.or_else(|| resolved.pipeline(name).map(Documents::names));
        let names = names.or_else(|| resolved.swarm(name).map(|_| Vec::new()));
        let names = names.or_else(|| resolved.hierarchy(name).map(Teams::names));
        match names {
            Some(names) => Ok(crew_of(&resolved.agents, &names)),
            None => Ok(super::crew(resolved, name)?.1),
        }
    }

    /// Starts the agents on `node`, or whoever stands in for them.
    pub(super) fn hire(&self, node: &Node, stand_ins: &dyn StandIns) -> Result<Hired, JobError> {
        Ok(match self {
            Self::Review(job) => Hired::Review(Arc::clone(job), job.hire(node, stand_ins)?),
            Self::Vote(vote) => Hired::Vote(Arc::clone(vote), vote.hire(node, stand_ins)?),
            Self::Pipeline(own) => Hired::Pipeline(Arc::clone(own), own.hire(node, stand_ins)?),
            Self::Swarm(own) => Hired::Swarm(Arc::clone(own)),
            Self::Hierarchy(own) => Hired::Hierarchy(Arc::clone(own), own.hire(node, stand_ins)?),
        })
    }

    /// What a run has brought so far, by its journal; none of one that never began.
    ///
    /// # Errors
    /// The journal cannot be read, or tells of another pattern.
    pub fn brought(&self, journal: &dyn Journal, run: RunId) -> Result<Option<Product>, String> {
        if journal.next(run).map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::Review(job) => Product::Review(job.recount(journal, run)?),
            Self::Vote(_) => {
                let (vote, decision) = consensus::recount(journal, run)?;
                let decision = decision.unwrap_or_else(|| vote.so_far(Duration::ZERO));
                Product::Vote(decision)
            }
            Self::Pipeline(_) => Product::Pipeline(pipeline::recount(journal, run)?),
            Self::Swarm(own) => Product::Swarm(Box::new(own.recount(journal, run)?)),
            Self::Hierarchy(_) => Product::of_hierarchy(hierarchy::recount(journal, run)?),
        }))
    }

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        match self {
            Self::Review(job) => job.agents(),
            Self::Vote(vote) => vote.agents(),
            Self::Pipeline(pipeline) => pipeline.agents(),
            Self::Swarm(swarm) => swarm.agents(),
            Self::Hierarchy(own) => own.agents(),
        }
    }

    /// Who takes part.
    pub fn cast(&self) -> &Cast {
        match self {
            Self::Review(job) => &job.cast,
            Self::Vote(vote) => &vote.cast,
            Self::Pipeline(pipeline) => &pipeline.cast,
            Self::Swarm(swarm) => &swarm.cast,
            Self::Hierarchy(own) => &own.cast,
        }
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        match self {
            Self::Review(job) => job.name(),
            Self::Vote(vote) => vote.name(),
            Self::Pipeline(pipeline) => pipeline.name(),
            Self::Swarm(swarm) => swarm.name(),
            Self::Hierarchy(own) => own.name(),
        }
    }

    /// What is looked at.
    pub fn root(&self) -> &Path {
        match self {
            Self::Review(job) => job.files.origin(),
            Self::Vote(vote) => vote.root(),
            Self::Pipeline(pipeline) => pipeline.root(),
            Self::Swarm(swarm) => swarm.root(),
            Self::Hierarchy(own) => own.root(),
        }
    }

    /// What its teams are to do, where it has some.
    pub fn mission(&self) -> Option<&str> {
        match self {
            Self::Hierarchy(own) => Some(own.mission()),
            Self::Review(_) | Self::Vote(_) | Self::Pipeline(_) | Self::Swarm(_) => None,
        }
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        match self {
            Self::Review(job) => job.limits(),
            Self::Vote(vote) => vote.limits(),
            Self::Pipeline(pipeline) => pipeline.limits(),
            Self::Swarm(swarm) => swarm.limits(),
            Self::Hierarchy(own) => own.limits(),
        }
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        match self {
            Self::Review(job) => job.deadline(),
            Self::Vote(vote) => vote.deadline(),
            Self::Pipeline(pipeline) => pipeline.deadline(),
            Self::Swarm(swarm) => swarm.deadline(),
            Self::Hierarchy(own) => own.deadline(),
        }
    }
}

impl Hired {
    /// Describes the run of these agents.
    ///
    /// # Errors
    /// [`JobError::Unknown`] where an agent is missing.
    pub(super) fn again(&self) -> Result<Ready, JobError> {
        Ok(match self {
            Self::Review(job, branches) => Ready::Review(job.pattern(branches.clone())),
            Self::Vote(vote, electorate) => {
                Ready::Vote(Box::new(vote.pattern(electorate, Value::Null)))
            }
            Self::Pipeline(own, stages) => Ready::Pipeline(own.pattern(stages.clone())),
            Self::Swarm(own) => Ready::Swarm(own.run()),
            Self::Hierarchy(own, crew) => {
                let run = own.pattern(crew, None).map_err(|name| JobError::Unknown { name })?;
                Ready::Hierarchy(Box::new(run))
            }
        })
    }
}
