//! Restoring: what the journal says of the run before, and where it goes on.

use super::*;
use crate::pattern::hierarchy::board::{Deed, JobState};

impl Coordinator {
    /// Takes what the journal says.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Began { mission, teams, .. } => self.began = Some((mission, teams)),
            Record::Planned { plan, .. } => {
                self.scheme.supervisor.own.planned(&plan);
                self.board.plan(plan);
                self.is_planned = true;
            }
            Record::Delegated { assignment, team } => self.board.give(assignment as usize, team),
            Record::Done { unit, team, worker, attempts, fallback, at, micros, output } => {
                let (output, resumed) = (Arc::new(output), true);
                let deed = Deed { output, team, worker, attempts, fallback, at, micros, resumed };
                self.tally.resumed += u64::from(self.board.finish(unit, deed));
            }
            Record::Failed { unit, failure } => {
                if let Some(job) = self.board.job_mut(unit) {
                    job.attempts = failure.attempts;
                    job.state = JobState::Failing(failure);
                }
            }
            Record::Decided(decided) => {
                self.carry_out(decided);
            }
            Record::Integrated { output } => self.output = Some(output),
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Ended(_) => {}
        }
    }

    /// Starts who is to work, and takes the run up where it was.
    pub(super) fn take_up(&mut self, cx: &mut In) {
        let phase = if self.is_planned { SpanPhase::Execute } else { SpanPhase::Map };
        self.phase_span = trace::phase(&self.span, phase, self.scheme.workers());
        self.post(cx);
        for job in &self.board.jobs {
            if let JobState::Failing(failure) = &job.state {
                self.troubles.push_back(failure.clone());
            }
        }
        if self.is_planned {
            let (units, done) = (self.board.units, self.board.done);
            self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        }
    }
}
