//! What the journal of a swarm tells: how far it came, and what it has found.

use actors::pattern::swarm::recount;

use super::*;
use crate::job::{Ground, Swarmed};

impl History {
    /// Reads a run of a swarm, on this ground.
    pub(super) fn read_swarm(
        &mut self,
        journal: &dyn Journal,
        (run, ground): (RunId, &Ground),
    ) -> Result<(), HistoryError> {
        let wrong = |why| HistoryError::Record { run, why };
        let recount = recount(journal, run).map_err(wrong)?;
        let told = recount.told().map_err(wrong)?;
        let told = Swarmed::of(ground, recount.seed, told, recount.rows());
        self.brought = Some(Brought::Swarm(Box::new(told)));
        (self.began, self.name) = (recount.began, recount.name.clone());
        self.ended.clone_from(&recount.ended);
        Ok(())
    }
}
