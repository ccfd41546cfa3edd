//! Serves one address for as long as it lives: incarnation after incarnation, batch after batch.
//!
//! The future is launched by a [`Host`](crate::kernel::Host): a task of tokio in production, a seeded executor in the simulation. It awaits
//! nothing but its own slot, its timers and its children, so any executor can run it.
//!
//! # Invariants
//! - Control is looked at before each message.
//! - When an incarnation ends its tasks and children end before the verdict on it is asked for.
//! - However the future ends, dropped ones included, the slot is closed and watchers hear of it.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use protocol::RunId;

use crate::{
    actor::{Actor, ChildExit, ExitReason},
    budget::Budget,
    ending::{self, Household, first},
    engine::journal::{JournalError, Sequence},
    limits::{BATCH_MESSAGES, REPLAY_RECORDS},
    mailbox::{Control, Intake, Slot, Verdict},
    spawn::{Birth, News, Report, Shutdown},
    stage::Stage,
    work::{contained, panic_text},
};

/// What it takes to serve an address. Dropped at any moment, it closes the slot.
pub(crate) struct Life<A: Actor> {
    /// Dropped first: no kept child outlives its parent.
    pub(crate) ties: Ties,
    pub(crate) curtain: Curtain<A::Msg>,
    pub(crate) birth: Birth<A>,
    pub(crate) journal: Option<RunId>,
    /// What its birth costs its parent.
    pub(crate) charge: Option<Budget>,
    /// How long an incarnation that does nothing lasts.
    pub(crate) passivate: Option<Duration>,
}

/// How an actor is bound to its parent and to the children that outlive its incarnations.
pub(crate) struct Ties {
    pub(crate) household: Household,
    pub(crate) report: Option<Report>,
    pub(crate) shutdown: Shutdown,
}

/// Serves the address until its end.
#[expect(clippy::manual_async_fn, reason = "an async function would hold its argument twice")]
pub(crate) fn serve<A: Actor>(mut life: Life<A>) -> impl Future<Output = ()> + Send + 'static {
    async move {
        let slot = Arc::clone(&life.curtain.slot);
        if let Some(budget) = life.charge.take()
            && let Err(reason) = slot.kernel.charge_child(&budget)
        {
            tracing::warn!(actor = %slot.name, %reason, "actor refused");
            life.curtain.reason = Some(Box::new(reason.clone()));
            if let Some(report) = &life.ties.report {
                report(News::Exited(ChildExit { child: slot.id, incarnation: 0, reason }));
            }
            return;
        }
        if slot.kernel.is_halted() {
            slot.bury(&ExitReason::Cancelled);
            return;
        }
        if slot.ended().is_some() {
            // Left behind before its first turn.
            return;
        }
        loop {
            let incarnation = slot.begin();
            if incarnation > 1 {
                slot.kernel.metrics.restarted();
            }
            let reason = life.incarnation(&slot, incarnation).await;
            slot.retire();
            if reason == ExitReason::Killed && slot.is_stopping() {
                tracing::debug!(actor = %slot.name, incarnation, "actor killed, as it was to end so");
            } else if reason.is_failure() {
                tracing::warn!(actor = %slot.name, incarnation, %reason, "actor failed");
            }
            life.curtain.reason = Some(Box::new(reason.clone()));
            let Some(report) = life.ties.report.as_ref().filter(|_| !slot.is_stopping()) else {
                break;
            };
            // Before the rest is told: whoever waits for that has then heard of the exit too.
            report(News::Exited(ChildExit { child: slot.id, incarnation, reason: reason.clone() }));
            slot.rest(reason);
            // Queued data stays where it is until the parent has decided.
            if poll_fn(|cx| slot.poll_verdict(cx)).await == Verdict::End {
                break;
            }
        }
        if slot.is_cancelled() {
            life.curtain.reason = Some(Box::new(ExitReason::Cancelled));
        }
        if life.ties.household.is_empty() {
            return;
        }
        if slot.is_cancelled() {
            Box::pin(life.ties.household.cancel(&slot.kernel)).await;
        } else {
            Box::pin(life.ties.household.end(&slot.kernel)).await;
        }
    }
}

