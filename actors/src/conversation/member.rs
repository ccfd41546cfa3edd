//! Who sits at the table: actors, agents and seats that somebody reads.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::payload::coordination::{Coordination, Speech};
use runtime::{
    actor::ActorId,
    address::{Addr, Delivery},
    ask::{AskError, Reply},
    child::ChildRef,
    context::AskTarget,
    work_cx::WorkCx,
};

use super::voice::Voice;
use crate::agent::handle::Agent;

/// Something that a member hears: what another said, or that somebody joined, left or ended the conversation.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whose act it is.
    pub from: Arc<str>,
    /// The act.
    pub act: Arc<Coordination>,
    /// Why, where a member has not left by itself, for people.
    pub why: Option<Arc<str>>,
    /// The voice of the member that hears it, to speak with.
    pub voice: Voice,
}

impl Heard {
    /// What is said, unless it is a notice.
    pub fn speech(&self) -> Option<&Speech> {
        match &*self.act {
            Coordination::Tell(speech)
            | Coordination::Ask(speech)
            | Coordination::Answer(speech)
            | Coordination::Broadcast(speech) => Some(speech),
            Coordination::Open(_)
            | Coordination::Join
            | Coordination::Leave
            | Coordination::End { .. }
            | Coordination::Event(_)
            | Coordination::Subscribe { .. }
            | Coordination::Unsubscribe { .. } => None,
        }
    }

    /// Whether somebody waits for an answer.
    pub fn is_ask(&self) -> bool {
        matches!(*self.act, Coordination::Ask(_))
    }
}

/// Somebody who can take part in a conversation.
#[derive(Clone)]
pub struct Member {
    pub(super) ears: Arc<dyn Ears>,
    /// Those with whom it dies.
    pub(super) bodies: Vec<ChildRef>,
}

impl Member {
    /// An actor, to which each thing that it hears comes as a message, with the right to answer it where it is an ask.
    ///
    /// Dropping that right of an ask refuses it; of anything else it says that the message is handled.
    pub fn actor<M: Send + 'static>(
        addr: &Addr<M>,
        into_message: impl Fn(Heard, Reply<Speech>) -> M + Send + Sync + 'static,
    ) -> Self {
        let ears = ActorEars { addr: addr.clone(), into_message: Arc::new(into_message) };
        Self { ears: Arc::new(ears), bodies: vec![addr.child()] }
    }

    /// An agent, which is called for each tell, ask and broadcast; what it answers counts where it was asked.
    pub fn agent(agent: &Agent<Heard, Speech>) -> Self {
        Self { ears: Arc::new(AgentEars(agent.clone())), bodies: agent.instances() }
    }

    /// A seat that somebody reads, and the two ends of it.
    pub(super) fn seat() -> (Self, EmptySeat) {
        let inbox = Inbox::default();
        let ears = Arc::new(SeatEars(inbox.clone()));
        (Self { ears, bodies: Vec::new() }, EmptySeat(inbox))
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Member({:?})", self.bodies)
    }
}

/// How a member hears.
pub(super) trait Ears: Send + Sync {
    /// Hands over what is heard, at once or in line, when the future is first polled; ready when it is answered or handled.
    fn hear(
        &self,
        heard: Heard,
        within: Duration,
        cx: &WorkCx,
    ) -> BoxFuture<'static, Result<Speech, AskError>>;

    /// Whether it hears of those who come and go, too.
    fn hears_notices(&self) -> bool {
        true
    }
}

struct ActorEars<M, F> {
    addr: Addr<M>,
    into_message: Arc<F>,
}

impl<M: Send + 'static, F: Fn(Heard, Reply<Speech>) -> M + Send + Sync + 'static> Ears
    for ActorEars<M, F>
{
    fn hear(
        &self,
        heard: Heard,
        within: Duration,
        cx: &WorkCx,
    ) -> BoxFuture<'static, Result<Speech, AskError>> {
        let into_message = Arc::clone(&self.into_message);
        Box::pin(cx.ask(&self.addr, move |reply| into_message(heard, reply), within))
    }
}

struct AgentEars(Agent<Heard, Speech>);

impl Ears for AgentEars {
    fn hear(
        &self,
        heard: Heard,
        within: Duration,
        cx: &WorkCx,
    ) -> BoxFuture<'static, Result<Speech, AskError>> {
        Box::pin(cx.ask(&self.0, heard, within))
    }

    fn hears_notices(&self) -> bool {
        false
    }
}

/// The table's end of a seat; dropping it closes the seat.
struct SeatEars(Inbox);

impl Ears for SeatEars {
    fn hear(
        &self,
        heard: Heard,
        within: Duration,
        cx: &WorkCx,
    ) -> BoxFuture<'static, Result<Speech, AskError>> {
        Box::pin(cx.ask(&self.0, heard, within))
    }
}

impl Drop for SeatEars {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What waits at a seat. Bounded by the table, which counts what a member has not heard.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    heard: VecDeque<(Heard, Reply<Speech>)>,
    closed: bool,
    waker: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl AskTarget<Heard, Speech> for Inbox {
    fn deliver_question(&self, heard: Heard, reply: Reply<Speech>, from: ActorId) -> Delivery {
        let mut waiting = self.lock();
        if waiting.closed {
            return Delivery::Refused(AskError::Stopped, Box::new((heard, reply)));
        }
        waiting.heard.push_back((heard, reply));
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
        Delivery::Done(from)
    }
}

/// A seat that nobody has taken yet.
pub(super) struct EmptySeat(Inbox);

impl EmptySeat {
    pub(super) fn taken(self, voice: Voice, cx: Option<WorkCx>) -> Seat {
        Seat { voice: voice.on_behalf(cx.clone()), inbox: self.0, cx }
    }
}

/// A place in a conversation that somebody reads: hears by [`next`](Self::next), speaks as a [`Voice`]; dropping it leaves.
pub struct Seat {
    voice: Voice,
    inbox: Inbox,
    cx: Option<WorkCx>,
}

impl Seat {
    /// Waits for the next thing to hear, with the right to answer it where it is an ask; `None` when the conversation, or this
    /// member's part in it, has ended and everything is read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(Heard, Reply<Speech>)> {
        let next = poll_fn(|context| {
            let mut waiting = self.inbox.lock();
            match waiting.heard.pop_front() {
                Some(heard) => Poll::Ready(Some(heard)),
                None if waiting.closed => Poll::Ready(None),
                None => {
                    waiting.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        let unwatched = Unwatched(&self.inbox);
        let next = next.await;
        drop(unwatched);
        let (mut heard, reply) = next?;
        heard.voice = heard.voice.on_behalf(self.cx.clone());
        Some((heard, reply))
    }
}

/// Once nobody waits at a seat, nobody's waker is kept: it would look like somebody who is about to be woken.
struct Unwatched<'a>(&'a Inbox);

impl Drop for Unwatched<'_> {
    fn drop(&mut self) {
        let waker = self.0.lock().waker.take();
        drop(waker);
    }
}

impl Deref for Seat {
    type Target = Voice;

    fn deref(&self) -> &Voice {
        &self.voice
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.voice.leave_now();
        self.inbox.close();
        // Replies among it are code of others: dropped outside of the lock.
        let rest = mem::take(&mut self.inbox.lock().heard);
        drop(rest);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seat({:?})", self.voice)
    }
}
