//! Texts with `{input.path}` and `{env.HOME}` in them; `{{` and `}}` stand for the braces.
//!
//! # Invariants
//! A [`Template`] names only inputs that its file declares; filling one in cannot fail.

use std::collections::BTreeMap;
use std::ops::Range;

use super::model::Name;

/// A text with the places that are filled in when a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// What a template is filled in with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub(crate) inputs: BTreeMap<Name, String>,
    pub(crate) env: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Input(Name),
    Env(String),
    Files,
}

/// A mistake in a template: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// A template's pieces, each with its range in the text, and its mistakes.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) pieces: Vec<(Range<usize>, Piece)>,
    pub(crate) faults: Vec<Fault>,
}

impl Template {
    pub(crate) fn new(text: &str) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for (_, piece) in scan(text).pieces {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
                (_, piece) => pieces.push(piece),
            }
        }
        Self { pieces }
    }

    /// Fills in the values; `None` when the text is one input alone, and that has no value.
    pub(crate) fn fill(&self, values: &Values) -> Option<String> {
        if let [Piece::Input(name)] = self.pieces.as_slice() {
            return values.inputs.get(name).cloned();
        }
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Input(name) => values.inputs.get(name).cloned().unwrap_or_default(),
            Piece::Env(name) => values.env.get(name).cloned().unwrap_or_default(),
            Piece::Files => "{files}".to_owned(),
        };
        Some(self.pieces.iter().map(text).collect())
    }
}

const BRACES: &str = "write `{{` or `}}` for a brace that is only text";
const PLACES: &str = "a place is `{input.NAME}`, `{env.NAME}` or, in a command, `{files}`";

/// Cuts a text into its pieces and finds every mistake.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scan = Scan::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += scan.take(rest, at);
    }
    scan
}

impl Scan {
    /// Takes the next piece of the text and gives its length in bytes, at least 1.
    fn take(&mut self, rest: &str, at: usize) -> usize {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            self.pieces.push((at..at + 2, Piece::Text(rest.chars().take(1).collect())));
            return 2;
        }
        if rest.starts_with('}') {
            self.fault(at..at + 1, "this `}` closes nothing".to_owned(), BRACES);
            return 1;
        }
        let Some(inside) = rest.strip_prefix('{') else {
            let length = rest.find(['{', '}']).unwrap_or(rest.len());
            let text = rest.get(..length).unwrap_or(rest).to_owned();
            self.pieces.push((at..at + length, Piece::Text(text)));
            return length;
        };
        let Some(length) = inside.find(['{', '}']).filter(|&end| inside[end..].starts_with('}'))
        else {
            self.fault(at..at + 1, "this `{` is not closed".to_owned(), BRACES);
            return 1;
        };
        let range = at..at + length + 2;
        self.place(range, inside.get(..length).unwrap_or(""));
        length + 2
    }

    fn place(&mut self, range: Range<usize>, inside: &str) {
        let piece = match inside.split_once('.') {
            None if inside == "files" => Some(Piece::Files),
            Some(("input", name)) => Name::new(name).map(Piece::Input),
            Some(("env", name)) => is_variable(name).then(|| Piece::Env(name.to_owned())),
            _ => None,
        };
        match piece {
            Some(piece) => self.pieces.push((range, piece)),
            None => self.fault(range, format!("`{{{inside}}}` is no place to fill in"), PLACES),
        }
    }

    fn fault(&mut self, range: Range<usize>, message: String, help: &'static str) {
        self.faults.push(Fault { range, message, help });
    }
}

/// Tells whether a text can name an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    starts
        && name.len() <= super::limits::NAME_BYTES_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, filled: Option<&str>) {
        let values = Values {
            inputs: [(Name::new("a").unwrap(), "A".to_owned())].into(),
            env: [("HOME".to_owned(), "/h".to_owned())].into(),
        };
        assert_eq!(scan(text).faults, [], "{text}");
        assert_eq!(Template::new(text).fill(&values).as_deref(), filled, "{text}");
    }

    #[test]
    fn places_are_filled_in_and_doubled_braces_are_text() {
        check("", Some(""));
        check("plain", Some("plain"));
        check("{input.a}", Some("A"));
        check("x{input.a}y{env.HOME}/z", Some("xAy/h/z"));
        check("{{\"k\": 1}}", Some("{\"k\": 1}"));
        check("{{{input.a}}}", Some("{A}"));
    }

    #[test]
    fn a_lone_input_without_a_value_is_left_out() {
        check("{input.none}", None);
    }

    #[test]
    fn every_mistake_is_found_where_it_is() {
        let ranges = |text: &str| -> Vec<_> {
            scan(text).faults.into_iter().map(|fault| fault.range).collect()
        };
        assert_eq!(ranges("{x} } {input.} {env.1} {"), [0..3, 4..5, 6..14, 15..22, 23..24]);
        assert_eq!(ranges("{input.a {input.b} }"), [0..1, 19..20]);
        assert_eq!(ranges("é{ü}é{"), [2..6, 8..9]);
    }
}
