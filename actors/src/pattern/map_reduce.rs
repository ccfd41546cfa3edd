//! map_reduce: a task is split into parts, each part goes to agents, their results are put together.
//!
//! [`map_reduce`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator. The split comes from a
//! [`Map`], the result from a [`Reduce`]; both are the user's traits.
//!
//! # Invariants
//! - Every part goes to each agent that takes it (`all_of`), or to one of them (`any_of`); its result is accepted once.
//! - A result is in the journal before its place is given away, before it is reported and before the run ends.
//! - An attempt that is not wanted any more is cancelled.

mod board;
mod coordinator;
mod options;
mod record;
mod reduce;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use super::Ended;
pub use board::UnitId;
pub use options::{Assignment, OnPartialFailure, Options, Retries};
pub use record::Record;
pub use reduce::{ByRun, Collect, Done, Reduce, Reducing, Sum, by_run, sum};

use crate::{agent::handle::Agent, limits::PARTS_MAX};

/// A part of a task, as a split makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece<P> {
    /// The part's name for people; empty means its number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its size in bytes, where that has a meaning.
    #[serde(default)]
    pub bytes: u64,
    /// Capabilities that an agent must have for it, for `any_of`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Whether it may run twice at the same time, the slower attempt in vain.
    pub speculate: bool,
    /// What the agent gets.
    pub input: P,
}

impl<P> Piece<P> {
    /// A part without a name, size or needs.
    pub fn new(input: P) -> Self {
        Self { name: String::new(), bytes: 0, needs: Vec::new(), speculate: true, input }
    }
}

/// Splits a task. Runs on a thread of its own, so it may read files and compute.
///
/// ```
/// use synod_actors::pattern::map_reduce::{Map, Piece};
///
/// /// The paragraphs of a text, each with its position.
/// struct Paragraphs(String);
///
/// impl Map<(usize, String)> for Paragraphs {
///     fn map(&mut self) -> Result<Vec<Piece<(usize, String)>>, String> {
///         let texts = self.0.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
///         Ok(texts.map(str::to_owned).enumerate().map(Piece::new).collect())
///     }
///
///     fn validate(&self, pieces: &[Piece<(usize, String)>]) -> Result<(), String> {
///         let words: usize = pieces.iter().map(|piece| piece.input.1.split_whitespace().count()).sum();
///         if words == self.0.split_whitespace().count() { Ok(()) } else { Err("words are lost".into()) }
///     }
/// }
///
/// let mut split = Paragraphs("One.\n\nTwo words.".to_owned());
/// let pieces = split.map()?;
/// split.validate(&pieces)?;
/// assert_eq!(pieces.len(), 2);
/// # Ok::<(), String>(())
/// ```
pub trait Map<P>: Send + 'static {
    /// Makes the parts.
    ///
    /// # Errors
    /// Why the task cannot be split; the run then ends as [`Split`](crate::pattern::FailureKind::Split).
    fn map(&mut self) -> Result<Vec<Piece<P>>, String>;

    /// Checks the split: every piece of the task in exactly one part, none empty, sizes within limits.
    ///
    /// # Errors
    /// What is wrong with it; the run then ends as [`Split`](crate::pattern::FailureKind::Split).
    fn validate(&self, pieces: &[Piece<P>]) -> Result<(), String> {
        let _ = pieces;
        Ok(())
    }
}

/// The split of a list: each item is a part.
#[derive(Debug)]
pub struct Items<P>(Vec<P>);

/// Splits a list: each item is a part.
pub fn items<P>(items: impl IntoIterator<Item = P>) -> Items<P> {
    // One more than allowed, so that an endless iterator ends as a refusal.
    Items(items.into_iter().take(PARTS_MAX + 1).collect())
}

impl<P: Send + 'static> Map<P> for Items<P> {
    fn map(&mut self) -> Result<Vec<Piece<P>>, String> {
        Ok(std::mem::take(&mut self.0).into_iter().map(Piece::new).collect())
    }
}

/// An agent of a run, and what of a part it takes.
pub struct Branch<P, O> {
    /// The agent.
    pub agent: Agent<P, O>,
    /// What of a part's input the agent takes; all of it where there is no function, nothing where it says none.
    pub narrow: Option<Narrow<P>>,
    /// The branch's own options, where they differ from the run's.
    pub timeout: Option<std::time::Duration>,
}

/// Cuts a part down to what one agent takes of it.
pub type Narrow<P> = Arc<dyn Fn(&P) -> Option<P> + Send + Sync>;

impl<P, O> Clone for Branch<P, O> {
    fn clone(&self) -> Self {
        Self { agent: self.agent.clone(), narrow: self.narrow.clone(), timeout: self.timeout }
    }
}

impl<P: Send + 'static, O: Send + 'static> Branch<P, O> {
    /// A branch whose agent takes whole parts.
    pub fn whole(agent: &Agent<P, O>) -> Self {
        Self { agent: agent.clone(), narrow: None, timeout: None }
    }
}

impl<P, O> fmt::Debug for Branch<P, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.agent.fmt(out)
    }
}

/// What parts and results must be: copied to agents, and written to the journal.
pub trait Datum: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Datum for T {}

/// A run of map_reduce before it starts.
pub struct MapReduce<P, O, R> {
    pub(crate) map: Box<dyn Map<P>>,
    pub(crate) branches: Vec<Branch<P, O>>,
    pub(crate) reduce: Box<dyn FnMut() -> R + Send>,
    pub(crate) options: Options,
}

/// Describes a run: each item is a part, `agent` does the parts, their results are collected in the items' order.
///
/// ```
/// use std::time::Duration;
/// use synod_actors::{pattern::map_reduce::{map_reduce, sum}, system::AgentSystem};
/// use runtime::node::Node;
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let square = system.agent("square", |n: u64, _| async move { Ok::<_, String>(n * n) }).count(4).start()?;
/// let run = map_reduce(0..1_000, &square).reduce(sum());
/// let done = system.run(run).deadline(Duration::from_secs(60)).await?;
/// assert_eq!((done.value, done.failed.len()), (332_833_500, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn map_reduce<P: Datum, O: Datum>(
    items: impl IntoIterator<Item = P>,
    agent: &Agent<P, O>,
) -> MapReduce<P, O, Collect> {
    MapReduce::new(self::items(items), vec![Branch::whole(agent)], || Collect)
}

impl<P: Datum, O: Datum, R: Reduce<O>> MapReduce<P, O, R> {
    /// Describes a run with a split, agents and a reducer of its own; the reducer is made anew for each incarnation.
    pub fn new(
        map: impl Map<P>,
        branches: Vec<Branch<P, O>>,
        reduce: impl FnMut() -> R + Send + 'static,
    ) -> Self {
        Self { map: Box::new(map), branches, reduce: Box::new(reduce), options: Options::default() }
    }

    /// Puts the results together with copies of `reduce`.
    pub fn reduce<S: Reduce<O> + Clone>(self, reduce: S) -> MapReduce<P, O, S> {
        let Self { map, branches, options, .. } = self;
        MapReduce { map, branches, reduce: Box::new(move || reduce.clone()), options }
    }

    /// Sets how parts are assigned, retried and given up.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }
}

impl<P, O, R> fmt::Debug for MapReduce<P, O, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MapReduce({:?}, {:?})", self.branches, self.options)
    }
}
