//! Records the answers of a test's programs: runs it once, on a real node, with the real programs.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use actors::agent::{AgentError, Behaviour, CallContext, Launcher, Part};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use runtime::node::OpenError;
use serde_json::Value;

use super::{
    TrialError,
    cassette::{Cassette, Said},
    resolved,
    seen::Seen,
    stand_in::{InWorld, Mocks},
};
use crate::{
    job::{Job, JobError, StandIns},
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

/// Runs a test that has a cassette once, with its programs; mocked agents stay mocked.
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
    let job = Job::prepare_but(&resolved, launcher, &mocked).map_err(in_job)?;
    let job = Arc::new(job);
    let mocks = Arc::new(Mocks::new(test, &job, None).map_err(in_job)?);
    let (seen, tape) = (Arc::<Seen>::default(), Arc::<Tape>::default());
    let is_recorded = |agent: &&Agent| !mocked(agent) && !is_built_in(agent);
    job.agents()
        .iter()
        .filter(is_recorded)
        .for_each(|agent| tape.0.lock().enter(agent.name.as_str()));
    let test_mocks = test.mocks.keys().map(ToString::to_string).collect();
    let recorder = Recorder { mocks: mocks.in_world(&seen), mocked: test_mocks, tape };

    let node = Node::in_memory()?;
    let branches = job.hire(&node, &recorder).map_err(in_job)?;
    let run = node.run(job.pattern(branches)).deadline(job.deadline()).limits(job.limits());
    let outcome = run.await;
    if let Err(error) = outcome {
        return Err(RecordError::Run { test: name(), why: error.to_string() });
    }
    let mut cassette = Cassette::default();
    cassette.add(std::mem::take(&mut *recorder.tape.0.lock()));
    Ok(Recorded { path, cassette })
}

fn is_built_in(agent: &Agent) -> bool {
    matches!(agent.kind, AgentKind::Builtin(_))
}

/// Takes answers down as they come.
#[derive(Default)]
struct Tape(Mutex<Cassette>);

/// Mocks whom the test mocks, and records whom it does not.
struct Recorder {
    mocks: InWorld,
    mocked: BTreeSet<String>,
    tape: Arc<Tape>,
}

impl StandIns for Recorder {
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
        let (name, tape) = (Arc::clone(&self.name), Arc::clone(&self.tape));
        let work = self.program.call(part.clone(), context);
        Box::pin(async move {
            let outcome = work.await;
            let said = match outcome.clone() {
                Ok(answer) => Said::Answer(answer),
                Err(error) => Said::Error(error),
            };
            if said != Said::Error(AgentError::Cancelled) {
                tape.0.lock().record(&name, &part, &said);
            }
            outcome
        })
    }
}
