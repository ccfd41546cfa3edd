//! What is told of a plan: by its outcome, its journal, and those of the runs of its tasks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use runtime::{engine::local::MemoryJournal, node::Node, retry::Retries};
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailedPart, FailureKind,
        map_reduce::{Collect, MapReduce, OnPartialFailure, Options, map_reduce},
        plan::{Plan, Report, TaskEnd, recount, run_of},
    },
    system::AgentSystem,
};

use crate::consensus::MINUTE;

type Run = MapReduce<String, String, Collect>;

/// A node on a journal, with an agent that fails at what begins with `bad`.
fn world() -> (AgentSystem, Arc<MemoryJournal>, Agent<String, String>) {
    let journal = Arc::new(MemoryJournal::default());
    let kept = Arc::<MemoryJournal>::clone(&journal);
    let system = AgentSystem::start(Node::builder().journal(kept).open().unwrap());
    let worker = system.agent("worker", |name: String, _: CallContext| async move {
        if name.starts_with("bad") { Err("no") } else { Ok(name) }
    });
    let worker = worker.start().unwrap();
    (system, journal, worker)
}

fn asks(
    worker: &Agent<String, String>,
    names: &[&str],
    on_partial_failure: OnPartialFailure,
) -> Run {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let options = Options { retries: Retries::NEVER, on_partial_failure, ..Options::default() };
    map_reduce(names, worker).options(options)
}

/// `first` fails or not; `last` comes after it; nobody comes after `other`.
fn plan(worker: &Agent<String, String>, first: &'static str) -> Plan {
    let (one, two, three) = (worker.clone(), worker.clone(), worker.clone());
    Plan::new()
        .task("first", &[], move |_| Ok(asks(&one, &[first], OnPartialFailure::Fail)))
        .task("last", &["first"], move |_| Ok(asks(&two, &["last"], OnPartialFailure::Fail)))
        .task("other", &[], move |_| Ok(asks(&three, &["other"], OnPartialFailure::Fail)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_without_the_task_that_it_needs_has_failed_and_says_why() {
    let (system, _, worker) = world();
    let error = system.run(plan(&worker, "bad").needs("last")).deadline(MINUTE).await.unwrap_err();
    let FailureKind::Parts { failed, units, first } = &error.kind else { panic!("{error}") };
    assert_eq!((*failed, *units), (2, 3));
    assert!(first.starts_with("first: 1 of 1 parts failed"), "{first}");
    assert_eq!(error.failed.len(), 2, "they are named all the same");
    assert_eq!(error.partial.unwrap().output("other"), Some(&json!(["other"])));

    let done = system.run(plan(&worker, "bad").needs("other")).deadline(MINUTE).await.unwrap();
    assert_eq!(done.failed.len(), 2, "that one is done");
    let error = system.run(plan(&worker, "good").needs("lost")).deadline(MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("needs \"lost\", which is no task"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_known_to_others_by_what_is_made_of_its_output() {
    let (system, _, worker) = world();
    let calls = Arc::new(AtomicU64::new(0));
    let (counts, sees) = (Arc::clone(&calls), worker.clone());
    let brief = move |all: Vec<String>, failed: &[FailedPart]| {
        counts.fetch_add(1, Ordering::SeqCst);
        json!({ "done": all.len(), "failed": failed.len() })
    };
    let of_two = move |_: &_| Ok(asks(&worker, &["one", "bad"], OnPartialFailure::Keep));
    let plan =
        Plan::new().task_as("two", &[], of_two, brief).task("sees", &["two"], move |before| {
            let known: Vec<(&str, &Value)> = before.iter().collect();
            Ok(asks(&sees, &[&json!(known).to_string()], OnPartialFailure::Fail))
        });
    let done = system.run(plan).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value.output("two"), Some(&json!({ "done": 1, "failed": 1 })));
    let seen = r#"[["two",{"done":1,"failed":1}]]"#;
    assert_eq!(done.value.output("sees"), Some(&json!([seen])));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_tells_the_same_as_the_outcome_and_where_the_journals_of_the_tasks_are() {
    let (system, journal, worker) = world();
    let done = system.run(plan(&worker, "bad")).deadline(MINUTE).await.unwrap();
    let mut told = recount(&*journal, done.run).unwrap();
    for task in &mut told.tasks {
        if let TaskEnd::Done { resumed, .. } = &mut task.end {
            assert!(std::mem::take(resumed), "it is told from the journal");
        }
    }
    assert_eq!(told, done.value);
    let runs: Vec<_> = told.tasks.iter().map(|task| task.run).collect();
    assert_eq!(
        runs,
        [(0, "first"), (1, "last"), (2, "other")].map(|(at, name)| run_of(done.run, at, name))
    );
    use runtime::engine::journal::Journal as _;
    let records = runs.iter().map(|run| journal.next(*run).unwrap() > 0);
    assert_eq!(records.collect::<Vec<_>>(), [true, false, true], "one that is skipped has none");
    assert_eq!(recount(&*journal, run_of(done.run, 9, "x")).unwrap(), Report::default());
}
