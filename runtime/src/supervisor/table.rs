//! A supervisor's children: their specifications, addresses and states. Outlives the supervisor's incarnations.
//!
//! Written by the supervisor's actor ([`supervising`](super::supervising)), read by [`Supervised`](super::Supervised) and by the
//! supervisor's host when it winds down.
//!
//! # Invariants
//! - Entries stand in the order of their start, which is the order of their serial numbers.

use std::{collections::HashMap, mem, time::Duration};

use parking_lot::Mutex;

use super::{
    ChildError, ChildInfo, ChildSpec, ChildStatus, Command, Launch, Prepared, Strategy, report_to,
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
    entries: Vec<Entry>,
    names: HashMap<String, u64>,
    serials: u64,
}

/// One child.
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
        self.entries.push(Entry {
            serial: self.serials,
            spec,
            child: None,
            state: State::Ended,
            wanted: false,
            hold: None,
            ends: false,
            discard: false,
            overdue: None,
            starter: None,
            ender: None,
        });
        self.serials
    }

    pub(super) fn all(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn all_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    pub(super) fn get(&mut self, serial: u64) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by_key(&serial, |entry| entry.serial).ok()?;
        self.entries.get_mut(at)
    }

    pub(super) fn named(&mut self, name: &str) -> Option<&mut Entry> {
        let serial = *self.names.get(name)?;
        self.get(serial)
    }

    /// Forgets a child; returns it for the caller to drop where it may run anybody's code.
    pub(super) fn remove(&mut self, serial: u64) -> Option<Entry> {
        let at = self.entries.binary_search_by_key(&serial, |entry| entry.serial).ok()?;
        let entry = self.entries.remove(at);
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

    fn is_launched(&self) -> bool {
        !matches!(self.state, State::Prepared(_) | State::Ended)
    }
}

impl Kept for Plan {
    fn members(&self) -> Vec<(ChildRef, Shutdown)> {
        let table = self.table.lock();
        let launched = table.entries.iter().filter(|entry| entry.is_launched());
        let children =
            launched.filter_map(|entry| Some((entry.child.clone()?, entry.spec.shutdown)));
        children.filter(|(child, _)| child.ended().is_none()).collect()
    }

    fn close(&self) {
        let mut never_launched = Vec::new();
        let mut table = self.table.lock();
        for entry in table.entries.iter_mut().rev() {
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
        drop(table);
        drop(never_launched);
    }
}
