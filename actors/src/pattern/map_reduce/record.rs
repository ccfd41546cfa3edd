//! What a map_reduce writes to its run's journal, and reads back when it is resumed.

use runtime::budget::Cost;
use serde::{Deserialize, Serialize};

use super::Piece;
use crate::{agent::call::AgentError, pattern::Ended};

/// One record. Names are part of the format; `synod show` reads them without knowing the types of parts and results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record<P, O> {
    /// The run was accepted.
    Began {
        /// Unix milliseconds.
        at: i64,
        /// Which pattern.
        pattern: String,
        /// The run's name.
        name: String,
        /// The agents, in the order in which units number them; their fallbacks, for each of them, behind.
        agents: Vec<String>,
    },
    /// A piece of the split, in order; the last says so.
    Split {
        /// The parts.
        pieces: Vec<Piece<P>>,
        /// The number of the first; a split that a crash cut short begins anew at 0.
        from: u32,
        /// Whether these were the last.
        last: bool,
    },
    /// A unit of work was done.
    Done {
        /// Which unit.
        unit: u32,
        /// Which part of the split it is.
        part: u32,
        /// Which agent did it, as `Began` numbers them.
        agent: u32,
        /// Which attempt did it.
        attempt: u32,
        /// Which instance.
        slot: u32,
        /// When the attempt began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
        /// The result.
        output: O,
    },
    /// A unit of work failed for good.
    Failed {
        /// Which unit.
        unit: u32,
        /// Which part of the split it is.
        part: u32,
        /// Which agent should have done it, as `Began` numbers them.
        agent: u32,
        /// The attempts that were made.
        attempts: u32,
        /// When the last of them began, in Unix milliseconds.
        at: i64,
        /// What the last of them ended with.
        error: AgentError,
    },
    /// An agent has failed at a unit for good, and the next of its chain does it.
    FellBack {
        /// Which unit.
        unit: u32,
        /// Which part of the split it is.
        part: u32,
        /// Which agent failed, as `Began` numbers them.
        agent: u32,
        /// Which one does it now.
        to: u32,
        /// The attempts that were made so far.
        attempts: u32,
        /// When that was, in Unix milliseconds.
        at: i64,
        /// How it failed.
        error: AgentError,
    },
    /// What the run has spent of its budget so far; written ahead of each attempt, where it has a budget.
    Spent(Cost),
    /// The run ended.
    Ended(Ended),
}
