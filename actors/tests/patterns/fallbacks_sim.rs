//! Fallback chains under the faults of the simulation, and runs with fallbacks that are cut off and taken up again.

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
    engine::{journal::Journal, local::MemoryJournal},
    node::Node,
    sim::{Fault, World, sim},
};
use synod_actors::{
    agent::Agent,
    pattern::map_reduce::{OnPartialFailure, Options, Record, Retries, map_reduce},
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const PARTS: u64 = 40;
/// Moments at which a run is cut off.
const MOMENTS: u64 = 30;

/// What runs on the one node, in its present life.
#[derive(Clone, Default)]
struct Present(Arc<Mutex<Option<Running>>>);

type Running = (AgentSystem, Agent<u64, u64>);

/// A chain of three: the first fails at even numbers, the second at every fourth.
fn chain(node: &Node, pause: fn(u64) -> Duration) -> (AgentSystem, Agent<u64, u64>) {
    let system = AgentSystem::start(node.clone());
    let mut heir: Option<Agent<u64, u64>> = None;
    for (name, fails_at) in [("third", u64::MAX), ("second", 4), ("first", 2)] {
        let of = node.clone();
        let agent = system.agent(name, move |n: u64, _| {
            let node = of.clone();
            async move {
                node.sleep(pause(n)).await;
                if n.is_multiple_of(fails_at) && fails_at < u64::MAX {
                    Err("even")
                } else {
                    Ok(n * n)
                }
            }
        });
        let agent = agent.count(2);
        let agent = match &heir {
            Some(heir) => agent.fallback(heir),
            None => agent,
        };
        heir = Some(agent.start().unwrap());
    }
    (system, heir.unwrap())
}

/// Results, and how many parts fallbacks did, by attempt at the run.
type Results = Arc<Mutex<BTreeMap<u32, (Vec<u64>, u64)>>>;

/// One run, taken up again after each loss until it completes, while somebody asks the agent directly.
fn squares(world: &World) -> Results {
    let (present, results) = (Present::default(), Results::default());
    let boots = present.clone();
    world.node("one", move |node| {
        let chain = chain(node, |n| Duration::from_millis(10 + n % 7 * 20));
        *boots.0.lock().unwrap() = Some(chain);
    });
    let (outside, told, asks) = (world.clone(), Arc::clone(&results), present.clone());
    world.client("caller", async move {
        for attempt in 0..200 {
            let here = outside.get("one").and_then(|_| present.0.lock().unwrap().clone());
            if let Some((system, first)) = here {
                let run = system.run(map_reduce(0..PARTS, &first)).id(RunId::from_u128(5));
                if let Ok(done) = run.deadline(MINUTE).await
                    && done.failed.is_empty()
                {
                    told.lock().unwrap().insert(attempt, (done.value, done.tally.fallbacks));
                    return;
                }
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    let outside = world.clone();
    world.client("asker", async move {
        for n in 0..20 {
            let here = outside.get("one").and_then(|_| asks.0.lock().unwrap().clone());
            if let Some((_, first)) = here
                && let Ok(answer) = first.ask(n, Duration::from_secs(2)).await
            {
                assert_eq!(answer, n * n);
            }
            outside.wait(Duration::from_millis(50)).await;
        }
    });
    results
}

#[test]
fn a_run_with_fallbacks_ends_with_the_one_right_result_whatever_happens() {
    let right: Vec<u64> = (0..PARTS).map(|n| n * n).collect();
    let report = sim(squares)
        .seeds(20)
        .storm(Duration::from_secs(3))
        .healing(MINUTE * 5)
        .faults([Fault::Crash, Fault::DiskCrash, Fault::Slow, Fault::Delay])
        .never("a wrong result", move |_, results| {
            results.lock().unwrap().values().any(|(result, _)| *result != right)
        })
        .finally("the run completed, its even parts by fallbacks", |_, results| {
            // A call that a fault broke off may have made a fallback do an odd one too.
            results.lock().unwrap().values().all(|(_, fallbacks)| *fallbacks >= PARTS / 2)
                && results.lock().unwrap().len() == 1
        })
        .run();
    assert_eq!(report.seeds, 20);
}

type Calls = Arc<[[AtomicU64; 2]]>;

/// The first fails always, the second squares; each call is counted, and from the fatal one on the second hangs.
fn counted(system: &AgentSystem, calls: &Calls, fatal: u64) -> Agent<u64, u64> {
    let (of, begun) = (Arc::clone(calls), Arc::new(AtomicU64::new(0)));
    let second = system.agent("second", move |n: u64, _| {
        of[usize::try_from(n).unwrap()][1].fetch_add(1, Ordering::SeqCst);
        let hangs = begun.fetch_add(1, Ordering::SeqCst) >= fatal;
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(n * n)
        }
    });
    let of = Arc::clone(calls);
    let first = system.agent("first", move |n: u64, _| {
        of[usize::try_from(n).unwrap()][0].fetch_add(1, Ordering::SeqCst);
        async move { Err::<u64, _>("never") }
    });
    first.fallback(&second.count(2).start().unwrap()).count(2).start().unwrap()
}

/// The units that a journal knows to be done and to have fallen.
fn recorded(journal: &MemoryJournal, run: RunId) -> (Vec<u32>, Vec<u32>) {
    let (mut done, mut fallen) = (Vec::new(), Vec::new());
    for record in journal.read(run, 0, usize::MAX).unwrap() {
        match runtime::record::decode::<Record<u64, u64>>(&record).unwrap() {
            Record::Done { unit, .. } => done.push(unit),
            Record::FellBack { unit, agent: 0, to: 1, .. } => fallen.push(unit),
            Record::Began { .. }
            | Record::Split { .. }
            | Record::Failed { .. }
            | Record::FellBack { .. }
            | Record::Spent { .. }
            | Record::Ended(_) => {}
        }
    }
    for units in [&mut done, &mut fallen] {
        let all = units.len();
        units.sort_unstable();
        units.dedup();
        assert_eq!(units.len(), all, "a unit is there twice");
    }
    (done, fallen)
}

fn once() -> Options {
    Options { retries: Retries::NEVER, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_taken_up_again_asks_nobody_again_who_had_failed_or_answered() {
    let system = |journal: &Arc<MemoryJournal>| {
        let journal = Arc::<MemoryJournal>::clone(journal);
        AgentSystem::start(Node::builder().journal(journal).open().unwrap())
    };
    let expected: Vec<u64> = (0..PARTS).map(|n| n * n).collect();
    for moment in 0..MOMENTS {
        let journal = Arc::new(MemoryJournal::default());
        let calls: Calls = (0..PARTS).map(|_| Default::default()).collect();
        let before = system(&journal);
        let agent = counted(&before, &calls, moment * 7 % (PARTS + 10));
        let run = before.run(map_reduce(0..PARTS, &agent).options(once())).deadline(MINUTE);
        let handle = run.start().await.unwrap();
        let id = handle.id();
        for _ in 0..moment * 4 {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let (done, fallen) = recorded(&journal, id);
        let called = |unit: u32, agent: usize| {
            calls[usize::try_from(unit).unwrap()][agent].load(Ordering::SeqCst)
        };
        let firsts: Vec<u64> = fallen.iter().map(|unit| called(*unit, 0)).collect();
        let seconds: Vec<u64> = done.iter().map(|unit| called(*unit, 1)).collect();

        let after = system(&journal);
        let agent = counted(&after, &calls, u64::MAX);
        let run = after.run(map_reduce(0..PARTS, &agent).options(once())).id(id);
        let outcome = run.deadline(MINUTE).await.unwrap();
        assert_eq!(outcome.value, expected, "cut off at {moment}");
        let tally = outcome.tally;
        assert_eq!((tally.resumed, tally.fallbacks), (done.len() as u64, PARTS));
        for (unit, before) in fallen.iter().zip(firsts) {
            assert_eq!(called(*unit, 0), before, "the agent was asked for unit {unit} again");
        }
        for (unit, before) in done.iter().zip(seconds) {
            assert_eq!(called(*unit, 1), before, "unit {unit} was done again");
        }
        assert_eq!(recorded(&journal, id).0.len() as u64, PARTS);
        after.node().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_failed_at_its_first_failed_part_tries_its_whole_chain_again() {
    let journal = Arc::new(MemoryJournal::default());
    let asked = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let options = Options { on_partial_failure: OnPartialFailure::Fail, ..once() };
    let mut id = None;
    for works in [false, true] {
        let node = Node::builder().journal(Arc::<MemoryJournal>::clone(&journal));
        let system = AgentSystem::start(node.open().unwrap());
        let agent = |name, at: usize| {
            let asked = Arc::clone(&asked);
            system.agent(name, move |n: u64, _| {
                asked[at].fetch_add(1, Ordering::SeqCst);
                async move { if works { Ok(n) } else { Err("not yet") } }
            })
        };
        let first = agent("first", 0).fallback(&agent("second", 1).start().unwrap());
        let first = first.start().unwrap();
        let run = system.run(map_reduce([7], &first).options(options.clone())).deadline(MINUTE);
        let run = match id {
            Some(id) => run.id(id),
            None => run,
        };
        match run.await {
            Ok(done) => assert_eq!((done.value, done.tally.fallbacks, works), (vec![7], 0, true)),
            Err(failed) => id = Some(failed.run),
        }
        system.node().close().await.unwrap();
    }
    let asked: Vec<u64> = asked.iter().map(|asked| asked.load(Ordering::SeqCst)).collect();
    assert_eq!(asked, [2, 1], "taken up again, the first did it");
}
