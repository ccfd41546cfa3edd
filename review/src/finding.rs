//! What a reviewer says of a file: findings, metrics and what it had to skip.
//!
//! Plain values: reviewers and converters make them, [`crate::merge`] folds them, reports show them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::limits::MESSAGE_BYTES_MAX;

/// Everything that one agent says of one or more files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// What was found.
    pub findings: Vec<Finding>,
    /// One entry a file that was measured.
    #[serde(default)]
    pub metrics: Vec<FileMetrics>,
    /// What was not reviewed, each with its reason.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
}

/// One statement about a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How bad it is; the first key of the order.
    pub severity: Severity,
    /// Path relative to the root of the source, with `/`.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
    /// Stable name of the rule, such as `rust.unwrap` or `ruff.F401`.
    pub rule: String,
    /// Column of the first character, from 1; 0 if unknown.
    #[serde(default)]
    pub column: u32,
    /// Last line, at least `line`.
    #[serde(default)]
    pub end_line: u32,
    /// What is wrong, for a reader.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The agents that found it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agents: BTreeSet<String>,
}

/// How bad a finding is; the worst orders first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wrong: must be repaired.
    Error,
    /// Probably wrong.
    Warning,
    /// Worth knowing.
    Note,
}

/// Size and shape of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMetrics {
    /// Path relative to the root of the source, with `/`.
    pub file: String,
    /// Name of the language or kind of text.
    pub language: String,
    /// All lines.
    pub lines: u32,
    /// Lines that are neither blank nor only a comment.
    pub code_lines: u32,
    /// Functions with a body.
    #[serde(default)]
    pub functions: u32,
    /// Lines of code of the longest function.
    #[serde(default)]
    pub function_lines_max: u32,
    /// Highest number of independent paths through one function.
    #[serde(default)]
    pub cyclomatic_max: u32,
    /// Highest cognitive complexity of one function.
    #[serde(default)]
    pub complexity_max: u32,
}

/// A file, or a part of one, that was not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Path relative to the root of the source, with `/`.
    pub file: String,
    /// Why, for a reader.
    pub reason: String,
}

impl Review {
    /// Names `agent` as the one that found everything here.
    #[must_use]
    pub fn by(mut self, agent: &str) -> Self {
        for finding in &mut self.findings {
            finding.agents.insert(agent.to_owned());
        }
        self
    }

    /// Adds what another review says.
    pub fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.metrics.extend(other.metrics);
        self.skipped.extend(other.skipped);
    }

    /// A review that only says that `file` was skipped.
    pub fn skip(file: &str, reason: impl Into<String>) -> Self {
        let skipped = vec![Skipped { file: file.to_owned(), reason: reason.into() }];
        Self { skipped, ..Self::default() }
    }
}

impl Finding {
    /// A finding at one line of a file, without column and suggestion.
    pub fn new(file: &str, line: u32, rule: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            file: file.to_owned(),
            line,
            rule: rule.to_owned(),
            column: 0,
            end_line: line,
            message: clip(message.into()),
            suggestion: None,
            agents: BTreeSet::new(),
        }
    }

    /// Sets how bad it is.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets the column (from 1) and the last line.
    #[must_use]
    pub fn span(mut self, column: u32, end_line: u32) -> Self {
        self.column = column;
        self.end_line = end_line.max(self.line);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(clip(suggestion.into()));
        self
    }
}

impl Severity {
    /// The word for it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl FileMetrics {
    /// The field-wise maximum of two measurements of one file.
    pub fn join(&mut self, other: &Self) {
        if self.language.is_empty()
            || (!other.language.is_empty() && other.language < self.language)
        {
            self.language.clone_from(&other.language);
        }
        self.lines = self.lines.max(other.lines);
        self.code_lines = self.code_lines.max(other.code_lines);
        self.functions = self.functions.max(other.functions);
        self.function_lines_max = self.function_lines_max.max(other.function_lines_max);
        self.cyclomatic_max = self.cyclomatic_max.max(other.cyclomatic_max);
        self.complexity_max = self.complexity_max.max(other.complexity_max);
    }
}

/// Cuts a text at the limit, at a character boundary.
pub(crate) fn clip(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = text.floor_char_boundary(MESSAGE_BYTES_MAX - '…'.len_utf8());
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character_boundary() {
        let finding = Finding::new("a", 1, "r", "é".repeat(MESSAGE_BYTES_MAX));
        assert!(finding.message.len() <= MESSAGE_BYTES_MAX);
        assert!(finding.message.ends_with('…'));
    }

    #[test]
    fn the_worst_severity_orders_first() {
        assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Note);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<Review>(r#"{"findings":[],"more":1}"#).is_err());
    }
}
