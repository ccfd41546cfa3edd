//! What every engine must do, as suites that its tests run: one for each port.
//!
//! A suite panics, as a failed test does, with the rule that was broken.

mod link;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::RunId;
use tokio::runtime;

use crate::{
    engine::journal::{Acknowledge, Append, Journal, JournalError, Sequence, records},
    limits::{JOURNAL_APPEND_RECORDS_MAX, JOURNAL_RECORD_BYTES_MAX},
};

pub use self::link::{LinkRig, link_conformance};

/// Runs the suite of the `Journal` port.
///
/// `open` opens the journal of a name; opened again after it was dropped, it must show what it had acknowledged.
///
/// # Panics
/// When the journal breaks a rule of the port.
pub fn journal_conformance(open: impl Fn(&str) -> Arc<dyn Journal>) {
    records_come_back_in_order(&*open("order"));
    pipelined_appends_continue_each_other(&*open("pipeline"));
    a_wrong_position_is_refused_with_the_right_one(&*open("conflict"));
    a_failed_append_fails_those_behind_it(&*open("failed"));
    an_append_without_records_is_a_barrier(&*open("barrier"));
    records_over_a_limit_are_refused(&*open("limits"));
    reads_give_pages(&*open("pages"));
    runs_are_listed_in_order(&*open("runs"));
    runs_do_not_disturb_each_other(&open("threads"));
    one_of_two_writers_wins_each_position(&open("fencing"));
    flush_waits_for_everything_accepted(&*open("flush"));
    what_was_acknowledged_is_there_after_reopening(&open);
}

fn records_come_back_in_order(journal: &dyn Journal) {
    let records = numbered(0, 100);
    assert_eq!(appended(journal, run(1), 0, records.clone()), Ok(100), "the next position is told");
    assert_eq!(journal.read(run(1), 0, 1_000), Ok(records), "what was written is read");
    assert_eq!(journal.next(run(1)), Ok(100));
    assert_eq!(journal.next(run(2)), Ok(0), "an unknown run begins at 0");
    assert_eq!(journal.read(run(2), 0, 10), Ok(vec![]), "an unknown run is empty");
    assert_eq!(appended(journal, run(1), 100, vec![vec![]]), Ok(101), "a record may be empty");
    assert_eq!(journal.read(run(1), 100, 10), Ok(vec![vec![]]));
}

fn pipelined_appends_continue_each_other(journal: &dyn Journal) {
    let (listener, heard) = Listener::new();
    for position in 0..1_000 {
        journal.append(append(run(1), position, numbered(position, 1), &listener));
    }
    let outcomes: Vec<_> = (0..1_000).map(|_| heard.next()).collect();
    let expected: Vec<_> = (1..=1_000).map(Ok).collect();
    assert_eq!(outcomes, expected, "acknowledged once each, in order");
    assert_eq!(journal.read(run(1), 0, 2_000), Ok(numbered(0, 1_000)));
    heard.nothing_more();
}

fn a_wrong_position_is_refused_with_the_right_one(journal: &dyn Journal) {
    assert_eq!(appended(journal, run(1), 0, numbered(0, 3)), Ok(3));
    for expected in [0, 2, 4, Sequence::MAX] {
        let conflict = JournalError::Conflict { run: run(1), expected, next: 3 };
        assert_eq!(appended(journal, run(1), expected, numbered(9, 1)), Err(conflict));
    }
    assert_eq!(journal.read(run(1), 0, 10), Ok(numbered(0, 3)), "a refused append leaves nothing");
    assert_eq!(appended(journal, run(1), 3, numbered(3, 1)), Ok(4), "the right position goes on");
}

fn a_failed_append_fails_those_behind_it(journal: &dyn Journal) {
    let (listener, heard) = Listener::new();
    let too_large = vec![vec![0; JOURNAL_RECORD_BYTES_MAX + 1]];
    journal.append(append(run(1), 0, numbered(0, 1), &listener));
    journal.append(append(run(1), 1, too_large, &listener));
    journal.append(append(run(1), 2, numbered(2, 1), &listener));
    journal.append(append(run(1), 1, numbered(1, 1), &listener));
    let outcomes: Vec<_> = (0..4).map(|_| heard.next()).collect();
    let count = |wanted: &Result<Sequence, JournalError>| {
        outcomes.iter().filter(|outcome| *outcome == wanted).count()
    };
    let behind = JournalError::Conflict { run: run(1), expected: 2, next: 1 };
    assert_eq!((count(&Ok(1)), count(&Ok(2)), count(&Err(behind))), (1, 1, 1), "{outcomes:?}");
    assert_eq!(journal.read(run(1), 0, 10), Ok(numbered(0, 2)));
    heard.nothing_more();
}

