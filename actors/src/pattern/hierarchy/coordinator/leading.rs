//! Leading: leaders started and started again, what they are told, and what their calls cost.

use runtime::{
    limits::MAILBOX_CAPACITY,
    mailbox::{Mailbox, Overflow},
    spawn::Spawn,
};

use super::*;
use crate::{agent::AgentError, pattern::hierarchy::leader::Post};

impl Coordinator {
    /// Starts a leader for each team, and the actors by which agents are asked for the supervisor's own acts.
    pub(super) fn post(&mut self, cx: &mut In) {
        let scheme = Arc::clone(&self.scheme);
        for (team, number) in scheme.teams.iter().zip(0..) {
            let (brief, scheme, deadline) =
                (self.brief.clone(), Arc::clone(&scheme), self.deadline);
            let (span, to) = (self.phase_span.clone(), cx.me());
            let post = Post { brief, scheme, team: number, deadline, span, to };
            // What each worker says and what is granted for it, and the orders.
            let capacity = 4 * team.workers.len() + MAILBOX_CAPACITY;
            let mailbox = Mailbox::new(capacity, Overflow::Wait);
            let spawn = Spawn::named(&*team.name).mailbox(mailbox);
            let birth = move || Leader::new(post.clone());
            let leader = cx.spawn_supervised(spawn, birth, move |exit| Msg::Ended(number, exit));
            let (is_down, is_idle, orders) = (false, false, Vec::new());
            self.seats.push(Seat { leader, life: 1, is_down, orders, is_idle, restarts: 0 });
        }
        let terms = Terms {
            brief: self.brief.clone(),
            team: "".into(),
            timeout: scheme.rules.timeout,
            deadline: self.deadline,
            span: self.phase_span.clone(),
        };
        self.crew = Crew::new(terms);
        let ties =
            Ties { told: Msg::Said, ended: Msg::Unsaid, granted: Msg::Granted, lost: Msg::Lost };
        let agents = scheme.supervisor.agents.iter().map(|(_, member)| member.clone());
        self.crew.hire(agents, &ties, cx);
    }

    /// Hands the tasks that are to be done to the leaders of their teams.
    pub(super) fn hand_out(&mut self, cx: &mut In) {
        for unit in std::mem::take(&mut self.board.unsent) {
            let Some(job) = self.board.job(unit).filter(|job| job.is_to_be_handed()) else {
                continue;
            };
            let Some(team) = job.team else { continue };
            if self.seats.get(team as usize).is_none_or(|seat| seat.is_down) {
                self.leaderless(unit, team);
                continue;
            }
            if !self.pay(unit, cx) {
                return;
            }
            let Some(charge) = self.board.charge(unit).map(Arc::new) else { continue };
            let wait = self.waits.remove(&unit).unwrap_or_default();
            let decisions = self.board.decisions.get(&Subject::Task(unit)).copied();
            let by_leader = self.board.duty_of(unit).is_some_and(|duty| duty.by_leader);
            let Some(job) = self.board.job_mut(unit) else { continue };
            job.is_handed = true;
            let order = leader::Job {
                charge,
                attempts: job.attempts,
                decisions: decisions.unwrap_or_default(),
                avoid: job.avoid.clone(),
                has_crashed: job.has_crashed,
                by_leader,
                wait,
            };
            self.order(team, Order::Do(Box::new(order)));
        }
    }

    /// A task is for a team that has no leader any more.
    fn leaderless(&mut self, unit: u64, team: u32) {
        let reason = "the team has no leader any more".to_owned();
        let failure = self.failure(Subject::Task(unit), Some(team), AgentError::Lost { reason });
        self.fails(unit, Box::new(failure));
    }

    pub(super) fn order(&mut self, team: u32, order: Order) {
        if let Some(seat) = self.seat(team) {
            seat.orders.push(order);
        }
    }

    /// Tells each leader what it is to do.
    pub(super) fn tell_leaders(&mut self, cx: &mut In) {
        for seat in self.seats.iter_mut().filter(|seat| !seat.orders.is_empty()) {
            let orders = std::mem::take(&mut seat.orders);
            if !seat.is_down {
                cx.send(&seat.leader, leader::Msg::Orders(seat.life, orders));
            }
        }
    }

    /// Takes a task's next call from the budget.
    fn pay(&mut self, unit: u64, cx: &mut In) -> bool {
        if self.spend(cx)
            && let Some(job) = self.board.job_mut(unit)
        {
            job.is_paid = true;
            self.owed += 1;
            return true;
        }
        false
    }

    /// Takes a call from the budget. What is spent is written down before the step's calls are made, so that no crash makes one free.
    pub(super) fn spend(&mut self, cx: &mut In) -> bool {
        if self.broke.is_some() {
            return false;
        }
        if let Err(exceeded) = self.brief.budget.spend(Cost::MESSAGE, cx.now()) {
            self.broke = Some(exceeded.to_string());
            return false;
        }
        self.has_spent = true;
        true
    }

    /// Something was heard of a task's call, or nothing ever will be.
    pub(super) fn settle(&mut self, unit: u64) {
        if self.board.job_mut(unit).is_some_and(|job| std::mem::take(&mut job.is_paid)) {
            self.owed -= 1;
        }
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    pub(super) fn record_spent(&mut self, cx: &mut In) {
        self.spending.write(&self.brief, Record::Spent, cx);
    }

    /// Takes that an incarnation of a leader has ended: it is started again and given what is open, or the supervisor decides.
    pub(super) fn leader_ended(&mut self, team: u32, exit: &ChildExit, cx: &mut In) {
        let running = self.phase == Phase::Running;
        let Some(seat) = self.seat(team) else { return };
        seat.life = exit.incarnation + 1;
        seat.orders.clear();
        if !running {
            seat.is_idle = true;
            return;
        }
        seat.is_down = true;
        for unit in self.board.of_team(team) {
            self.settle(unit);
            if let Some(job) = self.board.job_mut(unit) {
                job.is_handed = false;
            }
        }
        let name = self.team_name(team).to_owned();
        if self.restarts.spend(u64::from(team), cx.now()).is_some() {
            tracing::warn!(run = %self.brief.run, team = name, reason = %exit.reason, "a leader ended and is started anew");
            return self.restart_leader(team, cx);
        }
        let reason = format!("its leader ended too often: {}", exit.reason);
        let error = AgentError::Lost { reason };
        let failure = self.failure(Subject::Team(team), Some(team), error);
        self.bids_nothing(team, cx);
        self.troubles.push_back(Box::new(failure));
    }

    /// Starts a leader again, and gives it what its team has not done.
    pub(super) fn restart_leader(&mut self, team: u32, cx: &mut In) {
        let Some(seat) = self.seat(team).filter(|seat| seat.is_down) else { return };
        seat.is_down = false;
        seat.restarts += 1;
        let child = seat.leader.child();
        cx.restart(&child);
        let open = self.board.of_team(team);
        self.board.unsent.extend(open);
        self.ask_again_for_bids(team);
    }
}
