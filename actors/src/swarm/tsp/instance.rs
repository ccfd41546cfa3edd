//! Instances of the travelling salesman problem: cities and what it costs to go from one to another.

use crate::limits::{CITIES_MAX, DISTANCE_TABLE_CITIES_MAX};

/// How the distance between two cities follows from where they are, as TSPLIB has it (Reinelt 1991).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Euclidean, to the nearest whole number.
    Euclidean,
    /// Euclidean, rounded up.
    Ceiling,
    /// The sum of the differences.
    Manhattan,
    /// The greatest difference.
    Maximum,
    /// TSPLIB's pseudo-Euclidean one.
    Pseudo,
    /// Kilometres on a sphere; positions are degrees and minutes.
    Geographical,
}

/// A symmetric instance.
#[derive(Clone, PartialEq)]
pub struct Instance {
    name: String,
    cities: u32,
    /// Where the cities are, and how far that is; none where the distances are given.
    positions: Option<(Metric, Vec<(f64, f64)>)>,
    /// By two cities; empty where there are too many.
    table: Vec<u32>,
}

impl Instance {
    /// Cities at these positions.
    ///
    /// # Errors
    /// They are too few or too many, or one of them is nowhere.
    pub fn at(
        name: impl Into<String>,
        metric: Metric,
        positions: Vec<(f64, f64)>,
    ) -> Result<Self, String> {
        let cities = count(positions.len())?;
        if let Some(at) = positions.iter().position(|(x, y)| !(x.is_finite() && y.is_finite())) {
            return Err(format!("city {} of the instance is nowhere", at + 1));
        }
        let positions = match metric {
            Metric::Geographical => positions.into_iter().map(radians).collect(),
            Metric::Euclidean
            | Metric::Ceiling
            | Metric::Manhattan
            | Metric::Maximum
            | Metric::Pseudo => positions,
        };
        let mut own = Self {
            name: name.into(),
            cities,
            positions: Some((metric, positions)),
            table: Vec::new(),
        };
        if cities as usize <= DISTANCE_TABLE_CITIES_MAX {
            let pairs = (0..cities).flat_map(|one| (0..cities).map(move |other| (one, other)));
            own.table = pairs.map(|(one, other)| own.distance(one, other)).collect();
        }
        Ok(own)
    }

    /// Cities with these distances, row by row.
    ///
    /// # Errors
    /// They are too few or too many, the distances are not as many as there are pairs, or are not the same in both directions.
    pub fn given(name: impl Into<String>, cities: usize, table: Vec<u32>) -> Result<Self, String> {
        let own = Self { name: name.into(), cities: count(cities)?, positions: None, table };
        if own.table.len() != cities * cities {
            return Err(format!("{} distances of {cities} cities", own.table.len()));
        }
        for one in 0..own.cities {
            if let Some(other) =
                (0..one).find(|other| own.distance(one, *other) != own.distance(*other, one))
            {
                return Err(format!(
                    "the distance of cities {} and {} depends on the direction; that is not possible here",
                    other + 1,
                    one + 1
                ));
            }
        }
        Ok(own)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many cities there are, numbered from 0.
    pub fn cities(&self) -> u32 {
        self.cities
    }

    /// Where the cities are, for pictures; none where only distances are given.
    pub fn positions(&self) -> Option<&[(f64, f64)]> {
        self.positions.as_ref().map(|(_, positions)| &**positions)
    }

    /// What it costs to go from one city to another, and back.
    #[inline]
    pub fn distance(&self, one: u32, other: u32) -> u32 {
        let at = one as usize * self.cities as usize + other as usize;
        match self.table.get(at) {
            Some(distance) => *distance,
            None => self.measured(one, other),
        }
    }

    #[cold]
    fn measured(&self, one: u32, other: u32) -> u32 {
        let Some((metric, positions)) = &self.positions else { return 0 };
        match (positions.get(one as usize), positions.get(other as usize)) {
            (Some(one), Some(other)) => between(*metric, *one, *other),
            (None | Some(_), None) | (None, Some(_)) => 0,
        }
    }

    /// The length of a round through cities in this order; none unless each city is in it once.
    pub fn length(&self, tour: &[u32]) -> Option<u64> {
        let mut seen = vec![false; self.cities as usize];
        for city in tour {
            if std::mem::replace(seen.get_mut(*city as usize)?, true) {
                return None;
            }
        }
        let next = tour.iter().skip(1).chain(tour.first());
        let length =
            tour.iter().zip(next).map(|(one, other)| u64::from(self.distance(*one, *other)));
        (tour.len() == seen.len()).then(|| length.sum())
    }

    /// The nearest cities of each, at most so many, the nearest first; side by side.
    pub fn nearest(&self, most: usize) -> (usize, Vec<u32>) {
        let each = most.min(self.cities as usize - 1);
        let mut lists = Vec::with_capacity(each * self.cities as usize);
        let mut others: Vec<(u32, u32)> = Vec::with_capacity(self.cities as usize);
        for one in 0..self.cities {
            others.clear();
            let other = (0..self.cities).filter(|other| *other != one);
            others.extend(other.map(|other| (self.distance(one, other), other)));
            if each < others.len() {
                others.select_nth_unstable(each);
                others.truncate(each);
            }
            others.sort_unstable();
            lists.extend(others.iter().map(|(_, other)| *other));
        }
        (each, lists)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Instance({}, {} cities)", self.name, self.cities)
    }
}

fn count(cities: usize) -> Result<u32, String> {
    if (3..=CITIES_MAX).contains(&cities) {
        return Ok(super::super::number(cities));
    }
    Err(format!("an instance of {cities} cities: from 3 to {CITIES_MAX} are possible"))
}

fn between(metric: Metric, one: (f64, f64), other: (f64, f64)) -> u32 {
    let (dx, dy) = ((one.0 - other.0).abs(), (one.1 - other.1).abs());
    match metric {
        Metric::Euclidean => whole((dx * dx + dy * dy).sqrt() + 0.5),
        Metric::Ceiling => whole((dx * dx + dy * dy).sqrt().ceil()),
        Metric::Manhattan => whole(dx + dy + 0.5),
        Metric::Maximum => whole(dx + 0.5).max(whole(dy + 0.5)),
        Metric::Pseudo => whole(((dx * dx + dy * dy) / 10.0).sqrt().ceil()),
        Metric::Geographical => on_earth(one, other),
    }
}

/// Degrees and minutes, written `DDD.MM`, as radians by TSPLIB's π.
fn radians((latitude, longitude): (f64, f64)) -> (f64, f64) {
    let radians = |position: f64| {
        let degrees = position.trunc();
        TSPLIB_PI * (degrees + 5.0 * (position - degrees) / 3.0) / 180.0
    };
    (radians(latitude), radians(longitude))
}

/// π as TSPLIB's distances are defined by it.
#[expect(clippy::approx_constant, reason = "the published optima rest on it")]
const TSPLIB_PI: f64 = 3.141592;

fn on_earth(one: (f64, f64), other: (f64, f64)) -> u32 {
    let q1 = (one.1 - other.1).cos();
    let q2 = (one.0 - other.0).cos();
    let q3 = (one.0 + other.0).cos();
    whole(6378.388 * (0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)).acos() + 1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "truncated on purpose; distances are not below 0, and those beyond the range are the greatest"
)]
fn whole(distance: f64) -> u32 {
    distance as u32
}
