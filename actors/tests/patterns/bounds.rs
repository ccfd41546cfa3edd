//! Runs with a budget, and systems that drain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use protocol::RunId;
use runtime::{
    actor::Actor,
    budget::{Cost, Limits},
    clock::Moment,
    context::Cx,
    node::{Node, Stopped},
    spawn::Spawn,
};
use synod_actors::{
    agent::{AgentBuilder, CallContext},
    pattern::{
        FailureKind, RunError,
        map_reduce::{Options, Retries, map_reduce, sum},
        pipeline::{pipeline, stage},
    },
    system::{AgentSystem, Drained},
};
use tokio::sync::watch;

use crate::{consensus::vote, until};

const MINUTE: Duration = Duration::from_secs(60);

fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

/// An agent that gives back what it is given, and how often it was called.
fn counting(system: &AgentSystem) -> (AgentBuilder<u64, u64>, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let agent = system.agent("counts", move |n: u64, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(n) }
    });
    (agent, calls)
}

/// An agent that answers once it is told to go.
fn waiting(system: &AgentSystem) -> (watch::Sender<bool>, AgentBuilder<u64, u64>) {
    let (go, wait) = watch::channel(false);
    let agent = system.agent("waits", move |n: u64, _| {
        let mut wait = wait.clone();
        async move { wait.wait_for(|go| *go).await.map(|_| n).map_err(|error| error.to_string()) }
    });
    (go, agent)
}

