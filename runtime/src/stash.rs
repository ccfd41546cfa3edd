//! The stash: messages that an actor sets aside until it can handle them.
//!
//! Used by steps through [`Cx::stash`] and [`Cx::unstash_all`].
//!
//! # Invariants
//! - Holds at most [`STASH_MESSAGES_MAX`] messages, beside those of the mailbox.
//! - What is stashed was not handled: at the end of an incarnation it goes back to the front of the queue, in order, and from
//!   there to the next incarnation or, at the end for good, to the dead letters.
//! - A step that fails has stashed and unstashed nothing.

use std::{collections::VecDeque, fmt, mem};

use crate::{
    actor::Actor, context::Cx, limits::STASH_MESSAGES_MAX, mailbox::Slot, rare::Rare, stage::Stage,
};

/// A message that was not stashed, since the stash is full.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error(
    "the stash is full: it holds {STASH_MESSAGES_MAX} messages; refuse this one, or unstash sooner"
)]
pub struct StashFull<M>(pub M);

impl<M> fmt::Debug for StashFull<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StashFull")
    }
}

impl<A: Actor> Cx<A> {
    /// Sets `message` aside until [`unstash_all`](Self::unstash_all), mostly since the actor waits for something else first.
    ///
    /// A restart returns it to the front of the queue, since nobody has handled it; an end for good makes it a dead letter. If
    /// the step fails, it is lost with the step.
    ///
    /// # Errors
    /// The message comes back when 1,024 are stashed.
    pub fn stash(&mut self, message: A::Msg) -> Result<(), StashFull<A::Msg>> {
        self.rare().stash.push(message)
    }

    /// Handles what was stashed, in the order in which it was, after this step and before what is queued.
    ///
    /// What is stashed later in this step stays.
    pub fn unstash_all(&mut self) {
        self.rare().stash.release();
    }

    /// How many messages are stashed now.
    pub fn stashed(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.stash.len())
    }

    pub(crate) fn rare(&mut self) -> &mut Rare<A::Msg> {
        self.rare.get_or_insert_default()
    }
}

impl<A: Actor> Stage<A> {
    /// Puts what was unstashed before the rest of the `batch` that was taken from `slot`.
    #[inline]
    pub(crate) fn unstash(&mut self, slot: &Slot<A::Msg>, batch: &mut VecDeque<A::Msg>) {
        if let Some(rare) = &mut self.cx.rare {
            let free = rare.stash.take_free();
            if !free.is_empty() {
                slot.retake(free.len());
                prepend(free, batch);
            }
        }
    }

    /// Puts what was unstashed to the front of the queue, where no batch is taken from it.
    pub(crate) fn requeue(&mut self, slot: &Slot<A::Msg>) {
        if let Some(rare) = &mut self.cx.rare {
            let mut free = rare.stash.take_free();
            if !free.is_empty() {
                slot.put_back(&mut free);
            }
        }
    }

    /// Ends the stash: what nobody has handled goes before the rest of the last `batch`.
    pub(crate) fn return_stash(&mut self, batch: &mut VecDeque<A::Msg>) {
        if let Some(rare) = self.cx.rare.take() {
            prepend(rare.stash.unhandled(), batch);
        }
    }
}

fn prepend<M>(mut first: VecDeque<M>, to: &mut VecDeque<M>) {
    first.append(to);
    *to = first;
}

/// Messages set aside, in the order in which they were.
pub(crate) struct Stash<M> {
    kept: VecDeque<M>,
    /// Older than those kept; unstashed, and not yet taken.
    free: VecDeque<M>,
    /// How many of the last ones the present step has stashed.
    fresh: usize,
}

impl<M> Default for Stash<M> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), free: VecDeque::new(), fresh: 0 }
    }
}

impl<M> Stash<M> {
    fn push(&mut self, message: M) -> Result<(), StashFull<M>> {
        if self.kept.len() + self.free.len() >= STASH_MESSAGES_MAX {
            return Err(StashFull(message));
        }
        self.kept.push_back(message);
        self.fresh += 1;
        Ok(())
    }

    fn release(&mut self) {
        self.free.append(&mut self.kept);
    }

    fn len(&self) -> usize {
        self.kept.len()
    }

    fn take_free(&mut self) -> VecDeque<M> {
        mem::take(&mut self.free)
    }

    /// Keeps what the step stashed, or drops it. What a failed step unstashed goes back to the queue all the same.
    pub(crate) fn end_step(&mut self, failed: bool) {
        let dropped = if failed { self.fresh } else { 0 };
        self.fresh = 0;
        for _ in 0..dropped {
            drop(self.kept.pop_back().or_else(|| self.free.pop_back()));
        }
    }

    fn unhandled(mut self) -> VecDeque<M> {
        self.release();
        self.free
    }
}
