//! Texts with `{input.path}` and `{env.HOME}` in them.

use super::model::Name;

/// A text with the places that are filled in when a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Input(Name),
    Env(String),
}
