//! A link of a worker's chain: an agent, whatever its types are, that is given tasks and answers with JSON.
//!
//! # Invariants
//! - Code of the user that turns tasks into inputs may panic; that is the call's failure.

use std::{sync::Arc, time::Duration};

use protocol::TaskId;
use runtime::{budget::Budget, clock::Moment, context::Cx};
use serde::Serialize;
use serde_json::Value;

use super::{
    Results,
    worker::{self, Worker},
};
use crate::{
    agent::{below::Origin, call::ProgressSink, handle::Agent, slot::Work},
    guard::guarded,
    pattern::link::{self, AnyAgent},
    roster::Lease,
};

/// A task that an agent is to do, and what came before it.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The assignment that it is of.
    pub assignment: &'a str,
    /// The task.
    pub task: &'a str,
    /// What the plan says that the agent gets.
    pub input: &'a Value,
    /// What the assignments came to that this one is after.
    pub before: &'a Results,
    /// Which attempt at it, from 1.
    pub attempt: u32,
}

/// A task as it is handed down: whose it is stays the same, whoever does it.
#[derive(Debug)]
pub(super) struct Charge {
    /// Its number in the run.
    pub(super) unit: u64,
    pub(super) assignment: Arc<str>,
    pub(super) task: Arc<str>,
    pub(super) input: Arc<Value>,
    pub(super) before: Arc<Results>,
}

/// An agent as a worker sees it.
pub(super) trait Link: Send + Sync {
    fn agent(&self) -> &dyn AnyAgent;

    /// Calls the instance of the lease; the answer comes to the worker.
    ///
    /// # Errors
    /// Why the task cannot become the agent's input; nobody was called.
    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String>;
}

/// One call.
pub(super) struct Call<'a> {
    pub(super) errand: Errand<'a>,
    pub(super) lease: Lease,
    pub(super) task: TaskId,
    pub(super) sent: Moment,
    pub(super) progress: ProgressSink,
    pub(super) budget: Budget,
    pub(super) origin: Option<Origin>,
    pub(super) timeout: Duration,
}

/// An agent with what stands between its types and tasks.
struct Typed<I, O, F> {
    agent: Agent<I, O>,
    take: Arc<F>,
}

/// An agent and its fallbacks, each of which gets what `take` makes of a task.
pub(super) fn links<I, O, F>(agent: &Agent<I, O>, take: F) -> Arc<[Arc<dyn Link>]>
where
    I: Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(&Errand<'_>) -> Result<I, String> + Send + Sync + 'static,
{
    let take = Arc::new(take);
    let link = |agent| Arc::new(Typed { agent, take: Arc::clone(&take) }) as Arc<dyn Link>;
    agent.chain().into_iter().map(link).collect()
}

impl<I, O, F> Link for Typed<I, O, F>
where
    I: Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(&Errand<'_>) -> Result<I, String> + Send + Sync + 'static,
{
    fn agent(&self) -> &dyn AnyAgent {
        &self.agent
    }

    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String> {
        let Call { errand, lease, task, sent, progress, budget, origin, timeout } = call;
        let input = guarded("the making of an agent's input", || (self.take)(&errand)).flatten()?;
        let (own, budget, attempt) = (Some(lease.id), Some(budget), errand.attempt);
        let work = Work { lease: own, task, attempt, sent, input, progress, budget, origin };
        link::ask(&self.agent, (lease.slot, work), timeout, worker::Msg::Answered, cx)
    }
}
