//! The opening of a vote: what is fixed before the first ballot, checked once.

use serde::{Deserialize, Serialize};

use super::{Electorate, Exact, NumberError, Proposal, Rules, TieBreaker};
use crate::limits::{CHOICES_MAX, ROUNDS_MAX, VOTERS_MAX};

/// What an opening takes in a record besides what its parts do, at the most: the names of its fields, and words that are chosen from.
const OPENING_BYTES: usize = 512;
/// What a voter takes besides its name and numbers, at the most.
const VOTER_BYTES: usize = 64;
/// What a text or a word in a list takes besides its bytes, at the most.
const ITEM_BYTES: usize = 32;

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

    /// At least as many bytes as its record takes, from the lengths of what it holds: most need no further look.
    pub(super) fn bytes_at_most(&self) -> usize {
        let Self { proposal, electorate, rules, seed: _ } = self;
        let named = proposal.safest.iter().chain(&proposal.status_quo).chain(&proposal.choices);
        let texts: usize = named.map(|text| text.len() + ITEM_BYTES).sum();
        let data = runtime::record::size(&proposal.data).unwrap_or(usize::MAX);
        let chairs = rules.tie_breakers.iter().map(|breaker| match breaker {
            TieBreaker::Chair(voter) => voter.len() + ITEM_BYTES,
            TieBreaker::AnotherRound
            | TieBreaker::Conservative
            | TieBreaker::StatusQuo
            | TieBreaker::HighestConfidence
            | TieBreaker::Random => ITEM_BYTES,
        });
        let shares = rules.quorum.iter().map(|quorum| &quorum.share);
        let shares = shares.chain(&rules.change_threshold).chain([&rules.min_participation]);
        let voters = electorate.voters().iter().map(|voter| {
            let topics =
                voter.topics.iter().map(|(topic, much)| topic.len() + much.bytes_at_most());
            voter.id.len() + voter.expertise.bytes_at_most() + VOTER_BYTES + topics.sum::<usize>()
        });
        [proposal.question.len(), proposal.topic.len(), texts, data, OPENING_BYTES]
            .into_iter()
            .chain(chairs)
            .chain(shares.map(Exact::bytes_at_most))
            .chain(voters)
            .fold(0, usize::saturating_add)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::pattern::consensus::{Quorum, Voter};

    fn number() -> impl Strategy<Value = Exact> {
        // What is computed may have more digits than what is written by hand.
        let text = "[1-9][0-9]{0,25}/[1-9][0-9]{0,25}";
        let large = (text, text).prop_map(|(left, right)| {
            &left.parse::<Exact>().unwrap() * &right.parse::<Exact>().unwrap()
        });
        let small = (0..i64::MAX, 1..i64::MAX)
            .prop_map(|(parts, whole)| Exact::ratio(parts, whole).unwrap());
        prop_oneof![any::<u32>().prop_map(Exact::from), small, large]
    }

    fn voter() -> impl Strategy<Value = Voter> {
        let topics = prop::collection::btree_map(".{0,90}", number(), 0..4);
        (".{0,90}", number(), topics, any::<bool>())
            .prop_map(|(id, expertise, topics, veto)| Voter { id, expertise, topics, veto })
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(".{0,90}", 0..6)
    }

    proptest! {
        #[test]
        fn no_opening_takes_more_bytes_than_its_parts_say(
            proposal in (".{0,300}", ".{0,300}", words(), prop::option::of(".{0,40}"), words()),
            voters in prop::collection::vec(voter(), 0..6),
            chairs in words(),
            numbers in (number(), number(), prop::option::of(number())),
            seed: u64,
        ) {
            let (question, topic, choices, safest, data) = proposal;
            let status_quo = safest.clone();
            let data = serde_json::json!({ "words": data });
            let (share, min_participation, change_threshold) = numbers;
            let tie_breakers = chairs.into_iter().map(TieBreaker::Chair);
            let named: BTreeMap<String, Voter> =
                voters.into_iter().map(|voter| (voter.id.clone(), voter)).collect();
            let rules = Rules {
                quorum: Some(Quorum { strict: true, ..Quorum::of_electorate(share) }),
                min_participation,
                tie_breakers: tie_breakers.chain([TieBreaker::HighestConfidence]).collect(),
                change_threshold,
                ..Rules::default()
            };
            let electorate = Electorate::new(named.into_values().chain([Voter::new("\u{10ffff}!")]));
            let proposal = Proposal { question, topic, choices, safest, status_quo, data };
            let opening = Opening { proposal, electorate: electorate.unwrap(), rules, seed };
            prop_assert!(runtime::record::size(&opening).unwrap() <= opening.bytes_at_most());
        }
    }
}
