//! The agents of a job on a node: built-in reviewers on threads of their own, programs behind the launcher.

use std::{collections::BTreeMap, num::NonZeroUsize, pin::Pin, sync::Arc, time::Duration};

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

use super::{Files, Job, JobError, StandIns, answer, files, reviewing};
use crate::{
    limits::STAND_INS,
    node::Node,
    runfile::{Agent, AgentKind, Argument, Command, Process, Reads as RunFileReads, Sandbox},
};

/// The agents that were started, by name.
pub(super) type Hired = BTreeMap<String, Handle<Part, Value>>;

/// Starts one agent, unless it was, and before it those that stand behind it.
pub(super) fn start(
    agent: &Agent,
    job: &Job,
    (node, stand_ins): (&Node, &dyn StandIns),
    hired: &mut Hired,
) -> Result<Handle<Part, Value>, JobError> {
    if let Some(handle) = hired.get(agent.name.as_str()) {
        return Ok(handle.clone());
    }
    let heir = agent.fallback.as_ref();
    let heir = heir.and_then(|name| job.agents().iter().find(|other| other.name == *name));
    let heir = heir.map(|heir| start(heir, job, (node, stand_ins), hired)).transpose()?;
    let timeout = timeout(agent, job);
    let hiring = Hiring { job, node, stand_ins, timeout };
    let builder = match (stand_ins.in_place_of(agent), &agent.kind) {
        (Some(stand_in), _) => in_place(agent, stand_in, node),
        (None, AgentKind::Builtin(name)) => builtin(agent, name, job, node)?,
        (None, AgentKind::Command(command)) => command_agent(agent, command, &hiring)?,
        (None, AgentKind::Process(process)) => process_agent(agent, process, &hiring)?,
        (None, AgentKind::Actor(actor)) => {
            return Err(JobError::Unknown { name: actor.name.clone() });
        }
    };
    let builder = builder.capabilities(agent.capabilities.clone()).timeout(timeout);
    let mut builder = guarded(builder, agent);
    if let Some(heir) = &heir {
        builder = builder.fallback(heir);
    }
    let handle: Handle<Part, Value> = builder.start()?;
    hired.insert(agent.name.to_string(), handle.clone());
    Ok(handle)
}

/// The agent with what the run file says of its heartbeat, its circuit breaker and how often it may be called.
pub(super) fn guarded<I, O>(mut builder: AgentBuilder<I, O>, agent: &Agent) -> AgentBuilder<I, O>
where
    I: Send + 'static,
    O: Send + 'static,
{
    if let Some(every) = agent.heartbeat() {
        builder = builder.heartbeat(every);
    }
    if let Some(options) = agent.breaker {
        builder = builder.breaker(options);
    }
    match &agent.rate_limit {
        Some(limit) => builder.rate_limit(&limit.key, limit.rate),
        None => builder,
    }
}

/// An agent in a run, and what of a part it takes.
pub(super) fn branch(agent: &Agent, job: &Job, handle: Handle<Part, Value>) -> Branch<Part, Value> {
    let (narrow, timeout) = (narrow(agent, &job.files), timeout(agent, job));
    Branch { agent: handle, narrow: Some(narrow), timeout: Some(timeout) }
}

/// The time of one attempt.
fn timeout(agent: &Agent, job: &Job) -> Duration {
    job.pattern.timeout.map_or(agent.timeout, |timeout| timeout.min(agent.timeout))
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

/// What the agents of a job are started with.
struct Hiring<'a> {
    job: &'a Job,
    node: &'a Node,
    stand_ins: &'a dyn StandIns,
    timeout: Duration,
}

/// A stand-in has as many places as its agent; where that has one a core, a number that is the same on every machine.
pub(super) fn in_place<I: Send + 'static, O: Send + 'static>(
    agent: &Agent,
    stand_in: Arc<dyn Behaviour<I, O>>,
    node: &Node,
) -> AgentBuilder<I, O> {
    let usual = if matches!(agent.kind, AgentKind::Builtin(_)) { STAND_INS } else { 1 };
    let builder = node.system().agent_of(agent.name.as_str(), stand_in);
    builder.count(agent.count.map_or(usual, NonZeroUsize::get)).concurrency(concurrency(agent))
}

/// The work of a built-in reviewer, on the thread of whoever calls it.
///
/// # Errors
/// [`JobError::Unknown`] when there is no such reviewer.
pub fn built_in(agent: &Agent, name: &str, files: &Arc<Files>) -> Result<BuiltIn, JobError> {
    let reviewer =
        review::reviewer(name).ok_or_else(|| JobError::Unknown { name: name.to_owned() })?;
    let (own_name, files) = (agent.name.to_string(), Arc::clone(files));
    Ok(Arc::new(move |part, context| {
        let mut review = reviewing::review_part(&*reviewer, part, context)?;
        review.findings.retain(|finding| files.concerns(finding));
        answer::to_value(review.by(&own_name)).map_err(|error| error.to_string())
    }))
}

