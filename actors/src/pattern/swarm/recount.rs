//! What the journal of a swarm tells of it, without the swarm: how far it came, and what it has found.

use protocol::RunId;
use runtime::engine::journal::{Journal, records};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Record, Report, Told, record::Past};
use crate::{
    pattern::Ended,
    swarm::{
        Best, Model,
        detect::Emerged,
        trace::{Row, Trace},
    },
};

/// A swarm as its journal tells it: takes the records of a run in their order.
#[derive(Clone, Debug, Default)]
pub struct Recount {
    /// When it began, in Unix milliseconds.
    pub began: Option<i64>,
    /// What the run is called.
    pub name: String,
    /// What all dice follow from.
    pub seed: u64,
    /// How it ended the last time.
    pub ended: Option<Ended>,
    past: Past,
    /// What it came to, of which parts have come.
    coming: Vec<u8>,
    came: Option<Vec<u8>>,
}

/// What of a snapshot is told of any model.
#[derive(Deserialize)]
struct Head<S> {
    tick: u64,
    best: Option<Best<S>>,
    emerged: Vec<Emerged<S>>,
}

#[derive(Deserialize)]
struct Body<W> {
    world: W,
}

/// Reads what the journal tells of a swarm.
///
/// # Errors
/// The journal cannot be read, or tells of another pattern.
pub fn recount(journal: &dyn Journal, run: RunId) -> Result<Recount, String> {
    let mut recount = Recount::default();
    for record in records(journal, run) {
        let record = record.map_err(|error| error.to_string())?;
        recount.take(runtime::record::decode(&record)?);
    }
    Ok(recount)
}

impl Recount {
    /// Takes the next record.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Began { at, name, seed, .. } => {
                (self.began, self.name, self.seed) = (Some(at), name, seed);
            }
            Record::Rows { every, rows } => self.past.rows(every, rows),
            Record::Snapshot { tick, part, parts, bytes } => {
                self.past.part(tick, (part, parts), &bytes.0);
                self.ended = None;
            }
            Record::Came { part, parts, bytes } => {
                if part == 0 {
                    self.coming.clear();
                }
                self.coming.extend_from_slice(&bytes.0);
                if part + 1 == parts {
                    self.came = Some(std::mem::take(&mut self.coming));
                }
            }
            Record::Ended(ended) => self.ended = Some(ended),
            Record::Missed { .. } | Record::Spent { .. } => {}
        }
    }

    /// The rows of the trace, one every so many ticks.
    pub fn rows(&self) -> (u64, Vec<Row>) {
        self.past.clone().trace(u64::MAX)
    }

    /// What it came to, or, of one that has not ended, what its last snapshot says.
    ///
    /// # Errors
    /// What is kept is not of a swarm with such solutions.
    pub fn told<S: DeserializeOwned>(&self) -> Result<Told<S>, String> {
        let came = self.came.as_ref().map(|bytes| runtime::record::decode::<Told<S>>(bytes));
        let came = came.transpose()?;
        let Some((tick, bytes)) = &self.past.snapshot else { return Ok(came.unwrap_or_default()) };
        if let Some(came) = came.filter(|came| came.ticks >= *tick) {
            return Ok(came);
        }
        let Head { tick, best, emerged } = runtime::record::decode(bytes)?;
        let agents = self.rows().1.last().map_or(0, |row| row.agents);
        Ok(Told { best, ticks: tick, agents, emerged, ..Told::default() })
    }

    /// The same, with trace and world; a world that was too large to be kept is not there.
    ///
    /// # Errors
    /// What is kept is not of such a swarm.
    pub fn report<M: Model>(&self, model: &M) -> Result<Report<M>, String> {
        let Told { best, end, ticks, agents, missed, emerged } = self.told::<M::Solution>()?;
        let (every, rows) = self.rows();
        let trace = Trace { columns: model.measures(), every, rows };
        let snapshot = self.past.snapshot.as_ref();
        let world = snapshot.map(|(_, bytes)| runtime::record::decode::<Body<M::World>>(bytes));
        let world = world.transpose()?.map(|body| body.world.into());
        Ok(Report { best, end, ticks, agents, missed, emerged, trace, world })
    }
}
