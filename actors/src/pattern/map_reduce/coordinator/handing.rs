//! Handing out: places asked for, units given to slots, stragglers run once more.

use super::*;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    pub(super) fn demand(&self, id: DemandId, lane: u32, count: u32, cx: &mut In<P, O, R>) {
        let (Some(need), true) = (self.lanes.get(lane as usize), count > 0) else { return };
        let spare = (SPARE..SINGLE).contains(&id.0);
        let demand = self.demand_for(id, need.clone(), cx);
        let patient = spare || !self.has_heirs(lane);
        let demand = Demand { count, spare, patient, ..demand };
        cx.send(self.brief.system.roster(), roster::Msg::Demands(vec![demand]));
    }

    /// Asks for a place for each unit that waits.
    pub(super) fn demand_lanes(&self, cx: &mut In<P, O, R>) {
        for lane in 0..self.lanes.len() {
            let lane = u32::try_from(lane).unwrap_or(u32::MAX);
            let count = u32::try_from(self.board.waiting(lane)).unwrap_or(u32::MAX);
            self.demand(DemandId(u64::from(lane)), lane, count, cx);
        }
    }

    /// Tells a new incarnation of the roster which places are held, and asks again for all that are wanted.
    fn claim(&mut self, incarnation: u32, cx: &mut In<P, O, R>) {
        let claim = roster::Msg::Claim(incarnation, cx.id(), self.board.leases().collect());
        cx.send(self.brief.system.roster(), claim);
        self.keeps_places = false;
        if self.phase == Phase::Running {
            self.demand_lanes(cx);
            for (lane, count) in &self.spare {
                self.demand(DemandId(SPARE + u64::from(*lane)), *lane, *count, cx);
            }
            for unit in std::mem::take(&mut self.singles).into_iter().rev() {
                self.retrying.push_front(unit);
            }
            self.demand_singles(cx);
        }
    }

    /// A demand for one place.
    fn demand_for(&self, id: DemandId, need: Need, cx: &In<P, O, R>) -> Demand {
        let strategy = match self.options.assignment {
            Assignment::AllOf => Strategy::RoundRobin,
            Assignment::AnyOf(strategy) => strategy,
        };
        let (avoid, spare, patient) = (Vec::new(), false, true);
        Demand { id, need, strategy, count: 1, avoid, spare, patient, owner: cx.id() }
    }

    /// Asks for a place for a unit whose attempt failed; some of them at a time.
    pub(super) fn retry(&mut self, unit: UnitId, cx: &mut In<P, O, R>) {
        self.retrying.push_back(unit);
        self.demand_singles(cx);
    }

    fn demand_singles(&mut self, cx: &mut In<P, O, R>) {
        while self.phase == Phase::Running && self.singles.len() < RETRIES_ASKED_MAX {
            let Some(unit) = self.retrying.pop_front() else { return };
            let Some(state) = self.board.unit(unit).filter(|_| self.board.is_open(unit)) else {
                continue;
            };
            let Some(need) = self.lanes.get(state.lane as usize) else { continue };
            let elsewhere = self.options.on_partial_failure == OnPartialFailure::RetryElsewhere;
            let avoid = if elsewhere { state.tried.clone() } else { Vec::new() };
            let id = DemandId(SINGLE + u64::from(unit.0));
            let patient = !self.may_fall(unit);
            let demand = Demand { avoid, patient, ..self.demand_for(id, need.clone(), cx) };
            self.singles.insert(unit);
            cx.send(self.brief.system.roster(), roster::Msg::Demands(vec![demand]));
        }
    }

    pub(super) fn take_grant(&mut self, grant: Grant, cx: &mut In<P, O, R>) {
        match grant {
            Grant::Leases { demand, leases, alone } => {
                self.keeps_places = alone;
                self.note_granted(demand, leases.len());
                let mut unused = Vec::new();
                for lease in leases {
                    match self.choose(demand, lease.slot, cx.now()) {
                        Some(unit) if self.phase == Phase::Running => {
                            if let (true, Ok(lane)) = (demand.0 < SPARE, u32::try_from(demand.0)) {
                                self.lane_of_lease.insert(lease.id, lane);
                            }
                            self.attempt(unit, lease, cx);
                        }
                        _ => unused.push(lease),
                    }
                }
                if demand.0 < SINGLE && !unused.is_empty() {
                    self.withdraw(demand, cx);
                }
                self.release(unused, cx);
                self.demand_singles(cx);
                self.speculate(cx);
            }
            Grant::Share => self.keeps_places = false,
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
                self.denied(demand, &error, cx);
            }
        }
    }

    /// Notes which demands wait no more, or for less.
    fn note_granted(&mut self, demand: DemandId, places: usize) {
        if let Some(unit) = single(demand) {
            self.singles.remove(&unit);
        } else if let Some(lane) = spare_lane(demand)
            && let Some(left) = self.spare.get_mut(&lane)
        {
            *left = left.saturating_sub(u32::try_from(places).unwrap_or(u32::MAX));
            if *left == 0 {
                self.spare.remove(&lane);
            }
        }
    }

    /// Takes a demand back whose places are of no use any more: kept places have done its units, or nobody straggles. Looks for
    /// stragglers again later, not at once, since the same place would come back at once.
    fn withdraw(&mut self, demand: DemandId, cx: &mut In<P, O, R>) {
        cx.send(self.brief.system.roster(), roster::Msg::Withdraw(cx.id(), demand));
        if let Some(lane) = spare_lane(demand) {
            self.spare.remove(&lane);
            self.look_again(cx);
        }
    }

    /// The unit that a place is for.
    pub(super) fn choose(&mut self, demand: DemandId, slot: SlotId, now: Moment) -> Option<UnitId> {
        if let Some(unit) = single(demand) {
            return self.board.is_open(unit).then_some(unit);
        }
        if demand.0 >= SPARE {
            let lane = u32::try_from(demand.0 - SPARE).ok()?;
            return self
                .board
                .straggler(lane, Some(slot), now, |unit| self.may_speculate(unit, now));
        }
        self.board.take_waiting(u32::try_from(demand.0).ok()?)
    }

    /// Gives the unit to the slot of the lease.
    pub(super) fn attempt(&mut self, unit: UnitId, lease: Lease, cx: &mut In<P, O, R>) {
        let (at, input) = match self.input_at(unit, lease.slot) {
            Ok(found) => found,
            Err(reason) => {
                self.release(vec![lease], cx);
                return self.give_up(unit, AgentError::Refused { reason }, cx);
            }
        };
        let own = self.branches.get(at).and_then(|branch| {
            let timeout = branch.timeout.unwrap_or(self.options.timeout);
            Some((branch.agent.slot(lease.slot)?.clone(), timeout))
        });
        let (Some((slot, timeout)), Ok(branch)) = (own, u32::try_from(at)) else {
            return self.release(vec![lease], cx);
        };
        if let Err(exceeded) = self.brief.budget.spend(Cost::MESSAGE, cx.now()) {
            self.release(vec![lease], cx);
            let (done, units) = (self.board.done, self.board.len());
            let why = exceeded.to_string();
            return self.stop_early(FailureKind::OverBudget { why, done, units }, cx);
        }
        // The deadline ends an attempt by a cancel; should the slot not answer that either, the ask ends behind it, so that a run out of
        // time is never taken for one whose parts failed.
        let timeout = timeout.min(cx.now().until(self.deadline) + 2 * QUIESCENCE_WAIT);
        let before = self.board.unit(unit).map_or(0, |unit| unit.running().len());
        let sent = cx.now();
        let Some(attempt) = self.board.begin(unit, branch, lease, sent) else {
            return self.release(vec![lease], cx);
        };
        self.count_attempt(attempt, before);
        // Before the call, so that no crash makes it free.
        self.record_spent(cx);
        let (task, number, progress) = (
            self.brief.task_id(unit.0.into()),
            attempt.number,
            self.brief.progress(unit.0.into(), cx.me().name()),
        );
        let budget = Some(self.brief.budget.clone());
        let origin = self.brief.origin((sent + timeout).min(self.deadline), &self.phase_span);
        let (own, count) = (Some(lease.id), number);
        let work = Work { lease: own, task, attempt: count, sent, input, progress, budget, origin };
        let work = Box::new(work);
        let question = move |reply| slot::Msg::Work(work, reply);
        cx.ask(&slot, question, timeout, move |outcome| Msg::Finished(unit, lease, outcome));
        let about = About { kind: EventKind::TaskAssigned, unit, attempt: Some((at, &attempt)) };
        self.publish_unit(about, cx, |_| {});
    }

    /// The branch for which a slot does a unit, and what of the part it gets.
    fn input_at(&self, unit: UnitId, slot: SlotId) -> Result<(usize, P), String> {
        let state = self.board.unit(unit);
        let piece = state.and_then(|unit| self.pieces.get(unit.piece as usize));
        let (Some(state), Some(piece)) = (state, piece) else {
            return Err("the part is not known".to_owned());
        };
        let own = state.branch as usize;
        let any = match self.options.assignment {
            Assignment::AllOf => 0..0,
            Assignment::AnyOf(_) => 0..self.branches.len(),
        };
        for at in std::iter::once(own).chain(any) {
            let Some(branch) = self.branches.get(at) else { continue };
            if branch.agent.slot(slot).is_some()
                && let Some(input) = narrowed(branch, &piece.input)?
            {
                return Ok((at, input));
            }
        }
        Err("the place that was found does not take this part".to_owned())
    }

    pub(super) fn count_attempt(&mut self, attempt: Attempt, running_before: usize) {
        self.tally.attempts += 1;
        if running_before > 0 {
            self.tally.speculative += 1;
        } else if attempt.number > 1 {
            self.tally.retries += 1;
        }
        self.brief.counters.begun();
    }

    /// Takes back what [`count_attempt`](Self::count_attempt) counted, since nobody was called.
    pub(super) fn uncount_attempt(&mut self, attempt: Attempt) {
        self.tally.attempts = self.tally.attempts.saturating_sub(1);
        if attempt.number > 1 {
            self.tally.retries = self.tally.retries.saturating_sub(1);
        }
    }

    /// Asks for spare places, or sets a timer for when somebody will have run long enough.
    pub(super) fn speculate(&mut self, cx: &mut In<P, O, R>) {
        let idle = self.phase == Phase::Running && self.options.speculate && self.board.is_tail();
        let asked = !self.spare.is_empty() || self.tail_timer;
        if !idle || asked || self.board.in_flight() == 0 || self.board.median().is_none() {
            return;
        }
        let now = cx.now();
        for lane in 0..self.lanes.len() {
            let lane = u32::try_from(lane).unwrap_or(u32::MAX);
            if self.board.straggler(lane, None, now, |unit| self.may_speculate(unit, now)).is_some()
            {
                let count = u32::try_from(self.board.in_flight())
                    .unwrap_or(u32::MAX)
                    .min(SPECULATION_PLACES);
                self.spare.insert(lane, count);
                self.demand(DemandId(SPARE + u64::from(lane)), lane, count, cx);
            }
        }
        if self.spare.is_empty() {
            self.look_again(cx);
        }
    }

    /// Looks for stragglers again after half of the time that makes one.
    fn look_again(&mut self, cx: &mut In<P, O, R>) {
        if !self.tail_timer {
            self.tail_timer = true;
            let median = self.board.median().unwrap_or_default();
            let long = median.max(self.options.speculate_after).max(STRAGGLER_TIME_MIN);
            cx.after(long / 2, Msg::Tail);
        }
    }

    pub(super) fn denied(&mut self, demand: DemandId, error: &AgentError, cx: &mut In<P, O, R>) {
        self.note_granted(demand, 1);
        if let Some(unit) = single(demand) {
            self.fall_back(unit, None, error.clone(), cx);
            self.demand_singles(cx);
        } else if let Some(lane) = spare_lane(demand) {
            self.spare.remove(&lane);
            self.look_again(cx);
        } else {
            let lane = u32::try_from(demand.0).unwrap_or(u32::MAX);
            let resting = matches!(error, AgentError::Held { .. });
            let most = if resting { self.room_behind(lane) } else { usize::MAX };
            for _ in 0..most {
                let Some(unit) = self.board.take_waiting(lane) else { break };
                self.fall_back(unit, None, error.clone(), cx);
            }
            if let AgentError::Held { after, .. } = error
                && self.board.waiting(lane) > 0
            {
                let rest = (*after).max(HELD_RETRY_WAIT);
                let until = cx.now() + rest;
                self.resting.insert(lane, until);
                cx.after(rest, Msg::Rested(lane, until));
            }
        }
        self.go_on(cx);
    }

    /// How many more parts of a lane its fallback takes now, were nobody else to want it: as many wait there as it has places.
    fn room_behind(&self, lane: u32) -> usize {
        self.places_behind(lane).saturating_sub(self.singles.len() + self.retrying.len())
    }

    /// The agent of a lane may be tried again.
    pub(super) fn rested(&mut self, lane: u32, until: Moment, cx: &mut In<P, O, R>) {
        if self.resting.get(&lane) == Some(&until) {
            self.ask_again(lane, cx);
        }
    }

    /// Asks again for lanes whose agent rests, once its fallback has room: for the agent itself, should it be well by now.
    pub(super) fn ask_resting(&mut self, cx: &mut In<P, O, R>) {
        let lanes: Vec<u32> = self.resting.keys().copied().collect();
        for lane in lanes {
            if self.room_behind(lane) > 0 {
                self.ask_again(lane, cx);
            }
        }
    }

    fn ask_again(&mut self, lane: u32, cx: &mut In<P, O, R>) {
        self.resting.remove(&lane);
        if self.phase == Phase::Running {
            let count = u32::try_from(self.board.waiting(lane)).unwrap_or(u32::MAX);
            self.demand(DemandId(u64::from(lane)), lane, count, cx);
        }
    }

    /// Whether a part may be run once more: it allows that, and its latest attempt has run for long enough.
    fn may_speculate(&self, unit: &Unit, now: Moment) -> bool {
        let allowed = self.pieces.get(unit.piece as usize).is_some_and(|piece| piece.speculate);
        let latest = unit.running().iter().map(|attempt| attempt.since).max();
        allowed && latest.is_some_and(|since| now.since(since) >= self.options.speculate_after)
    }
}

/// The unit of a demand for one retry.
fn single(demand: DemandId) -> Option<UnitId> {
    demand.0.checked_sub(SINGLE).and_then(|unit| u32::try_from(unit).ok()).map(UnitId)
}

/// The lane of a demand for speculation.
fn spare_lane(demand: DemandId) -> Option<u32> {
    if (SPARE..SINGLE).contains(&demand.0) { u32::try_from(demand.0 - SPARE).ok() } else { None }
}

/// What a branch takes of a part.
fn narrowed<P: Clone, O>(branch: &Branch<P, O>, input: &P) -> Result<Option<P>, String> {
    match &branch.narrow {
        None => Ok(Some(input.clone())),
        Some(narrow) => guarded("a branch's `narrow`", || narrow(input)),
    }
}
