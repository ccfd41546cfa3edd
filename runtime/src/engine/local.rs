//! The embedded engine: what one node needs without any server.

mod hub;
mod link;
mod memory_journal;
mod redb_journal;

pub use hub::{Fate, Hub};
pub use link::LocalLink;
pub use memory_journal::MemoryJournal;
pub use redb_journal::{OpenJournalError, RedbJournal};

use crate::limits::{JOURNAL_READ_BYTES_MAX, JOURNAL_READ_RECORDS_MAX};

/// Takes one page of records: at most `limit` of them, and none behind the one that fills the page.
pub(crate) fn page<E>(
    records: impl Iterator<Item = Result<Vec<u8>, E>>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, E> {
    let mut bytes = 0;
    let mut page = Vec::new();
    for record in records.take(limit.min(JOURNAL_READ_RECORDS_MAX)) {
        let record = record?;
        bytes += record.len();
        page.push(record);
        if bytes >= JOURNAL_READ_BYTES_MAX {
            break;
        }
    }
    Ok(page)
}
