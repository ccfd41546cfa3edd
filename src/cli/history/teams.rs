//! What the journal of a hierarchy tells: who did what, made anew from its plan and what became of it.

use actors::pattern::hierarchy::{Record, Recount, Report, TaskEnd, TaskReport};

use super::*;

impl History {
    /// Reads a run of a hierarchy: a task is a part, and one that has ended a piece of work.
    pub(super) fn read_teams(
        &mut self,
        journal: &dyn Journal,
        run: RunId,
    ) -> Result<(), HistoryError> {
        let wrong = |why| HistoryError::Record { run, why };
        let mut recount = Recount::default();
        for bytes in records(journal, run) {
            let record = record::decode(&bytes?).map_err(wrong)?;
            if let Record::Began { at, name, .. } = &record {
                (self.began, self.name) = (Some(*at), name.clone());
            } else if let Record::Ended(ended) = &record {
                self.ended = Some(ended.clone());
            }
            recount.take(record).map_err(wrong)?;
        }
        self.account(recount.report());
        Ok(())
    }

    fn account(&mut self, report: Report) {
        let mut part = 0;
        for own in &report.assignments {
            for task in &own.tasks {
                self.work.extend(work(part, &own.name, task));
                part += 1;
            }
        }
        self.parts = part as usize;
        self.brought = Some(Brought::Hierarchy(Box::new(report)));
    }
}

/// The work at a task, if it has ended.
fn work(part: u32, assignment: &str, task: &TaskReport) -> Option<Work> {
    let (worker, attempt, at, micros, error) = match &task.end {
        TaskEnd::Done { worker, attempts, at, micros, .. } => {
            (worker, *attempts, *at, *micros, None)
        }
        TaskEnd::GivenUp { why, worker, attempts } => (worker, *attempts, 0, 0, Some(why.clone())),
        TaskEnd::Open => return None,
    };
    Some(Work {
        pattern: None,
        part,
        name: named(assignment, &task.name),
        agent: format!("{}/{worker}", task.team.as_deref().unwrap_or_default()),
        attempt,
        slot: None,
        at,
        micros,
        error,
        instead_of: Vec::new(),
    })
}

/// A task with its assignment; that of a leader is the assignment.
fn named(assignment: &str, task: &str) -> String {
    if assignment == task { task.to_owned() } else { format!("{assignment}/{task}") }
}
