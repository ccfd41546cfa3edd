//! One incarnation on stage: an actor, its context and its outbox, stepped without waiting.
//!
//! Stepped by `serve` in production and by [`Probe`](crate::probe::Probe) in a unit test, so that both run the same code.

use std::{
    any::type_name,
    hash::{Hash, Hasher},
    mem::discriminant,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
    task::Waker,
};

use protocol::RunId;

use crate::{
    actor::{Actor, ExitReason},
    ask::Reply,
    belongings::Belongings,
    context::Cx,
    dead_letters::Kept,
    engine::journal::Sequence,
    graph::ObservableState,
    kernel::Kernel,
    lab::{Fingerprint, Lab, Stepped},
    mailbox::{Intake, Slot},
    outbox::Outbox,
    work::{contained, panic_text},
};

/// An actor between two steps.
pub(crate) struct Stage<A: Actor> {
    pub(crate) actor: A,
    pub(crate) cx: Cx<A>,
    pub(crate) outbox: Outbox,
    pub(crate) belongings: Belongings,
    kernel: Arc<Kernel>,
    /// For a simulation: which variant of its messages the actor handles.
    variant: u64,
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
            cx: Cx::new(Arc::clone(slot), incarnation, stream.is_some()),
            outbox: Outbox::new(Waker::from(Arc::clone(slot)), stream),
            belongings: Belongings::default(),
            kernel: Arc::clone(&slot.kernel),
            variant: 0,
        }
    }

    /// Handles one message in a step.
    pub(crate) fn handle(&mut self, message: A::Msg) -> Option<ExitReason> {
        if self.kernel.lab.is_some() {
            self.variant = variant_of(&message);
        }
        let mut kept = Kept::Nothing;
        let ended = self.step(|actor, cx| {
            kept = A::keep(&message);
            actor.handle(message, cx);
        });
        if let Some(ExitReason::Crashed(why)) = &ended {
            self.bury(why, kept);
        }
        ended
    }

    #[cold]
    fn bury(&self, why: &str, kept: Kept<A::Msg>) {
        self.kernel.poison(&self.cx.me().0, self.cx.incarnation(), why, kept);
    }

    /// Runs one step and performs what it may; a reason ends the incarnation.
    ///
    /// A step that panics or cannot record leaves no effect. Effects run closures of the actor's own, whose panics are its own too.
    pub(crate) fn step(&mut self, step: impl FnOnce(&mut A, &mut Cx<A>)) -> Option<ExitReason> {
        self.cx.begin_step();
        let Self { actor, cx, outbox, belongings, kernel, variant } = self;
        let stepped = std::panic::catch_unwind(AssertUnwindSafe(|| {
            step(actor, cx);
            if let Some(lab) = &kernel.lab {
                observe(&**lab, cx, *variant);
            }
            if cx.fault.is_none() && !cx.effects.is_empty() {
                outbox.commit(kernel, &mut cx.effects, belongings);
            }
        }));
        let fault = match stepped {
            Ok(()) => self.cx.fault.take(),
            Err(panic) => Some(panic_text(&*panic)),
        };
        if fault.is_some() {
            contained("dropping the effects of a failed step", || self.cx.effects.clear());
        }
        if let Some(rare) = &mut self.cx.rare {
            contained("ending a step", || rare.end_step(fault.is_some(), || self.kernel.now()));
        }
        fault.map(ExitReason::Crashed).or_else(|| self.cx.exit.take().map(|reason| *reason))
    }

    /// Whether nothing is left that an end would have to wait for.
    pub(crate) fn owns_nothing(&self) -> bool {
        self.outbox.is_empty() && self.belongings.is_empty()
    }

    /// Shows the actor's state to whoever looks; an actor that panics at that goes on as before.
    #[cold]
    pub(crate) fn observe(&self, to: Reply<ObservableState>) {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.actor.observe())) {
            Ok(state) => to.send(state),
            Err(panic) => to.refuse(panic_text(&*panic)),
        };
    }

    /// What the actor may take now.
    pub(crate) fn intake(&self) -> Intake {
        match (self.cx.calls, self.outbox.is_open()) {
            (0, true) => Intake::All,
            (0, false) => Intake::Control,
            (_, _) => Intake::Answers,
        }
    }

    /// Runs the step of a call's answer: that call is over.
    pub(crate) fn answered(&mut self, message: A::Msg) -> Option<ExitReason> {
        self.cx.calls = self.cx.calls.saturating_sub(1);
        self.handle(message)
    }

    /// Tells the wait-for graph whether the actor can do nothing until its message in line is taken in.
    ///
    /// A message that could never be taken in becomes a dead letter, and what stands behind it goes on.
    pub(crate) fn stand_in_line(&mut self) -> Option<ExitReason> {
        if self.outbox.is_empty() {
            return None;
        }
        loop {
            let blocked =
                (self.intake() != Intake::All).then(|| (&self.kernel.waits, self.cx.slot.waiter()));
            if !self.outbox.stand_in_line(blocked) {
                return None;
            }
            let ended = self.flush();
            if ended.is_some() {
                return ended;
            }
        }
    }

    /// Sends the records of the last steps to the journal and performs what is free to leave.
    pub(crate) fn flush(&mut self) -> Option<ExitReason> {
        if self.outbox.is_empty() {
            return None;
        }
        let Self { outbox, belongings, kernel, .. } = self;
        let flushed = AssertUnwindSafe(|| outbox.flush(kernel, belongings));
        match std::panic::catch_unwind(flushed) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(ExitReason::Journal(error.to_string())),
            Err(panic) => Some(ExitReason::Crashed(panic_text(&*panic))),
        }
    }
}

/// Shows a step to the node's lab, which may make it fail.
#[cold]
fn observe<A: Actor>(lab: &dyn Lab, cx: &Cx<A>, variant: u64) {
    let step = Stepped {
        actor: cx.name(),
        incarnation: cx.incarnation(),
        message: type_name::<A::Msg>(),
        variant,
        effects: cx.effects.len(),
    };
    if lab.stepped(&step) {
        // Raised without the panic hook: it is no news.
        resume_unwind(Box::new("a panic of the simulation"));
    }
}

/// A number of a message's variant, the same in every process; never 0.
fn variant_of<M>(message: &M) -> u64 {
    let mut hasher = Fingerprint::default();
    discriminant(message).hash(&mut hasher);
    hasher.finish() | 1
}
