//! The one table of a journal's file: (run, position), both big endian, to the bytes of a record.

use std::ops::RangeInclusive;

use protocol::RunId;
use redb::{Range, ReadableTable, StorageError, TableDefinition};

use crate::engine::journal::Sequence;

/// The table; its name carries the version of the layout.
pub(super) const RECORDS: TableDefinition<'static, Key, Value> =
    TableDefinition::new("synod.journal.1");

/// 16 bytes of run, 8 bytes of position: one run is one range, and runs are in the order of their ids.
pub(super) type Key = &'static [u8; KEY_BYTES];
pub(super) type Value = &'static [u8];

const KEY_BYTES: usize = 24;

pub(super) fn key(run: RunId, position: Sequence) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let (run_bytes, position_bytes) = key.split_at_mut(16);
    run_bytes.copy_from_slice(&run.to_bytes());
    position_bytes.copy_from_slice(&position.to_be_bytes());
    key
}

fn run_of(key: &[u8; KEY_BYTES]) -> RunId {
    let [run @ .., _, _, _, _, _, _, _, _] = *key;
    RunId::from_bytes(run)
}

fn position_of(key: &[u8; KEY_BYTES]) -> Sequence {
    let [.., a, b, c, d, e, f, g, h] = *key;
    Sequence::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Walks the records of `run` from `position` on.
pub(super) fn records_from<T: ReadableTable<Key, Value>>(
    table: &T,
    run: RunId,
    position: Sequence,
) -> Result<Range<'_, Key, Value>, StorageError> {
    between(table, &(key(run, position)..=key(run, Sequence::MAX)))
}

/// Finds the position behind the last record of `run`.
pub(super) fn next_position(
    table: &impl ReadableTable<Key, Value>,
    run: RunId,
) -> Result<Sequence, StorageError> {
    let last = records_from(table, run, 0)?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| position_of(key.value()).saturating_add(1)))
}

/// Finds the first run behind `after` that has records.
pub(super) fn run_behind(
    table: &impl ReadableTable<Key, Value>,
    after: Option<RunId>,
) -> Result<Option<RunId>, StorageError> {
    let first = after.map_or(Some(0), |run| run.as_u128().checked_add(1));
    let Some(first) = first.map(RunId::from_u128) else { return Ok(None) };
    let found = between(table, &(key(first, 0)..=[u8::MAX; KEY_BYTES]))?.next().transpose()?;
    Ok(found.map(|(key, _)| run_of(key.value())))
}

fn between<'a, T: ReadableTable<Key, Value>>(
    table: &'a T,
    keys: &RangeInclusive<[u8; KEY_BYTES]>,
) -> Result<Range<'a, Key, Value>, StorageError> {
    table.range::<&[u8; KEY_BYTES]>(keys.start()..=keys.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_run_and_then_by_position() {
        let run = RunId::from_u128;
        let keys = [key(run(1), 0), key(run(1), 255), key(run(1), 256), key(run(256), 0)];
        assert!(keys.is_sorted());
        assert_eq!((run_of(&keys[3]), position_of(&keys[2])), (run(256), 256));
    }
}
