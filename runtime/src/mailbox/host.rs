//! The host's end of a mailbox: what `serve` takes out, puts back and closes.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
};

use super::{
    Aside, Control, Intake, Lanes, Overflow, Slot, Waiting, Watch, orders::Halt, wake, wake_all,
};
use crate::{
    actor::{Down, ExitReason},
    clock::Moment,
    limits::QUEUE_SHRINK_ABOVE,
    telemetry::metrics::Stale,
    work::contained,
};

/// What follows on the end of an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Restart,
    End,
}

impl<M> Slot<M> {
    /// Begins the next incarnation: notices meant for the one before are dropped, queued data and messages to oneself stay.
    pub(crate) fn begin(&self) -> u32 {
        let mut lanes = self.lanes.lock();
        lanes.incarnation += 1;
        lanes.intake = None;
        lanes.done = 0;
        self.begun.store(0, Ordering::Relaxed);
        lanes.live = true;
        lanes.resting = false;
        lanes.orders.restart = false;
        let incarnation = lanes.incarnation;
        let (own, mut stale): (VecDeque<_>, VecDeque<_>) =
            mem::take(&mut lanes.control).into_iter().partition(Control::is_own);
        lanes.control = own;
        lanes.answers.append_to(&mut stale);
        stale.retain(|entry| !matches!(entry, Control::Idle));
        lanes.counts.stale += stale.len() as u64;
        drop(lanes);
        if !stale.is_empty() {
            self.kernel.metrics.stale(Stale::Unserved, stale.len() as u64);
        }
        // A message may own the reply to an ask of this very actor: never dropped under the lock.
        drop(stale);
        incarnation
    }

    /// Ends the present incarnation's claim on answers, timers and notices.
    pub(crate) fn retire(&self) {
        self.lanes.lock().live = false;
    }

    /// Whether this incarnation serves the address.
    pub(crate) fn is_in(&self, incarnation: u32) -> bool {
        let lanes = self.lanes.lock();
        lanes.live && lanes.incarnation == incarnation
    }

