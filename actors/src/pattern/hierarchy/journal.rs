//! A hierarchy made anew from its journal: what `synod show` tells of a run, whoever runs it or did.

use std::sync::Arc;

use protocol::RunId;
use runtime::engine::journal::{Journal, records};
use serde_json::Value;

use super::{
    Decided, Record, Report, TeamBegan,
    board::{Board, Deed, JobState},
};

/// Makes the report of a run anew from its journal: of one that goes on, or was cut off, what there is so far.
///
/// What only the process knew that ran it is left out: how often leaders were started again, and how often an agent was called
/// for a task that its leader gave up.
///
/// # Errors
/// The journal cannot be read, or its records are not those of a hierarchy.
pub fn recount(journal: &dyn Journal, run: RunId) -> Result<Report, String> {
    let mut recount = Recount::default();
    for record in records(journal, run) {
        let record = record.map_err(|error| error.to_string())?;
        recount.take(runtime::record::decode(&record)?)?;
    }
    Ok(recount.report())
}

/// A report on its way: takes the records of a run in their order.
#[derive(Debug, Default)]
pub struct Recount {
    teams: Vec<TeamBegan>,
    board: Board,
    decided: Vec<Decided>,
    output: Value,
}

impl Recount {
    /// Takes the next record.
    ///
    /// # Errors
    /// It names a task, an assignment or a team that no record before it does.
    pub fn take(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Began { teams, .. } => {
                self.board =
                    Board::new(teams.iter().map(|team| team.name.as_str().into()).collect());
                self.teams = teams;
            }
            Record::Planned { plan, .. } => drop(self.board.plan(plan)),
            Record::Delegated { assignment, team } => {
                if self.board.duties.get(assignment as usize).is_none() {
                    return Err(format!("assignment {assignment} was never planned"));
                }
                self.known(team)?;
                self.board.give(assignment as usize, team);
            }
            Record::Done { unit, team, worker, attempts, fallback, at, micros, output } => {
                self.known(team)?;
                self.planned(unit)?;
                let (output, resumed) = (Arc::new(output), false);
                let deed = Deed { output, team, worker, attempts, fallback, at, micros, resumed };
                self.board.finish(unit, deed);
            }
            Record::Failed { unit, failure } => {
                self.planned(unit)?;
                if let Some(job) = self.board.job_mut(unit) {
                    job.attempts = failure.attempts;
                    job.state = JobState::Failing(failure);
                }
            }
            Record::Decided(decided) => {
                drop(self.board.carry_out(&decided));
                self.decided.push(decided);
            }
            Record::Integrated { output } => self.output = output,
            Record::Spent { .. } | Record::Ended(_) => {}
        }
        Ok(())
    }

    /// The teams that the run began with.
    pub fn teams(&self) -> &[TeamBegan] {
        &self.teams
    }

    /// The report as far as the records tell it.
    pub fn report(self) -> Report {
        Report {
            output: self.output,
            assignments: self.board.told(&self.teams),
            decisions: self.decided,
            restarts: 0,
        }
    }

    fn known(&self, team: u32) -> Result<(), String> {
        match self.teams.get(team as usize) {
            Some(_) => Ok(()),
            None => Err(format!("the run has no team {team}")),
        }
    }

    fn planned(&self, unit: u64) -> Result<(), String> {
        match self.board.job(unit) {
            Some(_) => Ok(()),
            None => Err(format!("task {unit} was never planned")),
        }
    }
}
