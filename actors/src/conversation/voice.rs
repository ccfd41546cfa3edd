//! A member's voice: what it may say, and what comes of it.

use std::{fmt, sync::Arc, time::Duration};

use protocol::payload::coordination::{Coordination, Speech};
use runtime::{
    actor::ActorId,
    address::{Addr, Delivery, Target},
    ask::{AskError, Reply},
    context::AskTarget,
    work_cx::WorkCx,
};

use super::msg::{MemberId, Msg};
use crate::limits::CONVERSATION_WAIT;

/// What a member says: an act, to whom, and how long an answer may take.
///
/// Actors give it to `cx.ask(&voice, say, within, …)`; what comes back is [`Said`].
#[derive(Clone, Debug, PartialEq)]
pub struct Say {
    pub(super) to: Option<Arc<str>>,
    pub(super) act: Coordination,
    pub(super) within: Duration,
}

impl Say {
    /// Tells `to` something.
    pub fn tell(to: impl Into<Arc<str>>, speech: Speech) -> Self {
        Self::act(Some(to.into()), Coordination::Tell(speech), CONVERSATION_WAIT)
    }

    /// Asks `to`, who has the time `within` to answer.
    pub fn ask(to: impl Into<Arc<str>>, speech: Speech, within: Duration) -> Self {
        Self::act(Some(to.into()), Coordination::Ask(speech), within)
    }

    /// Tells every other member.
    pub fn broadcast(speech: Speech) -> Self {
        Self::act(None, Coordination::Broadcast(speech), CONVERSATION_WAIT)
    }

    /// Leaves.
    pub fn leave() -> Self {
        Self::act(None, Coordination::Leave, CONVERSATION_WAIT)
    }

    /// Ends the conversation for all.
    pub fn end(reason: impl Into<String>) -> Self {
        Self::act(None, Coordination::End { reason: reason.into() }, CONVERSATION_WAIT)
    }

    /// Any act, as it comes over a wire; the table refuses what has no place in a conversation that is open.
    pub fn act(to: Option<Arc<str>>, act: Coordination, within: Duration) -> Self {
        Self { to, act, within }
    }
}

/// What came of what was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// It is on its way to all whom it was for, but for those named: they have too much that they have not heard yet.
    Told(Vec<Arc<str>>),
    /// The answer of the member that was asked.
    Answered(Speech),
}

/// The right to speak in a conversation as one member; cheap to clone.
#[derive(Clone)]
pub struct Voice {
    table: Addr<Msg>,
    id: MemberId,
    name: Arc<str>,
    /// What speaks: its asks are edges of the wait-for graph.
    work: Option<WorkCx>,
}

impl Voice {
    pub(super) fn new(table: Addr<Msg>, id: MemberId, name: Arc<str>) -> Self {
        Self { table, id, name, work: None }
    }

    /// The same voice in the mouth of the work that `cx` belongs to.
    pub(crate) fn on_behalf(mut self, cx: Option<WorkCx>) -> Self {
        self.work = cx;
        self
    }

    /// The member's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Tells `to` something: it is on its way when this returns.
    ///
    /// # Errors
    /// [`Refused`](AskError::Refused) says why it was not said: nobody of that name, too much that it has not heard, too large, a
    /// budget, not a member any more. `Stopped` once the conversation has ended.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it is said.
    pub async fn tell(&self, to: &str, speech: Speech) -> Result<(), AskError> {
        self.say(Say::tell(to, speech), CONVERSATION_WAIT).await.map(drop)
    }

    /// Asks `to` and waits for the answer, at the most for `within`.
    ///
    /// # Errors
    /// As [`tell`](Self::tell), or why there is no answer; at once, when the member leaves or dies.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up.
    pub async fn ask(
        &self,
        to: &str,
        speech: Speech,
        within: Duration,
    ) -> Result<Speech, AskError> {
        match self.say(Say::ask(to, speech, within), within).await? {
            Said::Answered(answer) => Ok(answer),
            Said::Told(_) => Err(AskError::Dropped),
        }
    }

    /// Tells every other member; returns those who could not be told because they have too much that they have not heard.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it is said.
    pub async fn broadcast(&self, speech: Speech) -> Result<Vec<Arc<str>>, AskError> {
        match self.say(Say::broadcast(speech), CONVERSATION_WAIT).await? {
            Said::Told(missed) => Ok(missed),
            Said::Answered(_) => Ok(Vec::new()),
        }
    }

    /// Leaves: asks of this member and by it end.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it has left.
    pub async fn leave(&self) -> Result<(), AskError> {
        self.say(Say::leave(), CONVERSATION_WAIT).await.map(drop)
    }

    /// Ends the conversation for all.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it has ended.
    pub async fn end(&self, reason: impl Into<String>) -> Result<(), AskError> {
        self.say(Say::end(reason), CONVERSATION_WAIT).await.map(drop)
    }

    /// Says anything; see [`Say::act`].
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether it is said.
    pub async fn say(&self, say: Say, within: Duration) -> Result<Said, AskError> {
        match &self.work {
            Some(work) => work.ask(self, say, within).await,
            None => self.table.ask(|reply| self.message(say, reply), within).await,
        }
    }

    /// Leaves without waiting for it.
    pub(super) fn leave_now(&self) {
        // A table too full for it finds the seat closed when it has something for it.
        drop(self.table.try_tell(Msg::Left(self.id)));
    }

    fn message(&self, say: Say, reply: Reply<Said>) -> Msg {
        Msg::Say { from: self.id, say: Box::new(say), reply }
    }
}

impl AskTarget<Say, Said> for Voice {
    fn deliver_question(&self, say: Say, reply: Reply<Said>, from: ActorId) -> Delivery {
        self.table.deliver(self.message(say, reply), from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Target::target_name(&self.table)
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Voice({} in {})", self.name, self.table.name())
    }
}
