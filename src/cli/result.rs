//! The result of a run, as text, as one JSON document, or as a report in a file.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, path::PathBuf};

use actors::pattern::{FailedPart, FailureKind, Tally, consensus::Decision};
use protocol::RunId;
use review::{
    Finding, Severity,
    merge::Report,
    report::{self, Extras},
};
use serde::Serialize;

use super::{
    args::{ReportFormat, View},
    brought::{Brought, Kind},
    exit::Exit,
    output::{Failure, clean, counted, print, tell},
    patterns::{Patterns, Whole},
};
use crate::{
    job::{Planned, Product, SkippedAgent},
    limits::{FINDINGS_SHOWN, NAMES_SHOWN, RULES_SHOWN},
};

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The run.
    pub run: RunId,
    /// That of `main`, where several patterns ran; else the same.
    pub main: RunId,
    /// Its name.
    pub name: String,
    /// The run file.
    pub file: String,
    /// What was looked at.
    pub root: PathBuf,
    /// The revisions whose changes were looked at.
    pub range: Option<String>,
    /// How many files.
    pub files: usize,
    /// Its journal.
    pub journal: PathBuf,
    /// Who did not take part.
    pub skipped_agents: Vec<SkippedAgent>,
    /// Why it did not complete.
    pub failure: Option<FailureKind>,
    /// How the program ends, findings aside.
    pub exit: Exit,
    /// What was found.
    pub report: Option<Report>,
    /// What it was.
    pub kind: Kind,
    /// What its teams were to do, where it had some.
    pub mission: Option<String>,
    /// What became of several patterns, where some came before `main`.
    pub planned: Option<Planned>,
    /// The same, as it is shown.
    pub patterns: Option<Patterns>,
    /// What it was told to have come to.
    pub decision: Option<Decision>,
    /// What it has brought, where it was no review.
    pub brought: Option<Brought>,
    /// Parts without a result.
    pub failed: Vec<FailedPart>,
    /// Counts.
    pub tally: Tally,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// The run as a picture, for a report that can show it.
    pub picture: Option<String>,
    /// The node's metrics, if they are wanted.
    pub metrics: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    synod: u32,
    run: RunId,
    name: &'a str,
    outcome: &'a str,
    exit_code: u8,
    failure: Option<Why<'a>>,
    millis: u64,
    root: Cow<'a, str>,
    journal: Cow<'a, str>,
    tally: &'a Tally,
    failed_parts: &'a [FailedPart],
    skipped_agents: &'a [SkippedAgent],
    report: Option<&'a Report>,
    #[serde(flatten)]
    brought: Option<&'a Brought>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patterns: Option<Vec<Whole<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Why<'a> {
    message: String,
    #[serde(flatten)]
    kind: &'a FailureKind,
}

/// Gives the word for how a run ended.
pub fn outcome_word(failure: Option<&FailureKind>) -> &'static str {
    match failure {
        None => "completed",
        Some(FailureKind::TimedOut { .. }) => "timed_out",
        Some(FailureKind::Cancelled { .. }) => "cancelled",
        Some(FailureKind::Rejected { .. }) => "rejected",
        Some(FailureKind::NodeLost { .. }) => "node_lost",
        Some(FailureKind::OverBudget { .. }) => "over_budget",
        Some(
            FailureKind::Invalid { .. }
            | FailureKind::Split { .. }
            | FailureKind::Parts { .. }
            | FailureKind::Reduce { .. }
            | FailureKind::NoAnswer { .. }
            | FailureKind::Aborted { .. },
        ) => "failed",
    }
}

