//! Random trees of supervisors, workers and ledgers under random schedules and faults, with what must hold of every one of them.
//!
//! 500 seeds in every run of the tests; `cargo xtask soak --only trees` runs 100,000. `SYNOD_TREES` is the number of seeds.
//!
//! # Invariants
//! - Every tree has 20 to 200 actors, 2 to 6 levels deep, meets at least 10 faults and takes at least 2,000 steps.

mod oracle;
mod plan;
mod worker;

use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

use parking_lot::Mutex;
use protocol::{Code, MessageId};
use synod_runtime::{
    address::Addr,
    admission::{Admission, Request},
    budget::{Budget, Cost, Limits},
    node::{Node, Stopped},
    record,
    sim::{Fault, Report, Sim, World, sim},
};

use self::{
    oracle::{Noted, Oracle},
    plan::{Plan, remainder},
    worker::{Entry, Ledger, Msg, acked_twin, commit, twin},
};

/// Seeds in an ordinary run.
const SEEDS: u64 = 500;
const FAULTS: u32 = 12;
const STORM: Duration = Duration::from_secs(4);
const HEALING: Duration = Duration::from_secs(120);
/// Steps that each tree takes at least.
const STEPS_MIN: u64 = 2_000;
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

    /// Hands out tokens until the tree has had enough to do.
    async fn feed(self: Arc<Self>) {
        let end = self.world.now() + STORM;
        while self.world.now() < end || self.world.steps() < STEPS_MIN {
            self.world.wait(Duration::from_millis(50)).await;
            for _ in 0..2 {
                if let Some(worker) = self.some_worker(self.world.below(1 << 32)) {
                    worker.try_tell(Msg::Token(8)).ok();
                }
            }
        }
    }

    /// What must hold when nothing is left to do.
    fn at_rest(&self) {
        assert!(self.world.is_quiet(), "there is still something to do");
        assert!(self.world.steps() >= STEPS_MIN, "only {} steps", self.world.steps());
        self.oracle.at_rest();
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
            for actor in &names {
                let parent = actor.rsplit_once('/').map(|(parent, _)| parent.to_owned());
                assert!(
                    parent.is_none_or(|parent| names.contains(&parent)),
                    "{actor} is an orphan"
                );
            }
            assert_eq!((self.world.tasks(&name), self.world.timers(&name)), (0, 0), "on {name}");
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
fn tree(world: &World) -> Arc<Shared> {
    let shared = Arc::new(Shared {
        world: world.clone(),
        plan: Plan::random(world),
        oracle: Oracle::default(),
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
    sim(tree)
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
    let seeds = std::env::var("SYNOD_TREES").ok().and_then(|text| text.parse().ok());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let report: Report = trees().seeds(seeds.unwrap_or(SEEDS)).threads(threads).run();
    let Report { seeds, steps, steps_min, time, hash, .. } = report;
    let time = time.as_secs();
    println!(
        "trees: {seeds}, {steps} steps (at least {steps_min} a tree), {time} s, hash {hash:016x}"
    );
    assert!(steps_min >= STEPS_MIN, "{report:?}");
}

#[test]
fn any_tree_replays_to_the_identical_trace() {
    let hashes: Vec<u64> =
        (0..10).map(|_| trees().check_seed(7).expect("it passes").hash).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
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
