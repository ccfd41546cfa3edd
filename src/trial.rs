//! Trials: the tests of a test file, run in the deterministic simulation or recorded with the real programs.
//!
//! `synod test` makes a [`Trial`] of each test and checks it seed by seed. The graph is that of production, whatever the
//! [`Plan`] is: roster, slots, coordinator, journal; in the place of the agents are [`stand_in`]s, which answer as the test, a
//! [`cassette`] or the built-in agent says. [`course`] runs it, [`seen`] keeps what happened, [`judge`] holds the test's
//! conditions against it.
//!
//! # Invariants
//! - Nothing outside is called: no program, no network, no clock, no dice.
//! - A seed is one run, on every machine: each runs twice and must take the same steps.
//! - Faults strike while the run lasts, at steps of its actors, and not before or after.
//! - The caller of the run takes it up again after each loss, as `synod resume` does; it must end.

pub mod cassette;
mod course;
mod judge;
mod record;
mod seen;
mod stand_in;

use std::{
    fs,
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actors::{
    agent::{Launcher, Part, slot},
    pattern::{
        FailureKind, Outcome,
        consensus::{Opinion, Request},
    },
    roster,
};
use parking_lot::Mutex;
use protocol::RunId;
use runtime::sim::{Sim, World, sim};
use serde_json::Value;
use tempfile::TempDir;

pub use record::{RecordError, Recorded, record};
pub use seen::Seen;

use self::{
    cassette::{Cassette, CassetteError},
    judge::Judge,
    stand_in::Mocks,
};
use crate::{
    job::{Cast, JobError, Plan, Product, Runs, SkippedAgent},
    limits::{TRIAL_HEALING, TRIAL_RESUME_WAIT, TRIAL_RESUMES_MAX, TRIAL_STEPS},
    node::Node,
    runfile::{Agent, AgentKind, Colony, Problems, Resolved, RunFile, Test, resolve},
};

/// One test, ready to run under any seed.
#[derive(Debug)]
pub struct Trial {
    test: Arc<Test>,
    plan: Arc<Plan>,
    mocks: Arc<Mocks>,
    /// The folder made for the test, as long as that lives.
    _folder: Option<TempDir>,
}

/// Why a test cannot run.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The run file wants what the test does not give.
    #[error("test `{test}`: {problems}")]
    Inputs {
        /// The test.
        test: String,
        /// What is wrong.
        problems: Box<Problems>,
    },
    /// Its files cannot be written.
    #[error("test `{test}`: cannot write {}", path.display())]
    Files {
        /// The test.
        test: String,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its cassette cannot be used.
    #[error("test `{test}`")]
    Cassette {
        /// The test.
        test: String,
        /// Why.
        source: CassetteError,
    },
    /// Nobody can do the work of an agent.
    #[error(
        "test `{test}`: agent `{agent}` is a program, and {} has no answers of it; mock it, or record it by `synod test --record`",
        cassette.display()
    )]
    Unrecorded {
        /// The test.
        test: String,
        /// The agent.
        agent: String,
        /// Where its answers should be.
        cassette: PathBuf,
    },
    /// The job cannot be prepared.
    #[error("test `{test}`")]
    Job {
        /// The test.
        test: String,
        /// Why.
        source: JobError,
    },
}

/// The run of every trial.
const RUN: RunId = RunId::from_u128(1);

/// The node of every trial.
const NODE: &str = "here";

impl Trial {
    /// Prepares a test of `run_file`; blocks on the file system. Relative paths are those of the working directory.
    ///
    /// # Errors
    /// [`TrialError`]; nothing was started.
    pub fn prepare(test: &Test, run_file: &RunFile) -> Result<Self, TrialError> {
        let name = || test.name.clone();
        // Programs are not started, and a seed is one run on every machine: what is set on this one does not count.
        let (resolved, folder) = resolved(test, run_file, &|_| None)?;
        let cassette = match &test.cassette {
            Some(path) => Cassette::read(path).map(Some),
            None => Ok(None),
        };
        let cassette = cassette.map_err(|source| TrialError::Cassette { test: name(), source })?;
        let in_job = |source| TrialError::Job { test: name(), source };
        let agents = Plan::crew(&resolved).map_err(in_job)?;
        let cast = cast(test, &agents, cassette.as_ref())?;
        // No program is started, so none is launched.
        let plan = Plan::with(&resolved, &Launcher::at("/dev/null"), cast).map_err(in_job)?;
        let (test, plan) = (Arc::new(test.clone()), Arc::new(plan));
        let mocks = Arc::new(Mocks::new(&test, &plan, cassette).map_err(in_job)?);
        Ok(Self { test, plan, mocks, _folder: folder })
    }

    /// The agents that take no part, each with its reason.
    pub fn skipped(&self) -> &[SkippedAgent] {
        &self.plan.cast().skipped
    }

