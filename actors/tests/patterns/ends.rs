//! How runs end when what they depend on misbehaves: users' functions, deadlines, oversized data, namesakes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use runtime::{
    backoff::Backoff,
    engine::local::MemoryJournal,
    events::{EventKind, Filter},
    graph::{ActorNode, ActorState},
    node::Node,
};
use synod_actors::{
    agent::handle::Agent,
    assign::Strategy,
    pattern::{
        FailedPart, FailureKind,
        map_reduce::{
            Assignment, Branch, Collect, Done, Map, MapReduce, Options, Piece, Reduce, Retries,
            items, map_reduce, sum,
        },
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);

fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

fn echo(system: &AgentSystem) -> Agent<u64, u64> {
    system.agent("echo", |n: u64, _| async move { Ok::<_, String>(n) }).count(2).start().unwrap()
}

fn once() -> Options {
    Options { retries: Retries { attempts: 1, ..Retries::default() }, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_time_is_timed_out_even_if_no_attempt_is_left() {
    let system = system();
    let agent = system.agent("hangs", |_: u64, _| std::future::pending::<Result<u64, String>>());
    let agent = agent.count(4).start().unwrap();
    let run = map_reduce(0..4, &agent).options(once());
    let error = system.run(run).deadline(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::TimedOut { done: 0, units: 4, .. }), "{error}");
    assert_eq!(error.failed, [], "they were cut off, they did not fail");
}

/// Holds a thread until it is told to go on.
struct Stuck(mpsc::Receiver<()>);

impl Map<u64> for Stuck {
    fn map(&mut self) -> Result<Vec<Piece<u64>>, String> {
        self.0.recv().map_err(|error| error.to_string())?;
        Ok(vec![Piece::new(1)])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_that_does_not_return_holds_neither_the_deadline_nor_a_cancel() {
    let system = system();
    let agent = echo(&system);
    for cancel in [false, true] {
        let (go_on, stuck) = mpsc::channel();
        let run = MapReduce::new(Stuck(stuck), vec![Branch::whole(&agent)], || Collect);
        let deadline = if cancel { MINUTE } else { Duration::from_millis(50) };
        let handle = system.run(run).deadline(deadline).start().await.unwrap();
        if cancel {
            handle.canceller().cancel();
        }
        let error = handle.outcome().await.unwrap_err();
        assert_eq!(matches!(error.kind, FailureKind::Cancelled { .. }), cancel, "{error}");
        assert_eq!(matches!(error.kind, FailureKind::TimedOut { .. }), !cancel, "{error}");
        drop(go_on);
    }
}

/// Reduces as it is told to.
#[derive(Clone)]
struct Moody {
    whole: &'static str,
    partial: &'static str,
    stuck: Arc<std::sync::Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Moody {
    fn new(whole: &'static str, partial: &'static str) -> Self {
        Self { whole, partial, stuck: Arc::default() }
    }

    fn act(&self, act: &'static str, results: &[Done<u64>]) -> Result<u64, String> {
        match act {
            "panic" => panic!("moody"),
            "fail" => Err("moody".to_owned()),
            "hang" => {
                let stuck = self.stuck.lock().unwrap().take();
                if let Some(stuck) = stuck {
                    stuck.recv().map_err(|error| error.to_string())?;
                }
                Ok(0)
            }
            _ => Ok(results.iter().map(|done| done.output).sum()),
        }
    }
}

impl Reduce<u64> for Moody {
    type Output = u64;

    fn absorb(&mut self, done: Done<u64>) -> Option<Done<u64>> {
        assert!(self.whole != "absorb" || done.output != 3, "three");
        Some(done)
    }

    fn reduce(&mut self, results: &[Done<u64>]) -> Result<u64, String> {
        self.act(self.whole, results)
    }

    fn reduce_partial(
        &mut self,
        results: &[Done<u64>],
        _: &[FailedPart],
        why: Option<&str>,
    ) -> Result<u64, String> {
        assert!(self.whole == "hang" || why.is_some_and(|why| why.contains("moody")), "{why:?}");
        self.act(self.partial, results)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reducer_that_fails_or_panics_is_asked_for_what_it_can_make() {
    let system = system();
    let agent = echo(&system);
    for whole in ["panic", "fail"] {
        let run = map_reduce(0..5, &agent).reduce(Moody::new(whole, "works"));
        assert_eq!(system.run(run).deadline(MINUTE).await.unwrap().value, 10);
        for partial in ["panic", "fail"] {
            let run = map_reduce(0..5, &agent).reduce(Moody::new(whole, partial));
            let error = system.run(run).deadline(MINUTE).await.unwrap_err();
            assert!(
                matches!(&error.kind, FailureKind::Reduce { why } if why.contains("moody")),
                "{error}"
            );
            assert_eq!((error.partial, error.tally.done), (None, 5));
        }
    }
    let run = map_reduce(0..5, &agent).reduce(Moody::new("absorb", "works"));
    let error = system.run(run).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(&error.kind, FailureKind::Reduce { why } if why.contains("three")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reducer_that_does_not_return_holds_no_outcome() {
    let system = system();
    let half = system.agent("half", |n: u64, _| async move {
        if n == 1 {
            std::future::pending::<()>().await;
        }
        Ok::<_, String>(n)
    });
    let (half, echo) = (half.start().unwrap(), echo(&system));
    for agent in [half, echo] {
        let (go_on, stuck) = mpsc::channel();
        let moody = Moody::new("hang", "hang");
        *moody.stuck.lock().unwrap() = Some(stuck);
        let run = map_reduce(0..2, &agent).reduce(moody);
        let error = system.run(run).deadline(Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error.kind, FailureKind::TimedOut { .. }), "{error}");
        assert_eq!(error.partial, None);
        drop(go_on);
    }
}

/// Adds up, once it was told to go on; tells that it has begun.
#[derive(Clone)]
struct Slow {
    begins: mpsc::Sender<()>,
    go_on: Arc<std::sync::Mutex<mpsc::Receiver<()>>>,
}

impl Reduce<u64> for Slow {
    type Output = u64;

    fn reduce(&mut self, results: &[Done<u64>]) -> Result<u64, String> {
        self.begins.send(()).map_err(|error| error.to_string())?;
        self.go_on.lock().unwrap().recv().map_err(|error| error.to_string())?;
        Ok(results.iter().map(|done| done.output).sum())
    }

    fn reduce_partial(
        &mut self,
        _: &[Done<u64>],
        _: &[FailedPart],
        why: Option<&str>,
    ) -> Result<u64, String> {
        Err(format!("not whole: {why:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_cancel_while_the_results_are_put_together_loses_none_of_them() {
    let system = system();
    let agent = echo(&system);
    let ((begins, begun), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let slow = Slow { begins, go_on: Arc::new(std::sync::Mutex::new(go_on)) };
    let handle = system.run(map_reduce(0..5, &agent).reduce(slow)).deadline(MINUTE);
    let handle = handle.start().await.unwrap();
    tokio::task::block_in_place(|| begun.recv().unwrap());
    handle.canceller().cancel();
    let handled = async {
        let has_handled = |actor: &ActorNode| {
            let coordinator = actor.actor.contains("Coordinator");
            let rests = [ActorState::Idle, ActorState::Working].contains(&actor.state);
            !coordinator || (actor.queued == 0 && rests)
        };
        while !system.node().graph().actors.iter().all(has_handled) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(MINUTE, handled).await.unwrap();
    go.send(()).unwrap();
    let error = handle.outcome().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Cancelled { done: 5, units: 5 }, "{error}");
    assert_eq!(error.partial, Some(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_parts_results_and_errors_are_named_and_lose_no_run() {
    let system = system();
    let agent = system.agent("grows", |n: usize, _| async move {
        if n == 0 { Err("e".repeat(3 << 20)) } else { Ok("x".repeat(n)) }
    });
    let agent = agent.count(2).start().unwrap();
    let run = map_reduce([0, 10, 2 << 20], &agent).options(once());
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.failed.len()), (vec!["x".repeat(10)], 2));
    assert!(done.failed[0].error.len() < 20_000);
    assert!(done.failed[1].error.contains("more than"), "{}", done.failed[1].error);

    let words =
        system.agent("words", |s: String, _| async move { Ok::<_, String>(s) }).start().unwrap();
    let error =
        system.run(map_reduce(["y".repeat(2 << 20)], &words)).deadline(MINUTE).await.unwrap_err();
    assert!(
        matches!(&error.kind, FailureKind::Split { why } if why.contains("smaller parts")),
        "{error}"
    );
    // Ten thousand failures are more than the record of the end holds.
    let fails = system.agent("fails", |_: u64, _| async { Err::<u64, _>("f".repeat(200)) });
    let fails = fails.count(4).start().unwrap();
    let done =
        system.run(map_reduce(0..10_000, &fails).options(once())).deadline(MINUTE).await.unwrap();
    assert_eq!((done.failed.len(), done.tally.done), (10_000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_agents_or_takers_and_one_whose_narrowing_panics_end_as_not_split() {
    let system = system();
    let agent = echo(&system);
    let narrowed = |narrow: fn(&u64) -> Option<u64>| {
        vec![Branch { agent: agent.clone(), narrow: Some(Arc::new(narrow)), timeout: None }]
    };
    let any =
        || Options { assignment: Assignment::AnyOf(Strategy::RoundRobin), ..Options::default() };
    let runs = [
        (MapReduce::new(items(0..3), Vec::new(), || Collect), "no agent to do"),
        (
            MapReduce::new(items(0..3), narrowed(|_| None), || Collect).options(any()),
            "no agent takes part 0",
        ),
        (
            MapReduce::new(items(0..3), narrowed(|_| panic!("narrow-minded")), || Collect),
            "narrow-minded",
        ),
    ];
    for (run, expected) in runs {
        let error = system.run(run).deadline(MINUTE).await.unwrap_err();
        assert!(
            matches!(&error.kind, FailureKind::Split { why } if why.contains(expected)),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namesakes_do_each_its_own_and_one_agent_may_have_two_branches() {
    let system = system();
    let times = |factor: u64| {
        let agent =
            system.agent("same", move |n: u64, _| async move { Ok::<_, String>(n * factor) });
        agent.count(2).start().unwrap()
    };
    let (ten, thousand) = (times(10), times(1_000));
    let run = MapReduce::new(items(0..5), vec![Branch::whole(&ten)], sum::<u64>);
    assert_eq!(system.run(run).deadline(MINUTE).await.unwrap().value, 100);
    let both = vec![Branch::whole(&ten), Branch::whole(&thousand)];
    let run = MapReduce::new(items(0..5), both, sum::<u64>);
    assert_eq!(system.run(run).deadline(MINUTE).await.unwrap().value, 10_100);
    let branch = |narrow: fn(&u64) -> Option<u64>| Branch {
        agent: ten.clone(),
        narrow: Some(Arc::new(narrow)),
        timeout: None,
    };
    let halves = vec![branch(|n| (*n < 3).then_some(*n)), branch(|n| Some(*n + 100))];
    let run = MapReduce::new(items(0..5), halves, sum::<u64>);
    assert_eq!(system.run(run).deadline(MINUTE).await.unwrap().value, 30 + 5_100);
}

/// A part that panics when it is copied while the trap is set: a crash of the coordinator.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Trap(u64);

static SET: AtomicBool = AtomicBool::new(false);

impl Clone for Trap {
    fn clone(&self) -> Self {
        assert!(self.0 != 7 || !SET.load(Ordering::SeqCst), "trapped");
        Self(self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_coordinator_is_a_lost_run_that_can_be_taken_up_again() {
    let node = Node::builder().journal(Arc::new(MemoryJournal::default())).open().unwrap();
    let system = AgentSystem::start(node);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let agent = system.agent("traps", move |trap: Trap, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(trap.0) }
    });
    let agent = agent.start().unwrap();
    let run = || MapReduce::new(items((0..20).map(Trap)), vec![Branch::whole(&agent)], sum::<u64>);
    SET.store(true, Ordering::SeqCst);
    let lost = system.run(run()).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(lost.kind, FailureKind::NodeLost { .. }), "{lost}");
    assert_eq!(calls.load(Ordering::SeqCst), 7);
    SET.store(false, Ordering::SeqCst);
    let done = system.run(run()).id(lost.run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.tally.done), ((0..20).sum::<u64>(), 20));
    assert_eq!(u64::from(calls.load(Ordering::SeqCst)), 7 + done.tally.attempts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_refused() {
    let system = system();
    let agent = echo(&system);
    let key = protocol::MessageId::from_u128(5);
    let first = system.run(map_reduce(0..3, &agent)).idempotency_key(key).deadline(MINUTE).await;
    assert_eq!(first.unwrap().value, [0, 1, 2]);
    let again = system
        .run(map_reduce(0..3, &agent))
        .idempotency_key(key)
        .deadline(MINUTE)
        .await
        .unwrap_err();
    assert!(matches!(again.kind, FailureKind::Rejected { .. }), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_started_again_says_so() {
    let system = system();
    let kinds = Filter::new().kinds([EventKind::AgentRestarted.as_str()]);
    let mut events = system.node().events().subscribe(kinds).unwrap();
    let agent = system.agent("jumpy", |n: u64, _| async move {
        assert!(n != 2, "two");
        Ok::<_, String>(n)
    });
    let agent = agent.start().unwrap();
    let done = system.run(map_reduce(0..5, &agent).options(once())).deadline(MINUTE).await.unwrap();
    assert_eq!(done.failed.len(), 1);
    let event = events.next().await.unwrap();
    let event = format!("{event:?}");
    assert!(event.contains("jumpy") && event.contains("restarts"), "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_straggler_is_run_again_even_if_its_own_instance_offers_a_place_first() {
    for round in 0..6 {
        let system = system();
        let calls = Arc::new(AtomicU32::new(0));
        let agent = system.agent("straggles", move |n: u64, _| {
            let hangs = n == round && calls.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(n)
            }
        });
        let agent = agent.count(2).concurrency(2).start().unwrap();
        let run = map_reduce(0..6, &agent).options(Options {
            speculate: true,
            speculate_after: Duration::from_millis(20),
            ..Options::default()
        });
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        assert_eq!((done.value.len(), done.tally.speculative >= 1), (6, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_any_number_of_parts_get_their_turn() {
    let system = system();
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let agent = system.agent("second time", move |n: u64, _| {
        let first = seen.lock().unwrap().insert(n);
        async move { if first { Err("not yet") } else { Ok(n) } }
    });
    let agent = agent.count(3).concurrency(4).start().unwrap();
    let retries = Retries { attempts: 2, backoff: Backoff::NONE };
    let options = Options { retries, ..Options::default() };
    let run = map_reduce(0..2_000, &agent).reduce(sum()).options(options);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.failed.len()), ((0..2_000).sum::<u64>(), 0));
    assert_eq!((done.tally.attempts, done.tally.retries), (4_000, 2_000));
}

/// Counts what is recorded into the histogram of messages' latency, with its labels.
#[derive(Default)]
pub(crate) struct Latencies(pub(crate) std::sync::Mutex<Vec<(String, Arc<Count>)>>);

#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicU32);

impl metrics::HistogramFn for Count {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl metrics::Recorder for Latencies {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        metrics::Counter::noop()
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        key: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        let count = Arc::new(Count::default());
        self.0.lock().unwrap().push((key.to_string(), Arc::clone(&count)));
        metrics::Histogram::from_arc(count)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_of_each_piece_of_work_to_its_agent_is_measured() {
    let latencies = Arc::new(Latencies::default());
    let recorder = Arc::<Latencies>::clone(&latencies);
    let metrics = runtime::telemetry::metrics::Metrics::new(recorder);
    let system = AgentSystem::start(Node::builder().metrics(metrics).open().unwrap());
    let agent = echo(&system);
    system.run(map_reduce(0..9, &agent)).deadline(MINUTE).await.unwrap();
    let seen = latencies.0.lock().unwrap();
    let (key, count) =
        seen.iter().find(|(key, _)| key.contains("agent_communication_latency_seconds")).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 9);
    for label in ["source = coordinator", "destination = agent", "message_type = task_assignment"] {
        assert!(key.contains(label), "{key}");
    }
}
