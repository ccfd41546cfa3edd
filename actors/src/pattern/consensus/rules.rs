//! The rules of a vote: how ballots become a decision.

use serde::{Deserialize, Serialize};

use super::{Exact, NumberError, OpeningError};
use crate::limits::ROUNDS_MAX;

/// How ballots become a decision.
///
/// ```
/// use synod_actors::pattern::consensus::{Exact, Quorum, Rules, TieBreaker};
///
/// // Three quarters must vote, two thirds of the weight cast must agree, else it is the safe choice.
/// let rules = Rules {
///     quorum: Some(Quorum::of_cast(Exact::ratio(2, 3)?)),
///     min_participation: "0.75".parse()?,
///     tie_breakers: vec![TieBreaker::Conservative],
///     ..Rules::default()
/// };
/// assert_eq!(rules.rounds, 1);
/// # Ok::<(), synod_actors::pattern::consensus::NumberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// How the leader is found.
    pub method: Method,
    /// What the leader must reach; for methods of one choice only.
    pub quorum: Option<Quorum>,
    /// The share of voters, by head, that must have cast a ballot that counts; abstentions are such.
    pub min_participation: Exact,
    /// How much a ballot counts.
    pub weighting: Weighting,
    /// Whether a voter's later ballot replaces an earlier one; the vote then runs to its close.
    pub revisable: bool,
    /// Whether the vote ends as soon as no ballot that is still to come can change the outcome.
    pub close_early: bool,
    /// What decides where the ballots do not: each in turn, until one does not decline.
    pub tie_breakers: Vec<TieBreaker>,
    /// When they are asked.
    pub tie_breaker_on: TieBreakerOn,
    /// How many rounds there may be.
    pub rounds: u32,
    /// Lets further rounds follow, in which voters know the last one's tally, for as long as a larger share of those who voted than
    /// this changes its mind (the Delphi method); the first round that reaches consensus is the last.
    pub change_threshold: Option<Exact>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            method: Method::Plurality,
            quorum: None,
            min_participation: Exact::ZERO,
            weighting: Weighting::default(),
            revisable: false,
            close_early: true,
            tie_breakers: Vec::new(),
            tie_breaker_on: TieBreakerOn::default(),
            rounds: 1,
            change_threshold: None,
        }
    }
}

/// How the leader is found among the choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The choice with the most weight.
    #[default]
    Plurality,
    /// The choice with more than half of the weight cast.
    Majority,
    /// The choice with two thirds of the weight, or with the quorum, which must then be above one half.
    Supermajority,
    /// The only choice with weight.
    Unanimity,
    /// The choice that the most weight is content with; ballots are sets.
    Approval,
    /// The choice with the most points: a ranking of m choices gives its first m − 1 points, its last none; those that a ranking
    /// leaves out share what is left.
    Borda,
    /// The choice that no other beats by a stronger path of majorities, the strength of a majority being its margin: M. Schulze, "A new
    /// monotonic, clone-independent, reversal symmetric, and condorcet-consistent single-winner election method", Social Choice and
    /// Welfare 36 (2011), 267–303.
    Schulze,
}

impl Method {
    /// Whether a ballot is for one choice.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Plurality | Self::Majority | Self::Supermajority | Self::Unanimity)
    }

    /// What a ballot must be, in words.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Plurality | Self::Majority | Self::Supermajority | Self::Unanimity => {
                "one choice"
            }
            Self::Approval => "a set of choices",
            Self::Borda | Self::Schulze => "a ranking of choices",
        }
    }
}

/// What share of the weight the leader must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// The share, from 0 to 1.
    pub share: Exact,
    /// Of what.
    #[serde(default)]
    pub of: QuorumOf,
    /// Whether it must have more than the share.
    #[serde(default)]
    pub strict: bool,
}

/// Of what a quorum is a share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuorumOf {
    /// Of the weight cast on choices: abstentions and absences do not count.
    #[default]
    Cast,
    /// Of the expertise of all who may vote: doubts, abstentions and absences count against.
    Electorate,
}

impl std::str::FromStr for Quorum {
    type Err = NumberError;

    /// At least this share of the weight cast.
    fn from_str(share: &str) -> Result<Self, NumberError> {
        share.parse().map(Self::of_cast)
    }
}

impl Quorum {
    /// At least this share of the weight cast.
    pub fn of_cast(share: Exact) -> Self {
        Self { share, of: QuorumOf::Cast, strict: false }
    }

    /// At least this share of the expertise of all.
    pub fn of_electorate(share: Exact) -> Self {
        Self { share, of: QuorumOf::Electorate, strict: false }
    }

    /// More than the share.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Whether `weight` reaches it, out of `whole`.
    pub(super) fn is_reached(&self, weight: &Exact, whole: &Exact) -> bool {
        let least = &self.share * whole;
        if self.strict { *weight > least } else { *weight >= least }
    }
}

/// How much a ballot counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// The voter's expertise in the topic times its confidence.
    #[default]
    Confident,
    /// The voter's expertise in the topic.
    Expertise,
    /// What a function of the program says of it.
    Custom,
}

/// What decides where the ballots do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreaker {
    /// Another round, as long as there may be one.
    AnotherRound,
    /// The choice that the proposal declares safest.
    Conservative,
    /// The choice that the proposal declares to leave everything as it is.
    StatusQuo,
    /// The candidate for which the surest single ballot is; it declines if several have one as sure.
    HighestConfidence,
    /// The candidate that this voter is for; it declines if that is none, or more than one.
    Chair(String),
    /// One of the candidates, by the seed of the opening.
    Random,
}

/// When tie-breakers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreakerOn {
    /// Whenever there is no consensus.
    #[default]
    NoConsensus,
    /// Only when several choices lead with the same weight.
    Tie,
}

impl Rules {
    pub(super) fn validate(&self) -> Result<(), OpeningError> {
        let share = |what, share: &Exact| {
            let of = OpeningError::Share { what, share: share.clone() };
            if share.is_share() { Ok(()) } else { Err(of) }
        };
        share("min_participation", &self.min_participation)?;
        if let Some(quorum) = &self.quorum {
            share("quorum", &quorum.share)?;
            if !self.method.is_single() {
                return Err(OpeningError::QuorumForMany);
            }
            let half = Exact::ratio(1, 2)?;
            if self.method == Method::Supermajority && quorum.share <= half {
                return Err(OpeningError::Supermajority { share: quorum.share.clone() });
            }
        }
        if let Some(threshold) = &self.change_threshold {
            share("change_threshold", threshold)?;
        }
        self.validate_rounds()
    }

    fn validate_rounds(&self) -> Result<(), OpeningError> {
        if self.rounds == 0 || self.rounds > ROUNDS_MAX {
            return Err(OpeningError::Rounds { rounds: self.rounds });
        }
        let asked_for = self.change_threshold.is_some()
            || self.tie_breakers.contains(&TieBreaker::AnotherRound);
        match (self.rounds, asked_for) {
            (1, _) if self.change_threshold.is_some() => Err(OpeningError::OneRound),
            (2.., false) => Err(OpeningError::NoFurtherRound { rounds: self.rounds }),
            _ => Ok(()),
        }
    }
}
