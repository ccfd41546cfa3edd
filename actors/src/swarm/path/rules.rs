//! The rules by which ants live, as traits: how they move, how they decide, and which trails they lay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    super::{
        Dice,
        pheromone::{Pheromone, max_min},
        terrain::{Place, Terrain},
    },
    Walk,
};

/// How much ants want to take a step, whatever the trail on it is.
pub trait MovementRule: Send + Sync + 'static {
    /// Above 0; the more, the likelier.
    fn desire(&self, step: Step) -> f64;
}

/// A step, as an ant that stands before it sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What it costs.
    pub cost: f64,
    /// What the way to the goal costs at least before it and behind it, as the crow flies; 0 where there is no telling.
    pub before: f64,
    /// The same, behind it.
    pub after: f64,
}

/// How ants choose among steps.
pub trait DecisionRule: Send + Sync + 'static {
    /// The place of one of `weights`, which are the trails times the desires; none where nothing weighs anything.
    fn choose(&self, weights: &[f64], dice: &mut Dice) -> Option<usize>;
}

/// Who leaves which trails when all ants are home.
pub trait PheromoneRule: Send + Sync + 'static {
    /// The bounds of trails before the first tick.
    fn first(&self) -> (f64, f64);

    /// Lets trails evaporate and lays new ones.
    fn lay(&self, terrain: &Terrain, trails: &mut Pheromone, tick: Tick<'_>);
}

/// What the ants of a tick have brought home.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// The tick, from 1.
    pub tick: u64,
    /// All that arrived, by ant.
    pub walks: &'a [Walk],
    /// The best of them.
    pub found: Option<&'a Walk>,
    /// The best so far, this tick's included.
    pub best: Option<&'a Walk>,
}

/// Ants want to spend little and to come nearer: 1 / (cost + slack × detour)^keenness, where the detour is by how much a step makes
/// the way longer than the crow's, and is 0 where there is no telling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compass {
    /// How much more a detour repels than a cost.
    pub slack: f64,
    /// How much ants insist.
    pub keenness: i32,
}

impl Default for Compass {
    fn default() -> Self {
        Self { slack: 4.0, keenness: 2 }
    }
}

impl MovementRule for Compass {
    fn desire(&self, Step { cost, before, after }: Step) -> f64 {
        let detour = (cost + after - before).max(0.0);
        let knows = before > 0.0 || after > 0.0;
        let weight = if knows { 1.0 + self.slack * detour } else { cost };
        weight.powi(-self.keenness)
    }
}

/// Each step is as likely as it weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProportionalChoice;

impl DecisionRule for ProportionalChoice {
    fn choose(&self, weights: &[f64], dice: &mut Dice) -> Option<usize> {
        dice.weighted(weights)
    }
}

/// With this probability the step that weighs most, else each as likely as it weighs (the ant colony system's rule).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PseudoProportionalChoice(pub f64);

impl DecisionRule for PseudoProportionalChoice {
    fn choose(&self, weights: &[f64], dice: &mut Dice) -> Option<usize> {
        if dice.unit() >= self.0 {
            return dice.weighted(weights);
        }
        let most = weights.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
        most.map(|(at, _)| at)
    }
}

/// The share by which sums of costs differ that are not the same sum in another order.
const COSTS_DIFFER: f64 = 1e-9;

/// The trails of the MAX–MIN ant system: all evaporate, and the best of the tick or the best so far is laid, as 1 / its cost,
/// between bounds that follow the best so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxMin {
    /// Every how many ticks the best so far is laid, and not that of the tick.
    pub best_every: u64,
    /// How likely an ant makes the best way anew when all have converged to it.
    pub again: f64,
}

impl Default for MaxMin {
    fn default() -> Self {
        Self { best_every: 2, again: 0.95 }
    }
}

impl PheromoneRule for MaxMin {
    fn first(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn lay(&self, terrain: &Terrain, trails: &mut Pheromone, tick: Tick<'_>) {
        let Some(best) = tick.best else { return };
        let decisions = best.way.len() as f64;
        let choices = terrain.len() as f64 / terrain.places().max(1) as f64;
        let (low, high) =
            max_min(best.cost, trails.evaporation(), (decisions, choices), self.again);
        let is_first = trails.bounds() == self.first();
        trails.set_bounds(low, high);
        if is_first {
            trails.reset();
        }
        trails.evaporate();
        // Another way that costs the same would keep the ants from agreeing on one.
        let is_other = |found: &&Walk| found.cost > best.cost * (1.0 + COSTS_DIFFER);
        let is_turn_of_best = tick.tick.is_multiple_of(self.best_every.max(1));
        let of_tick = tick.found.filter(is_other).filter(|_| !is_turn_of_best);
        let laid = of_tick.unwrap_or(best);
        for (from, to) in laid.way.iter().zip(laid.way.iter().skip(1)) {
            if let Some(step) = terrain.step(*from, *to) {
                trails.lay(step, 1.0 / laid.cost);
            }
        }
    }
}

/// What became of a tick's ants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// How many arrived.
    pub arrived: u32,
    /// The way that most of them took; the cheapest of those, and the first of these.
    pub way: Vec<Place>,
    /// The share of all ants that took it.
    pub share: f64,
}

impl Crowd {
    pub(super) fn of(walks: &[Walk], ants: u32) -> Self {
        let mut counts: BTreeMap<&[Place], (u32, f64)> = BTreeMap::new();
        for walk in walks {
            counts.entry(&walk.way).or_insert((0, walk.cost)).0 += 1;
        }
        let most = counts.into_iter().reduce(|most, own| {
            let ((_, (many, cheap)), (_, (count, cost))) = (&most, &own);
            if count > many || (count == many && cost < cheap) { own } else { most }
        });
        let Some((way, (count, _))) = most else { return Self::default() };
        let share = f64::from(count) / f64::from(ants.max(1));
        Self { arrived: super::number(walks.len()), way: way.to_vec(), share }
    }
}
