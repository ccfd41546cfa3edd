//! What the built-in rules look for, in one sentence each.

/// The sentence for a rule; other tools' rules speak by their name.
pub(super) fn describe(rule: &str) -> &str {
    RULES.iter().find(|(name, _)| *name == rule).map_or(rule, |(_, sentence)| sentence)
}

const RULES: &[(&str, &str)] = &[
    ("duplicates.version", "A lock file holds a package in more than one version."),
    ("functions.complexity", "A function is hard to follow: many branches, nested in each other."),
    ("functions.length", "A function has too many lines of code."),
    ("rust.complexity", "A function is hard to follow: many branches, nested in each other."),
    ("rust.expect", "`.expect(…)` outside tests panics on `None` or `Err`."),
    ("rust.length", "A function has too many lines of code."),
    ("rust.panic", "`panic!` outside tests that no `# Panics` section documents."),
    ("rust.parse", "A file does not parse as Rust."),
    ("rust.todo", "Code that is not written yet and panics when it is reached."),
    ("rust.unsafe", "`unsafe` without a `// SAFETY:` comment that says why it is sound."),
    ("rust.unwrap", "`.unwrap()` outside tests panics on `None` or `Err`."),
    ("secrets.assignment", "A random value stands behind a name that says it is a secret."),
    ("secrets.private_key", "A private key stands in a file."),
    ("secrets.url", "A URL holds a user's password."),
    ("typos.word", "A word is misspelt."),
];
