//! The wait-for graph as a value, and the reduction that proves which waits can never end.
//!
//! Kept in parts by [`Waits`](super::Waits), which puts together what a check needs; knows no actor but its id, no time and no
//! thread.
//!
//! A party has handlers. A handler waits while it has a wait, and each wait needs some of its holders to answer: all of them (AND),
//! any (OR), or k of n. A handler that has several waits needs all of them. The reduction is that of Chandy, Misra and Haas for the
//! AND and OR models and of Bracha and Toueg for k of n, done on one node by a worklist: grant what a free handler can answer, free
//! the handler of every wait that is met, repeat. What is left can never end.
//!
//! # Invariants
//! - A wait is called stuck only if no order of answers could end it: there is no false alarm.
//! - The work of a check is linear in the waits that can be reached from the one that is checked.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::WaitsFor;
use crate::actor::ActorId;

/// Who holds a question, and so can answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Holder {
    /// Somebody who waits for nothing that the graph knows of.
    Elsewhere,
    /// An actor; whichever of its handlers becomes free takes the question.
    Actor(ActorId),
    /// The handler of an actor that has taken the question.
    Handler(ActorId, u64),
}

impl Holder {
    /// The actor, if it is one that the graph knows of.
    pub(super) fn actor(self) -> Option<ActorId> {
        match self {
            Self::Elsewhere => None,
            Self::Actor(actor) | Self::Handler(actor, _) => Some(actor),
        }
    }
}

/// Who holds the questions of one wait; one that holds two is named twice. Takes no room of its own for one holder.
#[derive(Clone, Debug)]
pub(crate) enum Holders {
    One(Holder),
    Many(Vec<Holder>),
}

impl From<Holder> for Holders {
    fn from(holder: Holder) -> Self {
        Self::One(holder)
    }
}

impl From<Vec<Holder>> for Holders {
    fn from(holders: Vec<Holder>) -> Self {
        Self::Many(holders)
    }
}

impl Holders {
    pub(super) fn all(&self) -> &[Holder] {
        match self {
            Self::One(holder) => std::slice::from_ref(holder),
            Self::Many(holders) => holders,
        }
    }

    /// Those of them that the graph knows of.
    pub(super) fn actors(&self) -> impl Iterator<Item = ActorId> {
        self.all().iter().filter_map(|holder| holder.actor())
    }

    /// The holder, where there is but one.
    pub(super) fn only(&self) -> Option<Holder> {
        if let [holder] = self.all() { Some(*holder) } else { None }
    }

    /// Takes `holder` out, once.
    pub(super) fn remove(&mut self, holder: Holder) {
        let mut left = self.all().to_vec();
        if let Some(at) = left.iter().position(|of| *of == holder) {
            left.swap_remove(at);
        }
        *self = Self::Many(left);
    }

    /// Puts `to` in the place of `from`, once.
    pub(super) fn replace(&mut self, from: Holder, to: Holder) {
        let holders = match self {
            Self::One(holder) => std::slice::from_mut(holder),
            Self::Many(holders) => holders,
        };
        if let Some(holder) = holders.iter_mut().find(|holder| **holder == from) {
            *holder = to;
        }
    }
}

/// One wait of the graph: the party that waits and the wait's number, which is never used twice but for [`WORD`].
pub(crate) type WaitKey = (ActorId, u64);

/// The number of the wait that an edge word stands for.
pub(crate) const WORD: u64 = u64::MAX;

/// Which handler waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    /// The party.
    pub(crate) actor: ActorId,
    /// Its name, for the path.
    pub(crate) name: Arc<str>,
    /// How many handlers the party has.
    pub(crate) handlers: u32,
    /// Which of them waits.
    pub(crate) handler: u64,
}

/// What one handler waits for.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) waiter: Waiter,
    /// How many of the holders must answer.
    pub(crate) need: usize,
    pub(crate) holders: Holders,
    /// How often it has changed.
    pub(crate) changes: u64,
}

impl Wait {
    pub(super) fn seen(&self) -> WaitsFor {
        let on: Vec<ActorId> = self.holders.actors().collect();
        let elsewhere = self.holders.all().len() - on.len();
        WaitsFor { handler: self.waiter.handler, need: self.need, on, elsewhere }
    }
}

/// Where a way along the waits goes on from one holder.
pub(crate) enum Step {
    /// Nowhere: it waits for nothing.
    Free,
    /// To whomever its one wait is for.
    On(Holder),
    /// It waits for several, or with several handlers.
    Forked,
}

/// Waits of one node, all or some.
#[derive(Debug, Default)]
pub(crate) struct WaitGraph {
    waits: BTreeMap<WaitKey, Wait>,
}

