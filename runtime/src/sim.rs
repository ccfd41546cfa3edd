//! The deterministic simulation: whole nodes on one thread, with virtual time, and order and faults from one seed.
//!
//! Used by `cargo test` of this workspace and of those who build on it. [`sim`] runs a scenario under many seeds; a [`World`] is
//! one such run, for tests that want it in their own hand. The actors, supervisors, asks, timers and journals are those of
//! production: only the executor, the host, the clock, the dice and the disk are replaced.
//!
//! ```
//! use std::time::Duration;
//! use synod_runtime::{actor::Actor, ask::Reply, context::Cx, sim::{Fault, sim}, spawn::Spawn};
//!
//! struct Till { sold: u64 }
//! struct Sell(Reply<u64>);
//! impl Actor for Till {
//!     type Msg = Sell;
//!     fn handle(&mut self, Sell(to): Sell, cx: &mut Cx<Self>) {
//!         self.sold += 1;
//!         cx.reply(to, self.sold);
//!     }
//! }
//!
//! sim(|world| {
//!     world.node("shop", |node| drop(node.spawn(Spawn::named("till"), || Till { sold: 0 })));
//!     let till = world.find("shop", "till").expect("it was spawned");
//!     world.client("buyer", async move { drop(till.ask(Sell, Duration::from_secs(1)).await) });
//! })
//! .seeds(20)
//! .faults([Fault::Panic, Fault::Slow])
//! .run();
//! ```
//!
//! # Invariants
//! - One seed is one run: the same binary takes the same steps, in every process.
//! - Nothing under simulation touches tokio's runtime, the machine's clock or its dice. What does is not reproducible; each seed
//!   runs twice, and a difference is reported with the name of whoever made it.

mod check;
mod core;
mod disk;
mod fault;
mod ground;
mod seeds;
mod state;
mod trace;

