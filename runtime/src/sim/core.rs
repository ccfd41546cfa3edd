//! The one thread of a simulated world: tasks picked by seeded dice, events by virtual time, the timers of every node.
//!
//! Owned by [`World`](super::World); nodes reach it through their [`Ground`](super::ground::Ground).
//!
//! # Invariants
//! - Nothing here depends on addresses, on the machine's clock or on the order of a hash table.
//! - No lock is held while a task, an event or a timer runs.
//! - A poll costs [`POLL_COST`] of virtual time, so nothing spins at one moment for ever.

use std::{
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{
    state::{Hold, NodeState, Nudge, Ready, State, Task},
    trace::{Line, Trace, What},
};
use crate::{
    clock::{Clock, ManualClock, Moment, Random, SeededRandom},
    limits::SIM_POLL_COST,
    tasks::{Fate, TaskKind},
    timers::Timers,
    work::{contained, panic_text},
};

/// The number of everything that belongs to no node.
pub(crate) const OUTSIDE: usize = 0;

/// Something that happens to the world at a moment.
pub(crate) type Event = Box<dyn FnOnce(&Arc<Core>) + Send>;

/// Which node, and which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: usize,
    pub(crate) epoch: u32,
}

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Serves an actor.
    Life,
    /// Was spawned on the node's executor.
    Task(TaskKind),
    /// Carries messages that are held up.
    Link,
    /// Acts from outside of every node.
    Client,
}

/// The world's thread.
pub(crate) struct Core {
    pub(crate) clock: Arc<ManualClock>,
    /// Picks who runs next and how much it takes at once.
    pub(crate) dice: SeededRandom,
    /// Picks faults, and nothing else: what the world does with its order does not change them.
    pub(crate) fates: SeededRandom,
    pub(crate) trace: Mutex<Trace>,
    pub(crate) polls: AtomicU64,
    ready: Arc<Ready>,
    state: Mutex<State>,
}

