//! Hearing: what leaders report, in the order in which they do; seen by the monitor, written down, published.

use super::*;
use crate::{
    agent::AgentError,
    guard::guarded,
    pattern::hierarchy::{
        Happened, Progress,
        board::{Deed, JobState},
        leader::Done,
        record::DoneRecord,
    },
};

/// Who reports.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) team: u32,
    /// Which incarnation of its leader.
    pub(super) life: u32,
    /// Which of its reports.
    pub(super) number: u64,
}

impl Coordinator {
    /// Takes a report of a team's leader.
    pub(super) fn hear(&mut self, from: Source, news: News, cx: &mut In) {
        let Source { team, life, .. } = from;
        let is_now = self.seats.get(team as usize).is_some_and(|seat| seat.life == life);
        match news {
            News::Done(done) => self.done(from, *done, cx),
            // What was reported of a task before its leader ended is void, since it is begun anew.
            _ if !is_now => {}
            News::Bid(assignment, bid) => self.heard_bid(team, assignment, bid, cx),
            News::Idle(calls) => {
                for (unit, attempts) in calls {
                    self.count_attempts(unit, attempts);
                }
                if let Some(seat) = self.seat(team) {
                    seat.is_idle = true;
                }
            }
            News::Began { unit, worker } => {
                if self.has(team, unit)
                    && let Some(decision) = self.seen(from, (unit, worker), Happened::Began)
                {
                    self.interpose((team, unit, worker), None, decision, cx);
                }
            }
            News::Crashed { unit, worker, attempts, error } => {
                self.crashed(from, (unit, worker, attempts), &error, cx);
            }
            News::Failed { unit, worker, failure, decision } => {
                self.failed(from, (unit, worker), (failure, decision), cx);
            }
        }
    }

    /// Whether a team is at a task.
    fn has(&self, team: u32, unit: u64) -> bool {
        self.board.job(unit).is_some_and(|job| {
            job.team == Some(team) && job.is_handed && matches!(job.state, JobState::Open)
        })
    }

    /// Shows the monitor what happened; gives what it decides.
    fn seen(
        &self,
        from: Source,
        (unit, worker): (u64, u32),
        what: Happened<'_>,
    ) -> Option<Decision> {
        let Source { team, life, number } = from;
        let (monitor, of) = (self.scheme.monitor.as_ref()?, self.scheme.team(team)?);
        if self.phase != Phase::Running {
            return None;
        }
        let progress = Progress {
            team: &of.name,
            life,
            number,
            assignment: &self.board.duty_of(unit)?.name,
            task: &self.board.job(unit)?.name,
            worker: of.worker(worker),
            what,
            done: self.board.done,
            units: self.board.units,
        };
        let seen = guarded("the monitor", || monitor.see(&progress));
        seen.unwrap_or_else(|why| Some(Decision::Abort { why }))
    }

    /// Has the monitor's decision on a task carried out.
    fn interpose(
        &mut self,
        (team, unit, worker): (u32, u64, u32),
        error: Option<&AgentError>,
        decision: Decision,
        cx: &mut In,
    ) {
        let message = || "the monitor intervened".to_owned();
        let error = error.cloned().unwrap_or_else(|| AgentError::Failed { message: message() });
        let mut failure = self.failure(Subject::Task(unit), Some(team), error);
        let name = self.scheme.team(team).map_or("", |team| team.worker(worker));
        name.clone_into(&mut failure.worker);
        self.decide(Decider::Monitor, &failure, decision, cx);
    }

    fn done(&mut self, from: Source, done: Done, cx: &mut In) {
        let Done { unit, worker, output, attempts, fallback, at, took } = done;
        let Source { team, life, .. } = from;
        let is_open = self.board.job(unit).is_some_and(|job| {
            job.team == Some(team) && matches!(job.state, JobState::Open | JobState::Failing(_))
        });
        if !is_open {
            return;
        }
        self.settle(unit);
        self.count_attempts(unit, attempts);
        let what = Happened::Done { output: &output };
        let decision = self.seen(from, (unit, worker), what);
        if let Some(decision @ (Decision::Retry | Decision::Reassign { .. })) = decision {
            // Its output is refused.
            return self.interpose((team, unit, worker), None, decision, cx);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        cx.record(&DoneRecord {
            record: "done",
            unit,
            team,
            worker,
            attempts,
            fallback,
            at,
            micros,
            output: &output,
        });
        let resumed = false;
        let deed = Deed { output, team, worker, attempts, fallback, at, micros, resumed };
        self.board.finish(unit, deed);
        self.publish_task(EventKind::TaskCompleted, (unit, team), cx, |data| {
            let worker = self.scheme.team(team).map(|team| team.worker(worker));
            data.insert("worker".to_owned(), json!(worker));
            data.insert("attempt".to_owned(), json!(attempts));
            data.insert("micros".to_owned(), json!(micros));
        });
        if self.seats.get(team as usize).is_some_and(|seat| seat.life != life) {
            // Its new incarnation was given the task again.
            self.order(team, Order::Withdraw(unit));
        }
        if let Some(decision) = decision {
            self.interpose((team, unit, worker), None, decision, cx);
        }
    }

    fn crashed(
        &mut self,
        from: Source,
        (unit, worker, attempts): (u64, u32, u32),
        error: &AgentError,
        cx: &mut In,
    ) {
        if !self.has(from.team, unit) || self.phase != Phase::Running {
            return self.settle(unit);
        }
        self.settle(unit);
        self.count_attempts(unit, attempts);
        let what = Happened::Crashed { error };
        if let Some(decision) = self.seen(from, (unit, worker), what) {
            return self.interpose((from.team, unit, worker), Some(error), decision, cx);
        }
        if let Some(job) = self.board.job_mut(unit) {
            job.has_crashed = true;
        }
        self.board.again(unit, None, None);
        self.publish_task(EventKind::TaskRetried, (unit, from.team), cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
            data.insert("attempt".to_owned(), json!(attempts));
        });
    }

    fn failed(
        &mut self,
        from: Source,
        (unit, worker): (u64, u32),
        (failure, decision): (Box<Failure>, Option<Decision>),
        cx: &mut In,
    ) {
        if !self.has(from.team, unit) || self.phase != Phase::Running {
            return self.settle(unit);
        }
        self.settle(unit);
        self.count_attempts(unit, failure.attempts);
        let what = Happened::Failed { failure: &failure };
        if let Some(decision) = self.seen(from, (unit, worker), what) {
            return self.decide(Decider::Monitor, &failure, decision, cx);
        }
        match decision {
            Some(decision) => self.decide(Decider::Leader, &failure, decision, cx),
            None => {
                cx.record(&Record::Failed { unit, failure: failure.clone() });
                self.fails(unit, failure);
            }
        }
    }

    /// A task waits for the supervisor's decision.
    pub(super) fn fails(&mut self, unit: u64, failure: Box<Failure>) {
        if let Some(job) = self.board.job_mut(unit) {
            job.is_handed = false;
            job.attempts = failure.attempts;
            job.state = JobState::Failing(failure.clone());
        }
        self.troubles.push_back(failure);
    }

    /// Counts the calls of a task that were made since they were counted last.
    fn count_attempts(&mut self, unit: u64, attempts: u32) {
        let Some(job) = self.board.job_mut(unit) else { return };
        let more = u64::from(attempts.saturating_sub(job.attempts));
        self.tally.attempts += more;
        self.tally.retries += more.saturating_sub(u64::from(job.attempts == 0));
        job.attempts = attempts.max(job.attempts);
    }
}
