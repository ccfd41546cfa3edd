//! Who waits for whom on one node, so that a wait which can never end is refused at once, with its path.
//!
//! An edge exists while a waiter can serve nothing else: an actor in a [call](crate::context::Cx::call), an actor whose full outbox
//! stands in another's line, a handler of an agent that awaits answers. The kernel opens an edge when a question is delivered and
//! whoever owns the wait drops it with the answer; the reduction itself is in `graph`.
//!
//! # Invariants
//! - No wait of the graph is stuck: the one whose edge would make it so is refused instead, and nobody else.
//! - An edge is dropped under the lock of the wait it belongs to, so no check sees a wait that has ended.
//! - The graph's lock is the innermost: nothing is called while it is held.

mod graph;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use serde::Serialize;

pub(crate) use self::graph::{Holder, Waiter};
use self::graph::{Wait, WaitGraph, WaitKey};
use crate::actor::ActorId;

/// The way of a wait that can never end: from whoever would have waited, from one to the next, back to where the circle closes.
///
/// ```
/// # use synod_runtime::waits::WaitPath;
/// let path: WaitPath = ["bank", "ledger", "bank"].into_iter().collect();
/// assert_eq!(path.to_string(), "bank → ledger → bank");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitPath(Arc<[Arc<str>]>);

impl WaitPath {
    /// The names on the way, the waiter's first.
    pub fn names(&self) -> &[Arc<str>] {
        &self.0
    }
}

impl<T: Into<Arc<str>>> FromIterator<T> for WaitPath {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for WaitPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                out.write_str(" → ")?;
            }
            out.write_str(name)?;
        }
        Ok(())
    }
}

/// How many of the actors that are called must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// Every one: a join.
    All,
    /// One: the first answer will do.
    Any,
    /// This many: a quorum.
    AtLeast(usize),
}

impl Need {
    /// The number of answers, of `targets` that are asked.
    pub(crate) fn of(self, targets: usize) -> usize {
        match self {
            Self::All => targets,
            Self::Any => targets.min(1),
            Self::AtLeast(answers) => answers,
        }
    }
}

/// One wait of one handler: what [`Node::graph`](crate::node::Node::graph) shows of the wait-for graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitsFor {
    /// Which handler waits: 0 of an actor, which has but one.
    pub handler: u64,
    /// How many answers it needs.
    pub need: usize,
    /// Who holds its questions; one that holds two is named twice.
    pub on: Vec<ActorId>,
    /// Questions that are held by somebody the graph does not know.
    pub elsewhere: usize,
}

/// The wait-for graph of one node.
pub(crate) struct Waits {
    graph: Option<Mutex<WaitGraph>>,
    next: AtomicU64,
}

impl Waits {
    /// An empty graph; without `detection` there is none, and no edge is ever refused.
    pub(crate) fn new(detection: bool) -> Arc<Self> {
        let graph = detection.then(Mutex::default);
        Arc::new(Self { graph, next: AtomicU64::new(0) })
    }

    /// Opens an edge from `waiter` to everyone of `holders`, of whom `need` must answer.
    ///
    /// # Errors
    /// The path, where the wait could never end; it then is not in the graph.
    pub(crate) fn open(
        self: &Arc<Self>,
        waiter: Waiter,
        need: usize,
        holders: Vec<Holder>,
    ) -> Result<Option<Edge>, WaitPath> {
        let Some(graph) = &self.graph else { return Ok(None) };
        if need == 0 {
            return Ok(None);
        }
        let key = (waiter.actor, self.next.fetch_add(1, Ordering::Relaxed));
        let mut graph = graph.lock();
        graph.insert(key, Wait { waiter, need, holders });
        if let Some(path) = graph.stuck(key) {
            graph.remove(key);
            return Err(WaitPath(path.into()));
        }
        drop(graph);
        Ok(Some(Edge { waits: Arc::clone(self), key }))
    }

    /// Every wait there is now: whose, and for whom.
    pub(crate) fn list(&self) -> Vec<(ActorId, WaitsFor)> {
        self.graph.as_ref().map_or_else(Vec::new, |graph| graph.lock().list())
    }

    /// How many waits there are now.
    pub(crate) fn len(&self) -> usize {
        self.graph.as_ref().map_or(0, |graph| graph.lock().len())
    }
}

/// A wait in the graph; it leaves the graph when dropped.
pub(crate) struct Edge {
    waits: Arc<Waits>,
    key: WaitKey,
}

impl Edge {
    /// One of the holders has given its answer, or (not `met`) will never give one.
    ///
    /// # Errors
    /// The path, where the rest of the wait can never end; the caller then drops the edge.
    pub(crate) fn answered(&self, by: Holder, met: bool) -> Result<(), WaitPath> {
        self.change(|wait| {
            if let Some(at) = wait.holders.iter().position(|holder| *holder == by) {
                wait.holders.swap_remove(at);
            }
            wait.need = wait.need.saturating_sub(usize::from(met));
        })
    }

    /// A question has passed from one holder to another.
    ///
    /// # Errors
    /// The path, where the wait can never end now; the caller then drops the edge.
    pub(crate) fn passed(&self, from: Holder, to: Holder) -> Result<(), WaitPath> {
        self.change(|wait| {
            if let Some(holder) = wait.holders.iter_mut().find(|holder| **holder == from) {
                *holder = to;
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Wait)) -> Result<(), WaitPath> {
        let Some(graph) = &self.waits.graph else { return Ok(()) };
        let mut graph = graph.lock();
        graph.change(self.key, change);
        graph.stuck(self.key).map_or(Ok(()), |path| Err(WaitPath(path.into())))
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(graph) = &self.waits.graph {
            graph.lock().remove(self.key);
        }
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Edge({:?})", self.key)
    }
}
