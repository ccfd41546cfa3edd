//! The decision: what a vote came to, with everything that it rests on.

use serde::{Deserialize, Serialize};

use super::{
    Evidence, Exact, Received, TieBreaker,
    judge::{Finding, Judged},
};

/// What a vote came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// How it ended.
    pub outcome: Outcome,
    /// The weight for the choice that was made, as a share of what the quorum is of; 0 where none was made.
    pub confidence: Exact,
    /// The round that decided.
    pub round: u32,
    /// Why that round was closed when it was.
    pub closed: ClosedBy,
    /// Who took part in it.
    pub participation: Participation,
    /// What its ballots came to.
    pub tally: Tally,
    /// The ballots for the choice that was made, by weight, then by voter.
    pub reasoning: Vec<Reason>,
    /// The ballots for anything else, by weight, then by voter; all, where no choice was made.
    pub dissent: Vec<Reason>,
    /// The rounds before.
    pub rounds: Vec<Round>,
    /// Every ballot of every round and what became of it, in the order in which they came in.
    pub ballots: Vec<Received>,
    /// Refused ballots beyond those listed.
    pub refused_more: u64,
}

/// How a vote ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The ballots agree on a choice.
    Consensus {
        /// Which.
        choice: String,
    },
    /// The ballots do not agree; a tie-breaker chose.
    TieBroken {
        /// What.
        choice: String,
        /// Which one.
        by: TieBreaker,
    },
    /// The ballots do not agree, and no tie-breaker chose.
    NoDecision,
    /// Too few took part.
    InsufficientParticipation {
        /// Voters whose ballots count.
        counted: u32,
        /// Voters in all.
        electorate: u32,
        /// The share that was needed.
        needed: Exact,
    },
    /// The choice is blocked.
    Vetoed {
        /// Which.
        choice: String,
        /// By whom.
        by: Vec<String>,
    },
}

impl Outcome {
    /// The choice that was made, by consensus or a tie-breaker.
    pub fn choice(&self) -> Option<&str> {
        match self {
            Self::Consensus { choice } | Self::TieBroken { choice, .. } => Some(choice),
            Self::NoDecision | Self::InsufficientParticipation { .. } | Self::Vetoed { .. } => None,
        }
    }

    /// Its name in records and events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Consensus { .. } => "consensus",
            Self::TieBroken { .. } => "tie_broken",
            Self::NoDecision => "no_decision",
            Self::InsufficientParticipation { .. } => "insufficient_participation",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}

/// Why a round was closed when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// Its time was over.
    Deadline,
    /// Nobody was left who could cast a ballot.
    Complete,
    /// Nothing that could still come would have changed the outcome.
    Settled,
    /// The run was: this is what the ballots so far come to, and nothing was decided.
    CutOff,
}

/// Who took part in a round, by head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participation {
    /// Voters whose ballots count, with those who abstained.
    pub counted: u32,
    /// Of these, voters who abstained.
    pub abstained: u32,
    /// Voters in all.
    pub electorate: u32,
}

/// What the ballots of a round came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Each choice, in the order of the proposal.
    pub choices: Vec<Score>,
    /// The weight of all ballots that are for something.
    pub cast: Exact,
    /// The expertise of all who may vote.
    pub electorate: Exact,
    /// The choices that lead.
    pub leaders: Vec<String>,
    /// The weight for the only leader as a share of what the quorum is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Exact>,
    /// For rankings: the weight by which the first choice is before the second in more ballots than behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub margins: Vec<Vec<Exact>>,
}

/// What one choice came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Which.
    pub choice: String,
    /// Its score by the method: weight, points, or with Schulze how many others it beats or equals.
    pub score: Exact,
    /// The weight of the ballots for it; of rankings, of those that rank it first.
    pub support: Exact,
}

/// Why a voter is for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Who.
    pub voter: String,
    /// How much its ballot weighs.
    pub weight: Exact,
    /// How sure it is.
    pub confidence: Exact,
    /// Why.
    pub reasoning: String,
    /// What others can check.
    pub evidence: Vec<Evidence>,
}

/// A round that was followed by another: voters of the next one know its tally and reasons, not whose they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Which, from 1.
    pub round: u32,
    /// What its ballots came to.
    pub tally: Tally,
    /// The share of those who voted who changed their mind since the round before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Exact>,
    /// The reasons that were given, by weight.
    pub reasons: Vec<String>,
}

impl Judged<'_> {
    pub(super) fn participation(&self) -> Participation {
        let heads = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let abstained = self.counted.iter().filter(|own| *own.stance == super::Stance::Abstain);
        Participation {
            counted: heads(self.counted.len()),
            abstained: heads(abstained.count()),
            electorate: heads(self.opening.electorate.voters().len()),
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let names = &self.opening.proposal.choices;
        let scores = self.count.scores.iter().zip(&self.support);
        let choices = names.iter().zip(scores).map(|(choice, (score, support))| Score {
            choice: choice.clone(),
            score: score.clone(),
            support: support.clone(),
        });
        let share = match self.finding() {
            Finding::Reached(_) | Finding::Below => {
                self.count.leaders.first().and_then(|leader| self.share_of(*leader))
            }
            Finding::Tied | Finding::Nothing => None,
        };
        Tally {
            choices: choices.collect(),
            cast: self.count.cast.clone(),
            electorate: self.opening.whole(),
            leaders: self.count.leaders.iter().filter_map(|at| names.get(*at)).cloned().collect(),
            share,
            margins: self.count.margins.clone(),
        }
    }

    pub(super) fn share_of(&self, choice: usize) -> Option<Exact> {
        self.support.get(choice)?.over(&self.base(&self.count.cast))
    }

    /// The reasons of the ballots that are for `choice`, and those of the ballots that are for anything else.
    pub(super) fn reasons(&self, choice: Option<usize>) -> (Vec<Reason>, Vec<Reason>) {
        let cast = self.counted.iter().filter(|own| *own.stance != super::Stance::Abstain);
        let mut cast: Vec<_> = cast.collect();
        // By ascending id they are already.
        cast.sort_by(|left, right| right.received.weight.cmp(&left.received.weight));
        let (winners, dissent): (Vec<_>, Vec<_>) = cast
            .into_iter()
            .partition(|own| choice.is_some_and(|choice| own.stance.supports(choice)));
        let reason = |own: &super::ballot_box::Counted<'_>| {
            let ballot = &own.received.ballot;
            Reason {
                voter: ballot.voter.clone(),
                weight: own.received.weight.clone(),
                confidence: ballot.confidence.clone(),
                reasoning: ballot.reasoning.clone(),
                evidence: ballot.evidence.clone(),
            }
        };
        (winners.into_iter().map(reason).collect(), dissent.into_iter().map(reason).collect())
    }
}
