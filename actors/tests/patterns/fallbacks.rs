//! Fallback chains of agents, called directly and by runs, in the simulation: virtual time, no threads.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use runtime::{
    ask::AskError,
    budget::Limits,
    events::{EventKind, Filter, Received},
    sim::World,
};
use synod_actors::{
    agent::{
        Agent, AgentError, Behaviour, CallContext,
        handle::{AgentBuilder, StartError},
    },
    assign::Strategy,
    limits::FALLBACKS_MAX,
    pattern::{
        FailedPart, FailureKind, Outcome,
        map_reduce::{
            Assignment, Branch, Collect, MapReduce, OnPartialFailure, Options, items, map_reduce,
            sum,
        },
    },
    system::AgentSystem,
};

use super::one_node::{SECOND, breaker, tries, world};

const PARTS: u64 = 20;

/// What an agent does with each of its calls.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    /// Gives the number, with what it adds.
    Adds(u64),
    Fails,
    Recovers(usize),
    Hangs,
    Panics,
    Refuses,
    IsMissing,
}

/// Does one thing, and keeps the inputs of its calls.
#[derive(Clone)]
struct Worker(Does, Arc<Mutex<Vec<u64>>>);

impl Worker {
    fn calls(&self) -> u64 {
        self.inputs().len() as u64
    }

    fn inputs(&self) -> Vec<u64> {
        self.1.lock().unwrap().clone()
    }
}

impl Behaviour<u64, u64> for Worker {
    fn call(&self, n: u64, cx: CallContext) -> BoxFuture<'static, Result<u64, AgentError>> {
        let Self(does, inputs) = self.clone();
        Box::pin(async move {
            inputs.lock().unwrap().push(n);
            cx.sleep(SECOND / 100).await.unwrap();
            match does {
                Does::Adds(more) => Ok(n + more),
                Does::Recovers(failures) if inputs.lock().unwrap().len() > failures => Ok(n),
                Does::Recovers(_) => Err(AgentError::Lost { reason: "not yet".to_owned() }),
                Does::Fails => Err(AgentError::Failed { message: "broken".to_owned() }),
                Does::Hangs => std::future::pending().await,
                Does::Panics => panic!("oh"),
                Does::Refuses => Err(AgentError::Refused { reason: "bad input".to_owned() }),
                Does::IsMissing => Err(AgentError::NotFound { program: "ruff".to_owned() }),
            }
        })
    }
}

fn agent(system: &AgentSystem, name: &str, does: Does) -> (AgentBuilder<u64, u64>, Worker) {
    let worker = Worker(does, Arc::default());
    let of = worker.clone();
    (system.agent_each(name, move |_| Arc::new(of.clone())), worker)
}

/// An agent `first` that does this, with the fallback `second` that does that.
fn pair(
    system: &AgentSystem,
    first: Does,
    second: Does,
) -> (AgentBuilder<u64, u64>, Worker, Worker) {
    let (heir, behind) = agent(system, "second", second);
    let (first, worker) = agent(system, "first", first);
    (first.fallback(&heir.start().unwrap()), worker, behind)
}

fn asked(
    world: &World,
    agent: &Agent<u64, u64>,
    n: u64,
    within: Duration,
) -> Result<u64, AskError> {
    let agent = agent.clone();
    world.block_on(async move { agent.ask(n, within).await }, within * 2).expect("it ends")
}

fn run(
    world: &World,
    system: &AgentSystem,
    run: MapReduce<u64, u64, Collect>,
    (deadline, limits): (Duration, Limits),
) -> Outcome<Vec<u64>> {
    let run = system.run(run).deadline(deadline).limits(limits);
    world.block_on(async move { run.await }, deadline * 2).expect("it ends")
}

/// Runs the numbers below [`PARTS`] through the agent.
fn numbers(
    world: &World,
    system: &AgentSystem,
    agent: &Agent<u64, u64>,
    attempts: u32,
) -> Outcome<Vec<u64>> {
    let parts = map_reduce(0..PARTS, agent).options(tries(attempts));
    run(world, system, parts, (SECOND * 600, Limits::default()))
}

fn from(more: u64) -> Vec<u64> {
    (0..PARTS).map(|n| n + more).collect()
}