    /// The simulation of the test; runs it once without faults, to place these where it is at work. `replay` gives the command that runs one seed of it alone.
    pub fn sim(&self, replay: impl Fn(u64) -> String + Send + Sync + 'static) -> Sim<Arc<Seen>> {
        let (plan, mocks) = (Arc::clone(&self.plan), Arc::clone(&self.mocks));
        let judge = Arc::new(Judge::new(Arc::clone(&self.test)));
        let at_the_end = Arc::clone(&judge);
        let cancel = self.test.cancel;
        let world = move |world: &World| live(world, &plan, &mocks, cancel);
        let healing = self.plan.deadline() + TRIAL_HEALING;
        // How much the run does where nothing goes wrong; of one that never ends the check says so.
        let calm = sim(world.clone()).healing(healing).with_periodic_actors().check_seed(1);
        let steps = calm.map_or(TRIAL_STEPS, |calm| calm.steps);
        sim(world)
            .faults(self.test.faults.clone())
            .storm_steps(steps)
            .healing(healing)
            .invariant(move |_, seen: &Arc<Seen>| judge.broken_now(seen))
            .outcome(move |_, seen: &Arc<Seen>| at_the_end.broken_in_the_end(seen))
            .replay(replay)
    }
}

/// Gives the run file the test's inputs, variables and folder; what `host` says of a variable goes before what the test says.
fn resolved(
    test: &Test,
    run_file: &RunFile,
    host: &dyn Fn(&str) -> Option<String>,
) -> Result<(Resolved, Option<TempDir>), TrialError> {
    let env = |name: &str| host(name).or_else(|| test.env.get(name).cloned());
    let mut resolved = resolve(run_file, &test.inputs, &env).map_err(|problems| {
        TrialError::Inputs { test: test.name.clone(), problems: Box::new(problems) }
    })?;
    resolved.main = test.run.clone();
    if test.files.is_empty() {
        return Ok((resolved, None));
    }
    let wrong = |path: &Path| {
        let (test, path) = (test.name.clone(), path.to_owned());
        move |source| TrialError::Files { test, path, source }
    };
    let folder = tempfile::tempdir().map_err(wrong(&std::env::temp_dir()))?;
    for (path, text) in &test.files {
        let path = folder.path().join(path);
        let parent = path.parent().unwrap_or(folder.path());
        fs::create_dir_all(parent).map_err(wrong(parent))?;
        fs::write(&path, text).map_err(wrong(&path))?;
    }
    let path = folder.path().display().to_string();
    for pattern in &mut resolved.map_reduces {
        pattern.split.path.clone_from(&path);
        pattern.split.diff = None;
    }
    resolved.votes.iter_mut().for_each(|vote| vote.path.clone_from(&path));
    let below = |file: &mut String| *file = folder.path().join(&*file).display().to_string();
    let models = resolved.swarms.iter_mut().map(|swarm| &mut swarm.model);
    models.filter_map(Colony::file_mut).for_each(below);
    resolved.pipelines.iter_mut().for_each(|pipeline| pipeline.documents.clone_from(&path));
    resolved.hierarchies.iter_mut().for_each(|own| own.path.clone_from(&path));
    Ok((resolved, Some(folder)))
}

/// Says who takes part: whoever needs no program, and programs whose answers are known.
fn cast(test: &Test, agents: &[&Agent], cassette: Option<&Cassette>) -> Result<Cast, TrialError> {
    let mut cast = Cast::default();
    for agent in agents {
        let name = agent.name.to_string();
        let recorded = cassette.is_some_and(|cassette| cassette.has(&name));
        if is_known(agent) || test.mocks.contains_key(&agent.name) || recorded {
            cast.agents.push(name);
        } else if agent.optional || !agent.trusted {
            let reason = "it is a program; a mock or a recorded answer would let it".to_owned();
            cast.skipped.push(SkippedAgent { agent: name, reason });
        } else {
            let (test, cassette) = (test.name.clone(), test.cassette.clone().unwrap_or_default());
            return Err(TrialError::Unrecorded { test, agent: name, cassette });
        }
    }
    Ok(cast)
}

/// Whether an agent's own work is part of this program.
fn is_known(agent: &Agent) -> bool {
    matches!(agent.kind, AgentKind::Builtin(_))
}

/// What runs on the node in its present life.
type Present = Arc<Mutex<Option<(Node, Runs)>>>;