use std::{
    any::Any,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

pub use self::{
    check::{Failure, Report, Sim, sim},
    fault::Fault,
};
use self::{
    core::{Core, Kind},
    disk::{Disk, Loss},
    ground::{CountedDice, Ground, Weather, outside},
    trace::{Line, Trace, What},
};
use crate::{
    address::Addr,
    child::ChildRef,
    clock::{Clock, Moment, Random, SeededRandom},
    limits::{SIM_SYNC_MAX, SIM_UNREST_NAMES, SIM_UNREST_STEPS},
    node::{Ground as Standing, Node},
    supervisor,
};

/// One simulated run: nodes, clients, disks and their weather.
///
/// Clones are handles of the same world; it ends when the one that [`World::new`] made is dropped.
pub struct World {
    inner: Arc<Inner>,
    owner: bool,
}

/// What the clients of a [crowd](World::crowd) have brought so far.
#[derive(Clone, Debug)]
pub struct Heard<T>(Arc<Mutex<Vec<T>>>);

impl<T> Heard<T> {
    /// How many brought something of which `wanted` holds.
    pub fn count(&self, wanted: impl Fn(&T) -> bool) -> u64 {
        self.0.lock().iter().filter(|brought| wanted(brought)).count() as u64
    }
}

struct Inner {
    seed: u64,
    core: Arc<Core>,
    weather: Arc<Weather>,
    nodes: Mutex<Vec<Simulated>>,
    /// The names of actors that are not made to panic.
    spared: Mutex<Vec<String>>,
    /// Whether no fault that was planned may strike any more.
    calm: AtomicBool,
    /// Nodes that crashed and actors that were held.
    struck: AtomicU64,
}

/// What starts on a node at each of its lives.
type Boot = Arc<dyn Fn(&Node) + Send + Sync>;

struct Simulated {
    name: Arc<str>,
    number: usize,
    boot: Boot,
    disk: Disk,
    node: Option<Node>,
    /// The dice of its present life.
    dice: Arc<CountedDice>,
    lives: u64,
}

impl World {
    /// Makes an empty world.
    pub fn new(seed: u64) -> Self {
        Self::traced(seed, Trace::default())
    }

    fn traced(seed: u64, trace: Trace) -> Self {
        let inner = Inner {
            seed,
            core: Core::new(seed, trace),
            weather: Arc::default(),
            nodes: Mutex::default(),
            spared: Mutex::default(),
            calm: AtomicBool::new(false),
            struck: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner), owner: true }
    }

    /// Adds a node called `name` and starts on it what `boot` starts, now and after each crash.
    pub fn node<R>(&self, name: &str, boot: impl Fn(&Node) -> R + Send + Sync + 'static) {
        let number = self.inner.core.add_node();
        let simulated = Simulated {
            name: name.into(),
            number,
            boot: Arc::new(move |node| drop(boot(node))),
            disk: Disk::default(),
            node: None,
            dice: Arc::default(),
            lives: 0,
        };
        self.inner.nodes.lock().push(simulated);
        self.inner.boot(number);
    }

    /// The node called `name`, unless it is down.
    pub fn get(&self, name: &str) -> Option<Node> {
        let nodes = self.inner.nodes.lock();
        nodes.iter().find(|node| &*node.name == name)?.node.clone()
    }

    /// The actor called `actor` on the node called `node`, if it lives and takes messages of type `M`.
    pub fn find<M: Send + 'static>(&self, node: &str, actor: &str) -> Option<Addr<M>> {
        self.get(node)?.find(actor)
    }

    /// Runs `work` outside of every node. It must end: one that has not when the world has healed fails the simulation.
    pub fn client(&self, name: &str, work: impl Future<Output = ()> + Send + 'static) {
        self.inner.core.spawn(outside(), name.into(), Kind::Client, Box::pin(work));
    }

    /// Runs `work(0)` now, `work(1)` after `every`, and so on, `count` in all, each as a [`client`](Self::client); gives what they
    /// bring.
    pub fn crowd<T: Send + 'static, W: Future<Output = T> + Send + 'static>(
        &self,
        count: u32,
        every: Duration,
        work: impl Fn(u64) -> W,
    ) -> Heard<T> {
        let heard = Heard(Arc::default());
        for n in 0..count {
            let (comes, work) = (self.wait(every.saturating_mul(n)), work(u64::from(n)));
            let told = Arc::clone(&heard.0);
            self.client(&format!("client {n}"), async move {
                comes.await;
                let brought = work.await;
                told.lock().push(brought);
            });
        }
        heard
    }

    /// Runs the world until `work` is done, at the most for `within`.
    pub fn block_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        within: Duration,
    ) -> Option<T> {
        let done = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&done);
        self.client("block_on", async move {
            let outcome = work.await;
            *tell.lock() = Some(outcome);
        });
        let limit = self.now() + within;
        loop {
            if let Some(outcome) = done.lock().take() {
                return Some(outcome);
            }
            if !self.inner.core.step(limit) {
                return None;
            }
        }
    }

    /// Does one thing: runs one task, or lets time pass to whatever is due next. False when nothing is left to do.
    pub fn step(&self) -> bool {
        self.inner.core.step(Moment::NEVER)
    }

    /// Runs the world for `time`.
    pub fn run_for(&self, time: Duration) {
        let limit = self.now() + time;
        while self.now() < limit && self.inner.core.step(limit) {}
        self.inner.core.clock.advance_to(limit);
    }

    /// Runs the world until nothing is left to do, at the most for `within`; tells whether that was reached.
    pub fn settle(&self, within: Duration) -> bool {
        let limit = self.now() + within;
        while self.inner.core.step(limit) {
            if self.now() > limit {
                return false;
            }
        }
        self.is_quiet()
    }

    /// Whether nothing is left to do: no task could run, no timer and no event is to come.
    pub fn is_quiet(&self) -> bool {
        !self.inner.core.is_busy() && self.inner.core.next_due().is_none()
    }

    /// The present moment of virtual time.
    pub fn now(&self) -> Moment {
        self.inner.core.now()
    }

    /// Waits for `delay` of virtual time, in a client.
    pub fn wait(&self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.inner.core.sleep_until(self.now() + delay)
    }

    /// The seed of this world.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// A throw of the dice that decide what happens; a scenario that wants variety takes it from here.
    pub fn below(&self, bound: u64) -> u64 {
        self.inner.core.fates.below(bound)
    }

    /// The steps that actors have taken.
    pub fn steps(&self) -> u64 {
        self.inner.weather.steps.load(Ordering::Relaxed)
    }

    /// The hash of all that has happened.
    pub fn trace_hash(&self) -> u64 {
        self.inner.core.trace.lock().hash()
    }

    /// The clients that have not ended, by name.
    pub fn clients(&self) -> Vec<Arc<str>> {
        self.inner.core.clients()
    }

    /// The tasks that run in the node beside its actors.
    pub fn tasks(&self, node: &str) -> usize {
        let number = self.inner.number(node);
        number.map_or(0, |node| self.inner.core.count(node, |kind| matches!(kind, Kind::Task(_))))
    }

    /// The deadlines, timers and sleeps that wait in the node.
    pub fn timers(&self, node: &str) -> usize {
        self.get(node).map_or(0, |node| node.pending_timers())
    }

    /// Lets messages of type `M` of which `twin` makes a second one come twice when the weather has duplication.
    ///
    /// To say so is up to the scenario: only it knows for which messages the contract between its actors allows that.
    pub fn may_duplicate<M: Send + 'static>(
        &self,
        twin: impl Fn(&M) -> Option<M> + Send + Sync + 'static,
    ) {
        self.inner.weather.may_double(Box::new(move |message: &dyn Any| {
            let twin: Box<dyn Any + Send> = Box::new(twin(message.downcast_ref::<M>()?)?);
            Some(twin)
        }));
    }

    /// The names of those who do what is left to do, each with its node; runs the world a little further to see it.
    fn busy(&self) -> Vec<String> {
        let core = &self.inner.core;
        core.trace.lock().note_runners();
        for _ in 0..SIM_UNREST_STEPS {
            if !core.step(Moment::NEVER) {
                break;
            }
        }
        let runners = core.trace.lock().take_runners();
        let nodes = self.inner.nodes.lock();
        let named = runners.iter().take(SIM_UNREST_NAMES).map(|(number, name)| {
            let node = nodes.iter().find(|node| node.number == *number);
            node.map_or_else(|| name.to_string(), |node| format!("{name} on {}", node.name))
        });
        let more = runners.len().saturating_sub(SIM_UNREST_NAMES);
        named.chain((more > 0).then(|| format!("and {more} more"))).collect()
    }

    /// The live actors that may be made to fail: all but supervisors, which OTP holds for sound.
    fn victims(&self) -> Vec<(Arc<str>, ChildRef)> {
        let nodes = self.inner.nodes.lock();
        let alive =
            nodes.iter().filter_map(|node| Some((Arc::clone(&node.name), node.node.clone()?)));
        let alive: Vec<(Arc<str>, Node)> = alive.collect();
        drop(nodes);
        let actors = alive.into_iter().flat_map(|(name, node)| {
            node.actors().into_iter().map(move |actor| (Arc::clone(&name), actor))
        });
        actors.filter(|(_, actor)| actor.addr::<supervisor::Command>().is_none()).collect()
    }

    fn node_names(&self) -> Vec<Arc<str>> {
        self.inner.nodes.lock().iter().map(|node| Arc::clone(&node.name)).collect()
    }

    /// Closes the trace with how often everyone threw dice, and gives it up.
    fn into_trace(self) -> Trace {
        let core = &self.inner.core;
        let throws: Vec<(usize, Arc<str>, u64)> = {
            let nodes = self.inner.nodes.lock();
            nodes
                .iter()
                .map(|node| (node.number, Arc::clone(&node.name), node.dice.thrown()))
                .collect()
        };
        let mut trace = core.trace.lock();
        for (node, name, throws) in throws {
            trace.add(&Line { at: core.now(), node, name: &name, what: What::Dice(throws) });
        }
        std::mem::take(&mut *trace)
    }
}

