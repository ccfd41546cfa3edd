//! Pheromones: trails that evaporate, between the bounds of the MAX–MIN ant system (Stützle and Hoos 2000).
//!
//! # Invariants
//! - Every trail is between the bounds, whatever is laid.

use serde::{Deserialize, Serialize};

use super::nth;

/// A trail on each edge of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pheromone {
    evaporation: f64,
    low: f64,
    high: f64,
    trails: Vec<f64>,
}

impl Pheromone {
    /// So many trails at the upper bound, of which the share `evaporation` is lost in each tick.
    ///
    /// # Errors
    /// The share is not between 0 and 1, or the bounds are no bounds; what to change.
    pub fn new(trails: usize, evaporation: f64, bounds: (f64, f64)) -> Result<Self, String> {
        let (low, high) = bounds;
        if !(0.0..=1.0).contains(&evaporation) {
            return Err(format!(
                "an evaporation of {evaporation} is none; give a share from 0 to 1"
            ));
        }
        if !(low >= 0.0 && low <= high && high.is_finite()) {
            return Err(format!(
                "{low} and {high} are no bounds of pheromones; give 0 ≤ least ≤ most"
            ));
        }
        Ok(Self { evaporation, low, high, trails: vec![high; trails] })
    }

    /// The trail on an edge.
    #[inline]
    pub fn trail(&self, edge: usize) -> f64 {
        nth(&self.trails, edge)
    }

    /// All trails, by edge.
    pub fn trails(&self) -> &[f64] {
        &self.trails
    }

    /// The share that is lost in each tick.
    pub fn evaporation(&self) -> f64 {
        self.evaporation
    }

    /// The least and the most that a trail may have.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Sets the bounds, and brings all trails between them; the upper one is taken for the lower one where it is less.
    pub fn set_bounds(&mut self, low: f64, high: f64) {
        (self.low, self.high) = (low, high.max(low));
        let (low, high) = (self.low, self.high);
        self.trails.iter_mut().for_each(|trail| *trail = trail.clamp(low, high));
    }

    /// Lets a tick's share of all trails evaporate.
    pub fn evaporate(&mut self) {
        let (kept, low) = (1.0 - self.evaporation, self.low);
        self.trails.iter_mut().for_each(|trail| *trail = (*trail * kept).max(low));
    }

    /// Lays `amount` on an edge.
    pub fn lay(&mut self, edge: usize, amount: f64) {
        if let Some(trail) = self.trails.get_mut(edge) {
            *trail = (*trail + amount).clamp(self.low, self.high);
        }
    }

    /// Takes all trails back to the upper bound.
    pub fn reset(&mut self) {
        self.trails.fill(self.high);
    }

    /// How strong the trail on an edge is, from 0 to 1: (τ − τmin) / (τmax − τmin). Where the bounds are one, it is 1.
    pub fn strength(&self, edge: usize) -> f64 {
        let span = self.high - self.low;
        if span > 0.0 { (self.trail(edge) - self.low) / span } else { 1.0 }
    }
}

/// The bounds of the MAX–MIN ant system: of best solutions of this cost, in which so many decisions were made among so many
/// choices on average, where a colony that has converged is to make the best one anew with the probability `again`.
pub fn max_min(
    cost: f64,
    evaporation: f64,
    (decisions, choices): (f64, f64),
    again: f64,
) -> (f64, f64) {
    let high = 1.0 / (evaporation.max(f64::MIN_POSITIVE) * cost.max(f64::MIN_POSITIVE));
    let each = again.clamp(f64::MIN_POSITIVE, 1.0).powf(1.0 / decisions.max(1.0));
    let low = high * (1.0 - each) / ((choices - 1.0).max(1.0) * each);
    let high = high.min(f64::MAX);
    (low.min(high), high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn trails_stay_between_their_bounds(
            done in prop::collection::vec((0_u8..4, 0_usize..5, 0.0..9.0_f64), 0..60),
            evaporation in 0.0..=1.0_f64,
        ) {
            let mut trails = Pheromone::new(4, evaporation, (0.5, 4.0)).unwrap();
            for (what, edge, amount) in done {
                match what {
                    0 => trails.evaporate(),
                    1 => trails.lay(edge, amount),
                    2 => trails.set_bounds(amount / 4.0, amount),
                    _ => trails.lay(edge, -amount),
                }
                let (low, high) = trails.bounds();
                prop_assert!(trails.trails().iter().all(|trail| (low..=high).contains(trail)));
                prop_assert!((0..4).all(|edge| (0.0..=1.0).contains(&trails.strength(edge))));
            }
        }
    }

    #[test]
    fn what_evaporates_is_a_share_and_strength_lies_between_the_bounds() {
        let mut trails = Pheromone::new(2, 0.25, (1.0, 5.0)).unwrap();
        trails.evaporate();
        trails.lay(1, 0.25);
        assert_eq!(trails.trails(), [3.75, 4.0]);
        assert!((trails.strength(1) - 0.75).abs() < 1e-12);
        trails.reset();
        assert!((trails.strength(0) - 1.0).abs() < 1e-12);
        assert!(Pheromone::new(2, 1.5, (1.0, 5.0)).is_err());
        assert!(Pheromone::new(2, f64::NAN, (1.0, 5.0)).is_err());
        assert!(Pheromone::new(2, 0.5, (6.0, 5.0)).is_err());
    }

    #[test]
    fn a_converged_colony_makes_its_best_anew_as_often_as_was_asked() {
        let (low, high) = max_min(100.0, 0.1, (20.0, 8.0), 0.5);
        let each: f64 = high / (high + 7.0 * low);
        assert!((each.powi(20) - 0.5).abs() < 1e-9);
        assert!((high - 0.1).abs() < 1e-12);
    }
}
