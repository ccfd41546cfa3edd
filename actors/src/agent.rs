//! Agents: everything that waits or touches the world, behind one trait.
//!
//! A [`slot`] calls a [`Behaviour`] and turns its answer into a message; a behaviour knows nothing of actors. An
//! [`Agent`] is the handle to all slots of one name. What a behaviour is given and may answer is in [`call`]; a Rust
//! closure becomes one through [`function`], a program of any language through [`command`] (one run a part) or
//! [`process`] (long-running, JSON lines), both described by [`program`] and started by [`launcher`]. Through [`hearing`] events
//! call an agent. What an agent has failed at goes on to its fallback, along a [`chain`]. Through [`below`] a call starts runs of its
//! own.
//!
//! # Invariants
//! - Every call ends in a value or in one [`AgentError`]; dropping its future cancels it.
//! - No process of an agent outlives its call, its agent or this program, however this program ends.

pub mod below;
pub mod call;
mod chain;
pub mod command;
pub mod function;
pub(crate) mod gate;
pub mod handle;
pub mod hearing;
mod heartbeat;
pub mod launcher;
pub mod output;
pub mod process;
pub mod program;
pub mod slot;

pub(crate) use chain::{Walk, note};

pub use call::{AgentError, Behaviour, CallContext, Cancelled, Part, Progress, ProgressSink};
pub use command::CommandAgent;
pub use handle::{Agent, AgentBuilder, StartError};
pub use launcher::Launcher;
pub use output::Reads;
pub use process::ProcessAgent;
pub use program::{NoProgram, Program, ProgramLimits, probe};
