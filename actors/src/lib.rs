//! The work: patterns, agents, choice.
//!
//! Called by the root; calls `runtime` and `protocol`. Knows nothing of sockets, node ids or HTTP.
//!
//! A [`system`] of agents runs on a node: [`agent`]s behind slots, a [`roster`] that reserves slots by the strategies of [`assign`],
//! [`dispatch`] that admits runs and starts the coordinator of their [`pattern`]. Agents and actors talk in a [`conversation`].
//! [`decompose`] takes tasks apart.

pub mod agent;
pub mod assign;
pub mod conversation;
pub mod decompose;
pub mod dispatch;
mod guard;
pub mod limits;
pub mod pattern;
pub mod roster;
pub mod split;
pub mod swarm;
pub mod system;
