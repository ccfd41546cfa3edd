//! The bounded mailbox: a slot that owns the queue of one address and outlives the incarnations that serve it.
//!
//! Senders put messages in (`address`, `ask`), `serve` takes them out in batches. Two lanes: *data* is bounded by the mailbox's
//! capacity and follows its overflow policy; *control* carries answers, timers, notices and orders, and is bounded because
//! each entry was reserved by an outstanding ask, timer, watch or child.
//!
//! # Invariants
//! - Messages held (queued, or taken by the host and not yet handled) never exceed the capacity, those from a stash aside.
//! - Data is first in, first out per sender; nobody overtakes a waiting sender.
//! - A message taken but not handled when its actor crashes goes back to the front.
//! - Control never waits behind data.

mod guests;
mod host;
mod orders;
mod policy;
mod look;
mod seldom;
#[cfg(test)]
mod tests;
mod turn;

use std::{
    any::type_name,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::Waker,
};

use parking_lot::{Mutex, MutexGuard};

pub use self::policy::{Mailbox, Overflow, Tally};
use self::{guests::Guests, orders::Orders, seldom::Seldom};
pub(crate) use self::{
    host::Verdict,
    turn::{Turn, Waiting},
};
use crate::{
    actor::{ActorId, Down, ExitReason},
    ask::Reply,
    budget::Budget,
    graph::ObservableState,
    kernel::Kernel,
    limits::FOLLOW_UPS_MAX,
    telemetry::metrics::Stale,
    waits::{Waiter, Word},
    work::panic_text,
};

/// What is counted as it happens.
#[derive(Default)]
struct Counts {
    accepted: u64,
    refused: u64,
    dropped: u64,
    stale: u64,
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
    /// An answer, a timer, a notice.
    Message(M),
    /// A message to oneself: accepted like those of others, it outlives the incarnation as they do.
    Own(M),
    /// The answer of a call, which alone is taken while the call is open.
    Answer(M),
    /// Look whether the actor has been idle for as long as its receive timeout.
    Idle,
    /// A message could not be made, since the actor's own function for it panicked with this text.
    Crash(String),
    /// End this incarnation for this reason: whoever has a right to has ordered it.
    End(ExitReason),
    /// Show the actor's state to whoever looks; no step.
    Observe(Reply<ObservableState>),
}

/// What a host takes from its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Control and data.
    All,
    /// Control: the outbox is full.
    Control,
    /// Answers of calls, crashes and orders: a call is open.
    Answers,
}

/// Called once with the notice of an actor's end.
pub(crate) type Watcher = Box<dyn FnOnce(Down) + Send>;

