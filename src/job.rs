//! A job: what a run file asks for, with its files listed and its programs found; ready to become a run.
//!
//! The command line makes it from a resolved run file, starts its agents on a node and runs its [`MapReduce`]; or, where the file
//! asks a question, the [`Vote`] on it, where it has documents, their [`Pipeline`], the [`Swarm`] that looks for something, or,
//! where it has a mission, the [`Hierarchy`] of its teams; where some of these come after others, the
//! [`Tasks`] that they are. A [`Plan`] is any of them; [`brief`] says what the one is told of the other.
//! [`cast`] says who takes part, [`files`] lists and splits, [`agents`] does parts, [`reviewing`] those of built-in reviewers,
//! [`answer`] reads what agents say, [`merge`] puts it together; [`stand_ins`] takes the place of agents in tests.
//!
//! # Invariants
//! - Nothing was started when a job cannot be prepared.
//! - An agent that does not take part is named with its reason in [`Cast::skipped`].
//! - A job that is prepared again with the agents of the first time numbers its pieces of work alike, so that it can be resumed.

mod agents;
mod answer;
mod brief;
mod cast;
mod error;
mod files;
mod hierarchy;
mod hiring;
mod merge;
mod pipeline;
mod plan;
mod reviewing;
mod stand_ins;
mod swarm;
mod tasks;
mod vote;
mod work;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use actors::{
    agent::{AgentError, Launcher, Part},
    assign::Strategy,
    pattern::map_reduce::{
        Assignment, Branch, MapReduce, OnPartialFailure as OnFailure, Options, Record, Reduce as _,
    },
};
use protocol::RunId;
use review::{merge::Report, source};
use runtime::{
    budget::Limits,
    engine::journal::{Journal, records},
    record,
};
use serde_json::{Value, json};

pub use agents::{BuiltIn, built_in};
use brief::BEFORE;
pub use cast::{Cast, SkippedAgent};
pub use error::JobError;
pub use files::Files;
pub use hierarchy::Hierarchy;
pub use merge::Merge;
pub use pipeline::Pipeline;
pub use plan::{Follow, Plan, Product, Ready, Runs};
pub use reviewing::answer_of;
pub use stand_ins::StandIns;
use stand_ins::Themselves;
pub use swarm::{Answer, Found, Ground, Scene, Stretch, Swarm, Swarmed, Trail};
pub use tasks::{Planned, Task, Tasks};
pub use vote::Vote;
pub use work::Work;

use crate::{
    node::Node,
    runfile::{
        Agent, AgentKind, Assign, Catalogue, MapReduce as Pattern, Name, OnPartialFailure,
        Resolved, Workers,
    },
};

/// The names that run files may use with this program.
pub fn catalogue() -> Catalogue {
    Catalogue {
        builtins: Some(
            review::names().into_iter().chain(document_names()).map(str::to_owned).collect(),
        ),
        actors: Some(Vec::new()),
        reducers: Some(vec!["findings.merge".to_owned()]),
    }
}

#[cfg(feature = "documents")]
use crate::document::{names as document_names, work as document_work};

/// What a built-in agent does with a part, on the thread of whoever calls it; none for a name that no agent has.
pub fn built_in_of(name: &str) -> Option<BuiltIn> {
    if let Some(reviewer) = review::reviewer(name) {
        return Some(Arc::new(move |part, context| answer_of(&*reviewer, part, context)));
    }
    let work = document_work(name)?;
    Some(Arc::new(move |part, _| work(part.clone())))
}

/// Without the crate that knows of documents there are no agents for them.
#[cfg(not(feature = "documents"))]
fn document_names() -> [&'static str; 0] {
    []
}

#[cfg(not(feature = "documents"))]
fn document_work(_: &str) -> Option<fn(Part) -> Result<Value, String>> {
    None
}

/// A run file's job.
#[derive(Debug)]
pub struct Job {
    /// What takes part; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    /// The files.
    pub files: Arc<Files>,
    /// Those of the pattern, then their fallbacks.
    agents: Vec<Agent>,
    /// How many are those of the pattern.
    own: usize,
    pattern: Pattern,
    deadline: Duration,
    limits: Limits,
    launcher: Launcher,
}

