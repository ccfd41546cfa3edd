//! Random trees of supervisors, workers and ledgers under random schedules and faults, with what must hold of every one of them.
//!
//! 500 seeds in every run of the tests; `cargo xtask soak --only trees` runs 100,000: `SYNOD_SEEDS` is their number.
//!
//! # Invariants
//! - Every tree has 20 to 200 actors, 2 to 6 levels deep, meets at least 10 faults and takes at least 2,000 messages.

mod census;
mod deeds;
mod extent;
mod oracle;
mod plan;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use protocol::{Code, MessageId};
use synod_runtime::{
    address::Addr,
    admission::{Admission, Request},
    budget::{Budget, Cost, Limits},
    keyed::Keyed,
    node::{Node, Stopped},
    record,
    sim::{Fault, Report, Sim, World, sim},
};

use self::{
    census::Census,
    deeds::DEEDS,
    extent::{DELIVERIES_MIN, Extent, FAULTS_MIN, Room, Totals},
    oracle::{Noted, Oracle},
    plan::{GUESTS, Plan, remainder},
    worker::{Entry, Ledger, Msg, acked_twin, commit, twin},
};

/// Seeds in an ordinary run.
const SEEDS: u64 = 500;
/// Faults that are planned; some meet nobody.
const FAULTS: u32 = 16;
pub(crate) const STORM: Duration = Duration::from_secs(4);
const HEALING: Duration = Duration::from_secs(120);
/// Clients that commit results, and results that each commits.
const CLIENTS: u64 = 3;
const COMMITS: u64 = 12;
/// Requests that a node's door lets be active.
const CREDITS: usize = 2;

/// Tokens that a node's clients may use, and children that its workers may start.
const TOKENS: u64 = 60;
const CHILDREN: u64 = 150;

/// One life of a node.
pub(crate) struct Life<'a> {
    number: usize,
    life: u32,
    node: &'a Node,
    budget: Budget,
}

/// What every actor, client and check of one run shares.
pub(crate) struct Shared {
    world: World,
    plan: Plan,
    oracle: Oracle,
    census: Census,
    extent: Extent,
    room: Room,
    totals: Arc<Mutex<Totals>>,
    /// The keyed actors of each node's present life.
    keyed: Mutex<BTreeMap<usize, Keyed<u64, ()>>>,
    /// The door of each node's present life.
    doors: Mutex<BTreeMap<usize, Admission>>,
    /// What each node's present life may use.
    budgets: Mutex<BTreeMap<usize, Budget>>,
    lives: Mutex<BTreeMap<usize, u32>>,
}

impl Shared {
    fn noted(&self) -> Noted {
        Noted { oracle: self.oracle.clone(), world: self.world.clone() }
    }

    /// Some worker of the plan; the one that is never given up where that one has ended.
    fn some_worker(&self, dice: u64) -> Option<Addr<Msg>> {
        let (node, name) = self.plan.some_worker(dice)?;
        let (spare_node, spare) = self.plan.some_worker(0)?;
        self.world.find(node, name).or_else(|| self.world.find(spare_node, spare))
    }

    fn ledger(&self, at: usize) -> Option<Addr<Entry>> {
        self.world.find(self.plan.ledger_node(at), &Plan::ledger_name(at))
    }

    /// The present life of a node.
    fn life(&self, number: usize) -> u32 {
        self.lives.lock().get(&number).copied().unwrap_or(0)
    }

    /// Starts what belongs on a node, at each of its lives.
    fn boot(self: &Arc<Self>, number: usize, node: &Node) {
        let life = {
            let mut lives = self.lives.lock();
            let life = lives.entry(number).or_default();
            *life += 1;
            *life
        };
        self.doors.lock().insert(number, Admission::with_limits(CREDITS, 1_000));
        let limits = Limits {
            tokens: Some(TOKENS),
            messages: Some(self.plan.messages),
            children: Some(CHILDREN),
            ..Limits::default()
        };
        let budget = Budget::root(Plan::node_name(number), limits, node.now());
        self.budgets.lock().insert(number, budget.clone());
        let keyed = deeds::keyed(self, number, node);
        drop(self.keyed.lock().insert(number, keyed));
        self.plan.start(self, &Life { number, life, node, budget });
    }

