//! The board of one run: its assignments and tasks, where each stands, and what may be done next. Pure bookkeeping.
//!
//! Kept by the [`coordinator`](super::coordinator), alike while the run goes on and while its journal is read back.
//!
//! # Invariants
//! - Assignments and tasks are numbered in the order in which they were planned, for ever: a plan that takes another's place adds to it.
//! - A task is done once; an assignment is done when each of its tasks is done or given up.

mod carrying;
mod telling;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use serde_json::Value;

pub(super) use carrying::{Carried, NOBODY};

use super::{
    Assignment, Decision, DecisionLevel, Delegation, Failure, Plan, Results, Subject, TeamResult,
    link::Charge, plan::Task,
};
use crate::decompose::{Schedule, Task as Node, TaskGraph};

/// The state of all that was planned.
#[derive(Debug, Default)]
pub(super) struct Board {
    teams: Vec<Arc<str>>,
    pub(super) duties: Vec<Duty>,
    pub(super) jobs: Vec<Job>,
    /// The assignments of the present plan, and those before it that are done, by their place in its graph.
    order: Vec<usize>,
    graph: Option<TaskGraph<()>>,
    schedule: Option<Schedule>,
    /// Assignments that may begin and are with no team, as far as that is still so.
    pub(super) ready: VecDeque<usize>,
    /// Tasks to be handed to their team's leader, as far as they are still open.
    pub(super) unsent: Vec<u64>,
    /// By team, its tasks that are open.
    open: Vec<u64>,
    /// Tasks of the plans, but for those that others took the place of, and those of them that are done.
    pub(super) units: u64,
    pub(super) done: u64,
    /// What was decided how often, but for taking note.
    pub(super) decisions: BTreeMap<Subject, u32>,
}

/// An assignment.
#[derive(Debug)]
pub(super) struct Duty {
    pub(super) name: Arc<str>,
    pub(super) to: Delegation,
    pub(super) after: Vec<String>,
    /// Its tasks.
    pub(super) jobs: Range<usize>,
    /// Whether its leader's own agent does it.
    pub(super) by_leader: bool,
    pub(super) team: Option<u32>,
    pub(super) state: DutyState,
    /// Its place in the present graph.
    place: usize,
    /// Tasks that have not ended.
    left: usize,
    /// What those came to that it is after, once that is asked for, and what it came to itself.
    before: Option<Arc<Results>>,
    result: Option<Arc<TeamResult>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DutyState {
    /// It is with no team.
    Waiting,
    Given,
    Done,
    Failed(String),
    Skipped(usize),
    Replaced,
}

/// A task.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: Arc<str>,
    pub(super) input: Arc<Value>,
    pub(super) duty: usize,
    pub(super) team: Option<u32>,
    pub(super) state: JobState,
    /// Its leader has it, or is about to.
    pub(super) is_handed: bool,
    /// Its next call is paid, and nothing was heard of it yet.
    pub(super) is_paid: bool,
    /// Its worker has crashed, and it was run once more for that.
    pub(super) has_crashed: bool,
    pub(super) attempts: u32,
    /// Workers of its team that shall not have it again.
    pub(super) avoid: Vec<u32>,
}

#[derive(Debug)]
pub(super) enum JobState {
    Open,
    /// It waits for a decision.
    Failing(Box<Failure>),
    Done(Box<Deed>),
    GivenUp {
        why: String,
        worker: u32,
    },
    /// Another plan took its place.
    Dropped,
}

/// What a task came to.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) output: Arc<Value>,
    pub(super) team: u32,
    pub(super) worker: u32,
    pub(super) attempts: u32,
    pub(super) fallback: bool,
    pub(super) at: i64,
    pub(super) micros: u64,
    pub(super) resumed: bool,
}

impl Board {
    /// A board without a plan, for these teams.
    pub(super) fn new(teams: Vec<Arc<str>>) -> Self {
        Self { open: vec![0; teams.len()], teams, ..Self::default() }
    }

    pub(super) fn job(&self, unit: u64) -> Option<&Job> {
        self.jobs.get(usize::try_from(unit).ok()?)
    }

