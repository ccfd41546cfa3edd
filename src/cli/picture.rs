//! The waterfall of a run as a picture for its HTML report: a row an agent, a bar a piece of work.

use std::{collections::BTreeMap, fmt::Write as _};

use super::history::{Work, end};
use crate::limits::PICTURE_BARS;

/// Width of the picture, in its own units.
const WIDTH: i64 = 1_000;
/// Width of the names at its left.
const NAMES: i64 = 140;
/// Height of a row.
const ROW: usize = 22;

/// Draws the pieces of work that were done; `None` if there are none.
pub fn svg(work: &[Work]) -> Option<String> {
    let done = || work.iter().filter(|work| work.error.is_none());
    let first = done().map(|work| work.at).min()?;
    let millis = (done().map(end).max()? - first).max(1);
    let mut rows: BTreeMap<&str, Vec<&Work>> = BTreeMap::new();
    for work in done() {
        rows.entry(&work.agent).or_default().push(work);
    }
    let height = rows.len() * ROW + ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"currentColor\"><title>When each agent worked</title>"
    );
    for (row, (agent, mut work)) in rows.into_iter().enumerate() {
        let y = row * ROW;
        write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 15, escaped(agent)).ok();
        work.sort_by_key(|work| std::cmp::Reverse(work.micros));
        for work in work.into_iter().take(PICTURE_BARS) {
            let place = |at: i64| NAMES + (at - first).saturating_mul(WIDTH - NAMES) / millis;
            let (x, right) = (place(work.at), place(end(work)));
            let what = escaped(&format!("{}: {} ms", work.name, work.micros / 1_000));
            write!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"14\" fill=\"#4a7fb5\" fill-opacity=\"0.5\">\
                 <title>{what}</title></rect>",
                y + 4,
                (right - x).max(1)
            )
            .ok();
        }
    }
    let seconds = format!("{}.{:03} s", millis / 1_000, millis % 1_000);
    write!(
        svg,
        "<text x=\"{NAMES}\" y=\"{y}\">0 s</text><text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{seconds}</text></svg>",
        y = height - 7
    )
    .ok();
    Some(svg)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_has_a_row_and_names_cannot_leave_the_text() {
        let work = |agent: &str, at, micros| Work {
            pattern: None,
            part: 0,
            name: "<script>".to_owned(),
            agent: agent.to_owned(),
            attempt: 1,
            slot: Some(0),
            at,
            micros,
            error: None,
            instead_of: Vec::new(),
        };
        let svg = svg(&[work("one", 1_000, 500_000), work("two", 1_500, 500_000)]).unwrap();
        assert!(
            svg.contains("x=\"140\" y=\"4\" width=\"430\"")
                && svg.contains("x=\"570\" y=\"26\" width=\"430\""),
            "{svg}"
        );
        assert!(
            svg.contains("1.000 s")
                && svg.contains("&lt;script&gt;: 500 ms")
                && !svg.contains("<script>")
        );
        assert_eq!(super::svg(&[]), None);
    }
}
