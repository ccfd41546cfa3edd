//! What a world promises: one seed is one run, faults do what they say, what is not deterministic is named.

use std::{
    collections::HashSet,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use protocol::{RunId, Value};
use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Reply},
    clock::Moment,
    context::Cx,
    graph::{ActorState, ObservableState, Observed},
    node::{Node, Stopped},
    sim::{Fault, World, sim},
    spawn::Spawn,
    supervisor::Supervisor,
};

const SECOND: Duration = Duration::from_secs(1);
const RUN: RunId = RunId::from_u128(7);

/// Counts, passes messages on to a neighbour until they are spent, and can be asked.
struct Relay {
    seen: u64,
    next: Option<Addr<Msg>>,
}

#[derive(Debug)]
enum Msg {
    Meet(Addr<Msg>),
    Pass(u64),
    Tick(u64),
    Read(Reply<u64>),
    Keep(Reply<u64>),
}

impl Relay {
    fn new() -> Self {
        Self { seen: 0, next: None }
    }
}

impl Actor for Relay {
    type Msg = Msg;

    fn observe(&self) -> ObservableState {
        ObservableState::of(&self.seen)
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Meet(next) => self.next = Some(next),
            Msg::Pass(left) => {
                self.seen += 1;
                if let (Some(next), true) = (self.next.clone(), left > 0) {
                    cx.send(&next, Msg::Pass(left - 1));
                    if cx.random().is_multiple_of(4) {
                        cx.after(Duration::from_millis(30), Msg::Tick(left / 2));
                    }
                }
            }
            Msg::Tick(left) => {
                if let (Some(next), true) = (&self.next, left > 0) {
                    let within = Duration::from_millis(20);
                    cx.ask(next, Msg::Read, within, move |seen| {
                        Msg::Tick(seen.map_or(0, |_| left / 3))
                    });
                }
            }
            Msg::Read(to) => cx.reply(to, self.seen),
            Msg::Keep(to) => {
                let me = cx.me();
                cx.perform(
                    async move { me.ask(Msg::Read, SECOND).await.unwrap_or(0) },
                    move |seen| Msg::Pass(seen.unwrap_or(0).min(3)),
                );
                cx.reply(to, 0);
            }
        }
    }
}

/// Some relays in a ring, told to pass messages around.
fn ring(world: &World) {
    world.node("one", |node| {
        let supervisor = (0..5)
            .fold(Supervisor::one_for_one("ring").intensity(1_000, SECOND), |supervisor, at| {
                supervisor.child(format!("{at}"), Relay::new)
            });
        let ring = node.supervise(supervisor);
        let relay = |at: usize| ring.children()[at % 5].addr::<Msg>().unwrap();
        for at in 0..5 {
            relay(at).try_tell(Msg::Meet(relay(at + 1))).unwrap();
            relay(at).try_tell(Msg::Pass(40)).unwrap();
        }
    });
    let outside = world.clone();
    world.client("reader", async move {
        for at in 0..20 {
            outside.wait(Duration::from_millis(200)).await;
            let Some(relay) = outside.find("one", &format!("ring/{}", at % 5)) else { continue };
            relay.ask(Msg::Read, SECOND).await.ok();
            relay.ask(Msg::Keep, SECOND).await.ok();
        }
    });
}

fn traced(seed: u64) -> u64 {
    let report = sim(ring).seeds(1).faults(Fault::ALL);
    report.check_seed(seed).unwrap().hash
}

#[test]
fn any_seed_replays_to_the_identical_trace_a_hundred_times_of_a_hundred() {
    let mut different = HashSet::new();
    for seed in 1..=5 {
        let first = traced(seed);
        assert!((0..50).all(|_| traced(seed) == first), "seed {seed}; each is two runs");
        different.insert(first);
    }
    assert_eq!(different.len(), 5, "other seeds are other runs");
}

#[test]
fn a_seed_is_the_same_run_in_another_process() {
    const CHILD: &str = "SYNOD_SIMULATION_CHILD";
    let hashes: Vec<u64> = (1..=10).map(traced).collect();
    let line = format!("hashes {hashes:?}");
    if std::env::var_os(CHILD).is_some() {
        println!("{line}");
        return;
    }
    let name = "worlds::a_seed_is_the_same_run_in_another_process";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&line), "{line} is not in {said}");
}

