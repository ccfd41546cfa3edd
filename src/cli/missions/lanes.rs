//! When each team did what: a lane a team, a row in it for each that worked at the same time, a bar a task, a mark a decision.

use std::{collections::BTreeMap, fmt::Write as _};

use actors::pattern::hierarchy::{Decided, Report, Subject, TaskEnd, TaskReport};

use super::{
    axis::{Axis, WIDTH},
    decided, named, seconds, span, tasks,
};
use crate::{cli::ballots::escaped, limits::PICTURE_BARS};

/// The height of a row, in the picture's own units.
const ROW: i64 = 20;
/// How wide a character of a bar's name is.
const CHAR_WIDTH: i64 = 6;
/// The longest name of a team that is drawn, in characters.
const NAME_CHARS: usize = 18;

/// A task that was done.
struct Bar<'a> {
    task: &'a TaskReport,
    name: String,
    assignment: &'a str,
    from: i64,
    to: i64,
    row: usize,
}

/// Draws them; none where nothing was done.
pub(super) fn svg(report: &Report) -> Option<String> {
    let spans = tasks(report).filter_map(|(_, task)| span(task));
    let moments = spans.flat_map(|(from, to)| [from, to]);
    let axis = Axis::over(moments.chain(report.decisions.iter().map(|own| own.at)))?;
    let lanes = lanes(report);
    let rows: i64 = lanes.values().map(|bars| height(bars)).sum();
    let bottom = rows * ROW + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"what each team did when\">\n",
        bottom + 62
    );
    axis.draw(&mut svg, (4, bottom));
    let mut top = 6;
    for (team, bars) in &lanes {
        let name: String = team.chars().take(NAME_CHARS).collect();
        write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", top + 14, escaped(&name)).ok();
        bars.iter().for_each(|bar| draw(&mut svg, bar, (&axis, top)));
        let own = report.decisions.iter().filter(|own| team_of(own, report) == Some(*team));
        own.for_each(|own| mark(&mut svg, own, (report, &axis, top)));
        top += height(bars) * ROW;
        writeln!(svg, "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{top}\" y2=\"{top}\" class=\"grid\"/>")
            .ok();
    }
    legend(&mut svg, bottom + 48);
    Some(svg + "</svg>\n")
}

/// The bars of each team, by its name.
fn lanes(report: &Report) -> BTreeMap<&str, Vec<Bar<'_>>> {
    let mut lanes: BTreeMap<&str, Vec<Bar<'_>>> = BTreeMap::new();
    for (of, task) in tasks(report) {
        let Some(team) = task.team.as_deref() else { continue };
        let bars = lanes.entry(team).or_default();
        if let Some((from, to)) = span(task).filter(|_| bars.len() < PICTURE_BARS) {
            bars.push(Bar { task, name: named(of, task), assignment: &of.name, from, to, row: 0 });
        }
    }
    for bars in lanes.values_mut() {
        bars.sort_by_key(|bar| (bar.from, bar.to));
        let mut ends: Vec<i64> = Vec::new();
        for bar in bars {
            let free = ends.iter().position(|end| *end <= bar.from);
            bar.row = free.unwrap_or(ends.len());
            match ends.get_mut(bar.row) {
                Some(end) => *end = bar.to,
                None => ends.push(bar.to),
            }
        }
    }
    lanes
}

fn height(bars: &[Bar<'_>]) -> i64 {
    let rows = bars.iter().map(|bar| bar.row + 1).max().unwrap_or(1);
    i64::try_from(rows).unwrap_or(1)
}

fn draw(svg: &mut String, bar: &Bar<'_>, (axis, top): (&Axis, i64)) {
    let (x, y) = (axis.x(bar.from), top + i64::try_from(bar.row).unwrap_or(0) * ROW + 2);
    let width = (axis.x(bar.to) - x).max(3);
    let (worker, attempts) = match &bar.task.end {
        TaskEnd::Done { worker, attempts, .. } => (worker.as_str(), *attempts),
        TaskEnd::GivenUp { .. } | TaskEnd::Open => ("", 0),
    };
    let class = if attempts > 1 { "done again" } else { "done" };
    let said =
        format!("{} by {worker}, {}, calls: {attempts}", bar.name, seconds(bar.to - bar.from));
    write!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" rx=\"2\" class=\"{class}\"><title>{}</title></rect>",
        ROW - 4,
        escaped(&said)
    )
    .ok();
    let fits = |name: &str| i64::try_from(name.len()).unwrap_or(i64::MAX) * CHAR_WIDTH + 8 <= width;
    if let Some(name) = [bar.name.as_str(), bar.assignment].into_iter().find(|name| fits(name)) {
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" class=\"small on\">{}</text>",
            x + 4,
            y + 12,
            escaped(name)
        )
        .ok();
    }
}

/// The team that a decision is about.
fn team_of<'r>(own: &Decided, report: &'r Report) -> Option<&'r str> {
    match own.of {
        Subject::Task(unit) => tasks(report)
            .nth(usize::try_from(unit).ok()?)
            .and_then(|(_, task)| task.team.as_deref()),
        Subject::Assignment(number) => report.assignments.get(number as usize)?.team.as_deref(),
        Subject::Team(_) | Subject::Mission => None,
    }
}

fn mark(svg: &mut String, own: &Decided, (report, axis, top): (&Report, &Axis, i64)) {
    let (x, y) = (axis.x(own.at), top + ROW / 2);
    let said = escaped(&decided(own, report));
    let level = own.decision.level();
    let (anchor, beside) = if x > WIDTH - 110 { ("end", x - 9) } else { ("start", x + 9) };
    writeln!(
        svg,
        "<path d=\"M{x} {} l7 7 l-7 7 l-7 -7 z\" class=\"bad edge\"><title>{said}</title></path><text x=\"{beside}\" y=\"{}\" text-anchor=\"{anchor}\" class=\"small bad\">{level}</text>",
        y - 7,
        y + 4
    )
    .ok();
}

fn legend(svg: &mut String, y: i64) {
    writeln!(
        svg,
        "<rect x=\"0\" y=\"{0}\" width=\"14\" height=\"12\" class=\"done\"/><text x=\"20\" y=\"{1}\" class=\"small\">a task that was done</text>\
         <rect x=\"160\" y=\"{0}\" width=\"14\" height=\"12\" class=\"done again\"/><text x=\"180\" y=\"{1}\" class=\"small\">after several calls</text>\
         <path d=\"M327 {2} l7 7 l-7 7 l-7 -7 z\" class=\"bad\"/><text x=\"340\" y=\"{1}\" class=\"small\">a failure that somebody decided on, and how</text>",
        y - 10,
        y,
        y - 11
    )
    .ok();
}
