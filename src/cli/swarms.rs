//! A swarm as people read it: its best, why it ended, which patterns emerged, as text, as Markdown or as a page with pictures.
//!
//! [`brought`](super::brought) calls it, with what a run was told or its journal tells.

mod chart;
mod picture;

use std::fmt::Write as _;

use actors::swarm::{course::End, trace::Row};

use self::chart::Line;
use super::{
    ballots::{escaped, escaped_markdown},
    output::{clean, counted},
};
use crate::{
    job::{Answer, Found, Stretch, Swarmed},
    limits::{NAMES_SHOWN, SWARM_CELLS_SHOWN},
};

/// The best so far, in one line.
pub fn outcome(own: &Swarmed) -> String {
    match (&own.best, own.model.as_str()) {
        (Some(best), "foraging") => match best.found {
            Some(Found::Brought(units)) => {
                format!("{} of food at home, {} left", counted(units, "unit"), decimal(best.cost))
            }
            _ => format!("{} of food left", decimal(best.cost)),
        },
        (Some(best), _) => {
            format!("best: cost {}, found in tick {}", decimal(best.cost), best.tick)
        }
        (None, "boids") => match own.trace.measured("polarisation").last() {
            Some((_, share)) => format!("polarisation {}", decimal(*share)),
            None => "nothing was measured".to_owned(),
        },
        (None, _) => "no answer so far".to_owned(),
    }
}

/// What there is to know of it: agents, ticks, seed, its end, its patterns.
fn facts(own: &Swarmed) -> Vec<String> {
    let Swarmed { seed, end, ticks, agents, missed, emerged, .. } = own;
    let agents = counted(u64::from(*agents), "agent");
    let missed = match missed {
        0 => String::new(),
        some => format!(", {} missed", counted(*some, "move")),
    };
    let mut facts = vec![format!("{}, {agents}, seed {seed}{missed}", counted(*ticks, "tick"))];
    facts.push(match end {
        Some(End::Ticks) => "ended after its last tick".to_owned(),
        Some(End::Time) => "ended when its time was over".to_owned(),
        Some(End::Solution { why } | End::Hopeless { why }) => format!("ended: {why}"),
        None => "not ended".to_owned(),
    });
    facts.extend(emerged.iter().take(NAMES_SHOWN).map(pattern));
    if let Some(more) = emerged.len().checked_sub(NAMES_SHOWN).filter(|more| *more > 0) {
        facts.push(format!("and {more} more stretches of patterns"));
    }
    facts
}

fn pattern(own: &Stretch) -> String {
    let Stretch { pattern, since, until, strength, share } = own;
    let (share, strength) = (decimal(share * 100.0), decimal(*strength));
    format!(
        "pattern: {pattern}, ticks {since} to {until} ({share} % of the agents, strength {strength})"
    )
}

/// What was found, as far as it is shown in a line.
fn found(best: &Answer) -> Option<String> {
    let (name, shown, more) = match best.found.as_ref()? {
        Found::Way(way) => {
            let cells = way.iter().take(SWARM_CELLS_SHOWN);
            let cells: Vec<String> = cells.map(|(x, y)| format!("({x}, {y})")).collect();
            ("way", cells.join(" "), way.len().saturating_sub(SWARM_CELLS_SHOWN))
        }
        Found::Tour(tour) => {
            let cities = tour.iter().take(SWARM_CELLS_SHOWN).map(ToString::to_string);
            let cities: Vec<String> = cities.collect();
            ("tour", cities.join(" "), tour.len().saturating_sub(SWARM_CELLS_SHOWN))
        }
        Found::Brought(_) => return None,
    };
    let more = if more > 0 { format!(" and {more} more; `--json` has all") } else { String::new() };
    Some(format!("{name}: {shown}{more}"))
}

