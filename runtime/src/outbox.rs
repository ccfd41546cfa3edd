//! The outbox: performs an actor's effects in step order, none before the records ahead of it are durable.
//!
//! Owned by one incarnation's [`Stage`](crate::stage::Stage); calls the journal port and the targets of sends.
//!
//! # Invariants
//! - Effects leave in the order in which they were recorded.
//! - An effect leaves only after every record ahead of it was acknowledged.
//! - A call is told that its step is over when every effect of the step has left: only then may it be an edge, since an answer
//!   that is still held back could free others.
//! - At most [`OUTBOX_EFFECTS_MAX`] effects wait before the actor takes no more data (a last step may exceed it).

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;
use protocol::RunId;

use crate::{
    address::Placed,
    ask::AskError,
    belongings::{Belongings, Cancel},
    engine::journal::{Acknowledge, Append, JournalError, Sequence},
    kernel::Kernel,
    limits::{JOURNAL_APPEND_BYTES_MAX, JOURNAL_APPEND_RECORDS_MAX, OUTBOX_EFFECTS_MAX},
    waits::{Waiter, Waits},
};

/// Sends something and returns its place where it has to stand in line.
pub(crate) type Sending = Box<dyn FnOnce(&Kernel) -> Option<Box<dyn Placed>> + Send>;

/// One effect of a step.
pub(crate) enum Effect {
    /// A message on its way.
    Send(Sending),
    /// Anything that is done at once.
    Act(Box<dyn FnOnce(&mut Belongings) + Send>),
    /// A record for the journal.
    Record(Vec<u8>),
    /// From here to its answer the actor serves nothing else; with the incarnation the call ends too.
    Call(Arc<dyn Cancel>),
}

/// Effects that wait, and the journal they wait for.
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    in_line: Option<Box<dyn Placed>>,
    /// Whether its owner waits until everything has left.
    leaving: bool,
    waker: Waker,
    /// Boxed, since few actors record.
    stream: Option<Box<Stream>>,
}

enum Queued {
    Effect(Effect),
    Until(Sequence),
    /// The calls of the step before.
    Calls(Vec<Arc<dyn Cancel>>),
}

/// The actor's place in its run's journal.
struct Stream {
    run: RunId,
    next: Sequence,
    unsent: Vec<Vec<u8>>,
    unsent_bytes: usize,
    durable: Arc<Durable>,
}

/// How far the stream is durable; written by the journal.
struct Durable {
    next: AtomicU64,
    failed: Mutex<Option<JournalError>>,
    waker: Waker,
}

impl Acknowledge for Durable {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        match outcome {
            Ok(next) => self.next.store(next, Ordering::Release),
            Err(error) => {
                self.failed.lock().get_or_insert(error);
            }
        }
        self.waker.wake_by_ref();
    }
}

impl Outbox {
    /// An outbox whose actor is woken by `waker`; it may record if it has a stream.
    pub(crate) fn new(waker: Waker, stream: Option<(RunId, Sequence)>) -> Self {
        let stream = stream.map(|(run, next)| {
            Box::new(Stream {
                run,
                next,
                unsent: Vec::new(),
                unsent_bytes: 0,
                durable: Arc::new(Durable {
                    next: AtomicU64::new(next),
                    failed: Mutex::new(None),
                    waker: waker.clone(),
                }),
            })
        });
        Self { queue: VecDeque::new(), in_line: None, leaving: false, waker, stream }
    }

    /// Takes the effects of one step and performs what may be performed now.
    pub(crate) fn commit(
        &mut self,
        kernel: &Kernel,
        effects: &mut Vec<Effect>,
        belongings: &mut Belongings,
    ) {
        let mut calls = Vec::new();
        for effect in effects.drain(..) {
            let free = self.is_empty();
            match (effect, &mut self.stream) {
                (Effect::Call(call), _) => {
                    belongings.keep_wait(&call);
                    calls.push(call);
                }
                (Effect::Record(bytes), Some(stream)) => {
                    let until = stream.keep(kernel, bytes);
                    self.queue.push_back(Queued::Until(until));
                }
                (effect, _) if free => {
                    self.in_line = perform(kernel, effect, belongings);
                }
                (effect, _) => self.queue.push_back(Queued::Effect(effect)),
            }
        }
        // What stands in line may be the question itself; nothing is held back by it.
        if self.queue.is_empty() {
            calls.iter().for_each(|call| call.step_is_over());
        } else if !calls.is_empty() {
            self.queue.push_back(Queued::Calls(calls));
        }
    }

