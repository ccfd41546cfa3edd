//! Every key that a run file or a test file may have: the one table that the parser, the JSON
//! Schema and the reference pages are made from, so that they cannot drift apart.

mod agent_table;
mod hierarchy_table;
mod stage_table;
mod swarm_table;
mod table;
mod test_table;
mod vote_table;

pub(crate) use agent_table::*;
pub(crate) use hierarchy_table::*;
pub(crate) use stage_table::*;
pub(crate) use swarm_table::*;
pub(crate) use table::*;
pub(crate) use test_table::*;
pub(crate) use vote_table::*;

/// One kind of table of a run file.
#[derive(Debug)]
pub(crate) struct Shape {
    /// How the reference calls it, as TOML writes it.
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys that a later version brings.
    pub(crate) later: &'static [Later],
}

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) about: &'static str,
    /// A value, as TOML writes it.
    pub(crate) example: &'static str,
    /// The value that holds when the key is not written, as TOML writes it.
    pub(crate) default: Option<&'static str>,
    pub(crate) required: bool,
    /// The kinds of agents, or models of swarms, that have this key; empty: all.
    pub(crate) only: &'static [&'static str],
}

/// What a later version brings, and what to do until then.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) instead: &'static str,
}

/// What a value looks like.
#[derive(Debug)]
pub(crate) enum Form {
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    Text(Text),
    Choice {
        known: &'static [&'static str],
        later: &'static [Later],
    },
    /// A size: text with a unit, or an integer of bytes.
    Size,
    /// A string, integer, number or boolean.
    Scalar,
    /// Any table, handed on as it is.
    Free,
    /// A list that is not empty.
    List(&'static Form),
    /// One value, or a list of them that is not empty.
    OneOrMany(&'static Form),
    Table(&'static Shape),
    /// A table whose keys are names that the user picks.
    Named(&'static Shape),
    BooleanOr(&'static Shape),
    /// A table whose keys are such texts, each with such a value.
    Map {
        keys: Text,
        each: &'static Form,
    },
    /// Any value, handed on as it is.
    Any,
    /// How many: an integer, or a range as text.
    Count,
    /// A number of 0 or more: an integer, a decimal, or a fraction as text.
    Weight,
    /// Such a number from 0 to 1.
    Share,
    /// A table that is a JSON Schema, handed on as it is.
    Schema,
    /// A place on a grid: its column and its row, from 0.
    Cell,
}

/// What a string looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Plain,
    Name,
    Template,
    Argument,
    Duration,
    Backoff,
    Glob,
    Variable,
    /// The path of a file below a folder.
    Below,
}

impl Shape {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    const fn new(
        name: &'static str,
        form: Form,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, form, about, example, default: None, required: false, only: &[] }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn only(self, only: &'static [&'static str]) -> Self {
        Self { only, ..self }
    }
}
