//! Checks a tree against the table of keys: unknown keys, wrong types, values out of range,
//! missing keys, and what a later version brings.

mod kinds;

use std::collections::BTreeMap;

use actors::pattern::pipeline::Schema;

use super::keys::{
    AGENT, FILE, Form, INPUT, Key, Later, PATTERNS, PATTERNS_ALONE, SWARM_MODEL, Shape, TEST_FILE,
    Text,
};
use super::limits::{LIST_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use super::model::Name;
use super::problem::{At, Problem, Texts};
use super::scalar::{self, Wrong};
use super::suggest::{list, suggest};
use super::template::{self, Piece};
use super::tree::{Entry, Node, Table, Value, inside};

/// What the check of a tree found.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) problems: Vec<Problem>,
    /// The environment variables that texts name, and where.
    pub(crate) env: Vec<(String, At)>,
    texts: &'a Texts,
    /// Every declared input, and whether it may have no value.
    inputs: BTreeMap<&'a str, bool>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(texts: &'a Texts, root: &'a Table) -> Self {
        let inputs = root.entries_of("input").iter();
        let inputs = inputs.map(|input| (input.key.as_str(), may_lack(&input.node))).collect();
        Self { problems: Vec::new(), env: Vec::new(), texts, inputs }
    }

    /// Checks a test file.
    pub(crate) fn test_file(&mut self, root: &Table) {
        self.keys(&TEST_FILE, root, "");
        self.required(&TEST_FILE, root, At::TOP, "");
    }

    /// Checks a run file.
    pub(crate) fn file(&mut self, root: &Table) {
        self.keys(&FILE, root, "");
        for key in FILE.keys.iter().filter(|key| key.required && root.entry(key.name).is_none()) {
            self.missing(key, At::TOP, "the file");
        }
        if let Some(agents) = FILE.key("agents").filter(|_| needs_agents(root)) {
            self.missing(agents, At::TOP, "the file");
        }
        if !PATTERNS.iter().any(|pattern| root.entry(pattern).is_some()) {
            let problem = Problem::new(At::TOP, "the file has no pattern")
                .label("what do the agents do?")
                .help_with("write `[map_reduce.NAME]` for work, `[consensus.NAME]` for a vote, `[pipeline.NAME]` for documents, `[swarm.NAME]` for a swarm, or `[hierarchy.NAME]` for a mission of teams");
            self.problems.push(problem);
        }
    }

    /// Checks every key that is there.
    fn keys(&mut self, shape: &'static Shape, table: &Table, inside: &str) {
        let later = |entry: &Entry| shape.later.iter().find(|later| later.name == entry.key);
        // What a later version brings has keys of its own, which nobody should be told to delete.
        let foreign = std::ptr::eq(shape, &raw const AGENT)
            && table.entries.iter().any(|entry| later(entry).is_some());
        for entry in &table.entries {
            let path = dotted(inside, &entry.key);
            if let Some(key) = shape.key(&entry.key) {
                self.value(&entry.node, &Field { key, path: &path, form: &key.form });
            } else if let Some(later) = later(entry) {
                self.problems.push(later_problem(entry.key_at, later));
            } else if !foreign {
                self.unknown(shape, entry, inside);
            }
        }
    }

    fn unknown(&mut self, shape: &Shape, entry: &Entry, inside: &str) {
        let names: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
        let place = match inside {
            "" => format!("a {}", shape.title),
            inside => format!("`{inside}`"),
        };
        let problem = Problem::new(entry.key_at, format!("`{}` is no key of {place}", entry.key))
            .label("unknown key")
            .help_with(suggest(&entry.key, &names, "the keys are"));
        self.problems.push(problem);
    }

    fn missing(&mut self, key: &Key, at: At, place: &str) {
        let problem = Problem::new(at, format!("{place} has no `{}`", key.name))
            .label(format!("`{}` is missing", key.name))
            .help_with(format!("write `{} = {}`: {}", key.name, key.example, lower(key.about)));
        self.problems.push(problem);
    }

    fn value(&mut self, node: &Node, field: &Field<'_>) {
        match (field.form, &node.value) {
            (_, Value::Broken)
            | (Form::Boolean | Form::BooleanOr(_), Value::Boolean(_))
            | (
                Form::Scalar,
                Value::String(_) | Value::Integer(_) | Value::Number(_) | Value::Boolean(_),
            ) => {}
            (Form::Integer { min, max }, Value::Integer(value)) => {
                self.range(node, *value, (*min, *max), field);
            }
            (Form::Text(form), Value::String(text)) => self.text(node, text, *form, field),
            (Form::Choice { known, later }, Value::String(text)) => {
                self.choice(node, text, (known, later), field);
            }
            (Form::Size, Value::String(text)) => self.scalar(node, scalar::size(text)),
            (Form::Size, Value::Integer(bytes)) => {
                self.scalar(node, scalar::size(&bytes.to_string()));
            }
            (Form::Free, Value::Table(_)) => self.free(node),
            (Form::List(each) | Form::OneOrMany(each), Value::Array(nodes)) => {
                self.list(node, nodes, &field.with(each));
            }
            (Form::OneOrMany(each), _) => self.value(node, &field.with(each)),
            (Form::Table(shape) | Form::BooleanOr(shape), Value::Table(table)) => {
                self.keys(shape, table, field.path);
                self.required(shape, table, node.at, field.path);
                if std::ptr::eq(*shape, &raw const SWARM_MODEL) {
                    self.model_kind(node.at, table, field.path);
                }
            }
            (Form::Named(shape), Value::Table(table)) => self.named(node, table, shape, field),
            (Form::Map { keys, each }, Value::Table(table)) => {
                self.map(table, *keys, &field.with(each));
            }
            (Form::Any, _) => self.any(node),
            (Form::Count, Value::String(text)) => self.scalar(node, scalar::count(text)),
            (Form::Count, Value::Integer(count)) => {
                self.scalar(node, scalar::count(&count.to_string()));
            }
            (Form::Weight, Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
                self.scalar(node, scalar::weight(&node.value));
            }
            (Form::Share, Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
                self.scalar(node, scalar::share(&node.value));
            }
            (Form::Schema, Value::Table(_)) => self.json_schema(node, field),
            (Form::Cell, _) if scalar::cell(&node.value).is_some() => {}
            _ => self.wrong_type(node, field),
        }
    }

    fn json_schema(&mut self, node: &Node, field: &Field<'_>) {
        self.any(node);
        let Some(schema) = super::tree::json(&node.value) else { return };
        if let Err(why) = Schema::new(&schema) {
            let problem = Problem::new(node.at, format!("`{}` is no JSON Schema", field.path))
                .label(why)
                .help_with(format!("write `{} = {}`", field.key.name, field.key.example));
            self.problems.push(problem);
        }
    }

    fn wrong_type(&mut self, node: &Node, field: &Field<'_>) {
        let expected = expected(field.form);
        let problem = Problem::new(node.at, format!("`{}` must be {expected}", field.path))
            .label(format!("found {}", node.value.kind()))
            .help_with(format!("write `{} = {}`", field.key.name, field.key.example));
        self.problems.push(problem);
    }

    fn range(&mut self, node: &Node, value: i64, (min, max): (i64, i64), field: &Field<'_>) {
        if (min..=max).contains(&value) {
            return;
        }
        let message = match field.key.name {
            "synod" => format!("version {value} of run files is not known"),
            _ => format!("`{}` is out of range", field.path),
        };
        let bounds = if min == max { format!("{min}") } else { format!("from {min} to {max}") };
        let problem = Problem::new(node.at, message)
            .label("out of range")
            .help_with(format!("`{}` is {bounds}", field.key.name));
        self.problems.push(problem);
    }

    fn choice(
        &mut self,
        node: &Node,
        text: &str,
        (known, later): (&[&str], &[Later]),
        field: &Field<'_>,
    ) {
        if known.contains(&text) {
            return;
        }
        let problem = match later.iter().find(|later| later.name == text) {
            Some(later) => later_problem(node.at, later),
            None => Problem::new(node.at, format!("`{text}` is no value of `{}`", field.path))
                .label("unknown value")
                .help_with(suggest(text, known, "its values are")),
        };
        self.problems.push(problem);
    }

    fn scalar<T>(&mut self, node: &Node, result: Result<T, Wrong>) {
        if let Err(wrong) = result {
            let problem = Problem::new(node.at, wrong.what).help_with(wrong.help);
            self.problems.push(problem);
        }
    }

    fn list(&mut self, node: &Node, nodes: &[Node], field: &Field<'_>) {
        if nodes.is_empty() || nodes.len() > LIST_MAX {
            let problem =
                Problem::new(node.at, format!("`{}` has {} values", field.path, nodes.len()))
                    .label("this list")
                    .help_with(format!("a list has from 1 to {LIST_MAX} values"));
            self.problems.push(problem);
        }
        for node in nodes {
            self.value(node, field);
        }
    }

    fn named(&mut self, node: &Node, table: &Table, shape: &'static Shape, field: &Field<'_>) {
        let is_needed = field.key.name == "agents" || PATTERNS.contains(&field.key.name);
        if table.entries.is_empty() && is_needed {
            let problem = Problem::new(node.at, format!("`{}` is empty", field.path))
                .label("nothing in here")
                .help_with(format!("write `{} = {}`", field.key.name, field.key.example));
            self.problems.push(problem);
        }
        for entry in &table.entries {
            self.name(entry.key_at, &entry.key);
            let path = dotted(field.path, &entry.key);
            let Value::Table(inner) = &entry.node.value else {
                self.wrong_type(&entry.node, &Field { path: &path, ..*field });
                continue;
            };
            self.keys(shape, inner, &path);
            if std::ptr::eq(shape, &raw const AGENT) {
                self.agent_kind(entry, inner, &path);
            } else {
                self.required(shape, inner, entry.key_at, &path);
            }
        }
    }

    fn map(&mut self, table: &Table, keys: Text, field: &Field<'_>) {
        for entry in &table.entries {
            let path = dotted(field.path, &entry.key);
            let key = Node { at: entry.key_at, value: Value::String(entry.key.clone()) };
            self.text(&key, &entry.key, keys, field);
            self.value(&entry.node, &Field { path: &path, ..*field });
        }
    }

    /// Checks a value that is handed on as it is; what is not TOML is noted already.
    fn any(&mut self, node: &Node) {
        match &node.value {
            Value::Array(nodes) => nodes.iter().for_each(|node| self.any(node)),
            Value::Table(table) => table.entries.iter().for_each(|entry| self.any(&entry.node)),
            Value::Datetime => self.no_date(node),
            Value::String(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Broken => {}
        }
    }

    fn no_date(&mut self, node: &Node) {
        let problem = Problem::new(node.at, "a date or time cannot be handed on")
            .help_with("write it as a string, in quotes");
        self.problems.push(problem);
    }

    fn required(&mut self, shape: &Shape, table: &Table, at: At, path: &str) {
        let is_needed = |key: &&Key| key.required && key.only.is_empty();
        for key in shape.keys.iter().filter(is_needed) {
            if table.entry(key.name).is_some() {
                continue;
            }
            let place = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
            self.missing(key, at, &place);
        }
    }

    fn text(&mut self, node: &Node, text: &str, form: Text, field: &Field<'_>) {
        if text.len() > TEXT_BYTES_MAX || text.contains('\0') {
            let problem = Problem::new(node.at, format!("`{}` cannot be this text", field.path))
                .help_with(format!("a text has at most {TEXT_BYTES_MAX} bytes and no NUL"));
            self.problems.push(problem);
            return;
        }
        match form {
            Text::Plain => {}
            Text::Name => self.name(node.at, text),
            Text::Template => self.template(node, text, false),
            Text::Argument => self.template(node, text, true),
            Text::Duration => self.scalar(node, scalar::duration(text)),
            Text::Backoff => self.scalar(node, scalar::backoff(text)),
            Text::Glob => self.scalar(node, scalar::glob(text)),
            Text::Below => self.scalar(node, scalar::below(text)),
            Text::Variable if template::is_variable(text) => {}
            Text::Variable => {
                let problem = Problem::new(node.at, format!("`{text}` names no variable"))
                    .help_with("write names, not values: letters, digits and `_`, as in `HOME`");
                self.problems.push(problem);
            }
        }
    }

    fn name(&mut self, at: At, name: &str) {
        if Name::new(name).is_none() {
            let problem = Problem::new(at, format!("`{name}` is no name")).help_with(format!(
                "a name is a letter, then letters, digits, `_` and `-`, {NAME_BYTES_MAX} at most"
            ));
            self.problems.push(problem);
        }
    }

    /// Checks the texts inside a table that is handed on as it is.
    fn free(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) => self.template(node, text, false),
            Value::Array(nodes) => nodes.iter().for_each(|node| self.free(node)),
            Value::Table(table) => table.entries.iter().for_each(|entry| self.free(&entry.node)),
            Value::Datetime => self.no_date(node),
            Value::Integer(_) | Value::Number(_) | Value::Boolean(_) | Value::Broken => {}
        }
    }

    fn template(&mut self, node: &Node, text: &str, files: bool) {
        let scan = template::scan(text);
        for fault in &scan.faults {
            let at = inside(self.texts, node, &fault.range);
            self.problems.push(Problem::new(at, &fault.message).help_with(fault.help));
        }
        let alone = scan.pieces.len() == 1 && scan.faults.is_empty();
        for (range, piece) in &scan.pieces {
            let at = inside(self.texts, node, range);
            match piece {
                Piece::Text(_) => {}
                Piece::Env(name) => self.env.push((name.clone(), at)),
                Piece::Input(name) => self.input(at, name, alone),
                Piece::Files if files && alone => {}
                Piece::Files => {
                    let problem = Problem::new(at, "`{files}` cannot stand here")
                        .label("becomes many arguments")
                        .help_with("make it an argument of its own in a `command`");
                    self.problems.push(problem);
                }
            }
        }
    }

    fn input(&mut self, at: At, name: &Name, alone: bool) {
        let problem = match self.inputs.get(name.as_str()) {
            None => {
                let names: Vec<&str> = self.inputs.keys().copied().collect();
                let help = if names.is_empty() {
                    format!("declare it: `input.{name} = {{ type = \"string\" }}`")
                } else {
                    suggest(name.as_str(), &names, "the inputs are")
                };
                Problem::new(at, format!("there is no input `{name}`"))
                    .label("not declared")
                    .help_with(help)
            }
            Some(true) if !alone => Problem::new(at, format!("input `{name}` may have no value"))
                .label("nothing to put here then")
                .help_with(
                    "give it a `default`, or use it as a text of its own, which is then left out",
                ),
            Some(_) => return,
        };
        self.problems.push(problem);
    }
}

