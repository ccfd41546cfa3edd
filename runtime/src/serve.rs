//! Serves one address for as long as it lives: incarnation after incarnation, batch after batch.
//!
//! The future is launched by a [`Host`](crate::kernel::Host): ractor in production, a seeded executor in the simulation. It awaits
//! nothing but its own slot, its timers and its children, so any executor can run it.
//!
//! # Invariants
//! - Control is looked at before each message.
//! - When an incarnation ends its tasks and children end before the verdict on it is asked for.
//! - However the future ends, dropped ones included, the slot is closed and watchers hear of it.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use protocol::RunId;

use crate::{
    actor::{Actor, ChildExit, ExitReason},
    child::{Child, ChildRef},
    engine::journal::{JournalError, Sequence},
    limits::REPLAY_RECORDS,
    mailbox::{Control, Slot},
    spawn::{Birth, Report},
    stage::Stage,
    timers::Sleep,
    work::panic_text,
};

/// What it takes to serve an address.
pub(crate) struct Life<A: Actor> {
    pub(crate) slot: Arc<Slot<A::Msg>>,
    pub(crate) birth: Birth<A>,
    pub(crate) report: Option<Report>,
    pub(crate) journal: Option<RunId>,
    pub(crate) shutdown: Duration,
}

/// Serves the address until its end.
pub(crate) async fn serve<A: Actor>(mut life: Life<A>) {
    let mut curtain = Curtain { slot: Arc::clone(&life.slot), reason: ExitReason::Shutdown };
    loop {
        let incarnation = life.slot.begin();
        if incarnation > 1 {
            life.slot.kernel.metrics.restarted();
        }
        let reason = life.incarnation(incarnation).await;
        life.slot.retire();
        curtain.reason = reason.clone();
        let Some(report) = &life.report else { return };
        if reason == ExitReason::Shutdown {
            return;
        }
        report(ChildExit { child: life.slot.id, incarnation, reason });
        if verdict(&life.slot).await == Verdict::End {
            return;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Restart,
    End,
}

impl<A: Actor> Life<A> {
    async fn incarnation(&mut self, incarnation: u32) -> ExitReason {
        let actor = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut self.birth)) {
            Ok(actor) => actor,
            Err(panic) => return ExitReason::Crashed(panic_text(&*panic)),
        };
        let (actor, stream) = match self.replayed(actor) {
            Ok(replayed) => replayed,
            Err(reason) => return reason,
        };
        let mut stage = Stage::new(&self.slot, incarnation, actor, stream);
        let mut batch = VecDeque::new();
        let reason = match stage.step(A::start).or_else(|| stage.flush()) {
            Some(reason) => reason,
            None => run(&self.slot, &mut stage, &mut batch).await,
        };
        self.slot.put_back(&mut batch);
        wind_down(&self.slot, stage, &reason, self.shutdown).await;
        reason
    }

    /// Gives the actor its records back; returns where its stream goes on.
    fn replayed(&self, mut actor: A) -> Result<(A, Option<(RunId, Sequence)>), ExitReason> {
        let Some(run) = self.journal else { return Ok((actor, None)) };
        let failed = |error: JournalError| ExitReason::Journal(error.to_string());
        let mut next = 0;
        loop {
            let records =
                self.slot.kernel.journal.read(run, next, REPLAY_RECORDS).map_err(failed)?;
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

/// Lets the last effects leave, ends tasks and children; all `within` the shutdown time.
async fn wind_down<A: Actor>(
    slot: &Slot<A::Msg>,
    mut stage: Stage<A>,
    reason: &ExitReason,
    within: Duration,
) {
    let kernel = &slot.kernel;
    let deadline = Sleep::until(&kernel.timers, kernel.now() + within);
    let journal_failed = matches!(reason, ExitReason::Journal(_));
    let leave = async {
        if !journal_failed {
            drain(slot, &mut stage).await;
        }
        stage.belongings.abort_tasks();
        stop_children(std::mem::take(&mut stage.belongings.children)).await;
    };
    if first(leave, deadline).await.is_none() {
        kernel.metrics.shutdown_overrun();
        tracing::error!(actor = %slot.name, ?within, "actor did not wind down in time");
    }
}

/// Waits for the parent's decision on an ended incarnation; queued data stays where it is.
async fn verdict<M>(slot: &Slot<M>) -> Verdict {
    let (mut control, mut none) = (VecDeque::new(), VecDeque::new());
    loop {
        poll_fn(|cx| slot.poll_take(cx, &mut control, &mut none, false)).await;
        for entry in control.drain(..) {
            match entry {
                Control::Restart => return Verdict::Restart,
                Control::Stop(_) => return Verdict::End,
                Control::Message(_) => {}
            }
        }
    }
}

/// Steps the actor through its mailbox until something ends the incarnation.
async fn run<A: Actor>(
    slot: &Slot<A::Msg>,
    stage: &mut Stage<A>,
    batch: &mut VecDeque<A::Msg>,
) -> ExitReason {
    let mut control = VecDeque::new();
    let mut busy = false;
    loop {
        let open = stage.outbox.is_open();
        poll_fn(|cx| {
            if std::mem::take(&mut busy) {
                // The executor's cooperative budget does not see this queue.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            slot.poll_take(cx, &mut control, batch, open)
        })
        .await;
        busy = !batch.is_empty();
        if let Some(reason) = run_batch(slot, stage, &mut control, batch) {
            return reason;
        }
        if let Some(reason) = stage.flush() {
            return reason;
        }
    }
}

fn run_batch<A: Actor>(
    slot: &Slot<A::Msg>,
    stage: &mut Stage<A>,
    control: &mut VecDeque<Control<A::Msg>>,
    batch: &mut VecDeque<A::Msg>,
) -> Option<ExitReason> {
    let mut handled = 0;
    loop {
        while let Some(entry) = control.pop_front() {
            match entry {
                Control::Message(message) => {
                    if let Some(reason) = stage.step(|actor, cx| actor.handle(message, cx)) {
                        return Some(reason);
                    }
                }
                Control::Stop(reason) => return Some(reason),
                Control::Restart => {}
            }
        }
        let message = batch.pop_front()?;
        handled += 1;
        slot.mark_handled(handled);
        if let Some(reason) = stage.step(|actor, cx| actor.handle(message, cx)) {
            return Some(reason);
        }
        if slot.is_urgent() || !stage.outbox.is_open() {
            slot.take_control(control);
            if !stage.outbox.is_open() && control.is_empty() {
                slot.put_back(batch);
                return None;
            }
        }
    }
}

async fn drain<A: Actor>(slot: &Slot<A::Msg>, stage: &mut Stage<A>) {
    let (mut control, mut none) = (VecDeque::new(), VecDeque::new());
    while stage.flush().is_none() && !stage.outbox.is_empty() {
        poll_fn(|cx| slot.poll_take(cx, &mut control, &mut none, false)).await;
        control.clear();
    }
}

/// Stops children in the reverse order of their start, each before the next.
async fn stop_children(children: Vec<ChildRef>) {
    for child in children.into_iter().rev() {
        child.0.order_stop();
        child.stopped().await;
    }
}

/// The outcome of `work`, unless `deadline` comes first.
async fn first<T>(work: impl Future<Output = T>, deadline: Sleep) -> Option<T> {
    let (mut work, mut deadline) = (pin!(work), pin!(deadline));
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Closes the slot when the serving future ends, also when its executor drops it.
struct Curtain<M: Send + 'static> {
    slot: Arc<Slot<M>>,
    reason: ExitReason,
}

impl<M: Send + 'static> Drop for Curtain<M> {
    fn drop(&mut self) {
        self.slot.kernel.registry.remove(self.slot.as_ref().name(), self.slot.id);
        let dead = self.slot.close(self.reason.clone());
        self.slot.kernel.dead_letters::<M>(&self.slot.name, dead);
    }
}
