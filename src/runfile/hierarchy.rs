//! `[hierarchy.NAME]`: read from a checked tree, filled in; [`check`](check()) holds it against itself and the rest of the file.

mod check;

use std::time::Duration;

use actors::pattern::hierarchy::{
    Assignment as Assigned, DecisionLevel, Delegation, Plan, Rules, Task,
    rollout::{Rollout as Instances, Strategy},
};
use runtime::retry::Retries;
use serde_json::{Map, Value as Json};

pub(super) use check::check;

use super::build::{Fields, retry};
use super::keys::{ASSIGNMENT, HIERARCHY, RESTARTS, RETRY, ROLLOUT, TEAM};
use super::model::Name;
use super::problem::{At, Problem};
use super::resolve::fill_json;
use super::suggest::suggest;
use super::template::{Template, Values};
use super::tree::{Entry, Table, json};

/// One `[hierarchy.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hierarchy<T = String> {
    /// What `main` calls it.
    pub name: Name,
    /// What is to be done.
    pub mission: T,
    /// How the mission becomes a plan.
    pub planning: Planning<T>,
    /// The agent that puts the results together.
    pub integrate: Option<Name>,
    /// The agent that decides on what no leader could.
    pub intervene: Option<Name>,
    /// The most that the supervisor may decide.
    pub level: DecisionLevel,
    /// How long each call may take.
    pub timeout: Duration,
    /// How often and when a task that failed may be done again.
    pub retry: Retries,
    /// How often leaders are started again, within which time.
    pub leader_restarts: (u32, Duration),
    /// Who works, in the order of the file; never empty.
    pub teams: Vec<Team>,
    /// The working directory of the agents' programs.
    pub path: T,
    /// The patterns that it comes after.
    pub after: Vec<Name>,
}

/// How a mission becomes a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Planning<T = String> {
    /// An agent plans.
    By(Name),
    /// New instances of a service take the place of old ones.
    Rollout(Rollout<T>),
    /// The file says it.
    Written(Vec<Assignment>),
}

/// `rollout = { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout<T = String> {
    /// One of `blue_green`, `canary` and `rolling`.
    pub strategy: T,
    /// Which instances.
    pub instances: Instanced<T>,
    /// The percents of a canary.
    pub steps: Vec<u32>,
    /// How many at a time are rolling.
    pub batch: usize,
    /// Where the file says it.
    pub(crate) at: At,
}

/// Who says which instances there are and shall be.
#[derive(Debug, Clone, PartialEq)]
pub enum Instanced<T = String> {
    /// An agent.
    By(Name),
    /// The file.
    Written {
        /// Those that run now.
        old: Vec<T>,
        /// Those that shall run.
        new: Vec<T>,
    },
}

/// One assignment that the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Tells it from the others.
    pub name: String,
    /// Who has it.
    pub to: Delegation,
    /// Those that it comes after.
    pub after: Vec<String>,
    /// Its tasks, each with what the worker is given.
    pub tasks: Map<String, Json>,
    /// What the leader's agent is given.
    pub input: Option<Json>,
}

/// One `[hierarchy.NAME.teams.TEAM]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Team {
    /// Its name.
    pub name: Name,
    /// What it is good at.
    pub specialisation: String,
    /// How many workers work by which agents.
    pub workers: Vec<(Name, usize)>,
    /// The agent that leads.
    pub leader: Option<Name>,
    /// The most that its leader may decide alone.
    pub authority: DecisionLevel,
    /// How often its workers are started again, within which time.
    pub restarts: (u32, Duration),
}

/// Builds the hierarchy that a checked table stands for.
pub(super) fn build(entry: &Entry, table: &Table) -> Option<Hierarchy<Template>> {
    let fields = Fields { table, shape: &HIERARCHY };
    let agent = |key: &str| match fields.text(key) {
        Some(name) => Name::new(&name).map(Some),
        None => Some(None),
    };
    let teams = table.node("teams")?.value.table()?;
    Some(Hierarchy {
        name: Name::new(&entry.key)?,
        mission: Template::new(&fields.text("mission")?),
        planning: planning(&fields)?,
        integrate: agent("integrate")?,
        intervene: agent("intervene")?,
        level: level(&fields.text("level")?)?,
        timeout: fields.duration("timeout")?,
        retry: retry(&fields.inner("retry", &RETRY))?,
        leader_restarts: restarts(&fields.inner("leader_restarts", &RESTARTS))?,
        teams: teams
            .entries
            .iter()
            .map(|entry| team(entry, entry.node.value.table()?))
            .collect::<Option<_>>()?,
        path: Template::new(&fields.text("path")?),
        after: fields.names("after")?,
    })
}

