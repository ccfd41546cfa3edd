//! The words of Synod: ids, frames, payloads, tasks, events and refusals as plain values.
//!
//! Every other crate uses them; this crate calls nothing but codecs.
//!
//! # Invariants
//! - No I/O, no clock, no dice, no tokio, no actors: time and randomness are arguments.
//! - Decoding is total: any bytes decode or are refused, within the bounds of [`limits`].

pub mod event;
pub mod limits;
pub mod payload;

#[doc = include_str!("../../docs/PROTOCOL.md")]
pub mod document {}

mod bytes;
mod card;
mod check;
mod clock;
mod compress;
mod extension;
mod frame;
mod header;
mod id;
mod kind;
mod refusal;
mod scan;
mod task;

pub use bytes::Bytes;
pub use card::{Card, Price};
pub use check::{Fault, name as check_name, weight};
pub use clock::Tick;
pub use compress::{Codec, InflateError, compress, inflate};
pub use event::Event;
pub use extension::{
    Extension, ExtensionError, IdempotencyKey, KeyError, ParseTraceError, Performative, TraceParent,
};
pub use frame::{DecodeError, EncodeError, Frame};
pub use header::{Flags, HEADER_LEN, Header, HeaderError, VERSION};
pub use id::{
    ActorId, AgentId, ConversationId, EventId, MessageId, NodeId, ParseIdError, ProposalId, RunId,
    SessionId, TaskId,
};
pub use kind::Kind;
pub use payload::{Payload, PayloadError};
pub use refusal::{Code, Refusal, Retry};
pub use scan::ScanError;
pub use task::{Budget, Estimate, FailedPart, Outcome, Priority, Task, TaskStatus, Usage};

/// A value of the user's own: the data model of JSON, without binary data; bytes go as text.
pub use serde_json::Value;
