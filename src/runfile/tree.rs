//! The values of a run file with their places: TOML, then the `--set` options on top.
//!
//! Nothing here knows what keys mean.

use toml::de::{DeArray, DeTable, DeValue};
use toml::{Spanned, de::DeInteger};

use super::keys::NAMED;
use super::limits::PATH_KEYS_MAX;
use super::problem::{At, Origin, Problem, Texts};
use super::suggest::suggest;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
    /// What could not be read; its problem is already noted.
    Broken,
}

/// A table whose entries are in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: At,
    pub(crate) node: Node,
}

impl Table {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn node(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Gives the entries of a table inside this one; none if it is missing or no table.
    pub(crate) fn entries_of(&self, key: &str) -> &[Entry] {
        self.node(key).and_then(|node| node.value.table()).map_or(&[], |table| &table.entries)
    }

    fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.key.as_str()).collect()
    }
}

impl Value {
    pub(crate) fn table(&self) -> Option<&Table> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    pub(crate) fn list(&self) -> Option<&[Node]> {
        if let Self::Array(nodes) = self { Some(nodes) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// Names the type as a message does, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Broken => "a broken value",
        }
    }
}

/// Reads a TOML text; what cannot be read is noted and left out.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Table {
    let (document, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut line_end = 0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // Further errors of a line mostly follow from its first.
        if span.start < line_end {
            continue;
        }
        let rest = text.get(span.start..).unwrap_or("");
        line_end = span.start + rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let at = At { origin: Origin::File, start: span.start, end: span.end };
        problems.push(syntax(at, error.message(), text));
    }
    let mut reader = Reader { origin: Origin::File, shift: 0, problems };
    reader.table(document.get_ref())
}

/// Puts one `--set PATH=VALUE`, which starts at `shift` of the options' text, on top of a file.
pub(crate) fn set(root: &mut Table, option: &str, shift: usize, problems: &mut Vec<Problem>) {
    let whole = At { origin: Origin::Set, start: shift, end: shift + option.len() };
    let Some((path, value)) = option.split_once('=') else {
        let problem = Problem::new(whole, format!("`{option}` sets nothing"))
            .label("no `=` here")
            .help_with("write `--set PATH=VALUE`, such as `--set agents.ruff.optional=true`");
        problems.push(problem);
        return;
    };
    let mut segments = Vec::new();
    let mut start = shift;
    for segment in path.split('.') {
        let at = At { origin: Origin::Set, start, end: start + segment.len() };
        segments.push((segment.trim(), at));
        start += segment.len() + 1;
    }
    if let Some((_, at)) = segments.iter().find(|(segment, _)| segment.is_empty()) {
        let problem = Problem::new(*at, "a part of the path is empty")
            .label("a key is missing here")
            .help_with("write `--set PATH=VALUE`, the keys of the path joined by `.`");
        problems.push(problem);
        return;
    }
    if segments.len() > PATH_KEYS_MAX {
        let problem = Problem::new(whole, "the path of this option is too long")
            .label(format!("{} keys", segments.len()))
            .help_with(format!("a path has at most {PATH_KEYS_MAX} keys"));
        problems.push(problem);
        return;
    }
    let node = option_value(value, shift + path.len() + 1, problems);
    if let Err(problem) = put(root, &segments, node) {
        problems.push(problem);
    }
}

/// Reads the value of an option: TOML if it is, else a string.
fn option_value(value: &str, shift: usize, problems: &mut Vec<Problem>) -> Node {
    let at = At { origin: Origin::Set, start: shift, end: shift + value.len() };
    let lone = value.trim();
    let shift = shift + value.find(lone).unwrap_or(0);
    match DeValue::parse(lone) {
        Ok(parsed) => Reader { origin: Origin::Set, shift, problems }.node(&parsed),
        Err(_) => Node { at, value: Value::String(value.to_owned()) },
    }
}

