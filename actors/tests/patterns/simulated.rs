//! Agents and runs in the deterministic simulation: async agents that await only what their node offers, under its faults.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::RunId;
use runtime::{
    clock::Moment,
    events::{EventKind, Filter, Received},
    node::Node,
    sim::{Fault, World, sim},
};
use synod_actors::{
    agent::{AgentError, Behaviour, CallContext, handle::Agent},
    limits::ATTEMPT_TIMEOUT_DEFAULT,
    pattern::map_reduce::{map_reduce, sum},
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const PARTS: u64 = 60;

/// What runs on the one node, in its present life.
#[derive(Clone, Default)]
struct Present(Arc<Mutex<Option<Running>>>);

type Running = (AgentSystem, Agent<u64, u64>);

/// An agent that takes its time.
fn boot(node: &Node, present: &Present) {
    let system = AgentSystem::start(node.clone());
    let of = node.clone();
    let square = system
        .agent("square", move |n: u64, _| {
            let node = of.clone();
            async move {
                node.sleep(Duration::from_millis(10 + n % 7 * 20)).await;
                Ok::<_, String>(n * n)
            }
        })
        .count(3)
        .start()
        .unwrap();
    *present.0.lock().unwrap() = Some((system, square));
}

/// One run, taken up again after each loss until it completes; returns its results by attempt.
fn squares(world: &World) -> Arc<Mutex<BTreeMap<u32, u64>>> {
    let (present, results) = (Present::default(), Arc::<Mutex<BTreeMap<u32, u64>>>::default());
    let boots = present.clone();
    world.node("one", move |node| boot(node, &boots));
    let (outside, told) = (world.clone(), Arc::clone(&results));
    world.client("caller", async move {
        for attempt in 0..200 {
            let here = outside.get("one").and_then(|_| present.0.lock().unwrap().clone());
            if let Some((system, square)) = here {
                let run = map_reduce(0..PARTS, &square).reduce(sum());
                let run = system.run(run).id(RunId::from_u128(5)).deadline(MINUTE);
                if let Ok(done) = run.await {
                    told.lock().unwrap().insert(attempt, done.value);
                    return;
                }
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    results
}

#[test]
fn a_run_is_taken_up_after_every_crash_and_ends_with_the_one_right_result() {
    let right: u64 = (0..PARTS).map(|n| n * n).sum();
    let report = sim(squares)
        .seeds(30)
        .storm(Duration::from_secs(3))
        .healing(MINUTE * 5)
        .faults([Fault::Crash, Fault::DiskCrash, Fault::Slow, Fault::Hang, Fault::Delay])
        .never("a wrong result", move |_, results| {
            results.lock().unwrap().values().any(|result| *result != right)
        })
        .finally("the run completed", |_, results| results.lock().unwrap().len() == 1)
        .run();
    assert_eq!(report.seeds, 30);
}

/// Does one piece of work, the first attempt at which falls silent after twelve beats; says when it was done and who was told of.
fn fall_silent(heartbeat: Option<Duration>) -> (Duration, Vec<String>) {
    const EVERY: Duration = Duration::from_secs(5);
    let world = World::new(1);
    let present = Arc::<Mutex<Option<Running>>>::default();
    let here = Arc::clone(&present);
    world.node("one", move |node| {
        let system = AgentSystem::start(node.clone());
        let moody = system.agent("moody", |n: u64, cx: CallContext| async move {
            for _ in 0..12 {
                cx.sleep(EVERY).await.map_err(|error| error.to_string())?;
                cx.progress.alive();
            }
            if cx.attempt == 1 { std::future::pending().await } else { Ok::<_, String>(n) }
        });
        let moody = match heartbeat {
            Some(every) => moody.heartbeat(every),
            None => moody,
        };
        let moody = moody.start().unwrap();
        *here.lock().unwrap() = Some((system, moody));
    });
    let (system, moody) = present.lock().unwrap().clone().unwrap();
    let told = Filter::new().kinds([EventKind::AgentSilent, EventKind::AgentRestarted]);
    let mut told = system.node().events().subscribe(told).unwrap();
    let run = map_reduce([7], &moody).reduce(sum());
    let run = async move { system.run(run).deadline(60 * MINUTE).await };
    let done = world.block_on(run, 60 * MINUTE).unwrap().unwrap();
    assert_eq!((done.value, done.tally.retries), (7, 1));
    let kinds = std::iter::from_fn(|| told.try_next()).map(|received| match received {
        Received::Event(event) => event.kind.clone(),
        Received::Missed(missed) => panic!("{missed} missed"),
    });
    (world.now().since(Moment::START), kinds.collect())
}

#[test]
fn an_agent_that_falls_silent_is_ended_long_before_its_timeout_and_its_work_done_elsewhere() {
    let (took, told) = fall_silent(Some(Duration::from_secs(5)));
    // A minute until it hangs, a minute for the second attempt.
    assert!(took > 2 * MINUTE && took < 2 * MINUTE + Duration::from_secs(20), "{took:?}");
    assert_eq!(told, ["agent_silent", "agent_restarted"]);
}

#[test]
fn an_agent_that_declares_no_heartbeat_has_all_of_its_timeout() {
    let (took, told) = fall_silent(None);
    assert!(took > ATTEMPT_TIMEOUT_DEFAULT + MINUTE, "{took:?}");
    assert_eq!(told, [""; 0]);
}

/// An instance that counts what it does at a time.
struct Counts {
    now: AtomicU32,
    most: Arc<AtomicU32>,
}

/// One call that goes on.
struct Going(Arc<Counts>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Slow(Arc<Counts>);

impl Behaviour<u64, u64> for Slow {
    fn call(&self, n: u64, cx: CallContext) -> BoxFuture<'static, Result<u64, AgentError>> {
        let counts = Arc::clone(&self.0);
        Box::pin(async move {
            let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
            counts.most.fetch_max(now, Ordering::SeqCst);
            let _going = Going(counts);
            cx.sleep(Duration::from_millis(10 + n % 7 * 20)).await.unwrap();
            if cx.attempt == 1 && n.is_multiple_of(5) {
                return Err(AgentError::Failed { message: "at first".to_owned() });
            }
            Ok(n * n)
        })
    }
}

/// What the runs came to, the most that an instance did at a time, and how often the roster has begun.
#[derive(Clone, Default)]
struct Ends {
    sums: Arc<Mutex<Vec<Result<u64, String>>>>,
    most: Arc<AtomicU32>,
    begun: Arc<AtomicU32>,
}

const RUNS: u128 = 3;

/// Runs at a time, of which each needs all instances.
fn crowd(world: &World) -> Ends {
    let (ends, present) = (Ends::default(), Arc::<Mutex<Option<Running>>>::default());
    let (boots, most) = (Arc::clone(&present), Arc::clone(&ends.most));
    world.node("one", move |node| {
        let system = AgentSystem::start(node.clone());
        let most = Arc::clone(&most);
        let agent = system.agent_each("square", move |_| {
            let counts = Counts { now: AtomicU32::new(0), most: Arc::clone(&most) };
            Arc::new(Slow(Arc::new(counts)))
        });
        let agent = agent.count(2).concurrency(2).start().unwrap();
        *boots.lock().unwrap() = Some((system, agent));
    });
    for id in 1..=RUNS {
        let (here, told) = (present.lock().unwrap().clone().unwrap(), ends.clone());
        world.client(&format!("caller {id}"), async move {
            let (system, agent) = here;
            let run = system.run(map_reduce(0..PARTS, &agent).reduce(sum()));
            let outcome = run.id(RunId::from_u128(id)).deadline(MINUTE).await;
            let node = system.node();
            let roster = node.actors().into_iter().find(|actor| actor.name() == "agents/roster");
            assert!(roster.is_some_and(|roster| roster.ended().is_none()));
            let restarts = node.graph().actors.iter().map(|actor| actor.restarts).max();
            told.begun.fetch_max(restarts.unwrap_or_default(), Ordering::SeqCst);
            let sum = outcome.map(|done| done.value).map_err(|error| error.to_string());
            told.sums.lock().unwrap().push(sum);
        });
    }
    ends
}

#[test]
fn every_run_completes_though_the_roster_crashes_at_any_step() {
    let right: u64 = (0..PARTS).map(|n| n * n).sum();
    let spared = (1..=RUNS).map(|id| format!("runs/{}", RunId::from_u128(id)));
    let spared = spared.chain((0..2).map(|slot| format!("agent/square/{slot}/slot")));
    let crashes = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&crashes);
    let report = sim(crowd)
        .seeds(60)
        .storm(Duration::from_secs(2))
        .count(12)
        .healing(MINUTE * 2)
        .faults([Fault::Panic, Fault::Delay])
        .spare(spared)
        .never("an instance does more at a time than it may", |_, ends| {
            ends.most.load(Ordering::SeqCst) > 2
        })
        .finally("every run completed with the one right result", move |_, ends| {
            counted.fetch_add(ends.begun.load(Ordering::SeqCst), Ordering::SeqCst);
            *ends.sums.lock().unwrap() == vec![Ok(right); 3]
        })
        .run();
    assert_eq!(report.seeds, 60);
    let crashes = crashes.load(Ordering::SeqCst);
    assert!(crashes > 60, "the roster crashed {crashes} times");
}
