//! Nodes: many in one process, each stopped by its deadline, each telling what it did.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use synod_runtime::{
    actor::{Actor, ExitReason},
    ask::{AskError, Reply},
    clock::SeededRandom,
    context::Cx,
    node::{Node, Stopped},
    spawn::Spawn,
    supervisor::Supervisor,
    tasks::TaskKind,
    telemetry::metrics::{DEAD_LETTERS, Metrics, RESTARTS, SHUTDOWN_OVERRUNS, STALE},
};

use crate::support::{
    Do, Log, Puppet, SOON, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_share_a_process_and_nothing_else() {
    let logs: Vec<Log> = (0..10).map(|_| Log::default()).collect();
    let nodes: Vec<Node> = logs.iter().map(|_| Node::in_memory().unwrap()).collect();
    let actors: Vec<_> =
        nodes.iter().zip(&logs).map(|(node, log)| puppet(node, "same name", log)).collect();
    for (at, actor) in actors.iter().enumerate() {
        // The first actor of each node sends to that of the next: alike in name and number, not itself.
        let to = actors[(at + 1) % 10].clone();
        let release = blocked(&to).await;
        tell(actor, move |_, cx| cx.send(&to, note("from the one before")));
        handled(actor).await;
        assert_eq!(actors[(at + 1) % 10].tally().kept, 1, "not in the data lane");
        drop(release);
    }
    for ((node, actor), log) in nodes.iter().zip(&actors).zip(&logs) {
        handled(actor).await;
        assert_eq!(log.lines(), ["start 1", "from the one before"]);
        assert_eq!(node.find::<Do>("same name").as_ref(), Some(actor));
    }
    assert_eq!(nodes[0].close().await, Ok(Stopped::Clean));
    assert!(actors[0].is_stopped() && nodes[0].actors().is_empty());
    for actor in &actors[1..] {
        handled(actor).await;
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_live_actor() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let first = puppet(&node, "name", &log);
    let second = puppet(&node, "name", &log);
    assert_eq!(second.name(), format!("name{}", second.id()));
    assert_eq!(node.find::<Do>("name"), Some(first.clone()));
    assert_eq!(node.find::<Do>(second.name()), Some(second.clone()));
    assert_eq!(node.find::<u64>("name"), None);
    assert_eq!(node.actors().len(), 2);
    first.stop();
    soon(first.stopped()).await;
    assert_eq!(node.find::<Do>("name"), None);
    assert_eq!(puppet(&node, "name", &log).name(), "name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_within_its_deadline_though_an_actor_is_stuck() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let early = puppet(&node, "early", &log);
    let stuck = puppet(&node, "stuck", &log);
    let release = blocked(&stuck).await;
    let stop = tokio::time::timeout(SOON, node.stop(SHORT)).await.expect("the stop hangs");
    let alive = ["stuck".into(), "early".into()].into();
    assert_eq!(stop, Ok(Stopped::Overrun { alive, tasks: 0 }), "the one that holds it up is first");
    // What started before the stuck one is told all the same.
    assert_eq!(soon(early.stopped()).await, ExitReason::Shutdown);
    drop(release);
    assert_eq!(soon(stuck.stopped()).await, ExitReason::Shutdown);
}

/// Tells when its state goes.
struct Bell(Log, &'static str);

impl Actor for Bell {
    type Msg = ();

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

#[tokio::test]
async fn roots_stop_in_the_reverse_order_of_their_start_each_before_the_next() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let bell = |name: &'static str| {
        let log = log.clone();
        move || Bell(log.clone(), name)
    };
    node.supervise(
        Supervisor::one_for_one("first").child("one", bell("one")).child("two", bell("two")),
    );
    node.spawn(Spawn::named("middle"), bell("middle"));
    let last = node.supervise(
        Supervisor::one_for_one("last").child("three", bell("three")).child("four", bell("four")),
    );
    until("all have started", || last.count_children().active == 2).await;
    assert_eq!(node.close().await, Ok(Stopped::Clean));
    assert_eq!(log.lines(), ["four", "three", "middle", "two", "one"]);
}

#[tokio::test]
async fn a_stop_waits_for_work_and_drops_services_and_nothing_starts_afterwards() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let done = log.clone();
    node.run_task(
        TaskKind::Work,
        Box::pin(async move {
            tokio::task::yield_now().await;
            done.add("work done");
        }),
    );
    node.run_task(TaskKind::Service, Box::pin(std::future::pending()));
    assert_eq!(node.close().await, Ok(Stopped::Clean));
    assert_eq!(log.lines(), ["work done"]);
    let late = puppet(&node, "late", &log);
    assert_eq!(soon(late.stopped()).await, ExitReason::Shutdown);
    assert_eq!(ask(&late, |_, cx, to| cx.reply(to, ())).await, Err(AskError::Stopped));
    // Time goes on for whoever still holds the node.
    node.sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn a_node_without_handles_ends_its_actors_and_its_timers() {
    let log = Log::default();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (actor, alive) = {
        let node = Node::in_memory().unwrap();
        let alive = Arc::new(());
        let random = Held(SeededRandom::new(1), Arc::clone(&alive));
        let node_of_dice = Node::builder().random(Arc::new(random)).open().unwrap();
        puppet(&node_of_dice, "soon gone", &log);
        (puppet(&node, "actor", &log), alive)
    };
    assert_eq!(soon(actor.stopped()).await, ExitReason::Shutdown);
    until("the kernel is gone", || Arc::strong_count(&alive) == 1).await;
    drop(actor);
    until("no task is left", || tasks() == before).await;
}

/// Dice that tell whether their kernel still lives.
struct Held(SeededRandom, #[expect(dead_code, reason = "held, not read")] Arc<()>);

impl synod_runtime::clock::Random for Held {
    fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }
}

#[test]
fn a_node_runs_its_actors_wherever_it_is_called_from() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let node = runtime.block_on(async { Node::in_memory().unwrap() });
    let actor = puppet(&node, "from a thread", &Log::default());
    runtime.block_on(handled(&actor));
    drop(runtime);
    // Whoever outlives the runtime is told that its actors do not.
    assert!(actor.is_stopped());
}

#[tokio::test]
async fn what_nobody_takes_is_a_dead_letter_and_its_asker_is_told() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (ended, sender) = (puppet(&node, "ended", &log), puppet(&node, "sender", &log));
    let asked = {
        let queued = act(|_, cx: &mut synod_runtime::context::Cx<Puppet>| cx.stop());
        ended.try_tell(queued).unwrap();
        ask(&ended, |_, cx, to| cx.reply(to, ())).await
    };
    assert_eq!(asked, Err(AskError::Dropped));
    let to = ended.clone();
    tell(&sender, move |_, cx| cx.send(&to, note("never")));
    handled(&sender).await;
    let letters = node.dead_letters();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.to.as_deref() == Some("ended")));
    assert_eq!((&letters[0].why, &letters[1].why), (&AskError::Stopped, &AskError::Stopped));
}