/// Reviews a part, or says why it cannot.
pub type BuiltIn = Arc<dyn Fn(&Part, &CallContext) -> Result<Value, String> + Send + Sync>;

fn builtin(agent: &Agent, name: &str, job: &Job, node: &Node) -> Result<Builder, JobError> {
    let review = built_in(agent, name, &job.files)?;
    let work = move |part: Part, context: CallContext| review(&part, &context);
    let builder = node.system().blocking_agent(agent.name.as_str(), work);
    Ok(builder.count(instances(agent)).concurrency(concurrency(agent)).prefetch(1))
}

/// A built-in reviewer computes, so it has an instance a core unless the run file says how many.
pub(super) fn instances(agent: &Agent) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    agent.count.map_or_else(cores, NonZeroUsize::get)
}

/// The instances that an agent has in one pattern; a program that stays answers one request at a time.
pub(super) fn places(agent: &Agent) -> usize {
    match &agent.kind {
        AgentKind::Builtin(_) => instances(agent),
        AgentKind::Process(_) => {
            agent.count.map_or(1, NonZeroUsize::get).saturating_mul(agent.concurrency.get())
        }
        AgentKind::Command(_) | AgentKind::Actor(_) => agent.count.map_or(1, NonZeroUsize::get),
    }
}

pub(super) fn concurrency(agent: &Agent) -> u32 {
    u32::try_from(agent.concurrency.get()).unwrap_or(u32::MAX)
}

fn command_agent(
    agent: &Agent,
    command: &Command,
    hiring: &Hiring<'_>,
) -> Result<Builder, JobError> {
    let reads = reads(command.reads);
    let program = program(argv(&command.argv), &command.sandbox, hiring.timeout);
    let launcher = &hiring.job.launcher;
    let inner = CommandAgent::new(program, reads, command.exit_ok.clone(), launcher)
        .map_err(|why| JobError::Agent { agent: agent.name.to_string(), why })?;
    let reviewed = hiring.reviewed(agent, Arc::new(inner));
    let builder = hiring.node.system().agent_of(agent.name.as_str(), reviewed);
    Ok(builder.count(agent.count.map_or(1, NonZeroUsize::get)).concurrency(concurrency(agent)))
}

/// A program answers one request at a time, so `concurrency` is more of them.
fn process_agent(
    agent: &Agent,
    process: &Process,
    hiring: &Hiring<'_>,
) -> Result<Builder, JobError> {
    let wrong = |why| JobError::Agent { agent: agent.name.to_string(), why };
    let program = program(process.argv.clone(), &process.sandbox, hiring.timeout);
    let count = agent.count.map_or(1, NonZeroUsize::get).saturating_mul(agent.concurrency.get());
    let instance = || -> Result<Arc<dyn Behaviour<Part, Value>>, JobError> {
        let root = hiring.job.files.root();
        let inner = ProcessAgent::new(program.clone(), root, &hiring.job.launcher);
        Ok(hiring.reviewed(agent, Arc::new(inner.map_err(wrong)?)))
    };
    let instances = (0..count).map(|_| instance()).collect::<Result<Vec<_>, _>>()?;
    let first = instance()?;
    let make = move |instance: usize| Arc::clone(instances.get(instance).unwrap_or(&first));
    Ok(hiring.node.system().agent_each(agent.name.as_str(), make).count(count))
}

impl Hiring<'_> {
    fn reviewed(
        &self,
        agent: &Agent,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Part, Value>> {
        let inner = self.stand_ins.beside(agent, program);
        let (name, files) = (agent.name.as_str().into(), Arc::clone(&self.job.files));
        Arc::new(Reviewed { name, inner, files })
    }
}

/// How a command's output is read.
pub(super) fn reads(reads: RunFileReads) -> Reads {
    match reads {
        RunFileReads::Sarif => Reads::Sarif,
        RunFileReads::Json => Reads::Json,
        RunFileReads::Lines => Reads::Lines,
        RunFileReads::Exit => Reads::Exit,
    }
}

pub(super) fn argv(arguments: &[Argument]) -> Vec<String> {
    let text = |argument: &Argument| match argument {
        Argument::Files => "{files}".to_owned(),
        Argument::Text(text) => text.clone(),
    };
    arguments.iter().map(text).collect()
}

pub(super) fn program(argv: Vec<String>, sandbox: &Sandbox, timeout: Duration) -> Program {
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
struct Reviewed {
    name: Arc<str>,
    inner: Arc<dyn Behaviour<Part, Value>>,
    files: Arc<Files>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, AgentError>> + Send>>;

impl Behaviour<Part, Value> for Reviewed {
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
