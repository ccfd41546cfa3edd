//! The fold of all reviews into one report.
//!
//! [`Fold`] is what agents' answers are added to, in any order and any grouping; [`Report`] is what it says at the end.
//!
//! # Invariants
//! - [`Fold::join`] is associative, commutative and idempotent, and [`Fold::default`] is its neutral element.
//! - What several agents say of one line is one finding that names them all; what one agent says of two columns is two.
//! - Equal sets of reviews give equal reports, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::finding::{FileMetrics, Finding, Review, Severity, Skipped};
use crate::limits::{COMPLEX_FILES_MAX, PLACES_MAX};

/// Everything that was said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    findings: BTreeMap<Place, BTreeMap<u32, Finding>>,
    metrics: BTreeMap<String, FileMetrics>,
    skipped: BTreeSet<Skipped>,
}

/// What a review says in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The findings, the worst first, then by file, line and rule.
    pub findings: Vec<Finding>,
    /// What to do, the worst and most frequent first.
    pub suggestions: Vec<Suggestion>,
    /// Size and shape of the code.
    pub metrics: Metrics,
    /// What was not reviewed, by file.
    pub skipped: Vec<Skipped>,
}

/// One piece of advice and all places that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// What to do.
    pub text: String,
    /// The worst severity among its findings.
    pub severity: Severity,
    /// Number of findings.
    pub count: usize,
    /// The first places, as `file:line`.
    pub places: Vec<String>,
}

/// Size and shape of all files that were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// All files together.
    pub total: Totals,
    /// The files of each language.
    pub languages: BTreeMap<String, Totals>,
    /// The files with the most complex functions, the worst first.
    pub most_complex: Vec<FileMetrics>,
}

/// Sums over some files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// All lines.
    pub lines: u64,
    /// Lines that are neither blank nor only a comment.
    pub code_lines: u64,
    /// Functions with a body.
    pub functions: u64,
    /// Highest cognitive complexity of one function.
    pub complexity_max: u32,
}

/// What several agents' findings have in common that are one: they say the same of the same line.
///
/// The columns stay apart in the fold, since one agent may say the same twice of a line. Other tools count columns
/// otherwise or not at all, so only at the end are the columns of several agents put together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    line: u32,
    topic: String,
}

impl Fold {
    /// Adds what one agent says.
    pub fn add(&mut self, review: Review) {
        for finding in review.findings {
            self.add_finding(finding);
        }
        for metrics in review.metrics {
            self.add_metrics(metrics);
        }
        self.skipped.extend(review.skipped);
    }

    /// Adds what another fold holds.
    pub fn join(&mut self, other: Self) {
        self.add(other.into_review());
    }

    /// Everything as one review, sorted, with the columns apart; adding it to a fold adds the same.
    pub fn into_review(self) -> Review {
        let columns = self.findings.into_values().flat_map(BTreeMap::into_values);
        let mut findings: Vec<_> = columns.collect();
        findings.sort();
        let metrics = self.metrics.into_values().collect();
        Review { findings, metrics, skipped: self.skipped.into_iter().collect() }
    }

    /// What is said in the end.
    pub fn report(&self) -> Report {
        self.clone().into_report()
    }

    /// What is said in the end, without a copy of all that was said.
    pub fn into_report(mut self) -> Report {
        let places = std::mem::take(&mut self.findings).into_values();
        let mut findings: Vec<_> = places.flat_map(across_columns).collect();
        findings.sort();
        let Review { metrics, skipped, .. } = self.into_review();
        Report {
            suggestions: suggestions(&findings),
            metrics: summarise(metrics),
            findings,
            skipped,
        }
    }

    fn add_finding(&mut self, finding: Finding) {
        let place =
            Place { file: finding.file.clone(), line: finding.line, topic: topic(&finding) };
        let columns = self.findings.entry(place).or_default();
        let finding = match columns.remove(&finding.column) {
            None => finding,
            Some(known) => unite(known, finding),
        };
        columns.insert(finding.column, finding);
    }

    fn add_metrics(&mut self, metrics: FileMetrics) {
        self.metrics
            .entry(metrics.file.clone())
            .and_modify(|known| known.join(&metrics))
            .or_insert(metrics);
    }
}

