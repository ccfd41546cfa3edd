//! How an owner ends its actors or lets them rest: asked first, killed when their time is over, left behind when stuck.
//!
//! Called by `serve` and `belongings` when an incarnation winds down. A supervisor that goes on serving does the same by messages.
//!
//! # Invariants
//! - No end waits for an actor longer than its [`Shutdown`] and [`KILL_WAIT`] say.
//! - An actor at rest has no incarnation: it is safe to begin the next one.

use std::{
    future::{self, Future, poll_fn},
    pin::pin,
    slice,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    actor::ActorId,
    child::ChildRef,
    kernel::Kernel,
    limits::{KILL_WAIT, QUIESCENCE_WAIT},
    spawn::Shutdown,
    timers::Sleep,
};

/// Children that outlive the incarnations of their parent, as a supervisor's do.
pub(crate) trait Kept: Send + Sync {
    /// Those that were launched and have not ended, in the order of their start.
    fn members(&self) -> Vec<(ChildRef, Shutdown)>;
    /// Ends for good, without waiting, whatever is left.
    fn close(&self);
}

/// A parent's claim on the children it keeps; they end with it.
#[derive(Default)]
pub(crate) struct Household(pub(crate) Option<Arc<dyn Kept>>);

impl Household {
    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Ends every child for good, last first, each within its own time.
    pub(crate) async fn end(&self, kernel: &Kernel) {
        for (child, shutdown) in self.members().iter().rev() {
            end(kernel, child, *shutdown).await;
            tell_ended(child);
        }
    }

    /// Brings every child to rest, last first; one that is out of time is killed and still waited for.
    pub(crate) async fn pause(&self, kernel: &Kernel) {
        for (child, shutdown) in self.members().iter().rev() {
            pause(kernel, child, *shutdown).await;
        }
    }

    /// Cancels every child at once.
    pub(crate) async fn cancel(&self, kernel: &Kernel) {
        let children: Vec<ChildRef> = self.members().into_iter().map(|(child, _)| child).collect();
        cancel(kernel, &children, future::ready(())).await;
    }

    /// Kills every child at once, to rest or for good.
    pub(crate) async fn kill(&self, kernel: &Kernel, for_good: bool) {
        let children: Vec<ChildRef> = self.members().into_iter().map(|(child, _)| child).collect();
        if for_good {
            return kill(kernel, &children, future::ready(())).await;
        }
        for child in children.iter().rev() {
            child.0.order_kill();
            child.0.order_pause();
        }
        for child in children.iter().rev() {
            at_rest(child).await;
        }
    }

    fn members(&self) -> Vec<(ChildRef, Shutdown)> {
        self.0.as_ref().map(|kept| kept.members()).unwrap_or_default()
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        if let Some(kept) = &self.0 {
            kept.close();
        }
    }
}

/// Logs how a supervisor's child ended: what is logged shows the order.
fn tell_ended(child: &ChildRef) {
    let reason = || child.ended().map(tracing::field::display);
    tracing::debug!(child = child.name(), reason = reason(), "child stopped");
}

/// Cancels `children` together, waits for them and for `also`, and leaves behind whoever does not come out of a step.
pub(crate) async fn cancel(kernel: &Kernel, children: &[ChildRef], also: impl Future<Output = ()>) {
    for child in children {
        child.0.order_cancel(None);
    }
    all_ended(kernel, children, also, QUIESCENCE_WAIT).await;
}

/// Kills `children` for good together, waits for them and for `also`, and leaves behind whoever does not come out of a step.
pub(crate) async fn kill(kernel: &Kernel, children: &[ChildRef], also: impl Future<Output = ()>) {
    for child in children.iter().rev() {
        child.0.order_kill();
        child.0.order_stop();
    }
    all_ended(kernel, children, also, KILL_WAIT).await;
}

