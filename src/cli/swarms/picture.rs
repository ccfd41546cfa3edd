//! The world of a swarm at its end as a picture: the map or the cities with trails and the best, birds, or foragers with their food.
//!
//! Maps are drawn in cells, so that a picture has the form of its map. What would be too many marks is drawn in blocks of cells.

use std::{collections::BTreeMap, fmt::Write as _};

use actors::swarm::boids::Bird;

use super::{Swarmed, decimal};
use crate::{
    job::{Found, Scene, Trail},
    limits::{PICTURE_BIRDS, PICTURE_RUNS, PICTURE_TRAILS},
    runfile::Cell,
};

/// Steps of opacity in which trails are drawn.
const SHADES: usize = 8;

/// The width of a picture that is not drawn in cells, in its own units.
const SIDE: f64 = 900.0;

/// Draws the scene; nothing where there is none.
pub(super) fn svg(own: &Swarmed) -> String {
    let found = own.best.as_ref().and_then(|best| best.found.as_ref());
    match (&own.scene, found) {
        (Some(Scene::Map { columns, free, dropped, start, goal, trails }), found) => {
            let way = if let Some(Found::Way(way)) = found { &**way } else { &[] };
            let mut svg = Map::of(*columns, free).begin("the map with trails and the best way");
            trails_of_map(&mut svg, *columns, free, trails);
            obstacles(&mut svg, dropped);
            let mark = Map::of(*columns, free).mark();
            svg.push_str(&line("way", (0.6 * mark, false), way.iter().map(|cell| middle(*cell))));
            marks(&mut svg, (*start, *goal), mark);
            svg + "</svg>\n"
        }
        (Some(Scene::Cities { at, trails }), found) if !at.is_empty() => {
            let tour = if let Some(Found::Tour(tour)) = found { &**tour } else { &[] };
            cities(at, trails, tour)
        }
        (Some(Scene::Birds { side, birds }), _) => flock(*side, birds),
        (Some(Scene::Forage { columns, free, nest, food, trails, ants }), _) => {
            let map = Map::of(*columns, free);
            let mut svg = map.begin("the map with food, trails and ants");
            let shaded = trails.iter().map(|(cell, strength)| (*cell, *strength));
            blocks(&mut svg, shaded, 1);
            for (cell, all, left) in food {
                let ((x, y), share) = (middle(*cell), f64::from(*left) / f64::from((*all).max(1)));
                let radius = map.mark();
                write!(
                    svg,
                    "<circle class=\"plate\" cx=\"{x}\" cy=\"{y}\" r=\"{radius:.2}\"><title>{left} of {all} units left</title></circle><circle class=\"food\" cx=\"{x}\" cy=\"{y}\" r=\"{:.2}\"/>",
                    radius * share.sqrt()
                )
                .ok();
            }
            dots(&mut svg, "ants", ants.iter().map(|cell| middle(*cell)));
            let (x, y) = middle(*nest);
            write!(svg, "<circle class=\"start\" cx=\"{x}\" cy=\"{y}\" r=\"{:.2}\"/>", map.mark())
                .ok();
            svg + "</svg>\n"
        }
        (Some(Scene::Cities { .. }) | None, _) => String::new(),
    }
}

/// What the marks of a scene mean: class and words.
pub(super) fn legend(own: &Swarmed) -> &'static [(&'static str, &'static str)] {
    match &own.scene {
        Some(Scene::Map { .. }) => &[
            ("wall", "obstacle"),
            ("dropped", "obstacle that dropped in mid-run"),
            ("trail", "trail, the darker the stronger"),
            ("way", "best way"),
            ("start", "start"),
            ("goal", "goal"),
        ],
        Some(Scene::Cities { at, .. }) if !at.is_empty() => {
            &[("city", "city"), ("trail", "trail, the darker the stronger"), ("way", "best round")]
        }
        Some(Scene::Birds { .. }) => {
            &[("bird", "bird, pointing where it flies; a colour is a direction")]
        }
        Some(Scene::Forage { .. }) => &[
            ("wall", "obstacle"),
            ("trail", "trail, the darker the stronger"),
            ("start", "nest"),
            ("food", "food that is left, of what was there (ring)"),
            ("ant", "ant"),
        ],
        Some(Scene::Cities { .. }) | None => &[],
    }
}

/// The form of a map, and its obstacles.
struct Map<'m> {
    columns: u32,
    rows: u32,
    free: &'m [bool],
}

impl<'m> Map<'m> {
    fn of(columns: u32, free: &'m [bool]) -> Self {
        let columns = columns.max(1);
        let rows = u32::try_from(free.len()).unwrap_or(u32::MAX) / columns;
        Self { columns, rows, free }
    }