    pub(super) fn job_mut(&mut self, unit: u64) -> Option<&mut Job> {
        self.jobs.get_mut(usize::try_from(unit).ok()?)
    }

    pub(super) fn duty_of(&self, unit: u64) -> Option<&Duty> {
        self.duties.get(self.job(unit)?.duty)
    }

    /// Open tasks of a team.
    pub(super) fn load(&self, team: u32) -> u64 {
        self.open.get(team as usize).copied().unwrap_or(0)
    }

    /// Whether every assignment has ended.
    pub(super) fn is_over(&self) -> bool {
        self.schedule.as_ref().is_some_and(Schedule::is_over)
    }

    /// The names of the assignments that are done.
    pub(super) fn done_names(&self) -> Vec<&str> {
        let done = self.duties.iter().filter(|duty| duty.state == DutyState::Done);
        done.map(|duty| &*duty.name).collect()
    }

    /// Puts a plan in the place of all that is not done; tells which tasks leaders have that nobody wants any more.
    pub(super) fn plan(&mut self, plan: Plan) -> Vec<u64> {
        let vain = self.replace();
        let kept: Vec<usize> = (0..self.duties.len()).filter(|duty| self.is_done(*duty)).collect();
        let first = self.duties.len();
        plan.assignments.into_iter().for_each(|assignment| self.add(assignment));
        self.order = kept.iter().copied().chain(first..self.duties.len()).collect();
        let mut nodes = Vec::with_capacity(self.order.len());
        for (place, duty) in self.order.iter().enumerate() {
            let Some(of) = self.duties.get_mut(*duty) else { continue };
            of.place = place;
            let after = if place < kept.len() { &[] } else { of.after.as_slice() };
            nodes.push(Node::new(&*of.name, ()).after(after.iter().cloned()));
        }
        // It was checked before.
        self.graph = TaskGraph::new(nodes).ok();
        let Some(mut schedule) = self.graph.as_ref().map(TaskGraph::schedule) else { return vain };
        let mut ready = schedule.begin();
        for place in 0..kept.len() {
            ready.extend(schedule.ended(place, true).ready);
        }
        ready.retain(|place| *place >= kept.len());
        ready.sort_unstable();
        self.schedule = Some(schedule);
        self.make_ready(&ready);
        vain
    }

    /// Takes the present plan away, but for what is done.
    fn replace(&mut self) -> Vec<u64> {
        self.ready.clear();
        self.unsent.clear();
        let mut vain = Vec::new();
        for (job, unit) in self.jobs.iter_mut().zip(0..) {
            if !matches!(job.state, JobState::Open | JobState::Failing(_)) {
                continue;
            }
            if job.is_handed {
                vain.push(unit);
            }
            if let Some(open) = job.team.and_then(|team| self.open.get_mut(team as usize)) {
                *open = open.saturating_sub(1);
            }
            (job.state, job.is_handed) = (JobState::Dropped, false);
            self.units -= 1;
        }
        for duty in &mut self.duties {
            if matches!(duty.state, DutyState::Waiting | DutyState::Given) {
                duty.state = DutyState::Replaced;
            }
        }
        vain
    }

    fn is_done(&self, duty: usize) -> bool {
        self.duties.get(duty).is_some_and(|duty| duty.state == DutyState::Done)
    }

    fn add(&mut self, assignment: Assignment) {
        let Assignment { name, to, after, input, tasks } = assignment;
        let (name, duty, first): (Arc<str>, _, _) =
            (name.into(), self.duties.len(), self.jobs.len());
        let by_leader = tasks.is_empty();
        if by_leader {
            self.jobs.push(Job::new(Arc::clone(&name), input, duty));
        }
        for Task { name, input } in tasks {
            self.jobs.push(Job::new(name.into(), input, duty));
        }
        let jobs = first..self.jobs.len();
        self.units += jobs.len() as u64;
        let (left, state) = (jobs.len(), DutyState::Waiting);
        let (team, place, before, result) = (None, 0, None, None);
        self.duties.push(Duty {
            name,
            to,
            after,
            jobs,
            by_leader,
            team,
            state,
            place,
            left,
            before,
            result,
        });
    }

