//! The receive timeout: what an actor does when it has handled nothing for a while, as Akka's.
//!
//! Set by steps through [`Cx::receive_timeout`], and by [`Spawn::passivate`](crate::spawn::Spawn::passivate) for a whole life.
//! No message pays for a timer: there is one, which looks at when the last step was and, if that is not long ago, waits on.
//!
//! # Invariants
//! - It belongs to the incarnation that set it and ends with it.
//! - It is looked at in the actor's own turn, so no step that runs counts as idle, however long it takes.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use crate::{
    actor::{Actor, ExitReason},
    clock::Moment,
    context::Cx,
    mailbox::Slot,
    stage::Stage,
    timers::{Due, TimerKey},
    work::panic_text,
};

impl<A: Actor> Cx<A> {
    /// Sends the actor the message that `message` makes whenever it has handled nothing for `within`, from now on.
    ///
    /// Everything that it handles begins the wait anew: messages, answers, timers, notices, results of tasks, messages to
    /// itself and this message too, which therefore comes again and again. The wait counts from the end of a step. A second
    /// timeout takes the place of the first, and of [`Spawn::passivate`](crate::spawn::Spawn::passivate). While a call is open
    /// it waits for the call's end.
    pub fn receive_timeout(
        &mut self,
        within: Duration,
        message: impl Fn() -> A::Msg + Send + 'static,
    ) {
        self.time_out(within, Some(Box::new(message)));
    }

    /// Takes the receive timeout back.
    pub fn cancel_receive_timeout(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.timeout = None;
        }
    }

    /// Ends the incarnation as [`Normal`](ExitReason::Normal) when it is idle for `within`.
    pub(crate) fn passivate(&mut self, within: Duration) {
        self.time_out(within, None);
    }

    fn time_out(&mut self, within: Duration, message: Option<Make<A::Msg>>) {
        let (slot, incarnation, since) = (Arc::clone(&self.slot), self.incarnation, self.now());
        let check = Arc::new(Check { slot, incarnation });
        let key = check.arm(since + within);
        self.rare().timeout = Some(Timeout { within, message, since, check, key });
    }
}

impl<A: Actor> Stage<A> {
    /// Looks whether the actor has been idle for long enough, and does what it then does; `all_handled` of what it has taken.
    pub(crate) fn idle(&mut self, all_handled: bool) -> Option<ExitReason> {
        let (slot, outbox, belongings) = (&self.cx.slot, &self.outbox, &self.belongings);
        let (now, queued) = (slot.kernel.now(), !all_handled || !slot.is_quiet());
        let timeout = self.cx.rare.as_mut()?.timeout.as_mut()?;
        let ends = timeout.message.is_none();
        if queued || ends && (!outbox.is_empty() || belongings.is_busy() || slot.has_guests()) {
            timeout.restart(now);
        }
        if !timeout.is_over(now) {
            return None;
        }
        let Some(message) = &timeout.message else { return Some(ExitReason::Normal) };
        match std::panic::catch_unwind(AssertUnwindSafe(message)) {
            Ok(message) => self.handle(message),
            Err(panic) => Some(ExitReason::Crashed(panic_text(&*panic))),
        }
    }
}

/// Makes the message of a timeout.
type Make<M> = Box<dyn Fn() -> M + Send>;

/// The timeout of one incarnation; its timer leaves the wheel when it is dropped.
pub(crate) struct Timeout<M: Send + 'static> {
    within: Duration,
    /// Without one the incarnation ends.
    message: Option<Make<M>>,
    /// The end of the last step.
    since: Moment,
    check: Arc<Check<M>>,
    key: TimerKey,
}

impl<M: Send + 'static> Timeout<M> {
    /// The actor has done something at `now`; the timer finds that out when it goes off.
    pub(crate) fn restart(&mut self, now: Moment) {
        self.since = now;
    }

    /// Whether the time is over; sets the timer to the moment at which it next may be.
    fn is_over(&mut self, now: Moment) -> bool {
        let over = now >= self.since + self.within;
        let from = if over { now } else { self.since };
        self.check.disarm(self.key);
        self.key = self.check.arm(from + self.within);
        over
    }
}

impl<M: Send + 'static> Drop for Timeout<M> {
    fn drop(&mut self) {
        self.check.disarm(self.key);
    }
}

/// Makes the actor look whether it is idle.
struct Check<M> {
    slot: Arc<Slot<M>>,
    incarnation: u32,
}

impl<M: Send + 'static> Check<M> {
    fn arm(self: &Arc<Self>, at: Moment) -> TimerKey {
        self.slot.kernel.timers.insert(at, Arc::<Self>::clone(self))
    }

    fn disarm(&self, key: TimerKey) {
        self.slot.kernel.timers.cancel(key);
    }
}

impl<M: Send + 'static> Due for Check<M> {
    fn due(&self) {
        self.slot.check_idle(self.incarnation);
    }
}
