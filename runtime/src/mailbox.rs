//! The bounded mailbox: a slot that owns the queue of one address and outlives the incarnations that serve it.
//!
//! Senders put messages in (`address`, `ask`), `serve` takes them out in batches. Two lanes: *data* is bounded by the mailbox's
//! capacity and follows its overflow policy; *control* carries answers, timers, notices and orders, and is bounded because
//! each entry was reserved by an outstanding ask, timer, watch or child.
//!
//! # Invariants
//! - Messages held (queued, or taken by the host and not yet handled) never exceed the capacity.
//! - Data is first in, first out per sender; nobody overtakes a waiting sender.
//! - A message taken but not handled when its actor crashes goes back to the front.
//! - Control never waits behind data.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;

use crate::{
    actor::{ActorId, Down, ExitReason},
    kernel::Kernel,
    limits::{BATCH_MESSAGES, FOLLOW_UPS_MAX, MAILBOX_CAPACITY, QUEUE_SHRINK_ABOVE},
};

/// What happens to a message that meets a full mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The sender waits in line; first come, first served.
    #[default]
    Wait,
    /// The sender gets its message back.
    Reject,
    /// The oldest queued message makes room.
    DropOldest,
    /// The message itself is dropped.
    DropNewest,
}

/// Size and policy of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Messages held at the most, at least 1.
    pub capacity: usize,
    /// What happens to one more.
    pub overflow: Overflow,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { capacity: MAILBOX_CAPACITY, overflow: Overflow::Wait }
    }
}

impl Mailbox {
    /// A mailbox of `capacity` messages (at least 1) with the policy `overflow`.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        Self { capacity: capacity.max(1), overflow }
    }

    /// Half the capacity, so that `drop_oldest` always finds something older than the newcomer.
    fn batch(self) -> usize {
        (self.capacity / 2).clamp(1, BATCH_MESSAGES)
    }
}

/// Exact counts of what a mailbox did with the messages offered to it, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages taken in, over the address's life.
    pub accepted: u64,
    /// Messages handed back to their sender because the mailbox was full.
    pub refused: u64,
    /// Messages dropped by `drop_oldest` or `drop_newest`.
    pub dropped: u64,
    /// Messages held now: queued, or taken by the host and not yet handled.
    pub kept: usize,
    /// Senders in line now.
    pub waiting: usize,
    /// Answers, timers and notices meant for an earlier incarnation, dropped.
    pub stale: u64,
}

/// Why a message was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The mailbox is full and its policy is to wait or to reject.
    Full,
    /// The actor has ended for good.
    Stopped,
}

/// What the control lane carries.
pub(crate) enum Control<M> {
    /// An answer, a timer, a notice, a message to oneself.
    Message(M),
    /// End this actor for good.
    Stop(ExitReason),
    /// Begin a new incarnation; obeyed only by an actor whose incarnation has ended.
    Restart,
}

/// The address's end of a mailbox and the host's end of it.
pub(crate) struct Slot<M> {
    pub(crate) id: ActorId,
    pub(crate) name: Arc<str>,
    pub(crate) kernel: Arc<Kernel>,
    mailbox: Mailbox,
    /// Set whenever the host has something more pressing to see than the rest of its batch.
    urgent: AtomicBool,
    /// How many of the taken batch are done; written by the host alone.
    handled: AtomicUsize,
    lanes: Mutex<Lanes<M>>,
}

struct Lanes<M> {
    data: VecDeque<M>,
    control: VecDeque<Control<M>>,
    line: VecDeque<Waiting<M>>,
    taken: usize,
    nudged: bool,
    host: Option<Waker>,
    incarnation: u32,
    live: bool,
    ended: Option<ExitReason>,
    tally: Tally,
    watchers: Vec<Box<dyn FnOnce(Down) + Send>>,
}

/// A message in line for a place, and whoever waits for it.
struct Waiting<M> {
    message: M,
    turn: Arc<Turn<M>>,
}