    fn make_ready(&mut self, places: &[usize]) {
        self.ready.extend(places.iter().filter_map(|place| self.order.get(*place)));
    }

    /// Gives an assignment to a team.
    pub(super) fn give(&mut self, duty: usize, team: u32) {
        let Some(of) = self.duties.get_mut(duty) else { return };
        (of.team, of.state) = (Some(team), DutyState::Given);
        for unit in of.jobs.clone() {
            let Some(job) = self.jobs.get_mut(unit) else { continue };
            if matches!(job.state, JobState::Open) && job.team.is_none() {
                job.team = Some(team);
                count(&mut self.open, team);
                self.unsent.push(unit as u64);
            }
        }
    }

    /// Has a task done again: by this team, and not by this worker.
    pub(super) fn again(&mut self, unit: u64, team: Option<u32>, avoid: Option<u32>) {
        let Some(job) = self.jobs.get_mut(usize::try_from(unit).unwrap_or(usize::MAX)) else {
            return;
        };
        if !matches!(job.state, JobState::Open | JobState::Failing(_)) {
            return;
        }
        (job.state, job.is_handed) = (JobState::Open, false);
        job.avoid.extend(avoid);
        if let Some(to) = team.filter(|team| job.team != Some(*team)) {
            if let Some(open) = job.team.and_then(|team| self.open.get_mut(team as usize)) {
                *open = open.saturating_sub(1);
            }
            (job.team, job.has_crashed) = (Some(to), false);
            job.avoid.clear();
            count(&mut self.open, to);
        }
        self.unsent.push(unit);
    }

    /// The open tasks of a team.
    pub(super) fn of_team(&self, team: u32) -> Vec<u64> {
        let own = |(unit, job): (u64, &Job)| {
            (job.team == Some(team) && matches!(job.state, JobState::Open)).then_some(unit)
        };
        (0..).zip(&self.jobs).filter_map(own).collect()
    }

    /// Takes in that a task is done; false where it was before, or is not wanted any more.
    pub(super) fn finish(&mut self, unit: u64, deed: Deed) -> bool {
        let Some(job) = self.job_mut(unit) else { return false };
        if !matches!(job.state, JobState::Open | JobState::Failing(_)) {
            return false;
        }
        (job.attempts, job.is_handed) = (deed.attempts, false);
        let (duty, had) = (job.duty, job.team);
        if let Some(of) = self.duties.get_mut(duty) {
            of.team.get_or_insert(deed.team);
        }
        self.closes(had);
        if let Some(job) = self.job_mut(unit) {
            job.team = Some(deed.team);
            job.state = JobState::Done(Box::new(deed));
        }
        self.done += 1;
        self.close_job(duty);
        true
    }

    /// Gives a task up.
    pub(super) fn give_up(&mut self, unit: u64, why: String, worker: u32) {
        let Some(job) = self.job_mut(unit) else { return };
        if !matches!(job.state, JobState::Open | JobState::Failing(_)) {
            return;
        }
        (job.state, job.is_handed) = (JobState::GivenUp { why, worker }, false);
        let (duty, had) = (job.duty, job.team);
        self.closes(had);
        self.close_job(duty);
    }

    /// Gives an assignment up that no team takes: those that come after it are skipped. Tells which tasks nobody does for that.
    pub(super) fn fail(&mut self, duty: usize, why: String) -> Vec<u64> {
        let Some(of) = self.duties.get_mut(duty) else { return Vec::new() };
        if of.state != DutyState::Waiting {
            return Vec::new();
        }
        of.state = DutyState::Failed(why);
        let mut lost: Vec<u64> = of.jobs.clone().map(|unit| unit as u64).collect();
        let place = of.place;
        let Some(schedule) = &mut self.schedule else { return lost };
        for skipped in schedule.ended(place, false).skipped {
            let skipped = self.order.get(skipped).and_then(|at| self.duties.get_mut(*at));
            if let Some(skipped) = skipped {
                skipped.state = DutyState::Skipped(duty);
                lost.extend(skipped.jobs.clone().map(|unit| unit as u64));
            }
        }
        lost
    }

