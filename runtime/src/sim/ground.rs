//! What a simulated node stands on: its executor, the host of its actors, and the lab that meddles with their messages.
//!
//! Made by [`World`](super::World) for one life of one node.
//!
//! # Invariants
//! - Messages of one sender to one address keep their order, delayed or not.
//! - Only messages of types that the world was told of come twice.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{
    core::{Core, Kind, OUTSIDE, Place},
    trace::{Line, What},
};
use crate::{
    actor::ActorId,
    child::ChildRef,
    clock::{Moment, Random, SeededRandom},
    kernel::{Host, Kernel},
    lab::{Lab, Stepped},
    outbox::Sending,
    tasks::{Executor, Fate, TaskKind},
    work::contained,
};

/// Makes a second message like one that may come twice.
pub(crate) type Twin = Box<dyn Fn(&dyn Any) -> Option<Box<dyn Any + Send>> + Send + Sync>;

/// What messages meet on their way, in the whole world.
#[derive(Default)]
pub(crate) struct Weather {
    state: Mutex<Sky>,
    /// Of the steps that actors took.
    pub(crate) steps: AtomicU64,
    pub(crate) delayed: AtomicU64,
    pub(crate) doubled: AtomicU64,
    pub(crate) panicked: AtomicU64,
    /// Times of delay and of doubles that met a message.
    pub(crate) spells: AtomicU64,
}

#[derive(Default)]
struct Sky {
    /// Of a thousand messages, so many are held up, and for so long at the most.
    delays: (u64, Duration),
    /// Of a thousand messages that may come twice, so many do.
    doubles: u64,
    twins: Vec<Twin>,
    /// Whether the present delays, and the present doubles, have met no message yet.
    fresh: (bool, bool),
    /// Whose next step panics.
    panics: BTreeSet<(usize, Arc<str>)>,
}

impl Weather {
    pub(crate) fn delay(&self, per_mille: u64, most: Duration) {
        let mut sky = self.state.lock();
        (sky.delays, sky.fresh.0) = ((per_mille, most), true);
    }

    pub(crate) fn double(&self, per_mille: u64) {
        let mut sky = self.state.lock();
        (sky.doubles, sky.fresh.1) = (per_mille, true);
    }

    pub(crate) fn may_double(&self, twin: Twin) {
        self.state.lock().twins.push(twin);
    }

    pub(crate) fn panic_next(&self, node: usize, actor: Arc<str>) {
        self.state.lock().panics.insert((node, actor));
    }

    /// A message is held up.
    fn delays(&self) {
        self.delayed.fetch_add(1, Ordering::Relaxed);
        let first = mem::take(&mut self.state.lock().fresh.0);
        self.spells.fetch_add(u64::from(first), Ordering::Relaxed);
    }

    /// Ends delays, doubles and panics to come.
    pub(crate) fn calm(&self) {
        let mut sky = self.state.lock();
        (sky.delays, sky.doubles) = ((0, Duration::ZERO), 0);
        sky.panics.clear();
    }
}

/// One life of one node.
pub(crate) struct Ground {
    core: Arc<Core>,
    weather: Arc<Weather>,
    place: Place,
    myself: Weak<Self>,
    kernel: OnceLock<Weak<Kernel>>,
    /// A link belongs to the task that carries it, and falls with it.
    links: Mutex<BTreeMap<Way, Weak<Link>>>,
}

/// From which actor to which address.
type Way = (ActorId, Arc<str>);

/// The messages of one sender to one address that are held up.
#[derive(Default)]
struct Link(Mutex<VecDeque<(Moment, Sending)>>);