fn an_append_without_records_is_a_barrier(journal: &dyn Journal) {
    let (listener, heard) = Listener::new();
    journal.append(append(run(1), 0, numbered(0, 2), &listener));
    journal.append(append(run(1), 2, vec![], &listener));
    assert_eq!((heard.next(), heard.next()), (Ok(2), Ok(2)));
    assert_eq!(appended(journal, run(2), 0, vec![]), Ok(0));
    assert_eq!(journal.runs(None, 10), Ok(vec![run(1)]), "a run without records is not listed");
}

fn records_over_a_limit_are_refused(journal: &dyn Journal) {
    let refused = |records| {
        let outcome = appended(journal, run(1), 0, records);
        assert!(matches!(outcome, Err(JournalError::TooLarge { .. })), "{outcome:?}");
    };
    refused(vec![vec![0; JOURNAL_RECORD_BYTES_MAX + 1]]);
    refused(vec![vec![]; JOURNAL_APPEND_RECORDS_MAX + 1]);
    let largest = vec![vec![7; JOURNAL_RECORD_BYTES_MAX]];
    assert_eq!(appended(journal, run(1), 0, largest.clone()), Ok(1), "the largest record is kept");
    assert_eq!(journal.read(run(1), 0, 10), Ok(largest));
}

fn reads_give_pages(journal: &dyn Journal) {
    assert_eq!(appended(journal, run(1), 0, numbered(0, 10)), Ok(10));
    assert_eq!(journal.read(run(1), 3, 4), Ok(numbered(3, 4)));
    assert_eq!(journal.read(run(1), 8, 4), Ok(numbered(8, 2)));
    for (from, limit) in [(10, 4), (11, 4), (Sequence::MAX, 4), (0, 0)] {
        assert_eq!(journal.read(run(1), from, limit), Ok(vec![]), "from {from}, limit {limit}");
    }
    let heavy = |numbers: std::ops::Range<u8>| -> Vec<Vec<u8>> {
        numbers.map(|n| vec![n; JOURNAL_RECORD_BYTES_MAX]).collect()
    };
    assert_eq!(appended(journal, run(2), 0, heavy(0..12)), Ok(12));
    assert_eq!(appended(journal, run(2), 12, heavy(12..24)), Ok(24));
    let page = journal.read(run(2), 0, usize::MAX).map(|page| page.len());
    assert!(page.as_ref().is_ok_and(|len| (1..24).contains(len)), "{page:?}");
    let all: Result<Vec<Vec<u8>>, JournalError> = records(journal, run(2)).collect();
    assert!(all == Ok(heavy(0..24)), "pages that are cut at a limit follow each other to the end");
}

fn runs_are_listed_in_order(journal: &dyn Journal) {
    for id in [5, u128::MAX, 0, 1 << 64, 3] {
        assert_eq!(appended(journal, run(id), 0, numbered(0, 2)), Ok(2));
    }
    let all: Vec<_> = [0, 3, 5, 1 << 64, u128::MAX].map(run).to_vec();
    assert_eq!(journal.runs(None, 10), Ok(all.clone()));
    assert_eq!(journal.runs(None, 2), Ok(vec![run(0), run(3)]));
    assert_eq!(journal.runs(Some(run(3)), 2), Ok(vec![run(5), run(1 << 64)]));
    assert_eq!(journal.runs(Some(run(4)), 9), Ok(all.into_iter().skip(2).collect()));
    assert_eq!(journal.runs(Some(run(u128::MAX)), 2), Ok(vec![]));
}

