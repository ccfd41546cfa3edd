//! A rollout over time: its instances, who of them had the traffic, and how many requests failed, as far as whoever watched says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use actors::pattern::hierarchy::{
    Report, TaskEnd,
    rollout::{Standing, Step},
};
use serde_json::Value;

use super::{
    axis::{Axis, LEFT, WIDTH},
    decided, span, tasks,
};
use crate::cli::ballots::escaped;

/// Heights of a row of an instance and of the two curves, in the picture's own units.
const ROW: i64 = 24;
const CURVE: i64 = 90;
/// What lies between two parts of the picture.
const GAP: i64 = 38;
/// The longest name of an instance that is drawn, in characters, and the most instances.
const NAME_CHARS: usize = 18;
const INSTANCES_MAX: usize = 64;

/// What is known of a rollout, by its steps that were done. Moments are Unix milliseconds.
#[derive(Debug, Default)]
struct Course {
    old: BTreeSet<String>,
    new: BTreeSet<String>,
    /// From when to when each instance ran; the last may run still.
    lives: BTreeMap<String, Vec<(i64, Option<i64>)>>,
    /// When each was verified first.
    verified: BTreeMap<String, i64>,
    /// When traffic was shifted, and to whom.
    shifts: Vec<(i64, BTreeMap<String, u64>)>,
    /// By second, in Unix seconds: what came to old instances, and what to new ones.
    seconds: BTreeMap<i64, [Requests; 2]>,
}

/// Requests of one second, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Requests {
    all: u64,
    failed: u64,
}

impl Requests {
    /// How many of a thousand failed.
    fn rate(self) -> u64 {
        self.failed.saturating_mul(1_000) / self.all.max(1)
    }
}

/// Draws it; none where the report is not a rollout's, or nothing was done.
pub(super) fn svg(report: &Report) -> Option<String> {
    Standing::of(report)?;
    let spans = tasks(report).filter_map(|(_, task)| span(task));
    let moments = spans.flat_map(|(from, to)| [from, to]);
    let axis = Axis::over(moments.chain(report.decisions.iter().map(|own| own.at)))?;
    let course = Course::of(report, axis.first());
    let rows = i64::try_from(course.instances().count()).unwrap_or(0) * ROW;
    let (traffic, errors) = (rows + GAP, rows + CURVE + 2 * GAP);
    let bottom = if course.seconds.is_empty() { traffic + CURVE } else { errors + CURVE };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"instances, traffic and errors over time\">\n",
        bottom + 66
    );
    axis.draw(&mut svg, (2, bottom));
    for (row, name) in (0..).zip(course.instances()) {
        course.draw_instance(&mut svg, name, (&axis, row * ROW + 4));
    }
    course.draw_traffic(&mut svg, (&axis, traffic));
    if !course.seconds.is_empty() {
        course.draw_errors(&mut svg, (&axis, errors));
    }
    for (number, own) in (1..).zip(&report.decisions) {
        let x = axis.x(own.at);
        writeln!(
            svg,
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"2\" y2=\"{bottom}\" class=\"mark\"><title>{}</title></line><text x=\"{}\" y=\"{}\" class=\"small bad\">{number}: {}</text>",
            escaped(&decided(own, report)),
            x + 4,
            rows + 16,
            own.decision.level()
        )
        .ok();
    }
    legend(&mut svg, bottom + 56);
    Some(svg + "</svg>\n")
}

impl Course {
    fn of(report: &Report, first: i64) -> Self {
        let mut course = Self::default();
        let mut steps: Vec<(i64, Step, &Value)> = Vec::new();
        for (_, task) in tasks(report) {
            let Some(step) = Step::of(task) else { continue };
            course.knows(&step);
            if let (TaskEnd::Done { output, .. }, Some((_, to))) = (&task.end, span(task)) {
                steps.push((to, step, &**output));
            }
        }
        steps.sort_by_key(|(to, ..)| *to);
        let even = course.old.iter().map(|name| (name.clone(), 1)).collect();
        course.shifts.push((first, even));
        for name in &course.old {
            course.lives.insert(name.clone(), vec![(first, None)]);
            course.verified.insert(name.clone(), first);
        }
        for (to, step, output) in steps {
            course.take(to, step, output);
        }
        course
    }

    /// Those that ran before, in the order of their names, then those that took their place.
    fn instances(&self) -> impl Iterator<Item = &String> {
        let began = self.new.iter().filter(|name| self.lives.contains_key(*name));
        self.old.iter().chain(began).take(INSTANCES_MAX)
    }

