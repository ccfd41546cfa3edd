//! Hearing: answers made into ballots, failures repeated, handed on or given up.

use super::*;

impl Coordinator {
    /// Takes what came of an ask, and gives its place back behind the record of it.
    pub(super) fn answered(
        &mut self,
        voter: usize,
        lease: Lease,
        outcome: Result<Result<Opinion, AgentError>, AskError>,
        cx: &mut Cx<Self>,
    ) {
        let Some(held) = self.held.remove(&lease.id) else { return };
        if matches!(outcome, Err(AskError::TimedOut(_))) {
            self.tell_slot(voter, lease.slot, slot::Msg::TimedOut(lease.id), cx);
        }
        if held.round == self.round() {
            self.set(voter, Asking::Idle);
            match outcome {
                Ok(Ok(opinion)) => self.opined(voter, &held, opinion, cx),
                Ok(Err(error)) => self.failed(voter, &held, error, cx),
                Err(error) => self.failed(voter, &held, error.into(), cx),
            }
        } else {
            self.brief.counters.late();
        }
        self.release(lease, cx);
    }

    fn opined(&mut self, voter: usize, held: &Held, opinion: Opinion, cx: &mut Cx<Self>) {
        let took = cx.now().since(held.since);
        let Some(seat) = self.seats.get(voter) else { return };
        let (agent, fallen) = (seat.agent_name(), seat.walk.has_fallen());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let answer = AnswerRecord {
            agent: &agent,
            attempt: held.attempt,
            slot: held.slot.0,
            at: millis(cx) - i64::try_from(took.as_millis()).unwrap_or(0),
            micros,
        };
        let cast = Cast { voter, round: held.round, opinion };
        match self.cast(cast, Some(&answer), cx) {
            None => return,
            Some(Err(why)) => {
                // The agent has answered, and would answer the same again.
                let message = format!("its ballot was refused: {why}");
                let error = AgentError::Failed { message };
                self.brief.counters.failed(&error);
                return self.fall_back(voter, error, cx);
            }
            Some(Ok(())) => {}
        }
        self.brief.counters.done(took);
        self.tally.fallbacks += u64::from(fallen);
        let attempt = Some((held.slot, held.attempt));
        self.publish_voter(About { kind: EventKind::TaskCompleted, voter, attempt }, cx, |data| {
            data.insert("micros".to_owned(), json!(micros));
        });
    }

    /// Takes a ballot down, with the answer that it is; says whether it was taken or why not, as far as it is kept.
    pub(super) fn cast(
        &mut self,
        cast: Cast,
        answer: Option<&AnswerRecord<'_>>,
        cx: &mut Cx<Self>,
    ) -> Option<Result<(), BallotError>> {
        let Cast { voter, round, opinion } = cast;
        let at = self.elapsed(cx);
        let vote = self.vote.as_mut()?;
        let name = vote.opening().electorate.voters().get(voter)?.id.clone();
        let own = vote.received().iter().filter(|other| other.ballot.voter == name);
        let sequence = own.map(|other| other.ballot.sequence).max().unwrap_or(0) + 1;
        let received = vote.cast(opinion.into_ballot(&name, round, sequence), at);
        record_cast((name, round), received, answer, cx);
        match &received?.fate {
            Fate::Refused(why) => return Some(Err(why.clone())),
            Fate::Counted => {
                self.failures.remove(&voter);
            }
            Fate::Replaced { .. }
            | Fate::Final
            | Fate::Duplicate
            | Fate::Equivocation
            | Fate::Late => {}
        }
        Some(Ok(()))
    }

