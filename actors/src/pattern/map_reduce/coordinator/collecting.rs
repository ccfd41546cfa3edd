//! Collecting: results kept, failures repeated or given up.

use super::*;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    pub(super) fn finished(
        &mut self,
        _: UnitId,
        lease: Lease,
        outcome: Result<Result<O, AgentError>, AskError>,
        cx: &mut In<P, O, R>,
    ) {
        let timed_out = matches!(outcome, Err(AskError::TimedOut(_)));
        let held = matches!(outcome, Ok(Err(AgentError::Held { .. })));
        let answered = outcome.is_ok() && !held;
        match outcome {
            Ok(Ok(output)) => self.succeeded(lease, output, cx),
            Ok(Err(error)) => self.failed(lease, error, cx),
            Err(error) => self.failed(lease, error.into(), cx),
        }
        if timed_out {
            self.tell_slot(lease, slot::Msg::TimedOut(lease.id), cx);
        }
        // A place whose agent has answered is free for the next unit, unless somebody else waits for places.
        match self.next_at(lease, answered) {
            Some(next) => self.attempt(next, lease, cx),
            None => self.release(vec![lease], cx),
        }
        self.go_on(cx);
    }

    /// The unit that goes on at a place, without asking the roster again.
    fn next_at(&mut self, lease: Lease, answered: bool) -> Option<UnitId> {
        // A retry must not wait for as long as there are fresh units.
        let keep = self.keeps_places && self.singles.is_empty();
        if !answered || !keep || self.phase != Phase::Running {
            return None;
        }
        let lane = *self.lane_of_lease.get(&lease.id)?;
        self.board.take_waiting(lane)
    }

    pub(super) fn succeeded(&mut self, lease: Lease, output: O, cx: &mut In<P, O, R>) {
        if let Err(error) = check_datum(&output) {
            return self.failed(lease, error, cx);
        }
        if self.phase == Phase::Reducing {
            // Whatever the run comes to is made without it by now.
            if self.board.fail(lease.id).is_some() {
                self.brief.counters.late();
            }
            return;
        }
        let now = cx.now();
        let Some((unit, attempt, verdict)) = self.board.succeed(lease.id, now) else { return };
        let Verdict::Accepted(others) = verdict else { return self.brief.counters.late() };
        let took = now.since(attempt.since);
        self.brief.counters.done(took);
        self.tally.fallbacks += u64::from(self.falls.has_fallen(unit));
        let branch = self.branch_at(unit, lease.slot);
        cx.record(&DoneRecord {
            record: "done",
            unit: unit.0,
            part: self.board.unit(unit).map_or(0, |unit| unit.piece),
            agent: u32::try_from(branch).unwrap_or(u32::MAX),
            attempt: attempt.number,
            slot: lease.slot.0,
            at: millis(cx) - i64::try_from(took.as_millis()).unwrap_or(0),
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            output: &output,
        });
        for other in others {
            self.cancel_at(other.lease, cx);
        }
        let about =
            About { kind: EventKind::TaskCompleted, unit, attempt: Some((branch, &attempt)) };
        self.publish_unit(about, cx, |data| {
            data.insert(
                "micros".to_owned(),
                json!(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            );
        });
        if let Err(why) = self.keep(unit, branch, output) {
            self.stop_early(FailureKind::Reduce { why }, cx);
        }
    }

    pub(super) fn failed(&mut self, lease: Lease, error: AgentError, cx: &mut In<P, O, R>) {
        let Some((unit, attempt, verdict)) = self.board.fail(lease.id) else { return };
        if verdict == Verdict::Late {
            return self.brief.counters.late();
        }
        self.brief.counters.failed(&error);
        if self.phase != Phase::Running || verdict == Verdict::StillRunning {
            return;
        }
        if let AgentError::Held { .. } = error {
            // Nobody was called: that is no attempt, and whoever is free next may have it.
            self.board.uncount(unit);
            self.uncount_attempt(attempt);
            cx.after(HELD_RETRY_WAIT, Msg::Retry(unit));
            return;
        }
        // Each agent of a chain has retries of its own.
        let attempts = self.board.unit(unit).map_or(0, |unit| unit.attempts);
        let attempts = attempts.saturating_sub(self.falls.attempts_before(unit));
        let wait = match error.retry() {
            protocol::Retry::Never => None,
            protocol::Retry::After(asked) => {
                self.options.retries.next(attempts, Some(asked), cx.random())
            }
            protocol::Retry::Elsewhere => self.options.retries.next(attempts, None, cx.random()),
        };
        let Some(wait) = wait else { return self.fall_back(unit, Some(&attempt), error, cx) };
        let branch = self.branch_at(unit, lease.slot);
        let about = About { kind: EventKind::TaskRetried, unit, attempt: Some((branch, &attempt)) };
        self.publish_unit(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        cx.after(wait, Msg::Retry(unit));
    }

    /// Gives a unit up for good.
    pub(super) fn give_up(&mut self, unit: UnitId, error: AgentError, cx: &mut In<P, O, R>) {
        if !self.board.give_up(unit) {
            return;
        }
        let error = clipped(error);
        let Some(state) = self.board.unit(unit) else { return };
        let (part, agent, attempts) = (state.piece, state.branch, state.attempts);
        cx.record(&Record::<P, O>::Failed {
            unit: unit.0,
            part,
            agent,
            attempts,
            at: millis(cx),
            error: error.clone(),
        });
        self.note_failure(unit, attempts, &error);
        let about = About { kind: EventKind::TaskFailed, unit, attempt: None };
        self.publish_unit(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        if self.options.on_partial_failure == OnPartialFailure::Fail {
            let (failed, units) = (self.board.failed, self.board.len());
            self.stop_early(FailureKind::Parts { failed, units, first: error.to_string() }, cx);
        }
    }

    /// Absorbs a result, or keeps it for the end.
    ///
    /// # Errors
    /// The reducer panicked; it is not used any more.
    pub(super) fn keep(&mut self, unit: UnitId, branch: usize, output: O) -> Result<(), String> {
        let Some(state) = self.board.unit(unit) else { return Ok(()) };
        let name = match self.pieces.get(state.piece as usize) {
            Some(piece) if !piece.name.is_empty() => piece.name.as_str().into(),
            _ => Arc::clone(&self.unnamed),
        };
        let agent = self.branches.get(branch).map_or(&self.unnamed, |branch| branch.agent.name());
        let done = Done { part: state.piece, name, agent: Arc::clone(agent), output };
        let kept = match &mut self.reducer {
            Some(reducer) => guarded("the reducer's `absorb`", || reducer.absorb(done)),
            None => Ok(None),
        };
        match kept {
            Ok(Some(done)) => drop(self.kept.insert(unit.0, done)),
            Ok(None) => {}
            Err(why) => {
                self.reducer = None;
                return Err(why);
            }
        }
        Ok(())
    }

    pub(super) fn note_failure(&mut self, unit: UnitId, attempts: u32, error: &AgentError) {
        let Some(state) = self.board.unit(unit) else { return };
        let agent = self
            .branches
            .get(state.branch as usize)
            .map_or("", |branch| branch.agent.name())
            .to_owned();
        let (part, name) = (state.piece, self.piece_name(state.piece));
        let error = clip(format!("{error}{}", self.falls.story(unit)));
        self.failures.insert(unit.0, FailedPart { part, name, agent, attempts, error });
    }
}

/// The record of a result, without a copy of it.
#[derive(serde::Serialize)]
struct DoneRecord<'a, O> {
    record: &'static str,
    unit: u32,
    part: u32,
    agent: u32,
    attempt: u32,
    slot: u32,
    at: i64,
    micros: u64,
    output: &'a O,
}
