//! Agents and runs in the deterministic simulation: async agents that await only what their node offers, under its faults.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::RunId;
use runtime::{
    clock::Moment,
    events::{EventKind, Filter, Received},
    node::Node,
    sim::{Fault, World, sim},
};
use synod_actors::{
    agent::{CallContext, handle::Agent},
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