    /// Moves what `intake` lets in into `control` and `batch`; pending when there is neither and nobody nudged.
    ///
    /// Ready with whether the host is parked ahead: the lanes are empty, and whoever fills them wakes it. Unless it
    /// [`is_roused`](Self::is_roused) by then, it may pause when it has handled what it took, without another look.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        control: &mut VecDeque<Control<M>>,
        batch: &mut VecDeque<M>,
        intake: Intake,
    ) -> Poll<bool> {
        let mut lanes = self.lanes.lock();
        lanes.taken = 0;
        self.roused.store(false, Ordering::Release);
        self.handled.store(0, Ordering::Release);
        let admitted = self.admit(&mut lanes);
        self.urgent.store(false, Ordering::Release);
        let nudged = mem::take(&mut lanes.nudged);
        lanes.intake = Some(intake);
        lanes.hand_over(control, intake);
        if intake == Intake::All && !lanes.data.is_empty() {
            let most = self.kernel.batch(self.mailbox.batch());
            take_batch(&mut lanes.data, batch, most);
            lanes.taken = if self.mailbox.counts_taken() { batch.len() } else { 0 };
        }
        let idle = !nudged && control.is_empty() && batch.is_empty();
        if idle {
            for lane in [&mut lanes.data, &mut *batch] {
                shrink(lane);
            }
            for lane in [&mut lanes.control, &mut *control] {
                shrink(lane);
            }
        }
        let parked = idle || (lanes.is_calm() && is_small(batch) && is_small(control));
        if parked {
            lanes.park(cx.waker());
        }
        drop(lanes);
        wake_all(admitted);
        if idle { Poll::Pending } else { Poll::Ready(parked) }
    }

    /// Says how many asks, calls and tasks the incarnation has begun; each ends with a message to it.
    pub(crate) fn mark_begun(&self, count: u32) {
        self.begun.store(count, Ordering::Relaxed);
    }

    /// Whether a host that is parked ahead has to look at its lanes once more.
    pub(crate) fn is_roused(&self) -> bool {
        self.roused.load(Ordering::Acquire)
    }

    /// Moves what the control lane holds into `control`, in the middle of a batch.
    pub(crate) fn take_control(&self, control: &mut VecDeque<Control<M>>) {
        let mut lanes = self.lanes.lock();
        self.urgent.store(false, Ordering::Release);
        lanes.hand_over(control, Intake::All);
    }

    /// Returns what was taken and not handled to the front of its lanes: control of an actor that has begun a call or that has
    /// ended, and data.
    pub(crate) fn hold(&self, control: &mut VecDeque<Control<M>>, batch: &mut VecDeque<M>) {
        let mut lanes = self.lanes.lock();
        while let Some(entry) = control.pop_back() {
            match entry {
                Control::Message(_) | Control::Own(_) | Control::Idle => {
                    lanes.control.push_front(entry);
                }
                Control::Answer(_) | Control::Crash(_) | Control::Observe(_) => {
                    lanes.answers.push_front(entry);
                }
                // The order itself stands.
                Control::End(_) => {}
            }
        }
        drop(lanes);
        self.put_back(batch);
    }

    /// Ready when the host should look at its outbox or its tasks, whatever the lanes hold.
    pub(crate) fn poll_nudged(&self, cx: &Context<'_>) -> Poll<()> {
        let mut lanes = self.lanes.lock();
        if mem::take(&mut lanes.nudged) {
            return Poll::Ready(());
        }
        lanes.park(cx.waker());
        Poll::Pending
    }

    /// Says that the incarnation has wholly ended, for `reason`, and that its parent decides what follows.
    pub(crate) fn rest(&self, reason: ExitReason) {
        let mut lanes = self.lanes.lock();
        lanes.aside.get_or_insert_default().last_exit = Some(reason);
        if lanes.orders.restart {
            return;
        }
        lanes.resting = true;
        let owner = lanes.aside.as_mut().and_then(|aside| aside.owner.take());
        wake(owner, lanes);
    }

    /// Ready while no incarnation lives and none is ordered, and once the actor has ended for good.
    pub(crate) fn poll_rest(&self, cx: &Context<'_>) -> Poll<()> {
        let mut lanes = self.lanes.lock();
        if lanes.resting || lanes.ended.is_some() {
            return Poll::Ready(());
        }
        lanes.aside.get_or_insert_default().owner = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the actor was ordered to end for good.
    pub(crate) fn is_stopping(&self) -> bool {
        self.lanes.lock().orders.stop
    }

    /// Whether the incarnation was ordered to end without winding down.
    pub(crate) fn is_killed(&self) -> bool {
        let lanes = self.lanes.lock();
        lanes.orders.halt == Some(Halt::Kill) || lanes.orders.cancel
    }

    /// Whether the actor was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lanes.lock().orders.cancel
    }

    /// When the actor itself was cancelled, and not only somebody above it.
    pub(crate) fn cancelled_at(&self) -> Option<Moment> {
        self.lanes.lock().orders.cancelled_at
    }

    /// Ready when the incarnation was ordered to end without winding down.
    pub(crate) fn poll_killed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut lanes = self.lanes.lock();
        if lanes.orders.halt == Some(Halt::Kill) || lanes.orders.cancel {
            return Poll::Ready(());
        }
        lanes.park(cx.waker());
        Poll::Pending
    }

    /// Ready with what the parent, or whoever ordered a stop, decided on an ended incarnation.
    pub(crate) fn poll_verdict(&self, cx: &Context<'_>) -> Poll<Verdict> {
        let mut lanes = self.lanes.lock();
        if lanes.orders.stop {
            return Poll::Ready(Verdict::End);
        }
        if lanes.orders.restart {
            return Poll::Ready(Verdict::Restart);
        }
        lanes.park(cx.waker());
        Poll::Pending
    }

    /// Marks the first `count` messages of the taken batch as handled, so that their places are free.
    pub(crate) fn mark_handled(&self, count: usize) {
        self.handled.store(count, Ordering::Release);
    }

    /// Whether the host should look at its control lane before the next message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    /// Counts `count` messages more as taken: they were set aside before.
    pub(crate) fn retake(&self, count: usize) {
        if self.mailbox.counts_taken() {
            self.lanes.lock().taken += count;
        }
    }

    /// Makes the host look whether `incarnation` is idle, if that still lives.
    pub(crate) fn check_idle(&self, incarnation: u32) {
        let mut lanes = self.lanes.lock();
        if lanes.live && lanes.incarnation == incarnation {
            lanes.control.push_back(Control::Idle);
            self.urge(lanes);
        }
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_quiet(&self) -> bool {
        let Lanes { data, control, answers, line, .. } = &*self.lanes.lock();
        data.is_empty() && control.is_empty() && answers.is_empty() && line.is_empty()
    }

    /// Returns what was taken and not handled to the front of the queue.
    ///
    /// What finds its place taken by a newer message, which `drop_oldest` alone allows, is dropped and counted.
    pub(crate) fn put_back(&self, batch: &mut VecDeque<M>) {
        let mut replaced = Vec::new();
        let mut lanes = self.lanes.lock();
        self.roused.store(true, Ordering::Release);
        lanes.taken = 0;
        self.handled.store(0, Ordering::Release);
        while let Some(message) = batch.pop_back() {
            if self.mailbox.overflow != Overflow::DropOldest
                || lanes.data.len() < self.mailbox.capacity
            {
                lanes.data.push_front(message);
            } else {
                lanes.counts.dropped += 1;
                replaced.push(message);
            }
        }
        let admitted = self.admit(&mut lanes);
        drop(lanes);
        wake_all(admitted);
    }

    /// Ends an actor at rest for good, as [`Normal`](ExitReason::Normal), if nothing waits in its queue: whoever comes later gets
    /// its message back. The host then closes the address.
    pub(crate) fn end_if_unused(&self) -> bool {
        let mut lanes = self.lanes.lock();
        let queued = !lanes.data.is_empty() || lanes.control.iter().any(Control::is_own);
        let used = lanes.live || queued || !lanes.line.is_empty();
        if used || lanes.ended.is_some() {
            return false;
        }
        lanes.ended = Some(ExitReason::Normal);
        lanes.orders.stop = true;
        self.urge(lanes);
        true
    }

    /// Ends the address for good: queued messages are returned as dead letters, senders in line get theirs back,
    /// watchers their one notice.
    pub(crate) fn close(&self, reason: &ExitReason) -> Vec<M> {
        let mut lanes = self.lanes.lock();
        if mem::replace(&mut lanes.closed, true) {
            return Vec::new();
        }
        let reason = lanes.ended.get_or_insert_with(|| reason.clone()).clone();
        lanes.live = false;
        lanes.taken = 0;
        lanes.host = None;
        let (own, mut control): (VecDeque<_>, VecDeque<_>) =
            mem::take(&mut lanes.control).into_iter().partition(Control::is_own);
        let mut dead: Vec<M> = own.into_iter().filter_map(Control::into_own).collect();
        dead.extend(mem::take(&mut lanes.data));
        lanes.answers.append_to(&mut control);
        let line = lanes.line.take();
        let aside = lanes.aside.take().map(|all| *all).unwrap_or_default();
        let Aside { watches, owner, guests, .. } = aside;
        drop(lanes);
        // None but of an incarnation whose executor has dropped it.
        guests.into_vec().iter().rev().for_each(|(child, _)| child.0.order_stop());
        for Waiting { message, turn } in line {
            if let Some(waker) = turn.hand_back(message) {
                waker.wake();
            }
        }
        for Watch { watcher, .. } in watches {
            let down = Down { actor: self.id, reason: reason.clone() };
            contained("a notice of an actor's end", || watcher(down));
        }
        contained("dropping an ended actor's notices", || drop(control));
        wake_all(owner.into_iter().collect());
        dead
    }
}

