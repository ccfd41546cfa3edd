//! Ending: early or when all is settled; reduced, recorded, told.

use std::future;

use super::*;
use crate::pattern::ending::End;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// Looks what is next after something was settled.
    pub(super) fn go_on(&mut self, cx: &mut In<P, O, R>) {
        match self.phase {
            Phase::Running if self.board.is_settled() => {
                self.cancel_all(cx);
                self.reduce(cx);
            }
            Phase::Running => {
                self.ask_resting(cx);
                self.speculate(cx);
            }
            Phase::Stopping if self.board.in_flight() == 0 => self.reduce(cx),
            Phase::Splitting | Phase::Stopping | Phase::Reducing => {}
        }
    }

    /// Ends the run before all is done: running attempts are cancelled and given a moment to end.
    pub(super) fn stop_early(&mut self, kind: FailureKind, cx: &mut In<P, O, R>) {
        let kind = match kind {
            FailureKind::Split { why } => FailureKind::Split { why: clip(why) },
            FailureKind::Reduce { why } => FailureKind::Reduce { why: clip(why) },
            other @ (FailureKind::Rejected { .. }
            | FailureKind::Invalid { .. }
            | FailureKind::Parts { .. }
            | FailureKind::NoAnswer { .. }
            | FailureKind::Aborted { .. }
            | FailureKind::TimedOut { .. }
            | FailureKind::OverBudget { .. }
            | FailureKind::Cancelled { .. }
            | FailureKind::NodeLost { .. }) => other,
        };
        match self.phase {
            Phase::Splitting => {
                self.ending = Some(kind);
                self.phase = Phase::Reducing;
                self.end(None, cx);
            }
            Phase::Running => {
                self.ending = Some(kind);
                self.phase = Phase::Stopping;
                self.cancel_all(cx);
                cx.after(QUIESCENCE_WAIT, Msg::Quiesced);
                self.go_on(cx);
            }
            Phase::Stopping => {}
            // What is done is being put together already, and would be lost: that goes on as after any early end.
            Phase::Reducing => {
                match &self.reducing {
                    // Its agents are at work still: they are not waited for.
                    Some(Reduction::ByAgents(call)) => cx.cancel(call),
                    Some(Reduction::Computed(_)) | None => {
                        cx.after(reduce_wait(&kind), Msg::Overdue);
                    }
                }
                self.ending.get_or_insert(kind);
            }
        }
    }

    pub(super) fn cancel_all(&self, cx: &mut In<P, O, R>) {
        cx.send(self.brief.system.roster(), roster::Msg::Forget(cx.id()));
        let running: Vec<Lease> = self.board.leases().collect();
        for lease in running {
            self.cancel_at(lease, cx);
        }
    }

    pub(super) fn cancel_at(&self, lease: Lease, cx: &mut In<P, O, R>) {
        self.tell_slot(lease, slot::Msg::Cancel(lease.id), cx);
    }

    pub(super) fn tell_slot(&self, lease: Lease, msg: slot::Msg<P, O>, cx: &mut In<P, O, R>) {
        if let Some(slot) = self.branches.iter().find_map(|branch| branch.agent.slot(lease.slot)) {
            cx.send(slot, msg);
        }
    }

    pub(super) fn release(&mut self, leases: Vec<Lease>, cx: &mut In<P, O, R>) {
        for lease in &leases {
            self.lane_of_lease.remove(&lease.id);
        }
        if !leases.is_empty() {
            cx.send(self.brief.system.roster(), roster::Msg::Release(cx.id(), leases));
        }
    }

    /// Puts the results together on a thread of its own.
    pub(super) fn reduce(&mut self, cx: &mut In<P, O, R>) {
        if self.phase == Phase::Reducing {
            return;
        }
        self.phase = Phase::Reducing;
        self.enter(SpanPhase::Reduce);
        let Some(mut reducer) = self.reducer.take() else { return self.end(None, cx) };
        let results: Vec<_> = std::mem::take(&mut self.kept).into_values().collect();
        let missing: Vec<FailedPart> = self.failures.values().cloned().collect();
        let early = self.ending.as_ref().map(ToString::to_string);
        if let Some(kind) = &self.ending {
            cx.after(reduce_wait(kind), Msg::Overdue);
        }
        let below = self.brief.origin(self.deadline, &self.phase_span);
        if early.is_none()
            && let Some(run) = guarded("the reducer", || {
                reducer.reduce_by(&results, &missing, self.brief.call(u64::MAX, below, cx))
            })
            .unwrap_or_else(|why| Some(Box::pin(future::ready(Err(why)))))
        {
            self.reducing = Some(Reduction::ByAgents(cx.perform(run, Msg::Reduced)));
            return;
        }
        let work = move || put_together(reducer, &results, &missing, early.as_deref());
        self.reducing = Some(Reduction::Computed(cx.perform_blocking(work, Msg::Reduced)));
    }

    pub(super) fn reduced(
        &mut self,
        outcome: Result<Result<R::Output, String>, TaskError>,
        cx: &mut In<P, O, R>,
    ) {
        let value = match outcome {
            Ok(Ok(value)) => Some(value),
            Ok(Err(why)) => {
                self.ending.get_or_insert(FailureKind::Reduce { why: clip(why) });
                None
            }
            Err(error) => {
                self.ending.get_or_insert(FailureKind::Reduce { why: clip(error.to_string()) });
                None
            }
        };
        self.end(value, cx);
    }

    /// Records how the run ended, tells whoever waits, and stops.
    pub(super) fn end(&mut self, value: Option<R::Output>, cx: &mut In<P, O, R>) {
        self.tally.done = self.board.done;
        self.record_spent(cx);
        let failed: Vec<FailedPart> = std::mem::take(&mut self.failures).into_values().collect();
        let value = match (self.ending.take(), value) {
            (None, Some(value)) => Ok(value),
            (Some(kind), partial) => Err((kind, partial)),
            (None, None) => {
                Err((FailureKind::Reduce { why: "nothing came of it".to_owned() }, None))
            }
        };
        let (tally, agents) = (self.tally.clone(), self.branches.len());
        let end = End { value, failed, tally, agents };
        self.brief.end(end, Record::<P, O>::Ended, self.outcome.take(), cx);
        self.phase_span = tracing::Span::none();
    }
}

/// How long the results of a run that ended so may take to be put together.
const fn reduce_wait(kind: &FailureKind) -> Duration {
    if matches!(kind, FailureKind::Cancelled { .. }) {
        CANCELLED_REDUCE_WAIT
    } else {
        PARTIAL_REDUCE_WAIT
    }
}

/// Reduces, partially if parts are missing or the reduction fails; a panic counts as failing.
fn put_together<O, R: Reduce<O>>(
    mut reducer: R,
    results: &[Done<O>],
    missing: &[FailedPart],
    early: Option<&str>,
) -> Result<R::Output, String> {
    let failure = if missing.is_empty() && early.is_none() {
        match guarded("the reducer", || reducer.reduce(results)).flatten() {
            Ok(value) => return Ok(value),
            Err(why) => Some(why),
        }
    } else {
        None
    };
    let why = failure.as_deref().or(early);
    guarded("the reducer", || reducer.reduce_partial(results, missing, why)).flatten()
}
