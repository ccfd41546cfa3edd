//! Settling tasks: what their runs came to, in this life of the run or, by the journal, in an earlier one.

use super::*;
use crate::{
    dispatch::closed,
    limits::BELOW_BUSY_WAIT,
    pattern::{bounds::check_datum, plan::start::Product},
};

impl Coordinator {
    /// The run of a task has started, or was refused.
    pub(super) fn started(
        &mut self,
        task: usize,
        started: Result<Result<Running, Shortfall>, TaskError>,
        cx: &mut In,
    ) {
        let running = match started {
            Ok(Ok(running)) => running,
            Ok(Err(shortfall)) => return self.ended(task, Ok(Err(shortfall)), cx),
            Err(error) => return self.ended(task, Err(error), cx),
        };
        let Running { canceller, outcome } = running;
        self.tally.attempts += 1;
        if self.phase == Phase::Stopping {
            canceller.cancel();
        }
        if let Some(seat) = self.seats.get_mut(task) {
            seat.state = State::Running(canceller);
        }
        cx.perform(outcome, move |ending| Msg::Ended(task, ending));
    }

    /// The run of a task has ended.
    pub(super) fn ended(&mut self, task: usize, ending: Result<Ending, TaskError>, cx: &mut In) {
        if self.phase == Phase::Ended {
            return;
        }
        match ending {
            Ok(Ok(product)) => self.done(task, product, cx),
            Ok(Err(Shortfall { kind, partial })) => self.fell_short(task, kind, partial, cx),
            Err(error) => self.failed(task, (error.to_string(), None), cx),
        }
        self.go_on(cx);
    }

    fn done(&mut self, task: usize, product: Product, cx: &mut In) {
        let Product { output, missing } = product;
        if let Err(error) = check_datum(&output) {
            return self.failed(task, (error.to_string(), None), cx);
        }
        let now = cx.now();
        let Some(seat) = self.seats.get_mut(task) else { return };
        let micros = u64::try_from(now.since(seat.since).as_micros()).unwrap_or(u64::MAX);
        let record = Record::Done { task: number(task), at: seat.at, micros, missing, output };
        self.record_spent(cx);
        cx.record(&record);
        self.at_work -= 1;
        self.publish_task(EventKind::TaskCompleted, task, cx, &json!({ "missing": missing }));
        let ready = self.take(record, false);
        self.line.extend(ready);
    }

    /// A task has failed for good: whoever comes after it never begins.
    fn failed(&mut self, task: usize, failure: (String, Option<Value>), cx: &mut In) {
        let (why, partial) = failure;
        let (error, at) = (clip(why), self.seats.get(task).map_or(0, |seat| seat.at));
        let partial = partial.filter(|partial| check_datum(&(partial, &error)).is_ok());
        let data = json!({ "error": error });
        let record = Record::Failed { task: number(task), at, error, partial };
        self.record_spent(cx);
        cx.record(&record);
        self.at_work -= 1;
        self.publish_task(EventKind::TaskFailed, task, cx, &data);
        let because = self.scheme.task_name(task).to_owned();
        for skipped in self.take(record, false) {
            self.publish_task(
                EventKind::TaskFailed,
                skipped,
                cx,
                &json!({ "skipped_because": because }),
            );
        }
    }

    /// The run of a task did not complete: its own failure, or the end of this run too.
    fn fell_short(&mut self, task: usize, kind: FailureKind, partial: Option<Value>, cx: &mut In) {
        let (done, units) = (self.tally.done, self.units());
        let kind = match kind {
            FailureKind::Rejected { why } => return self.refused(task, &why, cx),
            FailureKind::Invalid { .. }
            | FailureKind::Split { .. }
            | FailureKind::Parts { .. }
            | FailureKind::Reduce { .. }
            | FailureKind::NoAnswer { .. }
            | FailureKind::Aborted { .. } => {
                return self.failed(task, (kind.to_string(), partial), cx);
            }
            // It had all the time of this run but for a moment.
            FailureKind::TimedOut { .. } => self.brief.out_of_time(self.deadline, (done, units)),
            FailureKind::OverBudget { why, .. } => FailureKind::OverBudget { why, done, units },
            FailureKind::Cancelled { .. } => FailureKind::Cancelled { done, units },
            FailureKind::NodeLost { why } => FailureKind::NodeLost { why },
        };
        self.at_work -= 1;
        if let Some(seat) = self.seats.get_mut(task) {
            seat.state = State::CutOff(partial);
        }
        self.stop_early(kind, cx);
    }

    /// The run of a task was not admitted: its place is kept, and it tries again.
    fn refused(&mut self, task: usize, why: &str, cx: &mut In) {
        if let Some(seat) = self.seats.get_mut(task) {
            seat.state = State::Refused;
        }
        if self.phase == Phase::Stopping {
            self.at_work -= 1;
        } else if let Some(closed) = closed(&self.brief.system) {
            self.stop_early(FailureKind::NodeLost { why: closed.to_owned() }, cx);
        } else {
            tracing::debug!(run = %self.brief.run, task, why, "the run of a task waits to be admitted");
            cx.after(BELOW_BUSY_WAIT, Msg::Again(task));
        }
    }

    /// Takes what the journal says.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Began { tasks, .. } => self.began = Some(tasks),
            record @ (Record::Done { .. } | Record::Failed { .. }) => {
                self.take(record, true);
            }
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Ended(_) => {}
        }
    }

    /// Takes in how a task ended; tells whose turn it is then, or who is skipped where it failed.
    fn take(&mut self, record: Record, resumed: bool) -> Vec<usize> {
        let (task, at, state, well) = match record {
            Record::Done { task, at, micros, missing, output } => {
                self.tally.done += 1;
                self.tally.resumed += u64::from(resumed);
                let output = Arc::new(output);
                (task, at, State::Done(Box::new(Done { output, missing, micros, resumed })), true)
            }
            Record::Failed { task, at, error, partial } => {
                (task, at, State::Failed { why: error, partial }, false)
            }
            Record::Began { .. } | Record::Spent { .. } | Record::Ended(_) => return Vec::new(),
        };
        let task = task as usize;
        let Some(seat) = self.seats.get_mut(task) else { return Vec::new() };
        (seat.at, seat.state) = (at, state);
        let Some(schedule) = &mut self.schedule else { return Vec::new() };
        let next = schedule.ended(task, well);
        if well { next.ready } else { next.skipped }
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    pub(super) fn record_spent(&mut self, cx: &mut In) {
        self.spending.write(&self.brief, Record::Spent, cx);
    }
}

/// Numbers a task in records; a graph has far fewer.
pub(super) fn number(task: usize) -> u32 {
    u32::try_from(task).unwrap_or(u32::MAX)
}
