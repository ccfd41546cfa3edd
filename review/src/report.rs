//! A report for a reader: Markdown, HTML, or SARIF for code hosts.
//!
//! The root package folds the reviews, fills in [`Extras`] with what it knows of the run, and writes what these
//! functions return. They are pure: equal reports give equal bytes.

mod html;
mod markdown;
mod rules;
mod sarif;

pub use self::html::html;
pub use self::markdown::markdown;
pub use self::sarif::sarif;

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity, Skipped};

/// What only the run knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Heading of the report.
    pub title: String,
    /// Facts of the run, one a line: when, how long, by whom.
    pub summary: Vec<String>,
    /// Parts of the work that failed: name and reason.
    pub failed: Vec<(String, String)>,
    /// Agents that did not take part: name and reason.
    pub skipped_agents: Vec<(String, String)>,
    /// The run as a picture: SVG that is put into the page as it is.
    pub waterfall: Option<String>,
}

/// How Markdown reports begin.
const MARKDOWN_OPENING: &str = "<!-- a report by synod -->\n";
/// How pages begin.
const HTML_OPENING: &str = "<!doctype html>\n<!-- a report by synod -->\n";
/// How SARIF logs begin, in the order in which the format lists its keys.
const SARIF_OPENING: &str = concat!(
    "{\n  \"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\",\n  \"version\": \"2.1.0\",\n",
    "  \"runs\": [\n    {\n      \"tool\": {\n        \"driver\": {\n          \"name\": \"synod\","
);
/// How the documents of `synod run --json` begin.
const JSON_OPENING: &str = "{\n  \"synod\": 1,\n  \"run\": \"";

/// Whether a file is a report of ours, by how it begins: nobody wants the report of the last run reviewed in the next.
pub(crate) fn is_own(bytes: &[u8]) -> bool {
    [MARKDOWN_OPENING, HTML_OPENING, SARIF_OPENING, JSON_OPENING]
        .iter()
        .any(|opening| bytes.starts_with(opening.as_bytes()))
}

const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

/// Number of findings of a severity.
fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Names, in order, with commas.
fn listed(names: impl IntoIterator<Item: AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

/// Skipped files by reason, in the order of the reasons.
fn by_reason(skipped: &[Skipped]) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skip in skipped {
        reasons.entry(&skip.reason).or_default().push(&skip.file);
    }
    reasons
}

#[cfg(test)]
mod tests;
