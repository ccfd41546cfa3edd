//! Circuit breakers and rate limits of agents, in the simulation: virtual time, no threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use runtime::{breaker::Options as Breaker, limiter::Rate, sim::World};
use synod_actors::{
    agent::{
        AgentError, Behaviour, CallContext,
        handle::{Agent, StartError},
    },
    pattern::{
        Outcome,
        map_reduce::{Options, map_reduce, sum},
    },
    system::AgentSystem,
};

use super::one_node::{SECOND, breaker, tries, world};

/// Fails or hangs as long as it is broken, else answers after 10 ms; counts its calls.
#[derive(Clone, Default)]
struct Worker(Arc<State>);

#[derive(Default)]
struct State {
    broken: AtomicBool,
    hangs: AtomicBool,
    calls: AtomicU32,
}

impl Worker {
    fn calls(&self) -> u32 {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn set_broken(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }
}

impl Behaviour<u64, u64> for Worker {
    fn call(&self, n: u64, cx: CallContext) -> BoxFuture<'static, Result<u64, AgentError>> {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            state.calls.fetch_add(1, Ordering::SeqCst);
            cx.sleep(Duration::from_millis(10)).await.unwrap();
            if state.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if state.broken.load(Ordering::SeqCst) {
                return Err(AgentError::Failed { message: "broken".to_owned() });
            }
            Ok(n)
        })
    }
}

/// An agent with a worker an instance.
fn agent(system: &AgentSystem, workers: &[Worker], breaker: Option<Breaker>) -> Agent<u64, u64> {
    let of = workers.to_vec();
    let agent = system.agent_each("work", move |at| Arc::new(of[at].clone())).count(workers.len());
    match breaker {
        Some(options) => agent.breaker(options).start().unwrap(),
        None => agent.start().unwrap(),
    }
}

/// Runs the numbers below `parts` through the agent.
fn run(
    world: &World,
    system: &AgentSystem,
    agent: &Agent<u64, u64>,
    (parts, attempts): (u64, u32),
) -> Outcome<u64> {
    let run = map_reduce(0..parts, agent).reduce(sum()).options(tries(attempts));
    let run = system.run(run).deadline(SECOND * 600);
    world.block_on(async move { run.await }, SECOND * 700).expect("it ends")
}

#[test]
fn an_instance_that_keeps_failing_is_given_no_work_until_a_probe_succeeds() {
    let (world, system) = world(1);
    let workers = [Worker::default(), Worker::default()];
    workers[0].set_broken(true);
    let agent = agent(&system, &workers, Some(breaker(3, SECOND * 60)));
    let done = run(&world, &system, &agent, (60, 9)).unwrap();
    assert_eq!((done.value, done.failed.len()), (60 * 59 / 2, 0));
    assert_eq!(workers[0].calls(), 3, "three failures in a row open its breaker");
    let shown = world.get("one").unwrap();
    let shown = world.block_on(async move { shown.observed_graph(SECOND).await }, SECOND * 2);
    let shown = format!("{:?}", shown.unwrap());
    assert!(shown.contains("open"), "{shown}");

    workers[0].set_broken(false);
    world.run_for(SECOND * 61);
    run(&world, &system, &agent, (60, 9)).unwrap();
    assert!(workers[0].calls() > 20, "a probe closed it again: {}", workers[0].calls());
}

#[test]
fn without_a_breaker_the_same_instance_is_called_again_and_again() {
    let (world, system) = world(1);
    let workers = [Worker::default(), Worker::default()];
    workers[0].set_broken(true);
    let agent = agent(&system, &workers, None);
    run(&world, &system, &agent, (60, 99)).unwrap();
    assert!(workers[0].calls() > 10, "{}", workers[0].calls());
}

