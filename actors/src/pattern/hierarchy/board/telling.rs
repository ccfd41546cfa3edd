//! What became of each assignment and task, as a report tells it.

use std::sync::Arc;

use super::{Board, Duty, DutyState, Job, JobState, carrying::NOBODY};
use crate::pattern::hierarchy::{
    AssignmentEnd, AssignmentReport, TaskEnd, TaskReport, TeamBegan, team::LEADER,
};

impl Board {
    /// All assignments, in the order in which they were planned, with the names of these teams and their workers.
    pub(in super::super) fn told(&self, teams: &[TeamBegan]) -> Vec<AssignmentReport> {
        let name = |team: u32| teams.get(team as usize).map_or("", |team| &team.name).to_owned();
        let duty = |duty: &Duty| AssignmentReport {
            name: duty.name.to_string(),
            team: duty.team.map(name),
            after: duty.after.clone(),
            end: match &duty.state {
                DutyState::Done => AssignmentEnd::Done,
                DutyState::Failed(why) => AssignmentEnd::Failed { why: why.clone() },
                DutyState::Skipped(because) => AssignmentEnd::Skipped {
                    because: self.duties.get(*because).map_or("", |duty| &duty.name).to_owned(),
                },
                DutyState::Replaced => AssignmentEnd::Replaced,
                DutyState::Waiting | DutyState::Given => AssignmentEnd::Open,
            },
            tasks: self
                .jobs
                .get(duty.jobs.clone())
                .into_iter()
                .flatten()
                .map(|job| task(job, teams, name))
                .collect(),
        };
        self.duties.iter().map(duty).collect()
    }
}

fn task(job: &Job, teams: &[TeamBegan], name: impl Fn(u32) -> String) -> TaskReport {
    let worker = |worker: u32| {
        let team = job.team.and_then(|team| teams.get(team as usize));
        let named = |team: &TeamBegan| {
            team.workers.get(worker as usize).map_or(LEADER, |own| own).to_owned()
        };
        team.filter(|_| worker != NOBODY).map(named).unwrap_or_default()
    };
    let end = match &job.state {
        JobState::Done(deed) => TaskEnd::Done {
            output: Arc::clone(&deed.output),
            worker: worker(deed.worker),
            attempts: deed.attempts,
            at: deed.at,
            micros: deed.micros,
            resumed: deed.resumed,
        },
        JobState::GivenUp { why, worker: by } => {
            TaskEnd::GivenUp { why: why.clone(), worker: worker(*by), attempts: job.attempts }
        }
        JobState::Open | JobState::Failing(_) | JobState::Dropped => TaskEnd::Open,
    };
    let (team, input) = (job.team.map(name), Arc::clone(&job.input));
    TaskReport { name: job.name.to_string(), team, input, end }
}