    /// How large a mark is, in cells.
    fn mark(&self) -> f64 {
        (f64::from(self.columns.max(self.rows)) / 70.0).max(0.42)
    }

    /// Opens the picture, with its axes and its obstacles.
    fn begin(&self, title: &str) -> String {
        let (columns, rows) = (self.columns, self.rows);
        let size = f64::from(columns.max(rows)) / 42.0;
        let margin = size * 3.6;
        let (width, height) = (f64::from(columns) + margin * 1.4, f64::from(rows) + margin * 1.2);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"map\" viewBox=\"{:.2} {:.2} {width:.2} {height:.2}\" role=\"img\" style=\"max-width:{:.0}px\" font-size=\"{size:.2}\"><title>{title}</title>\n<rect class=\"ground\" width=\"{columns}\" height=\"{rows}\"/>",
            -margin,
            -margin * 0.2,
            SIDE * (width / height).min(1.0)
        );
        for column in ticks(columns) {
            let (x, y) = (f64::from(column) + 0.5, f64::from(rows) + size * 1.2);
            write!(svg, "<text x=\"{x}\" y=\"{y:.2}\" text-anchor=\"middle\">{column}</text>").ok();
        }
        for row in ticks(rows) {
            let y = f64::from(row) + 0.5 + size * 0.35;
            write!(
                svg,
                "<text x=\"{:.2}\" y=\"{y:.2}\" text-anchor=\"end\">{row}</text>",
                -size * 0.4
            )
            .ok();
        }
        let (x, y) = (f64::from(columns) / 2.0, f64::from(rows) + size * 2.4);
        write!(svg, "<text x=\"{x}\" y=\"{y:.2}\" text-anchor=\"middle\">column</text>").ok();
        let (x, y) = (-size * 2.6, f64::from(rows) / 2.0);
        writeln!(svg, "<text text-anchor=\"middle\" transform=\"translate({x:.2} {y}) rotate(-90)\">row</text>").ok();
        self.walls(&mut svg);
        svg
    }

    /// Obstacles row by row, those beside each other in one; of a map of very many in blocks.
    fn walls(&self, svg: &mut String) {
        let mut block = 1;
        let mut path = self.runs(block);
        while path.matches('M').count() > PICTURE_RUNS {
            block *= 2;
            path = self.runs(block);
        }
        writeln!(svg, "<path class=\"wall\" d=\"{path}\"/>").ok();
    }

    fn runs(&self, block: u32) -> String {
        let mut path = String::new();
        for row in (0..self.rows).step_by(block as usize) {
            let mut from = None;
            for column in (0..=self.columns).step_by(block as usize) {
                match (from, column < self.columns && self.is_wall(column, row)) {
                    (None, true) => from = Some(column),
                    (Some(first), false) => {
                        let width = column - first;
                        write!(path, "M{first} {row}h{width}v{block}h-{width}z").ok();
                        from = None;
                    }
                    (None, false) | (Some(_), true) => {}
                }
            }
            if let Some(first) = from {
                let width = self.columns - first;
                write!(path, "M{first} {row}h{width}v{block}h-{width}z").ok();
            }
        }
        path
    }

    fn is_wall(&self, column: u32, row: u32) -> bool {
        let at = row as usize * self.columns as usize + column as usize;
        self.free.get(at).is_some_and(|free| !free)
    }
}

/// Some numbers of columns or rows for an axis.
fn ticks(count: u32) -> impl Iterator<Item = u32> {
    let step = [1_u32, 2, 5, 10, 20, 50, 100, 200, 500].into_iter().find(|step| count / step <= 8);
    (0..count).step_by(step.unwrap_or(1_000) as usize)
}

fn middle((column, row): Cell) -> (f64, f64) {
    (f64::from(column) + 0.5, f64::from(row) + 0.5)
}

/// The shade of a strength, from 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a shade of a few"
)]
fn shade(strength: f64) -> usize {
    ((strength.clamp(0.0, 1.0) * SHADES as f64) as usize).min(SHADES - 1)
}

/// Paths of one shade each.
fn shaded(svg: &mut String, class: &str, paths: &BTreeMap<usize, String>) {
    for (shade, path) in paths {
        writeln!(svg, "<path class=\"{class} s{shade}\" d=\"{path}\"/>").ok();
    }
}

