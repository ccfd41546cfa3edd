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
fn where_local_search_finds_nothing_more_no_swap_of_segments_and_no_reversal_is_shorter() {
    let mut improver = Improver::default();
    for seed in 0..300 {
        let instance = random(7, seed);
        let (each, lists) = instance.nearest(6);
        let near = Near { instance: &instance, lists: &lists, each, looked_at: each };
        let mut tour: Vec<u32> = (0..7).collect();
        Throws::new(seed, 1, 0).of_swarm().shuffle(&mut tour);
        let mut before = Vec::new();
        while tour != before {
            before.clone_from(&tour);
            improver.improve(&mut tour, near, 0..7);
        }
        let length = instance.length(&tour);
        for turn in 0..7 {
            tour.rotate_left(1);
            for (from, to) in (0..7).flat_map(|to| (0..to).map(move |from| (from, to))) {
                let mut reversed = tour.clone();
                reversed[from..=to].reverse();
                assert!(instance.length(&reversed) >= length, "seed {seed}, turned {turn}");
                for middle in from..to {
                    let mut swapped = tour.clone();
                    swapped[from..=to].rotate_left(middle + 1 - from);
                    assert!(instance.length(&swapped) >= length, "seed {seed}, turned {turn}");
                }
            }
        }
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

#[test]
fn tsplib_files_are_read_in_all_their_forms() {
    let read = |text: &str| Instance::parse(text).unwrap();
    let head = "NAME : four\nTYPE : TSP\nCOMMENT : a square\nDIMENSION : 4\n";
    let square = "NODE_COORD_SECTION\n1 0 0\n2 0 3\n3 4 3\n4 4e0 0.0\nEOF\n";
    let at = |kind: &str| read(&format!("{head}EDGE_WEIGHT_TYPE : {kind}\n{square}"));
    let kinds = ["EUC_2D", "CEIL_2D", "MAN_2D", "MAX_2D", "ATT"];
    let distances = kinds.map(|kind| (at(kind).distance(0, 1), at(kind).distance(0, 2)));
    assert_eq!(distances, [(3, 5), (3, 5), (3, 7), (3, 4), (1, 2)]);
    assert_eq!((at("EUC_2D").name(), at("EUC_2D").length(&[0, 1, 2, 3])), ("four", Some(14)));
    assert_eq!(at("EUC_2D").length(&[0, 1, 2, 2]), None);

    // Two cities of `ulysses16`, whose distance TSPLIB's documentation gives.
    let earth = "TYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: GEO\nNODE_COORD_SECTION\n1 38.24 20.42\n2 39.57 26.15\n3 40.56 25.32\nEOF";
    assert_eq!((read(earth).distance(0, 1), read(earth).distance(1, 2)), (509, 126));

    let full = "0 1 2 3\n1 0 4 5\n2 4 0 6\n3 5 6 0";
    for (format, distances) in [
        ("FULL_MATRIX", full),
        ("UPPER_ROW", "1 2 3 4 5 6"),
        ("LOWER_COL", "1 2 3 4 5 6"),
        ("LOWER_ROW", "1 2 4 3\n5 6"),
        ("UPPER_COL", "1 2 4 3\n5 6"),
        ("UPPER_DIAG_ROW", "0 1 2 3 0 4 5 0 6 0"),
        ("LOWER_DIAG_COL", "0 1 2 3 0 4 5 0 6 0"),
        ("LOWER_DIAG_ROW", "0 1 0 2 4 0 3 5 6 0"),
        ("UPPER_DIAG_COL", "0 1 0 2 4 0 3 5 6 0"),
    ] {
        let given = format!(
            "{head}EDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: {format}\nEDGE_WEIGHT_SECTION\n{distances}\nEOF\n"
        );
        let given = read(&given);
        let row = |city| (0..4).map(|other| given.distance(city, other)).collect::<Vec<_>>();
        assert_eq!((row(0), row(2)), (vec![0, 1, 2, 3], vec![2, 4, 0, 6]), "{format}");
        assert_eq!(given.positions(), None);
    }
}

#[test]
fn a_tsplib_file_that_is_none_is_refused_with_its_line_and_what_is_expected_there() {
    let head = "TYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\n";
    let explicit = "TYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: EXPLICIT\n";
    let at = |rest: &str| format!("{head}NODE_COORD_SECTION\n{rest}");
    let given = |rest: &str| format!("{explicit}EDGE_WEIGHT_FORMAT: UPPER_ROW\n{rest}");
    for (text, why) in [
        (String::new(), "the file ends before its cities"),
        (head.to_owned(), "the file ends before its cities"),
        (at("1 0 0\n2 0 1\n"), "the file is cut off: it has 2 of 3 cities"),
        (at("1 0 0\n2 0"), "line 6 of the instance: `2 0` is no city"),
        (at("1 0 0\n1 0 1\n"), "line 6 of the instance: city 1 is there twice"),
        (at("4 0 0\n"), "line 5 of the instance: there is no city 4 of 3"),
        (at("1 0 0\n2 inf 1\n3 0 0\n"), "city 2 of the instance is nowhere"),
        ("TYPE: ATSP\n".to_owned(), "line 1 of the instance: its type is `ATSP`"),
        ("DIMENSION: 2\n".to_owned(), "line 1 of the instance: `2` cities; from 3"),
        (
            "EDGE_WEIGHT_TYPE: XRAY1\n".to_owned(),
            "the edge weight type `XRAY1` is not known; EUC_2D",
        ),
        ("TYPE: TSP\nNODE_COORD_SECTION\n".to_owned(), "DIMENSION is missing"),
        ("DIMENSION: 3\nNODE_COORD_SECTION\n".to_owned(), "EDGE_WEIGHT_TYPE is missing"),
        ("GIBBERISH\n".to_owned(), "line 1 of the instance: `GIBBERISH` is neither"),
        (given("NODE_COORD_SECTION\n"), "its EDGE_WEIGHT_TYPE is EXPLICIT"),
        (given("EDGE_WEIGHT_SECTION\n1 2\n"), "the file is cut off: it has 2 of 3 distances"),
        (given("EDGE_WEIGHT_SECTION\n1 2 x\n"), "line 6 of the instance: `x` is no distance"),
        (given("EDGE_WEIGHT_SECTION\n1 2 3 4\n"), "more than 3 distances"),
        (format!("{explicit}EDGE_WEIGHT_SECTION\n"), "EDGE_WEIGHT_FORMAT is missing"),
        (format!("{explicit}EDGE_WEIGHT_FORMAT: SPIRAL\n"), "the edge weight format `SPIRAL`"),
        (
            format!(
                "{explicit}EDGE_WEIGHT_FORMAT: FULL_MATRIX\nEDGE_WEIGHT_SECTION\n0 1 2 1 0 3 9 3 0\n"
            ),
            "the distance of cities 1 and 3 depends on the direction",
        ),
    ] {
        let wrong = Instance::parse(&text).unwrap_err();
        assert!(wrong.contains(why), "{wrong}\nnot: {why}");
    }
}

#[test]
fn files_cut_off_anywhere_are_read_or_refused() {
    let text = "NAME: a\nTYPE: TSP\nDIMENSION: 4\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 10 10\n2 20 10\n3 30 10\n4 40 15\nEOF\n";
    let whole = Instance::parse(text).unwrap();
    for end in 0..text.len() {
        match Instance::parse(&text[..end]) {
            // What is cut from the last city's numbers nobody can tell.
            Ok(read) => {
                assert!(end > text.find("4 40 1").unwrap() && read.cities() == whole.cities());
            }
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

/// The larger ones are for a program that is optimised.
#[test]
fn published_optima_are_the_lengths_of_published_tours_and_colonies_find_them() {
    let Some(folder) = std::env::var_os("SYNOD_TEST_DATA").map(std::path::PathBuf::from) else {
        return;
    };
    let published = [
        ("eil51", 426, true),
        ("berlin52", 7_542, true),
        ("kroA100", 21_282, true),
        ("ch130", 6_110, false),
        ("lin318", 42_029, false),
    ];
    for (name, optimum, is_small) in published {
        let read = |kind: &str| {
            std::fs::read_to_string(folder.join(format!("tsplib/{name}.{kind}"))).unwrap()
        };
        let instance = Arc::new(Instance::parse(&read("tsp")).unwrap());
        let tour = read("opt.tour");
        let tour = tour.lines().skip_while(|line| line.trim() != "TOUR_SECTION").skip(1);
        let words = tour.flat_map(str::split_whitespace).map_while(|word| word.parse::<u32>().ok());
        let tour: Vec<u32> = words.map(|city| city - 1).collect();
        assert_eq!(instance.length(&tour), Some(optimum), "{name}");
        if is_small {
            let colony = TspColony::new(Arc::clone(&instance), Options::searching()).unwrap();
            let mut setup = Setup::new(colony, 60);
            setup.detectors.push(Box::new(Reached(optimum as f64)));
            let mut course = Course::begin(setup.into(), 1).unwrap();
            let end = course.run(&Missed::new()).unwrap();
            assert!(matches!(end, End::Solution { .. }), "{name}: {course:?}");
        }
    }
}
