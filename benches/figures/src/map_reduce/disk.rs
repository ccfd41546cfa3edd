//! The floor of `durable_parts`: bare redb, as many records in a commit as the workload had, synced at each commit.
use anyhow::{Context as _, Result};
use redb::{Database, TableDefinition};

use crate::clock::{Watch, per_second};
use crate::figure::{Outcome, Settings};

/// Sequence number to record.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Bytes of one completion record.
pub(crate) const RECORD_BYTES: usize = 256;
/// Records in one measurement.
const APPENDS: u64 = 20_000;

/// Appends records in commits of the size that the workload reached.
pub(crate) fn appends(settings: &Settings) -> Outcome {
    let batch = u64::from(settings.records_per_commit.get().max(1));
    let count = settings.count(APPENDS).next_multiple_of(batch);
    append(count, batch).map(Ok)
}

/// Appends `count` records, `batch` in a commit, and tells how many a second.
fn append(count: u64, batch: u64) -> Result<f64> {
    let folder = tempfile::tempdir_in(std::env::current_dir().context("find the working folder")?);
    let folder = folder.context("make a folder for the store")?;
    let store = Database::create(folder.path().join("floor.redb")).context("create the store")?;
    let record = [7_u8; RECORD_BYTES];
    let watch = Watch::start();
    for first in (0..count).step_by(usize::try_from(batch).context("step by a batch")?) {
        // durable by default: the commit returns after the sync
        let write = store.begin_write().context("begin a commit")?;
        {
            let mut table = write.open_table(RECORDS).context("open the table")?;
            for sequence in first..first + batch {
                table.insert(sequence, record.as_slice()).context("append a record")?;
            }
        }
        write.commit().context("commit")?;
    }
    Ok(per_second(count, watch.time()))
}
