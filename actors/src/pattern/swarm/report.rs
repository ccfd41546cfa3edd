//! What a swarm comes to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::swarm::{Best, Model, course::End, detect::Emerged, trace::Trace};

/// The outcome of a swarm.
///
/// Written as the output of a task or a part of another run it is without trace and world, so that it fits a record.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Report<M: Model> {
    /// The best so far; of a run that ended well there is one, if its model seeks one.
    pub best: Option<Best<M::Solution>>,
    /// Why it ended; none where it was cut off.
    pub end: Option<End>,
    /// The ticks that are done.
    pub ticks: u64,
    /// The agents that live.
    pub agents: u32,
    /// The moves that were missed in this life of the run.
    pub missed: u64,
    /// The patterns that have emerged, in the order in which they did first.
    pub emerged: Vec<Emerged<M::Solution>>,
    /// What is known of each tick: how it came to the best.
    #[serde(skip)]
    pub trace: Trace,
    /// The world at the end, of a run that was cut off perhaps in the middle of a tick; none of a report that was read.
    #[serde(skip)]
    pub world: Option<Arc<M::World>>,
}

impl<M: Model> Clone for Report<M> {
    fn clone(&self) -> Self {
        Self {
            best: self.best.clone(),
            end: self.end.clone(),
            emerged: self.emerged.clone(),
            trace: self.trace.clone(),
            world: self.world.clone(),
            ..*self
        }
    }
}

impl<M: Model> std::fmt::Debug for Report<M> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { best, end, ticks, agents, missed, .. } = self;
        let best = best.as_ref().map(|best| best.cost);
        write!(
            out,
            "Report(best {best:?}, {ticks} ticks, {agents} agents, {missed} missed, {end:?})"
        )
    }
}

/// What a swarm came to, whatever its model is: a [`Report`] without trace and world, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told<S> {
    /// The best so far.
    pub best: Option<Best<S>>,
    /// Why it ended; none where it was cut off, or goes on.
    pub end: Option<End>,
    /// The ticks that are done.
    pub ticks: u64,
    /// The agents that live.
    pub agents: u32,
    /// The moves that were missed in the last life of the run.
    pub missed: u64,
    /// The patterns that have emerged, in the order in which they did first.
    pub emerged: Vec<Emerged<S>>,
}

impl<S> Default for Told<S> {
    fn default() -> Self {
        Self { best: None, end: None, ticks: 0, agents: 0, missed: 0, emerged: Vec::new() }
    }
}

impl<M: Model> Report<M> {
    /// Without trace and world.
    pub fn told(&self) -> Told<M::Solution> {
        let Self { best, end, ticks, agents, missed, emerged, .. } = self;
        let (best, end, emerged) = (best.clone(), end.clone(), emerged.clone());
        Told { best, end, ticks: *ticks, agents: *agents, missed: *missed, emerged }
    }
}
