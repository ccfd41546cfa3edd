//! A journal on disk: redb, one writing thread, group commit, no acknowledgement before its sync.
//!
//! Everyone appends into one bounded queue. The thread takes all that waits, writes it in one transaction, syncs, and
//! only then acknowledges: while the disk syncs, the next group gathers. One process writes a file, others may read it.
//!
//! # Invariants
//! - Records lie under (run, position), both big endian, so that one run is one range of keys; nothing else is
//!   written per record or per commit.
//! - Positions are checked by the writing thread against what is on disk and in the open transaction.
//! - A failure of the disk ends the journal: what waits and what comes later is refused with its cause.
//!
//! Limits: [`JOURNAL_QUEUE_APPENDS_MAX`], [`JOURNAL_QUEUE_BYTES_MAX`], [`JOURNAL_COMMIT_BYTES_MAX`],
//! [`JOURNAL_TAILS_MAX`], [`JOURNAL_CACHE_BYTES`](crate::limits::JOURNAL_CACHE_BYTES), and those of the port.

mod open;
mod queue;
mod records;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod tests;

pub use open::OpenJournalError;

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    fmt::{self, Display},
    io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use futures_util::{FutureExt, future::BoxFuture};
use protocol::RunId;
use redb::{
    Database, Durability, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, StorageError, Table,
};
use tokio::sync::oneshot;

use self::{
    queue::{Entry, Queue},
    records::{Key, RECORDS, Value, key, next_position, records_from, run_behind},
};
#[cfg(doc)]
use crate::limits::{JOURNAL_COMMIT_BYTES_MAX, JOURNAL_QUEUE_APPENDS_MAX, JOURNAL_QUEUE_BYTES_MAX};
use crate::{
    engine::{
        journal::{Append, Journal, JournalError, Sequence},
        local::page,
    },
    limits::{JOURNAL_RUNS_MAX, JOURNAL_TAILS_MAX},
};

/// Keeps the records of runs in one file.
///
/// Dropping it waits until everything accepted is written and acknowledged.
#[derive(Debug)]
pub struct RedbJournal {
    writer: Option<Writer>,
    store: Store,
    commits: Arc<AtomicU64>,
}

impl RedbJournal {
    /// Opens the journal at `path` for reading and writing, and makes it if there is none; repairs it after a crash.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenJournalError`], most often because another process writes the file or because it is no journal.
    pub fn open(path: &Path) -> Result<Self, OpenJournalError> {
        let database = open::writable(path)?;
        Self::start(database).map_err(|source| OpenJournalError::io(path, source))
    }

    /// Opens the journal at `path` for reading only, beside the process that writes it, and follows what that commits.
    ///
    /// A file that nobody writes and that a crash left behind is repaired first. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenJournalError`], most often because there is no such file or because it is no journal.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenJournalError> {
        let database = open::read_only(path)?;
        Ok(Self { store: Store::ReadOnly(database), writer: None, commits: Arc::default() })
    }

    fn start(database: Database) -> io::Result<Self> {
        let database = Arc::new(database);
        let queue = Arc::new(Queue::default());
        let count = Arc::new(AtomicU64::new(0));
        let commits = Commits {
            database: Arc::clone(&database),
            tails: HashMap::new(),
            count: Arc::clone(&count),
        };
        let thread = {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("synod-journal".to_owned())
                .spawn(move || write_until_closed(commits, &queue))?
        };
        let writer = Some(Writer { queue, thread: Some(thread) });
        Ok(Self { store: Store::Writable(database), writer, commits: count })
    }

    /// The commits that this journal has synced, each of them for as many records as had gathered.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does something with the records as they are on disk now.
    fn reading<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&ReadOnlyTable<Key, Value>) -> Result<T, StorageError>,
    ) -> Result<T, JournalError> {
        guarded(operation, || {
            let transaction = match &self.store {
                Store::Writable(database) => database.begin_read(),
                Store::ReadOnly(database) => database.begin_read(),
            };
            let table = transaction
                .map_err(failed(operation))?
                .open_table(RECORDS)
                .map_err(failed(operation))?;
            read(&table).map_err(failed(operation))
        })
    }
}

impl Journal for RedbJournal {
    fn append(&self, append: Append) {
        let refused = match &self.writer {
            Some(writer) => writer.queue.push(append),
            None => {
                let run = append.run;
                Err((append, JournalError::ReadOnly { run }))
            }
        };
        if let Err((append, error)) = refused {
            append.acknowledge.appended(Err(error));
        }
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.reading("read records", |table| {
            let found = records_from(table, run, from)?;
            page(found.map(|record| record.map(|(_, value)| value.value().to_vec())), limit)
        })
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        self.reading("read the next position", |table| next_position(table, run))
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError> {
        self.reading("list runs", |table| {
            let mut runs = Vec::new();
            let mut last = after;
            while runs.len() < limit.min(JOURNAL_RUNS_MAX)
                && let Some(run) = run_behind(table, last)?
            {
                runs.push(run);
                last = Some(run);
            }
            Ok(runs)
        })
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        let (sender, flushed) = oneshot::channel();
        match &self.writer {
            Some(writer) => writer.queue.push_flush(sender),
            // Nothing was accepted, so nothing waits.
            None => notify(sender, Ok(())),
        }
        flushed.map(|heard| heard.unwrap_or(Err(JournalError::Closed))).boxed()
    }
}

enum Store {
    Writable(Arc<Database>),
    ReadOnly(ReadOnlyDatabase),
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Writable(_) => "Writable",
            Self::ReadOnly(_) => "ReadOnly",
        })
    }
}