/// The address's end of a mailbox and the host's end of it.
pub(crate) struct Slot<M> {
    pub(crate) id: ActorId,
    pub(crate) name: Arc<str>,
    pub(crate) kernel: Arc<Kernel>,
    /// Whose child it is; none of a root.
    pub(crate) parent: Option<ActorId>,
    /// What its steps' messages and children are charged to.
    pub(crate) budget: Option<Budget>,
    /// The type of its actor, by name.
    pub(crate) actor: fn() -> &'static str,
    mailbox: Mailbox,
    /// Set whenever the host has something more pressing to see than the rest of its batch.
    urgent: AtomicBool,
    /// Set when the host's waker is taken, or its lanes filled by itself: it has to look at them once more.
    roused: AtomicBool,
    /// How many of the taken batch are done; written by the host alone.
    handled: AtomicUsize,
    /// How many asks, calls and tasks the present incarnation has begun; written by the host alone.
    begun: AtomicU32,
    /// The call that the actor waits for; made at its first.
    pub(crate) word: OnceLock<Arc<Word>>,
    lanes: Mutex<Lanes<M>>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Lanes<M> {
    data: VecDeque<M>,
    control: VecDeque<Control<M>>,
    /// Control entries that even an actor in a call takes: answers of its calls, crashes.
    answers: Seldom<Control<M>>,
    line: Seldom<Waiting<M>>,
    taken: usize,
    nudged: bool,
    orders: Orders,
    host: Option<Waker>,
    incarnation: u32,
    /// What the present incarnation took last; none before its first step is done.
    intake: Option<Intake>,
    /// Asks, calls and tasks of the present incarnation that have ended.
    done: u32,
    live: bool,
    /// No incarnation lives and none is ordered.
    resting: bool,
    ended: Option<ExitReason>,
    /// What was queued and who waited have been told of the end.
    closed: bool,
    counts: Counts,
    /// Made when it is needed for the first time: most actors are watched by nobody, and never restarted.
    aside: Option<Box<Aside>>,
}

/// Who waits for an actor, and how its last incarnation ended.
#[derive(Default)]
struct Aside {
    /// Those that wait for the end, by ascending key.
    watches: Vec<Watch>,
    last_exit: Option<ExitReason>,
    ever: u64,
    /// Who waits for the rest: the one owner of the actor.
    owner: Option<Waker>,
    /// Children that async work of the present incarnation has started.
    guests: Guests,
}

/// Somebody who waits for the end, and which actor that is.
struct Watch {
    key: u64,
    by: Option<ActorId>,
    watcher: Watcher,
}

impl Aside {
    fn unwatch(&mut self, key: u64) -> Option<Watch> {
        let at = self.watches.binary_search_by_key(&key, |watch| watch.key).ok()?;
        Some(self.watches.remove(at))
    }
}

impl<M> Slot<M> {
    pub(crate) fn new(kernel: Arc<Kernel>, id: ActorId, name: Arc<str>, mailbox: Mailbox) -> Self {
        Self {
            id,
            name,
            kernel,
            parent: None,
            budget: None,
            actor: type_name::<M>,
            mailbox,
            urgent: AtomicBool::new(false),
            roused: AtomicBool::new(false),
            handled: AtomicUsize::new(0),
            begun: AtomicU32::new(0),
            word: OnceLock::new(),
            lanes: Mutex::new(Lanes {
                data: VecDeque::new(),
                control: VecDeque::new(),
                answers: Seldom::default(),
                line: Seldom::default(),
                taken: 0,
                nudged: false,
                orders: Orders::default(),
                host: None,
                incarnation: 0,
                intake: None,
                done: 0,
                live: false,
                resting: false,
                ended: None,
                closed: false,
                counts: Counts::default(),
                aside: None,
            }),
        }
    }

    /// Makes it a child of `parent`, what it does charged to `budget`.
    pub(crate) fn below(mut self, parent: Option<ActorId>, budget: Option<Budget>) -> Self {
        (self.parent, self.budget) = (parent, budget);
        self
    }

    /// Says of which type its actor is.
    pub(crate) fn played_by<A>(mut self) -> Self {
        self.actor = type_name::<A>;
        self
    }

    /// Puts `message` into the data lane, or says why not and hands it back.
    pub(crate) fn offer(&self, message: M) -> Result<(), (M, Closed)> {
        self.put(self.lanes.lock(), message)
    }

    /// Offers `message`; where the policy is to wait, joins the line and returns the turn to wait for.
    pub(crate) fn offer_or_wait(&self, message: M) -> Result<Option<Arc<Turn<M>>>, (M, Closed)> {
        match self.mailbox.overflow {
            Overflow::Wait => self.join_line(message),
            Overflow::Reject | Overflow::DropOldest | Overflow::DropNewest => {
                self.offer(message).map(|()| None)
            }
        }
    }

    /// Puts `message` into the data lane or, whatever the policy is, joins the line and returns the turn to wait for.
    pub(crate) fn join_line(&self, message: M) -> Result<Option<Arc<Turn<M>>>, (M, Closed)> {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() || !self.is_full(&lanes) {
            return self.put(lanes, message).map(|()| None);
        }
        let waiting = Waiting::new(message);
        let turn = Arc::clone(&waiting.turn);
        lanes.line.push_back(waiting);
        let admitted = self.admit(&mut lanes);
        self.rouse(lanes);
        wake_all(admitted);
        Ok(Some(turn))
    }

