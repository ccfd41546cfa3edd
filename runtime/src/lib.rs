//! The kernel: runs pure actors under supervision, delivers their messages, remembers what must last.
//!
//! Called by `actors`, `cluster` and the root; calls `protocol`. Knows nothing of agents, patterns, NATS or HTTP.
//!
//! An actor ([`actor`]) handles one message at a time and records effects in its context ([`context`]). A [`mailbox`] owns the
//! queue of its address and outlives its incarnations; `serve` steps the actor through it, the `outbox` performs the effects
//! behind durable records, `belongings` ends with the incarnation, `shell` hosts the whole on tokio. A [`node`] ties these together; a [`probe`] tests one actor alone.
//!
//! # Invariants
//! - Only [`tasks`] spawns, and `shell`, which hosts actors; only [`clock`] reads time or dice.
//! - No globals: every registry, clock and counter belongs to a node.

pub mod actor;
pub mod address;
pub mod admission;
pub mod ask;
pub mod backoff;
mod belongings;
pub mod breaker;
pub mod budget;
mod call;
pub mod child;
pub mod clock;
pub mod context;
pub mod dead_letters;
pub mod emergency;
mod ending;
pub mod engine;
pub mod events;
pub mod fallback;
pub mod graph;
pub mod kernel;
pub mod keyed;
mod lab;
pub mod limiter;
pub mod limits;
pub mod mailbox;
pub mod node;
mod outbox;
pub mod planted;
pub mod phi;
pub mod probe;
mod rare;
mod receive_timeout;
pub mod record;
mod registry;
pub mod retry;
pub mod scope;
mod serve;
mod shell;
pub mod sim;
pub mod spawn;
mod stage;
pub mod stash;
pub mod supervisor;
pub mod tasks;
pub mod telemetry;
mod timers;
pub mod waits;
pub mod wheel;
pub mod work;
pub mod work_cx;
