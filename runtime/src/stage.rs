//! One incarnation on stage: an actor, its context and its outbox, stepped without waiting.
//!
//! Stepped by `serve` in production and by [`Probe`](crate::probe::Probe) in a unit test, so that both run the same code.

use std::{panic::AssertUnwindSafe, sync::Arc, task::Waker};

use protocol::RunId;

use crate::{
    actor::{Actor, ExitReason},
    context::Cx,
    engine::journal::Sequence,
    kernel::Kernel,
    mailbox::Slot,
    outbox::{Belongings, Outbox},
    work::panic_text,
};

/// An actor between two steps.
pub(crate) struct Stage<A: Actor> {
    pub(crate) actor: A,
    pub(crate) cx: Cx<A>,
    pub(crate) outbox: Outbox,
    pub(crate) belongings: Belongings,
    kernel: Arc<Kernel>,
}

impl<A: Actor> Stage<A> {
    /// Puts `actor` on stage as the slot's incarnation; it may record if it has a stream.
    pub(crate) fn new(
        slot: &Arc<Slot<A::Msg>>,
        incarnation: u32,
        actor: A,
        stream: Option<(RunId, Sequence)>,
    ) -> Self {
        Self {
            actor,
            cx: Cx::new(Arc::clone(slot), incarnation),
            outbox: Outbox::new(Waker::from(Arc::clone(slot)), stream),
            belongings: Belongings::default(),
            kernel: Arc::clone(&slot.kernel),
        }
    }

    /// Runs one step and performs what it may; a reason ends the incarnation.
    pub(crate) fn step(&mut self, step: impl FnOnce(&mut A, &mut Cx<A>)) -> Option<ExitReason> {
        self.cx.begin_step();
        let (actor, cx) = (&mut self.actor, &mut self.cx);
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| step(actor, cx))) {
            self.cx.effects.clear();
            return Some(ExitReason::Crashed(panic_text(&*panic)));
        }
        if !self.cx.effects.is_empty()
            && let Err(why) =
                self.outbox.commit(&self.kernel, &mut self.cx.effects, &mut self.belongings)
        {
            self.cx.effects.clear();
            return Some(ExitReason::Crashed(why));
        }
        self.cx.exit.take()
    }

    /// Sends the records of the last steps to the journal and performs what is free to leave.
    pub(crate) fn flush(&mut self) -> Option<ExitReason> {
        let flushed = self.outbox.flush(&self.kernel, &mut self.belongings);
        flushed.err().map(|error| ExitReason::Journal(error.to_string()))
    }
}
