//! What few actors use: a stash and a timeout of their own. One word in the context of all others.
//!
//! Filled by [`Cx`](crate::context::Cx), kept in order by `stage` between steps, emptied by `serve` when the incarnation ends.

use crate::{clock::Moment, receive_timeout::Timeout, stash::Stash};

/// A stash and a receive timeout of one incarnation.
pub(crate) struct Rare<M: Send + 'static> {
    pub(crate) stash: Stash<M>,
    pub(crate) timeout: Option<Timeout<M>>,
}

impl<M: Send + 'static> Default for Rare<M> {
    fn default() -> Self {
        Self { stash: Stash::default(), timeout: None }
    }
}

impl<M: Send + 'static> Rare<M> {
    /// A step is over: what it stashed is kept, or dropped as all its effects are; the timeout begins anew.
    pub(crate) fn end_step(&mut self, failed: bool, now: impl FnOnce() -> Moment) {
        self.stash.end_step(failed);
        if let Some(timeout) = &mut self.timeout {
            timeout.restart(now());
        }
    }
}
