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
        let answered = outcome.is_ok();
        match outcome {
            Ok(Ok(output)) => self.succeeded(lease, output, cx),
            Ok(Err(error)) => self.failed(lease, error, cx),
            Err(error) => self.failed(lease, lost(error), cx),
        }
        if timed_out {
            self.cancel_at(lease, cx);
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
        if !answered || !self.keeps_places || self.phase != Phase::Running {
            return None;
        }
        let lane = *self.lane_of_lease.get(&lease.id)?;
        self.board.take_waiting(lane)
    }

    pub(super) fn succeeded(&mut self, lease: Lease, output: O, cx: &mut In<P, O, R>) {
        let now = cx.now();
        let Some((unit, attempt, verdict)) = self.board.succeed(lease.id, now) else { return };
        let Verdict::Accepted(others) = verdict else { return self.brief.counters.late() };
        let took = now.since(attempt.since);
        self.brief.counters.done(took);
        let branch = self.branch_of(lease.slot);
        let (part, agent) = self.whose(unit, branch);
        cx.record(&DoneRecord {
            record: "done",
            unit: unit.0,
            part,
            agent,
            attempt: attempt.number,
            slot: lease.slot.0,
            at: millis(cx) - i64::try_from(took.as_millis()).unwrap_or(0),
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            output: &output,
        });
        for other in others {
            self.cancel_at(other.lease, cx);
        }
        self.publish_unit(
            EventKind::TaskCompleted,
            unit,
            branch.map(|at| (at, &attempt)),
            cx,
            |data| {
                data.insert(
                    "micros".to_owned(),
                    json!(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
                );
            },
        );
        self.keep(unit, branch, output);
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
        let attempts = self.board.unit(unit).map_or(0, |unit| unit.attempts);
        let never = matches!(error.retry(), protocol::Retry::Never);
        if never || !self.options.retries.allows(attempts) {
            return self.give_up(unit, error, cx);
        }
        let branch = self.branch_of(lease.slot);
        self.publish_unit(
            EventKind::TaskRetried,
            unit,
            branch.map(|at| (at, &attempt)),
            cx,
            |data| {
                data.insert("error".to_owned(), json!(error.to_string()));
            },
        );
        let wait = self.options.retries.wait(attempts, cx.random());
        cx.after(wait, Msg::Retry(unit));
    }

    /// Gives a unit up for good.
    pub(super) fn give_up(&mut self, unit: UnitId, error: AgentError, cx: &mut In<P, O, R>) {
        if !self.board.give_up(unit) {
            return;
        }
        let attempts = self.board.unit(unit).map_or(0, |unit| unit.attempts);
        let (part, agent) = self.whose(unit, None);
        cx.record(&Record::<P, O>::Failed {
            unit: unit.0,
            part,
            agent,
            attempts,
            at: millis(cx),
            error: error.clone(),
        });
        self.note_failure(unit, attempts, &error);
        self.publish_unit(EventKind::TaskFailed, unit, None, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        if self.options.on_partial_failure == OnPartialFailure::Fail {
            let (failed, units) = (self.board.failed, self.board.len());
            self.stop_early(FailureKind::Parts { failed, units, first: error.to_string() }, cx);
        }
    }

    /// The part and the agent of a unit, as the journal numbers them; the agent that did it, if that is known.
    fn whose(&self, unit: UnitId, branch: Option<usize>) -> (u32, u32) {
        let state = self.board.unit(unit);
        let own = state.map_or(0, |unit| unit.branch);
        let agent = branch.and_then(|branch| u32::try_from(branch).ok()).unwrap_or(own);
        (state.map_or(0, |unit| unit.piece), agent)
    }

    /// Absorbs a result, or keeps it for the end.
    pub(super) fn keep(&mut self, unit: UnitId, branch: Option<usize>, output: O) {
        let Some(state) = self.board.unit(unit) else { return };
        let branch = branch.unwrap_or(state.branch as usize);
        let agent = self
            .branches
            .get(branch)
            .map_or_else(|| "".into(), |branch| Arc::clone(branch.agent.name()));
        let name = self.pieces.get(state.piece as usize).map_or("", |piece| &piece.name).into();
        let done = Done { part: state.piece, name, agent, output };
        let kept = match &mut self.reducer {
            Some(reducer) => reducer.absorb(done),
            None => Some(done),
        };
        if let Some(done) = kept {
            self.kept.insert(unit.0, done);
        }
    }

    pub(super) fn note_failure(&mut self, unit: UnitId, attempts: u32, error: &AgentError) {
        let Some(state) = self.board.unit(unit) else { return };
        let agent = self
            .branches
            .get(state.branch as usize)
            .map_or("", |branch| branch.agent.name())
            .to_owned();
        let (part, name) = (state.piece, self.piece_name(state.piece));
        self.failures
            .insert(unit.0, FailedPart { part, name, agent, attempts, error: error.to_string() });
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

/// An ask that ended without an answer of the agent, as the attempt's error.
fn lost(error: AskError) -> AgentError {
    match error {
        AskError::TimedOut(after) => AgentError::TimedOut { after },
        other => AgentError::Lost { reason: other.to_string() },
    }
}
