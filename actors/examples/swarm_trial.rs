//! Tries swarms against their goals, to be built with optimisation: paths on maps, two bridges, an obstacle that drops, the
//! travelling salesman, and how many agents move in a second.
//!
//! `swarm_trial paths|bridges|obstacle|tsp|moves`; the TSPLIB and MovingAI files are read from the folder that the variable
//! `SYNOD_TEST_DATA` names, and left out where it is not set.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a program that measures and prints"
)]

use std::{
    env, fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::node::Node;
use synod_actors::{
    pattern::{
        Outcome,
        swarm::{Report, Swarm},
    },
    swarm::{
        Candidate, Dice, Model, Moment, Throws, Turn,
        boids::Boids,
        detect::Reached,
        path::{Convergence, PathColony},
        terrain::{Graph, Grid, Terrain, Tile, shortest},
        tsp::{Instance, Options, TspColony},
    },
    system::AgentSystem,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    let what = env::args().nth(1).unwrap_or_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match what.as_str() {
            "paths" => paths().await,
            "bridges" => bridges().await,
            "obstacle" => obstacle().await,
            "tsp" => tsp().await,
            "moves" => moves().await,
            other => println!("`{other}` is none of paths, bridges, obstacle, tsp and moves"),
        }
    });
}

async fn run<M: Model>(swarm: Swarm<M>) -> (Outcome<Report<M>>, f64) {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let began = Instant::now();
    let done = system.run(swarm).deadline(HOUR).await;
    let took = began.elapsed().as_secs_f64();
    system.node().close().await.unwrap();
    (done, took)
}

fn data(file: &str) -> Option<String> {
    let folder = PathBuf::from(env::var_os("SYNOD_TEST_DATA")?);
    Some(fs::read_to_string(folder.join(file)).unwrap())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Every map with pairs of places far from each other, 10 seeds each: the median beside Dijkstra's.
async fn paths() {
    let seeds = env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(10);
    for (name, grid) in maps() {
        let terrain = grid.terrain();
        let mut worst = (1.0_f64, 0.0_f64);
        for (from, to, exact) in pairs(&terrain, 3) {
            let mut ratios = Vec::new();
            let mut spent = 0.0;
            for seed in 0..seeds {
                let colony = PathColony::new(terrain.clone(), from, to);
                let swarm = Swarm::new(colony).seed(seed).detector(Convergence::default());
                let (done, took) = run(swarm.agents_per_actor(50)).await;
                let best = done.unwrap().value.best.unwrap();
                assert!(
                    (way_cost(&terrain, &best.solution) - best.cost).abs() < 1e-6,
                    "it is a way"
                );
                ratios.push(best.cost / exact);
                spent += took;
            }
            worst = (worst.0.max(median(ratios)), worst.1.max(spent / seeds as f64));
        }
        println!("{name:>10}: worst median {:.4} of Dijkstra's, {:.2} s a run", worst.0, worst.1);
    }
}

/// What a way costs by the terrain alone.
fn way_cost(terrain: &Terrain, way: &[u32]) -> f64 {
    way.windows(2).map(|pair| terrain.cost(terrain.step(pair[0], pair[1]).unwrap())).sum()
}

fn pairs(terrain: &Terrain, count: usize) -> Vec<(u32, u32, f64)> {
    let mut dice = Throws::new(9, 9, 9).of_swarm();
    let places = terrain.places() as u32;
    let mut pairs = Vec::new();
    while pairs.len() < count {
        let (from, to) = (dice.below(places), dice.below(places));
        if let Some((exact, _)) = shortest(terrain, (from, to), |_| false)
            && exact >= 25.0
        {
            pairs.push((from, to, exact));
        }
    }
    pairs
}

fn maps() -> Vec<(String, Grid)> {
    let mut maps = vec![("empty".to_owned(), Grid::new(64, 64).unwrap())];
    maps.extend(
        data("movingai/arena.map").map(|text| ("arena".to_owned(), Grid::parse(&text).unwrap())),
    );
    for seed in 0..2 {
        for (corridor, side) in [(1, 63), (2, 62), (4, 64)] {
            maps.push((format!("maze-{corridor}-{seed}"), maze(side, corridor, seed)));
        }
        maps.push((format!("tenth-{seed}"), scattered(64, 0.1, seed)));
        maps.push((format!("third-{seed}"), scattered(64, 0.3, seed)));
        maps.push((format!("rooms-8-{seed}"), rooms(64, 7, seed)));
        maps.push((format!("rooms-5-{seed}"), rooms(32, 4, seed)));
    }
    maps
}

fn scattered(side: u32, share: f64, seed: u64) -> Grid {
    let (mut grid, mut dice) = (Grid::new(side, side).unwrap(), Throws::new(seed, 0, 0).of_swarm());
    for place in 0..side * side {
        if dice.unit() < share {
            grid.set(place % side, place / side, Tile::Obstacle);
        }
    }
    grid
}

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
            let mut door = || (from + dice.below(room)).min(side - 1);
            let (across, down) = (door(), door());
            grid.set(wall, across, Tile::Free);
            grid.set(down, wall, Tile::Free);
        }
    }
    grid
}

