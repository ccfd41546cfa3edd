//! A hierarchy of a run file against itself and against the rest of the file: its teams, its agents, its plan.

use std::collections::BTreeMap;

use actors::{
    decompose::{self, Task},
    limits::TEAMS_MAX,
    pattern::hierarchy::rollout::{APPLICATION, INFRASTRUCTURE, MONITORING},
};

use super::{STRATEGIES, no_strategy};
use crate::runfile::cross::{field, known_agent, text};
use crate::runfile::problem::Problem;
use crate::runfile::suggest::suggest;
use crate::runfile::template;
use crate::runfile::tree::{Entry, Node, Table, Value};

/// Finds every problem of a hierarchy with itself and with the rest of the file.
pub(in super::super) fn check(pattern: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let teams = field(pattern, "teams").map_or(&[][..], |own| entries(&own.node));
    if let Some(own) = field(pattern, "teams").filter(|_| teams.is_empty()) {
        let message = format!("`hierarchy.{}` has no teams", pattern.key);
        let help = "write one: `[hierarchy.NAME.teams.TEAM]` with `workers = { AGENT = 1 }`";
        problems.push(Problem::new(own.key_at, message).label("who works?").help_with(help));
    }
    if let Some(own) = field(pattern, "teams").filter(|_| teams.len() > TEAMS_MAX) {
        let message = format!("a hierarchy has {} teams", teams.len());
        let help = format!("at most {TEAMS_MAX}: make one of several");
        problems.push(Problem::new(own.key_at, message).label("too many").help_with(help));
    }
    for team in teams {
        self::team(team, root, problems);
    }
    for key in ["plan", "integrate", "intervene"] {
        problems.extend(field(pattern, key).and_then(|own| agent(&own.node, root)));
    }
    planning(pattern, problems);
    if let Some(own) = field(pattern, "rollout") {
        rollout(own, pattern, teams, problems);
        let by = field(own, "instances");
        problems.extend(by.and_then(|own| agent(&own.node, root)));
    }
    assignments(pattern, teams, problems);
}

/// What is in a table.
fn entries(node: &Node) -> &[Entry] {
    node.value.table().map_or(&[], |table| &table.entries)
}

/// Checks that the file says once how the mission becomes a plan.
fn planning(pattern: &Entry, problems: &mut Vec<Problem>) {
    let ways = ["plan", "rollout", "assignments"];
    let said: Vec<&Entry> = ways.into_iter().filter_map(|key| field(pattern, key)).collect();
    match said.as_slice() {
        [] => {
            let message = format!("`hierarchy.{}` has no plan", pattern.key);
            let problem = Problem::new(pattern.key_at, message).label("who does what?").help_with(
                "write `plan = \"AGENT\"`, `rollout = { … }`, or `[[hierarchy.NAME.assignments]]`",
            );
            problems.push(problem);
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
            let problem = Problem::new(second.key_at, message)
                .label("one plan")
                .also(first.key_at, "and another one")
                .help_with("delete one of the two");
            problems.push(problem);
        }
    }
}

/// Checks who works in a team.
fn team(team: &Entry, root: &Table, problems: &mut Vec<Problem>) {
    let workers = field(team, "workers");
    let named = workers.map_or(&[][..], |own| entries(&own.node));
    if named.is_empty() && field(team, "leader").is_none() {
        let message = format!("team `{}` has neither workers nor a leader with an agent", team.key);
        let problem = Problem::new(workers.map_or(team.key_at, |own| own.node.at), message)
            .label("nobody works in it")
            .help_with("name agents and how many work by each: `workers = { AGENT = 2 }`");
        problems.push(problem);
    }
    for worker in named {
        let name = Node { at: worker.key_at, value: Value::String(worker.key.clone()) };
        problems.extend(agent(&name, root));
    }
    problems.extend(field(team, "leader").and_then(|own| agent(&own.node, root)));
}

/// The keys of an agent that say nothing in a hierarchy.
const OF_CODE: [&str; 3] = ["accepts", "whole", "capabilities"];

