//! Boids (Reynolds 1987): birds that keep together, apart and in line with those that they see, on a square without edges.
//!
//! In a tick every bird turns, then all fly on. Nobody leads; that they come to fly one way is the pattern that
//! [`Polarised`] detects. They look for nothing, so a run of them has no solution.

use serde::{Deserialize, Serialize};

use super::{
    Candidate, Dice, Model, Moment, Turn,
    detect::{Detector, Finding, Pattern, Sight},
    nth, number,
};
use crate::limits::AGENTS_MAX;

/// A place on the square, or a difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Vector {
    /// A vector of these parts.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// Its length.
    pub fn length(self) -> f64 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    /// Itself and so many of `other`.
    #[inline]
    #[must_use]
    pub fn plus(self, other: Self, times: f64) -> Self {
        Self { x: self.x + other.x * times, y: self.y + other.y * times }
    }

    /// Its direction, with this length; nothing where it has no direction.
    #[must_use]
    pub fn of_length(self, length: f64) -> Self {
        let own = self.length();
        if own > 0.0 { Self::default().plus(self, length / own) } else { Self::default() }
    }
}

/// One bird.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bird {
    /// Where it is.
    pub at: Vector,
    /// How far it flies in a tick, and where to.
    pub velocity: Vector,
}

/// How a bird turns.
pub trait FlightRule: Send + Sync + 'static {
    /// Where to it would fly; how fast it flies is not its to say.
    fn turn(&self, view: &Surroundings<'_>, dice: &mut Dice) -> Vector;
}

/// Reynolds' three urges, and what birds bring along by themselves: each a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reynolds {
    /// To where the others are.
    pub cohesion: f64,
    /// To where they fly.
    pub alignment: f64,
    /// Away from those that are near, the more the nearer.
    pub separation: f64,
    /// To fly on.
    pub momentum: f64,
    /// To fly anywhere.
    pub whim: f64,
}

impl Default for Reynolds {
    fn default() -> Self {
        Self { cohesion: 0.5, alignment: 1.0, separation: 0.5, momentum: 1.0, whim: 0.1 }
    }
}

impl FlightRule for Reynolds {
    fn turn(&self, view: &Surroundings<'_>, dice: &mut Dice) -> Vector {
        let (mut centre, mut heading, mut apart) =
            (Vector::default(), Vector::default(), Vector::default());
        let mut seen = 0_u32;
        view.each(|offset, velocity, square| {
            centre = centre.plus(offset, 1.0);
            heading = heading.plus(velocity, 1.0);
            apart = apart.plus(offset, -1.0 / (square + SOFTENING));
            seen += 1;
        });
        let own = view.own().velocity;
        let angle = dice.unit() * std::f64::consts::TAU;
        let whim = Vector::new(angle.cos(), angle.sin());
        let wish = own.of_length(self.momentum).plus(whim, self.whim);
        if seen == 0 {
            return wish;
        }
        let each = 1.0 / (f64::from(seen) * view.boids.radius);
        wish.plus(centre, self.cohesion * each)
            .plus(heading.of_length(self.alignment), 1.0)
            .plus(apart, self.separation * view.boids.radius / f64::from(seen))
    }
}

/// Keeps birds at one place from flying apart at any speed.
const SOFTENING: f64 = 1e-6;

/// A flock and how it flies.
pub struct Boids {
    birds: u32,
    side: f64,
    radius: f64,
    speed: f64,
    rule: Box<dyn FlightRule>,
}

impl Boids {
    /// So many birds anywhere on a square of this side, each of which sees those within 10 and flies 1 in a tick, by
    /// [`Reynolds`].
    pub fn new(birds: u32, side: f64) -> Self {
        Self { birds, side, radius: 10.0, speed: 1.0, rule: Box::new(Reynolds::default()) }
    }

    /// Sets how far birds see.
    #[must_use]
    pub fn radius(mut self, radius: f64) -> Self {
        self.radius = radius;
        self
    }

    /// Sets how far they fly in a tick.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Sets how they turn.
    #[must_use]
    pub fn rule(mut self, rule: impl FlightRule) -> Self {
        self.rule = Box::new(rule);
        self
    }