fn runs_do_not_disturb_each_other(journal: &Arc<dyn Journal>) {
    thread::scope(|scope| {
        for id in 0..8 {
            scope.spawn(move || {
                let (listener, heard) = Listener::new();
                for position in 0..200 {
                    journal.append(append(run(id), position, numbered(position, 1), &listener));
                }
                for position in 1..=200 {
                    assert_eq!(heard.next(), Ok(position), "run {id}");
                }
            });
        }
    });
    for id in 0..8 {
        assert_eq!(journal.read(run(id), 0, 1_000), Ok(numbered(0, 200)), "run {id}");
    }
}

fn one_of_two_writers_wins_each_position(journal: &Arc<dyn Journal>) {
    const POSITIONS: u64 = 100;
    let wins: u64 = thread::scope(|scope| {
        let writers = [1, 2].map(|writer| {
            scope.spawn(move || {
                let wins =
                    |position| appended(&**journal, run(1), position, vec![vec![writer]]).is_ok();
                (0..POSITIONS).map(|position| u64::from(wins(position))).sum::<u64>()
            })
        });
        writers.into_iter().map(|writer| writer.join().unwrap_or(POSITIONS + 1)).sum()
    });
    assert!(wins <= POSITIONS, "two writers won one position");
    assert_eq!(journal.next(run(1)), Ok(wins), "every kept record was acknowledged to one writer");
}

fn flush_waits_for_everything_accepted(journal: &dyn Journal) {
    let (listener, heard) = Listener::new();
    for position in 0..100 {
        journal.append(append(run(1), position, numbered(position, 1), &listener));
    }
    assert_eq!(wait_for(journal.flush()), Ok(()));
    let acknowledged = heard.0.try_iter().filter(Result::is_ok).count();
    assert_eq!(acknowledged, 100, "all are acknowledged when flush returns");
}

fn what_was_acknowledged_is_there_after_reopening(open: &impl Fn(&str) -> Arc<dyn Journal>) {
    for opening in 0..3 {
        let journal = open("reopen");
        assert_eq!(journal.next(run(1)), Ok(opening * 10));
        assert_eq!(journal.read(run(1), 0, 100), Ok(numbered(0, opening * 10)));
        let fresh = numbered(opening * 10, 10);
        assert_eq!(appended(&*journal, run(1), opening * 10, fresh), Ok(opening * 10 + 10));
    }
}

fn run(id: u128) -> RunId {
    RunId::from_u128(id)
}

fn numbered(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(|number| number.to_be_bytes().to_vec()).collect()
}

fn append(
    run: RunId,
    expected: Sequence,
    records: Vec<Vec<u8>>,
    listener: &Arc<Listener>,
) -> Append {
    let acknowledge: Arc<dyn Acknowledge> = Arc::<Listener>::clone(listener);
    Append { run, expected, records, acknowledge }
}

/// Appends and waits for the outcome.
fn appended(
    journal: &dyn Journal,
    run: RunId,
    expected: Sequence,
    records: Vec<Vec<u8>>,
) -> Result<Sequence, JournalError> {
    let (listener, heard) = Listener::new();
    journal.append(append(run, expected, records, &listener));
    heard.next()
}

fn wait_for(flushed: BoxFuture<'static, Result<(), JournalError>>) -> Result<(), JournalError> {
    let runtime = runtime::Builder::new_current_thread().build();
    runtime.map_or(Err(JournalError::Closed), |runtime| runtime.block_on(flushed))
}

struct Listener(mpsc::Sender<Result<Sequence, JournalError>>);

impl Listener {
    fn new() -> (Arc<Self>, Heard) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(Self(sender)), Heard(receiver))
    }
}

impl Acknowledge for Listener {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        // A test that has its answer may be gone.
        self.0.send(outcome).ok();
    }
}

struct Heard(mpsc::Receiver<Result<Sequence, JournalError>>);

impl Heard {
    fn next(&self) -> Result<Sequence, JournalError> {
        let heard = self.0.recv_timeout(Duration::from_secs(60));
        assert!(heard.is_ok(), "an append was not acknowledged within a minute");
        heard.unwrap_or(Err(JournalError::Closed))
    }

    fn nothing_more(&self) {
        let more = self.0.try_recv();
        assert!(more.is_err(), "an append was acknowledged twice: {more:?}");
    }
}