#[test]
fn an_actor_that_iterates_over_a_hash_table_is_named() {
    struct Scatter(HashSet<u64>);
    impl Actor for Scatter {
        type Msg = Addr<Msg>;
        fn handle(&mut self, to: Addr<Msg>, cx: &mut Cx<Self>) {
            #[expect(clippy::iter_over_hash_type, reason = "this is the fault to be found")]
            for count in &self.0 {
                let message = if count.is_multiple_of(2) { Msg::Pass(0) } else { Msg::Tick(0) };
                cx.send(&to, message);
            }
        }
    }
    let failure = sim(|world| {
        world.node("one", |node| {
            let relay = node.spawn(Spawn::named("relay"), Relay::new);
            let scatter = node.spawn(Spawn::named("scatter"), || Scatter((0..64).collect()));
            scatter.try_tell(relay).unwrap();
        });
    })
    .seeds(1)
    .check()
    .unwrap_err();
    assert!(failure.problem.contains("differs at step"), "{failure}");
    assert!(failure.problem.contains("node 1  relay"), "{failure}");
    assert!(failure.to_string().contains("SYNOD_SEED=1 cargo test"), "{failure}");
}

#[test]
fn time_jumps_to_the_next_timer_and_an_hour_passes_at_once() {
    let world = World::new(1);
    world.node("one", |node| drop(node.spawn(Spawn::named("relay"), Relay::new)));
    let (asleep, node) = (world.clone(), world.get("one").unwrap());
    let slept = world.block_on(
        async move {
            node.sleep(SECOND * 3_600).await;
            asleep.now()
        },
        SECOND * 4_000,
    );
    let late = slept.unwrap().since(Moment::START + SECOND * 3_600);
    assert!(late < Duration::from_millis(10), "{late:?}");
    assert!(world.settle(SECOND), "nothing is left to do");
}

#[test]
fn an_ask_of_a_hanging_actor_ends_by_its_deadline_and_the_actor_goes_on() {
    let world = World::new(3);
    world.node("one", |node| drop(node.spawn(Spawn::named("relay"), Relay::new)));
    world.hang("one", "relay", SECOND * 5);
    let relay: Addr<Msg> = world.find("one", "relay").unwrap();
    let asked = relay.clone();
    let hung = world.block_on(async move { asked.ask(Msg::Read, SECOND).await }, SECOND * 2);
    assert_eq!(hung, Some(Err(AskError::TimedOut(SECOND))));
    let late = world.block_on(async move { relay.ask(Msg::Read, SECOND * 9).await }, SECOND * 10);
    assert_eq!(late, Some(Ok(0)));
    assert!(world.now() >= Moment::START + SECOND * 5, "{world:?}");
}

#[test]
fn a_panic_strikes_one_step_and_leaves_none_of_its_effects() {
    let world = World::new(4);
    world.node("one", |node| {
        node.supervise(Supervisor::one_for_one("top").child("relay", Relay::new));
    });
    let relay: Addr<Msg> = world.find("one", "top/relay").unwrap();
    world.settle(SECOND);
    world.panic("one", "top/relay");
    let ask = |relay: Addr<Msg>| async move { relay.ask(Msg::Read, SECOND).await };
    assert_eq!(world.block_on(ask(relay.clone()), SECOND), Some(Err(AskError::Dropped)));
    assert_eq!(world.block_on(ask(relay), SECOND), Some(Ok(0)));
    assert_eq!(world.weather().0, 1);
}

/// Sends numbered messages to a sink.
struct Source(Addr<u64>);
impl Actor for Source {
    type Msg = u64;
    fn handle(&mut self, number: u64, cx: &mut Cx<Self>) {
        cx.send(&self.0, number);
    }
}

/// Keeps what it was sent.
struct Sink(Arc<Mutex<Vec<u64>>>);
impl Actor for Sink {
    type Msg = u64;
    fn handle(&mut self, number: u64, _: &mut Cx<Self>) {
        self.0.lock().push(number);
    }
}

/// Two sources send 100 numbers each to one sink; returns what came.
fn two_sources(world: &World) -> Arc<Mutex<Vec<u64>>> {
    let came: Arc<Mutex<Vec<u64>>> = Arc::default();
    let kept = Arc::clone(&came);
    world.node("one", move |node| {
        let kept = Arc::clone(&kept);
        let sink = node.spawn(Spawn::named("sink"), move || Sink(Arc::clone(&kept)));
        for source in 0..2 {
            let sink = sink.clone();
            let from = node.spawn(Spawn::named(format!("{source}")), move || Source(sink.clone()));
            for number in 0..100 {
                from.try_tell(source * 1_000 + number).unwrap();
            }
        }
    });
    came
}

