//! The floor: a task a round, channels to the voters, integers; no deadline, no record, no reason.
#![expect(clippy::disallowed_methods, reason = "the floor is bare tokio")]

use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{AT_ONCE, WEIGHTS, is_for};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Rounds in one measurement.
const ROUNDS: u64 = 400_000;
/// Questions that wait for one voter.
const BOUND: usize = 1024;

type Ask = (u64, mpsc::Sender<(usize, bool)>);

/// Votes, each a task of its own.
pub(crate) fn rounds(settings: &Settings) -> Outcome {
    let rounds = settings.count(ROUNDS);
    let time = on_workers(async move {
        let voters: Vec<mpsc::Sender<Ask>> = (0..WEIGHTS.len())
            .map(|number| {
                let (tx, rx) = mpsc::channel(BOUND);
                drop(tokio::spawn(answer(number, rx)));
                tx
            })
            .collect();
        let watch = Watch::start();
        let mut lanes = JoinSet::new();
        for lane in 0..AT_ONCE {
            let voters = voters.clone();
            lanes.spawn(async move {
                for round in (lane..rounds).step_by(usize::try_from(AT_ONCE)?) {
                    let coordinator = tokio::spawn(vote(voters.clone(), round));
                    ensure!(coordinator.await??, "a round was decided wrongly");
                }
                anyhow::Ok(())
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.context("join a lane")??;
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(rounds, time)))
}

/// A voter: answers each question.
async fn answer(number: usize, mut asks: mpsc::Receiver<Ask>) {
    while let Some((round, reply)) = asks.recv().await {
        reply.send((number, is_for(number, round))).await.ok();
    }
}

/// A coordinator: asks all, counts, and says whether two thirds of the weight are for the first choice.
async fn vote(voters: Vec<mpsc::Sender<Ask>>, round: u64) -> Result<bool> {
    let (tx, mut ballots) = mpsc::channel(WEIGHTS.len());
    for voter in &voters {
        voter.send((round, tx.clone())).await.ok().context("ask a voter")?;
    }
    drop(tx);
    let mut weight = 0;
    while let Some((voter, is_for)) = ballots.recv().await {
        weight += if is_for { WEIGHTS.get(voter).copied().unwrap_or(0) } else { 0 };
    }
    Ok(3 * weight >= 2 * WEIGHTS.iter().sum::<u32>())
}
