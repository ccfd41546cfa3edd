//! `[swarm.NAME]`: read from a checked tree, checked against itself, filled in.
//!
//! What only the files of the model say, [`job`](crate::job) checks when they are read.

use std::time::Duration;

use actors::swarm::{Activation, boids::Reynolds, foraging, tsp};

use super::build::Fields;
use super::cross::{field, text};
use super::keys::{SWARM, SWARM_CHANGE, SWARM_FOOD, SWARM_MODEL, SWARM_PATTERN};
use super::model::Name;
use super::problem::Problem;
use super::scalar;
use super::template::{Template, Values};
use super::tree::{Entry, Table};

/// A place on a map: its column and its row, from 0.
pub type Cell = (u32, u32);

/// One `[swarm.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Swarm<T = String> {
    /// What `main` calls it.
    pub name: Name,
    /// What it is.
    pub model: Colony<T>,
    /// After how many ticks it ends.
    pub ticks: u64,
    /// After what time it ends.
    pub time: Option<Duration>,
    /// What all dice follow from.
    pub seed: u64,
    /// Who sees what in a tick.
    pub activation: Activation,
    /// How many agents one actor hosts.
    pub agents_per_actor: u32,
    /// The time that all agents have in one tick.
    pub tick_deadline: Duration,
    /// The time between two snapshots.
    pub snapshot_every: Duration,
    /// What is cheap enough to end it.
    pub stop_at: Option<f64>,
    /// From when on a pattern counts as there.
    pub pattern: SwarmPattern,
    /// What drops on the map, in the order of the file.
    pub changes: Vec<Obstacles>,
    /// The patterns that it comes after.
    pub after: Vec<Name>,
}

/// What a swarm is.
#[derive(Debug, Clone, PartialEq)]
pub enum Colony<T = String> {
    /// Ants that look for the shortest way on a map.
    Path {
        /// The file of the map.
        map: T,
        /// Where they start.
        start: Cell,
        /// Where they want to.
        goal: Cell,
        /// How many there are; `None`: as many as are usual.
        ants: Option<u32>,
        /// The share of trails that evaporates in a tick; `None`: what is usual.
        evaporation: Option<f64>,
    },
    /// Ants that look for the shortest round through cities.
    Tsp {
        /// The file of the cities.
        cities: T,
        /// How many there are; `None`: as many as are usual.
        ants: Option<u32>,
        /// How they look, but for their number.
        options: tsp::Options,
    },
    /// Birds that flock.
    Boids {
        /// How many there are.
        birds: u32,
        /// The side of their square.
        side: f64,
        /// How far they see.
        radius: f64,
        /// How far they fly in a tick.
        speed: f64,
        /// Their urges.
        urges: Reynolds,
    },
    /// Ants that bring food home.
    Foraging {
        /// The file of the map.
        map: T,
        /// Where the nest is.
        nest: Cell,
        /// Where food lies, and how much.
        food: Vec<(Cell, u32)>,
        /// What they are.
        options: foraging::Options,
    },
}

/// From when on a pattern counts as there; `None`: what is usual.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SwarmPattern {
    /// The least share of the agents.
    pub share: Option<f64>,
    /// The least strength.
    pub strength: Option<f64>,
}

/// Cells that become obstacles before a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacles {
    /// Before which, from 1.
    pub tick: u64,
    /// Which.
    pub cells: Vec<Cell>,
}

/// Builds the swarm that a checked table stands for.
pub(super) fn build(entry: &Entry, table: &Table) -> Option<Swarm<Template>> {
    let fields = Fields { table, shape: &SWARM };
    let pattern = fields.inner("pattern", &SWARM_PATTERN);
    let changes = fields.list("change");
    Some(Swarm {
        name: Name::new(&entry.key)?,
        model: colony(&fields.inner("model", &SWARM_MODEL))?,
        ticks: whole(&fields, "ticks")?,
        time: fields.duration("time"),
        seed: whole(&fields, "seed")?,
        activation: match fields.text("activation")?.as_str() {
            "simultaneous" => match fields.count32("stages")?.get() {
                1 => Activation::Simultaneous,
                stages => Activation::Staged(stages),
            },
            "in_order" => Activation::InOrder,
            "random" => Activation::Random,
            _ => return None,
        },
        agents_per_actor: fields.count32("agents_per_actor")?.get(),
        tick_deadline: fields.duration("tick_deadline")?,
        snapshot_every: fields.duration("snapshot_every")?,
        stop_at: number(&fields, "stop_at"),
        pattern: SwarmPattern {
            share: number(&pattern, "share"),
            strength: number(&pattern, "strength"),
        },
        changes: changes.iter().map(|node| change(node.value.table()?)).collect::<Option<_>>()?,
        after: fields.names("after")?,
    })
}