#[test]
fn what_a_breaker_holds_back_counts_as_no_attempt() {
    let (world, system) = world(2);
    let worker = Worker::default();
    worker.set_broken(true);
    let of = worker.clone();
    let agent = system
        .agent_each("work", move |_| Arc::new(of.clone()))
        .prefetch(8)
        .breaker(breaker(1, SECOND))
        .start()
        .unwrap();
    let mends = worker.clone();
    let wait = world.wait(SECOND / 2);
    world.client("a mechanic", async move {
        wait.await;
        mends.set_broken(false);
    });
    let done = run(&world, &system, &agent, (20, 2)).unwrap();
    assert_eq!((done.failed.len(), worker.calls()), (0, 21));
    assert_eq!((done.tally.attempts, done.tally.retries), (21, 1));
}

#[test]
fn an_agent_whose_time_is_up_has_failed() {
    let (world, system) = world(3);
    let workers = [Worker::default(), Worker::default()];
    workers[0].0.hangs.store(true, Ordering::SeqCst);
    let agent = agent(&system, &workers, Some(breaker(2, SECOND * 300)));
    let done = run(&world, &system, &agent, (500, 9)).unwrap();
    assert_eq!((done.failed.len(), workers[0].calls()), (0, 2));
}

#[test]
fn a_direct_call_of_an_open_breaker_is_refused_at_once_and_says_when_to_come_back() {
    let (world, system) = world(4);
    let worker = Worker::default();
    worker.set_broken(true);
    let agent = agent(&system, std::slice::from_ref(&worker), Some(breaker(1, SECOND * 60)));
    let answers = world.block_on(
        async move { (agent.ask(1, SECOND).await, agent.ask(2, SECOND).await) },
        SECOND * 5,
    );
    let (first, second) = answers.unwrap();
    assert!(first.unwrap_err().to_string().contains("broken"));
    let refused = second.unwrap_err();
    let protocol::Retry::After(after) = refused.retry() else { panic!("{refused}") };
    assert!(after > SECOND * 59, "{after:?}");
    assert_eq!(worker.calls(), 1);
}

#[test]
fn agents_of_one_key_share_one_rate() {
    let (world, system) = world(5);
    let worker = Worker::default();
    let rate = Rate::new(10, SECOND);
    let one = |name: &str| {
        let of = worker.clone();
        system.agent_each(name, move |_| Arc::new(of.clone())).rate_limit("key", rate)
    };
    let (first, second) = (one("first").start().unwrap(), one("second").start().unwrap());
    let clashes = one("third").rate_limit("key", Rate::new(11, SECOND)).start().unwrap_err();
    assert!(matches!(&clashes, StartError::Rate { key, .. } if key == "key"), "{clashes}");

    let began = world.now();
    let calls = async move {
        for n in 0..20 {
            let within = SECOND * 10;
            let both = futures_util::future::join(first.ask(n, within), second.ask(n, within));
            assert_eq!(both.await, (Ok(n), Ok(n)));
        }
    };
    world.block_on(calls, SECOND * 60).expect("all get their turn");
    let took = world.now().since(began);
    // Ten at once, thirty more at ten a second.
    assert!((SECOND * 29 / 10..SECOND * 33 / 10).contains(&took), "{took:?}");
}

#[test]
fn a_run_waits_for_its_turn_and_loses_nothing() {
    let (world, system) = world(6);
    let worker = Worker::default();
    let of = worker.clone();
    let agent = system
        .agent_each("work", move |_| Arc::new(of.clone()))
        .count(4)
        .rate_limit("key", Rate::new(5, SECOND))
        .start()
        .unwrap();
    let began = world.now();
    // The wait counts towards a call's timeout, so that is longer than any wait here.
    let run = map_reduce(0..25, &agent).reduce(sum()).options(Options::default());
    let run = system.run(run).deadline(SECOND * 600);
    let done = world.block_on(async move { run.await }, SECOND * 700).expect("it ends").unwrap();
    assert_eq!((done.failed.len(), worker.calls()), (0, 25));
    assert!(world.now().since(began) > SECOND * 39 / 10);
}
