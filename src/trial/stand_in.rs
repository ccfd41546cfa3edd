//! Who stands in for the agents of a test: one actor's worth of behaviour each, that awaits only what its node offers.
//!
//! A call is answered by the test's mock for it; where that leaves it to the agent, by the built-in reviewer itself, on the
//! simulation's thread, or by the cassette.
//!
//! # Invariants
//! - The same call of the same run is answered alike: reviewers are pure, and their answers are kept.
//! - A request that a cassette does not know fails the test, not only the call.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use actors::agent::{AgentError, Behaviour, CallContext, Part};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use runtime::ask::AskError;
use serde_json::{Value, json};

use super::{
    cassette::{Cassette, Said, request},
    seen::Seen,
};
use crate::{
    job::{BuiltIn, JobError, Plan, StandIns, Work, built_in, built_in_of},
    runfile::{Agent, AgentKind, Mock, Saying, Test},
};

/// The stand-ins of one test, and what they know.
pub(super) struct Mocks {
    work: Work,
    roles: BTreeMap<String, Arc<Role>>,
    /// What reviewers said, by agent and files.
    kept: Mutex<BTreeMap<Reviewed, Result<Value, String>>>,
    /// Those of each pattern, where there are several.
    patterns: BTreeMap<String, Arc<Mocks>>,
}

/// An agent and the files that it reviewed.
type Reviewed = (String, Vec<String>);

/// What one agent does in a test.
struct Role {
    name: String,
    mocks: Vec<Mock>,
    own: Own,
    heartbeat: Option<Duration>,
}

/// An agent's own work, in a simulation.
enum Own {
    /// What a reviewer says of the same files is the same, and is kept.
    Review(BuiltIn),
    /// What is made of a document depends on what was made of it before.
    Document(BuiltIn),
    Recorded(Arc<Cassette>),
    /// That of a program that is mocked and was not recorded: it finds nothing, abstains, or gives on what it was given.
    Nothing,
}

impl Mocks {
    /// The stand-ins of a test's agents.
    ///
    /// # Errors
    /// [`JobError::Unknown`] for a built-in agent that there is not.
    pub(super) fn new(
        test: &Test,
        plan: &Plan,
        cassette: Option<Cassette>,
    ) -> Result<Self, JobError> {
        let cassette = cassette.map(Arc::new);
        let mut patterns = BTreeMap::new();
        if let Plan::Several(tasks) = plan {
            for task in tasks.iter() {
                let own = Self::alone(test, &task.work, cassette.as_ref())?;
                patterns.insert(task.name.clone(), Arc::new(own));
            }
        }
        Ok(Self { patterns, ..Self::alone(test, plan.main(), cassette.as_ref())? })
    }

    /// The stand-ins of the agents of one pattern.
    fn alone(test: &Test, work: &Work, cassette: Option<&Arc<Cassette>>) -> Result<Self, JobError> {
        let mut roles = BTreeMap::new();
        for agent in work.agents() {
            let name = agent.name.to_string();
            let recorded = cassette.filter(|cassette| cassette.has(&name));
            let own = match (&agent.kind, recorded) {
                (AgentKind::Builtin(of), _) => built_in_own(agent, of, work)?,
                (_, Some(cassette)) => Own::Recorded(Arc::clone(cassette)),
                (_, None) => Own::Nothing,
            };
            let mocks = test.mocks.get(&agent.name).cloned().unwrap_or_default();
            let heartbeat = agent.heartbeat();
            roles.insert(name.clone(), Arc::new(Role { name, mocks, own, heartbeat }));
        }
        Ok(Self { work: work.clone(), roles, kept: Mutex::default(), patterns: BTreeMap::new() })
    }

    /// What an agent has said, as its pattern reads it; ballots and documents are read by whoever asked.
    fn read(&self, agent: &str, said: Value, part: &Part) -> Result<Value, AgentError> {
        match &self.work {
            Work::Review(job) => job.read(agent, &said, part),
            Work::Vote(_) | Work::Pipeline(_) | Work::Swarm(_) | Work::Hierarchy(_) => Ok(said),
        }
    }

    /// What an agent says that has nothing to say.
    fn nothing(&self, part: &Part) -> Value {
        match &self.work {
            Work::Review(_) => json!({ "findings": [] }),
            Work::Vote(_) => json!({ "choice": null }),
            Work::Pipeline(_) | Work::Swarm(_) => part.data.clone(),
            Work::Hierarchy(_) => Value::Null,
        }
    }

    /// What a mock says in a text is read by the line where reviews are, as what a program prints is.
    fn said(&self, said: &Value) -> Value {
        match (&self.work, said.as_str()) {
            (Work::Review(_), Some(text)) => text.lines().collect(),
            (_, _) => said.clone(),
        }
    }

    /// The stand-ins in one world.
    pub(super) fn in_world(self: &Arc<Self>, seen: &Arc<Seen>) -> InWorld {
        InWorld { mocks: Arc::clone(self), seen: Arc::clone(seen) }
    }
}

impl std::fmt::Debug for Mocks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Mocks({:?})", self.roles.keys())
    }
}

/// The stand-ins of one test in one world.
pub(super) struct InWorld {
    mocks: Arc<Mocks>,
    seen: Arc<Seen>,
}

impl InWorld {
    /// Those of one of several patterns.
    pub(super) fn of_pattern(&self, pattern: &str) -> Option<Self> {
        Some(self.mocks.patterns.get(pattern)?.in_world(&self.seen))
    }
}