    /// Commits one result through the door of a node, again and again until it is known to be kept.
    async fn commit(self: Arc<Self>, number: u64, ledger: usize) {
        let node = ledger % self.plan.nodes();
        let request = Request { id: MessageId::from_u128(u128::from(number)), time_left: None };
        loop {
            self.world.wait(Duration::from_millis(20 + number % 60)).await;
            let Some(door) = self.doors.lock().get(&node).cloned() else { continue };
            match door.admit(&request, self.world.now()) {
                Err(refusal) if refusal.code == Code::Duplicate => {
                    return self.oracle.accepted(ledger, number);
                }
                Err(_) => {}
                Ok(admitted) => {
                    let budget = self.budgets.lock().get(&node).cloned();
                    let cost = Cost { tokens: 1 + number % 20, ..Cost::ZERO };
                    let reserved = budget.and_then(|all| all.reserve(cost, self.world.now()).ok());
                    let Some(reserved) = reserved else { continue };
                    if self.ask(number, ledger).await {
                        let spent = Cost { tokens: 1, ..Cost::ZERO };
                        reserved.settle(spent).expect("it was reserved");
                        self.oracle.accepted(ledger, number);
                        let credit = admitted.commit(self.world.now());
                        self.world.wait(Duration::from_millis(number % 10)).await;
                        drop(credit);
                        return;
                    }
                    drop(admitted);
                }
            }
        }
    }

    /// Asks a ledger to keep a result; whether it did.
    async fn ask(&self, number: u64, ledger: usize) -> bool {
        let Some(addr) = self.ledger(ledger) else { return false };
        let within = Duration::from_millis(300);
        let (ask, deadline) = (self.oracle.number(), self.world.now() + within);
        let answer = addr.ask(commit(number, ask, self.noted()), within).await;
        self.oracle.told(ask, deadline, answer.as_ref().err(), self.world.now());
        answer.is_ok()
    }

    /// Hands out tokens until the tree has had enough to do and has met enough faults.
    async fn feed(self: Arc<Self>) {
        let end = self.world.now() + STORM;
        self.world.wait(Duration::from_millis(1)).await;
        loop {
            self.look();
            let stormy = self.world.now() < end;
            let faults = self.world.faults();
            if !stormy && faults >= FAULTS_MIN && self.extent.deliveries() >= DELIVERIES_MIN {
                return;
            }
            if !stormy && faults < FAULTS_MIN {
                self.hold_up();
            }
            self.world.wait(Duration::from_millis(50)).await;
            for _ in 0..2 {
                if let Some(worker) = self.some_worker(self.world.below(1 << 32)) {
                    worker.try_tell(Msg::Token(8)).ok();
                }
            }
        }
    }

    /// Holds some worker up, where too few of the faults that were planned met anybody.
    fn hold_up(&self) {
        let Some((node, name)) = self.plan.some_worker(self.world.below(1 << 32)) else { return };
        if self.world.find::<Msg>(node, name).is_some() {
            self.world.hang(node, name, Duration::from_millis(20));
        }
    }

    /// Measures the tree.
    fn look(&self) {
        let nodes = (0..self.plan.nodes()).filter_map(|at| self.world.get(&Plan::node_name(at)));
        let actors: Vec<_> = nodes.flat_map(|node| node.actors()).collect();
        self.extent.look(&actors);
    }

