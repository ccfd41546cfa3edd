//! A hierarchy as people read it: what its teams have done and what was decided, as text, as Markdown or as a page with pictures.
//!
//! [`result`](super::result) and [`show`](super::show) call it, with what a run was told or its journal tells.

mod axis;
mod lanes;
mod rollout;

use std::fmt::Write as _;

use actors::pattern::hierarchy::{
    AssignmentEnd, AssignmentReport, Decided, Decider, Decision, Report, Subject, TaskEnd,
    TaskReport, rollout::Standing,
};

use super::{
    ballots::{escaped, escaped_markdown},
    output::{clean, counted},
};
use crate::limits::{NAMES_SHOWN, OUTPUT_CHARS};

/// What it came to, in one line.
pub fn outcome(report: &Report) -> String {
    match Standing::of(report) {
        Some(Standing::RolledOut) => "rolled out".to_owned(),
        Some(Standing::RolledBack) => {
            let replans = |own: &&Decided| matches!(own.decision, Decision::Replan { .. });
            let why = report.decisions.iter().find(replans).map(|own| about(own, report));
            why.map_or_else(|| "rolled back".to_owned(), |why| format!("rolled back: {why}"))
        }
        Some(Standing::Open) => format!("the rollout has not ended: {}", progress(report)),
        None => progress(report),
    }
}

