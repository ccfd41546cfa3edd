//! The `Link` port: one node's end of the network. It carries frames of [`protocol`] as bytes, to a node or to a group of nodes.
//!
//! Whoever speaks to other nodes sends, requests and reads through it; what a frame says, and which actor it is for, is in the
//! frame. The embedded engine is in [`local`](crate::engine::local), the suite that all pass in
//! [`conformance`](crate::engine::conformance).
//!
//! # Invariants
//! - Each frame arrives at most once. Those that one peer sends to another arrive in the order in which they were sent, for as long
//!   as both are the same incarnations.
//! - A loss inside a live link is told, with its size, before anything that was sent later; [`Link::mark`] finds what was lost last.
//! - A receiver that does not read stops its senders, each by itself, after [`LINK_CREDIT`] frames; it slows nobody else.
//! - Every request ends once: answered, or with an [`AskError`], at once if the other node goes.
//! - A node that returns is a new incarnation; what was meant for the one before does not reach it.
//!
//! Limits: [`LINK_CREDIT`], [`LINK_FRAME_BYTES_MAX`], [`LINK_PEERS_MAX`], [`LINK_GROUPS_MAX`].

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use protocol::{Code, NodeId, Refusal, Retry};

#[cfg(doc)]
use crate::limits::{LINK_CREDIT, LINK_GROUPS_MAX, LINK_PEERS_MAX};
use crate::{
    ask::{AskError, Reply},
    limits::LINK_FRAME_BYTES_MAX,
};

/// The bytes of a frame; cheap to clone.
pub type Packet = Arc<[u8]>;

/// A node in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Which node.
    pub node: NodeId,
    /// Which of its lives; a later one has a greater number.
    pub incarnation: u64,
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (life {})", self.node, self.incarnation)
    }
}

/// One node's end of the network.
pub trait Link: Send + Sync + 'static {
    /// Which peer this end is.
    fn me(&self) -> Peer;

    /// Sends a frame to a node without waiting, for one credit.
    ///
    /// # Errors
    /// [`LinkError`] says why it was not sent. Once sent it may still be lost: with its node, or inside the link, which is told there.
    fn send(&self, to: NodeId, frame: Packet) -> Result<(), LinkError>;

    /// Sends a frame, for one credit, and waits for its answer, at the most for `within`.
    ///
    /// The future fails with `NodeLost` at once when the node goes, with `Dropped` when it does not answer, with `TimedOut`, and
    /// with what [`send`](Self::send) refuses.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up; the request may still be acted on.
    fn request(
        &self,
        to: NodeId,
        frame: Packet,
        within: Duration,
    ) -> BoxFuture<'static, Result<Packet, AskError>>;

    /// Sends a frame to every other node that has joined `group`, for one credit of each; one without credit misses it and is told.
    ///
    /// # Errors
    /// [`LinkError::TooLarge`] or [`LinkError::Closed`]; then nobody gets it.
    fn broadcast(&self, group: &str, frame: Packet) -> Result<(), LinkError>;

    /// Receives what is broadcast to `group` from now on.
    ///
    /// # Errors
    /// [`LinkError::TooManyGroups`], [`LinkError::Closed`].
    fn join(&self, group: &str) -> Result<(), LinkError>;

    /// Receives nothing more of `group`.
    fn leave(&self, group: &str);

    /// How many frames the node may be sent now.
    fn credit(&self, to: NodeId) -> usize;

    /// Waits until the node may be sent a frame.
    ///
    /// The future fails as [`send`](Self::send) does when there is no such node.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    fn ready(&self, to: NodeId) -> BoxFuture<'static, Result<(), LinkError>>;

    /// Tells every peer how many frames it was sent, so that it finds what was lost last. Whoever drives the link calls it at
    /// intervals.
    fn mark(&self);

    /// Waits for what arrives next; `None` once the link is closed. Taking a frame gives its sender the credit back.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    fn next(&self) -> BoxFuture<'_, Option<Arrival>>;

    /// Leaves the network: what has arrived and was not taken is lost, requests to this node end as `NodeLost`.
    fn close(&self);
}

