//! Conversations: agents and actors that tell and ask each other, and speak to all, in the words of [`Coordination`].
//!
//! A [`Talk`] describes one; it is opened on a node, below an actor, or by an agent in a call. The `table` is the actor at which
//! the [`Member`]s sit; each speaks through a [`Voice`]. An actor hears messages, an agent is called, a [`Seat`] is read.
//!
//! # Invariants
//! - Every ask ends once: answered, refused, or with its deadline. An ask of a member that leaves, dies or has left ends at once.
//! - Members hear one another in the order in which the table took in what was said, each message at most once.
//! - A slow member slows nobody: what it has not heard is bounded, and who speaks to it beyond is told.
//! - Nothing outlasts it: with its end, by whatever cause, asks are answered and seats are closed.
//!
//! Limits: [`CONVERSATION_MEMBERS_MAX`], [`CONVERSATION_UNHEARD_MAX`], [`CONVERSATION_LINES_MAX`], [`SPEECH_BYTES_MAX`].

mod member;
mod msg;
mod table;
mod voice;

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use protocol::{
    Code, Fault, Refusal, check_name,
    payload::coordination::{Coordination, Terms},
};
use runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::AskError,
    budget::Budget,
    context::Cx,
    node::Node,
    spawn::Spawn,
    work_cx::WorkCx,
};

pub use self::{
    member::{Heard, Member, Seat},
    msg::Line,
    voice::{Said, Say, Voice},
};
use self::{msg::Msg, table::Table};
use crate::limits::{CONVERSATION_LASTS_DEFAULT, CONVERSATION_MEMBERS_MAX, CONVERSATION_WAIT};
#[cfg(doc)]
use crate::limits::{CONVERSATION_LINES_MAX, CONVERSATION_UNHEARD_MAX, SPEECH_BYTES_MAX};

/// A conversation before it is opened.
///
/// ```
/// use std::time::Duration;
/// use protocol::payload::coordination::Speech;
/// use runtime::node::Node;
/// use synod_actors::{agent::CallContext, conversation::{Heard, Member, Talk}, system::AgentSystem};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let expert = system.agent("expert", |heard: Heard, _cx: CallContext| async move {
///     Ok::<_, String>(Speech::new("answer", format!("{} asks", heard.from)))
/// });
/// let talk = Talk::new("release 2").member("expert", Member::agent(&expert.start()?)).open(system.node())?;
/// let me = talk.join("me").await?;
/// let answer = me.ask("expert", Speech::new("question", "Is it ready?"), Duration::from_secs(5)).await?;
/// assert_eq!(answer.content, "me asks");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Talk {
    topic: String,
    lasts: Duration,
    messages_max: u64,
    budget: Option<Budget>,
    members: Vec<(Arc<str>, Member)>,
}

impl Talk {
    /// A conversation about `topic`, for an hour at the most.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            lasts: CONVERSATION_LASTS_DEFAULT,
            messages_max: u64::MAX,
            budget: None,
            members: Vec::new(),
        }
    }

    /// Ends it after this time.
    #[must_use]
    pub fn lasts(mut self, time: Duration) -> Self {
        self.lasts = time;
        self
    }

    /// Ends it once this many messages are said and the last ask has ended.
    #[must_use]
    pub fn messages_max(mut self, messages: u64) -> Self {
        self.messages_max = messages;
        self
    }

    /// Charges every message to every member to `budget`; what it refuses is not said.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets `member` take part from the beginning.
    #[must_use]
    pub fn member(mut self, name: impl Into<Arc<str>>, member: Member) -> Self {
        self.members.push((name.into(), member));
        self
    }

    /// Opens it on `node`, until what is returned is dropped.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a topic or a name that breaks a rule, [`Code::Duplicate`] for a name that is there twice,
    /// [`Code::TooLarge`] for more than [`CONVERSATION_MEMBERS_MAX`] members.
    pub fn open(self, node: &Node) -> Result<Opened, Refusal> {
        let (spawn, birth) = self.prepare()?;
        Ok(Opened(Conversation { table: node.spawn(spawn, birth) }))
    }

    /// Opens it below the actor of `cx`, with which it ends.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_below<A: Actor>(self, cx: &mut Cx<A>) -> Result<Conversation, Refusal> {
        let (spawn, birth) = self.prepare()?;
        Ok(Conversation { table: cx.spawn(spawn, birth) })
    }

    /// Opens it below the agent that works with `cx`, until what is returned is dropped: with its call, at the latest.
    pub(crate) fn open_for(self, cx: &WorkCx) -> Result<Opened, Refusal> {
        let (spawn, birth) = self.prepare()?;
        Ok(Opened(Conversation { table: cx.spawn(spawn, birth) }))
    }

    /// Charges it to `budget` unless it has one.
    pub(crate) fn or_budget(mut self, budget: Option<&Budget>) -> Self {
        self.budget = self.budget.or_else(|| budget.cloned());
        self
    }

    fn prepare(self) -> Result<(Spawn, impl FnMut() -> Table + Send + 'static), Refusal> {
        self.check()?;
        let spawn = Spawn::named(format!("conversation/{}", self.topic));
        Ok((spawn, move || Table::new(self.clone())))
    }

    fn check(&self) -> Result<(), Refusal> {
        let invalid = |fault: Fault| Refusal::new(Code::Invalid, format!("conversation: {fault}"));
        let terms = Terms { topic: self.topic.clone(), ..Terms::default() };
        Coordination::Open(terms).check().map_err(invalid)?;
        if self.members.len() > CONVERSATION_MEMBERS_MAX {
            return Err(too_many(&self.topic));
        }
        for (at, (name, _)) in self.members.iter().enumerate() {
            check_name("name", name).map_err(invalid)?;
            if self.members.iter().take(at).any(|(other, _)| other == name) {
                return Err(taken(&self.topic, name));
            }
        }
        Ok(())
    }
}