/// One life of the world: a node with the agents' stand-ins, and the caller of the run.
fn live(
    world: &World,
    plan: &Arc<Plan>,
    mocks: &Arc<Mocks>,
    cancel: Option<Duration>,
) -> Arc<Seen> {
    let (seen, present) = (Arc::<Seen>::default(), Present::default());
    let (boots, hears) = (Arc::clone(&present), Arc::clone(&seen));
    let (of, hired) = (Arc::clone(plan), Arc::clone(mocks));
    world.node(NODE, move |kernel| {
        let node = Node::of(kernel.clone());
        match of.hire(&node, &hired.in_world(&hears)) {
            Ok(runs) => *boots.lock() = Some((node, runs)),
            Err(error) => hears.broken(error.to_string()),
        }
    });
    // What the roster is told twice it takes once: places given back, wishes taken back.
    world.may_duplicate(|message: &roster::Msg| match message {
        roster::Msg::Release(owner, leases) => Some(roster::Msg::Release(*owner, leases.clone())),
        roster::Msg::Withdraw(owner, demand) => Some(roster::Msg::Withdraw(*owner, *demand)),
        roster::Msg::Forget(owner) => Some(roster::Msg::Forget(*owner)),
        roster::Msg::Join(..)
        | roster::Msg::Left(..)
        | roster::Msg::Demands(_)
        | roster::Msg::Claim(..)
        | roster::Msg::OwnerEnded(_)
        | roster::Msg::Health(..)
        | roster::Msg::Rested(..) => None,
    });
    cancels_twice::<Part, Value>(world);
    cancels_twice::<Request, Opinion>(world);
    cancels_twice::<Value, Value>(world);
    let caller = call(world.clone(), Arc::clone(plan), present, Arc::clone(&seen), cancel);
    world.client("the caller", caller);
    seen
}

/// An agent that is told twice not to work any more stops once.
fn cancels_twice<I: Send + 'static, O: Send + 'static>(world: &World) {
    world.may_duplicate(|message: &slot::Msg<I, O>| match message {
        slot::Msg::Cancel(lease) => Some(slot::Msg::Cancel(*lease)),
        slot::Msg::TimedOut(lease) => Some(slot::Msg::TimedOut(*lease)),
        slot::Msg::Work(..)
        | slot::Msg::Call(..)
        | slot::Msg::Look
        | slot::Msg::Done(..)
        | slot::Msg::Turn
        | slot::Msg::Listen(_) => None,
    });
}

/// Starts the run, and takes it up again after each loss; cancels it when its time has come.
async fn call(
    world: World,
    plan: Arc<Plan>,
    present: Present,
    seen: Arc<Seen>,
    cancel: Option<Duration>,
) {
    let cancel = cancel.map(|after| world.now() + after);
    for _ in 0..TRIAL_RESUMES_MAX {
        let here = world.get(NODE).and_then(|_| present.lock().clone());
        if let Some((node, runs)) = here {
            let moment = async {
                match cancel {
                    Some(cancel) => world.wait(world.now().until(cancel)).await,
                    None => pending().await,
                }
            };
            let ready = match runs.again() {
                Ok(ready) => ready,
                Err(error) => return seen.broken(error.to_string()),
            };
            let ending = course::run(&node, (&plan, RUN), ready, moment);
            let (outcome, is_cancelled) = Box::pin(ending).await;
            match outcome {
                Err(error) if is_lost(&error.kind, is_cancelled) => {}
                mut outcome => {
                    // What strikes from now on would strike nobody.
                    world.calm();
                    if let Err(why) = tell(&mut outcome, &plan, (&world, &present)).await {
                        seen.broken(why);
                    }
                    return seen.ended(outcome);
                }
            }
        }
        world.wait(TRIAL_RESUME_WAIT).await;
    }
    seen.broken(format!("the run was lost {TRIAL_RESUMES_MAX} times"));
}

/// Adds to what became of several patterns what each has brought, by the journal: that of the node's next life, where it has died
/// since.
async fn tell(
    outcome: &mut Outcome<Product>,
    plan: &Plan,
    (world, present): (&World, &Present),
) -> Result<(), String> {
    let product = match outcome {
        Ok(done) => Some(&mut done.value),
        Err(error) => error.partial.as_mut(),
    };
    let (Some(Product::Several(planned)), Plan::Several(tasks)) = (product, plan) else {
        return Ok(());
    };
    let mut why = String::new();
    for _ in 0..TRIAL_RESUMES_MAX {
        let here = world.get(NODE).and_then(|_| present.lock().clone());
        if let Some((node, _)) = here {
            match tasks.planned(&**node.kernel().journal(), planned.report.clone()) {
                Ok(told) => {
                    **planned = told;
                    return Ok(());
                }
                Err(error) => why = error,
            }
        }
        world.wait(TRIAL_RESUME_WAIT).await;
    }
    Err(format!("what the patterns have brought cannot be told: {why}"))
}

/// Whether a run that ended so may be taken up again, and is by whoever wants its result and has not cancelled it.
const fn is_lost(kind: &FailureKind, is_cancelled: bool) -> bool {
    match kind {
        FailureKind::NodeLost { .. } | FailureKind::Rejected { .. } => true,
        FailureKind::Cancelled { .. } => !is_cancelled,
        FailureKind::Invalid { .. }
        | FailureKind::Split { .. }
        | FailureKind::Parts { .. }
        | FailureKind::Reduce { .. }
        | FailureKind::NoAnswer { .. }
        | FailureKind::Aborted { .. }
        | FailureKind::TimedOut { .. }
        | FailureKind::OverBudget { .. } => false,
    }
}
