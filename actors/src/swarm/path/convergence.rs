//! The emergence of a way: most ants take it, and the trail along it is strong.

use super::{
    super::detect::{Detector, Finding, Pattern, Sight},
    PathColony,
};
use crate::swarm::terrain::Place;

/// Detects that a share of the ants took one way in the last tick, and that the trail on each of its steps is strong:
/// (τ − τmin) / (τmax − τmin).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convergence {
    /// The least strength, 0.7 by default.
    pub strength: f64,
    /// The least share, 0.8 by default.
    pub share: f64,
}

impl Default for Convergence {
    fn default() -> Self {
        Self { strength: 0.7, share: 0.8 }
    }
}

impl Detector<PathColony> for Convergence {
    fn detect(&self, model: &PathColony, sight: Sight<'_, PathColony>) -> Finding<Vec<Place>> {
        let crowd = sight.world.crowd();
        if crowd.arrived == 0 || crowd.share < self.share {
            return Finding::Nothing;
        }
        let strength = model.strength_of(sight.world, &crowd.way);
        if strength < self.strength {
            return Finding::Nothing;
        }
        let (name, share, extracted) = ("one way".to_owned(), crowd.share, Some(crowd.way.clone()));
        Finding::Pattern(Pattern { name, strength, share, extracted })
    }
}
