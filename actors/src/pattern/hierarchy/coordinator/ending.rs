//! Ending: early or when all is done; recorded, told.

use super::*;
use crate::pattern::{
    FailedPart,
    ending::End,
    hierarchy::board::{DutyState, Job, JobState, NOBODY},
};

impl Coordinator {
    /// Ends the run before all is done: running calls are cancelled and given a moment to end.
    pub(super) fn stop_early(&mut self, kind: FailureKind, cx: &mut In) {
        if self.phase != Phase::Running {
            return;
        }
        self.ending = Some(kind);
        self.phase = Phase::Stopping;
        for seat in &mut self.seats {
            seat.orders = vec![Order::Stop];
            seat.is_idle |= seat.is_down;
        }
        self.crew.stop(cx);
        cx.after(QUIESCENCE_WAIT, Msg::Quiesced);
    }

    /// Records how the run ended, tells whoever waits, and stops.
    pub(super) fn end(&mut self, cx: &mut In) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Ended;
        self.record_spent(cx);
        (self.tally.units, self.tally.done) = (self.board.units, self.board.done);
        self.tally.fallbacks = self.board.jobs.iter().filter(|job| job.fell_back()).count() as u64;
        let failed = self.failures();
        let report = self.report();
        let value = match self.ending.take() {
            None => Ok(report),
            Some(kind) => Err((kind, Some(report))),
        };
        let (tally, agents) = (self.tally.clone(), self.scheme.workers());
        let end = End { value, failed, tally, agents };
        self.brief.end(end, Record::Ended, self.outcome.take(), cx);
        self.phase_span = tracing::Span::none();
    }

    fn report(&mut self) -> Report {
        let board = std::mem::take(&mut self.board);
        Report {
            assignments: board.told(&self.scheme.began()),
            output: self.output.take().unwrap_or_default(),
            decisions: std::mem::take(&mut self.decided),
            restarts: self.seats.iter().map(|seat| seat.restarts).sum(),
        }
    }

    /// Who failed at a task: its team, and its worker where that is known.
    fn doer(&self, job: &Job) -> String {
        let team = job.team.map_or("", |team| self.team_name(team));
        let worker = match &job.state {
            JobState::GivenUp { worker, .. } if *worker != NOBODY => {
                job.team.and_then(|team| self.scheme.team(team)).map(|team| team.worker(*worker))
            }
            JobState::Failing(failure) if !failure.worker.is_empty() => Some(&*failure.worker),
            JobState::Open
            | JobState::Failing(_)
            | JobState::Done(_)
            | JobState::GivenUp { .. }
            | JobState::Dropped => None,
        };
        worker.map_or_else(|| team.to_owned(), |worker| format!("{team}/{worker}"))
    }

    /// Tasks without an output, as all patterns tell them; those that the end of the run left open are none.
    fn failures(&self) -> Vec<FailedPart> {
        let board = &self.board;
        let failure = |(part, job): (u32, &Job)| {
            let duty = board.duties.get(job.duty)?;
            let error = match (&job.state, &duty.state) {
                (JobState::GivenUp { why, .. }, _) => why.clone(),
                (JobState::Failing(failure), _) => failure.why(),
                (JobState::Open, DutyState::Failed(why)) => why.clone(),
                (JobState::Open, DutyState::Skipped(because)) => {
                    let because = board.duties.get(*because).map_or("", |duty| &duty.name);
                    format!("not begun, since `{because}` failed before it")
                }
                (JobState::Open | JobState::Done(_) | JobState::Dropped, _) => return None,
            };
            let name = if duty.by_leader {
                duty.name.to_string()
            } else {
                format!("{}/{}", duty.name, job.name)
            };
            let agent = self.doer(job);
            Some(FailedPart { part, name, agent, attempts: job.attempts, error })
        };
        (0..).zip(&board.jobs).filter_map(failure).collect()
    }
}
