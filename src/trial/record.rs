//! Records the answers of a test's programs: runs it once, on a real node, with the real programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actors::{
    agent::{AgentError, Behaviour, CallContext, Launcher, Part},
    pattern::FailureKind,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use runtime::node::OpenError;
use serde_json::Value;

use super::{
    RUN, TrialError,
    cassette::{Cassette, Said},
    course, resolved,
    seen::Seen,
    stand_in::{InWorld, Mocks},
};
use crate::{
    job::{JobError, Plan, StandIns},
    node::Node,
    runfile::{Agent, AgentKind, RunFile, Test},
};

/// The recorded answers of one test.
#[derive(Debug)]
pub struct Recorded {
    /// Where they belong.
    pub path: PathBuf,
    /// The answers.
    pub cassette: Cassette,
    /// When the test has cancelled its run, and there are the answers until then alone.
    pub cancelled: Option<Duration>,
}

/// Why a test could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot begin.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// There is no node for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its run came to nothing that is worth keeping.
    #[error("test `{test}`: nothing is recorded, since {why}")]
    Run {
        /// The test.
        test: String,
        /// How the run ended.
        why: String,
    },
}

/// Runs a test that has a cassette once, with its programs; mocked agents stay mocked, and a test's `cancel` cancels the run.
///
/// # Errors
/// [`RecordError`]; then nothing is recorded.
///
/// # Cancel safety
/// Dropping the future ends the run and records nothing.
pub async fn record(
    test: &Test,
    path: PathBuf,
    run_file: &RunFile,
    launcher: &Launcher,
) -> Result<Recorded, RecordError> {
    let name = || test.name.clone();
    let in_job = |source: JobError| TrialError::Job { test: name(), source };
    // The programs are real, and so are their variables; those of tests stand in for what is not set.
    let (resolved, _folder) = resolved(test, run_file, &|name| std::env::var(name).ok())?;
    let mocked = |agent: &Agent| test.mocks.contains_key(&agent.name);
    let plan = Plan::prepare_but(&resolved, launcher, &mocked).map_err(in_job)?;
    let plan = Arc::new(plan);
    let mocks = Arc::new(Mocks::new(test, &plan, None).map_err(in_job)?);
    let (seen, tape) = (Arc::<Seen>::default(), Arc::<Tape>::default());
    let is_recorded = |agent: &&Agent| !mocked(agent) && !is_built_in(agent);
    plan.agents()
        .iter()
        .filter(is_recorded)
        .for_each(|agent| tape.0.lock().cassette.enter(agent.name.as_str()));
    let test_mocks = Arc::new(test.mocks.keys().map(ToString::to_string).collect());
    let recorder = Recorder { mocks: mocks.in_world(&seen), mocked: test_mocks, tape };

    let node = Node::in_memory()?;
    let ready = plan.hire(&node, &recorder).and_then(|runs| runs.again()).map_err(in_job)?;
    let moment = async {
        match test.cancel {
            Some(cancel) => node.kernel().sleep(cancel).await,
            None => pending().await,
        }
    };
    let (outcome, is_cancelled) = Box::pin(course::run(&node, (&plan, RUN), ready, moment)).await;
    let cancelled = match outcome {
        Ok(_) => None,
        Err(error) if is_cancelled && matches!(error.kind, FailureKind::Cancelled { .. }) => {
            test.cancel
        }
        Err(error) => return Err(RecordError::Run { test: name(), why: error.to_string() }),
    };
    let cassette = recorder.tape.eject(cancelled.is_some());
    Ok(Recorded { path, cassette, cancelled })
}

fn is_built_in(agent: &Agent) -> bool {
    matches!(agent.kind, AgentKind::Builtin(_))
}

/// Takes requests and their answers down as they come.
#[derive(Default)]
struct Tape(Mutex<Taken>);

/// What was taken down.
#[derive(Default)]
struct Taken {
    cassette: Cassette,
    /// What was asked and is not answered, by the number of the call.
    open: BTreeMap<u64, (Arc<str>, Part)>,
    calls: u64,
}

impl Tape {
    /// Takes a request down; gives its number.
    fn asked(&self, agent: &Arc<str>, part: &Part) -> u64 {
        let mut taken = self.0.lock();
        taken.calls += 1;
        let call = taken.calls;
        taken.open.insert(call, (Arc::clone(agent), part.clone()));
        call
    }

    /// Takes an answer down; one that was not wanted any more is none.
    fn answered(&self, call: u64, outcome: Result<Value, AgentError>) {
        let mut taken = self.0.lock();
        let said = match outcome {
            Ok(answer) => Said::Answer(answer),
            Err(AgentError::Cancelled) => return,
            Err(error) => Said::Error(error),
        };
        if let Some((agent, part)) = taken.open.remove(&call) {
            taken.cassette.record(&agent, &part, &said);
        }
    }

    /// Gives what was taken down; of a run that was cancelled also what nobody answered.
    fn eject(&self, is_cancelled: bool) -> Cassette {
        let mut taken = std::mem::take(&mut *self.0.lock());
        for (agent, part) in taken.open.values().filter(|_| is_cancelled) {
            taken.cassette.record(agent, part, &Said::Silent);
        }
        // All answers are then in order.
        let mut cassette = Cassette::default();
        cassette.add(taken.cassette);
        cassette
    }
}

/// Mocks whom the test mocks, and records whom it does not.
struct Recorder {
    mocks: InWorld,
    mocked: Arc<BTreeSet<String>>,
    tape: Arc<Tape>,
}

impl StandIns for Recorder {
    fn of(&self, pattern: &str) -> Option<Box<dyn StandIns>> {
        let (mocked, tape) = (Arc::clone(&self.mocked), Arc::clone(&self.tape));
        Some(Box::new(Self { mocks: self.mocks.of_pattern(pattern)?, mocked, tape }))
    }

    fn in_place_of(&self, agent: &Agent) -> Option<Arc<dyn Behaviour<Part, Value>>> {
        if self.mocked.contains(agent.name.as_str()) { self.mocks.in_place_of(agent) } else { None }
    }

    fn beside(
        &self,
        agent: &Agent,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Part, Value>> {
        let (name, tape) = (agent.name.as_str().into(), Arc::clone(&self.tape));
        Arc::new(Taped { name, program, tape })
    }
}

/// A program whose answers are taken down.
struct Taped {
    name: Arc<str>,
    program: Arc<dyn Behaviour<Part, Value>>,
    tape: Arc<Tape>,
}

impl Behaviour<Part, Value> for Taped {
    fn call(
        &self,
        part: Part,
        context: CallContext,
    ) -> BoxFuture<'static, Result<Value, AgentError>> {
        let tape = Arc::clone(&self.tape);
        let call = tape.asked(&self.name, &part);
        let work = self.program.call(part, context);
        Box::pin(async move {
            let outcome = work.await;
            tape.answered(call, outcome.clone());
            outcome
        })
    }
}
