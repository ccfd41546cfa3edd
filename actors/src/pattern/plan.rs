//! plan: tasks of which some come after others, each a run of a pattern, started as soon as its own predecessors have ended.
//!
//! A [`Plan`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator, and so does
//! [`CallContext::run`](crate::agent::CallContext::run) below a call. Outputs are JSON: a task is given those of its predecessors.
//! Who comes when is the [`Schedule`](crate::decompose::Schedule)'s to say.
//!
//! # Invariants
//! - A task starts at the end of the last of its own predecessors, as far as [`at_once`](Plan::at_once) allows: there is no barrier.
//! - A task that fails takes those with it that come after it, and nobody else; each says because of whom.
//! - What a task came to is in the journal before another one is given it; a run that is taken up again does not do it again.

mod coordinator;
mod journal;
mod record;
mod report;
mod start;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use journal::{Recount, recount};
pub use record::{Record, TaskBegan};
pub use report::{Report, TaskEnd, TaskReport};

use coordinator::Coordinator;
use start::Start;

use protocol::RunId;

use super::{FailedPart, PatternKind, brief::task_id};
use crate::{
    agent::below::run_below,
    decompose::{self, Task, TaskGraph},
    dispatch::{Coordination, Launch, Pattern},
    limits::PLAN_TASKS_AT_ONCE,
};

/// A run of tasks before it starts.
///
/// ```
/// use std::time::Duration;
/// use runtime::node::Node;
/// use synod_actors::{pattern::{map_reduce::{map_reduce, sum}, plan::Plan}, system::AgentSystem};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let system = AgentSystem::start(Node::in_memory()?);
/// let length = system.agent("length", |text: String, _| async move { Ok::<_, String>(text.len() as u64) }).start()?;
/// let double = system.agent("double", |n: u64, _| async move { Ok::<_, String>(2 * n) }).start()?;
/// let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
/// let (one, other) = (length.clone(), length);
/// let plan = Plan::new()
///     .task("titles", &[], move |_| Ok(map_reduce(texts(&["one", "two"]), &one).reduce(sum())))
///     .task("bodies", &[], move |_| Ok(map_reduce(texts(&["three", "four"]), &other).reduce(sum())))
///     .task("total", &["titles", "bodies"], move |before| {
///         let counts: [u64; 2] = [before.read("titles")?, before.read("bodies")?];
///         Ok(map_reduce(counts, &double).reduce(sum()))
///     });
/// let done = system.run(plan).deadline(Duration::from_secs(60)).await?;
/// assert_eq!(done.value.output("total"), Some(&30.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a plan starts when it is run"]
pub struct Plan {
    name: String,
    tasks: Vec<Task<Start>>,
    at_once: usize,
    /// The task without which the run has failed.
    needed: Option<String>,
}

impl Plan {
    /// A plan without tasks; a run needs one at the least.
    pub fn new() -> Self {
        let name = PatternKind::Plan.as_str().to_owned();
        Self { name, tasks: Vec::new(), at_once: PLAN_TASKS_AT_ONCE, needed: None }
    }

    /// A plan of the tasks of a graph; `make` makes a pattern of what a task is and what its predecessors brought.
    ///
    /// So [`Decomposition::tasks`](crate::decompose::Decomposition::tasks) are run. `make` is called as that of [`task`](Self::task).
    pub fn of<T, P>(
        graph: TaskGraph<T>,
        make: impl Fn(&T, &Before) -> Result<P, String> + Send + Sync + 'static,
    ) -> Self
    where
        T: Send + Sync + 'static,
        P: Pattern<Output: Serialize>,
    {
        let make = Arc::new(make);
        graph.into_tasks().into_iter().fold(Self::new(), |plan, Task { name, after, work }| {
            let make = Arc::clone(&make);
            let make = move |before: &Before| make(&work, before);
            plan.add(Task { name, after, work: start::by(make, whole) })
        })
    }

    /// Sets what the run is called in listings.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Runs at most so many tasks at a time, at least 1; 16 by default.
    pub const fn at_once(mut self, tasks: usize) -> Self {
        self.at_once = if tasks == 0 { 1 } else { tasks };
        self
    }

    /// Has the run fail where the task of this name is not done in the end; without it, a plan whose tasks fail completes.
    pub fn needs(mut self, name: impl Into<String>) -> Self {
        self.needed = Some(name.into());
        self
    }

