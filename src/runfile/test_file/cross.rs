//! Checks what one key of a test file says against another, and against the run file that is tested.

use super::super::cross::{input_example, input_value};
use super::super::keys::MOCK_DEEDS;
use super::super::model::{Agent, AgentKind, RunFile};
use super::super::problem::{At, Problem};
use super::super::scalar;
use super::super::suggest::{list, suggest};
use super::super::template::Template;
use super::super::tree::{Entry, Node, Table, Value};
use super::build::each;
use super::team::Team;

/// Finds every problem between the keys of a test file, and with what it says of the run file.
pub(super) fn check(root: &Table, run_file: &RunFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let tests = root.node("test").and_then(|node| node.value.list()).unwrap_or(&[]);
    for (index, test) in tests.iter().enumerate() {
        let Some(table) = test.value.table() else { continue };
        problems.extend(unique(table, tests.get(..index).unwrap_or(&[])));
        problems.extend(demands_nothing(test, table));
        problems.extend(variables(test, table, run_file));
        problems.extend(looks_twice(table));
        problems.extend(uncancelled(table));
        problems.extend(too_late(table, run_file));
        for given in table.entries_of("input") {
            problems.extend(input(given, run_file));
        }
        let team = match team(table, run_file) {
            Ok(Some(team)) => team,
            Ok(None) => continue,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        problems.extend(unanswered(test, table, &team));
        problems.extend(team.unrepeatable(table));
        for mock in table.entries_of("mock") {
            problems.extend(agent(mock.key_at, &mock.key, &team));
            problems.extend(each(&mock.node).iter().filter_map(deeds));
            problems.extend(each(&mock.node).iter().flat_map(|node| team.mock(&mock.key, node)));
        }
        for key in ["never", "always", "expect"] {
            let conditions = table.node(key).map_or(&[][..], each);
            conditions.iter().for_each(|node| condition(node, key, &team, &mut problems));
            problems.extend(conditions.iter().flat_map(|node| team.condition(node)));
        }
    }
    problems
}

fn unique(test: &Table, earlier: &[Node]) -> Option<Problem> {
    let name = test.node("name")?;
    let same = |node: &&Node| node.value.text().is_some_and(|text| name.value.text() == Some(text));
    let names = earlier.iter().filter_map(|test| test.value.table()?.node("name"));
    let first = names.into_iter().find(same)?;
    let words = name.value.text().unwrap_or_default();
    Some(
        Problem::new(name.at, format!("there are two tests `{words}`"))
            .label("again")
            .also(first.at, "first here")
            .help_with("give each a name of its own: `--test NAME` runs one alone"),
    )
}

/// Refuses a test that would pass whatever the run does.
fn demands_nothing(test: &Node, table: &Table) -> Option<Problem> {
    if ["never", "always", "expect"].iter().any(|key| table.node(key).is_some()) {
        return None;
    }
    Some(
        Problem::new(place(test, table), "the test does not say what must hold")
            .label("this test")
            .help_with("write `expect = { outcome = \"completed\" }`, or `never` or `always`"),
    )
}

/// Refuses a test that leaves an environment variable to the machine, or gives one that nothing uses.
fn variables(test: &Node, table: &Table, run_file: &RunFile) -> Vec<Problem> {
    let given = table.entries_of("env");
    let used: Vec<&str> = run_file.env.iter().map(|(name, _)| name.as_str()).collect();
    let unused = given.iter().filter(|given| !used.contains(&given.key.as_str())).map(|given| {
        Problem::new(given.key_at, format!("the run file does not use `{{env.{}}}`", given.key))
            .label("not in the run file")
            .help_with(suggest(&given.key, &used, "its environment variables are"))
    });
    let open = used.iter().filter(|name| given.iter().all(|given| given.key != **name));
    let open = open.map(|name| {
        let words = format!(
            "the run file uses `{{env.{name}}}`, and a test takes nothing from its machine"
        );
        Problem::new(place(test, table), words)
            .label("this test")
            .help_with(format!("say what it is here: `env = {{ {name} = \"…\" }}`"))
    });
    unused.chain(open).collect()
}

/// Where a test is named.
fn place(test: &Node, table: &Table) -> At {
    table.node("name").map_or(test.at, |name| name.at)
}

/// The pattern that a test runs, with all who may do its work; `None` where another problem says why there is none.
fn team<'f>(table: &Table, run_file: &'f RunFile) -> Result<Option<Team<'f>>, Problem> {
    let run = table.node("run");
    let Some(name) = run.map_or(Some(run_file.main.as_str()), |node| node.value.text()) else {
        return Ok(None);
    };
    let found = Team::of(run_file, name);
    let Some(node) = run.filter(|_| found.is_none()) else { return Ok(found) };
    let names = Team::names(run_file);
    Err(Problem::new(node.at, format!("there is no pattern `{name}` in the run file"))
        .label("not in the run file")
        .help_with(suggest(name, &names, "the patterns are")))
}

