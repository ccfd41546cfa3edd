//! What a swarm comes to.

use std::sync::Arc;

use serde::Serialize;

use crate::swarm::{Best, Model, course::End, detect::Emerged, trace::Trace};

/// The outcome of a swarm.
#[derive(Serialize)]
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
    pub trace: Trace,
    /// The world at the end, of a run that was cut off perhaps in the middle of a tick.
    #[serde(skip)]
    pub world: Arc<M::World>,
}

impl<M: Model> Clone for Report<M> {
    fn clone(&self) -> Self {
        Self {
            best: self.best.clone(),
            end: self.end.clone(),
            emerged: self.emerged.clone(),
            trace: self.trace.clone(),
            world: Arc::clone(&self.world),
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
