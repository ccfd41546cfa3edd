//! The floors: tasks and channels, numbers; no plan that anybody reads, no deadline, no record, nobody who supervises.
#![expect(clippy::disallowed_methods, reason = "the floor is bare tokio")]

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{AT_ONCE, EACH, TEAMS, check, input};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Missions in one measurement.
const MISSIONS: u64 = 100_000;
/// What waits for one task.
const BOUND: usize = 1024;

/// A mission, and who waits for what it comes to.
type Mission = (u64, oneshot::Sender<u64>);
/// What somebody below has done for a mission: its number, and the sum of the outputs.
type Part = (u64, u64);

/// Missions through one standing hierarchy.
pub(crate) fn missions(settings: &Settings) -> Outcome {
    let missions = settings.count(MISSIONS);
    let time = on_workers(async move {
        let (tx, rx) = mpsc::channel(BOUND);
        drop(tokio::spawn(supervise(rx)));
        in_lanes(missions, move |number| {
            let tx = tx.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                tx.send((number, reply)).await.ok().context("give a mission")?;
                answer.await.context("wait for a mission")
            }
        })
        .await
    })?;
    Ok(Ok(per_second(missions, time)))
}

/// Missions, each with a hierarchy of its own.
pub(crate) fn spawned(settings: &Settings) -> Outcome {
    let missions = settings.count(MISSIONS);
    let time = on_workers(async move {
        in_lanes(missions, |number| async move {
            let (tx, rx) = mpsc::channel(1);
            let supervisor = tokio::spawn(supervise(rx));
            let (reply, answer) = oneshot::channel();
            tx.send((number, reply)).await.ok().context("give a mission")?;
            drop(tx);
            supervisor.await.context("join a supervisor")?;
            answer.await.context("wait for a mission")
        })
        .await
    })?;
    Ok(Ok(per_second(missions, time)))
}

/// Does missions in lanes, and checks what each comes to.
async fn in_lanes<F: Future<Output = Result<u64>> + Send + 'static>(
    missions: u64,
    one: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<std::time::Duration> {
    let watch = Watch::start();
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let one = one.clone();
        lanes.spawn(async move {
            for number in (lane..missions).step_by(usize::try_from(AT_ONCE)?) {
                check(number, one(number).await?)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.context("join a lane")??;
    }
    Ok(watch.time())
}

/// The supervisor: gives each leader its part of a mission, and adds up what they bring.
async fn supervise(mut missions: mpsc::Receiver<Mission>) {
    let (up, mut parts) = mpsc::channel::<Part>(BOUND);
    let leaders: Vec<mpsc::Sender<u64>> = (0..TEAMS)
        .map(|team| {
            let (tx, rx) = mpsc::channel(BOUND);
            drop(tokio::spawn(lead(team, rx, up.clone())));
            tx
        })
        .collect();
    drop(up);
    let mut open: HashMap<u64, (u64, u64, oneshot::Sender<u64>)> = HashMap::new();
    let mut is_over = false;
    while !is_over || !open.is_empty() {
        tokio::select! {
            mission = missions.recv(), if !is_over => match mission {
                Some((number, reply)) => {
                    open.insert(number, (TEAMS, 0, reply));
                    for leader in &leaders {
                        leader.send(number).await.ok();
                    }
                }
                None => is_over = true,
            },
            Some((number, sum)) = parts.recv() => {
                let Some(own) = open.get_mut(&number) else { continue };
                own.0 -= 1;
                own.1 += sum;
                if own.0 == 0 && let Some((_, sum, reply)) = open.remove(&number) {
                    reply.send(sum).ok();
                }
            }
        }
    }
}

/// A leader: gives each worker its task of a mission, and adds up what they bring.
async fn lead(team: u64, mut missions: mpsc::Receiver<u64>, up: mpsc::Sender<Part>) {
    let (done, mut parts) = mpsc::channel::<Part>(BOUND);
    let workers: Vec<mpsc::Sender<Part>> = (0..EACH)
        .map(|_| {
            let (tx, rx) = mpsc::channel(BOUND);
            drop(tokio::spawn(work(rx, done.clone())));
            tx
        })
        .collect();
    drop(done);
    let mut open: HashMap<u64, (u64, u64)> = HashMap::new();
    let mut is_over = false;
    while !is_over || !open.is_empty() {
        tokio::select! {
            mission = missions.recv(), if !is_over => match mission {
                Some(number) => {
                    open.insert(number, (EACH, 0));
                    for (worker, task) in workers.iter().zip(0..) {
                        worker.send((number, input(number, team, task))).await.ok();
                    }
                }
                None => is_over = true,
            },
            Some((number, output)) = parts.recv() => {
                let Some(own) = open.get_mut(&number) else { continue };
                own.0 -= 1;
                own.1 += output;
                if own.0 == 0 && let Some((_, sum)) = open.remove(&number) {
                    up.send((number, sum)).await.ok();
                }
            }
        }
    }
}

/// A worker: adds one.
async fn work(mut tasks: mpsc::Receiver<Part>, done: mpsc::Sender<Part>) {
    while let Some((mission, number)) = tasks.recv().await {
        if done.send((mission, number + 1)).await.is_err() {
            return;
        }
    }
}