    /// What must hold when nothing is left to do.
    fn at_rest(&self) {
        assert!(self.world.is_quiet(), "there is still something to do");
        let (planned, faults) = (self.plan.extent(), self.world.faults());
        self.totals.lock().add(&self.extent, planned, faults, &self.census.deeds());
        self.oracle.at_rest();
        self.census.at_rest(|number| self.life(number));
        for (number, door) in &*self.doors.lock() {
            assert_eq!(door.active(), 0, "credits of node {number} are gone");
        }
        for (number, budget) in &*self.budgets.lock() {
            assert_eq!(budget.reserved(), Cost::ZERO, "reservations of node {number} stay");
        }
        for number in 0..self.plan.nodes() {
            let name = Plan::node_name(number);
            let node = self.world.get(&name).expect("every node is up again");
            let names: Vec<String> =
                node.actors().iter().map(|actor| actor.name().to_owned()).collect();
            let unique: BTreeSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "two actors of {name} have the same name");
            for actor in &names {
                let parent = actor.rsplit_once('/').map(|(parent, _)| parent.to_owned());
                assert!(
                    parent.is_none_or(|parent| names.contains(&parent)),
                    "{actor} is an orphan"
                );
            }
            // One task brings a living subscriber its events; no other is left.
            let heard = names.iter().filter(|name| Plan::subscribes(name));
            let left = (self.world.tasks(&name), self.world.timers(&name), node.pending_waits());
            assert_eq!(left, (heard.count(), 0, 0), "tasks, timers and waits on {name}");
        }
        for ledger in 0..self.plan.ledgers() {
            self.kept_once(ledger);
        }
    }

    /// No budget is exceeded.
    fn within_budgets(&self) {
        for (number, budget) in &*self.budgets.lock() {
            let (spent, reserved) = (budget.spent(), budget.reserved());
            let fits = spent.tokens + reserved.tokens <= TOKENS
                && spent.messages + reserved.messages <= self.plan.messages
                && spent.children + reserved.children <= CHILDREN;
            assert!(fits, "the budget of node {number}: spent {spent:?}, reserved {reserved:?}");
        }
    }

    /// Every accepted result is in its ledger, and none twice.
    fn kept_once(&self, ledger: usize) {
        let node = self.world.get(self.plan.ledger_node(ledger)).expect("the node is up");
        let records = node.journal().read(Ledger::run(ledger), 0, 65_536).expect("the disk reads");
        let mut kept: Vec<u64> =
            records.iter().map(|bytes| record::decode(bytes).expect("it is a number")).collect();
        kept.sort_unstable();
        assert!(
            kept.windows(2).all(|pair| pair[0] != pair[1]),
            "ledger {ledger} has a result twice"
        );
        for number in self.oracle.accepted_by(ledger) {
            assert!(kept.binary_search(&number).is_ok(), "ledger {ledger} lost result {number}");
        }
    }

    /// The nodes stop in time and leave nothing behind.
    fn stop(&self) {
        for number in 0..self.plan.nodes() {
            let name = Plan::node_name(number);
            let node = self.world.get(&name).expect("every node is up again");
            let stopping = node.clone();
            let stop = async move { stopping.stop(Duration::from_secs(30)).await };
            let stopped = self.world.block_on(stop, Duration::from_secs(40));
            assert_eq!(stopped, Some(Ok(Stopped::Clean)), "{name} does not stop");
            let left = (node.actors().len(), self.world.tasks(&name), self.world.timers(&name));
            assert_eq!(left, (0, 0, 0), "actors, tasks and timers that {name} left");
        }
    }
}

/// One random tree and what happens to it.
fn tree(world: &World, totals: &Arc<Mutex<Totals>>) -> Arc<Shared> {
    let oracle = Oracle::default();
    let shared = Arc::new(Shared {
        world: world.clone(),
        plan: Plan::random(world),
        census: Census::new(oracle.clone()),
        oracle,
        extent: Extent::default(),
        room: Room::new(GUESTS),
        totals: Arc::clone(totals),
        keyed: Mutex::default(),
        doors: Mutex::default(),
        budgets: Mutex::default(),
        lives: Mutex::default(),
    });
    world.may_duplicate(twin);
    world.may_duplicate(acked_twin);
    for number in 0..shared.plan.nodes() {
        let on = Arc::clone(&shared);
        world.node(&Plan::node_name(number), move |node| on.boot(number, node));
    }
    world.client("feeder", Arc::clone(&shared).feed());
    for client in 0..CLIENTS {
        let on = Arc::clone(&shared);
        world.client(&format!("client {client}"), async move {
            for commit in 0..COMMITS {
                // Two clients send every result, as one does that sends again.
                let number = (1 << 40) + (client / 2) * COMMITS + commit;
                let ledger = remainder(number, on.plan.ledgers());
                Arc::clone(&on).commit(number, ledger).await;
                on.world.wait(Duration::from_millis(200)).await;
            }
        });
    }
    shared
}

