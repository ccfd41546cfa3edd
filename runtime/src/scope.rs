//! Scopes: what one piece of async work starts ends with it.
//!
//! Work starts actors from outside of its owner's steps, by [`WorkCx::spawn`](crate::work_cx::WorkCx::spawn). They belong to the
//! incarnation that the work belongs to; those of a scope end earlier, with the work that the scope was made for.
//!
//! # Invariants
//! - Whoever is admitted is ordered to end when the scope ends or is dropped; nobody is admitted later.

use std::{
    fmt,
    future::{self, Future},
    mem,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    actor::Actor, belongings::Pruned, child::ChildRef, context::Cx, ending, work_cx::WorkCx,
};

/// Ends with a piece of work what that has started.
pub struct Scope(pub(crate) Arc<Guests>);

/// The actors of a scope; shared with the work that starts them.
#[derive(Default)]
pub(crate) struct Guests(Mutex<List>);

#[derive(Default)]
struct List {
    all: Pruned<ChildRef>,
    over: bool,
}

impl Guests {
    /// Takes `child` in; false when the work is over.
    pub(crate) fn admit(&self, child: &ChildRef) -> bool {
        let mut list = self.0.lock();
        if !list.over {
            list.all.push(child.clone(), |child| child.ended().is_none());
        }
        !list.over
    }

    /// Cancels everyone, with all below them; returns those that have not ended.
    fn end(&self) -> Vec<ChildRef> {
        let mut list = self.0.lock();
        list.over = true;
        let mut left = mem::take(&mut list.all).into_vec();
        drop(list);
        left.retain(|child| child.ended().is_none());
        left.iter().for_each(ChildRef::cancel);
        left
    }
}

impl Scope {
    /// Cancels what the work has started, with all below; from now on it starts nobody more.
    ///
    /// Returns what waits until all have ended, or were left behind as those that do not come out of a step; nothing where there is
    /// nobody to wait for.
    pub fn end<A: Actor>(&self, cx: &Cx<A>) -> Option<impl Future<Output = ()> + Send + use<A>> {
        let (left, kernel) = (self.0.end(), Arc::clone(&cx.slot.kernel));
        (!left.is_empty())
            .then_some(async move { ending::cancel(&kernel, &left, future::ready(())).await })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl WorkCx {
    /// The same for work of its own: what that starts ends with the scope, at the latest.
    #[must_use]
    pub fn scoped(mut self) -> (Self, Scope) {
        let guests = Arc::<Guests>::default();
        self.scope = Some(Arc::clone(&guests));
        (self, Scope(guests))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let List { all, over } = &*self.0.0.lock();
        write!(out, "Scope({} actors{})", all.len(), if *over { ", over" } else { "" })
    }
}
