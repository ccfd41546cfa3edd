//! Falling back: what an agent has failed at for good goes to the next agent of its chain.
//!
//! The fallbacks of each agent of the run are branches behind its own: the same part, narrowed alike, for another agent. A unit that
//! falls waits for a place of that agent as a retry does, so that whatever holds for retries holds for it.
//!
//! # Invariants
//! - A unit falls only while nobody does it, and never back: the [`Walk`] decides.
//! - While an agent rests behind open breakers, only as many units fall as its fallback has places for; the others stay its own,
//!   for when it is tried again.
//! - A fall is recorded; a run that is taken up again goes on with the agent to which the unit fell.

use super::*;
use crate::agent::{Agent, note};

/// Who stands behind whom, and which units have fallen.
#[derive(Debug, Default)]
pub(super) struct Falls {
    /// For each branch of the run the numbers of the branches of its fallbacks, in their order.
    chains: Vec<Vec<u32>>,
    /// The lane of each fallback's branch, in their order.
    lanes: Vec<u32>,
    /// Units whose agent has failed for good.
    fallen: BTreeMap<UnitId, Fallen>,
}

/// How a unit came down its chain.
#[derive(Debug)]
struct Fallen {
    walk: Walk,
    /// The branches behind its first.
    chain: Vec<u32>,
    /// Where it is now: its branch and lane.
    at: Option<(u32, u32)>,
    /// Attempts by the agents before.
    attempts: u32,
}

impl Falls {
    /// The branches of a run with those of their fallbacks behind, each with the time of an attempt.
    pub(super) fn of<P: Send + 'static, O: Send + 'static>(
        own: &[Branch<P, O>],
        timeout: Duration,
    ) -> (Vec<Branch<P, O>>, Self) {
        let time = |agent: &Agent<P, O>| agent.timeout().map_or(timeout, |own| own.min(timeout));
        let mut branches: Vec<Branch<P, O>> = own.to_vec();
        for branch in &mut branches {
            branch.timeout.get_or_insert_with(|| time(&branch.agent));
        }
        let mut falls = Self::default();
        for branch in own {
            let mut chain = Vec::new();
            for agent in branch.agent.chain().into_iter().skip(1) {
                chain.extend(u32::try_from(branches.len()));
                let (timeout, narrow) = (Some(time(&agent)), branch.narrow.clone());
                branches.push(Branch { agent, narrow, timeout });
            }
            falls.chains.push(chain);
        }
        (branches, falls)
    }

    /// The run's own among its `branches`.
    pub(super) fn own<'a, P, O>(
        &self,
        branches: &'a [Branch<P, O>],
    ) -> impl Iterator<Item = &'a Branch<P, O>> + use<'a, P, O> {
        branches.iter().take(self.chains.len())
    }

    /// The numbers of the fallbacks' branches, of `branches` in all.
    pub(super) fn heirs(&self, branches: usize) -> impl Iterator<Item = u32> + use<> {
        (0..).take(branches).skip(self.chains.len())
    }

    /// Takes the lane of the next fallback's branch.
    pub(super) fn add_lane(&mut self, lane: u32) {
        self.lanes.push(lane);
    }

    /// Attempts at a unit by the agents that have failed at it for good.
    pub(super) fn attempts_before(&self, unit: UnitId) -> u32 {
        self.fallen.get(&unit).map_or(0, |fallen| fallen.attempts)
    }

    /// Whether a unit is with a fallback.
    pub(super) fn has_fallen(&self, unit: UnitId) -> bool {
        self.fallen.get(&unit).is_some_and(|fallen| fallen.walk.has_fallen())
    }

    /// Who failed at a unit before its last agent, and how; empty where nobody did.
    pub(super) fn story(&self, unit: UnitId) -> String {
        self.fallen.get(&unit).map_or_else(String::new, |fallen| fallen.walk.story())
    }

    /// Begins a unit's chain anew.
    pub(super) fn forget(&mut self, unit: UnitId) {
        self.fallen.remove(&unit);
    }

    fn lane_of(&self, branch: u32) -> Option<u32> {
        self.lanes.get((branch as usize).checked_sub(self.chains.len())?).copied()
    }
}

