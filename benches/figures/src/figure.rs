//! What a figure is: who takes part in which workload, and what is expected.
use std::cell::{Cell, OnceCell};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use synod::review::Finding;

/// A result, or why there is none; a workload that breaks is an error beside that.
pub(crate) type Outcome = Result<Result<f64, String>>;

/// A published figure.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// how often each contender runs, where that is not as often as the [settings](Settings::rounds) say
    pub(crate) rounds: Option<usize>,
    pub(crate) goal: Goal,
    /// in the order of the first round
    pub(crate) contenders: &'static [Contender],
}

/// What a figure should be: its ratio to the reference, and for orientation the value on one machine of two cores.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) ratio: f64,
    pub(crate) at_least: bool,
    pub(crate) reference: &'static str,
    pub(crate) absolute: Option<f64>,
}

impl Goal {
    /// More is better.
    pub(crate) const fn at_least(ratio: f64, reference: &'static str) -> Self {
        Self { ratio, at_least: true, reference, absolute: None }
    }

    /// Less is better.
    pub(crate) const fn at_most(ratio: f64, reference: &'static str) -> Self {
        Self { ratio, at_least: false, reference, absolute: None }
    }

    /// Adds what two cores should show.
    pub(crate) const fn and(mut self, absolute: f64) -> Self {
        self.absolute = Some(absolute);
        self
    }
}

/// One that takes part in a figure.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// another framework; everything else is a floor
    pub(crate) is_peer: bool,
    pub(crate) measure: fn(&Settings) -> Outcome,
}

impl Contender {
    /// Ourselves.
    pub(crate) const fn synod(measure: fn(&Settings) -> Outcome) -> Self {
        Self { name: "synod", is_peer: false, measure }
    }

    /// What can be had at best, without a framework.
    pub(crate) const fn floor(name: &'static str, measure: fn(&Settings) -> Outcome) -> Self {
        Self { name, is_peer: false, measure }
    }

    /// Another framework.
    pub(crate) const fn peer(name: &'static str, measure: fn(&Settings) -> Outcome) -> Self {
        Self { name, is_peer: true, measure }
    }
}

/// How much is measured.
pub(crate) struct Settings {
    pub(crate) short: bool,
    /// the large tree that is reviewed
    pub(crate) tree: Option<PathBuf>,
    /// records that the durable workload had in one commit when it ran last, on average
    pub(crate) records_per_commit: Cell<u32>,
    /// which round it is, from 0
    pub(crate) round: Cell<u32>,
    /// what the first review of the tree found
    findings: OnceCell<Vec<Finding>>,
}

impl Settings {
    /// Chooses the short or the full form.
    pub(crate) fn new(short: bool, tree: Option<PathBuf>) -> Self {
        let (records_per_commit, round) = (Cell::new(32), Cell::new(0));
        Self { short, tree, records_per_commit, round, findings: OnceCell::new() }
    }

    /// Tells how often each contender runs.
    pub(crate) fn rounds(&self) -> usize {
        if self.short { 3 } else { 9 }
    }

    /// Compares what a review of the tree found with what the first one did.
    ///
    /// # Errors
    /// When they differ.
    pub(crate) fn agree(&self, findings: &[Finding]) -> Result<()> {
        let (count, first) = (findings.len(), self.findings.get_or_init(|| findings.to_vec()));
        ensure!(
            first == findings,
            "one review found {}, another {count}, not the same",
            first.len()
        );
        Ok(())
    }

    /// Scales a count: an eighth of it in the short form.
    pub(crate) fn count(&self, full: u64) -> u64 {
        if self.short { full.div_ceil(8) } else { full }
    }
}
