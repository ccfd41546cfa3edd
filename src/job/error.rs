//! Why a job cannot be prepared or started: each says what, where and what to do.

use std::path::PathBuf;

use actors::agent::{AgentError, NoProgram, handle::StartError};
use review::source::SourceError;

use crate::{
    limits::{DOCUMENT_FOLDERS_MAX, DOCUMENTS_MAX},
    runfile::limits::INSTANCES_MAX,
};

/// Why a job cannot be prepared or started.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The files cannot be listed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A program cannot be started.
    #[error("agent `{agent}`: {why}, or set `agents.{agent}.optional = true`")]
    NoProgram {
        /// The agent.
        agent: String,
        /// Why.
        why: NoProgram,
    },
    /// The agents that the run began with are not those of now.
    #[error("agent `{agent}` took part in this run and cannot now: {reason}")]
    Changed {
        /// The agent.
        agent: String,
        /// Why.
        reason: String,
    },
    /// No agent is left.
    #[error("no agent of `{pattern}` can take part: {reasons}")]
    Nobody {
        /// The pattern.
        pattern: String,
        /// Why, for each agent.
        reasons: String,
    },
    /// No file is left.
    #[error("there is nothing to do: of the {files} files of {} none is taken by an agent{skipped}; look at `path` and `accepts`", path.display())]
    Nothing {
        /// What was looked at.
        path: PathBuf,
        /// The files there that can be reviewed.
        files: usize,
        /// The first that cannot, each with its reason; empty if there are none.
        skipped: String,
    },
    /// The folder of a vote or a hierarchy is not there.
    #[error("there is no folder {} for the agents to work in; look at `path`", path.display())]
    NoFolder {
        /// Which.
        path: PathBuf,
    },
    /// The documents of a pipeline cannot be listed.
    #[error("cannot look at {}: {error}; look at `documents` of the pipeline", path.display())]
    Listing {
        /// What was looked at.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A pipeline has nothing to do.
    #[error("there are no documents below {} that `accepts` ({accepts}) takes", path.display())]
    NoDocuments {
        /// What was looked at.
        path: PathBuf,
        /// The globs.
        accepts: String,
    },
    /// A pipeline has more documents than a run may have.
    #[error("there are more than {DOCUMENTS_MAX} documents, or {DOCUMENT_FOLDERS_MAX} folders, below {}; make several runs of them", path.display())]
    TooMany {
        /// What was looked at.
        path: PathBuf,
    },
    /// The file of a swarm cannot be read.
    #[error("cannot read {}: {error}; look at the `model` of the swarm", path.display())]
    Unread {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file of a swarm is none of its kind.
    #[error("{}: {why}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// A swarm cannot begin.
    #[error("swarm `{name}`: {why}")]
    Swarm {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The file of a swarm is not the one that its run began with.
    #[error("{} is not what it was when this run began; put it back, or begin a new run", path.display())]
    DataChanged {
        /// Which.
        path: PathBuf,
    },
    /// Nobody does a stage.
    #[error("nobody does stage `{stage}`: agent `{agent}` cannot take part: {reason}")]
    NoStage {
        /// The stage.
        stage: String,
        /// Its agent.
        agent: String,
        /// Why not.
        reason: String,
    },
    /// Nobody does what an agent of a hierarchy is for.
    #[error("agent `{agent}` of hierarchy `{hierarchy}` cannot take part: {reason}")]
    NoMember {
        /// The hierarchy.
        hierarchy: String,
        /// The agent.
        agent: String,
        /// Why not.
        reason: String,
    },
    /// The agents of patterns that run together are too many.
    #[error(
        "the agents of `{main}` and the patterns that it comes after have {count} instances together, an agent of several patterns counted in each; at most {INSTANCES_MAX}: lower `count`"
    )]
    Instances {
        /// The pattern that was asked for.
        main: String,
        /// How many they have.
        count: usize,
    },
    /// An agent's command line is not possible.
    #[error("agent `{agent}`: {why}")]
    Agent {
        /// The agent.
        agent: String,
        /// Why.
        why: AgentError,
    },
    /// The program that runs this job has no such agent or pattern; a checked run file never names one.
    #[error("this program has no `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// An agent could not start.
    #[error(transparent)]
    Start(#[from] StartError),
}
