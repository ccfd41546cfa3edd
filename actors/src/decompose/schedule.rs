//! Which tasks may run now: the bookkeeping of a [`TaskGraph`](super::TaskGraph) while its tasks are run.
//!
//! Made by [`TaskGraph::schedule`](super::TaskGraph::schedule); driven by whoever runs the tasks. Knows no clock and runs nothing.
//!
//! # Invariants
//! - A task becomes ready once, at the end of the last of its own predecessors and of no other task: there is no barrier.
//! - Whoever comes after a failed task, directly or not, is skipped, and nobody else.

use std::sync::Arc;

/// Who comes before and after whom, by position.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) after: Vec<Vec<usize>>,
    pub(super) before: Vec<Vec<usize>>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Some of its predecessors have not ended.
    Waiting,
    /// It may run, or runs.
    Ready,
    /// It has ended well.
    Done,
    /// It has failed.
    Failed,
    /// It never runs.
    Skipped {
        /// The task that failed before it, by position; of several the first that did.
        because: usize,
    },
}

/// What the end of a task changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// Tasks that may run from now on, by position, in the order of the graph.
    pub ready: Vec<usize>,
    /// Tasks that will never run, by position, in the order of the graph.
    pub skipped: Vec<usize>,
}

/// Says which tasks of a graph may run, as others end.
#[derive(Clone, Debug)]
pub struct Schedule {
    links: Arc<Links>,
    states: Vec<TaskState>,
    /// By task, its predecessors that have not ended.
    left: Vec<usize>,
    /// Tasks that are waiting or ready.
    open: usize,
}

impl Schedule {
    pub(super) fn new(links: Arc<Links>) -> Self {
        let left: Vec<usize> = links.after.iter().map(Vec::len).collect();
        let open = left.len();
        Self { links, states: vec![TaskState::Waiting; open], left, open }
    }

    /// Begins: the tasks without predecessors, which are ready. Nothing when it has begun before.
    pub fn begin(&mut self) -> Vec<usize> {
        let mut ready = Vec::new();
        for (task, (state, left)) in self.states.iter_mut().zip(&self.left).enumerate() {
            if *left == 0 && *state == TaskState::Waiting {
                *state = TaskState::Ready;
                ready.push(task);
            }
        }
        ready
    }

    /// Takes in that a task has ended, well or not. Nothing changes if it was not ready: it had not begun, or has ended before.
    pub fn ended(&mut self, task: usize, well: bool) -> Next {
        let Some(state @ TaskState::Ready) = self.states.get_mut(task) else {
            return Next::default();
        };
        *state = if well { TaskState::Done } else { TaskState::Failed };
        self.open -= 1;
        if well {
            Next { ready: self.released(task), skipped: Vec::new() }
        } else {
            Next { ready: Vec::new(), skipped: self.skipped(task) }
        }
    }

    /// Where a task stands; none if there is no such task.
    pub fn state(&self, task: usize) -> Option<TaskState> {
        self.states.get(task).copied()
    }

    /// Whether no task is waiting or ready any more.
    pub const fn is_over(&self) -> bool {
        self.open == 0
    }

    fn released(&mut self, task: usize) -> Vec<usize> {
        let mut ready = Vec::new();
        for next in self.links.before.get(task).into_iter().flatten() {
            let (Some(left), Some(state)) = (self.left.get_mut(*next), self.states.get_mut(*next))
            else {
                continue;
            };
            *left -= 1;
            if *left == 0 && *state == TaskState::Waiting {
                *state = TaskState::Ready;
                ready.push(*next);
            }
        }
        ready
    }

    fn skipped(&mut self, failed: usize) -> Vec<usize> {
        let mut skipped = Vec::new();
        let mut stack = vec![failed];
        while let Some(task) = stack.pop() {
            for next in self.links.before.get(task).into_iter().flatten() {
                if let Some(state @ TaskState::Waiting) = self.states.get_mut(*next) {
                    *state = TaskState::Skipped { because: failed };
                    skipped.push(*next);
                    stack.push(*next);
                }
            }
        }
        self.open -= skipped.len();
        skipped.sort_unstable();
        skipped
    }
}