    /// What a plan starts first is new, what it stops first is old.
    fn knows(&mut self, step: &Step) {
        match step {
            Step::Start { instance } if !self.old.contains(instance) => {
                self.new.insert(instance.clone());
            }
            Step::Stop { instance } if !self.new.contains(instance) => {
                self.old.insert(instance.clone());
            }
            Step::Start { .. }
            | Step::Stop { .. }
            | Step::Verify { .. }
            | Step::Shift { .. }
            | Step::Watch { .. } => {}
        }
    }

    fn take(&mut self, at: i64, step: Step, output: &Value) {
        match step {
            Step::Start { instance } => {
                let lives = self.lives.entry(instance).or_default();
                // One that runs is not started again.
                if lives.last().is_none_or(|(_, ended)| ended.is_some()) {
                    lives.push((at, None));
                }
            }
            Step::Verify { instance } => {
                self.verified.entry(instance).or_insert(at);
            }
            Step::Shift { weights, .. } => self.shifts.push((at, weights)),
            Step::Watch { .. } => self.watched(output),
            Step::Stop { instance } => {
                let last = self.lives.get_mut(&instance).and_then(|lives| lives.last_mut());
                if let Some((_, ended)) = last {
                    ended.get_or_insert(at);
                }
            }
        }
    }

    /// Takes what whoever watched says of each second: `seconds`, as `[[second, {instance: [requests, errors]}]]`.
    fn watched(&mut self, output: &Value) {
        let seconds = output.get("seconds").and_then(Value::as_array);
        for entry in seconds.into_iter().flatten() {
            let at = entry.get(0).and_then(Value::as_i64);
            let (Some(at), Some(counts)) = (at, entry.get(1).and_then(Value::as_object)) else {
                continue;
            };
            let mut sums = [Requests::default(); 2];
            for (name, own) in counts {
                let [old, new] = &mut sums;
                let sum = if self.old.contains(name) { old } else { new };
                let count = |which: usize| own.get(which).and_then(Value::as_u64).unwrap_or(0);
                sum.all = sum.all.saturating_add(count(0));
                sum.failed = sum.failed.saturating_add(count(1));
            }
            // What is told later of a second is all of it.
            self.seconds.insert(at, sums);
        }
    }

