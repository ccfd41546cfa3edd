//! Deciding: what the leader may decide on a failure; everything else is left to the supervisor.

use super::*;
use crate::{
    guard::guarded,
    pattern::{
        bounds::{clip, clipped},
        hierarchy::leader::working::NOBODY,
    },
};

impl Leader {
    /// A task has failed: whoever speaks for the team decides.
    pub(super) fn failed(
        &mut self,
        job: &Job,
        worker: u32,
        (error, crashed): (AgentError, bool),
        cx: &mut In,
    ) {
        if self.is_stopping {
            return self.cut_off.push((job.charge.unit, job.attempts));
        }
        let failure = Box::new(self.failure(job, worker, (clipped(error), crashed), cx));
        let scheme = Arc::clone(&self.post.scheme);
        let Some(team) = scheme.team(self.post.team) else { return };
        if team.led_by.is_some() && !job.by_leader {
            return self.speech.push_back(Speech::Decide { worker, failure });
        }
        let decision = guarded("the leader", || team.lead.decide(&failure));
        self.decided(worker, failure, decision);
    }

    fn failure(
        &self,
        job: &Job,
        worker: u32,
        (error, crashed): (AgentError, bool),
        cx: &mut In,
    ) -> Failure {
        let team = self.post.team();
        let may_have = |other: &u32| {
            *other != worker && !self.crew.is_down(*other) && !job.avoid.contains(other)
        };
        let others = if job.by_leader { 0 } else { self.workers().filter(may_have).count() };
        let asked = match error.retry() {
            protocol::Retry::Never => None,
            protocol::Retry::After(after) => Some(Some(after)),
            protocol::Retry::Elsewhere => Some(None),
        };
        let retries = self.post.scheme.rules.retries;
        let allowed = asked.and_then(|asked| retries.next(job.attempts, asked, cx.random()));
        let name = team.filter(|_| worker != NOBODY).map_or("", |team| team.worker(worker));
        // A worker that is left down cannot have it again; another one may be asked, which is to reassign.
        let alive = job.by_leader || !crashed || worker != NOBODY && !self.crew.is_down(worker);
        Failure {
            of: Subject::Task(job.charge.unit),
            team: team.map_or_else(String::new, |team| team.name.to_string()),
            assignment: job.charge.assignment.to_string(),
            task: job.charge.task.to_string(),
            worker: name.to_owned(),
            error,
            crashed,
            attempts: job.attempts,
            may_retry: alive && allowed.is_some(),
            others: u32::try_from(others).unwrap_or(u32::MAX),
            decisions: job.decisions,
            note: String::new(),
        }
    }

    /// Reports a failure, with what the leader decides as far as that is within its authority.
    pub(super) fn decided(
        &mut self,
        worker: u32,
        mut failure: Box<Failure>,
        decision: Result<Option<Decision>, String>,
    ) {
        let authority = self.post.team().map(|team| team.authority);
        let decision = match decision {
            Ok(Some(Decision::Reassign { to: None })) if failure.others == 0 => {
                failure.note = "its leader would reassign it, and has nobody else".to_owned();
                None
            }
            Ok(Some(decision)) if Some(decision.level()) <= authority => Some(decision),
            Ok(Some(decision)) => {
                let (wanted, may) =
                    (decision.level(), authority.map_or("", |level| level.as_str()));
                failure.note = format!("its leader would {wanted}, and may {may} at the most");
                None
            }
            Ok(None) => None,
            Err(why) => {
                failure.note = clip(format!("its leader did not decide: {why}"));
                None
            }
        };
        let Subject::Task(unit) = failure.of else { return };
        self.news.push(News::Failed { unit, worker, failure, decision });
    }
}
