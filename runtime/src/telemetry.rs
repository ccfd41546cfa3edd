//! What the node tells about itself: metrics and spans.

pub mod metrics;
pub mod trace;
