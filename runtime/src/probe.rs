//! A probe: one actor on stage in a unit test, without a runtime, with time and dice in the test's hand.
//!
//! It runs the same [`Stage`] as production does; sends to real addresses land in their mailboxes, where
//! [`Addr::take`](crate::address::Addr::take) finds them. Its tasks run while it settles, its children are never stepped.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    ops::{Deref, DerefMut},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use protocol::{EventId, RunId};

use crate::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::{AskError, Reply, TaskAsk, Waiter},
    clock::ManualClock,
    context::Cx,
    engine::{journal::Journal, local::MemoryJournal},
    events::{Bus, Draft, PublishError},
    kernel::{Kernel, Shelf},
    mailbox::{Mailbox, Slot},
    serve::run_batch,
    stage::Stage,
};

/// One actor, stepped by a test; dereferences to the actor's state.
///
/// ```
/// use synod_runtime::{actor::Actor, ask::Reply, context::Cx, probe::Probe};
///
/// struct Quota { left: u64 }
/// struct Take(u64, Reply<bool>);
///
/// impl Actor for Quota {
///     type Msg = Take;
///     fn handle(&mut self, Take(n, to): Take, cx: &mut Cx<Self>) {
///         let ok = n <= self.left;
///         if ok { self.left -= n }
///         cx.reply(to, ok);
///     }
/// }
///
/// let mut quota = Probe::new(Quota { left: 2 });
/// assert_eq!(quota.ask(|to| Take(3, to)), Ok(false));
/// assert_eq!(quota.left, 2);
/// ```
pub struct Probe<A: Actor> {
    stage: Stage<A>,
    slot: Arc<Slot<A::Msg>>,
    kernel: Arc<Kernel>,
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    shelf: Arc<Shelf>,
    exit: Option<ExitReason>,
}

impl<A: Actor> Probe<A> {
    /// Puts `actor` on stage and runs its `start`. It may record; nothing was recorded before.
    pub fn new(actor: A) -> Self {
        let clock = Arc::new(ManualClock::default());
        let journal = Arc::new(MemoryJournal::default());
        let shelf = Arc::<Shelf>::default();
        let records = Arc::<MemoryJournal>::clone(&journal);
        let kernel = Kernel::still(Arc::clone(&clock), records, &shelf);
        let (id, mailbox) = (kernel.next_actor(), Mailbox::default());
        let slot = Arc::new(Slot::new(Arc::clone(&kernel), id, "probe".into(), mailbox));
        let incarnation = slot.begin();
        let stage = Stage::new(&slot, incarnation, actor, Some((RunId::NIL, 0)));
        let mut probe = Self { stage, slot, kernel, clock, journal, shelf, exit: None };
        probe.step(A::start);
        probe
    }

    /// Handles one message, and every message that follows from it to the actor itself.
    pub fn tell(&mut self, message: A::Msg) {
        self.step(|actor, cx| actor.handle(message, cx));
    }

    /// Asks the actor; its answer, or `Dropped` if it kept or dropped the reply.
    ///
    /// # Errors
    /// [`AskError::Dropped`] when the reply was dropped, [`AskError::TimedOut`] (of no time) while it is kept.
    pub fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(Reply<T>) -> A::Msg,
    ) -> Result<T, AskError> {
        let ask = TaskAsk::open(&self.kernel, Duration::MAX);
        let mut waiter = std::pin::pin!(Waiter::new(Arc::clone(&ask)));
        self.tell(question(Reply::new(ask)));
        match waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(AskError::TimedOut(Duration::ZERO)),
        }
    }

    /// Lets time pass; timers and deadlines that fall due are handled.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.kernel.timers.turn(self.kernel.now());
        self.settle();
    }

    /// Why the actor ended, if it has; it takes no message afterwards.
    pub fn exit(&self) -> Option<&ExitReason> {
        self.exit.as_ref()
    }

    /// What the actor recorded so far, encoded, in order.
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.journal.read(RunId::NIL, 0, usize::MAX).unwrap_or_default()
    }

    /// The actor's own address; what is sent to it is handled by the next [`tell`](Self::tell), [`advance`](Self::advance) or
    /// [`settle`](Self::settle).
    pub fn addr(&self) -> Addr<A::Msg> {
        Addr(Arc::clone(&self.slot))
    }

    /// Handles everything that has arrived: answers, timers, results of tasks, messages to itself or to its address.
    pub fn settle(&mut self) {
        let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
        let cx = Context::from_waker(Waker::noop());
        while self.exit.is_none() {
            let intake = self.stage.intake();
            if self.slot.poll_take(&cx, &mut control, &mut batch, intake).is_pending() {
                let tally = self.slot.tally();
                if self.shelf.poll_tasks() || self.slot.tally() != tally {
                    continue;
                }
                return;
            }
            let Self { slot, stage, .. } = self;
            let ended = run_batch(slot, stage, &mut control, &mut batch, &mut 0);
            self.exit = ended.or_else(|| self.stage.flush()).or_else(|| self.stage.stand_in_line());
        }
    }

    /// Publishes an event of `source`; a subscription of the actor hears it at once.
    ///
    /// # Errors
    /// [`PublishError`] when the event is not valid; it then reaches nobody.
    pub fn publish(&mut self, draft: Draft, source: &str) -> Result<EventId, PublishError> {
        let id = self.kernel.publish_draft(draft, source)?;
        self.settle();
        Ok(id)
    }

    /// The bus on which the actor's events are published.
    pub fn events(&self) -> &Bus {
        &self.kernel.bus
    }

    fn step(&mut self, step: impl FnOnce(&mut A, &mut Cx<A>)) {
        self.once(step);
        self.settle();
    }

    fn once(&mut self, step: impl FnOnce(&mut A, &mut Cx<A>)) {
        if self.exit.is_none() {
            self.exit = self.stage.step(step).or_else(|| self.stage.flush());
            self.stage.requeue(&self.slot);
        }
    }
}

