//! The reviewers that need no installation, by name.
//!
//! The root package asks [`reviewer`] for the one that a run file names and calls it with one file at a time.
//!
//! # Invariants
//! A reviewer is deterministic and keeps nothing between two files.

use std::sync::Arc;

use crate::finding::Review;
use crate::text;

/// Reads one file and says what it finds.
pub trait Reviewer: Send + Sync + std::fmt::Debug {
    /// Returns the name by which run files ask for it, such as `review.rust`.
    fn name(&self) -> &'static str;
    /// Says in one sentence what it looks for.
    fn describe(&self) -> &'static str;
    /// Tells from the path alone whether it has something to say about the file.
    fn accepts(&self, path: &str) -> bool;
    /// Reviews one file; what cannot be reviewed is in `skipped`.
    fn review(&self, file: &SourceFile<'_>) -> Review;
}

/// One file to review.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// Path relative to the root of the source, with `/`.
    pub path: &'a str,
    /// The whole content.
    pub bytes: &'a [u8],
    /// Whether only tests, examples, benchmarks or the build use it; may panic, and may hold keys made up for it.
    pub test: bool,
}

impl<'a> SourceFile<'a> {
    /// A file of which only the path tells whether it is for tests.
    pub fn new(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { path, bytes, test: text::is_test(path) }
    }
}

/// Finds a built-in reviewer by its name.
pub fn reviewer(name: &str) -> Option<Arc<dyn Reviewer>> {
    all().into_iter().find(|reviewer| reviewer.name() == name)
}

/// Returns the names of the built-in reviewers, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = all().iter().map(|reviewer| reviewer.name()).collect();
    names.sort_unstable();
    names
}

fn all() -> [Arc<dyn Reviewer>; 5] {
    [
        Arc::new(crate::rust::Rust),
        Arc::new(crate::functions::Functions),
        Arc::new(crate::secrets::Secrets),
        Arc::new(crate::spelling::Spelling),
        Arc::new(crate::duplicates::Duplicates),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reviewer_is_found_by_its_name() {
        assert_eq!(
            names(),
            [
                "review.duplicates",
                "review.functions",
                "review.rust",
                "review.secrets",
                "review.typos"
            ]
        );
        assert!(
            names()
                .into_iter()
                .all(|name| reviewer(name).is_some_and(|found| found.name() == name))
        );
        assert!(reviewer("review.none").is_none());
    }

    #[test]
    fn any_partition_of_the_files_gives_the_report_of_one_sequential_run() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rust").into();
        let source = crate::source::list(&crate::source::Options { path, diff: None }).unwrap();
        assert!(source.files.len() > 4);
        let review = |files: &mut dyn Iterator<Item = &crate::source::FileFact>| {
            let mut fold = crate::merge::Fold::default();
            for file in files {
                let bytes = crate::source::read(&source.root, &file.path).unwrap();
                for reviewer in all().iter().filter(|reviewer| reviewer.accepts(&file.path)) {
                    fold.add(reviewer.review(&file.source(&bytes)).by(reviewer.name()));
                }
            }
            fold
        };
        let sequential = review(&mut source.files.iter()).report();
        let mut parts = review(&mut source.files.iter().rev().step_by(2));
        parts.join(review(&mut source.files.iter().rev().skip(1).step_by(2)));
        parts.join(review(&mut source.files.iter().take(2)));
        assert_eq!(
            serde_json::to_string(&parts.report()).unwrap(),
            serde_json::to_string(&sequential).unwrap()
        );
        assert!(sequential.metrics.total.functions > 50);
    }

    #[test]
    fn every_reviewer_takes_any_bytes() {
        for reviewer in all() {
            for path in [
                "a.rs",
                "a.py",
                "a.js",
                "a.go",
                "a.toml",
                "Cargo.lock",
                "package-lock.json",
                ".env",
            ] {
                for bytes in [
                    &b""[..],
                    b"\xff\xfe\0",
                    b"\n\n",
                    b"\"",
                    b"(((",
                    b"a: b = \"",
                    b"\xef\xbb\xbffn a() {}",
                ] {
                    if reviewer.accepts(path) {
                        drop(reviewer.review(&SourceFile::new(path, bytes)));
                    }
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_reviewer_takes_any_text_and_keeps_lines_in_the_file(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "fn a() {", "}", "b.unwrap()", "unsafe {", "\"", "'", "r#\"", "/*", "*/", "//", "\n", "\n    ", "é", "(", ")",
                "<", "if ", "else ", "def f(x):\n", " = ", ": ", "password", "ghp_", "://u:p@h.x/", "-----BEGIN ",
                "PRIVATE KEY-----", "[[package]]\n", "name = \"a\"\n", "{\"packages\":", "func (", "=>", "\u{feff}", "\r\n",
            ]), 0..60),
        ) {
            let text = pieces.concat();
            let lines = u32::try_from(text.lines().count().max(1)).unwrap();
            for path in ["a.rs", "a.py", "a.js", "a.go", "a.yaml", "Cargo.lock", "package-lock.json"] {
                for reviewer in all().iter().filter(|reviewer| reviewer.accepts(path)) {
                    for finding in reviewer.review(&SourceFile::new(path, text.as_bytes())).findings {
                        assert!((1..=lines).contains(&finding.line), "{finding:?}\n{text}");
                        assert!(finding.end_line >= finding.line);
                    }
                }
            }
        }
    }
}