/// The trails of a map as lines; of one with very many as blocks of cells.
fn trails_of_map(svg: &mut String, columns: u32, free: &[bool], trails: &[Trail<Cell>]) {
    if trails.len() <= PICTURE_TRAILS {
        let mut paths: BTreeMap<usize, String> = BTreeMap::new();
        for Trail { from, to, strength } in trails {
            let ((x, y), (to_x, to_y)) = (middle(*from), middle(*to));
            let path = paths.entry(shade(*strength)).or_default();
            write!(path, "M{x} {y}l{} {}", to_x - x, to_y - y).ok();
        }
        return shaded(svg, "trail", &paths);
    }
    let cells = Map::of(columns, free);
    let mut block = 1;
    while u64::from(cells.columns / block) * u64::from(cells.rows / block) > PICTURE_TRAILS as u64 {
        block *= 2;
    }
    let ends = trails.iter().flat_map(|own| [(own.from, own.strength), (own.to, own.strength)]);
    blocks(svg, ends, block);
}

/// How strong trails are in blocks of so many cells a side: that of the strongest.
fn blocks(svg: &mut String, strengths: impl Iterator<Item = (Cell, f64)>, block: u32) {
    let mut most: BTreeMap<Cell, f64> = BTreeMap::new();
    for ((column, row), strength) in strengths {
        let own = most.entry((column / block, row / block)).or_default();
        *own = own.max(strength);
    }
    let mut paths: BTreeMap<usize, String> = BTreeMap::new();
    for ((column, row), strength) in most {
        let path = paths.entry(shade(strength)).or_default();
        write!(path, "M{} {}h{block}v{block}h-{block}z", column * block, row * block).ok();
    }
    shaded(svg, "heat", &paths);
}

/// Obstacles that dropped in mid-run.
fn obstacles(svg: &mut String, cells: &[Cell]) {
    let one = |(column, row): &Cell| format!("M{column} {row}h1v1h-1z");
    let path: String = cells.iter().map(one).collect();
    if !path.is_empty() {
        writeln!(svg, "<path class=\"dropped\" d=\"{path}\"/>").ok();
    }
}

fn marks(svg: &mut String, (start, goal): (Cell, Cell), size: f64) {
    let ((x, y), (to_x, to_y)) = (middle(start), middle(goal));
    writeln!(
        svg,
        "<circle class=\"start\" cx=\"{x}\" cy=\"{y}\" r=\"{size:.2}\"><title>start {start:?}</title></circle>\
         <path class=\"goal\" d=\"M{to_x} {:.2}l{:.2} {:.2}l-{:.2} {:.2}l-{:.2} -{:.2}z\"><title>goal {goal:?}</title></path>",
        to_y - size * 1.3,
        size * 1.3,
        size * 1.3,
        size * 1.3,
        size * 1.3,
        size * 1.3,
        size * 1.3
    )
    .ok();
}

/// A line of a width through points, perhaps back to the first.
fn line(
    class: &str,
    (width, is_round): (f64, bool),
    points: impl Iterator<Item = (f64, f64)>,
) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{command}{} {}", decimal(x), decimal(y)).ok();
    }
    if path.is_empty() {
        return path;
    }
    let end = if is_round { "z" } else { "" };
    format!("<path class=\"{class}\" style=\"stroke-width:{width:.2}\" d=\"{path}{end}\"/>\n")
}

/// Points, each a dot of a line that goes nowhere.
fn dots(svg: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let path: String = points.map(|(x, y)| format!("M{} {}h0", decimal(x), decimal(y))).collect();
    writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>").ok();
}

/// Cities with trails and the best round; north is up.
fn cities(at: &[(f64, f64)], trails: &[Trail<u32>], tour: &[u32]) -> String {
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let values = at.iter().map(of);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), own| {
            (low.min(own), high.max(own))
        })
    };
    let ((left, right), (low, high)) = (bounds(|city| city.0), bounds(|city| city.1));
    let (wide, tall) = ((right - left).max(1e-9), (high - low).max(1e-9));
    let scale = SIDE / wide.max(tall);
    let place = |(x, y): (f64, f64)| ((x - left) * scale, (high - y) * scale);
    let city = |number: u32| at.get(number as usize).copied().map(place);
    let (width, height) = (wide * scale, tall * scale);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cities\" viewBox=\"-64 -16 {:.0} {:.0}\" role=\"img\"><title>the cities with trails and the best round</title>\n",
        width + 84.0,
        height + 66.0
    );
    frame(&mut svg, (width, height), ((left, right), (high, low)));
    let mut paths: BTreeMap<usize, String> = BTreeMap::new();
    // A round has as many roads as cities: so many more that compete with them are told apart.
    let drawn = PICTURE_TRAILS.min(at.len().saturating_mul(3));
    let mut strong: Vec<&Trail<u32>> = trails.iter().collect();
    strong.sort_by(|one, other| other.strength.total_cmp(&one.strength));
    for Trail { from, to, strength } in strong.into_iter().take(drawn) {
        if let (Some((x, y)), Some((to_x, to_y))) = (city(*from), city(*to)) {
            let path = paths.entry(shade(*strength)).or_default();
            write!(path, "M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}").ok();
        }
    }
    // The more cities there are, the thinner all is.
    let thick = (150.0 / (at.len() as f64).sqrt()).clamp(2.0, 8.0);
    write!(svg, "<g stroke-width=\"{thick:.2}\">").ok();
    shaded(&mut svg, "trail", &paths);
    let round = tour.iter().filter_map(|number| city(number.saturating_sub(1)));
    svg.push_str(&line("way", (thick * 0.36, true), round));
    dots(&mut svg, "city", at.iter().copied().map(place));
    svg.push_str("</g>");
    svg + "</svg>\n"
}

