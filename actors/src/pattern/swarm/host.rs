//! The actor of one agent, or of many: it lets them decide upon the world that it is given.
//!
//! Started by the [coordinator](super::coordinator), below it.
//!
//! # Invariants
//! - It keeps nothing from job to job but room to work in, so that one that was killed is as good as before.
//! - It has let go of the world when its answer leaves.

use std::{ops::Range, sync::Arc};

use runtime::{actor::Actor, address::Addr, context::Cx, graph::ObservableState};
use serde_json::json;

use super::coordinator;
use crate::swarm::{
    Model, Spans,
    course::{self, Acts},
};

/// What a host is given to do.
pub(super) struct Job<M: Model> {
    /// Which round of the run it is for.
    pub(super) round: u64,
    pub(super) tick: u64,
    pub(super) stage: u32,
    pub(super) agents: Range<u32>,
    /// Who of them misses the move, by the journal.
    pub(super) except: Option<Box<Spans>>,
    pub(super) world: Arc<M::World>,
    /// Room for the actions.
    pub(super) room: Vec<M::Action>,
}

/// The host's state.
pub(super) struct Host<M: Model> {
    number: usize,
    model: Arc<M>,
    seed: u64,
    to: Addr<coordinator::Msg<M>>,
    scratch: M::Scratch,
    /// The last tick, and who moved in it.
    last: (u64, Range<u32>),
}

impl<M: Model> Host<M> {
    pub(super) fn new(
        number: usize,
        model: Arc<M>,
        seed: u64,
        to: Addr<coordinator::Msg<M>>,
    ) -> Self {
        Self { number, model, seed, to, scratch: M::Scratch::default(), last: (0, 0..0) }
    }

    fn decide(&mut self, job: Job<M>) -> (u64, Acts<M::Action>) {
        let Job { round, tick, stage, agents, except, world, room } = job;
        self.last = (tick, agents.clone());
        let except = except.unwrap_or_default();
        let job = course::Job { seed: self.seed, tick, stage, agents, except: &except };
        (round, course::decide(&*self.model, &world, job, &mut self.scratch, room))
    }
}

impl<M: Model> Actor for Host<M> {
    type Msg = Job<M>;

    fn observe(&self) -> ObservableState {
        let (tick, Range { start, end }) = &self.last;
        ObservableState::of(&json!({ "tick": tick, "first": start, "agents": end - start }))
    }

    fn handle(&mut self, job: Job<M>, cx: &mut Cx<Self>) {
        let (round, acts) = self.decide(job);
        cx.send(&self.to, coordinator::Msg::Decided(self.number, round, acts));
    }
}
