//! Whole systems of unreliable agents under random options: every run ends in time, every unit is accounted for once, nothing is left.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use runtime::{
    backoff::Backoff,
    node::{Node, Stopped},
};
use synod_actors::{
    agent::handle::Agent,
    assign::Strategy as Pick,
    pattern::{
        FailureKind, Outcome, Tally,
        map_reduce::{
            Assignment, Branch, MapReduce, OnPartialFailure, Options, Retries, items, map_reduce,
            sum,
        },
    },
    system::AgentSystem,
};

/// Runs of random systems, one after the other.
const RUNS: u32 = 60;
/// No run, and no end of a node, is waited for longer than this beyond its time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an agent does with its calls, by the call's number modulo ten.
#[derive(Clone, Debug)]
struct Nature {
    acts: [u8; 10],
    count: usize,
    concurrency: u32,
    restarts: u32,
}

#[derive(Clone, Debug)]
struct Case {
    agents: Vec<Nature>,
    parts: u64,
    any_of: bool,
    attempts: u32,
    speculate: bool,
    failure: OnPartialFailure,
    deadline: Duration,
    cancel: bool,
}

fn nature() -> impl Strategy<Value = Nature> {
    (
        prop::array::uniform10(0_u8..14),
        1_usize..4,
        1_u32..4,
        prop::sample::select(vec![0, 2, 1_000]),
    )
        .prop_map(|(acts, count, concurrency, restarts)| Nature {
            acts,
            count,
            concurrency,
            restarts,
        })
}

fn case() -> impl Strategy<Value = Case> {
    let failure = prop::sample::select(vec![
        OnPartialFailure::Keep,
        OnPartialFailure::RetryElsewhere,
        OnPartialFailure::Fail,
    ]);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    let deadline = prop::sample::select(vec![50_u64, 200, 5_000]).prop_map(Duration::from_millis);
    (prop::collection::vec(nature(), 1..4), 1_u64..120, flags, 1_u32..4, failure, deadline)
        .prop_map(|(agents, parts, (any_of, speculate, cancel), attempts, failure, deadline)| {
            Case { agents, parts, any_of, attempts, speculate, failure, deadline, cancel }
        })
}

/// Counts the calls that have begun and not ended.
struct Open(Arc<AtomicI64>);

impl Open {
    fn new(open: &Arc<AtomicI64>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn start(
    system: &AgentSystem,
    name: usize,
    nature: &Nature,
    open: &Arc<AtomicI64>,
) -> Agent<u64, u64> {
    let (acts, open, node) = (nature.acts, Arc::clone(open), system.node().clone());
    let calls = Arc::new(AtomicI64::new(0));
    system
        .agent(format!("agent {name}"), move |n: u64, _| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            let act = acts[usize::try_from(call % 10).unwrap()];
            let (open, node) = (Open::new(&open), node.clone());
            async move {
                let _open = open;
                match act {
                    0 => return Err("as asked"),
                    1 => panic!("as asked"),
                    2 => std::future::pending().await,
                    3 => node.sleep(Duration::from_millis(3)).await,
                    4 => tokio::task::yield_now().await,
                    _ => {}
                }
                Ok(n)
            }
        })
        .count(nature.count)
        .concurrency(nature.concurrency)
        .restarts(nature.restarts, Duration::from_secs(10))
        .start()
        .unwrap()
}

/// Never fails; from 1,000 on, six of its calls wait for each other.
fn patient(system: &AgentSystem) -> Agent<u64, u64> {
    let barrier = Arc::new(tokio::sync::Barrier::new(6));
    let agent = system.agent("patient", move |n: u64, _| {
        let barrier = Arc::clone(&barrier);
        async move {
            if n >= 1_000 {
                barrier.wait().await;
            }
            Ok::<_, String>(n)
        }
    });
    agent.count(3).concurrency(2).start().unwrap()
}

async fn live(case: Case) {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let open = Arc::new(AtomicI64::new(0));
    let agents: Vec<Agent<u64, u64>> =
        (0..).zip(&case.agents).map(|(name, nature)| start(&system, name, nature, &open)).collect();
    let patient = patient(&system);
    let options = Options {
        assignment: if case.any_of {
            Assignment::AnyOf(Pick::RoundRobin)
        } else {
            Assignment::AllOf
        },
        retries: Retries {
            attempts: case.attempts,
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(3)),
        },
        speculate: case.speculate,
        on_partial_failure: case.failure,
        timeout: Duration::from_millis(30),
        ..Options::default()
    };
    let branches: Vec<_> = agents.iter().chain([&patient]).map(Branch::whole).collect();
    let units = if case.any_of { case.parts } else { case.parts * branches.len() as u64 };
    let parts: Vec<u64> = (0..case.parts).map(|n| n + 1).collect();
    let run = MapReduce::new(items(parts), branches, sum::<u64>).options(options);
    let began = system.node().now();
    let handle = system.run(run).deadline(case.deadline).start().await.unwrap();
    if case.cancel {
        handle.canceller().cancel();
    }
    let outcome = handle.outcome().await;
    let took = system.node().now().since(began);
    assert!(took <= case.deadline + PATIENCE, "{took:?} {case:?}");
    check(&case, units, took, &outcome);
    nothing_is_left(&system, &patient, &open, &case).await;
}

