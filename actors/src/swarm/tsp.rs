//! Ants that look for the shortest round through all cities: the MAX–MIN ant system (Stützle and Hoos 2000).
//!
//! In a tick every ant makes a round, from city to city among the nearest ones, as likely as trail and nearness attract; with local
//! search it then improves it by 2-opt and 3-opt. The best of the tick, or of all, lays its trail. Trails that say nothing new any
//! more are taken back.
//!
//! Trails lie on the roads from each city to its candidates; all other roads have the least trail and are taken when no candidate is
//! left.

mod construct;
mod improve;
mod instance;
#[cfg(test)]
mod tests;
mod tsplib;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::{
    construct::Memory,
    improve::{Improver, Near},
};
pub use self::{
    construct::Roads,
    instance::{Instance, Metric},
};
use super::{
    Candidate, Dice, Model, Moment, Turn, number,
    pheromone::{Pheromone, max_min},
};
use crate::limits::AGENTS_MAX;

/// The most candidates of a city.
pub const CANDIDATES_MAX: usize = 32;

/// Near cities that local search tries.
const NEAR_TRIED: usize = 10;

/// How a colony looks for a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How many ants there are; with [`local_search`](Self::local_search) 25 are usual, without as many as cities.
    pub ants: u32,
    /// The nearest cities among which an ant chooses, at most [`CANDIDATES_MAX`].
    pub candidates: usize,
    /// How much trails count.
    pub alpha: i32,
    /// How much nearness counts.
    pub beta: i32,
    /// The share of all trails that evaporates in a tick.
    pub evaporation: f64,
    /// Whether rounds are improved by 2-opt and 3-opt.
    pub local_search: bool,
    /// The ticks without a better round after which all trails are taken back.
    pub patience: u64,
}

impl Options {
    /// What suits an instance of so many cities, with local search.
    pub const fn searching() -> Self {
        Self {
            ants: 25,
            candidates: 20,
            alpha: 1,
            beta: 2,
            evaporation: 0.2,
            local_search: true,
            patience: 100,
        }
    }

    /// What suits an instance of so many cities, without local search.
    pub const fn constructing(ants: u32) -> Self {
        Self {
            ants,
            candidates: 20,
            alpha: 1,
            beta: 2,
            evaporation: 0.02,
            local_search: false,
            patience: 500,
        }
    }
}

/// A colony of ants with an instance.
#[derive(Debug)]
pub struct TspColony {
    instance: Arc<Instance>,
    options: Options,
    /// By city, its nearest, so many each.
    near: Vec<u32>,
    each: usize,
    /// By road to a candidate, how much nearness attracts.
    nearness: Vec<f64>,
}

impl TspColony {
    /// A colony on an instance.
    ///
    /// # Errors
    /// What is wrong with the options, and what to change.
    pub fn new(instance: impl Into<Arc<Instance>>, options: Options) -> Result<Self, String> {
        check(&options)?;
        let instance = instance.into();
        let (each, near) = instance.nearest(options.candidates);
        let roads = near.iter().enumerate();
        let nearness = roads.map(|(at, to)| {
            let distance = f64::from(instance.distance(number(at / each), *to));
            // TSPLIB has cities at one place.
            (1.0 / distance.max(0.1)).powi(options.beta)
        });
        Ok(Self { nearness: nearness.collect(), instance, options, near, each })
    }

    /// Where the ants go.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// How they look.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The roads that have trails: from each city to its candidates, in the order of the trails.
    pub fn roads(&self) -> impl Iterator<Item = (u32, u32)> {
        self.near.iter().enumerate().map(|(at, to)| (number(at / self.each), *to))
    }

    /// The road to a candidate.
    fn road(&self, from: u32, to: u32) -> Option<usize> {
        let first = from as usize * self.each;
        let near = self.near.get(first..first + self.each)?;
        near.iter().position(|city| *city == to).map(|at| first + at)
    }

    fn attract(&self, world: &mut TspWorld) {
        let alpha = self.options.alpha;
        let of = |(trail, nearness): (&f64, &f64)| trail.powi(alpha) * nearness;
        world.attraction.clear();
        world.attraction.extend(world.trails.trails().iter().zip(&self.nearness).map(of));
    }

    /// The bounds of trails when the best round is of this length.
    fn bounds(&self, length: u64) -> (f64, f64) {
        let Options { evaporation, local_search, .. } = self.options;
        let cities = f64::from(self.instance.cities());
        let length = length as f64;
        if local_search {
            let high = 1.0 / (evaporation * length.max(1.0));
            return (high / (2.0 * cities), high);
        }
        max_min(length, evaporation, (cities, self.each as f64 / 2.0 + 1.0), 0.05)
    }

    /// Lays the trail of a round, in both directions.
    fn lay(&self, world: &mut TspWorld, tour: &[u32], length: u64) {
        let amount = 1.0 / (length as f64).max(1.0);
        for (one, other) in tour.iter().zip(tour.iter().skip(1).chain(tour.first())) {
            for road in [self.road(*one, *other), self.road(*other, *one)].into_iter().flatten() {
                world.trails.lay(road, amount);
            }
        }
    }

    fn is_turn_of_best(&self, since_restart: u64) -> bool {
        if !self.options.local_search {
            return since_restart.is_multiple_of(25);
        }
        // The schedule of Stützle and Hoos: the best so far ever more often.
        let every = match since_restart {
            0..25 => return false,
            25..75 => 5,
            75..125 => 3,
            125..250 => 2,
            250.. => 1,
        };
        since_restart.is_multiple_of(every)
    }
}

