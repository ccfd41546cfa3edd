//! Tasks of which some come after others.
//!
//! Made by whoever plans: a program, an agent, a run file; a [`Schedule`] says when its tasks run.
//!
//! # Invariants
//! - Names are unique, every predecessor is a task of the graph, and no task waits for itself, directly or not.
//!
//! Bounded by `TASKS_MAX` and `TASK_AFTER_MAX` of [`limits`](crate::limits).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    circles::{reversed, shortest},
    schedule::{Links, Schedule},
};
use crate::limits::{
    TASK_AFTER_MAX, TASK_MISTAKES_TOLD, TASK_NAME_BYTES_MAX, TASK_NAMES_SHOWN, TASKS_MAX,
};

/// One task, and the tasks that it comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task<T> {
    /// Tells it from the other tasks of its graph.
    pub name: String,
    /// The tasks that must have ended well before it starts, by name.
    pub after: Vec<String>,
    /// What is to be done.
    pub work: T,
}

impl<T> Task<T> {
    /// A task that may start at once.
    pub fn new(name: impl Into<String>, work: T) -> Self {
        Self { name: name.into(), after: Vec::new(), work }
    }

    /// Has it start only when these have ended well too.
    #[must_use]
    pub fn after<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }
}

/// Why tasks are no graph that can be scheduled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// More tasks than one graph may have.
    #[error("there are more than {TASKS_MAX} tasks; put several of them into one")]
    TooManyTasks,
    /// More predecessors in all than one graph may have.
    #[error(
        "the tasks name more than {TASK_AFTER_MAX} predecessors; put a task between those that have the same ones"
    )]
    TooManyAfter,
    /// A name that is none.
    #[error("{name:?} is no name of a task; give it 1 to {TASK_NAME_BYTES_MAX} bytes without `/`")]
    BadName {
        /// The beginning of it.
        name: String,
    },
    /// Two tasks have one name.
    #[error("two tasks are called `{name}`; give each a name of its own")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A task comes after one that there is not.
    #[error("`{task}` is after {after:?}, which is no task; the tasks are {known}")]
    Unknown {
        /// The task.
        task: String,
        /// The beginning of what it names.
        after: String,
        /// The first tasks that there are, for people.
        known: String,
    },
    /// A task comes after itself.
    #[error("`{task}` is after itself; take that out of its `after`")]
    Itself {
        /// The task.
        task: String,
    },
    /// Tasks come after each other, so that none of them could ever start.
    #[error("no task of a circle could ever start: {}; take one of these out of an `after`", arrows(.tasks))]
    Circle {
        /// The tasks, each after the next one, and the last after the first. There is no shorter circle.
        tasks: Vec<String>,
    },
}

/// Tasks of which some come after others, in no circle.
///
/// ```
/// use synod_actors::decompose::{Task, TaskGraph};
/// let graph = TaskGraph::new([
///     Task::new("extract", ()),
///     Task::new("count", ()).after(["extract"]),
///     Task::new("report", ()).after(["count", "weather"]),
///     Task::new("weather", ()),
/// ])?;
/// let mut schedule = graph.schedule();
/// assert_eq!(schedule.begin(), [0, 3]);
/// assert_eq!(schedule.ended(0, true).ready, [1]); // though the weather is not here yet
/// assert_eq!(schedule.ended(3, false).skipped, [2]);
/// # Ok::<(), synod_actors::decompose::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskGraph<T> {
    tasks: Vec<Task<T>>,
    links: Arc<Links>,
}

impl<T> TaskGraph<T> {
    /// Makes a graph of these tasks; their positions are the order in which they are given.
    ///
    /// # Errors
    /// The first of [`mistakes`].
    pub fn new(tasks: impl IntoIterator<Item = Task<T>>) -> Result<Self, GraphError> {
        let tasks: Vec<Task<T>> = tasks.into_iter().take(TASKS_MAX + 1).collect();
        let (after, mistakes) = linked(&tasks);
        match mistakes.into_iter().next() {
            Some(mistake) => Err(mistake),
            None => {
                let before = reversed(&after);
                Ok(Self { tasks, links: Arc::new(Links { after, before }) })
            }
        }
    }