fn put(table: &mut Table, path: &[(&str, At)], node: Node) -> Result<(), Problem> {
    let mut table = table;
    for (depth, (segment, at)) in path.iter().enumerate() {
        let position = table.entries.iter().position(|entry| entry.key == *segment);
        if position.is_none() {
            must_exist(table, path, depth)?;
            let value = Value::Table(Table::default());
            let node = Node { at: *at, value };
            table.entries.push(Entry { key: (*segment).to_owned(), key_at: *at, node });
        }
        let index = position.unwrap_or(table.entries.len().saturating_sub(1));
        let Some(entry) = table.entries.get_mut(index) else { return Ok(()) };
        if depth + 1 == path.len() {
            entry.node = node;
            return Ok(());
        }
        let (there, kind) = (entry.node.at, entry.node.value.kind());
        let Value::Table(inner) = &mut entry.node.value else {
            return Err(Problem::new(*at, format!("`{segment}` is {kind}, not a table"))
                .label("nothing can be set inside it")
                .also(there, "its value")
                .help_with(format!("set it whole: `--set {}=VALUE`", joined(path, depth + 1))));
        };
        table = inner;
    }
    Ok(())
}

/// Refuses to set a key of an agent, input or pattern that the file does not have.
fn must_exist(table: &Table, path: &[(&str, At)], depth: usize) -> Result<(), Problem> {
    let names = |first: &str| depth == 1 && path.len() > 2 && NAMED.contains(&first);
    let (Some((first, _)), Some((segment, at))) = (path.first(), path.get(depth)) else {
        return Ok(());
    };
    if !names(first) {
        return Ok(());
    }
    Err(Problem::new(*at, format!("there is no `{first}.{segment}` in the file"))
        .label("not in the file")
        .help_with(suggest(segment, &table.keys(), "its names are")))
}

fn joined(path: &[(&str, At)], count: usize) -> String {
    let keys: Vec<&str> = path.iter().take(count).map(|(segment, _)| *segment).collect();
    keys.join(".")
}

fn syntax(at: At, message: &str, text: &str) -> Problem {
    match message {
        "duplicate key" => {
            let name = text.get(at.start..at.end).unwrap_or("this");
            Problem::new(at, format!("`{name}` is already taken"))
                .label("the second of this name")
                .help_with("give it another name, or delete one of the two")
        }
        message => Problem::new(at, format!("this is not TOML: {message}")).label("here"),
    }
}

/// Turns a value into JSON; `None` for dates, which the checks refuse.
pub(crate) fn json(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::String(text) => Some(text.clone().into()),
        Value::Integer(number) => Some((*number).into()),
        Value::Number(number) => Some((*number).into()),
        Value::Boolean(truth) => Some((*truth).into()),
        Value::Array(nodes) => nodes.iter().map(|node| json(&node.value)).collect(),
        Value::Table(table) => {
            let entries = table.entries.iter();
            entries.map(|entry| Some((entry.key.clone(), json(&entry.node.value)?))).collect()
        }
        Value::Datetime | Value::Broken => None,
    }
}

struct Reader<'a> {
    origin: Origin,
    shift: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_at: self.at(&key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_at);
        Table { entries }
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.at(&value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => self.integer(integer, at),
            DeValue::Float(float) => self.number(float.as_str(), at),
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(array) => Value::Array(self.array(array)),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { at, value }
    }

    fn array(&mut self, array: &DeArray<'_>) -> Vec<Node> {
        array.iter().map(|value| self.node(value)).collect()
    }

    fn integer(&mut self, integer: &DeInteger<'_>, at: At) -> Value {
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => self.broken(at, "this integer does not fit into 64 bits"),
        }
    }

    fn number(&mut self, number: &str, at: At) -> Value {
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Number(number),
            _ => self.broken(at, "this number is not finite"),
        }
    }

    fn broken(&mut self, at: At, message: &str) -> Value {
        self.problems.push(Problem::new(at, message).label("out of range"));
        Value::Broken
    }

    fn at(&self, span: &std::ops::Range<usize>) -> At {
        At { origin: self.origin, start: span.start + self.shift, end: span.end + self.shift }
    }
}

/// Finds the place of a range inside a string value: exact where the file writes the string
/// without escapes, else the whole value.
pub(crate) fn inside(texts: &Texts, node: &Node, range: &std::ops::Range<usize>) -> At {
    let (Value::String(value), (_, text)) = (&node.value, texts.get(node.at.origin)) else {
        return node.at;
    };
    let written = text.get(node.at.start..node.at.end).unwrap_or("");
    match written.find(value.as_str()) {
        Some(quote) if !value.is_empty() => {
            let start = node.at.start + quote;
            At { start: start + range.start, end: start + range.end, ..node.at }
        }
        _ => node.at,
    }
}
