//! map_reduce: total outcomes under panics, hangs, losses, cancels and crashes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{backoff::Backoff, engine::local::MemoryJournal, node::Node};
use synod_actors::{
    agent::{call::AgentError, handle::Agent},
    assign::Strategy,
    pattern::{
        FailureKind,
        map_reduce::{
            Assignment, Branch, Map, MapReduce, OnPartialFailure, Options, Piece, Retries,
            map_reduce, sum,
        },
    },
    system::AgentSystem,
};

use crate::until;

const MINUTE: Duration = Duration::from_secs(60);

fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

fn quick() -> Retries {
    Retries {
        attempts: 3,
        backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
    }
}

fn squares(system: &AgentSystem, count: usize) -> Agent<u64, u64> {
    system
        .agent("square", |n: u64, _| async move { Ok::<_, String>(n * n) })
        .count(count)
        .start()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_split_done_and_reduced() {
    let system = system();
    let square = squares(&system, 4);
    let sum =
        system.run(map_reduce(0..10_000, &square).reduce(sum())).deadline(MINUTE).await.unwrap();
    assert_eq!(sum.value, (0..10_000_u64).map(|n| n * n).sum::<u64>());
    assert_eq!((sum.tally.done, sum.tally.attempts, sum.failed.len()), (10_000, 10_000, 0));
    let all = system.run(map_reduce(0..100, &square)).deadline(MINUTE).await.unwrap();
    assert_eq!(all.value, (0..100_u64).map(|n| n * n).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poison_part_of_two_hundred_costs_itself_alone() {
    let system = system();
    let agent = system
        .agent("careful", |n: u64, _| async move {
            assert!(n != 13, "no thirteen");
            Ok::<_, String>(n)
        })
        .count(4)
        .start()
        .unwrap();
    let options = Options {
        retries: quick(),
        on_partial_failure: OnPartialFailure::RetryElsewhere,
        ..Options::default()
    };
    let run = map_reduce(0..200, &agent).options(options);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value.len(), 199);
    assert!(!done.value.contains(&13));
    let failed = &done.failed[0];
    assert_eq!(
        (done.failed.len(), failed.part, failed.attempts, failed.agent.as_str()),
        (1, 13, 3, "careful")
    );
    assert!(failed.error.contains("no thirteen"), "{}", failed.error);
    assert_eq!((done.tally.done, done.tally.retries), (199, 2));
    // Each attempt crashed another instance, and each was started again.
    let restarts = || -> Vec<u32> {
        let instances = system.graph().actors.into_iter();
        instances
            .filter(|actor| actor.name.starts_with("agent/careful/"))
            .map(|a| a.restarts)
            .collect()
    };
    until("three instances were restarted", || restarts().iter().sum::<u32>() == 3).await;
    assert_eq!(restarts().into_iter().max(), Some(1), "{:?}", restarts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_fails_the_run_that_said_so_and_keeps_the_partial_result() {
    let system = system();
    let agent = system
        .agent("fails", |n: u64, _| async move { if n == 50 { Err("fifty") } else { Ok(n) } })
        .count(2)
        .start()
        .unwrap();
    let options = Options {
        retries: Retries { attempts: 1, ..quick() },
        on_partial_failure: OnPartialFailure::Fail,
        ..Options::default()
    };
    let error =
        system.run(map_reduce(0..100, &agent).options(options)).deadline(MINUTE).await.unwrap_err();
    let FailureKind::Parts { failed: 1, units: 100, first } = &error.kind else {
        panic!("{error}")
    };
    assert_eq!(first, "fifty");
    assert!(error.partial.unwrap().iter().all(|n| *n != 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_agent_is_cut_off_by_the_attempts_timeout_and_the_part_redone() {
    let system = system();
    let first = Arc::new(AtomicU32::new(0));
    let dropped = Arc::new(AtomicU32::new(0));
    let (calls, drops) = (Arc::clone(&first), Arc::clone(&dropped));
    let agent = system
        .agent("sometimes", move |n: u64, _| {
            let (call, drops) = (calls.fetch_add(1, Ordering::SeqCst), Arc::clone(&drops));
            async move {
                if call == 0 {
                    let _guard = Counted(drops);
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(n)
            }
        })
        .count(2)
        .start()
        .unwrap();
    let options =
        Options { retries: quick(), timeout: Duration::from_millis(50), ..Options::default() };
    let done =
        system.run(map_reduce(0..10, &agent).options(options)).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value, (0..10).collect::<Vec<_>>());
    assert_eq!((done.tally.attempts, done.tally.retries), (11, 1));
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the hung call was dropped");
}

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_by_its_deadline_and_by_its_cancel_with_what_there_is() {
    let system = system();
    let agent = system
        .agent("half", |n: u64, _| async move {
            if n % 2 == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(n)
        })
        .count(20)
        .start()
        .unwrap();
    let error = system
        .run(map_reduce(0..20, &agent))
        .deadline(Duration::from_millis(100))
        .await
        .unwrap_err();
    let FailureKind::TimedOut { done: 10, units: 20, .. } = error.kind else { panic!("{error:?}") };
    assert_eq!(error.partial.unwrap().len(), 10);

    let handle = system.run(map_reduce(0..20, &agent)).deadline(MINUTE).start().await.unwrap();
    handle.canceller().cancel();
    let error = handle.outcome().await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::Cancelled { units: 0 | 20, .. }), "{error:?}");
    // The places are free again: another run gets all of them.
    let evens = (0..20).map(|n| n * 2);
    assert_eq!(
        system.run(map_reduce(evens, &agent)).deadline(MINUTE).await.unwrap().value.len(),
        20
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_goes_to_all_of_the_agents_that_take_it_or_to_any_one() {
    let system = system();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let make = |name: &'static str| {
        let seen = Arc::clone(&seen);
        system
            .agent(name, move |n: u64, _| {
                seen.lock().unwrap().insert((name, n));
                async move { Ok::<_, String>(n) }
            })
            .capabilities([name])
            .start()
            .unwrap()
    };
    let (even, any) = (make("even"), make("any"));
    let branches = || {
        let evens = |n: &u64| n.is_multiple_of(2).then_some(*n);
        vec![
            Branch { agent: even.clone(), narrow: Some(Arc::new(evens)), timeout: None },
            Branch::whole(&any),
        ]
    };
    let run = MapReduce::new(Numbers(10, &["any"]), branches(), sum);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.tally.units), (45 + 20, 15));
    let of = |name| {
        seen.lock()
            .unwrap()
            .iter()
            .filter(|(agent, _)| *agent == name)
            .map(|(_, n)| *n)
            .collect::<Vec<_>>()
    };
    assert_eq!((of("even"), of("any")), (vec![0, 2, 4, 6, 8], (0..10).collect()));

    seen.lock().unwrap().clear();
    let options =
        Options { assignment: Assignment::AnyOf(Strategy::CapabilityMatch), ..Options::default() };
    let run = MapReduce::new(Numbers(10, &["any"]), branches(), sum).options(options);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.tally.units), (45, 10));
    assert_eq!((of("even"), of("any")), (vec![], (0..10).collect()));
}

struct Numbers(u64, &'static [&'static str]);

impl Map<u64> for Numbers {
    fn map(&mut self) -> Result<Vec<Piece<u64>>, String> {
        let needs = || self.1.iter().map(|need| (*need).to_owned()).collect();
        Ok((0..self.0).map(|n| Piece { needs: needs(), ..Piece::new(n) }).collect())
    }

    fn validate(&self, pieces: &[Piece<u64>]) -> Result<(), String> {
        if pieces.len() as u64 == self.0 { Ok(()) } else { Err("numbers are missing".into()) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_does_not_repeat_what_was_done() {
    let journal = Arc::new(MemoryJournal::default());
    let calls = Arc::new(AtomicU64::new(0));
    let start = |stop_after: u64| {
        let system = AgentSystem::start(
            Node::builder().journal(Arc::<MemoryJournal>::clone(&journal)).open().unwrap(),
        );
        let calls = Arc::clone(&calls);
        let agent = system
            .agent("once", move |n: u64, _| {
                let call = calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    if call >= stop_after {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, AgentError>(n * 10)
                }
            })
            .count(3)
            .start()
            .unwrap();
        (system, agent)
    };
    let (system, agent) = start(40);
    let handle = system.run(map_reduce(0..100, &agent)).deadline(MINUTE).start().await.unwrap();
    let run = handle.id();
    while calls.load(Ordering::SeqCst) < 43 {
        tokio::task::yield_now().await;
    }
    system.node().close().await.unwrap();
    drop(handle);

    let before = calls.load(Ordering::SeqCst);
    let (system, agent) = start(u64::MAX);
    // The items are not needed: the split is in the journal.
    let done = system.run(map_reduce(0..0, &agent)).id(run).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value, (0..100).map(|n| n * 10).collect::<Vec<_>>());
    assert_eq!((done.tally.resumed, done.tally.attempts, done.tally.done), (40, 60, 100));
    assert_eq!(calls.load(Ordering::SeqCst) - before, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_agent_runs_the_longest_running_part_once_more() {
    let system = system();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let agent = system
        .agent("straggles", move |n: u64, _| {
            let first = n == 3 && counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(n)
            }
        })
        .count(4)
        .start()
        .unwrap();
    let options = Options { speculate: true, ..Options::default() };
    let done =
        system.run(map_reduce(0..8, &agent).options(options)).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value, (0..8).collect::<Vec<_>>());
    assert!(done.tally.speculative >= 1);
    assert_eq!((done.tally.done, done.tally.retries), (8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_splits_and_dead_agents_end_the_run_at_once() {
    let system = system();
    let agent = squares(&system, 1);
    let nothing = system.run(map_reduce(0..0, &agent)).deadline(MINUTE).await.unwrap_err();
    assert!(
        matches!(&nothing.kind, FailureKind::Split { why } if why.contains("no parts")),
        "{nothing}"
    );
    agent.stop();
    agent.stopped().await;
    let dead = system.run(map_reduce(0..5, &agent)).deadline(MINUTE).await.unwrap();
    assert_eq!((dead.failed.len(), dead.value.len()), (5, 0));
    assert!(dead.failed[0].error.contains("no living agent slot"), "{}", dead.failed[0].error);
}
