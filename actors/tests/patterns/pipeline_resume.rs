//! Pipelines that are cut off and taken up again: what a document has passed is not asked for again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    budget::Limits,
    engine::{journal::Journal, local::MemoryJournal},
    node::Node,
    retry::Retries,
};
use serde_json::json;
use synod_actors::{
    pattern::{
        FailureKind,
        pipeline::{PassageEnd, Pipeline, Record, Report, pipeline, recount, stage},
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const DOCUMENTS: u64 = 20;
const STAGES: u64 = 3;
/// Moments at which a run is cut off.
const MOMENTS: u64 = 50;

type Calls = Arc<[AtomicU64]>;

fn system(journal: &Arc<MemoryJournal>) -> AgentSystem {
    let journal = Arc::<MemoryJournal>::clone(journal);
    AgentSystem::start(Node::builder().journal(journal).open().unwrap())
}

/// Where an agent's calls for a document are counted.
fn place(row: u64, document: u64) -> usize {
    usize::try_from(row * DOCUMENTS + document).unwrap()
}

/// Three stages that count their calls for each document; at the fatal one the agent hangs until its node stops. The second
/// stage's own agent fails at every third document, which its fallback then does.
fn stages(system: &AgentSystem, calls: &Calls, fatal: u64) -> Pipeline {
    let begun = Arc::new(AtomicU64::new(0));
    let agent = |name: &str, row: u64, fails: bool| {
        let (calls, begun) = (Arc::clone(calls), Arc::clone(&begun));
        let agent = system.agent(name, move |n: u64, _| {
            let document = n % 100;
            calls[place(row, document)].fetch_add(1, Ordering::SeqCst);
            let hangs = begun.fetch_add(1, Ordering::SeqCst) >= fatal;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                if fails && document.is_multiple_of(3) { Err("not thirds") } else { Ok(n + 100) }
            }
        });
        agent.count(2).concurrency(2).start().unwrap()
    };
    let (first, second, third) = (agent("a", 0, false), agent("b", 1, true), agent("c", 2, false));
    let behind = agent("behind", 3, false);
    let second = stage("b", &second).fallback(&behind).window(3);
    let second = second.retries(Retries { attempts: 1, ..Retries::default() });
    pipeline(0..DOCUMENTS, [stage("a", &first).window(4), second, stage("c", &third).window(2)])
}

fn calls() -> Calls {
    (0..(STAGES + 1) * DOCUMENTS).map(|_| AtomicU64::new(0)).collect()
}

/// The rows of calls that a journal makes needless: what was passed, and agents that had failed for good.
fn recorded(journal: &MemoryJournal, run: RunId) -> (BTreeSet<(u32, u32)>, BTreeSet<usize>) {
    let (mut passed, mut needless) = (BTreeSet::new(), BTreeSet::new());
    for record in journal.read(run, 0, usize::MAX).unwrap() {
        match runtime::record::decode::<Record>(&record).unwrap() {
            Record::Passed { document, stage, agent, .. } => {
                assert!(passed.insert((document, stage)), "{document} passed {stage} twice");
                let row = if agent == 1 { 3 } else { u64::from(stage) };
                needless.insert(place(row, u64::from(document)));
            }
            Record::FellBack { document, .. } => {
                needless.insert(place(1, u64::from(document)));
            }
            Record::Began { .. }
            | Record::Entered { .. }
            | Record::Dry { .. }
            | Record::Failed { .. }
            | Record::Spent { .. }
            | Record::Ended(_) => {}
        }
    }
    (passed, needless)
}

/// A report without what only the process knew that made it.
fn kept(mut report: Report) -> Report {
    for step in report.documents.iter_mut().flat_map(|passage| &mut passage.steps) {
        step.resumed = false;
    }
    for stage in &mut report.stages {
        (stage.most_inside, stage.restarts, stage.attempts) = (0, 0, 0);
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_cut_off_at_any_moment_asks_for_nothing_again_that_was_passed() {
    let expected: Vec<u64> = (0..DOCUMENTS).map(|n| n + 300).collect();
    for moment in 0..MOMENTS {
        let (journal, calls) = (Arc::new(MemoryJournal::default()), calls());
        let before = system(&journal);
        let run = stages(&before, &calls, moment * 7 % (DOCUMENTS * STAGES + 10));
        let handle = before.run(run).deadline(MINUTE).start().await.unwrap();
        let run = handle.id();
        for _ in 0..moment {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let (done, needless) = recorded(&journal, run);
        let called: Vec<u64> = calls.iter().map(|calls| calls.load(Ordering::SeqCst)).collect();

        let after = system(&journal);
        let again = after.run(stages(&after, &calls, u64::MAX)).id(run).deadline(MINUTE);
        let outcome = again.await.unwrap();
        let outputs: Vec<u64> = outcome.value.outputs().map(|(_, n)| n.as_u64().unwrap()).collect();
        assert_eq!(outputs, expected, "cut off at {moment}");
        assert_eq!(outcome.tally.done, DOCUMENTS);
        let whole = (0..20).filter(|n| (0..3).all(|stage| done.contains(&(*n, stage)))).count();
        assert_eq!(outcome.tally.resumed, whole as u64);
        let resumed = outcome.value.documents.iter().flat_map(|passage| &passage.steps);
        assert_eq!(resumed.filter(|step| step.resumed).count(), done.len());
        for at in needless {
            assert_eq!(
                calls[at].load(Ordering::SeqCst),
                called[at],
                "row {at} was asked again, cut off at {moment}"
            );
        }
        assert_eq!(recorded(&journal, run).0.len() as u64, DOCUMENTS * STAGES);
        let told = recount(&*journal, run).unwrap();
        assert_eq!(kept(told), kept(outcome.value), "its journal tells the same");
        after.node().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_for_good_stays_failed_and_other_stages_are_refused() {
    let journal = Arc::new(MemoryJournal::default());
    let system = system(&journal);
    let picky = system.agent("picky", |n: u64, _| async move {
        match n {
            3 => Err("no threes"),
            5 => std::future::pending().await,
            _ => Ok(n),
        }
    });
    let picky = picky.concurrency(8).start().unwrap();
    let run = || {
        let only = stage("only", &picky).retries(Retries { attempts: 1, ..Retries::default() });
        pipeline(0..6_u64, [only])
    };
    let first = system.run(run()).deadline(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(first.kind, FailureKind::TimedOut { done: 4, units: 6, .. }), "{first}");
    let again = system.run(run()).id(first.run).deadline(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(again.kind, FailureKind::TimedOut { done: 4, units: 6, .. }), "{again}");
    assert_eq!((again.tally.resumed, again.tally.attempts), (4, 1));
    let partial = again.partial.unwrap();
    assert!(
        matches!(&partial.documents[3].end, PassageEnd::Failed { why, .. } if why == "no threes")
    );
    assert_eq!((partial.stages[0].passed, partial.stages[0].failed), (4, 1));
    assert_eq!(kept(recount(&*journal, first.run).unwrap()), kept(partial));
    let other = pipeline(0..6_u64, [stage("other", &picky)]);
    let wrong = system.run(other).id(first.run).deadline(MINUTE).await.unwrap_err();
    assert!(
        wrong.to_string().contains("began with the stages only (picky), not other (picky)"),
        "{wrong}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_goes_on_with_what_its_budget_has_left() {
    let journal = Arc::new(MemoryJournal::default());
    let limits = || Limits { messages: Some(12), ..Limits::default() };
    let mut called = 0;
    let mut run = None;
    for life in 0..2 {
        let system = system(&journal);
        let calls = calls();
        let fatal = if life == 0 { 5 } else { u64::MAX };
        let described = system.run(stages(&system, &calls, fatal)).limits(limits());
        let described = match run {
            Some(run) => described.id(run).deadline(MINUTE),
            None => described.deadline(Duration::from_secs(1)),
        };
        let error = described.await.unwrap_err();
        run = Some(error.run);
        called += calls.iter().map(|calls| calls.load(Ordering::SeqCst)).sum::<u64>();
        if life == 1 {
            assert!(matches!(error.kind, FailureKind::OverBudget { .. }), "{error}");
        }
        system.node().close().await.unwrap();
    }
    assert_eq!(called, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_came_in_are_taken_from_the_journal_and_not_from_the_source() {
    let journal = Arc::new(MemoryJournal::default());
    let first = system(&journal);
    let hangs = first.agent("same", |_: u64, _| std::future::pending::<Result<u64, String>>());
    let only = stage("same", &hangs.start().unwrap()).window(2);
    let run = pipeline(0..4_u64, [only]);
    let cut = first.run(run).deadline(Duration::from_secs(1)).await.unwrap_err();
    first.node().close().await.unwrap();
    let second = system(&journal);
    let same = second.agent("same", |n: u64, _| async move { Ok::<_, String>(n) }).start().unwrap();
    let changed = pipeline([70, 71, 72, 73_u64], [stage("same", &same)]);
    let done = second.run(changed).id(cut.run).deadline(MINUTE).await.unwrap();
    let outputs: Vec<_> = done.value.outputs().map(|(_, output)| output.clone()).collect();
    assert_eq!(outputs, [json!(0), json!(1), json!(72), json!(73)]);
}
