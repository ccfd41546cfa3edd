//! The words of Synod: ids, frames, payloads, tasks, events and refusals as plain values.
//!
//! Every other crate uses them; this crate calls nothing but codecs.
//!
//! # Invariants
//! - No I/O, no clock, no dice, no tokio, no actors: time and randomness are arguments.
//! - Decoding is total: any bytes decode or are refused, within the bounds of [`limits`].

pub mod limits;

mod id;
mod refusal;

pub use id::{
    ActorId, AgentId, ConversationId, EventId, MessageId, NodeId, ParseIdError, ProposalId, RunId,
    SessionId, TaskId,
};
pub use refusal::{Code, Refusal, Retry};