impl Job {
    /// Finds out who takes part and lists the files; blocks on the file system, and on `git` for a diff.
    ///
    /// `before` is the cast of the run that is resumed, if it is.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn prepare(
        resolved: &Resolved,
        launcher: &Launcher,
        before: Option<&Cast>,
    ) -> Result<Self, JobError> {
        let (_, agents) = crew(resolved, &resolved.main)?;
        Self::with(resolved, launcher, cast::now_or(&agents, before)?)
    }

    /// Lists the files for a cast that is known; its programs are not looked for.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(
        resolved: &Resolved,
        launcher: &Launcher,
        mut cast: Cast,
    ) -> Result<Self, JobError> {
        let (pattern, mut agents) = crew(resolved, &resolved.main)?;
        let pattern = pattern.clone();
        agents.retain(|agent| cast.has(&agent.name));
        let of_pattern = |agent: &&&Agent| pattern.workers.names().contains(&agent.name);
        let own = agents.iter().take_while(of_pattern).count();
        if own == 0 {
            let reasons = cast.skipped.iter().map(|one| format!("{}: {}", one.agent, one.reason));
            let reasons = reasons.collect::<Vec<_>>().join("; ");
            return Err(JobError::Nobody { pattern: pattern.name.to_string(), reasons });
        }
        let diff = match &cast.commits {
            Some(commits) => Some(format!("{}..{}", commits.from, commits.to)),
            None => pattern.split.diff.clone(),
        };
        let path = PathBuf::from(&pattern.split.path);
        let mut source = source::list(&source::Options { path: path.clone(), diff })?;
        let program =
            |agent: &&Agent| matches!(agent.kind, AgentKind::Command(_) | AgentKind::Process(_));
        if !source.files.is_empty() && agents.iter().any(program) {
            source.check_out()?;
        }
        cast.commits = source.commits.clone().or(cast.commits);
        let files = Files::new(source);
        // commits that change nothing to review are common, and are reviewed as such
        if cast.commits.is_none() && !agents.iter().take(own).any(|agent| files.has_work_for(agent))
        {
            let skipped = files.skipped_in_short();
            return Err(JobError::Nothing { path, files: files.list().len(), skipped });
        }
        Ok(Self {
            files: Arc::new(files),
            agents: agents
                .into_iter()
                .map(|agent| cast::with_heir(agent, &cast, resolved))
                .collect(),
            cast,
            own,
            deadline: resolved.deadline,
            limits: Limits { messages: resolved.messages, ..Limits::default() },
            launcher: launcher.clone(),
            pattern,
        })
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        self.pattern.name.as_str()
    }

    /// The range of revisions whose changes are looked at.
    pub fn range(&self) -> Option<&str> {
        self.pattern.split.diff.as_deref()
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Starts the agents on `node` and describes the run.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn start(&self, node: &Node) -> Result<MapReduce<Part, Value, Merge>, JobError> {
        Ok(self.pattern(self.hire(node, &Themselves)?))
    }

    /// Starts the agents on `node`, or whoever stands in for them.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn hire(
        &self,
        node: &Node,
        stand_ins: &dyn StandIns,
    ) -> Result<Vec<Branch<Part, Value>>, JobError> {
        let mut hired = agents::Hired::new();
        let mut hire = |agent| {
            let handle = agents::start(agent, self, (node, stand_ins), &mut hired)?;
            Ok(agents::branch(agent, self, handle))
        };
        self.own().iter().map(&mut hire).collect()
    }

    /// The same agents, told what came before: with each part, as `before` of its data.
    pub(crate) fn told(
        branches: &[Branch<Part, Value>],
        before: &Value,
    ) -> Vec<Branch<Part, Value>> {
        let told = |branch: &Branch<Part, Value>| {
            let (narrow, before) = (branch.narrow.clone(), before.clone());
            let narrow = move |part: &Part| {
                let mut part =
                    narrow.as_ref().map_or_else(|| Some(part.clone()), |own| own(part))?;
                if let Some(data) = part.data.as_object_mut() {
                    data.insert(BEFORE.to_owned(), before.clone());
                } else {
                    part.data = json!({ BEFORE: before });
                }
                Some(part)
            };
            Branch { narrow: Some(Arc::new(narrow)), ..branch.clone() }
        };
        branches.iter().map(told).collect()
    }

    /// Describes the run of these agents.
    pub fn pattern(&self, branches: Vec<Branch<Part, Value>>) -> MapReduce<Part, Value, Merge> {
        let files = Arc::clone(&self.files);
        let split = files::Split::new(&self.pattern, self.own(), Arc::clone(&files));
        MapReduce::new(split, branches, move || Merge::new(&files)).options(self.options())
    }

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The agents that the pattern names.
    fn own(&self) -> &[Agent] {
        self.agents.get(..self.own).unwrap_or_default()
    }

    /// Reads what `agent` said of `part`, as the answers of programs are read.
    ///
    /// # Errors
    /// [`AgentError::Garbage`] when it is no review.
    pub fn read(&self, agent: &str, said: &Value, part: &Part) -> Result<Value, AgentError> {
        answer::read(said, agent, part, &self.files)
    }

    /// What the journal of a run says was found, whether or not the run has put it together.
    ///
    /// # Errors
    /// The journal cannot be read, or holds something else.
    pub fn recount(&self, journal: &dyn Journal, run: RunId) -> Result<Report, String> {
        let mut merge = Merge::new(&self.files);
        for record in records(journal, run) {
            let record = record.map_err(|error| error.to_string())?;
            if let Record::Done { output, .. } = record::decode::<Record<Value, Value>>(&record)? {
                merge.take(&output)?;
            }
        }
        merge.reduce(&[])
    }

    /// Counts each agent's pieces of work among the parts of the split; nothing where any of several agents does a part.
    pub fn shares(&self, parts: &[Part]) -> BTreeMap<String, u64> {
        let shared = matches!(self.pattern.workers, Workers::AnyOf(_));
        let agents = self.own().iter().filter(|_| !shared);
        let share = |agent: &Agent| {
            let narrow = agents::narrow(agent, &self.files);
            let count = parts.iter().filter(|part| narrow(part).is_some()).count();
            (agent.name.to_string(), count as u64)
        };
        agents.map(share).collect()
    }

    fn has_work(&self) -> bool {
        self.own().iter().any(|agent| self.files.has_work_for(agent))
    }

    fn options(&self) -> Options {
        let Pattern {
            name, workers, assign, retry, speculate, on_partial_failure, timeout, ..
        } = &self.pattern;
        let defaults = Options::default();
        Options {
            name: name.to_string(),
            assignment: match (workers, assign) {
                (Workers::AllOf(_), _) => Assignment::AllOf,
                // in a diff with nothing to review, the one part may be nobody's
                _ if !self.has_work() => Assignment::AllOf,
                (Workers::AnyOf(_), Assign::RoundRobin) => Assignment::AnyOf(Strategy::RoundRobin),
                (Workers::AnyOf(_), Assign::CapabilityMatch) => {
                    Assignment::AnyOf(Strategy::CapabilityMatch)
                }
            },
            retries: *retry,
            speculate: speculate.is_some(),
            speculate_after: speculate
                .map_or(defaults.speculate_after, |speculate| speculate.after),
            on_partial_failure: match on_partial_failure {
                OnPartialFailure::Fail => OnFailure::Fail,
                OnPartialFailure::Keep => OnFailure::Keep,
                OnPartialFailure::RetryElsewhere => OnFailure::RetryElsewhere,
            },
            timeout: timeout.unwrap_or(defaults.timeout),
        }
    }
}

