//! The files of a job: what is known of each, and how they become parts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use actors::{
    agent::Part,
    pattern::map_reduce::{Map, Piece},
    split::{self, By, Item, Limits},
};
use review::{
    Finding, Skipped,
    source::{self, FileFact, Source},
};
use serde_json::{Value, json};

use super::reviewing::TESTS;
use crate::limits::NAMES_SHOWN;
use crate::runfile::{Agent, Assign, MapReduce as Pattern, SplitBy, Workers};

/// What [`Part::kind`] is for the one part that agents with `whole = true` get.
pub(super) const WHOLE: &str = "whole";

/// The files that are looked at.
#[derive(Debug)]
pub struct Files {
    source: Source,
    root: PathBuf,
    positions: BTreeMap<String, usize>,
}

impl Files {
    pub(super) fn new(source: Source) -> Self {
        let root = std::path::absolute(&source.root).unwrap_or_else(|_| source.root.clone());
        let positions = source.files.iter().enumerate();
        let positions = positions.map(|(at, file)| (file.path.clone(), at)).collect();
        Self { source, root, positions }
    }

    /// The folder that all paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that was asked for: the root, but in a diff the one in the repository.
    pub fn origin(&self) -> &Path {
        &self.source.origin
    }

    /// What is looked at, sorted by path.
    pub fn list(&self) -> &[FileFact] {
        &self.source.files
    }

    /// What is not looked at, each with its reason.
    pub fn skipped(&self) -> &[Skipped] {
        &self.source.skipped
    }

    /// How many files are not looked at, and the first of them with their reasons, to end a sentence; empty if there are none.
    pub(super) fn skipped_in_short(&self) -> String {
        let skipped = self.skipped();
        if skipped.is_empty() {
            return String::new();
        }
        let shown = skipped.iter().take(NAMES_SHOWN);
        let mut shown: Vec<_> = shown.map(|one| format!("{}: {}", one.file, one.reason)).collect();
        if let Some(more @ 1..) = skipped.len().checked_sub(NAMES_SHOWN) {
            shown.push(format!("and {more} more"));
        }
        format!(", and {} cannot be reviewed ({})", skipped.len(), shown.join("; "))
    }

    /// Tells whether a finding is in what is looked at: in a diff, whether it touches a changed line of a changed file.
    pub(super) fn concerns(&self, finding: &Finding) -> bool {
        let file = self.positions.get(&finding.file).and_then(|at| self.source.files.get(*at));
        match (file, &self.source.commits) {
            (Some(file), _) => source::in_diff(finding, file.changed.as_deref()),
            (None, Some(_)) => false,
            (None, None) => true,
        }
    }

    /// What agents may want to know of some files: those that only tests use, and in a diff the changed lines of each.
    pub(super) fn about(&self, paths: &[String]) -> Value {
        let facts =
            paths.iter().filter_map(|path| self.source.files.get(*self.positions.get(path)?));
        let tests: Vec<&str> =
            facts.clone().filter(|fact| fact.test).map(|fact| fact.path.as_str()).collect();
        let changed: serde_json::Map<String, Value> = facts
            .filter_map(|fact| Some((fact.path.clone(), json!(fact.changed.as_ref()?))))
            .collect();
        let mut about = serde_json::Map::new();
        if !tests.is_empty() {
            about.insert(TESTS.to_owned(), json!(tests));
        }
        if !changed.is_empty() {
            about.insert("changed".to_owned(), Value::Object(changed));
        }
        if about.is_empty() { Value::Null } else { Value::Object(about) }
    }

    /// Tells whether an agent takes any of the files.
    pub(super) fn has_work_for(&self, agent: &Agent) -> bool {
        let takes = takes(agent);
        self.source.files.iter().any(|file| takes(&file.path))
    }

    /// Every path that an agent takes.
    pub(super) fn taken_by(&self, takes: impl Fn(&str) -> bool) -> Vec<String> {
        let paths = self.source.files.iter().map(|file| &file.path);
        paths.filter(|path| takes(path)).cloned().collect()
    }
}

/// Tells whether an agent takes a file: by its globs, and a built-in one by what it understands.
pub(super) fn takes(agent: &Agent) -> impl Fn(&str) -> bool + Clone + Send + Sync + 'static {
    let accepts = agent.accepts.clone();
    let reviewer = match &agent.kind {
        crate::runfile::AgentKind::Builtin(name) => review::reviewer(name),
        crate::runfile::AgentKind::Command(_)
        | crate::runfile::AgentKind::Process(_)
        | crate::runfile::AgentKind::Actor(_) => None,
    };
    move |path: &str| {
        accepts.matches(path) && reviewer.as_ref().is_none_or(|reviewer| reviewer.accepts(path))
    }
}

/// The split of a job's files.
pub(super) struct Split {
    files: Arc<Files>,
    /// Which files go where: a test for each agent that takes ordinary parts.
    takers: Vec<Taker>,
    by: Vec<By>,
    limits: Limits,
    whole: bool,
    any_of: bool,
    match_kinds: bool,
}

struct Taker {
    takes: Box<dyn Fn(&str) -> bool + Send>,
    capabilities: Vec<String>,
}

