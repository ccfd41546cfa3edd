//! Runs that are cut off and taken up again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{
    engine::{journal::Journal, local::MemoryJournal},
    node::Node,
};
use synod_actors::{
    agent::handle::Agent,
    pattern::{
        FailureKind,
        map_reduce::{
            Branch, Collect, Map, MapReduce, OnPartialFailure, Options, Piece, Record, Retries,
            map_reduce, sum,
        },
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const PARTS: u64 = 60;
/// Moments at which a run is cut off.
const MOMENTS: u64 = 50;

fn system(journal: &Arc<MemoryJournal>) -> AgentSystem {
    let journal = Arc::<MemoryJournal>::clone(journal);
    AgentSystem::start(Node::builder().journal(journal).open().unwrap())
}

/// Squares; each call is counted per part, and at the fatal one the agent hangs until its node stops.
fn squares(system: &AgentSystem, calls: &Arc<[AtomicU64]>, fatal: u64) -> Agent<u64, u64> {
    let (calls, begun) = (Arc::clone(calls), Arc::new(AtomicU64::new(0)));
    system
        .agent("square", move |n: u64, _| {
            calls[usize::try_from(n).unwrap()].fetch_add(1, Ordering::SeqCst);
            let hangs = begun.fetch_add(1, Ordering::SeqCst) >= fatal;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(n * n)
            }
        })
        .count(3)
        .concurrency(2)
        .start()
        .unwrap()
}

/// The units that a journal knows to be done, each named once.
fn recorded(journal: &MemoryJournal, run: protocol::RunId) -> Vec<u64> {
    let records = journal.read(run, 0, usize::MAX).unwrap();
    let mut done = Vec::new();
    for record in records {
        if let Record::Done { unit, .. } =
            runtime::record::decode::<Record<u64, u64>>(&record).unwrap()
        {
            assert!(!done.contains(&u64::from(unit)), "unit {unit} was accepted twice");
            done.push(u64::from(unit));
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_cut_off_at_any_moment_comes_to_the_value_of_an_undisturbed_one() {
    let expected: Vec<u64> = (0..PARTS).map(|n| n * n).collect();
    for moment in 0..MOMENTS {
        let journal = Arc::new(MemoryJournal::default());
        let calls: Arc<[AtomicU64]> = (0..PARTS).map(|_| AtomicU64::new(0)).collect();
        let before = system(&journal);
        let agent = squares(&before, &calls, moment * 7 % (PARTS + 10));
        let handle =
            before.run(map_reduce(0..PARTS, &agent)).deadline(MINUTE).start().await.unwrap();
        let run = handle.id();
        for _ in 0..moment {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let done = recorded(&journal, run);
        let called: Vec<u64> = calls.iter().map(|calls| calls.load(Ordering::SeqCst)).collect();

        let after = system(&journal);
        let agent = squares(&after, &calls, u64::MAX);
        let outcome =
            after.run(map_reduce(0..PARTS, &agent)).id(run).deadline(MINUTE).await.unwrap();
        assert_eq!(outcome.value, expected, "cut off at {moment}");
        assert_eq!((outcome.tally.resumed, outcome.tally.done), (done.len() as u64, PARTS));
        for unit in done {
            let unit = usize::try_from(unit).unwrap();
            assert_eq!(
                calls[unit].load(Ordering::SeqCst),
                called[unit],
                "part {unit} was run again"
            );
        }
        assert_eq!(recorded(&journal, run).len() as u64, PARTS);
        after.node().close().await.unwrap();
    }
}

/// Parts that need many records; the split dies after the first time.
struct Wide(usize);

impl Map<String> for Wide {
    fn map(&mut self) -> Result<Vec<Piece<String>>, String> {
        Ok((0..self.0).map(|n| Piece::new(format!("{n:>9}{}", "x".repeat(100 << 10)))).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_of_which_a_part_was_recorded_is_made_anew_and_no_part_is_there_twice() {
    let (journal, whole) = (Arc::new(MemoryJournal::default()), Arc::new(MemoryJournal::default()));
    let firsts = |system: &AgentSystem| {
        system
            .agent("first", |s: String, _| async move { Ok::<_, String>(s[..9].to_owned()) })
            .start()
            .unwrap()
    };
    let first = system(&whole);
    let agent = firsts(&first);
    let run = || MapReduce::new(Wide(12), vec![Branch::whole(&agent)], || Collect);
    let undisturbed = first.run(run()).deadline(MINUTE).await.unwrap();
    let records = whole.read(undisturbed.run, 0, usize::MAX).unwrap();
    let splits = |record: &&Vec<u8>| {
        matches!(runtime::record::decode(record), Ok(Record::<String, String>::Split { .. }))
    };
    assert!(records.iter().filter(splits).count() > 2);

    // What a crash between two records of the split leaves, twice.
    let id = first.node().new_run();
    let cut: Vec<_> =
        records.iter().take(3).chain(records.iter().skip(1).take(1)).cloned().collect();
    let (append, acknowledged) = runtime::engine::journal::Append::awaited(id, 0, cut);
    journal.append(append);
    acknowledged.await.unwrap();
    let second = system(&journal);
    let agent = firsts(&second);
    let run = || MapReduce::new(Wide(12), vec![Branch::whole(&agent)], || Collect);
    for _ in 0..2 {
        let outcome = second.run(run()).id(id).deadline(MINUTE).await.unwrap();
        assert_eq!(outcome.value, undisturbed.value);
        assert_eq!(outcome.tally.units, 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ended_is_taken_up_again_on_the_same_node_but_not_while_it_goes_on() {
    let system = system(&Arc::new(MemoryJournal::default()));
    let begun = AtomicU64::new(0);
    let agent = system.agent("half", move |n: u64, _| {
        let hangs = begun.fetch_add(1, Ordering::SeqCst) >= 5;
        async move {
            if hangs && n < 10 {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(n)
        }
    });
    let agent = agent.start().unwrap();
    let first = system.run(map_reduce(0..10, &agent)).deadline(MINUTE).start().await.unwrap();
    let run = first.id();
    let twice = system.run(map_reduce(0..10, &agent)).id(run).deadline(MINUTE).await.unwrap_err();
    assert!(
        matches!(&twice.kind, FailureKind::Rejected { why } if why.contains("still goes on")),
        "{twice}"
    );
    first.canceller().cancel();
    let cut = first.outcome().await.unwrap_err();
    assert!(matches!(cut.kind, FailureKind::Cancelled { .. }), "{cut}");
    let again = system.run(map_reduce(0..10, &agent)).id(run).deadline(Duration::from_millis(200));
    let again = again.await.unwrap_err();
    assert!(matches!(again.kind, FailureKind::TimedOut { .. }), "{again}");
    assert_eq!(
        (again.tally.resumed, again.tally.done),
        (cut.tally.done, 5),
        "five calls were to be answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_failed_for_a_part_is_taken_up_again_with_that_part() {
    let journal = Arc::new(MemoryJournal::default());
    let options = || Options {
        retries: Retries { attempts: 1, ..Retries::default() },
        on_partial_failure: OnPartialFailure::Fail,
        ..Options::default()
    };
    let agent = |system: &AgentSystem, poison: u64| {
        let agent = system.agent("picky", move |n: u64, _| async move {
            if n == poison { Err("poison") } else { Ok(n) }
        });
        agent.start().unwrap()
    };
    let first = system(&journal);
    let picky = agent(&first, 5);
    let failed = first
        .run(map_reduce(0..10, &picky).reduce(sum()).options(options()))
        .deadline(MINUTE)
        .await
        .unwrap_err();
    assert!(matches!(failed.kind, FailureKind::Parts { failed: 1, .. }), "{failed}");
    first.node().close().await.unwrap();
    let second = system(&journal);
    let picky = agent(&second, u64::MAX);
    let run = map_reduce(0..10, &picky).reduce(sum()).options(options());
    let done = second.run(run).id(failed.run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value, done.tally.resumed), ((0..10).sum::<u64>(), failed.tally.done));

    let third = system(&journal);
    let other =
        third.agent("other", |n: u64, _| async move { Ok::<_, String>(n) }).start().unwrap();
    let wrong =
        third.run(map_reduce(0..10, &other)).id(failed.run).deadline(MINUTE).await.unwrap_err();
    assert!(wrong.to_string().contains("began with the agents [\"picky\"]"), "{wrong}");
}
