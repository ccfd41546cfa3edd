//! Payloads: the schema of every kind of frame, as MessagePack with field names or as JSON.
//!
//! [`Frame`](crate::Frame) reads and writes them; docs/PROTOCOL.md describes each field.
//!
//! # Invariants
//! - Both forms share one schema; fields that this version does not know are skipped, so newer peers may add some.
//! - Unknown variants of an enum are refused: nobody acts on half an order.
//! - A payload that is read or written has passed its check.
//! - No schema holds a list of free values or of wide numbers, for binary data would unfold into one past the count of values.

pub mod coordination;
pub mod session;
pub mod state;
pub mod vote;
pub mod work;

use std::io::Cursor;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Fault;
use crate::kind::Kind;
use crate::limits::PAYLOAD_BYTES_MAX;
use coordination::Coordination;
use session::{Ack, Credit, ErrorReport, Goodbye, Heartbeat, Hello, Welcome};
use state::{StateSync, StateUpdate};
use vote::ConsensusVote;
use work::{EmergencyStop, ProgressReport, TaskRequest, TaskResponse};

/// Tells why a payload does not fit the schema of its kind.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The MessagePack data has another shape.
    #[error(
        "the payload is no {kind} from byte {offset} on; see its schema in the protocol's document"
    )]
    Shape {
        /// The kind of the frame.
        kind: Kind,
        /// How far the decoder came, from the start of the payload; 0 in payloads over 1 MiB, which are not read twice.
        offset: u64,
        /// What the decoder met.
        #[source]
        source: rmp_serde::decode::Error,
    },
    /// The JSON data has another shape.
    #[error("the payload is no {kind}; see its schema in the protocol's document")]
    Text {
        /// The kind of the frame.
        kind: Kind,
        /// What the decoder met, with line and column in the payload.
        #[source]
        source: serde_json::Error,
    },
    /// A field breaks a rule.
    #[error("the payload is no valid {kind}")]
    Fault {
        /// The kind of the frame.
        kind: Kind,
        /// The field and the rule.
        #[source]
        source: Fault,
    },
    /// The value cannot be written.
    #[error("the {kind} cannot be written")]
    Write {
        /// The kind of the frame.
        kind: Kind,
        /// What the encoder met.
        #[source]
        source: rmp_serde::encode::Error,
    },
}

/// Declares the enum of payloads; each variant is named as its kind.
macro_rules! payloads {
    ($($name:ident($schema:ty),)+) => {
        /// What a frame carries: one variant a kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Payload {$(
            #[doc = concat!("The payload of [`Kind::", stringify!($name), "`].")]
            $name($schema),
        )+}

        impl Payload {
            /// Gives the kind of frame that carries this payload.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)+ }
            }

            /// Checks what the types leave open: names, counts, ranges.
            ///
            /// # Errors
            /// [`PayloadError::Fault`] names the first field that breaks a rule.
            pub fn check(&self) -> Result<(), PayloadError> {
                let result = match self { $(Self::$name(payload) => payload.check(),)+ };
                result.map_err(|source| PayloadError::Fault { kind: self.kind(), source })
            }

            /// Reads MessagePack that was scanned before.
            pub(crate) fn from_packed(kind: Kind, bytes: &[u8]) -> Result<Self, PayloadError> {
                let payload = match kind { $(Kind::$name => read_packed(kind, bytes).map(Self::$name)?,)+ };
                payload.check()?;
                Ok(payload)
            }

            /// Reads JSON that was scanned before.
            pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Self, PayloadError> {
                let shape = |source| PayloadError::Text { kind, source };
                let payload = match kind { $(Kind::$name => serde_json::from_str(text).map(Self::$name).map_err(shape)?,)+ };
                payload.check()?;
                Ok(payload)
            }
        }

        $(impl From<$schema> for Payload {
            fn from(payload: $schema) -> Self {
                Self::$name(payload)
            }
        })+
    };
}

payloads! {
    Hello(Hello),
    Welcome(Welcome),
    Heartbeat(Heartbeat),
    Ack(Ack),
    Error(ErrorReport),
    Credit(Credit),
    Goodbye(Goodbye),
    TaskRequest(TaskRequest),
    TaskResponse(TaskResponse),
    StateUpdate(StateUpdate),
    StateSync(StateSync),
    Coordination(Coordination),
    ConsensusVote(ConsensusVote),
    ProgressReport(ProgressReport),
    EmergencyStop(EmergencyStop),
}

impl Payload {
    /// Writes MessagePack with field names.
    pub(crate) fn to_packed(&self) -> Result<Vec<u8>, PayloadError> {
        self.check()?;
        rmp_serde::to_vec_named(self)
            .map_err(|source| PayloadError::Write { kind: self.kind(), source })
    }
}

fn read_packed<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, PayloadError> {
    rmp_serde::from_slice(bytes).map_err(|source| PayloadError::Shape {
        kind,
        offset: offset_of_failure::<T>(bytes),
        source,
    })
}

/// Reads once more with a decoder that knows its place, which the fast one does not.
fn offset_of_failure<T: DeserializeOwned>(bytes: &[u8]) -> u64 {
    let readable = if bytes.len() <= PAYLOAD_BYTES_MAX { bytes } else { &[] };
    let mut decoder = rmp_serde::Deserializer::new(Cursor::new(readable));
    match T::deserialize(&mut decoder) {
        Ok(_) | Err(_) => decoder.position(),
    }
}
