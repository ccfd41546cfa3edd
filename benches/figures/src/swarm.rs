//! `swarm.*`: how many agents of a swarm move in a second, how fast birds fly in a flock, and how well and how soon ants find rounds.
//!
//! `agent_ticks`: 10,000 agents, each an actor of its own, see a number of theirs and add one to it; a tick ends when all have
//! answered. The reference are bare actors of ractor that do the same. `hosted_ticks`: 1,000,000 such agents, many in an actor.
//! Both are timed from the end of the first tick, and what every agent has counted is checked.
//!
//! `flocking`: steps of the flockers that the crate `krabmaga` publishes as its example, 10,000 birds, on one thread each: krabmaga's
//! form for several threads locks all birds for each one and is slower. It comes with `--peers`.
//!
//! `tsp_gap`: how much longer than the shortest round through kroA100 the worst of 20 colonies without local search is after 5 s.
//! `tsp_time`: how long a colony with local search takes to the shortest round through lin318; one seed a run. The files come from
//! the folder that `SYNOD_TEST_DATA` names.
use crate::figure::{Contender, Figure, Goal};

mod counting;
mod flocking;
mod laps;
mod ractor_side;
mod tsp;

/// Agents that are actors of their own.
const AGENTS: u32 = 10_000;
/// Ticks of theirs that are timed.
const TICKS: u64 = 200;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "swarm.agent_ticks",
        unit: "agent-ticks/s",
        rounds: None,
        goal: Goal::at_least(0.85, "ractor").and(1.5e6),
        contenders: &[
            Contender::synod(|settings| counting::own_actors(settings.count(TICKS))),
            Contender::peer("ractor", |settings| ractor_side::ticks(settings.count(TICKS))),
        ],
    },
    Figure {
        name: "swarm.hosted_ticks",
        unit: "agent-ticks/s",
        rounds: None,
        goal: Goal::at_least(20.0, "1 M"),
        contenders: &[Contender::synod(counting::hosted), Contender::floor("1 M", |_| Ok(Ok(1e6)))],
    },
    Figure {
        name: "swarm.flocking",
        unit: "steps/s",
        rounds: None,
        goal: Goal::at_least(1.0, "krabmaga"),
        contenders: &[
            Contender::synod(|settings| flocking::steps(settings, 1)),
            Contender::floor("on 2 threads", |settings| flocking::steps(settings, 2)),
            Contender::peer("krabmaga", |_| Ok(Err("it comes with --peers".to_owned()))),
        ],
    },
    Figure {
        name: "swarm.tsp_gap",
        unit: "%",
        rounds: Some(1),
        goal: Goal::at_most(0.5, "1 %"),
        contenders: &[Contender::synod(tsp::gap), Contender::floor("1 %", |_| Ok(Ok(1.0)))],
    },
    Figure {
        name: "swarm.tsp_time",
        unit: "s",
        rounds: None,
        goal: Goal::at_most(1.0, "1 s"),
        contenders: &[Contender::synod(tsp::time), Contender::floor("1 s", |_| Ok(Ok(1.0)))],
    },
];
