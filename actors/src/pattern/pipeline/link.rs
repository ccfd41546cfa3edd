//! A link of a stage's chain: an agent, whatever its types are, that is given documents and answers with JSON.
//!
//! # Invariants
//! - Code of the user that turns documents into inputs and answers into JSON may panic; that is the call's failure.

use std::{any::Any, sync::Arc, time::Duration};

use protocol::TaskId;
use runtime::{ask::AskError, budget::Budget, clock::Moment, context::Cx};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    stage::About,
    worker::{self, Worker},
};
use crate::{
    agent::{
        below::Origin,
        call::{AgentError, ProgressSink},
        handle::Agent,
        slot::{self, Work},
    },
    assign::{AgentKey, SlotId},
    guard::guarded,
    roster::Lease,
};

/// An agent as a stage sees it.
pub(super) trait Link: Send + Sync {
    fn name(&self) -> &Arc<str>;

    fn key(&self) -> &AgentKey;

    /// The time that each call has of its own.
    fn timeout(&self) -> Option<Duration>;

    /// Whether it has this instance.
    fn has(&self, slot: SlotId) -> bool;

    /// Calls the instance of the lease; the answer comes to the worker.
    ///
    /// # Errors
    /// Why the document cannot become the agent's input; nobody was called.
    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String>;

    /// Ends the call under a lease: its time is up, or nobody wants its answer.
    fn end(&self, lease: Lease, timed_out: bool, cx: &mut Cx<Worker>);
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
    pub(super) give: fn(O) -> Result<Value, String>,
}

impl<I: Send + 'static, O: Send + 'static> Link for Typed<I, O> {
    fn name(&self) -> &Arc<str> {
        self.agent.name()
    }

    fn key(&self) -> &AgentKey {
        self.agent.key()
    }

    fn timeout(&self) -> Option<Duration> {
        self.agent.timeout()
    }

    fn has(&self, slot: SlotId) -> bool {
        self.agent.slot(slot).is_some_and(|slot| !slot.is_stopped())
    }

    fn ask(&self, call: Call<'_>, cx: &mut Cx<Worker>) -> Result<(), String> {
        let Call { about, content, lease, task, sent, progress, budget, origin, timeout } = call;
        let input = guarded("the making of an agent's input", || (self.take)(content, &about));
        let input = input.flatten()?;
        let Some(slot) = self.agent.slot(lease.slot) else {
            return Err("the place that was found is not this agent's".to_owned());
        };
        let (attempt, document, give) = (about.attempts, about.document, self.give);
        let (own, budget) = (Some(lease.id), Some(budget));
        let work = Work { lease: own, task, attempt, sent, input, progress, budget, origin };
        let work = Box::new(work);
        let question = move |reply| slot::Msg::Work(work, reply);
        cx.ask(slot, question, timeout, move |outcome: Result<Result<O, AgentError>, AskError>| {
            let outcome = match outcome {
                Ok(Ok(output)) => guarded("the writing of an answer as JSON", || give(output))
                    .flatten()
                    .map_err(|message| AgentError::Failed { message }),
                Ok(Err(error)) => Err(error),
                Err(AskError::TimedOut(after)) => {
                    return worker::Msg::Answered(document, lease, Err(after));
                }
                Err(error) => Err(error.into()),
            };
            worker::Msg::Answered(document, lease, Ok(outcome))
        });
        Ok(())
    }

    fn end(&self, lease: Lease, timed_out: bool, cx: &mut Cx<Worker>) {
        let Some(slot) = self.agent.slot(lease.slot) else { return };
        let order = if timed_out { slot::Msg::TimedOut } else { slot::Msg::Cancel };
        cx.send(slot, order(lease.id));
    }
}

/// A document as a typed input; JSON stays what it is.
pub(in crate::pattern) fn taken<I: DeserializeOwned + 'static>(
    document: &Value,
) -> Result<I, String> {
    let mut input: Option<I> = None;
    if let Some(json) = (&mut input as &mut dyn Any).downcast_mut::<Option<Value>>() {
        *json = Some(document.clone());
    }
    match input {
        Some(input) => Ok(input),
        None => I::deserialize(document)
            .map_err(|error| format!("the document is not what the agent takes: {error}")),
    }
}

/// An answer as JSON.
pub(in crate::pattern) fn given<O: Serialize + 'static>(output: O) -> Result<Value, String> {
    let mut output = Some(output);
    if let Some(json) = (&mut output as &mut dyn Any).downcast_mut::<Option<Value>>() {
        return json.take().ok_or_else(|| "there is no answer".to_owned());
    }
    serde_json::to_value(output).map_err(|error| format!("the answer is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_passes_as_it_is_and_types_are_read_and_written() {
        let text = json!({ "n": 7, "list": [1.5, null] });
        assert_eq!(taken::<Value>(&text), Ok(text.clone()));
        assert_eq!(given(text.clone()), Ok(text));
        assert_eq!(taken::<u8>(&json!(7)), Ok(7));
        assert_eq!(given(Some(7_u8)), Ok(json!(7)));
        assert!(taken::<u8>(&json!(700)).unwrap_err().contains("the document is not what"));
    }
}
