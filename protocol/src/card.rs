//! Cards: what an agent says of itself when it registers.
//!
//! Hello carries one; slots, pools and the assignment of tasks read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{self, Fault, ensure};
use crate::id::AgentId;
use crate::limits::CONCURRENCY_MAX;

/// What an agent is, can, and costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Names the agent; the same over all its connections.
    pub id: AgentId,
    /// Its name, for people and run files.
    pub name: String,
    /// Its own version.
    #[serde(default)]
    pub version: String,
    /// Its place in a team, such as `leader` or `worker`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The field that it knows best.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub specialisation: String,
    /// Types of tasks it does, and tags such as `lang:rust`; `all` stands for every one.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What its work costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Price>,
    /// Tasks that it does at once.
    #[serde(default = "one_at_once")]
    pub concurrency: u32,
    /// Free labels, for rules and for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What one measure of work costs, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Price {
    /// For each task.
    Task {
        /// The price.
        usd_micros: u64,
    },
    /// For each hour of work.
    Hour {
        /// The price.
        usd_micros: u64,
    },
    /// For each million of model tokens.
    MillionTokens {
        /// The price of tokens read.
        in_usd_micros: u64,
        /// The price of tokens written.
        out_usd_micros: u64,
    },
}

impl Card {
    /// Makes the card of an agent that does one task at once and has no capability yet.
    pub fn new(id: AgentId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            version: String::new(),
            role: String::new(),
            specialisation: String::new(),
            capabilities: Vec::new(),
            prices: Vec::new(),
            concurrency: one_at_once(),
            labels: BTreeMap::new(),
        }
    }

    /// Checks names, counts and the identity.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        const PRICES_MAX: usize = 3;
        ensure(
            self.id != AgentId::NIL && self.id != AgentId::ALL,
            "card.id",
            "is the nil or the all-ones id",
        )?;
        check::name("card.name", &self.name)?;
        check::optional_name("card.version", &self.version)?;
        check::optional_name("card.role", &self.role)?;
        check::optional_name("card.specialisation", &self.specialisation)?;
        check::names("card.capabilities", &self.capabilities)?;
        check::at_most("card.prices", self.prices.len(), PRICES_MAX)?;
        ensure(
            (1..=CONCURRENCY_MAX).contains(&self.concurrency),
            "card.concurrency",
            "is not from 1 to 65536",
        )?;
        check::labels("card.labels", &self.labels)
    }
}

const fn one_at_once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_needs_an_id_a_name_and_room_for_a_task() {
        let sound = Card::new(AgentId::from_u128(1), "rust");
        assert_eq!(sound.check(), Ok(()));
        assert_eq!(
            Card { id: AgentId::ALL, ..sound.clone() }.check().unwrap_err().field,
            "card.id"
        );
        assert_eq!(
            Card { name: "x".repeat(257), ..sound.clone() }.check().unwrap_err().field,
            "card.name"
        );
        assert_eq!(
            Card { concurrency: 0, ..sound.clone() }.check().unwrap_err().field,
            "card.concurrency"
        );
        let many = vec![String::from("a"); 257];
        assert_eq!(
            Card { capabilities: many, ..sound }.check().unwrap_err().field,
            "card.capabilities"
        );
    }

    #[test]
    fn the_shortest_card_is_an_id_and_a_name() {
        let text = format!(r#"{{"id":"{}","name":"rust"}}"#, AgentId::from_u128(1));
        assert_eq!(
            serde_json::from_str::<Card>(&text).unwrap(),
            Card::new(AgentId::from_u128(1), "rust")
        );
    }
}
