//! Closing: rounds when it is time, the run with its decision or cut off.

use super::*;

impl Coordinator {
    /// Closes the round if nothing that is still to come makes a difference.
    pub(super) fn go_on(&mut self, cx: &mut Cx<Self>) {
        if !self.is_over
            && let Some(by) = self.vote.as_ref().and_then(Vote::may_close)
        {
            self.close(by, cx);
        }
    }

    pub(super) fn close(&mut self, by: ClosedBy, cx: &mut Cx<Self>) {
        let at = self.elapsed(cx);
        let Some(vote) = &mut self.vote else { return };
        cx.record(&Record::Vote(VoteRecord::Closed { by, at }));
        let closed = vote.close(by, at);
        if let Some(timer) = self.round_timer.take() {
            cx.cancel_timer(&timer);
        }
        match closed {
            Closed::Decided(decision) => self.decide(decision, cx),
            Closed::Next(_) => {
                self.take_back(cx);
                self.seats.iter_mut().for_each(Seat::reset);
                self.begin_round(cx);
            }
        }
    }

    /// The deadline of the run: a round whose time is over too is closed as ever, and decides if it is the last.
    pub(super) fn out_of_time(&mut self, cx: &mut Cx<Self>) {
        let now = self.elapsed(cx);
        if self.vote.as_ref().is_some_and(|vote| vote.closes() <= now) {
            self.close(ClosedBy::Deadline, cx);
        }
        let why = self.brief.out_of_time(self.deadline, (self.counted(), self.units()));
        self.fail(why, cx);
    }

    /// Completes the run.
    pub(super) fn decide(&mut self, decision: Box<Decision>, cx: &mut Cx<Self>) {
        if self.is_over {
            return;
        }
        if let VoteOutcome::Consensus { choice } = &decision.outcome {
            let took = self.elapsed(cx);
            self.brief.counters.consensus(&self.proposal.topic, self.seats.len(), took);
            self.publish(EventKind::ConsensusReached, cx, || {
                let confidence = decision.confidence.to_string();
                json!({ "choice": choice, "confidence": confidence, "round": decision.round })
            });
        }
        let (failed, tally) = self.record_end(None, Some(&decision.outcome), cx);
        let completed = Completed { run: self.brief.run, value: *decision, failed, tally };
        self.tell(Ok(completed), cx);
    }

    /// Ends the run before its vote has come to a decision, with what the ballots so far come to.
    pub(super) fn fail(&mut self, kind: FailureKind, cx: &mut Cx<Self>) {
        if self.is_over {
            return;
        }
        let at = self.elapsed(cx);
        let partial = self.vote.as_ref().map(|vote| *vote.so_far(at));
        let (failed, tally) = self.record_end(Some(kind.clone()), None, cx);
        let run = self.brief.run;
        self.tell(Err(Box::new(RunError { run, kind, partial, failed, tally })), cx);
    }

    fn record_end(
        &mut self,
        failure: Option<FailureKind>,
        decided: Option<&VoteOutcome>,
        cx: &mut Cx<Self>,
    ) -> (Vec<FailedPart>, Tally) {
        (self.tally.units, self.tally.done) = (self.units(), self.counted());
        self.record_spent(cx);
        let failed: Vec<FailedPart> = std::mem::take(&mut self.failures).into_values().collect();
        let tally = self.tally.clone();
        self.brief.counters.ended(failure.as_ref(), self.seats.len());
        let (at, few, why) = (millis(cx), fitting(&failed), failure.clone());
        cx.record(&Record::Ended(Ended { at, failure, failed: few, tally: tally.clone() }));
        self.publish(EventKind::RunEnded, cx, || json!({ "failure": why, "decision": decided }));
        (failed, tally)
    }

    /// Tells whoever waits, and stops: what is still asked is cancelled, and all places are taken back, by the roster.
    fn tell(&mut self, outcome: Outcome<Decision>, cx: &mut Cx<Self>) {
        self.is_over = true;
        if let Some(reply) = self.outcome.take() {
            cx.reply(reply, outcome);
        }
        self.phase_span = tracing::Span::none();
        self.give_back(cx);
        cx.stop();
    }
}
