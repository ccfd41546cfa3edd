//! The outbox: performs an actor's effects in step order, none before the records ahead of it are durable.
//!
//! Owned by one incarnation's [`Stage`](crate::stage::Stage); calls the journal port and the targets of sends.
//!
//! # Invariants
//! - Effects leave in the order in which they were recorded.
//! - An effect leaves only after every record ahead of it was acknowledged.
//! - At most [`OUTBOX_EFFECTS_MAX`] effects wait before the actor takes no more data (a last step may exceed it).

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use futures_util::future::AbortHandle;
use parking_lot::Mutex;
use protocol::RunId;

use crate::{
    address::{Delivery, Placed},
    child::ChildRef,
    engine::journal::{Acknowledge, Append, JournalError, Sequence},
    kernel::Kernel,
    limits::{JOURNAL_APPEND_RECORDS_MAX, OUTBOX_EFFECTS_MAX},
    tasks::TaskKind,
};

/// One effect of a step.
pub(crate) enum Effect {
    /// A message on its way; may have to stand in line.
    Send(Box<dyn FnOnce() -> Delivery + Send>),
    /// Anything that is done at once.
    Act(Box<dyn FnOnce(&mut Belongings) + Send>),
    /// A record for the journal.
    Record(Vec<u8>),
}

/// What one incarnation owns: it ends with it.
#[derive(Default)]
pub(crate) struct Belongings {
    pub(crate) children: Vec<ChildRef>,
    tasks: Vec<Weak<AbortHandle>>,
    prune_at: usize,
}

impl Belongings {
    /// Takes a child in; ended ones are let go from time to time.
    pub(crate) fn adopt(&mut self, child: ChildRef) {
        if self.children.len() == self.children.capacity() {
            self.children.retain(|child| child.ended().is_none());
        }
        self.children.push(child);
    }

    /// Polls `work` once in place and, if it is not ready, runs it as a task that ends with this incarnation.
    pub(crate) fn run(
        &mut self,
        kernel: &Arc<Kernel>,
        handle: &Arc<AbortHandle>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut work = Box::pin(work);
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        if self.tasks.len() >= self.prune_at {
            self.tasks.retain(|task| task.strong_count() > 0);
            self.prune_at = (self.tasks.len() * 2).max(16);
        }
        self.tasks.push(Arc::downgrade(handle));
        let held = Arc::clone(handle);
        kernel.executor.spawn(
            TaskKind::Work,
            Box::pin(async move {
                let _held = held;
                work.await;
            }),
        );
    }

    /// Cancels every task that still runs.
    pub(crate) fn abort_tasks(&mut self) {
        for task in mem::take(&mut self.tasks) {
            if let Some(task) = task.upgrade() {
                task.abort();
            }
        }
    }
}

/// Effects that wait, and the journal they wait for.
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    in_line: Option<Box<dyn Placed>>,
    waker: Waker,
    stream: Option<Stream>,
}

enum Queued {
    Effect(Effect),
    Until(Sequence),
}

/// The actor's place in its run's journal.
struct Stream {
    run: RunId,
    next: Sequence,
    unsent: Vec<Vec<u8>>,
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
        let stream = stream.map(|(run, next)| Stream {
            run,
            next,
            unsent: Vec::new(),
            durable: Arc::new(Durable {
                next: AtomicU64::new(next),
                failed: Mutex::new(None),
                waker: waker.clone(),
            }),
        });
        Self { queue: VecDeque::new(), in_line: None, waker, stream }
    }

    /// Takes the effects of one step and performs what may be performed now.
    ///
    /// # Errors
    /// A record without a journal, as the text for the crash.
    pub(crate) fn commit(
        &mut self,
        kernel: &Kernel,
        effects: &mut Vec<Effect>,
        belongings: &mut Belongings,
    ) -> Result<(), String> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Record(bytes) => {
                    let Some(stream) = &mut self.stream else {
                        return Err(
                            "record without a journal: spawn this actor with `Spawn::journal`"
                                .to_owned(),
                        );
                    };
                    stream.unsent.push(bytes);
                    let until = stream.next + stream.unsent.len() as u64;
                    self.queue.push_back(Queued::Until(until));
                    if stream.unsent.len() >= JOURNAL_APPEND_RECORDS_MAX {
                        stream.flush(kernel);
                    }
                }
                effect if self.queue.is_empty() && self.in_line.is_none() => {
                    self.in_line = perform(kernel, effect, belongings);
                }
                effect => self.queue.push_back(Queued::Effect(effect)),
            }
        }
        Ok(())
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
        if let Some(stream) = &mut self.stream {
            stream.flush(kernel);
            if let Some(error) = stream.durable.failed.lock().clone() {
                return Err(error);
            }
        }
        self.pump(kernel, belongings);
        Ok(())
    }

    fn pump(&mut self, kernel: &Kernel, belongings: &mut Belongings) {
        if let Some(placed) = &self.in_line {
            if !placed.is_settled(&self.waker) {
                return;
            }
            self.in_line = None;
        }
        let durable =
            self.stream.as_ref().map_or(0, |stream| stream.durable.next.load(Ordering::Acquire));
        while self.in_line.is_none() {
            match self.queue.pop_front() {
                None => return,
                Some(Queued::Until(until)) if until > durable => {
                    self.queue.push_front(Queued::Until(until));
                    return;
                }
                Some(Queued::Until(_)) => {}
                Some(Queued::Effect(effect)) => self.in_line = perform(kernel, effect, belongings),
            }
            if let Some(placed) = &self.in_line
                && placed.is_settled(&self.waker)
            {
                self.in_line = None;
            }
        }
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
    fn flush(&mut self, kernel: &Kernel) {
        if self.unsent.is_empty() {
            return;
        }
        let records = mem::take(&mut self.unsent);
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
        Effect::Send(send) => match send() {
            Delivery::Done => {}
            Delivery::Refused(why, message) => kernel.dead_letter(why, message),
            Delivery::InLine(placed) => return Some(placed),
        },
        // Records are taken out by `commit`.
        Effect::Record(_) => {}
    }
    None
}
