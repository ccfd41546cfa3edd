//! The JSON Schema of run files, for editors; made from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{AGENT, AGENT_KINDS, FILE, Form, Key, Shape, TEST_FILE, Text};
use super::limits::{LIST_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use super::tree::{self, read};

/// Gives the JSON Schema (draft 2020-12) of run files.
///
/// It knows names, types and ranges; [`RunFile::parse`](super::RunFile::parse) knows more.
pub fn schema() -> Value {
    document(&FILE)
}

/// Gives the JSON Schema (draft 2020-12) of test files.
pub fn test_schema() -> Value {
    document(&TEST_FILE)
}

fn document(file: &Shape) -> Value {
    let mut schema = shape(file);
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    Value::Object(schema)
}

fn shape(shape: &Shape) -> Map<String, Value> {
    let keys = shape.keys.iter();
    let properties: Map<String, Value> =
        keys.clone().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        keys.filter(|key| key.required && key.only.is_empty()).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("title".into(), shape.title.into());
    schema.insert("type".into(), "object".into());
    schema.insert("description".into(), shape.about.into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), false.into());
    schema.insert("required".into(), required.into());
    if std::ptr::eq(shape, &raw const AGENT) {
        schema.insert("oneOf".into(), AGENT_KINDS.iter().map(|kind| one_kind(kind)).collect());
    }
    schema
}

/// Says which keys an agent of a kind has, and which of them it must have.
fn one_kind(kind: &str) -> Value {
    let own = |key: &&Key| key.only.contains(&kind);
    let is_kind = |key: &&Key| key.name == kind;
    let required: Vec<&str> = AGENT
        .keys
        .iter()
        .filter(|key| is_kind(key) || (key.required && own(key)))
        .map(|key| key.name)
        .collect();
    let foreign: Map<String, Value> = AGENT
        .keys
        .iter()
        .filter(|key| !key.only.is_empty() && !own(key))
        .map(|key| (key.name.to_owned(), false.into()))
        .collect();
    json!({ "required": required, "properties": foreign })
}

fn property(key: &Key) -> Value {
    let mut schema = form(&key.form);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), key.about.into());
        schema.insert("examples".into(), literal(key.example).map_or(json!([]), |it| json!([it])));
        if let Some(default) = key.default.and_then(literal) {
            schema.insert("default".into(), default);
        }
    }
    schema
}

fn form(form_of: &Form) -> Value {
    match form_of {
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Text(kind) => text(*kind),
        Form::Choice { known, .. } => json!({ "enum": known }),
        Form::Size => json!({
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^\\s*[0-9]+\\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?\\s*$" },
            ]
        }),
        Form::Scalar => json!({ "type": ["string", "integer", "number", "boolean"] }),
        Form::Free | Form::Schema => json!({ "type": "object" }),
        Form::List(each) => {
            json!({ "type": "array", "items": form(each), "minItems": 1, "maxItems": LIST_MAX })
        }
        Form::OneOrMany(each) => json!({
            "anyOf": [
                form(each),
                { "type": "array", "items": form(each), "minItems": 1, "maxItems": LIST_MAX },
            ]
        }),
        Form::Table(inner) => Value::Object(shape(inner)),
        Form::Named(inner) => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME_PATTERN, "maxLength": NAME_BYTES_MAX },
            "additionalProperties": shape(inner),
        }),
        Form::Map { keys, each } => json!({
            "type": "object",
            "propertyNames": text(*keys),
            "additionalProperties": form(each),
        }),
        Form::Any => json!({}),
        Form::Count => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^\\s*([0-9]+|[0-9]*\\s*\\.\\.\\s*[0-9]*)\\s*$" },
            ]
        }),
        Form::Cell => json!({
            "type": "array",
            "items": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            "minItems": 2,
            "maxItems": 2,
        }),
        Form::Weight => number(json!({})),
        Form::Share => number(json!({ "maximum": 1 })),
        Form::BooleanOr(inner) => json!({ "anyOf": [{ "type": "boolean" }, shape(inner)] }),
    }
}

/// A number of 0 or more, with what else holds for it; as text it is a decimal or a fraction.
fn number(bounds: Value) -> Value {
    let mut number = json!({ "type": "number", "minimum": 0 });
    if let (Value::Object(number), Value::Object(bounds)) = (&mut number, bounds) {
        number.extend(bounds);
    }
    json!({ "anyOf": [number, { "type": "string", "pattern": "^[0-9][0-9./eE+-]*$" }] })
}

const NAME_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

fn text(kind: Text) -> Value {
    let pattern = match kind {
        Text::Name => NAME_PATTERN,
        Text::Variable => "^[A-Za-z_][A-Za-z0-9_]*$",
        Text::Glob => ".",
        Text::Duration => "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+$",
        Text::Backoff => {
            "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+(\\.\\.\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+)?$"
        }
        Text::Plain | Text::Template | Text::Argument | Text::Below => {
            return json!({ "type": "string", "maxLength": TEXT_BYTES_MAX });
        }
    };
    json!({ "type": "string", "pattern": pattern })
}

/// Turns a TOML value of the table of keys into JSON.
fn literal(text: &str) -> Option<Value> {
    let table = read(&format!("value = {text}"), &mut Vec::new());
    tree::json(&table.node("value")?.value)
}
