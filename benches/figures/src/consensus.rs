//! `consensus.rounds`: what a vote costs from its opening to its decision.
//!
//! Five voters of different weight are asked, for each round by a coordinator of its own; a choice with two thirds of the weight
//! wins. 64 rounds go on at a time. Synod's coordinators are actors that find their voters through the roster, journal each ballot
//! in memory and count exactly; the floor's are tasks that count integers.
//!
//! `consensus.overrun`: how long after its deadline a vote ends whose last voter never answers: the longest of a number of votes, with
//! the same rules, voters and journal.
use crate::figure::{Contender, Figure, Goal};

mod synod_side;
mod tokio_side;

/// Rounds that go on at a time.
pub(crate) const AT_ONCE: u64 = 64;
/// The weight of each voter.
pub(crate) const WEIGHTS: [u32; 5] = [1, 2, 3, 4, 5];

/// Whether a voter is for the one choice or the other in a round: the last and the third are always for the first one.
pub(crate) fn is_for(voter: usize, round: u64) -> bool {
    voter >= 2 || (round >> voter) & 1 == 0
}

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "consensus.rounds",
        unit: "rounds/s",
        rounds: None,
        goal: Goal::at_least(0.25, "tokio").and(100_000.0),
        contenders: &[
            Contender::synod(synod_side::rounds),
            Contender::floor("tokio", tokio_side::rounds),
        ],
    },
    Figure {
        name: "consensus.overrun",
        unit: "ms",
        rounds: None,
        goal: Goal::at_most(10.0, "1 ms"),
        contenders: &[
            Contender::synod(synod_side::overrun),
            Contender::floor("1 ms", |_| Ok(Ok(1.0))),
        ],
    },
];
