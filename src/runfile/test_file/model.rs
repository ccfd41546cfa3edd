//! What a test file says, as plain typed values.
//!
//! Built by [`build`](super::build) and nowhere else, so every name resolves and every number is within its limit.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use runtime::sim::Fault;
use serde_json::Value;

use super::super::model::{Accepts, Name};

/// A checked test file.
#[derive(Debug, Clone, PartialEq)]
pub struct TestFile {
    /// The tests, in the order of the file; never empty, each name once.
    pub tests: Vec<Test>,
}

/// One `[[test]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// The pattern that runs.
    pub run: Name,
    /// What the run is given, as `--input` takes it.
    pub inputs: Vec<(String, String)>,
    /// What environment variables are, for the run file.
    pub env: BTreeMap<String, String>,
    /// The folder that is looked at, file by file; empty: what the run file says.
    pub files: BTreeMap<PathBuf, String>,
    /// What agents do in place of their work, call by call; each list has an element.
    pub mocks: BTreeMap<Name, Vec<Mock>>,
    /// Where the answers of programs are recorded, relative to the folder of the test file.
    pub cassette: Option<PathBuf>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How long after it was first asked for the run is cancelled; `None`: not at all.
    pub cancel: Option<Duration>,
    /// How many seeds it runs under.
    pub seeds: u64,
    /// What must not hold at any moment.
    pub never: Vec<Condition>,
    /// What must hold at every moment.
    pub always: Vec<Condition>,
    /// What must hold in the end.
    pub expect: Vec<Condition>,
}

/// What an agent does at one call in place of its work.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock {
    /// The parts that it is for: those with such a file.
    pub on: Accepts,
    /// The stage that it is for; `None`: every one.
    pub stage: Option<Name>,
    /// How long it takes first.
    pub slow: Option<Duration>,
    /// What it does then.
    pub saying: Saying,
}

/// How a mocked call ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// As the agent's own work does.
    Own,
    /// With this answer.
    Says(Value),
    /// With what it was given.
    Passes,
    /// As failed, with these words.
    Fails(String),
    /// As busy, for so long.
    Busy(Duration),
    /// Never.
    Hang,
    /// With a panic.
    Panic,
    /// With the agent's death.
    Crash,
}

/// A number, or a range of numbers with both ends.
pub type Count = RangeInclusive<u64>;

/// What may be true of a run; all that it says together.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// How the file writes it, and in which line.
    pub written: (String, usize),
    /// How the run ended, one of these; empty: in any way.
    pub outcome: Vec<OutcomeName>,
    /// What a vote chose, one of these; empty: anything or nothing.
    pub choice: Vec<String>,
    /// How many findings there are.
    pub findings: Option<Count>,
    /// Findings that there are.
    pub finding: Vec<FindingMatch>,
    /// How many documents have passed all stages.
    pub done: Option<Count>,
    /// What the best of a swarm costs at the most.
    pub cost: Option<f64>,
    /// How many ticks a swarm has done.
    pub ticks: Option<Count>,
    /// Patterns that have emerged from a swarm.
    pub pattern: Vec<String>,
    /// How many pieces of work failed.
    pub failed: Option<Count>,
    /// Pieces of work that failed.
    pub failure: Vec<FailureMatch>,
    /// How often agents were called.
    pub calls: Vec<(Name, Count)>,
}

/// How a run, or the vote or rollout of one, may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeName {
    /// With all of its parts, or a choice.
    Completed,
    /// With failed parts, or without a choice.
    Incomplete,
    /// Not split, not reduced, or ended by a part that failed.
    Failed,
    /// By its deadline.
    TimedOut,
    /// By its budget.
    OverBudget,
    /// As the test has cancelled it.
    Cancelled,
    /// Its ballots agree on a choice.
    Consensus,
    /// They do not, and a tie-breaker chose.
    TieBroken,
    /// They do not, and none chose.
    NoDecision,
    /// Too few voted.
    InsufficientParticipation,
    /// A veto blocks the choice.
    Vetoed,
    /// All traffic goes to its new instances.
    RolledOut,
    /// Its rollout was taken back.
    RolledBack,
}

impl OutcomeName {
    /// Every outcome, with its name in test files.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Completed, "completed"),
        (Self::Incomplete, "incomplete"),
        (Self::Failed, "failed"),
        (Self::TimedOut, "timed_out"),
        (Self::OverBudget, "over_budget"),
        (Self::Cancelled, "cancelled"),
        (Self::Consensus, "consensus"),
        (Self::TieBroken, "tie_broken"),
        (Self::NoDecision, "no_decision"),
        (Self::InsufficientParticipation, "insufficient_participation"),
        (Self::Vetoed, "vetoed"),
        (Self::RolledOut, "rolled_out"),
        (Self::RolledBack, "rolled_back"),
    ];

    /// Gives the outcome's name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or("", |(_, name)| name)
    }
}

/// What a finding must be like.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingMatch {
    /// A glob of its rule.
    pub rule: Option<Accepts>,
    /// A glob of its file.
    pub file: Option<Accepts>,
    /// Its first line.
    pub line: Option<u32>,
    /// How bad it is: `error`, `warning` or `note`.
    pub severity: Option<String>,
    /// One of those who found it.
    pub agent: Option<String>,
    /// A part of its message.
    pub message: Option<String>,
}

/// What a failed piece of work must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureMatch {
    /// Who should have done it.
    pub agent: Option<String>,
    /// A part of its name.
    pub part: Option<String>,
    /// A part of its error.
    pub error: Option<String>,
}
