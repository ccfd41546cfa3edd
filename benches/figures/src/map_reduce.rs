//! `map_reduce.*`: what it costs to split work over agents and to gather it again.
//!
//! | workload | what happens |
//! |---|---|
//! | parts | 10,000 parts that do nothing, over 8 agents; results are summed and checked |
//! | durable_parts | the same with 4 parts an agent in flight, one record a part, on disk before its acknowledgement |
//! | speed_up | parts of 10 ms of computing, by two agents beside one thread |
//! | stragglers | 64 parts over 16 agents, 5 % of the attempts take ten times as long, in virtual time |
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

mod compute;
mod disk;
mod fan_out;
pub(crate) mod stragglers;

/// Parts of a run.
pub(crate) const PARTS: u64 = 10_000;
/// Agents that share them.
pub(crate) const AGENTS: usize = 8;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "map_reduce.parts",
        unit: "parts/s",
        goal: Goal::at_least(0.1, "tokio").and(500_000.0),
        contenders: &[Contender::synod(synod_parts), Contender::floor("tokio", fan_out::parts)],
    },
    Figure {
        name: "map_reduce.durable_parts",
        unit: "parts/s",
        goal: Goal::at_least(0.5, "redb"),
        contenders: &[
            Contender::synod(synod_durable_parts),
            Contender::floor("redb", disk::appends),
        ],
    },
    Figure {
        name: "map_reduce.speed_up",
        unit: "× one thread",
        goal: Goal::at_least(0.96, "threads"),
        contenders: &[
            Contender::synod(synod_speed_up),
            Contender::floor("threads", compute::threads),
        ],
    },
    Figure {
        name: "map_reduce.stragglers",
        unit: "× undisturbed",
        goal: Goal::at_most(1.1, "ideal"),
        contenders: &[
            Contender::synod(synod_stragglers),
            Contender::floor("ideal", stragglers::ideal),
        ],
    },
];

/// Why Synod's own side of these workloads has no number yet.
const NOT_YET: &str = "the library has no public map_reduce to measure through yet";

fn synod_parts(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}

fn synod_durable_parts(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}

fn synod_speed_up(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}

fn synod_stragglers(_: &Settings) -> Outcome {
    Ok(Err(NOT_YET.to_owned()))
}