/// The writing thread; dropping it lets the thread write what waits, and waits for that.
#[derive(Debug)]
struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        let Some(thread) = self.thread.take() else { return };
        // An acknowledgement may hold the last handle of its journal: the thread cannot wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the journal's writing thread panicked");
        }
    }
}

fn write_until_closed(mut commits: Commits, queue: &Queue) {
    while let Some(group) = queue.take() {
        match guarded("commit records", || commits.write(&group)) {
            Ok(outcomes) => {
                queue.written(group.iter().map(Entry::bytes).sum());
                for (entry, outcome) in group.into_iter().zip(outcomes) {
                    acknowledge(entry, outcome);
                }
            }
            Err(failure) => {
                tracing::error!(%failure, "the journal takes no more records");
                let waiting = queue.fail(&failure);
                for entry in group.into_iter().chain(waiting) {
                    acknowledge(entry, Err(failure.clone()));
                }
            }
        }
    }
}

fn acknowledge(entry: Entry, outcome: Result<Sequence, JournalError>) {
    let told = panic::catch_unwind(AssertUnwindSafe(|| match entry {
        Entry::Append(append, _) => append.acknowledge.appended(outcome),
        Entry::Flush(flushed) => notify(flushed, outcome.map(|_| ())),
    }));
    if let Err(payload) = told {
        let panic = panic_text(&*payload);
        tracing::error!(panic, "an acknowledgement of the journal panicked");
    }
}

fn notify(flushed: oneshot::Sender<Result<(), JournalError>>, outcome: Result<(), JournalError>) {
    // Whoever stopped waiting needs no news.
    flushed.send(outcome).ok();
}

/// Writes groups of entries, a transaction each, and remembers where runs end.
struct Commits {
    database: Arc<Database>,
    tails: HashMap<RunId, Sequence>,
    count: Arc<AtomicU64>,
}

impl Commits {
    /// Writes and syncs a group; returns each entry's outcome, in order, once all would survive a crash.
    fn write(
        &mut self,
        group: &VecDeque<Entry>,
    ) -> Result<Vec<Result<Sequence, JournalError>>, JournalError> {
        let mut transaction = self.database.begin_write().map_err(failed("begin a commit"))?;
        transaction.set_durability(Durability::Immediate).map_err(failed("begin a commit"))?;
        let mut outcomes = Vec::with_capacity(group.len());
        let mut table = transaction.open_table(RECORDS).map_err(failed("open the records"))?;
        for entry in group {
            outcomes.push(match entry {
                Entry::Append(append, _) => self.insert(&mut table, append)?,
                Entry::Flush(_) => Ok(0),
            });
        }
        drop(table);
        if group
            .iter()
            .zip(&outcomes)
            .any(|(entry, outcome)| entry.has_records() && outcome.is_ok())
        {
            transaction.commit().map_err(failed("commit records"))?;
            self.count.fetch_add(1, Ordering::Relaxed);
        } else {
            transaction.abort().map_err(failed("end an empty commit"))?;
        }
        Ok(outcomes)
    }

    fn insert(
        &mut self,
        table: &mut Table<'_, Key, Value>,
        append: &Append,
    ) -> Result<Result<Sequence, JournalError>, JournalError> {
        let Append { run, expected, .. } = *append;
        let next = match self.tails.get(&run) {
            Some(next) => *next,
            None => next_position(table, run).map_err(failed("read the next position"))?,
        };
        if next != expected {
            return Ok(Err(JournalError::Conflict { run, expected, next }));
        }
        for (position, record) in (expected..).zip(&append.records) {
            table
                .insert(&key(run, position), record.as_slice())
                .map_err(failed("insert a record"))?;
        }
        if self.tails.len() >= JOURNAL_TAILS_MAX {
            // What is forgotten is looked up again.
            self.tails.clear();
        }
        self.tails.insert(run, append.next());
        Ok(Ok(append.next()))
    }
}

fn failed<E: Display>(operation: &'static str) -> impl Fn(E) -> JournalError {
    move |error| JournalError::Failed { operation, cause: error.to_string().into() }
}

/// Turns a panic of the store, which damaged files can cause, into an error.
fn guarded<T>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(failed(operation)(panic_text(&*payload))))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the store panicked").to_owned()
}
