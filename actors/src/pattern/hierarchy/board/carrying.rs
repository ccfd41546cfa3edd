//! Decisions on the board: done alike while a run goes on and while its journal is read back.

use super::{Board, Decision, DecisionLevel, Subject};
use crate::pattern::hierarchy::{Decided, Decider};

/// What follows from a decision that was carried out.
#[derive(Default)]
pub(in super::super) struct Carried {
    /// Tasks that leaders have and nobody wants of them any more, each with its team.
    pub(in super::super) vain: Vec<(u32, u64)>,
    /// Tasks that nobody will do.
    pub(in super::super) lost: Vec<u64>,
}

/// The number of no worker, and of no team.
pub(in super::super) const NOBODY: u32 = u32::MAX;

impl Board {
    /// Does what was decided, in this life of the run or, by the journal, in an earlier one.
    pub(in super::super) fn carry_out(&mut self, decided: &Decided) -> Carried {
        let Decided { of, decision, team, avoid, by, .. } = decided;
        let (of, by) = (*of, *by);
        if decision.level() > DecisionLevel::Inform {
            *self.decisions.entry(of).or_default() += 1;
        }
        let Carried { mut vain, mut lost } = Carried::default();
        match (of, decision) {
            (_, Decision::Replan { plan }) => {
                let units = self.plan(plan.clone());
                let team = |unit: &u64| self.job(*unit).and_then(|job| job.team);
                vain.extend(units.iter().filter_map(|unit| Some((team(unit)?, *unit))));
            }
            // A monitor that takes note changes nothing.
            (Subject::Task(_), Decision::Inform) if by == Decider::Monitor => {}
            (Subject::Task(unit), Decision::Inform) => {
                self.give_up(unit, decided.why.clone(), avoid.unwrap_or(NOBODY));
                lost.push(unit);
            }
            (Subject::Task(unit), Decision::Retry | Decision::Reassign { .. }) => {
                let job = self.job(unit).filter(|job| job.is_handed);
                vain.extend(job.and_then(|job| job.team).map(|team| (team, unit)));
                self.again(unit, *team, *avoid);
            }
            (Subject::Assignment(duty), Decision::Inform) => {
                lost = self.fail(duty as usize, decided.why.clone());
            }
            (Subject::Assignment(duty), Decision::Retry) => self.ready.push_back(duty as usize),
            (Subject::Assignment(duty), Decision::Reassign { .. }) => {
                if let Some(team) = team {
                    self.give(duty as usize, *team);
                }
            }
            (Subject::Team(of), Decision::Inform) => {
                lost = self.of_team(of);
                for unit in &lost {
                    self.give_up(*unit, decided.why.clone(), NOBODY);
                }
            }
            (Subject::Team(of), Decision::Reassign { .. }) => {
                for unit in self.of_team(of) {
                    self.again(unit, *team, None);
                }
            }
            (Subject::Team(_) | Subject::Mission, _) | (_, Decision::Abort { .. }) => {}
        }
        Carried { vain, lost }
    }
}