impl Finished {
    /// Shows the result as it was asked for, and says how the program ends.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be printed or written.
    pub fn show(&self, view: &View) -> Result<Exit, Failure> {
        let exit = self.exit_with(view);
        if view.json {
            print(&self.document(exit)?)?;
            return Ok(exit);
        }
        print(&self.summary())?;
        if let Some(file) = &view.report
            && let Some(text) = self.report_as(file.format)
        {
            std::fs::write(&file.path, text).map_err(|error| {
                let words = format!(
                    "cannot write {}: {error}; the run is kept: synod resume {}",
                    file.path.display(),
                    self.run
                );
                Failure::words(Exit::Failed, words)
            })?;
            tell(&format!("report: {}\n", clean(&file.path.display().to_string())));
        }
        if let Some(metrics) = &self.metrics {
            print(&format!("\n{metrics}"))?;
        }
        Ok(exit)
    }

    fn report_as(&self, format: ReportFormat) -> Option<String> {
        let (title, facts) = (self.title(), self.facts());
        let plan = self.patterns.as_ref();
        let (picture, table) = (plan.map(Patterns::svg), plan.map(Patterns::markdown));
        let (picture, table) = (picture.unwrap_or_default(), table.unwrap_or_default());
        if let Some(own) = &self.brought {
            return match format {
                ReportFormat::Markdown => Some(own.markdown(&title, &facts) + &table),
                ReportFormat::Html => Some(own.html((&title, &picture), &facts)),
                ReportFormat::Sarif => None,
            };
        }
        if let Some(report) = &self.report {
            return Some(match format {
                ReportFormat::Markdown => report::markdown(report, &self.extras()) + &table,
                ReportFormat::Html => report::html(report, &self.extras()),
                ReportFormat::Sarif => report::sarif(report),
            });
        }
        // `main` never began.
        plan.and_then(|plan| match format {
            ReportFormat::Markdown => Some(plan.report_in_markdown(&title, &facts)),
            ReportFormat::Html => Some(plan.page(&title, &facts)),
            ReportFormat::Sarif => None,
        })
    }

    /// Whether results are kept that nobody had the time to put together.
    fn was_cut_off(&self) -> bool {
        let early = matches!(
            self.failure,
            Some(FailureKind::Cancelled { .. } | FailureKind::TimedOut { .. })
        );
        early && self.tally.done > 0
    }

    fn exit_with(&self, view: &View) -> Exit {
        let bad = |finding: &Finding, least: Severity| finding.severity <= least;
        let found = view.fail_on.is_some_and(|fail_on| {
            let mut findings = self.reports().flat_map(|report| &report.findings);
            findings.any(|finding| bad(finding, fail_on.severity()))
        });
        if self.exit == Exit::Done && found { Exit::Findings } else { self.exit }
    }

    /// What was found, by all patterns that look for something.
    fn reports(&self) -> impl Iterator<Item = &Report> {
        let products = self.planned.iter().flat_map(|planned| &planned.products);
        let reports = products.filter_map(|product| match product {
            Some(Product::Review(report)) => Some(report),
            Some(_) | None => None,
        });
        self.report.iter().chain(reports)
    }

    fn document(&self, exit: Exit) -> Result<String, Failure> {
        let document = Document {
            synod: 1,
            run: self.run,
            name: &self.name,
            outcome: outcome_word(self.failure.as_ref()),
            exit_code: exit.code(),
            failure: self.failure.as_ref().map(|kind| Why { message: kind.to_string(), kind }),
            millis: self.millis,
            root: self.root.to_string_lossy(),
            journal: self.journal.to_string_lossy(),
            tally: &self.tally,
            failed_parts: &self.failed,
            skipped_agents: &self.skipped_agents,
            report: self.report.as_ref(),
            brought: self.brought.as_ref(),
            patterns: self.patterns.as_ref().map(|own| own.with(self.planned.as_ref())),
            metrics: self.metrics.as_deref(),
        };
        let text = serde_json::to_string_pretty(&document);
        text.map(|text| text + "\n").map_err(|error| Failure::failed(&error))
    }

