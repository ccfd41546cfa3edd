//! Addresses: how messages reach an actor, from another actor's step or from outside.
//!
//! # Invariants
//! - An address stays valid across restarts and keeps the queued messages; it is never reused.
//! - A message that is not delivered comes back to its sender in the error.

use std::{
    any::Any,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    actor::{ActorId, ExitReason},
    ask::{AskError, Reply, TaskAsk, Waiter},
    child::ChildRef,
    kernel::Kernel,
    mailbox::{Closed, Mailbox, Slot, Tally, Turn},
    waits::{self, Holder, WaitPath, Waits},
};

/// The typed address of an actor: cheap to clone, valid across restarts.
pub struct Addr<M>(pub(crate) Arc<Slot<M>>);

/// A message that was not delivered, and why.
#[derive(PartialEq, Eq, thiserror::Error)]
pub enum TellError<M> {
    /// The mailbox is full.
    #[error("the mailbox is full")]
    Full(M),
    /// The actor has ended for good.
    #[error("the actor has ended")]
    Stopped(M),
}

impl<M> TellError<M> {
    /// The message itself.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Stopped(message) => message,
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Full(_) => "Full",
            Self::Stopped(_) => "Stopped",
        })
    }
}

impl<M: Send + 'static> Addr<M> {
    /// Sends one message; where the mailbox is full and its policy is to wait, waits for a place.
    ///
    /// # Errors
    /// The message comes back when the actor has ended, or when the mailbox is full and its policy is to reject.
    ///
    /// # Cancel safety
    /// Dropping the future takes a message that is still in line out of it; it is then not delivered.
    pub async fn tell(&self, message: M) -> Result<(), TellError<M>> {
        match self.0.offer_or_wait(message) {
            Ok(None) => Ok(()),
            Ok(Some(turn)) => InLine { slot: &self.0, turn }.await.map_err(TellError::Stopped),
            Err((message, Closed::Full)) => Err(TellError::Full(message)),
            Err((message, Closed::Stopped)) => Err(TellError::Stopped(message)),
        }
    }

    /// Sends one message without waiting.
    ///
    /// # Errors
    /// The message comes back when the mailbox is full (and does not drop) or the actor has ended.
    pub fn try_tell(&self, message: M) -> Result<(), TellError<M>> {
        self.0.offer(message).map_err(|(message, closed)| match closed {
            Closed::Full => TellError::Full(message),
            Closed::Stopped => TellError::Stopped(message),
        })
    }

    /// Asks and waits for the answer, at the most for `within`; there is no ask without a deadline.
    ///
    /// # Errors
    /// See [`AskError`]; after `TimedOut` it is not known whether the question was handled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the ask up; a question already queued is still handled.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> M,
        within: Duration,
    ) -> Result<T, AskError> {
        let ask = TaskAsk::open(&self.0.kernel, within);
        let waiter = Waiter::new(Arc::clone(&ask));
        let message = question(Reply::new(ask));
        match self.0.offer_or_wait(message) {
            Ok(None) => {}
            // The message holds the reply: left in line or returned, the waiter ends by its deadline or at once.
            Ok(Some(turn)) => {
                return Asking { waiter, line: Some(InLine { slot: &self.0, turn }) }.await;
            }
            Err((message, Closed::Full)) => {
                drop(message);
                return Err(AskError::Full);
            }
            Err((message, Closed::Stopped)) => {
                drop(message);
                return Err(AskError::Stopped);
            }
        }
        waiter.await
    }

    /// A one-way address that turns each `T` into a message of this actor.
    pub fn recipient<T: Send + 'static>(
        &self,
        into_message: impl Fn(T) -> M + Send + Sync + 'static,
    ) -> Recipient<T> {
        Recipient(Arc::new(Adapter { slot: Arc::clone(&self.0), into_message }))
    }

    /// Asks the actor to end for good; queued messages become dead letters.
    pub fn stop(&self) {
        self.0.order_stop();
    }

    /// Ends the actor for good, with all below it, at once; see [`ChildRef::cancel`].
    pub fn cancel(&self) {
        self.child().cancel();
    }

    /// Waits until the actor has ended for good.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> ExitReason {
        crate::child::stopped(&*self.0).await
    }

    /// Whether the actor has ended for good.
    pub fn is_stopped(&self) -> bool {
        self.0.ended().is_some()
    }

    /// What the mailbox holds and what it has refused or dropped, exactly.
    pub fn tally(&self) -> Tally {
        self.0.tally()
    }

    /// Which actor this is.
    pub fn id(&self) -> ActorId {
        self.0.id
    }

    /// The actor's name: its path from the root of its tree.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The actor without its message type, to restart, stop or list it.
    pub fn child(&self) -> ChildRef {
        ChildRef(Arc::<Slot<M>>::clone(&self.0))
    }

    /// An address that nobody serves: what is sent to it stays there, for a test to [`take`](Self::take).
    pub fn mock() -> Self {
        let kernel = Kernel::detached();
        let id = kernel.next_actor();
        Self(Arc::new(Slot::new(kernel, id, "mock".into(), Mailbox::default())))
    }

    /// Takes all queued messages of an address that nobody serves.
    pub fn take(&self) -> Vec<M> {
        self.0.drain()
    }
}

