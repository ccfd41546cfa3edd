//! Agents of a run file on a node, whatever their pattern is: programs behind the launcher, each with those that stand behind it.
//!
//! # Invariants
//! - An agent is started once, after the one that it falls back on.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path, sync::Arc};

use actors::agent::{
    Behaviour, CommandAgent, Launcher, Part, ProcessAgent,
    handle::{Agent as Handle, AgentBuilder},
};
use serde_json::Value;

use super::{JobError, StandIns, agents};
use crate::{
    node::Node,
    runfile::{Agent, AgentKind, Command, Name, Process},
};

/// What agents are to a pattern.
pub(super) trait Employer<I, O> {
    /// Stands between a program and the pattern: makes parts of inputs, and outputs of what it says.
    fn employ(
        &self,
        name: &str,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<I, O>>;

    /// An agent that comes with Synod.
    ///
    /// # Errors
    /// [`JobError::Unknown`] when the pattern has no such agent.
    fn built_in(
        &self,
        agent: &Agent,
        builtin: &str,
        node: &Node,
    ) -> Result<AgentBuilder<I, O>, JobError>;
}

/// The agents of one pattern on their way into a node.
pub(super) struct Hiring<'a, I, O> {
    pub(super) employer: &'a dyn Employer<I, O>,
    /// Those that the pattern names, then their fallbacks.
    pub(super) agents: &'a [Agent],
    pub(super) node: &'a Node,
    pub(super) stand_ins: &'a dyn StandIns,
    /// Where programs work.
    pub(super) root: &'a Path,
    pub(super) launcher: &'a Launcher,
    /// Those that were started.
    pub(super) hired: BTreeMap<String, Handle<I, O>>,
}

impl<I: Clone + Send + 'static, O: Send + 'static> Hiring<'_, I, O> {
    /// Starts one agent, unless it was, and before it those that stand behind it; none where it does not take part.
    pub(super) fn hire(&mut self, name: &str) -> Result<Option<Handle<I, O>>, JobError> {
        if let Some(handle) = self.hired.get(name) {
            return Ok(Some(handle.clone()));
        }
        let agents = self.agents;
        let Some(agent) = agents.iter().find(|agent| agent.name.as_str() == name) else {
            return Ok(None);
        };
        let heir = agent.fallback.as_ref().map(Name::as_str);
        let heir = heir.map(|heir| self.hire(heir)).transpose()?.flatten();
        let mut builder = match (self.stand_ins.in_place_of(agent), &agent.kind) {
            (Some(stand_in), _) => {
                agents::in_place(agent, self.employer.employ(name, stand_in), self.node)
            }
            (None, AgentKind::Builtin(builtin)) => {
                self.employer.built_in(agent, builtin, self.node)?
            }
            (None, AgentKind::Command(command)) => self.command(agent, command)?,
            (None, AgentKind::Process(process)) => self.process(agent, process)?,
            (None, AgentKind::Actor(actor)) => {
                return Err(JobError::Unknown { name: actor.name.clone() });
            }
        };
        builder = agents::guarded(builder.timeout(agent.timeout), agent);
        if let Some(heir) = &heir {
            builder = builder.fallback(heir);
        }
        let handle = builder.start()?;
        self.hired.insert(name.to_owned(), handle.clone());
        Ok(Some(handle))
    }

    fn employ(
        &self,
        agent: &Agent,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<I, O>> {
        self.employer.employ(agent.name.as_str(), self.stand_ins.beside(agent, program))
    }

    fn command(&self, agent: &Agent, command: &Command) -> Result<AgentBuilder<I, O>, JobError> {
        let program = agents::program(agents::argv(&command.argv), &command.sandbox, agent.timeout);
        let reads = agents::reads(command.reads);
        let inner = CommandAgent::new(program, reads, command.exit_ok.clone(), self.launcher);
        let inner = inner.map_err(|why| JobError::Agent { agent: agent.name.to_string(), why })?;
        let employed = self.employ(agent, Arc::new(inner));
        let builder = self.node.system().agent_of(agent.name.as_str(), employed);
        Ok(builder.count(count(agent)).concurrency(agents::concurrency(agent)))
    }

    /// A program answers one request at a time, so `concurrency` is more of them.
    fn process(&self, agent: &Agent, process: &Process) -> Result<AgentBuilder<I, O>, JobError> {
        let wrong = |why| JobError::Agent { agent: agent.name.to_string(), why };
        let count = count(agent).saturating_mul(agent.concurrency.get());
        let program = agents::program(process.argv.clone(), &process.sandbox, agent.timeout);
        let instance = || -> Result<Arc<dyn Behaviour<I, O>>, JobError> {
            let inner = ProcessAgent::new(program.clone(), self.root, self.launcher);
            let inner = Arc::new(inner.map_err(wrong)?);
            Ok(self.employ(agent, inner))
        };
        let instances = (0..count).map(|_| instance()).collect::<Result<Vec<_>, _>>()?;
        let first = instance()?;
        let make = move |at: usize| Arc::clone(instances.get(at).unwrap_or(&first));
        Ok(self.node.system().agent_each(agent.name.as_str(), make).count(count))
    }
}

fn count(agent: &Agent) -> usize {
    agent.count.map_or(1, NonZeroUsize::get)
}
