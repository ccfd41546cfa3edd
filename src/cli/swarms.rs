//! A swarm as people read it: its best, why it ended, which patterns emerged, as text, as Markdown or as a page with pictures.
//!
//! [`brought`](super::brought) calls it, with what a run was told or its journal tells.

use std::fmt::Write as _;

use actors::swarm::course::End;

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
    if let Some(found) = own.best.as_ref().and_then(found) {
        writeln!(page, "<p>{}</p>", escaped(&found)).ok();
    }
    page + "</body></html>\n"
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
.outcome{font-size:1.4rem;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}}";

/// A number for people: three decimals where it has more.
pub fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
