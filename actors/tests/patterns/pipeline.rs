//! pipeline: documents through stages, with bad agents and bad documents, in order and not.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use protocol::TaskId;
use runtime::{
    backoff::Backoff,
    events::{EventKind, Filter, Received},
    node::Node,
    retry::Retries,
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{AgentError, CallContext, handle::Agent},
    pattern::pipeline::{Document, PassageEnd, Report, Stage, pipeline, stage, stage_with},
    system::AgentSystem,
};
use tokio::sync::Semaphore;

use crate::until;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

pub(crate) fn quick(attempts: u32) -> Retries {
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
    Retries { attempts, backoff }
}

/// An agent that adds one.
pub(crate) fn adds(system: &AgentSystem, name: &str) -> Agent<u64, u64> {
    let agent = system.agent(name, |n: u64, _| async move { Ok::<_, String>(n + 1) });
    agent.count(2).concurrency(4).start().unwrap()
}

pub(crate) fn numbers(report: &Report) -> Vec<u64> {
    report.outputs().map(|(_, output)| output.as_u64().unwrap()).collect()
}

pub(crate) fn failures(report: &Report) -> Vec<(u32, &str, Option<&str>, u32)> {
    let failed = report.documents.iter().filter_map(|passage| match &passage.end {
        PassageEnd::Failed { stage, agent, attempts, .. } => {
            Some((passage.document, stage.as_str(), agent.as_deref(), *attempts))
        }
        PassageEnd::Done | PassageEnd::Open { .. } => None,
    });
    failed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_pass_all_stages_and_the_outcome_tells_what_each_did() {
    let system = system();
    let (first, second) = (adds(&system, "one"), adds(&system, "two"));
    let stages = [stage("first", &first), stage("second", &second), stage("third", &first)];
    let done = system.run(pipeline(0..500_u64, stages)).deadline(MINUTE).await.unwrap();
    assert_eq!(numbers(&done.value), (3..503).collect::<Vec<_>>());
    assert_eq!((done.tally.units, done.tally.done, done.tally.attempts), (500, 500, 1_500));
    assert_eq!((done.tally.retries, done.tally.fallbacks, done.failed.len()), (0, 0, 0));
    for passage in &done.value.documents {
        let steps: Vec<_> = passage.steps.iter().map(|step| (&*step.stage, &*step.agent)).collect();
        assert_eq!(steps, [("first", "one"), ("second", "two"), ("third", "one")]);
        let outputs: Vec<_> =
            passage.steps.iter().map(|step| step.output.as_u64().unwrap()).collect();
        let n = u64::from(passage.document);
        assert_eq!((outputs, passage.end.clone()), (vec![n + 1, n + 2, n + 3], PassageEnd::Done));
    }
    for figures in &done.value.stages {
        assert_eq!((figures.passed, figures.attempts, figures.failed), (500, 500, 0));
        assert!(figures.most_inside <= 64, "{figures:?}");
        assert!(figures.took.total_micros >= figures.took.longest_micros);
    }
    // Nothing is kept: another run has all places.
    let again =
        system.run(pipeline([7_u64], [stage("only", &first)])).deadline(MINUTE).await.unwrap();
    assert_eq!(numbers(&again.value), [8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stage_is_an_actor_of_its_own_below_the_run() {
    let system = system();
    let open = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&open);
    let waits = system.agent("waits", move |n: u64, _| {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.map(|_| n).map_err(|error| error.to_string()) }
    });
    let waits = waits.start().unwrap();
    let run = pipeline([1_u64], [stage("wait", &waits), stage("add", &adds(&system, "one"))]);
    let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
    let names = || system.graph().actors.into_iter().map(|actor| actor.name).collect::<Vec<_>>();
    let run = format!("runs/{}", handle.id());
    for stage in ["wait", "add"] {
        assert!(names().contains(&format!("{run}/{stage}")), "{:?}", names());
    }
    open.add_permits(1);
    handle.outcome().await.unwrap();
    until("the stages have ended with their run", || {
        !names().iter().any(|name| name.starts_with(&run))
    })
    .await;
}

/// The slow document is let go once all others have passed the last stage, or, in order, once it is seen that none has.
async fn slow(ordered: bool) -> Vec<u64> {
    const DOCUMENTS: u64 = 40;
    let system = system();
    let (gate, seen) = (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<u64>>>::default());
    let (open, told) = (Arc::clone(&gate), Arc::clone(&seen));
    let begun = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&begun);
    let first = system.agent("first", move |n: u64, _| {
        let (gate, counted) = (Arc::clone(&gate), Arc::clone(&counted));
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            if n == 0 {
                gate.acquire().await.map_err(|error| error.to_string())?.forget();
            }
            Ok::<_, String>(n)
        }
    });
    let last = system.agent("last", move |n: u64, _| {
        let told = Arc::clone(&told);
        async move {
            told.lock().unwrap().push(n);
            Ok::<_, String>(n)
        }
    });
    let stages = [
        stage("first", &first.concurrency(2).start().unwrap()).window(8),
        stage("last", &last.concurrency(1).start().unwrap()),
    ];
    let run = pipeline(0..DOCUMENTS, stages);
    let run = if ordered { run.ordered() } else { run };
    let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
    if ordered {
        // All that the window lets in have been begun, and none has gone on.
        until("the window is full", || begun.load(Ordering::SeqCst) == 8).await;
        assert_eq!(*seen.lock().unwrap(), [0_u64; 0]);
    } else {
        until("all others have passed", || seen.lock().unwrap().len() == 39).await;
    }
    open.add_permits(1);
    let done = handle.outcome().await.unwrap();
    assert_eq!(numbers(&done.value), (0..DOCUMENTS).collect::<Vec<_>>());
    seen.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_document_delays_no_other() {
    let seen = slow(false).await;
    assert_eq!((seen.len(), seen.last()), (40, Some(&0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_order_every_stage_gets_the_documents_in_that_of_the_intake() {
    assert_eq!(slow(true).await, (0..40).collect::<Vec<_>>());
}

/// An agent that misbehaves with some documents, each in its own way.
fn moody(system: &AgentSystem) -> Agent<Value, Value> {
    let moody = system.agent("moody", |document: Value, _| async move {
        match document["n"].as_u64().unwrap() % 10 {
            1 => std::future::pending().await,
            2 => panic!("no twos"),
            3 => Ok(json!({ "n": "three" })),
            4 => Err("no fours"),
            5 => Ok(json!({ "n": 500 })),
            _ => Ok(document),
        }
    });
    // One call at a time, since a panic ends those beside it too.
    moody.count(8).restarts(1_000, MINUTE).start().unwrap()
}

fn number_schema() -> Value {
    json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] })
}

fn moody_stage(agent: &Agent<Value, Value>) -> Stage {
    let same = |document: &Value, answer: &Value| {
        if document["n"] == answer["n"] { Ok(()) } else { Err("not the same".to_owned()) }
    };
    stage("moody", agent)
        .output(&number_schema())
        .validate(same)
        .transform(|answer, about| match about.document % 10 {
            6 => Err("no sixes".to_owned()),
            7 => panic!("no sevens"),
            _ => Ok(json!({ "n": answer["n"], "by": about.agent })),
        })
        .timeout(Duration::from_secs(1))
        .retries(quick(2))
}

fn documents(count: u64) -> Vec<Document> {
    (0..count).map(|n| Document::new(format!("file {n}"), json!({ "n": n }))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_fails_at_fails_that_document_alone_with_the_stage_named() {
    let system = system();
    let stages = [
        moody_stage(&moody(&system)),
        stage_with("add", &adds(&system, "one"), |document, _| {
            document["n"].as_u64().ok_or_else(|| "no number".to_owned())
        }),
    ];
    let done = system.run(pipeline(documents(30), stages)).deadline(MINUTE).await.unwrap();
    let expected: Vec<_> =
        (0..30_u64).filter(|n| !(1..=7).contains(&(n % 10))).map(|n| n + 1).collect();
    assert_eq!(numbers(&done.value), expected);
    assert_eq!((done.tally.units, done.tally.done, done.failed.len()), (30, 9, 21));
    let parts = [
        (1, "no answer within 1s"),
        (2, "the agent panicked: no twos"),
        (3, "the output schema of stage `moody` allows: \"three\" is not of type"),
        (4, "no fours"),
        (5, "the validator of stage `moody` allows: not the same"),
        (6, "the transform of stage `moody`: no sixes"),
        (7, "the transform of stage `moody`: it panicked: no sevens"),
    ];
    for (part, error) in parts {
        let failed = done.failed.iter().find(|failed| failed.part == part).unwrap();
        let error = if part == 3 { "the output schema of stage `moody` allows" } else { error };
        assert!(failed.error.starts_with("stage `moody`: "), "{}", failed.error);
        assert!(failed.error.contains(error), "{}", failed.error);
        assert_eq!(
            (failed.attempts, &*failed.agent, &*failed.name),
            (2, "moody", &*format!("file {part}"))
        );
    }
    assert!(failures(&done.value).iter().all(|(_, stage, agent, attempts)| {
        (*stage, *agent, *attempts) == ("moody", Some("moody"), 2)
    }));
    assert_eq!((done.value.stages[0].passed, done.value.stages[0].failed), (9, 21));
    assert_eq!(done.tally.attempts, 30 + 21 + 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_fails_at_goes_to_those_behind_it() {
    let system = system();
    let broken = system.agent("broken", |_: Value, _| async { Err::<Value, _>("always") });
    let last = system.agent("last", |document: Value, _| async move { Ok::<_, String>(document) });
    let (moody, broken, last) = (moody(&system), broken.start().unwrap(), last.start().unwrap());
    let stages = [moody_stage(&moody).fallback(&broken).fallback(&last)];
    let mut told =
        system.node().events().subscribe(Filter::new().kinds([EventKind::TaskRetried])).unwrap();
    let done = system.run(pipeline(documents(30), stages)).deadline(MINUTE).await.unwrap();
    // What the transform refuses it refuses of everyone.
    assert_eq!((done.tally.done, done.failed.len(), done.tally.fallbacks), (24, 6, 15));
    for failed in &done.failed {
        assert!(failed.error.contains("; tried before: moody: the transform"), "{}", failed.error);
        assert!(failed.error.contains("; broken: always"), "{}", failed.error);
        assert_eq!((failed.attempts, &*failed.agent), (6, "last"));
    }
    for passage in done.value.documents.iter().filter(|passage| passage.output().is_some()) {
        let step = &passage.steps[0];
        let fell = (1..=5).contains(&(passage.document % 10));
        assert_eq!((step.fallback, step.attempts), (fell, if fell { 5 } else { 1 }));
        assert_eq!(step.output["by"], json!(if fell { "last" } else { "moody" }));
    }
    let named = std::iter::from_fn(|| told.try_next()).any(|received| match received {
        Received::Event(event) => {
            event.data["stage"] == "moody" && event.data["fallback"] == "broken"
        }
        Received::Missed(_) => false,
    });
    assert!(named, "a fallback is published with its stage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_own_fallbacks_stand_behind_it_and_nobody_twice() {
    let system = system();
    let last = system.agent("last", |n: u64, _| async move { Ok::<_, String>(n) }).start().unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let broken = system.agent("broken", move |_: u64, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err::<u64, _>("always") }
    });
    let broken = broken.fallback(&last).start().unwrap();
    let only = stage("only", &broken).fallback(&last).fallback(&broken).retries(quick(1));
    let done = system.run(pipeline([7_u64], [only])).deadline(MINUTE).await.unwrap();
    assert_eq!((numbers(&done.value), calls.load(Ordering::SeqCst)), (vec![7], 1));
    assert_eq!((done.tally.attempts, done.tally.retries, done.tally.fallbacks), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_the_input_schema_forbids_costs_no_call() {
    let system = system();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let agent = system.agent("same", move |document: Value, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(document) }
    });
    let agent = agent.start().unwrap();
    let other = adds(&system, "other");
    let stages = [
        stage("check", &agent).input(&number_schema()),
        // The transform of the stage before is judged by the next stage's input schema.
        stage("same", &agent)
            .transform(|answer, about| Ok(if about.document == 2 { json!(2) } else { answer })),
        stage("again", &agent).input(&number_schema()).fallback(&other),
    ];
    let documents = [json!({ "n": 1 }), json!({ "m": 1 }), json!({ "n": 2 }), json!([])];
    let done = system.run(pipeline(documents, stages)).deadline(MINUTE).await.unwrap();
    let none = None::<&str>;
    assert_eq!(
        failures(&done.value),
        [(1, "check", none, 0), (2, "again", none, 0), (3, "check", none, 0)]
    );
    assert!(
        done.failed[0].error.contains("the input schema of stage `check` forbids the document"),
        "{}",
        done.failed[0].error
    );
    assert!(
        done.failed[0].error.contains("\"n\" is a required property"),
        "{}",
        done.failed[0].error
    );
    assert_eq!((calls.load(Ordering::SeqCst), done.tally.attempts), (5, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_transform_runs_and_the_last_output_is_checked() {
    let system = system();
    let same = system.agent("same", |n: u64, _| async move { Ok::<_, String>(n) }).start().unwrap();
    let run = || {
        let last = stage("last", &same)
            .output(&json!({ "maximum": 8 }))
            .transform(|n, _| Ok(if n == json!(7) { json!("seven") } else { json!([n]) }))
            .retries(quick(1));
        pipeline(5..10_u64, [stage("first", &same), last])
    };
    let checked = run().output(&json!({ "type": "array" }));
    let done = system.run(checked).deadline(MINUTE).await.unwrap();
    let outputs: Vec<_> = done.value.outputs().map(|(_, output)| output.clone()).collect();
    assert_eq!(outputs, [json!([5]), json!([6]), json!([8])]);
    let failed: Vec<_> =
        done.failed.iter().map(|failed| (failed.part, failed.error.as_str())).collect();
    assert!(
        failed[0].0 == 2 && failed[0].1.contains("the pipeline's output schema allows"),
        "{failed:?}"
    );
    assert!(
        failed[1].0 == 4 && failed[1].1.contains("the output schema of stage `last`"),
        "{failed:?}"
    );
    let done = system.run(run()).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value.documents[2].output(), Some(&json!("seven")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_stage_stops_the_intake() {
    let system = system();
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let slow = system.agent("slow", move |n: u64, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.map_err(|error| error.to_string())?.forget();
            Ok::<_, String>(n)
        }
    });
    let slow = slow.concurrency(2).start().unwrap();
    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pulled);
    let endless = (0_u64..).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let quick = adds(&system, "quick");
    let stages = [
        stage("a", &quick).window(5),
        stage("b", &quick).window(7),
        stage("slow", &slow).window(3),
    ];
    let handle =
        system.run(pipeline(endless.take(200), stages)).deadline(MINUTE).start().await.unwrap();
    until("all windows are full", || pulled.load(Ordering::SeqCst) == 15).await;
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pulled.load(Ordering::SeqCst), 15, "no more documents than places");
    open.add_permits(10);
    until("one more for each that has gone", || pulled.load(Ordering::SeqCst) == 25).await;
    open.add_permits(1_000);
    let done = handle.outcome().await.unwrap();
    assert_eq!((done.tally.done, pulled.load(Ordering::SeqCst)), (200, 200));
    let most: Vec<_> = done.value.stages.iter().map(|stage| stage.most_inside).collect();
    assert_eq!(most, [5, 7, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_of_all_attempts_at_a_stage_have_one_key_and_those_of_others_another() {
    let system = system();
    let keys = Arc::<Mutex<Vec<(u64, TaskId)>>>::default();
    let told = Arc::clone(&keys);
    let agent = system.agent("keyed", move |n: u64, cx: CallContext| {
        told.lock().unwrap().push((n, cx.task));
        async move {
            if cx.attempt == 1 { Err(AgentError::Cancelled).or(Err("once more")) } else { Ok(n) }
        }
    });
    let agent = agent.start().unwrap();
    let stages = [stage("a", &agent).retries(quick(2)), stage("b", &agent).retries(quick(2))];
    system.run(pipeline(0..5_u64, stages)).deadline(MINUTE).await.unwrap();
    let mut keys: Vec<TaskId> = keys.lock().unwrap().iter().map(|(_, key)| *key).collect();
    assert_eq!(keys.len(), 20);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 10);
}
