//! Tests of ants that look for ways, beside the exact shortest ones.

use std::sync::Arc;

use super::*;
use crate::swarm::{
    Course, Throws,
    course::{End, Missed, Setup},
    terrain::{Graph, Grid, Tile, shortest},
};

/// A square of free cells with obstacles thrown by a seed, its corners free.
fn scattered(side: u32, obstacles: u32, seed: u64) -> Grid {
    let (mut grid, mut dice) = (Grid::new(side, side).unwrap(), Throws::new(seed, 0, 0).of_swarm());
    for _ in 0..obstacles {
        let (x, y) = (dice.below(side), dice.below(side));
        if x + y > 1 && x + y < 2 * side - 3 {
            grid.set(x, y, Tile::Obstacle);
        }
    }
    grid
}

/// A square of rooms, each with a door to the next.
fn rooms(side: u32, room: u32, seed: u64) -> Grid {
    let (mut grid, mut dice) = (Grid::new(side, side).unwrap(), Throws::new(seed, 0, 0).of_swarm());
    for wall in (room..side).step_by(room as usize + 1) {
        for along in 0..side {
            grid.set(wall, along, Tile::Obstacle);
            grid.set(along, wall, Tile::Obstacle);
        }
    }
    for wall in (room..side).step_by(room as usize + 1) {
        for from in (0..side).step_by(room as usize + 1) {
            let door = (from + dice.below(room)).min(side - 1);
            grid.set(wall, door, Tile::Free);
            let door = (from + dice.below(room)).min(side - 1);
            grid.set(door, wall, Tile::Free);
        }
    }
    grid
}

fn course(colony: PathColony, ticks: u64, seed: u64) -> (Course<PathColony>, End) {
    let mut setup = Setup::new(colony, ticks);
    setup.detectors.push(Box::new(Convergence::default()));
    let mut course = Course::begin(Arc::new(setup), seed).unwrap();
    let end = course.run(&Missed::new()).unwrap();
    (course, end)
}