/// The run ended as it had reason to, every unit is accounted for, and the value is the sum of what was done.
fn check(case: &Case, units: u64, took: Duration, outcome: &Outcome<u64>) {
    match outcome {
        Ok(done) => {
            let (failed, tally) = (&done.failed, &done.tally);
            assert_eq!(tally.done + failed.len() as u64, units, "{case:?}");
            let named: BTreeSet<_> = failed.iter().map(|part| (part.part, &part.agent)).collect();
            assert_eq!(named.len(), failed.len(), "a failed unit is named twice: {case:?}");
            assert!(case.failure != OnPartialFailure::Fail || failed.is_empty(), "{case:?}");
            let all = (1..=case.parts).sum::<u64>() * (units / case.parts);
            let lost: u64 = failed.iter().map(|part| u64::from(part.part) + 1).sum();
            assert_eq!(done.value, all - lost, "{case:?}");
            counts(tally, failed.len(), units);
        }
        Err(error) => {
            ended_for_a_reason(case, took, &error.kind);
            assert!(error.partial.is_some() || error.tally.done == 0, "{case:?}");
            counts(&error.tally, error.failed.len(), units);
        }
    }
}

fn counts(tally: &Tally, failed: usize, units: u64) {
    assert!(tally.done + failed as u64 <= units, "{tally:?}");
    assert!(tally.attempts >= tally.done + tally.retries, "{tally:?}");
}

fn ended_for_a_reason(case: &Case, took: Duration, kind: &FailureKind) {
    let reason = match kind {
        // A busy machine may need any time for any case.
        FailureKind::TimedOut { .. } => took >= case.deadline,
        FailureKind::Cancelled { .. } => case.cancel,
        FailureKind::Parts { .. } => case.failure == OnPartialFailure::Fail,
        FailureKind::Rejected { .. }
        | FailureKind::Invalid { .. }
        | FailureKind::Split { .. }
        | FailureKind::Reduce { .. }
        | FailureKind::NoAnswer { .. }
        | FailureKind::Aborted { .. }
        | FailureKind::OverBudget { .. }
        | FailureKind::NodeLost { .. } => false,
    };
    assert!(reason, "{kind} {case:?}");
}

/// A run that needs every place of the agent that never fails gets them; no call of the run before goes on.
async fn nothing_is_left(
    system: &AgentSystem,
    patient: &Agent<u64, u64>,
    open: &AtomicI64,
    case: &Case,
) {
    let again = system
        .run(map_reduce(1_000..1_006, patient).reduce(sum()))
        .deadline(Duration::from_secs(60));
    assert_eq!(again.await.unwrap().value, (1_000..1_006).sum::<u64>(), "{case:?}");
    let until = system.node().now() + PATIENCE;
    while open.load(Ordering::SeqCst) > 0 {
        assert!(system.node().now() < until, "calls go on after the run: {case:?}");
        tokio::task::yield_now().await;
    }
    let stopped = system.node().stop(PATIENCE).await.unwrap();
    assert_eq!(stopped, Stopped::Clean, "{case:?}");
}

#[test]
fn unreliable_agents_never_cost_more_than_what_they_fail_at() {
    let config = Config {
        cases: RUNS,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        max_shrink_iters: 0,
        ..Config::default()
    };
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&case(), |case| {
            tokio.block_on(live(case));
            Ok(())
        })
        .unwrap();
}
