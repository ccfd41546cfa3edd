//! The coordinator of one vote: an actor that opens it, asks the voters' agents, takes ballots down and closes each round.
//!
//! Started by [`dispatch`](crate::dispatch). Asks the roster for places and the slots for opinions; its journal is the run's. What
//! counts and what it comes to is the [`Vote`]'s to say.
//!
//! # Invariants
//! - It ends in exactly one outcome, by its deadline: no answer that is still to come holds that up.
//! - A lease is given back once, behind the record of what came of it, or taken back by the roster when the coordinator ends.
//! - An answer counts in the round that it was asked for, or is late.

mod asking;
mod closing;
mod hearing;
mod telling;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::{
    actor::Actor,
    ask::{AskError, Reply},
    budget::Cost,
    clock::Moment,
    context::{Cx, Timer},
    events::EventKind,
    telemetry::trace::{self, Phase},
};
use serde_json::json;

use telling::About;

use super::{
    BallotError, Closed, ClosedBy, Consensus, Decision, Fate, Opening, Opinion,
    Outcome as VoteOutcome, Proposal, Received, Record, Request, Round, Vote, VoteRecord,
    record::{AnswerRecord, CastRecord, OpenedRecord},
    request::{Booth, Cast},
};
use crate::{
    agent::{
        Agent, AgentError, Walk, note,
        slot::{self, Work},
    },
    assign::{Need, SlotId, Strategy},
    dispatch::Steered,
    limits::{DATUM_BYTES_MAX, HELD_RETRY_WAIT, QUIESCENCE_WAIT},
    pattern::{
        Brief, Completed, Ended, FailedPart, FailureKind, Outcome, PatternKind, RunError, Tally,
        bounds::{check_datum, clip, clipped, fitting},
        brief::{Spending, millis},
    },
    roster::{self, Demand, DemandId, Enlisted, Grant, Lease, LeaseId},
};

/// What a coordinator is told.
pub(crate) enum Msg {
    /// Says when the run is accepted, durably.
    Accepted(Reply<()>),
    /// Ends the run as cancelled.
    Cancel,
    Granted(Grant),
    Answered(usize, Lease, Result<Result<Opinion, AgentError>, AskError>),
    Cast(Cast),
    /// A voter whose agent failed may be asked again, in this round.
    Retry(usize, u32),
    /// The time of this round is over.
    RoundOver(u32),
    Deadline,
    /// What the run cannot go on without is lost.
    Lost(FailureKind),
}

impl Steered for Msg {
    fn accepted(to: Reply<()>) -> Self {
        Self::Accepted(to)
    }

    fn cancel() -> Self {
        Self::Cancel
    }
}

/// The coordinator's state.
pub(crate) struct Coordinator {
    brief: Brief,
    plan: Arc<Consensus>,
    proposal: Arc<Proposal>,
    vote: Option<Vote>,
    /// What the journal says that the vote has come to.
    decided: Option<Box<Decision>>,
    /// The agents that the journal says the run began with.
    began: Option<Vec<String>>,
    /// By the number of the voter.
    seats: Vec<Seat>,
    /// Every place that is taken now, those of asks that are not wanted any more included.
    held: BTreeMap<LeaseId, Held>,
    /// How many voters wait for a place.
    waits: usize,
    /// Places that are kept, since nobody waits for them.
    unused: Vec<Lease>,
    /// Whether no other run waits for places.
    keeps_places: bool,
    before: Option<Arc<Round>>,
    /// When this life of the run began, and how long the vote had been open by then.
    since: Moment,
    passed: Duration,
    deadline: Moment,
    round_timer: Option<Timer>,
    failures: BTreeMap<usize, FailedPart>,
    spending: Spending,
    tally: Tally,
    outcome: Option<Reply<Outcome<Decision>>>,
    is_over: bool,
    span: tracing::Span,
    phase_span: tracing::Span,
    /// Among those whom a new incarnation of the roster asks.
    enlisted: Option<Enlisted>,
}

