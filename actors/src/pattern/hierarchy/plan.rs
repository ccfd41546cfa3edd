//! A plan: assignments to teams, of which some come after others, each with tasks for the team's workers.
//!
//! Made by the supervisor, checked against the teams that there are; a plain value, and JSON.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Team;
use crate::{
    decompose::{self, Task as Node},
    limits::{HIERARCHY_TASKS_MAX, TASK_NAME_BYTES_MAX, TASKS_MAX},
};

/// What a supervisor wants done.
///
/// ```
/// use serde_json::json;
/// use synod_actors::pattern::hierarchy::{Assignment, Delegation, Plan};
///
/// let plan = Plan::new()
///     .assign(Assignment::new("build", Delegation::team("builders")).task("x86", json!(1)).task("arm", json!(2)))
///     .assign(Assignment::new("ship", Delegation::Load).after(["build"]).task("all", json!(null)));
/// let same: Plan = serde_json::from_value(json!({ "assignments": [
///     { "name": "build", "to": { "team": "builders" }, "tasks": [{ "name": "x86", "input": 1 }, { "name": "arm", "input": 2 }] },
///     { "name": "ship", "to": "load", "after": ["build"], "tasks": [{ "name": "all" }] },
/// ] }))?;
/// assert_eq!(plan, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// In any order; each begins when those that it is after have ended.
    pub assignments: Vec<Assignment>,
}

/// What one team is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Tells it from the others of its plan.
    pub name: String,
    /// Which team.
    pub to: Delegation,
    /// The assignments that must have ended before it begins, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What the team's leader gets where there are no tasks.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// What its workers do; without any, the leader's own agent does the assignment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
}

/// To whom an assignment goes; of several teams that are as good the first by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delegation {
    /// The team of this name.
    Team(String),
    /// Of the teams with this specialisation the least loaded.
    Specialisation(String),
    /// The team with the fewest open tasks a worker.
    Load,
    /// The team whose leader bids least.
    Bid,
}

impl Delegation {
    /// The team of this name.
    pub fn team(name: impl Into<String>) -> Self {
        Self::Team(name.into())
    }

    /// Of the teams with this specialisation the least loaded.
    pub fn specialisation(name: impl Into<String>) -> Self {
        Self::Specialisation(name.into())
    }
}

/// What one worker does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Tells it from the others of its assignment.
    pub name: String,
    /// What the worker's agent gets.
    #[serde(default)]
    pub input: Value,
}

impl Plan {
    /// A plan without assignments; one is needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an assignment.
    #[must_use]
    pub fn assign(mut self, assignment: Assignment) -> Self {
        self.assignments.push(assignment);
        self
    }

    /// Everything that is wrong with it, for these teams and after assignments that are done.
    ///
    /// # Errors
    /// All of it, with what to change.
    pub(super) fn check(&self, teams: &[Team], done: &[&str]) -> Result<(), String> {
        if self.assignments.is_empty() {
            return Err("the plan has no assignments; give it one at the least".to_owned());
        }
        let tasks: usize = self.assignments.iter().map(Assignment::units).sum();
        if tasks > HIERARCHY_TASKS_MAX {
            return Err(format!(
                "the plan has {tasks} tasks; at most {HIERARCHY_TASKS_MAX} are possible, put several into one"
            ));
        }
        let mut wrong = self.graph_mistakes(done);
        for assignment in &self.assignments {
            wrong.extend(assignment.problems(teams));
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("the plan: {}", wrong.join("; "))) }
    }

    fn graph_mistakes(&self, done: &[&str]) -> Vec<String> {
        let own = self.assignments.iter().take(TASKS_MAX + 1);
        let nodes = own.map(|own| Node::new(&*own.name, ()).after(own.after.iter().cloned()));
        let before = done.iter().map(|name| Node::new(*name, ()));
        let nodes: Vec<Node<()>> = before.chain(nodes).collect();
        decompose::mistakes(&nodes).iter().map(ToString::to_string).collect()
    }
}

