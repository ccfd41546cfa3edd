//! The floor: bare tokio tasks and bounded channels, no supervision, no addresses, no deadlines.
use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{BATCH, BOUND, RING, SENDERS, SWARM, WAVE};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::Outcome;

/// One task sends to one task.
pub(crate) fn tell(count: u64) -> Outcome {
    fan(count, 1)
}

/// Several tasks send to one task.
pub(crate) fn fan_in(count: u64) -> Outcome {
    fan(count, SENDERS)
}

fn fan(count: u64, senders: u64) -> Outcome {
    let each = count / senders;
    let time = on_workers(async move {
        let (tx, mut rx) = mpsc::channel::<u64>(BOUND);
        let mut receiver = JoinSet::new();
        receiver.spawn(async move {
            let mut sum = 0_u64;
            while let Some(number) = rx.recv().await {
                sum = sum.wrapping_add(number);
            }
            sum
        });
        let watch = Watch::start();
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            let tx = tx.clone();
            tasks.spawn(async move {
                for number in 0..each {
                    tx.send(number).await?;
                }
                anyhow::Ok(())
            });
        }
        drop(tx);
        while let Some(sent) = tasks.join_next().await {
            sent.context("join a sender")??;
        }
        let sum = receiver.join_next().await.context("join the receiver")??;
        ensure!(sum == senders * (each * (each - 1) / 2), "messages were lost");
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(each * senders, time)))
}

/// A token goes around.
pub(crate) fn ring(hops: u64) -> Outcome {
    let time = on_workers(async move {
        let (done, finished) = oneshot::channel();
        let mut done = Some(done);
        let (first, mut rx) = mpsc::channel::<u64>(BOUND);
        let mut tasks = JoinSet::new();
        for place in 0..RING {
            let last = place + 1 == RING;
            let (next, next_rx) = mpsc::channel(BOUND);
            let next = if last { first.clone() } else { next };
            let done = if last { done.take() } else { None };
            tasks.spawn(pass_on(std::mem::replace(&mut rx, next_rx), next, done));
        }
        let watch = Watch::start();
        first.send(hops).await.context("start the token")?;
        finished.await.context("wait for the token")?;
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(hops, time)))
}

/// Passes the token on; the one with `done` tells when it has gone far enough.
async fn pass_on(
    mut rx: mpsc::Receiver<u64>,
    next: mpsc::Sender<u64>,
    mut done: Option<oneshot::Sender<()>>,
) {
    while let Some(left) = rx.recv().await {
        if left <= 1
            && let Some(done) = done.take()
        {
            done.send(()).ok();
            return;
        }
        if next.send(left.saturating_sub(1).max(1)).await.is_err() {
            return;
        }
    }
}

/// One task asks one task, `open` questions at a time.
pub(crate) fn ask(count: u64, open: usize) -> Outcome {
    let time = on_workers(async move {
        let (tx, mut rx) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(BOUND);
        let mut echo = JoinSet::new();
        echo.spawn(async move {
            while let Some((number, reply)) = rx.recv().await {
                reply.send(number).ok();
            }
        });
        let one = |number| question(&tx, number);
        let watch = Watch::start();
        if open == 1 {
            for number in 0..count {
                ensure!(one(number).await? == number, "a wrong answer");
            }
            return Ok(watch.time());
        }
        let mut asks: FuturesUnordered<_> = (0..open as u64).map(one).collect();
        let mut next = open as u64;
        while let Some(answer) = asks.next().await {
            answer?;
            if next < count {
                asks.push(one(next));
                next += 1;
            }
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(count, time)))
}

async fn question(tx: &mpsc::Sender<(u64, oneshot::Sender<u64>)>, number: u64) -> Result<u64> {
    let (reply, answer) = oneshot::channel();
    tx.send((number, reply)).await.context("ask")?;
    answer.await.context("await the answer")
}

/// Everyone gets a tick and tells the gatherer.
pub(crate) fn swarm_tick(ticks: u64) -> Outcome {
    let time = on_workers(async move {
        let (gather, mut gathered) = mpsc::channel::<u64>(BOUND);
        let mut tasks = JoinSet::new();
        let mut agents = Vec::with_capacity(SWARM);
        for _ in 0..SWARM {
            let (tx, mut rx) = mpsc::channel::<u64>(BOUND);
            let gather = gather.clone();
            tasks.spawn(async move {
                while let Some(tick) = rx.recv().await {
                    if gather.send(tick).await.is_err() {
                        return;
                    }
                }
            });
            agents.push(tx);
        }
        let (next, mut go) = mpsc::channel::<()>(1);
        let mut gatherer = JoinSet::new();
        gatherer.spawn(async move {
            let mut count = 0;
            while gathered.recv().await.is_some() {
                count += 1;
                if count == SWARM {
                    count = 0;
                    if next.send(()).await.is_err() {
                        return;
                    }
                }
            }
        });
        let mut watch = Watch::start();
        for tick in 0..=ticks {
            for agent in &agents {
                agent.send(tick).await.context("tick")?;
            }
            go.recv().await.context("gather")?;
            if tick == 0 {
                watch = Watch::start();
            }
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(ticks * SWARM as u64, time)))
}

/// Tasks come and go in waves, each with a channel.
pub(crate) fn spawn(waves: u64) -> Outcome {
    let time = on_workers(async move {
        let watch = Watch::start();
        for _ in 0..waves {
            let mut tasks = JoinSet::new();
            let mut wave = Vec::with_capacity(WAVE);
            for _ in 0..WAVE {
                let (tx, mut rx) = mpsc::channel::<()>(BOUND);
                tasks.spawn(async move { while rx.recv().await.is_some() {} });
                wave.push(tx);
            }
            drop(wave);
            while let Some(ended) = tasks.join_next().await {
                ended.context("join a task")?;
            }
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(waves * WAVE as u64, time)))
}

/// One task sends batches to one task.
pub(crate) fn batch(batches: u64) -> Outcome {
    let time = on_workers(async move {
        let (tx, mut rx) = mpsc::channel::<Vec<u64>>(BOUND);
        let mut receiver = JoinSet::new();
        receiver.spawn(async move {
            let mut count = 0;
            while let Some(batch) = rx.recv().await {
                count += batch.len() as u64;
            }
            count
        });
        let watch = Watch::start();
        for batch in 0..batches {
            tx.send((batch..batch + BATCH).collect()).await.context("send")?;
        }
        drop(tx);
        let count = receiver.join_next().await.context("wait for the last")?.context("join")?;
        ensure!(count == batches * BATCH, "numbers were lost");
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(batches * BATCH, time)))
}
