//! A simulated disk: what is written is not yet durable, and a crash in between loses it.
//!
//! Each node of a world has one, which outlives the node's lives; a life writes through a [`DiskJournal`].
//!
//! # Invariants
//! - An append is acknowledged after a sync that began when it was written.
//! - When the process dies, what was written is kept, acknowledged or not; when the power fails, a prefix of what was not
//!   synced is kept, in the order of writing. What was acknowledged is kept either way.
//! - A journal of an earlier life writes and reads nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use protocol::RunId;
use tokio::sync::oneshot;

use crate::{
    engine::{
        journal::{Acknowledge, Append, Journal, JournalError, Sequence},
        local::page,
    },
    limits::JOURNAL_RUNS_MAX,
};

/// One node's disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

#[derive(Default)]
struct Platter {
    epoch: u64,
    runs: BTreeMap<RunId, Stream>,
    unsynced: VecDeque<Unsynced>,
    waiting: Vec<oneshot::Sender<Result<(), JournalError>>>,
    /// A sync is on its way.
    syncing: bool,
    lost: u64,
}

#[derive(Default)]
struct Stream {
    records: Vec<Vec<u8>>,
    durable: usize,
}

struct Unsynced {
    run: RunId,
    next: Sequence,
    acknowledge: Arc<dyn Acknowledge>,
}

/// How a disk is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The process died: what was written stays.
    Nothing,
    /// The power failed: of the appends not yet synced, only the first so many stay.
    AllBut(usize),
}

impl Disk {
    /// Opens the disk's journal for a new life; `schedule` sees to it that [`sync`](Self::sync) is called some time later.
    pub(crate) fn open(&self, schedule: impl Fn() + Send + Sync + 'static) -> DiskJournal {
        let mut platter = self.0.lock();
        platter.epoch += 1;
        platter.syncing = false;
        DiskJournal { epoch: platter.epoch, disk: self.clone(), schedule: Box::new(schedule) }
    }

    /// Makes everything durable that was written, and acknowledges it.
    pub(crate) fn sync(&self) {
        let (synced, waiting) = {
            let mut platter = self.0.lock();
            platter.syncing = false;
            let synced = mem::take(&mut platter.unsynced);
            for append in &synced {
                if let Some(stream) = platter.runs.get_mut(&append.run) {
                    stream.durable = stream.durable.max(position(append.next));
                }
            }
            (synced, mem::take(&mut platter.waiting))
        };
        for append in synced {
            append.acknowledge.appended(Ok(append.next));
        }
        for flush in waiting {
            // Nobody waits for the flush any more.
            flush.send(Ok(())).ok();
        }
    }

    /// How many appends are written and not synced.
    pub(crate) fn unsynced(&self) -> usize {
        self.0.lock().unsynced.len()
    }

    /// Ends the present life of the disk's journal.
    pub(crate) fn crash(&self, loss: Loss) {
        let gone = {
            let mut platter = self.0.lock();
            platter.epoch += 1;
            let unsynced = mem::take(&mut platter.unsynced);
            if let Loss::AllBut(kept) = loss {
                platter.lost += unsynced.len().saturating_sub(kept) as u64;
                for append in unsynced.iter().take(kept) {
                    if let Some(stream) = platter.runs.get_mut(&append.run) {
                        stream.durable = stream.durable.max(position(append.next));
                    }
                }
                platter
                    .runs
                    .values_mut()
                    .for_each(|stream| stream.records.truncate(stream.durable));
                platter.runs.retain(|_, stream| !stream.records.is_empty());
            }
            platter.runs.values_mut().for_each(|stream| stream.durable = stream.records.len());
            (unsynced, mem::take(&mut platter.waiting))
        };
        drop(gone);
    }

    /// How many appends were lost with the power.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

/// A life's view of its disk.
pub(crate) struct DiskJournal {
    disk: Disk,
    epoch: u64,
    schedule: Box<dyn Fn() + Send + Sync>,
}

impl DiskJournal {
    fn write(&self, append: Append) -> Result<bool, (Arc<dyn Acknowledge>, JournalError)> {
        if let Err(error) = append.checked_bytes() {
            return Err((append.acknowledge, error));
        }
        let mut platter = self.disk.0.lock();
        if platter.epoch != self.epoch {
            return Err((append.acknowledge, JournalError::Closed));
        }
        let next_after = append.next();
        let Append { run, expected, records, acknowledge } = append;
        let next = platter.runs.get(&run).map_or(0, |stream| stream.records.len()) as Sequence;
        if next != expected {
            return Err((acknowledge, JournalError::Conflict { run, expected, next }));
        }
        if !records.is_empty() {
            platter.runs.entry(run).or_default().records.extend(records);
        }
        platter.unsynced.push_back(Unsynced { run, next: next_after, acknowledge });
        Ok(!mem::replace(&mut platter.syncing, true))
    }

