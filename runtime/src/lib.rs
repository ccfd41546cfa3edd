//! The kernel.

pub mod clock;
pub mod engine;
pub mod limits;