    /// Adds a task: when those that it is after are done, `make` makes a pattern of what they brought, whose run it is.
    ///
    /// That run has the plan's deadline and budget, and is cancelled with it. An error of `make`, or its panic, fails the task.
    /// `make` is called in the middle of other work, so it must not wait; it is called again where the run is taken up again and
    /// the task was not done, and is then to make the same pattern of the same outputs.
    pub fn task<P: Pattern<Output: Serialize>>(
        self,
        name: impl Into<String>,
        after: &[&str],
        make: impl Fn(&Before) -> Result<P, String> + Send + Sync + 'static,
    ) -> Self {
        self.task_as(name, after, make, whole)
    }

    /// As [`task`](Self::task), for a pattern whose output is larger than what others are to know of it, or no JSON.
    ///
    /// `output` says what the task came to that brought this, without these parts: that is in the plan's journal and report, and
    /// is given to those after it. It is called in the middle of other work, so it must not wait.
    pub fn task_as<P: Pattern, T: Serialize>(
        self,
        name: impl Into<String>,
        after: &[&str],
        make: impl Fn(&Before) -> Result<P, String> + Send + Sync + 'static,
        output: impl Fn(P::Output, &[FailedPart]) -> T + Send + Sync + 'static,
    ) -> Self {
        self.add(Task::new(name, start::by(make, output)).after(after.iter().copied()))
    }

    fn add(mut self, task: Task<Start>) -> Self {
        self.tasks.push(task);
        self
    }
}

/// What a task came to as its pattern gives it.
fn whole<T>(output: T, _: &[FailedPart]) -> T {
    output
}

/// The run of a plan's task, by the task's position and name; its journal is beside that of the plan.
pub fn run_of(plan: RunId, task: u32, name: &str) -> RunId {
    run_below(task_id(plan, u64::from(task)), name)
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.tasks.iter().map(|task| (&task.name, &task.after))).finish()
    }
}

impl Pattern for Plan {
    type Output = Report;

    fn launch(self, launch: Launch<Report>) -> Coordination {
        let scheme = Arc::new(Scheme::of(self));
        launch.start(PatternKind::Plan, move |brief, outcome| {
            Coordinator::new(brief, Arc::clone(&scheme), outcome)
        })
    }
}

/// What the predecessors of a task have brought, by their names.
#[derive(Clone, Debug, Default)]
pub struct Before(BTreeMap<String, Arc<Value>>);

impl Before {
    /// What each of them has brought, by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, output)| (name.as_str(), &**output))
    }

    /// The output of the predecessor of this name; none if the task is not after it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(Arc::as_ref)
    }

    /// The output of the predecessor of this name, as a value of this type.
    ///
    /// # Errors
    /// The task is not after it, or its output is no such value.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let Some(output) = self.get(name) else {
            return Err(format!("this task is not after `{name}`; add it to its `after`"));
        };
        T::deserialize(output).map_err(|error| format!("the output of `{name}`: {error}"))
    }
}

/// A plan that was looked at.
struct Scheme {
    name: String,
    at_once: usize,
    needed: Option<String>,
    /// Its tasks, or everything that is wrong with them.
    graph: Result<TaskGraph<Start>, String>,
}

impl Scheme {
    fn of(plan: Plan) -> Self {
        let Plan { name, tasks, at_once, needed } = plan;
        let mistakes = decompose::mistakes(&tasks);
        let is_task = |name: &&String| tasks.iter().any(|task| task.name == **name);
        let missed = needed.as_ref().filter(|name| !is_task(name));
        let graph = if tasks.is_empty() {
            Err("a plan has no tasks; give it one at the least".to_owned())
        } else if let Some(missed) = missed {
            Err(format!("the plan needs {missed:?}, which is no task of it"))
        } else if mistakes.is_empty() {
            TaskGraph::new(tasks).map_err(|mistake| mistake.to_string())
        } else {
            Err(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        Self { name, at_once, needed, graph }
    }

    fn tasks(&self) -> &[Task<Start>] {
        self.graph.as_ref().map(TaskGraph::tasks).unwrap_or_default()
    }

    /// The predecessors of a task by position.
    fn after(&self, task: usize) -> &[usize] {
        self.graph.as_ref().map(|graph| graph.after(task)).unwrap_or_default()
    }

    fn task_name(&self, task: usize) -> &str {
        self.tasks().get(task).map_or("", |task| &task.name)
    }

    fn began(&self) -> Vec<TaskBegan> {
        let positions = |task: usize| {
            let after = self.after(task).iter();
            after.map(|before| u32::try_from(*before).unwrap_or(u32::MAX)).collect()
        };
        let tasks = self.tasks().iter().enumerate();
        tasks
            .map(|(at, task)| TaskBegan { name: task.name.clone(), after: positions(at) })
            .collect()
    }
}
