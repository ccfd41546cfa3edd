//! How large files may be, and what every source file begins with.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

/// Lines of a source file without the tests at its end.
const LINES_MAX: usize = 500;
/// Bytes of any file.
const BYTES_MAX: usize = 1 << 20;

/// The files that were longer than allowed when the rule was written, with their lines.
pub(crate) struct Ratchet(BTreeMap<String, usize>);

impl Ratchet {
    /// Reads lines of `path lines`; `#` begins a comment.
    ///
    /// # Errors
    /// When a line is not of this form.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entry = |line: &str| {
            let (path, count) = line
                .split_once(' ')
                .with_context(|| format!("read `{line}`: path, space, lines"))?;
            let count =
                count.trim().parse().with_context(|| format!("read the lines in `{line}`"))?;
            Ok((path.to_owned(), count))
        };
        lines.map(entry).collect::<Result<_>>().map(Self)
    }

    /// A source file keeps to the limit, or to what the list has for it.
    pub(crate) fn lines(&self, path: &str, text: &str) -> Option<String> {
        let lines = tests_start(path, text);
        let lines = if lines == 0 { text.lines().count() } else { lines };
        match self.0.get(path) {
            None if lines > LINES_MAX => Some(format!(
                "{path}: {lines} lines without tests, more than {LINES_MAX}: split it by what it is about"
            )),
            Some(_) if lines <= LINES_MAX => {
                Some(format!("{path}: {lines} lines now: take it off the ratchet list"))
            }
            Some(allowed) if lines > *allowed => Some(format!(
                "{path}: {lines} lines without tests; it may only shrink from {allowed}"
            )),
            Some(allowed) if lines < *allowed => {
                Some(format!("{path}: {lines} lines now: lower its {allowed} in the ratchet list"))
            }
            None | Some(_) => None,
        }
    }

    /// The list names no file that is gone.
    pub(crate) fn unused(&self, files: &[String]) -> Vec<String> {
        let gone = self.0.keys().filter(|path| !files.contains(path));
        gone.map(|path| format!("{path}: is gone: take it off the ratchet list")).collect()
    }
}

/// Every source file begins by saying what it is.
pub(crate) fn header(path: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|line| !line.trim().is_empty());
    (!says).then(|| format!("{path}:1: begins without a line `//! what it is`"))
}

/// No file is too large for the tree.
pub(crate) fn bytes(path: &str, count: usize) -> Option<String> {
    (count > BYTES_MAX).then(|| format!("{path}: {count} bytes, more than {BYTES_MAX}"))
}

/// Tells how many lines come before the tests: none in a file that is all tests.
pub(crate) fn tests_start(path: &str, text: &str) -> usize {
    if path.split('/').any(|part| matches!(part, "tests" | "tests.rs")) {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let opens = |pair: &[&str]| matches!(pair, [first, second] if *first == "#[cfg(test)]" && second.starts_with("mod "));
    lines.windows(2).rposition(opens).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[cfg(test)]\nmod tests {\n}\n";

    #[test]
    fn only_the_lines_before_the_tests_count() {
        let none = Ratchet::parse("").unwrap();
        let long = "x\n".repeat(500) + TESTS;
        assert_eq!(none.lines("a.rs", &long), None);
        assert!(none.lines("a.rs", &("x\n".to_owned() + &long)).is_some());
        assert!(none.lines("tests/a.rs", &"x\n".repeat(501)).is_some());
    }

    #[test]
    fn a_listed_file_may_only_shrink() {
        let list = Ratchet::parse("# why\na.rs 600\n").unwrap();
        assert_eq!(list.lines("a.rs", &"x\n".repeat(600)), None);
        for (lines, says) in [(601, "only shrink"), (599, "lower"), (500, "take it off")] {
            assert!(list.lines("a.rs", &"x\n".repeat(lines)).unwrap().contains(says));
        }
        assert_eq!(list.unused(&["b.rs".to_owned()]).len(), 1);
        assert!(list.unused(&["a.rs".to_owned()]).is_empty());
        assert!(Ratchet::parse("a.rs").is_err());
    }

    #[test]
    fn a_source_file_begins_with_what_it_is() {
        assert_eq!(header("a.rs", "//! Words.\n"), None);
        assert!(header("a.rs", "//!\n").is_some());
        assert!(header("a.rs", "use a;\n//! Words.\n").is_some());
    }

    #[test]
    fn a_file_of_a_mebibyte_is_the_largest() {
        assert_eq!(bytes("a", 1 << 20), None);
        assert!(bytes("a", (1 << 20) + 1).is_some());
    }
}
