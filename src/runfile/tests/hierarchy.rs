//! `[hierarchy.NAME]`: what of it is right, and what is told of what is not.

use actors::pattern::hierarchy::{DecisionLevel, Delegation};

use super::*;

const HEAD: &str = "synod = 1\nmain = \"work\"\n\
    input.strategy = { type = \"string\", default = \"canary\" }\n\
    [agents]\n\
    risk = { command = [\"risk\"], reads = \"json\" }\n\
    tests = { process = [\"tests\"] }\n\
    typos = { builtin = \"review.typos\" }\n\
    python = { process = [\"p\"], accepts = \"*.py\" }\n\
    lint = { command = [\"lint\", \"{files}\"], reads = \"exit\" }\n";

const TEAMS: &str = "{ building = { specialisation = \"compilers\", workers = { tests = 2 } }, leading = { leader = \"risk\" } }";

const STAFF: &str = "{ infrastructure = { workers = { tests = 1 } }, application = { workers = { tests = 1 } }, \
    monitoring = { workers = { tests = 1 } } }";

/// A hierarchy with these keys beside its mission.
fn hierarchy(keys: &[(&str, &str)]) -> String {
    let lines: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("{HEAD}[hierarchy.work]\nmission = \"m\"\n{lines}")
}

fn told(text: &str) -> Vec<String> {
    match RunFile::parse("run.toml", text, &[]) {
        Err(problems) => {
            assert!(problems.iter().all(|own| own.help().is_some()), "{problems}");
            assert!(problems.iter().all(|own| problems.place(own).line > 1), "{problems}");
            problems.iter().map(|own| own.message().to_owned()).collect()
        }
        Ok(file) => {
            let problems = resolve(&file, &[], &|_| None).unwrap_err();
            problems.iter().map(|own| own.message().to_owned()).collect()
        }
    }
}

#[test]
fn a_hierarchy_is_read_with_all_that_it_says() {
    let assignments = "[{ name = \"build\", specialisation = \"compilers\", tasks = { x86 = { way = \"{input.strategy}\" }, arm = {} } }, \
        { name = \"ship\", by = \"bid\", after = [\"build\"] }]";
    let text = hierarchy(&[
        ("teams", TEAMS),
        ("assignments", assignments),
        ("integrate", "\"risk\""),
        ("intervene", "\"tests\""),
        ("level", "\"replan\""),
        ("timeout", "\"7s\""),
        ("retry", "{ attempts = 2 }"),
        ("leader_restarts", "{ count = 9, per = \"5s\" }"),
    ]);
    let file = RunFile::parse("run.toml", &text, &[]).unwrap();
    let own = resolve(&file, &[], &|_| None).unwrap().hierarchies.remove(0);
    let names: Vec<String> = own.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["risk", "tests"]);
    let rules = own.rules();
    assert_eq!((rules.timeout.as_secs(), rules.retries.attempts), (7, 2));
    assert_eq!((rules.leader_restarts.0, rules.leader_restarts.1.as_secs()), (9, 5));
    assert_eq!(own.level, DecisionLevel::Replan);
    let Planning::Written(all) = &own.planning else { panic!("{own:?}") };
    let plan = Assignment::plan(all);
    let [build, ship] = plan.assignments.as_slice() else { panic!("{plan:?}") };
    assert_eq!(build.to, Delegation::specialisation("compilers"));
    assert_eq!(build.tasks[1].input, serde_json::json!({ "way": "canary" }));
    assert_eq!(
        (ship.to.clone(), ship.after.as_slice()),
        (Delegation::Bid, &["build".to_owned()][..])
    );
    let [building, leading] = own.teams.as_slice() else { panic!("{own:?}") };
    assert_eq!(building.workers[0].1, 2);
    assert_eq!((building.authority, &leading.workers), (DecisionLevel::Reassign, &Vec::new()));
}

