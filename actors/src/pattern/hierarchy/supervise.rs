//! The supervisor's three acts: to plan, to put the results together, to intervene. Each by a Rust value or by an agent.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Decision, DecisionLevel, Failure, Plan, Results, Team, link::links, team::Member};
use crate::{agent::handle::Agent, pattern::link::taken};

/// What a supervisor does where no agent does it for it.
///
/// It is asked in a step of the supervisor's actor: it computes for a moment, and waits for nothing. A panic is a failure of the act.
pub trait Supervise: Send + Sync + 'static {
    /// Makes a plan of the mission for the teams that there are.
    ///
    /// # Errors
    /// Why there is none: the run then ends.
    fn plan(&self, mission: &Value, teams: &[TeamCard]) -> Result<Plan, String>;

    /// Takes note of the plan that the run has, whoever made it, and in whichever life of the run.
    fn planned(&self, plan: &Plan) {
        let _ = plan;
    }

    /// Makes of what the assignments came to what the run comes to; by default their [outputs](Results::outputs).
    ///
    /// # Errors
    /// Why nothing can be made of them: it is then asked to intervene, in [`Subject::Mission`](super::Subject::Mission).
    fn integrate(&self, mission: &Value, results: &Results) -> Result<Value, String> {
        let _ = mission;
        Ok(results.outputs())
    }

    /// Decides on a failure that no leader could decide on; by default to abort.
    fn intervene(&self, failure: &Failure) -> Decision {
        Decision::Abort { why: failure.why() }
    }
}

/// A supervisor that has this plan.
impl Supervise for Plan {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Ok(self.clone())
    }
}

/// A supervisor that plans so.
impl<F> Supervise for F
where
    F: Fn(&Value, &[TeamCard]) -> Result<Plan, String> + Send + Sync + 'static,
{
    fn plan(&self, mission: &Value, teams: &[TeamCard]) -> Result<Plan, String> {
        self(mission, teams)
    }
}

/// A team, as whoever plans sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TeamCard {
    /// Its name.
    pub name: String,
    /// What it is good at.
    pub specialisation: String,
    /// Its workers.
    pub workers: usize,
    /// Whether its leader has an agent, which does assignments without tasks.
    pub has_leader: bool,
    /// What its leader may decide alone.
    pub authority: DecisionLevel,
}

impl From<&Team> for TeamCard {
    fn from(team: &Team) -> Self {
        Self {
            name: team.name.to_string(),
            specialisation: team.specialisation.to_string(),
            workers: team.workers.len(),
            has_leader: team.led_by.is_some(),
            authority: team.authority,
        }
    }
}

/// What a supervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Act {
    Plan,
    Integrate,
    Intervene,
}

impl Act {
    /// Its word, in what agents are given, and as the name of the actor by which they are asked.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Integrate => "integrate",
            Self::Intervene => "intervene",
        }
    }
}

/// A supervisor before the run starts: a value that can [`Supervise`], or agents in its place.
#[derive(Clone)]
#[must_use = "a supervisor works where a hierarchy has it"]
pub struct Supervisor {
    pub(super) own: Arc<dyn Supervise>,
    /// Agents in the place of its own acts.
    pub(super) agents: Vec<(Act, Member)>,
    pub(super) level: DecisionLevel,
}

impl Supervisor {
    /// A supervisor that does all by itself and may decide anything.
    pub fn new(own: impl Supervise) -> Self {
        Self { own: Arc::new(own), agents: Vec::new(), level: DecisionLevel::Abort }
    }

    /// A supervisor whose plans an agent makes; see [`plan_by`](Self::plan_by).
    pub fn planned_by<I, O>(agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        Self::new(Plan::new()).plan_by(agent)
    }

    /// Has an agent plan: it gets `{"act": "plan", "mission": .., "teams": [..]}` and says a [`Plan`].
    pub fn plan_by<I, O>(self, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.by(Act::Plan, agent)
    }

    /// Has an agent put the results together: it gets `{"act": "integrate", "mission": .., "results": ..}` and says the output.
    pub fn integrate_by<I, O>(self, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.by(Act::Integrate, agent)
    }

    /// Has an agent decide on failures: it gets `{"act": "intervene", "failure": ..}` and says a [`Decision`]. Where it fails
    /// itself, the run ends.
    pub fn intervene_by<I, O>(self, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.by(Act::Intervene, agent)
    }

    /// Says what it may decide; what is above ends the run. Anything by default.
    pub fn level(mut self, level: DecisionLevel) -> Self {
        self.level = level;
        self
    }

    fn by<I, O>(mut self, act: Act, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        let links = links(agent, |errand| taken(errand.input));
        self.agents.retain(|(other, _)| *other != act);
        self.agents.push((act, Member { name: act.as_str().into(), links }));
        self
    }
}

impl<S: Supervise> From<S> for Supervisor {
    fn from(own: S) -> Self {
        Self::new(own)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acts: Vec<&str> = self.agents.iter().map(|(act, _)| act.as_str()).collect();
        write!(out, "Supervisor(may {}, agents {acts:?})", self.level)
    }
}