    /// The tasks by position.
    pub fn tasks(&self) -> &[Task<T>] {
        &self.tasks
    }

    /// The tasks by position, to be taken apart.
    pub fn into_tasks(self) -> Vec<Task<T>> {
        self.tasks
    }

    /// The predecessors of a task by position, each once.
    pub fn after(&self, task: usize) -> &[usize] {
        self.links.after.get(task).map_or(&[], Vec::as_slice)
    }

    /// Begins the bookkeeping of one execution.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(Arc::clone(&self.links))
    }
}

/// Everything that is wrong with tasks, as far as it fits `TASK_MISTAKES_TOLD`; of circles the shortest.
pub fn mistakes<T>(tasks: &[Task<T>]) -> Vec<GraphError> {
    linked(tasks).1
}

/// The predecessors of each task by position, ascending and each once, and what is wrong with them.
fn linked<T>(tasks: &[Task<T>]) -> (Vec<Vec<usize>>, Vec<GraphError>) {
    if tasks.len() > TASKS_MAX {
        return (Vec::new(), vec![GraphError::TooManyTasks]);
    }
    if tasks.iter().map(|task| task.after.len()).sum::<usize>() > TASK_AFTER_MAX {
        return (Vec::new(), vec![GraphError::TooManyAfter]);
    }
    let (positions, mut mistakes) = positions(tasks);
    let mut links = Vec::with_capacity(tasks.len());
    for task in tasks {
        let mut after = Vec::with_capacity(task.after.len());
        for name in &task.after {
            match positions.get(name.as_str()) {
                _ if *name == task.name => {
                    tell(&mut mistakes, || GraphError::Itself { task: shown(name) });
                }
                Some(position) => after.push(*position),
                None => tell(&mut mistakes, || unknown(task, name, tasks)),
            }
        }
        after.sort_unstable();
        after.dedup();
        links.push(after);
    }
    let has_links = links.iter().any(|after| !after.is_empty());
    if has_links && let Some(circle) = shortest(&links) {
        let names = circle.into_iter().filter_map(|at| tasks.get(at));
        mistakes.push(GraphError::Circle { tasks: names.map(|task| task.name.clone()).collect() });
    }
    (links, mistakes)
}

fn positions<T>(tasks: &[Task<T>]) -> (BTreeMap<&str, usize>, Vec<GraphError>) {
    let mut positions = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (position, task) in tasks.iter().enumerate() {
        let name = task.name.as_str();
        if name.is_empty() || name.contains('/') || name.len() > TASK_NAME_BYTES_MAX {
            tell(&mut mistakes, || GraphError::BadName { name: shown(name) });
        }
        if positions.insert(name, position).is_some() {
            tell(&mut mistakes, || GraphError::Duplicate { name: shown(name) });
        }
    }
    (positions, mistakes)
}

fn tell(mistakes: &mut Vec<GraphError>, mistake: impl FnOnce() -> GraphError) {
    if mistakes.len() < TASK_MISTAKES_TOLD {
        mistakes.push(mistake());
    }
}

fn unknown<T>(task: &Task<T>, after: &str, tasks: &[Task<T>]) -> GraphError {
    let names = tasks.iter().take(TASK_NAMES_SHOWN).map(|task| format!("`{}`", shown(&task.name)));
    let more = match tasks.len().saturating_sub(TASK_NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let known = names.collect::<Vec<_>>().join(", ") + &more;
    GraphError::Unknown { task: shown(&task.name), after: shown(after), known }
}

/// The beginning of a name that may be no name.
fn shown(name: &str) -> String {
    name.get(..name.floor_char_boundary(TASK_NAME_BYTES_MAX)).unwrap_or_default().to_owned()
}

/// A circle as people read it; of a long one the middle is left out.
fn arrows(tasks: &[String]) -> String {
    let mut names: Vec<&str> = tasks.iter().take(TASK_NAMES_SHOWN).map(String::as_str).collect();
    let left_out = match tasks.len().saturating_sub(TASK_NAMES_SHOWN) {
        0 => None,
        more => Some(format!("({more} more)")),
    };
    names.extend(left_out.as_deref());
    names.extend(tasks.first().map(String::as_str));
    names.join(" → ")
}
