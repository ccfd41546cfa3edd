//! Rollouts: how instances of a service take the place of others, as plans for three teams; and how that is taken back.
//!
//! Pure values: a [`Rollout`] knows no service, only the names of instances and the [`Step`]s that workers are given. It is a
//! supervisor too: what fails for good rolls back what was begun.
//!
//! # Invariants
//! - Traffic goes only to instances that were verified before, and an instance is stopped only when none goes to it any more.
//! - A rollback does not depend on how far the rollout came: each of its steps may find that there is nothing to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Assignment, AssignmentEnd, AssignmentReport, Decision, Delegation, Failure, Plan, Report,
    Results, Subject, Supervise, TaskReport, TeamCard,
};

/// The team that starts and stops instances.
pub const INFRASTRUCTURE: &str = "infrastructure";
/// The team that verifies instances and shifts traffic to them.
pub const APPLICATION: &str = "application";
/// The team that watches the service.
pub const MONITORING: &str = "monitoring";

/// How a rollout goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All new instances beside all old ones; then all traffic at once.
    BlueGreen,
    /// All new instances beside all old ones; then traffic to them in steps of these percents, each watched, up to 100.
    Canary(Vec<u32>),
    /// So many new instances at a time in the place of as many old ones.
    Rolling(usize),
}

/// What a worker is to do; the input of its task. Each may have been done before, and then changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Start an instance.
    Start {
        /// Its name.
        instance: String,
    },
    /// See whether an instance works.
    Verify {
        /// Its name.
        instance: String,
    },
    /// Let traffic go to instances by these weights, and to no others.
    Shift {
        /// About how much of it goes to new ones, in percent.
        percent: u32,
        /// By instance.
        weights: BTreeMap<String, u64>,
    },
    /// See for a while whether the service does well.
    Watch {
        /// About how much of the traffic goes to new instances, in percent.
        percent: u32,
    },
    /// Stop an instance.
    Stop {
        /// Its name.
        instance: String,
    },
}

impl Step {
    /// The step that a task was, if it was one.
    pub fn of(task: &TaskReport) -> Option<Self> {
        Self::deserialize(&*task.input).ok()
    }
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has not ended, or was given up.
    Open,
    /// All traffic goes to the new instances.
    RolledOut,
    /// It was taken back.
    RolledBack,
}

impl Standing {
    /// Where the rollout of a report stands; none where that is of something else.
    pub fn of(report: &Report) -> Option<Self> {
        let mut tasks = report.assignments.iter().flat_map(|own| &own.tasks).peekable();
        tasks.peek()?;
        if !tasks.all(|task| Step::of(task).is_some()) {
            return None;
        }
        let is_back = |own: &AssignmentReport| Rollout::is_rollback(&own.name);
        let has_ended = report
            .assignments
            .iter()
            .all(|own| matches!(own.end, AssignmentEnd::Done | AssignmentEnd::Replaced));
        Some(match report.assignments.iter().any(is_back) {
            _ if !has_ended => Self::Open,
            true => Self::RolledBack,
            false => Self::RolledOut,
        })
    }
}

/// How new instances take the place of old ones.
///
/// ```
/// use synod_actors::pattern::hierarchy::rollout::{Rollout, Strategy};
///
/// let rollout = Rollout::new(["v1-a", "v1-b"], ["v2-a", "v2-b"], Strategy::Canary(vec![5, 50]))?;
/// let plan = rollout.plan();
/// let names: Vec<&str> = plan.assignments.iter().map(|own| own.name.as_str()).collect();
/// assert_eq!(
///     names,
///     ["start", "verify", "shift-5", "watch-5", "shift-50", "watch-50", "shift-100", "watch-100", "stop"]
/// );
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    old: Vec<String>,
    new: Vec<String>,
    strategy: Strategy,
}

