//! Refusals: why something was not done, as a stable number and a text, and what the caller does next.
//!
//! Every layer that says no returns one; frames of kind Error carry it across connections.
//!
//! # Invariants
//! - A number never changes its meaning, and its hundred says what to do: 1xx never again, 2xx later, 3xx elsewhere.
//! - A number of a newer peer reads as the first of its hundred, so its retry advice survives.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{REFUSAL_TEXT_BYTES_MAX, RETRY_AFTER_DEFAULT_MS, RETRY_AFTER_MAX_MS};

/// Says why something was refused: a stable number, a text for people, and a wait where one helps.
///
/// ```
/// use synod_protocol::{Code, Refusal, Retry};
/// let refusal = Refusal::new(Code::Overloaded, "64 runs are active; retry when one has ended");
/// assert_eq!(refusal.code.number(), 200);
/// assert!(matches!(refusal.retry(), Retry::After(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Refusal {
    /// The stable number.
    pub code: Code,
    /// What, where, and what to do, for people; at most [`REFUSAL_TEXT_BYTES_MAX`] bytes when made by [`Refusal::new`].
    #[serde(default)]
    pub text: String,
    /// Milliseconds to wait before the next attempt, where the refusing side knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Answers the only question of a caller that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will be refused again.
    Never,
    /// The same request may succeed here after the wait.
    After(Duration),
    /// The same request may succeed at another agent or node.
    Elsewhere,
}

impl Refusal {
    /// Makes a refusal; a text over [`REFUSAL_TEXT_BYTES_MAX`] bytes is cut at a character.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(REFUSAL_TEXT_BYTES_MAX));
        Self { code, text, retry_after_ms: None }
    }

    /// Makes a refusal whose text is an error with all its causes.
    pub fn from_error(code: Code, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self::new(code, causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }

    /// Names the wait before the next attempt, in whole milliseconds, at most [`RETRY_AFTER_MAX_MS`].
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(RETRY_AFTER_MAX_MS);
        self.retry_after_ms = Some(wait_ms.min(RETRY_AFTER_MAX_MS));
        self
    }

    /// Tells what the caller should do next.
    pub fn retry(&self) -> Retry {
        match self.code.number() / 100 {
            2 => {
                let wait_ms = self.retry_after_ms.unwrap_or(RETRY_AFTER_DEFAULT_MS);
                Retry::After(Duration::from_millis(wait_ms.min(RETRY_AFTER_MAX_MS)))
            }
            3 => Retry::Elsewhere,
            _ => Retry::Never,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $word:literal,)+) => {
        /// The closed set of reasons; the number is stable, its hundred says what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code { $($(#[$doc])* $name = $number,)+ }

        impl Code {
            /// Every reason, by ascending number.
            pub const EVERY: &'static [Self] = &[$(Self::$name,)+];

            /// Gives the word for logs, metric labels and people.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// Reads a stable number; an unknown one becomes the first reason of its hundred, and `Invalid` outside of all.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)+
                    200..=299 => Self::Overloaded,
                    300..=399 => Self::Unavailable,
                    _ => Self::Invalid,
                }
            }
        }
    };
}

codes! {
    /// The request breaks a rule of its schema, or no more is known.
    Invalid = 100 "invalid",
    /// A size, depth, number or length is over its limit.
    TooLarge = 101 "too_large",
    /// The request is well formed, but this side does not do that.
    NotSupported = 102 "not_supported",
    /// The identity is unknown, or lacks the right.
    Unauthorised = 103 "unauthorised",
    /// No agent, run, task, conversation or document has this name.
    UnknownTarget = 104 "unknown_target",
    /// The message or run was accepted before; its outcome stands.
    Duplicate = 105 "duplicate",
    /// The deadline passed before the work was done.
    DeadlinePassed = 106 "deadline_passed",
    /// The caller, its parent or an emergency stop cancelled the work.
    Cancelled = 107 "cancelled",
    /// The budget of tokens, money, messages or children does not cover the request.
    Budget = 108 "budget",
    /// The expected version is not the current one.
    Conflict = 109 "conflict",
    /// The fencing token or incarnation is out of date: another owner has taken over.
    Stale = 110 "stale",
    /// The wait can never end: the text names the cycle.
    Deadlock = 111 "deadlock",
    /// The work was done and failed; doing it again as it is will fail again.
    Failed = 112 "failed",
    /// A queue or the number of active things is at its limit.
    Overloaded = 200 "overloaded",
    /// The rate is over its limit.
    RateLimited = 201 "rate_limited",
    /// This agent or node cannot do it now; another may.
    Unavailable = 300 "unavailable",
    /// This node or agent is draining and takes nothing new.
    Stopping = 301 "stopping",
    /// The node that held the work is gone.
    NodeLost = 302 "node_lost",
    /// The agent that held the work crashed, hung or was cut off.
    AgentLost = 303 "agent_lost",
}

impl Code {
    /// Gives the stable number.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer).map(Self::from_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_keeps_its_number_and_its_word_is_unique() {
        let mut words: Vec<_> = Code::EVERY.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::EVERY.len());
        for code in Code::EVERY {
            assert_eq!(Code::from_number(code.number()), *code);
        }
    }

    #[test]
    fn the_number_of_a_newer_peer_keeps_its_retry_advice() {
        let advice = |number| Refusal::new(Code::from_number(number), "").retry();
        assert_eq!(advice(199), Retry::Never);
        assert_eq!(advice(299), Retry::After(Duration::from_millis(RETRY_AFTER_DEFAULT_MS)));
        assert_eq!(advice(399), Retry::Elsewhere);
        assert_eq!(advice(65_535), Retry::Never);
    }

    #[test]
    fn the_wait_is_the_named_one_and_bounded() {
        let busy = Refusal::new(Code::Overloaded, "busy");
        let wait = Duration::from_millis(250);
        assert_eq!(busy.clone().after(wait).retry(), Retry::After(wait));
        assert_eq!(busy.after(Duration::MAX).retry_after_ms, Some(RETRY_AFTER_MAX_MS));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let refusal = Refusal::new(Code::Invalid, "ä".repeat(REFUSAL_TEXT_BYTES_MAX));
        assert_eq!(refusal.text.len(), REFUSAL_TEXT_BYTES_MAX);
        let odd = Refusal::new(Code::Invalid, format!("a{}", "ä".repeat(REFUSAL_TEXT_BYTES_MAX)));
        assert_eq!(odd.text.len(), REFUSAL_TEXT_BYTES_MAX - 1);
    }

    #[test]
    fn a_refusal_crosses_the_wire_as_number_and_text() {
        let refusal = Refusal::new(Code::Budget, "0 of 10 tokens are left");
        let json = serde_json::to_string(&refusal).unwrap();
        assert_eq!(json, r#"{"code":108,"text":"0 of 10 tokens are left"}"#);
        assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), refusal);
        assert_eq!(refusal.to_string(), "budget: 0 of 10 tokens are left");
    }
}
