//! The agents of a job on a node: built-in reviewers on threads of their own, programs behind the launcher.

use std::{num::NonZeroUsize, pin::Pin, sync::Arc};

use actors::{
    agent::{
        AgentError, Behaviour, CallContext, CommandAgent, Part, ProcessAgent, Program,
        ProgramLimits, Reads,
        handle::{Agent as Handle, AgentBuilder},
    },
    pattern::map_reduce::{Branch, Narrow},
};
use runtime::tasks::on_thread;
use serde_json::Value;

use super::{Files, Job, JobError, answer, files, reviewing};
use crate::{
    node::Node,
    runfile::{Agent, AgentKind, Argument, Command, Reads as RunFileReads, Sandbox},
};

/// Starts one agent and says what of a part it takes.
pub(super) fn start(
    agent: &Agent,
    job: &Job,
    node: &Node,
) -> Result<Branch<Part, Value>, JobError> {
    let timeout = job.pattern.timeout.map_or(agent.timeout, |timeout| timeout.min(agent.timeout));
    let builder = match &agent.kind {
        AgentKind::Builtin(name) => builtin(agent, name, job, node)?,
        AgentKind::Command(command) => {
            let program = program(argv(&command.argv), &command.sandbox, timeout);
            command_agent(agent, command, program, job, node)?
        }
        AgentKind::Process(process) => {
            let program = program(process.argv.clone(), &process.sandbox, timeout);
            process_agent(agent, &program, job, node)?
        }
        AgentKind::Actor(actor) => return Err(JobError::Unknown { name: actor.name.clone() }),
    };
    let handle: Handle<Part, Value> = builder.capabilities(agent.capabilities.clone()).start()?;
    Ok(Branch { agent: handle, narrow: Some(narrow(agent, &job.files)), timeout: Some(timeout) })
}

/// Cuts a part down to the files that an agent takes, and says where they are.
pub(super) fn narrow(agent: &Agent, files: &Arc<Files>) -> Narrow<Part> {
    let (takes, files) = (files::takes(agent), Arc::clone(files));
    let all = if agent.whole { files.taken_by(&takes) } else { Vec::new() };
    let whole = agent.whole;
    Arc::new(move |part: &Part| {
        if (part.kind == files::WHOLE) != whole {
            return None;
        }
        let taken: Vec<String> = if whole {
            all.clone()
        } else {
            part.files.iter().filter(|path| takes(path)).cloned().collect()
        };
        let (root, data) = (files.root().to_owned(), files.about(&taken));
        (!taken.is_empty()).then(|| Part { files: taken, root, data, ..named(part) })
    })
}

/// A part without its files and what is said of them.
fn named(part: &Part) -> Part {
    let (name, kind) = (part.name.clone(), part.kind.clone());
    Part { id: part.id, name, kind, bytes: part.bytes, ..Part::default() }
}

type Builder = AgentBuilder<Part, Value>;

fn builtin(agent: &Agent, name: &str, job: &Job, node: &Node) -> Result<Builder, JobError> {
    let reviewer =
        review::reviewer(name).ok_or_else(|| JobError::Unknown { name: name.to_owned() })?;
    let (own_name, files) = (agent.name.to_string(), Arc::clone(&job.files));
    let work = move |part: Part, context: CallContext| {
        let mut review = reviewing::review_part(&*reviewer, &part, &context)?;
        review.findings.retain(|finding| files.concerns(finding));
        answer::to_value(review.by(&own_name)).map_err(|error| error.to_string())
    };
    let builder = node.system().blocking_agent(agent.name.as_str(), work);
    Ok(builder.count(instances(agent)).concurrency(concurrency(agent)).prefetch(1))
}

/// A built-in reviewer computes, so it has an instance a core unless the run file says how many.
fn instances(agent: &Agent) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    agent.count.map_or_else(cores, NonZeroUsize::get)
}

fn concurrency(agent: &Agent) -> u32 {
    u32::try_from(agent.concurrency.get()).unwrap_or(u32::MAX)
}

