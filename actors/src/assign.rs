//! Assignment: which agent slot gets a piece of work. Each strategy is one pure function over a table of slots.
//!
//! Called by the [`roster`](crate::roster), which picks and reserves in one step, so that nothing can come between.

mod capability_match;
mod round_robin;

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

pub use capability_match::capability_match;
pub use round_robin::round_robin;

/// A capability that stands for all of them.
pub const WILDCARD: &str = "all";

/// How a slot is chosen among the eligible ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The one whose last turn is longest ago.
    #[default]
    RoundRobin,
    /// The one whose capabilities fit best.
    CapabilityMatch,
}

/// One agent of one node: two agents may share a name, never a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey {
    /// What tells it from all others.
    pub number: u32,
    /// What people call it.
    pub name: Arc<str>,
}

/// What a slot offers: the card of its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The agent that the slot belongs to.
    pub agent: AgentKey,
    /// What the agent can do; `all` stands for everything.
    pub capabilities: BTreeSet<String>,
    /// Calls that the slot takes at a time, at least 1.
    pub concurrency: u32,
}

/// What a piece of work asks of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Need {
    /// The agents that may do it; empty means any.
    pub agents: Vec<AgentKey>,
    /// The capabilities that the agent must have.
    pub capabilities: Vec<String>,
}

/// A slot as a strategy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its place in the table.
    pub slot: SlotId,
    /// What it offers.
    pub card: &'a Card,
    /// Calls that it has reserved now.
    pub leased: u32,
    /// How many turns were given, to anyone, when this slot had its last; a slot that just joined starts as if it had had one.
    pub last_turn: u64,
}

/// One slot of one node's roster; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId(pub u32);

impl Need {
    /// Whether an agent with this card may do the work.
    pub fn is_met_by(&self, card: &Card) -> bool {
        (self.agents.is_empty() || self.agents.contains(&card.agent))
            && has_all(&card.capabilities, &self.capabilities)
    }
}

impl Strategy {
    /// Chooses among `candidates`, all of them eligible and free; none only if there is none.
    pub fn pick(self, need: &Need, candidates: &[Candidate<'_>]) -> Option<SlotId> {
        match self {
            Self::RoundRobin => round_robin(candidates),
            Self::CapabilityMatch => capability_match(need, candidates),
        }
    }
}

/// Whether `has` covers all of `required`.
pub fn has_all(has: &BTreeSet<String>, required: &[String]) -> bool {
    required.is_empty()
        || has.contains(WILDCARD)
        || required.iter().all(|capability| has.contains(capability))
}
