//! Checks that a schema cannot express: lengths, ranges, repeats.
//!
//! Payloads call these after decoding and before encoding, so both sides keep the same rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::Value;
use crate::limits::{LABELS_MAX, NAME_BYTES_MAX, NAMES_MAX, TEXT_BYTES_MAX};

/// Tells which field breaks which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field} {rule}")]
pub struct Fault {
    /// The field, by its name on the wire.
    pub field: &'static str,
    /// What is wrong, with the limit.
    pub rule: String,
}

impl Fault {
    pub(crate) fn new(field: &'static str, rule: impl Into<String>) -> Self {
        Self { field, rule: rule.into() }
    }
}

pub(crate) fn ensure(holds: bool, field: &'static str, rule: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::new(field, rule)) }
}

pub(crate) fn at_most(field: &'static str, count: usize, max: usize) -> Result<(), Fault> {
    if count <= max {
        Ok(())
    } else {
        Err(Fault::new(field, format!("holds {count} entries, at most {max} are allowed")))
    }
}

/// Checks that a name is there, short, and free of control characters, so that logs and terminals show what it is.
///
/// # Errors
/// [`Fault`] names `field` and the rule.
pub fn name(field: &'static str, text: &str) -> Result<(), Fault> {
    ensure(!text.is_empty(), field, "is empty; give it a name")?;
    optional_name(field, text)
}

pub(crate) fn optional_name(field: &'static str, text: &str) -> Result<(), Fault> {
    ensure(!text.chars().any(char::is_control), field, "holds a control character; leave it out")?;
    bytes_at_most(field, text.len(), NAME_BYTES_MAX)
}

pub(crate) fn names(field: &'static str, list: &[String]) -> Result<(), Fault> {
    at_most(field, list.len(), NAMES_MAX)?;
    list.iter().try_for_each(|entry| name(field, entry))
}

pub(crate) fn text(field: &'static str, text: &str) -> Result<(), Fault> {
    bytes_at_most(field, text.len(), TEXT_BYTES_MAX)
}

pub(crate) fn labels(field: &'static str, map: &BTreeMap<String, String>) -> Result<(), Fault> {
    at_most(field, map.len(), LABELS_MAX)?;
    map.iter()
        .try_for_each(|(key, value)| name(field, key).and_then(|()| optional_name(field, value)))
}

/// About the bytes of a value: its texts, and 8 for each value in it; counted until they are more than `most`.
pub fn weight(value: &Value, most: usize) -> usize {
    let (mut bytes, mut rest) = (0, vec![value]);
    while let Some(value) = rest.pop()
        && bytes <= most
    {
        bytes += 8 + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(all) => {
                rest.extend(all);
                0
            }
            Value::Object(map) => {
                rest.extend(map.values());
                map.keys().map(String::len).sum::<usize>()
            }
        };
    }
    bytes
}

/// A share lies in [0, 1]; not-a-number lies nowhere.
pub(crate) fn share(field: &'static str, value: f64) -> Result<(), Fault> {
    ensure((0.0..=1.0).contains(&value), field, "is no number from 0 to 1")
}

pub(crate) fn no_repeats<T: Ord>(field: &'static str, list: &[T]) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    ensure(
        list.iter().all(|entry| seen.insert(entry)),
        field,
        "holds an entry twice; name each once",
    )
}

fn bytes_at_most(field: &'static str, bytes: usize, max: usize) -> Result<(), Fault> {
    if bytes <= max {
        Ok(())
    } else {
        Err(Fault::new(field, format!("has {bytes} bytes, at most {max} are allowed")))
    }
}
