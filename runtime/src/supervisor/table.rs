//! A supervisor's children: their specifications, addresses and states. Outlives the supervisor's incarnations.
//!
//! Written by the supervisor's actor ([`supervising`](super::supervising)), read by [`Supervised`](super::Supervised) and by the
//! supervisor's host when it winds down.
//!
//! # Invariants
//! - Entries stand in the order of their start, which is the order of their serial numbers.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    ChildError, ChildInfo, ChildSpec, ChildStatus, Command, Launch, Prepared, Restart, Strategy,
    report_to,
};
use crate::{
    actor::ActorId, address::Addr, backoff::Backoff, child::ChildRef, context::Timer, ending::Kept,
    spawn::Shutdown,
};

/// What a supervisor is to do, and with whom.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) strategy: Strategy,
    pub(super) intensity: u32,
    pub(super) period: Duration,
    pub(super) backoff: Backoff,
    pub(super) table: Mutex<Table>,
}

/// The children, in the order of their start.
#[derive(Default)]
pub(super) struct Table {
    /// By serial number. Boxed, since those that come and go do so among others.
    entries: BTreeMap<u64, Box<Entry>>,
    /// Temporary children of the specification that have ended, until the supervisor itself starts again.
    past: Vec<Entry>,
    names: HashMap<String, u64>,
    serials: u64,
}

/// One child.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Entry {
    /// Never used twice in one table.
    pub(super) serial: u64,
    pub(super) spec: ChildSpec,
    /// The present address, or the last one.
    pub(super) child: Option<ChildRef>,
    pub(super) state: State,
    /// It shall be started as soon as it may.
    pub(super) wanted: bool,
    /// It is wanted, and waits for its backoff.
    pub(super) hold: Option<u64>,
    /// It shall end for good.
    pub(super) ends: bool,
    /// Its specification goes with its end.
    pub(super) discard: bool,
    /// It was added at run time.
    pub(super) added: bool,
    pub(super) overdue: Option<Overdue>,
    /// Who asked for its start.
    pub(super) starter: Option<ToStart>,
    /// Who asked for its end.
    pub(super) ender: Option<ToEnd>,
}

pub(super) type ToStart = crate::ask::Reply<Result<ChildRef, ChildError>>;
pub(super) type ToEnd = crate::ask::Reply<Result<(), ChildError>>;

/// Where a child stands.
pub(super) enum State {
    /// It has an address and was never launched.
    Prepared(Launch),
    /// An incarnation has begun and has not said that it started.
    Starting,
    Running,
    /// Told to rest.
    Stopping,
    /// Between two incarnations.
    Resting,
    /// Told to end for good.
    Ending,
    /// Without an address.
    Ended,
}

/// The timer that ends the patience with a child that is told to rest or to end.
pub(super) struct Overdue {
    pub(super) token: u64,
    pub(super) timer: Timer,
    /// It was killed; next it is left behind.
    pub(super) killed: bool,
}

impl Table {
    /// Adds a child behind the others, which must not have its name; returns its serial number.
    pub(super) fn push(&mut self, spec: ChildSpec) -> u64 {
        self.serials += 1;
        self.names.insert(spec.name.clone(), self.serials);
        let entry = Entry {
            serial: self.serials,
            spec,
            child: None,
            state: State::Ended,
            wanted: false,
            hold: None,
            ends: false,
            discard: false,
            added: false,
            overdue: None,
            starter: None,
            ender: None,
        };
        self.entries.insert(self.serials, Box::new(entry));
        self.serials
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(Box::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut().map(Box::as_mut)
    }

    pub(super) fn get(&mut self, serial: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&serial).map(Box::as_mut)
    }

    pub(super) fn named(&mut self, name: &str) -> Option<&mut Entry> {
        let serial = *self.names.get(name)?;
        self.get(serial)
    }

    /// How many specifications there are, those of past children among them.
    pub(super) fn specs(&self) -> usize {
        self.entries.len() + self.past.len()
    }

