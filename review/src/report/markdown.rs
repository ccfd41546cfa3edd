//! The report as Markdown, for terminals, reviews and summaries of continuous integration.

use std::fmt::Write;

use super::{Extras, MARKDOWN_OPENING, SEVERITIES, by_reason, count, counted, listed};
use crate::finding::{Finding, Severity};
use crate::limits::{PLACES_MAX, REPORT_FINDINGS_MAX, REPORT_LINES_MAX};
use crate::merge::Report;

/// Renders a report as Markdown.
pub fn markdown(report: &Report, extras: &Extras) -> String {
    let mut out = String::new();
    // writing to a string cannot fail
    write_all(&mut out, report, extras).unwrap_or_default();
    out
}

fn write_all(out: &mut String, report: &Report, extras: &Extras) -> std::fmt::Result {
    writeln!(out, "{MARKDOWN_OPENING}# {}\n", escape(&extras.title))?;
    for line in &extras.summary {
        writeln!(out, "- {}", escape(line))?;
    }
    let total = &report.metrics.total;
    let files = counted(usize::try_from(total.files).unwrap_or(usize::MAX), "file");
    writeln!(
        out,
        "- {}, {} lines of code, {} functions measured\n- {}",
        files,
        total.code_lines,
        total.functions,
        SEVERITIES
            .map(|severity| counted(count(&report.findings, severity), severity.name()))
            .join(", ")
    )?;
    named(out, "Failed parts", &extras.failed)?;
    named(out, "Agents that did not take part", &extras.skipped_agents)?;
    let shown = report.findings.get(..REPORT_FINDINGS_MAX).unwrap_or(&report.findings);
    for severity in SEVERITIES {
        findings(out, severity, shown)?;
    }
    if shown.len() < report.findings.len() {
        writeln!(
            out,
            "\n… and {} more, which the JSON report holds.",
            report.findings.len() - shown.len()
        )?;
    }
    suggestions(out, report)?;
    metrics(out, report)?;
    skipped(out, report)
}

fn named(out: &mut String, title: &str, entries: &[(String, String)]) -> std::fmt::Result {
    if !entries.is_empty() {
        writeln!(out, "\n## {title}\n")?;
    }
    for (name, reason) in entries {
        writeln!(out, "- **{}**: {}", escape(name), escape(reason))?;
    }
    Ok(())
}

fn findings(out: &mut String, severity: Severity, findings: &[Finding]) -> std::fmt::Result {
    let mut rest = findings.iter().filter(|finding| finding.severity == severity).peekable();
    if rest.peek().is_none() {
        return Ok(());
    }
    let title = match severity {
        Severity::Error => "Errors",
        Severity::Warning => "Warnings",
        Severity::Note => "Notes",
    };
    writeln!(out, "\n## {title}")?;
    let mut of_file: Vec<&Finding> = Vec::new();
    while let Some(finding) = rest.next() {
        of_file.push(finding);
        if rest.peek().is_none_or(|next| next.file != finding.file) {
            file(out, &of_file)?;
            of_file.clear();
        }
    }
    Ok(())
}

/// The findings of one file; what is said of several lines is said once.
fn file(out: &mut String, findings: &[&Finding]) -> std::fmt::Result {
    let Some(first) = findings.first() else { return Ok(()) };
    writeln!(out, "\n### `{}`\n", code(&first.file))?;
    let mut said: Vec<(&Finding, Vec<u32>)> = Vec::new();
    for finding in findings {
        let same = said.iter_mut().find(|(known, _)| {
            known.message == finding.message
                && known.rule == finding.rule
                && known.agents == finding.agents
        });
        match same {
            Some((_, lines)) => lines.push(finding.line),
            None => said.push((finding, vec![finding.line])),
        }
    }
    for (finding, lines) in said {
        let shown: Vec<String> = lines.iter().take(REPORT_LINES_MAX).map(u32::to_string).collect();
        let more = lines.len().saturating_sub(REPORT_LINES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let word = if lines.len() == 1 { "line" } else { "lines" };
        let advice = finding
            .suggestion
            .as_ref()
            .map_or(String::new(), |advice| format!("; {}", escape(advice)));
        let by = match finding.agents.is_empty() {
            true => String::new(),
            false => format!(", by {}", escape(&listed(&finding.agents))),
        };
        let (lines, message) = (shown.join(", "), escape(&finding.message));
        writeln!(out, "- {word} {lines}{more}: {message}{advice} (`{}`{by})", code(&finding.rule))?;
    }
    Ok(())
}

fn suggestions(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.suggestions.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Suggestions\n")?;
    for suggestion in report.suggestions.iter().take(PLACES_MAX) {
        let place = suggestion.places.first().map_or("", String::as_str);
        writeln!(
            out,
            "- {}× {} (first at `{}`)",
            suggestion.count,
            escape(&suggestion.text),
            code(place)
        )?;
    }
    match report.suggestions.len().saturating_sub(PLACES_MAX) {
        0 => Ok(()),
        more => writeln!(out, "- … and {more} more"),
    }
}

fn metrics(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.metrics.languages.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Metrics\n\n| language | files | lines | code | functions | most complex |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|")?;
    for (language, total) in &report.metrics.languages {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            escape(language),
            total.files,
            total.lines,
            total.code_lines,
            total.functions,
            total.complexity_max
        )?;
    }
    if !report.metrics.most_complex.is_empty() {
        writeln!(out, "\nMost complex functions, by file:\n")?;
    }
    for file in &report.metrics.most_complex {
        writeln!(out, "- `{}`: cognitive complexity {}", code(&file.file), file.complexity_max)?;
    }
    Ok(())
}

fn skipped(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.skipped.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Not reviewed\n")?;
    for (reason, files) in by_reason(&report.skipped) {
        let shown: Vec<String> =
            files.iter().take(PLACES_MAX).map(|file| format!("`{}`", code(file))).collect();
        let more = files.len().saturating_sub(PLACES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(out, "- {}{more}: {}", shown.join(", "), escape(reason))?;
    }
    Ok(())
}

/// Text that Markdown shows as it is, on one line; pairs of backticks stay what they are.
fn escape(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let paired = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    for c in text.chars() {
        if c == '`' && paired {
            in_code = !in_code;
        } else if !in_code && is_markup(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_markup(c: char) -> bool {
    matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '#' | '~' | '&' | '!')
}

/// Text inside a code span.
fn code(text: &str) -> String {
    text.chars().filter(|c| *c != '`' && !c.is_control()).collect()
}
