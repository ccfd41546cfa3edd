//! How an ant makes a tour: from city to city, by the random proportional rule over each city's candidates.

use super::super::{Dice, nth};
use super::{Instance, TspColony, TspWorld};

/// What an ant sees from the city that it is in: the candidates, how much each attracts, and how far other cities are.
#[derive(Clone, Copy, Debug)]
pub struct Roads<'a> {
    pub(super) colony: &'a TspColony,
    pub(super) world: &'a TspWorld,
}

/// What an ant needs to remember a tour.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By city, 1 as long as it was not visited.
    unvisited: Vec<f64>,
    /// Cities that were not visited when somebody last looked, in no order.
    left: Vec<u32>,
}

impl Roads<'_> {
    fn instance(&self) -> &Instance {
        &self.colony.instance
    }

    /// Makes a tour that begins anywhere.
    pub(super) fn tour(self, dice: &mut Dice, memory: &mut Memory) -> Vec<u32> {
        let cities = self.instance().cities();
        memory.begin(cities);
        let mut tour = Vec::with_capacity(cities as usize);
        let mut here = dice.below(cities);
        memory.visit(here);
        tour.push(here);
        for _ in 1..cities {
            here = match self.candidate(here, dice, memory) {
                Some(next) => next,
                None => self.nearest_left(here, memory),
            };
            memory.visit(here);
            tour.push(here);
        }
        tour
    }

    /// One of the candidates that were not visited, as likely as it attracts.
    #[inline]
    fn candidate(&self, here: u32, dice: &mut Dice, memory: &Memory) -> Option<u32> {
        let each = self.colony.each;
        let from = here as usize * each;
        let near = self.colony.near.get(from..from + each)?;
        let attraction = self.world.attraction.get(from..from + each)?;
        let mut sums = [0.0_f64; super::CANDIDATES_MAX];
        let mut sum = 0.0;
        for ((own, weight), city) in sums.iter_mut().zip(attraction).zip(near) {
            sum += weight * nth(&memory.unvisited, *city as usize);
            *own = sum;
        }
        if sum <= 0.0 {
            return None;
        }
        let thrown = dice.unit() * sum;
        let chosen = sums.iter().take(each).position(|own| thrown < *own)?;
        near.get(chosen).copied()
    }

    /// The nearest city that was not visited: all roads but those to candidates have the least trail.
    fn nearest_left(&self, here: u32, memory: &mut Memory) -> u32 {
        let Memory { unvisited, left } = memory;
        left.retain(|city| nth(unvisited, *city as usize) > 0.0);
        let instance = self.instance();
        let nearest = left.iter().min_by_key(|city| (instance.distance(here, **city), **city));
        nearest.copied().unwrap_or(here)
    }
}

impl Memory {
    fn begin(&mut self, cities: u32) {
        self.unvisited.clear();
        self.unvisited.resize(cities as usize, 1.0);
        self.left.clear();
        self.left.extend(0..cities);
    }

    #[inline]
    fn visit(&mut self, city: u32) {
        if let Some(unvisited) = self.unvisited.get_mut(city as usize) {
            *unvisited = 0.0;
        }
    }
}