/// What arrives at a node.
#[derive(Debug)]
pub enum Arrival {
    /// A frame.
    Frame {
        /// Who sent it.
        from: Peer,
        /// Its bytes.
        frame: Packet,
        /// The right to answer, where it is a request.
        reply: Option<Reply<Packet>>,
    },
    /// Frames were lost between the last one of this peer and the next.
    Gap {
        /// Who sent them.
        from: Peer,
        /// How many they are.
        lost: u64,
    },
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no such node.
    #[error("node {0} is not on the network; wait until it has joined, or send elsewhere")]
    Unknown(NodeId),
    /// The node has not read what it was sent before.
    #[error(
        "node {0} has read nothing for a while and takes no more frames; wait until the link is ready for it"
    )]
    NoCredit(NodeId),
    /// The frame is too large.
    #[error(
        "a frame of {bytes} bytes is over the limit of {LINK_FRAME_BYTES_MAX}; send it in parts"
    )]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// This end was closed, or a later life of the node has taken its place.
    #[error("this end of the link is closed, or a later life of its node has joined; open another")]
    Closed,
    /// There are as many nodes as there may be.
    #[error("the network has as many nodes as it may have; let one leave first")]
    TooManyPeers,
    /// The node is in as many groups as it may be.
    #[error("the node has joined as many groups as it may; leave one first")]
    TooManyGroups,
}

impl LinkError {
    /// The stable number by which this is known on the wire.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unknown(_) => Code::NodeLost,
            Self::NoCredit(_) => Code::Overloaded,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Closed => Code::Stopping,
            Self::TooManyPeers | Self::TooManyGroups => Code::Overloaded,
        }
    }

    /// What the sender does next.
    pub fn retry(&self) -> Retry {
        Refusal::new(self.code(), "").retry()
    }
}

impl From<LinkError> for AskError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unknown(_) => Self::NodeLost,
            LinkError::NoCredit(_)
            | LinkError::TooLarge { .. }
            | LinkError::Closed
            | LinkError::TooManyPeers
            | LinkError::TooManyGroups => Refusal::from_error(error.code(), &error).into(),
        }
    }
}

/// Checks a frame's size.
///
/// # Errors
/// [`LinkError::TooLarge`].
pub fn checked(frame: &Packet) -> Result<(), LinkError> {
    let bytes = frame.len();
    if bytes > LINK_FRAME_BYTES_MAX { Err(LinkError::TooLarge { bytes }) } else { Ok(()) }
}

/// The receiver's account of one sender's frames: finds what was lost from the numbers that they carry.
///
/// Every engine numbers the frames from one peer to another from 1, marks telling the last number without being one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    last: u64,
}

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// Nothing is missing.
    InOrder,
    /// This many are missing before it.
    Behind(u64),
    /// It has come before, or was counted as lost: to be dropped.
    Again,
}

impl Account {
    /// Takes the number of a frame.
    pub fn frame(&mut self, number: u64) -> Numbered {
        if number <= self.last {
            return Numbered::Again;
        }
        let missing = number - self.last - 1;
        self.last = number;
        if missing == 0 { Numbered::InOrder } else { Numbered::Behind(missing) }
    }

    /// Takes a mark: the number of the last frame sent.
    pub fn mark(&mut self, number: u64) -> Numbered {
        let missing = number.saturating_sub(self.last);
        self.last = self.last.max(number);
        if missing == 0 { Numbered::InOrder } else { Numbered::Behind(missing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_tells_what_is_missing_once_and_drops_what_comes_again() {
        let mut account = Account::default();
        assert_eq!(account.frame(1), Numbered::InOrder);
        assert_eq!(account.frame(4), Numbered::Behind(2));
        assert_eq!(account.frame(3), Numbered::Again, "it was counted as lost");
        assert_eq!(account.mark(4), Numbered::InOrder);
        assert_eq!(account.mark(6), Numbered::Behind(2));
        assert_eq!(account.mark(5), Numbered::InOrder, "an old mark says nothing");
        assert_eq!(account.frame(7), Numbered::InOrder);
    }

    #[test]
    fn what_was_not_sent_says_when_to_come_again() {
        let node = NodeId::from_u128(1);
        assert!(matches!(LinkError::NoCredit(node).retry(), Retry::After(_)));
        assert_eq!(LinkError::Unknown(node).retry(), Retry::Elsewhere);
        assert_eq!(LinkError::TooLarge { bytes: 9 }.retry(), Retry::Never);
        assert_eq!(AskError::from(LinkError::Unknown(node)), AskError::NodeLost);
    }
}
