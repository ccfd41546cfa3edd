//! The time axis that the pictures of a hierarchy share.

use std::fmt::Write as _;

/// The pictures: their width, where bars begin and end, in their own units; words have the room behind them.
pub(super) const WIDTH: i64 = 960;
pub(super) const LEFT: i64 = 150;
const RIGHT: i64 = WIDTH - 62;

/// The most ticks of the axis.
const TICKS_MAX: i64 = 8;

/// From the first moment to the last, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    first: i64,
    millis: i64,
}

impl Axis {
    /// An axis on which these moments lie; none where there are none.
    pub(super) fn over(moments: impl Iterator<Item = i64>) -> Option<Self> {
        let ends = |ends: Option<(i64, i64)>, at: i64| {
            Some(ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))))
        };
        let (first, last) = moments.fold(None, ends)?;
        Some(Self { first, millis: last.saturating_sub(first).max(1) })
    }

    /// Where a moment is.
    pub(super) fn x(&self, at: i64) -> i64 {
        let since = at.saturating_sub(self.first).clamp(0, self.millis);
        LEFT + since.saturating_mul(RIGHT - LEFT) / self.millis
    }

    /// The last moment.
    pub(super) const fn last(&self) -> i64 {
        self.first.saturating_add(self.millis)
    }

    /// The first moment.
    pub(super) const fn first(&self) -> i64 {
        self.first
    }

    /// Lines down to `bottom` with the seconds below them, and what they are.
    pub(super) fn draw(&self, svg: &mut String, (top, bottom): (i64, i64)) {
        let step = self.step();
        let mut since = 0;
        while since <= self.millis {
            let x = self.x(self.first.saturating_add(since));
            let label = label(since, step);
            write!(
                svg,
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\" class=\"grid\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" class=\"small\">{label}</text>",
                bottom + 14
            )
            .ok();
            since += step;
        }
        writeln!(
            svg,
            "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\" class=\"small\">seconds since the first task began</text>",
            bottom + 29
        )
        .ok();
    }

    /// The milliseconds between two ticks: 1, 2 or 5 times a power of ten.
    fn step(&self) -> i64 {
        let mut unit = 1;
        loop {
            for times in [1, 2, 5] {
                if self.millis / (unit * times) <= TICKS_MAX {
                    return unit * times;
                }
            }
            unit *= 10;
        }
    }
}

/// So many milliseconds in seconds, as finely as the ticks need it.
fn label(millis: i64, step: i64) -> String {
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    match step {
        1_000.. => format!("{seconds}"),
        100.. => format!("{seconds}.{}", rest / 100),
        _ => format!("{seconds}.{rest:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (millis, expected) in
            [(1, 1), (8, 1), (9, 2), (950, 200), (4_100, 500), (70_000, 10_000)]
        {
            assert_eq!(Axis { first: 5, millis }.step(), expected, "{millis}");
        }
        assert_eq!([label(1_500, 500), label(20, 5), label(3_000, 1_000)], ["1.5", "0.020", "3"]);
    }

    #[test]
    fn moments_lie_between_the_ends() {
        let axis = Axis::over([1_000, 3_000, 2_000].into_iter()).unwrap();
        assert_eq!((axis.x(1_000), axis.x(3_000), axis.x(9_000)), (LEFT, RIGHT, RIGHT));
        assert!(axis.x(2_000) > LEFT && axis.x(2_000) < RIGHT);
        assert!(Axis::over(std::iter::empty()).is_none());
    }
}
