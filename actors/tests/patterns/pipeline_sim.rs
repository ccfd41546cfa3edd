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
    budget::Limits,
    node::Node,
    retry::Retries,
    sim::{Fault, World, sim},
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{CallContext, handle::Agent},
    pattern::{
        Completed, FailureKind, Outcome,
        pipeline::{PassageEnd, Pipeline, Report, pipeline, recount, stage},
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

/// The calls that a run may make at first, where it is limited; it takes 72 and more.
const CALLS: u64 = 40;

type Present = Arc<Mutex<Option<Running>>>;

/// What the caller was told, and what the agents saw.
#[derive(Default)]
struct Seen {
    done: Vec<Completed<Report>>,
    /// The same, made anew from the journal.
    again: Vec<Report>,
    wrong: Vec<String>,
    /// Calls that agents got.
    calls: AtomicU64,
    /// How many they were when the run was over its budget.
    over: Option<u64>,
}

type Told = Arc<Mutex<Seen>>;

fn boot(node: &Node, present: &Present, told: &Told) {
    let system = AgentSystem::start(node.clone());
    let agent = |name: &str, poison: Option<u64>| {
        let told = Arc::clone(told);
        let agent = system.agent(name, move |document: Value, cx: CallContext| {
            told.lock().unwrap().calls.fetch_add(1, Ordering::SeqCst);
            work(document, cx, poison)
        });
        agent.count(2).concurrency(2).start().unwrap()
    };
    // A document of a kind that one fails at falls; of another, both fail.
    let (read, sum, behind) = (agent("read", None), agent("sum", Some(3)), agent("behind", None));
    *present.lock().unwrap() = Some(Running { read, sum, behind, system: system.clone() });
}

/// Adds a document's number to what was added before; poison is what it fails at.
async fn work(document: Value, cx: CallContext, poison: Option<u64>) -> Result<Value, String> {
    let n = document["n"].as_u64().ok_or_else(|| "no number".to_owned())?;
    let wait = Duration::from_millis(10 + n % 5 * 20);
    cx.sleep(wait).await.map_err(|error| error.to_string())?;
    match poison {
        Some(poison) if n % 8 == poison => Err(format!("{n} is poison")),
        _ => Ok(json!({ "n": n, "sum": document["sum"].as_u64().unwrap_or(0) + n })),
    }
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

/// One run, taken up again after each loss until it completes; where it is limited, with more calls once it was over its budget.
fn caller(world: &World, ordered: bool, limited: bool) -> Told {
    let (present, told) = (Present::default(), Told::default());
    let (boots, results) = (Arc::clone(&present), Arc::clone(&told));
    world.node("one", move |node| boot(node, &boots, &results));
    let (outside, results) = (world.clone(), Arc::clone(&told));
    world.client("caller", async move {
        for _ in 0..200 {
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            let is_open = results.lock().unwrap().done.is_empty();
            if let Some(running) = here.filter(|_| is_open) {
                let messages = match (limited, results.lock().unwrap().over) {
                    (true, None) => Some(CALLS),
                    _ => None,
                };
                let limits = Limits { messages, ..Limits::default() };
                let run = running.system.run(described(&running, ordered)).limits(limits);
                let outcome = run.id(RUN).deadline(MINUTE).await;
                results.lock().unwrap().take(outcome);
            }
            // The node that told it may be gone already; the next one has its journal.
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            let is_done = !results.lock().unwrap().done.is_empty();
            if let Some(running) = here.filter(|_| is_done)
                && let Ok(again) = recount(&**running.system.node().journal(), RUN)
            {
                results.lock().unwrap().again.push(again);
                return;
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    told
}

impl Seen {
    /// Takes what came of an attempt at the run.
    fn take(&mut self, outcome: Outcome<Report>) {
        match outcome {
            Ok(done) => self.done.push(done),
            // The node is gone; or it is back already, and its journal does not take the run yet.
            Err(error)
                if matches!(
                    error.kind,
                    FailureKind::NodeLost { .. } | FailureKind::Rejected { .. }
                ) => {}
            Err(error)
                if self.over.is_none() && matches!(error.kind, FailureKind::OverBudget { .. }) =>
            {
                self.over = Some(self.calls.load(Ordering::SeqCst));
            }
            Err(error) => self.wrong.push(error.to_string()),
        }
    }

    /// Whether the journal tells what the caller was told.
    fn is_kept(&self) -> bool {
        let steps = |report: &Report| {
            let mut documents = report.documents.clone();
            documents
                .iter_mut()
                .flat_map(|own| &mut own.steps)
                .for_each(|step| step.resumed = false);
            documents
        };
        let told: Vec<_> = self.done.iter().map(|done| steps(&done.value)).collect();
        told == self.again.iter().map(steps).collect::<Vec<_>>()
    }

    /// Whether no call was made that the budget did not have, and, where none can be lost, all were that it had.
    fn is_in_budget(&self, limited: bool, exact: bool) -> bool {
        match self.over {
            None => !limited,
            Some(calls) => calls <= CALLS && (!exact || calls == CALLS),
        }
    }
}

/// Whether every document is accounted for as it should be, exactly once. Hung or lost calls cost attempts, so what is not
/// poison may fail too, but only where the report says so.
fn is_right(told: &Told, calm: bool) -> bool {
    let told = told.lock().unwrap();
    let [done] = told.done.as_slice() else { return false };
    if !told.is_kept() || !told.wrong.is_empty() {
        return false;
    }
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

/// What a simulation is of.
#[derive(Clone, Copy, Default)]
struct Of<'a> {
    faults: &'a [Fault],
    ordered: bool,
    limited: bool,
    spare: &'a [String],
}

/// Runs the seeds; tells how many, and how often the actors of stages were started anew.
fn simulate(seeds: u64, of: Of<'_>) -> (u64, u64) {
    let Of { faults, ordered, limited, spare } = of;
    let calm = !faults.contains(&Fault::Hang);
    let exact = !faults.contains(&Fault::Crash);
    let restarts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&restarts);
    let report = sim(move |world: &World| caller(world, ordered, limited))
        .seeds(seeds)
        .storm(Duration::from_secs(2))
        .count(8)
        .healing(MINUTE * 5)
        .faults(faults.to_vec())
        .spare(spare.to_vec())
        .finally("every document is accounted for", move |_, told| {
            let seen = told.lock().unwrap();
            let stages = seen.done.iter().flat_map(|done| &done.value.stages);
            counted.fetch_add(stages.map(|stage| stage.restarts).sum(), Ordering::SeqCst);
            drop(seen);
            is_right(told, calm)
        })
        .finally("its budget holds", move |_, told| {
            told.lock().unwrap().is_in_budget(limited, exact)
        })
        .run();
    (report.seeds, restarts.load(Ordering::SeqCst))
}

const CRASHES: &[Fault] = &[Fault::Crash, Fault::DiskCrash, Fault::Delay, Fault::Slow];

#[test]
fn every_document_is_accounted_for_after_crashes_and_delays() {
    simulate(40, Of { faults: CRASHES, ..Of::default() });
    simulate(20, Of { faults: CRASHES, ordered: true, ..Of::default() });
}

#[test]
fn every_document_is_accounted_for_where_agents_hang() {
    let faults = &[Fault::Crash, Fault::Hang, Fault::Delay];
    simulate(30, Of { faults, ..Of::default() });
}

#[test]
fn no_call_is_made_that_the_budget_does_not_have_whatever_crashes() {
    simulate(30, Of { faults: CRASHES, limited: true, ..Of::default() });
    simulate(10, Of { faults: &[Fault::Delay, Fault::Slow], limited: true, ..Of::default() });
}

const PANICS: &[Fault] = &[Fault::Panic, Fault::Delay];

#[test]
fn a_stage_whose_actor_crashes_is_started_anew_and_loses_no_document() {
    let names = ["read/0", "read/1", "sum/2", "sum/3", "behind/4", "behind/5"];
    let spared: Vec<String> = names
        .iter()
        .map(|name| format!("agent/{name}/slot"))
        .chain([format!("runs/{RUN}"), "agents/roster".to_owned()])
        .collect();
    let (seeds, restarts) = simulate(60, Of { faults: PANICS, spare: &spared, ..Of::default() });
    assert!(restarts > seeds || seeds == 1, "stages were started anew {restarts} times");
}

#[test]
fn no_document_is_lost_though_the_roster_crashes() {
    let names = ["read/0", "read/1", "sum/2", "sum/3", "behind/4", "behind/5"];
    let stages = ["", "/read", "/sum", "/again"].map(|stage| format!("runs/{RUN}{stage}"));
    let spared: Vec<String> =
        names.iter().map(|name| format!("agent/{name}/slot")).chain(stages).collect();
    simulate(40, Of { faults: PANICS, ordered: true, spare: &spared, ..Of::default() });
}
