//! A journal in memory: for tests, for simulation, and for runs that need not outlive their process.
//!
//! Durable means kept by this value: an append is acknowledged on the caller's stack.
//!
//! Limits: [`JOURNAL_MEMORY_BYTES_MAX`] unless told otherwise, and those of the port.

use std::{
    array,
    collections::HashMap,
    future,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use protocol::RunId;

use crate::{
    engine::{
        journal::{Append, Journal, JournalError, Sequence},
        local::page,
    },
    limits::{JOURNAL_MEMORY_BYTES_MAX, JOURNAL_RUNS_MAX},
};

/// Keeps the records of runs in memory, up to a number of bytes.
#[derive(Debug)]
pub struct MemoryJournal {
    shards: [Mutex<Shard>; SHARDS],
    bytes: AtomicUsize,
    bytes_max: usize,
}

const SHARDS: usize = 16;

/// Up to where a page is filled; a record larger than that has one of its own.
const MEMORY_PAGE_BYTES: usize = 64 << 10;

type Shard = HashMap<RunId, Stream>;

/// The records of one run, end to end: a record takes its bytes and no allocation of its own.
#[derive(Debug, Default)]
struct Stream {
    pages: Vec<Page>,
}

/// Some records in a row.
#[derive(Debug)]
struct Page {
    /// The position of the first.
    first: Sequence,
    /// Where each ends in `bytes`.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stream {
    fn next(&self) -> Sequence {
        self.pages.last().map_or(0, |page| page.first + page.ends.len() as Sequence)
    }

    fn push(&mut self, record: &[u8]) {
        let next = self.next();
        let room = |page: &&mut Page| page.bytes.len() + record.len() <= MEMORY_PAGE_BYTES;
        let page = match self.pages.last_mut().filter(room) {
            Some(page) => page,
            None => {
                // Most runs are small; one that has filled a page fills the next, without moving it as it grows.
                let bytes = if self.pages.is_empty() { 0 } else { MEMORY_PAGE_BYTES };
                let bytes = Vec::with_capacity(bytes.max(record.len()));
                self.pages.push_mut(Page { first: next, ends: Vec::new(), bytes })
            }
        };
        page.bytes.extend_from_slice(record);
        page.ends.push(page.bytes.len());
    }

    /// The records from a position on.
    fn from(&self, from: Sequence) -> impl Iterator<Item = &[u8]> {
        let at = self.pages.partition_point(|page| page.first <= from).saturating_sub(1);
        let pages = self.pages.iter().skip(at);
        let skipped = from.saturating_sub(self.pages.get(at).map_or(0, |page| page.first));
        pages.flat_map(Page::records).skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    }

    fn held_bytes(&self) -> usize {
        self.pages.iter().flat_map(Page::records).map(held_bytes).sum()
    }
}

impl Page {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

impl MemoryJournal {
    /// Makes an empty journal that holds [`JOURNAL_MEMORY_BYTES_MAX`] bytes.
    pub fn new() -> Self {
        Self::with_bytes_max(JOURNAL_MEMORY_BYTES_MAX)
    }

    /// Makes an empty journal that holds this many bytes of records, each counted with its handle.
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        let shards = array::from_fn(|_| Mutex::default());
        Self { shards, bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Forgets all records of `run` and returns whether there were any.
    pub fn forget(&self, run: RunId) -> bool {
        let forgotten = self.shard(run).lock().remove(&run);
        let bytes = forgotten.iter().map(Stream::held_bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        forgotten.is_some()
    }

    fn keep(&self, append: &Append) -> Result<Sequence, JournalError> {
        let bytes = append.checked_bytes()? + append.records.len() * RECORD_HANDLE_BYTES;
        let (run, expected) = (append.run, append.expected);
        let mut shard = self.shard(run).lock();
        let next = shard.get(&run).map_or(0, Stream::next);
        if next != expected {
            return Err(JournalError::Conflict { run, expected, next });
        }
        self.reserve(run, bytes)?;
        if !append.records.is_empty() {
            let kept = shard.entry(run).or_default();
            append.records.iter().for_each(|record| kept.push(record));
        }
        Ok(append.next())
    }

    fn reserve(&self, run: RunId, bytes: usize) -> Result<(), JournalError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(JournalError::Full { run, limit_bytes: self.bytes_max })
    }

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the array's length")]
    fn shard(&self, run: RunId) -> &Mutex<Shard> {
        &self.shards[(run.as_u128() % SHARDS as u128) as usize]
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, append: Append) {
        let outcome = self.keep(&append);
        append.acknowledge.appended(outcome);
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let shard = self.shard(run).lock();
        let records = shard.get(&run).into_iter().flat_map(|kept| kept.from(from));
        page(records.map(|record| Ok(record.to_vec())), limit)
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        Ok(self.shard(run).lock().get(&run).map_or(0, Stream::next))
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError> {
        let mut runs = Vec::new();
        for shard in &self.shards {
            runs.extend(shard.lock().keys().copied().filter(|run| Some(*run) > after));
        }
        runs.sort_unstable();
        runs.truncate(limit.min(JOURNAL_RUNS_MAX));
        Ok(runs)
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        future::ready(Ok(())).boxed()
    }
}

/// What a record takes beside its bytes.
const RECORD_HANDLE_BYTES: usize = size_of::<usize>();

fn held_bytes(record: &[u8]) -> usize {
    record.len() + RECORD_HANDLE_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::conformance::journal_conformance;

    const RUN: RunId = RunId::from_u128(1);

    #[test]
    fn conforms_to_the_port() {
        let opened = Mutex::new(HashMap::new());
        journal_conformance(|name| {
            let mut opened = opened.lock();
            let journal =
                opened.entry(name.to_owned()).or_insert_with(|| Arc::new(MemoryJournal::new()));
            let journal: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(journal);
            journal
        });
    }

    #[test]
    fn a_full_journal_refuses_and_takes_again_what_forgetting_frees() {
        let journal = MemoryJournal::with_bytes_max(2 * held_bytes(&[0; 10]));
        let append = |run, expected| {
            let (append, appended) = Append::awaited(run, expected, vec![vec![0; 10]]);
            journal.append(append);
            appended.now_or_never()
        };
        let full = JournalError::Full { run: RUN, limit_bytes: journal.bytes_max };
        assert_eq!(append(RUN, 0), Some(Ok(1)));
        assert_eq!(append(RunId::from_u128(2), 0), Some(Ok(1)));
        assert_eq!(append(RUN, 1), Some(Err(full)));
        assert!(journal.forget(RunId::from_u128(2)));
        assert!(!journal.forget(RunId::from_u128(2)));
        assert_eq!(append(RUN, 1), Some(Ok(2)));
    }

    #[test]
    fn records_of_many_pages_are_read_from_any_position() {
        let journal = MemoryJournal::new();
        let record = |at: usize| vec![at.to_le_bytes()[0]; MEMORY_PAGE_BYTES / 3 + at];
        for at in 0..20 {
            let (append, appended) = Append::awaited(RUN, at as Sequence, vec![record(at)]);
            journal.append(append);
            assert_eq!(appended.now_or_never(), Some(Ok(at as Sequence + 1)));
        }
        for from in 0..22 {
            let rest: Vec<_> = (from..20).map(record).collect();
            assert_eq!(journal.read(RUN, from as Sequence, 20), Ok(rest), "from {from}");
        }
    }

    #[test]
    fn a_refused_append_leaves_no_trace_of_its_run() {
        let journal = MemoryJournal::new();
        let (append, appended) = Append::awaited(RUN, 3, vec![vec![1]]);
        journal.append(append);
        assert!(matches!(
            appended.now_or_never(),
            Some(Err(JournalError::Conflict { next: 0, .. }))
        ));
        assert_eq!(journal.runs(None, 10), Ok(vec![]));
    }
}