/// Refuses a test in which nobody can answer for a program that has to take part.
fn unanswered(test: &Node, table: &Table, team: &Team<'_>) -> Option<Problem> {
    if table.node("cassette").is_some() {
        return None;
    }
    let mocks = table.entries_of("mock");
    let is_unknown = |agent: &&Agent<Template>| {
        let is_program = !matches!(agent.kind, AgentKind::Builtin(_));
        let is_mocked = mocks.iter().any(|mock| mock.key == agent.name.as_str());
        is_program && !is_mocked && agent.trusted && !agent.optional
    };
    let agents = team.agents.iter().copied();
    let unknown: Vec<&str> = agents.filter(is_unknown).map(|agent| agent.name.as_str()).collect();
    let first = unknown.first()?;
    Some(
        Problem::new(place(test, table), format!("nobody answers for {}, which no test starts", list(&unknown)))
            .label("this test")
            .help_with(format!(
                "write `mock = {{ {first} = {{ {} }} }}`, or `cassette = \"FILE\"` and record it by `synod test --record`",
                team.example(first)
            )),
    )
}

fn looks_twice(test: &Table) -> Option<Problem> {
    let files = test.entry("files")?;
    let inputs = test.entries_of("input").iter();
    let path = inputs.into_iter().find(|input| input.key == "path")?;
    Some(
        Problem::new(files.key_at, "`files` and `input.path` both say what the run looks at")
            .label("a folder of its own")
            .also(path.key_at, "and another one")
            .help_with("delete one of the two"),
    )
}

/// Refuses an outcome that only `cancel` brings about, where there is none.
fn uncancelled(test: &Table) -> Option<Problem> {
    if test.node("cancel").is_some() {
        return None;
    }
    let conditions = ["never", "always", "expect"].into_iter().filter_map(|key| test.node(key));
    let outcomes = conditions.flat_map(each).filter_map(|node| node.value.table()?.node("outcome"));
    let named = outcomes.flat_map(each).find(|node| node.value.text() == Some("cancelled"))?;
    Some(
        Problem::new(named.at, "nothing cancels the run of this test")
            .label("is never so")
            .help_with("say when it is cancelled, as in `cancel = \"5s\"`, or delete this"),
    )
}

/// Refuses to cancel a run that has ended by its own deadline.
fn too_late(test: &Table, run_file: &RunFile) -> Option<Problem> {
    let node = test.node("cancel")?;
    let cancel = scalar::duration(node.value.text()?).ok()?;
    let deadline = humantime::format_duration(run_file.deadline);
    (cancel >= run_file.deadline).then(|| {
        Problem::new(node.at, format!("the run has ended by then: its deadline is {deadline}"))
            .label("cancels nothing")
            .help_with(format!(
                "cancel it before {deadline}, or give the run file a later `limit.deadline`"
            ))
    })
}

fn input(given: &Entry, run_file: &RunFile) -> Option<Problem> {
    let name = &given.key;
    let Some(input) = run_file.inputs.iter().find(|input| input.name.as_str() == name) else {
        let names: Vec<&str> = run_file.inputs.iter().map(|input| input.name.as_str()).collect();
        let problem = Problem::new(given.key_at, format!("there is no input `{name}`"))
            .label("not in the run file")
            .help_with(suggest(name, &names, "the inputs are"));
        return Some(problem);
    };
    let value = &given.node.value;
    let is_scalar =
        !matches!(value, Value::Broken | Value::Array(_) | Value::Table(_) | Value::Datetime);
    (is_scalar && input_value(input.kind, value).is_none()).then(|| {
        Problem::new(given.node.at, format!("this is no value of input `{name}`"))
            .label(format!("found {}", value.kind()))
            .help_with(format!("write {}", input_example(input.kind)))
    })
}

fn agent(at: At, name: &str, team: &Team<'_>) -> Option<Problem> {
    let names: Vec<&str> = team.agents.iter().map(|agent| agent.name.as_str()).collect();
    (!names.contains(&name)).then(|| {
        Problem::new(at, format!("`{}` has no agent `{name}`", team.name))
            .label("does no work there")
            .help_with(suggest(name, &names, "its agents are"))
    })
}

/// Refuses a mock that is to do two things.
fn deeds(mock: &Node) -> Option<Problem> {
    let does = |entry: &&Entry| {
        MOCK_DEEDS.contains(&entry.key.as_str())
            && !matches!(entry.node.value, Value::Boolean(false))
    };
    let deeds: Vec<&Entry> = mock.value.table()?.entries.iter().filter(does).collect();
    let [first, second, ..] = deeds.as_slice() else { return None };
    Some(
        Problem::new(second.key_at, format!("`{}` and `{}` exclude each other", first.key, second.key))
            .label("it does this")
            .also(first.key_at, "and this")
            .help_with(format!(
                "delete one of them; a mock does one of {}, and a list is for its calls one after the other",
                list(MOCK_DEEDS)
            )),
    )
}

fn condition(node: &Node, key: &str, team: &Team<'_>, problems: &mut Vec<Problem>) {
    let Some(table) = node.value.table() else { return };
    let mut empty = |node: &Node, what: &str| {
        let nothing = node.value.table().is_some_and(|table| table.entries.is_empty());
        if nothing {
            problems.push(
                Problem::new(node.at, format!("`{what}` says nothing"))
                    .label("empty")
                    .help_with("say what must hold, or delete it"),
            );
        }
    };
    empty(node, key);
    for of in ["finding", "failure"] {
        table.node(of).map_or(&[][..], each).iter().for_each(|node| empty(node, of));
    }
    for calls in table.entries_of("calls") {
        problems.extend(agent(calls.key_at, &calls.key, team));
    }
    for of in ["finding", "failure"] {
        for node in table.node(of).map_or(&[][..], each) {
            let Some(named) = node.value.table().and_then(|table| table.node("agent")) else {
                continue;
            };
            let name = named.value.text();
            problems.extend(name.and_then(|name| agent(named.at, name, team)));
        }
    }
}
