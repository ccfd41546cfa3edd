//! Payloads of shared state: StateUpdate and StateSync.

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::bytes::Bytes;
use crate::check::{self, Fault, ensure};
use crate::clock::{Tick, check_ticks};
use crate::limits::{CHANGES_MAX, NAMES_MAX};

/// Changes a document by a closed set of operations, all of them or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateUpdate {
    /// The document.
    pub document: String,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The version that the writer saw, for documents with compare-and-set; another one is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
}

/// One operation on one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The key in the document.
    pub key: String,
    /// What to do.
    pub operation: Operation,
    /// What the writer had seen, as a vector clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock: Vec<Tick>,
}

/// Everything that can be done to a key; an unknown operation is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Counts up.
    Increment {
        /// By how much.
        by: u64,
    },
    /// Counts down.
    Decrement {
        /// By how much.
        by: u64,
    },
    /// Adds an element to a set.
    Add {
        /// The element.
        element: Value,
    },
    /// Removes an element from a set, as far as the writer has seen it added.
    Remove {
        /// The element.
        element: Value,
    },
    /// Sets a value.
    Set {
        /// The value.
        value: Value,
    },
    /// Unsets a value.
    Unset,
}

/// Reads, follows and reconciles documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateSync {
    /// The document.
    pub document: String,
    /// The step.
    pub step: SyncStep,
}

/// One step between two sides of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStep {
    /// An agent asks for the value, and for every change from here on if it follows.
    Read {
        /// Keys to read; none means all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
        /// Whether changes are to be sent as they come.
        #[serde(default)]
        follow: bool,
        /// The agent's own part instead of the merged one.
        #[serde(default)]
        own: bool,
    },
    /// An agent wants no more changes.
    Unfollow,
    /// The value, in answer to a read, or as it changed.
    Snapshot {
        /// Value by key.
        value: Value,
        /// The version of the document.
        version: u64,
        /// What it contains, as a vector clock.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        clock: Vec<Tick>,
    },
    /// An update was applied.
    Applied {
        /// The version of the document after it.
        version: u64,
        /// What it contains, as a vector clock.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        clock: Vec<Tick>,
    },
    /// An update met another version; both sides are returned and nothing was changed.
    Conflict {
        /// The current version.
        version: u64,
        /// The current value.
        current: Value,
        /// The refused value.
        refused: Value,
        /// Names the conflict while it is resolved by a vote or a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<u64>,
    },
    /// A replica tells what it has.
    Digest {
        /// As a vector clock.
        clock: Vec<Tick>,
        /// A hash of the state, to find replicas that differ under equal clocks.
        hash: u64,
    },
    /// A replica asks for what it lacks.
    Pull {
        /// What it has, as a vector clock.
        clock: Vec<Tick>,
    },
    /// A replica sends a delta that joins onto `from`; on a gap the receiver pulls.
    Push {
        /// What the receiver must have, as a vector clock.
        from: Vec<Tick>,
        /// What it has afterwards.
        to: Vec<Tick>,
        /// The delta, in the replicas' own encoding.
        delta: Bytes,
    },
    /// A replica sends everything.
    Full {
        /// What it contains, as a vector clock.
        clock: Vec<Tick>,
        /// The state, in the replicas' own encoding.
        state: Bytes,
    },
}

impl StateUpdate {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::name("document", &self.document)?;
        check::at_most("changes", self.changes.len(), CHANGES_MAX)?;
        ensure(!self.changes.is_empty(), "changes", "is empty; send at least one")?;
        self.changes.iter().try_for_each(|change| {
            check::name("changes.key", &change.key)?;
            check_ticks("changes.clock", &change.clock)
        })
    }
}

impl StateSync {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check::name("document", &self.document)?;
        match &self.step {
            SyncStep::Read { keys, .. } => {
                check::at_most("step.keys", keys.len(), NAMES_MAX)?;
                check::names("step.keys", keys)
            }
            SyncStep::Unfollow | SyncStep::Conflict { .. } => Ok(()),
            SyncStep::Snapshot { clock, .. }
            | SyncStep::Applied { clock, .. }
            | SyncStep::Digest { clock, .. }
            | SyncStep::Pull { clock }
            | SyncStep::Full { clock, .. } => check_ticks("step.clock", clock),
            SyncStep::Push { from, to, .. } => {
                check_ticks("step.from", from)?;
                check_ticks("step.to", to)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(changes: Vec<Change>) -> StateUpdate {
        StateUpdate { document: String::from("plan"), changes, expected_version: None }
    }

    #[test]
    fn an_unknown_operation_is_refused() {
        let known = serde_json::from_str::<Operation>(r#"{"increment":{"by":2}}"#).unwrap();
        assert_eq!(known, Operation::Increment { by: 2 });
        for unknown in [r#"{"multiply":{"by":2}}"#, r#"{"increment":{"by":-2}}"#, r#""clear""#] {
            assert!(serde_json::from_str::<Operation>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn an_update_without_changes_or_with_a_broken_clock_is_refused() {
        assert_eq!(update(Vec::new()).check().unwrap_err().field, "changes");
        let tick = Tick { slot: 1, epoch: 1, counter: 0 };
        let change =
            Change { key: String::from("k"), operation: Operation::Unset, clock: vec![tick] };
        assert_eq!(update(vec![change]).check().unwrap_err().field, "changes.clock");
    }
}