/// The pattern of this name, and its agents with their fallbacks behind.
fn crew<'r>(
    resolved: &'r Resolved,
    name: &Name,
) -> Result<(&'r Pattern, Vec<&'r Agent>), JobError> {
    let unknown = |name: &dyn ToString| JobError::Unknown { name: name.to_string() };
    let pattern = resolved.map_reduce(name).ok_or_else(|| unknown(name))?;
    let agents = crate::runfile::crew(&resolved.agents, pattern);
    let is_missing = |worker: &&Name| !agents.iter().any(|agent| agent.name == **worker);
    match pattern.workers.names().iter().find(is_missing) {
        Some(worker) => Err(unknown(worker)),
        None => Ok((pattern, agents)),
    }
}

#[cfg(test)]
mod tests {
    use actors::pattern::map_reduce::Map;

    use super::*;
    use crate::runfile::{RunRequest, Set};

    const FILE: &str = r#"
        synod = 1
        main = "review"
        agents.typos = { builtin = "review.typos", accepts = "*.md" }
        agents.all = { command = ["sh"], reads = "lines", whole = true }
        agents.gone = { command = ["no-such-program"], reads = "lines", optional = true }
        map_reduce.review = { split = { use = "code.files", max_files = 2 }, all_of = ["typos", "all", "gone"] }
    "#;

