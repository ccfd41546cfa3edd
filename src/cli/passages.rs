//! A pipeline as people read it: its stages with their figures, its documents with what came of them, as text, as Markdown or as
//! a page with a picture.
//!
//! [`result`](super::result) and [`show`](super::show) call it, with what a run was told or its journal tells.

use std::fmt::Write as _;

use actors::pattern::pipeline::{Passage, PassageEnd, Report, StageFigures, Step};
use serde_json::Value;

use super::{
    ballots::{escaped, escaped_markdown},
    output::{clean, counted},
};
use crate::limits::{NAMES_SHOWN, OUTPUT_CHARS, PICTURE_DOCUMENTS};

/// How far the documents came, in one line.
pub fn outcome(report: &Report) -> String {
    let done = report.documents.iter().filter(|own| own.end == PassageEnd::Done).count();
    let of = counted(report.documents.len() as u64, "document");
    format!("{done} of {of} through {}", counted(report.stages.len() as u64, "stage"))
}

/// All of it as lines of text: the first documents, and every stage.
pub fn text(report: &Report) -> String {
    let mut text = clean(&outcome(report)) + "\n\n";
    for stage in &report.stages {
        writeln!(text, "  {}: {}", clean(&stage.name), figures(stage)).ok();
    }
    let done = || report.documents.iter().filter(|own| own.output().is_some());
    for own in done().take(NAMES_SHOWN) {
        writeln!(text, "\n{}\n    {}", clean(&own.name), clean(&brief(own))).ok();
    }
    let more = done().count().saturating_sub(NAMES_SHOWN);
    if more > 0 {
        writeln!(text, "\nand {more} more; `--json` has all").ok();
    }
    text
}

/// All of it as Markdown.
pub fn markdown(report: &Report, title: &str, facts: &[String]) -> String {
    let mut text =
        format!("# {}\n\n**{}**\n\n", escaped_markdown(title), escaped_markdown(&outcome(report)));
    for fact in facts {
        writeln!(text, "- {}", escaped_markdown(fact)).ok();
    }
    text.push_str("\n| stage | passed | by a fallback | failed | calls | longest wait | longest call |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for stage in &report.stages {
        let StageFigures { name, passed, fallbacks, failed, attempts, waited, took, .. } = stage;
        let (wait, call) = (millis(waited.longest_micros), millis(took.longest_micros));
        let name = escaped_markdown(name);
        writeln!(
            text,
            "| {name} | {passed} | {fallbacks} | {failed} | {attempts} | {wait} | {call} |"
        )
        .ok();
    }
    text.push_str("\n## Documents\n");
    for own in &report.documents {
        writeln!(text, "\n### {}\n", escaped_markdown(&own.name)).ok();
        writeln!(text, "{}", escaped_markdown(&ending(own))).ok();
    }
    text
}

/// All of it as one page that needs nothing else; above it the picture of the plan that it is in, if it is in one.
pub fn html(report: &Report, (title, plan): (&str, &str), facts: &[String]) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p class=\"outcome\">{}</p>\n<ul>",
        escaped(&outcome(report))
    );
    for fact in facts {
        write!(page, "<li>{}</li>", escaped(fact)).ok();
    }
    page.push_str("</ul>\n");
    page.push_str(plan);
    page.push_str("<h2>Stages</h2>\n");
    page.push_str(&stages(report));
    page.push_str("<h2>When each document was where</h2>\n");
    page.push_str(&flow(report));
    page.push_str("<h2>Documents</h2>\n");
    for own in &report.documents {
        let class = match own.end {
            PassageEnd::Done => "document",
            PassageEnd::Failed { .. } | PassageEnd::Open { .. } => "document failed",
        };
        write!(page, "<section class=\"{class}\"><h3>{}</h3>", escaped(&own.name)).ok();
        write!(page, "<p>{}</p>", escaped(&ending(own))).ok();
        if !own.steps.is_empty() {
            page.push_str("<details><summary>its stages</summary><ol>");
            for step in &own.steps {
                write!(page, "<li>{}</li>", escaped(&said(step))).ok();
            }
            page.push_str("</ol></details>");
        }
        page.push_str("</section>\n");
    }
    page.push_str("</body></html>\n");
    page
}