    /// Reads what is durable.
    fn of<T>(&self, read: impl FnOnce(&BTreeMap<RunId, Stream>) -> T) -> Result<T, JournalError> {
        let platter = self.disk.0.lock();
        if platter.epoch == self.epoch {
            Ok(read(&platter.runs))
        } else {
            Err(JournalError::Closed)
        }
    }
}

impl Journal for DiskJournal {
    fn append(&self, append: Append) {
        match self.write(append) {
            Ok(true) => (self.schedule)(),
            Ok(false) => {}
            Err((acknowledge, error)) => acknowledge.appended(Err(error)),
        }
    }

    fn read(&self, run: RunId, from: Sequence, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.of(|runs| {
            let durable = runs.get(&run).into_iter();
            let durable = durable.flat_map(|stream| stream.records.iter().take(stream.durable));
            page(durable.skip(position(from)).cloned().map(Ok), limit)
        })?
    }

    fn next(&self, run: RunId) -> Result<Sequence, JournalError> {
        self.of(|runs| runs.get(&run).map_or(0, |stream| stream.durable) as Sequence)
    }

    fn runs(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, JournalError> {
        self.of(|runs| {
            let durable = runs.iter().filter(|(_, stream)| stream.durable > 0);
            let behind = durable.map(|(run, _)| *run).filter(|run| Some(*run) > after);
            behind.take(limit.min(JOURNAL_RUNS_MAX)).collect()
        })
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        let mut platter = self.disk.0.lock();
        if platter.epoch != self.epoch {
            return std::future::ready(Err(JournalError::Closed)).boxed();
        }
        if platter.unsynced.is_empty() {
            return std::future::ready(Ok(())).boxed();
        }
        let (done, flushed) = oneshot::channel();
        platter.waiting.push(done);
        async move { flushed.await.unwrap_or(Err(JournalError::Closed)) }.boxed()
    }
}

fn position(sequence: Sequence) -> usize {
    usize::try_from(sequence).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::engine::conformance::journal_conformance;

    const RUN: RunId = RunId::from_u128(1);

    fn append(journal: &DiskJournal, expected: Sequence) -> crate::engine::journal::Appended {
        let record = vec![u8::try_from(expected).unwrap()];
        let (append, appended) = Append::awaited(RUN, expected, vec![record]);
        journal.append(append);
        appended
    }

    #[test]
    fn conforms_to_the_port() {
        let disks: Mutex<HashMap<String, Disk>> = Mutex::default();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let all: Vec<Disk> = disks.lock().values().cloned().collect();
                    all.iter().for_each(Disk::sync);
                    thread::yield_now();
                }
            });
            let suite = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                journal_conformance(|name| {
                    let disk = disks.lock().entry(name.to_owned()).or_default().clone();
                    Arc::new(disk.open(|| {}))
                });
            }));
            done.store(true, Ordering::Release);
            suite.unwrap();
        });
    }

    #[test]
    fn a_power_failure_keeps_what_was_synced_and_a_prefix_of_what_was_written() {
        let disk = Disk::default();
        let journal = disk.open(|| {});
        let mut first = append(&journal, 0);
        assert_eq!((&mut first).now_or_never(), None, "written is not durable");
        assert_eq!(journal.next(RUN), Ok(0));
        disk.sync();
        assert_eq!(first.now_or_never(), Some(Ok(1)));
        let unsynced = [append(&journal, 1), append(&journal, 2), append(&journal, 3)];
        disk.crash(Loss::AllBut(1));
        for appended in unsynced {
            assert_eq!(appended.now_or_never(), Some(Err(JournalError::Closed)));
        }
        assert_eq!(journal.next(RUN), Err(JournalError::Closed), "an earlier life reads nothing");
        let again = disk.open(|| {});
        assert_eq!(again.read(RUN, 0, 9), Ok(vec![vec![0], vec![1]]));
        assert_eq!(disk.lost(), 2);
    }

    #[test]
    fn a_dead_process_leaves_what_it_had_written() {
        let disk = Disk::default();
        let journal = disk.open(|| {});
        drop([append(&journal, 0), append(&journal, 1)]);
        disk.crash(Loss::Nothing);
        assert_eq!(append(&journal, 2).now_or_never(), Some(Err(JournalError::Closed)));
        assert_eq!(disk.open(|| {}).read(RUN, 0, 9), Ok(vec![vec![0], vec![1]]));
    }
}