fn trees() -> Sim<Arc<Shared>> {
    counted_trees(&Arc::default())
}

fn counted_trees(totals: &Arc<Mutex<Totals>>) -> Sim<Arc<Shared>> {
    let totals = Arc::clone(totals);
    sim(move |world| tree(world, &totals))
        .faults(Fault::ALL)
        .count(FAULTS)
        .storm(STORM)
        .healing(HEALING)
        .never("a rule of the oracle is broken", |_, shared| {
            let broken = shared.oracle.broken();
            assert!(broken.is_none(), "{}", broken.unwrap_or_default());
            shared.within_budgets();
            false
        })
        .finally("nothing is lost, doubled or left over", |_, shared| {
            shared.at_rest();
            shared.stop();
            true
        })
        .replay(|seed| format!("cargo xtask soak --only trees --seed {seed}"))
}

#[test]
fn random_trees_keep_what_the_kernel_promises() {
    let totals = Arc::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let report = counted_trees(&totals).seeds(SEEDS).threads(threads).run();
    let Report { seeds, steps, time, hash, .. } = report;
    let time = time.as_secs();
    let totals = totals.lock();
    print!("trees: {seeds}, {steps} steps, {time} s of virtual time, hash {hash:016x}\n{totals}");
    let missed: Vec<_> = DEEDS.iter().filter(|deed| totals.times(deed) == 0).collect();
    assert!(seeds < 100 || missed.is_empty(), "nobody does {missed:?}");
}

/// The number of replays; each is two runs.
const REPLAYS: &str = "SYNOD_REPLAYS";

#[test]
fn any_tree_replays_to_the_identical_trace() {
    let replays = match std::env::var(REPLAYS) {
        Ok(text) => text.parse().expect("SYNOD_REPLAYS is a whole number"),
        Err(_) => 2_u64,
    };
    for seed in [7, 6, 177, 678, 4_711] {
        let hash = || trees().check_seed(seed).expect("it passes").hash;
        let first = hash();
        assert!((1..replays).all(|_| hash() == first), "seed {seed}");
        println!("trees: seed {seed} took the same steps {} times of as many", 2 * replays);
    }
}

#[test]
fn a_tree_is_the_same_run_in_another_process() {
    const CHILD: &str = "SYNOD_TREES_CHILD";
    let hash = |seed| trees().check_seed(seed).expect("it passes").hash;
    let line = format!("hashes {:?}", [6, 7, 8].map(hash));
    if std::env::var_os(CHILD).is_some() {
        println!("{line}");
        return;
    }
    let name = "trees::a_tree_is_the_same_run_in_another_process";
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
    let said = String::from_utf8_lossy(&output.expect("it is a program").stdout).into_owned();
    assert!(said.contains(&line), "{line} is not in {said}");
}

/// The proof that these tests can fail: each planted fault is found within 2,000 seeds.
#[cfg(feature = "planted")]
#[test]
fn every_planted_fault_is_found_within_two_thousand_seeds() {
    use synod_runtime::planted::Planted;
    for fault in Planted::ALL {
        let failure = trees().plant(fault).seeds(2_000).check().expect_err("it is found");
        let sentence = failure.problem.lines().next().unwrap_or_default();
        println!("| {fault:?} | {} | {sentence} |", failure.seed);
    }
}
