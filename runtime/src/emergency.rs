//! The emergency stop: everything that a node does ends at once, by order of somebody who may, and is written down.
//!
//! Called by whoever opened the node and has its [`Privilege`]. The order goes to every actor by a flag of its own, past data
//! lanes, outboxes and calls; nobody winds down, effects that wait are dropped, tasks are aborted, and the node takes no new work.
//!
//! # Invariants
//! - A node gives its privilege out once, when it is opened; there is no other way to have one.
//! - The orders are given before the audit is written: nothing that hangs, the journal included, delays them.
//! - The acknowledgement comes when all is quiet, at the latest after [`EMERGENCY_WAIT`], and names what still lives.

use std::{
    fmt,
    sync::{Arc, Weak},
    task::{Poll, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::{
    RunId,
    payload::work::{EmergencyStop, StopScope},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    actor::ExitReason,
    child::ChildRef,
    clock::Moment,
    ending::{first, leave_behind},
    engine::journal::{Acknowledge, Append, Journal, JournalError, Sequence},
    events::EventKind,
    kernel::Kernel,
    limits::{EMERGENCY_TEXT_BYTES_MAX, EMERGENCY_WAIT, JOURNAL_READ_RECORDS_MAX},
    node::{Node, NodeBuilder, OpenError},
    record,
    timers::Sleep,
};

/// The stream of a node's journal that holds its emergency stops.
pub const AUDIT_RUN: RunId = RunId::from_u128(u128::MAX);

/// The right to stop one node in an emergency. It cannot be made, copied or used on another node.
pub struct Privilege(Weak<Kernel>);

impl fmt::Debug for Privilege {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Privilege")
    }
}

/// Tells those who work outside of a node, on its behalf, whether it was stopped in an emergency; keeps no node open.
#[derive(Clone)]
pub struct Halt(Weak<Kernel>);

impl Halt {
    pub(crate) fn of(kernel: &Arc<Kernel>) -> Self {
        Self(Arc::downgrade(kernel))
    }

    /// Whether it was: what is left of its work ends without grace.
    pub fn is_ordered(&self) -> bool {
        self.0.upgrade().is_some_and(|kernel| kernel.is_halted())
    }
}

impl fmt::Debug for Halt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Halt({})", self.is_ordered())
    }
}

impl NodeBuilder {
    /// Opens the node as [`open`](Self::open) does, and gives out the one right to stop it in an emergency.
    ///
    /// A node that is opened otherwise has no emergency stop.
    ///
    /// # Errors
    /// [`OpenError::NoRuntime`] outside of a tokio runtime.
    pub fn open_privileged(self) -> Result<(Node, Privilege), OpenError> {
        let node = self.open()?;
        let privilege = Privilege(Arc::downgrade(node.kernel()));
        Ok((node, privilege))
    }
}

/// Why an emergency stop was refused; nothing was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmergencyError {
    /// The privilege is that of another node.
    #[error(
        "this privilege is that of another node; use the one that this node gave out when it was opened"
    )]
    NotPrivileged,
    /// The audit needs to know who and why.
    #[error("an emergency stop is audited; say who stops the node and why")]
    NoReason,
}

/// What the audit says of one emergency stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    /// When it was ordered, in Unix nanoseconds.
    pub at: i64,
    /// Who ordered it.
    pub by: String,
    /// What was ordered, as it goes over the wire.
    pub stop: EmergencyStop,
}

/// What became of the audit's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// It is durable in the node's journal.
    Durable,
    /// The journal has not said; it may become durable yet.
    Unknown,
    /// The journal refused it.
    Refused(JournalError),
}

/// The acknowledgement of an emergency stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// How long it took until all was quiet, or was given up.
    pub took: Duration,
    /// How many actors were ordered to end.
    pub actors: usize,
    /// The actors that do not come out of a step; their addresses are closed.
    pub alive: Vec<Arc<str>>,
    /// The pieces of work that do not end, for they block a thread.
    pub tasks: usize,
    /// What became of the audit's record.
    pub audit: Audit,
}

impl Halted {
    /// Whether nothing of the node's work lives any more.
    pub fn is_quiet(&self) -> bool {
        self.alive.is_empty() && self.tasks == 0
    }
}