#[test]
fn ants_find_ways_that_are_nearly_the_shortest() {
    let maps = [scattered(24, 0, 1), scattered(24, 120, 2), rooms(23, 5, 3)];
    for (map, grid) in maps.iter().enumerate() {
        let terrain = grid.terrain();
        let goal = number(terrain.places()) - 1;
        let (exact, _) = shortest(&terrain, (0, goal), |_| false).expect("there is a way");
        let mut ratios: Vec<f64> = (0..5)
            .map(|seed| {
                let colony = PathColony::new(terrain.clone(), 0, goal).ants(30);
                let (course, end) = course(colony, 60, seed);
                let best = course.best().unwrap();
                let model = &course.setup().model;
                let cost = model.cost_of(course.world(), &best.solution).expect("it is a way");
                assert!((cost - best.cost).abs() < 1e-9 && end == End::Ticks);
                assert!(best.cost > exact - 1e-9, "nothing is shorter than the shortest");
                best.cost / exact
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        assert!(ratios[2] <= 1.05, "map {map}: {ratios:?}");
    }
}

#[test]
fn most_ants_take_the_shorter_of_two_bridges() {
    // 0 to 1 over a short bridge by 2, or over a long one by 3 and 4, twice as far.
    let mut graph = Graph::new(5).unwrap();
    for (one, other, cost) in [(0, 2, 1.0), (2, 1, 1.0), (0, 3, 1.0), (3, 4, 2.0), (4, 1, 1.0)] {
        graph.road(one, other, cost).unwrap();
    }
    for seed in 0..5 {
        let (course, _) = course(PathColony::new(graph.terrain(), 0, 1), 100, seed);
        let crowd = course.world().crowd();
        assert_eq!(crowd.way, [0, 2, 1]);
        assert!(crowd.share >= 0.8, "{crowd:?}");
        let emerged = course.emerged().first().expect("they converge");
        assert_eq!(emerged.pattern.extracted.as_deref(), Some(&[0, 2, 1][..]));
        assert!(emerged.pattern.strength >= 0.7);
    }
}

#[test]
fn ants_converge_again_when_an_obstacle_drops_on_the_best_way() {
    let terrain = scattered(12, 10, 4).terrain();
    let goal = number(terrain.places()) - 1;
    let mut setup = Setup::new(PathColony::new(terrain.clone(), 0, goal), 240);
    setup.detectors.push(Box::new(Convergence::default()));
    setup.changes.push((
        120,
        Box::new(|colony, world, best| {
            let way = &best.expect("a way was found").solution;
            colony.block(world, way[way.len() / 2])
        }),
    ));
    let mut course = Course::begin(Arc::new(setup), 3).unwrap();
    course.run(&Missed::new()).unwrap();
    let world = course.world();
    let best = course.best().unwrap();
    assert!(!best.solution.contains(&world.blocked()[0]) && best.tick >= 120, "{best:?}");
    let closed = |step| world.is_closed(step);
    let (exact, _) = shortest(&terrain, (0, goal), closed).unwrap();
    assert!(best.cost <= 1.05 * exact, "{} of {exact}", best.cost);
    let since: Vec<_> = course.emerged().iter().map(|emerged| emerged.since).collect();
    assert!(since[0] < 120 && *since.last().unwrap() >= 120, "{since:?}");
}

#[test]
fn what_is_wrong_is_told_and_what_is_trivial_is_answered() {
    let begin = |colony, ticks| {
        Course::begin(Arc::new(Setup::new(colony, ticks)), 1).map(|_| ()).unwrap_err()
    };
    let grid = Grid::parse("type octile\nheight 3\nwidth 5\nmap\n..@..\n..@..\n..@..\n").unwrap();
    let terrain = || grid.terrain();
    let inside = begin(PathColony::new(terrain(), 2, 99).ants(0), 0);
    assert!(inside.contains("a swarm of 0 ticks"), "{inside}");
    let inside = begin(PathColony::new(terrain(), 2, 99), 5);
    assert!(inside.contains("the start (2, 0) is inside an obstacle"), "{inside}");
    assert!(inside.contains("the goal (4, 19) is outside of the terrain"), "{inside}");
    assert!(begin(PathColony::new(terrain(), 0, 1).ants(0), 5).contains("no agents"));
    assert!(begin(PathColony::new(terrain(), 0, 1).evaporation(2.0), 5).contains("evaporation"));

    let (apart, end) = course(PathColony::new(terrain(), 0, 4), 1_000, 1);
    let why = "no way leads from (0, 0) to (4, 0): an ant has been everywhere else".to_owned();
    assert_eq!((end, apart.ticks(), apart.best()), (End::Hopeless { why }, 1, None));

    let (there, end) = course(PathColony::new(terrain(), 3, 3), 1_000, 1);
    assert!(matches!(end, End::Solution { .. }));
    assert_eq!((there.ticks(), &there.best().unwrap().solution), (0, &vec![3]));

    let corridor = Grid::parse("type octile\nheight 1\nwidth 6\nmap\n......\n").unwrap();
    let (corridor, _) = course(PathColony::new(corridor.terrain(), 5, 0), 3, 1);
    assert_eq!(corridor.best().unwrap().solution, [5, 4, 3, 2, 1, 0]);
}

#[test]
fn published_ways_are_the_shortest_and_ants_find_ways_nearly_as_short() {
    let Some(folder) = std::env::var_os("SYNOD_TEST_DATA").map(std::path::PathBuf::from) else {
        return;
    };
    let read = |file: &str| std::fs::read_to_string(folder.join("movingai").join(file)).unwrap();
    let grid = Grid::parse(&read("arena.map")).unwrap();
    let terrain = grid.terrain();
    let scenarios = read("arena.map.scen");
    let scenarios = scenarios.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let scenarios: Vec<_> = scenarios.filter(|words| words.get(1) == Some(&"arena.map")).collect();
    assert_eq!(scenarios.len(), 130);
    for (at, words) in scenarios.iter().enumerate() {
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        let place = |at: usize| grid.place(number(at), number(at + 1)).unwrap();
        let (start, goal, published) = (place(4), place(6), words[8].parse::<f64>().unwrap());
        let (exact, _) = shortest(&terrain, (start, goal), |_| false).expect("there is a way");
        assert!((exact - published).abs() < 1e-4, "{words:?}: {exact}");
        if at % 20 == 19 {
            let (course, _) = course(PathColony::new(terrain.clone(), start, goal), 40, 1);
            let best = course.best().unwrap();
            assert!(best.cost <= 1.05 * exact, "{words:?}: {}", best.cost);
        }
    }
}
