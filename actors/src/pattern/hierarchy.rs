//! hierarchy: a supervisor plans a mission, delegates it to teams, and puts together what they bring; leaders lead workers.
//!
//! [`hierarchy()`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator, which is the
//! supervisor's actor. Below it stands a leader's actor a team, below that an actor a worker: control goes down, progress comes up.
//!
//! # Invariants
//! - What a task came to is in the journal before anything follows from it; a task is accepted once. There is no barrier: an
//!   assignment begins when those that it is after have ended, and waits for no other.
//! - What fails goes up level by level: a worker is started again, then its leader decides, then the supervisor, then the run ends.
//! - A leader that ends is started again, and its team goes on with what is not done.

mod board;
mod coordinator;
mod crew;
mod decision;
mod journal;
mod leader;
mod link;
mod plan;
mod record;
mod report;
mod results;
pub mod rollout;
mod supervise;
mod team;
mod worker;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use runtime::retry::Retries;
use serde_json::Value;

pub use decision::{
    Decider, Decision, DecisionLevel, Failure, Happened, Monitor, Progress, Subject,
};
pub use journal::{Recount, recount};
pub use link::Errand;
pub use plan::{Assignment, Delegation, Plan, Task};
pub use record::{Decided, Record, TeamBegan};
pub use report::{AssignmentEnd, AssignmentReport, Report, TaskEnd, TaskReport};
pub use results::{Results, TeamResult};
pub use supervise::{Supervise, Supervisor, TeamCard};
pub use team::{ByTheBook, Lead, Offer, Team};

use coordinator::Coordinator;

use super::PatternKind;
use crate::{
    dispatch::{Coordination, Launch, Pattern},
    limits::{ATTEMPT_TIMEOUT_DEFAULT, LEADER_RESTART_PERIOD, LEADER_RESTARTS, TEAMS_MAX},
};

/// What holds for all teams of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The time that each call of an agent may take; an agent's own time may be shorter. Five minutes by default.
    pub timeout: Duration,
    /// As far as these allow it, a [failure](Failure) may be retried, after their wait; three attempts by default.
    pub retries: Retries,
    /// How often leaders are started again, all together, within which time; then the supervisor decides. Three times within a
    /// minute by default.
    pub leader_restarts: (u32, Duration),
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            timeout: ATTEMPT_TIMEOUT_DEFAULT,
            retries: Retries::default(),
            leader_restarts: (LEADER_RESTARTS, LEADER_RESTART_PERIOD),
        }
    }
}

/// A run of a hierarchy before it starts.
#[must_use = "a hierarchy starts when it is run"]
pub struct Hierarchy(Scheme);

/// Describes a run: `supervisor` plans the mission for the teams that are added, and puts together what they bring.
///
/// ```
/// use std::time::Duration;
/// use runtime::node::Node;
/// use serde_json::{Value, json};
/// use synod_actors::{
///     pattern::hierarchy::{Assignment, Delegation, Plan, Team, TeamCard, hierarchy},
///     system::AgentSystem,
/// };
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let builder = system.agent("builder", |target: String, _| async move { Ok::<_, String>(format!("{target}.tar")) });
/// let shipper = system.agent("shipper", |files: Vec<String>, _| async move { Ok::<_, String>(files.len()) });
/// let (builder, shipper) = (builder.count(2).start()?, shipper.start()?);
///
/// let plan = |mission: &Value, _: &[TeamCard]| {
///     let targets = mission.as_array().ok_or("a mission is a list of targets")?;
///     let build = Assignment::new("build", Delegation::specialisation("compilers"));
///     let build = targets.iter().fold(build, |build, target| build.task(target.as_str().unwrap_or(""), target.clone()));
///     let ship = Assignment::new("ship", Delegation::team("shipping")).after(["build"]).task("all", json!(null));
///     Ok(Plan::new().assign(build).assign(ship))
/// };
/// let run = hierarchy(json!(["x86", "arm"]), plan)
///     .team(Team::new("building").specialisation("compilers").workers(2, &builder))
///     .team(Team::new("shipping").workers_with(1, &shipper, |errand| {
///         let built = errand.before.get("build").ok_or("nothing was built")?;
///         Ok(built.outputs.iter().filter_map(|(_, file)| file.as_str().map(str::to_owned)).collect())
///     }));
/// let done = system.run(run).deadline(Duration::from_secs(60)).await?;
/// assert_eq!(done.value.output, json!({ "build": { "x86": "x86.tar", "arm": "arm.tar" }, "ship": { "all": 2 } }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hierarchy(mission: impl Into<Value>, supervisor: impl Into<Supervisor>) -> Hierarchy {
    Hierarchy(Scheme {
        name: PatternKind::Hierarchy.as_str().to_owned(),
        mission: Arc::new(mission.into()),
        supervisor: supervisor.into(),
        teams: Vec::new(),
        rules: Rules::default(),
        monitor: None,
    })
}

impl Hierarchy {
    /// Sets what the run is called in listings.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Adds a team.
    pub fn team(mut self, team: Team) -> Self {
        self.0.teams.push(team);
        self
    }

    /// Sets what holds for all teams.
    pub const fn rules(mut self, rules: Rules) -> Self {
        self.0.rules = rules;
        self
    }

    /// Has all that leaders report seen by `monitor`, which may intervene.
    pub fn monitor(mut self, monitor: impl Monitor) -> Self {
        self.0.monitor = Some(Arc::new(monitor));
        self
    }
}

impl Pattern for Hierarchy {
    type Output = Report;

    fn launch(self, launch: Launch<Report>) -> Coordination {
        let scheme = Arc::new(self.0);
        launch.start(PatternKind::Hierarchy, move |brief, outcome| {
            Coordinator::new(brief, Arc::clone(&scheme), outcome)
        })
    }
}

impl fmt::Debug for Hierarchy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hierarchy({:?}, {:?})", self.0.supervisor, self.0.teams)
    }
}

/// What a run does: the same for its supervisor and its leaders.
struct Scheme {
    name: String,
    mission: Arc<Value>,
    supervisor: Supervisor,
    teams: Vec<Team>,
    rules: Rules,
    monitor: Option<Arc<dyn Monitor>>,
}

impl Scheme {
    fn team(&self, team: u32) -> Option<&Team> {
        self.teams.get(team as usize)
    }

    fn began(&self) -> Vec<TeamBegan> {
        let workers = |team: &Team| team.workers.iter().map(|own| own.name.to_string()).collect();
        let team = |team: &Team| TeamBegan { name: team.name.to_string(), workers: workers(team) };
        self.teams.iter().map(team).collect()
    }

    fn workers(&self) -> usize {
        self.teams.iter().map(|team| team.workers.len()).sum()
    }

    /// Everything that is wrong with it.
    ///
    /// # Errors
    /// All of it, with what to change.
    fn check(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        match self.teams.len() {
            0 => problems.push("a hierarchy has no teams; give it one at the least".to_owned()),
            count if count > TEAMS_MAX => {
                problems.push(format!(
                    "a hierarchy has {count} teams; at most {TEAMS_MAX} are possible"
                ));
            }
            _ => {}
        }
        let mut names = BTreeSet::new();
        for team in &self.teams {
            problems.extend(team.problems());
            if !names.insert(&team.name) {
                problems.push(format!(
                    "two teams are called `{}`; give them names of their own",
                    team.name
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}