impl StandIns for InWorld {
    fn of(&self, pattern: &str) -> Option<Box<dyn StandIns>> {
        Some(Box::new(self.of_pattern(pattern)?))
    }

    fn in_place_of(&self, agent: &Agent) -> Option<Arc<dyn Behaviour<Part, Value>>> {
        let role = Arc::clone(self.mocks.roles.get(agent.name.as_str())?);
        let (mocks, seen) = (Arc::clone(&self.mocks), Arc::clone(&self.seen));
        Some(Arc::new(StandIn { role, mocks, seen }))
    }
}

/// Stands in for one agent.
#[derive(Clone)]
struct StandIn {
    role: Arc<Role>,
    mocks: Arc<Mocks>,
    seen: Arc<Seen>,
}

impl Behaviour<Part, Value> for StandIn {
    fn call(
        &self,
        part: Part,
        context: CallContext,
    ) -> BoxFuture<'static, Result<Value, AgentError>> {
        let stand_in = self.clone();
        Box::pin(async move { stand_in.answer(&part, &context).await })
    }
}

impl StandIn {
    async fn answer(&self, part: &Part, context: &CallContext) -> Result<Value, AgentError> {
        let number = self.seen.called(&self.role.name);
        let Some(mock) = self.role.mock(number, part) else {
            return self.own(part, context).await;
        };
        if let Some(slow) = mock.slow {
            let lingered = self.linger(slow, context).await;
            lingered.map_err(|error| AgentError::Refused { reason: error.to_string() })?;
        }
        match &mock.saying {
            Saying::Own => self.own(part, context).await,
            Saying::Says(said) => self.mocks.read(&self.role.name, self.mocks.said(said), part),
            Saying::Passes => Ok(part.data.clone()),
            Saying::Fails(words) => Err(AgentError::Failed { message: words.clone() }),
            Saying::Busy(after) => {
                Err(AgentError::Busy { reason: "its mock says so".to_owned(), after: *after })
            }
            Saying::Hang => pending().await,
            Saying::Panic => Err(AgentError::Panicked { message: "its mock says so".to_owned() }),
            Saying::Crash => Err(AgentError::Lost { reason: "its mock says so".to_owned() }),
        }
    }

    /// Takes its time, with the signs of life that its agent declares.
    async fn linger(&self, slow: Duration, context: &CallContext) -> Result<(), AskError> {
        let mut left = slow;
        while !left.is_zero() {
            let nap = self.role.heartbeat.map_or(left, |every| every.min(left));
            context.sleep(nap).await?;
            context.progress.alive();
            left -= nap;
        }
        Ok(())
    }

    async fn own(&self, part: &Part, context: &CallContext) -> Result<Value, AgentError> {
        let name = &self.role.name;
        match &self.role.own {
            Own::Review(review) => {
                let key = (name.clone(), part.files.clone());
                let kept = self.mocks.kept.lock().get(&key).cloned();
                let answer = kept.unwrap_or_else(|| {
                    let answer = review(part, context);
                    self.mocks.kept.lock().insert(key, answer.clone());
                    answer
                });
                answer.map_err(|message| AgentError::Failed { message })
            }
            Own::Document(work) => {
                work(part, context).map_err(|message| AgentError::Failed { message })
            }
            Own::Recorded(cassette) => {
                let request = request(part);
                let before = self.seen.requested(name, &request);
                match cassette.answer(name, &request, before, &part.root) {
                    Some(Said::Silent) => pending().await,
                    Some(Said::Answer(said)) => self.mocks.read(name, said, part),
                    Some(Said::Error(error)) => Err(error),
                    None => Err(self.unknown(part, &request)),
                }
            }
            Own::Nothing => self.mocks.read(name, self.mocks.nothing(part), part),
        }
    }

    /// The cassette does not know a request: it is of another time.
    fn unknown(&self, part: &Part, request: &str) -> AgentError {
        let reason = format!(
            "the cassette has no answer of agent `{}` to the request {request} (files: {}); record it anew by `synod test --record`",
            self.role.name,
            part.files.join(", ")
        );
        self.seen.broken(reason.clone());
        AgentError::Refused { reason }
    }
}

impl Role {
    /// The mock for a call, unless it is left to the agent; the last one is for all further calls.
    fn mock(&self, number: u64, part: &Part) -> Option<&Mock> {
        let last = self.mocks.len().checked_sub(1)?;
        let mock = self.mocks.get(usize::try_from(number).unwrap_or(last).min(last))?;
        // A voter is given no files.
        let has_file = part.files.is_empty() || part.files.iter().any(|file| mock.on.matches(file));
        let is_stage = mock.stage.as_ref().is_none_or(|stage| stage.as_str() == part.kind);
        (has_file && is_stage).then_some(mock)
    }
}

/// The own work of an agent that comes with Synod, on the thread of whoever calls it.
fn built_in_own(agent: &Agent, name: &str, work: &Work) -> Result<Own, JobError> {
    let unknown = || JobError::Unknown { name: name.to_owned() };
    match work {
        Work::Review(job) => Ok(Own::Review(built_in(agent, name, &job.files)?)),
        Work::Vote(_) | Work::Pipeline(_) | Work::Swarm(_) | Work::Hierarchy(_) => {
            Ok(Own::Document(built_in_of(name).ok_or_else(unknown)?))
        }
    }
}
