//! Code review as pure functions: bytes of a file in, findings out.
//!
//! The root package calls [`source::list`] to choose the files, gives each file to the reviewers of
//! [`mod@reviewer`], turns what programs print into findings with [`convert`], folds all of it with [`merge`]
//! and renders the result with [`report`]. Nothing here knows actors, an async runtime or run files.
//!
//! # Invariants
//! - A reviewer is a pure function of one file, so the findings of any partition of the files are, as a set,
//!   those of one sequential run.
//! - The fold of reviews is associative, commutative and idempotent; equal input sets give equal bytes.
//! - No finding holds the full text of a secret.
//! - Every input is bounded by [`limits`]; what is over a limit is named in [`finding::Skipped`], never dropped.

pub mod finding;
pub mod reviewer;
pub mod source;
pub mod convert;
pub mod merge;
pub mod report;
pub mod rust;
pub mod functions;
pub mod secrets;
pub mod spelling;
pub mod duplicates;
mod complexity;
mod sarif;
mod text;
pub mod limits;

pub use finding::{FileMetrics, Finding, Review, Severity, Skipped};
pub use reviewer::{Reviewer, SourceFile, names, reviewer};