fn colony(model: &Fields<'_>) -> Option<Colony<Template>> {
    let file = |key: &str| model.text(key).map(|text| Template::new(&text));
    let cell = |key: &str| scalar::cell(&model.node(key)?.value);
    let ants = model.count32("ants").map(std::num::NonZeroU32::get);
    let evaporation = number(model, "evaporation");
    Some(match model.text("use")?.as_str() {
        "path" => {
            let (map, start, goal) = (file("map")?, cell("start")?, cell("goal")?);
            Colony::Path { map, start, goal, ants, evaporation }
        }
        "tsp" => Colony::Tsp { cities: file("cities")?, ants, options: searching(model)? },
        "boids" => Colony::Boids {
            birds: model.count32("birds")?.get(),
            side: number(model, "side")?,
            radius: number(model, "radius")?,
            speed: number(model, "speed")?,
            urges: Reynolds {
                cohesion: number(model, "cohesion")?,
                alignment: number(model, "alignment")?,
                separation: number(model, "separation")?,
                momentum: number(model, "momentum")?,
                whim: number(model, "whim")?,
            },
        },
        "foraging" => {
            let food = model.list("food");
            let food = food.iter().map(|node| portion(node.value.table()?)).collect::<Option<_>>();
            let usual = foraging::Options::default();
            let options = foraging::Options {
                foragers: model.count32("foragers")?.get(),
                strength: model.count32("strength")?.get(),
                lifespan: model.count32("lifespan")?.get(),
                brood: u32::try_from(model.integer("brood")?).ok()?,
                evaporation: evaporation.unwrap_or(usual.evaporation),
                appetite: number(model, "appetite")?,
            };
            Colony::Foraging { map: file("map")?, nest: cell("nest")?, food: food?, options }
        }
        _ => return None,
    })
}

/// How ants look for a round; their number is that of the ants with local search.
fn searching(model: &Fields<'_>) -> Option<tsp::Options> {
    let searching = tsp::Options::searching();
    let usual = match model.boolean("local_search") {
        true => searching,
        false => tsp::Options::constructing(searching.ants),
    };
    Some(tsp::Options {
        candidates: model.count("candidates")?.get(),
        evaporation: number(model, "evaporation").unwrap_or(usual.evaporation),
        patience: whole(model, "patience").unwrap_or(usual.patience),
        ..usual
    })
}

fn portion(table: &Table) -> Option<(Cell, u32)> {
    let fields = Fields { table, shape: &SWARM_FOOD };
    Some((scalar::cell(&fields.node("at")?.value)?, fields.count32("units")?.get()))
}

fn change(table: &Table) -> Option<Obstacles> {
    let fields = Fields { table, shape: &SWARM_CHANGE };
    let cells = fields.list("block");
    let cells = cells.iter().map(|node| scalar::cell(&node.value)).collect::<Option<_>>()?;
    Some(Obstacles { tick: whole(&fields, "tick")?, cells })
}

fn whole(fields: &Fields<'_>, key: &str) -> Option<u64> {
    u64::try_from(fields.integer(key)?).ok()
}

fn number(fields: &Fields<'_>, key: &str) -> Option<f64> {
    scalar::weight(&fields.node(key)?.value).ok().map(|number| number.to_f64())
}

/// Fills in the texts of a swarm.
pub(super) fn fill(swarm: &Swarm<Template>, values: &Values) -> Swarm {
    let file = |text: &Template| text.fill(values).unwrap_or_default();
    Swarm {
        name: swarm.name.clone(),
        model: match &swarm.model {
            Colony::Path { map, start, goal, ants, evaporation } => Colony::Path {
                map: file(map),
                start: *start,
                goal: *goal,
                ants: *ants,
                evaporation: *evaporation,
            },
            Colony::Tsp { cities, ants, options } => {
                Colony::Tsp { cities: file(cities), ants: *ants, options: *options }
            }
            Colony::Boids { birds, side, radius, speed, urges } => Colony::Boids {
                birds: *birds,
                side: *side,
                radius: *radius,
                speed: *speed,
                urges: *urges,
            },
            Colony::Foraging { map, nest, food, options } => Colony::Foraging {
                map: file(map),
                nest: *nest,
                food: food.clone(),
                options: *options,
            },
        },
        ticks: swarm.ticks,
        time: swarm.time,
        seed: swarm.seed,
        activation: swarm.activation,
        agents_per_actor: swarm.agents_per_actor,
        tick_deadline: swarm.tick_deadline,
        snapshot_every: swarm.snapshot_every,
        stop_at: swarm.stop_at,
        pattern: swarm.pattern,
        changes: swarm.changes.clone(),
        after: swarm.after.clone(),
    }
}