fn check(options: &Options) -> Result<(), String> {
    let Options { ants, candidates, alpha, beta, evaporation, patience, .. } = *options;
    let mut problems = Vec::new();
    if ants as usize > AGENTS_MAX {
        problems.push(format!("{ants} ants; at most {AGENTS_MAX} are possible"));
    }
    if !(1..=CANDIDATES_MAX).contains(&candidates) {
        problems.push(format!("{candidates} candidates; from 1 to {CANDIDATES_MAX} are possible"));
    }
    if !(0..=8).contains(&alpha) || !(0..=8).contains(&beta) {
        problems.push(format!("the exponents {alpha} and {beta}; from 0 to 8 are possible"));
    }
    if !(evaporation > 0.0 && evaporation < 1.0) {
        problems.push(format!("an evaporation of {evaporation}; give a share between 0 and 1"));
    }
    if patience == 0 {
        problems.push("a patience of 0 ticks; give it one at the least".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

/// What changes in the course of a colony.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TspWorld {
    /// By road to a candidate.
    trails: Pheromone,
    /// The same times nearness, each by its exponent.
    attraction: Vec<f64>,
    /// What the ants of this tick have brought, by ant.
    tours: Vec<Option<Tour>>,
    /// The best since trails were taken back last, and the ticks since then and since it was found.
    best: Option<Tour>,
    since_restart: u64,
    since_better: u64,
    restarts: u64,
    /// The mean length of the last tick's rounds.
    mean: f64,
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tour {
    /// The cities, in the order of the round.
    pub cities: Vec<u32>,
    /// Its length.
    pub length: u64,
}

impl TspWorld {
    /// The trails, by road.
    pub fn trails(&self) -> &Pheromone {
        &self.trails
    }

    /// How often all trails were taken back.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// What an ant needs to remember a round and to improve it.
#[derive(Debug, Default)]
pub struct TourScratch {
    memory: Memory,
    improver: Improver,
}

impl Model for TspColony {
    type World = TspWorld;
    type View<'a> = Roads<'a>;
    type Action = Tour;
    type Scratch = TourScratch;
    type Solution = Tour;

    fn describe(&self) -> String {
        let Self { instance, options, .. } = self;
        format!("{} of {} cities, {options:?}", instance.name(), instance.cities())
    }

    fn world(&self, _: &mut Dice) -> Result<TspWorld, String> {
        let trails = Pheromone::new(self.near.len(), self.options.evaporation, (0.0, 1.0))?;
        let mut world = TspWorld {
            trails,
            attraction: Vec::new(),
            tours: vec![None; self.options.ants as usize],
            best: None,
            since_restart: 0,
            since_better: 0,
            restarts: 0,
            mean: f64::NAN,
        };
        self.attract(&mut world);
        Ok(world)
    }

    fn born(&self, _: &TspWorld) -> u32 {
        self.options.ants
    }

    fn view<'a>(&'a self, world: &'a TspWorld, _: u32) -> Roads<'a> {
        Roads { colony: self, world }
    }

    fn decide(&self, view: Roads<'_>, turn: &mut Turn, scratch: &mut TourScratch) -> Tour {
        let mut cities = view.tour(&mut turn.dice, &mut scratch.memory);
        if self.options.local_search {
            let looked_at = NEAR_TRIED.min(self.each);
            let (instance, lists, each) = (&*self.instance, &*self.near, self.each);
            let near = Near { instance, lists, each, looked_at };
            let all = 0..self.instance.cities();
            scratch.improver.improve(&mut cities, near, all);
        }
        let length = self.instance.length(&cities).unwrap_or(u64::MAX);
        Tour { cities, length }
    }

    fn apply(&self, world: &mut TspWorld, agent: u32, tour: Tour) {
        if let Some(own) = world.tours.get_mut(agent as usize) {
            *own = Some(tour);
        }
    }

    fn advance(&self, world: &mut TspWorld, moment: Moment<'_, Tour>) -> Option<Candidate<Tour>> {
        let tours: Vec<Tour> = world.tours.iter_mut().filter_map(Option::take).collect();
        world.mean = tours.iter().map(|tour| tour.length as f64).sum::<f64>() / tours.len() as f64;
        let found = tours.into_iter().reduce(shorter)?;
        world.since_restart += 1;
        world.since_better += 1;
        if world.best.as_ref().is_none_or(|best| found.length < best.length) {
            world.best = Some(found.clone());
            world.since_better = 0;
        }
        let best = moment.best.map_or(found.length, |best| best.solution.length.min(found.length));
        let (low, high) = self.bounds(best);
        world.trails.set_bounds(low, high);
        if world.since_better >= self.options.patience || world.since_restart == 1 {
            self.restart(world, &found);
        }
        world.trails.evaporate();
        match &world.best {
            Some(best) if self.is_turn_of_best(world.since_restart) => {
                let best = best.clone();
                self.lay(world, &best.cities, best.length);
            }
            Some(_) | None => self.lay(world, &found.cities, found.length),
        }
        self.attract(world);
        Some(Candidate { cost: found.length as f64, solution: found })
    }

    fn price(&self, _: &TspWorld, tour: &Tour) -> Option<f64> {
        self.instance.length(&tour.cities).map(|length| length as f64)
    }

    fn measures(&self) -> &'static [&'static str] {
        &["mean", "restarts"]
    }

    fn measure(&self, world: &TspWorld) -> Vec<f64> {
        vec![world.mean, world.restarts as f64]
    }
}

impl TspColony {
    /// Takes all trails back to where they began; the best of the tick begins anew.
    fn restart(&self, world: &mut TspWorld, found: &Tour) {
        world.trails.reset();
        world.restarts += u64::from(world.since_restart > 1);
        (world.since_restart, world.since_better) = (1, 0);
        world.best = Some(found.clone());
    }
}

/// The shorter of two rounds; the first one where they are of one length.
fn shorter(one: Tour, other: Tour) -> Tour {
    if other.length < one.length { other } else { one }
}
