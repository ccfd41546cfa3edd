//! Synod's own side: everything on that a user has on.
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use synod::actors::agent::Agent;
use synod::actors::pattern::consensus::{
    ClosedBy, Exact, Opinion, Proposal, Quorum, Request, Rules, Voter, consensus,
};
use synod::actors::system::AgentSystem;
use synod::runtime::node::Node;
use tokio::task::JoinSet;

use super::{AT_ONCE, WEIGHTS, is_for};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Rounds in one measurement.
const ROUNDS: u64 = 16_000;
/// What every round has.
const DEADLINE: Duration = Duration::from_secs(600);

/// Votes, each a run of its own.
pub(crate) fn rounds(settings: &Settings) -> Outcome {
    let rounds = settings.count(ROUNDS);
    let time = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let voters: Arc<[(Voter, Agent<Request, Opinion>)]> = WEIGHTS
            .iter()
            .enumerate()
            .map(|(number, weight)| voter(&system, number, *weight))
            .collect::<Result<_>>()?;
        let watch = Watch::start();
        let mut lanes = JoinSet::new();
        for lane in 0..AT_ONCE {
            let (system, voters) = (system.clone(), Arc::clone(&voters));
            lanes.spawn(async move {
                for round in (lane..rounds).step_by(usize::try_from(AT_ONCE)?) {
                    vote(&system, &voters, round).await?;
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
    Ok(Ok(per_second(rounds, time)))
}

/// Votes of the full form of `consensus.overrun`.
const SILENT_VOTES: u64 = 100;
/// The time of each of their rounds.
const A_ROUND: Duration = Duration::from_millis(50);

/// How much longer than its time the longest of some votes takes whose last voter is silent.
pub(crate) fn overrun(settings: &Settings) -> Outcome {
    let votes = settings.count(SILENT_VOTES);
    let longest = on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let mut voters = Vec::new();
        for (number, weight) in WEIGHTS.iter().enumerate().take(WEIGHTS.len() - 1) {
            voters.push(voter(&system, number, *weight)?);
        }
        let silent = system
            .agent("silent", |_: Request, _| std::future::pending::<Result<Opinion, String>>());
        voters.push((Voter::new("silent"), silent.start().context("start a voter")?));
        let mut longest = Duration::ZERO;
        for _ in 0..votes {
            let proposal = Proposal::new("ship?", ["ship", "hold"]);
            let rules = Rules { close_early: false, ..Rules::default() };
            let vote =
                consensus(proposal, voters.iter().map(|(voter, agent)| (voter.clone(), agent)));
            let watch = Watch::start();
            let vote = vote.rules(rules).within(A_ROUND);
            let done = system.run(vote).deadline(DEADLINE).await?;
            longest = longest.max(watch.time());
            ensure!(done.value.closed == ClosedBy::Deadline, "nobody was waited for");
            ensure!(done.value.participation.counted == 4, "a quick voter is missing");
        }
        system.node().close().await.context("stop the node")?;
        Ok(longest)
    })?;
    Ok(Ok(longest.saturating_sub(A_ROUND).as_secs_f64() * 1e3))
}

fn voter(
    system: &AgentSystem,
    number: usize,
    weight: u32,
) -> Result<(Voter, Agent<Request, Opinion>)> {
    let agent = system.agent(format!("voter {number}"), move |request: Request, _| async move {
        let round = request.proposal.data.as_u64().unwrap_or(0);
        Ok::<_, String>(Opinion::one(if is_for(number, round) { "ship" } else { "hold" }))
    });
    let agent = agent.concurrency(u32::try_from(AT_ONCE)?).start().context("start a voter")?;
    Ok((Voter::new(format!("voter {number}")).expertise(Exact::from(weight)), agent))
}

async fn vote(
    system: &AgentSystem,
    voters: &[(Voter, Agent<Request, Opinion>)],
    round: u64,
) -> Result<()> {
    let proposal = Proposal::new("ship?", ["ship", "hold"]).data(round.into());
    let rules = Rules {
        quorum: Some(Quorum::of_electorate(Exact::ratio(2, 3)?)),
        close_early: false,
        ..Rules::default()
    };
    let voters = voters.iter().map(|(voter, agent)| (voter.clone(), agent));
    let done = system.run(consensus(proposal, voters).rules(rules)).deadline(DEADLINE).await?;
    ensure!(done.value.outcome.choice() == Some("ship"), "a round was decided wrongly");
    Ok(())
}
