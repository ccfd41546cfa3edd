//! The `Journal` port: append the records of one run at an expected position, read them back.
//!
//! The kernel appends an actor's records and holds the actor's effects back until they are acknowledged; recovery and
//! `show` read. Embedded engines are in [`local`](crate::engine::local), the suite that all pass in
//! [`conformance`](crate::engine::conformance).
//!
//! # Invariants
//! - Every append is acknowledged exactly once, and with success only after its records would survive a crash.
//! - The records of one run lie at positions 0, 1, 2, … without gaps, in the order in which they were accepted.
//! - An append is kept whole or not at all, and only at the run's next position. So two writers of one run cannot
//!   both succeed, and appends queued behind a failed one fail too.
//!
//! Limits: [`JOURNAL_RECORD_BYTES_MAX`], [`JOURNAL_APPEND_RECORDS_MAX`], [`JOURNAL_APPEND_BYTES_MAX`],
//! [`JOURNAL_READ_RECORDS_MAX`], [`JOURNAL_READ_BYTES_MAX`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::{Code, Refusal, Retry, RunId};
use tokio::sync::oneshot;

#[cfg(doc)]
use crate::limits::JOURNAL_READ_BYTES_MAX;
use crate::limits::{
    JOURNAL_APPEND_BYTES_MAX, JOURNAL_APPEND_RECORDS_MAX, JOURNAL_READ_RECORDS_MAX,
    JOURNAL_RECORD_BYTES_MAX,
};

/// A position in one run's stream of records: the first is 0.
pub type Sequence = u64;

/// Keeps the records of runs.
pub trait Journal: Send + Sync + 'static {
    /// Accepts records without waiting; the outcome comes through `append.acknowledge`, possibly before this returns.
    ///
    /// Appends of one run may follow each other without waiting for acknowledgements: each expects the position
    /// after the one before it. Those of one run that succeed are acknowledged in their order; a refusal may overtake them.
    /// An append without records is acknowledged when all of its run's before it are.
    fn append(&self, append: Append);

    /// Reads up to `limit` acknowledged records of `run`, the first at position `from`.
    ///
    /// A page may be shorter than asked for; an empty one, for a limit above 0, is the end. An unknown run is empty.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when the store cannot be read.
    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError>;

    /// Tells the position after the last acknowledged record of `run`; 0 for an unknown run.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when the store cannot be read.
    fn next(&self, run: RunId) -> Result<Sequence, JournalError>;

    /// Lists up to `limit` runs that have records, by ascending id, beginning behind `after`.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when the store cannot be read.
    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError>;

    /// Waits until every append accepted before this call is acknowledged.
    ///
    /// The future fails with [`JournalError::Failed`] when the store has failed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; the appends go on.
    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>>;
}

/// The records of a run from the first on, read a page at a time.
pub struct Records<'a> {
    journal: &'a dyn Journal,
    run: RunId,
    next: Sequence,
    page: vec::IntoIter<Vec<u8>>,
    is_over: bool,
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, next, is_over, .. } = self;
        write!(out, "Records(of {run}, read up to {next}, over: {is_over})")
    }
}

/// Reads the records of a run, as far as there are any when the last page is read; after an error there are no more.
pub fn records(journal: &dyn Journal, run: RunId) -> Records<'_> {
    Records { journal, run, next: 0, page: Vec::new().into_iter(), is_over: false }
}

