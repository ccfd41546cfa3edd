//! Dijkstra's algorithm: the exact shortest way, to compare with.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Place, Terrain};

/// A cost in the order of its bits, which is that of its value where it is not below 0.
type Bits = u64;

/// The shortest way between two places with its cost, where steps that are `closed` are not there; none if there is no way.
pub fn shortest(
    terrain: &Terrain,
    (start, goal): (Place, Place),
    closed: impl Fn(usize) -> bool,
) -> Option<(f64, Vec<Place>)> {
    if !terrain.is_open(start) {
        return None;
    }
    let mut known = vec![(f64::INFINITY, start); terrain.places()];
    let mut heap: BinaryHeap<Reverse<(Bits, Place)>> = BinaryHeap::new();
    *known.get_mut(start as usize)? = (0.0, start);
    heap.push(Reverse((0, start)));
    while let Some(Reverse((bits, place))) = heap.pop() {
        let cost = f64::from_bits(bits);
        if place == goal {
            break;
        }
        for step in terrain.steps(place).filter(|step| !closed(*step)) {
            let (to, further) = (terrain.target(step), cost + terrain.cost(step));
            if let Some(own) = known.get_mut(to as usize).filter(|own| further < own.0) {
                *own = (further, place);
                heap.push(Reverse((further.to_bits(), to)));
            }
        }
    }
    let cost = known.get(goal as usize).map(|(cost, _)| *cost).filter(|cost| cost.is_finite())?;
    let mut way = vec![goal];
    while let Some((_, before)) =
        way.last().filter(|last| **last != start).and_then(|last| known.get(*last as usize))
    {
        way.push(*before);
    }
    way.reverse();
    Some((cost, way))
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, Grid};
    use super::*;

    #[test]
    fn the_shortest_way_is_found_and_none_where_there_is_none() {
        let mut graph = Graph::new(5).unwrap();
        for (one, other, cost) in [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 3.0), (2, 3, 0.5)] {
            graph.road(one, other, cost).unwrap();
        }
        let terrain = graph.terrain();
        assert_eq!(shortest(&terrain, (0, 3), |_| false), Some((2.5, vec![0, 1, 2, 3])));
        assert_eq!(shortest(&terrain, (0, 4), |_| false), None);
        let between = terrain.step(0, 1).unwrap();
        assert_eq!(shortest(&terrain, (0, 3), |step| step == between), Some((3.5, vec![0, 2, 3])));
        let grid = Grid::new(4, 3).unwrap().terrain();
        let (cost, way) = shortest(&grid, (0, 11), |_| false).unwrap();
        assert!((cost - grid.bearing(0, 11)).abs() < 1e-12 && way.len() == 4);
    }
}
