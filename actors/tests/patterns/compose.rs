//! Patterns in patterns: a pipeline whose stage is a map_reduce whose reducer is a vote.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    budget::Limits,
    engine::local::MemoryJournal,
    events::{EventKind, Filter, Received},
    node::Node,
    retry::Retries,
    sim::World,
};
use serde_json::json;
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailedPart, FailureKind,
        consensus::{Decision, Opinion, Proposal, Request, Rules, Voter, consensus},
        map_reduce::{Done, by_run, map_reduce},
        pipeline::{Pipeline, pipeline, stage},
    },
    system::AgentSystem,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::consensus::{MINUTE, two_thirds};

/// Who is at work, and what was asked of whom.
#[derive(Default)]
pub(crate) struct Seen {
    /// Calls of the agent that counts words.
    pub(crate) counted: AtomicU64,
    /// Calls of voters, by voter, and those of them that were given up.
    asked: Mutex<BTreeMap<String, u64>>,
    pub(crate) dropped: AtomicU64,
}

impl Seen {
    pub(crate) fn asked(&self) -> u64 {
        self.asked.lock().unwrap().values().sum()
    }
}

/// Counts itself when it is dropped before its end.
struct GivenUp(Arc<Seen>, bool);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(u64::from(!self.1), Ordering::SeqCst);
    }
}

/// A text, whose lines are counted, and three voters say whether that is long. Some of them hang.
pub(crate) const TEXT: &str = "one two\nthree\nfour five six";

/// A text goes through one stage.
fn top(system: &AgentSystem, seen: &Arc<Seen>, hangs: fn(&str) -> bool) -> Pipeline {
    pipeline([TEXT.to_owned()], [stage("judge", &judge(system, seen, hangs))])
}

/// Whoever judges a text, by a map_reduce whose reducer is a vote.
pub(crate) fn judge(
    system: &AgentSystem,
    seen: &Arc<Seen>,
    hangs: fn(&str) -> bool,
) -> Agent<String, Decision> {
    let counts = Arc::clone(seen);
    let words = system.agent("words", move |line: String, _| {
        counts.counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(line.split_whitespace().count() as u64) }
    });
    let words = words.count(2).start().unwrap();
    let voters: Vec<_> = ["ann", "bob", "cid"]
        .into_iter()
        .map(|name| (Voter::new(name), voter(system, name, seen, hangs)))
        .collect();
    let judge = system.pattern_agent("judge", move |text: String, _: CallContext| {
        let (lines, voters) = (text.lines().map(str::to_owned).collect::<Vec<_>>(), voters.clone());
        let vote = by_run("vote", move |done: &[Done<u64>], missing: &[FailedPart]| {
            assert!(missing.is_empty());
            let words: u64 = done.iter().map(|done| done.output).sum();
            let long = Proposal::new("Is it long?", ["long", "short"]).data(words.into());
            let vote = consensus(long, voters.clone()).retries(Retries::NEVER);
            vote.rules(Rules { close_early: false, ..two_thirds() })
        });
        map_reduce(lines, &words).reduce(vote)
    });
    judge.start().unwrap()
}

fn voter(
    system: &AgentSystem,
    name: &'static str,
    seen: &Arc<Seen>,
    hangs: fn(&str) -> bool,
) -> Agent<Request, Opinion> {
    let seen = Arc::clone(seen);
    let voter = system.agent(name, move |request: Request, _| {
        *seen.asked.lock().unwrap().entry(name.to_owned()).or_default() += 1;
        let given_up = GivenUp(Arc::clone(&seen), false);
        async move {
            let mut given_up = given_up;
            if hangs(name) {
                std::future::pending::<()>().await;
            }
            given_up.1 = true;
            let words = request.proposal.data.as_u64().unwrap_or(0);
            Ok::<_, String>(Opinion::one(if words > 5 { "long" } else { "short" }))
        }
    });
    voter.start().unwrap()
}

pub(crate) fn nobody(_: &str) -> bool {
    false
}

