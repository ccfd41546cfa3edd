//! A link of a stage's chain: an agent, whatever its types are, that is given documents and answers with JSON.
//!
//! # Invariants
//! - Code of the user that turns documents into inputs may panic; that is the call's failure.

use std::time::Duration;

use protocol::TaskId;
use runtime::{budget::Budget, clock::Moment, context::Cx};
use serde::Serialize;
use serde_json::Value;

use super::{
    stage::About,
    worker::{self, Worker},
};
use crate::{
    agent::{below::Origin, call::ProgressSink, handle::Agent, slot::Work},
    guard::guarded,
    pattern::link::{self, AnyAgent},
    roster::Lease,
};

/// An agent as a stage sees it.
pub(super) trait Link: Send + Sync {
    fn agent(&self) -> &dyn AnyAgent;

    /// Calls the instance of the lease; the answer comes to the worker.
    ///
    /// # Errors
    /// Why the document cannot become the agent's input; nobody was called.
    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String>;
}

/// One call.
pub(super) struct Call<'a> {
    pub(super) about: About<'a>,
    pub(super) content: &'a Value,
    pub(super) lease: Lease,
    pub(super) task: TaskId,
    pub(super) sent: Moment,
    pub(super) progress: ProgressSink,
    pub(super) budget: Budget,
    pub(super) origin: Option<Origin>,
    pub(super) timeout: Duration,
}

/// Makes an agent's input of a document.
pub(super) type Take<I> = Box<dyn Fn(&Value, &About<'_>) -> Result<I, String> + Send + Sync>;

/// An agent with what stands between its types and documents.
pub(super) struct Typed<I, O> {
    pub(super) agent: Agent<I, O>,
    pub(super) take: Take<I>,
}

impl<I: Send + 'static, O: Serialize + Send + 'static> Link for Typed<I, O> {
    fn agent(&self) -> &dyn AnyAgent {
        &self.agent
    }

    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String> {
        let Call { about, content, lease, task, sent, progress, budget, origin, timeout } = call;
        let input = guarded("the making of an agent's input", || (self.take)(content, &about));
        let input = input.flatten()?;
        let (attempt, document, own) = (about.attempts, about.document, Some(lease.id));
        let budget = Some(budget);
        let work = Work { lease: own, task, attempt, sent, input, progress, budget, origin };
        let msg = move |said| worker::Msg::Answered(document, lease, said);
        link::ask(&self.agent, (lease.slot, work), timeout, msg, cx)
    }
}