/// All of it as lines of text.
pub fn text(report: &Report) -> String {
    let mut text = clean(&outcome(report)) + "\n\n";
    for own in &report.assignments {
        writeln!(text, "  {}", clean(&line(own))).ok();
    }
    if !report.decisions.is_empty() {
        writeln!(text, "\n{}:", counted(report.decisions.len() as u64, "decision")).ok();
    }
    for own in report.decisions.iter().take(NAMES_SHOWN) {
        writeln!(text, "  {}", clean(&decided(own, report))).ok();
    }
    let more = report.decisions.len().saturating_sub(NAMES_SHOWN);
    if more > 0 {
        writeln!(text, "  and {more} more; `--json` has all").ok();
    }
    // A rollout has nothing to say but where it stands.
    if Standing::of(report).is_none() && !report.output.is_null() {
        writeln!(text, "\n{}", clean(&short(&report.output.to_string(), OUTPUT_CHARS))).ok();
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
    if !report.decisions.is_empty() {
        text.push_str("\n## Decisions\n\n");
    }
    for own in &report.decisions {
        writeln!(text, "- {}", escaped_markdown(&decided(own, report))).ok();
    }
    text.push_str("\n## Tasks\n\n| assignment | task | team | worker | what became of it | calls | time | output |\n|---|---|---|---|---|---:|---:|---|\n");
    for row in rows(report) {
        let cells: Vec<String> = row.cells().iter().map(|cell| escaped_markdown(cell)).collect();
        writeln!(text, "| {} |", cells.join(" | ")).ok();
    }
    text
}

/// All of it as one page that needs nothing else; above it the picture of the plan that it is in, if it is in one.
pub fn html(report: &Report, (title, plan): (&str, &str), facts: &[String]) -> String {
    let title = escaped(title);
    let class = match Standing::of(report) {
        Some(Standing::RolledBack) => "outcome back",
        Some(Standing::RolledOut | Standing::Open) | None => "outcome",
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p class=\"{class}\">{}</p>\n<ul>",
        escaped(&outcome(report))
    );
    for fact in facts {
        write!(page, "<li>{}</li>", escaped(fact)).ok();
    }
    page.push_str("</ul>\n");
    page.push_str(plan);
    if let Some(picture) = rollout::svg(report) {
        page.push_str("<h2>Instances, traffic and errors over time</h2>\n");
        page.push_str(&picture);
    }
    if let Some(picture) = lanes::svg(report) {
        page.push_str("<h2>What each team did when</h2>\n");
        page.push_str(&picture);
    }
    if !report.decisions.is_empty() {
        page.push_str("<h2>Decisions</h2>\n<ol>");
        for own in &report.decisions {
            write!(page, "<li>{}</li>", escaped(&decided(own, report))).ok();
        }
        page.push_str("</ol>\n");
    }
    page.push_str("<h2>Tasks</h2>\n<table><tr><th>assignment</th><th>task</th><th>team</th><th>worker</th><th>what became of it</th><th>calls</th><th>time</th><th>output</th></tr>\n");
    for row in rows(report) {
        page.push_str("<tr>");
        for cell in row.cells() {
            write!(page, "<td>{}</td>", escaped(cell)).ok();
        }
        page.push_str("</tr>\n");
    }
    page + "</table>\n</body></html>\n"
}

/// Who decided what, and why, in one line.
pub fn decision(own: &Decided) -> String {
    let by = match own.by {
        Decider::Leader => "a leader",
        Decider::Supervisor => "the supervisor",
        Decider::Monitor => "the monitor",
    };
    let why = if own.why.is_empty() { String::new() } else { format!(": {}", own.why) };
    format!("{by} decided to {}{why}", own.decision.level())
}

/// The same, with what it is about.
fn decided(own: &Decided, report: &Report) -> String {
    match subject(own, report) {
        Some(about) => format!("{about}: {}", decision(own)),
        None => decision(own),
    }
}

/// What went wrong, and where.
fn about(own: &Decided, report: &Report) -> String {
    subject(own, report).map_or_else(|| own.why.clone(), |about| format!("{about}: {}", own.why))
}

/// What a decision is about.
fn subject(own: &Decided, report: &Report) -> Option<String> {
    match own.of {
        Subject::Task(unit) => {
            let mut all = tasks(report);
            all.nth(usize::try_from(unit).ok()?).map(|(of, task)| named(of, task))
        }
        Subject::Assignment(number) => {
            report.assignments.get(number as usize).map(|own| own.name.clone())
        }
        Subject::Team(_) | Subject::Mission => None,
    }
}

/// All tasks, in the order of their numbers, each with its assignment.
fn tasks(report: &Report) -> impl Iterator<Item = (&AssignmentReport, &TaskReport)> {
    report.assignments.iter().flat_map(|own| own.tasks.iter().map(move |task| (own, task)))
}

/// A task with its assignment; that of a leader is the assignment.
fn named(of: &AssignmentReport, task: &TaskReport) -> String {
    if of.name == task.name { task.name.clone() } else { format!("{}/{}", of.name, task.name) }
}

fn progress(report: &Report) -> String {
    let is_wanted = |of: &AssignmentReport| of.end != AssignmentEnd::Replaced;
    let is_done = |task: &TaskReport| matches!(task.end, TaskEnd::Done { .. });
    let done = tasks(report).filter(|(_, task)| is_done(task)).count();
    let all = tasks(report).filter(|(of, task)| is_wanted(of) || is_done(task)).count();
    format!("{done} of {} done", counted(all as u64, "task"))
}

/// What became of an assignment, in one line.
fn line(own: &AssignmentReport) -> String {
    let team = own.team.as_ref().map_or_else(String::new, |team| format!(" ({team})"));
    let count = counted(own.tasks.len() as u64, "task");
    let ending = match &own.end {
        AssignmentEnd::Done => {
            let spans = own.tasks.iter().filter_map(span);
            let (first, last) = spans
                .fold((i64::MAX, 0), |(first, last), (at, end)| (first.min(at), last.max(end)));
            let missing = own.tasks.iter().filter(|task| !matches!(task.end, TaskEnd::Done { .. }));
            let missing = match missing.count() {
                0 => String::new(),
                some => format!(", {some} given up"),
            };
            format!("done, {count}{missing} in {}", seconds(last.saturating_sub(first).max(0)))
        }
        AssignmentEnd::Failed { why } => format!("failed: {why}"),
        AssignmentEnd::Skipped { because } => format!("not begun, since `{because}` failed"),
        AssignmentEnd::Replaced => "replaced by another plan".to_owned(),
        AssignmentEnd::Open => format!("not done, {count}"),
    };
    format!("{}{team}: {ending}", own.name)
}

/// When a task that is done was done, in Unix milliseconds: from and to.
fn span(task: &TaskReport) -> Option<(i64, i64)> {
    let TaskEnd::Done { at, micros, .. } = &task.end else { return None };
    Some((*at, at.saturating_add(i64::try_from(micros / 1_000).unwrap_or(i64::MAX))))
}

/// One task in a table.
struct Row([String; 8]);

impl Row {
    fn cells(&self) -> &[String] {
        &self.0
    }
}

fn rows(report: &Report) -> Vec<Row> {
    let row = |(of, task): (&AssignmentReport, &TaskReport)| {
        let (worker, state, calls, time, output) = match &task.end {
            TaskEnd::Done { output, worker, attempts, micros, resumed, .. } => {
                let state = if *resumed { "done before" } else { "done" };
                let millis = i64::try_from(micros / 1_000).unwrap_or(i64::MAX);
                let output = short(&output.to_string(), OUTPUT_CHARS);
                (worker.clone(), state.to_owned(), attempts.to_string(), seconds(millis), output)
            }
            TaskEnd::GivenUp { why, worker, attempts } => {
                let (state, calls) = (format!("given up: {why}"), attempts.to_string());
                (worker.clone(), state, calls, String::new(), String::new())
            }
            TaskEnd::Open => {
                let state = match of.end {
                    AssignmentEnd::Replaced => "replaced by another plan",
                    AssignmentEnd::Done
                    | AssignmentEnd::Failed { .. }
                    | AssignmentEnd::Skipped { .. }
                    | AssignmentEnd::Open => "not done",
                };
                let none = String::new;
                (none(), state.to_owned(), none(), none(), none())
            }
        };
        let team = task.team.clone().unwrap_or_default();
        Row([of.name.clone(), task.name.clone(), team, worker, state, calls, time, output])
    };
    tasks(report).map(row).collect()
}

fn short(text: &str, chars: usize) -> String {
    let mut cut: String = text.chars().take(chars).collect();
    if text.chars().nth(chars).is_some() {
        cut.push('…');
    }
    cut
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03} s", millis / 1_000, millis % 1_000)
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;\
--ink:#1a1a1a;--dim:#5a5a5a;--line:#d6d6d6;--page:#fff;--old:#2f6fb0;--new:#d97706;--bad:#b3261e;--done:#3d7f5f;--wait:#c9c9c9;color:var(--ink);background:var(--page)}\
@media(prefers-color-scheme:dark){body{--ink:#ddd;--dim:#a5a5a5;--line:#3a3a3a;--page:#161616;--old:#5b9bd8;--new:#f0a040;--bad:#ef7b73;--done:#63b28d;--wait:#555}}\
.outcome{font-size:1.4rem;font-weight:600}.back{color:var(--bad)}\
svg{width:100%;height:auto;font-size:13px}svg text{fill:var(--ink)}svg .small{font-size:11px;fill:var(--dim)}svg .on{fill:var(--page)}\
.grid{stroke:var(--line)}.old{fill:var(--old)}.new{fill:var(--new)}.wait{fill:var(--wait)}.done{fill:var(--done)}.bad{fill:var(--bad)}svg text.bad{fill:var(--bad)}\
.again{stroke:var(--new);stroke-width:2}.mark{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:4 3}.edge{stroke:var(--page)}.verified{opacity:.45}\
table{border-collapse:collapse;font-size:.85rem}td,th{border-bottom:1px solid var(--line);padding:.2rem .6rem .2rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}";

#[cfg(test)]
mod tests;
