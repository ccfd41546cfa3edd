//! Payload of votes: the call, the ballots, the decision.

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::check::{self, Fault, ensure};
use crate::id::{AgentId, ProposalId};
use crate::limits::{CHOICES_MAX, EVIDENCE_MAX};

/// Carries one step of a vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsensusVote {
    /// Asks a voter for its ballot, by the deadline of the frame.
    Call(Proposal),
    /// A voter's ballot.
    Cast(Ballot),
    /// Tells the voters what was decided.
    Close(Decision),
}

/// A question put to a vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Names the vote.
    pub id: ProposalId,
    /// The round; ballots of another one are refused.
    #[serde(default)]
    pub epoch: u32,
    /// The question.
    pub question: String,
    /// What can be chosen.
    pub choices: Vec<String>,
    /// What a ballot must hold.
    #[serde(default)]
    pub form: BallotForm,
    /// Whether a later ballot of the same voter replaces its earlier one.
    #[serde(default)]
    pub revisable: bool,
    /// What the voter needs to know.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

/// What the rule of a vote asks of a ballot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BallotForm {
    /// One choice.
    #[default]
    One,
    /// Every choice that is approved.
    Set,
    /// Choices in order, the best first.
    Ranking,
}

/// One voter's word in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ballot {
    /// The vote.
    pub proposal: ProposalId,
    /// The voter; the connection's identity must be the same.
    pub voter: AgentId,
    /// The round.
    #[serde(default)]
    pub epoch: u32,
    /// Counts the voter's ballots in the round; two different ones under one number void each other.
    #[serde(default)]
    pub sequence: u64,
    /// What the voter chose.
    pub choice: Choice,
    /// How sure the voter is, from 0 to 1.
    #[serde(default = "sure")]
    pub confidence: f64,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// What the reasoning rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

const fn sure() -> f64 {
    1.0
}

/// What a ballot says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// This one.
    One(String),
    /// Each of these.
    Set(Vec<String>),
    /// These, the best first.
    Ranking(Vec<String>),
    /// None, but the voter takes part.
    Abstain,
}

/// A fact that a voter points at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is, for people.
    pub title: String,
    /// Where to find it: a path with a line, a URL, an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The fact itself.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// How a vote ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The vote.
    pub proposal: ProposalId,
    /// How it was decided.
    pub outcome: VoteOutcome,
    /// What was chosen, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
}

/// How a vote was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteOutcome {
    /// One choice reached the quorum.
    Consensus,
    /// The tie-breaker chose.
    TieBroken,
    /// Nothing was chosen.
    NoDecision,
    /// Too few took part.
    InsufficientParticipation,
    /// A veto blocked the choice.
    Vetoed,
}

impl ConsensusVote {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Call(proposal) => proposal.check(),
            Self::Cast(ballot) => ballot.check(),
            Self::Close(decision) => check::text("reasoning", &decision.reasoning),
        }
    }
}

impl Proposal {
    /// Checks the question and the choices: at least one, each once.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        check::text("question", &self.question)?;
        ensure(!self.choices.is_empty(), "choices", "is empty; name at least one")?;
        check_choices("choices", &self.choices)
    }
}

impl Ballot {
    /// Checks what a ballot alone can show; whether the voter and the choices belong to the vote is its coordinator's to say.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        check::share("confidence", self.confidence)?;
        check::text("reasoning", &self.reasoning)?;
        check::at_most("evidence", self.evidence.len(), EVIDENCE_MAX)?;
        self.evidence.iter().try_for_each(|entry| check::text("evidence.title", &entry.title))?;
        match &self.choice {
            Choice::One(choice) => check::name("choice.one", choice),
            Choice::Set(choices) => check_choices("choice.set", choices),
            Choice::Ranking(choices) => check_choices("choice.ranking", choices),
            Choice::Abstain => Ok(()),
        }
    }
}

fn check_choices(field: &'static str, choices: &[String]) -> Result<(), Fault> {
    check::at_most(field, choices.len(), CHOICES_MAX)?;
    check::names(field, choices)?;
    check::no_repeats(field, choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(choice: Choice, confidence: f64) -> Ballot {
        Ballot {
            proposal: ProposalId::from_u128(1),
            voter: AgentId::from_u128(2),
            epoch: 0,
            sequence: 1,
            choice,
            confidence,
            reasoning: String::new(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn a_confidence_outside_of_0_to_1_is_refused() {
        for wrong in [f64::NAN, f64::INFINITY, -0.5, 1.5] {
            assert_eq!(ballot(Choice::Abstain, wrong).check().unwrap_err().field, "confidence");
        }
        assert_eq!(ballot(Choice::Abstain, 0.0).check(), Ok(()));
    }

    #[test]
    fn a_choice_named_twice_is_refused() {
        let twice = || vec![String::from("a"), String::from("a")];
        assert_eq!(ballot(Choice::Set(twice()), 1.0).check().unwrap_err().field, "choice.set");
        assert_eq!(
            ballot(Choice::Ranking(twice()), 1.0).check().unwrap_err().field,
            "choice.ranking"
        );
        assert_eq!(
            ballot(Choice::One(String::new()), 1.0).check().unwrap_err().field,
            "choice.one"
        );
    }

    #[test]
    fn a_choice_is_one_word_around_its_value() {
        assert_eq!(
            serde_json::to_string(&Choice::One(String::from("ship"))).unwrap(),
            r#"{"one":"ship"}"#
        );
        assert_eq!(serde_json::to_string(&Choice::Abstain).unwrap(), r#""abstain""#);
    }
}
