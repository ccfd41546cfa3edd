//! Agents that count their ticks, as actors of their own or hosted.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use synod::actors::pattern::swarm::Swarm;
use synod::actors::swarm::{Candidate, Dice, Model, Moment, Turn};
use synod::actors::system::AgentSystem;
use synod::runtime::node::Node;

use super::{AGENTS, laps::Laps};
use crate::clock::{on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Agents that are hosted, how many of them by one actor, and the ticks of theirs that are timed.
const HOSTED: u32 = 1_000_000;
const PER_ACTOR: u32 = 10_000;
const HOSTED_TICKS: u64 = 400;
/// What the run has.
const DEADLINE: Duration = Duration::from_secs(600);

/// An actor an agent.
pub(crate) fn own_actors(ticks: u64) -> Outcome {
    run(AGENTS, 1, ticks)
}

/// Many agents in an actor.
pub(crate) fn hosted(settings: &Settings) -> Outcome {
    run(HOSTED, PER_ACTOR, settings.count(HOSTED_TICKS))
}

fn run(agents: u32, per_actor: u32, ticks: u64) -> Outcome {
    let time = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let laps = Laps::default();
        let swarm = Swarm::new(Counting(agents)).ticks(ticks + 1).detector(laps.clone());
        let done = system.run(swarm.agents_per_actor(per_actor)).deadline(DEADLINE).await?;
        let counts = done.value.world.context("the world at the end")?;
        ensure!(counts.len() == usize::try_from(agents)?, "agents are missing");
        let is_whole = counts.iter().all(|count| u64::from(*count) == ticks + 1);
        ensure!(is_whole && done.value.missed == 0, "a tick was missed");
        system.node().close().await.context("stop the node")?;
        laps.time()
    })?;
    Ok(Ok(per_second(ticks * u64::from(agents), time)))
}

/// Each of so many agents adds one to a number of its own in each tick.
struct Counting(u32);

impl Model for Counting {
    type World = Vec<u32>;
    type View<'a> = u32;
    type Action = u32;
    type Scratch = ();
    type Solution = ();

    fn describe(&self) -> String {
        format!("{} agents that count", self.0)
    }

    fn seeks(&self) -> bool {
        false
    }

    fn world(&self, _: &mut Dice) -> Result<Vec<u32>, String> {
        Ok(std::iter::repeat_n(0, self.0 as usize).collect())
    }

    fn born(&self, _: &Vec<u32>) -> u32 {
        self.0
    }

    fn view<'a>(&'a self, counts: &'a Vec<u32>, agent: u32) -> u32 {
        counts.get(agent as usize).copied().unwrap_or(0)
    }

    fn decide(&self, own: u32, _: &mut Turn, (): &mut ()) -> u32 {
        own + 1
    }

    fn apply(&self, counts: &mut Vec<u32>, agent: u32, count: u32) {
        if let Some(own) = counts.get_mut(agent as usize) {
            *own = count;
        }
    }

    fn advance(&self, _: &mut Vec<u32>, _: Moment<'_, ()>) -> Option<Candidate<()>> {
        None
    }

    fn price(&self, _: &Vec<u32>, (): &()) -> Option<f64> {
        None
    }
}
