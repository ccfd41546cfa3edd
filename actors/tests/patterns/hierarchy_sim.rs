//! Hierarchies in the deterministic simulation: every task is accounted for, whatever crashes, hangs or is late.

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
    backoff::Backoff,
    node::Node,
    retry::Retries,
    sim::{Fault, World, sim},
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        Completed, FailureKind,
        hierarchy::{
            Assignment, Decision, Delegation, Failure, Hierarchy, Plan, Record, Report, Rules,
            Supervise, Supervisor, Team, TeamCard, hierarchy,
        },
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const RUN: RunId = RunId::from_u128(5);
/// Tasks of the plan, and the one that everybody fails at.
const TASKS: u64 = 18;
const POISON: u64 = 11;

/// What runs on the one node, in its present life.
#[derive(Clone)]
struct Running {
    system: AgentSystem,
    worker: Agent<u64, u64>,
    leader: Agent<Value, Value>,
}

type Present = Arc<Mutex<Option<Running>>>;

/// What the caller was told, and what stands in the journal.
#[derive(Default)]
struct Seen {
    done: Option<Completed<Report>>,
    records: Vec<Record>,
    wrong: Vec<String>,
}

type Told = Arc<Mutex<Seen>>;

fn boot(node: &Node) -> Running {
    let system = AgentSystem::start(node.clone());
    let worker = system.agent("worker", |n: u64, cx: CallContext| async move {
        let wait = Duration::from_millis(10 + n % 5 * 20);
        cx.sleep(wait).await.map_err(|error| error.to_string())?;
        if n == POISON { Err(format!("{n} is poison")) } else { Ok(n + 100) }
    });
    let leader = system.agent("leader", |ask: Value, cx: CallContext| async move {
        let wait = Duration::from_millis(10 + cx.random().unwrap_or(0) % 50);
        cx.sleep(wait).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(match ask["act"].as_str() {
            Some("bid") => json!(1),
            Some("decide") if ask["failure"]["may_retry"] == true => json!({ "decision": "retry" }),
            _ => Value::Null,
        })
    });
    let worker = worker.count(2).concurrency(2).start().unwrap();
    Running { worker, leader: leader.start().unwrap(), system }
}

/// Has what nobody can do given up, and everything else done again.
struct Patient;

impl Supervise for Patient {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        let tasks = |name: &str, to, of: std::ops::Range<u64>| {
            of.fold(Assignment::new(name, to), |all, n| all.task(format!("t{n}"), n))
        };
        Ok(Plan::new()
            .assign(tasks("first", Delegation::team("a"), 0..6))
            .assign(tasks("second", Delegation::Load, 6..12).after(["first"]))
            .assign(tasks("third", Delegation::Bid, 12..TASKS)))
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        match failure.error.to_string().contains("poison") {
            true => Decision::Inform,
            false => Decision::REASSIGN,
        }
    }
}

fn described(running: &Running) -> Hierarchy {
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
    let rules = Rules {
        timeout: Duration::from_secs(3),
        retries: Retries { attempts: 3, backoff },
        leader_restarts: (10_000, MINUTE),
    };
    let team = |name| Team::new(name).workers(2, &running.worker).restarts(10_000, MINUTE);
    hierarchy(json!("all"), Supervisor::new(Patient))
        .team(team("a"))
        .team(team("b").led_by(&running.leader))
        .rules(rules)
}

