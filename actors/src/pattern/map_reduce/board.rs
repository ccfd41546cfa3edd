//! The board: every unit of work of one run, where it stands, and what waits for a place. Pure bookkeeping.
//!
//! A unit is a part with one agent (`all_of`), or a part (`any_of`). Kept by the coordinator.
//!
//! # Invariants
//! - A unit is waiting, running, resting between two attempts, done or failed; done and failed are final.
//! - A result is accepted for a unit that is not final, and makes it final.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use foldhash::fast::FixedState;
use runtime::clock::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    assign::SlotId,
    limits::ATTEMPTS_AT_ONCE,
    roster::{Lease, LeaseId},
};

/// A unit of work of one run, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u32);

/// Attempts finished from which the median is taken.
const SAMPLE: usize = 255;

/// One unit.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its part.
    pub(super) piece: u32,
    /// Its agent under `all_of`; under `any_of` the first that takes it, then whoever tried it last.
    pub(super) branch: u32,
    /// The lane that it waits in.
    pub(super) lane: u32,
    /// Attempts made, in this process.
    pub(super) attempts: u32,
    /// Instances that have failed at it.
    pub(super) tried: Vec<SlotId>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Running(Vec<Attempt>),
    Resting,
    Done,
    Failed,
}

/// One attempt that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its place.
    pub(super) lease: Lease,
    /// When it began.
    pub(super) since: Moment,
}

/// What the end of an attempt means for its unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The unit had its result, or was given up, before: nothing changes.
    Late,
    /// The result counts; these other attempts are not wanted any more.
    Accepted(Vec<Attempt>),
    /// The attempt failed while another still runs.
    StillRunning,
    /// The attempt failed and none runs.
    Idle,
}

/// All units of one run.
#[derive(Debug, Default)]
pub(super) struct Board {
    units: Vec<Unit>,
    /// Units that wait for their first place, by lane.
    waiting: Vec<VecDeque<UnitId>>,
    /// By a hash that is the same in every process: whoever goes through it does so in the same order.
    running: HashMap<LeaseId, (UnitId, SlotId), FixedState>,
    sample: VecDeque<Duration>,
    pub(super) done: u64,
    pub(super) failed: u64,
}

impl Board {
    /// A board of units as (piece, branch, lane), all waiting.
    pub(super) fn new(units: impl IntoIterator<Item = (u32, u32, u32)>, lanes: usize) -> Self {
        let units = units.into_iter();
        let mut board = Self { waiting: vec![VecDeque::new(); lanes], ..Self::default() };
        board.units.reserve_exact(units.size_hint().0);
        for ((piece, branch, lane), id) in units.zip(0..) {
            board.units.push(Unit {
                piece,
                branch,
                lane,
                attempts: 0,
                tried: Vec::new(),
                state: State::Waiting,
            });
            if let Some(queue) = board.waiting.get_mut(lane as usize) {
                queue.push_back(UnitId(id));
            }
        }
        board
    }