#[test]
fn delays_let_senders_overtake_each_other_but_never_themselves() {
    let world = World::new(5);
    world.delay(500, Duration::from_millis(50));
    let came = two_sources(&world);
    assert!(world.settle(SECOND * 20));
    let came = came.lock();
    let of = |source| came.iter().copied().filter(|n| n / 1_000 == source).collect::<Vec<_>>();
    assert_eq!(of(0), (0..100).collect::<Vec<_>>());
    assert_eq!(of(1), (1_000..1_100).collect::<Vec<_>>());
    assert_ne!(*came, [of(0), of(1)].concat(), "they are mixed");
    assert!(world.weather().1 > 50, "{:?}", world.weather());
    assert!(world.now() > Moment::START + Duration::from_millis(25));
}

#[test]
fn answers_are_held_up_too_and_a_late_one_comes_after_its_deadline() {
    let world = World::new(8);
    world.node("one", |node| drop(node.spawn(Spawn::named("relay"), Relay::new)));
    let relay: Addr<Msg> = world.find("one", "relay").unwrap();
    // What a client asks is not on a link, so all that is held up here is the answer.
    world.delay(1_000, SECOND * 10);
    let asked = relay.clone();
    let late = world.block_on(async move { asked.ask(Msg::Read, SECOND / 100).await }, SECOND);
    assert_eq!(late, Some(Err(AskError::TimedOut(SECOND / 100))));
    assert_eq!(world.weather().1, 1);
    let in_time =
        world.block_on(async move { relay.ask(Msg::Read, SECOND * 60).await }, SECOND * 60);
    assert_eq!(in_time, Some(Ok(0)));
}

#[test]
fn messages_come_twice_only_where_their_type_may() {
    let count = |may: bool| {
        let world = World::new(6);
        world.duplicate(300);
        if may {
            world.may_duplicate(|number: &u64| Some(*number));
        }
        let came = two_sources(&world);
        assert!(world.settle(SECOND * 20));
        let twice = world.weather().2;
        let came = came.lock().len() as u64;
        assert_eq!(came, 200 + twice);
        twice
    };
    assert_eq!(count(false), 0);
    assert!((30..90).contains(&count(true)));
}

/// Records what it is told and answers when that is durable.
struct Ledger(Vec<u64>);
#[derive(Debug)]
enum Entry {
    Add(u64, Reply<()>),
    Read(Reply<Vec<u64>>),
}
impl Actor for Ledger {
    type Msg = Entry;
    fn handle(&mut self, entry: Entry, cx: &mut Cx<Self>) {
        match entry {
            Entry::Add(number, to) => {
                cx.record(&number);
                self.0.push(number);
                cx.reply(to, ());
            }
            Entry::Read(to) => cx.reply(to, self.0.clone()),
        }
    }
    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        self.0.push(synod_runtime::record::decode(record)?);
        Ok(())
    }
}

fn ledger(node: &Node) {
    node.spawn(Spawn::named("ledger").journal(RUN), || Ledger(Vec::new()));
}

#[test]
fn no_crash_loses_what_was_acknowledged_and_some_lose_what_was_not() {
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let report = sim(move |world| {
        world.node("one", ledger);
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let (tells, outside) = (Arc::clone(&told), world.clone());
        world.client("writer", async move {
            for number in 0..300 {
                outside.wait(Duration::from_millis(30)).await;
                let Some(ledger) = outside.find("one", "ledger") else { continue };
                if ledger.ask(|to| Entry::Add(number, to), SECOND).await.is_ok() {
                    tells.lock().push(number);
                }
            }
        });
        told
    })
    .seeds(40)
    .count(15)
    .faults([Fault::Crash, Fault::DiskCrash])
    .finally(
        "all that was acknowledged is in the journal, once and in order",
        move |world, told| {
            counted.fetch_add(world.lost_appends(), Ordering::Relaxed);
            let ledger: Addr<Entry> = world.find("one", "ledger").unwrap();
            let kept = world.block_on(async move { ledger.ask(Entry::Read, SECOND).await }, SECOND);
            let kept = kept.unwrap().unwrap();
            let told = told.lock();
            kept.is_sorted() && told.iter().all(|number| kept.contains(number)) && told.len() > 50
        },
    )
    .run();
    assert_eq!(report.seeds, 40);
    assert!(lost.load(Ordering::Relaxed) > 0, "the disks were never caught between write and sync");
}