impl Core {
    pub(crate) fn new(seed: u64, trace: Trace) -> Arc<Self> {
        let state = State { nodes: vec![NodeState::default()], ..State::default() };
        Arc::new(Self {
            clock: Arc::new(ManualClock::new()),
            dice: SeededRandom::new(seed),
            fates: SeededRandom::new(seed ^ 0x5eed_fa7e_5eed_fa7e),
            trace: Mutex::new(trace),
            polls: AtomicU64::new(0),
            ready: Arc::default(),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Makes room for a node and tells its number.
    pub(crate) fn add_node(&self) -> usize {
        let mut state = self.state.lock();
        state.nodes.push(NodeState::default());
        state.nodes.len() - 1
    }

    /// The node's present life.
    pub(crate) fn place(&self, node: usize) -> Place {
        let epoch = self.state.lock().nodes.get(node).map_or(0, |node| node.epoch);
        Place { node, epoch }
    }

    /// Turns `timers` from now on, as those of the node.
    pub(crate) fn keep_timers(&self, place: Place, timers: &Arc<Timers>) {
        if let Some(node) = self.state.lock().live(place) {
            node.timers = Some(Arc::clone(timers));
        }
    }

    /// Runs `future` as a task; one of a node's earlier life is dropped.
    pub(crate) fn spawn(
        &self,
        place: Place,
        name: Arc<str>,
        kind: Kind,
        future: BoxFuture<'static, ()>,
    ) {
        let mut state = self.state.lock();
        let takes = state.live(place).is_some_and(|node| !node.aborts || kind == Kind::Life);
        if !takes {
            drop(state);
            contained("dropping a late task", || drop(future));
            return;
        }
        state.serials += 1;
        let index = state.vacant.pop().unwrap_or_else(|| {
            state.tasks.push(None);
            state.tasks.len() - 1
        });
        let (serial, ready) = (state.serials, Arc::downgrade(&self.ready));
        let nudge = Arc::new(Nudge { index, serial, queued: AtomicBool::new(false), ready });
        let waker = Waker::from(Arc::clone(&nudge));
        waker.wake_by_ref();
        if let Some(vacant) = state.tasks.get_mut(index) {
            *vacant = Some(Task { place, name, kind, future, nudge, waker });
        }
    }

    /// The name of the task that runs now.
    pub(crate) fn running(&self) -> Option<Arc<str>> {
        self.state.lock().running.clone()
    }

    /// Lets `event` happen at `at`.
    pub(crate) fn at(&self, at: Moment, event: Event) {
        let mut state = self.state.lock();
        state.events_ever += 1;
        let key = (at, state.events_ever);
        state.events.insert(key, event);
    }

    /// Waits until `moment`.
    pub(crate) fn sleep_until(
        self: &Arc<Self>,
        moment: Moment,
    ) -> impl Future<Output = ()> + Send + 'static {
        let core = Arc::downgrade(self);
        // Who waits may change from poll to poll.
        let mut waits: Option<Arc<Mutex<Waker>>> = None;
        poll_fn(move |cx| {
            let Some(core) = core.upgrade() else { return Poll::Pending };
            if core.now() >= moment {
                return Poll::Ready(());
            }
            if let Some(waits) = &waits {
                waits.lock().clone_from(cx.waker());
                return Poll::Pending;
            }
            let waker = Arc::new(Mutex::new(cx.waker().clone()));
            waits = Some(Arc::clone(&waker));
            core.at(moment, Box::new(move |_| waker.lock().wake_by_ref()));
            Poll::Pending
        })
    }

    /// Keeps everything of that name in the node from running for `time`, or slows it down to a poll `every` so long.
    pub(crate) fn hold(
        &self,
        node: usize,
        name: Arc<str>,
        every: Option<Duration>,
        time: Duration,
    ) {
        let now = self.now();
        let until = now + time;
        let next = if every.is_some() { now } else { until };
        let hold = Hold { next, every: every.unwrap_or_default(), until };
        self.state.lock().holds.insert((node, name), hold);
    }

    /// Lets everything run that was held.
    pub(crate) fn release_all(&self) {
        let mut state = self.state.lock();
        state.holds.clear();
        let waiting: Vec<Waker> =
            state.tasks.iter().flatten().map(|task| task.waker.clone()).collect();
        drop(state);
        // Spurious for whoever was not held.
        waiting.iter().for_each(Waker::wake_by_ref);
    }

    /// Does one thing: polls a task, or moves on to the next moment at which anything is due, not beyond `limit`.
    pub(crate) fn step(self: &Arc<Self>, limit: Moment) -> bool {
        if let Some(nudge) = self.pick() {
            self.poll(&nudge);
            let now = self.clock.advance(SIM_POLL_COST);
            self.fall_due(now, false);
            return true;
        }
        match self.next_due() {
            Some(next) if next <= limit => {
                self.clock.advance_to(next);
                self.fall_due(self.now(), true);
                true
            }
            _ => false,
        }
    }

    /// Whether a task could run now.
    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.0.lock().is_empty()
    }

    /// The moment at which the next event or timer is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let state = self.state.lock();
        let event = state.events.first_key_value().map(|((at, _), _)| *at);
        let timers = state.nodes.iter().filter_map(|node| node.timers.as_ref()?.next_due());
        timers.chain(event).min()
    }

    /// What went wrong outside of every node, or between this run and the one before it.
    pub(crate) fn broken(&self) -> Option<String> {
        self.state.lock().broken.take().or_else(|| self.trace.lock().differs())
    }

    fn pick(&self) -> Option<Arc<Nudge>> {
        let mut ready = self.ready.0.lock();
        let count = ready.len() as u64;
        let at = if count > 1 { self.dice.below(count) } else { 0 };
        let at = usize::try_from(at).unwrap_or(0);
        (count > 0).then(|| ready.swap_remove(at))
    }