/// Where the asking of one voter stands in the open round.
struct Seat {
    /// Its agent, and those that stand behind it.
    chain: Vec<Agent<Request, Opinion>>,
    walk: Walk,
    /// Which of them is asked now.
    at: usize,
    /// Attempts in this round, and those of them by agents before.
    attempts: u32,
    attempts_before: u32,
    state: Asking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// It is not asked, or has answered.
    Idle,
    /// It waits for a place.
    Waits,
    /// Its agent is at it, under this lease.
    Asked(LeaseId),
}

/// A place that is taken.
struct Held {
    slot: SlotId,
    voter: usize,
    round: u32,
    attempt: u32,
    since: Moment,
}

impl Seat {
    fn new(chain: Vec<Agent<Request, Opinion>>) -> Self {
        let walk = Walk::new(chain.len());
        Self { chain, walk, at: 0, attempts: 0, attempts_before: 0, state: Asking::Idle }
    }

    fn agent(&self) -> Option<&Agent<Request, Opinion>> {
        self.chain.get(self.at)
    }

    fn agent_name(&self) -> Arc<str> {
        self.agent().map_or_else(|| "".into(), |agent| Arc::clone(agent.name()))
    }

    /// Begins anew, for a new round.
    fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.chain));
    }
}

impl Coordinator {
    /// A coordinator; the first incarnation's tells whoever waits for the outcome.
    pub(super) fn new(
        brief: Brief,
        plan: Arc<Consensus>,
        outcome: Option<Reply<Outcome<Decision>>>,
    ) -> Self {
        let span = brief.span(PatternKind::Consensus, plan.voters.len());
        Self {
            spending: Spending::of(&brief),
            proposal: Arc::new(plan.proposal.clone()),
            seats: plan.chains().into_iter().map(Seat::new).collect(),
            brief,
            plan,
            vote: None,
            decided: None,
            began: None,
            held: BTreeMap::new(),
            waits: 0,
            unused: Vec::new(),
            keeps_places: false,
            before: None,
            since: Moment::START,
            passed: Duration::ZERO,
            deadline: Moment::NEVER,
            round_timer: None,
            failures: BTreeMap::new(),
            tally: Tally::default(),
            outcome,
            is_over: false,
            phase_span: tracing::Span::none(),
            span,
            enlisted: None,
        }
    }

    /// How long the vote has been open, the time between two lives of its run left out.
    fn elapsed(&self, cx: &mut Cx<Self>) -> Duration {
        self.passed.saturating_add(cx.now().since(self.since))
    }

    fn round(&self) -> u32 {
        self.vote.as_ref().map_or(0, Vote::round)
    }

    /// Opens the vote, or takes it up; a vote that is taken up must be the one that was opened.
    fn open(&mut self, cx: &mut Cx<Self>) -> Result<(), String> {
        let own = self.seats.iter().filter_map(|seat| seat.chain.first());
        let agents: Vec<String> = own.map(|agent| String::from(&**agent.name())).collect();
        match &self.began {
            Some(began) if *began != agents => {
                return Err(format!(
                    "the run began with the agents {began:?}, not {agents:?}; resume it with the same voters and agents"
                ));
            }
            Some(_) => {}
            None => {
                let (pattern, name) =
                    (PatternKind::Consensus.as_str().to_owned(), self.plan.name.clone());
                cx.record(&Record::Began { at: millis(cx), pattern, name, agents });
            }
        }
        let dice = cx.random();
        let Some(vote) = &self.vote else { return self.open_anew(dice, cx) };
        let was = vote.opening();
        let is = self.plan.opening(was.seed).map_err(|error| error.to_string())?;
        if *was != (Opening { seed: was.seed, ..is }) {
            return Err(
                "the vote was opened with another proposal, electorate or rules; resume it with the same".to_owned(),
            );
        }
        Ok(())
    }

    fn open_anew(&mut self, dice: u64, cx: &mut Cx<Self>) -> Result<(), String> {
        let opening = self.plan.opening(dice).map_err(|error| error.to_string())?;
        let within = self.plan.within.unwrap_or(self.since.until(self.deadline));
        if opening.bytes_at_most() > DATUM_BYTES_MAX {
            check_datum(&opening).map_err(|_| {
                "the proposal is too large for a record; name files in its data instead of holding them"
                    .to_owned()
            })?;
        }
        cx.record(&OpenedRecord::new(&opening, within));
        self.vote = Some(self.weighed(Vote::new(opening, within)));
        Ok(())
    }

