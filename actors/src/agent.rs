//! Agents: everything that waits or touches the world, behind one trait.
//!
//! A slot calls an agent for one part at a time and turns its answer into a message; an agent knows nothing of actors.
//! What an agent is given and may answer is in [`call`]; a program of any language becomes an agent through
//! [`command`] (one run a part) or [`process`] (long-running, JSON lines), both described by [`program`] and
//! started by [`launcher`].
//!
//! # Invariants
//! - Every call ends in a value or in one [`AgentError`]; dropping its future cancels it.
//! - No process of an agent outlives its call, its agent or this program, however this program ends.

pub mod call;
pub mod command;
pub mod function;
pub mod handle;
pub mod launcher;
pub mod output;
pub mod process;
pub mod program;
pub mod slot;

pub use call::{Agent, AgentError, CallContext, Cancelled, Part, Progress, ProgressSink};
pub use command::CommandAgent;
pub use launcher::Launcher;
pub use output::Reads;
pub use process::ProcessAgent;
pub use program::{Program, ProgramLimits, probe};