pub(crate) fn everybody(_: &str) -> bool {
    true
}

/// A world with a system of agents on its one node.
pub(crate) fn world(seed: u64) -> (World, AgentSystem) {
    let world = World::new(seed);
    let present: Arc<Mutex<Option<AgentSystem>>> = Arc::default();
    let boots = Arc::clone(&present);
    world.node("one", move |node| *boots.lock().unwrap() = Some(AgentSystem::start(node.clone())));
    let system = present.lock().unwrap().take().unwrap();
    (world, system)
}

/// Writes down which span of a run is in which.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Tree>>);

#[derive(Debug, Default)]
struct Tree {
    /// Each span with the one that it is in, numbered from 1.
    spans: Vec<(String, Option<u64>)>,
    entered: Vec<u64>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "pattern" {
            write!(self.0, " {value:?}").unwrap();
        }
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name().starts_with("collaboration")
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Fields(span.metadata().name().to_owned());
        span.record(&mut line);
        let Tree { spans, entered } = &mut *self.0.lock().unwrap();
        let around = span.is_contextual().then(|| entered.last().copied()).flatten();
        spans.push((line.0, span.parent().map(span::Id::into_u64).or(around)));
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &span::Id) {
        self.0.lock().unwrap().entered.push(id.into_u64());
    }

    fn exit(&self, _: &span::Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

impl Spans {
    /// The runs in which a run of this pattern is, from itself to the root.
    pub(crate) fn way_up(&self, pattern: &str) -> Vec<String> {
        let spans = &self.0.lock().unwrap().spans;
        let own = format!("collaboration.execute \"{pattern}\"");
        let mut at = spans.iter().position(|(name, _)| *name == own).map(|at| at as u64 + 1);
        let mut way = Vec::new();
        while let Some(id) = at {
            let (name, above) = &spans[usize::try_from(id).unwrap() - 1];
            way.extend(name.strip_prefix("collaboration.execute ").map(str::to_owned));
            at = *above;
        }
        way
    }
}

#[test]
fn a_stage_may_be_a_map_reduce_whose_reducer_is_a_vote_and_the_trace_shows_one_tree() {
    let (world, system) = world(1);
    let (seen, spans) = (Arc::<Seen>::default(), Spans::default());
    let started = Filter::new().kinds([EventKind::RunStarted]);
    let mut started = system.node().events().subscribe(started).unwrap();
    let done = tracing::subscriber::with_default(spans.clone(), || {
        let run = system.run(top(&system, &seen, nobody)).deadline(MINUTE);
        world.block_on(async move { run.await }, MINUTE).expect("it ends").unwrap()
    });
    let (_, decision) = done.value.outputs().next().expect("the document has passed");
    assert_eq!(decision["outcome"], json!({ "outcome": "consensus", "choice": "long" }));
    assert_eq!((seen.counted.load(Ordering::SeqCst), seen.asked()), (3, 3));
    assert_eq!(
        spans.way_up("consensus"),
        [r#""consensus""#, r#""map_reduce""#, r#""pipeline""#],
        "{:?}",
        spans.0.lock().unwrap()
    );
    let mut above = Vec::new();
    while let Some(Received::Event(event)) = started.try_next() {
        above.push((event.run.unwrap(), event.data["above"].clone()));
    }
    let [(pipeline, none), (map_reduce, first), (_, second)] = above.as_slice() else {
        panic!("{above:?}")
    };
    assert_eq!((*pipeline, none), (done.run, &json!(null)));
    assert_eq!((first, second), (&json!(pipeline), &json!(map_reduce)));
}

#[test]
fn a_cancel_at_the_top_reaches_the_bottom_within_100_ms_and_nothing_is_done_afterwards() {
    for seed in 0..20 {
        let (world, system) = world(seed);
        let seen = Arc::<Seen>::default();
        let run = system.run(top(&system, &seen, everybody)).deadline(MINUTE);
        let (outside, at_work) = (world.clone(), Arc::clone(&seen));
        let cancelled = async move {
            let handle = run.start().await.unwrap();
            while at_work.asked() < 3 {
                outside.wait(Duration::from_millis(1)).await;
            }
            let began = outside.now();
            handle.canceller().cancel();
            while at_work.dropped.load(Ordering::SeqCst) < 3 {
                outside.wait(Duration::from_millis(1)).await;
            }
            (outside.now().since(began), handle.outcome().await)
        };
        let (took, outcome) = world.block_on(cancelled, MINUTE).expect("it ends");
        assert!(took <= Duration::from_millis(100), "{took:?}, seed {seed}");
        let kind = outcome.unwrap_err().kind;
        assert!(matches!(kind, FailureKind::Cancelled { .. }), "{kind}");
        world.run_for(MINUTE);
        assert_eq!((seen.counted.load(Ordering::SeqCst), seen.asked()), (3, 3));
        let graph = system.graph();
        let runs = graph.named("runs").unwrap().id;
        let left = graph.actors.iter().filter(|actor| actor.parent == Some(runs)).count();
        assert_eq!((left, system.node().pending_timers()), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_budget_at_the_top_is_that_of_all_below() {
    for (messages, enough) in [(7, true), (6, false)] {
        let (world, system) = world(2);
        let seen = Arc::<Seen>::default();
        // One call of the stage, three of lines, three of voters.
        let limits = Limits { messages: Some(messages), ..Limits::default() };
        let run = system.run(top(&system, &seen, nobody)).deadline(MINUTE).limits(limits);
        let outcome = world.block_on(async move { run.await }, MINUTE).expect("it ends");
        match outcome {
            Ok(done) => assert_eq!((enough, done.failed.len()), (true, 0)),
            Err(error) => {
                assert!(matches!(error.kind, FailureKind::OverBudget { .. }), "{error}");
                assert!(!enough);
            }
        }
        assert!(seen.counted.load(Ordering::SeqCst) + seen.asked() < messages);
    }
}

#[test]
fn a_deadline_at_the_top_is_that_of_all_below() {
    let (world, system) = world(3);
    let seen = Arc::<Seen>::default();
    let run = system.run(top(&system, &seen, |name| name == "cid")).deadline(MINUTE / 60);
    let outcome = world.block_on(async move { run.await }, MINUTE).expect("it ends");
    // The vote below ends in time for what it came to: two of three are for it.
    let done = outcome.unwrap();
    let (_, decision) = done.value.outputs().next().expect("the document has passed");
    assert_eq!(
        (&decision["closed"], &decision["outcome"]["choice"]),
        (&json!("deadline"), &json!("long"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_goes_on_below_where_it_was() {
    const RUN: RunId = RunId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let journal = Arc::new(MemoryJournal::default());
    let open = || {
        let journal = Arc::<MemoryJournal>::clone(&journal);
        AgentSystem::start(Node::builder().journal(journal).open().unwrap())
    };
    let (system, seen) = (open(), Arc::<Seen>::default());
    let told = Filter::new().kinds([EventKind::TaskCompleted]);
    let mut told = system.node().events().subscribe(told).unwrap();
    let run = system.run(top(&system, &seen, |name| name == "cid")).id(RUN).deadline(MINUTE);
    let handle = run.start().await.unwrap();
    // Three lines and two ballots.
    for _ in 0..5 {
        assert!(matches!(told.next().await, Some(Received::Event(_))));
    }
    system.node().close().await.unwrap();
    assert!(matches!(handle.outcome().await.unwrap_err().kind, FailureKind::NodeLost { .. }));

    let system = open();
    let done = system.run(top(&system, &seen, nobody)).id(RUN).deadline(MINUTE).await.unwrap();
    let (_, decision) = done.value.outputs().next().expect("the document has passed");
    assert_eq!(decision["participation"]["counted"], 3);
    assert_eq!(seen.counted.load(Ordering::SeqCst), 3, "no line is counted again");
    let asked = seen.asked.lock().unwrap().clone();
    assert_eq!((asked["ann"], asked["bob"]), (1, 1), "{asked:?}");
}
