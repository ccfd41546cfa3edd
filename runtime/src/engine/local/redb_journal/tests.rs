//! What only a journal on disk has to show: syncs before acknowledgements, crashes, stalls, failures, other processes.

use std::{
    fs,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::{open::prepare, recording::RecordingDisk, *};
use crate::engine::{
    conformance::journal_conformance,
    journal::{Acknowledge, Appended},
};

const RUN: RunId = RunId::from_u128(7);

fn on_disk(disk: &RecordingDisk) -> RedbJournal {
    let database = open::builder().create_with_backend(disk.clone()).unwrap();
    prepare(Path::new("recording"), &database).unwrap();
    RedbJournal::start(database).unwrap()
}

fn in_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.synod");
    (folder, path)
}

fn record(position: Sequence) -> Vec<u8> {
    format!("record {position}").into_bytes()
}

/// Appends one record without waiting.
fn send(journal: &RedbJournal, run: RunId, position: Sequence) -> Appended {
    let (append, appended) = Append::awaited(run, position, vec![record(position)]);
    journal.append(append);
    appended
}

fn kept(journal: &RedbJournal, run: RunId) -> Vec<Vec<u8>> {
    journal.read(run, 0, usize::MAX).unwrap()
}

#[test]
fn conforms_to_the_port() {
    let folder = tempfile::tempdir().unwrap();
    journal_conformance(|name| Arc::new(RedbJournal::open(&folder.path().join(name)).unwrap()));
}

#[test]
fn no_acknowledgement_precedes_its_sync_whenever_the_disk_crashes() {
    for seed in 0..4 {
        let disk = RecordingDisk::default();
        let journal = on_disk(&disk);
        disk.crash_at_every_step(seed);
        for position in 0..8 {
            disk.accept(position + 1);
            let acknowledge = Arc::new(disk.clone());
            let records = vec![record(position)];
            journal.append(Append { run: RUN, expected: position, records, acknowledge });
        }
        drop(journal);
        let crashes = disk.take_crashes();
        let some_lost_what_was_not_acknowledged = crashes.into_iter().fold(false, |lost, crash| {
            let survivor = on_disk(&RecordingDisk::of_image(crash.image));
            let found = kept(&survivor, RUN);
            let expected: Vec<_> = (0..found.len() as Sequence).map(record).collect();
            assert_eq!(found, expected, "seed {seed}: what survives is whole and in order");
            let survived = found.len() as Sequence;
            assert!(
                survived >= crash.acknowledged,
                "seed {seed}: {survived} of {}",
                crash.acknowledged
            );
            lost || survived < crash.accepted
        });
        assert!(some_lost_what_was_not_acknowledged, "seed {seed}: the crashes cost something");
    }
}

#[tokio::test]
async fn what_gathers_during_a_sync_is_written_by_one_commit() {
    let disk = RecordingDisk::default();
    let journal = on_disk(&disk);
    disk.stall_syncs(true);
    let first = send(&journal, RUN, 0);
    disk.wait_for_stalled_sync();
    let runs: Vec<_> = (100..110).map(RunId::from_u128).collect();
    let gathered: Vec<_> = (0..100)
        .flat_map(|position| runs.iter().map(move |run| (*run, position)))
        .map(|(run, position)| send(&journal, run, position))
        .collect();
    let syncs_before = disk.syncs();
    disk.stall_syncs(false);
    assert_eq!(first.await, Ok(1));
    for appended in gathered {
        appended.await.unwrap();
    }
    let syncs = disk.syncs() - syncs_before;
    assert!(syncs <= 6, "1,001 appends took {syncs} syncs, but a commit takes two or three");
}