impl Node {
    /// Stops all that this node does, at once and for good, by order of `by` and for this `reason`.
    ///
    /// When it returns, every actor is ordered to end and every task aborted; no step is interrupted. Tasks of every kind go but
    /// the turning of timers, so call it from outside of the node's own. The future it returns waits until all is quiet, at the
    /// most for 3 s, closes the address of whoever is stuck, and says so. A second stop is audited as the first.
    ///
    /// # Errors
    /// The privilege is another node's, or there is no reason.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing back.
    pub fn emergency_stop(
        &self,
        privilege: &Privilege,
        by: &str,
        reason: &str,
    ) -> Result<BoxFuture<'static, Halted>, EmergencyError> {
        let kernel = Arc::clone(self.kernel());
        if !std::ptr::eq(privilege.0.as_ptr(), Arc::as_ptr(&kernel)) {
            return Err(EmergencyError::NotPrivileged);
        }
        let (by, reason) = (clip(by), clip(reason));
        if by.is_empty() || reason.is_empty() {
            return Err(EmergencyError::NoReason);
        }
        let begun = kernel.now();
        drop(self.close_door());
        kernel.halt();
        // Who is born from here on finds the node halted, and ends by itself.
        let actors = kernel.registry.list();
        for actor in &actors {
            actor.0.order_cancel(actor.0.parent().is_none().then_some(begun));
        }
        kernel.executor.abort_all();
        tracing::error!(by, reason, actors = actors.len(), "emergency stop");
        let mut event = kernel.event(EventKind::EmergencyStop, "node");
        event.data = json!({ "by": by, "reason": reason, "actors": actors.len() });
        kernel.publish(event);
        let audit = audit(&kernel, by, reason);
        Ok(Box::pin(quiescence(kernel, begun, actors, audit)))
    }

    /// Whether this node was stopped in an emergency: it takes no new work.
    pub fn is_halted(&self) -> bool {
        self.kernel().is_halted()
    }

    /// The emergency stops in this node's journal, oldest first, those of its earlier lives too.
    ///
    /// # Errors
    /// What the journal could not read, or the text of a record that is none.
    pub fn emergency_stops(&self) -> Result<Vec<StopRecord>, JournalError> {
        audited(&**self.journal())
    }
}

/// The emergency stops that a journal holds, oldest first; of a node that runs, [`Node::emergency_stops`] gives them.
///
/// # Errors
/// What the journal could not read, or the text of a record that is none.
pub fn audited(journal: &dyn Journal) -> Result<Vec<StopRecord>, JournalError> {
    let unreadable = |why: String| JournalError::Failed {
        operation: "read the emergency stops",
        cause: why.into(),
    };
    let records = journal.read(AUDIT_RUN, 0, JOURNAL_READ_RECORDS_MAX)?;
    records.iter().map(|bytes| record::decode(bytes).map_err(unreadable)).collect()
}

/// Waits until `actors`, and whoever was born into the stop, have ended, tasks too, and the audit is durable.
async fn quiescence(
    kernel: Arc<Kernel>,
    begun: Moment,
    actors: Vec<ChildRef>,
    audited: Arc<Audited>,
) -> Halted {
    let all = async {
        let ended = async {
            for actor in &actors {
                actor.stopped().await;
            }
            let born_late = || kernel.registry.list().into_iter().find(|of| of.ended().is_none());
            while let Some(late) = born_late() {
                late.stopped().await;
            }
        };
        tokio::join!(ended, kernel.executor.stop(), audited.known());
    };
    first(all, Sleep::until(&kernel.timers, begun + EMERGENCY_WAIT)).await;
    let late = kernel.registry.list();
    // Whoever was left behind in its step by those above it has ended as killed, not as cancelled.
    let stuck = |actor: &&ChildRef| matches!(actor.ended(), None | Some(ExitReason::Killed));
    let mut alive: Vec<Arc<str>> =
        actors.iter().chain(&late).filter(stuck).map(|actor| actor.name().into()).collect();
    alive.sort();
    alive.dedup();
    leave_behind(&late);
    Halted {
        took: kernel.now().since(begun),
        actors: actors.len(),
        alive,
        tasks: kernel.executor.alive(),
        audit: audited.outcome(),
    }
}

/// Sends the record of the stop to the journal; never waits.
fn audit(kernel: &Kernel, by: String, reason: String) -> Arc<Audited> {
    let grace_ms = 0;
    let stop = EmergencyStop { scope: StopScope::Everything, reason, grace_ms };
    let record = StopRecord { at: kernel.clock.unix_nanos(), by, stop };
    let audited = Arc::<Audited>::default();
    let failed = |why: String| JournalError::Failed {
        operation: "audit the emergency stop",
        cause: why.into(),
    };
    let encoded = record::encode(&record).map_err(failed);
    match encoded.and_then(|bytes| Ok((bytes, kernel.journal.next(AUDIT_RUN)?))) {
        Ok((bytes, expected)) => {
            let acknowledge: Arc<dyn Acknowledge> = Arc::<Audited>::clone(&audited);
            let (run, records) = (AUDIT_RUN, vec![bytes]);
            kernel.journal.append(Append { run, expected, records, acknowledge });
        }
        Err(error) => audited.appended(Err(error)),
    }
    audited
}

/// What the journal said of the record, and who waits for that.
#[derive(Default)]
struct Audited(Mutex<(Option<Audit>, Option<Waker>)>);

impl Acknowledge for Audited {
    fn appended(&self, outcome: Result<Sequence, JournalError>) {
        let waker = {
            let mut state = self.0.lock();
            state.0 = Some(outcome.map_or_else(Audit::Refused, |_| Audit::Durable));
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Audited {
    fn outcome(&self) -> Audit {
        self.0.lock().0.clone().unwrap_or(Audit::Unknown)
    }

    async fn known(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.0.is_some() {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A text for the audit: no longer than it may be, since an emergency is no time to be refused for that.
fn clip(text: &str) -> String {
    let text = text.trim();
    text.get(..text.floor_char_boundary(EMERGENCY_TEXT_BYTES_MAX)).unwrap_or_default().to_owned()
}