impl<A: Actor> Drop for Probe<A> {
    fn drop(&mut self) {
        self.shelf.clear();
    }
}

impl<A: Actor> Deref for Probe<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.stage.actor
    }
}

impl<A: Actor> DerefMut for Probe<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.stage.actor
    }
}

impl<A: Actor> fmt::Debug for Probe<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Probe({}, exit: {:?})", self.slot.name, self.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ask::Reply, spawn::Spawn, work::TaskError};

    /// Adds up what it is given, in every way an actor can be given something.
    struct Sum {
        total: u64,
        target: Addr<u64>,
    }

    enum Msg {
        Add(u64),
        Later(u64),
        Work(u64),
        Ask(Addr<Question>),
        Answered(Result<u64, AskError>),
        Worked(Result<u64, TaskError>),
        Spawn,
        Tell(u64),
        Panic,
    }

    struct Question(Reply<u64>);

    impl Actor for Sum {
        type Msg = Msg;

        fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
            match msg {
                Msg::Add(n) => {
                    self.total += n;
                    cx.record(&n);
                }
                Msg::Later(n) => drop(cx.after(Duration::from_secs(n), Msg::Add(n))),
                Msg::Work(n) => {
                    cx.perform(std::future::ready(n), Msg::Worked);
                    let mut polls = 0;
                    let work = std::future::poll_fn(move |_| {
                        polls += 1;
                        if polls == 3 { Poll::Ready(n) } else { Poll::Pending }
                    });
                    cx.perform(work, Msg::Worked);
                    cx.perform_blocking(move || n, Msg::Worked);
                }
                Msg::Ask(target) => {
                    cx.ask(&target, Question, Duration::from_secs(5), Msg::Answered);
                }
                Msg::Answered(outcome) => self.total += outcome.unwrap_or(1_000),
                Msg::Worked(outcome) => self.total += outcome.unwrap_or(1_000),
                Msg::Spawn => {
                    let target = self.target.clone();
                    let child = cx.spawn(Spawn::named("child"), move || Sum {
                        total: 0,
                        target: target.clone(),
                    });
                    cx.send(&child, Msg::Add(1));
                }
                Msg::Tell(n) => {
                    cx.send(&self.target, n);
                    cx.send(&cx.me(), Msg::Add(n));
                }
                Msg::Panic => panic!("as asked"),
            }
        }
    }

    fn sum() -> Probe<Sum> {
        Probe::new(Sum { total: 0, target: Addr::mock() })
    }

    #[test]
    fn sends_land_in_mailboxes_and_messages_to_oneself_are_handled() {
        let mut probe = sum();
        probe.tell(Msg::Tell(3));
        assert_eq!((probe.total, probe.target.take()), (3, vec![3]));
        probe.addr().try_tell(Msg::Add(4)).unwrap();
        probe.settle();
        assert_eq!(probe.total, 7);
        assert_eq!(probe.records(), [[3], [4]]);
    }

    #[test]
    fn timers_go_off_when_time_passes() {
        let mut probe = sum();
        probe.tell(Msg::Later(2));
        probe.advance(Duration::from_millis(1_999));
        assert_eq!(probe.total, 0);
        probe.advance(Duration::from_millis(1));
        assert_eq!(probe.total, 2);
    }

    #[test]
    fn tasks_run_while_the_probe_settles() {
        let mut probe = sum();
        probe.tell(Msg::Work(5));
        assert_eq!(probe.total, 10);
        probe.settle();
        assert_eq!(probe.total, 15);
    }

    #[test]
    fn an_ask_is_answered_or_times_out() {
        let (mut probe, target) = (sum(), Addr::mock());
        probe.tell(Msg::Ask(target.clone()));
        probe.tell(Msg::Ask(target.clone()));
        let mut questions = target.take().into_iter();
        let (Question(first), Question(_kept)) =
            (questions.next().unwrap(), questions.next().unwrap());
        first.send(7);
        probe.settle();
        assert_eq!(probe.total, 7);
        probe.advance(Duration::from_secs(5));
        assert_eq!(probe.total, 1_007);
    }

    #[test]
    fn children_are_not_stepped_and_an_ended_actor_takes_nothing() {
        let mut probe = sum();
        probe.tell(Msg::Spawn);
        assert_eq!(probe.exit(), None);
        probe.tell(Msg::Panic);
        assert_eq!(probe.exit(), Some(&ExitReason::Crashed("as asked".into())));
        probe.tell(Msg::Add(1));
        assert_eq!(probe.total, 0);
    }
}