    /// What only the run knows, for the report.
    fn extras(&self) -> Extras {
        let failed = self.failed.iter().map(|part| {
            (
                format!("{}: {}", part.agent, part.name),
                format!("{} ({})", part.error, counted(u64::from(part.attempts), "attempt")),
            )
        });
        let skipped = self.skipped_agents.iter();
        Extras {
            title: self.title(),
            summary: self.facts(),
            failed: failed.collect(),
            skipped_agents: skipped.map(|one| (one.agent.clone(), one.reason.clone())).collect(),
            waterfall: self.pictures(),
        }
    }

    /// The patterns, where there are several, and when each agent worked.
    fn pictures(&self) -> Option<String> {
        let plan = self.patterns.as_ref().map(Patterns::svg);
        match (plan, &self.picture) {
            (Some(plan), Some(own)) => Some(plan + own),
            (plan, own) => plan.or_else(|| own.clone()),
        }
    }

    fn title(&self) -> String {
        if let Some(mission) = &self.mission {
            return mission.clone();
        }
        let range = self.range.as_ref().map(|range| format!(", {range}"));
        let what = self.kind.title();
        if self.kind == Kind::Swarm && self.root.as_os_str() == "." {
            return format!("{what} {}", self.name);
        }
        format!("{what} of {}{}", self.root.display(), range.unwrap_or_default())
    }

    fn facts(&self) -> Vec<String> {
        let Tally { units, done, resumed, fallbacks, retries, speculative, .. } = self.tally;
        let (unit, what) =
            if self.patterns.is_some() { ("pattern", "") } else { self.kind.units() };
        let mut work = format!("{done} of {}{what} done", counted(units, unit));
        for (count, word) in [
            (resumed, "before, and not run again"),
            (fallbacks, "by a fallback"),
            (retries, "tried again"),
            (speculative, "run twice for speed"),
        ] {
            if count > 0 {
                write!(work, ", {count} {word}").ok();
            }
        }
        let mut facts = Vec::new();
        if let Some(failure) = &self.failure {
            facts.push(format!("Incomplete: {failure}"));
        }
        let files = match self.kind {
            Kind::Review => counted(self.files as u64, "file") + ", ",
            Kind::Vote | Kind::Pipeline | Kind::Swarm | Kind::Hierarchy => String::new(),
        };
        let (seconds, millis) = (self.millis / 1_000, self.millis % 1_000);
        facts.push(format!("{files}{work}, {seconds}.{millis:03} s"));
        facts.push(format!("Run {} of {}", self.run, self.file));
        facts
    }

    fn summary(&self) -> String {
        let plan = self.patterns.as_ref().map(|patterns| patterns.text() + "\n");
        let mut text = plan.unwrap_or_default();
        if !matches!(self.brought, Some(Brought::Vote(_))) {
            text.push_str(&(clean(&self.title()) + "\n"));
        }
        text.push_str(&self.brought.as_ref().map(Brought::text).unwrap_or_default());
        if let Some(failure) = &self.failure {
            writeln!(text, "\nThe run did not complete: {}", clean(&failure.to_string())).ok();
        }
        match &self.report {
            Some(report) => findings(&mut text, &report.findings),
            None if self.kind != Kind::Review => {}
            None if self.was_cut_off() => {
                text.push_str("\nThere was no time for a report; what was found is kept.\n");
            }
            None => text.push_str("\nThere is no report.\n"),
        }
        // Of patterns that failed it is said above.
        let failed =
            self.failed.iter().filter(|part| !part.agent.is_empty() || self.patterns.is_none());
        let failed = failed.map(|part| {
            format!(
                "{}: {}: {} ({})",
                part.agent,
                part.name,
                part.error,
                counted(u64::from(part.attempts), "attempt")
            )
        });
        let kind = if self.patterns.is_some() { Kind::Review } else { self.kind };
        let title = kind.failed();
        section(&mut text, title, &failed.collect::<Vec<_>>());
        let agents = self.skipped_agents.iter().map(|one| format!("{}: {}", one.agent, one.reason));
        section(&mut text, "Skipped agents", &agents.collect::<Vec<_>>());
        if let Some(report) = &self.report {
            section(&mut text, "Skipped files", &skipped_files(report));
        }
        text.push('\n');
        for fact in self.facts().iter().filter(|fact| !fact.starts_with("Incomplete")) {
            writeln!(text, "{}", clean(fact)).ok();
        }
        if self.failure.is_some() {
            writeln!(text, "Take it up again: synod resume {}", self.run).ok();
        }
        text
    }
}

