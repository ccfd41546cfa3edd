//! An agent, whatever its types are, as patterns see it that pass JSON: who it is, where its instances are, how one is asked.
//!
//! # Invariants
//! - Code of the user that writes answers as JSON may panic; that is the call's failure.

use std::{any::Any, sync::Arc, time::Duration};

use runtime::{actor::Actor, address::Recipient, ask::AskError, context::Cx};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    agent::{
        call::AgentError,
        handle::Agent,
        slot::{self, Work},
    },
    assign::{AgentKey, SlotId},
    guard::guarded,
    roster::{Lease, LeaseId},
};

/// What does not depend on an agent's types.
pub(super) trait AnyAgent: Send + Sync {
    fn name(&self) -> &Arc<str>;

    fn key(&self) -> &AgentKey;

    /// The time that each call has of its own.
    fn timeout(&self) -> Option<Duration>;

    /// Whether it has this instance.
    fn has(&self, slot: SlotId) -> bool;

    /// Where an instance takes the order to end the work under a lease: its time is up, or nobody wants its answer.
    fn order(&self, slot: SlotId, timed_out: bool) -> Option<Recipient<LeaseId>>;
}

impl<I: Send + 'static, O: Send + 'static> AnyAgent for Agent<I, O> {
    fn name(&self) -> &Arc<str> {
        Self::name(self)
    }

    fn key(&self) -> &AgentKey {
        Self::key(self)
    }

    fn timeout(&self) -> Option<Duration> {
        Self::timeout(self)
    }

    fn has(&self, slot: SlotId) -> bool {
        self.slot(slot).is_some_and(|slot| !slot.is_stopped())
    }

    fn order(&self, slot: SlotId, timed_out: bool) -> Option<Recipient<LeaseId>> {
        let order = if timed_out { slot::Msg::TimedOut } else { slot::Msg::Cancel };
        self.slot(slot).map(|slot| slot.recipient(order))
    }
}

/// What an agent said as JSON, or after which time it had not.
pub(super) type Said = Result<Result<Value, AgentError>, Duration>;

/// Gives work to an instance; what it says, as JSON, comes to the asker as `msg` makes a message of it.
///
/// # Errors
/// There is no such instance; nobody was asked.
pub(super) fn ask<I, O, A>(
    agent: &Agent<I, O>,
    (slot, work): (SlotId, Work<I>),
    timeout: Duration,
    msg: impl FnOnce(Said) -> A::Msg + Send + 'static,
    cx: &mut Cx<A>,
) -> Result<(), String>
where
    I: Send + 'static,
    O: Serialize + Send + 'static,
    A: Actor,
{
    let Some(slot) = agent.slot(slot) else {
        return Err("the place that was found is not this agent's".to_owned());
    };
    let work = Box::new(work);
    let question = move |reply| slot::Msg::Work(work, reply);
    cx.ask(slot, question, timeout, move |outcome: Result<Result<O, AgentError>, AskError>| {
        msg(match outcome {
            Ok(Ok(output)) => Ok(guarded("the writing of an answer as JSON", || given(output))
                .flatten()
                .map_err(|message| AgentError::Failed { message })),
            Ok(Err(error)) => Ok(Err(error)),
            Err(AskError::TimedOut(after)) => Err(after),
            Err(error) => Ok(Err(error.into())),
        })
    });
    Ok(())
}

/// Ends the work under a lease: its time is up, or nobody wants its answer.
pub(super) fn end<A: Actor>(agent: &dyn AnyAgent, lease: Lease, timed_out: bool, cx: &mut Cx<A>) {
    if let Some(to) = agent.order(lease.slot, timed_out) {
        cx.send(&to, lease.id);
    }
}

/// A document as a typed input; JSON stays what it is.
pub(super) fn taken<I: DeserializeOwned + 'static>(document: &Value) -> Result<I, String> {
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
fn given<O: Serialize + 'static>(output: O) -> Result<Value, String> {
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
