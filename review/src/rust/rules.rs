//! The rules of `review.rust`.

use crate::finding::Severity;

/// What a rule is called, how bad a violation is, and what to do about it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    pub(super) suggestion: &'static str,
}

pub(super) const UNWRAP: Rule = Rule {
    name: "rust.unwrap",
    severity: Severity::Warning,
    suggestion: "return the error with `?`, or handle the case",
};
pub(super) const EXPECT: Rule = Rule {
    name: "rust.expect",
    severity: Severity::Note,
    suggestion: "return the error with `?` if it can happen, or document it under `# Panics`",
};
pub(super) const PANIC: Rule = Rule {
    name: "rust.panic",
    severity: Severity::Note,
    suggestion: "return an error, or document when it panics under `# Panics`",
};
pub(super) const TODO: Rule = Rule {
    name: "rust.todo",
    severity: Severity::Warning,
    suggestion: "write it, or return an error that says so",
};
pub(super) const UNSAFE: Rule = Rule {
    name: "rust.unsafe",
    severity: Severity::Warning,
    suggestion: "write above it which conditions make it sound, after `// SAFETY:`",
};
pub(super) const COMPLEXITY: Rule = Rule {
    name: "rust.complexity",
    severity: Severity::Warning,
    suggestion: "move nested branches into functions of their own, or return early",
};
pub(super) const LENGTH: Rule = Rule {
    name: "rust.length",
    severity: Severity::Note,
    suggestion: "split it by what its parts do",
};
