//! Who does the work of a job's agents: they themselves, or whoever stands in for them.

use std::sync::Arc;

use actors::agent::{Behaviour, Part};
use serde_json::Value;

use crate::runfile::Agent;

/// Who stands in for the agents of a job: in tests, where nothing outside is called, and where answers are recorded.
///
/// Whoever it says nothing of does its own work.
pub trait StandIns: Send + Sync {
    /// Who stands in for the agents of the pattern of this name, one of several; `None` leaves it to this one.
    fn of(&self, _pattern: &str) -> Option<Box<dyn StandIns>> {
        None
    }

    /// Does the work of `agent` in its place; `None` leaves it to the agent itself.
    fn in_place_of(&self, _agent: &Agent) -> Option<Arc<dyn Behaviour<Part, Value>>> {
        None
    }

    /// Stands between `agent`, which is a program, and whoever reads its answers.
    fn beside(
        &self,
        _agent: &Agent,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Part, Value>> {
        program
    }
}

/// Every agent does its own work.
pub(super) struct Themselves;

impl StandIns for Themselves {}
