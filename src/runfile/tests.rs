//! Tests of run files as a whole.

use super::*;

pub(super) const GOOD: &str = include_str!("tests/good.toml");

/// Parses a text and compares the rendered problems; an empty expectation: there are none.
fn check(text: &str, expected: &str) {
    check_with(text, &[], expected);
}

fn check_with(text: &str, overrides: &[&str], expected: &str) {
    let overrides: Vec<Set> = overrides.iter().map(|set| Set((*set).to_owned())).collect();
    let found = RunFile::parse("run.toml", text, &overrides);
    let found = found.err().map(|problems| problems.to_string()).unwrap_or_default();
    assert_eq!(found.trim(), expected.trim(), "\n--- found\n{found}");
}

#[test]
fn a_good_file_has_no_problem() {
    check(GOOD, "");
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    check(include_str!("tests/wrong.toml"), include_str!("tests/wrong.txt"));
}

#[test]
fn broken_toml_and_wrong_keys_come_together() {
    check(include_str!("tests/broken.toml"), include_str!("tests/broken.txt"));
}
