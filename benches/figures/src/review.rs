//! `review.wall`: how long the review of a large tree takes, beside one sequential run.
//!
//! Both sides are Synod: the reference reviews everything as a single part.
use std::path::Path;

use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "review.wall",
    unit: "s",
    goal: Goal::at_most(0.6, "sequential"),
    contenders: &[Contender::synod(synod_review), Contender::floor("sequential", synod_sequential)],
}];

/// Why this has no number yet.
const NOT_YET: &str = "the library has no public review to measure through yet";

/// Reviews the tree as a user's run does.
fn synod_review(settings: &Settings) -> Outcome {
    Ok(tree(settings).and(Err(NOT_YET.to_owned())))
}

/// Reviews the tree as a single part.
fn synod_sequential(settings: &Settings) -> Outcome {
    Ok(tree(settings).and(Err(NOT_YET.to_owned())))
}

/// Tells which tree is reviewed.
fn tree(settings: &Settings) -> Result<&Path, String> {
    let tree = settings.tree.as_deref();
    tree.ok_or_else(|| {
        "no tree was given with --tree; `cargo xtask large-tree` unpacks one".to_owned()
    })
}
