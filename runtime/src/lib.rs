//! The kernel.

pub mod clock;
pub mod limits;
