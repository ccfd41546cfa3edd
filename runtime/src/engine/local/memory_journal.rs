//! A journal in memory: for tests, for simulation, and for runs that need not outlive their process.
//!
//! Durable means kept by this value: an append is acknowledged on the caller's stack.
//!
//! Limits: [`JOURNAL_MEMORY_BYTES_MAX`] unless told otherwise, and those of the port.

use std::{
    array,
    collections::HashMap,
    future, mem,
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

type Shard = HashMap<RunId, Vec<Vec<u8>>>;

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
        let bytes = forgotten.iter().flatten().map(|record| held_bytes(record)).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        forgotten.is_some()
    }

    fn keep(&self, append: &mut Append) -> Result<Sequence, JournalError> {
        let bytes = append.checked_bytes()? + append.records.len() * size_of::<Vec<u8>>();
        let (run, expected, end) = (append.run, append.expected, append.next());
        let mut shard = self.shard(run).lock();
        let kept = shard.get_mut(&run);
        let next = length(kept.as_deref());
        if next != expected {
            return Err(JournalError::Conflict { run, expected, next });
        }
        self.reserve(run, bytes)?;
        if let Some(kept) = kept {
            kept.append(&mut append.records);
        } else if !append.records.is_empty() {
            shard.insert(run, mem::take(&mut append.records));
        }
        Ok(end)
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
    fn append(&self, mut append: Append) {
        let outcome = self.keep(&mut append);
        append.acknowledge.appended(outcome);
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let shard = self.shard(run).lock();
        page(shard.get(&run).into_iter().flatten().skip(from).cloned().map(Ok), limit)
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        Ok(length(self.shard(run).lock().get(&run)))
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

fn length(records: Option<&Vec<Vec<u8>>>) -> Sequence {
    records.map_or(0, |records| records.len() as Sequence)
}

fn held_bytes(record: &[u8]) -> usize {
    record.len() + size_of::<Vec<u8>>()
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
