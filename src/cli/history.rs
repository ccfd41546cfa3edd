//! What the journal of a run says: who asked for it, its parts, what became of them, and its end.
//!
//! A file holds two streams: the request under the nil id, written once before the run is accepted, and the run's own records.
//!
//! # Invariants
//! - The request holds all that a resume needs but the values of environment variables, which may be secrets.

mod plan;
mod swarm;
mod taking;
mod teams;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use actors::{
    agent::Part,
    pattern::{
        PatternKind,
        consensus::{Answer, Record as VoteEntry, Vote, VoteRecord},
        map_reduce::{Ended, Piece, Record},
        pipeline::{Record as DocumentEntry, Recount, StageBegan},
    },
};
use protocol::RunId;
use runtime::{
    emergency::{self, StopRecord},
    engine::{
        journal::{Append, Journal, JournalError, records},
        local::{OpenJournalError, RedbJournal},
    },
    limits::JOURNAL_READ_RECORDS_MAX,
    record,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{ballots::Voted, brought::Brought, patterns::Patterns};
use crate::{job::Cast, limits::REQUEST_RECORD_BYTES, runfile::RunRequest};

/// The stream that holds the request.
const REQUEST: RunId = RunId::NIL;

/// What a run was asked for, kept before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The run.
    pub run: RunId,
    /// The version of the program.
    pub version: String,
    /// Unix milliseconds.
    pub at: i64,
    /// The working directory, which paths are relative to.
    pub directory: PathBuf,
    /// The run file with its options.
    pub request: RunRequest,
    /// Who takes part.
    pub cast: Cast,
}

/// Why a journal tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenJournalError),
    /// The file cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error("the journal of run {run} has a record that cannot be read: {why}")]
    Record {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        why: String,
    },
    /// The run was never accepted.
    #[error("run {run} was never accepted: its journal holds no request; run its file again")]
    NoRequest {
        /// The run.
        run: RunId,
    },
}

/// Writes the request; ready when it is durable.
///
/// # Errors
/// [`HistoryError`] when it cannot be written.
///
/// # Cancel safety
/// Dropping the future may leave the request written.
pub async fn write(journal: &dyn Journal, request: &Request) -> Result<(), HistoryError> {
    let run = request.run;
    let bytes = serde_json::to_vec(request)
        .map_err(|error| HistoryError::Record { run, why: error.to_string() })?;
    let records = bytes.chunks(REQUEST_RECORD_BYTES).map(<[u8]>::to_vec).collect();
    let (append, appended) = Append::awaited(REQUEST, 0, records);
    journal.append(append);
    appended.await?;
    Ok(())
}

/// What became of one piece of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// The pattern, where several ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The part's number.
    pub part: u32,
    /// The part's name.
    pub name: String,
    /// The agent.
    pub agent: String,
    /// The attempt that counts, from 1.
    pub attempt: u32,
    /// The agent's instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// When that attempt began, in Unix milliseconds.
    pub at: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Why it brought nothing; absent when it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Agents whose fallback did it, since they failed at it; the first first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<Fall>,
}

/// An agent that failed at a piece of work and left it to its fallback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fall {
    /// The agent.
    pub agent: String,
    /// When it was left, in Unix milliseconds.
    pub at: i64,
    /// How the agent failed.
    pub error: String,
}

/// Tells when a piece of work ended, in Unix milliseconds.
pub fn end(work: &Work) -> i64 {
    work.at.saturating_add(i64::try_from(work.micros / 1_000).unwrap_or(i64::MAX))
}

/// All that a journal says of its run.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What was asked for.
    pub request: Request,
    /// When it began, in Unix milliseconds; `None` if it was never accepted.
    pub began: Option<i64>,
    /// Its name.
    pub name: String,
    /// Parts of the split.
    pub parts: usize,
    /// What became of each piece of work, in the order of the journal.
    pub work: Vec<Work>,
    /// What it has brought, where it was no review.
    pub brought: Option<Brought>,
    /// The patterns that it was, if it was several; what was brought is that of the last.
    pub patterns: Option<Patterns>,
    /// How it ended the last time that it was run.
    pub ended: Option<Ended>,
    /// Who stopped it in an emergency, the first time first.
    pub stops: Vec<StopRecord>,
}

/// A record whose parts and results are passed over.
type Passed = Record<IgnoredValue, IgnoredValue>;

/// Takes any value and keeps nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IgnoredValue;