impl Assignment {
    /// An assignment without tasks, which the leader's own agent does.
    pub fn new(name: impl Into<String>, to: Delegation) -> Self {
        let (after, input, tasks) = (Vec::new(), Value::Null, Vec::new());
        Self { name: name.into(), to, after, input, tasks }
    }

    /// Has it begin only when these have ended too.
    #[must_use]
    pub fn after<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds a task for a worker.
    #[must_use]
    pub fn task(mut self, name: impl Into<String>, input: impl Into<Value>) -> Self {
        self.tasks.push(Task { name: name.into(), input: input.into() });
        self
    }

    /// Says what the leader's own agent gets, where there are no tasks.
    #[must_use]
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.input = input.into();
        self
    }

    /// Its tasks, or itself where it has none.
    pub(super) fn units(&self) -> usize {
        self.tasks.len().max(1)
    }

    /// Why a team cannot do it, if it cannot.
    pub(super) fn unfit(&self, team: &Team) -> Option<String> {
        let Self { name, .. } = self;
        match self.tasks.is_empty() {
            false if team.workers.is_empty() => Some(format!(
                "assignment `{name}` has tasks for workers, and team `{}` has none; give the team workers",
                team.name
            )),
            true if team.led_by.is_none() => Some(format!(
                "assignment `{name}` has no tasks, and the leader of team `{}` has no agent to do it; give it tasks or the leader an agent",
                team.name
            )),
            true | false => None,
        }
    }

    fn problems(&self, teams: &[Team]) -> Vec<String> {
        let (Self { name, tasks, .. }, mut wrong) = (self, Vec::new());
        let mut names = BTreeSet::new();
        for task in tasks {
            if task.name.is_empty() || task.name.len() > TASK_NAME_BYTES_MAX {
                wrong.push(format!(
                    "a task of assignment `{name}` is called {:?}; give it 1 to {TASK_NAME_BYTES_MAX} bytes",
                    task.name
                ));
            }
            if !names.insert(&task.name) {
                wrong.push(format!(
                    "two tasks of assignment `{name}` are called `{}`; give each a name of its own",
                    task.name
                ));
            }
        }
        wrong.extend(self.misdelegated(teams));
        wrong
    }

    /// Why nobody can have it, if nobody can.
    fn misdelegated(&self, teams: &[Team]) -> Option<String> {
        let Self { name, .. } = self;
        let listed = |of: fn(&Team) -> &str| {
            let known: BTreeSet<&str> = teams.iter().map(of).filter(|of| !of.is_empty()).collect();
            known.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let meant: Vec<&Team> =
            teams.iter().filter(|team| self.to.means(&team.name, &team.specialisation)).collect();
        match &self.to {
            Delegation::Team(team) if meant.is_empty() => Some(format!(
                "assignment `{name}` is for team `{team}`, which there is not; the teams are {}",
                listed(|team| &team.name)
            )),
            Delegation::Specialisation(of) if meant.is_empty() => Some(format!(
                "assignment `{name}` is for the specialisation `{of}`, which no team has; there are {}",
                listed(|team| &team.specialisation)
            )),
            Delegation::Team(_)
            | Delegation::Specialisation(_)
            | Delegation::Load
            | Delegation::Bid => {
                let unfit: Vec<String> = meant.iter().filter_map(|team| self.unfit(team)).collect();
                (unfit.len() == meant.len()).then(|| unfit.into_iter().next()).flatten()
            }
        }
    }
}

impl Delegation {
    /// Whether it can go to the team of this name and specialisation.
    pub(super) fn means(&self, name: &str, specialisation: &str) -> bool {
        match self {
            Self::Team(team) => team == name,
            Self::Specialisation(of) => of == specialisation,
            Self::Load | Self::Bid => true,
        }
    }
}
