//! Where agents walk: places and the steps between them. Made of a [`Grid`] or a [`Graph`].
//!
//! A [`Terrain`] does not change; what becomes closed in the course of a swarm is part of its world.

mod graph;
mod grid;
mod shortest;

use std::ops::Range;

pub use graph::Graph;
pub use grid::{Grid, Tile};
pub use shortest::shortest;

use super::nth;

/// A place: a cell of a grid, a node of a graph.
pub type Place = u32;

/// Places and steps, packed: the steps from a place lie side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Terrain {
    /// By place, its first step; one more at the end.
    first: Vec<u32>,
    /// By step, where it leads and what it costs.
    to: Vec<Place>,
    cost: Vec<f64>,
    /// By place, whether it may be entered.
    open: Vec<bool>,
    /// The width of a grid, by which ways are estimated.
    width: Option<u32>,
}

impl Terrain {
    /// A terrain of places with their steps and whether each is open.
    fn new(places: impl Iterator<Item = (Vec<(Place, f64)>, bool)>, width: Option<u32>) -> Self {
        let mut own =
            Self { first: vec![0], to: Vec::new(), cost: Vec::new(), open: Vec::new(), width };
        for (steps, open) in places {
            own.open.push(open);
            for (to, cost) in steps {
                own.to.push(to);
                own.cost.push(cost);
            }
            own.first.push(super::number(own.to.len()));
        }
        own
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.open.len()
    }

    /// The columns of a grid, whose places are numbered row by row; none of a graph.
    pub fn columns(&self) -> Option<u32> {
        self.width
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.to.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.to.is_empty()
    }

    /// Whether a place is there and no obstacle.
    pub fn is_open(&self, place: Place) -> bool {
        nth(&self.open, place as usize)
    }

    /// The steps from a place, by number.
    #[inline]
    pub fn steps(&self, from: Place) -> Range<usize> {
        let from = from as usize;
        nth(&self.first, from) as usize..nth(&self.first, from + 1) as usize
    }

    /// Where a step leads.
    #[inline]
    pub fn target(&self, step: usize) -> Place {
        nth(&self.to, step)
    }

    /// What a step costs.
    #[inline]
    pub fn cost(&self, step: usize) -> f64 {
        nth(&self.cost, step)
    }

    /// The cheapest step from one place to another.
    pub fn step(&self, from: Place, to: Place) -> Option<usize> {
        let steps = self.steps(from).filter(|step| self.target(*step) == to);
        steps.min_by(|one, other| self.cost(*one).total_cmp(&self.cost(*other)))
    }

    /// What a way at least costs from one place to another, as the crow flies; 0 where there is no telling.
    #[inline]
    pub fn bearing(&self, from: Place, to: Place) -> f64 {
        let Some(width) = self.width else { return 0.0 };
        let (x, y) = (from % width, from / width);
        octile(x.abs_diff(to % width), y.abs_diff(to / width))
    }

    /// The steps that nobody can take while a place is closed: those into it and out of it, and, on a grid, past its corners.
    pub fn past(&self, place: Place) -> Vec<u32> {
        let mut past: Vec<u32> = self.steps(place).map(super::number).collect();
        for from in 0..super::number(self.places()) {
            let past_it = |step: &usize| {
                let to = self.target(*step);
                to == place || self.width.is_some_and(|width| cuts((from, to), place, width))
            };
            past.extend(self.steps(from).filter(past_it).map(super::number));
        }
        past.sort_unstable();
        past.dedup();
        past
    }

    /// What people call a place.
    pub fn name(&self, place: Place) -> String {
        match self.width {
            Some(width) => format!("({}, {})", place % width, place / width),
            None => place.to_string(),
        }
    }
}

/// The cost of the cheapest way on a grid without obstacles.
fn octile(dx: u32, dy: u32) -> f64 {
    let (long, short) = (dx.max(dy), dx.min(dy));
    f64::from(long - short) + f64::from(short) * std::f64::consts::SQRT_2
}

/// Whether a diagonal step passes the corner of a cell.
fn cuts((from, to): (Place, Place), cell: Place, width: u32) -> bool {
    let (one, other, own) =
        ((from % width, from / width), (to % width, to / width), (cell % width, cell / width));
    one.0 != other.0 && one.1 != other.1 && ((one.0, other.1) == own || (other.0, one.1) == own)
}
