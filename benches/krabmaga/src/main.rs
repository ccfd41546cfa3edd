//! The flockers of krabmaga's published example: prints one line with the steps a second.
//!
//! 10,000 birds on a field of 1,000 by 1,000 without edges, in cells of 10 / 1.5, with the example's weights and formulas, by
//! krabmaga's scheduler of one thread. Its form for several threads locks the state for each bird, and is slower.
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use krabmaga::engine::agent::Agent;
use krabmaga::engine::fields::field::Field as _;
use krabmaga::engine::fields::field_2d::{
    Field2D, Location2D, toroidal_distance, toroidal_transform,
};
use krabmaga::engine::location::Real2D;
use krabmaga::engine::schedule::Schedule;
use krabmaga::engine::state::State;
use krabmaga::rand::{self, Rng as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BIRDS: u32 = 10_000;
const SIDE: f32 = 1_000.0;
const CELL: f32 = 10.0 / 1.5;
const RADIUS: f32 = 10.0;
const JUMP: f32 = 0.7;
const COHESION: f32 = 0.8;
const AVOIDANCE: f32 = 1.0;
const RANDOMNESS: f32 = 1.1;
const CONSISTENCY: f32 = 0.7;
const MOMENTUM: f32 = 1.0;

/// Steps that are timed, after one that is not.
const STEPS: u64 = 200;

fn main() {
    let mut flock = Flock { field: field() };
    let mut schedule = Schedule::new();
    flock.init(&mut schedule);
    schedule.step(&mut flock);
    let began = Instant::now();
    for _ in 0..STEPS {
        schedule.step(&mut flock);
    }
    let seconds = began.elapsed().as_secs_f64();
    let birds = schedule.get_all_events();
    let moved = birds.iter().filter_map(|bird| bird.downcast_ref::<Bird>());
    let fly = moved.filter(|bird| (length(bird.last) - JUMP).abs() < 1e-3).count();
    assert_eq!(fly, BIRDS as usize, "not all birds fly");
    println!("{{\"per_second\": {}}}", STEPS as f64 / seconds);
}

fn field() -> Field2D<Bird> {
    Field2D::new(SIDE, SIDE, CELL, true)
}

fn length(of: Real2D) -> f32 {
    (of.x * of.x + of.y * of.y).sqrt()
}

/// The field with all birds.
struct Flock {
    field: Field2D<Bird>,
}

impl State for Flock {
    fn init(&mut self, schedule: &mut Schedule) {
        let mut dice = rand::rng();
        for number in 0..BIRDS {
            let at = Real2D { x: SIDE * dice.random::<f32>(), y: SIDE * dice.random::<f32>() };
            let bird = Bird { number, at, last: Real2D { x: 0.0, y: 0.0 } };
            self.field.set_object_location(bird, at);
            schedule.schedule_repeating(Box::new(bird), 0.0, 0);
        }
    }

    fn update(&mut self, _: u64) {
        self.field.lazy_update();
    }

    fn reset(&mut self) {
        self.field = field();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn as_state(&self) -> &dyn State {
        self
    }

    fn as_state_mut(&mut self) -> &mut dyn State {
        self
    }
}

/// A bird, and how it flew last.
#[derive(Clone, Copy)]
struct Bird {
    number: u32,
    at: Real2D,
    last: Real2D,
}

impl Agent for Bird {
    fn step(&mut self, state: &mut dyn State) {
        let Some(flock) = state.as_any().downcast_ref::<Flock>() else { return };
        let seen = flock.field.get_neighbors_within_distance(self.at, RADIUS);
        let (mut apart_x, mut apart_y, mut away_x, mut away_y) = (0.0, 0.0, 0.0, 0.0);
        let (mut heading_x, mut heading_y, mut count) = (0.0, 0.0, 0);
        for other in seen.iter().filter(|other| other.number != self.number) {
            let x = toroidal_distance(self.at.x, other.at.x, SIDE);
            let y = toroidal_distance(self.at.y, other.at.y, SIDE);
            let square = x * x + y * y;
            let near = square * square + 1.0;
            apart_x += x / near;
            apart_y += y / near;
            away_x += x;
            away_y += y;
            heading_x += other.last.x;
            heading_y += other.last.y;
            count += 1;
        }
        let count = count.max(1) as f32;
        let mut dice = rand::rng();
        let (whim_x, whim_y) = (dice.random::<f32>() * 2.0 - 1.0, dice.random::<f32>() * 2.0 - 1.0);
        let whim = (whim_x * whim_x + whim_y * whim_y).sqrt();
        // Where the others fly is divided by their number twice, as in the example.
        let wish = |away: f32, apart: f32, heading: f32, random: f32, last: f32| {
            COHESION * (-away / count / 10.0)
                + AVOIDANCE * (400.0 * apart / count)
                + CONSISTENCY * (heading / count / count)
                + RANDOMNESS * (0.05 * random / whim)
                + MOMENTUM * last
        };
        let mut x = wish(away_x, apart_x, heading_x, whim_x, self.last.x);
        let mut y = wish(away_y, apart_y, heading_y, whim_y, self.last.y);
        let own = (x * x + y * y).sqrt();
        if own > 0.0 {
            x = x / own * JUMP;
            y = y / own * JUMP;
        }
        self.last = Real2D { x, y };
        self.at = Real2D {
            x: toroidal_transform(self.at.x + x, SIDE),
            y: toroidal_transform(self.at.y + y, SIDE),
        };
        flock.field.set_object_location(*self, self.at);
    }
}

impl Location2D<Real2D> for Bird {
    fn get_location(self) -> Real2D {
        self.at
    }

    fn set_location(&mut self, at: Real2D) {
        self.at = at;
    }
}

impl Hash for Bird {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.number.hash(to);
    }
}

impl Eq for Bird {}

impl PartialEq for Bird {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl fmt::Display for Bird {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "bird {} at {}", self.number, self.at)
    }
}