impl WaitGraph {
    /// Puts a wait in that needs at least one answer.
    pub(crate) fn insert(&mut self, key: WaitKey, wait: Wait) {
        debug_assert!(wait.need > 0, "nobody waits for nothing");
        self.waits.insert(key, wait);
    }

    /// Takes a wait out.
    pub(crate) fn remove(&mut self, key: WaitKey) -> Option<Wait> {
        self.waits.remove(&key)
    }

    /// Changes the wait called `key`; one that needs nothing any more is taken out.
    pub(crate) fn change(&mut self, key: WaitKey, change: impl FnOnce(&mut Wait)) {
        let Some(wait) = self.waits.get_mut(&key) else { return };
        change(wait);
        wait.changes += 1;
        if wait.need == 0 {
            self.waits.remove(&key);
        }
    }

    /// Every wait, as an observer sees it.
    pub(crate) fn list(&self) -> Vec<(ActorId, WaitsFor)> {
        self.waits.iter().map(|((actor, _), wait)| (*actor, wait.seen())).collect()
    }

    /// How many waits there are.
    pub(crate) fn len(&self) -> usize {
        self.waits.len()
    }

    /// Where a way along the waits goes on from `holder`.
    pub(crate) fn step(&self, holder: Holder) -> Step {
        // Of most parts, all of the time: calls wait in words.
        if self.waits.is_empty() {
            return Step::Free;
        }
        let mut behind = self.behind(holder);
        let Some((_, wait)) = behind.next() else { return Step::Free };
        let one = matches!(holder, Holder::Handler(..)) || wait.waiter.handlers == 1;
        match wait.holders.only() {
            Some(next) if one && wait.need == 1 && behind.next().is_none() => Step::On(next),
            _ => Step::Forked,
        }
    }

    /// Copies the waits of `actor` into `to`; returns whom they are for.
    pub(crate) fn copy(&self, actor: ActorId, to: &mut Self) -> Vec<ActorId> {
        let mut on = Vec::new();
        for (key, wait) in self.of(actor) {
            on.extend(wait.holders.actors());
            to.waits.insert(*key, wait.clone());
        }
        on
    }

    /// Forgets what is not in `other` as it is here.
    pub(crate) fn keep_unchanged(&mut self, other: &Self) {
        let changes = |key: &WaitKey| other.waits.get(key).map(|wait| wait.changes);
        self.waits.retain(|key, wait| changes(key) == Some(wait.changes));
    }

    /// The path of a wait that can never end by its own fault: it leads back to its own handler, or has too few holders.
    ///
    /// Any other stuck wait is one for a circle that somebody else is just closing, and will be refused.
    pub(crate) fn closing(&self, key: WaitKey) -> Option<Vec<Arc<str>>> {
        let (path, is_closed) = self.stuck_path(key)?;
        (is_closed || path.len() == 1).then_some(path)
    }

    /// The path of a wait that can never end: from its waiter from holder to holder, back to itself where it closed the circle.
    ///
    /// `None` while the wait can still end, by whatever order of answers.
    pub(crate) fn stuck(&self, key: WaitKey) -> Option<Vec<Arc<str>>> {
        self.stuck_path(key).map(|(path, _)| path)
    }

    /// The same, and whether the path leads back to where it began.
    fn stuck_path(&self, key: WaitKey) -> Option<(Vec<Arc<str>>, bool)> {
        let wait = self.waits.get(&key)?;
        // By far the most waits are for somebody who waits for nothing.
        let free = wait.holders.all().iter().filter(|holder| self.is_idle(**holder)).count();
        if free >= wait.need {
            return None;
        }
        let reduction = Reduction::of(self, key);
        (!reduction.met.contains(&key)).then(|| reduction.path(self, key))
    }

    fn of(&self, actor: ActorId) -> impl Iterator<Item = (&WaitKey, &Wait)> {
        self.waits.range((actor, 0)..=(actor, u64::MAX))
    }

    /// The waits that keep `holder` from answering.
    fn behind(&self, holder: Holder) -> impl Iterator<Item = (&WaitKey, &Wait)> {
        let (actor, only) = match holder {
            Holder::Elsewhere => (None, None),
            Holder::Actor(actor) => (Some(actor), None),
            Holder::Handler(actor, handler) => (Some(actor), Some(handler)),
        };
        let all = actor.into_iter().flat_map(|actor| self.of(actor));
        all.filter(move |(_, wait)| only.is_none_or(|handler| wait.waiter.handler == handler))
    }