    fn put(&self, mut lanes: MutexGuard<'_, Lanes<M>>, message: M) -> Result<(), (M, Closed)> {
        if lanes.ended.is_some() {
            return Err((message, Closed::Stopped));
        }
        let mut oldest = None;
        if self.is_full(&lanes) {
            match self.mailbox.overflow {
                Overflow::Wait | Overflow::Reject => {
                    lanes.counts.refused += 1;
                    return Err((message, Closed::Full));
                }
                Overflow::DropNewest => {
                    lanes.counts.dropped += 1;
                    drop(lanes);
                    drop(message);
                    return Ok(());
                }
                Overflow::DropOldest => {
                    oldest = lanes.data.pop_front();
                    lanes.counts.dropped += 1;
                }
            }
        }
        lanes.data.push_back(message);
        lanes.counts.accepted += 1;
        self.rouse(lanes);
        drop(oldest);
        Ok(())
    }

    /// Leaves the line: the message comes back unless its turn came before.
    pub(crate) fn leave(&self, turn: &Arc<Turn<M>>) -> Option<M> {
        if !turn.is_waiting() {
            return None;
        }
        let mut lanes = self.lanes.lock();
        let left = lanes.line.remove(|waiting| Arc::ptr_eq(&waiting.turn, turn));
        left.map(|waiting| waiting.message)
    }

    /// Puts a timer's message of `incarnation` into the control lane; one for an earlier incarnation is dropped and counted.
    pub(crate) fn deliver(&self, incarnation: u32, message: M) {
        self.control(Some(incarnation), Stale::Timer, Control::Message(message));
    }

    /// Delivers the message that `make` makes; if that panics, the incarnation that gave `make` crashes, and nobody else.
    pub(crate) fn deliver_made(&self, incarnation: u32, what: Stale, make: impl FnOnce() -> M) {
        self.control(Some(incarnation), what, made(make, Control::Message));
    }

    /// Delivers the answer of a call, as [`deliver_made`](Self::deliver_made) does; it is taken even while calls are open.
    pub(crate) fn deliver_answer(&self, incarnation: u32, make: impl FnOnce() -> M) {
        self.control(Some(incarnation), Stale::Answer, made(make, Control::Answer));
    }

    /// Crashes whichever incarnation lives: a function of the actor's own, that outlives incarnations, panicked with this text.
    pub(crate) fn crash(&self, why: String) {
        self.control(None, Stale::Notice, Control::Crash(why));
    }

    /// Puts a notice into the control lane of whichever incarnation lives.
    pub(crate) fn notify(&self, message: M) {
        self.control(None, Stale::Notice, Control::Message(message));
    }

    /// Takes in an entry, or drops it and counts it as `what` it then is.
    fn control(&self, incarnation: Option<u32>, what: Stale, entry: Control<M>) {
        let mut lanes = self.lanes.lock();
        if !lanes.live || incarnation.is_some_and(|meant| meant != lanes.incarnation) {
            lanes.counts.stale += 1;
            drop(lanes);
            self.kernel.metrics.stale(what, 1);
            drop(entry);
            return;
        }
        if matches!(what, Stale::Answer | Stale::Task) {
            lanes.done = lanes.done.wrapping_add(1);
        }
        match entry {
            Control::Message(_) | Control::Own(_) | Control::Idle => {
                lanes.control.push_back(entry);
            }
            Control::Answer(_) | Control::Crash(_) | Control::End(_) | Control::Observe(_) => {
                lanes.answers.push_back(entry);
            }
        }
        self.urge(lanes);
    }

    /// The actor as a waiter: an actor has one handler.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter { actor: self.id, name: Arc::clone(&self.name), handlers: 1, handler: 0 }
    }

    /// Takes in a message that the actor sends to itself; it is handled before queued ones.
    pub(crate) fn follow_up(&self, message: M) -> Result<(), (M, Closed)> {
        let mut lanes = self.lanes.lock();
        if lanes.ended.is_some() {
            return Err((message, Closed::Stopped));
        }
        if lanes.control.len() >= FOLLOW_UPS_MAX {
            lanes.counts.refused += 1;
            return Err((message, Closed::Full));
        }
        lanes.counts.accepted += 1;
        lanes.control.push_back(Control::Own(message));
        self.urge(lanes);
        Ok(())
    }

    /// Makes the host look at its outbox.
    pub(crate) fn nudge(&self) {
        let mut lanes = self.lanes.lock();
        lanes.nudged = true;
        self.urge(lanes);
    }

