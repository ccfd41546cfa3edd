//! `map_reduce.*`: what it costs to split work over agents and to gather it again.
//!
//! | workload | what happens |
//! |---|---|
//! | parts | 10,000 parts that do nothing, over 8 agents, 64 in flight at each; results are summed and checked |
//! | durable_parts | the same with 4 parts an agent in flight, one record a part, on disk before its acknowledgement |
//! | speed_up | parts of 10 ms of computing, by two agents beside one thread |
//! | stragglers | 64 parts over 16 agents, 5 % of the attempts take ten times as long, in virtual time |
use crate::figure::{Contender, Figure, Goal};

mod compute;
mod disk;
mod fan_out;
pub(crate) mod stragglers;
mod synod_side;

/// Parts of a run.
pub(crate) const PARTS: u64 = 10_000;
/// Agents that share them.
pub(crate) const AGENTS: usize = 8;

/// Parts that an agent of `parts` has at a time; the floor's workers have up to 1,024.
pub(crate) const QUEUE: u32 = 64;
/// Parts that an agent of `durable_parts` has at a time.
pub(crate) const IN_FLIGHT: u32 = 4;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "map_reduce.parts",
        unit: "parts/s",
        rounds: None,
        goal: Goal::at_least(0.1, "tokio").and(500_000.0),
        contenders: &[
            Contender::synod(synod_side::parts),
            Contender::floor("tokio", fan_out::parts),
        ],
    },
    Figure {
        name: "map_reduce.durable_parts",
        unit: "parts/s",
        rounds: None,
        goal: Goal::at_least(0.5, "redb"),
        contenders: &[
            Contender::synod(synod_side::durable_parts),
            Contender::floor("redb", disk::appends),
        ],
    },
    Figure {
        name: "map_reduce.speed_up",
        unit: "× one thread",
        rounds: None,
        goal: Goal::at_least(0.96, "threads"),
        contenders: &[
            Contender::synod(synod_side::speed_up),
            Contender::floor("threads", compute::threads),
        ],
    },
    Figure {
        name: "map_reduce.stragglers",
        unit: "× undisturbed",
        rounds: None,
        goal: Goal::at_most(1.1, "ideal"),
        contenders: &[
            Contender::synod(synod_side::straggling),
            Contender::floor("ideal", stragglers::ideal),
        ],
    },
];
