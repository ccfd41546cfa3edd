//! Circles of a directed graph, given as the nodes that each node points to.
//!
//! Called by the order of items, which keeps a circle together, and by the check of tasks, which names the shortest one. Nodes that
//! do not exist are pointed to in vain. Nothing recurses, so depth costs no stack.

use std::{collections::VecDeque, mem};

/// Turns all arrows around.
pub(super) fn reversed(arrows: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut reversed = vec![Vec::new(); arrows.len()];
    for (from, to) in arrows.iter().enumerate() {
        for to in to {
            if let Some(back) = reversed.get_mut(*to) {
                back.push(from);
            }
        }
    }
    reversed
}

/// Puts nodes together that reach each other, each set in ascending order: S. R. Kosaraju's algorithm, as in M. Sharir, A
/// strong-connectivity algorithm and its applications in data flow analysis, 1981.
pub(super) fn circles(arrows: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let back = reversed(arrows);
    let mut unseen = vec![true; arrows.len()];
    let mut found = Vec::new();
    for start in finishing_order(arrows).into_iter().rev() {
        let mut circle = Vec::new();
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            if take(&mut unseen, node) {
                circle.push(node);
                stack.extend(back.get(node).into_iter().flatten());
            }
        }
        if !circle.is_empty() {
            circle.sort_unstable();
            found.push(circle);
        }
    }
    found
}

/// The nodes in the order in which a depth-first search is done with them.
fn finishing_order(arrows: &[Vec<usize>]) -> Vec<usize> {
    enum Step {
        Enter(usize),
        Leave(usize),
    }
    let mut unseen = vec![true; arrows.len()];
    let mut order = Vec::with_capacity(arrows.len());
    for start in 0..arrows.len() {
        let mut stack = vec![Step::Enter(start)];
        while let Some(step) = stack.pop() {
            match step {
                Step::Enter(node) if take(&mut unseen, node) => {
                    stack.push(Step::Leave(node));
                    let next = arrows.get(node).into_iter().flatten();
                    stack.extend(next.map(|next| Step::Enter(*next)));
                }
                Step::Enter(_) => {}
                Step::Leave(node) => order.push(node),
            }
        }
    }
    order
}

/// Whether the node is seen for the first time.
fn take(unseen: &mut [bool], node: usize) -> bool {
    unseen.get_mut(node).is_some_and(mem::take)
}

/// Finds a circle of the fewest nodes, from its first node on along the arrows; a node that points to itself is no circle here.
pub(super) fn shortest(arrows: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut best: Option<Vec<usize>> = None;
    let mut starts: Vec<usize> =
        circles(arrows).into_iter().filter(|circle| circle.len() > 1).flatten().collect();
    starts.sort_unstable();
    for start in starts {
        let within = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(circle) = through(arrows, start, within) {
            best = Some(circle);
        }
    }
    best
}

/// The shortest circle through `start`, if it has fewer than `within` nodes: breadth first.
fn through(arrows: &[Vec<usize>], start: usize, within: usize) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; arrows.len()];
    let mut line = VecDeque::from([(start, 1_usize)]);
    while let Some((node, nodes)) = line.pop_front() {
        if nodes >= within {
            return None;
        }
        for next in arrows.get(node).into_iter().flatten().filter(|next| **next != node) {
            if *next == start {
                return Some(way(&came_from, start, node));
            }
            if let Some(from @ None) = came_from.get_mut(*next) {
                *from = Some(node);
                line.push_back((*next, nodes + 1));
            }
        }
    }
    None
}

/// The nodes from `start` to `end`.
fn way(came_from: &[Option<usize>], start: usize, end: usize) -> Vec<usize> {
    let mut way = vec![end];
    let mut at = end;
    while at != start
        && let Some(from) = came_from.get(at).copied().flatten()
    {
        way.push(from);
        at = from;
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `reach[a][b]`: there is a way of at least one arrow from `a` to `b`.
    fn reach(arrows: &[Vec<usize>]) -> Vec<Vec<bool>> {
        let nodes = arrows.len();
        let mut reach = vec![vec![false; nodes]; nodes];
        for (from, to) in arrows.iter().enumerate() {
            to.iter().for_each(|to| reach[from][*to] = true);
        }
        for by in 0..nodes {
            for from in 0..nodes {
                for to in 0..nodes {
                    reach[from][to] |= reach[from][by] && reach[by][to];
                }
            }
        }
        reach
    }

    /// Whether a walk of exactly `steps` arrows leads from some node back to it.
    fn has_walk(arrows: &[Vec<usize>], steps: usize) -> bool {
        (0..arrows.len()).any(|start| {
            let mut at = vec![start];
            for _ in 0..steps {
                at = at.iter().flat_map(|at| arrows[*at].clone()).collect();
                at.sort_unstable();
                at.dedup();
            }
            at.contains(&start)
        })
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1..12_usize).prop_flat_map(|nodes| {
            let arrows = prop::collection::btree_set(0..nodes, 0..4);
            let node = arrows.prop_map(|to| to.into_iter().collect::<Vec<_>>());
            prop::collection::vec(node, nodes).prop_map(|mut arrows| {
                for (node, to) in arrows.iter_mut().enumerate() {
                    to.retain(|to| *to != node);
                }
                arrows
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nodes_are_together_exactly_if_they_reach_each_other(arrows in graphs()) {
            let reach = reach(&arrows);
            let found = circles(&arrows);
            let mut of = vec![usize::MAX; arrows.len()];
            for (number, circle) in found.iter().enumerate() {
                for node in circle {
                    prop_assert_eq!(of[*node], usize::MAX);
                    of[*node] = number;
                }
            }
            for one in 0..arrows.len() {
                for other in 0..arrows.len() {
                    let together = one == other || reach[one][other] && reach[other][one];
                    prop_assert_eq!(of[one] == of[other], together, "{} and {}", one, other);
                }
            }
        }

        #[test]
        fn the_shortest_circle_is_one_and_there_is_no_shorter(arrows in graphs()) {
            match shortest(&arrows) {
                None => prop_assert!((0..arrows.len()).all(|node| !reach(&arrows)[node][node])),
                Some(circle) => {
                    let next = circle.iter().cycle().skip(1);
                    for (from, to) in circle.iter().zip(next) {
                        prop_assert!(arrows[*from].contains(to), "{:?}", circle);
                    }
                    prop_assert_eq!(circle.iter().min(), circle.first());
                    prop_assert!((2..circle.len()).all(|steps| !has_walk(&arrows, steps)));
                }
            }
        }
    }

    #[test]
    fn a_deep_graph_costs_no_stack() {
        let nodes = 200_000;
        let mut arrows: Vec<Vec<usize>> = (1..=nodes).map(|next| vec![next]).collect();
        assert_eq!(circles(&arrows).len(), nodes);
        arrows[nodes - 1] = vec![0];
        assert_eq!(circles(&arrows).len(), 1);
    }
}
