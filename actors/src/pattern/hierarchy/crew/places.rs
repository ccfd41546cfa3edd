//! The places of one crew: asked for together, kept while nobody else waits for them, given to its workers. Bookkeeping.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use runtime::{actor::Actor, clock::Moment, context::Cx};

use super::super::link::Link;
use crate::{
    agent::call::AgentError,
    assign::{AgentKey, Need, Strategy},
    pattern::Brief,
    roster::{self, Demand, DemandId, Grant, Lease},
};

/// The places of one crew.
#[derive(Default)]
pub(in crate::pattern::hierarchy) struct Places {
    lanes: Vec<Lane>,
    demands: BTreeMap<DemandId, Asked>,
    next_demand: u64,
    /// Whether nobody else waits for places: they may be kept.
    alone: bool,
    /// Places to be given back.
    unused: Vec<Lease>,
}

/// Those who wait for one agent, and the places at it that nobody uses now.
struct Lane {
    agent: AgentKey,
    /// Whether they wait while it rests; otherwise there is another agent to go to.
    patient: bool,
    waiting: VecDeque<u32>,
    idle: Vec<Lease>,
    /// Places asked for and not granted yet.
    asked: u32,
}

/// An open demand.
struct Asked {
    lane: usize,
    left: u32,
}

impl Places {
    /// Numbers demands so that what is granted to an incarnation of the boss is known from what was to those before.
    pub(super) fn begin(&mut self, boss: u32) {
        self.next_demand = u64::from(boss) << 32;
    }

    /// Makes a lane for each agent of a chain that has none.
    pub(super) fn know(&mut self, links: &[Arc<dyn Link>]) {
        for at in 0..links.len() {
            if self.lane_of(links, at).is_none()
                && let Some(link) = links.get(at)
            {
                let (agent, patient) = (link.agent().key().clone(), at + 1 == links.len());
                let (waiting, idle) = (VecDeque::new(), Vec::new());
                self.lanes.push(Lane { agent, patient, waiting, idle, asked: 0 });
            }
        }
    }

    fn lane_of(&self, links: &[Arc<dyn Link>], at: usize) -> Option<usize> {
        let (key, patient) = (links.get(at)?.agent().key(), at + 1 == links.len());
        self.lanes.iter().position(|lane| lane.agent == *key && lane.patient == patient)
    }

    /// Has a worker wait for a place at this agent of its chain.
    pub(super) fn wait(&mut self, seat: u32, links: &[Arc<dyn Link>], at: usize) {
        if let Some(lane) = self.lane_of(links, at).and_then(|lane| self.lanes.get_mut(lane)) {
            lane.waiting.push_back(seat);
        }
    }

