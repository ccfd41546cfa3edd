//! Synod's own side: everything on that a user has on.
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use synod::actors::{
    agent::Agent,
    pattern::map_reduce::{Options, map_reduce, sum},
    system::AgentSystem,
};
use synod::runtime::{
    clock::{Clock, Moment},
    engine::local::RedbJournal,
    node::Node,
};

use super::{AGENTS, IN_FLIGHT, PARTS, QUEUE, compute, stragglers};
use crate::clock::{WORKERS, Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Runs over all parts in one measurement.
const REPEATS: u64 = 40;
/// The same with the journal on disk.
const DURABLE_REPEATS: u64 = 4;
/// What every run has.
const DEADLINE: Duration = Duration::from_secs(600);

/// Parts that do nothing, journal in memory.
pub(crate) fn parts(settings: &Settings) -> Outcome {
    let repeats = settings.count(REPEATS);
    let time = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let agent = nothing(&system, QUEUE)?;
        let watch = Watch::start();
        for _ in 0..repeats {
            run(&system, &agent).await?;
        }
        let time = watch.time();
        system.node().close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(repeats * PARTS, time)))
}

/// The same, each record on disk before its part's place is given away.
pub(crate) fn durable_parts(settings: &Settings) -> Outcome {
    let repeats = settings.count(DURABLE_REPEATS);
    let (time, per_commit) = on_workers(async move {
        let folder =
            tempfile::tempdir_in(std::env::current_dir().context("find the working folder")?)?;
        let journal =
            RedbJournal::open(&folder.path().join("figures.redb")).context("open a journal")?;
        let journal = Arc::new(journal);
        let node = Node::builder().journal(Arc::<RedbJournal>::clone(&journal)).open()?;
        let system = AgentSystem::start(node);
        let agent = nothing(&system, IN_FLIGHT)?;
        let commits = journal.commits();
        let watch = Watch::start();
        for _ in 0..repeats {
            run(&system, &agent).await?;
        }
        let time = watch.time();
        let commits = (journal.commits() - commits).max(1);
        system.node().close().await.context("stop the node")?;
        Ok((time, repeats * PARTS / commits))
    })?;
    settings.records_per_commit.set(u32::try_from(per_commit).unwrap_or(u32::MAX));
    Ok(Ok(per_second(repeats * PARTS, time)))
}

/// Parts of pure computing; how many times faster than one thread.
pub(crate) fn speed_up(settings: &Settings) -> Outcome {
    let work = compute::Work::of(settings)?;
    let compute::Work { parts, iterations, .. } = work;
    let together = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let agent = system
            .blocking_agent("compute", move |_: u64, _| Ok::<_, String>(compute::part(iterations)))
            .count(WORKERS)
            .prefetch(1)
            .start()?;
        let watch = Watch::start();
        let done = system.run(map_reduce(0..parts, &agent)).deadline(DEADLINE).await?;
        let time = watch.time();
        ensure!(done.tally.done == parts, "parts were lost");
        system.node().close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(work.speed_up(together)))
}

/// Some attempts take ten times as long; in virtual time.
pub(crate) fn straggling(_: &Settings) -> Outcome {
    let mut whole = 0;
    for seed in 0..stragglers::SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .context("start a runtime")?;
        whole += runtime.block_on(straggling_run(seed))?;
    }
    Ok(Ok(stragglers::relative(whole)))
}

/// Virtual time of one unit of the model: long beside the timer's resolution.
const UNIT: Duration = Duration::from_millis(100);

async fn straggling_run(seed: u64) -> Result<u64> {
    let clock = VirtualClock(tokio::time::Instant::now());
    let node = Node::builder().clock(Arc::new(clock)).open().context("open a node")?;
    let system = AgentSystem::start(node);
    let agent = system
        .agent(
            "straggler",
            move |part: usize, call: synod::actors::agent::CallContext| async move {
                let attempt = usize::try_from(call.attempt).unwrap_or(1) - 1;
                let units = stragglers::draw(seed, part, attempt);
                tokio::time::sleep(UNIT * u32::try_from(units).unwrap_or(u32::MAX)).await;
                Ok::<_, String>(part)
            },
        )
        .count(stragglers::AGENTS)
        .start()?;
    let options =
        Options { speculate: true, timeout: Duration::from_secs(100_000), ..Options::default() };
    let begun = tokio::time::Instant::now();
    let run = map_reduce(0..stragglers::PARTS, &agent).options(options);
    let done = system.run(run).deadline(Duration::from_secs(86_000)).await?;
    ensure!(done.value.len() == stragglers::PARTS, "parts were lost");
    let units = begun.elapsed().as_secs_f64() / UNIT.as_secs_f64();
    system.node().close().await.context("stop the node")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    Ok(units.round() as u64)
}

/// Tells tokio's paused time.
struct VirtualClock(tokio::time::Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Moment {
        Moment::START + self.0.elapsed()
    }

    fn unix_nanos(&self) -> i64 {
        i64::try_from(self.0.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }
}

fn nothing(system: &AgentSystem, concurrency: u32) -> Result<Agent<u64, u64>> {
    let agent = system.agent("nothing", |part: u64, _| async move { Ok::<_, String>(part) });
    agent.count(AGENTS).concurrency(concurrency).start().context("start the agents")
}

async fn run(system: &AgentSystem, agent: &Agent<u64, u64>) -> Result<()> {
    let done = system.run(map_reduce(0..PARTS, agent).reduce(sum())).deadline(DEADLINE).await?;
    ensure!(done.value == PARTS * (PARTS - 1) / 2, "a part was lost");
    Ok(())
}
