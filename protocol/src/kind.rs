//! Kinds of frames: the type byte of the header and its word in JSON.
//!
//! The header carries the byte; the payload's schema follows from it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $byte:literal $word:literal,)+) => {
        /// The type of a frame, which decides the schema of its payload.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $byte,)+ }

        impl Kind {
            /// Every kind, by ascending byte.
            pub const EVERY: &'static [Self] = &[$(Self::$name,)+];

            /// Reads the type byte of a header, or nothing where it names no kind.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$name),)+ _ => None }
            }

            /// Gives the word that names the kind in JSON, logs and metric labels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

kinds! {
    /// Opens a connection: versions, token, card.
    Hello = 0x01 "hello",
    /// Accepts a connection: session, intervals, credit, limits.
    Welcome = 0x02 "welcome",
    /// Says that the sender is alive, and how busy.
    Heartbeat = 0x03 "heartbeat",
    /// Confirms messages.
    Ack = 0x04 "ack",
    /// Refuses a message, a task or the connection.
    Error = 0x05 "error",
    /// Grants the other side more messages.
    Credit = 0x06 "credit",
    /// Announces that the sender leaves or drains.
    Goodbye = 0x07 "goodbye",
    /// Gives a task to an agent, or takes it back.
    TaskRequest = 0x10 "task_request",
    /// Ends a task with its outcome.
    TaskResponse = 0x11 "task_response",
    /// Changes shared state by a closed set of operations.
    StateUpdate = 0x20 "state_update",
    /// Reads, follows and reconciles shared state.
    StateSync = 0x21 "state_sync",
    /// Carries conversations between agents, and events.
    Coordination = 0x30 "coordination",
    /// Carries a vote: its call, the ballots, the decision.
    ConsensusVote = 0x31 "consensus_vote",
    /// Reports how far a task is, and its partial output.
    ProgressReport = 0x40 "progress_report",
    /// Stops work at once, past every queue.
    EmergencyStop = 0x50 "emergency_stop",
}

impl Kind {
    /// Gives the type byte of the header.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Tells whether a message of this kind uses up one credit; what keeps a connection alive, and the emergency stop, do not.
    pub const fn takes_credit(self) -> bool {
        match self {
            Self::Hello
            | Self::Welcome
            | Self::Heartbeat
            | Self::Ack
            | Self::Error
            | Self::Credit
            | Self::Goodbye
            | Self::EmergencyStop => false,
            Self::TaskRequest
            | Self::TaskResponse
            | Self::StateUpdate
            | Self::StateSync
            | Self::Coordination
            | Self::ConsensusVote
            | Self::ProgressReport => true,
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word)
            .ok_or_else(|| serde::de::Error::custom(format!("{word:?} names no kind of frame")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_byte_and_by_its_word() {
        assert_eq!(Kind::EVERY.len(), 15);
        for kind in Kind::EVERY {
            assert_eq!(Kind::from_byte(kind.byte()), Some(*kind));
            assert_eq!(
                serde_json::from_str::<Kind>(&serde_json::to_string(kind).unwrap()).unwrap(),
                *kind
            );
        }
        let known = (0..=u8::MAX).filter(|byte| Kind::from_byte(*byte).is_some()).count();
        assert_eq!(known, 15);
        assert!(serde_json::from_str::<Kind>("\"task\"").is_err());
    }

    #[test]
    fn neither_a_heartbeat_nor_an_emergency_stop_waits_for_credit() {
        assert!(!Kind::Heartbeat.takes_credit());
        assert!(!Kind::EmergencyStop.takes_credit());
        assert!(Kind::TaskRequest.takes_credit());
    }
}
