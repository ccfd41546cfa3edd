//! The report as one HTML page: no network, light and dark, filtered in the page.

use std::fmt::Write;

use super::{Extras, HTML_OPENING, SEVERITIES, by_reason, count, counted, listed};
use crate::finding::Finding;
use crate::limits::{PLACES_MAX, REPORT_FINDINGS_MAX};
use crate::merge::Report;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/filter.js");

/// Renders a report as a page that needs nothing else.
pub fn html(report: &Report, extras: &Extras) -> String {
    let mut out = String::new();
    // writing to a string cannot fail
    write_all(&mut out, report, extras).unwrap_or_default();
    out
}

fn write_all(out: &mut String, report: &Report, extras: &Extras) -> std::fmt::Result {
    let title = escape(&extras.title);
    write!(
        out,
        "{HTML_OPENING}<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\
         <title>{title}</title><style>\n{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n"
    )?;
    summary(out, report, extras)?;
    named(out, "Failed parts", &extras.failed)?;
    named(out, "Agents that did not take part", &extras.skipped_agents)?;
    if let Some(picture) = &extras.waterfall {
        writeln!(out, "<section><h2>The run</h2><div class=\"picture\">{picture}</div></section>")?;
    }
    findings(out, report)?;
    suggestions(out, report)?;
    metrics(out, report)?;
    skipped(out, report)?;
    write!(out, "</main><script>\n{SCRIPT}</script></body></html>\n")
}

fn summary(out: &mut String, report: &Report, extras: &Extras) -> std::fmt::Result {
    out.push_str("<ul class=\"summary\">");
    for line in &extras.summary {
        write!(out, "<li>{}</li>", escape(line))?;
    }
    let total = &report.metrics.total;
    writeln!(
        out,
        "<li>{}, {} lines of code, {} functions measured</li></ul>",
        counted(usize::try_from(total.files).unwrap_or(usize::MAX), "file"),
        total.code_lines,
        total.functions
    )
}

fn named(out: &mut String, title: &str, entries: &[(String, String)]) -> std::fmt::Result {
    if entries.is_empty() {
        return Ok(());
    }
    write!(out, "<section><h2>{title}</h2><dl>")?;
    for (name, reason) in entries {
        write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(reason))?;
    }
    out.push_str("</dl></section>\n");
    Ok(())
}

fn findings(out: &mut String, report: &Report) -> std::fmt::Result {
    out.push_str("<section><h2>Findings</h2><form class=\"filter\">");
    for severity in SEVERITIES {
        let (name, count) = (severity.name(), count(&report.findings, severity));
        write!(
            out,
            "<label class=\"{name}\"><input type=\"checkbox\" value=\"{name}\" checked> {}</label>",
            counted(count, name)
        )?;
    }
    out.push_str(
        "<input type=\"search\" placeholder=\"file, rule, agent or words\" aria-label=\"filter\">\
         <output></output></form>\n<table><thead><tr><th>severity</th><th>place</th><th>finding</th></tr></thead><tbody>\n",
    );
    let shown = report.findings.get(..REPORT_FINDINGS_MAX).unwrap_or(&report.findings);
    for finding in shown {
        row(out, finding)?;
    }
    out.push_str("</tbody></table>");
    if report.findings.is_empty() {
        out.push_str("<p>Nothing was found.</p>");
    }
    if shown.len() < report.findings.len() {
        let more = report.findings.len() - shown.len();
        write!(out, "<p>… and {more} more, which the JSON report holds.</p>")?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn row(out: &mut String, finding: &Finding) -> std::fmt::Result {
    let severity = finding.severity.name();
    let column = if finding.column > 0 { format!(":{}", finding.column) } else { String::new() };
    write!(
        out,
        "<tr class=\"{severity}\"><td>{severity}</td><td><code>{}:{}{column}</code></td><td>{}",
        escape(&finding.file),
        finding.line,
        with_code(&finding.message)
    )?;
    if let Some(suggestion) = &finding.suggestion {
        write!(out, "<div class=\"advice\">{}</div>", with_code(suggestion))?;
    }
    let agents = escape(&listed(&finding.agents));
    let by = if agents.is_empty() { String::new() } else { format!(" by {agents}") };
    writeln!(out, "<div class=\"rule\">{}{by}</div></td></tr>", escape(&finding.rule))
}

fn suggestions(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.suggestions.is_empty() {
        return Ok(());
    }
    out.push_str("<section><h2>Suggestions</h2><ul>");
    for suggestion in report.suggestions.iter().take(PLACES_MAX) {
        let places = escape(&listed(&suggestion.places));
        write!(
            out,
            "<li><details><summary>{}× {}</summary><code>{places}</code></details></li>",
            suggestion.count,
            with_code(&suggestion.text)
        )?;
    }
    let more = report.suggestions.len().saturating_sub(PLACES_MAX);
    if more > 0 {
        write!(out, "<li>… and {more} more</li>")?;
    }
    out.push_str("</ul></section>\n");
    Ok(())
}

fn metrics(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.metrics.languages.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<section><h2>Metrics</h2><table class=\"numbers\"><thead><tr><th>language</th><th>files</th><th>lines</th>\
         <th>code</th><th>functions</th><th>most complex</th></tr></thead><tbody>",
    );
    for (language, total) in &report.metrics.languages {
        let numbers = [
            total.files,
            total.lines,
            total.code_lines,
            total.functions,
            u64::from(total.complexity_max),
        ];
        let cells: String = numbers.iter().map(|number| format!("<td>{number}</td>")).collect();
        write!(out, "<tr><td>{}</td>{cells}</tr>", escape(language))?;
    }
    out.push_str("</tbody></table>");
    if !report.metrics.most_complex.is_empty() {
        out.push_str("<h3>Most complex functions, by file</h3><ul>");
        for file in &report.metrics.most_complex {
            write!(out, "<li><code>{}</code>: {}</li>", escape(&file.file), file.complexity_max)?;
        }
        out.push_str("</ul>");
    }
    out.push_str("</section>\n");
    Ok(())
}

fn skipped(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.skipped.is_empty() {
        return Ok(());
    }
    out.push_str("<section><h2>Not reviewed</h2>");
    for (reason, files) in by_reason(&report.skipped) {
        write!(
            out,
            "<details><summary>{}: {}</summary><ul>",
            counted(files.len(), "file"),
            escape(reason)
        )?;
        for file in files.iter().take(REPORT_FINDINGS_MAX) {
            write!(out, "<li><code>{}</code></li>", escape(file))?;
        }
        let more = files.len().saturating_sub(REPORT_FINDINGS_MAX);
        if more > 0 {
            write!(out, "<li>… and {more} more</li>")?;
        }
        out.push_str("</ul></details>");
    }
    out.push_str("</section>\n");
    Ok(())
}

/// Text for an element or a quoted attribute; control characters become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text whose pairs of backticks become code.
fn with_code(text: &str) -> String {
    let escaped = escape(text);
    if !escaped.matches('`').count().is_multiple_of(2) {
        return escaped;
    }
    let parts = escaped.split('`').enumerate();
    parts
        .map(
            |(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() },
        )
        .collect()
}