impl<A: Actor> Life<A> {
    async fn incarnation(&mut self, slot: &Arc<Slot<A::Msg>>, incarnation: u32) -> ExitReason {
        let actor = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut self.birth)) {
            Ok(actor) => actor,
            Err(panic) => return ExitReason::Crashed(panic_text(&*panic)),
        };
        let (actor, stream) = match self.replayed(slot, actor) {
            Ok(replayed) => replayed,
            Err(reason) => return reason,
        };
        let mut stage = Stage::new(slot, incarnation, actor, stream);
        if let Some(idle) = self.passivate {
            stage.cx.passivate(idle);
        }
        let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
        let reason = match stage.step(A::start).or_else(|| stage.flush()) {
            Some(reason) => reason,
            None => {
                stage.requeue(slot);
                self.ties.tell_start();
                run(slot, &mut stage, &mut control, &mut batch).await
            }
        };
        stage.return_stash(&mut batch);
        slot.hold(&mut control, &mut batch);
        slot.retire();
        for (guest, shutdown) in slot.take_guests() {
            stage.belongings.adopt(guest, shutdown);
        }
        stage.belongings.cancel();
        // Boxed, so that an idle actor has no room for it.
        let reason = if stage.owns_nothing() && self.ties.household.is_empty() {
            reason
        } else {
            Box::pin(self.ties.wind_down(slot, &mut stage, reason)).await
        };
        contained("dropping an actor", || drop(stage));
        reason
    }

    /// Gives the actor its records back; returns where its stream goes on.
    fn replayed(
        &self,
        slot: &Slot<A::Msg>,
        mut actor: A,
    ) -> Result<(A, Option<(RunId, Sequence)>), ExitReason> {
        let Some(run) = self.journal else { return Ok((actor, None)) };
        let failed = |error: JournalError| ExitReason::Journal(error.to_string());
        let mut next = 0;
        loop {
            let records = slot.kernel.journal.read(run, next, REPLAY_RECORDS).map_err(failed)?;
            if records.is_empty() {
                return Ok((actor, Some((run, next))));
            }
            for record in records {
                let replay = std::panic::AssertUnwindSafe(|| actor.replay(&record));
                std::panic::catch_unwind(replay)
                    .map_err(|panic| ExitReason::Crashed(panic_text(&*panic)))?
                    .map_err(|why| {
                        ExitReason::Journal(format!("record {next} of run {run}: {why}"))
                    })?;
                next += 1;
            }
        }
    }
}

impl Ties {
    /// Tells the parent that the incarnation has started, unless the actor does so when its children have.
    fn tell_start(&self) {
        if let (Some(report), None) = (&self.report, &self.household.0) {
            report(News::Started);
        }
    }

    /// Lets the last effects leave, ends tasks and children, brings kept children to rest; all within the shutdown time.
    ///
    /// Returns why the incarnation ended.
    async fn wind_down<A: Actor>(
        &self,
        slot: &Slot<A::Msg>,
        stage: &mut Stage<A>,
        reason: ExitReason,
    ) -> ExitReason {
        if slot.is_cancelled() {
            return cancelled(slot, stage).await;
        }
        let (kernel, killed) = (&slot.kernel, reason == ExitReason::Killed);
        let kill = poll_fn(|cx| slot.poll_killed(cx));
        let cut = async {
            // Not before it is waited for: whoever is killed needs no timer.
            let patience = match self.shutdown {
                // Whoever is killed has no time; an end of its own has the usual one.
                Shutdown::Brutal => ending::patience(kernel, Shutdown::default()),
                other @ (Shutdown::Within(_) | Shutdown::Infinity) => {
                    ending::patience(kernel, other)
                }
            };
            first(kill, patience).await;
        };
        // What the journal refused holds back everything behind it for good.
        let refused = matches!(reason, ExitReason::Journal(_));
        let leave = async {
            let fault = if refused { None } else { drain(slot, stage).await };
            stage.belongings.cancel();
            stage.belongings.stop_children(kernel).await;
            if self.is_final(slot) {
                self.household.end(kernel).await;
            } else {
                self.household.pause(kernel).await;
            }
            stage.belongings.tasks_ended(slot).await;
            fault
        };
        let left = if killed {
            drop(leave);
            None
        } else {
            first(leave, cut).await
        };
        if slot.is_cancelled() {
            return cancelled(slot, stage).await;
        }
        if left.is_none() {
            if !slot.is_killed() {
                kernel.metrics.shutdown_overrun();
                tracing::error!(actor = %slot.name, shutdown = ?self.shutdown, "actor did not wind down in time");
            }
            stage.belongings.cancel();
            let children = stage.belongings.children();
            ending::kill(kernel, &children, stage.belongings.tasks_ended(slot)).await;
            self.household.kill(kernel, self.is_final(slot)).await;
        }
        left.flatten().unwrap_or(reason)
    }

    /// Whether no incarnation can follow on this one.
    fn is_final<M>(&self, slot: &Slot<M>) -> bool {
        self.report.is_none() || slot.is_stopping()
    }
}

