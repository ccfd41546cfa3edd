//! Events: facts that agents and coordinators publish and handle, in the shape of CloudEvents.
//!
//! The bus of a node stamps them with [`Event::publish`]; sockets carry them in frames of kind Coordination.
//!
//! # Invariants
//! - A published event has its time and the coordinator that published it; both come from the bus, never from the source.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Value;
use crate::check::{self, Fault, ensure};
use crate::clock::{Tick, check_ticks};
use crate::id::{ActorId, EventId, RunId};

/// A fact: what happened, where, and for whom.
///
/// ```
/// use synod_protocol::{ActorId, Event, EventId, event};
/// let mut done = Event::new(EventId::from_u128(1), event::TASK_COMPLETED, "agent/rust");
/// done.publish(1_700_000_000_000_000_000, ActorId::from_u128(7));
/// assert_eq!(done.check(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Names the event; a bus drops the second one of an id.
    pub id: EventId,
    /// What happened; a constant of this module, or a word of the user's own.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it happened, for people: an agent, a run, a document.
    pub source: String,
    /// Whom it is for; absent means every subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The run that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The payload; its schema belongs to the type.
    #[serde(default)]
    pub data: Value,
    /// Unix nanoseconds of its publication, set by the bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<i64>,
    /// The coordinator that published it, set by the bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator_id: Option<ActorId>,
    /// Its causes, as a vector clock; empty where nobody asked for causal order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock: Vec<Tick>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Whom an event is for, where it is not for everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Those who follow the event's run.
    Run,
    /// One actor or agent, by its id.
    Actor(ActorId),
    /// The actor or agent of this name, and all below it: `agent/rust` stands for every instance of that agent.
    Name(String),
}

impl Target {
    /// Whether it is a name that means `receiver`: its own, or that of somebody above it.
    pub fn names(&self, receiver: &str) -> bool {
        let Self::Name(name) = self else { return false };
        receiver
            .strip_prefix(name.as_str())
            .is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

/// A run was split and this task came to be.
pub const TASK_CREATED: &str = "task_created";
/// An agent was picked for a task.
pub const TASK_ASSIGNED: &str = "task_assigned";
/// A task ended with a result.
pub const TASK_COMPLETED: &str = "task_completed";
/// A document of shared state changed.
pub const STATE_CHANGED: &str = "state_changed";
/// Somebody asks for synchronisation at once.
pub const SYNC_REQUESTED: &str = "sync_requested";
/// A vote was opened.
pub const VOTE_REQUESTED: &str = "vote_requested";
/// A vote ended with a decision.
pub const CONSENSUS_REACHED: &str = "consensus_reached";
/// A task or run came further.
pub const PROGRESS_UPDATE: &str = "progress_update";
/// A task or run reached a named point.
pub const MILESTONE_REACHED: &str = "milestone_reached";

impl Event {
    /// Makes an event without target, data or stamps.
    pub fn new(id: EventId, kind: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            id,
            kind: kind.into(),
            source: source.into(),
            target: None,
            run: None,
            data: Value::Null,
            published_at: None,
            coordinator_id: None,
            clock: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Stamps the event with its time (Unix nanoseconds) and its coordinator, over whatever its source wrote there.
    pub const fn publish(&mut self, now_ns: i64, coordinator: ActorId) {
        self.published_at = Some(now_ns);
        self.coordinator_id = Some(coordinator);
    }

    /// Reads the payload as the type that its schema is.
    ///
    /// # Errors
    /// [`Fault`] says what of it does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(&self.data).map_err(|error| {
            Fault::new("data", format!("of `{}` is of another schema: {error}", self.kind))
        })
    }

    /// Checks names, target, clock and labels.
    ///
    /// # Errors
    /// [`Fault`] names the first field that breaks a rule.
    pub fn check(&self) -> Result<(), Fault> {
        check::name("type", &self.kind)?;
        check::name("source", &self.source)?;
        match &self.target {
            Some(Target::Run) => {
                let rule = "is the run, but the event is of none; name it in `run`";
                ensure(self.run.is_some(), "target", rule)?;
            }
            Some(Target::Name(name)) => check::name("target", name)?,
            Some(Target::Actor(_)) | None => {}
        }
        check_ticks("clock", &self.clock)?;
        check::labels("metadata", &self.metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamps_of_the_bus_replace_those_of_the_source() {
        let mut event = Event::new(EventId::from_u128(1), TASK_CREATED, "run/1");
        event.published_at = Some(1);
        event.coordinator_id = Some(ActorId::from_u128(666));
        event.publish(2, ActorId::from_u128(3));
        assert_eq!(
            (event.published_at, event.coordinator_id),
            (Some(2), Some(ActorId::from_u128(3)))
        );
    }

    #[test]
    fn a_name_means_its_bearer_and_all_below() {
        let team = Target::Name(String::from("team"));
        assert!(team.names("team") && team.names("team/worker/2"));
        assert!(!team.names("teams") && !team.names("other/team") && !Target::Run.names("team"));
    }

    #[test]
    fn a_target_has_a_name_and_a_run_that_is_meant_is_given() {
        let sound = Event::new(EventId::from_u128(1), TASK_CREATED, "run/1");
        let to = |target| Event { target: Some(target), ..sound.clone() };
        assert_eq!(to(Target::Run).check().unwrap_err().field, "target");
        assert_eq!(to(Target::Name(String::new())).check().unwrap_err().field, "target");
        let run = Some(RunId::from_u128(2));
        assert_eq!(Event { run, ..to(Target::Run) }.check(), Ok(()));
    }

    #[test]
    fn a_payload_is_read_as_its_type_or_refused_by_its_field() {
        let event = Event::new(EventId::from_u128(1), "price_changed", "shop");
        let priced = Event { data: serde_json::json!(7), ..event };
        assert_eq!(priced.read::<u64>(), Ok(7));
        assert_eq!(priced.read::<String>().unwrap_err().field, "data");
    }

    #[test]
    fn an_event_without_type_or_with_a_disordered_clock_is_refused() {
        let sound = Event::new(EventId::from_u128(1), TASK_CREATED, "run/1");
        assert_eq!(
            Event { kind: String::new(), ..sound.clone() }.check().unwrap_err().field,
            "type"
        );
        let tick = Tick { slot: 1, epoch: 1, counter: 1 };
        assert_eq!(
            Event { clock: vec![tick, tick], ..sound.clone() }.check().unwrap_err().field,
            "clock"
        );
        assert_eq!(
            Event { clock: vec![Tick { counter: 0, ..tick }], ..sound }.check().unwrap_err().field,
            "clock"
        );
    }
}