/// The edge of a picture with the numbers at its ends, x and y by name.
fn frame(
    svg: &mut String,
    (width, height): (f64, f64),
    ((left, right), (top, bottom)): ((f64, f64), (f64, f64)),
) {
    let (under, beside) = (height + 20.0, -8.0);
    let (half_x, half_y) = (width / 2.0, height / 2.0);
    let (left, right, top, bottom) = (decimal(left), decimal(right), decimal(top), decimal(bottom));
    writeln!(
        svg,
        "<rect class=\"ground\" width=\"{width:.1}\" height=\"{height:.1}\"/>\
         <text class=\"small\" x=\"0\" y=\"{under:.1}\">{left}</text>\
         <text class=\"small\" x=\"{width:.1}\" y=\"{under:.1}\" text-anchor=\"end\">{right}</text>\
         <text class=\"small\" x=\"{half_x:.1}\" y=\"{under:.1}\" text-anchor=\"middle\">x</text>\
         <text class=\"small\" x=\"{beside}\" y=\"12\" text-anchor=\"end\">{top}</text>\
         <text class=\"small\" x=\"{beside}\" y=\"{height:.1}\" text-anchor=\"end\">{bottom}</text>\
         <text class=\"small\" x=\"{beside}\" y=\"{half_y:.1}\" text-anchor=\"end\">y</text>"
    )
    .ok();
}

/// A colour for each hour, round the wheel.
const HOURS: [&str; 12] = [
    "#c93b2b", "#c9752b", "#c9ae2b", "#9ac92b", "#4fc92b", "#2bc968", "#2bc9b8", "#2b8fc9",
    "#2b4fc9", "#5f2bc9", "#a42bc9", "#c92b90",
];

/// Birds as darts, by direction in as many colours as there are hours.
fn flock(side: f64, birds: &[Bird]) -> String {
    let scale = SIDE / side.max(1e-9);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flock\" viewBox=\"-64 -16 {} {}\" role=\"img\"><title>the birds and where they fly</title>\n",
        SIDE + 84.0,
        SIDE + 66.0
    );
    frame(&mut svg, (SIDE, SIDE), ((0.0, side), (0.0, side)));
    let mut paths: BTreeMap<u32, String> = BTreeMap::new();
    for bird in birds.iter().take(PICTURE_BIRDS) {
        let ahead = bird.velocity.of_length(11.0);
        let (x, y) = (bird.at.x * scale, bird.at.y * scale);
        let (back_x, back_y) = (x - ahead.x / 2.0, y - ahead.y / 2.0);
        let (across_x, across_y) = (-ahead.y * 0.32, ahead.x * 0.32);
        let path = paths.entry(hour(bird)).or_default();
        write!(
            path,
            "M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}z",
            x + ahead.x / 2.0,
            y + ahead.y / 2.0,
            back_x + across_x,
            back_y + across_y,
            back_x - across_x,
            back_y - across_y
        )
        .ok();
    }
    for (hour, path) in paths {
        let colour = HOURS.get(hour as usize).copied().unwrap_or_default();
        writeln!(svg, "<path class=\"bird\" fill=\"{colour}\" d=\"{path}\"/>").ok();
    }
    svg + "</svg>\n"
}

/// The direction of a bird as the hour of a clock's hand.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an hour is below 12")]
fn hour(bird: &Bird) -> u32 {
    let turn = bird.velocity.x.atan2(-bird.velocity.y) / std::f64::consts::TAU;
    (turn.rem_euclid(1.0) * 12.0).round() as u32 % 12
}