/// Checks an agent that is asked: one of the file that can answer.
fn agent(node: &Node, root: &Table) -> Option<Problem> {
    if let Some(problem) = known_agent(node, root) {
        return Some(problem);
    }
    let name = text(node)?;
    let agent = root.entries_of("agents").iter().find(|agent| agent.key == name)?;
    if field(agent, "builtin").is_some() {
        return Some(
            Problem::new(node.at, format!("`{name}` does not work in teams"))
                .label("an agent that comes with Synod looks at files")
                .also(agent.key_at, "the agent")
                .help_with("let a `command` or a `process` do it"),
        );
    }
    let argv = field(agent, "command").and_then(|entry| entry.node.value.list());
    if let Some(files) = argv.into_iter().flatten().find(|node| text(node) == Some("{files}")) {
        return Some(
            Problem::new(files.at, "whoever works in a team is given no files")
                .label("nothing would be here")
                .also(node.at, "it works here")
                .help_with("leave it out: what there is to do comes as JSON to a `process`"),
        );
    }
    let key = OF_CODE.into_iter().find_map(|key| field(agent, key))?;
    Some(
        Problem::new(key.key_at, format!("`{}` says nothing of an agent of a hierarchy", key.key))
            .label("every task may come to it")
            .also(node.at, "it works here")
            .help_with("delete it"),
    )
}

/// Checks what a rollout says of its instances, and that it has the teams that it needs.
fn rollout(own: &Entry, pattern: &Entry, teams: &[Entry], problems: &mut Vec<Problem>) {
    let (by, new, old) = (field(own, "instances"), field(own, "new"), field(own, "old"));
    match (by, new.or(old)) {
        (Some(by), Some(other)) => problems.push(
            Problem::new(
                other.key_at,
                format!("`instances` and `{}` exclude each other", other.key),
            )
            .label("these instances")
            .also(by.key_at, "and those that the agent says")
            .help_with("delete one of the two"),
        ),
        (None, _) if new.is_none() => problems.push(
            Problem::new(own.key_at, "a rollout has no new instances")
                .label("what shall run?")
                .help_with(
                    "write `new = [\"…\"]`, or `instances = \"AGENT\"` for one that says them",
                ),
        ),
        _ => {}
    }
    if let Some((node, name)) = literal(own, "strategy") {
        if !STRATEGIES.contains(&name) {
            problems.push(no_strategy(node.at, name));
        }
        for (key, of) in [("steps", "canary"), ("batch", "rolling")] {
            if let Some(vain) = field(own, key).filter(|_| name != of) {
                let message = format!("`{key}` says nothing of a `{name}` rollout");
                let problem = Problem::new(vain.key_at, message)
                    .label(format!("only for `{of}`"))
                    .help_with("delete it");
                problems.push(problem);
            }
        }
    }
    for needed in [INFRASTRUCTURE, APPLICATION, MONITORING] {
        let team = teams.iter().find(|team| team.key == needed);
        let has_workers = team.is_some_and(|team| {
            field(team, "workers").is_some_and(|own| !entries(&own.node).is_empty())
        });
        if has_workers {
            continue;
        }
        let message = match team {
            Some(_) => format!("team `{needed}` has no workers, and a rollout gives it tasks"),
            None => format!("a rollout needs a team `{needed}`"),
        };
        let at = team.map_or(own.key_at, |team| team.key_at);
        let help = format!(
            "write `[hierarchy.{}.teams.{needed}]` with `workers = {{ AGENT = 1 }}`",
            pattern.key
        );
        problems.push(Problem::new(at, message).label("nobody would do it").help_with(help));
    }
}

/// A text that stands as it is, without inputs.
fn literal<'t>(entry: &'t Entry, key: &str) -> Option<(&'t Node, &'t str)> {
    let node = &field(entry, key)?.node;
    let said = text(node)?;
    let is_literal = |(_, piece): &(_, template::Piece)| matches!(piece, template::Piece::Text(_));
    template::scan(said).pieces.iter().all(is_literal).then_some((node, said))
}

