//! A vote that a run file asks for: its voters' programs found, ready to be opened.
//!
//! # Invariants
//! - A voter that cannot take part stays in the electorate, and is absent with its reason.

use std::{collections::BTreeMap, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use actors::{
    agent::{
        AgentError, Behaviour, CallContext, Launcher, Part,
        handle::{Agent as Handle, AgentBuilder},
    },
    limits::EXCERPT_CHARS_MAX,
    pattern::consensus::{Consensus, Method, Opinion, Request, Voter as Elector, consensus},
};
use runtime::budget::Limits;
use serde_json::Value;

use super::{
    Cast, JobError, StandIns, cast,
    hiring::{Employer, Hiring},
};
use crate::{
    node::Node,
    runfile::{Agent, Consensus as Pattern, Resolved, crew_of},
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
    /// Looks where the voters work, for a cast that is known; its programs are not looked for.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(resolved: &Resolved, launcher: &Launcher, cast: Cast) -> Result<Self, JobError> {
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let pattern = resolved.vote(&resolved.main).ok_or_else(unknown)?.clone();
        let agents = crew_of(&resolved.agents, &pattern.names());
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

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Starts the agents on `node`, or whoever stands in for them, and gives the electorate that they are.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub(super) fn hire(
        &self,
        node: &Node,
        stand_ins: &dyn StandIns,
    ) -> Result<Electorate, JobError> {
        let voters = &self.pattern.voters;
        let (root, launcher, hired) = (&*self.root, &self.launcher, BTreeMap::new());
        let (employer, agents) = (self, &*self.agents);
        let mut hiring = Hiring { employer, agents, node, stand_ins, root, launcher, hired };
        let mut electorate = Vec::with_capacity(voters.len());
        for voter in voters {
            let agent = match hiring.hire(&voter.id)? {
                Some(agent) => agent,
                None => self.absent(&voter.id, node)?,
            };
            electorate.push((voter.clone(), agent));
        }
        Ok(electorate)
    }

    /// Describes the run of this electorate; `data` is what it needs to know besides the question.
    pub(super) fn pattern(&self, electorate: &Electorate, data: Value) -> Consensus {
        let Pattern { name, question, rules, seed, within, retry, .. } = &self.pattern;
        let proposal = self.pattern.proposal(question.as_str()).data(data);
        let electorate = electorate.iter().map(|(voter, agent)| (voter.clone(), agent));
        let mut vote = consensus(proposal, electorate);
        vote = vote.name(name.as_str()).rules(rules.clone()).retries(*retry);
        if let Some(within) = within {
            vote = vote.within(*within);
        }
        match seed {
            Some(seed) => vote.seed(*seed),
            None => vote,
        }
    }

    /// Stands for a voter that does not take part.
    fn absent(&self, voter: &str, node: &Node) -> Result<Voter, JobError> {
        let skipped = self.cast.skipped.iter().find(|skipped| skipped.agent == voter);
        let reason = skipped.map_or_else(|| "it is not there".to_owned(), |one| one.reason.clone());
        let absent = Arc::new(Absent { reason });
        Ok(node.system().agent_of(voter, absent).start()?)
    }
}

impl Employer<Request, Opinion> for Vote {
    fn employ(
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

    /// A built-in reviewer finds, it does not choose.
    fn built_in(
        &self,
        _: &Agent,
        builtin: &str,
        _: &Node,
    ) -> Result<AgentBuilder<Request, Opinion>, JobError> {
        Err(JobError::Unknown { name: builtin.to_owned() })
    }
}

/// Who votes, each with the agent that does.
pub(super) type Electorate = Vec<(Elector, Voter)>;

type Voter = Handle<Request, Opinion>;
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