/// A row a stage: how long documents waited in it and how long its agents took, all together.
fn stages(report: &Report) -> String {
    let height = report.stages.len() * ROW + 8;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"the stages\">\n");
    let whole =
        |stage: &StageFigures| stage.waited.total_micros.saturating_add(stage.took.total_micros);
    let most = report.stages.iter().map(whole).max().unwrap_or(0).max(1);
    for (row, stage) in report.stages.iter().enumerate() {
        let (y, name) = (row * ROW + 4, escaped(&short(&stage.name)));
        let waited = scaled(stage.waited.total_micros, most);
        let took = scaled(stage.took.total_micros, most);
        let (waited_text, took_text) =
            (millis(stage.waited.total_micros), millis(stage.took.total_micros));
        write!(
            svg,
            "<text x=\"0\" y=\"{}\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{waited}\" height=\"14\" class=\"wait\"><title>{waited_text} of waiting</title></rect>\
             <rect x=\"{}\" y=\"{y}\" width=\"{took}\" height=\"14\" style=\"fill:{}\"><title>{took_text} of work</title></rect>\
             <text x=\"{LEFT}\" y=\"{}\" class=\"small\">{}</text>",
            y + 12,
            LEFT + waited,
            colour(row, report.stages.len()),
            y + 28,
            escaped(&figures(stage))
        )
        .ok();
        svg.push('\n');
    }
    svg + "</svg>\n"
}

/// A row a document: where it waited, who had it, where it fell back and where it failed, on one axis of time.
fn flow(report: &Report) -> String {
    let steps = || report.documents.iter().flat_map(|own| &own.steps);
    let Some(first) = steps().map(came_in).min() else {
        return "<p>None has passed a stage.</p>\n".to_owned();
    };
    let last = steps().map(left).max().unwrap_or(first);
    let whole = u64::try_from(last - first).unwrap_or(0).max(1);
    let shown = report.documents.len().min(PICTURE_DOCUMENTS);
    let height = shown * LINE + 20;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"documents over time\">\n"
    );
    let x = |at: i64| LEFT + scaled(u64::try_from(at - first).unwrap_or(0), whole);
    for (row, own) in report.documents.iter().take(shown).enumerate() {
        let y = row * LINE;
        write!(
            svg,
            "<text x=\"0\" y=\"{}\" class=\"small\">{}</text>",
            y + 10,
            escaped(&short(&own.name))
        )
        .ok();
        for step in &own.steps {
            let (from, begun, to) = (x(came_in(step)), x(step.at), x(left(step)));
            let place = report.stages.iter().position(|stage| *stage.name == *step.stage);
            let class = if step.fallback { "call fallback" } else { "call" };
            write!(
                svg,
                "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"3\" class=\"wait\"/>\
                 <rect x=\"{begun}\" y=\"{}\" width=\"{}\" height=\"9\" class=\"{class}\" style=\"fill:{}\"><title>{}</title></rect>",
                y + 5,
                begun.saturating_sub(from),
                y + 2,
                to.saturating_sub(begun).max(1),
                colour(place.unwrap_or_default(), report.stages.len()),
                escaped(&said(step))
            )
            .ok();
        }
        if let PassageEnd::Failed { stage, why, .. } = &own.end {
            let at = own.steps.last().map_or(LEFT, |step| x(left(step)));
            write!(
                svg,
                "<text x=\"{}\" y=\"{}\" class=\"wrong small\">✕ {}<title>{}</title></text>",
                at + 3,
                y + 10,
                escaped(&short(stage)),
                escaped(why)
            )
            .ok();
        }
        svg.push('\n');
    }
    let (y, seconds) = (height - 5, millis(whole.saturating_mul(1_000)));
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{y}\" class=\"small\">0</text><text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\" class=\"small\">{seconds}</text></svg>"
    )
    .ok();
    if shown < report.documents.len() {
        writeln!(svg, "<p>The first {shown} of {}.</p>", report.documents.len()).ok();
    }
    svg
}

