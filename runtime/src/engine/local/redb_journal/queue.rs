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

#[cfg(test)]
mod tests {
    use protocol::RunId;

    use super::*;
    use crate::{engine::journal::Appended, limits::JOURNAL_RECORD_BYTES_MAX};

    const RUN: RunId = RunId::from_u128(1);

    fn push(queue: &Queue, bytes: usize) -> Result<Appended, JournalError> {
        let (append, appended) = Append::awaited(RUN, 0, vec![vec![0; bytes]]);
        queue.push(append).map(|()| appended).map_err(|(_, error)| error)
    }

    #[test]
    fn too_many_bytes_are_refused_until_some_are_written() {
        let queue = Queue::default();
        let fitting = JOURNAL_QUEUE_BYTES_MAX / JOURNAL_RECORD_BYTES_MAX;
        for _ in 0..fitting {
            push(&queue, JOURNAL_RECORD_BYTES_MAX).unwrap();
        }
        let full = JournalError::Overloaded { run: RUN, queued_bytes: JOURNAL_QUEUE_BYTES_MAX };
        assert_eq!(push(&queue, 1).unwrap_err(), full);
        let group = queue.take().unwrap();
        assert_eq!(group.len(), JOURNAL_COMMIT_BYTES_MAX / JOURNAL_RECORD_BYTES_MAX);
        assert_eq!(push(&queue, 1).unwrap_err(), full, "what is being written still takes room");
        queue.written(group.iter().map(Entry::bytes).sum());
        push(&queue, JOURNAL_RECORD_BYTES_MAX).unwrap();
    }

    #[test]
    fn too_many_appends_are_refused_until_some_are_written() {
        let queue = Queue::default();
        for _ in 0..JOURNAL_QUEUE_APPENDS_MAX {
            push(&queue, 0).unwrap();
        }
        assert!(matches!(push(&queue, 0), Err(JournalError::Overloaded { queued_bytes: 0, .. })));
        assert_eq!(queue.take().unwrap().len(), JOURNAL_QUEUE_APPENDS_MAX);
        queue.written(0);
        push(&queue, 0).unwrap();
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::default();
        push(&queue, 1).unwrap();
        queue.close();
        assert_eq!(queue.take().unwrap().len(), 1);
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_failed_queue_hands_over_what_waits_and_refuses_the_rest() {
        let queue = Queue::default();
        push(&queue, 1).unwrap();
        let failure = JournalError::Failed { operation: "commit", cause: "no space left".into() };
        assert_eq!(queue.fail(&failure).len(), 1);
        assert_eq!(push(&queue, 1).unwrap_err(), failure);
        let (sender, mut flushed) = oneshot::channel();
        queue.push_flush(sender);
        assert_eq!(flushed.try_recv(), Ok(Err(failure)));
    }
}
