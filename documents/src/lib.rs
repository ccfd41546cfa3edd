//! Documents as pure functions: the bytes of a file in; text, analysis and summary out.
//!
//! The stages of a document pipeline call these: [`extract()`] turns a file of any known format into a
//! [`Document`], [`analyse()`] says what its text is about, [`summarise()`] chooses the sentences that say most of it. Nothing here knows actors, an async runtime, files or run files.
//!
//! # Invariants
//! - Every function is total: any bytes and any text give a value or an error, in bounded memory.
//! - Every input is bounded by [`limits`]; what is over a limit is an error that names it.
//! - The same input gives the same output: no clock, no dice, no order of a hash table.

pub mod document;
pub mod extract;
pub mod text;
pub mod analyse;
pub mod summarise;
pub mod limits;

pub use analyse::{Analysis, analyse};
pub use document::{Document, Format};
pub use extract::{ExtractError, extract};
pub use summarise::{Summary, summarise};
