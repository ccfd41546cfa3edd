//! What a swarm writes to its run's journal, and reads back when it is resumed.

use protocol::Bytes;
use runtime::budget::Cost;
use serde::{Deserialize, Serialize};

use crate::{
    pattern::Ended,
    swarm::{Spans, trace::Row},
};

/// One record. Names are part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The run was accepted.
    Began {
        /// Unix milliseconds.
        at: i64,
        /// Which pattern.
        pattern: String,
        /// The run's name.
        name: String,
        /// What its course follows from.
        course: String,
        /// What all dice follow from.
        seed: u64,
    },
    /// Agents missed their moves in a stage of a tick.
    Missed {
        /// Which tick, from 1.
        tick: u64,
        /// Which stage of it.
        stage: u32,
        /// Who.
        agents: Spans,
    },
    /// Rows of the trace since the last snapshot; before the next one.
    Rows {
        /// Every how many ticks there is a row.
        every: u64,
        /// The rows, by tick; they take the place of those of the same ticks.
        rows: Vec<Row>,
    },
    /// The swarm as it was after a tick, or a part of that.
    Snapshot {
        /// Which tick.
        tick: u64,
        /// Which part, from 0.
        part: u32,
        /// Of how many.
        parts: u32,
        /// What is in it.
        bytes: Bytes,
    },
    /// What the run has spent of its budget so far.
    Spent(Cost),
    /// What the swarm came to, or a part of that: its report without trace and world.
    Came {
        /// Which part, from 0.
        part: u32,
        /// Of how many.
        parts: u32,
        /// What is in it.
        bytes: Bytes,
    },
    /// The run ended.
    Ended(Ended),
}

/// What the journal says of a run's earlier lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// What its course followed from.
    pub(super) course: Option<String>,
    /// The last whole snapshot: its tick and its bytes.
    pub(super) snapshot: Option<(u64, Vec<u8>)>,
    /// A snapshot of which parts have come.
    coming: (u64, u32, Vec<u8>),
    every: u64,
    rows: Vec<Row>,
}

impl Past {
    /// Takes in rows of the trace.
    pub(super) fn rows(&mut self, every: u64, rows: Vec<Row>) {
        if let Some(first) = rows.first() {
            self.rows.truncate(self.rows.partition_point(|row| row.tick < first.tick));
        }
        self.rows.extend(rows);
        if every != self.every {
            self.every = every;
            self.rows.retain(|row| row.tick.is_multiple_of(every));
        }
    }

    /// Takes in a part of a snapshot.
    pub(super) fn part(&mut self, tick: u64, (part, parts): (u32, u32), bytes: &[u8]) {
        if part == 0 {
            self.coming = (tick, 0, Vec::new());
        }
        let (of, next, coming) = &mut self.coming;
        if *of != tick || *next != part {
            return;
        }
        coming.extend_from_slice(bytes);
        *next += 1;
        if *next == parts {
            self.snapshot = Some((tick, std::mem::take(coming)));
        }
    }

    /// The rows that the trace had after a tick, one every so many ticks.
    pub(super) fn trace(self, tick: u64) -> (u64, Vec<Row>) {
        let Self { every, mut rows, .. } = self;
        rows.truncate(rows.partition_point(|row| row.tick <= tick));
        (every.max(1), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tick: u64) -> Row {
        Row { tick, agents: 1, missed: 0, found: None, best: None, measures: Vec::new() }
    }

    fn ticks(past: Past, tick: u64) -> (u64, Vec<u64>) {
        let (every, rows) = past.trace(tick);
        (every, rows.into_iter().map(|row| row.tick).collect())
    }

    #[test]
    fn the_last_whole_snapshot_counts_with_the_rows_up_to_it() {
        let mut past = Past::default();
        past.rows(1, vec![row(1), row(2)]);
        past.part(2, (0, 2), b"on");
        past.part(2, (1, 2), b"e");
        // A life that ended in the middle of its second snapshot; the next one went on from the first.
        past.rows(1, vec![row(3), row(4), row(5)]);
        past.part(5, (0, 2), b"tor");
        assert_eq!(past.snapshot, Some((2, b"one".to_vec())));
        past.rows(2, vec![row(4)]);
        past.part(5, (1, 2), b"n");
        assert_eq!(past.snapshot, Some((5, b"torn".to_vec())));
        past.part(7, (1, 2), b"alone");
        past.part(4, (0, 1), b"two");
        assert_eq!(past.snapshot, Some((4, b"two".to_vec())));
        past.rows(2, vec![row(6)]);
        assert_eq!(ticks(past, 4), (2, vec![2, 4]));
    }
}
