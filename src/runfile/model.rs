//! What a run file says, as plain typed values.
//!
//! Built by [`build`](super::build) and nowhere else, so a value of these types is already
//! cross-checked: every name resolves, every number is within its limit.
//!
//! Texts that may hold `{input.x}` are generic: `Template` as written in the file, `String` once
//! [`resolve`](super::resolve) has filled them in.

use std::collections::BTreeSet;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{GlobSet, GlobSetBuilder};
use runtime::{breaker, limiter::Rate};
use serde::{Deserialize, Serialize};

pub use super::hierarchy::{Assignment, Hierarchy, Instanced, Planning, Rollout, Team};
pub use super::map_reduce::{
    Assign, MapReduce, OnPartialFailure, Speculate, Split, SplitBy, SplitSource, Workers,
};
pub use super::pipeline::{Pipeline, Stage, Transform};
use super::problem::{At, Texts};
pub use super::swarm::{Cell, Colony, Obstacles, Swarm, SwarmPattern};
use super::template::Template;
pub use super::vote::Consensus;

/// A checked run file, before its inputs are known.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFile {
    /// The pattern that a run starts.
    pub main: Name,
    /// How long a run may take from start to outcome.
    pub deadline: Duration,
    /// How often it may call its agents; `None`: as often as it takes.
    pub messages: Option<u64>,
    /// What a run may be given, in the order of the file.
    pub inputs: Vec<Input>,
    /// Every agent, in the order of the file.
    pub agents: Vec<Agent<Template>>,
    /// Every `[map_reduce.NAME]`, in the order of the file.
    pub map_reduces: Vec<MapReduce<Template>>,
    /// Every `[consensus.NAME]`, in the order of the file.
    pub votes: Vec<Consensus<Template>>,
    /// Every `[pipeline.NAME]`, in the order of the file.
    pub pipelines: Vec<Pipeline<Template>>,
    /// Every `[swarm.NAME]`, in the order of the file.
    pub swarms: Vec<Swarm<Template>>,
    /// Every `[hierarchy.NAME]`, in the order of the file.
    pub hierarchies: Vec<Hierarchy<Template>>,
    /// The environment variables that texts name, and where.
    pub(crate) env: Vec<(String, At)>,
    /// What problems with inputs point into.
    pub(crate) texts: Texts,
}

/// A run file whose texts are filled in: all that is needed to start the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The pattern that the run starts.
    pub main: Name,
    /// How long the run may take from start to outcome.
    pub deadline: Duration,
    /// How often it may call its agents; `None`: as often as it takes.
    pub messages: Option<u64>,
    /// The value of every input that has one, given or default, in the order of the file.
    pub inputs: Vec<(Name, InputValue)>,
    /// Every agent, in the order of the file.
    pub agents: Vec<Agent>,
    /// Every `[map_reduce.NAME]`, in the order of the file.
    pub map_reduces: Vec<MapReduce>,
    /// Every `[consensus.NAME]`, in the order of the file.
    pub votes: Vec<Consensus>,
    /// Every `[pipeline.NAME]`, in the order of the file.
    pub pipelines: Vec<Pipeline>,
    /// Every `[swarm.NAME]`, in the order of the file.
    pub swarms: Vec<Swarm>,
    /// Every `[hierarchy.NAME]`, in the order of the file.
    pub hierarchies: Vec<Hierarchy>,
}

impl Resolved {
    /// Finds an agent by its name.
    pub fn agent(&self, name: &Name) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == *name)
    }

    /// Finds a map_reduce by its name.
    pub fn map_reduce(&self, name: &Name) -> Option<&MapReduce> {
        self.map_reduces.iter().find(|pattern| pattern.name == *name)
    }
}

impl Resolved {
    /// Finds a vote by its name.
    pub fn vote(&self, name: &Name) -> Option<&Consensus> {
        self.votes.iter().find(|vote| vote.name == *name)
    }

    /// Finds a pipeline by its name.
    pub fn pipeline(&self, name: &Name) -> Option<&Pipeline> {
        self.pipelines.iter().find(|pipeline| pipeline.name == *name)
    }