fn command_agent(
    agent: &Agent,
    command: &Command,
    program: Program,
    job: &Job,
    node: &Node,
) -> Result<Builder, JobError> {
    let reads = match command.reads {
        RunFileReads::Sarif => Reads::Sarif,
        RunFileReads::Json => Reads::Json,
        RunFileReads::Lines => Reads::Lines,
        RunFileReads::Exit => Reads::Exit,
    };
    let inner = CommandAgent::new(program, reads, command.exit_ok.clone(), &job.launcher)
        .map_err(|source| JobError::Agent { agent: agent.name.to_string(), source })?;
    let reviewed = Reviewed::new(agent, inner, &job.files);
    let builder = node.system().agent_of(agent.name.as_str(), Arc::new(reviewed));
    Ok(builder.count(agent.count.map_or(1, NonZeroUsize::get)).concurrency(concurrency(agent)))
}

/// A program answers one request at a time, so `concurrency` is more of them.
fn process_agent(
    agent: &Agent,
    program: &Program,
    job: &Job,
    node: &Node,
) -> Result<Builder, JobError> {
    let wrong = |source| JobError::Agent { agent: agent.name.to_string(), source };
    let count = agent.count.map_or(1, NonZeroUsize::get).saturating_mul(agent.concurrency.get());
    let instance = || -> Result<Arc<dyn Behaviour<Part, Value>>, JobError> {
        let inner =
            ProcessAgent::new(program.clone(), job.files.root(), &job.launcher).map_err(wrong)?;
        Ok(Arc::new(Reviewed::new(agent, inner, &job.files)))
    };
    let instances = (0..count).map(|_| instance()).collect::<Result<Vec<_>, _>>()?;
    let first = instance()?;
    let make = move |instance: usize| Arc::clone(instances.get(instance).unwrap_or(&first));
    Ok(node.system().agent_each(agent.name.as_str(), make).count(count))
}

fn argv(arguments: &[Argument]) -> Vec<String> {
    let text = |argument: &Argument| match argument {
        Argument::Files => "{files}".to_owned(),
        Argument::Text(text) => text.clone(),
    };
    arguments.iter().map(text).collect()
}

fn program(argv: Vec<String>, sandbox: &Sandbox, timeout: std::time::Duration) -> Program {
    let limits = &sandbox.limits;
    let mut program = Program::new(argv);
    program.variables.clone_from(&sandbox.env);
    program.timeout = timeout;
    program.output_bytes_max = usize::try_from(limits.output.0).unwrap_or(usize::MAX);
    program.limits = ProgramLimits {
        memory_bytes: Some(limits.memory.0),
        cpu_seconds: Some(limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0)),
        processes: limits.processes.map(|processes| u64::from(processes.get())),
        open_files: Some(u64::from(limits.open_files.get())),
        file_bytes: Some(limits.file.0),
    };
    program
}

/// A program whose answers are read as reviews, so that garbage is the program's failure.
struct Reviewed<A> {
    name: Arc<str>,
    inner: A,
    files: Arc<Files>,
}

impl<A> Reviewed<A> {
    fn new(agent: &Agent, inner: A, files: &Arc<Files>) -> Self {
        Self { name: agent.name.as_str().into(), inner, files: Arc::clone(files) }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, AgentError>> + Send>>;

impl<A: Behaviour<Part, Value>> Behaviour<Part, Value> for Reviewed<A> {
    fn call(&self, part: Part, context: CallContext) -> Answer {
        let (name, files) = (Arc::clone(&self.name), Arc::clone(&self.files));
        let work = self.inner.call(part.clone(), context);
        Box::pin(async move {
            let said = work.await?;
            let read = on_thread(move || answer::read(&said, &name, &part, &files)).await;
            read.unwrap_or_else(|error| {
                Err(AgentError::Failed { message: format!("its answer cannot be read: {error}") })
            })
        })
    }
}
