//! What `[map_reduce.NAME]` says, as plain typed values; built by [`build`](super::build).

use std::num::NonZeroUsize;
use std::time::Duration;

use runtime::retry::Retries;

use super::model::{ByteSize, Name};

/// One `[map_reduce.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MapReduce<T = String> {
    /// What `main` calls it.
    pub name: Name,
    /// How the work is cut into parts.
    pub split: Split<T>,
    /// Who does the parts.
    pub workers: Workers,
    /// How one of several free agents is chosen.
    pub assign: Assign,
    /// How often and when a failed part is tried again.
    pub retry: Retries,
    /// When an idle agent runs a slow part a second time; `None`: never.
    pub speculate: Option<Speculate>,
    /// What a part that failed for good does to the run.
    pub on_partial_failure: OnPartialFailure,
    /// How long one attempt at one part may take.
    pub timeout: Option<Duration>,
    /// The name of the function that merges the results of the parts.
    pub reduce: String,
    /// The patterns that it comes after.
    pub after: Vec<Name>,
}

/// `split = { … }`: cuts files into parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Split<T = String> {
    /// What is cut.
    pub source: SplitSource,
    /// How files are put together, the most significant first; never empty.
    pub by: Vec<SplitBy>,
    /// The folder or file to look at, relative to the working directory.
    pub path: T,
    /// A range of revisions (`A..B`): only what it changed.
    pub diff: Option<T>,
    /// The most bytes of one part; one larger file is a part of its own.
    pub max_bytes: ByteSize,
    /// The most files of one part.
    pub max_files: NonZeroUsize,
}

/// Where the parts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitSource {
    /// The text files under a path that version control does not ignore.
    CodeFiles,
}

/// What keeps files together or apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SplitBy {
    /// Files of one type share a part.
    Type,
    /// Parts are about equally large.
    Size,
    /// Parts are about equally complex.
    Complexity,
    /// Files that name each other share a part.
    Dependency,
}

/// Who does the parts; never empty, each name once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workers {
    /// Every part goes to each agent that accepts it.
    AllOf(Vec<Name>),
    /// Every part goes to one of the agents that accept it.
    AnyOf(Vec<Name>),
}

impl Workers {
    /// Gives the names, whichever way they share the parts.
    pub fn names(&self) -> &[Name] {
        match self {
            Self::AllOf(names) | Self::AnyOf(names) => names,
        }
    }
}

/// How one of several free agents is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assign {
    /// In turn.
    RoundRobin,
    /// The one whose capabilities fit best.
    CapabilityMatch,
}

/// When an idle agent runs a slow part a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speculate {
    /// How long a part must have been running before it may be doubled.
    pub after: Duration,
}

/// What a part that failed for good does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPartialFailure {
    /// The run fails.
    Fail,
    /// The run goes on, completes, and names the part.
    Keep,
    /// The part is given to another agent that accepts it; then as `Keep`.
    RetryElsewhere,
}