    fn problems(&self) -> Vec<String> {
        let Self { birds, side, radius, speed, .. } = self;
        let mut problems = Vec::new();
        if *birds as usize > AGENTS_MAX {
            problems.push(format!("{birds} birds; at most {AGENTS_MAX} are possible"));
        }
        if !(side.is_finite() && *side > 0.0) {
            problems.push(format!("a square of side {side}; give one above 0"));
        }
        if !(*radius > 0.0 && *radius * 2.0 <= *side) {
            problems.push(format!(
                "birds that see {radius} far; give more than 0, and at most half of the side {side}"
            ));
        }
        if !(*speed >= 0.0 && *speed <= *side) {
            problems.push(format!("a speed of {speed}; give one from 0 to the side {side}"));
        }
        problems
    }
}

impl std::fmt::Debug for Boids {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.describe())
    }
}

/// All birds, and who is near whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Flock {
    birds: Vec<Bird>,
    side: f64,
    radius: f64,
    /// Cells along a side, each at least as wide as birds see.
    cells: u32,
    /// By cell, where its birds begin in `order`; one more at the end.
    first: Vec<u32>,
    /// Birds by cell, with their numbers: side by side what is looked at together.
    order: Vec<(Bird, u32)>,
    /// By bird, where it stands in `order`.
    spot: Vec<u32>,
    /// By bird, its cell.
    cell: Vec<u32>,
}

/// A flock as it is written: cells follow from the birds.
#[derive(Serialize, Deserialize)]
struct Kept {
    birds: Vec<Bird>,
    side: f64,
    radius: f64,
}

impl From<Kept> for Flock {
    fn from(Kept { birds, side, radius }: Kept) -> Self {
        Self::new(birds, side, radius)
    }
}

impl From<Flock> for Kept {
    fn from(Flock { birds, side, radius, .. }: Flock) -> Self {
        Self { birds, side, radius }
    }
}

/// Cells along a side, at the most.
const CELLS_MAX: f64 = 1_024.0;

impl Flock {
    fn new(birds: Vec<Bird>, side: f64, radius: f64) -> Self {
        let cells = whole((side / radius).floor().clamp(1.0, CELLS_MAX));
        let (first, order) = (Vec::new(), vec![(Bird::default(), 0); birds.len()]);
        let (spot, cell) = (vec![0; birds.len()], vec![0; birds.len()]);
        let mut own = Self { birds, side, radius, cells, first, order, spot, cell };
        own.sort();
        own
    }

    /// The birds, by number.
    pub fn birds(&self) -> &[Bird] {
        &self.birds
    }

    /// The side of the square that they fly on.
    pub fn side(&self) -> f64 {
        self.side
    }

    /// How much the birds fly one way: the length of the mean of their directions, from 0 to 1.
    pub fn polarisation(&self) -> f64 {
        let sum = self
            .birds
            .iter()
            .fold(Vector::default(), |sum, bird| sum.plus(bird.velocity.of_length(1.0), 1.0));
        sum.length() / (self.birds.len() as f64).max(1.0)
    }

    /// Lets all birds fly on.
    fn fly(&mut self) {
        let side = self.side;
        for bird in &mut self.birds {
            let at = bird.at.plus(bird.velocity, 1.0);
            bird.at = Vector { x: wrapped(at.x, side), y: wrapped(at.y, side) };
        }
        self.sort();
    }

    /// Puts the birds into their cells, by counting.
    fn sort(&mut self) {
        let Self { birds, side, cells, first, order, spot, cell, .. } = self;
        first.clear();
        first.resize(*cells as usize * *cells as usize + 1, 0);
        let per = f64::from(*cells) / *side;
        let along = |position: f64| whole(position * per).min(*cells - 1);
        for (bird, own) in birds.iter().zip(cell.iter_mut()) {
            *own = along(bird.at.y) * *cells + along(bird.at.x);
            if let Some(count) = first.get_mut(*own as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in first.iter_mut() {
            sum += *start;
            *start = sum;
        }
        // From the last one, so that each cell's birds stand in the order of their numbers and `first` ends where it begins.
        let mut place = first.clone();
        let numbered = (0..number(birds.len())).zip(birds.iter()).zip(cell.iter());
        for (((number, bird), own), spot) in numbered.zip(spot.iter_mut()).rev() {
            if let Some(end) = place.get_mut(*own as usize + 1) {
                *end -= 1;
                *spot = *end;
                if let Some(place) = order.get_mut(*end as usize) {
                    *place = (*bird, number);
                }
            }
        }
    }
}

/// What a bird sees: itself, and the others within the radius.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    boids: &'a Boids,
    flock: &'a Flock,
    bird: u32,
}

impl Surroundings<'_> {
    /// The bird itself.
    pub fn own(&self) -> Bird {
        nth(&self.flock.birds, self.bird as usize)
    }

