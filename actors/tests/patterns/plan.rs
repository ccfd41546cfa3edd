//! Plans: tasks that come after others, without barriers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    budget::Limits,
    clock::{Random as _, SeededRandom},
    engine::local::MemoryJournal,
    events::{EventKind, Filter, Received},
    node::Node,
    retry::Retries,
};
use serde_json::json;
use synod_actors::{
    agent::{Agent, CallContext},
    decompose::{Task, TaskGraph},
    pattern::{
        FailureKind, Tally,
        map_reduce::{Collect, MapReduce, OnPartialFailure, Options, map_reduce},
        plan::{Before, Plan, TaskEnd},
    },
    system::AgentSystem,
};
use tokio::sync::Semaphore;

use crate::{
    compose::world,
    consensus::{MINUTE, system},
    until,
};

type Run = MapReduce<String, String, Collect>;

/// What was begun and ended, in order, and who hangs until it is let go.
struct Seen {
    log: Mutex<Vec<String>>,
    gate: Semaphore,
    dropped: AtomicU64,
}

impl Seen {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::default(),
            gate: Semaphore::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    fn note(&self, what: &str, name: &str) {
        self.log.lock().unwrap().push(format!("{what} {name}"));
    }

    fn at(&self, line: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().position(|known| known == line).unwrap_or_else(|| panic!("{line}: {log:?}"))
    }

    fn count(&self, line: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|known| *known == line).count()
    }
}

/// Notes a call that is dropped before its end.
struct GivenUp(Arc<Seen>, bool);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(u64::from(!self.1), Ordering::SeqCst);
    }
}

/// An agent that does what its input is called: `slow…` waits at the gate, `open…` opens it, `bad…` fails.
fn worker(system: &AgentSystem, seen: &Arc<Seen>) -> Agent<String, String> {
    let seen = Arc::clone(seen);
    let worker = system.agent("worker", move |name: String, _: CallContext| {
        let seen = Arc::clone(&seen);
        async move {
            let mut given_up = GivenUp(Arc::clone(&seen), false);
            seen.note("begin", &name);
            if name.starts_with("slow") {
                seen.gate.acquire().await.unwrap().forget();
            }
            if name.starts_with("open") {
                seen.gate.add_permits(1);
            }
            given_up.1 = true;
            seen.note("end", &name);
            if name.starts_with("bad") { Err("no") } else { Ok(format!("did {name}")) }
        }
    });
    worker.count(8).start().unwrap()
}

/// One part that fails is the end of its run.
fn strict() -> Options {
    let on_partial_failure = OnPartialFailure::Fail;
    Options { retries: Retries::NEVER, on_partial_failure, ..Options::default() }
}

fn asks(worker: &Agent<String, String>, names: &[&str]) -> Run {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    map_reduce(names, worker).options(strict())
}