/// The pictures: their width, the height of a stage's row and of a document's, and where bars begin, in their own units.
const WIDTH: usize = 900;
const ROW: usize = 42;
const LINE: usize = 14;
const LEFT: usize = 170;
/// The longest name that bars are beside, in characters.
const NAME_CHARS: usize = 24;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
.outcome{font-size:1.4rem;font-weight:600}svg{width:100%;height:auto;font-size:13px}.small{font-size:11px;fill:#555}.wait{fill:#c4c4c4}\
.fallback{stroke:#d07000;stroke-width:2;stroke-dasharray:3 2}.wrong{fill:#a11d1d}\
.document{border-left:4px solid #2f6fb0;padding:0 1rem;margin:1rem 0}.failed{border-color:#a11d1d}h3{font-size:1rem;margin:.5rem 0}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}text{fill:#ddd}.small{fill:#aaa}.wait{fill:#444}.wrong{fill:#ef8080}}";

/// What a stage did, in words.
fn figures(stage: &StageFigures) -> String {
    let mut words = format!("{} passed", stage.passed);
    for (count, word) in [(stage.fallbacks, "by a fallback"), (stage.failed, "failed")] {
        if count > 0 {
            write!(words, ", {count} {word}").ok();
        }
    }
    let (wait, call) = (millis(stage.waited.longest_micros), millis(stage.took.longest_micros));
    write!(words, "; longest wait {wait}, longest call {call}").ok();
    words
}

/// What became of a document, in words.
fn ending(own: &Passage) -> String {
    match &own.end {
        PassageEnd::Done => brief(own),
        PassageEnd::Failed { stage, why, .. } => format!("failed at stage {stage}: {why}"),
        PassageEnd::Open { stage } => format!("the run ended before stage {stage} was done"),
    }
}

/// Who did a stage of a document, and how long it waited and took.
fn said(step: &Step) -> String {
    let Step { stage, agent, attempts, .. } = step;
    let by = if step.fallback { format!("{agent}, a fallback") } else { agent.to_string() };
    let (waited, took) = (millis(step.waited_micros), millis(step.took_micros));
    let calls = counted(u64::from(*attempts), "call");
    format!("{stage}: {by}, waited {waited}, took {took}, {calls}")
}

/// What came out of a document, in short: its `summary` or `text` where it has one, else the beginning of its JSON.
fn brief(own: &Passage) -> String {
    let Some(output) = own.output() else { return String::new() };
    let mut text = match telling(output) {
        Some(text) => text.chars().take(OUTPUT_CHARS + 1).collect::<String>(),
        None => output.to_string().chars().take(OUTPUT_CHARS + 1).collect(),
    };
    if text.chars().count() > OUTPUT_CHARS {
        text.pop();
        text.push('…');
    }
    text
}

fn telling(output: &Value) -> Option<&str> {
    match output {
        Value::String(text) => Some(text),
        Value::Object(object) => {
            object.get("summary").or_else(|| object.get("text")).and_then(telling)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// When a document came into a stage, in Unix milliseconds.
fn came_in(step: &Step) -> i64 {
    step.at.saturating_sub(i64::try_from(step.waited_micros / 1_000).unwrap_or(0))
}

/// When its call ended.
fn left(step: &Step) -> i64 {
    step.at.saturating_add(i64::try_from(step.took_micros / 1_000).unwrap_or(0))
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

fn millis(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// A length of the picture for a share of the whole.
fn scaled(part: u64, whole: u64) -> usize {
    let room = (WIDTH - LEFT) as u128;
    usize::try_from(u128::from(part) * room / u128::from(whole.max(1))).unwrap_or(0)
}

/// A colour of its own for each stage.
fn colour(stage: usize, of: usize) -> String {
    format!("hsl({} 50% 55%)", 210 + stage * 360 / of.max(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn report() -> Report {
        let step = |fallback: bool, at: i64| Step {
            stage: "read".into(),
            agent: "<b>".into(),
            attempts: 2,
            fallback,
            at,
            waited_micros: 500_000,
            took_micros: 500_000,
            resumed: false,
            output: Arc::new(json!({ "summary": { "text": "All <is> said." } })),
        };
        let failed = PassageEnd::Failed {
            stage: "read".to_owned(),
            agent: None,
            attempts: 0,
            error: actors::agent::AgentError::Cancelled,
            why: "it is <small>".to_owned(),
        };
        let passage = |document, name: &str, steps, end| Passage {
            document,
            name: name.to_owned(),
            steps,
            end,
        };
        let stage = StageFigures {
            name: "read".to_owned(),
            passed: 2,
            fallbacks: 1,
            failed: 1,
            ..StageFigures::default()
        };
        Report {
            documents: vec![
                passage(0, "one", vec![step(false, 1_500)], PassageEnd::Done),
                passage(1, "two", vec![step(true, 2_500)], PassageEnd::Done),
                passage(2, "three", vec![], failed),
            ],
            stages: vec![stage],
        }
    }

    #[test]
    fn a_page_shows_waits_calls_fallbacks_and_failures_and_needs_nothing_else() {
        let page = html(&report(), ("<Texts>", ""), &["a fact".to_owned()]);
        for part in [
            "<title>&lt;Texts&gt;</title>",
            "2 of 3 documents through 1 stage",
            "class=\"call fallback\"",
            "✕ read<title>it is &lt;small&gt;</title>",
            "2 passed, 1 by a fallback, 1 failed",
            "All &lt;is&gt; said.",
            "<rect x=\"170\" y=\"5\" width=\"182\" height=\"3\" class=\"wait\"/>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("http") && !page.contains("<script") && !page.contains("<b>"));
        assert!(html(&Report::default(), ("", ""), &[]).contains("None has passed a stage"));
    }

    #[test]
    fn what_came_of_a_document_is_told_in_short() {
        let mut report = report();
        assert!(text(&report).contains("one\n    All <is> said."));
        assert!(markdown(&report, "t", &[]).contains("failed at stage read: it is \\<small\\>"));
        let long = json!({ "n": "x".repeat(2 * OUTPUT_CHARS) });
        report.documents[0].steps[0].output = Arc::new(long);
        let shown = brief(&report.documents[0]);
        assert!(shown.starts_with("{\"n\":\"x") && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), OUTPUT_CHARS + 1);
    }
}
