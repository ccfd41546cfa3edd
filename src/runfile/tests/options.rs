//! `--set` and `--input`, and what is kept of them.

use std::time::Duration;

use super::*;

fn given(inputs: &[(&str, &str)]) -> Vec<(String, String)> {
    inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn env(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/home/me".to_owned())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Resolves the good file and compares the messages of the problems.
fn check_inputs(text: &str, inputs: &[(&str, &str)], expected: &[&str]) {
    let file = parse(text, &[]).unwrap();
    let problems = resolve(&file, &given(inputs), &env).unwrap_err();
    let found: Vec<&str> = problems.iter().map(Problem::message).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_override_is_toml_or_else_a_string() {
    let overrides = [
        "agents.clippy.trusted=true",
        "agents.rust.count = 7",
        "limit.deadline=90s",
        "agents.ruff.accepts=[\"*.pyi\"]",
        "map_reduce.review.reduce=other",
        "input.level.default=5",
    ];
    let file = parse(GOOD, &overrides).unwrap();
    let run = resolve(&file, &[], &env).unwrap();
    assert!(run.agent(&name("clippy")).unwrap().trusted);
    assert_eq!(run.agent(&name("rust")).unwrap().count.unwrap().get(), 7);
    assert_eq!(run.deadline, Duration::from_secs(90));
    assert_eq!(run.agent(&name("ruff")).unwrap().accepts.globs(), ["*.pyi"]);
    assert_eq!(run.map_reduce(&name("review")).unwrap().reduce, "other");
    assert_eq!(run.inputs[1], (name("level"), InputValue::Integer(5)));
}

#[test]
fn an_override_makes_the_tables_it_needs_and_may_add_a_whole_agent() {
    let text = GOOD.replace("limit = { deadline = \"10m\" }\n", "");
    let overrides = ["limit.deadline=1h", "agents.typos={ builtin = \"review.typos\" }"];
    let file = parse(&text, &overrides).unwrap();
    assert_eq!(file.deadline, Duration::from_secs(3600));
    assert!(file.agents.iter().any(|agent| agent.name == name("typos")));
}

#[test]
fn a_path_without_end_is_refused() {
    let path = format!("agents.quota.with{}=1", ".a".repeat(5000));
    let problems = parse(GOOD, &[&path]).unwrap_err();
    let found: Vec<_> = problems.iter().map(Problem::message).collect();
    assert_eq!(found, ["the path of this option is too long"]);
}

#[test]
fn a_value_inside_the_table_of_an_actor_can_be_set() {
    let run = resolve(&parse(GOOD, &["agents.quota.with.a.b=1"]).unwrap(), &[], &env).unwrap();
    let AgentKind::Actor(quota) = &run.agent(&name("quota")).unwrap().kind else { panic!() };
    assert_eq!(quota.with["a"], serde_json::json!({ "b": 1 }));
}

#[test]
fn the_last_override_of_a_key_holds() {
    let file = parse(GOOD, &["limit.deadline=1h", "limit.deadline=2h"]).unwrap();
    assert_eq!(file.deadline, Duration::from_secs(7200));
}

#[test]
fn wrong_overrides_are_shown_at_the_option() {
    let overrides = [
        "agents.clipy.trusted=true",
        "trusted",
        "agents..count=1",
        "main.x=1",
        "agents.rust.count=many",
        "agents.rust.speed=9",
    ];
    check_with(GOOD, &overrides, include_str!("overrides.txt"));
}

#[test]
fn every_text_of_a_run_is_filled_in() {
    let file = parse(GOOD, &[]).unwrap();
    let inputs = given(&[("path", "src"), ("diff", "A..B"), ("level", "9")]);
    let run = resolve(&file, &inputs, &env).unwrap();
    let expected = [
        (name("path"), InputValue::Path("src".into())),
        (name("diff"), InputValue::String("A..B".to_owned())),
        (name("level"), InputValue::Integer(9)),
    ];
    assert_eq!(run.inputs, expected);
    let AgentKind::Command(clippy) = &run.agent(&name("clippy")).unwrap().kind else { panic!() };
    let text = |text: &str| Argument::Text(text.to_owned());
    let argv = [text("cargo"), text("clippy"), text("--level=9"), text("A..B")];
    assert_eq!(clippy.argv, argv);
    let AgentKind::Process(lint) = &run.agent(&name("lint")).unwrap().kind else { panic!() };
    assert_eq!(lint.argv, ["python3", "agent.py", "/home/me/rules"]);
    let AgentKind::Actor(quota) = &run.agent(&name("quota")).unwrap().kind else { panic!() };
    let with = serde_json::json!({ "per_minute": 60, "path": "src", "tags": ["{x}", "A..B"] });
    assert_eq!(serde_json::Value::Object(quota.with.clone()), with);
    let split = &run.map_reduce(&name("review")).unwrap().split;
    assert_eq!((split.path.as_str(), split.diff.as_deref()), ("src", Some("A..B")));
    let AgentKind::Command(ruff) = &run.agent(&name("ruff")).unwrap().kind else { panic!() };
    assert_eq!(ruff.argv.last(), Some(&Argument::Files));
}

#[test]
fn what_uses_an_optional_input_without_a_value_is_left_out() {
    let run = resolve(&parse(GOOD, &[]).unwrap(), &[], &env).unwrap();
    let AgentKind::Command(clippy) = &run.agent(&name("clippy")).unwrap().kind else { panic!() };
    assert_eq!(clippy.argv.len(), 3);
    let AgentKind::Actor(quota) = &run.agent(&name("quota")).unwrap().kind else { panic!() };
    assert_eq!(quota.with["tags"], serde_json::json!(["{x}"]));
    assert_eq!(run.map_reduce(&name("review")).unwrap().split.diff, None);
    assert_eq!(run.inputs.len(), 2);
}

#[test]
fn wrong_and_missing_inputs_are_shown_at_once() {
    let text =
        GOOD.replace("default = \".\", ", "").replace("optional = true }\ninput", "}\ninput");
    let inputs = [("levle", "1"), ("level", "high")];
    check_inputs(
        &text,
        &inputs,
        &[
            "input `path` is missing: what to review",
            "input `diff` is missing",
            "there is no input `levle`",
            "`high` is no value of input `level`",
        ],
    );
}

#[test]
fn a_variable_that_is_not_set_is_shown_where_it_is_used() {
    let text = GOOD.replace("{env.HOME}", "{env.NOWHERE}");
    check_inputs(&text, &[], &["environment variable `NOWHERE` is not set"]);
}

#[test]
fn an_input_of_each_type_takes_its_values_only() {
    let cases = [
        ("path", "src", true),
        ("path", "", false),
        ("string", "", true),
        ("string", "a\0b", false),
        ("integer", "-3", true),
        ("integer", "3.5", false),
        ("number", "3.5", true),
        ("number", "3", true),
        ("number", "inf", false),
        ("boolean", "true", true),
        ("boolean", "yes", false),
    ];
    for (kind, value, taken) in cases {
        let text = GOOD.replace("type = \"integer\", default = 3", &format!("type = \"{kind}\""));
        let file = parse(&text, &[]).unwrap();
        let found = resolve(&file, &given(&[("level", value)]), &env);
        assert_eq!(found.is_ok(), taken, "{kind} {value}");
    }
}

#[test]
fn an_input_that_is_too_long_is_refused() {
    let long = "x".repeat(LINE_BYTES_MAX);
    check_inputs(GOOD, &[("path", &long)], &["the value of input `path` is too long"]);
}

fn request() -> RunRequest {
    RunRequest {
        name: "run.toml".to_owned(),
        text: GOOD.to_owned(),
        overrides: vec![Set("agents.rust.count=7".to_owned())],
        inputs: given(&[("path", "src")]),
    }
}

#[test]
fn a_kept_request_gives_the_same_run_again() {
    let request = request();
    let kept = serde_json::to_string(&request).unwrap();
    let back: RunRequest = serde_json::from_str(&kept).unwrap();
    assert_eq!(back, request);
    assert_eq!(back.fingerprint(), request.fingerprint());
    let catalogue = Catalogue::default();
    let (again, first) = (back.resolve(&catalogue, &env), request.resolve(&catalogue, &env));
    assert_eq!(again.unwrap(), first.unwrap());
    assert!(!kept.contains("/home/me"), "a variable's value is kept");
}

#[test]
fn every_text_of_a_request_is_in_its_fingerprint() {
    let first = request().fingerprint();
    let changes: [fn(&mut RunRequest); 5] = [
        |request| request.name.push('x'),
        |request| request.text.push('x'),
        |request| request.overrides.clear(),
        |request| request.inputs.clear(),
        |request| request.inputs = given(&[("paths", "rc")]),
    ];
    for change in changes {
        let mut request = request();
        change(&mut request);
        assert_ne!(request.fingerprint(), first);
    }
}
