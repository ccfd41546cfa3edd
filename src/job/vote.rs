//! A vote that a run file asks for: its voters' programs found, ready to be opened.
//!
//! # Invariants
//! - A voter that cannot take part stays in the electorate, and is absent with its reason.

use std::{
    collections::BTreeMap, num::NonZeroUsize, path::PathBuf, pin::Pin, sync::Arc, time::Duration,
};

use actors::{
    agent::{
        AgentError, Behaviour, CallContext, CommandAgent, Launcher, Part, ProcessAgent,
        handle::{Agent as Handle, AgentBuilder},
    },
    limits::EXCERPT_CHARS_MAX,
    pattern::consensus::{Consensus, Method, Opinion, Request, consensus},
};
use runtime::budget::Limits;
use serde_json::Value;

use super::{Cast, JobError, agents, cast};
use crate::{
    node::Node,
    runfile::{Agent, AgentKind, Consensus as Pattern, Name, Resolved, crew_of},
};

/// A vote of a run file.
#[derive(Debug)]
pub struct Vote {
    /// Who takes part; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    /// The voters' agents, then their fallbacks.
    agents: Vec<Agent>,
    pattern: Pattern,
    root: PathBuf,
    deadline: Duration,
    limits: Limits,
    launcher: Launcher,
}

