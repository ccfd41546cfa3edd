//! Patterns of a run file of which some come after others: each prepared as if it ran alone, all of them run as one plan.
//!
//! # Invariants
//! - All files and documents are listed, and all programs found, before the first pattern starts.
//! - The last pattern is the one that was asked for; the others come before it, directly or not, each behind its own predecessors.
//! - What each has brought is told from its journal: also of a run that was cut off, or is taken up again.

use std::sync::Arc;

use actors::{
    agent::Launcher,
    pattern::{
        FailedPart,
        plan::{Before, Plan as Line, Record, Report, TaskEnd, TaskReport, run_of},
    },
};
use protocol::RunId;
use runtime::{engine::journal::Journal, record};
use serde_json::{Map, Value, json};

use super::{
    Cast, Job, JobError, Product, StandIns, Work, agents,
    brief::{self, BEFORE},
    work::Hired,
};
use crate::{
    node::Node,
    runfile::{Agent, Resolved, limits::INSTANCES_MAX},
};

/// Patterns of which some come after others.
#[derive(Debug)]
pub struct Tasks {
    /// Who takes part, in all and in each; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    /// Those that come before `main`.
    before: Vec<Task>,
    main: Task,
    /// The agents of all of them, each once.
    agents: Vec<Agent>,
}

/// One of them.
#[derive(Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Those that it comes after.
    pub after: Vec<String>,
    /// What it does.
    pub work: Work,
}

/// What came of them.
#[derive(Debug)]
pub struct Planned {
    /// What became of each; that of `main` is the last.
    pub report: Report,
    /// What each has brought, as far as it came, in the same order.
    pub products: Vec<Option<Product>>,
    /// The pieces of work of all of them that brought no result, each named `PATTERN: NAME`.
    pub failed: Vec<FailedPart>,
}

impl Tasks {
    /// Prepares each pattern for a cast that is known; its programs are not looked for. Blocks on the file system.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(
        resolved: &Resolved,
        launcher: &Launcher,
        mut cast: Cast,
    ) -> Result<Self, JobError> {
        let (mut crew, mut tasks) = (Vec::<Agent>::new(), Vec::new());
        for name in resolved.order() {
            let known = cast.patterns.remove(name.as_str());
            let own = Work::crew(resolved, name)?;
            let own = known.unwrap_or_else(|| cast.of(&own));
            let of_own = Resolved { main: name.clone(), ..resolved.clone() };
            let work = Work::with(&of_own, launcher, own)?;
            let is_new = |agent: &&Agent| crew.iter().all(|other| other.name != agent.name);
            let new: Vec<Agent> = work.agents().iter().filter(is_new).cloned().collect();
            crew.extend(new);
            let after = resolved.after(name).iter().map(ToString::to_string).collect();
            tasks.push(Task { name: name.to_string(), after, work });
        }
        let of = |task: &Task| (task.name.clone(), task.work.cast().clone());
        cast.patterns = tasks.iter().map(of).collect();
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let main = tasks.pop().ok_or_else(unknown)?;
        let all = tasks.iter().chain([&main]).flat_map(|task| task.work.agents());
        let count = all.map(agents::places).fold(0, usize::saturating_add);
        if i64::try_from(count).is_ok_and(|count| count > INSTANCES_MAX) {
            return Err(JobError::Instances { main: main.name, count });
        }
        Ok(Self { cast, before: tasks, main, agents: crew })
    }

    /// All of them, each behind those that it comes after.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.before.iter().chain([&self.main])
    }

    /// The one that was asked for.
    pub fn main(&self) -> &Task {
        &self.main
    }

    /// The agents that take part, each once, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The run of each, where that of all is `run`.
    pub fn runs(&self, run: RunId) -> Vec<(RunId, &Task)> {
        let runs = (0..).zip(self.iter());
        runs.map(|(at, task)| (run_of(run, at, &task.name), task)).collect()
    }

    /// Starts the agents of each on `node`, or whoever stands in for them.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub(super) fn hire(
        &self,
        node: &Node,
        stand_ins: &dyn StandIns,
    ) -> Result<Vec<Hired>, JobError> {
        let hire = |task: &Task| {
            let own = stand_ins.of(&task.name);
            task.work.hire(node, own.as_deref().unwrap_or(stand_ins))
        };
        self.iter().map(hire).collect()
    }

    /// Describes the run of these agents.
    pub(super) fn pattern(&self, hired: &[Hired]) -> Line {
        let line = Line::new().name(&self.main.name).needs(&self.main.name);
        self.iter().zip(hired).fold(line, |line, (task, hired)| task.add(line, hired))
    }

    /// Tells what each has brought, as far as it came, by its journal.
    ///
    /// # Errors
    /// A journal cannot be read, or tells of another pattern.
    pub fn planned(&self, journal: &dyn Journal, report: Report) -> Result<Planned, String> {
        let (mut products, mut failed) = (Vec::new(), Vec::new());
        for (task, told) in self.iter().zip(&report.tasks) {
            products.push(task.work.brought(journal, told.run)?);
            let name = |part: FailedPart| FailedPart {
                name: format!("{}: {}", task.name, part.name),
                ..part
            };
            failed.extend(missing(journal, told.run)?.into_iter().map(name));
        }
        Ok(Planned { report, products, failed })
    }
}

