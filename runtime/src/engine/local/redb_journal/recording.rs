//! A disk for tests: it keeps apart what was written and what was synced, can lose the difference, stall and fail.

use std::{io, mem, ops::Bound, sync::Arc};

use parking_lot::{Condvar, Mutex};
use redb::{BackendError, StorageBackend};

use crate::{
    clock::{Random, SeededRandom},
    engine::journal::{Acknowledge, JournalError, Sequence},
};

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// The disk; clones are handles of the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordingDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What reads see.
    written: Vec<u8>,
    /// What surely survives a crash.
    synced: Vec<u8>,
    /// What lies between the two, in order.
    pending: Vec<Change>,
    syncs: usize,
    accepted: Sequence,
    acknowledged: Sequence,
    crashes: Option<(SeededRandom, Vec<Crash>)>,
    sync_stalled: bool,
    stall_syncs: bool,
    failing: bool,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

/// What a crash at one instant left, and what had been promised by then.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) image: Vec<u8>,
    pub(super) accepted: Sequence,
    pub(super) acknowledged: Sequence,
}

impl RecordingDisk {
    pub(super) fn of_image(image: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.change(|state| (state.written, state.synced) = (image.clone(), image));
        disk
    }

    /// From now on, imagines a crash after every write, sync and acknowledgement.
    pub(super) fn crash_at_every_step(&self, seed: u64) {
        self.change(|state| state.crashes = Some((SeededRandom::new(seed), Vec::new())));
    }

    pub(super) fn take_crashes(&self) -> Vec<Crash> {
        let crashes = self.0.state.lock().crashes.take();
        crashes.map(|(_, crashes)| crashes).unwrap_or_default()
    }

    /// Notes that records up to `next` were handed over for writing.
    pub(super) fn accept(&self, next: Sequence) {
        self.change(|state| state.accepted = next);
    }

    pub(super) fn syncs(&self) -> usize {
        self.0.state.lock().syncs
    }

    pub(super) fn stall_syncs(&self, stall: bool) {
        self.change(|state| state.stall_syncs = stall);
    }

    /// Waits until a sync is stalled.
    pub(super) fn wait_for_stalled_sync(&self) {
        let mut state = self.0.state.lock();
        self.0.changed.wait_while(&mut state, |state| !state.sync_stalled);
    }

    /// From now on, every write and sync fails.
    pub(super) fn fail(&self) {
        self.change(|state| state.failing = true);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.0.state.lock());
        self.0.changed.notify_all();
        changed
    }

    fn attempt(&self, attempt: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.failing {
            return Err(io::Error::other("the disk is on fire"));
        }
        attempt(&mut state);
        state.imagine_crash();
        Ok(())
    }
}

impl State {
    fn imagine_crash(&mut self) {
        let Some((dice, mut crashes)) = mem::take(&mut self.crashes) else { return };
        let image = self.survivor(&dice);
        let (accepted, acknowledged) = (self.accepted, self.acknowledged);
        crashes.push(Crash { image, accepted, acknowledged });
        self.crashes = Some((dice, crashes));
    }

    /// What was synced, and of the rest the sectors that the dice spare.
    fn survivor(&self, dice: &SeededRandom) -> Vec<u8> {
        let mut image = self.synced.clone();
        let spared_of_4 = dice.below(5);
        for change in &self.pending {
            match change {
                Change::Resize(bytes) => image.resize(*bytes, 0),
                Change::Write(at, data) => {
                    for (sector, data) in data.chunks(SECTOR_BYTES).enumerate() {
                        if dice.below(4) < spared_of_4 {
                            write(&mut image, at + sector * SECTOR_BYTES, data);
                        }
                    }
                }
            }
        }
        image
    }
}

fn write(image: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(data);
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for RecordingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state.lock().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state.lock();
        let found = state.written.get(index(offset)..index(offset) + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.attempt(|state| {
            state.written.resize(index(len), 0);
            state.pending.push(Change::Resize(index(len)));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        while state.stall_syncs {
            state.sync_stalled = true;
            self.0.changed.notify_all();
            self.0.changed.wait(&mut state);
        }
        state.sync_stalled = false;
        drop(state);
        self.attempt(|state| {
            state.synced.clone_from(&state.written);
            state.pending.clear();
            state.syncs += 1;
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.attempt(|state| {
            write(&mut state.written, index(offset), data);
            state.pending.push(Change::Write(index(offset), data.to_vec()));
        })
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

impl Acknowledge for RecordingDisk {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        self.change(|state| {
            state.acknowledged = outcome.unwrap();
            state.imagine_crash();
        });
    }
}
