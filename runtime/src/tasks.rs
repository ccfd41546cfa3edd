//! Owned tasks: the only file that spawns, but for the lives of actors, which `shell` hosts.
//!
//! Every task has a kind, and its kind says its fate when the node stops. Agents' work, the timer driver and writers run here;
//! actors are launched through [`Host`](crate::kernel::Host).

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::work::{self, TaskError};
use foldhash::fast::RandomState;
use futures_util::{FutureExt, future::BoxFuture};
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
    /// It goes on until the last handle of the node is gone, so that even then nobody waits for ever.
    Outlive,
}

impl TaskKind {
    /// What happens to tasks of this kind when the node stops.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Timers => Fate::Outlive,
            Self::Service => Fate::Abort,
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
    /// Drops every task whose fate is to be aborted, and waits for those that are waited for.
    fn stop(&self) -> BoxFuture<'_, ()>;
    /// Drops every task but those that outlive the stop; so too what is started later.
    fn abort_all(&self);
    /// How many tasks that a stop waits for have not ended.
    fn alive(&self) -> usize;
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
    list: Mutex<List>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct List {
    tasks: HashMap<u64, (TaskKind, Option<AbortHandle>), RandomState>,
    /// What becomes of tasks that start after the stop.
    aborts: Aborts,
}

/// Which tasks are dropped as soon as they are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Aborts {
    #[default]
    None,
    Unwanted,
    AllButTimers,
    All,
}

impl Aborts {
    fn wants(self, kind: TaskKind) -> bool {
        match self {
            Self::None => false,
            Self::Unwanted => kind.fate() == Fate::Abort,
            Self::AllButTimers => kind.fate() != Fate::Outlive,
            Self::All => true,
        }
    }
}

impl Tasks {
    /// Tasks on the runtime that `handle` belongs to.
    pub fn new(handle: Handle) -> Self {
        Self { handle, next: AtomicU64::new(0), running: Arc::default() }
    }

    /// How many tasks of `kind` run now.
    pub fn count(&self, kind: TaskKind) -> usize {
        self.running.list.lock().tasks.values().filter(|(of, _)| *of == kind).count()
    }

    /// Drops every task whose fate is to be aborted, and waits for the others.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting, not the tasks; call [`abort_all`](Self::abort_all) then.
    pub async fn stop(&self) {
        self.abort(Aborts::Unwanted);
        loop {
            let ended = self.running.ended.notified();
            let waits = |(kind, _): &(TaskKind, _)| kind.fate() == Fate::Wait;
            if !self.running.list.lock().tasks.values().any(waits) {
                return;
            }
            ended.await;
        }
    }

    /// Drops every task at its next wait, but the turning of the timers; so too what is started later.
    pub fn abort_all(&self) {
        self.abort(Aborts::AllButTimers);
    }

    fn abort(&self, which: Aborts) {
        let mut list = self.running.list.lock();
        // What was once told to go does not come back because of a gentler stop.
        list.aborts = list.aborts.max(which);
        let unwanted: Vec<AbortHandle> = list
            .tasks
            .values()
            .filter(|(kind, _)| which.wants(*kind))
            .filter_map(|(_, handle)| handle.clone())
            .collect();
        drop(list);
        for handle in unwanted {
            handle.abort();
        }
    }

    fn enter(&self, kind: TaskKind) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.running.list.lock().tasks.insert(id, (kind, None));
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

/// A number of threads of the present tokio runtime that take blocking work in the order given.
///
/// A thread that is done takes the next piece by itself: no other thread has to wake up in between, which on busy cores takes
/// milliseconds.
#[derive(Debug)]
pub struct Threads {
    most: usize,
    lane: Arc<Mutex<Lane>>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    running: usize,
}

impl Threads {
    /// At most `most` threads at a time, at least one.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), lane: Arc::default() }
    }

