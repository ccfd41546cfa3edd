//! Run files: what a user writes to say which agents work on what, and how.
//!
//! The command line calls [`RunFile::parse_for`] and [`resolve`]; nothing below the root knows of
//! run files. A text goes through [`tree`] (TOML with places), [`check`] (against the table in
//! [`keys`]), [`cross`] (keys against each other) and [`build`] (typed values); [`schema()`] is
//! made from the same table. docs/RUN_FILES.md is the reference.
//!
//! # Invariants
//! All problems of a file are reported at once. No key is accepted and then ignored.

mod after;
mod build;
mod catalogue;
mod check;
mod cross;
mod hierarchy;
mod keys;
pub mod limits;
mod map_reduce;
mod model;
mod pipeline;
mod problem;
mod request;
mod resolve;
mod scalar;
mod schema;
mod suggest;
mod swarm;
mod template;
mod test_file;
mod tree;
mod vote;

#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub use model::*;
pub(crate) use model::{crew, crew_of};
pub use problem::{Place, Problem, Problems};
pub use request::{RunRequest, Set};
pub use resolve::resolve;
pub use schema::{schema, test_schema};
pub use template::Template;
pub use test_file::{
    Condition, Count, FailureMatch, FindingMatch, Mock, OutcomeName, Saying, Test, TestFile,
};

use problem::{At, Origin, Texts};

impl RunFile {
    /// Parses a run file and checks all of it; any names of built-in agents, registered actors
    /// and reducers are taken.
    ///
    /// `name` is what problems call the file; `overrides` are the `--set PATH=VALUE` of the user.
    ///
    /// # Errors
    /// Every problem of the file and the overrides, each with its place.
    pub fn parse(name: &str, text: &str, overrides: &[Set]) -> Result<Self, Problems> {
        Self::parse_for(&Catalogue::default(), name, text, overrides)
    }

    /// Parses a run file for a program that offers what `catalogue` lists.
    ///
    /// # Errors
    /// Every problem of the file and the overrides, each with its place.
    pub fn parse_for(
        catalogue: &Catalogue,
        name: &str,
        text: &str,
        overrides: &[Set],
    ) -> Result<Self, Problems> {
        let mut read = Read::new(name, text, overrides)?;
        let mut checker = check::Checker::new(&read.texts, &read.root);
        checker.file(&read.root);
        let (found, env) = (checker.problems, checker.env);
        read.add(found.into_iter().chain(cross::check(&read.root, catalogue)).collect());
        read.built(|root, texts| build::build(root, env, texts))
    }
}

/// A file on its way: its values with their places, and what is wrong with it so far.
struct Read {
    texts: Texts,
    root: tree::Table,
    problems: Vec<Problem>,
    /// The lines that are not TOML.
    broken: Vec<usize>,
}

impl Read {
    /// Reads a text, and the `--set` options on top of it.
    fn new(name: &str, text: &str, overrides: &[Set]) -> Result<Self, Problems> {
        let lines: Vec<&str> = overrides.iter().map(|set| set.0.as_str()).collect();
        let mut texts = Texts { file_name: name.to_owned(), ..Texts::default() };
        if let Err(problem) = fits(text, &lines) {
            return Err(Problems::one(&texts, problem));
        }
        texts.file = text.to_owned();
        texts.set = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        let mut problems = Vec::new();
        let mut root = tree::read(text, &mut problems);
        let broken = problems.iter().map(|problem| texts.line(problem.at())).collect();
        let mut shift = 0;
        for line in lines {
            tree::set(&mut root, line, shift, &mut problems);
            shift += line.len() + 1;
        }
        Ok(Self { texts, root, problems, broken })
    }

    /// Adds what was found, but for what only follows from a line that is not TOML.
    fn add(&mut self, mut found: Vec<Problem>) {
        found.retain(|problem| !follows(problem, &self.broken, &self.texts));
        self.problems.extend(found);
    }

    /// Builds the values, if nothing is wrong.
    fn built<T>(
        self,
        build: impl FnOnce(&tree::Table, &Texts) -> Option<T>,
    ) -> Result<T, Problems> {
        let Self { texts, root, problems, .. } = self;
        match Problems::of(&texts, problems) {
            Some(problems) => Err(problems),
            None => build(&root, &texts)
                .ok_or_else(|| Problems::one(&texts, Problem::new(At::TOP, UNREAD))),
        }
    }
}

const UNREAD: &str = "this file passed every check but could not be read; please report it";

/// Tells whether a problem only follows from broken TOML: a line that is not TOML says nothing
/// about keys, and behind one nothing is known to be missing.
fn follows(problem: &Problem, broken: &[usize], texts: &Texts) -> bool {
    let at = problem.at();
    at.origin == Origin::File
        && (broken.contains(&texts.line(at)) || (at == At::TOP && !broken.is_empty()))
}

/// Refuses what is too large to be read and shown.
fn fits(text: &str, overrides: &[&str]) -> Result<(), Problem> {
    let too_large = |what: String| Err(Problem::new(At::TOP, what).label("not read"));
    if text.len() > limits::FILE_BYTES_MAX {
        return too_large(format!(
            "the file has {} bytes, a run file has at most {}",
            text.len(),
            limits::FILE_BYTES_MAX
        ));
    }
    if overrides.len() > limits::OVERRIDES_MAX {
        return too_large(format!(
            "`--set` is given {} times, at most {} are taken",
            overrides.len(),
            limits::OVERRIDES_MAX
        ));
    }
    let mut lines = text.lines().chain(overrides.iter().copied());
    match lines.position(|line| line.len() > limits::LINE_BYTES_MAX) {
        Some(line) => {
            too_large(format!("line {} has more than {} bytes", line + 1, limits::LINE_BYTES_MAX))
        }
        None => Ok(()),
    }
}
