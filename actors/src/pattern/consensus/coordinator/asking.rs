//! Asking: a round begun, places asked for, requests given to slots.

use super::*;

impl Coordinator {
    /// Asks every voter whose ballot of the open round is still to come.
    pub(super) fn begin_round(&mut self, cx: &mut Cx<Self>) {
        let Some(vote) = &self.vote else { return };
        let (round, left) = (vote.round(), vote.closes().saturating_sub(self.elapsed(cx)));
        self.before = vote.before().cloned().map(Arc::new);
        self.tally.units = self.units();
        self.round_timer = Some(cx.after(left, Msg::RoundOver(round)));
        self.phase_span = trace::phase(&self.span, Phase::Execute, self.seats.len());
        let (units, done) = (self.units(), self.counted());
        self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        let mut demands = Vec::with_capacity(self.seats.len());
        for voter in 0..self.seats.len() {
            if let Some(demand) = self.wish(voter, cx) {
                let about = About { kind: EventKind::VoteRequested, voter, attempt: None };
                self.publish_voter(about, cx, |_| {});
                demands.push(demand);
            }
        }
        cx.send(self.brief.system.roster(), roster::Msg::Demands(demands));
        self.go_on(cx);
    }

    /// Asks for a place for a voter's agent, which may be one that is kept.
    pub(super) fn demand(&mut self, voter: usize, cx: &mut Cx<Self>) {
        if let Some(demand) = self.wish(voter, cx) {
            self.give_back(cx);
            cx.send(self.brief.system.roster(), roster::Msg::Demands(vec![demand]));
        }
    }

    /// The wish for a place for a voter's agent, if its ballot is still to come.
    fn wish(&mut self, voter: usize, cx: &Cx<Self>) -> Option<Demand> {
        if self.is_over || !self.awaits(voter) {
            return None;
        }
        let id = demand_id(voter, self.round());
        let seat = self.seats.get(voter)?;
        let agent = seat.agent()?;
        let demand = Demand {
            id,
            need: Need { agents: vec![agent.key().clone()], capabilities: Vec::new() },
            strategy: Strategy::RoundRobin,
            count: 1,
            avoid: Vec::new(),
            spare: false,
            patient: !seat.walk.has_next(),
            owner: cx.id(),
        };
        self.set(voter, Asking::Waits);
        Some(demand)
    }

    pub(super) fn take_grant(&mut self, grant: Grant, cx: &mut Cx<Self>) {
        match grant {
            Grant::Leases { demand, leases, alone } => {
                self.keeps_places = alone;
                for lease in leases {
                    match self.waiting(demand) {
                        Some(voter) if !self.is_over => self.attempt(voter, lease, cx),
                        _ => self.release(lease, cx),
                    }
                }
            }
            Grant::Share => {
                self.keeps_places = false;
                self.give_back(cx);
            }
            Grant::Several(grants) => {
                for grant in grants {
                    self.take_grant(grant, cx);
                }
            }
            Grant::Anew(incarnation) => self.claim(incarnation, cx),
            Grant::Denied { demand, why, until } => {
                let error = match until {
                    Some(until) => AgentError::Held { reason: why, after: cx.now().until(until) },
                    None => AgentError::Lost { reason: why },
                };
                if let Some(voter) = self.waiting(demand) {
                    self.set(voter, Asking::Idle);
                    self.fall_back(voter, error, cx);
                }
            }
        }
    }

    /// Tells a new incarnation of the roster which places are held, and asks again for all that are wanted.
    fn claim(&mut self, incarnation: u32, cx: &mut Cx<Self>) {
        let held = self.held.iter().map(|(id, held)| Lease { id: *id, slot: held.slot });
        let leases = held.chain(self.unused.iter().copied()).collect();
        cx.send(self.brief.system.roster(), roster::Msg::Claim(incarnation, cx.id(), leases));
        self.keeps_places = false;
        self.give_back(cx);
        for voter in 0..self.seats.len() {
            if self.seats.get(voter).is_some_and(|seat| seat.state == Asking::Waits) {
                self.demand(voter, cx);
            }
        }
    }

    /// The voter that waits for the places of a demand.
    fn waiting(&self, demand: DemandId) -> Option<usize> {
        let voter = usize::try_from(demand.0 & u64::from(u32::MAX)).ok()?;
        let seat = self.seats.get(voter)?;
        let waits = seat.state == Asking::Waits && demand == demand_id(voter, self.round());
        (waits && self.awaits(voter)).then_some(voter)
    }

