//! `pipeline.documents`: what it costs to send a document through three stages that do nothing.
//!
//! Documents of 1 KiB, 64 in flight. The floors check, record and keep nothing, and have no deadline: `tokio` is three tasks that
//! pass documents on over bounded channels; `tokio asks` asks three such tasks in turn and waits for each answer.
use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use synod::actors::{
    agent::Agent,
    pattern::pipeline::{pipeline, stage},
    system::AgentSystem,
};
use synod::runtime::node::Node;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

/// Documents of one run; what its journal holds stays in memory.
const DOCUMENTS: u64 = 10_000;
/// Runs in one measurement.
const REPEATS: u64 = 16;
/// The same for the floor.
const FLOOR_REPEATS: u64 = 80;
/// Documents in flight.
const IN_FLIGHT: usize = 64;
/// Stages.
const STAGES: usize = 3;
/// Bytes of a document.
const BYTES: usize = 1_024;
/// What every run has.
const DEADLINE: Duration = Duration::from_secs(600);

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "pipeline.documents",
    unit: "documents/s",
    rounds: None,
    goal: Goal::at_least(0.15, "tokio").and(150_000.0),
    contenders: &[
        Contender::synod(documents),
        Contender::floor("tokio", channels),
        Contender::floor("tokio asks", asks),
    ],
}];

/// Synod's own side: everything on that a user has on, journal in memory.
fn documents(settings: &Settings) -> Outcome {
    let repeats = settings.count(REPEATS);
    let time = on_workers(async move {
        let mut time = Duration::ZERO;
        for _ in 0..repeats {
            // A node for each run, since the journal keeps what it is given.
            let system = AgentSystem::start(Node::in_memory().context("open a node")?);
            let agents = [nothing(&system)?, nothing(&system)?, nothing(&system)?];
            let text = json!("x".repeat(BYTES));
            let documents = (0..DOCUMENTS).map(move |_| text.clone());
            // The windows share what may be in flight.
            let window = IN_FLIGHT / STAGES;
            let stages = ["one", "two", "three"];
            let stages =
                stages.iter().zip(&agents).map(|(name, agent)| stage(*name, agent).window(window));
            let run = pipeline(documents, stages.collect::<Vec<_>>());
            let watch = Watch::start();
            let done = system.run(run).deadline(DEADLINE).await?;
            time += watch.time();
            ensure!(done.tally.done == DOCUMENTS, "a document was lost");
            system.node().close().await.context("stop the node")?;
        }
        Ok(time)
    })?;
    Ok(Ok(per_second(repeats * DOCUMENTS, time)))
}

fn nothing(system: &AgentSystem) -> Result<Agent<Value, Value>> {
    let agent =
        system.agent("nothing", |document: Value, _| async move { Ok::<_, String>(document) });
    agent.concurrency(u32::try_from(IN_FLIGHT)?).start().context("start an agent")
}

/// The floor: a task a stage, which hands each document to the next, and a place for each document in flight.
fn channels(settings: &Settings) -> Outcome {
    let count = settings.count(FLOOR_REPEATS) * DOCUMENTS;
    let time = on_workers(async move {
        let mut tasks = JoinSet::new();
        let (first, mut documents) = mpsc::channel::<String>(IN_FLIGHT);
        for _ in 0..STAGES {
            let (to, next) = mpsc::channel(IN_FLIGHT);
            let mut from = std::mem::replace(&mut documents, next);
            tasks.spawn(async move {
                while let Some(document) = from.recv().await {
                    if to.send(document).await.is_err() {
                        break;
                    }
                }
            });
        }
        let watch = Watch::start();
        let places = Arc::new(Semaphore::new(IN_FLIGHT));
        let taken = Arc::clone(&places);
        tasks.spawn(async move {
            for _ in 0..count {
                let Ok(place) = taken.acquire().await else { break };
                place.forget();
                if first.send("x".repeat(BYTES)).await.is_err() {
                    break;
                }
            }
        });
        let mut passed = 0;
        while let Some(document) = documents.recv().await {
            ensure!(document.len() == BYTES, "a document was cut");
            places.add_permits(1);
            passed += 1;
        }
        ensure!(passed == count, "a document was lost");
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(count, time)))
}

/// What a stage of the second floor is asked.
type Ask = (String, oneshot::Sender<String>);

/// The second floor: a task a stage, which answers each question; 64 lanes, each of which takes one document through all stages.
fn asks(settings: &Settings) -> Outcome {
    let count = settings.count(FLOOR_REPEATS) * DOCUMENTS;
    let time = on_workers(async move {
        let mut tasks = JoinSet::new();
        let stages: Vec<mpsc::Sender<Ask>> = (0..STAGES)
            .map(|_| {
                let (asks, mut questions) = mpsc::channel::<Ask>(IN_FLIGHT);
                tasks.spawn(async move {
                    while let Some((document, reply)) = questions.recv().await {
                        reply.send(document).ok();
                    }
                });
                asks
            })
            .collect();
        let watch = Watch::start();
        let mut lanes = JoinSet::new();
        for lane in 0..IN_FLIGHT as u64 {
            let stages = stages.clone();
            lanes.spawn(async move {
                for _ in (lane..count).step_by(IN_FLIGHT) {
                    let document = through(&stages, "x".repeat(BYTES)).await?;
                    ensure!(document.len() == BYTES, "a document was cut");
                }
                anyhow::Ok(())
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.context("join a lane")??;
        }
        Ok(watch.time())
    })?;
    Ok(Ok(per_second(count, time)))
}

/// Asks each stage, with what the one before has answered.
async fn through(stages: &[mpsc::Sender<Ask>], mut document: String) -> Result<String> {
    for stage in stages {
        let (reply, answer) = oneshot::channel();
        stage.send((document, reply)).await.ok().context("ask a stage")?;
        document = answer.await.context("take an answer")?;
    }
    Ok(document)
}