impl Rollout {
    /// A rollout of these new instances in the place of these old ones, of which there may be none.
    ///
    /// # Errors
    /// There are no new ones, two have one name, or the strategy's numbers make no steps; with what to change.
    pub fn new<N: Into<String>>(
        old: impl IntoIterator<Item = N>,
        new: impl IntoIterator<Item = N>,
        strategy: Strategy,
    ) -> Result<Self, String> {
        let old: Vec<String> = old.into_iter().map(Into::into).collect();
        let new: Vec<String> = new.into_iter().map(Into::into).collect();
        if new.is_empty() {
            return Err("a rollout has no new instances; name one at the least".to_owned());
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = old.iter().chain(&new).find(|name| !names.insert(*name)) {
            return Err(format!("two instances are called `{twice}`; give each a name of its own"));
        }
        match &strategy {
            Strategy::BlueGreen => {}
            Strategy::Canary(steps) => {
                let rises = steps.is_sorted_by(|one, next| one < next);
                let is_share = |percent: &u32| (1..=100).contains(percent);
                if steps.is_empty() || !rises || !steps.iter().all(is_share) {
                    return Err(format!(
                        "the steps of a canary are {steps:?}; give rising percents from 1 to 100"
                    ));
                }
            }
            Strategy::Rolling(0) => {
                return Err(
                    "a rolling rollout moves 0 instances at a time; give it 1 or more".to_owned()
                );
            }
            Strategy::Rolling(_) => {}
        }
        Ok(Self { old, new, strategy })
    }

    /// The plan of the rollout.
    pub fn plan(&self) -> Plan {
        match &self.strategy {
            Strategy::BlueGreen => self.beside(&[100], |_| String::new()),
            Strategy::Canary(steps) => {
                let mut steps = steps.clone();
                if steps.last() != Some(&100) {
                    steps.push(100);
                }
                self.beside(&steps, |percent| format!("-{percent}"))
            }
            Strategy::Rolling(batch) => self.in_place(*batch),
        }
    }

    /// The plan that takes it back, however far it came: the old instances run and have all traffic, the new ones are gone.
    pub fn rollback(&self) -> Plan {
        let mut chain = Chain::named("rollback-");
        chain.each("start", INFRASTRUCTURE, &self.old, start);
        chain.each("verify", APPLICATION, &self.old, verify);
        chain.shift("", 0, weights(&self.old, &[], 0));
        if !self.old.is_empty() {
            chain.watch("", 0);
        }
        chain.each("stop", INFRASTRUCTURE, &self.new, stop);
        chain.plan
    }

    /// The rollout that this is the plan of: what it starts is new, what it stops is old.
    ///
    /// # Errors
    /// It is not the plan of a rollout; why.
    pub fn of(plan: &Plan, strategy: Strategy) -> Result<Self, String> {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for task in plan.assignments.iter().flat_map(|own| &own.tasks) {
            match serde_json::from_value(task.input.clone()) {
                Ok(Step::Start { instance }) => new.push(instance),
                Ok(Step::Stop { instance }) => old.push(instance),
                Ok(Step::Verify { .. } | Step::Shift { .. } | Step::Watch { .. }) => {}
                Err(why) => return Err(format!("task `{}` is no step: {why}", task.name)),
            }
        }
        Self::new(old, new, strategy)
    }

    /// Whether an assignment of this name is of a rollback.
    pub fn is_rollback(assignment: &str) -> bool {
        assignment.starts_with("rollback-")
    }

    /// New instances beside the old ones, then traffic in steps.
    fn beside(&self, steps: &[u32], suffix: impl Fn(u32) -> String) -> Plan {
        let mut chain = Chain::named("");
        chain.each("start", INFRASTRUCTURE, &self.new, start);
        chain.each("verify", APPLICATION, &self.new, verify);
        for percent in steps {
            chain.shift(&suffix(*percent), *percent, weights(&self.old, &self.new, *percent));
            chain.watch(&suffix(*percent), *percent);
        }
        chain.each("stop", INFRASTRUCTURE, &self.old, stop);
        chain.plan
    }

    /// New instances in the place of old ones, so many at a time; the last ones in that of all that are left.
    fn in_place(&self, batch: usize) -> Plan {
        let mut chain = Chain::named("");
        let batches = self.new.len().div_ceil(batch);
        let (mut up, mut left) = (Vec::new(), self.old.as_slice());
        for (number, fresh) in (1..).zip(self.new.chunks(batch)) {
            let gone = if number == batches { left.len() } else { batch.min(left.len()) };
            let (leaving, staying) = left.split_at(gone);
            left = staying;
            up.extend_from_slice(fresh);
            let suffix = format!("-{number}");
            let percent = share(up.len(), left.len());
            chain.each(&format!("start{suffix}"), INFRASTRUCTURE, fresh, start);
            chain.each(&format!("verify{suffix}"), APPLICATION, fresh, verify);
            let all = left.iter().chain(&up).map(|instance| (instance.clone(), 1));
            chain.shift(&suffix, percent, all.collect());
            chain.watch(&suffix, percent);
            chain.each(&format!("stop{suffix}"), INFRASTRUCTURE, leaving, stop);
        }
        chain.plan
    }
}

/// A rollout that rolls back what fails for good, and then says so; a rollback that fails ends the run.
impl Supervise for Rollout {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Ok(Self::plan(self))
    }