/// Counts what one node counts.
#[derive(Default)]
struct Counts(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Counts {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().get(name).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counts = self.0.lock();
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Counter::from_arc(Arc::clone(counts.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_counts_into_its_own_recorder() {
    let counts = [Arc::new(Counts::default()), Arc::new(Counts::default())];
    let [node, other] = counts.each_ref().map(|counts| {
        let metrics = Metrics::new(Arc::<Counts>::clone(counts));
        Node::builder().metrics(metrics).open().unwrap()
    });
    let log = Log::default();
    let own = log.clone();
    let top =
        node.supervise(Supervisor::one_for_one("top").child("one", move || Puppet::new(&own)));
    let one = top.child::<Do>("one").unwrap();
    tell(&one, |_, cx| cx.crash("once"));
    handled(&one).await;
    let own = log.clone();
    let parent = node.spawn(Spawn::named("hasty").shutdown(Duration::from_millis(1)), move || {
        Puppet::new(&own).starting(|puppet, cx| {
            let log = puppet.log.clone();
            cx.spawn(Spawn::named("stuck"), move || Puppet::new(&log));
        })
    });
    handled(&parent).await;
    let stuck = node.find::<Do>("hasty/stuck").unwrap();
    let release = blocked(&stuck).await;
    tell(&stuck, |_, _| {});
    parent.stop();
    soon(parent.stopped()).await;
    drop(release);
    soon(stuck.stopped()).await;
    until("both letters are counted", || counts[0].of(DEAD_LETTERS) == 2).await;
    assert_eq!((counts[0].of(RESTARTS), counts[0].of(SHUTDOWN_OVERRUNS)), (1, 1));
    for name in [DEAD_LETTERS, RESTARTS, SHUTDOWN_OVERRUNS] {
        assert_eq!(counts[1].of(name), 0, "{name}");
    }
    drop(other);
}

#[tokio::test]
async fn what_comes_for_an_ended_incarnation_is_counted_by_what_it_was() {
    let counts = Arc::new(Counts::default());
    let metrics = Metrics::new(Arc::<Counts>::clone(&counts));
    let node = Node::builder().metrics(metrics).open().unwrap();
    let log = Log::default();
    let own = log.clone();
    let top =
        node.supervise(Supervisor::one_for_one("top").child("one", move || Puppet::new(&own)));
    let (one, other) = (top.child::<Do>("one").unwrap(), puppet(&node, "other", &log));
    let kept: Arc<Mutex<Vec<Reply<u64>>>> = Arc::default();
    let (hold, to) = (Arc::clone(&kept), other.clone());
    tell(&one, move |_, cx| {
        for _ in 0..2 {
            let hold = Arc::clone(&hold);
            let question = |reply| act(move |_, _| hold.lock().push(reply));
            cx.ask(&to, question, SOON, |_| note("answer"));
        }
        cx.after(SOON, note("timer"));
    });
    handled(&one).await;
    handled(&other).await;
    let first = kept.lock().pop().unwrap();
    tell(&one, |_, cx| {
        cx.perform(std::future::pending::<()>(), |_| note("task"));
        // It waits for the next step, and there is none.
        first.send(7);
        cx.crash("as asked");
    });
    handled(&one).await;
    kept.lock().pop().unwrap().send(7);
    let stale = |kind| counts.of(&format!("{STALE} kind={kind}"));
    let all = ["answer", "timer", "notice", "task", "unserved"].map(stale);
    assert_eq!(all, [1, 0, 0, 0, 1], "timers and tasks of an ended incarnation are taken back");
    assert_eq!(one.tally().stale, 2);
    assert_eq!(log.lines(), ["start 1", "start 1", "start 2"]);
}