/// Teams, keys beside them, and what is told of that.
const WRONG: &[(&str, &str, &str)] = &[
    ("{}", "plan = \"risk\"", "`hierarchy.work` has no teams"),
    ("{ t = {} }", "plan = \"risk\"", "team `t` has neither workers nor a leader"),
    ("{ t = { workers = {} } }", "plan = \"risk\"", "team `t` has neither workers nor a leader"),
    (
        "{ t = { workers = { tests = 0 } } }",
        "plan = \"risk\"",
        "`hierarchy.work.teams.t.workers.tests` is out of range",
    ),
    ("{ t = { workers = { nobody = 1 } } }", "plan = \"risk\"", "there is no agent `nobody`"),
    ("{ t = { workers = { typos = 1 } } }", "plan = \"risk\"", "`typos` does not work in teams"),
    (
        "{ t = { workers = { lint = 1 } } }",
        "plan = \"risk\"",
        "whoever works in a team is given no files",
    ),
    (
        "{ t = { workers = { python = 1 } } }",
        "plan = \"risk\"",
        "`accepts` says nothing of an agent of a hierarchy",
    ),
    ("{ t = { leader = \"nobody\" } }", "plan = \"risk\"", "there is no agent `nobody`"),
    (
        "{ t = { leader = \"risk\", size = 3 } }",
        "plan = \"risk\"",
        "`size` is no key of `hierarchy.work.teams.t`",
    ),
    (TEAMS, "", "`hierarchy.work` has no plan"),
    (TEAMS, "plan = \"nobody\"", "there is no agent `nobody`"),
    (TEAMS, "plan = \"work\"", "`work` is a pattern"),
    (
        TEAMS,
        "plan = \"risk\"\nassignments = [{ name = \"a\", by = \"load\" }]",
        "`plan` and `assignments` exclude each other",
    ),
    (TEAMS, "plan = \"risk\"\nmonitor = \"risk\"", "`monitor` is not in this version"),
    (TEAMS, "plan = \"risk\"\nlevel = \"all\"", "`all` is no value of `hierarchy.work.level`"),
    (
        TEAMS,
        "assignments = [{ name = \"a\", team = \"bilding\", tasks = { t = {} } }]",
        "there is no team `bilding`",
    ),
    (
        TEAMS,
        "assignments = [{ name = \"a\", specialisation = \"x\", tasks = { t = {} } }]",
        "no team has the specialisation `x`",
    ),
    (
        TEAMS,
        "assignments = [{ name = \"a\", team = \"building\", by = \"bid\", tasks = { t = {} } }]",
        "`team` and `by` exclude each other",
    ),
    (
        TEAMS,
        "assignments = [{ name = \"a\", team = \"leading\", tasks = { t = {} } }]",
        "needs workers for its tasks, and `leading` has none",
    ),
    (
        TEAMS,
        "assignments = [{ name = \"a\", team = \"building\" }]",
        "needs an agent as its leader",
    ),
    (
        TEAMS,
        "assignments = [{ name = \"a\", tasks = { t = {} }, input = {} }]",
        "`input` says nothing beside `tasks`",
    ),
    (TEAMS, "assignments = [{ name = \"a\", after = [\"b\"] }]", "there is no assignment `b`"),
    (TEAMS, "assignments = [{ name = \"a\" }, { name = \"a\" }]", "two assignments are called `a`"),
    (
        TEAMS,
        "assignments = [{ name = \"a\", after = [\"b\"] }, { name = \"b\", after = [\"a\"] }]",
        "circle",
    ),
    (STAFF, "rollout = { strategy = \"canary\" }", "a rollout has no new instances"),
    (
        STAFF,
        "rollout = { strategy = \"canary\", new = [\"b\"], instances = \"risk\" }",
        "`instances` and `new` exclude each other",
    ),
    (
        STAFF,
        "rollout = { strategy = \"canry\", new = [\"b\"] }",
        "`canry` is no strategy of a rollout",
    ),
    (
        STAFF,
        "rollout = { strategy = \"rolling\", new = [\"b\"], steps = [5] }",
        "`steps` says nothing of a `rolling` rollout",
    ),
    (
        STAFF,
        "rollout = { strategy = \"canary\", new = [\"b\"], batch = 2 }",
        "`batch` says nothing of a `canary` rollout",
    ),
    (
        STAFF,
        "rollout = { strategy = \"canary\", instances = \"nobody\" }",
        "there is no agent `nobody`",
    ),
    // Once inputs are known.
    (
        STAFF,
        "rollout = { strategy = \"{input.strategy}\", new = [\"b\"], steps = [50, 5] }",
        "give rising percents",
    ),
    (
        STAFF,
        "rollout = { strategy = \"{input.strategy}\", new = [\"b\"], old = [\"b\"] }",
        "two instances are called `b`",
    ),
];

#[test]
fn each_mistake_of_a_hierarchy_is_told_at_its_place_with_what_to_do() {
    for (teams, keys, expected) in WRONG {
        let text = hierarchy(&[("teams", teams)]) + keys + "\n";
        let found = told(&text);
        assert_eq!(found.len(), 1, "{teams} {keys}: {found:?}");
        assert!(found[0].contains(expected), "{teams} {keys}: {found:?}");
    }
}

#[test]
fn a_rollout_needs_its_three_teams_with_workers() {
    let teams =
        "{ infrastructure = { leader = \"risk\" }, application = { workers = { tests = 1 } } }";
    let text =
        hierarchy(&[("teams", teams), ("rollout", "{ strategy = \"canary\", new = [\"b\"] }")]);
    assert_eq!(
        told(&text),
        [
            "team `infrastructure` has no workers, and a rollout gives it tasks",
            "a rollout needs a team `monitoring`"
        ]
    );
}

#[test]
fn a_team_that_is_written_twice_is_a_mistake_of_the_text() {
    let text = hierarchy(&[("plan", "\"risk\"")])
        + "[hierarchy.work.teams.a]\nleader = \"risk\"\n[hierarchy.work.teams.a]\nleader = \"tests\"\n";
    let found = told(&text);
    assert_eq!(found[0], "`a` is already taken");
}

#[test]
fn a_strategy_that_an_input_names_wrongly_is_refused_where_the_file_says_it() {
    let text = hierarchy(&[
        ("teams", STAFF),
        ("rollout", "{ strategy = \"{input.strategy}\", new = [\"b\"] }"),
    ]);
    let file = RunFile::parse("run.toml", &text, &[]).unwrap();
    let purple = [("strategy".to_owned(), "purple".to_owned())];
    let problems = resolve(&file, &purple, &|_| None).unwrap_err();
    let first = problems.iter().next().unwrap();
    assert_eq!(first.message(), "`purple` is no strategy of a rollout");
    assert!(text.lines().nth(problems.place(first).line - 1).unwrap().starts_with("rollout"));
}
