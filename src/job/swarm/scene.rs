//! What is to be drawn of a swarm's world at its end, as plain values.

use actors::swarm::{
    Model as _,
    boids::{Bird, Flock},
    foraging::{Colony, Foragers},
    path::{PathColony, PathWorld},
    terrain::{Place, Terrain},
    tsp::{TspColony, TspWorld},
};

use crate::runfile::Cell;

/// A world at the end of a swarm.
#[derive(Debug, Clone, PartialEq)]
pub enum Scene {
    /// A map with trails on the steps between its cells.
    Map {
        /// Its columns.
        columns: u32,
        /// By place, row by row, whether it is free.
        free: Vec<bool>,
        /// Cells that became obstacles in the course of the swarm.
        dropped: Vec<Cell>,
        /// Where the ants start.
        start: Cell,
        /// What they look for.
        goal: Cell,
        /// The trails between two cells, the stronger direction.
        trails: Vec<Trail<Cell>>,
    },
    /// Cities with trails on the roads between them; where they are is not known of all.
    Cities {
        /// Where each is.
        at: Vec<(f64, f64)>,
        /// The trails between two cities by number from 0, the stronger direction.
        trails: Vec<Trail<u32>>,
    },
    /// Birds on a square without edges.
    Birds {
        /// Its side.
        side: f64,
        /// The birds.
        birds: Vec<Bird>,
    },
    /// A map with food and trails in its cells.
    Forage {
        /// Its columns.
        columns: u32,
        /// By place, row by row, whether it is free.
        free: Vec<bool>,
        /// The nest.
        nest: Cell,
        /// Where food was, and how much is left.
        food: Vec<(Cell, u32, u32)>,
        /// How strong the trail in a cell is.
        trails: Vec<(Cell, f64)>,
        /// Where the ants are that live.
        ants: Vec<Cell>,
    },
}

/// A trail between two places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trail<P> {
    /// One end.
    pub from: P,
    /// The other.
    pub to: P,
    /// How strong it is, from 0 to 1: (τ − τmin) / (τmax − τmin).
    pub strength: f64,
}

/// The weakest trail that is drawn.
const STRENGTH_MIN: f64 = 0.02;

/// The map of a colony, with its trails.
pub(super) fn of_path(colony: &PathColony, world: &PathWorld) -> Scene {
    let terrain = colony.terrain();
    let (start, goal) = colony.ends();
    let cell = |place| cell(terrain, place);
    let of = |from: Place| terrain.steps(from).map(move |step| (from, step));
    let steps = places(terrain).flat_map(of).filter(|(_, step)| !world.is_closed(*step));
    let trails = steps.map(|(from, step)| Trail {
        from,
        to: terrain.target(step),
        strength: world.trails().strength(step),
    });
    let drawn = |trail: Trail<Place>| Trail {
        from: cell(trail.from),
        to: cell(trail.to),
        strength: trail.strength,
    };
    Scene::Map {
        columns: terrain.columns().unwrap_or(0),
        free: free(terrain),
        dropped: world.blocked().iter().copied().map(cell).collect(),
        start: cell(start),
        goal: cell(goal),
        trails: strong(trails).into_iter().map(drawn).collect(),
    }
}

/// The cities of a colony, with its trails.
pub(super) fn of_tsp(colony: &TspColony, world: &TspWorld) -> Scene {
    let trails = colony.roads().enumerate().map(|(road, (from, to))| Trail {
        from,
        to,
        strength: world.trails().strength(road),
    });
    let at = colony.instance().positions().unwrap_or_default().to_vec();
    Scene::Cities { at, trails: strong(trails) }
}

/// The birds of a flock.
pub(super) fn of_boids(flock: &Flock) -> Scene {
    Scene::Birds { side: flock.side(), birds: flock.birds().to_vec() }
}

/// The map of a colony, with its food and its ants.
pub(super) fn of_foraging(foragers: &Foragers, colony: &Colony) -> Scene {
    let terrain = foragers.terrain();
    let cell = |place| cell(terrain, place);
    let food = foragers.food().iter();
    let food = food.map(|(at, units)| (cell(*at), *units, colony.food().at(*at)));
    let trails = places(terrain).filter(|place| terrain.is_open(*place));
    let trails = trails.map(|place| (cell(place), colony.trails().strength(place as usize)));
    let living = (0..).zip(colony.foragers());
    let living = living.filter(|(agent, _)| foragers.lives(colony, *agent));
    Scene::Forage {
        columns: terrain.columns().unwrap_or(0),
        free: free(terrain),
        nest: cell(foragers.nest()),
        food: food.collect(),
        trails: trails.filter(|(_, strength)| *strength >= STRENGTH_MIN).collect(),
        ants: living.filter_map(|(_, ant)| ant.place()).map(cell).collect(),
    }
}

fn places(terrain: &Terrain) -> std::ops::Range<Place> {
    0..Place::try_from(terrain.places()).unwrap_or(Place::MAX)
}

fn free(terrain: &Terrain) -> Vec<bool> {
    places(terrain).map(|place| terrain.is_open(place)).collect()
}

fn cell(terrain: &Terrain, place: Place) -> Cell {
    let columns = terrain.columns().unwrap_or(u32::MAX).max(1);
    (place % columns, place / columns)
}

/// The trails that are drawn: of both directions the stronger one.
fn strong(trails: impl Iterator<Item = Trail<u32>>) -> Vec<Trail<u32>> {
    let mut strong = std::collections::BTreeMap::new();
    for Trail { from, to, strength } in trails.filter(|trail| trail.strength >= STRENGTH_MIN) {
        let own: &mut f64 = strong.entry((from.min(to), from.max(to))).or_default();
        *own = own.max(strength);
    }
    strong.into_iter().map(|((from, to), strength)| Trail { from, to, strength }).collect()
}