impl Split {
    pub(super) fn new(pattern: &Pattern, agents: &[Agent], files: Arc<Files>) -> Self {
        let takers = agents.iter().filter(|agent| !agent.whole).map(|agent| Taker {
            takes: Box::new(takes(agent)),
            capabilities: agent.capabilities.clone(),
        });
        let any_whole = |agent: &Agent| agent.whole && files.has_work_for(agent);
        Self {
            takers: takers.collect(),
            by: pattern.split.by.iter().map(|by| by_of(*by)).collect(),
            limits: Limits {
                bytes_max: pattern.split.max_bytes.0,
                items_max: pattern.split.max_files.get(),
            },
            whole: agents.iter().any(any_whole),
            any_of: matches!(pattern.workers, Workers::AnyOf(_)),
            match_kinds: pattern.assign == Assign::CapabilityMatch,
            files,
        }
    }

    /// The files that some agent takes, by position, with who takes them.
    fn taken(&self) -> Vec<(usize, u64)> {
        let files = self.files.list().iter().enumerate();
        let mut groups: BTreeMap<Vec<bool>, u64> = BTreeMap::new();
        let taken = files.filter_map(|(at, file)| {
            let by: Vec<bool> = self.takers.iter().map(|taker| (taker.takes)(&file.path)).collect();
            if !by.contains(&true) {
                return None;
            }
            let next = groups.len() as u64;
            Some((at, if self.any_of { *groups.entry(by).or_insert(next) } else { 0 }))
        });
        taken.collect()
    }

    fn items(&self, taken: &[(usize, u64)]) -> Vec<Item> {
        let places: BTreeMap<usize, usize> =
            taken.iter().enumerate().map(|(place, (at, _))| (*at, place)).collect();
        let item = |(at, group): &(usize, u64)| {
            let file = self.files.list().get(*at)?;
            let depends_on = file.depends_on.iter().filter_map(|at| places.get(at).copied());
            Some(Item {
                group: *group,
                kind: file.kind.clone(),
                bytes: file.bytes,
                complexity: file.complexity,
                depends_on: depends_on.collect(),
            })
        };
        taken.iter().filter_map(item).collect()
    }

    fn piece(&self, id: u32, files: &[&FileFact]) -> Piece<Part> {
        let kinds: Vec<&str> = files.iter().map(|file| file.kind.as_str()).collect();
        let kind = match kinds.split_first() {
            Some((first, rest)) if rest.iter().all(|kind| kind == first) => *first,
            _ => "mixed",
        };
        let part = Part {
            id,
            name: name(files),
            kind: kind.to_owned(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files: files.iter().map(|file| file.path.clone()).collect(),
            ..Part::default()
        };
        let can = |taker: &Taker| {
            let takes = files.iter().any(|file| (taker.takes)(&file.path));
            takes && taker.capabilities.iter().any(|capability| capability == kind)
        };
        let needed = self.match_kinds && self.takers.iter().any(can);
        Piece {
            name: part.name.clone(),
            bytes: part.bytes,
            needs: if needed { vec![kind.to_owned()] } else { Vec::new() },
            speculate: true,
            input: part,
        }
    }

    /// The part of the agents that look at everything; its files are filled in for each of them.
    fn whole_piece(&self, id: u32) -> Piece<Part> {
        let bytes = self.files.list().iter().map(|file| file.bytes).sum();
        let name = "all files".to_owned();
        let kind = WHOLE.to_owned();
        let part = Part { id, name: name.clone(), kind, bytes, ..Part::default() };
        Piece { name, bytes, needs: Vec::new(), speculate: true, input: part }
    }
}

impl Map<Part> for Split {
    fn map(&mut self) -> Result<Vec<Piece<Part>>, String> {
        let taken = self.taken();
        let parts = split::split(&self.items(&taken), &self.by, self.limits);
        let mut pieces = Vec::new();
        // The part that takes longest begins first.
        if self.whole {
            pieces.push(self.whole_piece(0));
        }
        for part in parts {
            let id = u32::try_from(pieces.len()).map_err(|_| "there are too many parts")?;
            let files = part.iter().filter_map(|place| taken.get(*place));
            let files: Vec<&FileFact> =
                files.filter_map(|(at, _)| self.files.list().get(*at)).collect();
            pieces.push(self.piece(id, &files));
        }
        // a split has a part, even one that nobody takes
        if pieces.is_empty() {
            pieces.push(self.whole_piece(0));
        }
        Ok(pieces)
    }

    fn validate(&self, pieces: &[Piece<Part>]) -> Result<(), String> {
        let taken = self.taken();
        let places: BTreeMap<&str, usize> = taken
            .iter()
            .enumerate()
            .filter_map(|(place, (at, _))| Some((self.files.list().get(*at)?.path.as_str(), place)))
            .collect();
        let mut parts = Vec::new();
        for piece in pieces.iter().filter(|piece| piece.input.kind != WHOLE) {
            let place = |path: &String| {
                places
                    .get(path.as_str())
                    .copied()
                    .ok_or_else(|| format!("{path} is no file of the task"))
            };
            parts.push(piece.input.files.iter().map(place).collect::<Result<Vec<_>, _>>()?);
        }
        split::check(&parts, &self.items(&taken), self.limits)
    }
}

fn by_of(by: SplitBy) -> By {
    match by {
        SplitBy::Type => By::Type,
        SplitBy::Size => By::Size,
        SplitBy::Complexity => By::Complexity,
        SplitBy::Dependency => By::Dependency,
    }
}

/// Names a part for people by its first file.
fn name(files: &[&FileFact]) -> String {
    match files {
        [] => String::new(),
        [one] => one.path.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.path, rest.len()),
    }
}
