//! Measures Synod beside its floors: prints one raw line a figure, from which `cargo xtask figures` takes medians and ratios.
//!
//! What takes part in a figure is measured alternately: each round runs everyone once, and every round begins with another one.
//!
//! # Invariants
//! A participant that cannot be measured says why; no number stands in for it.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

mod cancel;
mod clock;
mod consensus;
mod deadlock;
mod external;
mod figure;
mod hierarchy;
mod idle;
mod mailbox;
mod map_reduce;
mod pipeline;
mod review;
mod sim;
mod swarm;

use external::Peers;
use figure::{Contender, Figure, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Synod beside its floors.
#[derive(Parser)]
struct Options {
    /// Measure only the figures whose names these are, or begin with one and a dot
    #[arg(long)]
    only: Vec<String>,
    /// Less work and fewer runs
    #[arg(long)]
    short: bool,
    /// A file that says how to run other frameworks, by figure and name
    #[arg(long)]
    peers: Option<PathBuf>,
    /// The large tree that review.wall reviews
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Print the bytes of one of 100,000 idle actors of this contender, and nothing else
    #[arg(long, hide = true)]
    idle: Option<String>,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    if let Some(contender) = &options.idle {
        return writeln!(std::io::stdout(), "{}", idle::measure(contender)?).context("print it");
    }
    let peers = options.peers.as_deref().map(Peers::read).transpose()?.unwrap_or_default();
    let settings = Settings::new(options.short, options.tree.clone());
    let figures = all();
    let wanted = |figure: &&Figure| {
        options.only.is_empty() || options.only.iter().any(|only| is_in(figure.name, only))
    };
    for figure in figures.iter().filter(wanted) {
        let line = measure_one(figure, &settings, &peers)
            .with_context(|| format!("measure {}", figure.name))?;
        writeln!(std::io::stdout(), "{line}").context("print a figure")?;
    }
    Ok(())
}

/// Every figure, in the order in which they are measured.
fn all() -> Vec<Figure> {
    let families: [&[Figure]; 11] = [
        mailbox::FIGURES,
        idle::FIGURES,
        deadlock::FIGURES,
        cancel::FIGURES,
        consensus::FIGURES,
        hierarchy::FIGURES,
        map_reduce::FIGURES,
        pipeline::FIGURES,
        review::FIGURES,
        sim::FIGURES,
        swarm::FIGURES,
    ];
    families.concat()
}

/// Tells whether a figure is the one named, or of the family named.
fn is_in(figure: &str, name: &str) -> bool {
    figure.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Runs the rounds of one figure and describes them as a line of JSON.
fn measure_one(figure: &Figure, settings: &Settings, peers: &Peers) -> Result<serde_json::Value> {
    let others = peers.of(figure.name);
    let mut rounds = Vec::new();
    let mut reasons = BTreeMap::new();
    let (count, all) = (figure.contenders.len(), figure.rounds.unwrap_or(settings.rounds()));
    for (round, number) in (0..all).zip(0..) {
        drop(writeln!(std::io::stderr(), "{} {}/{all}", figure.name, round + 1));
        settings.round.set(number);
        let mut results = BTreeMap::new();
        // One that is brought along by a program of its own takes the place of one that could not be measured here.
        let is_ours = |own: &&Contender| others.iter().all(|peer| peer.name != own.name);
        let contenders = figure.contenders.iter().cycle().skip(round % count).take(count);
        for contender in contenders.filter(is_ours) {
            match (contender.measure)(settings)
                .with_context(|| format!("measure {}", contender.name))?
            {
                Ok(value) => {
                    results.insert(contender.name.to_owned(), value);
                }
                Err(why) => {
                    reasons.insert(contender.name.to_owned(), why);
                }
            }
        }
        for peer in &others {
            match peer.measure() {
                Ok(rate) => {
                    results.insert(peer.name.clone(), rate);
                }
                Err(error) => {
                    reasons.insert(peer.name.clone(), format!("{error:#}"));
                }
            }
        }
        rounds.push(results);
    }
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(name, why)| format!("{name} cannot be measured: {why}"))
        .collect();
    let others = others.into_iter().map(|peer| peer.name);
    let known = figure
        .contenders
        .iter()
        .filter(|contender| contender.is_peer)
        .map(|contender| contender.name.to_owned());
    let known: BTreeSet<String> = known.chain(others).collect();
    Ok(serde_json::json!({
        "name": figure.name,
        "unit": figure.unit,
        "goal": {
            "ratio": figure.goal.ratio,
            "at_least": figure.goal.at_least,
            "reference": figure.goal.reference,
            "absolute": figure.goal.absolute,
        },
        "peers": known,
        "rounds": rounds,
        "why": (!reasons.is_empty()).then(|| reasons.join("; ")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_a_figure_or_a_family() {
        assert!(is_in("mailbox.ask", "mailbox.ask") && is_in("mailbox.ask", "mailbox"));
        assert!(!is_in("mailbox.ask_in_flight", "mailbox.ask") && !is_in("mailbox.ask", "mail"));
    }

    #[test]
    fn every_figure_has_a_name_of_its_own_ourselves_and_its_reference() {
        let figures = all();
        let mut names: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), figures.len());
        for figure in figures {
            let has = |name| figure.contenders.iter().any(|contender| contender.name == name);
            assert!(has("synod") && has(figure.goal.reference), "{}", figure.name);
        }
    }
}