impl<M> Clone for Addr<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Addr<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Addr({} {})", self.0.name, self.0.id)
    }
}

impl<M> PartialEq for Addr<M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<M> Eq for Addr<M> {}

/// A one-way address for values of type `T`, whatever the receiver's own message type is.
pub struct Recipient<T>(Arc<dyn Receive<T>>);

impl<T: Send + 'static> Recipient<T> {
    /// Sends one value without waiting.
    ///
    /// # Errors
    /// The receiver's mailbox is full or the receiver has ended; the value is dropped.
    pub fn try_tell(&self, value: T) -> Result<(), AskError> {
        self.0.offer(value)
    }
}

impl<T> Clone for Recipient<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Recipient<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Recipient")
    }
}

/// Whatever a step can send to: an [`Addr`] or a [`Recipient`].
pub trait Target<T>: Clone + Send + 'static {
    /// Delivers `value`, or joins the line and returns what to wait for. Called by the kernel, not by actors.
    #[doc(hidden)]
    fn deliver(&self, value: T, from: ActorId) -> Delivery;

    /// The name of the address, for the note of a dead letter.
    #[doc(hidden)]
    fn target_name(&self) -> Option<Arc<str>> {
        None
    }
}

/// What became of an actor's send. Made by the kernel.
#[doc(hidden)]
pub enum Delivery {
    /// Taken in by this actor, or dropped by its mailbox's own policy.
    Done(ActorId),
    /// Handed back: the mailbox is full, or its actor has ended.
    Refused(AskError, Box<dyn Any + Send>),
    /// In line for a place.
    InLine(PlaceInLine),
}

/// What a sender in line waits for.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "there is nothing to show")]
pub struct PlaceInLine(pub(crate) Box<dyn Placed>);

impl fmt::Debug for Delivery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(by) => write!(out, "Done({by})"),
            Self::Refused(why, _) => write!(out, "Refused({why})"),
            Self::InLine(_) => out.write_str("InLine"),
        }
    }
}

/// A message of an actor in line; it leaves the line when dropped.
pub(crate) trait Placed: Send {
    /// Whether it has left the line, be it as a dead letter; otherwise wakes `waker` when it does, if `quiet` only when it comes back.
    fn is_settled(&self, waker: &Waker, quiet: bool) -> bool;
    /// Whose line it is.
    fn holder(&self) -> ActorId;
    /// The sender can do nothing until its message is taken in: an edge, as long as that is so.
    ///
    /// # Errors
    /// The path, where that could never be.
    fn block(&self, waits: &Waits, waiter: waits::Waiter) -> Result<(), WaitPath>;
    /// The sender can do something else meanwhile.
    fn stand_by(&self);
    /// Makes the message a dead letter, unless it was taken in.
    fn give_up(&self, why: AskError);
}

struct Place<M: Send + 'static> {
    slot: Arc<Slot<M>>,
    turn: Arc<Turn<M>>,
}

