//! What one incarnation owns and ends with it: its children, tasks, timers, calls and watches.
//!
//! Filled by the effects that the `outbox` performs; emptied by `serve` when the incarnation ends, and when dropped.
//!
//! # Invariants
//! - Whatever way an incarnation ends, its children are ordered to stop, its tasks' work dropped, its timers, calls and watches taken back.
//! - Work that waits is dropped in place, so nobody waits for its task; work that runs at that moment ends behind its poll.
//! - What has ended by itself is forgotten from time to time, so no list grows with an actor's age.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use futures_util::future::{AbortHandle, BoxFuture};
use parking_lot::Mutex;

use crate::{
    child::ChildRef,
    ending,
    kernel::Kernel,
    limits::BELONGINGS_UNPRUNED,
    mailbox::Slot,
    planted::{self, Planted},
    spawn::Shutdown,
    tasks::TaskKind,
    work::contained,
};

/// What waits for something on behalf of one incarnation, and is taken back with it: a timer, a call.
pub(crate) trait Cancel: Send + Sync {
    /// Takes it back; without effect if it is over.
    fn cancel(&self);
    /// Whether it still waits.
    fn is_waiting(&self) -> bool;
    /// Everything that its step asked for has been performed, so nothing that could free others is held back.
    fn step_is_over(&self) {}
}

/// What one incarnation owns; takes no room until it owns something.
#[derive(Default)]
pub(crate) struct Belongings {
    owned: Option<Box<Owned>>,
    ending: bool,
}

#[derive(Default)]
struct Owned {
    children: Pruned<(ChildRef, Shutdown)>,
    tasks: Pruned<(AbortHandle, Weak<Running>)>,
    waits: Pruned<Weak<dyn Cancel>>,
    watches: Pruned<(ChildRef, u64)>,
}

impl Belongings {
    /// Takes a child in, to be ended as `shutdown` says.
    pub(crate) fn adopt(&mut self, child: ChildRef, shutdown: Shutdown) {
        self.owned().children.push((child, shutdown), |(child, _)| child.ended().is_none());
    }

    /// Takes in the watch on `target` that its watcher got as `key`.
    pub(crate) fn keep_watch(&mut self, target: ChildRef, key: u64) {
        self.owned().watches.push((target, key), |(target, _)| target.ended().is_none());
    }

    /// Takes a timer or a call in; one that comes while the incarnation winds down is taken back at once.
    pub(crate) fn keep_wait(&mut self, wait: &Arc<dyn Cancel>) {
        if self.ending {
            return wait.cancel();
        }
        self.owned().waits.push(Arc::downgrade(wait), |wait| wait.strong_count() > 0);
    }

    /// Polls `work` once in place and, if it is not ready, runs it as a task that ends with this incarnation of `owner`.
    pub(crate) fn run<M: Send + 'static>(
        &mut self,
        owner: &Arc<Slot<M>>,
        handle: AbortHandle,
        mut work: BoxFuture<'static, ()>,
    ) {
        let ready = work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if ready || self.ending {
            return;
        }
        let owner_waker = Waker::from(Arc::clone(owner));
        let running = Arc::new(Running { work: Mutex::new(Some(work)), owner: owner_waker });
        let task = (handle, Arc::downgrade(&running));
        self.owned().tasks.push(task, |(_, task)| task.strong_count() > 0);
        owner.kernel.executor.spawn(TaskKind::Work, Box::pin(poll_fn(move |cx| running.poll(cx))));
    }

    /// Whether there is nothing whose end would have to be waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.owned
            .as_ref()
            .is_none_or(|owned| owned.children.all.is_empty() && owned.tasks.all.is_empty())
    }

    /// Whether something runs or waits that would end with the incarnation: a task, a timer, a call, a child.
    pub(crate) fn is_busy(&self) -> bool {
        self.owned.as_ref().is_some_and(|owned| {
            owned.tasks.all.iter().any(|(_, task)| task.strong_count() > 0)
                || owned.waits.all.iter().filter_map(Weak::upgrade).any(|wait| wait.is_waiting())
                || owned.children.all.iter().any(|(child, _)| child.ended().is_none())
        })
    }

    fn owned(&mut self) -> &mut Owned {
        self.owned.get_or_insert_default()
    }

    /// Cancels what still runs by itself; what is performed from now on may not outlast its first poll.
    pub(crate) fn cancel(&mut self) {
        self.ending = true;
        let Some(owned) = &mut self.owned else { return };
        let mut lost = planted::is_planted(Planted::LostCancel);
        owned.tasks.all.retain(|(handle, task)| {
            if mem::take(&mut lost) {
                return true;
            }
            let runs = task.upgrade().is_some_and(|task| !task.end());
            // Work that runs at this moment ends behind its poll; a task without work, at once.
            handle.abort();
            runs
        });
        for wait in mem::take(&mut owned.waits.all) {
            if let Some(wait) = wait.upgrade() {
                wait.cancel();
            }
        }
        for (target, key) in mem::take(&mut owned.watches.all) {
            target.0.unwatch(key);
        }
    }

    /// The children, in the order of their start.
    pub(crate) fn children(&self) -> Vec<ChildRef> {
        let children = self.owned.iter().flat_map(|owned| &owned.children.all);
        children.map(|(child, _)| child.clone()).collect()
    }

    /// Stops the children in the reverse order of their start, each within its own time and before the next.
    pub(crate) async fn stop_children(&mut self, kernel: &Kernel) {
        // Taken out only when it has ended: a wait that is cut short forgets nobody.
        let Some(owned) = &mut self.owned else { return };
        while let Some((child, shutdown)) = owned.children.all.last().cloned() {
            ending::end(kernel, &child, shutdown).await;
            owned.children.all.pop();
        }
    }

    /// Waits until every task has ended; each nudges `slot` when it does.
    pub(crate) async fn tasks_ended<M>(&self, slot: &Slot<M>) {
        let Some(owned) = &self.owned else { return };
        while owned.tasks.all.iter().any(|(_, task)| task.strong_count() > 0) {
            poll_fn(|cx| slot.poll_nudged(cx)).await;
        }
    }
}