    /// Calls `watcher`, of the actor `by`, once the actor has ended for good: now, if it has. Else returns what to
    /// [`unwatch`](Self::unwatch).
    pub(crate) fn watch(&self, by: Option<ActorId>, watcher: Watcher) -> Option<u64> {
        let mut lanes = self.lanes.lock();
        let Some(reason) = lanes.ended.clone() else {
            let aside = lanes.aside.get_or_insert_default();
            aside.ever += 1;
            let key = aside.ever;
            aside.watches.push(Watch { key, by, watcher });
            return Some(key);
        };
        drop(lanes);
        watcher(Down { actor: self.id, reason });
        None
    }

    /// Forgets a watcher.
    pub(crate) fn unwatch(&self, key: u64) {
        let mut lanes = self.lanes.lock();
        let watch = lanes.aside.as_mut().and_then(|aside| aside.unwatch(key));
        drop(lanes);
        drop(watch);
    }

    /// Why the actor ended for good, if it has.
    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.lanes.lock().ended.clone()
    }

    /// The counts as they stand.
    pub(crate) fn tally(&self) -> Tally {
        let lanes = self.lanes.lock();
        let Counts { accepted, refused, dropped, stale } = lanes.counts;
        let (kept, waiting) = (self.depth(&lanes), lanes.line.len());
        let watchers = lanes.aside.as_ref().map_or(0, |aside| aside.watches.len());
        Tally { accepted, refused, dropped, kept, waiting, watchers, stale }
    }

    /// Takes every queued data message, for a slot that nobody hosts: a mock or a probe.
    pub(crate) fn drain(&self) -> Vec<M> {
        let mut all = Vec::new();
        loop {
            let mut lanes = self.lanes.lock();
            all.extend(lanes.data.drain(..));
            let admitted = self.admit(&mut lanes);
            let done = lanes.data.is_empty();
            drop(lanes);
            wake_all(admitted);
            if done {
                return all;
            }
        }
    }

    fn depth(&self, lanes: &Lanes<M>) -> usize {
        lanes.data.len() + lanes.taken.saturating_sub(self.handled.load(Ordering::Acquire))
    }

    fn is_full(&self, lanes: &Lanes<M>) -> bool {
        !lanes.line.is_empty()
            || (lanes.data.len() + lanes.taken >= self.mailbox.capacity
                && self.depth(lanes) >= self.mailbox.capacity)
    }

    /// Moves waiting messages into the free places; returns whom to wake once the lanes are unlocked.
    #[must_use]
    #[inline]
    fn admit(&self, lanes: &mut Lanes<M>) -> Vec<Waker> {
        if lanes.line.is_empty() { Vec::new() } else { self.admit_from_line(lanes) }
    }

    fn admit_from_line(&self, lanes: &mut Lanes<M>) -> Vec<Waker> {
        let mut admitted = Vec::new();
        while !lanes.line.is_empty() && self.depth(lanes) < self.mailbox.capacity {
            let Some(Waiting { message, turn }) = lanes.line.pop_front() else { break };
            lanes.data.push_back(message);
            lanes.counts.accepted += 1;
            admitted.extend(turn.take());
        }
        admitted
    }

    fn urge(&self, lanes: MutexGuard<'_, Lanes<M>>) {
        self.urgent.store(true, Ordering::Release);
        self.rouse(lanes);
    }

    /// Wakes a parked host.
    fn rouse(&self, mut lanes: MutexGuard<'_, Lanes<M>>) {
        let host = lanes.host.take();
        if host.is_some() {
            self.roused.store(true, Ordering::Release);
        }
        wake(host, lanes);
    }
}

/// The entry with the message that `make` makes, or with the crash that it is.
fn made<M>(make: impl FnOnce() -> M, entry: impl FnOnce(M) -> Control<M>) -> Control<M> {
    match std::panic::catch_unwind(AssertUnwindSafe(make)) {
        Ok(message) => entry(message),
        Err(panic) => Control::Crash(panic_text(&*panic)),
    }
}

/// Wakes the host once the lanes are unlocked: a waker may be another actor's slot.
fn wake<M>(host: Option<Waker>, lanes: MutexGuard<'_, Lanes<M>>) {
    drop(lanes);
    if let Some(waker) = host {
        waker.wake();
    }
}

#[inline]
fn wake_all(wakers: Vec<Waker>) {
    if !wakers.is_empty() {
        wakers.into_iter().for_each(Waker::wake);
    }
}