#[tokio::test]
async fn a_failure_of_the_disk_refuses_everything_from_then_on_with_its_cause() {
    let disk = RecordingDisk::default();
    let journal = on_disk(&disk);
    assert_eq!(send(&journal, RUN, 0).await, Ok(1));
    disk.stall_syncs(true);
    let writing = send(&journal, RUN, 1);
    disk.wait_for_stalled_sync();
    let waiting = send(&journal, RUN, 2);
    let flushed = journal.flush();
    disk.fail();
    disk.stall_syncs(false);
    let cause = writing.await.unwrap_err();
    assert!(cause.to_string().contains("the disk is on fire"), "{cause}");
    assert_eq!(waiting.await, Err(cause.clone()));
    assert_eq!(flushed.await, Err(cause.clone()));
    assert_eq!(send(&journal, RUN, 2).await, Err(cause.clone()));
    assert_eq!(journal.flush().await, Err(cause));
}

#[test]
fn dropping_the_journal_writes_and_acknowledges_what_waits() {
    let (_folder, path) = in_folder();
    let journal = RedbJournal::open(&path).unwrap();
    let acknowledged = Arc::new(Counter::default());
    for position in 0..500 {
        let acknowledge = Arc::<Counter>::clone(&acknowledged);
        let records = vec![record(position)];
        journal.append(Append { run: RUN, expected: position, records, acknowledge });
    }
    drop(journal);
    assert_eq!(acknowledged.0.load(Ordering::SeqCst), 500);
    assert_eq!(kept(&RedbJournal::open(&path).unwrap(), RUN).len(), 500);
}

#[test]
fn the_last_handle_may_be_dropped_by_an_acknowledgement() {
    let (_folder, path) = in_folder();
    let journal = Arc::new(RedbJournal::open(&path).unwrap());
    let (alone, is_alone) = mpsc::channel();
    let (sender, dropped) = mpsc::channel();
    let handle = LastHandle { journal: Arc::clone(&journal), is_alone, dropped: sender };
    let acknowledge = Arc::new(Mutex::new(Some(handle)));
    journal.append(Append { run: RUN, expected: 0, records: vec![record(0)], acknowledge });
    drop(journal);
    alone.send(()).unwrap();
    assert_eq!(dropped.recv(), Ok(()));
}

#[tokio::test]
async fn a_panicking_acknowledgement_harms_nobody_else() {
    let (_folder, path) = in_folder();
    let journal = RedbJournal::open(&path).unwrap();
    journal.append(Append {
        run: RUN,
        expected: 0,
        records: vec![record(0)],
        acknowledge: Arc::new(Panics),
    });
    assert_eq!(send(&journal, RUN, 1).await, Ok(2));
}

#[tokio::test]
async fn forgotten_positions_are_looked_up_again() {
    let (_folder, path) = in_folder();
    let journal = RedbJournal::open(&path).unwrap();
    let runs: Vec<_> = (0..=JOURNAL_TAILS_MAX as u128).map(RunId::from_u128).collect();
    for position in 0..2 {
        let sent: Vec<_> = runs.iter().map(|run| send(&journal, *run, position)).collect();
        for appended in sent {
            assert_eq!(appended.await, Ok(position + 1));
        }
    }
}

#[tokio::test]
async fn a_reader_follows_the_writer_and_may_not_write() {
    let (_folder, path) = in_folder();
    let writer = RedbJournal::open(&path).unwrap();
    send(&writer, RUN, 0).await.unwrap();
    let reader = RedbJournal::open_read_only(&path).unwrap();
    assert_eq!(kept(&reader, RUN), [record(0)]);
    send(&writer, RUN, 1).await.unwrap();
    assert_eq!(kept(&reader, RUN), [record(0), record(1)]);
    assert_eq!(reader.runs(None, 9), Ok(vec![RUN]));
    assert_eq!(send(&reader, RUN, 2).await, Err(JournalError::ReadOnly { run: RUN }));
    assert_eq!(reader.flush().await, Ok(()));
}

#[test]
fn a_second_writer_is_told_to_wait() {
    let (_folder, path) = in_folder();
    let first = RedbJournal::open(&path).unwrap();
    let error = RedbJournal::open(&path).unwrap_err();
    assert!(matches!(error, OpenJournalError::Locked { .. }), "{error}");
    drop(first);
    RedbJournal::open(&path).unwrap();
}

