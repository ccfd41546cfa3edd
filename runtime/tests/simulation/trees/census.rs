//! Who lives and who was told to end: names, orders, calls, and what must be true of them.
//!
//! # Invariants
//! Broken rules are told to the [`Oracle`]; the test looks there after every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use synod_runtime::{child::ChildRef, clock::Moment, waits::WaitPath};

use super::oracle::Oracle;

/// The knowledge of one run.
pub(crate) struct Census {
    oracle: Oracle,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The incarnation of each worker that lives, by node and name; one that hangs lives on where it was left behind.
    alive: BTreeMap<(usize, String), (u64, ChildRef)>,
    places: BTreeMap<u64, (usize, String)>,
    ended: BTreeSet<u64>,
    /// Incarnations that were told to end.
    doomed: BTreeSet<u64>,
    /// Actors that were told to end for good, with the life of their node.
    stopped: Vec<((usize, u32), ChildRef)>,
    calls: BTreeMap<u64, Call>,
    /// Who ever sent something to whom.
    sent: BTreeSet<(String, String)>,
    /// Messages that were set aside, and those that were handled after that.
    handled: BTreeSet<u64>,
    /// Keys of which an actor lives, by node.
    tenants: BTreeSet<(usize, u64)>,
    /// How often each deed was done, so that none is done by no seed.
    deeds: BTreeMap<&'static str, u64>,
}

struct Call {
    by: u64,
    from: String,
    to: Vec<String>,
    begin: Moment,
    end: Option<Moment>,
}

impl Call {
    /// Whether it was open at any moment between these.
    fn overlaps(&self, (from, to): (Moment, Moment)) -> bool {
        self.begin <= to && self.end.is_none_or(|end| end >= from)
    }
}

impl Known {
    /// Somebody who lives below.
    fn orphan(&self, node: usize, below: &str) -> Option<String> {
        let all = self.alive.range((node, below.to_owned())..);
        let mut found = all.take_while(|((at, name), _)| *at == node && name.starts_with(below));
        found.find(|(_, (_, child))| child.ended().is_none()).map(|((_, name), _)| name.clone())
    }
}

impl Census {
    pub(crate) fn new(oracle: Oracle) -> Self {
        Self { oracle, known: Mutex::default() }
    }

    /// Something is done.
    pub(crate) fn deed(&self, what: &'static str) {
        *self.known.lock().deeds.entry(what).or_default() += 1;
    }

    pub(crate) fn deeds(&self) -> BTreeMap<&'static str, u64> {
        self.known.lock().deeds.clone()
    }

    /// An incarnation of a worker begins: no other of its name lives, and nobody below it.
    ///
    /// Whoever hangs longer than the kernel waits is left behind, with all below it: they have ended for everybody.
    pub(crate) fn begins(&self, incarnation: u64, node: usize, actor: ChildRef) {
        let name = actor.name().to_owned();
        let mut known = self.known.lock();
        let place = (node, name.clone());
        let twin = known.alive.get(&place).filter(|(_, twin)| twin.ended().is_none());
        let twice = twin.map(|_| format!("two incarnations of {name} live"));
        let orphan = known
            .orphan(node, &format!("{name}/"))
            .map(|orphan| format!("{orphan} lives when the next incarnation of its parent begins"));
        known.alive.insert(place.clone(), (incarnation, actor));
        known.places.insert(incarnation, place);
        drop(known);
        if let Some(broken) = twice.or(orphan) {
            self.oracle.fail(broken);
        }
    }

    pub(crate) fn ends(&self, incarnation: u64, now: Moment) {
        let mut known = self.known.lock();
        known.ended.insert(incarnation);
        for call in known.calls.values_mut() {
            if call.by == incarnation {
                call.end.get_or_insert(now);
            }
        }
        let Some(place) = known.places.remove(&incarnation) else { return };
        if known.alive.get(&place).is_some_and(|(alive, _)| *alive == incarnation) {
            known.alive.remove(&place);
        }
    }

    /// The present incarnation of a worker is told to end.
    pub(crate) fn dooms(&self, node: usize, name: &str) {
        let mut known = self.known.lock();
        let incarnation = known.alive.get(&(node, name.to_owned())).map(|(alive, _)| *alive);
        known.doomed.extend(incarnation);
    }

    /// A worker is told to end for good.
    pub(crate) fn stops(&self, life: (usize, u32), worker: ChildRef) {
        self.dooms(life.0, worker.name());
        self.known.lock().stopped.push((life, worker));
    }

    pub(crate) fn sends(&self, from: &str, to: &str) {
        self.known.lock().sent.insert((from.to_owned(), to.to_owned()));
    }

    pub(crate) fn calls(&self, call: u64, (by, from): (u64, &str), to: Vec<String>, now: Moment) {
        let call_of = Call { by, from: from.to_owned(), to, begin: now, end: None };
        self.known.lock().calls.insert(call, call_of);
    }

    /// A call has ended; one that was refused is on a circle of waits.
    pub(crate) fn called(&self, call: u64, refused: Option<&WaitPath>, now: Moment) {
        let mut known = self.known.lock();
        let Some(of) = known.calls.get_mut(&call) else { return };
        of.end = Some(now);
        let span = (of.begin, now);
        let from = of.from.clone();
        let Some(path) = refused else { return };
        let names = path.names();
        let waits = |pair: &[Arc<str>]| {
            let mut calls = known.calls.values();
            let calls = calls.any(|call| {
                *call.from == *pair[0]
                    && call.to.iter().any(|to| **to == *pair[1])
                    && call.overlaps(span)
            });
            calls || known.sent.contains(&(pair[0].to_string(), pair[1].to_string()))
        };
        let last = names.last().cloned().unwrap_or_default();
        let closes = names.iter().filter(|name| **name == last).count() > 1;
        let starts = names.first().is_some_and(|first| **first == *from);
        let all_wait = names.windows(2).all(waits);
        drop(known);
        if !(closes && starts && all_wait) {
            self.oracle.fail(format!("the call of {from} was refused without a circle: {path}"));
        }
    }

    /// A message that was sent once is handled.
    pub(crate) fn handles(&self, message: u64) {
        if !self.known.lock().handled.insert(message) {
            self.oracle.fail(format!("message {message}, once set aside, was handled twice"));
        }
    }

    /// An actor of a key begins.
    pub(crate) fn moves_in(&self, node: usize, key: u64) {
        if !self.known.lock().tenants.insert((node, key)) {
            self.oracle.fail(format!("two actors of key {key} live"));
        }
    }

    pub(crate) fn moves_out(&self, node: usize, key: u64) {
        self.known.lock().tenants.remove(&(node, key));
    }

    /// What must hold when nothing is left to do; `life` is the present one of each node.
    pub(crate) fn at_rest(&self, life: impl Fn(usize) -> u32) {
        let known = self.known.lock();
        let left: Vec<_> = known.doomed.difference(&known.ended).collect();
        assert!(left.is_empty(), "incarnations live on that were told to end: {left:?}");
        for ((node, of), worker) in &known.stopped {
            let ended = life(*node) != *of || worker.ended().is_some();
            assert!(ended, "{} was stopped for good and lives", worker.name());
        }
        assert!(known.tenants.is_empty(), "idle actors of keys live: {:?}", known.tenants);
        let open = known.calls.values().filter(|call| call.end.is_none()).count();
        assert_eq!(open, 0, "calls are open");
    }
}
