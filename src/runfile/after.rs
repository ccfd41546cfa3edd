//! `after = […]`: which patterns come before which; checked against the rest of the file, and put in order.
//!
//! Which of them form a circle [`decompose`](actors::decompose) says, as it does when they are run.

use std::collections::BTreeSet;

use actors::decompose::{GraphError, Task, TaskGraph};

use super::cross::{field, patterns, text};
use super::limits::AFTER_MAX;
use super::model::{Name, Resolved, RunFile};
use super::problem::Problem;
use super::suggest::suggest;
use super::tree::{Entry, Node, Table};

/// Finds every problem with what patterns come after.
pub(super) fn check(root: &Table, problems: &mut Vec<Problem>) {
    for pattern in patterns(root) {
        let nodes = named(pattern);
        for (at, node) in nodes.iter().enumerate() {
            let earlier = nodes.get(..at).unwrap_or_default();
            problems.extend(predecessor(pattern, node, earlier, root));
        }
        problems.extend(too_many(pattern, nodes.len()));
    }
    problems.extend(circle(root));
}

/// Refuses more products than an agent can be given.
fn too_many(pattern: &Entry, count: usize) -> Option<Problem> {
    let entry = field(pattern, "after").filter(|_| count > AFTER_MAX)?;
    let message = format!("`{}` comes after {count} patterns", pattern.key);
    let help = format!("at most {AFTER_MAX}: let another pattern come between");
    Some(Problem::new(entry.key_at, message).label("too many").help_with(help))
}

/// The values of a pattern's `after`.
fn named(pattern: &Entry) -> &[Node] {
    field(pattern, "after").and_then(|entry| entry.node.value.list()).unwrap_or_default()
}

/// Checks one value: a pattern, another one, named once.
fn predecessor(pattern: &Entry, node: &Node, earlier: &[Node], root: &Table) -> Option<Problem> {
    let name = text(node)?;
    if let Some(first) = earlier.iter().find(|other| text(other) == Some(name)) {
        let problem = Problem::new(node.at, format!("`{name}` is named twice"))
            .label("again")
            .also(first.at, "first here")
            .help_with("delete one");
        return Some(problem);
    }
    if name == pattern.key {
        let problem = Problem::new(node.at, format!("`{name}` comes after itself"))
            .label("could never start")
            .help_with("delete it");
        return Some(problem);
    }
    let others = patterns(root).map(|other| other.key.as_str());
    let others: Vec<&str> = others.filter(|other| *other != pattern.key).collect();
    if others.contains(&name) {
        return None;
    }
    let help = suggest(name, &others, "the other patterns are");
    let agent = root.entries_of("agents").iter().find(|agent| agent.key == name);
    Some(match agent {
        Some(agent) => {
            Problem::new(node.at, format!("`{name}` is an agent, `after` names patterns"))
                .label("not a pattern")
                .also(agent.key_at, "the agent")
                .help_with(help)
        }
        None => Problem::new(node.at, format!("there is no pattern `{name}`"))
            .label("not in the file")
            .help_with(help),
    })
}

/// Finds the shortest circle of patterns that come after each other; what else is wrong with `after` is told elsewhere.
fn circle(root: &Table) -> Option<Problem> {
    let mut known = BTreeSet::new();
    let patterns: Vec<&Entry> =
        patterns(root).filter(|pattern| known.insert(pattern.key.as_str())).collect();
    let task = |pattern: &&Entry| {
        let after = named(pattern).iter().filter_map(text);
        let after = after.filter(|name| known.contains(name) && *name != pattern.key);
        Task::new(pattern.key.as_str(), ()).after(after)
    };
    let Err(GraphError::Circle { tasks }) = TaskGraph::new(patterns.iter().map(task)) else {
        return None;
    };
    let first = patterns.iter().find(|pattern| tasks.first() == Some(&pattern.key))?;
    let path: Vec<String> =
        tasks.iter().chain(tasks.first()).map(|name| format!("`{name}`")).collect();
    let path = path.join(" → ");
    let at = field(first, "after")?.key_at;
    Some(
        Problem::new(at, format!("patterns come after each other in a circle: {path}"))
            .label("none of them could ever start")
            .help_with("take one of them out of an `after`"),
    )
}

/// The pattern `main` and all that it comes after, directly or not, each behind those that it comes after itself.
fn ordered<'n>(main: &'n Name, after: impl Fn(&Name) -> &'n [Name]) -> Vec<&'n Name> {
    let (mut ordered, mut entered) = (Vec::new(), BTreeSet::from([main]));
    // Each with those before it that were not looked at.
    let mut path = vec![(main, after(main).iter())];
    while let Some((name, left)) = path.last_mut() {
        match left.next() {
            Some(before) if entered.insert(before) => path.push((before, after(before).iter())),
            Some(_) => {}
            None => {
                ordered.push(*name);
                path.pop();
            }
        }
    }
    ordered
}

impl Resolved {
    /// The patterns that a run of `main` runs: itself, last, and all that it comes after, directly or not.
    pub fn order(&self) -> Vec<&Name> {
        ordered(&self.main, |name| self.after(name))
    }

    /// The patterns that one comes after.
    pub fn after(&self, name: &Name) -> &[Name] {
        let after = self.map_reduce(name).map(|own| &own.after);
        let after = after.or_else(|| Some(&self.vote(name)?.after));
        let after = after.or_else(|| Some(&self.pipeline(name)?.after));
        let after = after.or_else(|| Some(&self.swarm(name)?.after));
        let after = after.or_else(|| Some(&self.hierarchy(name)?.after));
        after.map_or(&[], Vec::as_slice)
    }
}

impl RunFile {
    /// The patterns that a run of this one runs: itself, last, and all that it comes after, directly or not.
    pub fn order_of<'n>(&'n self, main: &'n Name) -> Vec<&'n Name> {
        let after = |name: &Name| -> &'n [Name] {
            let reviews = self.map_reduces.iter().map(|own| (&own.name, &own.after));
            let votes = self.votes.iter().map(|own| (&own.name, &own.after));
            let lines = self.pipelines.iter().map(|own| (&own.name, &own.after));
            let swarms = self.swarms.iter().map(|own| (&own.name, &own.after));
            let teams = self.hierarchies.iter().map(|own| (&own.name, &own.after));
            let mut all = reviews.chain(votes).chain(lines).chain(swarms).chain(teams);
            all.find(|(own, _)| *own == name).map_or(&[], |(_, after)| after)
        };
        ordered(main, after)
    }
}