    /// Runs `work`, which may block or compute for long, as soon as a thread is free, and waits for it.
    ///
    /// # Errors
    /// [`TaskError::Panicked`] with the panic's text.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait; work that has begun runs to its end, other work is never begun.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TaskError> {
        let (run, done) = work::blocking(work);
        if self.enqueue(run) {
            let lane = Arc::clone(&self.lane);
            drop(tokio::task::spawn_blocking(move || take_turns(&lane)));
        }
        done.await
    }

    /// Puts work in the lane; true if it takes one more thread.
    fn enqueue(&self, run: Box<dyn FnOnce() + Send>) -> bool {
        let mut lane = self.lane.lock();
        lane.waiting.push_back(run);
        let more = lane.running < self.most;
        lane.running += usize::from(more);
        more
    }
}

/// Does what waits in the lane until nothing does.
fn take_turns(lane: &Mutex<Lane>) {
    while let Some(run) = next_turn(lane) {
        run();
    }
}

fn next_turn(lane: &Mutex<Lane>) -> Option<Box<dyn FnOnce() + Send>> {
    let mut lane = lane.lock();
    let next = lane.waiting.pop_front();
    lane.running -= usize::from(next.is_none());
    next
}

impl fmt::Debug for Lane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lane({} running, {} waiting)", self.running, self.waiting.len())
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.abort(Aborts::All);
    }
}

/// A task's place in the list; leaves it when the task ends, however it ends.
struct Entry {
    id: u64,
    running: Arc<Running>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.list.lock().tasks.remove(&self.id);
        self.running.ended.notify_waiters();
    }
}

impl Executor for Tasks {
    fn spawn(&self, kind: TaskKind, work: BoxFuture<'static, ()>) {
        let entry = self.enter(kind);
        let id = entry.id;
        let task = self.handle.spawn(async move {
            let _entry = entry;
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                tracing::error!(?kind, panic = work::panic_text(&*panic), "task panicked");
            }
        });
        let mut list = self.running.list.lock();
        let late = list.aborts.wants(kind);
        if let Some((_, handle)) = list.tasks.get_mut(&id) {
            *handle = Some(task.abort_handle());
        }
        drop(list);
        if late {
            task.abort();
        }
    }

    fn spawn_blocking(&self, kind: TaskKind, work: Box<dyn FnOnce() + Send>) {
        let entry = self.enter(kind);
        drop(self.handle.spawn_blocking(move || {
            let _entry = entry;
            work::contained("a blocking task", work);
        }));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::stop(self))
    }

    fn abort_all(&self) {
        Self::abort_all(self);
    }

    fn alive(&self) -> usize {
        self.count(TaskKind::Work)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicUsize, mpsc};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn never_more_threads_than_allowed_and_each_takes_the_next_by_itself() {
        let (threads, now, most) = (Threads::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        let counts = Arc::new((now, most));
        let piece = |number: usize| {
            let counts = Arc::clone(&counts);
            threads.run(move || {
                let running = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
                counts.1.fetch_max(running, Ordering::SeqCst);
                counts.0.fetch_sub(1, Ordering::SeqCst);
                number
            })
        };
        let done = join_all((0..200).map(piece)).await;
        assert_eq!(done, (0..200).map(Ok).collect::<Vec<_>>());
        assert!(counts.1.load(Ordering::SeqCst) <= 2);
        assert_eq!(threads.lane.lock().waiting.len(), 0);
    }

    #[tokio::test]
    async fn work_given_up_in_line_is_not_begun_and_a_panic_does_not_end_the_line() {
        let threads = Threads::new(1);
        let (go, gate) = mpsc::channel::<()>();
        let mut first = Box::pin(threads.run(move || gate.recv().is_ok()));
        assert!((&mut first).now_or_never().is_none());
        let begun = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&begun);
        let mut unwanted = Box::pin(threads.run(move || seen.fetch_add(1, Ordering::SeqCst)));
        assert!((&mut unwanted).now_or_never().is_none());
        drop(unwanted);
        let panics = threads.run(|| panic!("as asked"));
        let last = threads.run(|| 7);
        go.send(()).unwrap();
        let (first, panicked, last) = tokio::join!(first, panics, last);
        assert_eq!((first, last), (Ok(true), Ok(7)));
        assert_eq!(panicked, Err::<(), _>(TaskError::Panicked("as asked".to_owned())));
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
