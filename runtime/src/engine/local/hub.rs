//! `Hub`: the network of several nodes in one process, on tokio's channels, with weather for the simulation.
//!
//! Nodes join it by [`Hub::link`], which gives them their [`LocalLink`].
//!
//! # Invariants
//! - A node that returns has a new life; what is meant for an earlier one goes nowhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use protocol::NodeId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::LocalLink;
use crate::{
    ask::Reply,
    engine::link::{LinkError, Packet, Peer},
    limits::{LINK_GROUPS_MAX, LINK_PEERS_MAX},
    node::Node,
};

/// What becomes of a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at once.
    Pass,
    /// It arrives after this time, and what the same peer sends later behind it.
    Hold(Duration),
    /// It is lost.
    Lose,
}

/// Decides the fate of each frame from one node to another.
pub(super) type Weather = Arc<dyn Fn(NodeId, NodeId) -> Fate + Send + Sync>;

/// The network: cheap to clone; nodes join it by [`link`](Self::link).
#[derive(Clone, Default)]
pub struct Hub(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    weather: Option<Weather>,
}

#[derive(Default)]
struct State {
    ends: BTreeMap<NodeId, Arc<End>>,
    /// The latest life of every node that has ever joined.
    lives: BTreeMap<NodeId, u64>,
    groups: BTreeMap<String, BTreeSet<NodeId>>,
    /// How many of the next frames are to be lost, by sender and receiver.
    losses: BTreeMap<(NodeId, NodeId), u64>,
    /// Replies of requests that were lost: nobody will answer them, and nobody knows.
    limbo: Vec<Reply<Packet>>,
}

/// What others see of a node.
pub(super) struct End {
    pub(super) peer: Peer,
    inbox: mpsc::UnboundedSender<Wire>,
    pub(super) is_gone: watch::Sender<bool>,
}

/// Something on its way.
pub(super) struct Wire {
    pub(super) from: Peer,
    pub(super) body: Body,
}

pub(super) enum Body {
    Frame { number: u64, frame: Packet, reply: Option<Reply<Packet>>, credit: OwnedSemaphorePermit },
    Mark(Arc<Mark>),
}

/// The number that a mark tells; none once it was read.
pub(super) type Mark = Mutex<Option<u64>>;

impl Hub {
    /// A network without nodes, on which nothing is lost or held up.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network on which each frame has the fate that `weather` decides.
    pub fn with_weather(weather: impl Fn(NodeId, NodeId) -> Fate + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { weather: Some(Arc::new(weather)), ..Shared::default() }))
    }

    /// Lets `node` join as `id`, in a new life: the link of the one before is closed.
    ///
    /// # Errors
    /// [`LinkError::TooManyPeers`].
    pub fn link(&self, node: &Node, id: NodeId) -> Result<LocalLink, LinkError> {
        let (inbox, arrivals) = mpsc::unbounded_channel();
        let mut state = self.0.state.lock();
        if !state.lives.contains_key(&id) && state.lives.len() >= LINK_PEERS_MAX {
            return Err(LinkError::TooManyPeers);
        }
        let life = state.lives.entry(id).or_default();
        *life += 1;
        let peer = Peer { node: id, incarnation: *life };
        let end = Arc::new(End { peer, inbox, is_gone: watch::Sender::new(false) });
        let before = state.ends.insert(id, Arc::clone(&end));
        state.forget(id);
        drop(state);
        if let Some(before) = before {
            before.is_gone.send_replace(true);
        }
        Ok(LocalLink::new(self.clone(), node.clone(), end, arrivals))
    }

    /// Loses the next `frames` from one node to another: for tests of those who must find it out.
    pub fn lose(&self, from: NodeId, to: NodeId, frames: u64) {
        *self.0.state.lock().losses.entry((from, to)).or_default() += frames;
    }

    pub(super) fn end(&self, node: NodeId) -> Result<Arc<End>, LinkError> {
        self.0.state.lock().ends.get(&node).cloned().ok_or(LinkError::Unknown(node))
    }

    /// The weather, where there is any.
    pub(super) fn weather(&self) -> Option<&Weather> {
        self.0.weather.as_ref()
    }

    /// Every node that has joined and not left.
    pub(super) fn ends(&self) -> Vec<Arc<End>> {
        self.0.state.lock().ends.values().cloned().collect()
    }

    /// The members of a group but for `me`.
    pub(super) fn others(&self, group: &str, me: NodeId) -> Vec<Arc<End>> {
        let state = self.0.state.lock();
        let members = state.groups.get(group).into_iter().flatten();
        let others = members.filter(|node| **node != me);
        others.filter_map(|node| state.ends.get(node).cloned()).collect()
    }

    /// Takes `me` into a group.
    ///
    /// # Errors
    /// [`LinkError::TooManyGroups`].
    pub(super) fn join(&self, group: &str, me: NodeId) -> Result<(), LinkError> {
        let mut state = self.0.state.lock();
        let joined = state.groups.values().filter(|members| members.contains(&me)).count();
        if joined >= LINK_GROUPS_MAX {
            return Err(LinkError::TooManyGroups);
        }
        state.groups.entry(group.to_owned()).or_default().insert(me);
        Ok(())
    }

    /// Takes `me` out of a group.
    pub(super) fn leave(&self, group: &str, me: NodeId) {
        let mut state = self.0.state.lock();
        if let Some(members) = state.groups.get_mut(group) {
            members.remove(&me);
            if members.is_empty() {
                state.groups.remove(group);
            }
        }
    }

    /// Forgets a life of a node, unless a later one has taken its place.
    pub(super) fn retire(&self, me: Peer) {
        let mut state = self.0.state.lock();
        if state.ends.get(&me.node).is_some_and(|end| end.peer == me) {
            state.ends.remove(&me.node);
            state.forget(me.node);
        }
    }

    /// Puts `wire` before its receiver, unless it is to be lost.
    pub(super) fn arrive(&self, to: &End, wire: Wire, fate: Fate) {
        let pair = (wire.from.node, to.peer.node);
        let mut state = self.0.state.lock();
        let left = state.losses.get_mut(&pair).filter(|left| **left > 0);
        let lost = fate == Fate::Lose || left.map(|left| *left -= 1).is_some();
        if !lost {
            drop(state);
            // Nobody reads: the receiver has closed, and its requests end by that.
            drop(to.inbox.send(wire));
        } else if let Body::Frame { reply: Some(reply), .. } = wire.body {
            state.limbo.retain(Reply::is_wanted);
            state.limbo.push(reply);
        }
    }
}

impl State {
    /// Takes a node out of its groups.
    fn forget(&mut self, node: NodeId) {
        self.groups.retain(|_, members| {
            members.remove(&node);
            !members.is_empty()
        });
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hub({} nodes)", self.0.state.lock().ends.len())
    }
}
