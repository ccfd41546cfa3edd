//! One vote from its opening to its decision: a plain value that is told of ballots, ends and closes, with the time as an argument.
//!
//! Used by the coordinator of consensus, and by whoever recomputes a decision from its records.
//!
//! # Invariants
//! - The same records give the same decision.
//! - What comes after the decision changes nothing of it.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use super::{
    Ballot, BallotError, ClosedBy, Decision, Exact, Opening, Outcome, Proposal, Received, Round,
    Voter,
    ballot_box::BallotBox,
    judge::Judged,
    outcome::{outcome, weight},
};

/// How much a ballot counts, of its proposal and its voter: 0 or more.
pub type Weigh = Arc<dyn Fn(&Ballot, &Proposal, &Voter) -> Result<Exact, String> + Send + Sync>;

/// A vote that goes on.
///
/// ```
/// use std::time::Duration;
/// use synod_actors::pattern::consensus::{
///     Ballot, Choice, Closed, ClosedBy, Electorate, Opening, Outcome, Proposal, Rules, Vote, Voter,
/// };
///
/// let ship = Proposal::new("Does it go out?", ["ship", "hold"]);
/// let electorate = Electorate::new(["ann", "bob", "cid"].map(Voter::new))?;
/// let mut vote = Vote::new(Opening::new(ship, electorate, Rules::default(), 0)?, Duration::from_secs(60));
/// vote.cast(Ballot::new("ann", Choice::one("ship")), Duration::from_secs(1));
/// assert_eq!(vote.may_close(), None);
/// vote.cast(Ballot::new("cid", Choice::one("ship")), Duration::from_secs(2));
/// // Whatever bob says.
/// assert_eq!(vote.may_close(), Some(ClosedBy::Settled));
/// let Closed::Decided(decision) = vote.close(ClosedBy::Settled, Duration::from_secs(2)) else { panic!() };
/// assert_eq!(decision.outcome, Outcome::Consensus { choice: "ship".into() });
/// # Ok::<(), synod_actors::pattern::consensus::OpeningError>(())
/// ```
pub struct Vote {
    opening: Arc<Opening>,
    weigh: Option<Weigh>,
    /// The time that each round has.
    within: Duration,
    closes: Duration,
    pub(super) open: BallotBox,
    /// The rounds before, with their ballots.
    past: Vec<(Round, BallotBox)>,
    is_decided: bool,
}

/// What the close of a round led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Closed {
    /// Another round, which is open now.
    Next(Box<Round>),
    /// The decision.
    Decided(Box<Decision>),
}

impl Vote {
    /// Opens a vote, each round of which has the time `within`; a ballot that comes in at its very end still counts.
    pub fn new(opening: Opening, within: Duration) -> Self {
        let open = BallotBox::new(1, opening.electorate.voters().len());
        Self {
            opening: Arc::new(opening),
            weigh: None,
            within,
            closes: within,
            open,
            past: Vec::new(),
            is_decided: false,
        }
    }

    /// Sets the function by which ballots are weighed under [`Weighting::Custom`](super::Weighting::Custom).
    #[must_use]
    pub fn weigh(mut self, weigh: Weigh) -> Self {
        self.weigh = Some(weigh);
        self
    }

    /// What was opened.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The round that is open, from 1.
    pub fn round(&self) -> u32 {
        self.open.round()
    }

    /// When the open round closes, since the opening.
    pub fn closes(&self) -> Duration {
        self.closes
    }

    /// Takes a ballot in that came at this time since the opening, and says what became of it; `None` if too many were refused to
    /// keep this one.
    pub fn cast(&mut self, ballot: Ballot, at: Duration) -> Option<&Received> {
        let (opening, weigh) = (Arc::clone(&self.opening), self.weigh.clone());
        self.take(ballot, at, |ballot, voter| weight(&opening, weigh.as_ref(), ballot, voter))
    }

    pub(super) fn take(
        &mut self,
        ballot: Ballot,
        at: Duration,
        weigh: impl FnOnce(&Ballot, usize) -> Result<Exact, BallotError>,
    ) -> Option<&Received> {
        let is_late = self.is_decided || at > self.closes;
        self.open.receive(&self.opening, ballot, (at, is_late), weigh)
    }

    /// Notes that a voter has ended and casts no more; what it has cast counts.
    pub fn voter_ended(&mut self, voter: &str) {
        if let Some(voter) = self.opening.electorate.index(voter) {
            self.open.ended(voter);
        }
    }

    /// Whether a voter's ballot of this round counts already.
    pub fn has_counted(&self, voter: &str) -> bool {
        let voter = self.opening.electorate.index(voter);
        voter.is_some_and(|voter| self.open.counted_of(voter).is_some())
    }

