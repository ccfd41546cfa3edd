//! An actor without its message type: what a parent, a supervisor or a list needs of it.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    actor::{ActorId, ExitReason},
    address::Addr,
    ask::Reply,
    clock::Moment,
    graph::{ActorNode, ObservableState},
    kernel::Kernel,
    mailbox::{Slot, Tally, Watcher},
    spawn::Shutdown,
};

/// An actor, whatever its message type is.
#[derive(Clone)]
pub struct ChildRef(pub(crate) Arc<dyn Child>);

impl ChildRef {
    /// Which actor this is.
    pub fn id(&self) -> ActorId {
        self.0.id()
    }

    /// The actor's name: its path from the root of its tree.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Why the actor ended for good, if it has.
    pub fn ended(&self) -> Option<ExitReason> {
        self.0.ended()
    }

    /// What the mailbox holds and what it has refused or dropped, exactly.
    pub fn tally(&self) -> Tally {
        self.0.tally()
    }

    /// The actor's address, if it takes messages of type `M`.
    pub fn addr<M: Send + 'static>(&self) -> Option<Addr<M>> {
        Arc::clone(&self.0).as_any().downcast::<Slot<M>>().ok().map(Addr)
    }

    /// Asks the actor to end for good.
    pub fn stop(&self) {
        self.0.order_stop();
    }

    /// Ends the actor's present incarnation as [`Killed`](ExitReason::Killed): effects that wait are dropped, tasks aborted.
    ///
    /// Its supervisor then decides, as on a crash. No step is interrupted: one that runs ends first.
    pub fn kill(&self) {
        self.0.order_kill();
    }

    /// Ends the actor for good, with all below it, at once: nobody winds down, effects that wait are dropped, tasks aborted.
    ///
    /// The order reaches every descendant before this returns, none waits for another. No step is interrupted: one that runs
    /// ends first, and whoever does not come out of it within 1 s is left behind. [`stopped`](Self::stopped) tells when all is quiet.
    pub fn cancel(&self) {
        self.0.cancel_tree();
    }

    /// Waits until the actor has ended for good.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> ExitReason {
        stopped(&*self.0).await
    }
}

impl From<&Self> for ChildRef {
    fn from(child: &Self) -> Self {
        child.clone()
    }
}

impl<M: Send + 'static> From<&Addr<M>> for ChildRef {
    fn from(addr: &Addr<M>) -> Self {
        addr.child()
    }
}

impl fmt::Debug for ChildRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ChildRef({} {})", self.name(), self.id())
    }
}

/// What the kernel asks of any actor.
pub(crate) trait Child: Send + Sync {
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    fn id(&self) -> ActorId;
    fn name(&self) -> &str;
    /// The node's kernel.
    fn kernel(&self) -> &Arc<Kernel>;
    fn ended(&self) -> Option<ExitReason>;
    fn tally(&self) -> Tally;
    fn order_stop(&self);
    fn order_restart(&self);
    fn order_pause(&self);
    fn order_kill(&self);
    fn order_cancel(&self, at: Option<Moment>);
    /// Orders the actor and all below it to end, now.
    fn cancel_tree(&self);
    /// Ends an actor at rest for good, if nothing waits in its queue.
    fn end_if_unused(&self) -> bool;
    fn parent(&self) -> Option<ActorId>;
    fn poll_rest(&self, cx: &Context<'_>) -> Poll<()>;
    /// Ends the address though its actor does not come out of a step.
    fn abandon(&self);
    /// Takes in a child that work of `incarnation` has started; false when that has ended already.
    fn take_in(&self, incarnation: u32, child: &ChildRef, shutdown: Shutdown) -> bool;
    fn watch(&self, by: Option<ActorId>, watcher: Watcher) -> Option<u64>;
    fn unwatch(&self, key: u64);
    /// What an observer sees from outside, and who watches the actor; none of one that has ended.
    fn look(&self) -> Option<(ActorNode, Vec<ActorId>)>;
    /// Lets the actor show its state.
    fn observe(&self, to: Reply<ObservableState>);
}

impl<M: Send + 'static> Child for Slot<M> {
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn id(&self) -> ActorId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    fn ended(&self) -> Option<ExitReason> {
        Slot::ended(self)
    }

    fn tally(&self) -> Tally {
        Slot::tally(self)
    }

    fn order_stop(&self) {
        Slot::order_stop(self);
    }

    fn order_restart(&self) {
        Slot::order_restart(self);
    }

    fn order_pause(&self) {
        Slot::order_pause(self);
    }

    fn order_kill(&self) {
        Slot::order_kill(self);
    }

    fn order_cancel(&self, at: Option<Moment>) {
        Slot::order_cancel(self, at);
    }

    fn cancel_tree(&self) {
        // First itself, so that a child which is born meanwhile is cancelled by its parent.
        Slot::order_cancel(self, Some(self.kernel.now()));
        for child in self.kernel.registry.below(&[self.id]) {
            child.0.order_cancel(None);
        }
    }

    fn end_if_unused(&self) -> bool {
        let ended = Slot::end_if_unused(self);
        if ended {
            // At once, so that the next one has its name.
            self.kernel.registry.remove(&self.name, self.id);
        }
        ended
    }

    fn parent(&self) -> Option<ActorId> {
        self.parent
    }

    fn poll_rest(&self, cx: &Context<'_>) -> Poll<()> {
        Slot::poll_rest(self, cx)
    }

    fn abandon(&self) {
        self.bury(&ExitReason::Killed);
    }

    fn take_in(&self, incarnation: u32, child: &ChildRef, shutdown: Shutdown) -> bool {
        Slot::take_in(self, incarnation, child, shutdown)
    }

    fn watch(&self, by: Option<ActorId>, watcher: Watcher) -> Option<u64> {
        Slot::watch(self, by, watcher)
    }

    fn unwatch(&self, key: u64) {
        Slot::unwatch(self, key);
    }

    fn look(&self) -> Option<(ActorNode, Vec<ActorId>)> {
        Slot::look(self)
    }

    fn observe(&self, to: Reply<ObservableState>) {
        Slot::observe(self, to);
    }
}

/// Waits until `child` has ended for good.
pub(crate) async fn stopped(child: &(impl Child + ?Sized)) -> ExitReason {
    let heard: Arc<Mutex<(Option<ExitReason>, Option<Waker>)>> = Arc::default();
    let tell = Arc::clone(&heard);
    let key = child.watch(
        None,
        Box::new(move |down| {
            let waker = {
                let mut heard = tell.lock();
                heard.0 = Some(down.reason);
                heard.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }),
    );
    let _watch = Watch { child, key };
    std::future::poll_fn(|cx| {
        let mut heard = heard.lock();
        match heard.0.take() {
            Some(reason) => Poll::Ready(reason),
            None => {
                heard.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Takes a watcher back that nobody waits for any more.
struct Watch<'a, C: Child + ?Sized> {
    child: &'a C,
    key: Option<u64>,
}

impl<C: Child + ?Sized> Drop for Watch<'_, C> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.child.unwatch(key);
        }
    }
}
