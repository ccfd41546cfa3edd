//! Task decomposition: into which groups the items of a task go, and which tasks may run when.
//!
//! Called by programs and agents that plan their work, whatever patterns they run then. [`decompose`] looks at the items of a task,
//! says by what they are grouped and why, and groups them, on top of [`split`](crate::split::split). A [`TaskGraph`] is tasks of
//! which some come after others; its [`Schedule`] says, without barriers, which of them may run. All of it is pure.
//!
//! # Invariants
//! - Every item is in exactly one group, no group is empty, and a group is within the limits but for one that is a single item.
//! - A group comes after earlier groups only.
//! - Equal items give equal groups.
//!
//! [`check`] is these invariants as a function.

mod circles;
mod graph;
mod order;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::split::{self, By, Item, Limits};

pub use graph::{GraphError, Task, TaskGraph, mistakes};
pub use schedule::{Next, Schedule, TaskState};

/// Items to be done together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The items by position, in an order in which they may be done.
    pub items: Vec<usize>,
    /// The groups that must be done before it, by position.
    pub after: Vec<usize>,
}

/// By what items are grouped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// The most important first.
    pub by: Vec<By>,
    /// Why, for people.
    pub why: String,
}

/// The items of a task in groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decomposition {
    /// How the groups came about.
    pub strategy: Strategy,
    /// The groups, each after all that it comes after.
    pub groups: Vec<Group>,
}

impl Decomposition {
    /// Makes a task of each group, called `group-1` and so on; its work is the positions of its items.
    ///
    /// # Errors
    /// `TooManyTasks` or `TooManyAfter`: allow larger groups.
    pub fn tasks(&self) -> Result<TaskGraph<Vec<usize>>, GraphError> {
        let name = |group: usize| format!("group-{}", group + 1);
        TaskGraph::new(self.groups.iter().enumerate().map(|(position, group)| {
            let after = group.after.iter().map(|before| name(*before));
            Task::new(name(position), group.items.clone()).after(after)
        }))
    }
}

/// What decides by what items are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The items.
    pub items: usize,
    /// Their bytes in all.
    pub bytes: u64,
    /// The different kinds among them.
    pub kinds: usize,
    /// The least and the greatest complexity of one of them.
    pub complexity: (u64, u64),
    /// How often one of them depends on another one.
    pub dependencies: usize,
}

impl Facts {
    /// Looks at items.
    pub fn of(items: &[Item]) -> Self {
        let kinds: BTreeSet<&str> = items.iter().map(|item| item.kind.as_str()).collect();
        let complexities = || items.iter().map(|item| item.complexity);
        Self {
            items: items.len(),
            bytes: items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes)),
            kinds: kinds.len(),
            complexity: (complexities().min().unwrap_or(0), complexities().max().unwrap_or(0)),
            dependencies: order::dependencies(items).iter().map(Vec::len).sum(),
        }
    }

    /// Chooses by what to group, by the first of these rules that holds, with the next one of those behind it where it says so.
    ///
    /// 1. An item depends on another one: by dependency; kinds stay apart as far as dependencies allow, if there are several.
    /// 2. There are several kinds: by type, and within a kind by rule 3 or 4.
    /// 3. Items differ in complexity: by complexity.
    /// 4. Else by size.
    pub fn strategy(&self) -> Strategy {
        let mut by = Vec::new();
        let mut why = Vec::new();
        if self.dependencies > 0 {
            by.push(By::Dependency);
            why.push(format!(
                "by dependency, since items depend on others ({})",
                self.dependencies
            ));
        }
        if self.kinds > 1 {
            by.push(By::Type);
            why.push(format!("by type, since there are {} kinds", self.kinds));
        }
        let (least, most) = self.complexity;
        if self.dependencies > 0 {
            // Order leaves nothing to be balanced.
        } else if least < most {
            by.push(By::Complexity);
            why.push(format!("by complexity, since that is between {least} and {most}"));
        } else {
            by.push(By::Size);
            why.push(format!(
                "by size, since nothing else tells {} items of {} bytes apart",
                self.items, self.bytes
            ));
        }
        Strategy { by, why: why.join(", then ") }
    }
}

/// Groups the items of a task as their [`Facts`] suggest.
///
/// ```
/// use synod_actors::{decompose::decompose, split::{By, Item, Limits}};
/// let item = |bytes, depends_on: &[usize]| Item { bytes, depends_on: depends_on.to_vec(), ..Item::default() };
/// let items = [item(40, &[1, 2]), item(40, &[2]), item(40, &[]), item(90, &[])];
/// let found = decompose(&items, Limits { bytes_max: 100, items_max: 10 });
/// assert_eq!(found.strategy.by, [By::Dependency]);
/// assert_eq!(found.strategy.why, "by dependency, since items depend on others (3)");
/// let groups: Vec<_> = found.groups.iter().map(|group| (&group.items[..], &group.after[..])).collect();
/// assert_eq!(groups, [(&[2, 1][..], &[][..]), (&[0], &[0]), (&[3], &[])]);
/// ```
pub fn decompose(items: &[Item], limits: Limits) -> Decomposition {
    let strategy = Facts::of(items).strategy();
    Decomposition { groups: decompose_by(items, &strategy.by, limits), strategy }
}

/// Groups the items of a task by what is asked for, the most important first.
///
/// With `Dependency` among it, what an item depends on is in its own group or in an earlier one that the group comes after, and
/// nothing is balanced; groups wait for no more than their items do. A circle of items is in one group, as far as it fits. Otherwise
/// dependencies are not looked at, and groups are those of [`split`](crate::split::split).
pub fn decompose_by(items: &[Item], by: &[By], limits: Limits) -> Vec<Group> {
    if by.contains(&By::Dependency) {
        return order::ordered(items, by, limits);
    }
    let parts = split::split(items, by, limits).into_iter();
    parts.map(|items| Group { items, after: Vec::new() }).collect()
}

/// Checks the invariants of groups.
///
/// # Errors
/// The first one that does not hold.
pub fn check(groups: &[Group], items: &[Item], limits: Limits) -> Result<(), String> {
    let parts: Vec<Vec<usize>> = groups.iter().map(|group| group.items.clone()).collect();
    split::check(&parts, items, limits)?;
    for (position, group) in groups.iter().enumerate() {
        if let Some(later) = group.after.iter().find(|before| **before >= position) {
            return Err(format!("group {position} is after group {later}"));
        }
    }
    Ok(())
}