impl Planned {
    /// What `main` has brought, as far as it came.
    pub fn main(&self) -> Option<&Product> {
        self.products.last()?.as_ref()
    }

    /// Whether no pattern lacks a part or was rolled back, and `main`, where it is a vote, has made a choice.
    pub fn is_whole(&self) -> bool {
        let lacks_nothing =
            |task: &TaskReport| matches!(task.end, TaskEnd::Done { missing: 0, .. });
        let choice = match self.report.tasks.last().map(|task| &task.end) {
            Some(TaskEnd::Done { output, .. }) => output.get("choice"),
            _ => None,
        };
        let is_back = |task: &TaskReport| match &task.end {
            TaskEnd::Done { output, .. } => output.get("rolled_back") == Some(&json!(true)),
            TaskEnd::Failed { .. } | TaskEnd::Skipped { .. } | TaskEnd::Open { .. } => false,
        };
        self.report.tasks.iter().all(lacks_nothing)
            && !self.report.tasks.iter().any(is_back)
            && choice.is_none_or(|choice| !choice.is_null())
    }
}

impl Task {
    /// Adds the run of these agents to a plan.
    fn add(&self, line: Line, hired: &Hired) -> Line {
        let after: Vec<&str> = self.after.iter().map(String::as_str).collect();
        match hired {
            Hired::Review(job, branches) => {
                let (job, branches) = (Arc::clone(job), branches.clone());
                let make = move |before: &Before| match told(before) {
                    None => Ok(job.pattern(branches.clone())),
                    Some(before) => Ok(job.pattern(Job::told(&branches, &before))),
                };
                line.task_as(&self.name, &after, make, |report, failed| {
                    brief::of_review(&report, failed)
                })
            }
            Hired::Vote(vote, electorate) => {
                let (vote, electorate) = (Arc::clone(vote), electorate.clone());
                let make = move |before: &Before| {
                    let data = told(before).map(|before| json!({ BEFORE: before }));
                    let data = data.unwrap_or_default();
                    Ok(vote.pattern(&electorate, data))
                };
                line.task_as(&self.name, &after, make, |decision, _| brief::of_vote(&decision))
            }
            Hired::Swarm(own) => own.add(line, &self.name, &after),
            Hired::Pipeline(own, stages) => {
                let (own, stages) = (Arc::clone(own), stages.clone());
                let make = move |_: &Before| Ok(own.pattern(stages.clone()));
                line.task_as(&self.name, &after, make, |passages, _| brief::of_pipeline(&passages))
            }
            Hired::Hierarchy(own, crew) => {
                let (own, crew) = (Arc::clone(own), crew.clone());
                let make = move |before: &Before| own.pattern(&crew, told(before));
                line.task_as(&self.name, &after, make, |account, failed| {
                    brief::of_hierarchy(&account, failed)
                })
            }
        }
    }
}

