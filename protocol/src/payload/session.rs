//! Payloads of a connection's life: Hello, Welcome, Heartbeat, Ack, Error, Credit, Goodbye.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::check::{self, Fault, ensure};
use crate::compress::Codec;
use crate::header::VERSION;
use crate::id::{MessageId, SessionId, TaskId};
use crate::limits::{
    DEPTH_MAX, INFLATED_BYTES_MAX, NAMES_MAX, PAYLOAD_BYTES_MAX, TEXT_FRAME_BYTES_MAX, VALUES_MAX,
};
use crate::refusal::Refusal;

/// Opens a connection; the first frame of the side that connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Versions of the protocol that the sender speaks.
    pub versions: Vec<u8>,
    /// The secret that admits it.
    #[serde(default)]
    pub token: Token,
    /// What it is and can.
    pub card: Card,
    /// Counts its process's starts, so that an older connection of the same identity is fenced.
    #[serde(default)]
    pub incarnation: u64,
    /// Codecs that it inflates, beside gzip.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<Codec>,
    /// Messages that take credit which the other side may send in this session, until a Credit says more.
    #[serde(default)]
    pub credit: u64,
    /// The session to go on with after a cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<SessionId>,
    /// Tasks of that session which it still works on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<TaskId>,
}

/// A secret that never shows in logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(hidden)")
    }
}

/// Accepts a connection; the answer to Hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both sides speak from here on.
    pub version: u8,
    /// Names the session, to resume it after a cut.
    pub session: SessionId,
    /// Whether the session that Hello named goes on; if not, its tasks were given to others.
    #[serde(default)]
    pub resumed: bool,
    /// Milliseconds between two heartbeats.
    pub heartbeat_ms: u32,
    /// Milliseconds for which a cut session waits to be resumed.
    #[serde(default)]
    pub grace_ms: u32,
    /// Messages that take credit which the agent may send in this session, until a Credit says more.
    #[serde(default)]
    pub credit: u64,
    /// Codecs that both sides may use, beside gzip.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<Codec>,
    /// What the sender accepts at most.
    #[serde(default)]
    pub limits: Limits,
}

/// What one side accepts at most; a peer may announce less than the protocol allows, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of a frame after its header.
    pub payload_bytes: u64,
    /// Bytes of a payload after inflating.
    pub inflated_bytes: u64,
    /// Bytes of a JSON text frame.
    pub text_bytes: u64,
    /// Values in a frame.
    pub values: u64,
    /// Nesting in a payload.
    pub depth: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: PAYLOAD_BYTES_MAX as u64,
            inflated_bytes: INFLATED_BYTES_MAX as u64,
            text_bytes: TEXT_FRAME_BYTES_MAX as u64,
            values: VALUES_MAX as u64,
            depth: DEPTH_MAX as u64,
        }
    }
}

/// Says that the sender is alive; either side sends one each interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Counts the sender's heartbeats in this session, from 1.
    pub sequence: u64,
    /// The other side's last sequence, so that it can tell the round trip.
    pub echo: u64,
    /// Tasks in progress.
    pub active: u32,
    /// Tasks waiting at the agent.
    pub queued: u32,
}

/// Confirms that messages were received and, where they gave a task or a result, accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The messages.
    pub messages: Vec<MessageId>,
}

/// Refuses a message, a task, or the connection where neither is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Why.
    pub refusal: Refusal,
    /// The message that is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The task that is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// Grants messages. Totals of the session, so that a lost or doubled grant does no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Messages that take credit which the receiver may have sent since the session began; never less than before.
    pub messages_total: u64,
}

/// Announces the end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why.
    pub reason: GoodbyeReason,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Milliseconds in which tasks in progress may still end; no new ones are given.
    #[serde(default)]
    pub drain_ms: u32,
}

/// Why a side leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoodbyeReason {
    /// Its work is done.
    Done,
    /// It stops; the session ends with it.
    Stopping,
    /// It restarts; the session may be resumed.
    Restarting,
    /// A newer connection of the same identity took over.
    Fenced,
    /// The other side was silent for too long.
    Silent,
    /// The other side broke the protocol.
    Misbehaved,
}

impl Hello {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::at_most("versions", self.versions.len(), NAMES_MAX)?;
        check::optional_name("token", &self.token.0)?;
        check::at_most("codecs", self.codecs.len(), Codec::EVERY.len())?;
        self.card.check()
    }

    /// Tells whether the sender speaks the version of this crate.
    pub fn speaks_our_version(&self) -> bool {
        self.versions.contains(&VERSION)
    }
}

impl Welcome {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        ensure(self.heartbeat_ms > 0, "heartbeat_ms", "is 0; name an interval")?;
        check::at_most("codecs", self.codecs.len(), Codec::EVERY.len())
    }
}

impl Heartbeat {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "every payload has a check")]
    pub(crate) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Ack {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::at_most("messages", self.messages.len(), crate::limits::BATCH_MESSAGES_MAX)
    }
}

impl ErrorReport {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::text("refusal.text", &self.refusal.text)
    }
}

impl Credit {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "every payload has a check")]
    pub(crate) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Goodbye {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::text("text", &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AgentId;

    #[test]
    fn a_token_never_shows_in_debug_output() {
        let hello = Hello {
            versions: vec![VERSION],
            token: Token(String::from("s3cret")),
            card: Card::new(AgentId::from_u128(1), "rust"),
            incarnation: 1,
            codecs: Vec::new(),
            credit: 8,
            resume: None,
            unfinished: Vec::new(),
        };
        assert!(!format!("{hello:?}").contains("s3cret"));
        assert!(hello.speaks_our_version());
        assert!(!Hello { versions: vec![9], ..hello }.speaks_our_version());
    }

    #[test]
    fn a_welcome_without_an_interval_is_refused() {
        let welcome = Welcome {
            version: VERSION,
            session: SessionId::from_u128(1),
            resumed: false,
            heartbeat_ms: 0,
            grace_ms: 0,
            credit: 0,
            codecs: Vec::new(),
            limits: Limits::default(),
        };
        assert_eq!(welcome.check().unwrap_err().field, "heartbeat_ms");
    }
}