    fn weighed(&self, vote: Vote) -> Vote {
        match &self.plan.weigh {
            Some(weigh) => vote.weigh(Arc::clone(weigh)),
            None => vote,
        }
    }

    fn redo(&mut self, record: VoteRecord) -> Result<(), String> {
        match record {
            VoteRecord::Opened { opening, within } if self.vote.is_none() => {
                self.vote = Some(self.weighed(Vote::reopen(*opening, within)?));
                return Ok(());
            }
            VoteRecord::Cast { at, .. } | VoteRecord::Closed { at, .. } => {
                self.passed = self.passed.max(at);
            }
            VoteRecord::Opened { .. } | VoteRecord::Dropped | VoteRecord::VoterEnded { .. } => {}
        }
        let Some(vote) = &mut self.vote else {
            return Err("the records of a vote begin with its opening".to_owned());
        };
        let round = vote.round();
        self.decided = vote.redo(record)?;
        if vote.round() != round {
            self.seats.iter_mut().for_each(Seat::reset);
        }
        Ok(())
    }

    /// Takes from the journal that a voter's agent has failed and the next one is asked.
    fn redo_fall(&mut self, voter: &str, attempts: u32, error: &AgentError) {
        let Some(at) = self.number_of(voter) else { return };
        let Some(seat) = self.seats.get_mut(at) else { return };
        seat.walk.passed(&seat.agent_name(), error);
        seat.at += 1;
        (seat.attempts, seat.attempts_before) = (attempts, attempts);
    }
}

impl Actor for Coordinator {
    type Msg = Msg;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        match runtime::record::decode::<Record>(record)? {
            Record::Began { agents, .. } => self.began = Some(agents),
            Record::Vote(record) => self.redo(record)?,
            Record::FellBack { voter, attempts, error, .. } => {
                self.redo_fall(&voter, attempts, &error);
            }
            Record::Failed { voter, agent, attempts, error, .. } => {
                if let Some(at) = self.number_of(&voter) {
                    self.note_failure(at, (agent, attempts), &error);
                }
            }
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Answered { .. } | Record::Ended(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx<Self>) {
        self.since = cx.now();
        self.deadline = self.brief.deadline(self.since);
        cx.after(self.since.until(self.deadline), Msg::Deadline);
        self.spending.take_up(&self.brief, self.since);
        self.enlisted = Some(self.brief.enlist(cx, Msg::Granted, Msg::Lost));
        let refused = self.open(cx);
        let data = || self.brief.started(PatternKind::Consensus, &self.plan.name);
        self.publish(EventKind::RunStarted, cx, data);
        match (refused, self.decided.take()) {
            (Err(why), _) => self.fail(FailureKind::Invalid { why: clip(why) }, cx),
            (Ok(()), Some(decision)) => {
                self.tally.resumed = self.counted();
                self.decide(decision, cx);
            }
            (Ok(()), None) => {
                self.tally.resumed = self.counted();
                self.begin_round(cx);
            }
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Accepted(reply) => return cx.reply(reply, ()),
            _ if self.is_over => return,
            Msg::Cancel => {
                let (done, units) = (self.counted(), self.units());
                self.fail(FailureKind::Cancelled { done, units }, cx);
            }
            Msg::Granted(grant) => self.take_grant(grant, cx),
            Msg::Answered(voter, lease, outcome) => self.answered(voter, lease, outcome, cx),
            Msg::Cast(cast) => {
                self.cast(cast, None, cx);
            }
            Msg::Retry(voter, round) if round == self.round() => self.demand(voter, cx),
            Msg::RoundOver(round) if round == self.round() => self.close(ClosedBy::Deadline, cx),
            Msg::Retry(..) | Msg::RoundOver(_) => {}
            Msg::Deadline => self.out_of_time(cx),
            Msg::Lost(kind) => self.fail(kind, cx),
        }
        self.go_on(cx);
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.brief.counters.abandoned(self.held.len());
    }
}
