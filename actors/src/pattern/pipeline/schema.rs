//! JSON Schema: what goes into a stage and what comes out of it. The only file that names the validator.
//!
//! # Invariants
//! - A schema is compiled once; one that is no schema is none. It refers to nothing outside of itself.
//! - Patterns are matched in linear time.

use std::{fmt, sync::Arc};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::limits::SCHEMA_ERRORS_SHOWN;

/// A compiled JSON Schema; the draft is that of its `$schema`, else 2020-12.
///
/// ```
/// use serde_json::json;
/// use synod_actors::pattern::pipeline::Schema;
///
/// let schema = Schema::new(&json!({ "type": "object", "required": ["text"] }))?;
/// assert_eq!(schema.check(&json!({ "text": "A word." })), Ok(()));
/// assert!(schema.check(&json!({})).unwrap_err().contains("\"text\" is a required property"));
/// assert!(Schema::new(&json!({ "type": "sting" })).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Where and why it is no schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        match options.build(schema) {
            Ok(validator) => Ok(Self(Arc::new(validator))),
            Err(error) => Err(format!("{error}{}", at(error.instance_path().as_str()))),
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first things that the schema forbids, each with its place in the value; no part of the value itself.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let mut wrong = self.0.iter_errors(value);
        let place = |error: jsonschema::ValidationError<'_>| {
            format!("{}{}", error.masked(), at(error.instance_path().as_str()))
        };
        let shown: Vec<String> = wrong.by_ref().take(SCHEMA_ERRORS_SHOWN).map(place).collect();
        let more = if wrong.next().is_some() { "; and more" } else { "" };
        Err(shown.join("; ") + more)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Schema")
    }
}

/// A place in a value, for people.
fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        for (schema, part) in [
            (json!("text"), "\"text\""),
            (json!({ "type": "sting" }), "/type"),
            (json!({ "properties": { "a": { "minLength": -1 } } }), "/properties/a/minLength"),
            (json!({ "pattern": "(" }), "/pattern"),
            (json!({ "$ref": "https://example.org/other.json" }), "example.org"),
            (json!({ "$ref": "#/$defs/none" }), "/$defs/none"),
        ] {
            let why = Schema::new(&schema).unwrap_err();
            assert!(why.contains(part), "{schema}: {why}");
        }
        assert!(Schema::new(&json!(true)).is_ok() && Schema::new(&json!({})).is_ok());
    }

    #[test]
    fn a_violation_names_its_place_and_not_the_value() {
        let schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string", "maxLength": 3 }, "n": { "type": "integer" } },
            "required": ["text"],
            "additionalProperties": false,
        });
        let schema = Schema::new(&schema).unwrap();
        let why = schema.check(&json!({ "text": "a secret", "n": "x", "more": 1 })).unwrap_err();
        assert!(
            why.contains("at /text") && why.contains("at /n") && !why.contains("secret"),
            "{why}"
        );
        assert!(why.len() < 1_000);
    }

    #[test]
    fn many_violations_are_told_in_short() {
        let schema = Schema::new(&json!({ "items": { "type": "string" } })).unwrap();
        let why = schema.check(&json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).unwrap_err();
        assert!(
            why.ends_with("; and more") && why.matches(" at /").count() == SCHEMA_ERRORS_SHOWN,
            "{why}"
        );
    }

    #[test]
    fn a_hostile_pattern_takes_linear_time() {
        let schema = Schema::new(&json!({ "pattern": "^(a+)+$" })).unwrap();
        let text = "a".repeat(50_000) + "!";
        assert!(schema.check(&json!(text)).is_err());
    }
}