impl<'de> Deserialize<'de> for IgnoredValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Opens the journal of a run for reading, beside the process that writes it.
///
/// # Errors
/// [`HistoryError::Open`].
pub fn open(path: &Path) -> Result<RedbJournal, HistoryError> {
    Ok(RedbJournal::open_read_only(path)?)
}

/// Reads the request of a run.
///
/// # Errors
/// [`HistoryError::NoRequest`] when the process died before it was written.
pub fn request(journal: &dyn Journal, run: RunId) -> Result<Request, HistoryError> {
    let records = journal.read(REQUEST, 0, JOURNAL_READ_RECORDS_MAX)?;
    if records.is_empty() {
        return Err(HistoryError::NoRequest { run });
    }
    serde_json::from_slice(&records.concat())
        .map_err(|error| HistoryError::Record { run, why: error.to_string() })
}

/// Reads all that a journal says of `run`.
///
/// # Errors
/// [`HistoryError`] when it cannot be read.
pub fn read(journal: &dyn Journal, run: RunId) -> Result<History, HistoryError> {
    let mut history = History::of(request(journal, run)?);
    history.stops = emergency::audited(journal)?;
    if is_of(journal, run, PatternKind::Plan)? {
        history.read_plan(journal, run)?;
    } else {
        let cast = history.request.cast.clone();
        history.read_alone(journal, (run, &cast))?;
    }
    Ok(history)
}

impl History {
    /// Nothing but what was asked for.
    const fn of(request: Request) -> Self {
        Self {
            request,
            began: None,
            name: String::new(),
            parts: 0,
            work: Vec::new(),
            brought: None,
            patterns: None,
            ended: None,
            stops: Vec::new(),
        }
    }

    /// Reads a run of one pattern, for which this takes part.
    fn read_alone(
        &mut self,
        journal: &dyn Journal,
        (run, cast): (RunId, &Cast),
    ) -> Result<(), HistoryError> {
        if let (Some(ground), true) = (&cast.swarm, is_of(journal, run, PatternKind::Swarm)?) {
            return self.read_swarm(journal, (run, ground));
        }
        if is_of(journal, run, PatternKind::Hierarchy)? {
            return self.read_teams(journal, run);
        }
        let mut names = Names::default();
        let wrong = |why| HistoryError::Record { run, why };
        for bytes in records(journal, run) {
            match Entry::read(&bytes?, run)? {
                Entry::Work(record) => self.take(record, &mut names),
                Entry::Vote(record) => self.take_vote(record, &mut names),
                Entry::Document(record) => {
                    self.take_document(*record, &mut names).map_err(wrong)?;
                }
            }
        }
        self.parts = names.parts.len();
        if !names.votes.is_empty() {
            let (vote, decision) = Vote::replay(names.votes).map_err(wrong)?;
            let voted = Voted::of(&vote, decision.map(|decision| *decision));
            self.brought = Some(Brought::Vote(Box::new(voted)));
        }
        if let Some(documents) = names.documents {
            self.brought = Some(Brought::Pipeline(documents.report()));
        }
        Ok(())
    }
}

/// Reads the parts of a run's split.
///
/// # Errors
/// [`HistoryError`] when they cannot be read.
pub fn parts(journal: &dyn Journal, run: RunId) -> Result<Vec<Part>, HistoryError> {
    let mut parts = Vec::new();
    for bytes in records(journal, run) {
        let record: Record<Part, IgnoredValue> =
            record::decode(&bytes?).map_err(|why| HistoryError::Record { run, why })?;
        if let Record::Split { pieces, from, last } = record {
            parts.truncate(usize::try_from(from).unwrap_or(usize::MAX));
            parts.extend(pieces.into_iter().map(|piece| piece.input));
            if last {
                break;
            }
        }
    }
    Ok(parts)
}

/// Tells whether a journal says that its run ended.
pub fn is_ended(path: &Path, run: RunId) -> bool {
    let Ok(journal) = open(path) else { return false };
    matches!(end_of(&journal, run), Ok(Some(_)))
}

/// Reads how a run ended, if that is the last that its journal says.
///
/// # Errors
/// [`HistoryError`] when it cannot be read.
pub fn end_of(journal: &dyn Journal, run: RunId) -> Result<Option<Ended>, HistoryError> {
    let Some(at) = journal.next(run)?.checked_sub(1) else { return Ok(None) };
    let records = journal.read(run, at, 1)?;
    let Some(bytes) = records.first() else { return Ok(None) };
    // The last record is the same in every pattern.
    let wrong = |why| HistoryError::Record { run, why };
    if record::decode::<Named>(bytes).map_err(wrong)?.record != "ended" {
        return Ok(None);
    }
    let ended = record::decode(bytes).map_err(wrong)?;
    Ok(if let Passed::Ended(ended) = ended { Some(ended) } else { None })
}