impl Ground {
    pub(crate) fn new(core: &Arc<Core>, weather: &Arc<Weather>, place: Place) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            core: Arc::clone(core),
            weather: Arc::clone(weather),
            place,
            myself: Weak::clone(myself),
            kernel: OnceLock::new(),
            links: Mutex::default(),
        })
    }

    /// Tells the ground whose it is.
    pub(crate) fn set_kernel(&self, kernel: &Arc<Kernel>) {
        self.core.keep_timers(self.place, &kernel.timers);
        self.kernel.get_or_init(|| Arc::downgrade(kernel));
    }

    fn spawn(&self, kind: TaskKind, work: BoxFuture<'static, ()>) {
        let name = match self.core.running() {
            Some(name) => name,
            None => "the node".into(),
        };
        self.core.spawn(self.place, name, Kind::Task(kind), work);
    }

    /// Delivers what a link holds, each at its time, and takes the link away when it is empty.
    async fn carry_all(core: Arc<Core>, ground: Weak<Self>, key: Way, link: Arc<Link>) {
        loop {
            let head = link.0.lock().front().map(|(due, _)| *due);
            let Some(due) = head else { break };
            core.sleep_until(due).await;
            let sending = link.0.lock().pop_front();
            let kernel = ground.upgrade().and_then(|ground| ground.kernel.get()?.upgrade());
            let (Some((_, send)), Some(kernel)) = (sending, kernel) else { break };
            // What a target does with its message is its own fault.
            let sent = catch_unwind(AssertUnwindSafe(|| send(&kernel)));
            if let Some(place) = sent.unwrap_or_default() {
                poll_fn(move |cx| {
                    if place.is_settled(cx.waker(), false) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
        }
        if let Some(ground) = ground.upgrade() {
            ground.links.lock().remove(&key);
        }
    }
}

impl Host for Ground {
    fn launch(&self, actor: ChildRef, life: BoxFuture<'static, ()>) {
        self.core.spawn(self.place, actor.name().into(), Kind::Life, life);
    }
}

impl Executor for Ground {
    fn spawn(&self, kind: TaskKind, work: BoxFuture<'static, ()>) {
        Self::spawn(self, kind, work);
    }

    fn spawn_blocking(&self, kind: TaskKind, work: Box<dyn FnOnce() + Send>) {
        Self::spawn(self, kind, Box::pin(async move { contained("a blocking task", work) }));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.core.abort(self.place, false, |kind| kind.fate() == Fate::Abort);
        Box::pin(poll_fn(|cx| self.core.poll_ended(self.place, cx)))
    }

    fn abort_all(&self) {
        self.core.abort(self.place, true, |kind| kind.fate() != Fate::Outlive);
    }

    fn alive(&self) -> usize {
        self.core.alive(self.place)
    }
}

impl Lab for Ground {
    fn number(&self) -> usize {
        self.place.node
    }

    fn batch(&self, most: usize) -> usize {
        // Mostly one at a time, so that others come between any two messages; at times all, as in production.
        let most = most.max(1) as u64;
        let taken = if self.core.dice.below(4) == 0 { 1 + self.core.dice.below(most) } else { 1 };
        usize::try_from(taken).unwrap_or(1)
    }

    fn stepped(&self, step: &Stepped<'_>) -> bool {
        self.weather.steps.fetch_add(1, Ordering::Relaxed);
        let Stepped { actor, incarnation, message, variant, effects } = *step;
        let (at, node) = (self.core.now(), self.place.node);
        let what = What::Step { incarnation, variant, effects, message };
        self.core.trace.lock().add(&Line { at, node, name: actor, what });
        let mut sky = self.weather.state.lock();
        let panics = !sky.panics.is_empty() && sky.panics.remove(&(node, Arc::clone(actor)));
        drop(sky);
        self.weather.panicked.fetch_add(u64::from(panics), Ordering::Relaxed);
        panics
    }

    fn carry(&self, from: ActorId, to: Arc<str>, send: Sending) -> Option<Sending> {
        let (per_mille, most) = self.weather.state.lock().delays;
        let mut links = self.links.lock();
        if per_mille == 0 && links.is_empty() {
            return Some(send);
        }
        let key = (from, to);
        let dice = &self.core.dice;
        let delayed = per_mille > 0 && dice.below(1_000) < per_mille;
        let link = links.get(&key).and_then(Weak::upgrade);
        if !delayed && link.is_none() {
            return Some(send);
        }
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let delay = if delayed { dice.below(nanos) } else { 0 };
        self.weather.delays();
        let due = self.core.now() + Duration::from_nanos(delay);
        if let Some(link) = link {
            link.0.lock().push_back((due, send));
            return None;
        }
        let link = Arc::<Link>::default();
        link.0.lock().push_back((due, send));
        links.insert(key.clone(), Arc::downgrade(&link));
        drop(links);
        let name = Arc::clone(&key.1);
        let carry = Self::carry_all(Arc::clone(&self.core), Weak::clone(&self.myself), key, link);
        self.core.spawn(self.place, name, Kind::Link, Box::pin(carry));
        None
    }

    fn twin(&self, message: &dyn Any) -> Option<Box<dyn Any + Send>> {
        let mut sky = self.weather.state.lock();
        if sky.doubles == 0 {
            return None;
        }
        let twin = sky.twins.iter().find_map(|twin| twin(message))?;
        let comes = self.core.dice.below(1_000) < sky.doubles;
        let first = comes && mem::take(&mut sky.fresh.1);
        drop(sky);
        self.weather.spells.fetch_add(u64::from(first), Ordering::Relaxed);
        self.weather.doubled.fetch_add(u64::from(comes), Ordering::Relaxed);
        comes.then_some(twin)
    }
}

/// Where everything is that belongs to no node.
pub(crate) const fn outside() -> Place {
    Place { node: OUTSIDE, epoch: 0 }
}

/// The dice of one life of a node, which know how often they were thrown.
#[derive(Debug)]
pub(crate) struct CountedDice {
    dice: SeededRandom,
    throws: AtomicU64,
}

impl CountedDice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { dice: SeededRandom::new(seed), throws: AtomicU64::new(0) }
    }

    pub(crate) fn thrown(&self) -> u64 {
        self.throws.load(Ordering::Relaxed)
    }
}

impl Default for CountedDice {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Random for CountedDice {
    fn next_u64(&self) -> u64 {
        self.throws.fetch_add(1, Ordering::Relaxed);
        self.dice.next_u64()
    }
}
