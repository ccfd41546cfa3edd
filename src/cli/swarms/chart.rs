//! A chart of what went on tick by tick: lines over one axis of ticks, with a scale at the left and, where there is need, at the
//! right.

use std::fmt::Write as _;

use super::decimal;
use crate::limits::CHART_POINTS;

/// A line of a chart.
pub(super) struct Line<'a> {
    /// What it is, for the legend.
    pub(super) name: &'a str,
    /// Its class in the style of the page.
    pub(super) class: &'a str,
    /// By tick.
    pub(super) values: Vec<(u64, f64)>,
    /// Whether the right scale is its own, from 0 to 1.
    pub(super) is_share: bool,
}

/// The picture and the place of its lines, in its own units.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 824.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 250.0;

/// Draws the lines that have points; nothing where none has. `label` names the left scale with its unit.
pub(super) fn svg(lines: &[Line<'_>], (label, share): (&str, &str)) -> String {
    let drawn = || lines.iter().filter(|line| !line.values.is_empty());
    let last = drawn().filter_map(|line| line.values.last()).map(|(tick, _)| *tick).max();
    let Some(last) = last else { return String::new() };
    let scale = Scale::of(drawn().filter(|line| !line.is_share));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{label} by tick</title>\n"
    );
    let x = |tick: u64| LEFT + (RIGHT - LEFT) * tick as f64 / last.max(1) as f64;
    for step in steps(0.0, last as f64) {
        let at = LEFT + (RIGHT - LEFT) * step / last.max(1) as f64;
        write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/><text class=\"small\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 16.0,
            decimal(step)
        )
        .ok();
    }
    if let Some(scale) = &scale {
        for step in steps(scale.low, scale.high) {
            let at = scale.y(step);
            write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text class=\"small\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                decimal(step)
            )
            .ok();
        }
        side(&mut svg, (16.0, -90), label);
    }
    let unit = Scale { low: 0.0, high: 1.0 };
    if drawn().any(|line| line.is_share) {
        for step in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let (at, percent) = (unit.y(step), decimal(step * 100.0));
            write!(
                svg,
                "<text class=\"small\" x=\"{}\" y=\"{:.1}\">{percent} %</text>",
                RIGHT + 6.0,
                at + 4.0
            )
            .ok();
        }
        side(&mut svg, (WIDTH - 6.0, -90), share);
    }
    writeln!(
        svg,
        "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">tick</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 34.0
    )
    .ok();
    for line in drawn() {
        let scale = if line.is_share { Some(&unit) } else { scale.as_ref() };
        let Some(scale) = scale else { continue };
        let mut path = String::new();
        for (tick, value) in thinned(&line.values) {
            let command = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{command}{:.1} {:.1}", x(tick), scale.y(value)).ok();
        }
        writeln!(
            svg,
            "<path class=\"line {}\" d=\"{path}\"><title>{}</title></path>",
            line.class, line.name
        )
        .ok();
    }
    svg + "</svg>\n"
}

/// The name of a scale, upright.
fn side(svg: &mut String, (x, turn): (f64, i32), text: &str) {
    let y = f64::midpoint(TOP, BOTTOM);
    write!(
        svg,
        "<text class=\"small\" text-anchor=\"middle\" transform=\"translate({x} {y}) rotate({turn})\">{text}</text>"
    )
    .ok();
}

/// What of the values a height stands for.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the least value to what all but a fiftieth of them are below: a bad beginning does not flatten the rest.
    fn of<'l>(lines: impl Iterator<Item = &'l Line<'l>>) -> Option<Self> {
        let mut all: Vec<f64> =
            lines.flat_map(|line| line.values.iter().map(|(_, value)| *value)).collect();
        all.sort_by(f64::total_cmp);
        let (low, most) = (*all.first()?, *all.get(all.len() * 49 / 50)?);
        let room = ((most - low) * 0.06).max(most.abs() * 0.005).max(1e-9);
        Some(Self {
            low: if low >= 0.0 { (low - room).max(0.0) } else { low - room },
            high: most + room,
        })
    }

    /// The height of a value; one beyond the scale is at its end.
    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        BOTTOM - (BOTTOM - TOP) * share.clamp(0.0, 1.0)
    }
}

/// Round numbers between two others, about five of them.
fn steps(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    if !(raw > 0.0 && raw.is_finite()) {
        return Vec::new();
    }
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil();
    (0..12).map(|at| (first + f64::from(at)) * step).take_while(|value| *value <= high).collect()
}

/// At most so many points as a chart can show: where there are more, the mean of some that follow each other is one.
fn thinned(values: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let each = values.len().div_ceil(CHART_POINTS).max(1);
    let mean = |some: &[(u64, f64)]| {
        let sum: f64 = some.iter().map(|(_, value)| value).sum();
        Some((some.last()?.0, sum / some.len() as f64))
    };
    values.chunks(each).filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_numbers_and_lines_bounded_points() {
        assert_eq!(steps(0.0, 300.0), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(steps(56.2, 61.9), [58.0, 60.0]);
        assert_eq!(steps(1.0, 1.0), [0.0; 0]);
        let values: Vec<(u64, f64)> = (1..=10_000).map(|tick| (tick, 1.0)).collect();
        let thin = thinned(&values);
        assert!(thin.len() <= CHART_POINTS && thin.last() == Some(&(10_000, 1.0)));
        assert!(thin.iter().all(|(_, value)| (*value - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_bad_beginning_does_not_flatten_the_rest_and_nothing_is_drawn_of_nothing() {
        let mut values: Vec<(u64, f64)> =
            (2..=200).map(|tick| (tick, 50.0 + (tick % 2) as f64)).collect();
        values.insert(0, (1, 9_000.0));
        let line = |values| Line { name: "best", class: "best", values, is_share: false };
        let scale = Scale::of([line(values.clone())].iter()).unwrap();
        assert!(scale.high < 60.0 && scale.low < 50.0 && (scale.y(9_000.0) - TOP).abs() < 1e-9);
        assert!(svg(&[line(values)], ("cost", "")).contains("class=\"line best\""));
        assert_eq!(svg(&[line(Vec::new())], ("cost", "")), "");
    }
}
