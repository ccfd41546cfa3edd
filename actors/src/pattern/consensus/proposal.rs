//! What is voted on, and who votes: the proposal and the electorate, both frozen when a vote is opened.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Value;
use serde::{Deserialize, Serialize};

use super::{Exact, OpeningError};
use crate::limits::{CHOICES_MAX, VOTERS_MAX};

/// A question with the choices that answer it.
///
/// ```
/// use synod_actors::pattern::consensus::Proposal;
///
/// let ship = Proposal::new("Does version 2 go out?", ["ship", "hold"]).topic("release").safest("hold");
/// assert_eq!(ship.choices, ["ship", "hold"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The question.
    pub question: String,
    /// What it is about, by which voters have expertise; empty where that makes no difference.
    #[serde(default)]
    pub topic: String,
    /// The choices, at least two; where nothing else does, their order decides in which order they are named.
    pub choices: Vec<String>,
    /// The choice that does the least harm if it is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safest: Option<String>,
    /// The choice that leaves everything as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_quo: Option<String>,
    /// Whatever voters need to know besides.
    #[serde(default)]
    pub data: Value,
}

impl Proposal {
    /// A question and its choices.
    pub fn new(
        question: impl Into<String>,
        choices: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            question: question.into(),
            topic: String::new(),
            // One more than allowed, so that an endless iterator ends as a refusal.
            choices: choices.into_iter().take(CHOICES_MAX + 1).map(Into::into).collect(),
            safest: None,
            status_quo: None,
            data: Value::Null,
        }
    }

    /// Says what it is about.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = topic.into();
        self
    }

    /// Declares the safest choice.
    #[must_use]
    pub fn safest(mut self, choice: impl Into<String>) -> Self {
        self.safest = Some(choice.into());
        self
    }

    /// Declares the choice that leaves everything as it is.
    #[must_use]
    pub fn status_quo(mut self, choice: impl Into<String>) -> Self {
        self.status_quo = Some(choice.into());
        self
    }

    /// Adds what voters need to know.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// The number of a choice.
    pub(super) fn index(&self, choice: &str) -> Option<usize> {
        self.choices.iter().position(|own| own == choice)
    }

    pub(super) fn validate(&self) -> Result<(), OpeningError> {
        let different: BTreeSet<&String> = self.choices.iter().collect();
        if self.choices.len() < 2 || self.choices.len() > CHOICES_MAX {
            return Err(OpeningError::Choices { count: self.choices.len() });
        }
        if different.len() < self.choices.len() || self.choices.iter().any(String::is_empty) {
            return Err(OpeningError::SameChoice);
        }
        let declared = self.safest.iter().chain(&self.status_quo);
        for choice in declared {
            if self.index(choice).is_none() {
                return Err(OpeningError::Undeclared { choice: choice.clone() });
            }
        }
        Ok(())
    }
}

/// One who may vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Who it is.
    pub id: String,
    /// How much its word counts where no topic says otherwise: 0 or more.
    pub expertise: Exact,
    /// How much its word counts by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<String, Exact>,
    /// Whether its ballot may block choices.
    #[serde(default)]
    pub veto: bool,
}

impl Voter {
    /// A voter whose expertise is 1.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), expertise: Exact::ONE, topics: BTreeMap::new(), veto: false }
    }

    /// Sets its expertise.
    #[must_use]
    pub fn expertise(mut self, expertise: Exact) -> Self {
        self.expertise = expertise;
        self
    }

    /// Sets its expertise in one topic.
    #[must_use]
    pub fn expertise_in(mut self, topic: impl Into<String>, expertise: Exact) -> Self {
        self.topics.insert(topic.into(), expertise);
        self
    }

    /// Lets it block choices.
    #[must_use]
    pub fn with_veto(mut self) -> Self {
        self.veto = true;
        self
    }

    /// Its expertise in a topic.
    pub fn expertise_on(&self, topic: &str) -> &Exact {
        self.topics.get(topic).unwrap_or(&self.expertise)
    }
}

/// Everyone who may vote, by ascending id. It does not change while a vote goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Voter>")]
pub struct Electorate(Vec<Voter>);

impl Electorate {
    /// Those who may vote.
    ///
    /// # Errors
    /// Nobody or too many, a name twice, or expertise below zero.
    pub fn new(voters: impl IntoIterator<Item = Voter>) -> Result<Self, OpeningError> {
        let mut voters: Vec<Voter> = voters.into_iter().take(VOTERS_MAX + 1).collect();
        if voters.is_empty() {
            return Err(OpeningError::EmptyElectorate);
        }
        if voters.len() > VOTERS_MAX {
            return Err(OpeningError::TooManyVoters);
        }
        voters.sort_by(|left, right| left.id.cmp(&right.id));
        for (left, right) in voters.iter().zip(voters.iter().skip(1)) {
            if left.id == right.id {
                return Err(OpeningError::SameVoter { voter: left.id.clone() });
            }
        }
        for voter in &voters {
            let mut all = std::iter::once(&voter.expertise).chain(voter.topics.values());
            if let Some(expertise) = all.find(|expertise| expertise.is_negative()) {
                let (voter, expertise) = (voter.id.clone(), expertise.clone());
                return Err(OpeningError::Expertise { voter, expertise });
            }
        }
        Ok(Self(voters))
    }

    /// The voters, by ascending id.
    pub fn voters(&self) -> &[Voter] {
        &self.0
    }

    /// The expertise of all in a topic.
    pub fn expertise_on(&self, topic: &str) -> Exact {
        self.0.iter().map(|voter| voter.expertise_on(topic)).sum()
    }

    /// The number of a voter.
    pub(super) fn index(&self, id: &str) -> Option<usize> {
        self.0.binary_search_by(|voter| voter.id.as_str().cmp(id)).ok()
    }
}

impl TryFrom<Vec<Voter>> for Electorate {
    type Error = OpeningError;

    fn try_from(voters: Vec<Voter>) -> Result<Self, OpeningError> {
        Self::new(voters)
    }
}

impl From<Electorate> for Vec<Voter> {
    fn from(electorate: Electorate) -> Self {
        electorate.0
    }
}
