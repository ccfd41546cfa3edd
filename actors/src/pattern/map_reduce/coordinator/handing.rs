//! Handing out: places asked for, units given to slots, stragglers run once more.

use super::*;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    pub(super) fn demand(&self, id: DemandId, lane: u32, count: u32, cx: &mut In<P, O, R>) {
        let (Some(need), true) = (self.lanes.get(lane as usize), count > 0) else { return };
        let strategy = match self.options.assignment {
            Assignment::AllOf => Strategy::RoundRobin,
            Assignment::AnyOf(strategy) => strategy,
        };
        let demand = Demand {
            id,
            need: need.clone(),
            strategy,
            count,
            avoid: Vec::new(),
            spare: (SPARE..SINGLE).contains(&id.0),
            to: self.grants(cx),
            owner: cx.me().child(),
        };
        cx.send(self.brief.system.roster(), roster::Msg::Demand(demand));
    }

    pub(super) fn demand_single(&self, unit: UnitId, cx: &mut In<P, O, R>) {
        if self.phase != Phase::Running || !self.board.is_open(unit) {
            return;
        }
        let Some(state) = self.board.unit(unit) else { return };
        let Some(need) = self.lanes.get(state.lane as usize) else { return };
        let elsewhere = self.options.on_partial_failure == OnPartialFailure::RetryElsewhere;
        let strategy = match self.options.assignment {
            Assignment::AllOf => Strategy::RoundRobin,
            Assignment::AnyOf(strategy) => strategy,
        };
        let demand = Demand {
            id: DemandId(SINGLE + u64::from(unit.0)),
            need: need.clone(),
            strategy,
            count: 1,
            avoid: if elsewhere { state.tried.clone() } else { Vec::new() },
            spare: false,
            to: self.grants(cx),
            owner: cx.me().child(),
        };
        cx.send(self.brief.system.roster(), roster::Msg::Demand(demand));
    }

    pub(super) fn take_grant(&mut self, grant: Grant, cx: &mut In<P, O, R>) {
        match grant {
            Grant::Leases { demand, leases, alone } => {
                self.keeps_places = alone;
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
                if demand.0 < SPARE && !unused.is_empty() {
                    // Kept places have taken what this demand was for.
                    cx.send(self.brief.system.roster(), roster::Msg::Withdraw(cx.id(), demand));
                }
                self.release(unused, cx);
                if demand.0 < SPARE {
                    self.speculate(cx);
                }
            }
            Grant::Share => self.keeps_places = false,
            Grant::Denied { demand, why } => self.denied(demand, &why, cx),
        }
    }

    /// The unit that a place is for.
    pub(super) fn choose(&mut self, demand: DemandId, slot: SlotId, now: Moment) -> Option<UnitId> {
        if demand.0 >= SINGLE {
            let unit = UnitId(u32::try_from(demand.0 - SINGLE).ok()?);
            return self.board.is_open(unit).then_some(unit);
        }
        if demand.0 >= SPARE {
            self.spare_asked = false;
            let lane = u32::try_from(demand.0 - SPARE).ok()?;
            return self
                .board
                .straggler(lane, Some(slot), now, |unit| self.may_speculate(unit, now));
        }
        self.board.take_waiting(u32::try_from(demand.0).ok()?)
    }

    /// Gives the unit to the slot of the lease.
    pub(super) fn attempt(&mut self, unit: UnitId, lease: Lease, cx: &mut In<P, O, R>) {
        let place = self.branches.iter().enumerate().find_map(|(at, branch)| {
            branch.agent.slot(lease.slot).map(|slot| (at, branch, slot.clone()))
        });
        let piece = self.board.unit(unit).and_then(|unit| self.pieces.get(unit.piece as usize));
        let input = place.as_ref().zip(piece).and_then(|((_, branch, _), piece)| {
            branch
                .narrow
                .as_ref()
                .map_or_else(|| Some(piece.input.clone()), |narrow| narrow(&piece.input))
        });
        let (Some((at, branch, slot)), Some(input)) = (place, input) else {
            self.release(vec![lease], cx);
            let reason = "the place that was found does not take this part".to_owned();
            return self.give_up(unit, AgentError::Lost { reason }, cx);
        };
        let timeout =
            branch.timeout.unwrap_or(self.options.timeout).min(cx.now().until(self.deadline));
        let before = self.board.unit(unit).map_or(0, |unit| unit.running().len());
        let Some(attempt) = self.board.begin(unit, lease, cx.now()) else {
            return self.release(vec![lease], cx);
        };
        self.count_attempt(attempt, before);
        let (task, number, progress) =
            (self.task_id(unit), attempt.number, self.progress(unit, cx));
        let question = move |reply| {
            slot::Msg::Work(Work { lease: lease.id, task, attempt: number, input, progress, reply })
        };
        cx.ask(&slot, question, timeout, move |outcome| Msg::Finished(unit, lease, outcome));
        self.publish_unit(EventKind::TaskAssigned, unit, Some((at, &attempt)), cx, |_| {});
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

    /// Asks for spare places, or sets a timer for when somebody will have run long enough.
    pub(super) fn speculate(&mut self, cx: &mut In<P, O, R>) {
        let idle = self.phase == Phase::Running && self.options.speculate && self.board.is_tail();
        if !idle || self.spare_asked || self.tail_timer || self.board.in_flight() == 0 {
            return;
        }
        let Some(median) = self.board.median() else { return };
        let now = cx.now();
        for lane in 0..self.lanes.len() {
            let lane = u32::try_from(lane).unwrap_or(u32::MAX);
            if self.board.straggler(lane, None, now, |unit| self.may_speculate(unit, now)).is_some()
            {
                let count = u32::try_from(self.board.in_flight())
                    .unwrap_or(u32::MAX)
                    .min(SPECULATION_PLACES);
                self.spare_asked = true;
                self.demand(DemandId(SPARE + u64::from(lane)), lane, count, cx);
            }
        }
        if !self.spare_asked {
            self.tail_timer = true;
            let look_again =
                median.max(self.options.speculate_after).max(Duration::from_millis(1)) / 2;
            cx.after(look_again, Msg::Tail);
        }
    }

    pub(super) fn denied(&mut self, demand: DemandId, why: &str, cx: &mut In<P, O, R>) {
        let error = AgentError::Lost { reason: why.to_owned() };
        if demand.0 >= SINGLE {
            if let Ok(unit) = u32::try_from(demand.0 - SINGLE) {
                self.give_up(UnitId(unit), error, cx);
            }
        } else if demand.0 < SPARE {
            let lane = u32::try_from(demand.0).unwrap_or(u32::MAX);
            while let Some(unit) = self.board.take_waiting(lane) {
                self.give_up(unit, error.clone(), cx);
            }
        }
        self.go_on(cx);
    }

    /// Whether a part may be run once more: it allows that, and its latest attempt has run for long enough.
    fn may_speculate(&self, unit: &Unit, now: Moment) -> bool {
        let allowed = self.pieces.get(unit.piece as usize).is_some_and(|piece| piece.speculate);
        let latest = unit.running().iter().map(|attempt| attempt.since).max();
        allowed && latest.is_some_and(|since| now.since(since) >= self.options.speculate_after)
    }
}