fn too_many(topic: &str) -> Refusal {
    let text = format!(
        "conversation `{topic}` has {CONVERSATION_MEMBERS_MAX} members, the most there may be; let one leave first"
    );
    Refusal::new(Code::TooLarge, text)
}

fn taken(topic: &str, name: &str) -> Refusal {
    let text =
        format!("conversation `{topic}` has a member `{name}` already; join by another name");
    Refusal::new(Code::Duplicate, text)
}

/// An open conversation: cheap to clone, and to give to whoever shall join.
#[derive(Clone)]
pub struct Conversation {
    table: Addr<Msg>,
}

impl Conversation {
    /// Takes part as `name`, through the seat that is returned, until that is dropped.
    ///
    /// # Errors
    /// [`Refused`](AskError::Refused) for a name that is invalid or taken, and when it is full; `Stopped` once it has ended.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it again.
    pub async fn join(&self, name: impl Into<Arc<str>>) -> Result<Seat, AskError> {
        self.join_with(name.into(), None).await
    }

    /// Takes part as `name` on behalf of the work of `cx`.
    pub(crate) async fn join_with(
        &self,
        name: Arc<str>,
        cx: Option<WorkCx>,
    ) -> Result<Seat, AskError> {
        let (member, seat) = Member::seat();
        let voice = self.add(name, member).await?;
        Ok(seat.taken(voice, cx))
    }

    /// Lets `member` take part as `name`, until it leaves or ends; returns its voice.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the member takes part.
    pub async fn add(&self, name: impl Into<Arc<str>>, member: Member) -> Result<Voice, AskError> {
        let name = name.into();
        self.table.ask(|reply| Msg::Join(name, member, reply), CONVERSATION_WAIT).await
    }

    /// The names of the members, sorted.
    ///
    /// # Errors
    /// `Stopped` once it has ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn members(&self) -> Result<Vec<Arc<str>>, AskError> {
        self.table.ask(Msg::Members, CONVERSATION_WAIT).await
    }

    /// The last [`CONVERSATION_LINES_MAX`] messages, oldest first.
    ///
    /// # Errors
    /// `Stopped` once it has ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn lines(&self) -> Result<Vec<Line>, AskError> {
        self.table.ask(Msg::Lines, CONVERSATION_WAIT).await
    }

    /// Ends it: members hear it, asks are refused, seats are closed. What was said before is still handed on.
    pub fn end(&self, reason: impl Into<String>) {
        // A table too full to take it is ended at once.
        if self.table.try_tell(Msg::End(reason.into())).is_err() {
            self.table.stop();
        }
    }

    /// Ends it at once.
    pub fn cancel(&self) {
        self.table.cancel();
    }

    /// Waits until it has ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ended(&self) -> ExitReason {
        self.table.stopped().await
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.table.is_stopped()
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Conversation({})", self.table.name())
    }
}

/// A conversation in the hand of whoever opened it: it ends when this is dropped.
#[derive(Debug)]
#[must_use = "a conversation ends when its opener drops it"]
pub struct Opened(Conversation);

impl Deref for Opened {
    type Target = Conversation;

    fn deref(&self) -> &Conversation {
        &self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.end("its opener is gone");
    }
}