/// What became of a message in line.
pub(crate) struct Turn<M>(Mutex<TurnState<M>>);

impl<M> fmt::Debug for Turn<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Turn")
    }
}

enum TurnState<M> {
    Waiting(Option<Waker>),
    Taken,
    Returned(M),
    Over,
}

impl<M> Turn<M> {
    /// Ready when the message was taken in, or with the message when it came back.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Result<(), M>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, TurnState::Over) {
            TurnState::Waiting(_) => {
                *state = TurnState::Waiting(Some(waker.clone()));
                Poll::Pending
            }
            TurnState::Returned(message) => Poll::Ready(Err(message)),
            TurnState::Taken | TurnState::Over => Poll::Ready(Ok(())),
        }
    }

    fn settle(&self, end: TurnState<M>) {
        if let TurnState::Waiting(Some(waker)) = mem::replace(&mut *self.0.lock(), end) {
            waker.wake();
        }
    }
}

impl<M> Slot<M> {
    pub(crate) fn new(kernel: Arc<Kernel>, name: Arc<str>, mailbox: Mailbox) -> Self {
        Self {
            id: kernel.next_actor(),
            name,
            kernel,
            mailbox,
            urgent: AtomicBool::new(false),
            handled: AtomicUsize::new(0),
            lanes: Mutex::new(Lanes {
                data: VecDeque::new(),
                control: VecDeque::new(),
                line: VecDeque::new(),
                taken: 0,
                nudged: false,
                host: None,
                incarnation: 0,
                live: false,
                ended: None,
                tally: Tally::default(),
                watchers: Vec::new(),
            }),
        }
    }

