//! Weighted graphs.

use super::{Place, Terrain};
use crate::limits::GRID_CELLS_MAX;

/// Nodes, numbered from 0, and roads between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    ways: Vec<Vec<(Place, f64)>>,
}

impl Graph {
    /// A graph of so many nodes without roads.
    ///
    /// # Errors
    /// There are none, or more than 2²⁰.
    pub fn new(nodes: u32) -> Result<Self, String> {
        if !(1..=GRID_CELLS_MAX).contains(&(nodes as usize)) {
            return Err(format!(
                "a graph of {nodes} nodes: from 1 to {GRID_CELLS_MAX} are possible"
            ));
        }
        Ok(Self { ways: vec![Vec::new(); nodes as usize] })
    }

    /// Adds a road between two nodes, for both directions.
    ///
    /// # Errors
    /// As [`way`](Self::way).
    pub fn road(&mut self, one: Place, other: Place, cost: f64) -> Result<(), String> {
        self.way(one, other, cost)?;
        self.way(other, one, cost)
    }

    /// Adds a way from one node to another.
    ///
    /// # Errors
    /// There is no such node, it leads to where it comes from, or its cost is not above 0.
    pub fn way(&mut self, from: Place, to: Place, cost: f64) -> Result<(), String> {
        let nodes = self.ways.len();
        if !(cost > 0.0 && cost.is_finite()) {
            return Err(format!("the way from {from} to {to} costs {cost}; a cost is above 0"));
        }
        if from == to {
            return Err(format!("a way leads from {from} to itself; leave it out"));
        }
        match self.ways.get_mut(from as usize) {
            Some(ways) if (to as usize) < nodes => ways.push((to, cost)),
            Some(_) | None => {
                return Err(format!("a way from {from} to {to}, of nodes 0 to {}", nodes - 1));
            }
        }
        Ok(())
    }

    /// The places and steps of it.
    pub fn terrain(&self) -> Terrain {
        Terrain::new(self.ways.iter().map(|ways| (ways.clone(), true)), None)
    }
}