    /// Finds a swarm by its name.
    pub fn swarm(&self, name: &Name) -> Option<&Swarm> {
        self.swarms.iter().find(|swarm| swarm.name == *name)
    }

    /// Finds a hierarchy by its name.
    pub fn hierarchy(&self, name: &Name) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.name == *name)
    }
}

/// The name of an agent, a pattern or an input: a letter, then letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes a name, or `None` if it is empty, too long or has a character that names cannot have.
    pub fn new(name: &str) -> Option<Self> {
        let mut chars = name.chars();
        let starts = chars.next().is_some_and(|first| first.is_ascii_alphabetic());
        let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let fits = name.len() <= super::limits::NAME_BYTES_MAX;
        (starts && goes_on && fits).then(|| Self(name.to_owned()))
    }

    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A size in bytes, written as `64KiB`, `2 MB` or a plain integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// One `input.NAME`: what the run may be given by `--input NAME=VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What `{input.NAME}` and `--input` call it.
    pub name: Name,
    /// What its values are.
    pub kind: InputKind,
    /// Its value when none is given.
    pub default: Option<InputValue>,
    /// Whether a run may start without it.
    pub optional: bool,
    /// What it is for, shown when it is missing.
    pub description: Option<String>,
    /// Where the file declares it.
    pub(crate) at: At,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A file or folder, relative to the working directory.
    Path,
    /// Any text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A finite decimal number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// The value of an input, of the type that its file declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputValue {
    /// A file or folder, relative to the working directory; never empty.
    Path(PathBuf),
    /// Any text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A truth value.
    Boolean(bool),
}

impl fmt::Display for InputValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::String(text) => text.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

/// One line of `[agents]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent<T = String> {
    /// What patterns call it.
    pub name: Name,
    /// What does the work.
    pub kind: AgentKind<T>,
    /// The files that it takes.
    pub accepts: Accepts,
    /// How many instances run, each with a slot of its own; `None`: one, and of a built-in one a core.
    pub count: Option<NonZeroUsize>,
    /// How many parts one instance works on at once.
    pub concurrency: NonZeroUsize,
    /// Whether a run goes on, with a notice, when it cannot start (a program that is not installed).
    pub optional: bool,
    /// `false`: it runs the code that it looks at, so it is visibly skipped.
    pub trusted: bool,
    /// Whether it gets one part with all files that it accepts, in place of the split's parts.
    pub whole: bool,
    /// How long one attempt at one part may take; the pattern's own timeout holds if it is shorter.
    pub timeout: Duration,
    /// When an instance that fails is given no work for a while; `None`: never.
    pub breaker: Option<breaker::Options>,
    /// How often it may be called, together with all agents of the same key.
    pub rate_limit: Option<RateLimit>,
    /// The agent that does what this one has failed at for good; no chain of them is a circle.
    pub fallback: Option<Name>,
    /// What `assign = "capability_match"` looks at, sorted, each once.
    pub capabilities: Vec<String>,
}

impl<T> Agent<T> {
    /// How often it shows a sign of life while it works, if it says so.
    pub const fn heartbeat(&self) -> Option<Duration> {
        match &self.kind {
            AgentKind::Process(process) => process.heartbeat,
            AgentKind::Builtin(_) | AgentKind::Command(_) | AgentKind::Actor(_) => None,
        }
    }
}

/// `rate_limit = { … }`: how often all agents of one key together may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// What is limited; agents that name it state the same rate.
    pub key: String,
    /// How many calls in which time.
    pub rate: Rate,
}

/// The agents of a pattern in its order, then those that stand behind them as fallbacks; each once.
pub(crate) fn crew<'a, T>(agents: &'a [Agent<T>], pattern: &MapReduce<T>) -> Vec<&'a Agent<T>> {
    crew_of(agents, pattern.workers.names())
}