/// Tasks that ask the worker to do what they are called.
fn plan(worker: &Agent<String, String>, tasks: &[(&str, &[&str])]) -> Plan {
    tasks.iter().fold(Plan::new(), |plan, (name, after)| {
        let (worker, own) = (worker.clone(), (*name).to_owned());
        plan.task(*name, after, move |_| Ok(asks(&worker, &[&own])))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_starts_when_its_own_predecessors_have_ended_while_a_sibling_of_theirs_still_runs() {
    let (system, seen) = (system(), Seen::new());
    let worker = worker(&system, &seen);
    // The slow one ends only once what comes after its sibling has begun: with a barrier, never.
    let tasks: [(&str, &[&str]); 3] = [("first", &[]), ("slow", &[]), ("opens", &["first"])];
    let last = worker.clone();
    let plan = plan(&worker, &tasks).task("last", &["opens", "slow"], move |before| {
        assert_eq!(before.get("first"), None, "it is not after that");
        let slow: Vec<String> = before.read("slow")?;
        let opens: Vec<String> = before.read("opens")?;
        Ok(asks(&last, &[&slow[0], &opens[0]]))
    });
    let done = system.run(plan).deadline(MINUTE / 6).await.unwrap();
    assert!(seen.at("begin opens") < seen.at("end slow"));
    assert!(seen.at("end first") < seen.at("begin opens"));
    assert!(seen.at("end slow") < seen.at("begin did slow"));
    assert_eq!(done.value.output("last"), Some(&json!(["did did slow", "did did opens"])));
    assert_eq!(done.tally, Tally { units: 4, done: 4, attempts: 4, ..Tally::default() });
    assert!(done.failed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_a_failed_task_is_skipped_and_says_why_and_nobody_else_is() {
    let (system, seen) = (system(), Seen::new());
    let worker = worker(&system, &seen);
    let plan = plan(
        &worker,
        &[
            ("bad", &[]),
            ("next", &["bad", "other"]),
            ("last", &["next"]),
            ("other", &[]),
            ("on", &["other"]),
        ],
    );
    let plan = plan
        .task("panics", &[], |_| -> Result<Run, String> { panic!("out of order") })
        .task("odd", &["other"], |before: &Before| {
            before.read::<u64>("other").map(|_| unreachable())
        });
    let done = system.run(plan).deadline(MINUTE).await.unwrap();
    let end = |name: &str| done.value.task(name).unwrap().end.clone();
    let skipped = TaskEnd::Skipped { because: "bad".to_owned() };
    assert_eq!((end("next"), end("last")), (skipped.clone(), skipped));
    assert!(matches!(end("bad"), TaskEnd::Failed { why, .. } if why.contains("first: ")));
    assert!(matches!(end("panics"), TaskEnd::Failed { why, .. } if why.contains("out of order")));
    assert!(
        matches!(end("odd"), TaskEnd::Failed { why, .. } if why.contains("the output of `other`"))
    );
    assert_eq!(done.value.output("on"), Some(&json!(["did on"])));
    assert_eq!(seen.count("begin next") + seen.count("begin last"), 0);
    let failed: BTreeMap<&str, &str> =
        done.failed.iter().map(|part| (&*part.name, &*part.error)).collect();
    assert_eq!(failed["last"], "not begun, since `bad` failed before it");
    assert_eq!((failed.len(), done.tally.done), (5, 2));
}

fn unreachable() -> Run {
    panic!("the output is no number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_none_does_not_begin_and_all_of_it_is_told() {
    let (system, seen) = (system(), Seen::new());
    let worker = worker(&system, &seen);
    let none = system.run(Plan::new()).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(&none.kind, FailureKind::Invalid { why } if why.contains("no tasks")));
    let wrong: [(&str, &[&str]); 6] = [
        ("egg", &["hen"]),
        ("hen", &["egg"]),
        ("twice", &[]),
        ("twice", &[]),
        ("self", &["self"]),
        ("a/b", &["nobody"]),
    ];
    let error = system.run(plan(&worker, &wrong)).deadline(MINUTE).await.unwrap_err();
    let why = error.kind.to_string();
    assert!(matches!(error.kind, FailureKind::Invalid { .. }), "{why}");
    for part in [
        "egg → hen → egg",
        "two tasks are called `twice`",
        "`self` is after itself",
        "\"a/b\" is no name of a task",
        "\"nobody\", which is no task",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(seen.log.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_ends_all_tasks_and_keeps_what_was_done_and_a_resume_does_the_rest() {
    let (system, seen) = (system(), Seen::new());
    let worker = worker(&system, &seen);
    let tasks: [(&str, &[&str]); 4] =
        [("first", &[]), ("slow one", &["first"]), ("slow two", &[]), ("last", &["slow one"])];
    let handle = system.run(plan(&worker, &tasks)).deadline(MINUTE).start().await.unwrap();
    until("both slow tasks are at work", || {
        seen.count("begin slow one") + seen.count("begin slow two") == 2
    })
    .await;
    handle.canceller().cancel();
    let error = handle.outcome().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Cancelled { done: 1, units: 4 });
    let report = error.partial.unwrap();
    assert_eq!(report.output("first"), Some(&json!(["did first"])));
    for open in ["slow one", "slow two", "last"] {
        assert!(matches!(report.task(open).unwrap().end, TaskEnd::Open { .. }), "{report:?}");
    }
    assert!(error.failed.is_empty(), "what is open has not failed");
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 2, "the calls below were given up");

    // At once: no run of a task is left that would be in the way.
    seen.gate.add_permits(2);
    let done = system.run(plan(&worker, &tasks)).id(error.run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.tally.done, done.tally.resumed), (4, 1));
    assert_eq!((seen.count("begin first"), seen.count("end last")), (1, 1));
    let other: [(&str, &[&str]); 2] = [("first", &[]), ("last", &["first"])];
    let error = system.run(plan(&worker, &other)).id(error.run).deadline(MINUTE).await.unwrap_err();
    assert!(
        error.to_string().contains("last after slow one, not first, last after first"),
        "{error}"
    );
}

#[test]
fn a_cancel_reaches_the_runs_of_all_tasks_within_100_ms() {
    let ((world, system), seen) = (world(1), Seen::new());
    let tasks: [(&str, &[&str]); 3] =
        [("slow one", &[]), ("slow two", &[]), ("last", &["slow one"])];
    let run = system.run(plan(&worker(&system, &seen), &tasks)).deadline(MINUTE);
    let (outside, at_work) = (world.clone(), Arc::clone(&seen));
    let cancelled = async move {
        let handle = run.start().await.unwrap();
        while at_work.log.lock().unwrap().len() < 2 {
            outside.wait(Duration::from_millis(1)).await;
        }
        let began = outside.now();
        handle.canceller().cancel();
        while at_work.dropped.load(Ordering::SeqCst) < 2 {
            outside.wait(Duration::from_millis(1)).await;
        }
        (outside.now().since(began), handle.outcome().await)
    };
    let (took, outcome) = world.block_on(cancelled, MINUTE).expect("it ends");
    assert!(took <= Duration::from_millis(100), "{took:?}");
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Cancelled { done: 0, units: 3 });
    world.run_for(MINUTE);
    let graph = system.graph();
    let runs = graph.named("runs").unwrap().id;
    let left = graph.actors.iter().filter(|actor| actor.parent == Some(runs)).count();
    assert_eq!((left, system.node().pending_timers()), (0, 0));
}

#[test]
fn at_its_deadline_a_plan_ends_with_what_there_is_of_its_tasks() {
    let ((world, system), seen) = (world(1), Seen::new());
    let worker = worker(&system, &seen);
    let half = worker.clone();
    let plan = plan(&worker, &[("done", &[])])
        .task("half", &[], move |_| Ok(asks(&half, &["quick", "slow"])));
    let plan = plan.task("last", &["half"], move |_| Ok(asks(&worker, &["last"])));
    let run = system.run(plan).deadline(MINUTE / 60);
    let outcome = world.block_on(async move { run.await }, MINUTE).expect("it ends");
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind, FailureKind::TimedOut { done: 1, units: 3, .. }), "{error}");
    let report = error.partial.unwrap();
    assert_eq!(
        report.task("half").unwrap().end,
        TaskEnd::Open { partial: Some(json!(["did quick"])) }
    );
    assert_eq!(report.task("last").unwrap().end, TaskEnd::Open { partial: None });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_of_a_plan_is_that_of_all_its_tasks() {
    for (messages, enough) in [(3, true), (2, false)] {
        let (system, seen) = (system(), Seen::new());
        let worker = worker(&system, &seen);
        let chain: [(&str, &[&str]); 3] = [("a", &[]), ("b", &["a"]), ("c", &["b"])];
        let limits = Limits { messages: Some(messages), ..Limits::default() };
        let run = system.run(plan(&worker, &chain)).deadline(MINUTE).limits(limits);
        match run.await {
            Ok(done) => assert_eq!((done.tally.done, enough), (3, true)),
            Err(error) => {
                assert!(
                    matches!(error.kind, FailureKind::OverBudget { done: 2, units: 3, .. }),
                    "{error}"
                );
                assert!(!enough);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_tasks_run_at_once_than_the_plan_says_and_their_runs_are_below_it() {
    let (system, seen) = (system(), Seen::new());
    let worker = worker(&system, &seen);
    let tasks: [(&str, &[&str]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
    let started = Filter::new().kinds([EventKind::RunStarted]);
    let mut started = system.node().events().subscribe(started).unwrap();
    let done = system.run(plan(&worker, &tasks).at_once(1)).deadline(MINUTE).await.unwrap();
    let log = seen.log.lock().unwrap().clone();
    assert_eq!(log, ["begin a", "end a", "begin b", "end b", "begin c", "end c"]);
    let mut above = Vec::new();
    while let Some(Received::Event(event)) = started.try_next() {
        above.push(event.data["above"].clone());
    }
    assert_eq!(above, [json!(null), json!(done.run), json!(done.run), json!(done.run)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_was_cut_off_at_any_moment_does_nothing_again_that_was_done() {
    const RUN: RunId = RunId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);
    let tasks: [(&str, &[&str]); 5] =
        [("a", &[]), ("bad", &["a"]), ("b", &["a"]), ("c", &["b"]), ("d", &["bad"])];
    for moment in 0..24 {
        let journal = Arc::new(MemoryJournal::default());
        let open = || {
            let journal = Arc::<MemoryJournal>::clone(&journal);
            AgentSystem::start(Node::builder().journal(journal).open().unwrap())
        };
        let (before, seen) = (open(), Seen::new());
        let told = Filter::new().kinds([EventKind::TaskCompleted]).run(RUN);
        let mut told = before.node().events().subscribe(told).unwrap();
        let run = before.run(plan(&worker(&before, &seen), &tasks)).id(RUN).deadline(MINUTE);
        let handle = run.start().await.unwrap();
        // Behind as many of the three that are done, and a little later each time.
        let mut known = Vec::new();
        for _ in 0..moment % 4 {
            let Some(Received::Event(event)) = told.next().await else { panic!("it goes on") };
            known.push(event.data["name"].as_str().unwrap().to_owned());
        }
        for _ in 0..moment * 2 {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);

        let after = open();
        let run = after.run(plan(&worker(&after, &seen), &tasks)).id(RUN).deadline(MINUTE);
        let done = run.await.unwrap();
        assert_eq!((done.tally.done, done.failed.len()), (3, 2), "cut off at {moment}");
        assert!(done.tally.resumed >= known.len() as u64, "cut off at {moment}: {known:?}");
        for name in known {
            assert_eq!(seen.count(&format!("begin {name}")), 1, "cut off at {moment}: {name}");
        }
        after.node().close().await.unwrap();
    }
}

/// A graph by dice: each task with the positions of its predecessors, its time, and whether it fails.
fn by_dice(seed: u64) -> Vec<(Vec<usize>, Duration, bool)> {
    let dice = SeededRandom::new(seed);
    let task = |at: u64| {
        let after = (0..at).filter(|_| dice.next_u64().is_multiple_of(4));
        let after = after.map(|before| usize::try_from(before).unwrap()).collect();
        let millis = 1 + dice.next_u64() % 90;
        (after, Duration::from_millis(millis * 100), dice.next_u64().is_multiple_of(10))
    };
    (0..12).map(task).collect()
}

#[test]
fn by_the_clock_of_a_simulation_each_task_of_200_graphs_begins_when_the_last_of_its_own_predecessors_ends()
 {
    for seed in 0..200 {
        let (world, system) = world(seed);
        let tasks = Arc::new(by_dice(seed));
        let begun: Arc<Mutex<BTreeMap<usize, Duration>>> = Arc::default();
        let (times, log, outside) = (Arc::clone(&tasks), Arc::clone(&begun), world.clone());
        let began = world.now();
        let worker = system.agent("worker", move |task: usize, cx: CallContext| {
            log.lock().unwrap().insert(task, outside.now().since(began));
            let (_, time, fails) = times[task];
            async move {
                cx.sleep(time).await.unwrap();
                if fails { Err("no") } else { Ok(task) }
            }
        });
        let worker = worker.count(12).start().unwrap();
        let graph = tasks.iter().enumerate().map(|(at, (after, ..))| {
            Task::new(at.to_string(), at).after(after.iter().map(ToString::to_string))
        });
        let plan = Plan::of(TaskGraph::new(graph).unwrap(), move |task, _| {
            Ok(map_reduce([*task], &worker).options(strict()))
        });
        let run = system.run(plan).deadline(MINUTE * 10);
        let done = world.block_on(async move { run.await }, MINUTE * 10).expect("it ends").unwrap();
        // An oracle of its own: when each task begins at the earliest, and whether it ends well.
        let mut ends: Vec<Option<Duration>> = Vec::new();
        for (at, (after, time, fails)) in tasks.iter().enumerate() {
            let before: Option<Vec<Duration>> = after.iter().map(|before| ends[*before]).collect();
            let begins = before.map(|ends| ends.into_iter().max().unwrap_or_default());
            let did = begun.lock().unwrap().get(&at).copied();
            let late = did.zip(begins).map(|(did, begins)| did.checked_sub(begins).unwrap());
            assert_eq!(did.is_some(), begins.is_some(), "task {at}, seed {seed}");
            assert!(
                late.is_none_or(|late| late < Duration::from_millis(100)),
                "task {at}, seed {seed}: {late:?}"
            );
            ends.push(begins.filter(|_| !fails).map(|_| did.unwrap() + *time));
            assert_eq!(done.value.output(&at.to_string()).is_some(), ends[at].is_some());
        }
    }
}