/// The parts without a result that the end of a run names, whatever its pattern is: that record is the same for all of them.
fn missing(journal: &dyn Journal, run: RunId) -> Result<Vec<FailedPart>, String> {
    let next = journal.next(run).map_err(|error| error.to_string())?;
    let Some(last) = next.checked_sub(1) else { return Ok(Vec::new()) };
    let records = journal.read(run, last, 1).map_err(|error| error.to_string())?;
    let last = records.first().map(|bytes| record::decode(bytes));
    Ok(match last {
        Some(Ok(Record::Ended(ended))) => ended.failed,
        Some(_) | None => Vec::new(),
    })
}

/// What came before, by the names of the patterns, where something did.
fn told(before: &Before) -> Option<Value> {
    let all: Map<String, Value> =
        before.iter().map(|(name, output)| (name.to_owned(), output.clone())).collect();
    (!all.is_empty()).then_some(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use crate::{
        job::{Plan, catalogue},
        runfile::{RunRequest, Set},
    };

    use super::*;

    const FILE: &str = r#"
        synod = 1
        main = "gate"
        agents.typos = { builtin = "review.typos" }
        agents.gone = { command = ["no-such-program"], reads = "json", optional = true }
        agents.owner = { process = ["sh"], count = 2 }
        agents.other = { command = ["sh"], reads = "json" }
        map_reduce.code = { split = { use = "code.files" }, all_of = ["typos", "gone"] }
        map_reduce.late = { split = { use = "code.files" }, all_of = ["owner", "typos"], after = ["code"] }
        map_reduce.apart = { split = { use = "code.files" }, all_of = ["other"] }
        consensus.gate = { question = "?", choices = ["a", "b"], voters = { owner = 1, gone = 1 }, after = ["late"] }
    "#;

    fn prepared(before: Option<&Cast>, overrides: &[&str]) -> Result<Plan, JobError> {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("a.md"), "text\n").unwrap();
        let paths = ["code", "late"]
            .map(|name| format!("map_reduce.{name}.split.path={}", tree.path().display()));
        let overrides = overrides.iter().copied().chain(paths.iter().map(String::as_str));
        let request = RunRequest {
            name: "run.toml".to_owned(),
            text: FILE.to_owned(),
            overrides: overrides.map(|set| Set(set.to_owned())).collect(),
            inputs: Vec::new(),
        };
        let resolved = request.resolve(&catalogue(), &|_| None).unwrap();
        Plan::prepare(&resolved, &Launcher::at("/bin/false"), before)
    }

    #[test]
    fn each_pattern_has_its_own_of_those_who_take_part() {
        let plan = prepared(None, &[]).unwrap();
        let Plan::Several(tasks) = &plan else { panic!("{plan:?}") };
        assert_eq!(tasks.cast.agents, ["typos", "owner"]);
        let of = |name: &str| tasks.cast.patterns[name].clone();
        assert_eq!((of("code").agents, of("code").skipped.len()), (vec!["typos".to_owned()], 1));
        assert_eq!((of("late").agents.len(), of("late").skipped.len()), (2, 0));
        assert_eq!((of("gate").agents, of("gate").skipped.len()), (vec!["owner".to_owned()], 1));
        let names: Vec<_> = tasks.runs(RunId::from_u128(1)).into_iter().collect();
        assert_eq!(
            names.iter().map(|(_, task)| &*task.name).collect::<Vec<_>>(),
            ["code", "late", "gate"]
        );
        let again = prepared(Some(&tasks.cast), &[]).unwrap();
        assert_eq!(again.cast(), &tasks.cast, "that of a run that is resumed is taken");
    }

    #[test]
    fn a_pattern_that_comes_after_none_is_prepared_as_it_always_was() {
        let plan = prepared(None, &["main=code"]).unwrap();
        assert!(matches!(&plan, Plan::One(Work::Review(_))), "{plan:?}");
        assert!(plan.cast().patterns.is_empty());
    }

    #[test]
    fn too_many_instances_in_all_patterns_together_are_refused() {
        let count =
            ["agents.owner.count=1024", "agents.owner.concurrency=3", "agents.typos.count=1"];
        let error = prepared(None, &count).unwrap_err().to_string();
        let told = "the agents of `gate` and the patterns that it comes after have 6146 instances";
        assert!(error.starts_with(told), "{error}");
        assert!(error.ends_with("at most 4096: lower `count`"), "{error}");
    }
}
