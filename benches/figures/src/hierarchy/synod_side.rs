//! Synod's own side: everything on that a user has on.
use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use synod::actors::pattern::hierarchy::{
    Assignment, Delegation, Hierarchy, Plan, Team, TeamCard, hierarchy,
};
use synod::actors::system::AgentSystem;
use synod::runtime::budget::Limits;
use synod::runtime::node::Node;
use tokio::task::JoinSet;

use super::{AT_ONCE, EACH, TEAMS, check, input};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Missions in one measurement; what their journals hold stays in memory.
const MISSIONS: u64 = 8_000;
/// What every mission has.
const DEADLINE: Duration = Duration::from_secs(600);
/// The teams, in the order in which tasks are numbered.
const TEAM_NAMES: [&str; 3] = ["red", "green", "blue"];
/// Workers of each.
const WORKERS: usize = 4;
/// Calls that a mission may make.
const MESSAGES: u64 = 1_000;

/// Missions, each a run of its own.
pub(crate) fn missions(settings: &Settings) -> Outcome {
    let missions = settings.count(MISSIONS);
    let time = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let agent =
            system.agent("adds one", |number: u64, _| async move { Ok::<_, String>(number + 1) });
        let places = u32::try_from(AT_ONCE * EACH)?;
        let agent =
            agent.count(usize::try_from(TEAMS)?).concurrency(places).start().context("start")?;
        let team = |name| Team::new(name).workers(WORKERS, &agent);
        let teams: Arc<[Team]> = TEAM_NAMES.map(team).into();
        let watch = Watch::start();
        let mut lanes = JoinSet::new();
        for lane in 0..AT_ONCE {
            let (system, teams) = (system.clone(), Arc::clone(&teams));
            lanes.spawn(async move {
                for number in (lane..missions).step_by(usize::try_from(AT_ONCE)?) {
                    mission(&system, &teams, number).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.context("join a lane")??;
        }
        let time = watch.time();
        system.node().close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(missions, time)))
}

async fn mission(system: &AgentSystem, teams: &[Team], number: u64) -> Result<()> {
    let run = hierarchy(number, move |_: &_, teams: &[TeamCard]| {
        let assignments = teams.iter().zip(0..).map(|(team, at)| {
            let own = Assignment::new(&*team.name, Delegation::team(&*team.name));
            (0..EACH).fold(own, |own, task| own.task(task.to_string(), input(number, at, task)))
        });
        Ok(assignments.fold(Plan::new(), Plan::assign))
    });
    let run = teams.iter().cloned().fold(run, Hierarchy::team);
    let limits = Limits { messages: Some(MESSAGES), ..Limits::default() };
    let done = system.run(run).deadline(DEADLINE).limits(limits).await?;
    let mut sum = 0;
    for team in TEAM_NAMES {
        for task in 0..EACH {
            let output =
                done.value.task(team, &task.to_string()).and_then(|output| output.as_u64());
            sum += output.context("a task was not done")?;
        }
    }
    ensure!(done.tally.done == TEAMS * EACH, "{} tasks were done", done.tally.done);
    check(number, sum)
}
