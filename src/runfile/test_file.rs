//! Test files: what a user writes to see a run file's patterns hold under faults.
//!
//! `synod test` calls [`TestFile::parse`] with the run file that is tested; [`trial`](crate::trial) runs what it gives. A text
//! goes the way of run files: tree, table of keys, keys against each other and against the run file, typed values.
//!
//! # Invariants
//! All problems of a file are reported at once. No key is accepted and then ignored.

mod build;
mod cross;
mod model;
mod team;

pub use model::{
    Condition, Count, FailureMatch, FindingMatch, Mock, OutcomeName, Saying, Test, TestFile,
};

use super::check::Checker;
use super::{Problems, Read, RunFile, tree};

impl TestFile {
    /// Gives the run file that a test file names, as it is written there; `None` where it names none.
    pub fn runs(text: &str) -> Option<String> {
        let root = tree::read(text, &mut Vec::new());
        root.node("runs")?.value.text().map(str::to_owned)
    }

    /// Parses a test file and checks all of it, also against the run file that it tests.
    ///
    /// `name` is what problems call the file.
    ///
    /// # Errors
    /// Every problem of the file, each with its place.
    pub fn parse(name: &str, text: &str, run_file: &RunFile) -> Result<Self, Problems> {
        let mut read = Read::new(name, text, &[])?;
        let mut checker = Checker::new(&read.texts, &read.root);
        checker.test_file(&read.root);
        let found = checker.problems;
        read.add(found.into_iter().chain(cross::check(&read.root, run_file)).collect());
        read.built(|root, texts| build::build(root, run_file, texts))
    }
}

#[cfg(test)]
mod tests;