    /// Sends the records of the last steps to the journal and performs what their durability allows.
    ///
    /// # Errors
    /// What the journal refused.
    pub(crate) fn flush(
        &mut self,
        kernel: &Kernel,
        belongings: &mut Belongings,
    ) -> Result<(), JournalError> {
        let (mut durable, mut failed) = (0, None);
        if let Some(stream) = &mut self.stream {
            stream.flush(kernel);
            durable = stream.durable.next.load(Ordering::Acquire);
            failed = stream.durable.failed.lock().clone();
        }
        self.pump(kernel, belongings, durable);
        failed.map_or(Ok(()), Err)
    }

    /// Performs, in order, what stands before the first record that is not durable.
    fn pump(&mut self, kernel: &Kernel, belongings: &mut Belongings, durable: Sequence) {
        loop {
            if let Some(placed) = &self.in_line {
                // Nobody is woken for a message that nothing stands behind.
                let quiet = self.queue.is_empty() && !self.leaving;
                if !placed.is_settled(&self.waker, quiet) {
                    return;
                }
                self.in_line = None;
            }
            match self.queue.pop_front() {
                None => return,
                Some(Queued::Until(until)) if until > durable => {
                    self.queue.push_front(Queued::Until(until));
                    return;
                }
                Some(Queued::Until(_)) => {}
                Some(Queued::Calls(calls)) => calls.iter().for_each(|call| call.step_is_over()),
                Some(Queued::Effect(effect)) => self.in_line = perform(kernel, effect, belongings),
            }
        }
    }

    /// Says, where the head of the outbox stands in line, whether the actor can do nothing until that moves: it is an edge then.
    ///
    /// Returns whether the head has left the outbox, because it could never have left the line.
    pub(crate) fn stand_in_line(&mut self, blocked: Option<(&Waits, Waiter)>) -> bool {
        let Some(placed) = &self.in_line else { return false };
        let Some((waits, waiter)) = blocked else {
            placed.stand_by();
            return false;
        };
        let Err(path) = placed.block(waits, waiter) else { return false };
        tracing::warn!(%path, "a message can never be taken in");
        placed.give_up(AskError::Deadlock(path));
        self.in_line = None;
        true
    }

    /// The owner waits from now on until everything has left: it is woken for each message taken in.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Whether the actor may take more data.
    pub(crate) fn is_open(&self) -> bool {
        self.queue.len() < OUTBOX_EFFECTS_MAX
    }

    /// Whether everything has left.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_line.is_none()
    }
}

impl Stream {
    /// Keeps a record for the next append; returns the position behind it.
    fn keep(&mut self, kernel: &Kernel, record: Vec<u8>) -> Sequence {
        if self.unsent.len() >= JOURNAL_APPEND_RECORDS_MAX
            || self.unsent_bytes + record.len() > JOURNAL_APPEND_BYTES_MAX
        {
            self.flush(kernel);
        }
        self.unsent_bytes += record.len();
        self.unsent.push(record);
        self.next + self.unsent.len() as u64
    }

    fn flush(&mut self, kernel: &Kernel) {
        if self.unsent.is_empty() {
            return;
        }
        let records = mem::take(&mut self.unsent);
        self.unsent_bytes = 0;
        let expected = self.next;
        self.next += records.len() as u64;
        let acknowledge: Arc<dyn Acknowledge> = Arc::<Durable>::clone(&self.durable);
        kernel.journal.append(Append { run: self.run, expected, records, acknowledge });
    }
}

/// Performs one effect; returns the place in line that it has to wait for.
fn perform(
    kernel: &Kernel,
    effect: Effect,
    belongings: &mut Belongings,
) -> Option<Box<dyn Placed>> {
    match effect {
        Effect::Act(act) => act(belongings),
        Effect::Send(send) => return send(kernel),
        // `commit` takes calls and records out; without a journal, `Cx::record` has failed the step.
        Effect::Call(_) | Effect::Record(_) => {}
    }
    None
}