/// Waits for `children`, which have no time of their own any more, and for `also`; leaves behind whoever still lives after `most`.
async fn all_ended(
    kernel: &Kernel,
    children: &[ChildRef],
    also: impl Future<Output = ()>,
    most: Duration,
) {
    let mut ended = pin!(async {
        // Last first: by the end of whoever heard of it last, the others have mostly ended, so few have to be waited for.
        for child in children.iter().rev() {
            if child.ended().is_none() {
                child.stopped().await;
            }
        }
        also.await;
    });
    // Whoever has nothing to wait for needs no timer.
    if poll_fn(|cx| Poll::Ready(ended.as_mut().poll(cx).is_ready())).await {
        return;
    }
    let wait = Sleep::until(&kernel.timers, kernel.now() + most);
    if first(ended, wait).await.is_none() {
        leave_behind(children);
    }
}

/// Ends `child` for good.
pub(crate) async fn end(kernel: &Kernel, child: &ChildRef, shutdown: Shutdown) {
    if shutdown == Shutdown::Brutal {
        child.0.order_kill();
    }
    child.0.order_stop();
    if first(child.stopped(), patience(kernel, shutdown)).await.is_none() {
        out_of_time(kernel, child, shutdown);
        outlive(kernel, child).await;
    }
}

/// Brings `child` to rest; its address and its queue stay.
async fn pause(kernel: &Kernel, child: &ChildRef, shutdown: Shutdown) {
    if shutdown == Shutdown::Brutal {
        child.0.order_kill();
    }
    child.0.order_pause();
    if first(at_rest(child), patience(kernel, shutdown)).await.is_none() {
        out_of_time(kernel, child, shutdown);
        at_rest(child).await;
    }
}

/// Kills `child`, whose time is over; says so unless it had none.
pub(crate) fn out_of_time(kernel: &Kernel, child: &ChildRef, shutdown: Shutdown) {
    if shutdown != Shutdown::Brutal {
        kernel.metrics.shutdown_overrun();
        tracing::error!(actor = child.name(), ?shutdown, "actor did not end in time and is killed");
    }
    child.0.order_kill();
}

/// Waits for the end of a killed child, and leaves it behind if it does not come out of its step.
async fn outlive(kernel: &Kernel, child: &ChildRef) {
    let wait = Sleep::until(&kernel.timers, kernel.now() + KILL_WAIT);
    if first(child.stopped(), wait).await.is_none() {
        leave_behind(slice::from_ref(child));
    }
}

/// Closes the addresses of those killed `children` that do not come out of a step, and of all below them.
///
/// Who is stuck cannot end its own children: they are killed in its place.
pub(crate) fn leave_behind(children: &[ChildRef]) {
    let stuck: Vec<&ChildRef> = children.iter().filter(|child| child.ended().is_none()).collect();
    let Some(first) = stuck.first() else { return };
    for child in &stuck {
        tracing::error!(actor = child.name(), "actor does not come out of its step, left behind");
    }
    let roots: Vec<ActorId> = stuck.iter().map(|child| child.id()).collect();
    let below = first.0.kernel().registry.below(&roots);
    for child in &below {
        child.0.order_kill();
        child.0.order_stop();
    }
    for child in below.iter().rev().chain(stuck) {
        child.0.abandon();
    }
}

async fn at_rest(child: &ChildRef) {
    poll_fn(|cx| child.0.poll_rest(cx)).await;
}

/// How long whoever ends an actor waits for it.
pub(crate) fn patience(kernel: &Kernel, shutdown: Shutdown) -> BoxFuture<'static, ()> {
    match shutdown {
        Shutdown::Within(within) => Sleep::until(&kernel.timers, kernel.now() + within).boxed(),
        Shutdown::Brutal => future::ready(()).boxed(),
        Shutdown::Infinity => future::pending().boxed(),
    }
}

/// The outcome of `work`, unless `deadline` comes first.
pub(crate) async fn first<T>(
    work: impl Future<Output = T>,
    deadline: impl Future<Output = ()>,
) -> Option<T> {
    let (mut work, mut deadline) = (std::pin::pin!(work), std::pin::pin!(deadline));
    poll_fn(|cx| {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(done));
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await
}
