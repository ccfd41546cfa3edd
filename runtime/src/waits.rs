//! Who waits for whom on one node, so that a wait which can never end is refused at once, with its path.
//!
//! An edge exists while a waiter can serve nothing else: an actor in a [call](crate::context::Cx::call), an actor whose full outbox
//! stands in another's line, a handler of an agent that only answers can wake. The kernel opens an edge when a question is delivered and
//! nothing that its step asked for is held back any more (behind a record, behind a message in line): it could free others. Whoever
//! owns the wait drops it with the answer; the reduction itself is in `graph`.
//!
//! A plain call is one store into the edge word of its actor (`word`), and another when it ends. Other waits lie in a graph in
//! parts, each with the waits of some actors and a lock of its own. Nearly every wait is for somebody who waits for nothing, or who
//! waits for such a one: that takes one lock for each step on the way. Only where no such way is found is what can be reached copied
//! out of the words and the parts, and reduced.
//!
//! # Invariants
//! - A wait is put in before the others are looked at: of several that close a circle at the same moment, the last one sees it all.
//! - Refused is what two looks in a row saw unchanged, so at one moment every wait of the circle was there.
//! - Nobody is refused beside a circle: only a wait that leads back to itself, and one after the other.
//! - An edge is dropped under the lock of the wait it belongs to, so no check sees a wait that has ended.
//! - The lock of a part is the innermost: nothing is called while it is held, and no other part is looked at.

mod graph;
#[cfg(test)]
mod tests;
mod word;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use serde::Serialize;

use self::graph::{Step, WORD, Wait, WaitGraph, WaitKey};
pub(crate) use self::{
    graph::{Holder, Holders, Waiter},
    word::Word,
};
use crate::{
    actor::ActorId,
    limits::{WAIT_PARTS, WAIT_STEPS_MAX},
};

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
    /// None without detection.
    parts: Box<[Arc<Part>]>,
    /// Held while a circle is confirmed and one of its waits refused.
    refusal: Mutex<()>,
}

/// The waits of some actors.
#[derive(Default)]
struct Part(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    graph: WaitGraph,
    /// How many waits the graph has had.
    ever: u64,
    /// The words of those that have ever waited in one.
    words: BTreeMap<ActorId, Arc<Word>>,
}

/// How a plain call stands in the graph.
#[derive(Debug)]
pub(crate) enum CallEdge {
    /// In the word of its actor, whose [`end`](Word::end) ends it.
    Word,
    /// As any other wait.
    Graph(Edge),
}

impl Waits {
    /// An empty graph; without `detection` there is none, and no edge is ever refused.
    pub(crate) fn new(detection: bool) -> Self {
        let parts = if detection { WAIT_PARTS } else { 0 };
        Self { parts: (0..parts).map(|_| Arc::default()).collect(), refusal: Mutex::default() }
    }

