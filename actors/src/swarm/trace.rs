//! The trace of a swarm: a row a tick, as values, CSV and JSON lines.
//!
//! # Invariants
//! - At most [`TRACE_ROWS_MAX`] rows: where there would be more, every second one is dropped and rows come half as often.
//! - The rows are a function of the ticks alone, so a run that is taken up again has the same.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::TRACE_ROWS_MAX;

/// What is known of one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The tick, from 1.
    pub tick: u64,
    /// Agents that live after it.
    pub agents: u32,
    /// Moves that were missed in it.
    pub missed: u32,
    /// What the tick itself has found costs.
    pub found: Option<f64>,
    /// What the best so far costs.
    pub best: Option<f64>,
    /// What the model measures.
    pub measures: Vec<f64>,
}

/// Rows of ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The names of what rows measure.
    pub columns: &'static [&'static str],
    /// Every how many ticks there is a row.
    pub every: u64,
    /// The rows, by tick.
    pub rows: Vec<Row>,
}

impl Default for Trace {
    /// A trace that measures nothing.
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Trace {
    /// A trace without rows.
    pub fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, every: 1, rows: Vec::new() }
    }

    /// Adds the row of the next tick, unless it is between those that are kept.
    pub fn push(&mut self, row: Row) {
        if !row.tick.is_multiple_of(self.every) {
            return;
        }
        self.rows.push(row);
        if self.rows.len() > TRACE_ROWS_MAX {
            self.every *= 2;
            let every = self.every;
            self.rows.retain(|row| row.tick.is_multiple_of(every));
        }
    }

    /// The rows as CSV with a head; what a tick does not have is left empty.
    pub fn csv(&self) -> String {
        let mut text = String::from("tick,agents,missed,found,best");
        self.columns.iter().for_each(|column| {
            text.push(',');
            text.push_str(column);
        });
        text.push('\n');
        for row in &self.rows {
            self.line(row, &mut text);
        }
        text
    }

    fn line(&self, row: &Row, text: &mut String) {
        let Row { tick, agents, missed, found, best, measures } = row;
        let cell = |value: &Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        // A `String` takes everything.
        let written = write!(text, "{tick},{agents},{missed},{},{}", cell(found), cell(best));
        debug_assert!(written.is_ok(), "a string takes everything");
        for at in 0..self.columns.len() {
            text.push(',');
            text.push_str(&cell(&measures.get(at).copied().filter(|value| value.is_finite())));
        }
        text.push('\n');
    }

    /// The rows as JSON, one object a line.
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&Value::Object(self.object(row)).to_string());
            text.push('\n');
        }
        text
    }

    fn object(&self, row: &Row) -> Map<String, Value> {
        let Row { tick, agents, missed, found, best, measures } = row;
        let mut object = Map::new();
        object.insert("tick".to_owned(), (*tick).into());
        object.insert("agents".to_owned(), (*agents).into());
        object.insert("missed".to_owned(), (*missed).into());
        object.insert("found".to_owned(), (*found).into());
        object.insert("best".to_owned(), (*best).into());
        for (column, value) in self.columns.iter().zip(measures) {
            object.insert((*column).to_owned(), (*value).into());
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tick: u64) -> Row {
        let found = (tick == 1).then_some(2.5);
        Row { tick, agents: 3, missed: 0, found, best: Some(2.5), measures: vec![0.5] }
    }

    #[test]
    fn rows_are_written_as_csv_and_as_json() {
        let mut trace = Trace::new(&["share"]);
        trace.push(row(1));
        trace.push(row(2));
        let csv = "tick,agents,missed,found,best,share\n1,3,0,2.5,2.5,0.5\n2,3,0,,2.5,0.5\n";
        assert_eq!(trace.csv(), csv);
        let lines = trace.json_lines();
        let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            second,
            serde_json::json!({ "tick": 2, "agents": 3, "missed": 0, "found": null, "best": 2.5, "share": 0.5 })
        );
    }

    #[test]
    fn however_many_ticks_there_are_the_rows_are_bounded_and_even() {
        let mut trace = Trace::new(&["share"]);
        let ticks = TRACE_ROWS_MAX as u64 * 3;
        (1..=ticks).for_each(|tick| trace.push(row(tick)));
        assert_eq!(trace.every, 4);
        assert!(trace.rows.len() <= TRACE_ROWS_MAX && trace.rows.len() > TRACE_ROWS_MAX / 2);
        assert!(trace.rows.windows(2).all(|pair| pair[1].tick - pair[0].tick == 4));
    }
}