/// All of it as lines of text.
pub fn text(own: &Swarmed) -> String {
    let mut text = clean(&outcome(own)) + "\n";
    for fact in facts(own) {
        writeln!(text, "{}", clean(&fact)).ok();
    }
    if let Some(found) = own.best.as_ref().and_then(found) {
        writeln!(text, "{}", clean(&found)).ok();
    }
    text
}

/// All of it as Markdown.
pub fn markdown(own: &Swarmed, title: &str, more: &[String]) -> String {
    let mut text =
        format!("# {}\n\n**{}**\n\n", escaped_markdown(title), escaped_markdown(&outcome(own)));
    for fact in facts(own).iter().chain(more) {
        writeln!(text, "- {}", escaped_markdown(fact)).ok();
    }
    if let Some(found) = own.best.as_ref().and_then(found) {
        writeln!(text, "\n{}", escaped_markdown(&found)).ok();
    }
    text.push_str("\n| tick | found | best |\n|---:|---:|---:|\n");
    let cost = |cost: Option<f64>| cost.map_or_else(String::new, decimal);
    let mut before = None;
    for row in
        own.trace.rows.iter().filter(|row| row.best != std::mem::replace(&mut before, row.best))
    {
        writeln!(text, "| {} | {} | {} |", row.tick, cost(row.found), cost(row.best)).ok();
    }
    text
}

/// All of it as one page that needs nothing else; above it the picture of the plan that it is in, if it is in one.
pub fn html(own: &Swarmed, (title, plan): (&str, &str), more: &[String]) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p class=\"outcome\">{}</p>\n<ul>",
        escaped(&outcome(own))
    );
    for fact in facts(own).iter().chain(more) {
        write!(page, "<li>{}</li>", escaped(fact)).ok();
    }
    page.push_str("</ul>\n");
    page.push_str(plan);
    page.push_str(&pictures(own));
    if let Some(found) = own.best.as_ref().and_then(found) {
        writeln!(page, "<p>{}</p>", escaped(&found)).ok();
    }
    page + "</body></html>\n"
}

/// The world at the end, and what went on tick by tick, each with what its marks mean.
fn pictures(own: &Swarmed) -> String {
    let (scene, lines) = (picture::svg(own), lines(own));
    let mut text = String::new();
    if !scene.is_empty() {
        let agents = counted(u64::from(own.agents), "agent");
        let caption = format!(
            "{}; {}, {agents}, seed {}",
            outcome(own),
            counted(own.ticks, "tick"),
            own.seed
        );
        write!(text, "<figure>{scene}<p class=\"legend\">").ok();
        for (class, words) in picture::legend(own) {
            write!(text, "<span><i class=\"key {class}\"></i>{words}</span> ").ok();
        }
        writeln!(text, "</p><figcaption>{}</figcaption></figure>", escaped(&caption)).ok();
    }
    let chart = chart::svg(&lines, (scale(own), "share of the ants"));
    if !chart.is_empty() {
        write!(text, "<figure>{chart}<p class=\"legend\">").ok();
        for line in lines.iter().filter(|line| !line.values.is_empty()) {
            write!(text, "<span><i class=\"key line {}\"></i>{}</span> ", line.class, line.name)
                .ok();
        }
        writeln!(text, "</p></figure>").ok();
    }
    text
}

/// What the chart's left scale measures.
fn scale(own: &Swarmed) -> &'static str {
    match own.model.as_str() {
        "boids" => "polarisation, 0 to 1",
        "foraging" => "units of food; ants",
        "tsp" => "length of the round",
        _ => "cost of the way, in cells",
    }
}