    /// Puts `message` into the data lane, or says why not and hands it back.
    pub(crate) fn offer(&self, message: M) -> Result<(), (M, Closed)> {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return Err((message, Closed::Stopped));
        }
        let mut evicted = None;
        if self.is_full(&lanes) {
            match self.mailbox.overflow {
                Overflow::Wait => return Err((message, Closed::Full)),
                Overflow::Reject => {
                    lanes.tally.refused += 1;
                    return Err((message, Closed::Full));
                }
                Overflow::DropNewest => {
                    lanes.tally.dropped += 1;
                    drop(lanes);
                    drop(message);
                    return Ok(());
                }
                Overflow::DropOldest => {
                    evicted = lanes.data.pop_front();
                    lanes.tally.dropped += 1;
                }
            }
        }
        lanes.data.push_back(message);
        lanes.tally.accepted += 1;
        wake(lanes.host.take(), lanes);
        drop(evicted);
        Ok(())
    }

    /// Offers `message`; where the policy is to wait, joins the line and returns the turn to wait for.
    pub(crate) fn offer_or_wait(&self, message: M) -> Result<Option<Arc<Turn<M>>>, (M, Closed)> {
        match self.offer(message) {
            Ok(()) => Ok(None),
            Err((message, Closed::Full)) if self.mailbox.overflow == Overflow::Wait => {
                let mut lanes = self.lanes.lock();
                if lanes.ended.is_some() {
                    return Err((message, Closed::Stopped));
                }
                let turn = Arc::new(Turn(Mutex::new(TurnState::Waiting(None))));
                lanes.line.push_back(Waiting { message, turn: Arc::clone(&turn) });
                self.admit(&mut lanes);
                wake(lanes.host.take(), lanes);
                Ok(Some(turn))
            }
            Err(refused) => Err(refused),
        }
    }

    /// Leaves the line: the message comes back unless it was taken in before.
    pub(crate) fn leave(&self, turn: &Arc<Turn<M>>) -> Option<M> {
        let mut lanes = self.lanes.lock();
        let at = lanes.line.iter().position(|waiting| Arc::ptr_eq(&waiting.turn, turn))?;
        lanes.line.remove(at).map(|waiting| waiting.message)
    }

    /// Puts a message of `incarnation` into the control lane; one for an earlier incarnation is dropped and counted.
    pub(crate) fn deliver(&self, incarnation: u32, message: M) {
        let mut lanes = self.lanes.lock();
        if lanes.incarnation != incarnation || !lanes.live {
            lanes.tally.stale += 1;
            drop(lanes);
            drop(message);
            return;
        }
        lanes.control.push_back(Control::Message(message));
        self.urge(lanes);
    }

    /// Puts a notice into the control lane of whichever incarnation lives.
    pub(crate) fn notify(&self, message: M) {
        let incarnation = self.lanes.lock().incarnation;
        self.deliver(incarnation, message);
    }

    /// Takes in a message that the actor sends to itself; it is handled before queued ones.
    pub(crate) fn follow_up(&self, message: M) -> Result<(), (M, Closed)> {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return Err((message, Closed::Stopped));
        }
        if lanes.control.len() >= FOLLOW_UPS_MAX {
            lanes.tally.refused += 1;
            return Err((message, Closed::Full));
        }
        lanes.tally.accepted += 1;
        lanes.control.push_back(Control::Message(message));
        self.urge(lanes);
        Ok(())
    }

    /// Gives an order through the control lane.
    pub(crate) fn order(&self, order: Control<M>) {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_none() {
            lanes.control.push_back(order);
            self.urge(lanes);
        }
    }

    /// Makes the host look at its outbox.
    pub(crate) fn nudge(&self) {
        let mut lanes = self.lanes.lock();
        lanes.nudged = true;
        self.urge(lanes);
    }

    /// Calls `watcher` once the actor has ended for good: now, if it has.
    pub(crate) fn watch(&self, watcher: Box<dyn FnOnce(Down) + Send>) {
        let mut lanes = self.lanes.lock();
        match lanes.ended.clone() {
            None => lanes.watchers.push(watcher),
            Some(reason) => {
                drop(lanes);
                watcher(Down { actor: self.id, reason });
            }
        }
    }

    /// Why the actor ended for good, if it has.
    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.lanes.lock().ended.clone()
    }

    /// The counts as they stand.
    pub(crate) fn tally(&self) -> Tally {
        let lanes = self.lanes.lock();
        Tally { kept: self.depth(&lanes), waiting: lanes.line.len(), ..lanes.tally }
    }

    /// Takes every queued data message, for a slot that nobody hosts: a mock or a probe.
    pub(crate) fn drain(&self) -> Vec<M> {
        let mut lanes = self.lanes.lock();
        let mut all: Vec<M> = lanes.data.drain(..).collect();
        self.admit(&mut lanes);
        all.extend(lanes.data.drain(..));
        all
    }

    fn depth(&self, lanes: &Lanes<M>) -> usize {
        lanes.data.len() + lanes.taken.saturating_sub(self.handled.load(Ordering::Acquire))
    }

    fn is_full(&self, lanes: &Lanes<M>) -> bool {
        !lanes.line.is_empty()
            || (lanes.data.len() + lanes.taken >= self.mailbox.capacity
                && self.depth(lanes) >= self.mailbox.capacity)
    }

    /// Moves waiting messages into the free places.
    fn admit(&self, lanes: &mut Lanes<M>) {
        while !lanes.line.is_empty() && self.depth(lanes) < self.mailbox.capacity {
            let Some(waiting) = lanes.line.pop_front() else { return };
            lanes.data.push_back(waiting.message);
            lanes.tally.accepted += 1;
            waiting.turn.settle(TurnState::Taken);
        }
    }

    fn urge(&self, mut lanes: parking_lot::MutexGuard<'_, Lanes<M>>) {
        self.urgent.store(true, Ordering::Release);
        wake(lanes.host.take(), lanes);
    }
}

/// The host's end.
impl<M> Slot<M> {
    /// Begins the next incarnation: notices meant for the one before are dropped, queued data stays.
    pub(crate) fn begin(&self) -> u32 {
        let mut lanes = self.lanes.lock();
        lanes.incarnation += 1;
        lanes.live = true;
        let stale = lanes.control.len();
        lanes.control.retain(|entry| !matches!(entry, Control::Message(_)));
        lanes.tally.stale += (stale - lanes.control.len()) as u64;
        lanes.incarnation
    }