    /// A worker waits no more.
    pub(super) fn leave(&mut self, seat: u32) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|waiting| *waiting != seat);
        }
    }

    /// A worker that waits, with a place.
    pub(super) fn next(&mut self) -> Option<(u32, Lease)> {
        self.lanes.iter_mut().find_map(|lane| {
            let lease = *lane.idle.last()?;
            let seat = lane.waiting.pop_front()?;
            lane.idle.pop();
            Some((seat, lease))
        })
    }

    /// Takes a place at this agent of a chain back, to be used again.
    pub(super) fn put_back(&mut self, lease: Lease, links: &[Arc<dyn Link>], at: usize) {
        match self.lane_of(links, at).and_then(|lane| self.lanes.get_mut(lane)) {
            Some(lane) => lane.idle.push(lease),
            None => self.unused.push(lease),
        }
    }

    /// Takes a place back that is not to be used again.
    pub(super) fn drop_place(&mut self, lease: Lease) {
        self.unused.push(lease);
    }

    /// Asks for the places that are missing, and gives back those that nobody needs.
    pub(super) fn settle<A: Actor>(&mut self, is_idle: bool, brief: &Brief, cx: &mut Cx<A>) {
        let mut missing = Vec::new();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let waiting = u32::try_from(lane.waiting.len()).unwrap_or(u32::MAX);
            let more = waiting.saturating_sub(lane.asked);
            if more > 0 {
                let id = DemandId(self.next_demand);
                self.next_demand += 1;
                lane.asked += more;
                self.demands.insert(id, Asked { lane: at, left: more });
                missing.push(lane.demand(id, more, cx));
            }
            if is_idle || !self.alone {
                self.unused.append(&mut lane.idle);
            }
        }
        if !missing.is_empty() {
            cx.send(brief.system.roster(), roster::Msg::Demands(missing));
        }
        if !self.unused.is_empty() {
            let unused = std::mem::take(&mut self.unused);
            cx.send(brief.system.roster(), roster::Msg::Release(cx.id(), unused));
        }
        self.withdraw_vain(brief, cx);
    }

    /// Asks for nothing that nobody waits for.
    fn withdraw_vain<A: Actor>(&mut self, brief: &Brief, cx: &mut Cx<A>) {
        let lanes = &self.lanes;
        let is_vain =
            |asked: &Asked| lanes.get(asked.lane).is_none_or(|lane| lane.waiting.is_empty());
        let vain: Vec<DemandId> =
            self.demands.iter().filter(|(_, asked)| is_vain(asked)).map(|(id, _)| *id).collect();
        for id in vain {
            self.note_granted(id, u32::MAX);
            cx.send(brief.system.roster(), roster::Msg::Withdraw(cx.id(), id));
        }
    }

    /// Takes what the roster grants; tells who waits in vain, and why.
    pub(super) fn granted(&mut self, grant: Grant, now: Moment) -> Vec<(u32, AgentError)> {
        match grant {
            Grant::Leases { demand, leases, alone } => {
                let places = u32::try_from(leases.len()).unwrap_or(u32::MAX);
                let lane = self.note_granted(demand, places);
                self.alone = alone;
                match lane.and_then(|lane| self.lanes.get_mut(lane)) {
                    Some(lane) => lane.idle.extend(leases),
                    None => self.unused.extend(leases),
                }
                Vec::new()
            }
            Grant::Share => {
                self.alone = false;
                Vec::new()
            }
            Grant::Several(grants) => {
                grants.into_iter().flat_map(|grant| self.granted(grant, now)).collect()
            }
            Grant::Denied { demand, why, until } => {
                let error = match until {
                    Some(until) => AgentError::Held { reason: why, after: now.until(until) },
                    None => AgentError::Lost { reason: why },
                };
                let lane = self.note_granted(demand, u32::MAX);
                let lane = lane.and_then(|lane| self.lanes.get_mut(lane));
                let waiting = lane.map(|lane| std::mem::take(&mut lane.waiting));
                waiting.into_iter().flatten().map(|seat| (seat, error.clone())).collect()
            }
            // Whoever holds places answers that.
            Grant::Anew(_) => Vec::new(),
        }
    }

    /// Tells a new incarnation of the roster which places are held, and asks again for all that are wanted.
    pub(super) fn claim<A: Actor>(
        &mut self,
        incarnation: u32,
        mut held: Vec<Lease>,
        brief: &Brief,
        cx: &mut Cx<A>,
    ) {
        held.extend(self.lanes.iter().flat_map(|lane| lane.idle.iter().copied()));
        cx.send(brief.system.roster(), roster::Msg::Claim(incarnation, cx.id(), held));
        self.alone = false;
        self.demands.clear();
        for lane in &mut self.lanes {
            lane.asked = 0;
        }
    }

    /// Notes that a demand waits for fewer places; the lane that it is for.
    fn note_granted(&mut self, demand: DemandId, places: u32) -> Option<usize> {
        let asked = self.demands.get_mut(&demand)?;
        let (lane, granted) = (asked.lane, places.min(asked.left));
        asked.left -= granted;
        if asked.left == 0 {
            self.demands.remove(&demand);
        }
        if let Some(of) = self.lanes.get_mut(lane) {
            of.asked = of.asked.saturating_sub(granted);
        }
        Some(lane)
    }
}

impl Lane {
    fn demand<A: Actor>(&self, id: DemandId, count: u32, cx: &Cx<A>) -> Demand {
        let need = Need { agents: vec![self.agent.clone()], capabilities: Vec::new() };
        let (strategy, avoid, spare) = (Strategy::RoundRobin, Vec::new(), false);
        let (patient, owner) = (self.patient, cx.id());
        Demand { id, need, strategy, count, avoid, spare, patient, owner }
    }
}
