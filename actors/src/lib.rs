//! The work: patterns, agents, choice.

pub mod agent;
pub mod limits;
