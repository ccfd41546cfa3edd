//! The floor of `parts`: tasks and channels, no retry, no deadline, no record.
use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{AGENTS, PARTS};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Outcome, Settings};

/// Parts that wait for one worker, or results for the one who gathers.
const BOUND: usize = 1024;
/// Runs over all parts in one measurement.
const REPEATS: u64 = 80;

/// Splits, sends, gathers.
pub(crate) fn parts(settings: &Settings) -> Outcome {
    let repeats = settings.count(REPEATS);
    let time = on_workers(async move {
        let (results, mut gathered) = mpsc::channel::<u64>(BOUND);
        let mut tasks = JoinSet::new();
        let workers: Vec<mpsc::Sender<u64>> = (0..AGENTS)
            .map(|_| {
                let (tx, rx) = mpsc::channel(BOUND);
                tasks.spawn(work(rx, results.clone()));
                tx
            })
            .collect();
        let watch = Watch::start();
        for _ in 0..repeats {
            let workers = workers.clone();
            tasks.spawn(async move {
                for (part, worker) in (0..PARTS).zip(workers.iter().cycle()) {
                    if worker.send(part).await.is_err() {
                        return;
                    }
                }
            });
            ensure!(sum(&mut gathered).await? == PARTS * (PARTS - 1) / 2, "a part was lost");
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(repeats * PARTS, time)))
}

/// Does nothing with each part and returns it.
async fn work(mut parts: mpsc::Receiver<u64>, results: mpsc::Sender<u64>) {
    while let Some(part) = parts.recv().await {
        if results.send(part).await.is_err() {
            return;
        }
    }
}

async fn sum(gathered: &mut mpsc::Receiver<u64>) -> Result<u64> {
    let mut sum = 0;
    for _ in 0..PARTS {
        sum += gathered.recv().await.context("gather a result")?;
    }
    Ok(sum)
}
