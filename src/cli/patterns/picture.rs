//! The picture of patterns that come after each other: a column for each step of the longest way to a pattern, a box each, and an
//! arrow from each that another comes after.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Pattern, State};
use crate::cli::ballots::escaped;

/// A box, and what lies between two of them, in the picture's own units.
const BOX: (usize, usize) = (150, 44);
const GAP: (usize, usize) = (60, 16);
/// The longest name that is drawn whole, in characters.
const NAME_CHARS: usize = 18;

/// Draws them; each is behind those that it comes after.
pub(super) fn svg(patterns: &[Pattern]) -> String {
    let places = places(patterns);
    let end = |at: fn(&(usize, usize)) -> usize| places.values().map(at).max().unwrap_or(0) + 1;
    let (width, height) =
        (end(|place| place.0) * (BOX.0 + GAP.0), end(|place| place.1) * (BOX.1 + GAP.1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         style=\"max-width:{width}px\" font-family=\"sans-serif\" font-size=\"13\" fill=\"currentColor\">\
         <title>Which pattern came after which, and what became of it</title>\n"
    );
    for own in patterns {
        let Some(to) = places.get(own.name.as_str()) else { continue };
        let before = own.after.iter().filter_map(|name| places.get(name.as_str()));
        before.for_each(|from| arrow(&mut svg, *from, *to));
    }
    for own in patterns {
        if let Some(place) = places.get(own.name.as_str()) {
            boxed(&mut svg, own, *place);
        }
    }
    svg + "</svg>\n"
}

/// The column and the row of each.
fn places(patterns: &[Pattern]) -> BTreeMap<&str, (usize, usize)> {
    let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for own in patterns {
        let before = own.after.iter().filter_map(|name| places.get(name.as_str()));
        let column = before.map(|place| place.0 + 1).max().unwrap_or(0);
        let row = rows.entry(column).or_default();
        places.insert(&own.name, (column, *row));
        *row += 1;
    }
    places
}

/// The upper left corner of a box.
fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (column * (BOX.0 + GAP.0) + GAP.1 / 2, row * (BOX.1 + GAP.1) + GAP.1 / 2)
}

fn arrow(svg: &mut String, from: (usize, usize), to: (usize, usize)) {
    let ((left, y1), (x2, y2)) = (corner(from), corner(to));
    let (x1, y1, y2) = (left + BOX.0, y1 + BOX.1 / 2, y2 + BOX.1 / 2);
    let (bend, tip) = (GAP.0 / 2, x2 - 7);
    writeln!(
        svg,
        "<path class=\"after\" d=\"M{x1} {y1}C{} {y1} {} {y2} {tip} {y2}\" fill=\"none\" stroke=\"#888\" stroke-width=\"1.5\"/>\
         <path d=\"M{x2} {y2}l-8 -4v8z\" fill=\"#888\"/>",
        x1 + bend,
        tip - bend
    )
    .ok();
}

fn boxed(svg: &mut String, own: &Pattern, place: (usize, usize)) {
    let (x, y) = corner(place);
    let mut name: String = own.name.chars().take(NAME_CHARS).collect();
    if own.name.chars().count() > NAME_CHARS {
        name.push('…');
    }
    let (colour, word) = (colour(own.state), own.state.word());
    writeln!(
        svg,
        "<g class=\"{word}\"><title>{}</title>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{colour}\" fill-opacity=\"0.15\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
         <text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text><text x=\"{}\" y=\"{}\" font-size=\"11\">{word}</text></g>",
        escaped(&format!("{}: {}", own.name, own.ending())),
        BOX.0,
        BOX.1,
        x + 10,
        y + 18,
        escaped(&name),
        x + 10,
        y + 35
    )
    .ok();
}

const fn colour(state: State) -> &'static str {
    match state {
        State::Done => "#2e8b57",
        State::Failed => "#b3261e",
        State::Skipped | State::Waiting => "#888888",
        State::Begun => "#2f6fb0",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::patterns, *};

    #[test]
    fn each_pattern_is_a_box_behind_those_that_it_comes_after() {
        let patterns = patterns();
        let places = places(&patterns.0);
        let columns = ["review", "texts", "long", "late", "gate"].map(|name| places[name]);
        assert_eq!(columns, [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1)]);
        let svg = svg(&patterns.0);
        assert_eq!(svg.matches("class=\"after\"").count(), 4, "{svg}");
        for part in [
            "<g class=\"done\"><title>review: done in 1.250 s",
            "<g class=\"failed\"><title>texts: failed: it is &lt;b&gt;",
            "<g class=\"skipped\"><title>gate: not begun, since `texts` failed",
            "<g class=\"waiting\">",
            "<g class=\"begun\">",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains("<b>"), "{svg}");
    }
}
