//! Problems of a run file and its options: collected, ordered, and shown as a compiler shows them.
//!
//! # Invariants
//! Every problem has a place; what is shown holds no control character of the file.

use std::fmt;

use ariadne::{Color, Config, Label, Report, ReportKind};

use super::limits;

/// Everything that is wrong with a run file and its options; never empty.
#[derive(Debug, Clone)]
pub struct Problems {
    texts: Texts,
    found: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    at: At,
    label: String,
    also: Option<Box<(At, String)>>,
    help: Option<String>,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the run file, `--set` or `--input`.
    pub source: String,
    /// Line, counted from 1; of an option: which one of its kind.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

impl Problems {
    /// Takes what was found, the topmost first; `None` if nothing was.
    pub(crate) fn of(texts: &Texts, mut found: Vec<Problem>) -> Option<Self> {
        found.sort_by_key(|problem| problem.at);
        (!found.is_empty()).then(|| Self { texts: texts.clone(), found })
    }

    pub(crate) fn one(texts: &Texts, problem: Problem) -> Self {
        Self { texts: texts.clone(), found: vec![problem] }
    }

    /// Gives the problems, the topmost first.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// Counts the problems; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Finds the place of one of these problems.
    pub fn place(&self, problem: &Problem) -> Place {
        let (source, text) = self.texts.get(problem.at.origin);
        let before = text.get(..problem.at.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            source: source.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }

    /// Renders every problem with its line, in colours if asked, and ends with their number.
    pub fn render(&self, colour: bool) -> String {
        let mut out = Vec::new();
        for problem in self.found.iter().take(limits::PROBLEMS_SHOWN_MAX) {
            if self.report(problem, colour, &mut out).is_err() {
                out.extend_from_slice(problem.message.as_bytes());
            }
            out.push(b'\n');
        }
        let shown: String = String::from_utf8_lossy(&out)
            .lines()
            .flat_map(|line| [line.trim_end(), "\n"])
            .collect();
        format!("{shown}{}\n", self.summary())
    }

    fn summary(&self) -> String {
        let source = self.texts.file_name.as_str();
        match self.found.len() {
            1 => format!("1 problem with {source}"),
            count if count > limits::PROBLEMS_SHOWN_MAX => {
                format!(
                    "{count} problems with {source}, the first {} shown",
                    limits::PROBLEMS_SHOWN_MAX
                )
            }
            count => format!("{count} problems with {source}"),
        }
    }

    fn report(&self, problem: &Problem, colour: bool, out: &mut Vec<u8>) -> std::io::Result<()> {
        let label = |at: At, text: &String, color: Color| {
            // Labels from the top down, else the renderer repeats the head for each.
            let order = i32::try_from(self.texts.line(at)).unwrap_or(i32::MAX);
            Label::new(self.texts.span(at)).with_message(text).with_color(color).with_order(order)
        };
        let mut report = Report::build(ReportKind::Error, self.texts.span(problem.at))
            .with_config(Config::new().with_color(colour))
            .with_message(&problem.message)
            .with_label(label(problem.at, &problem.label, Color::Red));
        if let Some((at, text)) = problem.also.as_deref() {
            report = report.with_label(label(*at, text, Color::Blue));
        }
        if let Some(help) = &problem.help {
            report = report.with_help(help);
        }
        report.finish().write(self.texts.cache(), out)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

impl Problem {
    /// Says what is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says what to do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) fn new(at: At, message: impl AsRef<str>) -> Self {
        let message = clean(message.as_ref());
        Self { message, at, label: "here".to_owned(), also: None, help: None }
    }

    pub(crate) fn label(self, label: impl AsRef<str>) -> Self {
        Self { label: clean(label.as_ref()), ..self }
    }

    pub(crate) fn also(self, at: At, label: impl AsRef<str>) -> Self {
        Self { also: Some(Box::new((at, clean(label.as_ref())))), ..self }
    }

    pub(crate) fn help_with(self, help: impl AsRef<str>) -> Self {
        Self { help: Some(clean(help.as_ref())), ..self }
    }

    pub(crate) fn at(&self) -> At {
        self.at
    }
}

/// Which text a place is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    File,
    Set,
    Input,
}

/// A range of bytes in one of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) origin: Origin,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl At {
    pub(crate) const TOP: Self = Self { origin: Origin::File, start: 0, end: 0 };
}

/// The texts that problems point into: the file, and the options one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) file_name: String,
    pub(crate) file: String,
    pub(crate) set: String,
    pub(crate) input: String,
}

impl Texts {
    pub(crate) fn get(&self, origin: Origin) -> (&str, &str) {
        match origin {
            Origin::File => (&self.file_name, &self.file),
            Origin::Set => ("--set", &self.set),
            Origin::Input => ("--input", &self.input),
        }
    }

    /// Finds the line of a place, counted from 0.
    pub(crate) fn line(&self, at: At) -> usize {
        let (_, text) = self.get(at.origin);
        text.get(..at.start).unwrap_or(text).matches('\n').count()
    }

    /// Gives a place in characters, kept to its first line, as the renderer wants it.
    fn span(&self, at: At) -> (String, std::ops::Range<usize>) {
        let (name, text) = self.get(at.origin);
        let start = floor(text, at.start);
        let rest = text.get(start..).unwrap_or("");
        let wanted = floor(rest, at.end.saturating_sub(start));
        let shown = rest.get(..wanted).and_then(|range| range.lines().next()).unwrap_or("");
        let first = text.get(..start).map_or(0, |before| before.chars().count());
        (clean(name), first..first + shown.chars().count())
    }

    fn cache(&self) -> impl ariadne::Cache<String> {
        ariadne::sources([Origin::File, Origin::Set, Origin::Input].map(|origin| {
            let (name, text) = self.get(origin);
            (clean(name), text.chars().map(clean_source).collect::<String>())
        }))
    }
}

fn floor(text: &str, index: usize) -> usize {
    let index = index.min(text.len());
    (0..=index).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Replaces what could steer a terminal, one character by one, so that columns stay.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { clean_source(c) }).collect()
}

fn clean_source(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
