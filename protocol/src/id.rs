//! Identities: one newtype over a UUID for each thing that is named across processes.
//!
//! Everyone uses them; they call nothing. A new identity is made by `from_parts` of a time and of random bits, which
//! the caller takes from its clock and its dice, so that a simulation repeats them.
//!
//! # Invariants
//! - An identity is never reused: what returns after a crash takes a new one, or an incarnation beside it.
//! - `NIL` (all zeros) and `ALL` (all ones) name no single thing: in a frame they address the coordinator and everyone.
//! - Identities made by `from_parts` sort by their millisecond.
//! - JSON and text hold the hyphenated form, MessagePack holds 16 bytes; both forms are read everywhere.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

/// Declares one newtype over `Uuid` for each name.
macro_rules! identities {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Names nothing in particular: 16 zero bytes, in a frame the coordinator.
            pub const NIL: Self = Self(Uuid::nil());
            /// Names everyone in the conversation: 16 bytes of ones.
            pub const ALL: Self = Self(Uuid::max());

            /// Makes a UUIDv7 of Unix milliseconds (the low 48 bits count) and of 74 of the random bits.
            pub fn from_parts(unix_ms: u64, random: u128) -> Self {
                Self(version_7(unix_ms, random))
            }

            /// Takes the 128 bits as they are.
            pub const fn from_u128(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            /// Gives the 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// Takes 16 bytes, big endian, as frames carry them.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Gives the 16 bytes, big endian, as frames carry them.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_uuid(deserializer).map(Self)
            }
        }
    )+};
}
identities! {
    /// Names a sender or a recipient of frames, whatever it is: an agent, a coordinator, a node's gateway.
    ActorId,
    /// Names an agent, over all its connections and restarts.
    AgentId,
    /// Names a conversation: the members, the limits and the messages that belong together.
    ConversationId,
    /// Names a published event.
    EventId,
    /// Names a message; receivers drop the second message of one id.
    MessageId,
    /// Names one life of one node; a node that returns takes a new one.
    NodeId,
    /// Names a question put to a vote.
    ProposalId,
    /// Names a run: one execution of a pattern, with its journal.
    RunId,
    /// Names the session of an agent, which outlives a dropped connection for a grace time.
    SessionId,
    /// Names a task: one piece of work given to one agent at a time.
    TaskId,
}

/// Tells why a text is not an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as an identity; write 32 hexadecimal digits as 8-4-4-4-12")]
pub struct ParseIdError {
    /// The text, cut after 64 characters.
    pub text: String,
}

impl ParseIdError {
    fn new(text: &str) -> Self {
        Self { text: text.chars().take(64).collect() }
    }
}

impl From<AgentId> for ActorId {
    fn from(agent: AgentId) -> Self {
        Self(agent.0)
    }
}

impl From<NodeId> for ActorId {
    fn from(node: NodeId) -> Self {
        Self(node.0)
    }
}

fn version_7(unix_ms: u64, random: u128) -> Uuid {
    let [_, _, _, _, _, _, random @ ..] = random.to_be_bytes();
    Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
}

fn parse_hyphenated(text: &str) -> Result<Uuid, ParseIdError> {
    const HYPHENATED_LEN: usize = 36;
    match Uuid::try_parse(text) {
        Ok(uuid) if text.len() == HYPHENATED_LEN => Ok(uuid),
        _ => Err(ParseIdError::new(text)),
    }
}

fn deserialize_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(UuidVisitor)
    } else {
        deserializer.deserialize_bytes(UuidVisitor)
    }
}

/// Reads both forms from any format, so that a client may write whichever its library offers.
struct UuidVisitor;

impl Visitor<'_> for UuidVisitor {
    type Value = Uuid;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an identity: 16 bytes, or text in the form 8-4-4-4-12")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Uuid, E> {
        parse_hyphenated(text).map_err(E::custom)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Uuid, E> {
        Uuid::from_slice(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: RunId = RunId::from_u128(0x0190_1234_5678_7abc_8def_0123_4567_89ab);

    #[test]
    fn an_identity_of_parts_is_a_uuid_of_version_7_with_its_millisecond_in_front() {
        let id = RunId::from_parts(1_700_000_000_000, u128::MAX);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, 1_700_000_000_000);
        assert_eq!(id.to_string(), "018bcfe5-6800-7fff-bfff-ffffffffffff");
        assert!(RunId::from_parts(1, u128::MAX) < RunId::from_parts(2, 0));
        assert_ne!(RunId::from_parts(1, 1), RunId::from_parts(1, 2));
        assert_eq!(
            RunId::from_parts(u64::MAX, 0),
            RunId::from_parts((1 << 48) - 1, 0),
            "the low 48 bits count"
        );
    }

    #[test]
    fn text_round_trips_and_other_forms_are_refused() {
        assert_eq!(SAMPLE.to_string().parse(), Ok(SAMPLE));
        for wrong in
            ["", "x", "0190123456787abc8def0123456789ab", "{01901234-5678-7abc-8def-0123456789ab}"]
        {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
        let long = "y".repeat(1000).parse::<RunId>().unwrap_err();
        assert_eq!(long.text.len(), 64);
    }

    #[test]
    fn json_holds_text_and_messagepack_holds_16_bytes_and_either_reads_text() {
        let json = serde_json::to_string(&SAMPLE).unwrap();
        assert_eq!(json, format!("\"{SAMPLE}\""));
        assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), SAMPLE);
        let packed = rmp_serde::to_vec(&SAMPLE).unwrap();
        assert_eq!(packed.len(), 2 + 16);
        assert_eq!(rmp_serde::from_slice::<RunId>(&packed).unwrap(), SAMPLE);
        let text = rmp_serde::to_vec(&SAMPLE.to_string()).unwrap();
        assert_eq!(rmp_serde::from_slice::<RunId>(&text).unwrap(), SAMPLE);
        assert!(rmp_serde::from_slice::<RunId>(&rmp_serde::to_vec(&7).unwrap()).is_err());
    }

    #[test]
    fn the_two_group_names_are_all_zeros_and_all_ones() {
        assert_eq!(ActorId::NIL.as_u128(), 0);
        assert_eq!(ActorId::ALL.as_u128(), u128::MAX);
        assert_eq!(ActorId::from(AgentId::from_u128(5)).as_u128(), 5);
        assert_eq!(RunId::from_bytes(SAMPLE.to_bytes()), SAMPLE);
    }
}
