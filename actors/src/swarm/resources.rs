//! Resources: what lies at the places of an environment and is used up.

use serde::{Deserialize, Serialize};

use super::{nth, terrain::Place};

/// So many units of something at each place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    amounts: Vec<u32>,
    left: u64,
}

impl Resources {
    /// Nothing at any of so many places.
    pub fn new(places: usize) -> Self {
        Self { amounts: vec![0; places], left: 0 }
    }

    /// Puts units at a place; without effect where there is no such place, and never more than fit a `u32`.
    pub fn put(&mut self, place: Place, units: u32) {
        if let Some(amount) = self.amounts.get_mut(place as usize) {
            let units = units.min(u32::MAX - *amount);
            *amount += units;
            self.left += u64::from(units);
        }
    }

    /// Takes one unit from a place, if one is there.
    pub fn take(&mut self, place: Place) -> bool {
        let Some(amount) = self.amounts.get_mut(place as usize).filter(|amount| **amount > 0)
        else {
            return false;
        };
        *amount -= 1;
        self.left -= 1;
        true
    }

    /// The units at a place.
    pub fn at(&self, place: Place) -> u32 {
        nth(&self.amounts, place as usize)
    }

    /// The units at all places.
    pub fn left(&self) -> u64 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_the_sum_is_kept() {
        let mut resources = Resources::new(3);
        resources.put(1, 2);
        resources.put(9, 5);
        assert_eq!((resources.at(1), resources.left()), (2, 2));
        assert!(!resources.take(0) && !resources.take(9));
        assert!(resources.take(1) && resources.take(1) && !resources.take(1));
        assert_eq!((resources.at(1), resources.left()), (0, 0));
        resources.put(2, u32::MAX);
        resources.put(2, 1);
        assert_eq!((resources.at(2), resources.left()), (u32::MAX, u64::from(u32::MAX)));
    }
}
