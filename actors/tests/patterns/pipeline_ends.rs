//! Pipelines that do not begin, or that end early.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use runtime::{
    budget::Limits,
    events::{EventKind, Filter, Received},
};
use serde_json::json;
use synod_actors::{
    agent::CallContext,
    pattern::{
        FailureKind,
        pipeline::{PassageEnd, pipeline, stage},
    },
};

use crate::{
    pipeline::{adds, failures, numbers, quick, system},
    until,
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_contradicts_itself_does_not_begin_and_all_of_it_is_told() {
    let system = system();
    let agent = adds(&system, "one");
    let none = system.run(pipeline([1_u64], [])).deadline(MINUTE).await.unwrap_err();
    assert!(
        matches!(&none.kind, FailureKind::Invalid { why } if why.contains("no stages")),
        "{none}"
    );
    let stages = [
        stage("twice", &agent).input(&json!({ "type": "sting" })),
        stage("twice", &agent).window(0).output(&json!([])),
        stage("a/b", &agent).timeout(Duration::ZERO),
    ];
    let run = pipeline([1_u64], stages).output(&json!({ "$ref": "http://example.org/x" }));
    let wrong = system.run(run).deadline(MINUTE).await.unwrap_err();
    let why = wrong.kind.to_string();
    for part in [
        "the pipeline's output schema is none",
        "the input schema of stage `twice` is none",
        "the output schema of stage `twice` is none",
        "two stages are called `twice`",
        "window of 0 documents",
        "`a/b` is no name",
        "stage `a/b` has no time",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(wrong.tally.attempts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_documents_are_no_failure_and_a_source_that_panics_is_one() {
    let system = system();
    let agent = adds(&system, "one");
    let done =
        system.run(pipeline([0_u64; 0], [stage("add", &agent)])).deadline(MINUTE).await.unwrap();
    assert_eq!((done.tally.units, done.value.documents.len()), (0, 0));
    let bad = (0..10_u64).map(|n| if n == 5 { panic!("five") } else { n });
    let run = pipeline(bad, [stage("add", &agent)]);
    let failed = system.run(run).deadline(MINUTE).await.unwrap_err();
    assert!(failed.to_string().contains("the documents' iterator panicked: five"), "{failed}");
    assert_eq!(failed.partial.unwrap().documents.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_and_an_answer_that_no_record_holds_fail_alone() {
    let system = system();
    let grows = system.agent("grows", |text: String, _| async move {
        Ok::<_, String>(if text == "grow" { "x".repeat(2 << 20) } else { text })
    });
    let stages = [stage("grow", &grows.start().unwrap()).retries(quick(2))];
    let documents = ["a".to_owned(), "y".repeat(2 << 20), "grow".to_owned(), "b".to_owned()];
    let done = system.run(pipeline(documents, stages)).deadline(MINUTE).await.unwrap();
    let outputs: Vec<_> = done.value.outputs().collect();
    assert_eq!(outputs, [(0, &json!("a")), (3, &json!("b"))]);
    assert_eq!(failures(&done.value), [(1, "grow", None, 0), (2, "grow", Some("grows"), 1)]);
    assert!(done.failed[0].error.contains("too large"), "{}", done.failed[0].error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_and_a_cancel_end_the_run_with_what_has_passed() {
    for cancel in [false, true] {
        let system = system();
        let hangs = system.agent("hangs", |n: u64, _| async move {
            if n == 3 {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(n)
        });
        let stages = [
            stage("first", &adds(&system, "one")),
            stage("second", &hangs.concurrency(4).start().unwrap()),
        ];
        let within = if cancel { MINUTE } else { Duration::from_secs(2) };
        let mut ends = system
            .node()
            .events()
            .subscribe(Filter::new().kinds([EventKind::TaskCompleted]))
            .unwrap();
        let handle = system.run(pipeline(0..5_u64, stages)).deadline(within).start().await.unwrap();
        if cancel {
            let mut passed = 0;
            while passed < 5 + 4 {
                let Ok(Received::Event(_)) = ends.next().await.ok_or(()) else {
                    panic!("an event was missed")
                };
                passed += 1;
            }
            handle.canceller().cancel();
        }
        let error = handle.outcome().await.unwrap_err();
        let in_time = matches!(error.kind, FailureKind::Cancelled { done: 4, units: 5 });
        let late = matches!(error.kind, FailureKind::TimedOut { done: 4, units: 5, .. });
        assert_eq!((in_time, late), (cancel, !cancel), "{error}");
        let partial = error.partial.unwrap();
        assert_eq!(numbers(&partial), [1, 2, 4, 5]);
        assert_eq!(partial.documents[2].end, PassageEnd::Open { stage: "second".to_owned() });
        assert_eq!(partial.documents[2].steps.len(), 1, "what has passed is there");
        assert_eq!(error.tally.attempts, 10);
        until("no timer is left", || system.node().pending_timers() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_a_hard_stop_and_a_retry_costs_as_much_as_a_first_call() {
    let system = system();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let fails = system.agent("fails", move |n: u64, cx: CallContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { if cx.attempt == 1 { Err("at first") } else { Ok(n) } }
    });
    let stages = [stage("only", &fails.start().unwrap()).retries(quick(2)).window(1)];
    let limits = Limits { messages: Some(7), ..Limits::default() };
    let run = system.run(pipeline(0..10_u64, stages)).deadline(MINUTE).limits(limits);
    let error = run.await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::OverBudget { done: 3, .. }), "{error}");
    assert_eq!(
        (calls.load(Ordering::SeqCst), error.tally.attempts, error.tally.retries),
        (7, 7, 3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_has_ended_costs_its_documents_no_attempt_where_another_stands_behind_it() {
    let system = system();
    let (gone, here) = (adds(&system, "gone"), adds(&system, "here"));
    gone.stop();
    gone.stopped().await;
    let run = pipeline(0..20_u64, [stage("add", &gone).fallback(&here)]);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.tally.done, done.tally.attempts, done.tally.fallbacks), (20, 20, 20));
    let run = pipeline(0..20_u64, [stage("add", &gone)]);
    let failed = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((failed.tally.done, failed.failed.len(), failed.tally.attempts), (0, 20, 0));
    assert!(
        failed.failed[0].error.contains("no living agent slot for `gone`"),
        "{}",
        failed.failed[0].error
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_share_agents_and_give_places_back() {
    let system = system();
    let node = system.node().clone();
    let agent = system.agent("shared", move |n: u64, _| {
        let node = node.clone();
        async move {
            node.sleep(Duration::from_millis(1)).await;
            Ok::<_, String>(n)
        }
    });
    let agent = agent.count(2).start().unwrap();
    let run = || {
        let stages = [stage("a", &agent), stage("b", &agent), stage("c", &agent)];
        system.run(pipeline(0..30_u64, stages)).deadline(MINUTE)
    };
    let (one, two, three) = tokio::join!(run(), run(), run());
    for done in [one, two, three] {
        assert_eq!(done.unwrap().tally.done, 30);
    }
}