    fn failed(&mut self, voter: usize, held: &Held, error: AgentError, cx: &mut Cx<Self>) {
        self.brief.counters.failed(&error);
        if !self.awaits(voter) {
            // It has cast its ballot by the booth before it failed.
            return;
        }
        let (round, retries) = (self.round(), self.plan.retries);
        let Some(seat) = self.seats.get_mut(voter) else { return };
        if let AgentError::Held { .. } = error {
            // Nobody was called: that is no attempt, and whoever is free next may have it.
            seat.attempts = seat.attempts.saturating_sub(1);
            self.tally.attempts = self.tally.attempts.saturating_sub(1);
            self.tally.retries -= u64::from(held.attempt > 1).min(self.tally.retries);
            cx.after(HELD_RETRY_WAIT, Msg::Retry(voter, round));
            return;
        }
        // Each agent of a chain has retries of its own.
        let attempts = seat.attempts.saturating_sub(seat.attempts_before);
        let wait = match error.retry() {
            protocol::Retry::Never => None,
            protocol::Retry::After(asked) => retries.next(attempts, Some(asked), cx.random()),
            protocol::Retry::Elsewhere => retries.next(attempts, None, cx.random()),
        };
        let Some(wait) = wait else { return self.fall_back(voter, error, cx) };
        let about =
            About { kind: EventKind::TaskRetried, voter, attempt: Some((held.slot, held.attempt)) };
        self.publish_voter(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        cx.after(wait, Msg::Retry(voter, round));
    }

    /// Asks the next agent of a voter whose agent has failed for good; the voter has ended where there is none.
    pub(super) fn fall_back(&mut self, voter: usize, error: AgentError, cx: &mut Cx<Self>) {
        let (error, round, at) = (clipped(error), self.round(), millis(cx));
        let name = self.name_of(voter).to_owned();
        let Some(seat) = self.seats.get_mut(voter) else { return };
        let from = seat.agent_name();
        let next = seat.walk.failed(&from, &error).filter(|next| *next < seat.chain.len());
        let Some(next) = next else { return self.end_voter(voter, error, cx) };
        seat.at = next;
        seat.attempts_before = seat.attempts;
        let (to, attempts) = (seat.agent_name(), seat.attempts);
        cx.record(&Record::FellBack {
            voter: name,
            round,
            agent: from.to_string(),
            to: to.to_string(),
            attempts,
            at,
            error: error.clone(),
        });
        note(self.brief.system.node(), &from, &error, &to);
        let about = About { kind: EventKind::TaskRetried, voter, attempt: None };
        self.publish_voter(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
            data.insert("fallback".to_owned(), json!(*to));
        });
        self.demand(voter, cx);
    }

    /// A voter has ended: it stays in the electorate, and nothing is to be expected of it in this round.
    fn end_voter(&mut self, voter: usize, error: AgentError, cx: &mut Cx<Self>) {
        let (round, at, name) = (self.round(), millis(cx), self.name_of(voter).to_owned());
        let Some(seat) = self.seats.get(voter) else { return };
        let (agent, attempts) = (seat.agent_name().to_string(), seat.attempts);
        self.note_failure(voter, (agent.clone(), attempts), &error);
        let about = About { kind: EventKind::TaskFailed, voter, attempt: None };
        self.publish_voter(about, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        cx.record(&Record::Failed { voter: name.clone(), round, agent, attempts, at, error });
        let ended = VoteRecord::VoterEnded { voter: name };
        cx.record(&Record::Vote(ended.clone()));
        if let Some(vote) = &mut self.vote
            && let VoteRecord::VoterEnded { voter } = ended
        {
            vote.voter_ended(&voter);
        }
    }

    pub(super) fn note_failure(
        &mut self,
        voter: usize,
        (agent, attempts): (String, u32),
        error: &AgentError,
    ) {
        let Some(seat) = self.seats.get(voter) else { return };
        let error = clip(format!("{error}{}", seat.walk.story()));
        let name = self.name_of(voter).to_owned();
        let part = u32::try_from(voter).unwrap_or(u32::MAX);
        self.failures.insert(voter, FailedPart { part, name, agent, attempts, error });
    }
}

/// Records a ballot and the answer that it is: as one if it was taken, so that what is kept of one that was not tells no less.
fn record_cast(
    (voter, round): (String, u32),
    received: Option<&Received>,
    answer: Option<&AnswerRecord<'_>>,
    cx: &mut Cx<Coordinator>,
) {
    if let Some(received) = received
        && !matches!(received.fate, Fate::Refused(_))
    {
        return cx.record(&CastRecord::new(received, answer));
    }
    if let Some(AnswerRecord { agent, attempt, slot, at, micros }) = answer {
        let (agent, attempt, slot, at, micros) =
            ((*agent).to_owned(), *attempt, *slot, *at, *micros);
        cx.record(&Record::Answered { voter, round, agent, attempt, slot, at, micros });
    }
    cx.record(&Record::Vote(VoteRecord::cast(received)));
}
