//! Tests of instances, local search and colonies.

use super::*;
use crate::swarm::{
    Course, Throws,
    course::{End, Missed, Setup},
    detect::Reached,
};

/// Cities anywhere on a square, by a seed.
pub(super) fn random(cities: u32, seed: u64) -> Instance {
    let mut dice = Throws::new(seed, 0, 0).of_swarm();
    let positions =
        (0..cities).map(|_| (f64::from(dice.below(1_000)), f64::from(dice.below(1_000))));
    Instance::at("random", Metric::Euclidean, positions.collect()).unwrap()
}

/// The length of the shortest round, by the dynamic programme of Held and Karp.
pub(super) fn optimum(instance: &Instance) -> u64 {
    let others = instance.cities() as usize - 1;
    let distance =
        |one: usize, other: usize| u64::from(instance.distance(number(one), number(other)));
    let mut least = vec![vec![u64::MAX; others]; 1 << others];
    for last in 0..others {
        least[1 << last][last] = distance(others, last);
    }
    for set in 1..1_usize << others {
        for last in (0..others).filter(|last| set & (1 << last) != 0) {
            let so_far = least[set][last];
            if so_far == u64::MAX {
                continue;
            }
            for next in (0..others).filter(|next| set & (1 << next) == 0) {
                let further = &mut least[set | 1 << next][next];
                *further = (*further).min(so_far + distance(last, next));
            }
        }
    }
    let all = (1 << others) - 1;
    (0..others).map(|last| least[all][last] + distance(last, others)).min().unwrap()
}

#[test]
fn every_move_of_local_search_keeps_a_tour_and_makes_it_shorter() {
    let mut improver = Improver::default();
    for (seed, cities) in (0..60).zip((4..50).cycle()) {
        let instance = random(cities, seed);
        let (each, lists) = instance.nearest(8);
        let near = Near { instance: &instance, lists: &lists, each, looked_at: each };
        let mut dice = Throws::new(seed, 1, 0).of_swarm();
        let mut tour: Vec<u32> = (0..instance.cities()).collect();
        dice.shuffle(&mut tour);
        let before = instance.length(&tour).unwrap();
        improver.improve(&mut tour, near, 0..instance.cities());
        let after = instance.length(&tour).expect("it is still a tour");
        assert!(after < before || cities < 8, "seed {seed}: {before}, then {after}");
        improver.improve(&mut tour, near, 0..instance.cities());
        let again = instance.length(&tour).expect("it is still a tour");
        assert!(again <= after, "seed {seed}: {after}, then {again}");
    }
}

#[test]
fn colonies_find_the_proven_optimum_of_small_instances() {
    for seed in 0..6 {
        let instance = Arc::new(random(11, seed));
        let optimum = optimum(&instance) as f64;
        for options in [Options::searching(), Options::constructing(11)] {
            let colony = TspColony::new(Arc::clone(&instance), options).unwrap();
            let mut setup = Setup::new(colony, 400);
            setup.detectors.push(Box::new(Reached(optimum)));
            let mut course = Course::begin(setup.into(), seed).unwrap();
            let end = course.run(&Missed::new()).unwrap();
            assert!(matches!(end, End::Solution { .. }), "seed {seed}: {course:?}, not {optimum}");
            let best = course.best().unwrap();
            assert_eq!(instance.length(&best.solution.cities), Some(best.solution.length));
        }
    }
}
