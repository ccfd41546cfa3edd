//! What a voter's agent is asked and what it answers.
//!
//! The coordinator makes a [`Request`] for each voter in each round, and a [`Ballot`] of the [`Opinion`] that comes back: whose it is,
//! for which round and in which order, no agent says itself.

use std::{collections::BTreeSet, sync::Arc};

use runtime::{address::Recipient, ask::AskError};
use serde::{Serialize, Serializer};

use super::{Ballot, Choice, Evidence, Exact, Proposal, Round};

/// What a voter's agent is asked in one round; programs get it as JSON, without the [`booth`](Self::booth).
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// What is voted on.
    #[serde(serialize_with = "shared")]
    pub proposal: Arc<Proposal>,
    /// Whose ballot it will be.
    pub voter: String,
    /// The round, from 1.
    pub round: u32,
    /// What a ballot must be, in words.
    pub wanted: &'static str,
    /// What the round before came to and the reasons that were given, not by whom; none in the first.
    #[serde(serialize_with = "shared_if_any", skip_serializing_if = "Option::is_none")]
    pub before: Option<Arc<Round>>,
    /// Where the agent may cast ballots of its own accord while it works; the last of them, or its answer, counts if ballots may be
    /// revised, else the first.
    #[serde(skip)]
    pub booth: Booth,
}

/// What a voter says.
///
/// ```
/// use synod_actors::pattern::consensus::{Evidence, Exact, Opinion};
///
/// let hold = Opinion::one("hold")
///     .confidence(Exact::ratio(9, 10)?)
///     .because("a test fails")
///     .evidence(Evidence { claim: "it panics".into(), source: "src/lib.rs:7".into(), data: "overflow".into() });
/// assert_eq!(hold.evidence.len(), 1);
/// # Ok::<(), synod_actors::pattern::consensus::NumberError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// What it is for.
    pub choice: Choice,
    /// How sure it is, from 0 to 1.
    pub confidence: Exact,
    /// Why.
    pub reasoning: String,
    /// What others can check.
    pub evidence: Vec<Evidence>,
    /// Choices that it blocks, if it may.
    pub veto: BTreeSet<String>,
}

/// Where ballots can be cast while a voter's agent still works.
#[derive(Clone, Debug)]
pub struct Booth {
    to: Recipient<Cast>,
    voter: usize,
    round: u32,
}

/// A ballot on its way from a booth.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(super) voter: usize,
    pub(super) round: u32,
    pub(super) opinion: Opinion,
}

impl From<Choice> for Opinion {
    fn from(choice: Choice) -> Self {
        Self {
            choice,
            confidence: Exact::ONE,
            reasoning: String::new(),
            evidence: Vec::new(),
            veto: BTreeSet::new(),
        }
    }
}

impl Opinion {
    /// To be for one choice, surely and without a reason.
    pub fn one(choice: impl Into<String>) -> Self {
        Choice::one(choice).into()
    }

    /// To take part without being for anything.
    pub fn abstain() -> Self {
        Choice::Abstain.into()
    }

    /// Says how sure it is, from 0 to 1.
    #[must_use]
    pub fn confidence(mut self, confidence: Exact) -> Self {
        self.confidence = confidence;
        self
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = reasoning.into();
        self
    }

    /// Adds what others can check.
    #[must_use]
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// Blocks a choice, if its voter may.
    #[must_use]
    pub fn block(mut self, choice: impl Into<String>) -> Self {
        self.veto.insert(choice.into());
        self
    }

    /// The ballot of a voter.
    pub(super) fn into_ballot(self, voter: &str, epoch: u32, sequence: u64) -> Ballot {
        let Self { choice, confidence, reasoning, evidence, veto } = self;
        let voter = voter.to_owned();
        Ballot { voter, epoch, sequence, choice, confidence, reasoning, evidence, veto }
    }
}

impl Booth {
    pub(super) fn new(to: Recipient<Cast>, voter: usize, round: u32) -> Self {
        Self { to, voter, round }
    }

    /// Casts a ballot; in time or not, it is kept with what became of it.
    ///
    /// # Errors
    /// The vote has ended, or too many ballots are on their way.
    pub fn cast(&self, opinion: Opinion) -> Result<(), AskError> {
        self.to.try_tell(Cast { voter: self.voter, round: self.round, opinion })
    }
}

fn shared<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(to)
}

fn shared_if_any<T: Serialize, S: Serializer>(
    value: &Option<Arc<T>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(to)
}
