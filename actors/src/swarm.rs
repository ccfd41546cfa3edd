//! Swarms as values: environments, pheromones, rules, detectors, and the course of a swarm tick by tick. No actor is in here.
//!
//! A [`Model`] says what a swarm is; a [`Course`] takes it from tick to tick. The pattern [`swarm`](crate::pattern::swarm) lets
//! actors decide for the agents; [`Course::run`] does the same in place, and is what the pattern is tested against.
//!
//! # Invariants
//! - What an agent does depends on its view, the seed, its number, the tick and the stage: not on who hosts it, nor on when.
//! - Actions are applied in the order of agents; a move that is missed changes nothing.
//! - The answer is the best so far.

pub mod boids;
pub mod course;
pub mod detect;
mod dice;
pub mod foraging;
mod model;
pub mod path;
pub mod pheromone;
pub mod resources;
mod span;
pub mod terrain;
pub mod trace;
pub mod tsp;

pub use course::Course;
pub use dice::{Dice, Throws};
pub use model::{Activation, Best, Candidate, Model, Moment, Turn};
pub use span::Spans;

/// The `at`-th value, or the default beyond the end: hot loops neither branch to a panic nor need one.
#[inline]
pub(crate) fn nth<T: Copy + Default>(values: &[T], at: usize) -> T {
    values.get(at).copied().unwrap_or_default()
}

/// A count as the number of a place, an agent or a city; all of them are limited far below.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
