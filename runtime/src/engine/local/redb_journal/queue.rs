//! What waits for the disk: bounded, filled by everyone, emptied by the writing thread in groups.

use std::{collections::VecDeque, mem};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{
    engine::journal::{Append, JournalError},
    limits::{JOURNAL_COMMIT_BYTES_MAX, JOURNAL_QUEUE_APPENDS_MAX, JOURNAL_QUEUE_BYTES_MAX},
};

/// The bounded queue before the disk.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

/// One thing for the writing thread to do.
#[derive(Debug)]
pub(super) enum Entry {
    /// Write these records, this many bytes.
    Append(Append, usize),
    /// Tell when everything before this is acknowledged.
    Flush(oneshot::Sender<Result<(), JournalError>>),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// The bytes that wait or are being written.
    bytes: usize,
    /// The entries that are being written.
    writing: usize,
    writer_sleeps: bool,
    closed: bool,
    failure: Option<JournalError>,
}

impl Queue {
    /// Accepts an append, or hands it back with the reason why not.
    pub(super) fn push(&self, append: Append) -> Result<(), (Append, JournalError)> {
        let bytes = match append.checked_bytes() {
            Ok(bytes) => bytes,
            Err(error) => return Err((append, error)),
        };
        let mut state = self.state.lock();
        if let Err(error) = state.admit(&append, bytes) {
            return Err((append, error));
        }
        state.bytes += bytes;
        self.enqueue(&mut state, Entry::Append(append, bytes));
        Ok(())
    }

    /// Queues the wish to know when everything before it is acknowledged.
    pub(super) fn push_flush(&self, flushed: oneshot::Sender<Result<(), JournalError>>) {
        let mut state = self.state.lock();
        match state.failure.clone() {
            Some(failure) => super::notify(flushed, Err(failure)),
            None => self.enqueue(&mut state, Entry::Flush(flushed)),
        }
    }

    /// Waits for the next group of entries, in order; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<VecDeque<Entry>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state.writer_sleeps = true;
            self.filled.wait(&mut state);
            state.writer_sleeps = false;
        }
        let group = state.split_group();
        state.writing = group.len();
        Some(group)
    }

    /// Frees the room of a group that was written.
    pub(super) fn written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.writing = 0;
    }

    /// Refuses everything from now on for this reason, and hands over what waits.
    pub(super) fn fail(&self, failure: &JournalError) -> VecDeque<Entry> {
        let mut state = self.state.lock();
        state.failure = Some(failure.clone());
        mem::take(&mut state.waiting)
    }

    /// Lets the writing thread end once it has written what waits.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    fn enqueue(&self, state: &mut State, entry: Entry) {
        state.waiting.push_back(entry);
        if state.writer_sleeps {
            self.filled.notify_one();
        }
    }
}

impl State {
    fn admit(&self, append: &Append, bytes: usize) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let entries = self.waiting.len() + self.writing;
        if entries >= JOURNAL_QUEUE_APPENDS_MAX || self.bytes + bytes > JOURNAL_QUEUE_BYTES_MAX {
            let error = JournalError::Overloaded { run: append.run, queued_bytes: self.bytes };
            return Err(error);
        }
        Ok(())
    }

    /// Takes entries from the front until their bytes fill a commit.
    fn split_group(&mut self) -> VecDeque<Entry> {
        if self.bytes <= JOURNAL_COMMIT_BYTES_MAX {
            return mem::take(&mut self.waiting);
        }
        let mut bytes = 0;
        let full = self.waiting.iter().position(|entry| {
            bytes += entry.bytes();
            bytes > JOURNAL_COMMIT_BYTES_MAX
        });
        let rest = self.waiting.split_off(full.unwrap_or(self.waiting.len()).max(1));
        mem::replace(&mut self.waiting, rest)
    }
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(_, bytes) => *bytes,
            Self::Flush(_) => 0,
        }
    }

    pub(super) fn has_records(&self) -> bool {
        matches!(self, Self::Append(append, _) if !append.records.is_empty())
    }
}