    fn integrate(&self, _: &Value, results: &Results) -> Result<Value, String> {
        let back = results.iter().any(|result| Self::is_rollback(&result.assignment));
        let outcome = if back { "rolled_back" } else { "rolled_out" };
        Ok(json!({ "outcome": outcome, "steps": results.outputs() }))
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        match failure.of {
            // Neither way can be gone without the team.
            Subject::Team(_) => Decision::Retry,
            Subject::Task(_) | Subject::Assignment(_)
                if !Self::is_rollback(&failure.assignment) =>
            {
                Decision::Replan { plan: self.rollback() }
            }
            Subject::Task(_) | Subject::Assignment(_) | Subject::Mission => {
                Decision::Abort { why: failure.why() }
            }
        }
    }
}

/// The supervisor of a rollout whose instances an agent names, once the run goes on: it has that agent's
/// [plan](super::Supervisor::plan_by), which must be that of a [`Rollout`], and supervises as this does.
#[derive(Debug)]
pub struct Surveyed {
    strategy: Strategy,
    rollout: OnceLock<Result<Rollout, String>>,
}

impl Surveyed {
    /// A supervisor that does not know yet which instances there are.
    pub const fn new(strategy: Strategy) -> Self {
        Self { strategy, rollout: OnceLock::new() }
    }

    /// The rollout, once there is a plan.
    fn rollout(&self) -> Result<&Rollout, String> {
        let known = self.rollout.get().ok_or("the rollout has no plan yet")?;
        known.as_ref().map_err(|why| format!("the plan is not that of a rollout: {why}"))
    }
}

impl Supervise for Surveyed {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Err("nobody says which instances there are; have an agent plan".to_owned())
    }

    fn planned(&self, plan: &Plan) {
        // The first is the rollout's, later ones take it back.
        self.rollout.get_or_init(|| Rollout::of(plan, self.strategy.clone()));
    }

    fn integrate(&self, mission: &Value, results: &Results) -> Result<Value, String> {
        self.rollout()?.integrate(mission, results)
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        match self.rollout() {
            Ok(rollout) => rollout.intervene(failure),
            Err(why) => Decision::Abort { why: format!("{}; {why}", failure.why()) },
        }
    }
}

/// Assignments of which each is after the one before.
struct Chain {
    plan: Plan,
    prefix: &'static str,
}

impl Chain {
    fn named(prefix: &'static str) -> Self {
        Self { plan: Plan::new(), prefix }
    }

    /// Adds an assignment with a task for each of these instances, unless there are none.
    fn each(&mut self, name: &str, team: &str, of: &[String], step: fn(String) -> Step) {
        let tasks = of.iter().map(|instance| (instance.clone(), step(instance.clone())));
        self.add(name, team, tasks.collect());
    }

    fn shift(&mut self, suffix: &str, percent: u32, weights: BTreeMap<String, u64>) {
        let step = Step::Shift { percent, weights };
        self.add(&format!("shift{suffix}"), APPLICATION, vec![("traffic".to_owned(), step)]);
    }

    fn watch(&mut self, suffix: &str, percent: u32) {
        let step = Step::Watch { percent };
        self.add(&format!("watch{suffix}"), MONITORING, vec![("service".to_owned(), step)]);
    }

    fn add(&mut self, name: &str, team: &str, tasks: Vec<(String, Step)>) {
        if tasks.is_empty() {
            return;
        }
        let name = format!("{}{name}", self.prefix);
        let before = self.plan.assignments.last().map(|before| before.name.clone());
        let assignment = Assignment::new(name, Delegation::team(team)).after(before);
        let with = |all: Assignment, (task, step): (String, Step)| all.task(task, json!(step));
        self.plan.assignments.push(tasks.into_iter().fold(assignment, with));
    }
}

fn start(instance: String) -> Step {
    Step::Start { instance }
}

fn verify(instance: String) -> Step {
    Step::Verify { instance }
}

fn stop(instance: String) -> Step {
    Step::Stop { instance }
}

/// Weights by which new instances together get exactly so much of the traffic; all of it where there are no others.
fn weights(old: &[String], new: &[String], percent: u32) -> BTreeMap<String, u64> {
    let (olds, news) = (old.len().max(1) as u64, new.len().max(1) as u64);
    let percent = u64::from(percent);
    let old = old.iter().map(|instance| (instance.clone(), (100 - percent) * news));
    let new = new.iter().map(|instance| (instance.clone(), percent * olds));
    let all: BTreeMap<String, u64> = old.chain(new).filter(|(_, weight)| *weight > 0).collect();
    // The smallest numbers of the same proportions.
    let divisor = all.values().copied().fold(0, gcd).max(1);
    all.into_iter().map(|(instance, weight)| (instance, weight / divisor)).collect()
}

/// The greatest number that divides both.
fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// How much of equal shares new instances have, in whole percent.
fn share(new: usize, old: usize) -> u32 {
    u32::try_from(100 * new / (new + old).max(1)).unwrap_or(100)
}

#[cfg(test)]
mod tests;
