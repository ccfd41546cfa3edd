//! Judging one round: who took part, who leads, whether that is consensus, and whether anything that is still to come could change it.
//!
//! Called by [`Vote`](super::Vote) when it closes a round, and after each ballot to see whether it may close early.

use super::{
    Count, Exact, Method, Opening, QuorumOf, TieBreaker, TieBreakerOn, Weighed, Weighting,
    ballot_box::{BallotBox, Counted},
    count::{count, supports},
};

/// The ballots of a round that count, and what they come to.
pub(super) struct Judged<'a> {
    pub(super) opening: &'a Opening,
    pub(super) counted: Vec<Counted<'a>>,
    pub(super) count: Count,
    /// The weight of the ballots for each choice; of rankings, of those that rank it first.
    pub(super) support: Vec<Exact>,
}

/// Where the ballots of a round lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// To consensus on this choice.
    Reached(usize),
    /// To a leader that has too little.
    Below,
    /// To several leaders.
    Tied,
    /// Nowhere: no ballot with weight is for anything.
    Nothing,
}

impl<'a> Judged<'a> {
    pub(super) fn new(opening: &'a Opening, ballots: &'a BallotBox) -> Self {
        let counted: Vec<Counted<'a>> = ballots.counted().collect();
        let weighed = |ballot: &Counted<'_>| Weighed {
            stance: ballot.stance.clone(),
            weight: ballot.received.weight.clone(),
        };
        let weighed: Vec<Weighed> = counted.iter().map(weighed).collect();
        let choices = opening.proposal.choices.len();
        let count = count(opening.rules.method, choices, &weighed);
        let support = match opening.rules.method {
            Method::Borda | Method::Schulze => supports(choices, &weighed),
            Method::Plurality
            | Method::Majority
            | Method::Supermajority
            | Method::Unanimity
            | Method::Approval => count.scores.clone(),
        };
        Self { opening, counted, count, support }
    }

    /// Whether enough have taken part, with `more` voters than now.
    pub(super) fn is_enough(&self, more: usize) -> bool {
        let heads = |count: usize| Exact::from(u32::try_from(count).unwrap_or(u32::MAX));
        let all = heads(self.opening.electorate.voters().len());
        heads(self.counted.len() + more) >= &self.opening.rules.min_participation * &all
    }

    pub(super) fn finding(&self) -> Finding {
        match self.count.leaders.as_slice() {
            [] => Finding::Nothing,
            [leader] => {
                let weight = self.support.get(*leader).cloned().unwrap_or_default();
                let single = self.opening.rules.method.is_single();
                if !single || self.suffices(&weight, &self.count.cast) {
                    Finding::Reached(*leader)
                } else {
                    Finding::Below
                }
            }
            _ => Finding::Tied,
        }
    }

    /// Of what a share is taken: what was cast, or all expertise.
    pub(super) fn base(&self, cast: &Exact) -> Exact {
        match self.opening.rules.quorum.as_ref().map(|quorum| quorum.of) {
            Some(QuorumOf::Electorate) => self.opening.whole(),
            Some(QuorumOf::Cast) | None => cast.clone(),
        }
    }

    /// Whether a single choice that leads with `weight` of `cast` has what method and quorum ask for.
    fn suffices(&self, weight: &Exact, cast: &Exact) -> bool {
        let rules = &self.opening.rules;
        let quorum = rules.quorum.as_ref();
        let by_method = match rules.method {
            Method::Majority => weight + weight > *cast,
            Method::Unanimity => weight == cast,
            Method::Supermajority if quorum.is_none() => &(weight + weight) + weight >= cast + cast,
            Method::Supermajority
            | Method::Plurality
            | Method::Approval
            | Method::Borda
            | Method::Schulze => true,
        };
        by_method && quorum.is_none_or(|quorum| quorum.is_reached(weight, &self.base(cast)))
    }

    /// Voters whose ballots block a choice, by ascending id.
    pub(super) fn blocked_by(&self, choice: usize) -> Vec<String> {
        let Some(name) = self.opening.proposal.choices.get(choice) else { return Vec::new() };
        let ballots = self.counted.iter().map(|counted| &counted.received.ballot);
        let blocking = ballots.filter(|ballot| ballot.veto.contains(name));
        blocking.map(|ballot| ballot.voter.clone()).collect()
    }

    /// Whether the outcome is certain whatever the `outstanding` voters do; it may be certain where this does not see it.
    pub(super) fn is_settled(&self, outstanding: &[usize], is_last: bool) -> bool {
        if !self.is_enough(outstanding.len()) {
            return true;
        }
        let voters = self.opening.electorate.voters();
        let to_come = || outstanding.iter().filter_map(|voter| voters.get(*voter));
        if !self.is_enough(0) || self.opening.rules.weighting == Weighting::Custom {
            return false;
        }
        let topic = &self.opening.proposal.topic;
        let weight: Exact = to_come().map(|voter| voter.expertise_on(topic)).sum();
        let unblockable = |choice: usize| {
            !self.blocked_by(choice).is_empty() || !to_come().any(|voter| voter.veto)
        };
        match self.count.leaders.as_slice() {
            [leader] if self.wins_against(*leader, &weight) => unblockable(*leader),
            _ => {
                self.nobody_can_win(&weight)
                    && self.falls_to(is_last).is_some_and(|fallen| fallen.is_none_or(unblockable))
            }
        }
    }

    /// Whether a leader stays so, with all it needs, when `weight` more is against it.
    fn wins_against(&self, leader: usize, weight: &Exact) -> bool {
        let choices = self.count.scores.len();
        let others = |numbers: &[Exact]| {
            let numbered = numbers.iter().enumerate();
            numbered.filter(|(choice, _)| *choice != leader).map(|(_, own)| own.clone()).max()
        };
        if self.opening.rules.method == Method::Schulze {
            // A choice that wins each pair is the only winner: Schulze 2011, the Condorcet criterion.
            let row = self.count.margins.get(leader).map_or(&[][..], Vec::as_slice);
            let mut pairs = row.iter().enumerate().filter(|(other, _)| *other != leader);
            return pairs.all(|(_, margin)| margin > weight);
        }
        let step = match self.opening.rules.method {
            Method::Borda => u32::try_from(choices.saturating_sub(1)).unwrap_or(u32::MAX),
            Method::Plurality
            | Method::Majority
            | Method::Supermajority
            | Method::Unanimity
            | Method::Approval
            | Method::Schulze => 1,
        };
        let own = self.count.scores.get(leader).cloned().unwrap_or_default();
        let most = &others(&self.count.scores).unwrap_or_default() + &(weight * &step.into());
        let single = self.opening.rules.method.is_single();
        own > most && (!single || self.suffices(&own, &(&self.count.cast + weight)))
    }

    /// Whether no choice can reach consensus even with all of `weight` more for it.
    fn nobody_can_win(&self, weight: &Exact) -> bool {
        let cast = &self.count.cast + weight;
        let scores = self.count.scores.iter().enumerate();
        let can_win = |(choice, score): (usize, &Exact)| {
            let own = score + weight;
            let mut others = self.count.scores.iter().enumerate();
            let leads = others.all(|(other, score)| other == choice || own > *score);
            leads && self.suffices(&own, &cast)
        };
        self.opening.rules.method.is_single() && !scores.into_iter().any(can_win)
    }

    /// Where a round without consensus ends for certain: nowhere, or with a declared choice. `None` if that depends on ballots.
    fn falls_to(&self, is_last: bool) -> Option<Option<usize>> {
        let (rules, proposal) = (&self.opening.rules, &self.opening.proposal);
        let repeats = rules.change_threshold.is_some()
            || rules.tie_breakers.contains(&TieBreaker::AnotherRound);
        if repeats && !is_last {
            return None;
        }
        let always = rules.tie_breaker_on == TieBreakerOn::NoConsensus;
        let asked = rules.tie_breakers.iter().find(|own| **own != TieBreaker::AnotherRound);
        let declared = match asked {
            None => return Some(None),
            Some(TieBreaker::Conservative) if always => proposal.safest.as_ref(),
            Some(TieBreaker::StatusQuo) if always => proposal.status_quo.as_ref(),
            Some(_) => None,
        };
        declared.and_then(|choice| proposal.index(choice)).map(Some)
    }
}