/// The findings of one place: each column joins the first finding that none of its agents has said yet.
fn across_columns(columns: BTreeMap<u32, Finding>) -> Vec<Finding> {
    let mut united: Vec<Finding> = Vec::new();
    for finding in columns.into_values() {
        let others = |known: &Finding| {
            let unnamed = known.agents.is_empty() && finding.agents.is_empty();
            !unnamed && known.agents.is_disjoint(&finding.agents)
        };
        match united.iter_mut().find(|known| others(known)) {
            Some(known) => *known = unite(known.clone(), finding),
            None => united.push(finding),
        }
    }
    united
}

/// One finding for two of the same place: the worse speaks, and both their agents are named.
fn unite(mut a: Finding, mut b: Finding) -> Finding {
    let mut agents = std::mem::take(&mut a.agents);
    agents.append(&mut b.agents);
    let suggestion = [a.suggestion.take(), b.suggestion.take()].into_iter().flatten().min();
    Finding { agents, suggestion, ..a.min(b) }
}

/// Rules of different tools that say the same of a line.
const SAME: &[(&str, &str)] = &[
    ("clippy.unwrap_used", "rust.unwrap"),
    ("clippy.expect_used", "rust.expect"),
    ("clippy.panic", "rust.panic"),
    ("clippy.todo", "rust.todo"),
    ("clippy.unimplemented", "rust.todo"),
    ("clippy.undocumented_unsafe_blocks", "rust.unsafe"),
    ("clippy.cognitive_complexity", "rust.complexity"),
    ("clippy.too_many_lines", "rust.length"),
    ("ruff.C901", "functions.complexity"),
    ("ruff.PLR0915", "functions.length"),
    ("ruff.S105", "secrets.assignment"),
    ("ruff.S106", "secrets.assignment"),
    ("ruff.S107", "secrets.assignment"),
    ("bandit.B105", "secrets.assignment"),
    ("bandit.B106", "secrets.assignment"),
    ("bandit.B107", "secrets.assignment"),
];

/// What a finding is about: its rule, if other tools have it under another name; else its text.
fn topic(finding: &Finding) -> String {
    let same = SAME.iter().find(|(other, ours)| *other == finding.rule || *ours == finding.rule);
    if let Some((_, ours)) = same {
        return (*ours).to_owned();
    }
    // ruff's S rules are bandit's B rules, by number
    match finding.rule.strip_prefix("ruff.S").or_else(|| finding.rule.strip_prefix("bandit.B")) {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("bandit.B{number}")
        }
        _ => finding.message.trim_end_matches('.').to_lowercase(),
    }
}

fn suggestions(findings: &[Finding]) -> Vec<Suggestion> {
    let mut by_text: BTreeMap<&str, Suggestion> = BTreeMap::new();
    for finding in findings {
        let Some(text) = finding.suggestion.as_deref() else { continue };
        let suggestion = by_text.entry(text).or_insert_with(|| Suggestion {
            text: text.to_owned(),
            severity: finding.severity,
            count: 0,
            places: Vec::new(),
        });
        suggestion.severity = suggestion.severity.min(finding.severity);
        suggestion.count += 1;
        if suggestion.places.len() < PLACES_MAX {
            suggestion.places.push(format!("{}:{}", finding.file, finding.line));
        }
    }
    let mut suggestions: Vec<_> = by_text.into_values().collect();
    suggestions.sort_by(|a, b| (a.severity, b.count, &a.text).cmp(&(b.severity, a.count, &b.text)));
    suggestions
}

fn summarise(files: Vec<FileMetrics>) -> Metrics {
    let mut metrics = Metrics::default();
    for file in &files {
        metrics.total.add(file);
        metrics.languages.entry(file.language.clone()).or_default().add(file);
    }
    let mut complex: Vec<_> = files.into_iter().filter(|file| file.complexity_max > 0).collect();
    complex.sort_by(|a, b| (b.complexity_max, &a.file).cmp(&(a.complexity_max, &b.file)));
    complex.truncate(COMPLEX_FILES_MAX);
    Metrics { most_complex: complex, ..metrics }
}

impl Totals {
    fn add(&mut self, file: &FileMetrics) {
        self.files = self.files.saturating_add(1);
        self.lines = self.lines.saturating_add(u64::from(file.lines));
        self.code_lines = self.code_lines.saturating_add(u64::from(file.code_lines));
        self.functions = self.functions.saturating_add(u64::from(file.functions));
        self.complexity_max = self.complexity_max.max(file.complexity_max);
    }
}

#[cfg(test)]
mod tests;