fn planning(fields: &Fields<'_>) -> Option<Planning<Template>> {
    if let Some(agent) = fields.text("plan") {
        return Some(Planning::By(Name::new(&agent)?));
    }
    if let Some(node) = fields.table.node("rollout") {
        return rollout(&fields.inner("rollout", &ROLLOUT), node.at).map(Planning::Rollout);
    }
    let nodes = fields.list("assignments");
    let written = nodes.iter().map(|node| assignment(node.value.table()?));
    written.collect::<Option<_>>().map(Planning::Written)
}

fn rollout(fields: &Fields<'_>, at: At) -> Option<Rollout<Template>> {
    let names = |key: &str| {
        fields.strings(key).iter().map(|name| Template::new(name)).collect::<Vec<Template>>()
    };
    let steps = fields.integers("steps").into_iter();
    Some(Rollout {
        strategy: Template::new(&fields.text("strategy")?),
        instances: match fields.text("instances") {
            Some(agent) => Instanced::By(Name::new(&agent)?),
            None => Instanced::Written { old: names("old"), new: names("new") },
        },
        steps: steps.map(|percent| u32::try_from(percent).ok()).collect::<Option<_>>()?,
        batch: fields.count("batch")?.get(),
        at,
    })
}

fn assignment(table: &Table) -> Option<Assignment> {
    let fields = Fields { table, shape: &ASSIGNMENT };
    let object = |key: &str| table.node(key).and_then(|node| json(&node.value));
    let to = match (fields.text("team"), fields.text("specialisation")) {
        (Some(team), _) => Delegation::Team(team),
        (None, Some(of)) => Delegation::Specialisation(of),
        (None, None) if fields.text("by")? == "bid" => Delegation::Bid,
        (None, None) => Delegation::Load,
    };
    let tasks = match object("tasks") {
        Some(Json::Object(tasks)) => tasks,
        Some(_) => return None,
        None => Map::new(),
    };
    let (name, after) = (fields.text("name")?, fields.strings("after"));
    Some(Assignment { name, to, after, tasks, input: object("input") })
}

fn team(entry: &Entry, table: &Table) -> Option<Team> {
    let fields = Fields { table, shape: &TEAM };
    let worker = |own: &Entry| {
        let count = usize::try_from(own.node.value.integer()?).ok()?;
        Some((Name::new(&own.key)?, count))
    };
    let workers = table.entries_of("workers").iter();
    Some(Team {
        name: Name::new(&entry.key)?,
        specialisation: fields.text("specialisation")?,
        workers: workers.map(worker).collect::<Option<_>>()?,
        leader: match fields.text("leader") {
            Some(name) => Some(Name::new(&name)?),
            None => None,
        },
        authority: level(&fields.text("authority")?)?,
        restarts: restarts(&fields.inner("restarts", &RESTARTS))?,
    })
}

fn restarts(fields: &Fields<'_>) -> Option<(u32, Duration)> {
    Some((u32::try_from(fields.integer("count")?).ok()?, fields.duration("per")?))
}

fn level(text: &str) -> Option<DecisionLevel> {
    use DecisionLevel::{Abort, Inform, Reassign, Replan, Retry};
    [Inform, Retry, Reassign, Replan, Abort].into_iter().find(|level| level.as_str() == text)
}

/// Fills in the texts of a hierarchy.
pub(super) fn fill(own: &Hierarchy<Template>, values: &Values) -> Hierarchy {
    let planning = match &own.planning {
        Planning::By(agent) => Planning::By(agent.clone()),
        Planning::Rollout(rollout) => Planning::Rollout(fill_rollout(rollout, values)),
        Planning::Written(all) => {
            Planning::Written(all.iter().map(|own| fill_assignment(own, values)).collect())
        }
    };
    Hierarchy {
        name: own.name.clone(),
        mission: own.mission.fill(values).unwrap_or_default(),
        planning,
        integrate: own.integrate.clone(),
        intervene: own.intervene.clone(),
        level: own.level,
        timeout: own.timeout,
        retry: own.retry,
        leader_restarts: own.leader_restarts,
        teams: own.teams.clone(),
        path: own.path.fill(values).unwrap_or_else(|| ".".to_owned()),
        after: own.after.clone(),
    }
}