/// A key on its way down: where it is, what it must look like.
struct Field<'k> {
    key: &'static Key,
    path: &'k str,
    form: &'static Form,
}

impl<'k> Field<'k> {
    fn with(&self, form: &'static Form) -> Field<'k> {
        Field { form, ..*self }
    }
}

/// Tells whether a file lacks agents that its patterns need.
fn needs_agents(root: &Table) -> bool {
    let has = |kinds: &[&str]| kinds.iter().any(|kind| root.entry(kind).is_some());
    let rest = PATTERNS.iter().filter(|kind| !PATTERNS_ALONE.contains(kind));
    let rest: Vec<&str> = rest.copied().collect();
    root.entry("agents").is_none() && (has(&rest) || !has(PATTERNS_ALONE))
}

/// Tells whether an input may have no value.
pub(crate) fn may_lack(input: &Node) -> bool {
    let Value::Table(input) = &input.value else { return false };
    let optional = input.node("optional").map(|node| &node.value);
    matches!(optional, Some(Value::Boolean(true)))
        && input.entry("default").is_none()
        && INPUT.key("default").is_some()
}

fn later_problem(at: At, later: &Later) -> Problem {
    let message = format!("`{}` is not in this version of Synod", later.name);
    Problem::new(at, message)
        .label(format!("a later version brings {}", later.what))
        .help_with(later.instead)
}

/// Makes a sentence the end of another.
fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn dotted(inside: &str, key: &str) -> String {
    if inside.is_empty() { key.to_owned() } else { format!("{inside}.{key}") }
}

/// Says what a value must look like, with its article.
pub(crate) fn expected(form: &Form) -> String {
    match form {
        Form::Boolean => "`true` or `false`".to_owned(),
        Form::Integer { min, max } if min == max => format!("the integer {min}"),
        Form::Integer { min, max } => format!("an integer from {min} to {max}"),
        Form::Text(text) => expected_text(*text).to_owned(),
        Form::Choice { known, .. } => format!("one of {}", list(known)),
        Form::Size => "a size".to_owned(),
        Form::Scalar => "a string, an integer, a number or a boolean".to_owned(),
        Form::Free | Form::Table(_) | Form::Named(_) => "a table".to_owned(),
        Form::List(each) => format!("a list, each value {}", expected(each)),
        Form::OneOrMany(each) => format!("{}, or a list of such values", expected(each)),
        Form::BooleanOr(_) => "`true`, `false` or a table".to_owned(),
        Form::Map { each, .. } => format!("a table, each value {}", expected(each)),
        Form::Any => "any value".to_owned(),
        Form::Count => "a number or a range of numbers".to_owned(),
        Form::Weight => "a number of 0 or more, decimal or as `\"2/3\"`".to_owned(),
        Form::Schema => "a JSON Schema, as a table".to_owned(),
        Form::Cell => "a cell, `[column, row]` from 0".to_owned(),
        Form::Share => "a share from 0 to 1, decimal or as `\"2/3\"`".to_owned(),
    }
}

fn expected_text(text: Text) -> &'static str {
    match text {
        Text::Plain | Text::Template | Text::Argument => "a string",
        Text::Name => "a name",
        Text::Duration => "a duration",
        Text::Backoff => "a duration or a range of durations",
        Text::Glob => "a glob",
        Text::Variable => "the name of an environment variable",
        Text::Below => "a path",
    }
}
