//! Exact numbers: weights, quorums and confidences as rationals, so that 2 of 3 is 2/3 and ten times 0.1 is 1.
//!
//! Used by the whole of consensus; the only module that names the crates behind it. Sums that fit two `i64` stay there, others
//! take as many digits as they need.
//!
//! # Invariants
//! - A number is kept in lowest terms, in the small form wherever it fits: equal numbers are equal values.
//! - No operation rounds, overflows or panics.

mod text;

use std::{
    cmp::Ordering,
    iter::Sum,
    ops::{Add, Mul, Sub},
};

use num_rational::{BigRational, Ratio};
use num_traits::{CheckedAdd, CheckedMul, CheckedSub, Signed, ToPrimitive, Zero};

/// An exact rational number.
///
/// Written `2/3`, `0.75`, `7e-2` or `3`; an `f64` enters by its shortest decimal, so that `0.1` is one tenth.
///
/// ```
/// use synod_actors::pattern::consensus::Exact;
///
/// let third: Exact = "1/3".parse()?;
/// assert_eq!(&(&third + &third) + &third, Exact::ONE);
/// assert_eq!(Exact::try_from(0.1)?, Exact::ratio(1, 10)?);
/// assert!(Exact::try_from(f64::NAN).is_err());
/// # Ok::<(), synod_actors::pattern::consensus::NumberError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Exact(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Small(Ratio<i64>),
    Big(Box<BigRational>),
}

/// What is not a number that can be counted with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a number to count with: {why}; write it as 2/3, 0.75 or 3")]
pub struct NumberError {
    text: String,
    why: &'static str,
}

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self(Repr::Small(Ratio::new_raw(0, 1)));
    /// All.
    pub const ONE: Self = Self(Repr::Small(Ratio::new_raw(1, 1)));

    /// `parts` of `whole`.
    ///
    /// # Errors
    /// `whole` is zero.
    pub fn ratio(parts: i64, whole: i64) -> Result<Self, NumberError> {
        if whole == 0 {
            return Err(NumberError {
                text: format!("{parts}/0"),
                why: "nothing is divided by zero",
            });
        }
        // In the large form otherwise, which no sign or end of a range can overflow.
        Ok(halves(parts, whole)
            .unwrap_or_else(|| small_or(BigRational::new(parts.into(), whole.into()))))
    }

    /// The nearest `f64`, for people and metrics.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Small(small) => small.to_f64(),
            Repr::Big(big) => big.to_f64(),
        }
        .unwrap_or(f64::NAN)
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(small) => small.is_negative(),
            Repr::Big(big) => big.is_negative(),
        }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        matches!(&self.0, Repr::Small(small) if small.is_zero())
    }

    /// Whether it is a share: from 0 to 1.
    pub fn is_share(&self) -> bool {
        !self.is_negative() && *self <= Self::ONE
    }

    /// This number divided by `by`; none if that is zero.
    pub fn over(&self, by: &Self) -> Option<Self> {
        if by.is_zero() {
            return None;
        }
        let small = match (&self.0, &by.0) {
            (Repr::Small(own), Repr::Small(by)) => {
                let parts = i64::checked_mul(*own.numer(), *by.denom());
                parts.zip(i64::checked_mul(*own.denom(), *by.numer()))
            }
            (Repr::Big(_), _) | (_, Repr::Big(_)) => None,
        };
        let small = small.and_then(|(parts, whole)| halves(parts, whole));
        Some(small.unwrap_or_else(|| small_or(self.big() / by.big())))
    }

    /// At least as many bytes as it takes in a record, the key of an entry that it belongs to not counted.
    pub(super) fn bytes_at_most(&self) -> usize {
        match &self.0 {
            Repr::Small(_) => SMALL_BYTES,
            // A decimal digit holds more than three bits.
            Repr::Big(big) => {
                let bits = big.numer().bits().saturating_add(big.denom().bits());
                usize::try_from(bits / 3).unwrap_or(usize::MAX).saturating_add(SMALL_BYTES)
            }
        }
    }

    fn big(&self) -> BigRational {
        match &self.0 {
            Repr::Small(small) => {
                BigRational::new_raw((*small.numer()).into(), (*small.denom()).into())
            }
            Repr::Big(big) => (**big).clone(),
        }
    }

    /// An operation in the small form where that can hold the result, else in the large one.
    fn combine(
        &self,
        other: &Self,
        small: impl FnOnce(&Ratio<i64>, &Ratio<i64>) -> Option<Ratio<i64>>,
        big: impl FnOnce(BigRational, BigRational) -> BigRational,
    ) -> Self {
        if let (Repr::Small(left), Repr::Small(right)) = (&self.0, &other.0)
            && let Some(result) = small(left, right)
        {
            return Self(Repr::Small(result));
        }
        small_or(big(self.big(), other.big()))
    }
}