/// Steps the actor through its mailbox until something ends the incarnation.
async fn run<A: Actor>(
    slot: &Slot<A::Msg>,
    stage: &mut Stage<A>,
    control: &mut VecDeque<Control<A::Msg>>,
    batch: &mut VecDeque<A::Msg>,
) -> ExitReason {
    let (mut steps, mut parked) = (0, false);
    let most = slot.kernel.batch(BATCH_MESSAGES);
    loop {
        let intake = stage.intake();
        parked = poll_fn(|cx| {
            if mem::take(&mut parked) && !slot.is_roused() {
                steps = 0;
                return Poll::Pending;
            }
            if steps >= most {
                // The executor's cooperative budget does not see this queue.
                steps = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = slot.poll_take(cx, control, batch, intake);
            if taken.is_pending() {
                steps = 0;
            }
            taken
        })
        .await;
        // Counts a nudge too, so that no stream of acknowledgements keeps the thread.
        steps += 1;
        let ended = run_batch(slot, stage, control, batch, &mut steps);
        if let Some(reason) = ended.or_else(|| stage.flush()).or_else(|| stage.stand_in_line()) {
            return reason;
        }
    }
}

/// Handles what was taken, control before each message; data only as long as the outbox is open, and in a call only its answer.
pub(crate) fn run_batch<A: Actor>(
    slot: &Slot<A::Msg>,
    stage: &mut Stage<A>,
    control: &mut VecDeque<Control<A::Msg>>,
    batch: &mut VecDeque<A::Msg>,
    steps: &mut usize,
) -> Option<ExitReason> {
    let mut handled = 0;
    loop {
        while let Some(entry) = control.pop_front() {
            *steps += 1;
            let ended = match entry {
                Control::Message(message) | Control::Own(message) => stage.handle(message),
                Control::Answer(message) => stage.answered(message),
                Control::Idle => stage.idle(control.is_empty() && batch.is_empty()),
                Control::Crash(why) => Some(ExitReason::Crashed(why)),
                Control::End(reason) => Some(reason),
                Control::Observe(to) => {
                    stage.observe(to);
                    None
                }
            };
            if ended.is_some() {
                return ended;
            }
            if stage.intake() == Intake::Answers {
                break;
            }
        }
        stage.unstash(slot, batch);
        if stage.intake() != Intake::All {
            slot.hold(control, batch);
            return None;
        }
        let message = batch.pop_front()?;
        *steps += 1;
        handled += 1;
        slot.mark_handled(handled);
        let ended = stage.handle(message);
        if ended.is_some() {
            return ended;
        }
        if slot.is_urgent() && stage.intake() != Intake::Answers {
            slot.take_control(control);
        }
    }
}

/// Ends at once what an incarnation owns, since its actor was cancelled; no time is set where there is nothing to wait for.
async fn cancelled<A: Actor>(slot: &Slot<A::Msg>, stage: &mut Stage<A>) -> ExitReason {
    let Stage { belongings, .. } = stage;
    belongings.cancel();
    ending::cancel(&slot.kernel, &belongings.children(), belongings.tasks_ended(slot)).await;
    ExitReason::Cancelled
}

/// Waits until every effect has left; returns what the journal refused.
async fn drain<A: Actor>(slot: &Slot<A::Msg>, stage: &mut Stage<A>) -> Option<ExitReason> {
    stage.outbox.leave();
    loop {
        let fault = stage.flush();
        if fault.is_some() || stage.outbox.is_empty() {
            return fault;
        }
        poll_fn(|cx| slot.poll_nudged(cx)).await;
    }
}

/// Closes the slot when dropped: at the end of a life, by its executor, or before its beginning.
pub(crate) struct Curtain<M: Send + 'static> {
    slot: Arc<Slot<M>>,
    /// Why the latest incarnation ended, if one has.
    reason: Option<Box<ExitReason>>,
}

impl<M: Send + 'static> Curtain<M> {
    pub(crate) fn new(slot: Arc<Slot<M>>) -> Self {
        Self { slot, reason: None }
    }
}

/// Why an actor has ended that was never served.
fn unserved<M>(slot: &Slot<M>) -> ExitReason {
    if slot.is_cancelled() { ExitReason::Cancelled } else { ExitReason::Shutdown }
}

impl<M: Send + 'static> Drop for Curtain<M> {
    fn drop(&mut self) {
        if let Some(at) = self.slot.cancelled_at() {
            let kernel = &self.slot.kernel;
            kernel.metrics.quiesced(kernel.now().since(at));
        }
        if std::thread::panicking() {
            let why = "a message or a state panicked when dropped".to_owned();
            self.slot.bury(&ExitReason::Crashed(why));
        } else {
            let reason = self.reason.take().map_or_else(|| unserved(&self.slot), |reason| *reason);
            self.slot.bury(&reason);
        }
    }
}
