//! Positions in the order of causes.
//!
//! Events and state changes carry them as a list of ticks; the clocks that compare and merge them build on these.

use serde::{Deserialize, Serialize};

use crate::check::{self, Fault, ensure};
use crate::limits::TICKS_MAX;

/// How far one replica had come: one entry of a vector clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tick {
    /// The replica's slot, a small number that nodes are given.
    pub slot: u32,
    /// The life of the slot; a restart takes the next one.
    pub epoch: u32,
    /// Number of changes that the replica had made, from 1.
    pub counter: u64,
}

/// Checks that a vector clock is in its one form: ascending slots and epochs, each once, no zero counter.
///
/// # Errors
/// [`Fault`] names the field and the rule.
pub(crate) fn check_ticks(field: &'static str, ticks: &[Tick]) -> Result<(), Fault> {
    check::at_most(field, ticks.len(), TICKS_MAX)?;
    let ascending = ticks.is_sorted_by(|one, next| (one.slot, one.epoch) < (next.slot, next.epoch));
    ensure(ascending, field, "is not in ascending order of slot and epoch, each once")?;
    ensure(
        ticks.iter().all(|tick| tick.counter > 0),
        field,
        "holds a counter of 0; leave that entry out",
    )
}
