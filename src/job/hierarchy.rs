//! A hierarchy that a run file asks for: its agents' programs found, ready to become a run.
//!
//! # Invariants
//! - Everyone that the hierarchy names takes part, or it is not prepared.

use std::{collections::BTreeMap, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use actors::{
    agent::{
        AgentError, Behaviour, CallContext, Launcher, Part,
        handle::{Agent as Handle, AgentBuilder},
    },
    limits::EXCERPT_CHARS_MAX,
    pattern::hierarchy::{
        Errand, Hierarchy as Run, Report, Supervisor, Team, hierarchy,
        rollout::{Rollout, Standing, Strategy, Surveyed},
    },
};
use runtime::budget::Limits;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cast, JobError, StandIns,
    brief::BEFORE,
    cast,
    hiring::{Employer, Hiring},
};
use crate::{
    node::Node,
    runfile::{
        Agent, Assignment, Hierarchy as Pattern, Instanced, Name, Planning, Resolved,
        Team as TeamPattern, crew_of,
    },
};

/// A hierarchy of a run file.
#[derive(Debug)]
pub struct Hierarchy {
    /// Who takes part; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    /// Those that it names, then their fallbacks.
    agents: Vec<Agent>,
    pattern: Pattern,
    root: PathBuf,
    /// How its instances take each other's place, where it is a rollout.
    strategy: Option<Strategy>,
    deadline: Duration,
    limits: Limits,
    launcher: Launcher,
}

/// The agents of a hierarchy, by their names.
pub(super) type Crew = BTreeMap<String, Handle<Value, Value>>;

impl Hierarchy {
    /// Looks where the agents work, for a cast that is known; its programs are not looked for.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(resolved: &Resolved, launcher: &Launcher, cast: Cast) -> Result<Self, JobError> {
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let pattern = resolved.hierarchy(&resolved.main).ok_or_else(unknown)?.clone();
        let root = PathBuf::from(&pattern.path);
        if !root.is_dir() {
            return Err(JobError::NoFolder { path: root });
        }
        let names = pattern.names();
        if let Some(absent) = names.iter().find(|name| !cast.has(name)) {
            let skipped = cast.skipped.iter().find(|skipped| skipped.agent == absent.as_str());
            let reason = skipped.map(|skipped| skipped.reason.clone()).unwrap_or_default();
            let (hierarchy, agent) = (pattern.name.to_string(), absent.to_string());
            return Err(JobError::NoMember { hierarchy, agent, reason });
        }
        let strategy = match &pattern.planning {
            Planning::Rollout(rollout) => {
                let unknown = |_| JobError::Unknown { name: rollout.strategy.clone() };
                Some(rollout.strategy().map_err(unknown)?)
            }
            Planning::By(_) | Planning::Written(_) => None,
        };
        let agents = crew_of(&resolved.agents, &names);
        let agents = agents.into_iter().filter(|agent| cast.has(&agent.name));
        Ok(Self {
            agents: agents.map(|agent| cast::with_heir(agent, &cast, resolved)).collect(),
            cast,
            root,
            strategy,
            deadline: resolved.deadline,
            limits: Limits { messages: resolved.messages, ..Limits::default() },
            launcher: launcher.clone(),
            pattern,
        })
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        self.pattern.name.as_str()
    }

    /// What is to be done.
    pub fn mission(&self) -> &str {
        &self.pattern.mission
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Where the agents' programs work.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Starts the agents on `node`, or whoever stands in for them.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub(super) fn hire(&self, node: &Node, stand_ins: &dyn StandIns) -> Result<Crew, JobError> {
        let (root, launcher, hired) = (&*self.root, &self.launcher, BTreeMap::new());
        let (employer, agents) = (self, &*self.agents);
        let mut hiring = Hiring { employer, agents, node, stand_ins, root, launcher, hired };
        for name in self.pattern.names() {
            let unknown = || JobError::Unknown { name: name.to_string() };
            hiring.hire(name.as_str())?.ok_or_else(unknown)?;
        }
        Ok(hiring.hired)
    }

    /// Describes the run of these agents; `before` is what the patterns brought that it comes after.
    ///
    /// # Errors
    /// An agent is not among them, or the rollout cannot begin; a checked run file has each that it names.
    pub(super) fn pattern(&self, crew: &Crew, before: Option<Value>) -> Result<Run, String> {
        let mission = match before {
            None => json!(self.pattern.mission),
            Some(before) => json!({ "mission": self.pattern.mission, BEFORE: before }),
        };
        let run = hierarchy(mission, self.supervisor(crew)?);
        let run = run.name(self.name()).rules(self.pattern.rules());
        self.pattern.teams.iter().try_fold(run, |run, own| Ok(run.team(team(own, crew)?)))
    }

    fn supervisor(&self, crew: &Crew) -> Result<Supervisor, String> {
        let Pattern { planning, integrate, intervene, level, .. } = &self.pattern;
        let mut supervisor = match planning {
            Planning::By(agent) => Supervisor::planned_by(member(agent, crew)?),
            Planning::Written(all) => Supervisor::new(Assignment::plan(all)),
            Planning::Rollout(rollout) => {
                let strategy = self.strategy.clone().ok_or("the rollout has no strategy")?;
                match &rollout.instances {
                    Instanced::By(agent) => {
                        Supervisor::new(Surveyed::new(strategy)).plan_by(member(agent, crew)?)
                    }
                    Instanced::Written { old, new } => {
                        Supervisor::new(Rollout::new(old.clone(), new.clone(), strategy)?)
                    }
                }
            }
        };
        if let Some(agent) = integrate {
            supervisor = supervisor.integrate_by(member(agent, crew)?);
        }
        if let Some(agent) = intervene {
            supervisor = supervisor.intervene_by(member(agent, crew)?);
        }
        Ok(supervisor.level(*level))
    }
}