impl<M: Send + 'static> Slot<M> {
    /// Ends the address for good: out of the registry, then closed, what was queued noted as dead letters.
    pub(crate) fn bury(&self, reason: &ExitReason) {
        self.kernel.registry.remove(&self.name, self.id);
        if self.word.get().is_some() {
            self.kernel.waits.forget(self.id);
        }
        let dead = self.close(reason);
        self.kernel.dead_letters::<M>(&self.name, dead);
    }
}

impl<M> Control<M> {
    fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    fn into_own(self) -> Option<M> {
        if let Self::Own(message) = self { Some(message) } else { None }
    }
}

impl<M> Lanes<M> {
    fn hand_over(&mut self, control: &mut VecDeque<Control<M>>, intake: Intake) {
        if intake != Intake::Answers {
            mem::swap(control, &mut self.control);
        }
        self.answers.append_to(control);
        if let Some(reason) = self.orders.end() {
            control.push_front(Control::End(reason));
        }
    }

    /// Whether there is nothing to take, nobody to admit, and no room to give back.
    fn is_calm(&self) -> bool {
        self.data.is_empty()
            && self.control.is_empty()
            && self.line.is_empty()
            && is_small(&self.data)
            && is_small(&self.control)
    }

    fn park(&mut self, waker: &Waker) {
        if !self.host.as_ref().is_some_and(|host| host.will_wake(waker)) {
            self.host = Some(waker.clone());
        }
    }
}

impl<M: Send + 'static> Wake for Slot<M> {
    fn wake(self: Arc<Self>) {
        self.nudge();
    }
}

/// Whether a queue has no more room than an idle one keeps.
fn is_small<T>(queue: &VecDeque<T>) -> bool {
    queue.capacity() <= QUEUE_SHRINK_ABOVE
}

/// Gives back what a burst needed.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if !is_small(queue) && queue.is_empty() {
        queue.shrink_to(QUEUE_SHRINK_ABOVE);
    }
}

fn take_batch<M>(data: &mut VecDeque<M>, batch: &mut VecDeque<M>, most: usize) {
    if data.len() <= most && batch.is_empty() {
        mem::swap(data, batch);
    } else {
        let count = data.len().min(most);
        batch.extend(data.drain(..count));
    }
}