#[test]
fn what_an_agent_fails_at_its_fallback_answers_with_the_same_input() {
    for does in [Does::Fails, Does::Panics, Does::IsMissing] {
        let (world, system) = world(1);
        let (first, worker, behind) = pair(&system, does, Does::Adds(100));
        let first = first.start().unwrap();
        let events = Filter::new().kinds([EventKind::TaskRetried]);
        let mut events = system.node().events().subscribe(events).unwrap();
        assert_eq!(asked(&world, &first, 7, SECOND), Ok(107));
        assert_eq!((worker.inputs(), behind.inputs()), (vec![7], vec![7]));
        let Some(Received::Event(event)) = events.try_next() else { panic!("nothing is told") };
        assert_eq!(
            (&event.data["agent"], &event.data["fallback"]),
            (&"first".into(), &"second".into())
        );
        assert!(event.data["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
}

#[test]
fn an_agent_that_answers_needs_no_fallback() {
    let (world, system) = world(1);
    let (first, _, behind) = pair(&system, Does::Adds(1), Does::Adds(100));
    assert_eq!(asked(&world, &first.start().unwrap(), 7, SECOND), Ok(8));
    assert_eq!(behind.calls(), 0);
}

#[test]
fn a_chain_that_fails_names_everyone_and_why() {
    let (world, system) = world(2);
    let (third, last) = agent(&system, "third", Does::Fails);
    let (second, _) = agent(&system, "second", Does::IsMissing);
    let (first, _) = agent(&system, "first", Does::Panics);
    let second = second.fallback(&third.start().unwrap()).start().unwrap();
    let first = first.fallback(&second).start().unwrap();
    let error = asked(&world, &first, 1, SECOND).unwrap_err();
    assert_eq!(last.calls(), 1);
    let said = error.to_string();
    assert!(said.starts_with("broken; tried before: first: the agent panicked: oh"), "{said}");
    assert!(said.contains("; second: the program \"ruff\" was not found"), "{said}");
}

#[test]
fn an_input_that_is_refused_is_asked_of_nobody_else() {
    let (world, system) = world(3);
    let (first, _, behind) = pair(&system, Does::Refuses, Does::Adds(100));
    let error = asked(&world, &first.start().unwrap(), 1, SECOND).unwrap_err();
    assert!(error.to_string().contains("bad input"), "{error}");
    assert_eq!(behind.calls(), 0);
}

#[test]
fn a_call_whose_own_time_is_up_goes_on_within_the_time_of_its_asker() {
    let (world, system) = world(4);
    let (first, worker, behind) = pair(&system, Does::Hangs, Does::Adds(100));
    let first = first.timeout(SECOND).start().unwrap();
    let began = world.now();
    assert_eq!(asked(&world, &first, 1, SECOND * 10), Ok(101));
    let took = world.now().since(began);
    assert!((SECOND..SECOND * 2).contains(&took), "{took:?}");
    world.run_for(SECOND);
    // The hanging call was ended, else its one place would be taken.
    assert_eq!(asked(&world, &first, 2, SECOND * 10), Ok(102));
    assert_eq!((worker.calls(), behind.calls()), (2, 2));
}

#[test]
fn the_whole_chain_has_the_time_of_its_asker() {
    let (world, system) = world(5);
    let (first, worker, behind) = pair(&system, Does::Hangs, Does::Hangs);
    let first = first.timeout(SECOND).start().unwrap();
    let began = world.now();
    let error = asked(&world, &first, 1, SECOND * 3).unwrap_err();
    assert_eq!(error, AskError::TimedOut(SECOND * 3));
    assert!(world.now().since(began) < SECOND * 4);
    assert_eq!((worker.calls(), behind.calls()), (1, 1));
}

#[test]
fn a_call_that_nobody_waits_for_goes_to_no_fallback() {
    let (world, system) = world(6);
    let (first, worker, behind) = pair(&system, Does::Hangs, Does::Adds(100));
    let first = first.start().unwrap();
    let error = asked(&world, &first, 1, SECOND).unwrap_err();
    assert_eq!(error, AskError::TimedOut(SECOND));
    world.run_for(SECOND * 5);
    assert_eq!((worker.calls(), behind.calls()), (1, 0));
    assert_eq!(world.get("one").unwrap().pending_timers(), 0, "nothing is left behind");
}

#[test]
fn an_open_breaker_and_an_ended_agent_are_passed_by() {
    let (world, system) = world(7);
    let (first, worker, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let first = first.breaker(breaker(2, SECOND * 60)).start().unwrap();
    for n in 0..9 {
        assert_eq!(asked(&world, &first, n, SECOND), Ok(n + 100));
    }
    assert_eq!((worker.calls(), behind.calls()), (2, 9), "two failures open it");
    let ended = first.clone();
    world.block_on(async move { (ended.stop(), ended.stopped().await) }, SECOND).unwrap();
    assert_eq!(asked(&world, &first, 9, SECOND), Ok(109));
}

#[test]
fn agents_and_actors_that_ask_are_answered_by_the_fallback_too() {
    let (world, system) = world(8);
    let (first, _, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let first = first.start().unwrap();
    let asker = system.agent("asker", move |n: u64, cx: CallContext| {
        let first = first.clone();
        async move { cx.ask(&first, n, SECOND).await }
    });
    assert_eq!(asked(&world, &asker.start().unwrap(), 5, SECOND * 2), Ok(105));
    assert_eq!(behind.calls(), 1);
}

#[test]
fn a_circle_through_a_fallback_is_refused_at_once_with_its_path() {
    let (world, system) = world(9);
    let asker: Arc<Mutex<Option<Agent<u64, u64>>>> = Arc::default();
    let back = Arc::clone(&asker);
    let second = system.agent("second", move |n: u64, cx: CallContext| {
        let asker = back.lock().unwrap().clone().unwrap();
        async move { cx.ask(&asker, n, SECOND * 100).await }
    });
    let (first, _) = agent(&system, "first", Does::Fails);
    let first = first.fallback(&second.start().unwrap()).start().unwrap();
    let ask = system.agent("asker", move |n: u64, cx: CallContext| {
        let first = first.clone();
        async move { cx.ask(&first, n, SECOND * 100).await }
    });
    *asker.lock().unwrap() = Some(ask.start().unwrap());
    let asker = asker.lock().unwrap().clone().unwrap();
    let began = world.now();
    let error = asked(&world, &asker, 1, SECOND * 100).unwrap_err().to_string();
    assert!(error.contains("agent/asker") && error.contains("agent/second"), "{error}");
    assert!(world.now().since(began) < SECOND);
}

#[test]
fn a_chain_is_bounded() {
    let (_, system) = world(10);
    let (mut last, _) = agent(&system, "0", Does::Fails);
    for at in 1..=FALLBACKS_MAX {
        let heir = last.start().unwrap();
        last = agent(&system, &at.to_string(), Does::Fails).0.fallback(&heir);
    }
    let heir = last.start().unwrap();
    let error = agent(&system, "more", Does::Fails).0.fallback(&heir).start().unwrap_err();
    let count = FALLBACKS_MAX + 1;
    assert_eq!(error, StartError::Fallbacks { name: "more".to_owned(), count });
}

#[test]
fn parts_that_an_agent_failed_at_for_good_are_done_by_its_fallback() {
    let (world, system) = world(11);
    let (first, worker, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let done = numbers(&world, &system, &first.start().unwrap(), 3).unwrap();
    assert_eq!((done.value, done.failed), (from(100), Vec::new()));
    assert_eq!((done.tally.done, done.tally.fallbacks), (PARTS, PARTS));
    assert_eq!((worker.calls(), behind.calls()), (PARTS * 3, PARTS), "its retries come first");
    let (attempts, retries) = (done.tally.attempts, done.tally.retries);
    assert_eq!((attempts, retries), (PARTS * 4, PARTS * 3));
}

#[test]
fn each_agent_of_a_chain_has_the_retries_of_its_run() {
    let (world, system) = world(12);
    let (third, last) = agent(&system, "third", Does::Adds(7));
    let (second, middle) = agent(&system, "second", Does::Fails);
    let second = second.fallback(&third.start().unwrap()).start().unwrap();
    let (first, worker) = agent(&system, "first", Does::IsMissing);
    let done = numbers(&world, &system, &first.fallback(&second).start().unwrap(), 2).unwrap();
    assert_eq!((done.value, done.tally.fallbacks), (from(7), PARTS));
    assert_eq!((worker.calls(), middle.calls(), last.calls()), (PARTS, PARTS * 2, PARTS));
}

#[test]
fn a_part_that_all_of_its_chain_failed_at_names_them() {
    let (world, system) = world(13);
    let (first, ..) = pair(&system, Does::Hangs, Does::Fails);
    let first = first.start().unwrap();
    let done = numbers(&world, &system, &first, 1).unwrap();
    assert_eq!((done.value.len(), done.failed.len() as u64), (0, PARTS));
    let FailedPart { agent, attempts, error, .. } = &done.failed[0];
    assert_eq!((agent.as_str(), *attempts), ("second", 2));
    assert!(error.starts_with("broken; tried before: first: no answer within 1s"), "{error}");
    assert_eq!(done.tally.fallbacks, 0, "none did it");

    let fails = Options { on_partial_failure: OnPartialFailure::Fail, ..tries(1) };
    let parts = map_reduce(0..PARTS, &first).options(fails);
    let failed = run(&world, &system, parts, (SECOND * 60, Limits::default())).unwrap_err();
    assert!(matches!(failed.kind, FailureKind::Parts { failed: 1, .. }), "{}", failed.kind);
}

#[test]
fn a_part_whose_input_is_refused_falls_to_nobody() {
    let (world, system) = world(14);
    let (first, worker, behind) = pair(&system, Does::Refuses, Does::Adds(100));
    let done = numbers(&world, &system, &first.start().unwrap(), 3).unwrap();
    assert_eq!((done.failed.len() as u64, worker.calls(), behind.calls()), (PARTS, PARTS, 0));
}

#[test]
fn while_all_breakers_of_an_agent_are_open_its_fallback_does_the_parts() {
    let (world, system) = world(15);
    let (first, worker, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let first = first.count(2).breaker(breaker(3, SECOND * 60)).start().unwrap();
    let began = world.now();
    let done = numbers(&world, &system, &first, 9).unwrap();
    assert_eq!((done.value, done.tally.fallbacks), (from(100), PARTS));
    assert_eq!((worker.calls(), behind.calls()), (6, PARTS), "three failures open each of the two");
    assert!(world.now().since(began) < SECOND * 30, "nobody waited for the breakers");
}

#[test]
fn what_waits_for_an_agent_comes_back_to_it_when_its_breaker_lets_it_be_tried_again() {
    let (world, system) = world(1);
    let (first, worker, behind) = pair(&system, Does::Recovers(3), Does::Adds(0));
    let first = first.breaker(breaker(3, SECOND)).start().unwrap();
    let parts = map_reduce(0..1_000, &first).options(tries(1));
    let done = run(&world, &system, parts, (SECOND * 60, Limits::default())).unwrap();
    assert!((20..200).contains(&behind.calls()), "{}", behind.calls());
    assert_eq!((done.tally.fallbacks, worker.calls()), (behind.calls(), 1_003 - behind.calls()));
}

#[test]
fn without_a_fallback_an_open_breaker_is_waited_for() {
    let (world, system) = world(15);
    let (first, worker) = agent(&system, "first", Does::Fails);
    let first = first.breaker(breaker(3, SECOND * 60)).start().unwrap();
    let failed = numbers(&world, &system, &first, 2).unwrap_err();
    assert!(matches!(failed.kind, FailureKind::TimedOut { done: 0, .. }), "{}", failed.kind);
    // Each probe fails and opens it again.
    assert!((11..14).contains(&worker.calls()), "{}", worker.calls());
}

#[test]
fn an_agent_that_has_ended_leaves_its_parts_to_its_fallback() {
    let (world, system) = world(16);
    let (first, worker, _) = pair(&system, Does::Hangs, Does::Adds(100));
    let first = first.start().unwrap();
    let (ends, moment) = (first.clone(), world.wait(SECOND / 2));
    world.client("whoever ends it", async move {
        moment.await;
        ends.stop();
    });
    let done = numbers(&world, &system, &first, 1).unwrap();
    assert_eq!((done.value, done.tally.fallbacks, worker.calls()), (from(100), PARTS, 1));
}

#[test]
fn where_any_of_several_may_do_a_part_the_fallbacks_stand_behind_all_of_them() {
    let (world, system) = world(17);
    let (first, one, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let (other, two) = agent(&system, "other", Does::Fails);
    let branches =
        [first.start().unwrap(), other.start().unwrap()].map(|agent| Branch::whole(&agent));
    let any = Assignment::AnyOf(Strategy::RoundRobin);
    let parts = MapReduce::new(items(0..PARTS), branches.into(), || Collect)
        .options(Options { assignment: any, ..tries(2) });
    let done = run(&world, &system, parts, (SECOND * 600, Limits::default())).unwrap();
    assert_eq!((done.value, done.tally.fallbacks), (from(100), PARTS));
    assert_eq!((one.calls() + two.calls(), behind.calls()), (PARTS * 2, PARTS));
}

#[test]
fn a_fallback_that_has_parts_of_its_own_gets_others_as_they_were_narrowed_for_the_agent_before() {
    let (world, system) = world(18);
    let (first, _, behind) = pair(&system, Does::Fails, Does::Adds(0));
    let first = first.start().unwrap();
    let second = first_heir(&system, &behind);
    let odd = Branch {
        narrow: Some(Arc::new(|n: &u64| (n % 2 == 1).then_some(n * 1_000))),
        ..Branch::whole(&first)
    };
    let branches = vec![odd, Branch::whole(&second)];
    let parts = MapReduce::new(items(0..4), branches, || Collect).options(tries(1));
    let done = run(&world, &system, parts, (SECOND * 60, Limits::default())).unwrap();
    let mut value = done.value;
    value.sort_unstable();
    assert_eq!((value, done.tally.fallbacks), (vec![0, 1, 2, 3, 1_000, 3_000], 2));
}

/// Another agent that does what the fallback of a pair does.
fn first_heir(system: &AgentSystem, behind: &Worker) -> Agent<u64, u64> {
    let of = behind.clone();
    system.agent_each("another", move |_| Arc::new(of.clone())).start().unwrap()
}

#[test]
fn the_budget_and_the_deadline_of_a_run_hold_for_the_fallbacks() {
    let (world, system) = world(19);
    let (first, worker, behind) = pair(&system, Does::Fails, Does::Adds(100));
    let parts = map_reduce(0..PARTS, &first.start().unwrap()).options(tries(1));
    let limits = Limits { messages: Some(PARTS + 3), ..Limits::default() };
    let failed = run(&world, &system, parts, (SECOND * 60, limits)).unwrap_err();
    assert!(matches!(failed.kind, FailureKind::OverBudget { .. }), "{}", failed.kind);
    assert_eq!(worker.calls() + behind.calls(), PARTS + 3);

    let (first, _, behind) = pair(&system, Does::Fails, Does::Hangs);
    let options = Options { timeout: SECOND * 90, ..tries(1) };
    let parts = map_reduce(0..PARTS, &first.start().unwrap()).options(options);
    let began = world.now();
    let failed = run(&world, &system, parts, (SECOND * 9, Limits::default())).unwrap_err();
    assert!(matches!(failed.kind, FailureKind::TimedOut { .. }), "{}", failed.kind);
    assert!((SECOND * 9..SECOND * 10).contains(&world.now().since(began)));
    world.run_for(SECOND);
    assert_eq!(behind.calls(), 1, "the one that hung was cancelled, no other begun");
}

#[test]
fn a_fallbacks_time_is_its_own() {
    let (world, system) = world(20);
    let (heir, _) = agent(&system, "second", Does::Hangs);
    let heir = heir.timeout(SECOND / 2).start().unwrap();
    let (first, _) = agent(&system, "first", Does::Fails);
    let first = first.fallback(&heir).start().unwrap();
    let long = Options { timeout: SECOND * 30, ..tries(1) };
    let parts = map_reduce(0..1, &first).options(long);
    let done = run(&world, &system, parts, (SECOND * 60, Limits::default())).unwrap();
    assert!(done.failed[0].error.starts_with("no answer within 500ms"), "{:?}", done.failed);
}

#[test]
fn a_sum_is_the_same_whoever_did_the_parts() {
    let (world, system) = world(21);
    let calls = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&calls);
    let (heir, behind) = agent(&system, "second", Does::Adds(0));
    let sometimes = system.agent("first", move |n: u64, _| {
        let call = counts.fetch_add(1, Ordering::SeqCst);
        async move { if call.is_multiple_of(3) { Err("now and then") } else { Ok(n) } }
    });
    let first = sometimes.fallback(&heir.start().unwrap()).count(3).start().unwrap();
    let parts = map_reduce(0..60, &first).reduce(sum()).options(tries(1));
    let run = system.run(parts).deadline(SECOND * 60);
    let done = world.block_on(async move { run.await }, SECOND * 90).unwrap().unwrap();
    assert_eq!((done.value, done.tally.fallbacks), (60 * 59 / 2, 20));
    assert_eq!((calls.load(Ordering::SeqCst), behind.calls()), (60, 20));
}