/// Whether all was done that a hierarchy was for: not where a rollout was taken back.
pub(super) fn is_whole(report: &Report) -> bool {
    Standing::of(report).is_none_or(|standing| standing == Standing::RolledOut)
}

fn member<'c>(name: &Name, crew: &'c Crew) -> Result<&'c Handle<Value, Value>, String> {
    crew.get(name.as_str()).ok_or_else(|| format!("this program has no `{name}`"))
}

/// A team as the run has it: its workers are told what came before their task too.
fn team(own: &TeamPattern, crew: &Crew) -> Result<Team, String> {
    let (restarts, period) = own.restarts;
    let team = Team::new(own.name.as_str()).specialisation(own.specialisation.as_str());
    let mut team = team.authority(own.authority).restarts(restarts, period);
    for (name, count) in &own.workers {
        team = team.workers_with(*count, member(name, crew)?, errand);
    }
    if let Some(leader) = &own.leader {
        team = team.led_by(member(leader, crew)?);
    }
    Ok(team)
}

/// What a worker's agent is given.
#[expect(clippy::unnecessary_wraps, reason = "as a team takes it")]
fn errand(errand: &Errand<'_>) -> Result<Value, String> {
    let Errand { assignment, task, input, before, attempt } = errand;
    Ok(json!({
        "act": "work",
        "assignment": assignment,
        "task": task,
        "input": input,
        BEFORE: before,
        "attempt": attempt,
    }))
}

impl Employer<Value, Value> for Hierarchy {
    fn employ(
        &self,
        name: &str,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Value, Value>> {
        let (name, root, strategy) = (name.into(), self.root.clone(), self.strategy.clone());
        Arc::new(Member { name, program, root, strategy })
    }

    /// A built-in agent looks at files, of which there are none.
    fn built_in(
        &self,
        _: &Agent,
        builtin: &str,
        _: &Node,
    ) -> Result<AgentBuilder<Value, Value>, JobError> {
        Err(JobError::Unknown { name: builtin.to_owned() })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, AgentError>> + Send>>;

/// A program that is given what there is to do as the data of a part.
struct Member {
    name: Arc<str>,
    program: Arc<dyn Behaviour<Part, Value>>,
    root: PathBuf,
    strategy: Option<Strategy>,
}

impl Behaviour<Value, Value> for Member {
    fn call(&self, data: Value, context: CallContext) -> Answer {
        let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, assignment, task) = (text("act"), text("assignment"), text("task"));
        let name = if task.is_empty() { assignment } else { format!("{assignment}/{task}") };
        let surveyed = self.strategy.clone().filter(|_| kind == "plan");
        let part = Part { name, kind, root: self.root.clone(), data, ..Part::default() };
        let work = self.program.call(part, context);
        let name = Arc::clone(&self.name);
        Box::pin(async move {
            let said = work.await?;
            match surveyed {
                None => Ok(said),
                Some(strategy) => planned(&name, &said, strategy),
            }
        })
    }

    fn rest(&self) {
        self.program.rest();
    }
}

/// The instances that an agent says there are and shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survey {
    #[serde(default)]
    old: Vec<String>,
    new: Vec<String>,
}

/// Makes the plan of a rollout of what an agent has surveyed.
fn planned(name: &str, said: &Value, strategy: Strategy) -> Result<Value, AgentError> {
    let Survey { old, new } = Survey::deserialize(said).map_err(|_| AgentError::Garbage {
        what: name.to_owned(),
        expected: "instances, as {\"old\": [\"v1-a\"], \"new\": [\"v2-a\"]}".to_owned(),
        excerpt: said.to_string().chars().take(EXCERPT_CHARS_MAX).collect(),
    })?;
    let refused = |reason| AgentError::Refused { reason };
    let rollout = Rollout::new(old, new, strategy).map_err(refused)?;
    Ok(json!(rollout.plan()))
}