    pub(super) fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(id.0 as usize)
    }

    pub(super) fn len(&self) -> u64 {
        self.units.len() as u64
    }

    /// Whether every unit is done or failed.
    pub(super) fn is_settled(&self) -> bool {
        self.done + self.failed == self.len()
    }

    /// Attempts that run now.
    pub(super) fn in_flight(&self) -> usize {
        self.running.len()
    }

    /// Every attempt that runs now.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (UnitId, Attempt)> + '_ {
        self.running.iter().filter_map(|(lease, (id, _))| {
            let attempt =
                self.unit(*id)?.running().iter().find(|attempt| attempt.lease.id == *lease)?;
            Some((*id, *attempt))
        })
    }

    /// Every place that is taken now, those of attempts that are not wanted any more included.
    pub(super) fn leases(&self) -> impl Iterator<Item = Lease> + '_ {
        self.running.iter().map(|(id, (_, slot))| Lease { id: *id, slot: *slot })
    }

    /// Units that wait for their first place in `lane`.
    pub(super) fn waiting(&self, lane: u32) -> usize {
        self.waiting.get(lane as usize).map_or(0, VecDeque::len)
    }

    /// Whether no unit waits for its first place.
    pub(super) fn is_tail(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// The next unit that waits in `lane`; it leaves the lane.
    pub(super) fn take_waiting(&mut self, lane: u32) -> Option<UnitId> {
        self.waiting.get_mut(lane as usize)?.pop_front()
    }

    /// Takes what a journal says of a unit: it is done.
    pub(super) fn restore_done(&mut self, id: UnitId) -> bool {
        self.finish(id, State::Done)
    }

    /// Takes what a journal says of a unit: it failed.
    pub(super) fn restore_failed(&mut self, id: UnitId, branch: u32, attempts: u32) -> bool {
        if let Some(unit) = self.units.get_mut(id.0 as usize) {
            (unit.branch, unit.attempts) = (branch, attempts);
        }
        self.finish(id, State::Failed)
    }

    /// Forgets the places of units that are final, after a restore.
    pub(super) fn forget_final(&mut self) {
        let units = &self.units;
        for queue in &mut self.waiting {
            queue.retain(|id| {
                units.get(id.0 as usize).is_some_and(|unit| matches!(unit.state, State::Waiting))
            });
        }
    }

    /// Begins an attempt of the agent `branch` at a unit that is not final.
    pub(super) fn begin(
        &mut self,
        id: UnitId,
        branch: u32,
        lease: Lease,
        now: Moment,
    ) -> Option<Attempt> {
        let unit = self.units.get_mut(id.0 as usize)?;
        let attempt = Attempt { number: unit.attempts + 1, lease, since: now };
        match &mut unit.state {
            State::Waiting | State::Resting => unit.state = State::Running(vec![attempt]),
            State::Running(attempts) => attempts.push(attempt),
            State::Done | State::Failed => return None,
        }
        (unit.attempts, unit.branch) = (attempt.number, branch);
        self.running.insert(lease.id, (id, lease.slot));
        Some(attempt)
    }

    /// Ends the attempt under `lease` with a result.
    pub(super) fn succeed(
        &mut self,
        lease: LeaseId,
        now: Moment,
    ) -> Option<(UnitId, Attempt, Verdict)> {
        let (id, attempt, others) = self.leave(lease)?;
        let verdict = match others {
            None => Verdict::Late,
            Some(others) => {
                self.finish(id, State::Done);
                if self.sample.len() >= SAMPLE {
                    self.sample.pop_front();
                }
                self.sample.push_back(now.since(attempt.since));
                Verdict::Accepted(others)
            }
        };
        Some((id, attempt, verdict))
    }

    /// Ends the attempt under `lease` without a result.
    pub(super) fn fail(&mut self, lease: LeaseId) -> Option<(UnitId, Attempt, Verdict)> {
        let (id, attempt, others) = self.leave(lease)?;
        if let Some(unit) = self.units.get_mut(id.0 as usize)
            && !unit.tried.contains(&attempt.lease.slot)
        {
            unit.tried.push(attempt.lease.slot);
        }
        let verdict = match others {
            None => Verdict::Late,
            Some(others) if others.is_empty() => Verdict::Idle,
            Some(_) => Verdict::StillRunning,
        };
        Some((id, attempt, verdict))
    }

    /// Takes an attempt at a unit back that began nothing.
    pub(super) fn uncount(&mut self, id: UnitId) {
        if let Some(unit) = self.units.get_mut(id.0 as usize) {
            unit.attempts = unit.attempts.saturating_sub(1);
        }
    }

    /// Leaves a unit that nobody does now to another agent, in another lane, after `attempts` in all.
    pub(super) fn hand_on(&mut self, id: UnitId, branch: u32, lane: u32, attempts: u32) {
        if self.is_open(id)
            && let Some(unit) = self.units.get_mut(id.0 as usize)
        {
            (unit.branch, unit.lane, unit.attempts, unit.state) =
                (branch, lane, attempts, State::Resting);
            unit.tried.clear();
        }
    }

    /// Gives a unit up.
    pub(super) fn give_up(&mut self, id: UnitId) -> bool {
        self.finish(id, State::Failed)
    }

    /// Whether a unit rests between two attempts, or waits.
    pub(super) fn is_open(&self, id: UnitId) -> bool {
        self.unit(id).is_some_and(|unit| matches!(unit.state, State::Resting | State::Waiting))
    }

    /// The running unit of `lane` that a free place should run once more: the one that has run longest, if it has run longer than
    /// half of those that are done took; never beside itself on one instance.
    pub(super) fn straggler(
        &self,
        lane: u32,
        at: Option<SlotId>,
        now: Moment,
        may: impl Fn(&Unit) -> bool,
    ) -> Option<UnitId> {
        let median = self.median()?;
        let mut longest: Option<(usize, Moment, UnitId)> = None;
        for (id, _) in self.attempts() {
            let Some(unit) = self.unit(id) else { continue };
            let running = unit.running();
            let Some(since) = running.iter().map(|attempt| attempt.since).max() else { continue };
            let beside =
                at.is_some_and(|slot| running.iter().any(|attempt| attempt.lease.slot == slot));
            let fits =
                unit.lane == lane && running.len() < ATTEMPTS_AT_ONCE && !beside && may(unit);
            let rank = (running.len(), since, id);
            if fits && now.since(since) >= median && longest.is_none_or(|best| rank < best) {
                longest = Some(rank);
            }
        }
        longest.map(|(_, _, id)| id)
    }

    /// How long the middle one of the latest successful attempts took.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.sample.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Ends an attempt; the unit's other attempts, or none if the unit is final.
    fn leave(&mut self, lease: LeaseId) -> Option<(UnitId, Attempt, Option<Vec<Attempt>>)> {
        let (id, slot) = self.running.remove(&lease)?;
        let unit = self.units.get_mut(id.0 as usize)?;
        let State::Running(attempts) = &mut unit.state else {
            let attempt = Attempt {
                number: unit.attempts,
                lease: Lease { id: lease, slot },
                since: Moment::START,
            };
            return Some((id, attempt, None));
        };
        let at = attempts.iter().position(|attempt| attempt.lease.id == lease)?;
        let attempt = attempts.remove(at);
        let others = attempts.clone();
        if others.is_empty() {
            unit.state = State::Resting;
        }
        Some((id, attempt, Some(others)))
    }

    fn finish(&mut self, id: UnitId, state: State) -> bool {
        let Some(unit) = self.units.get_mut(id.0 as usize) else { return false };
        if matches!(unit.state, State::Done | State::Failed) {
            return false;
        }
        let count = if matches!(state, State::Done) { &mut self.done } else { &mut self.failed };
        *count += 1;
        unit.state = state;
        true
    }
}

impl Unit {
    /// The attempts that run now.
    pub(super) fn running(&self) -> &[Attempt] {
        match &self.state {
            State::Running(attempts) => attempts,
            State::Waiting | State::Resting | State::Done | State::Failed => &[],
        }
    }
}

#[cfg(test)]
mod tests;
