//! Payload of conversations between agents, and of events.
//!
//! The frame's header names the conversation and the recipient; its extension block names the message that is answered,
//! the deadline of an ask, and the performative.

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::check::{self, Fault, ensure};
use crate::event::Event;
use crate::extension::Performative;
use crate::id::ActorId;
use crate::limits::MEMBERS_MAX;
use crate::task::Task;

/// One act in a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordination {
    /// Says something to one member; no answer is expected.
    Tell(Speech),
    /// Asks one member; the extension's deadline is mandatory.
    Ask(Speech),
    /// Answers an ask, which the extension's `in_reply_to` names.
    Answer(Speech),
    /// Says something to every member.
    Broadcast(Speech),
    /// Opens the conversation of the header.
    Open(Terms),
    /// Joins the conversation.
    Join,
    /// Leaves the conversation.
    Leave,
    /// Ends the conversation for all.
    End {
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Publishes an event, or delivers one to a subscriber.
    Event(Event),
    /// Asks for every event of these types from here on.
    Subscribe {
        /// The types.
        types: Vec<String>,
    },
    /// Wants no more events of these types.
    Unsubscribe {
        /// The types.
        types: Vec<String>,
    },
}

/// What is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Speech {
    /// What it is about, for handlers to choose by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The content; for `cfp` a [`CallForProposals`], for `propose` a [`Bid`], else of the speakers' own schema.
    #[serde(default)]
    pub content: Value,
}

impl Speech {
    /// Says `content` about `topic`, which may be empty.
    pub fn new(topic: impl Into<String>, content: impl Into<Value>) -> Self {
        Self { topic: topic.into(), content: content.into() }
    }
}

/// Who takes part in a conversation, and how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What it is about, for people.
    #[serde(default)]
    pub topic: String,
    /// Who may speak; the opener is a member without being named.
    pub members: Vec<ActorId>,
    /// Messages after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_max: Option<u64>,
    /// Milliseconds after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
}

/// Asks agents what they would take for a task: the content of a speech with performative `cfp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallForProposals {
    /// The task.
    pub task: Task,
}

/// Offers to do a task: the content of a speech with performative `propose`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bid {
    /// The price, in millionths of a US dollar.
    pub usd_micros: u64,
    /// Milliseconds until it would be done.
    pub duration_ms: u64,
    /// How sure the bidder is, from 0 to 1.
    pub confidence: f64,
}

impl Coordination {
    /// Gives the performative of a frame whose extension names none: asks request, all else informs.
    pub const fn default_performative(&self) -> Performative {
        match self {
            Self::Ask(_) | Self::Subscribe { .. } => Performative::Request,
            Self::Unsubscribe { .. } => Performative::Cancel,
            Self::Tell(_)
            | Self::Answer(_)
            | Self::Broadcast(_)
            | Self::Open(_)
            | Self::Join
            | Self::Leave
            | Self::End { .. }
            | Self::Event(_) => Performative::Inform,
        }
    }

    /// Checks topics, members, types and events.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Tell(speech)
            | Self::Ask(speech)
            | Self::Answer(speech)
            | Self::Broadcast(speech) => check::optional_name("topic", &speech.topic),
            Self::Open(terms) => {
                check::optional_name("topic", &terms.topic)?;
                check::at_most("members", terms.members.len(), MEMBERS_MAX)?;
                check::no_repeats("members", &terms.members)
            }
            Self::Join | Self::Leave => Ok(()),
            Self::End { reason } => check::text("reason", reason),
            Self::Event(event) => event.check(),
            Self::Subscribe { types } | Self::Unsubscribe { types } => {
                ensure(!types.is_empty(), "types", "is empty; name at least one")?;
                check::names("types", types)
            }
        }
    }
}

impl Bid {
    /// Checks the confidence.
    ///
    /// # Errors
    /// [`Fault`] names the field.
    pub fn check(&self) -> Result<(), Fault> {
        check::share("confidence", self.confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_once_and_subscriptions_name_a_type() {
        let twice = Terms { members: vec![ActorId::from_u128(1); 2], ..Terms::default() };
        assert_eq!(Coordination::Open(twice).check().unwrap_err().field, "members");
        assert_eq!(
            Coordination::Subscribe { types: Vec::new() }.check().unwrap_err().field,
            "types"
        );
    }

    #[test]
    fn an_ask_requests_and_an_answer_informs() {
        assert_eq!(
            Coordination::Ask(Speech::default()).default_performative(),
            Performative::Request
        );
        assert_eq!(
            Coordination::Answer(Speech::default()).default_performative(),
            Performative::Inform
        );
    }
}
