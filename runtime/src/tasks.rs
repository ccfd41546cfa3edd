//! Owned tasks: the only file that spawns.
//!
//! Every task has a kind, and its kind says its fate when the node stops. Agents' work, the timer driver and writers run here;
//! actors are launched through [`Host`](crate::kernel::Host).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::work::{self, TaskError};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle};

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Turns the timer wheel.
    Timers,
    /// An agent's work on one call.
    Work,
    /// A gateway, a progress display, a signal handler: serves the node's surroundings.
    Service,
}

/// What happens to a task when its node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is dropped at its next wait.
    Abort,
    /// The node waits for it, until the stop's deadline.
    Wait,
}

impl TaskKind {
    /// What happens to tasks of this kind when the node stops.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Timers | Self::Service => Fate::Abort,
            Self::Work => Fate::Wait,
        }
    }
}

/// Runs futures and blocking closures; the port that a simulation replaces.
pub trait Executor: Send + Sync + 'static {
    /// Runs `work` to its end.
    fn spawn(&self, kind: TaskKind, work: BoxFuture<'static, ()>);
    /// Runs `work`, which may block or compute for long, beside the actors' threads.
    fn spawn_blocking(&self, kind: TaskKind, work: Box<dyn FnOnce() + Send>);
}

/// Owns every task of one node on tokio.
#[derive(Debug)]
pub struct Tasks {
    handle: Handle,
    next: AtomicU64,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    tasks: Mutex<HashMap<u64, (TaskKind, Option<AbortHandle>)>>,
    ended: Notify,
}

impl Tasks {
    /// Tasks on the runtime that `handle` belongs to.
    pub fn new(handle: Handle) -> Self {
        Self { handle, next: AtomicU64::new(0), running: Arc::default() }
    }

    /// How many tasks of `kind` run now.
    pub fn count(&self, kind: TaskKind) -> usize {
        self.running.tasks.lock().values().filter(|(of, _)| *of == kind).count()
    }

    /// Drops every task whose fate is to be aborted, and waits for the others.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting, not the tasks; call [`abort_all`](Self::abort_all) then.
    pub async fn stop(&self) {
        self.abort(|kind| kind.fate() == Fate::Abort);
        loop {
            let ended = self.running.ended.notified();
            if !self.running.tasks.lock().values().any(|(kind, _)| kind.fate() == Fate::Wait) {
                return;
            }
            ended.await;
        }
    }

    /// Drops every task at its next wait.
    pub fn abort_all(&self) {
        self.abort(|_| true);
    }

    fn abort(&self, which: impl Fn(TaskKind) -> bool) {
        for (kind, handle) in self.running.tasks.lock().values() {
            if which(*kind)
                && let Some(handle) = handle
            {
                handle.abort();
            }
        }
    }

    fn enter(&self, kind: TaskKind) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.running.tasks.lock().insert(id, (kind, None));
        Entry { id, running: Arc::clone(&self.running) }
    }
}

/// Runs `work`, which may block or compute for long, on a thread of the present tokio runtime, and waits for it.
///
/// # Errors
/// [`TaskError::Panicked`] with the panic's text.
///
/// # Cancel safety
/// Dropping the future ends the wait; the work runs to its end.
pub async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskError> {
    let (run, done) = work::blocking(work);
    drop(tokio::task::spawn_blocking(run));
    done.await
}

/// A task's place in the list; leaves it when the task ends, however it ends.
struct Entry {
    id: u64,
    running: Arc<Running>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.tasks.lock().remove(&self.id);
        self.running.ended.notify_waiters();
    }
}

impl Executor for Tasks {
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    fn spawn(&self, kind: TaskKind, work: BoxFuture<'static, ()>) {
        let entry = self.enter(kind);
        let id = entry.id;
        let task = self.handle.spawn(async move {
            let _entry = entry;
            work.await;
        });
        if let Some((_, handle)) = self.running.tasks.lock().get_mut(&id) {
            *handle = Some(task.abort_handle());
        }
    }

    fn spawn_blocking(&self, kind: TaskKind, work: Box<dyn FnOnce() + Send>) {
        let entry = self.enter(kind);
        drop(self.handle.spawn_blocking(move || {
            let _entry = entry;
            work();
        }));
    }
}
