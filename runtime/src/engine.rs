//! The ports through which the kernel reaches an engine, their conformance suites, and the embedded engine.
//!
//! A port is a trait declared here, where it is used. Every engine implements it and passes the same suite.

pub mod conformance;
pub mod journal;
pub mod link;
pub mod local;
