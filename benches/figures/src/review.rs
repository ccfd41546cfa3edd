//! `review.wall`: how long the review of a large tree takes, beside one sequential run.
//!
//! Both sides are Synod: the reference reviews everything as a single part.
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "review.wall",
    unit: "s",
    goal: Goal::at_most(0.6, "sequential"),
    contenders: &[Contender::synod(synod_review), Contender::floor("sequential", synod_sequential)],
}];

/// Why this has no number yet.
const NOT_YET: &str = "the library has no public review to measure through yet";

fn synod_review(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}

fn synod_sequential(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}
