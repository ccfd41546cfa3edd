//! `hierarchy.missions`: what a mission costs from its plan to its result.
//!
//! A supervisor plans twelve tasks that add one, four for each of three teams; each team's leader has its four workers do them; the
//! supervisor puts the results together. 64 missions go on at a time. In Synod each mission is a run of its own, with a supervisor,
//! leaders and workers of its own, a deadline, a budget, and a journal in memory. The floors have none of that: `tokio` is one
//! standing supervisor with its leaders and workers, sixteen tasks joined by bounded channels, through which all missions go;
//! `tokio spawned` starts sixteen such tasks for each mission.
use anyhow::{Result, ensure};

use crate::figure::{Contender, Figure, Goal};

mod synod_side;
mod tokio_side;

/// Missions that go on at a time.
const AT_ONCE: u64 = 64;
/// Teams, each with a leader.
const TEAMS: u64 = 3;
/// Workers of a team, and the tasks that it is given.
const EACH: u64 = 4;

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "hierarchy.missions",
    unit: "missions/s",
    rounds: None,
    goal: Goal::at_least(0.15, "tokio").and(30_000.0),
    contenders: &[
        Contender::synod(synod_side::missions),
        Contender::floor("tokio", tokio_side::missions),
        Contender::floor("tokio spawned", tokio_side::spawned),
    ],
}];

/// What a task of a mission is given.
fn input(mission: u64, team: u64, task: u64) -> u64 {
    mission * TEAMS * EACH + team * EACH + task
}

/// Checks what the outputs of a mission add up to.
fn check(mission: u64, sum: u64) -> Result<()> {
    let inputs = (0..TEAMS).flat_map(|team| (0..EACH).map(move |task| input(mission, team, task)));
    let expected: u64 = inputs.map(|input| input + 1).sum();
    ensure!(sum == expected, "mission {mission} came to {sum}, not {expected}");
    Ok(())
}
