//! What the journals of several patterns tell, of which some came after others: that of their plan, and one of each beside it.

use actors::pattern::plan::{Record, Recount};

use super::*;
use crate::cli::patterns::Patterns;

impl History {
    /// Reads a run of several patterns: what became of each, the work of all of them, and what the last has brought.
    pub(super) fn read_plan(
        &mut self,
        journal: &dyn Journal,
        run: RunId,
    ) -> Result<(), HistoryError> {
        let wrong = |why| HistoryError::Record { run, why };
        let mut recount = Recount::default();
        for bytes in records(journal, run) {
            let record = record::decode(&bytes?).map_err(wrong)?;
            match &record {
                Record::Began { at, name, .. } => {
                    (self.began, self.name) = (Some(*at), name.clone());
                }
                Record::Ended(ended) => self.ended = Some(ended.clone()),
                Record::Done { .. } | Record::Failed { .. } | Record::Spent(_) => {}
            }
            recount.take(record).map_err(wrong)?;
        }
        let patterns = Patterns::of(journal, recount.report(run).map_err(wrong)?)?;
        for pattern in &patterns.0 {
            let mut own = Self::of(self.request.clone());
            let cast = self.request.cast.patterns.get(&pattern.name);
            own.read_alone(journal, (pattern.run, cast.unwrap_or(&self.request.cast)))?;
            let name = || Some(pattern.name.clone());
            self.work.extend(own.work.into_iter().map(|work| Work { pattern: name(), ..work }));
            self.parts += own.parts;
            // `main` is the last.
            self.brought = own.brought;
        }
        self.patterns = Some(patterns);
        Ok(())
    }
}
