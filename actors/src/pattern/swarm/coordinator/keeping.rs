//! Keeping: snapshots of the swarm, and how it goes on from one.

use protocol::Bytes;

use super::*;
use crate::{
    limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_RECORD_BYTES, SNAPSHOT_TIME_PART, TRACE_RECORD_ROWS},
    swarm::number,
};

impl<M: Model> Coordinator<M> {
    /// Takes what the journal says.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Began { course, .. } => self.past.course = Some(course),
            Record::Missed { tick, stage, agents } => {
                self.missed.entry((tick, stage)).or_default().join(&agents);
            }
            Record::Rows { every, rows } => self.past.rows(every, rows),
            Record::Snapshot { tick, part, parts, bytes } => {
                self.past.part(tick, (part, parts), &bytes.0);
            }
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Came { .. } | Record::Ended(_) => {}
        }
    }

    /// The course from the last snapshot on, or from its beginning.
    pub(super) fn take_up(&mut self) -> Result<Course<M>, String> {
        let (setup, seed) = (Arc::clone(&self.scheme.setup), self.scheme.options.seed);
        let mut past = std::mem::take(&mut self.past);
        let Some((tick, bytes)) = past.snapshot.take() else { return Course::begin(setup, seed) };
        self.missed = self.missed.split_off(&(tick + 1, 0));
        let course = Course::restore(setup, seed, &bytes, past.trace(tick));
        course.map_err(|why| format!("the swarm of tick {tick} cannot be read: {why}"))
    }

    /// Records the swarm as it is, if it is time to; `last` says that there is no other time.
    pub(super) fn keep(&mut self, last: bool, cx: &mut In<M>) {
        let (now, every) = (cx.now(), self.scheme.options.snapshot_every);
        let Some(course) = &self.course else { return };
        let Snapshots { began, last: before, tick, too_large } = self.snapshots;
        let wait = every.max(now.since(began) / SNAPSHOT_TIME_PART);
        let is_time = last || every.is_zero() || now.since(before) >= wait;
        if !is_time || course.ticks() == tick {
            return;
        }
        if last {
            self.keep_rows(course, cx);
        }
        if too_large {
            return;
        }
        let bytes = match course.save() {
            Ok(Some(bytes)) if bytes.len() <= SNAPSHOT_BYTES_MAX => bytes,
            Ok(None) => return,
            Ok(Some(_)) | Err(_) => {
                let run = self.brief.run;
                tracing::info!(%run, "the world is too large for a snapshot; a resume begins anew");
                self.snapshots.too_large = true;
                return;
            }
        };
        if !last {
            self.keep_rows(course, cx);
        }
        let parts = number(bytes.len().div_ceil(SNAPSHOT_RECORD_BYTES));
        let tick = course.ticks();
        for (part, bytes) in (0..).zip(bytes.chunks(SNAPSHOT_RECORD_BYTES)) {
            let bytes = Bytes(bytes.to_vec());
            cx.record(&Record::Snapshot { tick, part, parts, bytes });
        }
        self.snapshots = Snapshots { last: now, tick, ..self.snapshots };
        self.record_spent(cx);
    }

    /// Records the rows of the trace since the last snapshot.
    fn keep_rows(&self, course: &Course<M>, cx: &mut In<M>) {
        let (trace, before) = (course.trace(), self.snapshots.tick);
        let every = trace.every;
        let from = trace.rows.partition_point(|row| row.tick <= before);
        for rows in trace.rows.get(from..).unwrap_or_default().chunks(TRACE_RECORD_ROWS) {
            cx.record(&Record::Rows { every, rows: rows.to_vec() });
        }
    }

    /// Records what the swarm came to, for whoever asks the journal.
    pub(super) fn record_report(&self, report: &Report<M>, cx: &mut In<M>) {
        let bytes = match runtime::record::encode(report) {
            Ok(bytes) => bytes,
            Err(why) => return tracing::warn!(run = %self.brief.run, why, "the report is not kept"),
        };
        let parts = number(bytes.len().div_ceil(SNAPSHOT_RECORD_BYTES));
        for (part, bytes) in (0..).zip(bytes.chunks(SNAPSHOT_RECORD_BYTES)) {
            cx.record(&Record::Came { part, parts, bytes: Bytes(bytes.to_vec()) });
        }
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    pub(super) fn record_spent(&mut self, cx: &mut In<M>) {
        self.spending.write(&self.brief, Record::Spent, cx);
    }
}
