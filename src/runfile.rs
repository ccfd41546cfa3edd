//! Run files: what a user writes to say which agents work on what, and how.
//!
//! The command line calls [`RunFile::parse`] and [`resolve`]; nothing below the root knows of run
//! files. docs/RUN_FILES.md is the reference.

pub mod limits;
pub mod model;
pub mod template;

pub use model::*;
