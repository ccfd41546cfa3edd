//! The actor graph as data: who runs below whom, in which state, with how long a queue, watching and waiting for whom.
//!
//! Read by [`Node::graph`](crate::node::Node::graph) from the registry and the slots, in production and in the simulation; drawn
//! by `tree` and by whoever likes. Nobody pays for it who does not look.
//!
//! # Invariants
//! - No snapshot stops the node: each actor is read under its own lock at an instant of its own, so two of them may be of
//!   different instants, and the parent of one may have ended before it was read; such an actor stands as a root.
//! - A snapshot holds at most [`GRAPH_ACTORS_MAX`] actors and says how many it left out.

mod tree;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use protocol::Value;
use serde::Serialize;

pub use self::tree::{Row, clean};
use crate::{
    actor::ActorId,
    ask::{AskError, Promise},
    child::ChildRef,
    kernel::Kernel,
    limits::{GRAPH_ACTORS_MAX, OBSERVED_BYTES_MAX},
    record,
    supervisor::ChildKind,
    waits::WaitsFor,
};

/// The actors of one node, as they were when somebody looked.
///
/// Serialises to an object with everything in it; its `Display` form is the tree as text.
///
/// ```
/// # use synod_runtime::{actor::Actor, context::Cx, node::Node, supervisor::Supervisor};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Msg = String;
/// #     fn handle(&mut self, _: String, _: &mut Cx<Self>) {}
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let node = Node::in_memory().unwrap();
/// node.supervise(Supervisor::one_for_one("echoes").child("first", || Echo));
/// let graph = node.graph();
/// assert_eq!(graph.named("echoes/first").unwrap().actor.rsplit("::").next(), Some("Echo"));
/// assert!(graph.to_string().contains("└─ first"));
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// When it was taken, in Unix nanoseconds by the node's clock.
    pub taken_at: i64,
    /// The actors, oldest first: a parent stands before its children.
    pub actors: Vec<ActorNode>,
    /// Actors beyond the most that a snapshot holds.
    pub left_out: usize,
}

/// One actor of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActorNode {
    /// Which actor it is.
    pub id: ActorId,
    /// Its name: its path from the root of its tree.
    pub name: String,
    /// Whether it is a supervisor.
    pub kind: ChildKind,
    /// The Rust type of the actor.
    pub actor: &'static str,
    /// Its supervisor, or the actor that started it; none of a root.
    pub parent: Option<ActorId>,
    /// What it does.
    pub state: ActorState,
    /// Messages that its mailbox holds: queued, or taken and not handled yet.
    pub queued: usize,
    /// Messages that its mailbox may hold.
    pub capacity: usize,
    /// Senders in line for a place in it.
    pub senders: usize,
    /// Which incarnation it is in, from 1; 0 before the first.
    pub incarnation: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// Why the incarnation before this one, or the one that a paused actor was in, ended.
    pub last_exit: Option<String>,
    /// The actors whose end it watches for.
    pub watches: Vec<ActorId>,
    /// The waits that it can serve nothing else during, where the node detects deadlocks.
    pub waits: Vec<WaitsFor>,
    /// What it shows of its state, where that was asked for and it shows anything.
    pub shows: Option<Observed>,
}

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Its first incarnation, or the one that was ordered, has not done its first step.
    Starting,
    /// It has nothing to do, and nothing of what it has begun goes on.
    Idle,
    /// A task of its own, or one that it has asked, is at work for it; meanwhile it takes whatever comes.
    Working,
    /// It has something to do, or is in a step.
    Running,
    /// It is in a call and serves nothing but its answer.
    Waiting,
    /// Its outbox is full: it takes no more data until the journal or another's mailbox has taken some of it.
    Blocked,
    /// It is between two incarnations: its supervisor has not started the next one.
    Paused,
    /// It was told to end, or its incarnation is winding down.
    Stopping,
}

impl ActorState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Idle,
        Self::Working,
        Self::Running,
        Self::Waiting,
        Self::Blocked,
        Self::Paused,
        Self::Stopping,
    ];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
        }
    }
}

/// What an actor showed, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// Its state.
    State(Value),
    /// Why it showed none: mostly that it did not come out of a step in time.
    Unanswered(String),
}

/// What an actor lets observers see of its state.
///
/// ```
/// use synod_runtime::{actor::Actor, context::Cx, graph::ObservableState};
///
/// struct Quota { left: u64 }
/// impl Actor for Quota {
///     type Msg = u64;
///     fn handle(&mut self, n: u64, _: &mut Cx<Self>) { self.left = self.left.saturating_sub(n) }
///     fn observe(&self) -> ObservableState {
///         ObservableState::of(&[("left", self.left)].into_iter().collect::<std::collections::BTreeMap<_, _>>())
///     }
/// }
/// assert_eq!(Quota { left: 2 }.observe().value().unwrap()["left"], 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservableState(Option<Value>);

impl ObservableState {
    /// Nothing is to be seen.
    pub const NOTHING: Self = Self(None);

