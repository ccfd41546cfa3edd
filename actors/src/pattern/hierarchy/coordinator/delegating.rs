//! Delegating: which team an assignment goes to, by name, specialisation, load or bid.

use std::cmp::Ordering;

use super::*;
use crate::{
    agent::AgentError,
    pattern::hierarchy::{Delegation, board::DutyState},
};

impl Coordinator {
    /// Gives the assignments that may begin to teams, as far as it is known to which.
    pub(super) fn delegate(&mut self, cx: &mut In) {
        while self.broke.is_none()
            && let Some(duty) = self.board.ready.pop_front()
        {
            let Some(of) = self.board.duties.get(duty) else { continue };
            if of.state != DutyState::Waiting {
                continue;
            }
            let by_bid = of.to == Delegation::Bid;
            let able = self.able(duty);
            match able.first() {
                None => self.untaken(duty, "no team that could take it has a leader"),
                Some(_) if by_bid => self.ask_for_bids(duty, &able, cx),
                Some(first) => {
                    let team = able.iter().copied().min_by(|one, other| self.by_load(*one, *other));
                    self.entrust(duty, team.unwrap_or(*first), cx);
                }
            }
        }
    }

    /// The teams that an assignment may go to and that can do it.
    fn able(&self, duty: usize) -> Vec<u32> {
        let Some(of) = self.board.duties.get(duty) else { return Vec::new() };
        let teams = (0..).zip(&self.scheme.teams).zip(&self.seats);
        let fits = teams.filter(|((_, team), seat)| {
            !seat.is_down && of.to.means(&team.name, &team.specialisation) && team.can(of.by_leader)
        });
        fits.map(|((number, _), _)| number).collect()
    }

    /// Of two teams the one with fewer open tasks a worker, then the first by name.
    pub(super) fn by_load(&self, one: u32, other: u32) -> Ordering {
        let workers =
            |team: u32| self.scheme.team(team).map_or(1, |team| team.workers.len().max(1)) as u128;
        let load = |team: u32| u128::from(self.board.load(team));
        let loads = (load(one) * workers(other)).cmp(&(load(other) * workers(one)));
        loads.then_with(|| self.team_name(one).cmp(self.team_name(other)))
    }

    /// Gives an assignment to a team.
    pub(super) fn entrust(&mut self, duty: usize, team: u32, cx: &mut In) {
        let Some(of) = self.board.duties.get(duty) else { return };
        let (assignment, name, tasks) = (number(duty), Arc::clone(&of.name), of.jobs.len());
        cx.record(&Record::Delegated { assignment, team });
        self.bids.remove(&duty);
        self.board.give(duty, team);
        self.publish(
            EventKind::Delegated,
            cx,
            || json!({ "assignment": *name, "team": self.team_name(team), "tasks": tasks }),
        );
    }

    fn untaken(&mut self, duty: usize, why: &str) {
        let error = AgentError::Lost { reason: why.to_owned() };
        let failure = self.failure(Subject::Assignment(number(duty)), None, error);
        self.troubles.push_back(Box::new(failure));
    }

    fn ask_for_bids(&mut self, duty: usize, able: &[u32], cx: &mut In) {
        for team in able {
            let has_agent = self.scheme.team(*team).is_some_and(|team| team.led_by.is_some());
            if has_agent && !self.spend(cx) {
                return;
            }
        }
        self.bids.insert(duty, able.iter().map(|team| (*team, None)).collect());
        for team in able {
            self.ask_for_bid(duty, *team);
        }
    }

    fn ask_for_bid(&mut self, duty: usize, team: u32) {
        let Some(of) = self.board.duties.get(duty) else { return };
        let (assignment, name) = (number(duty), Arc::clone(&of.name));
        let (tasks, open) = (of.jobs.len() as u64, self.board.load(team));
        self.order(team, Order::Bid { assignment, name, tasks, open });
    }

    /// A new incarnation of a leader is asked for the bids that the one before owes.
    pub(super) fn ask_again_for_bids(&mut self, team: u32) {
        let owes = |bids: &BTreeMap<u32, Option<Option<f64>>>| bids.get(&team) == Some(&None);
        let owed = self.bids.iter().filter(|(_, bids)| owes(bids)).map(|(duty, _)| *duty);
        for duty in owed.collect::<Vec<_>>() {
            self.ask_for_bid(duty, team);
        }
    }

    /// A team that has no leader any more takes part in nothing.
    pub(super) fn bids_nothing(&mut self, team: u32, cx: &mut In) {
        for duty in self.bids.keys().copied().collect::<Vec<_>>() {
            self.heard_bid(team, number(duty), None, cx);
        }
    }

    /// Takes what a team bids; once all have, the lowest has the assignment.
    pub(super) fn heard_bid(&mut self, team: u32, assignment: u32, bid: Option<f64>, cx: &mut In) {
        let duty = assignment as usize;
        let Some(bids) = self.bids.get_mut(&duty) else { return };
        if let Some(own) = bids.get_mut(&team) {
            *own = Some(bid.filter(|bid| bid.is_finite() && *bid >= 0.0));
        }
        self.award(duty, cx);
    }

    fn award(&mut self, duty: usize, cx: &mut In) {
        let Some(bids) = self.bids.get(&duty) else { return };
        if bids.values().any(Option::is_none) {
            return;
        }
        let made = bids.iter().filter_map(|(team, bid)| Some((*team, (*bid)??)));
        let lowest = made.min_by(|(one, low), (other, high)| {
            let bids = low.total_cmp(high);
            bids.then_with(|| self.team_name(*one).cmp(self.team_name(*other)))
        });
        match lowest {
            Some((team, _)) => self.entrust(duty, team, cx),
            None => {
                self.bids.remove(&duty);
                self.untaken(duty, "no team bids for it");
            }
        }
    }
}

/// Numbers an assignment in records; a plan has far fewer.
pub(super) fn number(duty: usize) -> u32 {
    u32::try_from(duty).unwrap_or(u32::MAX)
}