    fn class(&self, name: &str) -> &'static str {
        if self.old.contains(name) { "old" } else { "new" }
    }

    /// From when to when an instance ran, was verified, and had traffic: a bar from pale to full.
    fn draw_instance(&self, svg: &mut String, name: &str, (axis, y): (&Axis, i64)) {
        let shown: String = name.chars().take(NAME_CHARS).collect();
        write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 13, escaped(&shown)).ok();
        let class = self.class(name);
        for (began, ended) in self.lives.get(name).into_iter().flatten() {
            let to = ended.unwrap_or(axis.last());
            let mut bar = |from: i64, to: i64, class: &str, what: &str| {
                let (x, right) = (axis.x(from), axis.x(to));
                if right > x {
                    writeln!(
                        svg,
                        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" class=\"{class}\"><title>{}: {what}</title></rect>",
                        right - x,
                        ROW - 8,
                        escaped(name)
                    )
                    .ok();
                }
            };
            bar(*began, to, "wait", "started");
            if let Some(verified) = self.verified.get(name) {
                bar(*verified.max(began), to, &format!("{class} verified"), "verified");
            }
            for (at, (_, weights)) in self.shifts.iter().enumerate() {
                if weights.get(name).is_some_and(|weight| *weight > 0) {
                    let (from, until) = self.span_of(at, axis);
                    bar(from.max(*began), until.min(to), class, "with traffic");
                }
            }
            if let Some(at) = ended {
                let x = axis.x(*at) + 4;
                writeln!(svg, "<text x=\"{x}\" y=\"{}\" class=\"small\">stopped</text>", y + 12)
                    .ok();
            }
        }
    }

    /// From when to when a shift held.
    fn span_of(&self, shift: usize, axis: &Axis) -> (i64, i64) {
        let at = |shift: usize| self.shifts.get(shift).map(|(at, _)| *at);
        (at(shift).unwrap_or(axis.first()), at(shift + 1).unwrap_or(axis.last()))
    }

    /// The shares of old and new instances, one above the other.
    fn draw_traffic(&self, svg: &mut String, (axis, top): (&Axis, i64)) {
        scale(svg, top, ("traffic (%)", "100", "50"));
        for (at, (_, weights)) in self.shifts.iter().enumerate() {
            let (from, to) = self.span_of(at, axis);
            let (x, width) = (axis.x(from), axis.x(to) - axis.x(from));
            let all: u64 = weights.values().sum();
            let old: u64 = weights
                .iter()
                .filter(|(name, _)| self.old.contains(*name))
                .map(|(_, weight)| *weight)
                .sum();
            if all == 0 || width <= 0 {
                continue;
            }
            let percent = old.saturating_mul(100) / all;
            let below = i64::try_from(percent).unwrap_or(0) * CURVE / 100;
            for (class, y, height, share) in [
                ("old", top + CURVE - below, below, percent),
                ("new", top, CURVE - below, 100 - percent),
            ] {
                if height > 0 {
                    writeln!(
                        svg,
                        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"{class}\"><title>{share} % to {class} instances</title></rect>"
                    )
                    .ok();
                }
            }
        }
    }

    /// Two bars a second, as high as the share of the requests to old and to new instances that failed.
    fn draw_errors(&self, svg: &mut String, (axis, top): (&Axis, i64)) {
        let most = self.seconds.values().flatten().map(|own| own.rate()).max().unwrap_or(0);
        // The scale ends at a round number above the worst second.
        let full = [10, 50, 100, 250, 500].into_iter().find(|max| *max >= most).unwrap_or(1_000);
        scale(svg, top, ("failed requests (%)", &percent(full), &percent(full / 2)));
        writeln!(
            svg,
            "<text x=\"0\" y=\"{}\" class=\"small\">in each second</text><text x=\"0\" y=\"{}\" class=\"small\">to old, to new</text>",
            top + 10,
            top + 24
        )
        .ok();
        for (second, both) in &self.seconds {
            let from = second.saturating_mul(1_000);
            if from < axis.first().saturating_sub(1_000) || from > axis.last() {
                continue;
            }
            // The first and the last second may lie in the picture in part: that part has room for both.
            let (left, right) = (axis.x(from), axis.x(from.saturating_add(1_000)));
            let middle = i64::midpoint(left, right);
            for ((x, right, class), own) in
                [(left, middle, "old"), (middle, right, "new")].into_iter().zip(both)
            {
                if own.all == 0 {
                    continue;
                }
                let height = own.rate().saturating_mul(u64::try_from(CURVE).unwrap_or(0)) / full;
                // One without failures is a thin line: it was watched.
                let height = i64::try_from(height).unwrap_or(0).max(2);
                writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{height}\" class=\"{class}\"><title>{} of {} requests to {class} instances failed in this second</title></rect>",
                    top + CURVE - height,
                    (right - x - 1).max(1),
                    own.failed,
                    own.all
                )
                .ok();
            }
        }
    }
}

/// Tenths of a percent as percents.
fn percent(tenths: u64) -> String {
    if tenths.is_multiple_of(10) {
        format!("{}", tenths / 10)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// What a curve is and how far it goes, at its left.
fn scale(svg: &mut String, top: i64, (what, high, half): (&str, &str, &str)) {
    write!(svg, "<text x=\"0\" y=\"{}\">{what}</text>", top - 8).ok();
    for (y, label) in [(top, high), (top + CURVE / 2, half), (top + CURVE, "0")] {
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\" class=\"grid\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\" class=\"small\">{label}</text>",
            LEFT - 6,
            y + 4
        )
        .ok();
    }
}

fn legend(svg: &mut String, y: i64) {
    let top = y - 10;
    let mut x = 0;
    for (class, what, width) in [
        ("wait", "started", 75),
        ("old verified", "", 18),
        ("new verified", "verified", 80),
        ("old", "old instances with traffic", 180),
        ("new", "new instances with traffic", 185),
    ] {
        write!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"14\" height=\"12\" class=\"{class}\"/><text x=\"{}\" y=\"{y}\" class=\"small\">{}</text>",
            x + 19,
            what
        )
        .ok();
        x += width;
    }
    writeln!(
        svg,
        "<line x1=\"{x}\" x2=\"{}\" y1=\"{2}\" y2=\"{2}\" class=\"mark\"/><text x=\"{}\" y=\"{y}\" class=\"small\">a decision</text>",
        x + 18,
        x + 23,
        y - 4
    )
    .ok();
}