impl Drop for Belongings {
    fn drop(&mut self) {
        self.cancel();
        let children = self.owned.iter().flat_map(|owned| owned.children.all.iter().rev());
        children.for_each(|(child, _)| child.0.order_stop());
    }
}

/// The work of a task, shared with its owner, who need not wait for the task to drop it.
struct Running {
    /// None when it has ended; locked while it is polled.
    work: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Told when the task does no more.
    owner: Waker,
}

impl Running {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut work = self.work.lock();
        let pending = work.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_pending());
        if pending {
            return Poll::Pending;
        }
        let over = work.take();
        // What is dropped may take back other work.
        drop(work);
        drop(over);
        Poll::Ready(())
    }

    /// Drops the work, unless it is polled at this moment; returns whether there is none any more.
    fn end(&self) -> bool {
        let Some(mut work) = self.work.try_lock() else { return false };
        let over = work.take();
        drop(work);
        contained("dropping the work of a task", || drop(over));
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before its owner hears of it.
        let over = self.work.get_mut().take();
        contained("dropping the work of a task", || drop(over));
        self.owner.wake_by_ref();
    }
}

/// A list that forgets what has ended whenever it has doubled.
pub(crate) struct Pruned<T> {
    all: Vec<T>,
    prune_at: usize,
}

impl<T> Default for Pruned<T> {
    fn default() -> Self {
        Self { all: Vec::new(), prune_at: BELONGINGS_UNPRUNED }
    }
}

impl<T> Pruned<T> {
    pub(crate) fn push(&mut self, item: T, lives: impl Fn(&T) -> bool) {
        if self.all.len() >= self.prune_at {
            self.all.retain(lives);
            self.prune_at = (self.all.len() * 2).max(BELONGINGS_UNPRUNED);
        }
        self.all.push(item);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter()
    }

    pub(crate) fn into_vec(self) -> Vec<T> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;
    use crate::{
        clock::ManualClock, engine::local::MemoryJournal, kernel::Shelf, mailbox::Mailbox,
    };

    /// The slot of an actor, and the shelf on which its tasks go.
    fn owner() -> (Arc<Slot<()>>, Arc<Shelf>) {
        let shelf = Arc::default();
        let journal = Arc::new(MemoryJournal::default());
        let kernel = Kernel::still(Arc::new(ManualClock::default()), journal, &shelf);
        let id = kernel.next_actor();
        (Arc::new(Slot::new(kernel, id, "owner".into(), Mailbox::default())), shelf)
    }

    struct Tell(Arc<AtomicBool>);

    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn work_that_waits_is_dropped_by_its_owner_and_not_waited_for() {
        let ((slot, shelf), gone) = (owner(), Arc::new(AtomicBool::new(false)));
        let mut belongings = Belongings::default();
        let tell = Tell(Arc::clone(&gone));
        let (handle, _) = AbortHandle::new_pair();
        let work = async move {
            std::future::pending::<()>().await;
            drop(tell);
        };
        belongings.run(&slot, handle, work.boxed());
        assert!(!belongings.is_empty());
        belongings.cancel();
        assert!(gone.load(Ordering::SeqCst) && belongings.is_empty());
        assert!(shelf.poll_tasks(), "what is left of the task ends by itself");
    }

    #[test]
    fn work_that_runs_when_its_owner_ends_is_waited_for() {
        let (slot, shelf) = owner();
        let belongings = Arc::new(Mutex::new(Belongings::default()));
        let (own, mut first) = (Arc::clone(&belongings), true);
        let (handle, _) = AbortHandle::new_pair();
        let work = poll_fn(move |_| {
            if !mem::take(&mut first) {
                own.lock().cancel();
                assert!(!own.lock().is_empty(), "the work runs");
            }
            Poll::<()>::Pending
        });
        belongings.lock().run(&slot, handle, work.boxed());
        assert!(!shelf.poll_tasks());
        assert!(!belongings.lock().is_empty());
        shelf.clear();
        assert!(slot.poll_nudged(&Context::from_waker(Waker::noop())).is_ready());
    }
}