    /// Gives a voter's request to the slot of the lease.
    fn attempt(&mut self, voter: usize, lease: Lease, cx: &mut Cx<Self>) {
        let asked = self.seats.get(voter).and_then(Seat::agent).and_then(|agent| {
            let timeout =
                agent.timeout().map_or(self.plan.timeout, |own| own.min(self.plan.timeout));
            Some((agent.slot(lease.slot)?.clone(), timeout))
        });
        let Some((slot, timeout)) = asked else { return self.release(lease, cx) };
        if let Err(exceeded) = self.brief.budget.spend(Cost::MESSAGE, cx.now()) {
            self.release(lease, cx);
            let (done, units, why) = (self.counted(), self.units(), exceeded.to_string());
            return self.fail(FailureKind::OverBudget { why, done, units }, cx);
        }
        // Before the call, so that no crash makes it free.
        self.record_spent(cx);
        let Some(input) = self.request(voter, cx) else { return self.release(lease, cx) };
        let (sent, round, unit) = (cx.now(), self.round(), self.unit(voter));
        // The close of the round ends an ask by a cancel; should the slot not answer that either, the ask ends behind it.
        let timeout = timeout.min(sent.until(self.deadline) + 2 * QUIESCENCE_WAIT);
        let Some(seat) = self.seats.get_mut(voter) else { return };
        seat.attempts += 1;
        let attempt = seat.attempts;
        self.set(voter, Asking::Asked(lease.id));
        self.tally.attempts += 1;
        self.tally.retries += u64::from(attempt > 1);
        self.brief.counters.begun();
        self.held.insert(lease.id, Held { slot: lease.slot, voter, round, attempt, since: sent });
        let (task, budget) = (self.brief.task_id(unit), Some(self.brief.budget.clone()));
        let round_left = self
            .vote
            .as_ref()
            .map_or(Duration::MAX, |vote| vote.closes().saturating_sub(self.elapsed(cx)));
        let until = (sent + timeout.min(round_left)).min(self.deadline);
        let origin = self.brief.origin(until, &self.phase_span);
        let progress = self.brief.progress(unit, cx.me().name());
        let own = Some(lease.id);
        let work = Work { lease: own, task, attempt, sent, input, progress, budget, origin };
        let work = Box::new(work);
        let question = move |reply| slot::Msg::Work(work, reply);
        cx.ask(&slot, question, timeout, move |outcome| Msg::Answered(voter, lease, outcome));
        let attempt = Some((lease.slot, attempt));
        self.publish_voter(About { kind: EventKind::TaskAssigned, voter, attempt }, cx, |_| {});
    }

    fn request(&self, voter: usize, cx: &Cx<Self>) -> Option<Request> {
        let vote = self.vote.as_ref()?;
        let (round, to) = (vote.round(), cx.me().recipient(Msg::Cast));
        Some(Request {
            proposal: Arc::clone(&self.proposal),
            voter: self.name_of(voter).to_owned(),
            round,
            wanted: vote.opening().rules.method.form(),
            before: self.before.clone(),
            booth: Booth::new(to, voter, round),
        })
    }

    /// Takes every ask and every wish for a place back.
    pub(super) fn take_back(&mut self, cx: &mut Cx<Self>) {
        cx.send(self.brief.system.roster(), roster::Msg::Forget(cx.id()));
        self.give_back(cx);
        let held: Vec<(LeaseId, usize, SlotId)> =
            self.held.iter().map(|(id, held)| (*id, held.voter, held.slot)).collect();
        for (id, voter, slot) in held {
            self.tell_slot(voter, slot, slot::Msg::Cancel(id), cx);
        }
    }

    pub(super) fn tell_slot(
        &self,
        voter: usize,
        slot: SlotId,
        msg: slot::Msg<Request, Opinion>,
        cx: &mut Cx<Self>,
    ) {
        let Some(seat) = self.seats.get(voter) else { return };
        if let Some(slot) = seat.chain.iter().find_map(|agent| agent.slot(slot)) {
            cx.send(slot, msg);
        }
    }

    /// Gives a place back: now if somebody waits for it, else with the others.
    pub(super) fn release(&mut self, lease: Lease, cx: &mut Cx<Self>) {
        self.unused.push(lease);
        if self.waits > 0 || !self.keeps_places {
            self.give_back(cx);
        }
    }

    pub(super) fn give_back(&mut self, cx: &mut Cx<Self>) {
        let unused = std::mem::take(&mut self.unused);
        if !unused.is_empty() {
            cx.send(self.brief.system.roster(), roster::Msg::Release(cx.id(), unused));
        }
    }

    pub(super) fn set(&mut self, voter: usize, state: Asking) {
        if let Some(seat) = self.seats.get_mut(voter) {
            self.waits -= usize::from(seat.state == Asking::Waits);
            self.waits += usize::from(state == Asking::Waits);
            seat.state = state;
        }
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    pub(super) fn record_spent(&mut self, cx: &mut Cx<Self>) {
        self.spending.write(&self.brief, Record::Spent, cx);
    }
}

/// Demands are numbered by voter and round, so that a grant for a round that is closed is known as such.
fn demand_id(voter: usize, round: u32) -> DemandId {
    DemandId(u64::from(round) << 32 | u64::from(u32::try_from(voter).unwrap_or(u32::MAX)))
}