impl Colony {
    /// The file that it is read from, if there is one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Path { map, .. } | Self::Foraging { map, .. } => Some(map),
            Self::Tsp { cities, .. } => Some(cities),
            Self::Boids { .. } => None,
        }
    }

    /// The same, to be changed.
    pub fn file_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Path { map, .. } | Self::Foraging { map, .. } => Some(map),
            Self::Tsp { cities, .. } => Some(cities),
            Self::Boids { .. } => None,
        }
    }
}

/// Finds every problem of a swarm with itself.
pub(super) fn check(pattern: &Entry, problems: &mut Vec<Problem>) {
    let model = field(pattern, "model").and_then(|entry| entry.node.value.table());
    let kind = model.and_then(|model| text(model.node("use")?));
    let Some(kind) = kind else { return };
    problems.extend(stages(pattern));
    for (key, kinds, help) in [
        ("change", &["path"][..], "only ants on a way meet obstacles that drop"),
        ("stop_at", &["path", "tsp", "foraging"], "birds look for nothing that costs"),
        ("pattern", &["path", "boids"], "patterns are known of ways and of flocks"),
    ] {
        if let Some(entry) = field(pattern, key).filter(|_| !kinds.contains(&kind)) {
            problems.push(foreign(entry, kind, help));
        }
    }
    let share =
        field(pattern, "pattern").and_then(|entry| entry.node.value.table()?.entry("share"));
    if let Some(entry) = share.filter(|_| kind == "boids") {
        problems.push(foreign(entry, kind, "all birds are part of their flock"));
    }
    problems.extend(late(pattern));
    problems.extend(model.filter(|_| kind == "boids").and_then(blind));
}

fn foreign(entry: &Entry, kind: &str, help: &str) -> Problem {
    Problem::new(entry.key_at, format!("`{}` says nothing of a `{kind}` swarm", entry.key))
        .label("would never count")
        .help_with(format!("delete it: {help}"))
}

/// Checks that stages are counted only where all act at a time.
fn stages(pattern: &Entry) -> Option<Problem> {
    let activation = field(pattern, "activation")?;
    let word = text(&activation.node).filter(|word| *word != "simultaneous")?;
    let stages = field(pattern, "stages")?;
    Some(
        Problem::new(
            stages.key_at,
            format!("`stages` says nothing beside `activation = \"{word}\"`"),
        )
        .label("would never count")
        .also(activation.key_at, "each acts by itself")
        .help_with("delete one of the two"),
    )
}

/// Checks that what happens from outside happens before the end.
fn late(pattern: &Entry) -> Option<Problem> {
    let fields = Fields { table: pattern.node.value.table()?, shape: &SWARM };
    let ticks = fields.integer("ticks")?;
    let changes = field(pattern, "change")?.node.value.list()?;
    let node = changes.iter().find_map(|change| {
        let node = change.value.table()?.node("tick")?;
        (node.value.integer()? > ticks).then_some(node)
    })?;
    Some(
        Problem::new(node.at, format!("the swarm ends after {ticks} ticks"))
            .label("would never happen")
            .help_with(format!("give a tick from 1 to {ticks}, or raise `ticks`")),
    )
}

/// Checks that birds have a square to fly on and see no further than half of it.
fn blind(model: &Table) -> Option<Problem> {
    let fields = Fields { table: model, shape: &SWARM_MODEL };
    let number = |key: &str| number(&fields, key);
    let (side, radius, speed) = (number("side")?, number("radius")?, number("speed")?);
    let (key, what) = if side <= 0.0 {
        ("side", "a square without a side has no room".to_owned())
    } else if radius <= 0.0 || radius * 2.0 > side {
        ("radius", format!("birds see further than 0, and at most half of the side {side}"))
    } else if speed > side {
        ("speed", format!("birds fly at most the side {side} in a tick"))
    } else {
        return None;
    };
    let at = model.entry(key).or_else(|| model.entry("side")).or_else(|| model.entry("use"))?;
    Some(
        Problem::new(at.key_at, what)
            .label("not possible")
            .help_with("change `side`, `radius` or `speed`"),
    )
}