    #[test]
    fn a_fallback_takes_part_behind_its_agent_and_replaces_a_missing_program() {
        let overrides = ["agents.gone.fallback=\"near\"", "agents.gone.optional=false"];
        let near = |fallback: &str, trusted: bool| {
            format!(
                "agents.near={{ command = [\"sh\"], reads = \"lines\", trusted = {trusted}{fallback} }}"
            )
        };
        let plain = near("", true);
        let job = prepared(None, &[&overrides[..], &[&plain]].concat()).unwrap();
        assert_eq!(job.cast.agents, ["typos", "all", "gone", "near"]);
        assert_eq!((job.own().len(), job.cast.skipped.len()), (3, 0));
        let not_executable = ["agents.gone.command=[\"./Cargo.toml\"]", &plain];
        let other = prepared(None, &[&overrides[..], &not_executable].concat()).unwrap();
        assert_eq!(other.cast, job.cast, "nor is one that is not executable missed");
        let again = prepared(Some(&job.cast), &[&overrides[..], &[&plain]].concat());
        assert_eq!(again.unwrap().cast, job.cast);

        // One that is not trusted is passed by, with its reason; without another one the program is missed.
        let untrusted = near(", fallback = \"far\"", false);
        let far = "agents.far={ builtin = \"review.typos\" }";
        let job = prepared(None, &[&overrides[..], &[&untrusted, far]].concat()).unwrap();
        assert_eq!(job.cast.agents, ["typos", "all", "gone", "far"]);
        assert_eq!(job.cast.skipped[0].agent, "near");
        let gone = job.agents.iter().find(|agent| agent.name.as_str() == "gone").unwrap();
        assert_eq!(gone.fallback.as_ref().map(Name::as_str), Some("far"));
        let alone = near("", false);
        let error = prepared(None, &[&overrides[..], &[&alone]].concat()).unwrap_err();
        assert!(matches!(&error, JobError::NoProgram { agent, .. } if agent == "gone"), "{error}");
    }

    fn prepared(before: Option<&Cast>, overrides: &[&str]) -> Result<Job, JobError> {
        let tree = tempfile::tempdir().unwrap();
        for name in ["a.md", "b.md", "c.md", "d.rs"] {
            std::fs::write(tree.path().join(name), "text\n").unwrap();
        }
        let path = format!("map_reduce.review.split.path={}", tree.path().display());
        let overrides = overrides.iter().copied().chain([path.as_str()]);
        let request = RunRequest {
            name: "review.toml".to_owned(),
            text: FILE.to_owned(),
            overrides: overrides.map(|set| Set(set.to_owned())).collect(),
            inputs: Vec::new(),
        };
        let resolved = request.resolve(&catalogue(), &|_| None).unwrap();
        Job::prepare(&resolved, &Launcher::at("/bin/false"), before)
    }

    fn split(job: &Job) -> files::Split {
        files::Split::new(&job.pattern, job.own(), Arc::clone(&job.files))
    }

    #[test]
    fn a_split_has_each_file_that_is_taken_once_and_one_part_with_all() {
        let job = prepared(None, &[]).unwrap();
        let mut split = split(&job);
        let pieces = split.map().unwrap();
        let parts: Vec<&[String]> =
            pieces.iter().map(|piece| piece.input.files.as_slice()).collect();
        assert_eq!(pieces[0].name, "all files");
        let mut files = parts.concat();
        files.sort();
        assert_eq!(files, ["a.md", "b.md", "c.md"], "nobody takes d.rs alone");
        assert!(parts.iter().all(|files| files.len() <= 2));
        assert_eq!(split.validate(&pieces), Ok(()));
    }

    #[test]
    fn a_split_that_loses_repeats_or_invents_a_file_is_refused() {
        let job = prepared(None, &[]).unwrap();
        let mut split = split(&job);
        let pieces = split.map().unwrap();
        let wrong: [fn(&mut Vec<String>); 4] = [
            |files| drop(files.pop()),
            |files| files.push("a.md".to_owned()),
            |files| files.push("z.md".to_owned()),
            |files| files.clear(),
        ];
        for wrong in wrong {
            let mut pieces = pieces.clone();
            wrong(&mut pieces[1].input.files);
            assert!(split.validate(&pieces).is_err(), "{pieces:?}");
        }
    }

    #[test]
    fn a_run_is_taken_up_again_only_by_those_who_began_it() {
        let first = prepared(None, &[]).unwrap();
        assert_eq!(first.cast.agents, ["typos", "all"]);
        assert_eq!(first.cast.skipped[0].agent, "gone");
        assert_eq!(prepared(Some(&first.cast), &[]).unwrap().cast, first.cast);
        let error = prepared(Some(&first.cast), &["agents.all.trusted=false"]).unwrap_err();
        assert!(matches!(&error, JobError::Changed { agent, .. } if agent == "all"), "{error}");
        let before = Cast { agents: vec!["gone".to_owned()], ..Cast::default() };
        let error = prepared(Some(&before), &[]).unwrap_err().to_string();
        assert!(error.contains("`gone` took part in this run and cannot now"), "{error}");
        assert!(error.contains("`no-such-program` was not found"), "{error}");
    }
}