    /// Shows `state`; one that JSON cannot hold, or of more than 64 KiB, is replaced by a text that says so.
    pub fn of(state: &impl Serialize) -> Self {
        let shown = match record::size(state) {
            Ok(bytes) if bytes > OBSERVED_BYTES_MAX => {
                Err(format!("{bytes} bytes, {OBSERVED_BYTES_MAX} are the most"))
            }
            Ok(_) => serde_json::to_value(state).map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        Self(Some(shown.unwrap_or_else(|why| Value::from(format!("cannot be shown: {why}")))))
    }

    /// What is shown, if anything.
    pub const fn value(&self) -> Option<&Value> {
        self.0.as_ref()
    }

    /// What is shown, if anything.
    pub fn into_value(self) -> Option<Value> {
        self.0
    }
}

impl Graph {
    /// The actor called `name`.
    pub fn named(&self, name: &str) -> Option<&ActorNode> {
        self.actors.iter().find(|actor| actor.name == name)
    }

    /// The actor `id`.
    pub fn get(&self, id: ActorId) -> Option<&ActorNode> {
        let at = self.actors.binary_search_by_key(&id, |actor| actor.id).ok()?;
        self.actors.get(at)
    }

    /// How many actors are in each state, without the states that none is in.
    pub fn states(&self) -> BTreeMap<ActorState, usize> {
        let mut states = BTreeMap::new();
        for actor in &self.actors {
            *states.entry(actor.state).or_default() += 1;
        }
        states
    }

    pub(crate) fn take(kernel: &Kernel) -> Self {
        let (members, left_out) = members(kernel);
        Self::of(kernel, &members, left_out)
    }

    pub(crate) async fn observed(kernel: &Arc<Kernel>, within: Duration) -> Self {
        // First from outside: who is asked is no longer idle.
        let mut graph = Self::take(kernel);
        let all = graph.actors.iter().map(|actor| actor.id).collect();
        graph.observe(kernel, &all, within).await;
        graph
    }

    /// Lets these of the actors show their state, each within this time.
    pub(crate) async fn observe(
        &mut self,
        kernel: &Arc<Kernel>,
        of: &BTreeSet<ActorId>,
        within: Duration,
    ) {
        // All are asked before any is waited for: one stuck actor takes no time from the others.
        let members = kernel.registry.list();
        let asked: Vec<(ActorId, Promise<ObservableState>)> = members
            .iter()
            .filter(|member| of.contains(&member.id()))
            .map(|member| {
                let (to, shown) = Promise::open(kernel, within);
                member.0.observe(to);
                (member.id(), shown)
            })
            .collect();
        let mut shown = HashMap::new();
        for (id, promise) in asked {
            let observed = match promise.await {
                Ok(state) => state.into_value().map(Observed::State),
                Err(AskError::Stopped) => None,
                Err(why) => Some(Observed::Unanswered(why.to_string())),
            };
            shown.extend(observed.map(|observed| (id, observed)));
        }
        for actor in &mut self.actors {
            actor.shows = shown.remove(&actor.id);
        }
    }

    fn of(kernel: &Kernel, members: &[ChildRef], left_out: usize) -> Self {
        let taken_at = kernel.clock.unix_nanos();
        let mut watches: BTreeMap<ActorId, Vec<ActorId>> = BTreeMap::new();
        let mut actors = Vec::with_capacity(members.len());
        for (actor, watchers) in members.iter().filter_map(|member| member.0.look()) {
            for watcher in watchers {
                watches.entry(watcher).or_default().push(actor.id);
            }
            actors.push(actor);
        }
        let mut waits: BTreeMap<ActorId, Vec<WaitsFor>> = BTreeMap::new();
        for (actor, wait) in kernel.waits.list() {
            waits.entry(actor).or_default().push(wait);
        }
        for actor in &mut actors {
            actor.watches = watches.remove(&actor.id).unwrap_or_default();
            actor.waits = waits.remove(&actor.id).unwrap_or_default();
        }
        Self { taken_at, actors, left_out }
    }
}

/// The oldest actors of the node, in the order of their ids, and how many there are beside them.
fn members(kernel: &Kernel) -> (Vec<ChildRef>, usize) {
    let mut all = kernel.registry.list();
    all.sort_by_key(ChildRef::id);
    let left_out = all.len().saturating_sub(GRAPH_ACTORS_MAX);
    all.truncate(GRAPH_ACTORS_MAX);
    (all, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shown_unless_it_is_too_large() {
        assert_eq!(ObservableState::NOTHING.value(), None);
        assert_eq!(ObservableState::of(&7).value(), Some(&Value::from(7)));
        let large = ObservableState::of(&"x".repeat(OBSERVED_BYTES_MAX + 1));
        assert!(large.value().unwrap().as_str().unwrap().contains("are the most"), "{large:?}");
    }

    #[test]
    fn states_serialise_as_they_are_called() {
        for state in ActorState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
