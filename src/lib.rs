//! Synod runs teams of agents as supervised actors: every task ends in a named outcome, what was accepted survives a crash.
//!
//! This is the product: the library that a user adds, and the program `synod` over it. It is the only place where all crates
//! meet. Start at [`Node`], or at [`runfile`] for what the program reads.

pub use actors;
pub use cluster;
pub use protocol;
#[cfg(feature = "review")]
pub use review;
pub use runtime;
pub use runtime::sim;

#[cfg(feature = "review")]
pub mod cli;
#[cfg(feature = "review")]
mod digest;
#[cfg(feature = "review")]
pub mod job;
#[cfg(feature = "review")]
pub mod trial;
#[cfg(feature = "documents")]
pub mod document;
pub mod limits;
pub mod node;
pub mod runfile;
pub mod serve;
mod signals;
pub mod watch;

pub use node::Node;
pub use serve::serve;
pub use watch::watch;

/// What most programs need: `use synod::prelude::*;`.
pub mod prelude {
    pub use actors::{
        agent::{AgentError, Behaviour, CallContext, handle::Agent},
        pattern::{
            Completed, FailureKind, Outcome, RunError,
            consensus::{
                Choice, Consensus, Decision, Evidence, Exact, Opinion, Proposal, Quorum, Request,
                Rules, TieBreaker, Voter, consensus,
            },
            map_reduce::{
                Branch, Collect, Done, Map, MapReduce, Piece, Reduce, by_run, items, map_reduce,
                sum,
            },
            pipeline::{Document, pipeline, stage},
            plan::Plan,
            swarm::Swarm,
        },
    };
    pub use runtime::{
        actor::Actor,
        address::Addr,
        ask::{AskError, Reply},
        context::Cx,
        probe::Probe,
        spawn::{Shutdown, Spawn},
        supervisor::{ChildSpec, Restart, Supervised, Supervisor},
    };

    pub use crate::node::Node;
}

/// The README's code, compiled and run as it stands there.
#[cfg(doctest)]
#[cfg(feature = "review")]
#[doc = include_str!("../README.md")]
pub mod readme {}

/// The code of docs/TESTING.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/TESTING.md")]
pub mod testing {}

/// The code of docs/SUPERVISION.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/SUPERVISION.md")]
pub mod supervision {}

/// The code of docs/CONSENSUS.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/CONSENSUS.md")]
pub mod consensus {}

/// The code of docs/SWARM.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/SWARM.md")]
pub mod swarms {}

/// The code of docs/COMPOSITION.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/COMPOSITION.md")]
pub mod composition {}

/// The code of docs/DECOMPOSITION.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/DECOMPOSITION.md")]
pub mod decomposition {}

/// The code of docs/AGENTS.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/AGENTS.md")]
pub mod agents {}

/// The code of docs/EVENTS.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/EVENTS.md")]
pub mod events {}

/// The code of docs/HIERARCHY.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/HIERARCHY.md")]
pub mod hierarchies {}

/// The code of docs/PIPELINE.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/PIPELINE.md")]
pub mod pipelines {}