/// The agents of these names, then those that stand behind them as fallbacks; each once.
pub(crate) fn crew_of<'a, T>(agents: &'a [Agent<T>], names: &[Name]) -> Vec<&'a Agent<T>> {
    let find = |name: &Name| agents.iter().find(|agent| agent.name == *name);
    let mut crew: Vec<&Agent<T>> = names.iter().filter_map(find).collect();
    let mut at = 0;
    while let Some(agent) = crew.get(at) {
        let heir = agent.fallback.as_ref().and_then(find);
        at += 1;
        if let Some(heir) = heir.filter(|heir| crew.iter().all(|one| one.name != heir.name)) {
            crew.push(heir);
        }
    }
    crew
}

/// The files that an agent takes, as globs; a file is taken if any of them matches.
#[derive(Debug, Clone)]
pub struct Accepts {
    globs: Vec<String>,
    set: GlobSet,
}

impl Accepts {
    /// Takes globs as a run file writes them; `None` if one is no glob.
    ///
    /// One without `/` is matched with the name of a file, others with its whole path.
    pub fn new(globs: Vec<String>) -> Option<Self> {
        let mut set = GlobSetBuilder::new();
        for glob in &globs {
            set.add(super::scalar::glob(glob).ok()?);
        }
        Some(Self { set: set.build().ok()?, globs })
    }

    /// Gives the globs as written.
    pub fn globs(&self) -> &[String] {
        &self.globs
    }

    /// Tells whether a file is taken, by its path relative to what is looked at.
    pub fn matches(&self, path: impl AsRef<Path>) -> bool {
        self.set.is_match(path)
    }
}

impl PartialEq for Accepts {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

/// The kinds of agents.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentKind<T = String> {
    /// One that comes with Synod, by its name (`review.rust`).
    Builtin(String),
    /// A program that is started once a part.
    Command(Command<T>),
    /// A program that keeps running and is given parts as JSON lines.
    Process(Process<T>),
    /// A Rust actor that the program registered.
    Actor(Actor),
}

/// `command = […]`: a program that is started once a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Command<T = String> {
    /// The program and its arguments; never empty, and the first is not `{files}`.
    pub argv: Vec<Argument<T>>,
    /// How its output is read.
    pub reads: Reads,
    /// The exit codes that count as success; `None`: 0, and every code with [`Reads::Exit`].
    pub exit_ok: Option<BTreeSet<u8>>,
    /// How it is started.
    pub sandbox: Sandbox,
}

/// `process = […]`: a program that keeps running and is given parts as JSON lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Process<T = String> {
    /// The program and its arguments; never empty.
    pub argv: Vec<T>,
    /// How often it shows a sign of life while it works; `None`: it has all of its timeout.
    pub heartbeat: Option<Duration>,
    /// How it is started.
    pub sandbox: Sandbox,
}

/// `actor = "…"`: a Rust actor that the program registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    /// The name under which it was registered.
    pub name: String,
    /// What it is started with; an empty object if the file says nothing.
    pub with: serde_json::Map<String, serde_json::Value>,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument<T = String> {
    /// `{files}`: replaced by the paths of the part, one argument each.
    Files,
    /// Any other text.
    Text(T),
}

/// How a command's output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// SARIF 2.1.0 on standard output.
    Sarif,
    /// One JSON value on standard output.
    Json,
    /// One result a line on standard output.
    Lines,
    /// The exit code alone.
    Exit,
}

/// What a program is given and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Names of further environment variables that are passed through.
    pub env: Vec<String>,
    /// What the program may use.
    pub limits: ProcessLimits,
}

/// What one program may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Private writable memory of each of its processes.
    pub memory: ByteSize,
    /// Processor time of each of its processes, in whole seconds, rounded up.
    pub cpu: Duration,
    /// Processes and threads of the user that runs it; `None` leaves it to the operating system.
    pub processes: Option<NonZeroU32>,
    /// Open files of each of its processes.
    pub open_files: NonZeroU32,
    /// The size of each file that it writes.
    pub file: ByteSize,
    /// Bytes that it may print for one part.
    pub output: ByteSize,
}