impl Inner {
    fn number(&self, name: &str) -> Option<usize> {
        self.nodes.lock().iter().find(|node| &*node.name == name).map(|node| node.number)
    }

    fn note(&self, node: usize, name: &str, fault: &'static str) {
        let (at, name) = (self.core.now(), name.into());
        self.core.trace.lock().add(&Line { at, node, name: &name, what: What::Fault(fault) });
    }

    /// Opens a node that is down on its disk, and starts on it what it starts.
    fn boot(self: &Arc<Self>, number: usize) {
        let Some((node, boot)) = self.open(number) else { return };
        boot(&node);
    }

    fn open(&self, number: usize) -> Option<(Node, Boot)> {
        let mut nodes = self.nodes.lock();
        let of = nodes.iter_mut().find(|node| node.number == number)?;
        if of.node.is_some() {
            return None;
        }
        of.lives += 1;
        let seeds = SeededRandom::new(self.seed ^ ((number as u64) << 32) ^ of.lives);
        of.dice = Arc::new(CountedDice::new(seeds.next_u64()));
        let (core, disk) = (Arc::downgrade(&self.core), of.disk.clone());
        let journal = of.disk.open(move || {
            let Some(core) = core.upgrade() else { return };
            let nanos = u64::try_from(SIM_SYNC_MAX.as_nanos()).unwrap_or(u64::MAX);
            let (disk, delay) = (disk.clone(), Duration::from_nanos(core.dice.below(nanos)));
            core.at(core.now() + delay, Box::new(move |_| disk.sync()));
        });
        let ground = Ground::new(&self.core, &self.weather, self.core.place(number));
        let dice: Arc<dyn Random> = Arc::<CountedDice>::clone(&of.dice);
        let clock: Arc<dyn Clock> = Arc::<crate::clock::ManualClock>::clone(&self.core.clock);
        let node = Node::builder().clock(clock).random(dice).journal(Arc::new(journal)).open_on(
            Standing {
                executor: Arc::<Ground>::clone(&ground),
                host: Arc::<Ground>::clone(&ground),
                lab: Some(Arc::<Ground>::clone(&ground)),
            },
        );
        ground.set_kernel(node.kernel());
        of.node = Some(node.clone());
        Some((node, Arc::clone(&of.boot)))
    }

    fn kill(&self, number: usize, power: bool) {
        let taken = {
            let mut nodes = self.nodes.lock();
            let Some(of) = nodes.iter_mut().find(|node| node.number == number) else { return };
            of.node.take().map(|node| (node, of.disk.clone()))
        };
        let Some((node, disk)) = taken else { return };
        self.struck.fetch_add(1, Ordering::Relaxed);
        // First the disk, so that nothing that falls in the crash can still write.
        let kept = self.core.fates.below(disk.unsynced() as u64 + 1);
        disk.crash(match power {
            true => Loss::AllBut(usize::try_from(kept).unwrap_or(0)),
            false => Loss::Nothing,
        });
        self.core.end_life(number);
        drop(node);
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), owner: false }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.owner {
            self.inner.core.end();
            let nodes = std::mem::take(&mut *self.inner.nodes.lock());
            drop(nodes);
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "World(seed {}, {:?})", self.inner.seed, self.now())
    }
}