    /// Tells of each other bird that is near: how far it is away, how it flies, and the square of the distance.
    #[inline]
    pub fn each(&self, mut tell: impl FnMut(Vector, Vector, f64)) {
        let (flock, own) = (self.flock, self.own());
        let (cells, side, limit) = (flock.cells, flock.side, flock.radius * flock.radius);
        let cell = nth(&flock.cell, self.bird as usize);
        let (column, row) = (cell % cells, cell / cells);
        for y in around(row, cells) {
            for x in around(column, cells) {
                let cell = (y * cells + x) as usize;
                let range = nth(&flock.first, cell) as usize..nth(&flock.first, cell + 1) as usize;
                for (bird, other) in flock.order.get(range).unwrap_or_default() {
                    let offset = Vector {
                        x: nearest(bird.at.x - own.at.x, side),
                        y: nearest(bird.at.y - own.at.y, side),
                    };
                    let square = offset.x * offset.x + offset.y * offset.y;
                    if square <= limit && *other != self.bird {
                        tell(offset, bird.velocity, square);
                    }
                }
            }
        }
    }
}

impl Model for Boids {
    type World = Flock;
    type View<'a> = Surroundings<'a>;
    type Action = Vector;
    type Scratch = ();
    type Solution = ();

    fn describe(&self) -> String {
        let Self { birds, side, radius, speed, .. } = self;
        format!("{birds} birds on a square of {side}, that see {radius} far and fly {speed}")
    }

    fn seeks(&self) -> bool {
        false
    }

    fn world(&self, dice: &mut Dice) -> Result<Flock, String> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let mut bird = || {
            let at = Vector::new(dice.unit() * self.side, dice.unit() * self.side);
            let angle = dice.unit() * std::f64::consts::TAU;
            Bird { at, velocity: Vector::new(angle.cos(), angle.sin()).of_length(self.speed) }
        };
        let birds = (0..self.birds).map(|_| bird()).collect();
        Ok(Flock::new(birds, self.side, self.radius))
    }

    fn born(&self, _: &Flock) -> u32 {
        self.birds
    }

    fn view<'a>(&'a self, flock: &'a Flock, bird: u32) -> Surroundings<'a> {
        Surroundings { boids: self, flock, bird }
    }

    fn decide(&self, view: Surroundings<'_>, turn: &mut Turn, (): &mut ()) -> Vector {
        self.rule.turn(&view, &mut turn.dice).of_length(self.speed)
    }

    fn apply(&self, flock: &mut Flock, agent: u32, velocity: Vector) {
        if let Some(bird) = flock.birds.get_mut(agent as usize)
            && velocity.x.is_finite()
            && velocity.y.is_finite()
        {
            bird.velocity = velocity;
            let spot = nth(&flock.spot, agent as usize) as usize;
            if let Some((bird, _)) = flock.order.get_mut(spot) {
                bird.velocity = velocity;
            }
        }
    }

    fn advance(&self, flock: &mut Flock, _: Moment<'_, ()>) -> Option<Candidate<()>> {
        flock.fly();
        None
    }

    fn price(&self, _: &Flock, (): &()) -> Option<f64> {
        None
    }

    fn measures(&self) -> &'static [&'static str] {
        &["polarisation"]
    }

    fn measure(&self, flock: &Flock) -> Vec<f64> {
        vec![flock.polarisation()]
    }
}

/// Detects that the birds fly one way: that their polarisation is at least this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polarised(pub f64);

impl Default for Polarised {
    fn default() -> Self {
        Self(0.9)
    }
}

