//! One walk of one ant, by what it sees from where it stands.

use super::{
    super::{Dice, nth, terrain::Place},
    DecisionRule, PathColony, PathWorld,
};

/// What an ant sees: the steps from any place that it stands on, and nothing farther.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    colony: &'a PathColony,
    world: &'a PathWorld,
}

/// A step that can be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Where it leads.
    pub to: Place,
    /// What it costs.
    pub cost: f64,
    /// The trail on it.
    pub trail: f64,
    /// How much ants want to take it, whatever the trail on it is.
    pub desire: f64,
}

/// A way from start to goal.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Walk {
    /// What it costs.
    pub cost: f64,
    /// Its places.
    pub way: Vec<Place>,
}

/// What an ant brings home from a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The way that it has found.
    Arrived(Walk),
    /// It has been everywhere, and the goal was not there.
    Enclosed,
}

/// What an ant needs to remember a walk; kept from ant to ant, so that none of it is made anew.
#[derive(Debug, Default)]
pub struct WalkScratch {
    /// By place, the walk that was here last.
    seen: Vec<u32>,
    walk: u32,
    way: Vec<Place>,
    exits: Vec<Exit>,
    weights: Vec<f64>,
    /// By place of the way, where it stands in it.
    order: Vec<u32>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(colony: &'a PathColony, world: &'a PathWorld) -> Self {
        Self { colony, world }
    }

    /// The steps that can be taken from a place.
    pub fn exits(self, from: Place) -> impl Iterator<Item = Exit> {
        let Self { colony, world } = self;
        let terrain = &colony.terrain;
        terrain.steps(from).filter(|step| !world.is_closed(*step)).map(move |step| Exit {
            to: terrain.target(step),
            cost: terrain.cost(step),
            trail: world.trails.trail(step),
            desire: nth(&colony.desires, step),
        })
    }

    /// Walks from the start to the goal and home again.
    pub(super) fn walk(
        self,
        decision: &dyn DecisionRule,
        dice: &mut Dice,
        scratch: &mut WalkScratch,
    ) -> Action {
        scratch.begin(self.colony.terrain.places(), self.colony.start);
        while let Some(here) = scratch.way.last().copied() {
            if here == self.colony.goal {
                return Action::Arrived(self.home(scratch));
            }
            scratch.look(self, here);
            let chosen = decision.choose(&scratch.weights, dice).unwrap_or(0);
            match scratch.exits.get(chosen).or(scratch.exits.first()) {
                Some(exit) => scratch.go(exit.to),
                None => drop(scratch.way.pop()),
            }
        }
        Action::Enclosed
    }

    /// The way home, from the goal: at each place, on to the one of the way before it and next to it from which the start is
    /// nearest along what is known.
    fn home(self, scratch: &mut WalkScratch) -> Walk {
        let WalkScratch { way, order, .. } = scratch;
        for (place, at) in way.iter().zip(0..) {
            if let Some(own) = order.get_mut(*place as usize) {
                *own = at;
            }
        }
        // From the goal's end: what is left of the way from each place, and the next place on it.
        let mut left = vec![(f64::INFINITY, 0_usize); way.len()];
        if let Some(last) = left.last_mut() {
            *last = (0.0, way.len());
        }
        for (at, place) in way.iter().enumerate().rev().skip(1) {
            let mut best = (f64::INFINITY, 0);
            for exit in self.exits(*place) {
                let next = nth(order, exit.to as usize) as usize;
                if next > at && way.get(next) == Some(&exit.to) {
                    let cost = exit.cost + nth(&left, next).0;
                    if cost < best.0 {
                        best = (cost, next);
                    }
                }
            }
            if let Some(own) = left.get_mut(at) {
                *own = best;
            }
        }
        let cost = nth(&left, 0).0;
        let (mut short, mut at) = (Vec::new(), 0);
        while let Some(place) = way.get(at) {
            short.push(*place);
            at = nth(&left, at).1;
        }
        Walk { cost, way: short }
    }
}

impl WalkScratch {
    fn begin(&mut self, places: usize, start: Place) {
        if self.seen.len() != places || self.walk == u32::MAX {
            (self.seen, self.order, self.walk) = (vec![0; places], vec![0; places], 0);
        }
        self.walk += 1;
        self.way.clear();
        self.go(start);
    }

    fn go(&mut self, to: Place) {
        self.way.push(to);
        if let Some(seen) = self.seen.get_mut(to as usize) {
            *seen = self.walk;
        }
    }

    /// Takes in where one could go that one has not been.
    fn look(&mut self, around: Surroundings<'_>, here: Place) {
        self.exits.clear();
        self.weights.clear();
        for exit in around.exits(here) {
            if nth(&self.seen, exit.to as usize) != self.walk {
                self.weights.push(exit.trail * exit.desire);
                self.exits.push(exit);
            }
        }
    }
}