/// Corridors of this width in a tree, by a walk that turns back where it cannot go on.
fn maze(side: u32, corridor: u32, seed: u64) -> Grid {
    let (cells, pitch) = ((side + 1) / (corridor + 1), corridor + 1);
    let (mut grid, mut dice) = (Grid::new(side, side).unwrap(), Throws::new(seed, 0, 0).of_swarm());
    (0..side * side).for_each(|place| grid.set(place % side, place / side, Tile::Obstacle));
    let open = |grid: &mut Grid, (x, y): (u32, u32)| {
        (0..corridor * corridor)
            .for_each(|n| grid.set(x + n % corridor, y + n / corridor, Tile::Free));
    };
    let mut seen = vec![false; (cells * cells) as usize];
    let mut walk = vec![(0_u32, 0_u32)];
    seen[0] = true;
    open(&mut grid, (0, 0));
    while let Some((x, y)) = walk.last().copied() {
        let beside = [(1, 0), (-1, 0), (0, 1), (0, -1)].map(|(dx, dy)| {
            Some((x.checked_add_signed(dx)?, y.checked_add_signed(dy)?))
                .filter(|(x, y)| *x < cells && *y < cells && !seen[(y * cells + x) as usize])
        });
        let beside: Vec<_> = beside.into_iter().flatten().collect();
        if beside.is_empty() {
            walk.pop();
            continue;
        }
        let (to_x, to_y) = beside[dice.below(beside.len() as u32) as usize];
        seen[(to_y * cells + to_x) as usize] = true;
        open(&mut grid, (to_x * pitch, to_y * pitch));
        let middle = |one: u32, other: u32| {
            if one == other { one * pitch } else { one.max(other) * pitch - 1 }
        };
        let door = (middle(x, to_x), middle(y, to_y));
        for step in 0..corridor {
            let (dx, dy) = if x == to_x { (step, 0) } else { (0, step) };
            grid.set(door.0 + dx, door.1 + dy, Tile::Free);
        }
        walk.push((to_x, to_y));
    }
    grid
}

/// A short bridge and one twice as long: the share of the last tick's ants on the short one.
async fn bridges() {
    let mut graph = Graph::new(4).unwrap();
    for (one, other, cost) in [(0, 1, 1.0), (1, 3, 1.0), (0, 2, 2.0), (2, 3, 2.0)] {
        graph.road(one, other, cost).unwrap();
    }
    let mut shares = Vec::new();
    for seed in 0..10 {
        let swarm = Swarm::new(PathColony::new(graph.terrain(), 0, 3)).seed(seed).ticks(200);
        let report = run(swarm).await.0.unwrap().value;
        let crowd = report.world.as_ref().unwrap().crowd();
        let short = if crowd.way == [0, 1, 3] { crowd.share } else { 1.0 - crowd.share };
        shares.push(short);
    }
    println!("on the short bridge: {shares:?}");
}

/// An obstacle drops on the best way in the middle of the run.
async fn obstacle() {
    for (name, grid) in maps() {
        let terrain = grid.terrain();
        let Some((from, to, exact)) = pairs(&terrain, 1).pop() else { continue };
        let swarm = Swarm::new(PathColony::new(terrain.clone(), from, to));
        let swarm = swarm.detector(Convergence::default()).change(501, |colony, world, best| {
            let way = &best.unwrap().solution;
            colony.block(world, way[way.len() / 2])
        });
        let (done, took) = run(swarm.agents_per_actor(50)).await;
        match done {
            Ok(done) => {
                let report = done.value;
                let world = report.world.unwrap();
                let closed = |step| world.is_closed(step);
                let after = shortest(&terrain, (from, to), closed).map_or(f64::NAN, |way| way.0);
                let again: Vec<_> = report.emerged.iter().map(|own| own.since).collect();
                let best = report.best.unwrap();
                println!(
                    "{name:>10}: {exact:.1}, then {after:.1}: found {:.1} at tick {}, converged at {again:?}, {took:.2} s",
                    best.cost, best.tick
                );
            }
            Err(error) => println!("{name:>10}: {error}"),
        }
    }
}