    /// Ends the present incarnation's claim on answers, timers and notices, before a verdict on it is asked for.
    pub(crate) fn retire(&self) {
        self.lanes.lock().live = false;
    }

    /// Moves what there is into `control` and (where `open`) `batch`; pending when there is neither and nobody nudged.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        control: &mut VecDeque<Control<M>>,
        batch: &mut VecDeque<M>,
        open: bool,
    ) -> Poll<()> {
        let mut lanes = self.lanes.lock();
        self.settle_batch(&mut lanes);
        self.urgent.store(false, Ordering::Release);
        let nudged = mem::take(&mut lanes.nudged);
        mem::swap(control, &mut lanes.control);
        if open && !lanes.data.is_empty() {
            take_batch(&mut lanes.data, batch, self.mailbox.batch());
            lanes.taken = batch.len();
        }
        if nudged || !control.is_empty() || !batch.is_empty() {
            return Poll::Ready(());
        }
        if lanes.data.capacity() > QUEUE_SHRINK_ABOVE && lanes.data.is_empty() {
            lanes.data.shrink_to(QUEUE_SHRINK_ABOVE);
            batch.shrink_to(QUEUE_SHRINK_ABOVE);
        }
        if !lanes.host.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            lanes.host = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Moves what the control lane holds into `control`, in the middle of a batch.
    pub(crate) fn take_control(&self, control: &mut VecDeque<Control<M>>) {
        let mut lanes = self.lanes.lock();
        self.urgent.store(false, Ordering::Release);
        mem::swap(control, &mut lanes.control);
    }

    /// Marks the first `count` messages of the taken batch as handled, so that their places are free.
    pub(crate) fn mark_handled(&self, count: usize) {
        self.handled.store(count, Ordering::Release);
    }

    /// Whether the host should look at its control lane before the next message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    /// Returns what was taken and not handled to the front of the queue.
    pub(crate) fn put_back(&self, batch: &mut VecDeque<M>) {
        let mut lanes = self.lanes.lock();
        lanes.taken = 0;
        self.handled.store(0, Ordering::Release);
        while let Some(message) = batch.pop_back() {
            lanes.data.push_front(message);
        }
    }

    /// Ends the address for good: queued messages are returned as dead letters, senders in line get theirs back,
    /// watchers their one notice.
    pub(crate) fn close(&self, reason: ExitReason) -> Vec<M> {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return Vec::new();
        }
        lanes.ended = Some(reason.clone());
        lanes.live = false;
        lanes.taken = 0;
        let dead = lanes.data.drain(..).collect();
        let control = mem::take(&mut lanes.control);
        let line = mem::take(&mut lanes.line);
        let watchers = mem::take(&mut lanes.watchers);
        drop(lanes);
        drop(control);
        for waiting in line {
            waiting.turn.settle(TurnState::Returned(waiting.message));
        }
        for watcher in watchers {
            watcher(Down { actor: self.id, reason: reason.clone() });
        }
        dead
    }

    fn settle_batch(&self, lanes: &mut Lanes<M>) {
        lanes.taken = 0;
        self.handled.store(0, Ordering::Release);
        self.admit(lanes);
    }
}

impl<M: Send + 'static> Wake for Slot<M> {
    fn wake(self: Arc<Self>) {
        self.nudge();
    }
}

fn wake<M>(host: Option<Waker>, lanes: parking_lot::MutexGuard<'_, Lanes<M>>) {
    drop(lanes);
    if let Some(waker) = host {
        waker.wake();
    }
}

fn take_batch<M>(data: &mut VecDeque<M>, batch: &mut VecDeque<M>, most: usize) {
    if data.len() <= most && batch.is_empty() {
        mem::swap(data, batch);
    } else {
        let count = data.len().min(most);
        batch.extend(data.drain(..count));
    }
}
