//! What an actor is: one state, one mailbox, a synchronous `handle`, and the reasons for which it ends.
//!
//! Written by everyone who builds on Synod; run by `serve` in production, by [`Probe`](crate::probe::Probe) in a unit test.
//!
//! # Invariants
//! - A step (one call of `start`, `handle` or `replay`) never waits: what waits is an effect recorded in [`Cx`].
//! - A step that panics leaves no effect behind.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{context::Cx, dead_letters::Kept, graph::ObservableState};

/// A state machine with a mailbox: it decides, and `cx` records what shall happen.
///
/// ```
/// use synod_runtime::{actor::Actor, context::Cx, ask::Reply};
///
/// struct Counter(u64);
/// enum Msg { Add(u64), Read(Reply<u64>) }
///
/// impl Actor for Counter {
///     type Msg = Msg;
///     fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
///         match msg {
///             Msg::Add(n) => self.0 += n,
///             Msg::Read(to) => cx.reply(to, self.0),
///         }
///     }
/// }
/// ```
pub trait Actor: Sized + Send + 'static {
    /// What the mailbox holds.
    type Msg: Send + 'static;

    /// Runs once at the beginning of each incarnation, after [`replay`](Self::replay), before any message.
    fn start(&mut self, cx: &mut Cx<Self>) {
        let _ = cx;
    }

    /// Handles one message.
    fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<Self>);

    /// Keeps what shall be found among the [dead letters](crate::dead_letters) if handling `msg` crashes the actor.
    ///
    /// Called before each [`handle`](Self::handle); what is kept of a message that is handled well is dropped. Nothing by default.
    fn keep(msg: &Self::Msg) -> Kept<Self::Msg> {
        let _ = msg;
        Kept::Nothing
    }

    /// Shows what an observer may see of the state: [`Node::observe`](crate::node::Node::observe) and the
    /// [actor graph](crate::graph) ask for it, between two steps. Nothing by default.
    fn observe(&self) -> ObservableState {
        ObservableState::NOTHING
    }

    /// Takes back one record that an earlier incarnation wrote with [`Cx::record`], in the order written.
    ///
    /// Called only for actors with a journal, before [`start`](Self::start).
    ///
    /// # Errors
    /// A record that this actor cannot read; the actor then ends as [`ExitReason::Journal`].
    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        let _ = record;
        Ok(())
    }
}

/// One actor of one node, for as long as the node lives; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId {
    number: u64,
    /// Tells the nodes of one process apart, and a node from a probe; never shown.
    node: usize,
}

impl ActorId {
    pub(crate) const fn new(number: u64, node: usize) -> Self {
        Self { number, node }
    }

    /// Which actor of its node this is, in the order of their births.
    pub(crate) const fn number(self) -> u64 {
        self.number
    }

    /// The actor of the same node with this number.
    pub(crate) const fn beside(self, number: u64) -> Self {
        Self { number, node: self.node }
    }
}

impl Serialize for ActorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.number)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.number)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ActorId({})", self.number)
    }
}

/// Why an incarnation of an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The actor asked for it with [`Cx::stop`].
    Normal,
    /// Its parent, its node or a holder of its address asked for it.
    Shutdown,
    /// It was killed: its parent's patience was over, or somebody called [`ChildRef::kill`](crate::child::ChildRef::kill).
    Killed,
    /// It was cancelled, or somebody above it was: [`ChildRef::cancel`](crate::child::ChildRef::cancel), an emergency stop.
    Cancelled,
    /// It panicked, or asked for it with [`Cx::crash`]; the text says why.
    Crashed(String),
    /// Its journal refused a record, so what it decided could not be made durable.
    Journal(String),
    /// It was never started, since a budget allows no more; the text names the budget and what of it is used up.
    Refused(String),
    /// A supervisor gave it up: too many restarts within the period.
    Intensity(String),
}

impl ExitReason {
    /// Whether this end is a failure, as OTP counts it: everything but `Normal` and `Shutdown`; nor is a cancel one.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown | Self::Cancelled)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => out.write_str("stopped by itself"),
            Self::Shutdown => out.write_str("shut down"),
            Self::Killed => out.write_str("killed"),
            Self::Cancelled => out.write_str("cancelled"),
            Self::Crashed(why) => write!(out, "crashed: {why}"),
            Self::Journal(why) => write!(out, "its journal failed: {why}"),
            Self::Refused(why) => write!(out, "not started: {why}"),
            Self::Intensity(why) => write!(out, "given up by its supervisor: {why}"),
        }
    }
}

/// The one notice that a watcher gets of an actor's final end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// Who ended.
    pub actor: ActorId,
    /// Why it ended.
    pub reason: ExitReason,
}

/// What a parent is told when an incarnation of its child ended; it answers with a restart or a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildExit {
    /// Which child.
    pub child: ActorId,
    /// Which of its incarnations, from 1; 0 for a child that was refused before its first.
    pub incarnation: u32,
    /// Why it ended.
    pub reason: ExitReason,
}
