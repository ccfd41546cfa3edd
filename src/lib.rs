//! Facade.
pub use actors;
pub use cluster;
pub use protocol;
pub use runtime;
pub mod runfile;