    /// Whether the round may close before its time, and why: nobody is left to vote, or nothing that could come would change the
    /// outcome. Never where ballots may be revised.
    ///
    /// A voter that contradicts its own ballot after such a close is late with it.
    pub fn may_close(&self) -> Option<ClosedBy> {
        let rules = &self.opening.rules;
        if rules.revisable || self.is_decided {
            return None;
        }
        if self.open.outstanding().next().is_none() {
            return Some(ClosedBy::Complete);
        }
        if !rules.close_early {
            return None;
        }
        let (outstanding, is_last): (Vec<usize>, _) =
            (self.open.outstanding().collect(), self.round() >= rules.rounds);
        let judged = Judged::new(&self.opening, &self.open);
        judged.is_settled(&outstanding, is_last).then_some(ClosedBy::Settled)
    }

    /// Closes the open round.
    pub fn close(&mut self, by: ClosedBy, at: Duration) -> Closed {
        let opening = Arc::clone(&self.opening);
        let judged = Judged::new(&opening, &self.open);
        let changed = self.changed();
        let Some((outcome, choice)) = outcome(&judged, self.round(), changed.as_ref()) else {
            let (_, reasons) = judged.reasons(None);
            let reasons = reasons.into_iter().map(|reason| reason.reasoning);
            let round = Round {
                round: self.round(),
                tally: judged.tally(),
                changed,
                reasons: reasons.filter(|text| !text.is_empty()).collect(),
            };
            let next = BallotBox::new(self.round() + 1, opening.electorate.voters().len());
            self.past.push((round.clone(), std::mem::replace(&mut self.open, next)));
            self.closes = at.saturating_add(self.within);
            return Closed::Next(Box::new(round));
        };
        let decision = self.decision(&judged, (outcome, choice), by);
        self.is_decided = true;
        Closed::Decided(Box::new(decision))
    }

    /// What the ballots so far come to, as if no round could follow and no ballot would; changes nothing.
    pub fn so_far(&self, at: Duration) -> Box<Decision> {
        let opening = Arc::clone(&self.opening);
        let judged = Judged::new(&opening, &self.open);
        let last = self.round().max(opening.rules.rounds);
        let by = if at >= self.closes { ClosedBy::Deadline } else { ClosedBy::CutOff };
        let (outcome, choice) = outcome(&judged, last, None).unwrap_or((Outcome::NoDecision, None));
        Box::new(self.decision(&judged, (outcome, choice), by))
    }

    /// Ballots that count, of all rounds.
    pub fn counted(&self) -> u64 {
        let boxes = self.past.iter().map(|(_, past)| past).chain([&self.open]);
        boxes.map(|own| own.counted().count() as u64).sum()
    }

    /// Opens a vote as its record says that it was opened.
    pub(super) fn reopen(opening: Opening, within: Duration) -> Result<Self, String> {
        let Opening { proposal, electorate, rules, seed } = opening;
        let opening = Opening::new(proposal, electorate, rules, seed);
        Ok(Self::new(opening.map_err(|error| error.to_string())?, within))
    }

    /// What the round before the open one came to.
    pub fn before(&self) -> Option<&Round> {
        self.past.last().map(|(round, _)| round)
    }

    /// The ballots of the open round, as they came in.
    pub fn received(&self) -> &[Received] {
        self.open.received()
    }

    /// Whether a voter can still cast a ballot that counts, as long as ballots are final: it has neither cast one nor ended.
    pub fn awaits(&self, voter: &str) -> bool {
        let voter = self.opening.electorate.index(voter);
        voter.is_some_and(|voter| self.open.awaits(voter))
    }

    /// As [`awaits`](Self::awaits), by the number of the voter.
    pub(super) fn awaits_number(&self, voter: usize) -> bool {
        self.open.awaits(voter)
    }

    fn decision(
        &self,
        judged: &Judged<'_>,
        (outcome, choice): (Outcome, Option<usize>),
        by: ClosedBy,
    ) -> Decision {
        let (reasoning, dissent) = judged.reasons(choice);
        let boxes = || self.past.iter().map(|(_, past)| past).chain([&self.open]);
        Decision {
            outcome,
            confidence: choice.and_then(|choice| judged.share_of(choice)).unwrap_or_default(),
            round: self.round(),
            closed: by,
            participation: judged.participation(),
            tally: judged.tally(),
            reasoning,
            dissent,
            rounds: self.past.iter().map(|(round, _)| round.clone()).collect(),
            ballots: boxes().flat_map(BallotBox::received).cloned().collect(),
            refused_more: boxes().map(|past| past.dropped).sum(),
        }
    }

    /// The share of those who voted in this round or the one before whose choice is not the same in both.
    fn changed(&self) -> Option<Exact> {
        let (_, before) = self.past.last()?;
        let (mut voted, mut changed) = (0_u32, 0_u32);
        for voter in 0..self.opening.electorate.voters().len() {
            let then = before.counted_of(voter).map(|own| &own.ballot.choice);
            let now = self.open.counted_of(voter).map(|own| &own.ballot.choice);
            voted += u32::from(then.is_some() || now.is_some());
            changed += u32::from(then != now);
        }
        Some(Exact::from(changed).over(&voted.into()).unwrap_or_default())
    }
}

impl fmt::Debug for Vote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ballots: BTreeSet<&str> =
            self.open.counted().map(|own| own.received.ballot.voter.as_str()).collect();
        write!(out, "Vote({:?}, round {}, {ballots:?})", self.opening.proposal, self.round())
    }
}
