//! Detectors: what has emerged from a swarm by the end of a tick.
//!
//! A *solution* ends the run; a *pattern* is extracted and reported. They are pure functions of the world, so a run that is taken
//! up again detects the same.

use serde::{Deserialize, Serialize};

use super::{Best, Model};

/// Looks at the world after each tick.
pub trait Detector<M: Model>: Send + Sync + 'static {
    /// What has emerged.
    fn detect(&self, model: &M, sight: Sight<'_, M>) -> Finding<M::Solution>;
}

/// What a detector sees.
pub struct Sight<'a, M: Model> {
    /// The world after the tick.
    pub world: &'a M::World,
    /// Which tick, from 1.
    pub tick: u64,
    /// The best so far, this tick's included.
    pub best: Option<&'a Best<M::Solution>>,
}

impl<M: Model> std::fmt::Debug for Sight<'_, M> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sight(tick {})", self.tick)
    }
}

impl<M: Model> Clone for Sight<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Model> Copy for Sight<'_, M> {}

/// What a detector says of a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding<S> {
    /// Nothing has emerged.
    Nothing,
    /// This pattern is there.
    Pattern(Pattern<S>),
    /// The best so far solves it, for this reason: the run ends. Where there is none so far, the run goes on.
    Solution(String),
}

/// A pattern that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern<S> {
    /// What it is called.
    pub name: String,
    /// How strong it is, from 0 to 1.
    pub strength: f64,
    /// The share of the agents that are part of it.
    pub share: f64,
    /// What it comes to; it becomes the best so far if it is better than that.
    pub extracted: Option<S>,
}

/// A pattern that was there for some ticks: on end, or, where it comes to something, until it came to something else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emerged<S> {
    /// The first of them.
    pub since: u64,
    /// The last of them so far.
    pub until: u64,
    /// As it was in the first.
    pub pattern: Pattern<S>,
}

/// Ends the run when a solution costs no more than this: where the optimum is known, or enough is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached(pub f64);

impl<M: Model> Detector<M> for Reached {
    fn detect(&self, _: &M, sight: Sight<'_, M>) -> Finding<M::Solution> {
        match sight.best {
            Some(best) if best.cost <= self.0 => {
                Finding::Solution(format!("{} is no more than {}", best.cost, self.0))
            }
            Some(_) | None => Finding::Nothing,
        }
    }
}