    /// Whether `holder` has a handler that waits for nothing.
    fn is_idle(&self, holder: Holder) -> bool {
        let mut behind = self.behind(holder).map(|(_, wait)| &wait.waiter).peekable();
        let Some(first) = behind.peek() else { return true };
        if matches!(holder, Holder::Handler(..)) {
            return false;
        }
        let handlers = usize::try_from(first.handlers).unwrap_or(usize::MAX);
        if handlers == 1 {
            return false;
        }
        let waiting: BTreeSet<u64> = behind.map(|waiter| waiter.handler).collect();
        waiting.len() < handlers
    }
}

/// What a check found out about the waits that can be reached from one.
#[derive(Default)]
struct Reduction {
    /// The waits that can end.
    met: BTreeSet<WaitKey>,
    /// The holders that can answer.
    live: BTreeSet<Holder>,
    /// What each wait still needs.
    needs: BTreeMap<WaitKey, usize>,
    /// The waits that each holder's answer would help; twice, where it holds two questions.
    helps: BTreeMap<Holder, Vec<WaitKey>>,
    /// How many waits each waiting handler still has.
    open: BTreeMap<(ActorId, u64), usize>,
}

impl Reduction {
    /// Reduces the part of `graph` that can be reached from the wait `key`.
    fn of(graph: &WaitGraph, key: WaitKey) -> Self {
        let mut reduction = Self::default();
        let mut granted = reduction.reach(graph, key);
        while let Some(holder) = granted.pop() {
            if !reduction.live.insert(holder) {
                continue;
            }
            for wait in reduction.helps.get(&holder).cloned().unwrap_or_default() {
                let Some(need) = reduction.needs.get_mut(&wait) else { continue };
                *need = need.saturating_sub(1);
                if *need == 0 && reduction.met.insert(wait) {
                    reduction.free(graph, wait, &mut granted);
                }
            }
        }
        reduction
    }

    /// Finds every wait that matters and returns whoever can answer at once.
    fn reach(&mut self, graph: &WaitGraph, key: WaitKey) -> Vec<Holder> {
        let mut granted = Vec::new();
        let mut seen = BTreeSet::new();
        let mut look = vec![Holder::Actor(key.0)];
        while let Some(holder) = look.pop() {
            if !seen.insert(holder) {
                continue;
            }
            if graph.is_idle(holder) {
                granted.push(holder);
            }
            for (key, wait) in graph.behind(holder) {
                if self.needs.insert(*key, wait.need).is_some() {
                    continue;
                }
                *self.open.entry((key.0, wait.waiter.handler)).or_default() += 1;
                for holder in wait.holders.all() {
                    self.helps.entry(*holder).or_default().push(*key);
                    look.push(*holder);
                }
            }
        }
        granted
    }

    /// A wait has ended: its handler can answer once all its waits have.
    fn free(&mut self, graph: &WaitGraph, key: WaitKey, granted: &mut Vec<Holder>) {
        let Some(wait) = graph.waits.get(&key) else { return };
        let handler = (key.0, wait.waiter.handler);
        let Some(open) = self.open.get_mut(&handler) else { return };
        *open = open.saturating_sub(1);
        if *open == 0 {
            granted.extend([Holder::Actor(handler.0), Holder::Handler(handler.0, handler.1)]);
        }
    }

    /// The shortest way from a stuck wait back to its own handler; without one, the way into the circle that holds it.
    fn path(&self, graph: &WaitGraph, key: WaitKey) -> (Vec<Arc<str>>, bool) {
        let stuck = |key: &WaitKey| !self.met.contains(key);
        let mut came_from = BTreeMap::new();
        let mut queue = VecDeque::from([key]);
        let mut last = key;
        while let Some(at) = queue.pop_front() {
            let Some(wait) = graph.waits.get(&at) else { continue };
            last = at;
            let holders = wait.holders.all().iter();
            for holder in holders.filter(|holder| !self.live.contains(holder)) {
                if graph.behind(*holder).any(|(behind, _)| *behind == key) {
                    return (names(graph, &came_from, at, Some(key)), true);
                }
                for (behind, _) in graph.behind(*holder).filter(|(behind, _)| stuck(behind)) {
                    if *behind != key && !came_from.contains_key(behind) {
                        came_from.insert(*behind, at);
                        queue.push_back(*behind);
                    }
                }
            }
        }
        (names(graph, &came_from, last, None), false)
    }
}

/// The names on the way to `end`, and then that of `back`.
fn names(
    graph: &WaitGraph,
    came_from: &BTreeMap<WaitKey, WaitKey>,
    end: WaitKey,
    back: Option<WaitKey>,
) -> Vec<Arc<str>> {
    let mut way: Vec<WaitKey> =
        std::iter::successors(Some(end), |at| came_from.get(at).copied()).collect();
    way.reverse();
    way.extend(back);
    let name = |key: &WaitKey| Some(Arc::clone(&graph.waits.get(key)?.waiter.name));
    way.iter().filter_map(name).collect()
}
