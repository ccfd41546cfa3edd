//! A course as bytes: what a snapshot holds, and how it goes on from there.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{super::Spans, Best, Course, Emerged, Model, Rounds, Row, Setup, Trace, check};

/// Who has missed which move: by tick and stage.
pub type Missed = BTreeMap<(u64, u32), Spans>;

/// What a snapshot holds besides the rows of the trace.
#[derive(Serialize, Deserialize)]
struct Saved<W, S> {
    tick: u64,
    best: Option<Best<S>>,
    emerged: Vec<Emerged<S>>,
    solved: Option<String>,
    world: W,
}

impl<M: Model> Course<M> {
    /// The course as it is, without its trace; none in the middle of a tick.
    ///
    /// # Errors
    /// The world cannot be written as `MessagePack`.
    pub fn save(&self) -> Result<Option<Vec<u8>>, String> {
        if self.torn {
            return Ok(None);
        }
        let (best, solved) = (self.best.as_ref(), self.solved.as_deref());
        let (tick, emerged, world) = (self.tick, &*self.emerged, &*self.world);
        runtime::record::encode(&SavedRef { tick, best, emerged, solved, world }).map(Some)
    }

    /// The course as it was [`save`](Self::save)d, with the rows that its trace had then, one every so many ticks.
    ///
    /// # Errors
    /// The setup is wrong, or the bytes are not those of a course of this model.
    pub fn restore(
        setup: Arc<Setup<M>>,
        seed: u64,
        bytes: &[u8],
        (every, rows): (u64, Vec<Row>),
    ) -> Result<Self, String> {
        check(&setup)?;
        let Saved { tick, best, emerged, solved, world } = runtime::record::decode(bytes)?;
        let trace = Trace { columns: setup.model.measures(), every, rows };
        let (world, rounds, torn) = (Arc::new(world), Rounds::default(), false);
        Ok(Self { setup, seed, world, tick, best, emerged, solved, trace, rounds, torn })
    }
}

/// [`Saved`], without a copy of the world.
#[derive(Serialize)]
struct SavedRef<'a, W, S> {
    tick: u64,
    best: Option<&'a Best<S>>,
    emerged: &'a [Emerged<S>],
    solved: Option<&'a str>,
    world: &'a W,
}