impl Detector<Boids> for Polarised {
    fn detect(&self, _: &Boids, sight: Sight<'_, Boids>) -> Finding<()> {
        let strength = sight.world.polarisation();
        if strength < self.0 {
            return Finding::Nothing;
        }
        let name = "one direction".to_owned();
        Finding::Pattern(Pattern { name, strength, share: 1.0, extracted: None })
    }
}

/// A position on a side without ends.
fn wrapped(position: f64, side: f64) -> f64 {
    let position = position.rem_euclid(side);
    // The remainder of a tiny negative number is rounded to the side itself.
    if position < side { position } else { 0.0 }
}

/// A difference of two positions on a side without ends, the shorter way.
#[inline]
fn nearest(difference: f64, side: f64) -> f64 {
    if difference > side / 2.0 {
        difference - side
    } else if difference < side / -2.0 {
        difference + side
    } else {
        difference
    }
}

/// The cells beside one, itself in the middle, each once.
#[inline]
fn around(cell: u32, cells: u32) -> impl Iterator<Item = u32> {
    let count = cells.min(3);
    (0..count).map(move |step| (cell + cells - 1 + step) % cells)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "truncated on purpose, and not below 0"
)]
fn whole(count: f64) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::swarm::{
        Course, Throws,
        course::{End, Missed, Setup},
    };

    #[test]
    fn a_bird_sees_exactly_those_within_its_radius_past_the_edges_too() {
        for (seed, side, radius) in
            [(1, 40.0, 5.0), (2, 21.0, 10.0), (3, 20.0, 10.0), (4, 8.0, 3.0)]
        {
            let boids = Boids::new(120, side).radius(radius);
            let flock = boids.world(&mut Throws::new(seed, 0, 0).of_swarm()).unwrap();
            for bird in 0..120 {
                let mut seen = Vec::new();
                boids.view(&flock, bird).each(|_, _, square| seen.push(square));
                let own = flock.birds()[bird as usize].at;
                let near = |other: &Bird| {
                    let (dx, dy) = ((other.at.x - own.x).abs(), (other.at.y - own.y).abs());
                    let (dx, dy) = (dx.min(side - dx), dy.min(side - dy));
                    dx * dx + dy * dy <= radius * radius
                };
                let near = flock.birds().iter().filter(|other| near(other)).count() - 1;
                assert_eq!(seen.len(), near, "bird {bird} on {side}");
            }
        }
    }

    #[test]
    fn birds_that_began_anywhere_come_to_fly_one_way_and_stay_on_the_square() {
        let mut setup = Setup::new(Boids::new(100, 40.0), 400);
        setup.detectors.push(Box::new(Polarised::default()));
        let mut course = Course::begin(Arc::new(setup), 7).unwrap();
        assert!(course.world().polarisation() < 0.4);
        assert_eq!(course.run(&Missed::new()), Ok(End::Ticks));
        let emerged = course.emerged().first().expect("they fly one way");
        assert!(emerged.since > 1 && emerged.pattern.strength >= 0.9, "{emerged:?}");
        assert!(course.world().polarisation() > 0.9 && course.best().is_none());
        let places: BTreeSet<_> =
            course.world().birds().iter().map(|bird| bird.at.x.to_bits()).collect();
        assert!(places.len() > 50, "they keep apart");
        let inside = |at: Vector| (0.0..40.0).contains(&at.x) && (0.0..40.0).contains(&at.y);
        assert!(course.world().birds().iter().all(|bird| inside(bird.at)));
    }

    #[test]
    fn a_flock_that_is_written_and_read_is_the_same() {
        let boids = Boids::new(50, 40.0);
        let flock = boids.world(&mut Throws::new(1, 0, 0).of_swarm()).unwrap();
        let bytes = runtime::record::encode(&flock).unwrap();
        assert_eq!(runtime::record::decode::<Flock>(&bytes), Ok(flock));
        let wrong = Boids::new(3, 4.0).radius(9.0).speed(f64::NAN);
        let why = wrong.world(&mut Throws::new(1, 0, 0).of_swarm()).unwrap_err();
        assert!(why.contains("see 9 far") && why.contains("a speed of NaN"), "{why}");
    }
}