/// What went on tick by tick.
fn lines(own: &Swarmed) -> Vec<Line<'static>> {
    let line = |name, class, values| Line { name, class, values, is_share: false };
    let rows = || own.trace.rows.iter();
    let of = |value: fn(&Row) -> Option<f64>| -> Vec<(u64, f64)> {
        rows().filter_map(|row| Some((row.tick, value(row)?))).collect()
    };
    match own.model.as_str() {
        "boids" => vec![line("polarisation", "best", own.trace.measured("polarisation"))],
        "foraging" => vec![
            line("food at its places", "found", own.trace.measured("food")),
            line("brought home", "best", own.trace.measured("brought")),
            line("ants that live", "share", of(|row| Some(f64::from(row.agents)))),
        ],
        _ => vec![
            line("mean of the tick", "mean", own.trace.measured("mean")),
            line("best of the tick", "found", of(|row| row.found)),
            Line {
                name: "share of the ants on one way",
                class: "share",
                values: own.trace.measured("share"),
                is_share: true,
            },
            line("best so far", "best", of(|row| row.best)),
        ],
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff;--trail:#d9730d;--way:#1558b0;--wall:#6b7078;--ground:#f6f6f3;--edge:#c9c9c4;--soft:#999}\
.outcome{font-size:1.4rem;font-weight:600}figure{margin:1.5rem 0}figcaption{font-weight:600}svg{width:100%;height:auto;font-size:13px}text{fill:#555}\
.ground{fill:var(--ground);stroke:var(--edge);stroke-width:.1}.cities .ground,.flock .ground{stroke-width:1}.wall{fill:var(--wall)}.dropped{fill:#b3261e}\
.trail,.way,.city,.ants,.line{fill:none;stroke-linecap:round;stroke-linejoin:round}.trail{stroke:var(--trail)}.map .trail{stroke-width:.75}.heat{fill:var(--trail)}.way{stroke:var(--way)}\
.city{stroke:currentColor}.ants{stroke:currentColor;stroke-width:.35}\
.s0{opacity:.12}.s1{opacity:.24}.s2{opacity:.36}.s3{opacity:.48}.s4{opacity:.6}.s5{opacity:.72}.s6{opacity:.86}\
.start{fill:#1e8e4e;stroke:#fff;stroke-width:.12}.goal{fill:#b3261e;stroke:#fff;stroke-width:.12}.plate{fill:none;stroke:#1e8e4e;stroke-width:.15}.food{fill:#1e8e4e}\
.grid{stroke:var(--edge);stroke-width:.6;fill:none}.line{stroke-width:2}.line.best{stroke:var(--way)}.line.found{stroke:var(--soft);stroke-width:1}.line.mean{stroke:#8250c4;stroke-width:1}.line.share{stroke:var(--trail);stroke-width:1.2;stroke-dasharray:5 3}\
.legend{margin:.3rem 0;font-size:.85rem}.legend span{margin-right:1.2rem;white-space:nowrap}.key{display:inline-block;width:1.1rem;height:.7rem;margin-right:.35rem;border-radius:2px}\
.key.wall{background:var(--wall)}.key.dropped,.key.goal{background:#b3261e}.key.trail{background:var(--trail)}.key.way{background:var(--way);height:.25rem;vertical-align:middle}.key.start{background:#1e8e4e;border-radius:50%;width:.8rem;height:.8rem}\
.key.goal{transform:rotate(45deg);width:.65rem;height:.65rem}.key.food{background:#1e8e4e}.key.city,.key.ant{background:currentColor;border-radius:50%;width:.5rem;height:.5rem}.key.bird{background:linear-gradient(90deg,#c93b2b,#4fc92b,#2b4fc9,#c92b90)}\
.key.line{height:.2rem;vertical-align:middle}.key.best{background:var(--way)}.key.found{background:var(--soft)}.key.mean{background:#8250c4}.key.share{background:var(--trail)}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616;--trail:#f0a04b;--way:#6db0ff;--wall:#7d838c;--ground:#222427;--edge:#44474c;--soft:#8b8b8b}text{fill:#aaa}.start,.goal{stroke:#161616}.line.mean{stroke:#b794f0}.key.mean{background:#b794f0}}";

/// A number for people: three decimals where it has more.
pub fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