/// One run, taken up again after each loss until it completes.
fn caller(world: &World) -> Told {
    let (present, told) = (Present::default(), Told::default());
    let boots = Arc::clone(&present);
    world.node("one", move |node| *boots.lock().unwrap() = Some(boot(node)));
    let (outside, results) = (world.clone(), Arc::clone(&told));
    world.client("caller", async move {
        for _ in 0..200 {
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            let is_open = results.lock().unwrap().done.is_none();
            if let Some(running) = here.filter(|_| is_open) {
                match running.system.run(described(&running)).id(RUN).deadline(MINUTE).await {
                    Ok(done) => results.lock().unwrap().done = Some(done),
                    // The node is gone; or it is back already, and its journal does not take the run yet.
                    Err(error)
                        if matches!(
                            error.kind,
                            FailureKind::NodeLost { .. } | FailureKind::Rejected { .. }
                        ) => {}
                    Err(error) => results.lock().unwrap().wrong.push(error.to_string()),
                }
            }
            // The node that told it may be gone already; the next one has its journal.
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            let is_done = results.lock().unwrap().done.is_some();
            if let Some(running) = here.filter(|_| is_done)
                && let Ok(records) = running.system.node().journal().read(RUN, 0, 10_000)
            {
                let records = records.iter().map(|own| runtime::record::decode(own).unwrap());
                results.lock().unwrap().records = records.collect();
                return;
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    told
}

/// Whether every task is accounted for as it should be, and written down once.
fn is_right(told: &Told) -> bool {
    let told = told.lock().unwrap();
    let Some(done) = &told.done else { return false };
    let mut written = BTreeMap::<u64, u64>::new();
    let mut plans = 0;
    for record in &told.records {
        match record {
            Record::Done { unit, .. } => *written.entry(*unit).or_default() += 1,
            Record::Planned { .. } => plans += 1,
            Record::Began { .. }
            | Record::Delegated { .. }
            | Record::Failed { .. }
            | Record::Decided(_)
            | Record::Integrated { .. }
            | Record::Spent { .. }
            | Record::Ended(_) => {}
        }
    }
    let tasks = done.value.assignments.iter().flat_map(|own| {
        own.tasks.iter().map(move |task| (task, done.value.task(&own.name, &task.name)))
    });
    let outputs: Vec<_> = tasks.map(|(_, output)| output.and_then(Value::as_u64)).collect();
    let expected: Vec<_> = (0..TASKS).map(|n| (n != POISON).then_some(n + 100)).collect();
    told.wrong.is_empty()
        && plans == 1
        && outputs == expected
        && written.len() as u64 == TASKS - 1
        && written.values().all(|times| *times == 1)
        && (done.failed.len(), done.tally.done) == (1, TASKS - 1)
}

/// Runs the seeds, or as many as `SYNOD_HIERARCHIES` says; tells how many, and how often leaders were started again.
fn simulate(seeds: u64, faults: &[Fault], spare: &[String]) -> (u64, u64) {
    let seeds =
        std::env::var("SYNOD_HIERARCHIES").ok().and_then(|own| own.parse().ok()).unwrap_or(seeds);
    let restarts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&restarts);
    let report = sim(caller)
        .seeds(seeds)
        .storm(Duration::from_secs(2))
        .count(8)
        .healing(MINUTE * 5)
        .faults(faults.to_vec())
        .spare(spare.to_vec())
        .never("a run fails", |_, told| {
            let wrong = &told.lock().unwrap().wrong;
            assert!(wrong.is_empty(), "{wrong:?}");
            false
        })
        .finally("every task is accounted for", move |_, told| {
            let own = told.lock().unwrap().done.as_ref().map_or(0, |done| done.value.restarts);
            counted.fetch_add(own, Ordering::SeqCst);
            is_right(told)
        })
        .run();
    (report.seeds, restarts.load(Ordering::SeqCst))
}

/// What a test says of itself.
fn row(faults: &str, (seeds, restarts): (u64, u64)) -> String {
    format!("| hierarchies | {seeds} seeds | {faults}: each task once, {restarts} leaders anew |")
}

#[test]
fn every_task_is_accounted_for_after_crashes_and_delays() {
    let faults = [Fault::Crash, Fault::DiskCrash, Fault::Delay, Fault::Slow];
    println!("{}", row("crashes", simulate(40, &faults, &[])));
}

#[test]
fn every_task_is_accounted_for_where_agents_hang() {
    let faults = [Fault::Crash, Fault::Hang, Fault::Delay];
    println!("{}", row("hangs", simulate(30, &faults, &[])));
}

const SLOTS: [&str; 3] = ["agent/worker/0/slot", "agent/worker/1/slot", "agent/leader/2/slot"];

#[test]
fn leaders_and_workers_that_crash_are_started_again_and_lose_no_task() {
    let spared = SLOTS.map(str::to_owned).into_iter();
    let spared: Vec<String> =
        spared.chain([format!("runs/{RUN}"), "agents/roster".to_owned()]).collect();
    let (seeds, restarts) = simulate(500, &[Fault::Panic, Fault::Delay], &spared);
    println!("{}", row("panics of the run", (seeds, restarts)));
    assert!(restarts * 3 > seeds || seeds == 1, "leaders were started anew {restarts} times");
}

#[test]
fn no_task_is_lost_though_the_roster_and_the_agents_crash() {
    let own =
        ["", "/a", "/b", "/a/worker-1", "/a/worker-2", "/b/worker-1", "/b/worker-2", "/b/leader"];
    let spared = own.map(|name| format!("runs/{RUN}{name}"));
    let faults = [Fault::Panic, Fault::Delay];
    println!("{}", row("panics of agents", simulate(40, &faults, &spared)));
}
