//! Working: tasks handed to workers, what comes of them, workers started again.

use super::*;
use crate::pattern::hierarchy::crew::Outcome;

impl Leader {
    /// Gives tasks to workers, as far as there are some who are free and may have them.
    pub(super) fn dispatch(&mut self, cx: &mut In) {
        if self.workers().all(|worker| self.crew.is_down(worker)) {
            for job in std::mem::take(&mut self.queue) {
                let reason = "no worker of the team is left".to_owned();
                self.failed(&job, NOBODY, (AgentError::Lost { reason }, true), cx);
            }
        }
        let mut at = 0;
        while at < self.queue.len() && self.workers().any(|worker| self.crew.is_free(worker)) {
            let Some(worker) = self.worker_for(at) else {
                at += 1;
                continue;
            };
            if let Some(job) = self.queue.remove(at) {
                self.begin(worker, job);
            }
        }
    }

    /// A worker that is free and may have a task: one that has not failed at it, as far as such a one lives.
    fn worker_for(&self, at: usize) -> Option<u32> {
        let job = self.queue.get(at)?;
        let avoided = |worker: &u32| job.avoid.contains(worker);
        let free = |worker: &u32| self.crew.is_free(*worker);
        if let Some(worker) = self.workers().filter(|worker| !avoided(worker)).find(free) {
            return Some(worker);
        }
        let others = self.workers().any(|worker| !avoided(&worker) && !self.crew.is_down(worker));
        if others { None } else { self.workers().find(free) }
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = u32> + use<> {
        let workers = self.post.team().map_or(0, |team| team.workers.len());
        0..u32::try_from(workers).unwrap_or(u32::MAX)
    }

    fn begin(&mut self, worker: u32, mut job: Box<Job>) {
        job.attempts += 1;
        let unit = job.charge.unit;
        self.crew.give(worker, Arc::clone(&job.charge), job.attempts);
        if self.post.scheme.monitor.is_some() {
            self.news.push(News::Began { unit, worker });
        }
        self.begun.insert(unit, job);
    }

    /// Takes what came of a task.
    pub(super) fn heard(&mut self, outcome: Outcome, cx: &mut In) {
        let Outcome { seat, charge, answer, fallback, at, took } = outcome;
        if self.is_own(seat) {
            return self.spoken(answer, (at, took, fallback), cx);
        }
        let Some(job) = self.begun.remove(&charge.unit) else { return };
        match answer {
            Ok(output) => {
                let (unit, attempts) = (charge.unit, job.attempts);
                let done = Done { unit, worker: seat, output, attempts, fallback, at, took };
                self.news.push(News::Done(Box::new(done)));
            }
            Err(AgentError::Held { .. }) => self.hold(job, cx),
            Err(error) => self.failed(&job, seat, (error, false), cx),
        }
    }

    /// Nobody was called: that is no attempt, and whoever is free next may have it.
    pub(super) fn hold(&mut self, mut job: Box<Job>, cx: &mut In) {
        if self.is_stopping {
            return;
        }
        job.attempts = job.attempts.saturating_sub(1);
        let unit = job.charge.unit;
        cx.after(HELD_RETRY_WAIT, Msg::Rested(unit));
        self.resting.insert(unit, job);
    }

    /// An incarnation of a worker has ended: it is started again, and its task runs once more; or the leader decides.
    pub(super) fn worker_ended(&mut self, worker: u32, exit: &ChildExit, cx: &mut In) {
        let orphan = self.crew.ended(worker, exit, cx);
        let goes_on =
            !self.is_stopping && self.restarts.spend(u64::from(worker), cx.now()).is_some();
        if goes_on {
            self.crew.restart(worker, cx);
        }
        let Some(orphan) = orphan else { return };
        let error = AgentError::Lost { reason: format!("its worker ended: {}", exit.reason) };
        if self.is_own(worker) {
            return self.spoken(Err(error), (0, Duration::ZERO, false), cx);
        }
        let unit = orphan.unit;
        let Some(job) = self.begun.remove(&unit) else { return };
        if goes_on && !job.has_crashed {
            let attempts = job.attempts;
            self.news.push(News::Crashed { unit, worker, attempts, error });
        } else {
            self.failed(&job, worker, (error, true), cx);
        }
    }

    /// Whether a seat is that of the leader's own agent.
    fn is_own(&self, seat: u32) -> bool {
        self.post.team().is_some_and(|team| team.workers.len() == seat as usize)
    }
}

/// The number of no worker.
pub(super) const NOBODY: u32 = u32::MAX;