impl Iterator for Records<'_> {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_over {
            match self.journal.read(self.run, self.next, JOURNAL_READ_RECORDS_MAX) {
                Ok(page) => {
                    self.next += page.len() as Sequence;
                    (self.is_over, self.page) = (page.is_empty(), page.into_iter());
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

/// Some records of one run and the position at which the writer believes to be.
pub struct Append {
    /// The run to which the records belong.
    pub run: RunId,
    /// The position that the first record is to take.
    pub expected: Sequence,
    /// The records, oldest first.
    pub records: Vec<Vec<u8>>,
    /// Who is told the outcome.
    pub acknowledge: Arc<dyn Acknowledge>,
}

impl Append {
    /// Makes an append whose outcome can be awaited.
    pub fn awaited(run: RunId, expected: Sequence, records: Vec<Vec<u8>>) -> (Self, Appended) {
        let (sender, receiver) = oneshot::channel();
        let acknowledge = Arc::new(Awaited(Mutex::new(Some(sender))));
        (Self { run, expected, records, acknowledge }, Appended(receiver))
    }

    /// Adds up the records' bytes.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] when one record, their number or their sum is over its limit.
    pub fn checked_bytes(&self) -> Result<usize, JournalError> {
        let run = self.run;
        let within = |what, size, limit| {
            if size <= limit {
                Ok(size)
            } else {
                Err(JournalError::TooLarge { run, what, size, limit })
            }
        };
        within("records in one append", self.records.len(), JOURNAL_APPEND_RECORDS_MAX)?;
        let mut bytes = 0;
        for record in &self.records {
            bytes += within("bytes in one record", record.len(), JOURNAL_RECORD_BYTES_MAX)?;
        }
        within("bytes in one append", bytes, JOURNAL_APPEND_BYTES_MAX)
    }

    /// Tells the position after the last record.
    pub fn next(&self) -> Sequence {
        self.expected.saturating_add(u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Append {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Append")
            .field("run", &self.run)
            .field("expected", &self.expected)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// Hears how an append ended.
pub trait Acknowledge: Send + Sync {
    /// Takes the run's next position once the records are durable, or why they were not kept.
    ///
    /// Called exactly once an append, on the caller's stack or on the journal's thread: it must not wait.
    fn appended(&self, outcome: Result<Sequence, JournalError>);
}

/// The outcome of an awaited append: the run's next position.
///
/// # Cancel safety
/// Dropping it loses only the news; the append goes on.
#[derive(Debug)]
pub struct Appended(oneshot::Receiver<Result<Sequence, JournalError>>);

impl Future for Appended {
    type Output = Result<Sequence, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|heard| heard.unwrap_or(Err(JournalError::Closed)))
    }
}

struct Awaited(Mutex<Option<oneshot::Sender<Result<Sequence, JournalError>>>>);

impl Acknowledge for Awaited {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        let sender = self.0.lock().take();
        if let Some(sender) = sender {
            // Nobody listens any more: the news has no other reader.
            sender.send(outcome).ok();
        }
    }
}

/// Tells why records were not kept or could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The run's next position is another one: a second writer, or a failed append before this one.
    #[error(
        "append to run {run} at position {expected}: its next position is {next}; another writer has the run, \
         or an append before this one failed; read the run again before writing"
    )]
    Conflict {
        /// The run.
        run: RunId,
        /// The position at which the writer believed to be.
        expected: Sequence,
        /// The position at which the run is.
        next: Sequence,
    },
    /// A record, their number or their sum is over its limit.
    #[error("append to run {run}: {size} {what}, the limit is {limit}; split it")]
    TooLarge {
        /// The run.
        run: RunId,
        /// What was counted.
        what: &'static str,
        /// How many there are.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The queue before the disk is at its limit.
    #[error(
        "append to run {run}: {queued_bytes} bytes wait for the disk; retry when they are written"
    )]
    Overloaded {
        /// The run.
        run: RunId,
        /// The bytes that wait.
        queued_bytes: usize,
    },
    /// The store may not grow any further.
    #[error(
        "append to run {run}: the journal holds its limit of {limit_bytes} bytes; keep it on disk instead"
    )]
    Full {
        /// The run.
        run: RunId,
        /// The bytes that the store may hold.
        limit_bytes: usize,
    },
    /// The journal was opened for reading.
    #[error("append to run {run}: the journal is open for reading only")]
    ReadOnly {
        /// The run.
        run: RunId,
    },
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
    /// The store failed; what it had not acknowledged may or may not be kept, and it takes no more.
    #[error("{operation}: {cause}; reopen the journal to see what it kept")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// The store's own words.
        cause: Arc<str>,
    },
}

impl JournalError {
    /// Tells what the caller should do next.
    pub fn retry(&self) -> Retry {
        Refusal::from(self).retry()
    }
}

impl From<&JournalError> for Refusal {
    fn from(error: &JournalError) -> Self {
        let code = match error {
            JournalError::Conflict { .. } => Code::Stale,
            JournalError::TooLarge { .. } => Code::TooLarge,
            JournalError::Overloaded { .. } => Code::Overloaded,
            JournalError::Full { .. } | JournalError::Failed { .. } => Code::Unavailable,
            JournalError::ReadOnly { .. } => Code::NotSupported,
            JournalError::Closed => Code::Stopping,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId::from_u128(7);

    #[test]
    fn an_append_over_a_limit_is_told_which() {
        let weigh = |records| Append::awaited(RUN, 0, records).0.checked_bytes();
        assert_eq!(weigh(vec![vec![0; 3], vec![0; 4]]), Ok(7));
        let too_large =
            |what, size, limit| Err(JournalError::TooLarge { run: RUN, what, size, limit });
        let long = JOURNAL_RECORD_BYTES_MAX + 1;
        assert_eq!(
            weigh(vec![vec![0; long]]),
            too_large("bytes in one record", long, JOURNAL_RECORD_BYTES_MAX)
        );
        let many = JOURNAL_APPEND_RECORDS_MAX + 1;
        assert_eq!(
            weigh(vec![vec![]; many]),
            too_large("records in one append", many, JOURNAL_APPEND_RECORDS_MAX)
        );
        let heavy = JOURNAL_APPEND_BYTES_MAX / JOURNAL_RECORD_BYTES_MAX + 1;
        assert_eq!(
            weigh(vec![vec![0; JOURNAL_RECORD_BYTES_MAX]; heavy]),
            too_large(
                "bytes in one append",
                heavy * JOURNAL_RECORD_BYTES_MAX,
                JOURNAL_APPEND_BYTES_MAX
            )
        );
    }

    #[tokio::test]
    async fn an_awaited_append_hears_its_outcome_or_that_the_journal_is_gone() {
        let (append, appended) = Append::awaited(RUN, 4, vec![vec![1]]);
        assert_eq!(append.next(), 5);
        append.acknowledge.appended(Ok(append.next()));
        assert_eq!(appended.await, Ok(5));
        let (append, appended) = Append::awaited(RUN, 0, vec![]);
        drop(append);
        assert_eq!(appended.await, Err(JournalError::Closed));
    }

    #[test]
    fn every_error_says_what_to_do_next() {
        let failed = JournalError::Failed { operation: "commit", cause: "no space left".into() };
        assert_eq!(failed.retry(), Retry::Elsewhere);
        assert!(matches!(
            JournalError::Overloaded { run: RUN, queued_bytes: 1 }.retry(),
            Retry::After(_)
        ));
        assert_eq!(JournalError::Conflict { run: RUN, expected: 1, next: 2 }.retry(), Retry::Never);
    }
}
