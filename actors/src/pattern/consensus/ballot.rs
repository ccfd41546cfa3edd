//! Ballots: what a voter says, and whether it may say so.

use std::collections::BTreeSet;

use protocol::Value;
use serde::{Deserialize, Serialize};

use super::{Exact, Method, Opening, Proposal};
use crate::limits::{
    BALLOTS_PER_VOTER_MAX, EVIDENCE_BYTES_MAX, EVIDENCE_MAX, REASONING_BYTES_MAX, VOTER_BYTES_KEPT,
};

/// What one voter says in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ballot {
    /// Who says it.
    pub voter: String,
    /// The round that it is for, from 1.
    pub epoch: u32,
    /// Its number among this voter's ballots of the round; where ballots may be revised, the highest counts.
    pub sequence: u64,
    /// What the voter is for.
    pub choice: Choice,
    /// How sure the voter is, from 0 to 1.
    pub confidence: Exact,
    /// Why.
    #[serde(default)]
    pub reasoning: String,
    /// What others can check.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// Choices that the voter blocks, if it may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub veto: BTreeSet<String>,
}

/// What a voter is for; which form it takes is up to the method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Takes part without being for anything.
    Abstain,
    /// One choice.
    One(String),
    /// Every choice that is good enough.
    Set(BTreeSet<String>),
    /// Choices, the best first; those not named are behind all others, none before another.
    Ranking(Vec<String>),
}

/// Something that others can check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it shows.
    pub claim: String,
    /// Where it was found: a file and line, a command, an address.
    #[serde(default)]
    pub source: String,
    /// The finding itself.
    #[serde(default)]
    pub data: Value,
}

impl Ballot {
    /// The first ballot of a voter in the first round, with full confidence and no reasoning.
    pub fn new(voter: impl Into<String>, choice: Choice) -> Self {
        Self {
            voter: voter.into(),
            epoch: 1,
            sequence: 1,
            choice,
            confidence: Exact::ONE,
            reasoning: String::new(),
            evidence: Vec::new(),
            veto: BTreeSet::new(),
        }
    }
}

impl Choice {
    /// One choice.
    pub fn one(choice: impl Into<String>) -> Self {
        Self::One(choice.into())
    }

    /// Every choice that is good enough.
    pub fn set(choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Set(choices.into_iter().map(Into::into).collect())
    }

    /// Choices, the best first.
    pub fn ranking(choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Ranking(choices.into_iter().map(Into::into).collect())
    }
}

/// Why a ballot is refused: it does not count, as a choice or as participation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum BallotError {
    /// It is not of the electorate.
    #[error("`{voter}` may not vote: the electorate was fixed when the vote was opened")]
    Foreign {
        /// Who.
        voter: String,
    },
    /// It is for another round.
    #[error("the ballot is for round {given}, this is round {open}")]
    Epoch {
        /// For which.
        given: u32,
        /// Which is open.
        open: u32,
    },
    /// It names what is not to be chosen.
    #[error("`{choice}` is not one of the choices")]
    UnknownChoice {
        /// What.
        choice: String,
    },
    /// It ranks a choice twice.
    #[error("`{choice}` is ranked twice")]
    RankedTwice {
        /// Which.
        choice: String,
    },
    /// It has the form of another method.
    #[error("this vote takes {wanted}, or an abstention")]
    Form {
        /// Which form it must have.
        wanted: String,
    },
    /// It names nothing.
    #[error("the ballot names no choice; abstain instead")]
    Nothing,
    /// It is surer than sure.
    #[error("the confidence {confidence} is not from 0 to 1")]
    Confidence {
        /// How sure.
        confidence: Exact,
    },
    /// It blocks without the right to.
    #[error("`{voter}` may not block choices")]
    NoVeto {
        /// Who.
        voter: String,
    },
    /// It blocks what it is for.
    #[error("the ballot blocks `{choice}` and is for it")]
    OwnVeto {
        /// Which.
        choice: String,
    },
    /// It says too much; no more is kept of it than whose it is, as an abstention.
    #[error(
        "the ballot is too large: {REASONING_BYTES_MAX} bytes of reasoning and names, and {EVIDENCE_MAX} pieces of evidence in {EVIDENCE_BYTES_MAX} bytes, are possible; name files instead of holding them"
    )]
    TooLarge,
    /// Its voter says too much.
    #[error("`{voter}` has cast {BALLOTS_PER_VOTER_MAX} ballots in this round; no more are taken")]
    TooMany {
        /// Who.
        voter: String,
    },
    /// It cannot be weighed.
    #[error("the ballot cannot be weighed: {reason}")]
    Weight {
        /// Why.
        reason: String,
    },
}

/// What a valid ballot is for, by the numbers of the choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stance {
    /// For nothing.
    Abstain,
    /// For one choice.
    One(usize),
    /// For each of some choices.
    Set(Vec<usize>),
    /// For choices in this order, each at most once.
    Ranking(Vec<usize>),
}