impl<M: Send + 'static> Placed for Place<M> {
    fn is_settled(&self, waker: &Waker, quiet: bool) -> bool {
        match self.turn.poll(waker, quiet) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(message)) => self.lose(message, AskError::Stopped),
        }
        true
    }

    fn holder(&self) -> ActorId {
        self.slot.id
    }

    fn block(&self, waits: &Waits, waiter: waits::Waiter) -> Result<(), WaitPath> {
        self.turn.block(|| waits.open(|| waiter, 1, Holder::Actor(self.slot.id)))
    }

    fn stand_by(&self) {
        self.turn.stand_by();
    }

    fn give_up(&self, why: AskError) {
        if let Some(message) = self.slot.leave(&self.turn) {
            self.lose(message, why);
        }
    }
}

impl<M: Send + 'static> Drop for Place<M> {
    fn drop(&mut self) {
        // Its sender has ended, or wants no answer any more: nobody is left to wait.
        self.give_up(AskError::Full);
    }
}

impl<M: Send + 'static> Place<M> {
    fn lose(&self, message: M, why: AskError) {
        let Slot { kernel, name, .. } = &*self.slot;
        kernel.dead_letter::<M>(Some(Arc::clone(name)), why, Box::new(message));
    }
}

impl<M: Send + 'static> Target<M> for Addr<M> {
    fn deliver(&self, value: M, from: ActorId) -> Delivery {
        deliver(&self.0, value, from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.0.name))
    }
}

impl<T: Send + 'static> Target<T> for Recipient<T> {
    fn deliver(&self, value: T, from: ActorId) -> Delivery {
        self.0.deliver(value, from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Some(self.0.name())
    }
}

trait Receive<T>: Send + Sync {
    fn name(&self) -> Arc<str>;
    fn offer(&self, value: T) -> Result<(), AskError>;
    fn deliver(&self, value: T, from: ActorId) -> Delivery;
}

struct Adapter<M, F> {
    slot: Arc<Slot<M>>,
    into_message: F,
}

impl<M: Send + 'static, T, F: Fn(T) -> M + Send + Sync> Receive<T> for Adapter<M, F> {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.slot.name)
    }

    fn offer(&self, value: T) -> Result<(), AskError> {
        self.slot.offer((self.into_message)(value)).map_err(|(_, closed)| closed.into())
    }

    fn deliver(&self, value: T, from: ActorId) -> Delivery {
        deliver(&self.slot, (self.into_message)(value), from)
    }
}

impl From<Closed> for AskError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Full => Self::Full,
            Closed::Stopped => Self::Stopped,
        }
    }
}

/// A message to oneself is a follow-up: it must not wait for a place that only its own sender could free.
fn deliver<M: Send + 'static>(slot: &Arc<Slot<M>>, message: M, from: ActorId) -> Delivery {
    let offered = if slot.id == from {
        slot.follow_up(message).map(|()| None)
    } else {
        slot.offer_or_wait(message)
    };
    match offered {
        Ok(None) => Delivery::Done(slot.id),
        Ok(Some(turn)) => {
            let place = Place { slot: Arc::clone(slot), turn };
            Delivery::InLine(PlaceInLine(Box::new(place)))
        }
        Err((message, closed)) => Delivery::Refused(closed.into(), Box::new(message)),
    }
}

/// A sender's place in line; leaves it when dropped.
struct InLine<'a, M> {
    slot: &'a Slot<M>,
    turn: Arc<Turn<M>>,
}

impl<M> Future for InLine<'_, M> {
    type Output = Result<(), M>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.turn.poll(cx.waker(), false)
    }
}

impl<M> Drop for InLine<'_, M> {
    fn drop(&mut self) {
        drop(self.slot.leave(&self.turn));
    }
}

/// An ask whose question may still be in line.
struct Asking<'a, T: Send + 'static, M> {
    waiter: Waiter<T>,
    line: Option<InLine<'a, M>>,
}

impl<T: Send + 'static, M> Future for Asking<'_, T, M> {
    type Output = Result<T, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(line) = &mut self.line
            && let Poll::Ready(placed) = Pin::new(line).poll(cx)
        {
            self.line = None;
            if placed.is_err() {
                return Poll::Ready(Err(AskError::Stopped));
            }
        }
        Pin::new(&mut self.waiter).poll(cx)
    }
}
