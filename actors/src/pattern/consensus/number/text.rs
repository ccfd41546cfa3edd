//! Numbers as text and floats, in and out.

use std::{fmt, str::FromStr};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Exact, NumberError, Repr, small_or};
use crate::limits::{NUMBER_BYTES_MAX, NUMBER_EXPONENT_MAX};

impl TryFrom<f64> for Exact {
    type Error = NumberError;

    fn try_from(value: f64) -> Result<Self, NumberError> {
        if !value.is_finite() {
            return Err(refused(&value.to_string(), "it is not finite"));
        }
        // The shortest decimal that is read back as the same value.
        decimal(&format!("{value:e}"))
    }
}

impl FromStr for Exact {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let text = text.trim();
        if text.len() > NUMBER_BYTES_MAX {
            let start = text.get(..text.floor_char_boundary(NUMBER_BYTES_MAX)).unwrap_or_default();
            return Err(refused(&format!("{start}…"), "it is too long"));
        }
        let Some((parts, whole)) = text.split_once('/') else { return decimal(text) };
        match (integer(parts.trim()), integer(whole.trim())) {
            (Some(_), Some(whole)) if whole.is_zero() => {
                Err(refused(text, "nothing is divided by zero"))
            }
            (Some(parts), Some(whole)) => Ok(small_or(BigRational::new(parts, whole))),
            _ => Err(refused(text, "a fraction has a whole number on both sides")),
        }
    }
}

/// A whole or decimal number, with or without an exponent.
fn decimal(text: &str) -> Result<Exact, NumberError> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let unsigned = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let digits = integer(&format!("{whole}{fraction}")).filter(|_| unsigned);
    let exponent = exponent.parse::<i32>().ok().filter(|ten| ten.abs() <= NUMBER_EXPONENT_MAX);
    let (Some(digits), Some(exponent)) = (digits, exponent) else {
        return Err(refused(text, "it is neither whole nor decimal, or too large"));
    };
    let scale = i64::from(exponent) - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let tens = Pow::pow(BigInt::from(10), scale.unsigned_abs());
    let (parts, whole) = if scale < 0 { (digits, tens) } else { (digits * tens, BigInt::one()) };
    Ok(small_or(BigRational::new(parts, whole)))
}

/// Digits with at most one sign before them.
fn integer(text: &str) -> Option<BigInt> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn refused(text: &str, why: &'static str) -> NumberError {
    NumberError { text: text.to_owned(), why }
}

impl fmt::Display for Exact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // Without a width there is nothing to pad, and no text to be made first.
            Repr::Small(small) if out.width().is_none() && !out.sign_plus() => {
                small.numer().fmt(out)?;
                if small.is_integer() {
                    return Ok(());
                }
                out.write_str("/")?;
                small.denom().fmt(out)
            }
            Repr::Small(small) => small.fmt(out),
            Repr::Big(big) => big.fmt(out),
        }
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Exact {
    /// Text for people; in records a whole number is one.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::Small(small) if small.is_integer() && !to.is_human_readable() => {
                to.serialize_i64(*small.numer())
            }
            Repr::Small(_) | Repr::Big(_) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl de::Visitor<'_> for Reader {
    type Value = Exact;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number as 2/3, 0.75 or 3")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Exact, E> {
        // What was computed may be longer than what is written by hand.
        let computed = || {
            text.split_once('/').and_then(|(parts, whole)| {
                let (parts, whole) = (integer(parts)?, integer(whole)?);
                (!whole.is_zero()).then(|| small_or(BigRational::new(parts, whole)))
            })
        };
        text.parse().or_else(|error| computed().ok_or_else(|| E::custom(error)))
    }

    fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Exact, E> {
        Ok(whole.into())
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Exact, E> {
        Ok(small_or(BigRational::from_integer(whole.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Exact, E> {
        value.try_into().map_err(E::custom)
    }
}
