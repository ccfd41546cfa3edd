//! What a swarm came to, as a run file speaks: cells instead of places, cities from 1.

use actors::{
    pattern::swarm::Told,
    swarm::{Best, course::End, detect::Emerged, trace::Row},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Ground, Scene};
use crate::runfile::Cell;

/// What a swarm came to, or how far it came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Swarmed {
    /// What it was.
    pub model: String,
    /// What all dice followed from.
    pub seed: u64,
    /// The best so far.
    pub best: Option<Answer>,
    /// Why it ended; none where it was cut off, or goes on.
    #[serde(flatten)]
    pub end: Option<End>,
    /// The ticks that are done.
    pub ticks: u64,
    /// The agents that live.
    pub agents: u32,
    /// The moves that were missed in the last life of the run.
    pub missed: u64,
    /// The patterns that have emerged, in the order in which they did first.
    pub emerged: Vec<Stretch>,
    /// A row a tick.
    pub trace: Rows,
    /// What is to be drawn of the world at the end, where that is known.
    #[serde(skip)]
    pub scene: Option<Scene>,
}

/// The best so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The tick that found it; 0 where it was known before.
    pub tick: u64,
    /// What it costs.
    pub cost: f64,
    /// What it is.
    #[serde(flatten)]
    pub found: Option<Found>,
}

/// What a swarm looks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A way, from start to goal.
    Way(Vec<Cell>),
    /// A round through all cities, numbered from 1 as in their file.
    Tour(Vec<u32>),
    /// Units of food that were brought home; the cost is what is left.
    Brought(u64),
}

/// A pattern that was there for some ticks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// What it is called.
    pub pattern: String,
    /// The first of them.
    pub since: u64,
    /// The last of them so far.
    pub until: u64,
    /// How strong it was in the first, from 0 to 1.
    pub strength: f64,
    /// The share of the agents that were part of it then.
    pub share: f64,
}

/// The trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// What the model measures.
    pub measures: Vec<String>,
    /// Every how many ticks there is a row.
    pub every: u64,
    /// The rows, by tick.
    pub rows: Vec<Row>,
}

impl Serialize for Rows {
    /// A list of columns, and a list of values for each row.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = ["tick", "agents", "missed", "found", "best"].into_iter();
        let columns: Vec<&str> = own.chain(self.measures.iter().map(String::as_str)).collect();
        let row = |row: &Row| {
            let Row { tick, agents, missed, found, best, measures } = row;
            let mut values =
                vec![json!(tick), json!(agents), json!(missed), json!(found), json!(best)];
            values.extend(measures.iter().map(|value| json!(value)));
            values
        };
        let rows: Vec<Vec<Value>> = self.rows.iter().map(row).collect();
        json!({ "every": self.every, "columns": columns, "rows": rows }).serialize(serializer)
    }
}

impl Rows {
    /// What a measure was in each row; empty where there is no such measure.
    pub fn measured(&self, name: &str) -> Vec<(u64, f64)> {
        let Some(at) = self.measures.iter().position(|own| own == name) else { return Vec::new() };
        let value = |row: &Row| Some((row.tick, row.measures.get(at).copied()?));
        self.rows.iter().filter_map(value).filter(|(_, value)| value.is_finite()).collect()
    }
}

impl Swarmed {
    /// What a swarm on this ground came to, with the rows of its trace, one every so many ticks.
    pub fn of(ground: &Ground, seed: u64, told: Told<Value>, trace: (u64, Vec<Row>)) -> Self {
        let Told { best, end, ticks, agents, missed, emerged } = told;
        let stretch = |own: Emerged<Value>| Stretch {
            pattern: own.pattern.name,
            since: own.since,
            until: own.until,
            strength: own.pattern.strength,
            share: own.pattern.share,
        };
        let (every, rows) = trace;
        Self {
            model: ground.model.clone(),
            seed,
            best: best.map(|best| answer(ground, best)),
            end,
            ticks,
            agents,
            missed,
            emerged: emerged.into_iter().map(stretch).collect(),
            trace: Rows { measures: ground.measures.clone(), every, rows },
            scene: None,
        }
    }
}

fn answer(ground: &Ground, Best { tick, cost, solution }: Best<Value>) -> Answer {
    let numbers =
        |value: &Value| -> Option<Vec<u32>> { serde_json::from_value(value.clone()).ok() };
    let found = match (ground.model.as_str(), ground.columns) {
        ("path", Some(columns)) => numbers(&solution).map(|way| {
            let cell = |place: u32| (place % columns.max(1), place / columns.max(1));
            Found::Way(way.into_iter().map(cell).collect())
        }),
        ("tsp", _) => solution.get("cities").and_then(numbers).map(|round| {
            Found::Tour(round.into_iter().map(|city| city.saturating_add(1)).collect())
        }),
        ("foraging", _) => solution.as_u64().map(Found::Brought),
        _ => None,
    };
    Answer { tick, cost, found }
}

/// The same, with solutions as JSON.
pub(super) fn in_json<S: Serialize>(told: Told<S>) -> Told<Value> {
    let json = |solution: &S| serde_json::to_value(solution).unwrap_or_default();
    let Told { best, end, ticks, agents, missed, emerged } = told;
    let best = best.map(|best| {
        let Best { tick, cost, solution } = best;
        Best { tick, cost, solution: json(&solution) }
    });
    let emerged = emerged.into_iter().map(|own| Emerged {
        since: own.since,
        until: own.until,
        pattern: actors::swarm::detect::Pattern {
            name: own.pattern.name,
            strength: own.pattern.strength,
            share: own.pattern.share,
            extracted: None,
        },
    });
    Told { best, end, ticks, agents, missed, emerged: emerged.collect() }
}
