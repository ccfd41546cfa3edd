//! Pipelines in the deterministic simulation: every document is accounted for, whatever crashes, hangs or is late.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    backoff::Backoff,
    node::Node,
    retry::Retries,
    sim::{Fault, World, sim},
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{CallContext, handle::Agent},
    pattern::{
        Completed,
        pipeline::{PassageEnd, Pipeline, Report, pipeline, stage},
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const DOCUMENTS: u64 = 24;
const RUN: RunId = RunId::from_u128(5);

/// What runs on the one node, in its present life.
#[derive(Clone)]
struct Running {
    system: AgentSystem,
    read: Agent<Value, Value>,
    sum: Agent<Value, Value>,
    behind: Agent<Value, Value>,
}

type Present = Arc<Mutex<Option<Running>>>;

/// What the caller was told.
type Told = Arc<Mutex<Vec<Completed<Report>>>>;

fn boot(node: &Node, present: &Present) {
    let system = AgentSystem::start(node.clone());
    let agent = |name: &str, poison: Option<u64>| {
        let agent = system.agent(name, move |document: Value, cx: CallContext| async move {
            let n = document["n"].as_u64().ok_or_else(|| "no number".to_owned())?;
            let wait = Duration::from_millis(10 + n % 5 * 20);
            cx.sleep(wait).await.map_err(|error| error.to_string())?;
            match poison {
                Some(poison) if n % 8 == poison => Err(format!("{n} is poison")),
                _ => Ok(json!({ "n": n, "sum": document["sum"].as_u64().unwrap_or(0) + n })),
            }
        });
        agent.count(2).concurrency(2).start().unwrap()
    };
    // A document of a kind that one fails at falls; of another, both fail.
    let (read, sum, behind) = (agent("read", None), agent("sum", Some(3)), agent("behind", None));
    *present.lock().unwrap() = Some(Running { read, sum, behind, system: system.clone() });
}

fn described(running: &Running, ordered: bool) -> Pipeline {
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
    let retries = Retries { attempts: 2, backoff };
    let documents =
        (0..DOCUMENTS).map(|n| if n % 8 == 7 { json!({ "m": n }) } else { json!({ "n": n }) });
    let number = json!({ "required": ["n"] });
    let hang = Duration::from_secs(3);
    let stages = [
        stage("read", &running.read).input(&number).window(4).timeout(hang),
        stage("sum", &running.sum)
            .fallback(&running.behind)
            .retries(retries)
            .window(3)
            .timeout(hang),
        stage("again", &running.read).output(&number).window(2).timeout(hang),
    ];
    let run = pipeline(documents.collect::<Vec<_>>(), stages);
    if ordered { run.ordered() } else { run }
}

/// One run, taken up again after each loss until it completes.
fn caller(world: &World, ordered: bool) -> Told {
    let (present, told) = (Present::default(), Told::default());
    let boots = Arc::clone(&present);
    world.node("one", move |node| boot(node, &boots));
    let (outside, results) = (world.clone(), Arc::clone(&told));
    world.client("caller", async move {
        for _ in 0..200 {
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            if let Some(running) = here {
                let run = running.system.run(described(&running, ordered));
                let outcome = run.id(RUN).deadline(MINUTE).await;
                if let Ok(done) = outcome {
                    results.lock().unwrap().push(done);
                    return;
                }
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    told
}

/// Whether every document is accounted for as it should be, exactly once. Hung or lost calls cost attempts, so what is not
/// poison may fail too, but only where the report says so.
fn is_right(told: &Told, calm: bool) -> bool {
    let done = told.lock().unwrap();
    let [done] = done.as_slice() else { return false };
    let documents = &done.value.documents;
    let failed: BTreeMap<u32, &str> =
        done.failed.iter().map(|failed| (failed.part, failed.error.as_str())).collect();
    let right = documents.iter().zip(0_u64..).all(|(passage, n)| {
        let is_right = match &passage.end {
            PassageEnd::Done => {
                let output = passage.output().unwrap();
                passage.steps.len() == 3 && *output == json!({ "n": n, "sum": 3 * n }) && n % 8 != 7
            }
            PassageEnd::Failed { stage, .. } => {
                failed.contains_key(&passage.document) && (n % 8 == 7 && stage == "read" || !calm)
            }
            PassageEnd::Open { .. } => false,
        };
        is_right && u64::from(passage.document) == n
    });
    let (ends, tally) = (documents.len() as u64, &done.tally);
    let passed: u64 = done.value.stages.last().map_or(0, |stage| stage.passed);
    right
        && (ends, tally.units) == (DOCUMENTS, DOCUMENTS)
        && tally.done + failed.len() as u64 == DOCUMENTS
        && passed == tally.done
        && (!calm || failed.len() == 3)
}

/// Runs the seeds; tells how many, and how often the actors of stages were started anew.
fn simulate(seeds: u64, ordered: bool, faults: &[Fault], spare: &[String]) -> (u64, u64) {
    let calm = !faults.contains(&Fault::Hang);
    let restarts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&restarts);
    let report = sim(move |world: &World| caller(world, ordered))
        .seeds(seeds)
        .storm(Duration::from_secs(2))
        .count(8)
        .healing(MINUTE * 5)
        .faults(faults.to_vec())
        .spare(spare.to_vec())
        .finally("every document is accounted for", move |_, told| {
            let stages = told.lock().unwrap().first().map(|done| done.value.stages.clone());
            let again: u64 = stages.iter().flatten().map(|stage| stage.restarts).sum();
            counted.fetch_add(again, Ordering::SeqCst);
            is_right(told, calm)
        })
        .run();
    (report.seeds, restarts.load(Ordering::SeqCst))
}

#[test]
fn every_document_is_accounted_for_after_crashes_and_delays() {
    let faults = [Fault::Crash, Fault::DiskCrash, Fault::Delay, Fault::Slow];
    simulate(40, false, &faults, &[]);
    simulate(20, true, &faults, &[]);
}

#[test]
fn every_document_is_accounted_for_where_agents_hang() {
    let faults = [Fault::Crash, Fault::Hang, Fault::Delay];
    simulate(30, false, &faults, &[]);
}

#[test]
fn a_stage_whose_actor_crashes_is_started_anew_and_loses_no_document() {
    let names = ["read/0", "read/1", "sum/2", "sum/3", "behind/4", "behind/5"];
    let spared: Vec<String> = names
        .iter()
        .map(|name| format!("agent/{name}/slot"))
        .chain([format!("runs/{RUN}"), "agents/roster".to_owned()])
        .collect();
    let (seeds, restarts) = simulate(60, false, &[Fault::Panic, Fault::Delay], &spared);
    assert!(restarts > seeds || seeds == 1, "stages were started anew {restarts} times");
}

#[test]
fn no_document_is_lost_though_the_roster_crashes() {
    let names = ["read/0", "read/1", "sum/2", "sum/3", "behind/4", "behind/5"];
    let stages = ["", "/read", "/sum", "/again"].map(|stage| format!("runs/{RUN}{stage}"));
    let spared: Vec<String> =
        names.iter().map(|name| format!("agent/{name}/slot")).chain(stages).collect();
    simulate(40, true, &[Fault::Panic, Fault::Delay], &spared);
}
