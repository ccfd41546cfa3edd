//! The opening of a vote: what is fixed before the first ballot, checked once.

use serde::{Deserialize, Serialize};

use super::{Electorate, Exact, NumberError, Proposal, Rules, TieBreaker};
use crate::limits::{CHOICES_MAX, ROUNDS_MAX, VOTERS_MAX};

/// All that is fixed when a vote is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// What is voted on.
    pub proposal: Proposal,
    /// Who votes.
    pub electorate: Electorate,
    /// How ballots become a decision.
    pub rules: Rules,
    /// The dice of the tie-breaker [`Random`](TieBreaker::Random).
    pub seed: u64,
}

impl Opening {
    /// Opens a vote.
    ///
    /// # Errors
    /// What of it contradicts itself; see [`OpeningError`].
    pub fn new(
        proposal: Proposal,
        electorate: Electorate,
        rules: Rules,
        seed: u64,
    ) -> Result<Self, OpeningError> {
        let opening = Self { proposal, electorate, rules, seed };
        opening.proposal.validate()?;
        opening.rules.validate()?;
        opening.validate_tie_breakers()?;
        if opening.whole().is_zero() {
            return Err(OpeningError::NoExpertise { topic: opening.proposal.topic });
        }
        Ok(opening)
    }

    /// The expertise of all in the topic.
    pub(super) fn whole(&self) -> Exact {
        self.electorate.expertise_on(&self.proposal.topic)
    }

    fn validate_tie_breakers(&self) -> Result<(), OpeningError> {
        for breaker in &self.rules.tie_breakers {
            match breaker {
                TieBreaker::Conservative if self.proposal.safest.is_none() => {
                    return Err(OpeningError::Undeclarable { what: "safest" });
                }
                TieBreaker::StatusQuo if self.proposal.status_quo.is_none() => {
                    return Err(OpeningError::Undeclarable { what: "status_quo" });
                }
                TieBreaker::Chair(voter) if self.electorate.index(voter).is_none() => {
                    return Err(OpeningError::Chair { voter: voter.clone() });
                }
                TieBreaker::AnotherRound if self.rules.rounds < 2 => {
                    return Err(OpeningError::OneRound);
                }
                TieBreaker::AnotherRound
                | TieBreaker::Conservative
                | TieBreaker::StatusQuo
                | TieBreaker::HighestConfidence
                | TieBreaker::Chair(_)
                | TieBreaker::Random => {}
            }
        }
        Ok(())
    }
}

/// Why a vote cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// There is nobody to vote.
    #[error("the electorate is empty: a vote needs at least one voter")]
    EmptyElectorate,
    /// There are too many.
    #[error("the electorate has more than {VOTERS_MAX} voters")]
    TooManyVoters,
    /// A voter is named twice.
    #[error("`{voter}` is in the electorate twice")]
    SameVoter {
        /// Who.
        voter: String,
    },
    /// Expertise below zero.
    #[error("the expertise of `{voter}` is {expertise}; it must be 0 or more")]
    Expertise {
        /// Whose.
        voter: String,
        /// How much.
        expertise: Exact,
    },
    /// Nobody counts.
    #[error("no voter has any expertise in `{topic}`: nothing could be decided")]
    NoExpertise {
        /// The topic.
        topic: String,
    },
    /// Too few or too many choices.
    #[error("the proposal has {count} choices; 2 to {CHOICES_MAX} are possible")]
    Choices {
        /// How many.
        count: usize,
    },
    /// Choices that cannot be told apart.
    #[error("the choices of the proposal need names, all different")]
    SameChoice,
    /// The safest choice or the status quo is none of the choices.
    #[error("`{choice}` is declared as safest or status quo and is not one of the choices")]
    Undeclared {
        /// What.
        choice: String,
    },
    /// A tie-breaker's choice is not declared.
    #[error("the tie-breaker needs a choice that the proposal declares as `{what}`")]
    Undeclarable {
        /// As what.
        what: &'static str,
    },
    /// The chair has no vote.
    #[error("the chair `{voter}` is not in the electorate")]
    Chair {
        /// Who.
        voter: String,
    },
    /// What should be a share is none.
    #[error("{what} is {share}; it must be from 0 to 1")]
    Share {
        /// What.
        what: &'static str,
        /// How much.
        share: Exact,
    },
    /// A quorum for sets or rankings.
    #[error(
        "a quorum applies to methods of one choice only; use min_participation, or another method"
    )]
    QuorumForMany,
    /// A supermajority that is none.
    #[error("a supermajority of {share} is none: its quorum must be above 1/2")]
    Supermajority {
        /// How much.
        share: Exact,
    },
    /// No rounds, or too many.
    #[error("a vote of {rounds} rounds is not possible; 1 to {ROUNDS_MAX} are")]
    Rounds {
        /// How many.
        rounds: u32,
    },
    /// Another round is asked for and none is allowed.
    #[error("a change threshold or the tie-breaker another_round needs `rounds` of at least 2")]
    OneRound,
    /// Rounds are allowed and nothing asks for them.
    #[error(
        "nothing asks for the {rounds} rounds: set change_threshold, or the tie-breaker another_round"
    )]
    NoFurtherRound {
        /// How many.
        rounds: u32,
    },
    /// Ballots are to be weighed by a function and there is none.
    #[error("the weighting is custom and no function was given to weigh ballots")]
    NoWeigh,
    /// A number that cannot be counted with.
    #[error(transparent)]
    Number(#[from] NumberError),
}