/// Counts the findings and shows the first, which are the worst.
fn findings(text: &mut String, findings: &[Finding]) {
    let count = |severity: Severity| {
        findings.iter().filter(|finding| finding.severity == severity).count() as u64
    };
    let (errors, warnings, notes) =
        (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let counts = [counted(errors, "error"), counted(warnings, "warning"), counted(notes, "note")];
    writeln!(text, "{}: {}", counted(findings.len() as u64, "finding"), counts.join(", ")).ok();
    if findings.len() > FINDINGS_SHOWN {
        writeln!(text, "{}", rules(findings)).ok();
    }
    if !findings.is_empty() {
        text.push('\n');
    }
    for finding in findings.iter().take(FINDINGS_SHOWN) {
        let place = format!("{}:{}", finding.file, finding.line);
        let (place, message) = (clean(&place), clean(&finding.message));
        writeln!(
            text,
            "{:>7}  {place}  {}  {message}",
            finding.severity.name(),
            clean(&finding.rule)
        )
        .ok();
    }
    if findings.len() > FINDINGS_SHOWN {
        let more = findings.len() - FINDINGS_SHOWN;
        writeln!(text, "         and {more} more; `--report review.md` has all").ok();
    }
}

/// Counts findings by rule, the most frequent first.
fn rules(findings: &[Finding]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in findings {
        *counts.entry(&finding.rule).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
    let shown =
        counts.iter().take(RULES_SHOWN).map(|(rule, count)| format!("{count} {}", clean(rule)));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if counts.len() > RULES_SHOWN {
        write!(text, " and {} more rules", counts.len() - RULES_SHOWN).ok();
    }
    text
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    writeln!(text, "\n{title}: {}", lines.len()).ok();
    for line in lines.iter().take(NAMES_SHOWN) {
        writeln!(text, "  {}", clean(line)).ok();
    }
    if lines.len() > NAMES_SHOWN {
        writeln!(text, "  and {} more", lines.len() - NAMES_SHOWN).ok();
    }
}

/// Names skipped files by reason.
fn skipped_files(report: &Report) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skipped in &report.skipped {
        reasons.entry(&skipped.reason).or_default().push(&skipped.file);
    }
    let line = |(reason, files): (&str, Vec<&str>)| {
        let shown: Vec<&str> = files.iter().take(NAMES_SHOWN).copied().collect();
        let more = files.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}: {reason}", shown.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_results_nobody_had_time_to_put_together_says_that_they_are_kept() {
        let says = |failure: FailureKind, done: u64| {
            let finished = Finished {
                run: RunId::from_u128(1),
                main: RunId::from_u128(1),
                name: String::new(),
                file: String::new(),
                root: PathBuf::new(),
                range: None,
                files: 2,
                journal: PathBuf::new(),
                skipped_agents: Vec::new(),
                failure: Some(failure),
                exit: Exit::Cancelled,
                report: None,
                kind: Kind::Review,
                mission: None,
                planned: None,
                patterns: None,
                decision: None,
                brought: None,
                failed: Vec::new(),
                tally: Tally { done, ..Tally::default() },
                millis: 0,
                picture: None,
                metrics: None,
            };
            finished.summary()
        };
        let kept = "There was no time for a report; what was found is kept.";
        assert!(says(FailureKind::Cancelled { done: 1, units: 2 }, 1).contains(kept));
        for other in [
            says(FailureKind::Cancelled { done: 0, units: 2 }, 0),
            says(FailureKind::Reduce { why: String::new() }, 1),
        ] {
            assert!(other.contains("There is no report."), "{other}");
        }
    }
}