/// The name of a record.
#[derive(Deserialize)]
struct Named {
    record: String,
}

/// Whether a run is one of a kind of pattern, by its first record.
fn is_of(journal: &dyn Journal, run: RunId, kind: PatternKind) -> Result<bool, HistoryError> {
    #[derive(Deserialize)]
    struct Began {
        pattern: String,
    }
    let first = journal.read(run, 0, 1)?;
    let began = first.first().map(|bytes| record::decode::<Began>(bytes));
    Ok(matches!(began, Some(Ok(Began { pattern })) if pattern == kind.as_str()))
}

/// A record of a run, of whichever pattern it is.
enum Entry {
    Work(Passed),
    Vote(VoteEntry),
    Document(Box<DocumentEntry>),
}

impl Entry {
    /// Reads a record; those that several patterns have are read as the first one's.
    fn read(bytes: &[u8], run: RunId) -> Result<Self, HistoryError> {
        let why = match record::decode(bytes) {
            Ok(record) => return Ok(Self::Work(record)),
            Err(why) => why,
        };
        if let Ok(record) = record::decode(bytes) {
            return Ok(Self::Vote(record));
        }
        match record::decode(bytes) {
            Ok(record) => Ok(Self::Document(Box::new(record))),
            Err(_) => Err(HistoryError::Record { run, why }),
        }
    }
}

/// What numbers in records stand for.
#[derive(Debug, Default)]
struct Names {
    agents: Vec<String>,
    parts: Vec<String>,
    /// By unit, who has left it to a fallback.
    falls: BTreeMap<u32, Vec<Fall>>,
    /// By voter and round, the same.
    left: BTreeMap<(String, u32), Vec<Fall>>,
    votes: Vec<VoteRecord>,
    stages: Vec<StageBegan>,
    documents: Option<Recount>,
    /// By document, who has left it to a fallback where it is.
    passed_on: BTreeMap<u32, Vec<Fall>>,
}

impl Names {
    fn agent(&self, agent: u32) -> String {
        let at = usize::try_from(agent).unwrap_or(usize::MAX);
        self.agents.get(at).cloned().unwrap_or_default()
    }

    /// The work of a voter's agent in a round.
    fn ballot(&mut self, voter: String, round: u32, agent: String) -> Work {
        let part = self.parts.iter().position(|name| *name == voter).unwrap_or_default();
        let name = if round > 1 { format!("{voter}, round {round}") } else { voter.clone() };
        let instead_of = self.left.remove(&(voter, round)).unwrap_or_default();
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        let (attempt, slot, at, micros, error) = (0, None, 0, 0, None);
        Work { pattern: None, part, name, agent, instead_of, attempt, slot, at, micros, error }
    }

    /// The work of an agent at a document's stage.
    fn document(&mut self, part: u32, stage: u32, agent: u32) -> Work {
        let agent = self.of_stage(stage, agent);
        let stage = self.stages.get(stage as usize).map_or("", |stage| &stage.name);
        let name = format!("{}, {stage}", self.parts.get(part as usize).map_or("", String::as_str));
        let instead_of = self.passed_on.remove(&part).unwrap_or_default();
        let (attempt, slot, at, micros, error) = (0, None, 0, 0, None);
        Work { pattern: None, part, name, agent, instead_of, attempt, slot, at, micros, error }
    }

    /// An agent of a stage's chain.
    fn of_stage(&self, stage: u32, agent: u32) -> String {
        let stage = self.stages.get(stage as usize);
        stage.and_then(|stage| stage.agents.get(agent as usize)).cloned().unwrap_or_default()
    }

    fn work(&mut self, unit: u32, part: u32, agent: u32) -> Work {
        let part_at = usize::try_from(part).unwrap_or(usize::MAX);
        Work {
            pattern: None,
            part,
            name: self.parts.get(part_at).cloned().unwrap_or_default(),
            agent: self.agent(agent),
            instead_of: self.falls.remove(&unit).unwrap_or_default(),
            attempt: 0,
            slot: None,
            at: 0,
            micros: 0,
            error: None,
        }
    }
}