/// Checks the plan that the file says.
fn assignments(pattern: &Entry, teams: &[Entry], problems: &mut Vec<Problem>) {
    let Some(own) = field(pattern, "assignments") else { return };
    let nodes = own.node.value.list().unwrap_or_default();
    let mut named: BTreeMap<&str, &Node> = BTreeMap::new();
    for table in nodes.iter().filter_map(|node| node.value.table()) {
        if let Some(name) = table.node("name")
            && let Some(first) = text(name).and_then(|text| named.insert(text, name))
        {
            let message =
                format!("two assignments are called `{}`", text(name).unwrap_or_default());
            let problem = Problem::new(name.at, message)
                .label("again")
                .also(first.at, "first here")
                .help_with("others could not come after one of them: rename one of the two");
            problems.push(problem);
        }
        delegated(table, teams, problems);
    }
    let names: Vec<&str> = named.keys().copied().collect();
    let (mut graph, before) = (Vec::new(), problems.len());
    for table in nodes.iter().filter_map(|node| node.value.table()) {
        let after = table.node("after").and_then(|node| node.value.list()).unwrap_or_default();
        for node in after {
            if let Some(name) = text(node).filter(|name| !names.contains(name)) {
                let problem = Problem::new(node.at, format!("there is no assignment `{name}`"))
                    .label("not among them")
                    .help_with(suggest(name, &names, "the assignments are"));
                problems.push(problem);
            }
        }
        let name = table.node("name").and_then(text).unwrap_or_default();
        graph.push(Task::new(name, ()).after(after.iter().filter_map(text)));
    }
    if problems.len() == before && named.len() == nodes.len() {
        let wrong = decompose::mistakes(&graph);
        let wrong = wrong.iter().map(|mistake| {
            Problem::new(own.key_at, mistake.to_string())
                .label("this plan")
                .help_with("look at each `after`")
        });
        problems.extend(wrong);
    }
}

/// Checks to whom an assignment goes: to one team, which is there and can do it.
fn delegated(table: &Table, teams: &[Entry], problems: &mut Vec<Problem>) {
    let ways = ["team", "specialisation", "by"];
    let said: Vec<&Entry> = ways.into_iter().filter_map(|key| table.entry(key)).collect();
    if let [first, second, ..] = said.as_slice() {
        let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
        let problem = Problem::new(second.key_at, message)
            .label("to this one")
            .also(first.key_at, "and to this one")
            .help_with("delete one of the two");
        problems.push(problem);
    }
    let mut meant: Vec<&Entry> = teams.iter().collect();
    if let Some(node) = table.node("team")
        && let Some(name) = text(node)
    {
        meant.retain(|team| team.key == name);
        if meant.is_empty() {
            let names: Vec<&str> = teams.iter().map(|team| team.key.as_str()).collect();
            let problem = Problem::new(node.at, format!("there is no team `{name}`"))
                .label("not in this hierarchy")
                .help_with(suggest(name, &names, "the teams are"));
            return problems.push(problem);
        }
    } else if let Some(node) = table.node("specialisation")
        && let Some(of) = text(node)
    {
        meant.retain(|team| special(team) == Some(of));
        if meant.is_empty() {
            let known: Vec<&str> = teams.iter().filter_map(special).collect();
            let problem = Problem::new(node.at, format!("no team has the specialisation `{of}`"))
                .label("nobody could have it")
                .help_with(suggest(of, &known, "the specialisations are"));
            return problems.push(problem);
        }
    }
    problems.extend(unable(table, &meant));
}

/// What a team is good at, if the file says it.
fn special(team: &Entry) -> Option<&str> {
    text(&field(team, "specialisation")?.node)
}

/// Refuses an assignment that none of the teams that it may go to can do.
fn unable(table: &Table, meant: &[&Entry]) -> Option<Problem> {
    let by_leader = table.entries_of("tasks").is_empty();
    let (needed, what) = if by_leader {
        ("leader", "an agent as its leader, which does assignments without tasks")
    } else {
        ("workers", "workers for its tasks")
    };
    let name = table.node("name")?;
    if let (false, Some(input)) = (by_leader, table.entry("input")) {
        return Some(
            Problem::new(input.key_at, "`input` says nothing beside `tasks`")
                .label("for an assignment without tasks")
                .help_with("give each task what its worker needs"),
        );
    }
    if meant.is_empty() || meant.iter().any(|team| field(team, needed).is_some()) {
        return None;
    }
    let teams: Vec<String> = meant.iter().map(|team| format!("`{}`", team.key)).collect();
    let message =
        format!("assignment `{}` needs {what}, and {} has none", text(name)?, teams.join(", "));
    let help = if by_leader {
        "write `tasks = { … }`, or `leader = \"AGENT\"` of the team"
    } else {
        "write `workers = { AGENT = 1 }` of the team"
    };
    Some(Problem::new(name.at, message).label("nobody could do it").help_with(help))
}