#[tokio::test]
async fn a_file_left_by_a_killed_process_opens_either_way() {
    let (folder, path) = in_folder();
    let journal = RedbJournal::open(&path).unwrap();
    for position in 0..10 {
        send(&journal, RUN, position).await.unwrap();
    }
    for way in [RedbJournal::open, RedbJournal::open_read_only] {
        let left = folder.path().join("left.synod");
        fs::copy(&path, &left).unwrap();
        assert_eq!(kept(&way(&left).unwrap(), RUN).len(), 10);
    }
}

#[test]
fn a_file_that_is_no_journal_is_told_apart() {
    let (folder, path) = in_folder();
    let error = RedbJournal::open_read_only(&path).unwrap_err();
    assert!(matches!(error, OpenJournalError::Missing { .. }), "{error}");
    let error = RedbJournal::open(&folder.path().join("none").join("journal")).unwrap_err();
    assert!(matches!(error, OpenJournalError::Missing { .. }), "{error}");
    let error = RedbJournal::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenJournalError::Io { .. }), "{error}");
    fs::write(&path, "a text of somebody else, long enough to hold a header of a journal").unwrap();
    for way in [RedbJournal::open, RedbJournal::open_read_only] {
        let error = way(&path).unwrap_err();
        assert!(matches!(error, OpenJournalError::Foreign { .. }), "{error}");
    }
    assert!(fs::read_to_string(&path).unwrap().starts_with("a text"), "it is left as it was");
}

#[test]
fn a_store_of_another_program_or_version_is_refused() {
    for (table, foreign) in [("prices", true), ("synod.journal.2", false)] {
        let (_folder, path) = in_folder();
        let database = open::builder().create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(redb::TableDefinition::<u64, u64>::new(table)).unwrap();
        transaction.commit().unwrap();
        drop(database);
        for way in [RedbJournal::open, RedbJournal::open_read_only] {
            let error = way(&path).unwrap_err();
            assert_eq!(matches!(error, OpenJournalError::Foreign { .. }), foreign, "{error}");
            assert_eq!(matches!(error, OpenJournalError::Version { .. }), !foreign, "{error}");
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic() {
    let (folder, path) = in_folder();
    let journal = RedbJournal::open(&path).unwrap();
    for position in 0..50 {
        send(&journal, RUN, position).await.unwrap();
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.synod");
    let mut refused = 0;
    for at in (16..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        if at % 3 == 0 {
            bytes.truncate(at);
        } else {
            let end = (at + 2_048).min(bytes.len());
            bytes[at..end].fill(0xa5);
        }
        fs::write(&damaged, bytes).unwrap();
        for way in [RedbJournal::open, RedbJournal::open_read_only] {
            let read = way(&damaged).map(|journal| journal.read(RUN, 0, 100));
            refused += usize::from(!matches!(read, Ok(Ok(_))));
        }
    }
    assert!(refused > 0, "some damage was noticed");
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Acknowledge for Counter {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        self.0.fetch_add(usize::from(outcome.is_ok()), Ordering::SeqCst);
    }
}

struct Panics;

impl Acknowledge for Panics {
    fn appended(&self, _: Result<Sequence, JournalError>) {
        panic!("on purpose");
    }
}

struct LastHandle {
    journal: Arc<RedbJournal>,
    is_alone: mpsc::Receiver<()>,
    dropped: mpsc::Sender<()>,
}

impl Acknowledge for Mutex<Option<LastHandle>> {
    fn appended(&self, _: Result<Sequence, JournalError>) {
        let LastHandle { journal, is_alone, dropped } = self.lock().take().unwrap();
        is_alone.recv().unwrap();
        assert_eq!(Arc::strong_count(&journal), 1);
        drop(journal);
        dropped.send(()).unwrap();
    }
}