    fn poll(&self, nudge: &Arc<Nudge>) {
        nudge.queued.store(false, Ordering::Relaxed);
        let Some(mut task) = self.state.lock().take(nudge, self.now()) else { return };
        self.polls.fetch_add(1, Ordering::Relaxed);
        let line =
            Line { at: self.now(), node: task.place.node, name: &task.name, what: What::Poll };
        self.trace.lock().add(&line);
        let future = Pin::as_mut(&mut task.future);
        let mut cx = Context::from_waker(&task.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(&mut cx)));
        let ended = !matches!(polled, Ok(Poll::Pending));
        if let Err(panic) = &polled
            && task.kind == Kind::Client
        {
            let broken = format!("client {} panicked: {}", task.name, panic_text(&**panic));
            self.state.lock().broken = Some(broken);
        }
        let (gone, woken) = self.state.lock().put_back(task, ended);
        // A future may own what wakes or spawns: never dropped under the lock.
        contained("dropping a task", || drop((gone, polled)));
        woken.iter().for_each(Waker::wake_by_ref);
    }

    /// Lets happen what is due at `now`; the wheels are turned once a tick, or when `turn` says so.
    fn fall_due(self: &Arc<Self>, now: Moment, turn: bool) {
        loop {
            let due = self.state.lock().due_event(now);
            let Some(event) = due else { break };
            event(self);
        }
        let wheels = self.state.lock().wheels_to_turn(now, turn);
        for timers in wheels {
            timers.turn(now);
        }
    }

    /// How many tasks there are of each kind that `counts`, in the node.
    pub(crate) fn count(&self, node: usize, counts: impl Fn(Kind) -> bool) -> usize {
        let state = self.state.lock();
        state
            .tasks
            .iter()
            .flatten()
            .filter(|task| task.place.node == node && counts(task.kind))
            .count()
    }

    /// The names of the clients that have not ended.
    pub(crate) fn clients(&self) -> Vec<Arc<str>> {
        let state = self.state.lock();
        let clients = state.tasks.iter().flatten().filter(|task| task.kind == Kind::Client);
        clients.map(|task| Arc::clone(&task.name)).collect()
    }

    /// Ends the node's present life: drops its tasks and timers.
    pub(crate) fn end_life(&self, node: usize) {
        let (tasks, timers) = {
            let mut state = self.state.lock();
            let Some(of) = state.nodes.get_mut(node) else { return };
            of.epoch += 1;
            of.aborts = false;
            let timers = of.timers.take();
            (state.drain(|task| task.place.node == node), timers)
        };
        drop_all(tasks);
        if let Some(timers) = timers {
            timers.clear();
        }
    }

    /// Drops the node's tasks whose kind `drops`; those that come later too, when `aborts`.
    pub(crate) fn abort(&self, place: Place, aborts: bool, drops: impl Fn(TaskKind) -> bool) {
        let tasks = {
            let mut state = self.state.lock();
            let Some(node) = state.live(place) else { return };
            node.aborts |= aborts;
            state.drain(|task| match task.kind {
                Kind::Task(kind) => task.place == place && drops(kind),
                Kind::Life | Kind::Link | Kind::Client => false,
            })
        };
        drop_all(tasks);
    }

    /// How many tasks run in the node that its stop waits for.
    pub(crate) fn alive(&self, place: Place) -> usize {
        let waits = |task: &&Task| match task.kind {
            Kind::Task(kind) => task.place == place && kind.fate() == Fate::Wait,
            Kind::Life | Kind::Link | Kind::Client => false,
        };
        self.state.lock().tasks.iter().flatten().filter(waits).count()
    }

    /// Ready when no task runs in the node that its stop waits for.
    pub(crate) fn poll_ended(&self, place: Place, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let waits = |task: &Task| match task.kind {
            Kind::Task(kind) => task.place == place && kind.fate() == Fate::Wait,
            Kind::Life | Kind::Link | Kind::Client => false,
        };
        if !state.tasks.iter().flatten().any(waits) {
            return Poll::Ready(());
        }
        state.stopping.push(cx.waker().clone());
        Poll::Pending
    }

    /// Drops everything, so that nothing of the world keeps itself alive.
    pub(crate) fn end(&self) {
        let nodes = self.state.lock().nodes.len();
        for node in 0..nodes {
            self.end_life(node);
        }
        let (events, ready, stopping) = {
            let mut state = self.state.lock();
            let ready = mem::take(&mut *self.ready.0.lock());
            (mem::take(&mut state.events), ready, mem::take(&mut state.stopping))
        };
        contained("dropping what a world had to come", || drop((events, ready, stopping)));
    }
}

fn drop_all(tasks: Vec<Task>) {
    for task in tasks {
        contained("dropping a task", || drop(task));
    }
}