fn fill_rollout(rollout: &Rollout<Template>, values: &Values) -> Rollout {
    let all = |names: &[Template]| names.iter().filter_map(|name| name.fill(values)).collect();
    Rollout {
        strategy: rollout.strategy.fill(values).unwrap_or_default(),
        instances: match &rollout.instances {
            Instanced::By(agent) => Instanced::By(agent.clone()),
            Instanced::Written { old, new } => Instanced::Written { old: all(old), new: all(new) },
        },
        steps: rollout.steps.clone(),
        batch: rollout.batch,
        at: rollout.at,
    }
}

fn fill_assignment(own: &Assignment, values: &Values) -> Assignment {
    let tasks = own.tasks.iter();
    let filled = |json: &Json| fill_json(json, values);
    Assignment {
        // A task without what it would be given is a task all the same.
        tasks: tasks.map(|(name, json)| (name.clone(), filled(json).unwrap_or_default())).collect(),
        input: own.input.as_ref().and_then(filled),
        ..own.clone()
    }
}

/// What is wrong with a hierarchy once its texts are filled in.
pub(super) fn unfit(own: &Hierarchy) -> Option<Problem> {
    let Planning::Rollout(rollout) = &own.planning else { return None };
    let error = match (rollout.strategy(), &rollout.instances) {
        (Err(problem), _) => return Some(problem),
        (Ok(strategy), Instanced::By(_)) => Instances::new([], ["any"], strategy).err()?,
        (Ok(strategy), Instanced::Written { old, new }) => {
            Instances::new(old.iter().cloned(), new.iter().cloned(), strategy).err()?
        }
    };
    let problem = Problem::new(rollout.at, format!("this is no rollout: {error}"));
    Some(problem.label("cannot begin").help_with("docs/HIERARCHY.md says what a rollout does"))
}

/// What a strategy may be.
const STRATEGIES: [&str; 3] = ["blue_green", "canary", "rolling"];

impl Rollout {
    /// The strategy that this is.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn strategy(&self) -> Result<Strategy, Problem> {
        match self.strategy.as_str() {
            "blue_green" => Ok(Strategy::BlueGreen),
            "canary" => Ok(Strategy::Canary(self.steps.clone())),
            "rolling" => Ok(Strategy::Rolling(self.batch)),
            other => Err(no_strategy(self.at, other)),
        }
    }
}

fn no_strategy(at: At, name: &str) -> Problem {
    Problem::new(at, format!("`{name}` is no strategy of a rollout"))
        .label("unknown strategy")
        .help_with(suggest(name, &STRATEGIES, "the strategies are"))
}

impl<T> Hierarchy<T> {
    /// The agents that it names, each once: the supervisor's, then those of the teams.
    pub fn names(&self) -> Vec<Name> {
        let planner = match &self.planning {
            Planning::By(agent)
            | Planning::Rollout(Rollout { instances: Instanced::By(agent), .. }) => Some(agent),
            Planning::Rollout(_) | Planning::Written(_) => None,
        };
        let acts = [planner, self.integrate.as_ref(), self.intervene.as_ref()];
        let of_team = |team: &Team| {
            let workers = team.workers.iter().map(|(name, _)| name.clone());
            team.leader.clone().into_iter().chain(workers).collect::<Vec<Name>>()
        };
        let all = acts.into_iter().flatten().cloned().chain(self.teams.iter().flat_map(of_team));
        let mut names: Vec<Name> = Vec::new();
        for name in all {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What holds for all teams.
    pub fn rules(&self) -> Rules {
        let (timeout, retries, leader_restarts) = (self.timeout, self.retry, self.leader_restarts);
        Rules { timeout, retries, leader_restarts }
    }
}

impl Assignment {
    /// As the supervisor's plan has it.
    pub(crate) fn plan(all: &[Self]) -> Plan {
        let assigned = |own: &Self| {
            let task =
                |(name, input): (&String, &Json)| Task { name: name.clone(), input: input.clone() };
            Assigned {
                name: own.name.clone(),
                to: own.to.clone(),
                after: own.after.clone(),
                input: own.input.clone().unwrap_or_default(),
                tasks: own.tasks.iter().map(task).collect(),
            }
        };
        Plan { assignments: all.iter().map(assigned).collect() }
    }
}
