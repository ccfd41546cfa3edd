//! Ending: early or when all is settled; recorded, told.

use super::*;
use crate::pattern::{
    FailedPart,
    ending::End,
    plan::{
        report::{TaskEnd, TaskReport},
        run_of,
    },
};

impl Coordinator {
    /// Ends the run before all is done: runs of tasks are cancelled and given a moment to end.
    pub(super) fn stop_early(&mut self, kind: FailureKind, cx: &mut In) {
        if self.phase != Phase::Running {
            return;
        }
        self.ending = Some(kind);
        self.phase = Phase::Stopping;
        for seat in &mut self.seats {
            match &seat.state {
                State::Running(canceller) => canceller.cancel(),
                State::Refused => {
                    seat.state = State::Open;
                    self.at_work -= 1;
                }
                // It is cancelled as soon as it has started.
                State::Starting
                | State::Open
                | State::CutOff(_)
                | State::Done(_)
                | State::Failed { .. } => {}
            }
        }
        // Their results are put together meanwhile.
        cx.after(QUIESCENCE_WAIT + PARTIAL_REDUCE_WAIT, Msg::Quiesced);
        self.go_on(cx);
    }

    /// Records how the run ended, tells whoever waits, and stops.
    pub(super) fn end(&mut self, cx: &mut In) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Ended;
        self.record_spent(cx);
        self.tally.units = self.units();
        let report = self.report();
        let ended_early = self.ending.take();
        let failure = ended_early.or_else(|| missed(self.scheme.needed.as_deref(), &report));
        let failed: Vec<FailedPart> = (0..).zip(&report.tasks).filter_map(failed_part).collect();
        let value = match failure {
            None => Ok(report),
            Some(kind) => Err((kind, Some(report))),
        };
        let (tally, agents) = (self.tally.clone(), self.seats.len());
        let end = End { value, failed, tally, agents };
        self.brief.end(end, Record::Ended, self.outcome.take(), cx);
        self.phase_span = tracing::Span::none();
    }

    fn report(&mut self) -> Report {
        let scheme = Arc::clone(&self.scheme);
        let name = |task: usize| scheme.task_name(task).to_owned();
        let seats = std::mem::take(&mut self.seats).into_iter().enumerate();
        let task = |(task, seat): (usize, Seat)| {
            let state = self.schedule.as_ref().and_then(|schedule| schedule.state(task));
            let end = match state {
                Some(TaskState::Skipped { because }) => TaskEnd::Skipped { because: name(because) },
                _ => ended_as(seat),
            };
            let after = scheme.after(task).iter().map(|before| name(*before)).collect();
            let run = run_of(self.brief.run, number(task), &name(task));
            TaskReport { name: name(task), after, run, end }
        };
        Report { tasks: seats.map(task).collect() }
    }
}

fn ended_as(seat: Seat) -> TaskEnd {
    let Seat { state, at, .. } = seat;
    match state {
        State::Done(done) => {
            let Done { output, missing, micros, resumed } = *done;
            let output = Arc::unwrap_or_clone(output);
            TaskEnd::Done { output, missing, at, micros, resumed }
        }
        State::Failed { why, partial } => TaskEnd::Failed { why, partial },
        State::CutOff(partial) => TaskEnd::Open { partial },
        State::Open | State::Refused | State::Starting | State::Running(_) => {
            TaskEnd::Open { partial: None }
        }
    }
}

/// Why a plan has failed that was to come to what this task does.
fn missed(needed: Option<&str>, report: &Report) -> Option<FailureKind> {
    let task = report.task(needed?)?;
    if matches!(task.end, TaskEnd::Done { .. }) {
        return None;
    }
    let mut failures = (0..).zip(&report.tasks).filter_map(failed_part);
    let first = failures.next()?;
    let failed = 1 + failures.count() as u64;
    let first = format!("{}: {}", first.name, first.error);
    Some(FailureKind::Parts { failed, units: report.tasks.len() as u64, first })
}

/// A task without an output, as all patterns tell it; one that the end of the run left open is none.
fn failed_part((part, task): (u32, &TaskReport)) -> Option<FailedPart> {
    let (attempts, error) = match &task.end {
        TaskEnd::Failed { why, .. } => (1, why.clone()),
        TaskEnd::Skipped { because } => {
            (0, format!("not begun, since `{because}` failed before it"))
        }
        TaskEnd::Done { .. } | TaskEnd::Open { .. } => return None,
    };
    Some(FailedPart { part, name: task.name.clone(), agent: String::new(), attempts, error })
}