/// What a number of two `i64` takes in a record, and what any other does besides its digits, at the most.
const SMALL_BYTES: usize = 64;

/// A fraction both sides of which fit an `i32`, so that nothing that is done to reduce it overflows.
fn halves(parts: i64, whole: i64) -> Option<Exact> {
    let fits = i32::try_from(parts).is_ok() && i32::try_from(whole).is_ok() && whole != 0;
    fits.then(|| Exact(Repr::Small(Ratio::new(parts, whole))))
}

/// Whole numbers, which need no reducing.
fn wholes(left: &Ratio<i64>, right: &Ratio<i64>) -> Option<(i64, i64)> {
    (left.is_integer() && right.is_integer()).then(|| (*left.numer(), *right.numer()))
}

/// The small form of a number where that can hold it.
fn small_or(big: BigRational) -> Exact {
    match (big.numer().to_i64(), big.denom().to_i64()) {
        (Some(parts), Some(whole)) => Exact(Repr::Small(Ratio::new_raw(parts, whole))),
        _ => Exact(Repr::Big(Box::new(big))),
    }
}

impl Add for &Exact {
    type Output = Exact;

    fn add(self, other: Self) -> Exact {
        let small = |left: &Ratio<i64>, right: &Ratio<i64>| match wholes(left, right) {
            Some((left, right)) => left.checked_add(right).map(Ratio::from_integer),
            None => CheckedAdd::checked_add(left, right),
        };
        self.combine(other, small, |left, right| left + right)
    }
}

impl Sub for &Exact {
    type Output = Exact;

    fn sub(self, other: Self) -> Exact {
        let small = |left: &Ratio<i64>, right: &Ratio<i64>| match wholes(left, right) {
            Some((left, right)) => left.checked_sub(right).map(Ratio::from_integer),
            None => CheckedSub::checked_sub(left, right),
        };
        self.combine(other, small, |left, right| left - right)
    }
}

impl Mul for &Exact {
    type Output = Exact;

    fn mul(self, other: Self) -> Exact {
        let small = |left: &Ratio<i64>, right: &Ratio<i64>| match wholes(left, right) {
            Some((left, right)) => left.checked_mul(right).map(Ratio::from_integer),
            None => CheckedMul::checked_mul(left, right),
        };
        self.combine(other, small, |left, right| left * right)
    }
}

impl<'a> Sum<&'a Exact> for Exact {
    fn sum<I: Iterator<Item = &'a Self>>(numbers: I) -> Self {
        numbers.fold(Self::ZERO, |sum, number| &sum + number)
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(left), Repr::Small(right)) => match wholes(left, right) {
                Some((left, right)) => left.cmp(&right),
                None => left.cmp(right),
            },
            _ => self.big().cmp(&other.big()),
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Exact {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<u32> for Exact {
    fn from(whole: u32) -> Self {
        Self(Repr::Small(Ratio::from_integer(i64::from(whole))))
    }
}

impl From<i64> for Exact {
    fn from(whole: i64) -> Self {
        Self(Repr::Small(Ratio::from_integer(whole)))
    }
}
