//! What a table is told, and what it remembers.

use std::{fmt, sync::Arc};

use protocol::{
    ActorId,
    payload::coordination::{Coordination, Speech},
};
use runtime::{
    ask::{AskError, Reply},
    work::TaskError,
};

use super::{
    member::Member,
    voice::{Said, Say, Voice},
};

/// Which member, of all that ever sat here: never used twice.
pub(super) type MemberId = ActorId;

/// What the table is told.
pub(super) enum Msg {
    Join(Arc<str>, Member, Reply<Voice>),
    Say {
        from: MemberId,
        say: Box<Say>,
        reply: Reply<Said>,
    },
    /// What was handed over is answered, handled or lost.
    Done(u64, Result<Result<Speech, AskError>, TaskError>),
    /// One of a member's bodies has ended.
    Down(MemberId, String),
    /// A seat was given up.
    Left(MemberId),
    End(String),
    Members(Reply<Vec<Arc<str>>>),
    Lines(Reply<Vec<Line>>),
}

/// One message of a conversation, as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counts the messages from 1.
    pub number: u64,
    /// Who said it.
    pub from: Arc<str>,
    /// To whom; none where it was to all.
    pub to: Option<Arc<str>>,
    /// What it is.
    pub act: Arc<Coordination>,
}

/// Why an act has no place in a conversation that is open.
pub(super) fn no_place(act: &Coordination) -> &'static str {
    match act {
        Coordination::Open(_) => "it is open already; speak",
        Coordination::Join => "you are a member already; speak",
        Coordination::Answer(_) => "an answer goes by the reply that came with the ask; use that",
        Coordination::Event(_)
        | Coordination::Subscribe { .. }
        | Coordination::Unsubscribe { .. } => {
            "events go over the node's bus; publish and subscribe there"
        }
        Coordination::Tell(_)
        | Coordination::Ask(_)
        | Coordination::Broadcast(_)
        | Coordination::Leave
        | Coordination::End { .. } => "it says not to whom; name a member",
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(name, ..) => write!(out, "Join({name})"),
            Self::Say { from, say, .. } => write!(out, "Say({from}, {say:?})"),
            Self::Done(number, _) => write!(out, "Done({number})"),
            Self::Down(id, why) => write!(out, "Down({id}, {why})"),
            Self::Left(id) => write!(out, "Left({id})"),
            Self::End(reason) => write!(out, "End({reason})"),
            Self::Members(_) => out.write_str("Members"),
            Self::Lines(_) => out.write_str("Lines"),
        }
    }
}
