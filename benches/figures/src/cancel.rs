//! `cancel.quiescence`: how long a cancel takes until all below is quiet.
//!
//! A tree of 10,000 actors in four levels (1, 9, 90 and 9,900), of which each leaf has a timer, a task that waits and a message to
//! itself under way, is cancelled at its root. The time runs from the order to the end of the last actor; then the node has none
//! left. A round cancels 100 trees one after the other, and its value is the 99th percentile. tokio aborts and joins as many tasks.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use synod::prelude::*;
use tokio::sync::mpsc;

use crate::clock::{Watch, on_workers};
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "cancel.quiescence",
    unit: "ms",
    rounds: None,
    goal: Goal::at_most(50.0, "1 ms"),
    contenders: &[
        Contender::synod(synod),
        Contender::floor("1 ms", |_| Ok(Ok(1.0))),
        Contender::floor("tokio", tokio),
    ],
}];

/// Children of each actor, level by level.
const CHILDREN: [usize; 3] = [9, 10, 110];
const ACTORS: usize = 10_000;
/// Trees of the full form.
const TREES: u64 = 100;

/// Tells when all are born.
#[derive(Clone)]
struct Births {
    count: Arc<AtomicUsize>,
    all: mpsc::Sender<()>,
}

impl Births {
    fn born(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == ACTORS {
            self.all.try_send(()).ok();
        }
    }
}

/// An actor with children, or a leaf that is never done.
struct Branch {
    level: usize,
    births: Births,
}

impl Actor for Branch {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        let (level, births) = (self.level + 1, &self.births);
        match CHILDREN.get(self.level) {
            Some(children) => {
                for child in 0..*children {
                    let births = births.clone();
                    let birth = move || Branch { level, births: births.clone() };
                    cx.spawn(Spawn::named(child.to_string()), birth);
                }
            }
            None => {
                cx.after(Duration::from_secs(60), ());
                cx.perform(std::future::pending::<()>(), |_| ());
                cx.after(Duration::from_millis(1), ());
            }
        }
        self.births.born();
    }

    fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
        cx.after(Duration::from_millis(5), ());
    }
}

fn synod(settings: &Settings) -> Outcome {
    let trees = settings.count(TREES);
    let times = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let before = node.kernel().actors().len();
        let mut times = Vec::new();
        for _ in 0..trees {
            let (all, mut born) = mpsc::channel(1);
            let births = Births { count: Arc::default(), all };
            let root = node
                .spawn(Spawn::named("root"), move || Branch { level: 0, births: births.clone() });
            born.recv().await.context("wait for the last birth")?;
            let watch = Watch::start();
            root.cancel();
            root.stopped().await;
            // Whoever was left behind counts too.
            while node.kernel().actors().len() > before {
                tokio::task::yield_now().await;
            }
            times.push(watch.time());
        }
        node.kernel().close().await.context("stop the node")?;
        Ok(times)
    })?;
    Ok(Ok(percentile_99(times)))
}

fn tokio(settings: &Settings) -> Outcome {
    let trees = settings.count(TREES);
    let times = on_workers(async move {
        let mut times = Vec::new();
        for _ in 0..trees {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..ACTORS {
                tasks.spawn(std::future::pending::<()>());
            }
            tokio::task::yield_now().await;
            let watch = Watch::start();
            tasks.shutdown().await;
            times.push(watch.time());
        }
        Ok(times)
    })?;
    Ok(Ok(percentile_99(times)))
}

/// The nearest rank, in milliseconds.
pub(crate) fn percentile_99(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let rank = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_that_of_the_nearest_rank() {
        let times = |count: u64| (1..=count).rev().map(Duration::from_millis).collect();
        assert!((percentile_99(times(100)) - 99.0).abs() < 1e-9);
        assert!((percentile_99(times(13)) - 13.0).abs() < 1e-9);
    }

    #[test]
    fn the_tree_has_as_many_actors_as_it_says() {
        let levels = CHILDREN.iter().scan(1, |level, children| {
            *level *= children;
            Some(*level)
        });
        assert_eq!(1 + levels.sum::<usize>(), ACTORS);
    }
}