impl Fallen {
    fn new(chain: Vec<u32>) -> Self {
        Self { walk: Walk::new(chain.len() + 1), chain, at: None, attempts: 0 }
    }
}

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// Gives a unit whose agent has failed for good (with this attempt, if it made one) to the next of its chain; gives the unit up
    /// where there is none.
    pub(super) fn fall_back(
        &mut self,
        unit: UnitId,
        attempt: Option<&Attempt>,
        error: AgentError,
        cx: &mut In<P, O, R>,
    ) {
        let Some((from, to)) = self.next_of(unit, &error) else {
            return self.give_up(unit, error, cx);
        };
        let (Some(state), Some(lane)) = (self.board.unit(unit), self.falls.lane_of(to)) else {
            return;
        };
        let (part, attempts, at) = (state.piece, state.attempts, millis(cx));
        let error = clipped(error);
        cx.record(&Record::<P, O>::FellBack {
            unit: unit.0,
            part,
            agent: from,
            to,
            attempts,
            at,
            error: error.clone(),
        });
        let next = self.agent_name(to);
        note(self.brief.system.node(), &self.agent_name(from), &error, &next);
        let attempt = attempt.map(|attempt| (from as usize, attempt));
        let about = About { kind: EventKind::TaskRetried, unit, attempt };
        self.publish_unit(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
            data.insert("fallback".to_owned(), json!(*next));
        });
        self.board.hand_on(unit, to, lane, attempts);
        self.retry(unit, cx);
    }

    /// The branch that has failed at a unit, and the one that does it next.
    fn next_of(&mut self, unit: UnitId, error: &AgentError) -> Option<(u32, u32)> {
        if self.phase != Phase::Running || !self.may_fall(unit) || !self.board.is_open(unit) {
            return None;
        }
        let state = self.board.unit(unit)?;
        let (from, attempts) = (state.branch, state.attempts);
        let chain = self.chain_of(state.lane, from);
        let agent = self.agent_name(from);
        let fallen = self.falls.fallen.entry(unit).or_insert_with(|| Fallen::new(chain));
        let at = fallen.walk.failed(&agent, error)?;
        fallen.attempts = attempts;
        Some((from, *fallen.chain.get(at.checked_sub(1)?)?))
    }

    /// Whether a unit could go to another agent now, were its own to fail.
    pub(super) fn may_fall(&self, unit: UnitId) -> bool {
        match (self.falls.fallen.get(&unit), self.board.unit(unit)) {
            (Some(fallen), _) => fallen.walk.has_next(),
            (None, Some(state)) => !self.chain_of(state.lane, state.branch).is_empty(),
            (None, None) => false,
        }
    }

    /// Whether fallbacks stand behind what waits in a lane.
    pub(super) fn has_heirs(&self, lane: u32) -> bool {
        self.heirs_of(lane).next().is_some()
    }

    /// The places of those who are next for what waits in a lane, at least one.
    pub(super) fn places_behind(&self, lane: u32) -> usize {
        let heirs = self.heirs_of(lane).filter_map(|heir| self.branches.get(heir as usize));
        heirs.map(|heir| heir.agent.places()).max().unwrap_or(1).max(1)
    }

    /// Who is next behind each agent that may do what waits in a lane.
    fn heirs_of(&self, lane: u32) -> impl Iterator<Item = u32> {
        let own = (0..).zip(self.falls.own(&self.branches));
        let in_lane = move |branch: &Branch<P, O>| {
            let need = self.lanes.get(lane as usize);
            need.is_some_and(|need| need.agents.contains(branch.agent.key()))
        };
        own.filter(move |(_, branch)| in_lane(branch))
            .filter_map(move |(at, _)| self.chain_of(lane, at).first().copied())
    }

    /// The branches behind a unit that has not fallen: those behind its agent, or behind any of those that may do it.
    fn chain_of(&self, lane: u32, branch: u32) -> Vec<u32> {
        let Falls { chains, .. } = &self.falls;
        if self.options.assignment == Assignment::AllOf {
            return chains.get(branch as usize).cloned().unwrap_or_default();
        }
        let need = self.lanes.get(lane as usize);
        let takers = need.map(|need| need.agents.as_slice()).unwrap_or_default();
        let mut known: Vec<&AgentKey> = takers.iter().collect();
        let of_takers = self.branches.iter().zip(chains);
        let heirs = of_takers.filter(|(branch, _)| takers.contains(branch.agent.key()));
        let mut chain = Vec::new();
        for heir in heirs.flat_map(|(_, heirs)| heirs) {
            let Some(branch) = self.branches.get(*heir as usize) else { continue };
            if !known.contains(&branch.agent.key()) {
                known.push(branch.agent.key());
                chain.push(*heir);
            }
        }
        chain
    }

    /// Takes what a journal says of a unit: its agent has failed and another does it.
    pub(super) fn restore_fall(
        &mut self,
        unit: UnitId,
        (from, to): (u32, u32),
        attempts: u32,
        error: &AgentError,
    ) {
        let (Some(state), Some(lane)) = (self.board.unit(unit), self.falls.lane_of(to)) else {
            return;
        };
        let (chain, agent) = (self.chain_of(state.lane, state.branch), self.agent_name(from));
        let fallen = self.falls.fallen.entry(unit).or_insert_with(|| Fallen::new(chain));
        fallen.walk.passed(&agent, error);
        (fallen.at, fallen.attempts) = (Some((to, lane)), attempts);
    }

    /// Puts the units that had fallen where they were; gives those that wait there.
    pub(super) fn restore_falls(&mut self) -> Vec<UnitId> {
        let mut open = Vec::new();
        for (unit, fallen) in &self.falls.fallen {
            if let (Some((branch, lane)), true) = (fallen.at, self.board.is_open(*unit)) {
                self.board.hand_on(*unit, branch, lane, fallen.attempts);
                open.push(*unit);
            }
        }
        open
    }

    fn agent_name(&self, branch: u32) -> Arc<str> {
        let branch = self.branches.get(branch as usize);
        Arc::clone(branch.map_or(&self.unnamed, |branch| branch.agent.name()))
    }
}