    fn closes(&mut self, team: Option<u32>) {
        if let Some(open) = team.and_then(|team| self.open.get_mut(team as usize)) {
            *open = open.saturating_sub(1);
        }
    }

    /// A task of an assignment has ended; the assignment too if it was the last.
    fn close_job(&mut self, duty: usize) {
        let Some(of) = self.duties.get_mut(duty) else { return };
        of.left = of.left.saturating_sub(1);
        if of.left > 0 {
            return;
        }
        of.state = DutyState::Done;
        let place = of.place;
        let ready = self.schedule.as_mut().map(|schedule| schedule.ended(place, true).ready);
        self.make_ready(&ready.unwrap_or_default());
    }

    /// What the leader of a task's team is handed.
    pub(super) fn charge(&mut self, unit: u64) -> Option<Charge> {
        let duty = self.job(unit)?.duty;
        let before = self.before(duty);
        let (job, of) = (self.job(unit)?, self.duties.get(duty)?);
        let (assignment, task) = (Arc::clone(&of.name), Arc::clone(&job.name));
        Some(Charge { unit, assignment, task, input: Arc::clone(&job.input), before })
    }

    /// What the assignments came to that one is after.
    fn before(&mut self, duty: usize) -> Arc<Results> {
        if let Some(before) = self.duties.get(duty).and_then(|duty| duty.before.as_ref()) {
            return Arc::clone(before);
        }
        let place = self.duties.get(duty).map_or(0, |duty| duty.place);
        let places = self.graph.as_ref().map(|graph| graph.after(place).to_vec());
        let duties = places.into_iter().flatten().filter_map(|at| self.order.get(at).copied());
        let duties: Vec<usize> = duties.collect();
        let before = duties.into_iter().filter_map(|duty| self.result(duty)).collect();
        let before = Arc::new(Results(before));
        if let Some(of) = self.duties.get_mut(duty) {
            of.before = Some(Arc::clone(&before));
        }
        before
    }

    /// What all assignments came to that are done.
    pub(super) fn results(&mut self) -> Results {
        Results((0..self.duties.len()).filter_map(|duty| self.result(duty)).collect())
    }

    fn result(&mut self, duty: usize) -> Option<Arc<TeamResult>> {
        let of = self.duties.get(duty).filter(|duty| duty.state == DutyState::Done)?;
        if let Some(result) = &of.result {
            return Some(Arc::clone(result));
        }
        let (mut outputs, mut missing) = (Vec::new(), Vec::new());
        for job in self.jobs.get(of.jobs.clone())? {
            match &job.state {
                JobState::Done(deed) => {
                    outputs.push((Arc::clone(&job.name), Arc::clone(&deed.output)));
                }
                JobState::Open
                | JobState::Failing(_)
                | JobState::GivenUp { .. }
                | JobState::Dropped => missing.push(Arc::clone(&job.name)),
            }
        }
        let team = of.team.and_then(|team| self.teams.get(team as usize));
        let (assignment, team) = (Arc::clone(&of.name), team.map_or_else(|| "".into(), Arc::clone));
        let result = Arc::new(TeamResult { assignment, team, outputs, missing });
        self.duties.get_mut(duty)?.result = Some(Arc::clone(&result));
        Some(result)
    }
}

impl Job {
    /// Whether it is open and its leader does not have it.
    pub(super) fn is_to_be_handed(&self) -> bool {
        matches!(self.state, JobState::Open) && !self.is_handed
    }

    /// Whether a fallback of its worker's agent did it.
    pub(super) fn fell_back(&self) -> bool {
        matches!(&self.state, JobState::Done(deed) if deed.fallback)
    }

    fn new(name: Arc<str>, input: Value, duty: usize) -> Self {
        let (input, state, avoid) = (Arc::new(input), JobState::Open, Vec::new());
        let (is_handed, is_paid, has_crashed) = (false, false, false);
        Self {
            name,
            input,
            duty,
            team: None,
            state,
            is_handed,
            is_paid,
            has_crashed,
            attempts: 0,
            avoid,
        }
    }
}

fn count(open: &mut [u64], team: u32) {
    if let Some(open) = open.get_mut(team as usize) {
        *open += 1;
    }
}

#[cfg(test)]
mod tests;