    /// Forgets a child that is down; what the supervisor's own specification holds comes back when the supervisor starts again.
    pub(super) fn forget(&mut self, serial: u64) -> Option<Box<Entry>> {
        let mut entry = self.remove(serial)?;
        if entry.added {
            return Some(entry);
        }
        entry.child = None;
        self.past.push(*entry);
        None
    }

    /// Brings back what the supervisor's specification holds, where no child has taken the name meanwhile.
    pub(super) fn bring_back(&mut self) {
        for entry in mem::take(&mut self.past) {
            if self.names.contains_key(&entry.spec.name) {
                self.past.push(entry);
                continue;
            }
            self.names.insert(entry.spec.name.clone(), entry.serial);
            self.entries.insert(entry.serial, Box::new(entry));
        }
    }

    /// Forgets, before the supervisor gets a new address, whoever was not to outlive the last one.
    pub(super) fn take_passing(&mut self) -> Vec<Entry> {
        let passing = self.entries.values().filter(|entry| entry.is_passing());
        let passing: Vec<u64> = passing.map(|entry| entry.serial).collect();
        passing.into_iter().filter_map(|serial| self.remove(serial)).map(|entry| *entry).collect()
    }

    /// Forgets a child; returns it for the caller to drop where it may run anybody's code.
    pub(super) fn remove(&mut self, serial: u64) -> Option<Box<Entry>> {
        let entry = self.entries.remove(&serial)?;
        self.names.remove(&entry.spec.name);
        Some(entry)
    }
}

impl Entry {
    /// Gives a child without an address a new one below its supervisor.
    pub(super) fn prepare(&mut self, supervisor: &Addr<Command>) {
        let report = report_to(supervisor, self.serial);
        let Prepared { child, launch } = self.spec.prepare(supervisor, report);
        self.child = Some(child);
        self.state = State::Prepared(launch);
    }

    /// Whether no start of its supervisor starts it again: it is temporary and no part of the supervisor's specification.
    pub(super) fn is_passing(&self) -> bool {
        self.added && self.spec.restart == Restart::Temporary
    }

    /// Whether it has an incarnation that was not told to end.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    /// Whether it has neither an address nor the prospect of one.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, State::Ended) && !self.wanted
    }

    /// The child as a list shows it.
    pub(super) fn info(&self) -> ChildInfo {
        let status = match self.state {
            State::Running => ChildStatus::Running,
            State::Starting => ChildStatus::Starting,
            State::Ended if !self.wanted => ChildStatus::Stopped,
            State::Prepared(_)
            | State::Stopping
            | State::Resting
            | State::Ending
            | State::Ended => ChildStatus::Restarting,
        };
        ChildInfo {
            name: self.spec.name.clone(),
            child: self.child.clone().filter(|child| child.ended().is_none()),
            status,
            restart: self.spec.restart,
            kind: self.spec.kind,
        }
    }

    pub(super) fn is(&self, actor: ActorId) -> bool {
        self.child.as_ref().is_some_and(|child| child.id() == actor)
    }

    /// Whether its host has begun, and has not ended for all that is known.
    pub(super) fn is_launched(&self) -> bool {
        !matches!(self.state, State::Prepared(_) | State::Ended)
    }
}

impl Kept for Plan {
    fn members(&self) -> Vec<(ChildRef, Shutdown)> {
        let table = self.table.lock();
        let launched = table.entries.values().filter(|entry| entry.is_launched());
        let children =
            launched.filter_map(|entry| Some((entry.child.clone()?, entry.spec.shutdown)));
        children.filter(|(child, _)| child.ended().is_none()).collect()
    }

    fn close(&self) {
        let mut never_launched = Vec::new();
        let mut table = self.table.lock();
        for entry in table.entries.values_mut().rev() {
            if let Some(child) = entry.child.as_ref().filter(|_| entry.is_launched()) {
                child.0.order_stop();
            }
            // A launch closes its address when dropped, and a reply answers: not under the lock.
            never_launched.push((
                mem::replace(&mut entry.state, State::Ended),
                entry.starter.take(),
                entry.ender.take(),
            ));
            entry.wanted = false;
        }
        // Nobody starts these again, and what they own may own this table.
        let passing = table.take_passing();
        drop(table);
        drop((never_launched, passing));
    }
}