impl Vote {
    /// Finds out who takes part; `before` is the cast of the run that is resumed, if it is.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn prepare(
        resolved: &Resolved,
        launcher: &Launcher,
        before: Option<&Cast>,
    ) -> Result<Self, JobError> {
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let pattern = resolved.vote(&resolved.main).ok_or_else(unknown)?.clone();
        let agents = crew_of(&resolved.agents, &pattern.names());
        let cast = match before {
            Some(before) => cast::as_before(&agents, before)?,
            None => cast::cast(&agents, &|_| false)?,
        };
        let root = PathBuf::from(&pattern.path);
        if !root.is_dir() {
            return Err(JobError::NoFolder { path: root });
        }
        let agents = agents.into_iter().filter(|agent| cast.has(&agent.name));
        Ok(Self {
            agents: agents.map(|agent| cast::with_heir(agent, &cast, resolved)).collect(),
            cast,
            root,
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

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Where the voters' programs work.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Starts the agents on `node` and describes the run.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn start(&self, node: &Node) -> Result<Consensus, JobError> {
        let Pattern { name, question, voters, rules, seed, within, retry, .. } = &self.pattern;
        let mut hired = BTreeMap::new();
        let mut electorate = Vec::with_capacity(voters.len());
        for voter in voters {
            let agent = self.agents.iter().find(|agent| agent.name.as_str() == voter.id);
            let agent = match agent {
                Some(agent) => self.hire(agent, node, &mut hired)?,
                None => self.absent(&voter.id, node)?,
            };
            electorate.push((voter.clone(), agent));
        }
        let mut vote = consensus(self.pattern.proposal(question.as_str()), electorate);
        vote = vote.name(name.as_str()).rules(rules.clone()).retries(*retry);
        if let Some(within) = within {
            vote = vote.within(*within);
        }
        Ok(match seed {
            Some(seed) => vote.seed(*seed),
            None => vote,
        })
    }

    /// Starts one agent, unless it was, and before it those that stand behind it.
    fn hire(&self, agent: &Agent, node: &Node, hired: &mut Hired) -> Result<Voter, JobError> {
        if let Some(handle) = hired.get(agent.name.as_str()) {
            return Ok(handle.clone());
        }
        let heir = agent.fallback.as_ref();
        let heir = heir.and_then(|name: &Name| self.agents.iter().find(|one| one.name == *name));
        let heir = heir.map(|heir| self.hire(heir, node, hired)).transpose()?;
        let mut builder = self.builder(agent, node)?.timeout(agent.timeout);
        if let Some(every) = agent.heartbeat() {
            builder = builder.heartbeat(every);
        }
        if let Some(heir) = &heir {
            builder = builder.fallback(heir);
        }
        let handle = builder.start()?;
        hired.insert(agent.name.to_string(), handle.clone());
        Ok(handle)
    }

    fn builder(&self, agent: &Agent, node: &Node) -> Result<Builder, JobError> {
        let wrong = |why| JobError::Agent { agent: agent.name.to_string(), why };
        let count = agent.count.map_or(1, NonZeroUsize::get);
        let concurrency = agent.concurrency.get();
        let name = agent.name.as_str();
        match &agent.kind {
            AgentKind::Command(command) => {
                let program =
                    agents::program(agents::argv(&command.argv), &command.sandbox, agent.timeout);
                let reads = agents::reads(command.reads);
                let inner =
                    CommandAgent::new(program, reads, command.exit_ok.clone(), &self.launcher);
                let voting = self.voting(name, Arc::new(inner.map_err(wrong)?));
                let builder = node.system().agent_of(name, voting).count(count);
                Ok(builder.concurrency(u32::try_from(concurrency).unwrap_or(u32::MAX)))
            }
            AgentKind::Process(process) => {
                // A program answers one request at a time, so `concurrency` is more of them.
                let count = count.saturating_mul(concurrency);
                let program =
                    agents::program(process.argv.clone(), &process.sandbox, agent.timeout);
                let instance = || -> Result<Arc<dyn Behaviour<Request, Opinion>>, JobError> {
                    let inner = ProcessAgent::new(program.clone(), &self.root, &self.launcher);
                    Ok(self.voting(name, Arc::new(inner.map_err(wrong)?)))
                };
                let instances = (0..count).map(|_| instance()).collect::<Result<Vec<_>, _>>()?;
                let first = instance()?;
                let make = move |at: usize| Arc::clone(instances.get(at).unwrap_or(&first));
                Ok(node.system().agent_each(name, make).count(count))
            }
            AgentKind::Builtin(name) => Err(JobError::Unknown { name: name.clone() }),
            AgentKind::Actor(actor) => Err(JobError::Unknown { name: actor.name.clone() }),
        }
    }

    fn voting(
        &self,
        name: &str,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Request, Opinion>> {
        Arc::new(Voting {
            name: name.into(),
            program,
            root: self.root.clone(),
            method: self.pattern.rules.method,
            choices: self.pattern.choices.clone().into(),
        })
    }

    /// Stands for a voter that does not take part.
    fn absent(&self, voter: &str, node: &Node) -> Result<Voter, JobError> {
        let skipped = self.cast.skipped.iter().find(|skipped| skipped.agent == voter);
        let reason = skipped.map_or_else(|| "it is not there".to_owned(), |one| one.reason.clone());
        let absent = Arc::new(Absent { reason });
        Ok(node.system().agent_of(voter, absent).start()?)
    }
}

type Voter = Handle<Request, Opinion>;
type Builder = AgentBuilder<Request, Opinion>;
type Hired = BTreeMap<String, Voter>;
type Answer = Pin<Box<dyn Future<Output = Result<Opinion, AgentError>> + Send>>;

/// A program whose answers are read as opinions, so that garbage is the program's failure.
struct Voting {
    name: Arc<str>,
    program: Arc<dyn Behaviour<Part, Value>>,
    root: PathBuf,
    method: Method,
    choices: Arc<[String]>,
}

impl Behaviour<Request, Opinion> for Voting {
    fn call(&self, request: Request, context: CallContext) -> Answer {
        let data = serde_json::to_value(&request);
        let part = Part {
            id: request.round,
            name: request.voter,
            kind: "vote".to_owned(),
            root: self.root.clone(),
            data: data.unwrap_or_default(),
            ..Part::default()
        };
        let work = self.program.call(part, context);
        let (name, method, choices) =
            (Arc::clone(&self.name), self.method, Arc::clone(&self.choices));
        Box::pin(async move {
            let said = work.await?;
            Opinion::read(&said, method, &choices).map_err(|expected| AgentError::Garbage {
                what: name.to_string(),
                expected,
                excerpt: said.to_string().chars().take(EXCERPT_CHARS_MAX).collect(),
            })
        })
    }

    fn rest(&self) {
        self.program.rest();
    }
}

/// A voter that cannot take part, and why.
struct Absent {
    reason: String,
}

impl Behaviour<Request, Opinion> for Absent {
    fn call(&self, _: Request, _: CallContext) -> Answer {
        let reason = self.reason.clone();
        Box::pin(async move { Err(AgentError::Refused { reason }) })
    }
}