#[test]
fn what_must_never_be_is_reported_with_the_step_that_made_it() {
    let failure = sim(two_sources)
        .seeds(3)
        .never("more than ten came", |_, came| came.lock().len() > 10)
        .check()
        .unwrap_err();
    assert_eq!(failure.seed, 1);
    assert!(failure.problem.contains("more than ten came"), "{failure}");
    assert!(failure.steps.contains("sink"), "{failure}");
}

#[test]
fn a_client_that_waits_for_ever_or_panics_fails_the_simulation() {
    let stuck = sim(|world| world.client("stuck", std::future::pending())).seeds(1).check();
    assert!(stuck.unwrap_err().problem.contains("client stuck still waits"));
    let broken =
        sim(|world| world.client("broken", async { std::panic::resume_unwind(Box::new("no")) }));
    assert!(broken.seeds(1).check().unwrap_err().problem.contains("client broken panicked: no"));
}

#[test]
fn a_node_stops_under_simulation_as_it_does_in_production() {
    let world = World::new(8);
    ring(&world);
    let node = world.get("one").unwrap();
    let stopped = world.block_on(async move { node.stop(SECOND).await }, SECOND * 10);
    assert_eq!(stopped, Some(Ok(Stopped::Clean)));
    let node = world.get("one").unwrap();
    assert_eq!((node.actors().len(), world.tasks("one")), (0, 0));
}

#[test]
fn a_stop_that_meets_a_hanging_actor_overruns_its_deadline_and_says_so() {
    let world = World::new(9);
    world.node("one", |node| drop(node.spawn(Spawn::named("relay"), Relay::new)));
    world.settle(SECOND);
    world.hang("one", "relay", SECOND * 60);
    let node = world.get("one").unwrap();
    let stopped = world.block_on(async move { node.stop(SECOND).await }, SECOND * 10);
    let alive = ["relay".into()].into();
    assert_eq!(stopped, Some(Ok(Stopped::Overrun { alive, tasks: 0 })));
}

#[test]
fn a_crash_drops_what_was_on_its_way_and_whoever_asked_hears_of_it() {
    let world = World::new(10);
    let kept: Arc<()> = Arc::default();
    let (guard, held) = (Arc::clone(&kept), Arc::downgrade(&kept));
    drop(kept);
    struct Asks(Addr<(Arc<()>, Reply<()>)>);
    impl Actor for Asks {
        type Msg = Arc<()>;
        fn handle(&mut self, guard: Arc<()>, cx: &mut Cx<Self>) {
            cx.ask(&self.0, |to| (guard, to), SECOND * 60, |_| Arc::default());
        }
    }
    struct Never;
    impl Actor for Never {
        type Msg = (Arc<()>, Reply<()>);
        fn handle(&mut self, _: Self::Msg, _: &mut Cx<Self>) {}
    }
    world.node("one", |node| {
        let never = node.spawn(Spawn::named("never"), || Never);
        node.spawn(Spawn::named("asks"), move || Asks(never.clone()));
    });
    world.delay(1_000, SECOND * 30);
    world.find("one", "asks").unwrap().try_tell(guard).unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!((world.weather().1, held.strong_count()), (1, 1), "the question is on its way");
    world.crash("one", SECOND);
    assert_eq!(held.strong_count(), 0, "nothing of a node outlives its crash");
}

#[test]
fn a_world_shows_its_actors_and_what_they_show() {
    let world = World::new(5);
    world.node("a", |node| {
        let relays = Supervisor::one_for_one("relays").intensity(1, SECOND);
        node.supervise(relays.child("first", Relay::new));
    });
    world.run_for(SECOND);
    world.panic("a", "relays/first");
    let first = world.find::<Msg>("a", "relays/first").unwrap();
    world.client("teller", async move {
        first.tell(Msg::Pass(0)).await.unwrap();
        first.tell(Msg::Pass(0)).await.unwrap();
    });
    world.run_for(SECOND);
    let node = world.get("a").unwrap();
    let graph = world.block_on(async move { node.observed_graph(SECOND).await }, SECOND).unwrap();
    let first = graph.named("relays/first").unwrap();
    assert_eq!((first.restarts, first.state), (1, ActorState::Idle));
    assert_eq!(first.shows, Some(Observed::State(Value::from(1))));
    assert!(graph.to_string().contains("1 restart: crashed: a panic of the simulation"), "{graph}");
}