    /// Opens the edge of a plain call from `waiter`, whose word is in `place`, to `holder`.
    ///
    /// # Errors
    /// The path, where the wait could never end; it then is not in the graph.
    #[inline]
    pub(crate) fn call(
        &self,
        place: &OnceLock<Arc<Word>>,
        waiter: impl Fn() -> Waiter,
        holder: Holder,
    ) -> Result<Option<CallEdge>, WaitPath> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        let word = place.get_or_init(|| self.register(waiter()));
        if !word.begin(holder) {
            return Ok(self.open(waiter, 1, holder)?.map(CallEdge::Graph));
        }
        if !self.leads_out(holder)
            && let Some(path) = self.refuse((word.actor(), WORD))
        {
            return Err(WaitPath(path.into()));
        }
        Ok(Some(CallEdge::Word))
    }

    #[cold]
    fn register(&self, waiter: Waiter) -> Arc<Word> {
        let (actor, word) = (waiter.actor, Arc::new(Word::new(waiter.actor, waiter.name)));
        if let Some(part) = self.part(actor) {
            part.0.lock().words.insert(actor, Arc::clone(&word));
        }
        word
    }

    /// Forgets the word of an actor that has ended.
    pub(crate) fn forget(&self, actor: ActorId) {
        let word = self.part(actor).and_then(|part| part.0.lock().words.remove(&actor));
        drop(word);
    }

    /// Opens an edge from `waiter` to everyone of `holders`, of whom `need` must answer.
    ///
    /// # Errors
    /// The path, where the wait could never end; it then is not in the graph.
    pub(crate) fn open(
        &self,
        waiter: impl FnOnce() -> Waiter,
        need: usize,
        holders: impl Into<Holders>,
    ) -> Result<Option<Edge>, WaitPath> {
        if need == 0 || self.parts.is_empty() {
            return Ok(None);
        }
        let (waiter, holders) = (waiter(), holders.into());
        let Some(part) = self.part(waiter.actor) else { return Ok(None) };
        let only = holders.only().filter(|_| need == 1);
        let key = part.0.lock().insert(Wait { waiter, need, holders, changes: 0 });
        let edge = Edge { part: Arc::clone(part), key };
        self.check(key, only)?;
        Ok(Some(edge))
    }

    /// Every wait there is now: whose, and for whom.
    pub(crate) fn list(&self) -> Vec<(ActorId, WaitsFor)> {
        let mut all: Vec<_> = self.parts.iter().flat_map(|part| part.0.lock().list()).collect();
        all.sort_by_key(|(actor, wait)| (*actor, wait.handler));
        all
    }

    /// How many waits there are now.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.0.lock().len()).sum()
    }

    fn part(&self, actor: ActorId) -> Option<&Arc<Part>> {
        let number = actor.number() % WAIT_PARTS as u64;
        self.parts.get(usize::try_from(number).unwrap_or_default())
    }

    /// Changes the wait of `edge` and looks at it anew.
    fn change(&self, edge: &Edge, change: impl FnOnce(&mut Wait)) -> Result<(), WaitPath> {
        edge.part.0.lock().graph.change(edge.key, change);
        self.check(edge.key, None)
    }

    /// Refuses the wait called `key`, which then is not in the graph, if it closes a circle; its holder, if it has `only` one.
    #[inline]
    fn check(&self, key: WaitKey, only: Option<Holder>) -> Result<(), WaitPath> {
        if only.is_some_and(|holder| self.leads_out(holder)) {
            return Ok(());
        }
        self.refuse(key).map_or(Ok(()), |path| Err(WaitPath(path.into())))
    }

    /// Whether plain waits, one behind the other, lead from `holder` to somebody who waits for nothing.
    fn leads_out(&self, mut holder: Holder) -> bool {
        for _ in 0..WAIT_STEPS_MAX {
            let Some(actor) = holder.actor() else { return true };
            let Some(part) = self.part(actor) else { return true };
            match part.0.lock().step(holder, actor) {
                Step::Free => return true,
                Step::On(next) => holder = next,
                Step::Forked => return false,
            }
        }
        false
    }

    /// The path of a wait that closes a circle; it is out of the graph then.
    #[cold]
    fn refuse(&self, key: WaitKey) -> Option<Vec<Arc<str>>> {
        self.reach(key).stuck(key)?;
        let _one_at_a_time = self.refusal.lock();
        let mut seen = self.reach(key);
        seen.keep_unchanged(&self.reach(key));
        let path = seen.closing(key)?;
        self.part(key.0)?.0.lock().remove(key);
        Some(path)
    }

    /// A copy of every wait that can be reached from the one called `key`.
    fn reach(&self, key: WaitKey) -> WaitGraph {
        let mut found = WaitGraph::default();
        let (mut look, mut seen) = (vec![key.0], BTreeSet::new());
        while let Some(actor) = look.pop() {
            if let (true, Some(part)) = (seen.insert(actor), self.part(actor)) {
                look.extend(part.0.lock().copy(actor, &mut found));
            }
        }
        found
    }
}

impl Kept {
    fn insert(&mut self, wait: Wait) -> WaitKey {
        let key = (wait.waiter.actor, self.ever);
        self.ever += 1;
        self.graph.insert(key, wait);
        key
    }

    fn remove(&mut self, key: WaitKey) -> Option<Wait> {
        if let (WORD, Some(word)) = (key.1, self.words.get(&key.0)) {
            word.end();
        }
        self.graph.remove(key)
    }

    /// Where a way along the waits goes on from `holder`, which is or belongs to `actor`.
    fn step(&self, holder: Holder, actor: ActorId) -> Step {
        let word = self.words.get(&actor).and_then(|word| word.behind(holder));
        match (self.graph.step(holder), word) {
            (step, None) => step,
            (Step::Free, Some(next)) => Step::On(next),
            (Step::On(_) | Step::Forked, Some(_)) => Step::Forked,
        }
    }

    /// Copies the waits of `actor` into `to`; returns whom they are for.
    fn copy(&self, actor: ActorId, to: &mut WaitGraph) -> Vec<ActorId> {
        let mut on = self.graph.copy(actor, to);
        if let Some(wait) = self.words.get(&actor).and_then(|word| word.wait()) {
            on.extend(wait.holders.actors());
            to.insert((actor, WORD), wait);
        }
        on
    }

    fn list(&self) -> Vec<(ActorId, WaitsFor)> {
        let words = self.words.iter();
        let mut all: Vec<_> =
            words.filter_map(|(of, word)| Some((*of, word.wait()?.seen()))).collect();
        all.extend(self.graph.list());
        all
    }

    fn len(&self) -> usize {
        self.graph.len() + self.words.values().filter(|word| word.is_begun()).count()
    }
}

/// A wait in the graph; it leaves the graph when dropped.
pub(crate) struct Edge {
    part: Arc<Part>,
    key: WaitKey,
}

impl Edge {
    /// One of the holders has given its answer, or (not `met`) will never give one.
    ///
    /// # Errors
    /// The path, where the rest of the wait can never end; it then is not in the graph.
    pub(crate) fn answered(&self, waits: &Waits, by: Holder, met: bool) -> Result<(), WaitPath> {
        waits.change(self, |wait| {
            wait.holders.remove(by);
            wait.need = wait.need.saturating_sub(usize::from(met));
        })
    }

    /// A question has passed from one holder to another.
    ///
    /// # Errors
    /// The path, where the wait can never end now; it then is not in the graph.
    pub(crate) fn passed(&self, waits: &Waits, from: Holder, to: Holder) -> Result<(), WaitPath> {
        waits.change(self, |wait| wait.holders.replace(from, to))
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let left = self.part.0.lock().graph.remove(self.key);
        drop(left);
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Edge({:?})", self.key)
    }
}