fn once() -> Options {
    Options { retries: Retries::NEVER, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_never_calls_its_agents_more_often_than_its_budget_allows() {
    let system = system();
    let (agent, calls) = counting(&system);
    let agent = agent.count(3).concurrency(4).start().unwrap();
    let limits = Limits { messages: Some(5), ..Limits::default() };
    let run = map_reduce(0..100, &agent).reduce(sum());
    let error = system.run(run).deadline(MINUTE).limits(limits).await.unwrap_err();
    let FailureKind::OverBudget { why, done, units: 100 } = &error.kind else {
        panic!("{error:?}");
    };
    assert!(why.ends_with("allows 5 messages: 0 left, 1 asked for"), "{why}");
    assert!(*done <= 5 && error.tally.attempts == 5, "{error:?}");
    assert!(calls.load(Ordering::SeqCst) <= 5);
    let enough = Limits { messages: Some(100), ..Limits::default() };
    let done = system.run(map_reduce(0..100, &agent)).limits(enough).await.unwrap();
    assert_eq!(done.value.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_taken_up_again_goes_on_with_what_is_left_of_its_budget() {
    let system = system();
    let (agent, calls) = counting(&system);
    let agent = agent.start().unwrap();
    let id = RunId::from_u128(9);
    let run = |messages| {
        let limits = Limits { messages: Some(messages), ..Limits::default() };
        let run = map_reduce(0..20, &agent).reduce(sum());
        system.run(run).id(id).deadline(MINUTE).limits(limits)
    };
    let over = |error: RunError<u64>| matches!(error.kind, FailureKind::OverBudget { .. });
    assert!(over(*run(5).await.unwrap_err()));
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    assert!(over(*run(5).await.unwrap_err()), "the calls of the first life count");
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    assert!(over(*run(12).await.unwrap_err()));
    assert_eq!(calls.load(Ordering::SeqCst), 12);
    assert_eq!(run(20).await.unwrap().value, 190);
    assert_eq!(calls.load(Ordering::SeqCst), 20, "no part was done twice");
}

/// How runs of the three patterns end whose agent never answers.
async fn ends_without_answers(within: Duration, limits: Limits) -> [FailureKind; 3] {
    let system = system();
    let hangs = system.agent("hangs", |_: u64, _| std::future::pending::<Result<u64, String>>());
    let hangs = hangs.concurrency(4).start().unwrap();
    let (parts, documents) =
        (map_reduce(0..4, &hangs), pipeline(0..4_u64, [stage("only", &hangs)]));
    let vote = vote(&system, &[("ann", "silence")]).within(MINUTE);
    let (parts, documents, vote) = tokio::join!(
        system.run(parts).deadline(within).limits(limits),
        system.run(documents).deadline(within).limits(limits),
        system.run(vote).deadline(within).limits(limits),
    );
    [parts.unwrap_err().kind, documents.unwrap_err().kind, vote.unwrap_err().kind]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_time_names_the_budget_if_that_ended_before_the_deadline() {
    let short = Duration::from_millis(20);
    let limits = Limits { wall_clock: Some(short), ..Limits::default() };
    for kind in ends_without_answers(MINUTE, limits).await {
        let FailureKind::OverBudget { why, done: 0, .. } = &kind else { panic!("{kind:?}") };
        assert!(why.starts_with("budget `run/"), "{why}");
        assert!(why.contains("allows 20 ms of wall clock: 0 left"), "{why}");
    }
    let limits = Limits { wall_clock: Some(MINUTE), ..Limits::default() };
    for kind in ends_without_answers(short, limits).await {
        assert!(matches!(kind, FailureKind::TimedOut { done: 0, after, .. } if after == short));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_drains_takes_nothing_new_and_lets_runs_end() {
    let system = system();
    let (go, agent) = waiting(&system);
    let agent = agent.count(4).start().unwrap();
    let run = system.run(map_reduce(0..20, &agent)).deadline(MINUTE).start().await.unwrap();
    let handle = system.clone();
    let draining = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(handle.drain(MINUTE))
    });
    while !system.admission().is_closed() {
        tokio::task::yield_now().await;
    }
    let refused = system.run(map_reduce(0..1, &agent)).await.unwrap_err();
    let FailureKind::Rejected { why } = &refused.kind else { panic!("{refused:?}") };
    assert!(why.contains("takes nothing new"), "{why}");
    go.send(true).unwrap();
    assert_eq!(run.outcome().await.unwrap().value, (0..20).collect::<Vec<_>>());
    let drained = draining.await.unwrap().unwrap();
    assert_eq!(drained, Drained { cut_off: 0, stopped: Stopped::Clean });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_counts_the_runs_that_it_cuts_off_even_those_nobody_waits_for() {
    let system = system();
    let agent = system.agent("hangs", |_: u64, _| std::future::pending::<Result<u64, String>>());
    let agent = agent.start().unwrap();
    let run = system.run(map_reduce(0..4, &agent)).deadline(MINUTE).start().await.unwrap();
    drop(run);
    let drained = system.drain(Duration::from_millis(10)).await.unwrap();
    assert_eq!(drained, Drained { cut_off: 1, stopped: Stopped::Clean });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_has_ended_holds_up_no_drain_though_its_handle_is_kept() {
    let system = system();
    let kept = system.run(map_reduce(0..4, &counting(&system).0.start().unwrap()));
    let kept = kept.deadline(MINUTE).start().await.unwrap();
    let drained = system.drain(MINUTE).await.unwrap();
    assert_eq!(drained, Drained { cut_off: 0, stopped: Stopped::Clean });
    assert_eq!(kept.outcome().await.unwrap().tally.done, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_start_was_given_up_stays_active_until_it_has_ended() {
    let system = system();
    let (go, agent) = waiting(&system);
    let run = map_reduce(0..4, &agent.start().unwrap());
    let start = system.run(run).deadline(MINUTE).start();
    assert!(start.now_or_never().is_none(), "it is not accepted at once");
    assert_eq!(system.admission().active(), 1);
    go.send(true).unwrap();
    until("the run has ended", || system.admission().active() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_reserve_from_the_budget_of_the_run_that_calls_them() {
    let system = system();
    let agent = system.agent("spends", |n: u64, context| async move {
        let budget = context.budget.ok_or("no budget")?;
        let call = Cost { tokens: 10, ..Cost::ZERO };
        let reserved = budget.reserve(call, Moment::START).map_err(|error| error.to_string())?;
        reserved.settle(Cost { tokens: 5, ..Cost::ZERO }).map_err(|error| error.to_string())?;
        Ok::<_, String>(n)
    });
    let agent = agent.start().unwrap();
    let limits = Limits { tokens: Some(23), ..Limits::default() };
    let run = map_reduce(0..5, &agent).options(once());
    let done = system.run(run).deadline(MINUTE).limits(limits).await.unwrap();
    assert_eq!((done.value.len(), done.failed.len()), (3, 2), "{done:?}");
    let error = &done.failed[0].error;
    assert!(error.ends_with("allows 23 tokens: 8 left, 10 asked for"), "{error}");
}

/// An actor that starts as many others as it may, one below the other.
struct Digs(Arc<AtomicU32>);

impl Actor for Digs {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        let below = Arc::clone(&self.0);
        cx.spawn(Spawn::named("below"), move || Self(Arc::clone(&below)));
    }

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// An agent that starts an actor, and how many were born.
fn digging(system: &AgentSystem) -> (AgentBuilder<u64, u64>, Arc<AtomicU32>) {
    let born = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&born);
    let agent = system.agent("digs", move |n: u64, context: CallContext| {
        let counted = Arc::clone(&counted);
        async move {
            let work = context.work.ok_or("no node")?;
            work.spawn(Spawn::named(format!("{n}")), move || Digs(Arc::clone(&counted)));
            Ok::<_, String>(n)
        }
    });
    (agent, born)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_that_the_agents_of_a_run_start_are_within_its_children_and_depth() {
    for (limits, most) in [
        (Limits { children: Some(1_000), depth: Some(3), ..Limits::default() }, 3 * 4),
        (Limits { children: Some(7), ..Limits::default() }, 7),
        (Limits { depth: Some(0), ..Limits::default() }, 0),
    ] {
        let system = system();
        let (agent, born) = digging(&system);
        let agent = agent.start().unwrap();
        let done = system.run(map_reduce(0..4, &agent)).deadline(MINUTE).limits(limits).await;
        // All that are born have begun, and tried to start the next.
        drop(done);
        until_quiet(&system, || born.load(Ordering::SeqCst) == most).await;
        assert_eq!(system.drain(MINUTE).await.unwrap().stopped, Stopped::Clean);
        assert_eq!(born.load(Ordering::SeqCst), most, "{limits:?}");
    }
}

/// Waits until `is_done`, for ten seconds at the most.
async fn until_quiet(system: &AgentSystem, is_done: impl Fn() -> bool) {
    let end = system.node().now() + Duration::from_secs(10);
    while !is_done() && system.node().now() < end {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_agents_of_a_run_ask_is_charged_to_the_run() {
    let system = system();
    let (helper, calls) = counting(&system);
    let helper = helper.start().unwrap();
    let agent = system.agent("asks", move |n: u64, context: CallContext| {
        let helper = helper.clone();
        async move {
            for _ in 0..1_000 {
                let answer = context.ask(&helper, n, MINUTE).await;
                answer.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(n)
        }
    });
    let agent = agent.start().unwrap();
    let limits = Limits { messages: Some(6), ..Limits::default() };
    let run = map_reduce(0..1, &agent).options(once());
    let done = system.run(run).deadline(MINUTE).limits(limits).await.unwrap();
    let error = &done.failed[0].error;
    assert!(error.ends_with("allows 6 messages: 0 left, 1 asked for"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 5, "one of the six was the attempt itself");
}