impl Ballot {
    /// Checks a ballot for an open round; the number of its voter, and what it is for.
    pub(super) fn check(
        &self,
        opening: &Opening,
        round: u32,
    ) -> Result<(usize, Stance), BallotError> {
        if self.is_too_large() {
            return Err(BallotError::TooLarge);
        }
        let voter = opening
            .electorate
            .index(&self.voter)
            .ok_or_else(|| BallotError::Foreign { voter: self.voter.clone() })?;
        if self.epoch != round {
            return Err(BallotError::Epoch { given: self.epoch, open: round });
        }
        if !self.confidence.is_share() {
            return Err(BallotError::Confidence { confidence: self.confidence.clone() });
        }
        let stance = self.choice.stance(&opening.proposal, opening.rules.method)?;
        let may_block = opening.electorate.voters().get(voter).is_some_and(|voter| voter.veto);
        self.check_veto(&opening.proposal, &stance, may_block)?;
        Ok((voter, stance))
    }

    fn is_too_large(&self) -> bool {
        let chosen: usize = match &self.choice {
            Choice::Abstain => 0,
            Choice::One(choice) => choice.len(),
            Choice::Set(choices) => choices.iter().map(String::len).sum(),
            Choice::Ranking(choices) => choices.iter().map(String::len).sum(),
        };
        let blocked: usize = self.veto.iter().map(String::len).sum();
        let evidence = || runtime::record::size(&self.evidence);
        self.voter.len() + self.reasoning.len() + chosen + blocked > REASONING_BYTES_MAX
            || self.evidence.len() > EVIDENCE_MAX
            || !self.evidence.is_empty() && !evidence().is_ok_and(|size| size <= EVIDENCE_BYTES_MAX)
    }

    /// What is kept of a ballot that is too large: whose it is, and when.
    pub(super) fn clipped(mut self) -> Self {
        self.voter.truncate(self.voter.floor_char_boundary(VOTER_BYTES_KEPT));
        Self {
            epoch: self.epoch,
            sequence: self.sequence,
            ..Self::new(self.voter, Choice::Abstain)
        }
    }

    fn check_veto(
        &self,
        proposal: &Proposal,
        stance: &Stance,
        may_block: bool,
    ) -> Result<(), BallotError> {
        for choice in &self.veto {
            let at = known(proposal, choice)?;
            if !may_block {
                return Err(BallotError::NoVeto { voter: self.voter.clone() });
            }
            // A ranking is for its first choice: those behind it may well be blocked.
            if stance.supports(at) {
                return Err(BallotError::OwnVeto { choice: choice.clone() });
            }
        }
        Ok(())
    }
}

impl Choice {
    fn stance(&self, proposal: &Proposal, method: Method) -> Result<Stance, BallotError> {
        let stance = match self {
            Self::Abstain => Stance::Abstain,
            Self::One(choice) => Stance::One(known(proposal, choice)?),
            Self::Set(choices) => {
                let set: Result<_, _> = choices.iter().map(|own| known(proposal, own)).collect();
                Stance::Set(set?)
            }
            Self::Ranking(choices) => Stance::Ranking(ranking(proposal, choices)?),
        };
        match (&stance, method) {
            (Stance::Set(named) | Stance::Ranking(named), _) if named.is_empty() => {
                Err(BallotError::Nothing)
            }
            (Stance::Abstain, _)
            | (
                Stance::One(_),
                Method::Plurality | Method::Majority | Method::Supermajority | Method::Unanimity,
            )
            | (Stance::Set(_), Method::Approval)
            | (Stance::Ranking(_), Method::Borda | Method::Schulze) => Ok(stance),
            (Stance::One(_) | Stance::Set(_) | Stance::Ranking(_), _) => {
                Err(BallotError::Form { wanted: method.form().to_owned() })
            }
        }
    }
}

impl Stance {
    /// Whether it is for a choice: names it, or ranks it first.
    pub fn supports(&self, choice: usize) -> bool {
        match self {
            Self::Abstain => false,
            Self::One(own) => *own == choice,
            Self::Set(own) => own.contains(&choice),
            Self::Ranking(own) => own.first() == Some(&choice),
        }
    }

    /// Which of some candidates it is for; of a ranking, the first among them.
    pub fn preferred(&self, candidates: &[usize]) -> Vec<usize> {
        let is_candidate = |choice: &&usize| candidates.contains(choice);
        match self {
            Self::Abstain => Vec::new(),
            Self::One(own) => candidates.iter().copied().filter(|at| at == own).collect(),
            Self::Set(own) => own.iter().filter(is_candidate).copied().collect(),
            Self::Ranking(own) => own.iter().find(is_candidate).copied().into_iter().collect(),
        }
    }
}

fn known(proposal: &Proposal, choice: &str) -> Result<usize, BallotError> {
    let unknown = || BallotError::UnknownChoice { choice: choice.to_owned() };
    proposal.index(choice).ok_or_else(unknown)
}

fn ranking(proposal: &Proposal, choices: &[String]) -> Result<Vec<usize>, BallotError> {
    let mut ranked = Vec::with_capacity(choices.len().min(proposal.choices.len()));
    for choice in choices {
        let at = known(proposal, choice)?;
        if ranked.contains(&at) {
            return Err(BallotError::RankedTwice { choice: choice.clone() });
        }
        ranked.push(at);
    }
    Ok(ranked)
}
