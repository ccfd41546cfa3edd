//! What the journal of a plan tells: its tasks and what they came to.
//!
//! Called by whoever shows a run, while it goes on or long after.

use protocol::RunId;
use runtime::engine::journal::{Journal, records};

use super::{Record, Report, TaskBegan, TaskEnd, TaskReport, run_of};
use crate::decompose::{Task, TaskGraph, TaskState};

/// Makes the report of a run anew from its journal: of one that goes on, or was cut off, what there is so far.
///
/// # Errors
/// The journal cannot be read, or its records are not those of a plan.
pub fn recount(journal: &dyn Journal, run: RunId) -> Result<Report, String> {
    let mut recount = Recount::default();
    for record in records(journal, run) {
        let record = record.map_err(|error| error.to_string())?;
        recount.take(runtime::record::decode(&record)?)?;
    }
    recount.report(run)
}

/// A report on its way: takes the records of a run in their order.
#[derive(Debug, Default)]
pub struct Recount {
    tasks: Vec<TaskBegan>,
    /// How tasks have ended, by number, in that order.
    ends: Vec<(usize, TaskEnd)>,
}

impl Recount {
    /// Takes the next record.
    ///
    /// # Errors
    /// It names a task that no record before it does.
    pub fn take(&mut self, record: Record) -> Result<(), String> {
        let (task, end) = match record {
            Record::Began { tasks, .. } => {
                self.tasks = tasks;
                return Ok(());
            }
            Record::Done { task, at, micros, missing, output } => {
                (task, TaskEnd::Done { output, missing, at, micros, resumed: true })
            }
            Record::Failed { task, error, partial, .. } => {
                (task, TaskEnd::Failed { why: error, partial })
            }
            Record::Spent { .. } | Record::Ended(_) => return Ok(()),
        };
        let task = task as usize;
        if task >= self.tasks.len() {
            return Err(format!("there is no task {task}"));
        }
        self.ends.push((task, end));
        Ok(())
    }

    /// What the tasks of `run` have come to so far.
    ///
    /// # Errors
    /// Its tasks are no graph.
    pub fn report(self, run: RunId) -> Result<Report, String> {
        let Self { tasks, ends } = self;
        let name = |task: usize| tasks.get(task).map_or("", |task| task.name.as_str()).to_owned();
        let after =
            |task: &TaskBegan| task.after.iter().map(|at| name(*at as usize)).collect::<Vec<_>>();
        let of = |task: &TaskBegan| Task::new(&*task.name, ()).after(after(task));
        let graph = TaskGraph::new(tasks.iter().map(of)).map_err(|error| error.to_string())?;
        let mut schedule = graph.schedule();
        schedule.begin();
        let mut ended: Vec<Option<TaskEnd>> = tasks.iter().map(|_| None).collect();
        for (task, end) in ends {
            schedule.ended(task, matches!(end, TaskEnd::Done { .. }));
            if let Some(place) = ended.get_mut(task) {
                *place = Some(end);
            }
        }
        let report = |(at, (task, end)): (usize, (&TaskBegan, Option<TaskEnd>))| {
            let end = match (end, schedule.state(at)) {
                (Some(end), _) => end,
                (None, Some(TaskState::Skipped { because })) => {
                    TaskEnd::Skipped { because: name(because) }
                }
                (None, _) => TaskEnd::Open { partial: None },
            };
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            let run = run_of(run, number, &task.name);
            TaskReport { name: task.name.clone(), after: after(task), run, end }
        };
        Ok(Report { tasks: tasks.iter().zip(ended).enumerate().map(report).collect() })
    }
}
