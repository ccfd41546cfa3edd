//! What a run file asks for, ready to run, whatever its pattern is.

use std::{path::Path, time::Duration};

use actors::{
    agent::Launcher,
    pattern::{consensus::Decision, pipeline::Report as Passages},
};
use review::merge::Report;
use runtime::budget::Limits;

use super::{Cast, Job, JobError, Pipeline, Vote};
use crate::runfile::Resolved;

/// What a run file asks for.
#[derive(Debug)]
pub enum Plan {
    /// Work that is split.
    Review(Box<Job>),
    /// A question that is voted on.
    Vote(Box<Vote>),
    /// Documents that go through stages.
    Pipeline(Box<Pipeline>),
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
        if resolved.vote(&resolved.main).is_some() {
            return Ok(Self::Vote(Box::new(Vote::prepare(resolved, launcher, before)?)));
        }
        if resolved.pipeline(&resolved.main).is_some() {
            let pipeline = Pipeline::prepare(resolved, launcher, before)?;
            return Ok(Self::Pipeline(Box::new(pipeline)));
        }
        Ok(Self::Review(Box::new(Job::prepare(resolved, launcher, before)?)))
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
