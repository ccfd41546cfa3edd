//! Who takes part in a run: found out when it begins, kept with it, and checked when it is taken up again.

use std::collections::BTreeMap;

use actors::agent::{NoProgram, probe};
use review::source::Commits;
use serde::{Deserialize, Serialize};

use super::{Ground, JobError};
use crate::runfile::{Agent, AgentKind, Argument, Name, Resolved};

/// Who takes part in a run, and on what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// The agents, in the order of the pattern, then those that stand behind them as fallbacks.
    pub agents: Vec<String>,
    /// The agents that do not take part, each with its reason.
    pub skipped: Vec<SkippedAgent>,
    /// The commits of a diff.
    pub commits: Option<Commits>,
    /// The documents of a pipeline, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// What a swarm is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Ground>,
    /// Who takes part in each pattern, and on what, where several come after each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patterns: BTreeMap<String, Cast>,
}

impl Cast {
    /// Whether an agent takes part.
    pub fn has(&self, agent: &Name) -> bool {
        self.agents.iter().any(|name| name == agent.as_str())
    }

    /// Who of these takes part, as nobody else's work is looked at.
    pub(super) fn of(&self, crew: &[&Agent]) -> Self {
        let is_own = |name: &str| crew.iter().any(|agent| agent.name.as_str() == name);
        let agents = self.agents.iter().filter(|name| is_own(name));
        let skipped = self.skipped.iter().filter(|skipped| is_own(&skipped.agent));
        Self {
            agents: agents.cloned().collect(),
            skipped: skipped.cloned().collect(),
            ..Self::default()
        }
    }
}

/// An agent that does not take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedAgent {
    /// Its name in the run file.
    pub agent: String,
    /// Why, and what to do to have it.
    pub reason: String,
}

/// Says who takes part: as `before`, if this is a run that is resumed, else whoever can now.
pub(super) fn now_or(agents: &[&Agent], before: Option<&Cast>) -> Result<Cast, JobError> {
    match before {
        Some(before) => as_before(agents, before),
        None => cast(agents, &|_| false),
    }
}

/// Says who can take part now; the programs of agents that are `mocked` are not looked for.
pub(super) fn cast(agents: &[&Agent], mocked: &dyn Fn(&Agent) -> bool) -> Result<Cast, JobError> {
    let mut cast = Cast::default();
    for agent in agents {
        let name = agent.name.to_string();
        let absence = reason_to_skip(agent).filter(|_| !mocked(agent));
        match absence.filter(|absence| !is_replaced(agent, absence, agents, mocked)) {
            None => cast.agents.push(name),
            Some(Absence::NoProgram(source)) if !agent.optional => {
                return Err(JobError::NoProgram { agent: name, why: source });
            }
            Some(absence) => {
                cast.skipped.push(SkippedAgent { reason: absence.reason(&name), agent: name });
            }
        }
    }
    Ok(cast)
}

/// Takes the cast of a run that is resumed, if all of it can still take part.
fn as_before(agents: &[&Agent], before: &Cast) -> Result<Cast, JobError> {
    for name in &before.agents {
        let changed = |reason| JobError::Changed { agent: name.clone(), reason };
        let agent = agents.iter().find(|agent| agent.name.as_str() == name);
        let agent = agent.ok_or_else(|| changed("it is not in the run file".to_owned()))?;
        let absence = reason_to_skip(agent);
        if let Some(absence) =
            absence.filter(|absence| !is_replaced(agent, absence, agents, &|_| false))
        {
            return Err(changed(absence.reason(name)));
        }
    }
    Ok(before.clone())
}

/// An agent as it takes part: behind it the next of its chain that takes part too.
pub(super) fn with_heir(agent: &Agent, cast: &Cast, resolved: &Resolved) -> Agent {
    let behind = |name: &Name| resolved.agent(name)?.fallback.clone();
    let mut chain = std::iter::successors(agent.fallback.clone(), behind);
    Agent { fallback: chain.find(|heir| cast.has(heir)), ..agent.clone() }
}

/// Whether an agent without a program takes part all the same, since a fallback does its parts.
fn is_replaced(
    agent: &Agent,
    absence: &Absence,
    agents: &[&Agent],
    mocked: &dyn Fn(&Agent) -> bool,
) -> bool {
    let behind = |agent: &&Agent| {
        let name = agent.fallback.as_ref()?;
        agents.iter().copied().find(|other| other.name == *name)
    };
    let mut chain = std::iter::successors(behind(&agent), behind);
    matches!(absence, Absence::NoProgram(_))
        && chain.any(|heir| mocked(heir) || reason_to_skip(heir).is_none())
}

/// Why an agent does not take part.
enum Absence {
    Untrusted,
    NoProgram(NoProgram),
}

impl Absence {
    fn reason(&self, agent: &str) -> String {
        match self {
            Self::Untrusted => format!(
                "it runs the code that it looks at; `--set agents.{agent}.trusted=true` lets it"
            ),
            Self::NoProgram(why) => why.to_string(),
        }
    }
}

fn reason_to_skip(agent: &Agent) -> Option<Absence> {
    if !agent.trusted {
        return Some(Absence::Untrusted);
    }
    let program = match &agent.kind {
        AgentKind::Builtin(_) | AgentKind::Actor(_) => return None,
        AgentKind::Command(command) => match command.argv.first() {
            Some(Argument::Text(program)) => program,
            Some(Argument::Files) | None => return None,
        },
        AgentKind::Process(process) => process.argv.first()?,
    };
    probe(program).err().map(Absence::NoProgram)
}