async fn tsp() {
    let cases = [
        ("kroA100", 21_282.0, false, 20),
        ("kroA100", 21_282.0, true, 10),
        ("lin318", 42_029.0, true, 10),
        ("ch130", 6_110.0, true, 10),
        ("berlin52", 7_542.0, true, 10),
        ("eil51", 426.0, true, 10),
    ];
    let only = env::args().nth(2);
    for (file, optimum, local_search, seeds) in cases {
        let Some(text) = data(&format!("tsplib/{file}.tsp")) else { return };
        if only.as_ref().is_some_and(|only| *only != format!("{file}-{local_search}")) {
            continue;
        }
        let instance = Arc::new(Instance::parse(&text).unwrap());
        let options = if local_search {
            Options::searching()
        } else {
            Options::constructing(instance.cities())
        };
        let (mut gaps, mut times) = (Vec::new(), Vec::new());
        for seed in 0..seeds {
            let colony = TspColony::new(Arc::clone(&instance), options).unwrap();
            let swarm = Swarm::new(colony).ticks(u64::MAX).seed(seed).detector(Reached(optimum));
            let hosted = options.ants.div_ceil(4);
            let swarm = swarm.time(Duration::from_secs(5)).agents_per_actor(hosted);
            let (done, took) = run(swarm).await;
            gaps.push((done.unwrap().value.best.unwrap().cost / optimum - 1.0) * 100.0);
            times.push(took);
        }
        let found = gaps.iter().filter(|gap| **gap <= 0.0).count();
        let worst = gaps.iter().copied().fold(0.0, f64::max);
        println!(
            "{file}, local search {local_search}: optimal in {found} of {seeds}, worst {worst:.3} %, median {:.2} s",
            median(times)
        );
    }
}

/// Agents that only count.
struct Counting(u32);

impl Model for Counting {
    type World = Vec<u32>;
    type View<'a> = u32;
    type Action = u32;
    type Scratch = ();
    type Solution = ();

    fn describe(&self) -> String {
        "counting".to_owned()
    }
    fn seeks(&self) -> bool {
        false
    }
    fn world(&self, _: &mut Dice) -> Result<Vec<u32>, String> {
        Ok(vec![0; self.0 as usize])
    }
    fn born(&self, _: &Vec<u32>) -> u32 {
        self.0
    }
    fn view<'a>(&'a self, world: &'a Vec<u32>, agent: u32) -> u32 {
        world[agent as usize]
    }
    fn decide(&self, view: u32, _: &mut Turn, (): &mut ()) -> u32 {
        view + 1
    }
    fn apply(&self, world: &mut Vec<u32>, agent: u32, action: u32) {
        world[agent as usize] = action;
    }
    fn advance(&self, _: &mut Vec<u32>, _: Moment<'_, ()>) -> Option<Candidate<()>> {
        None
    }
    fn price(&self, _: &Vec<u32>, (): &()) -> Option<f64> {
        None
    }
}

async fn moves() {
    for (agents, per_actor, ticks) in [(10_000, 1, 400), (1_000_000, 10_000, 200)] {
        let mut times = Vec::new();
        for ticks in [ticks / 4, ticks] {
            let swarm = Swarm::new(Counting(agents)).ticks(ticks).agents_per_actor(per_actor);
            let (done, took) = run(swarm).await;
            assert!(
                done.unwrap().value.world.unwrap().iter().all(|count| u64::from(*count) == ticks)
            );
            times.push(took);
        }
        // The difference is without what the agents' births and ends take.
        let rate = f64::from(agents) * (ticks - ticks / 4) as f64 / (times[1] - times[0]) / 1e6;
        println!("{agents} agents, {per_actor} an actor: {rate:.2} million moves a second");
    }
    for per_actor in [1, 100, 1_000] {
        let flock = Swarm::new(Boids::new(10_000, 200.0)).ticks(50).agents_per_actor(per_actor);
        let (done, took) = run(flock).await;
        let rate = 10_000.0 * 50.0 / took / 1e6;
        println!(
            "10000 boids, {per_actor} an actor: {rate:.2} million moves a second, {:?}",
            done.unwrap().value
        );
    }
}
