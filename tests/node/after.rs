//! Run files of which some patterns come after others: order without barriers, failure, what is told and shown, and kill -9.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::place::{Place, Running};

/// An agent that says in a log and a pipe that it has begun, and goes on when there is a file for that.
fn waits(place: &Place, name: &str) -> String {
    let script = format!(
        "echo {name} >> {log}; echo {name} > {pipe}; until test -e {go}; do sleep 0.01; done",
        log = place.path("log").display(),
        pipe = place.path("begun").display(),
        go = place.path(&format!("go-{name}")).display(),
    );
    format!("{name} = {{ command = [\"sh\", \"-c\", {script:?}], reads = \"exit\" }}\n")
}

/// Lets an agent go on.
fn go(place: &Place, name: &str) {
    fs::write(place.path(&format!("go-{name}")), "").unwrap();
}

/// A map_reduce with this agent.
fn review(place: &Place, name: &str, agent: &str, more: &str) -> String {
    let tree = place.path("tree");
    format!(
        "[map_reduce.{name}]\nall_of = [{agent:?}]\nsplit = {{ use = \"code.files\", path = {tree:?} }}\n{more}\n"
    )
}

/// A pipeline with this agent.
fn pipeline(place: &Place, name: &str, agent: &str, more: &str) -> String {
    let tree = place.path("tree");
    format!(
        "[pipeline.{name}]\ndocuments = {tree:?}\nstages = [{{ name = \"one\", agent = {agent:?}, retry = {{ attempts = 1 }} }}]\n{more}\n"
    )
}

/// A vote with this agent.
fn vote(name: &str, agent: &str, more: &str) -> String {
    format!(
        "[consensus.{name}]\nquestion = \"Does it go out?\"\nchoices = [\"ship\", \"hold\"]\nvoters = {{ {agent} = 1 }}\n{more}\n"
    )
}

fn write(place: &Place, agents: &str, patterns: &[String]) {
    let text = format!("synod = 1\nmain = \"gate\"\n[agents]\n{agents}{}", patterns.concat());
    fs::write(place.path("run.toml"), text).unwrap();
}

/// A diamond of all kinds, `first`, then `texts` and `other`, then `gate`, of which one side has one pattern more, `deep`;
/// and `apart`, which nobody comes after.
fn diamond(place: &Place) {
    let agents =
        ["a-first", "a-texts", "a-other", "a-deep", "a-gate"].map(|name| waits(place, name));
    let patterns = [
        vote("gate", "a-gate", "after = [\"deep\", \"other\"]"),
        review(place, "deep", "a-deep", "after = [\"texts\"]"),
        review(place, "apart", "a-first", ""),
        pipeline(place, "texts", "a-texts", "after = [\"first\"]"),
        review(place, "other", "a-other", "after = [\"first\"]"),
        review(place, "first", "a-first", ""),
    ];
    write(place, &agents.concat(), &patterns);
}

fn log(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Each pattern with its state.
fn states(document: &Value) -> Vec<(&str, &str)> {
    let patterns = document["patterns"].as_array().unwrap().iter();
    patterns.map(|own| (own["name"].as_str().unwrap(), own["state"].as_str().unwrap())).collect()
}

/// Whether a text has all of these.
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Runs the diamond until `deep` has begun while `other` still runs, and kills it.
fn killed_in_the_middle(place: &Place) {
    diamond(place);
    let pipe = place.pipe("begun");
    let running = place.start(&["run", "run.toml"]);
    assert_eq!(pipe.line(), "a-first");
    go(place, "a-first");
    let mut both = [pipe.line(), pipe.line()];
    both.sort();
    assert_eq!(both, ["a-other", "a-texts"]);
    go(place, "a-texts");
    // `other` still runs, and `deep` does not wait for it.
    assert_eq!(pipe.line(), "a-deep");
    let shown = place.run(&["show", "last", "--json"]).json();
    let expected = [
        ("first", "done"),
        ("texts", "done"),
        ("deep", "begun"),
        ("other", "begun"),
        ("gate", "waiting"),
    ];
    assert_eq!((states(&shown), &shown["state"]), (expected.to_vec(), &"running".into()));
    running.signal(Signal::KILL);
    assert_ne!(running.end().code, 0);
    pipe.drain();
    assert_eq!(log(place).len(), 4);
}

#[test]
fn a_pattern_waits_for_its_own_predecessors_alone_and_after_a_kill_what_is_done_does_not_run_again()
{
    let place = Place::new(&[("a.txt", "text\n")]);
    killed_in_the_middle(&place);
    has(&place.run(&["runs"]).out, &["interrupted"]);
    for name in ["a-other", "a-deep", "a-gate"] {
        go(&place, name);
    }
    let pipe = place.pipe_again("begun");
    let page = place.path("out.html");
    let resumed = place.run(&["resume", "last", "--report", page.to_str().unwrap()]);
    pipe.drain();
    assert_eq!(resumed.code, 0, "{resumed:?}");
    has(
        &resumed.err,
        &["5 patterns, 2 done before and not run again", "other: done", "gate: done"],
    );
    has(
        &resumed.out,
        &["5 of 5 patterns done", "  gate   done in", ", after deep, other", "consensus: ship"],
    );
    let mut again = log(&place).split_off(4);
    again.sort();
    assert_eq!(again, ["a-deep", "a-gate", "a-other"], "only what was in the middle ran again");
    has(&place.run(&["runs"]).out, &["completed"]);

    let html = fs::read_to_string(&page).unwrap();
    let counts = ["<g class=\"done\">", "class=\"after\""].map(|part| html.matches(part).count());
    assert_eq!(counts, [5, 5], "{html}");
    has(&html, &["<h1>Does it go out?</h1>"]);
    let ended = place.run(&["resume", "last", "--json"]).json();
    assert_eq!(ended["vote"]["decision"]["outcome"]["choice"], "ship", "{ended}");
    assert_eq!(log(&place).len(), 7);
}

/// A process that keeps what it is asked and answers so.
fn keeps(place: &Place, name: &str, result: &str) -> String {
    let script = format!(
        "while read -r line; do printf '%s\\n' \"$line\" >> {}; id=${{{{line#*:}}}}; printf '{{{{\"id\":%s,\"result\":{}}}}}\\n' \"${{{{id%%,*}}}}\"; done",
        place.path(name).display(),
        result.replace('{', "{{").replace('}', "}}"),
    );
    format!("{name} = {{ process = [\"sh\", \"-c\", {script:?}] }}\n")
}

/// The data of what an agent was asked.
fn asked(place: &Place, name: &str) -> Value {
    let text = fs::read_to_string(place.path(name)).unwrap();
    let request: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    request["part"]["data"].clone()
}

#[test]
fn votes_and_reviews_are_told_what_came_before_and_findings_of_all_count() {
    let place = Place::new(&[("a.txt", "recieve\n")]);
    let finding =
        r#"{"findings":[{"file":"a.txt","line":1,"rule":"r","message":"m","severity":"error"}]}"#;
    let agents = [
        "typos = { builtin = \"review.typos\" }\n".to_owned(),
        keeps(&place, "again", finding),
        keeps(&place, "texts", r#"{"n":1}"#),
        keeps(&place, "risk", r#"{"choice":"hold","reasoning":"it is Friday"}"#),
        keeps(&place, "owner", r#"{"choice":"ship"}"#),
    ];
    let patterns = [
        review(&place, "spelling", "typos", ""),
        pipeline(&place, "papers", "texts", ""),
        review(&place, "second", "again", "after = [\"spelling\"]"),
        vote("careful", "risk", "after = [\"second\", \"papers\"]"),
        vote("gate", "owner", "after = [\"careful\"]"),
    ];
    write(&place, &agents.concat(), &patterns);
    let ended = place.run(&["run", "run.toml", "--json", "--fail-on", "error"]);
    let document = ended.json();
    assert_eq!(
        (ended.code, &document["vote"]["decision"]["outcome"]["choice"]),
        (5, &"ship".into()),
        "{ended:?}"
    );
    let before = &asked(&place, "again")["before"]["spelling"];
    assert_eq!(
        (&before["findings"][0]["file"], &before["missing"]),
        (&"a.txt".into(), &0.into()),
        "{before}"
    );
    let before = &asked(&place, "risk")["proposal"]["data"]["before"];
    assert_eq!(
        (&before["second"]["errors"], before.as_object().unwrap().len()),
        (&1.into(), 2),
        "{before}"
    );
    let documents = json!([{ "name": "a.txt", "output": { "n": 1 } }]);
    assert_eq!(
        (&before["papers"]["documents"], &before["papers"]["done"]),
        (&documents, &1.into())
    );
    let before = &asked(&place, "owner")["proposal"]["data"]["before"]["careful"];
    assert_eq!(
        (&before["choice"], &before["reasoning"][0]["reasoning"]),
        (&"hold".into(), &"it is Friday".into())
    );
    assert_eq!(document["patterns"][3]["output"], *before, "and that is what is shown");
    assert_eq!(document["patterns"][0]["report"]["findings"][0]["rule"], "typos.word");
    let decision = &document["patterns"][3]["decision"]["outcome"];
    assert_eq!(
        (&decision["choice"], &document["patterns"][4]["decision"]),
        (&"hold".into(), &Value::Null)
    );
    let shown = place.run(&["show", "last"]).out;
    has(
        &shown,
        &[
            "5 of 5 patterns done",
            "s: hold, after second, papers",
            "s: 1 document",
            "s: 1 error, 0 warnings, 0 notes",
        ],
    );
}

#[test]
fn a_pattern_that_fails_takes_those_with_it_that_come_after_it_and_nobody_else() {
    let place = Place::new(&[("a.txt", "text\n")]);
    let shell = |name: &str, script: &str| {
        format!("{name} = {{ command = [\"sh\", \"-c\", {script:?}], reads = \"json\" }}\n")
    };
    let agents = [
        shell("breaks", "exit 7"),
        shell("ships", "echo '\"ship\"'"),
        "typos = { builtin = \"review.typos\" }\n".to_owned(),
    ];
    let fails = "on_partial_failure = \"fail\"\nretry = { attempts = 1 }";
    let patterns = [
        review(&place, "broken", "breaks", fails),
        review(&place, "late", "typos", "after = [\"broken\"]"),
        review(&place, "fine", "typos", ""),
        vote("gate", "ships", "after = [\"late\", \"fine\"]"),
    ];
    write(&place, &agents.concat(), &patterns);
    let page = place.path("out.html");
    let ended = place.run(&["run", "run.toml", "--report", page.to_str().unwrap()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    has(
        &ended.out,
        &[
            "1 of 4 patterns done",
            "late    not begun, since `broken` failed, after broken",
            "gate    not begun, since `broken` failed, after late, fine",
            "fine    done in",
            "Take it up again",
        ],
    );
    assert!(ended.err.contains("gate: not begun, since `broken` failed"), "{}", ended.err);
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<g class=\"skipped\">").count(), 2, "{html}");
    let shown = place.run(&["show", "last", "--json"]).json();
    let expected =
        [("broken", "failed"), ("late", "skipped"), ("fine", "done"), ("gate", "skipped")];
    assert_eq!((states(&shown), &shown["outcome"]), (expected.to_vec(), &"failed".into()));

    // One that has its parts missing has not failed, and the run is told to be incomplete.
    let (code, document) = place.run_json(&["--set", "map_reduce.broken.on_partial_failure=keep"]);
    assert_eq!((code, &document["patterns"][0]["missing"]), (3, &1.into()), "{document}");
    assert_eq!(
        document["failed_parts"][0]["name"].as_str().map(|name| name.starts_with("broken: ")),
        Some(true)
    );
    assert_eq!(document["vote"]["decision"]["outcome"]["choice"], "ship");
}

/// A review and a pipeline, then a vote; `more` is what their test file says.
fn tested(place: &Place, more: &str) {
    let program = |name: &str| {
        format!(
            "{name} = {{ command = [\"no-such-program\"], reads = \"json\", timeout = \"20s\" }}\n"
        )
    };
    let agents = ["lint", "read", "risk"].map(program).concat();
    let keep = "retry = { attempts = 1 }";
    let patterns = [
        review(place, "code", "lint", keep),
        pipeline(place, "texts", "read", "after = [\"code\"]"),
        vote("gate", "risk", "after = [\"code\", \"texts\"]"),
    ];
    write(place, &agents, &patterns);
    let head = "synod = 1\n[[test]]\nname = \"a test\"\nfiles = { \"a.txt\" = \"text\\n\" }\n";
    fs::write(place.path("run.test.toml"), format!("{head}{more}\n")).unwrap();
}

#[test]
fn patterns_that_come_after_others_are_tested_together_whatever_strikes() {
    let place = Place::new(&[]);
    let mocks = "mock = { lint = { says = [] }, read = { passes = true, slow = \"2s\" }, risk = { says = \"ship\" } }\n";
    let faults = "faults = [\"crash\", \"delay\"]\nseeds = 10\nnever = { choice = \"hold\" }\n";
    let holds = "expect = { outcome = [\"completed\", \"consensus\"], choice = \"ship\", calls = { lint = \"1..\", read = \"1..\", risk = \"1..\" }, failed = 0 }";
    tested(&place, &[mocks, faults, holds].concat());
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");

    // What has failed before the vote is named with its pattern; the run is whole but for that.
    let mocks = "mock = { lint = { fails = \"no\" }, read = { passes = true }, risk = { says = \"ship\" } }\n";
    let holds = "expect = { outcome = \"incomplete\", choice = \"ship\", failed = 1, failure = { agent = \"lint\", part = \"code: \", error = \"no\" } }";
    tested(&place, &[mocks, holds].concat());
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");

    // Each agent's mock is held against the pattern that it works in.
    let wrong = "mock = { lint = { abstains = true }, read = { passes = true }, risk = { says = \"stay\" } }\nexpect = { done = 1 }";
    tested(&place, wrong);
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    has(
        &ended.err,
        &[
            "`abstains` says nothing of a map_reduce",
            "`gate` has no choice `stay`",
            "`done` says nothing of a consensus",
            "3 problems",
        ],
    );
}

#[test]
fn what_voters_are_told_is_recorded_and_played_back() {
    let place = Place::new(&[("a.txt", "text\n")]);
    let agents = [
        "typos = { builtin = \"review.typos\" }\n".to_owned(),
        keeps(&place, "owner", r#"{"choice":"ship"}"#),
    ];
    let patterns =
        [review(&place, "code", "typos", ""), vote("gate", "owner", "after = [\"code\"]")];
    write(&place, &agents.concat(), &patterns);
    let test = "synod = 1\n[[test]]\nname = \"a test\"\ncassette = \"tape.json\"\nexpect = { choice = \"ship\" }\n";
    fs::write(place.path("run.test.toml"), test).unwrap();
    let recorded = place.run(&["test", "run.test.toml", "--record"]);
    assert_eq!(recorded.code, 0, "{recorded:?}");
    assert!(asked(&place, "owner")["proposal"]["data"]["before"]["code"].is_object());
    let played = place.run(&["test", "run.test.toml"]);
    assert_eq!(played.code, 0, "{played:?}");
    // Other findings are another request.
    fs::write(place.path("tree/a.txt"), "recieve\n").unwrap();
    let other = place.run(&["test", "run.test.toml"]);
    assert_eq!(other.code, 1, "{other:?}");
    has(&other.out, &["no answer of agent `owner`"]);
}

#[test]
fn a_signal_ends_all_patterns_and_a_drain_lets_those_begin_that_come_after() {
    let place = Place::new(&[("a.txt", "text\n")]);
    diamond(&place);
    let pipe = place.pipe("begun");
    for name in ["a-first", "a-texts", "a-deep"] {
        go(&place, name);
    }
    let running = place.start(&["run", "run.toml", "--drain", "10m"]);
    while pipe.line() != "a-deep" {}
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 130, "{ended:?}");
    has(
        &ended.out,
        &["cancelled", "  first  done in", "  other  begun, after first", "  gate   waiting"],
    );
    has(&place.run(&["show", "last"]).out, &["cancelled", "  other  begun, after first"]);
    pipe.drain();

    let pipe = place.pipe_again("begun");
    let running = place.start(&["resume", "last", "--drain", "10m"]);
    while pipe.line() != "a-other" {}
    running.signal(Signal::TERM);
    go(&place, "a-other");
    while pipe.line() != "a-gate" {}
    go(&place, "a-gate");
    let ended = running.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    has(&ended.out, &["5 of 5 patterns done", "consensus: ship"]);
}

#[test]
fn the_example_votes_on_what_its_reviews_and_its_pipeline_have_brought() {
    let place = Place::new(&[("a.md", "# Bees\n\nBees make honey. Honey is sweet.\n")]);
    let tree = place.path("tree");
    let gate = || {
        let inputs = ["code", "papers"].map(|name| format!("{name}={}", tree.display()));
        let [code, papers] = &inputs;
        let file = "examples/release_gate.toml";
        let arguments = ["run", file, "--json", "--input", code, "--input", papers];
        let mut program = place.synod(&arguments);
        program.current_dir(env!("CARGO_MANIFEST_DIR"));
        let ended = Running::new(program.spawn().unwrap()).end();
        let document = ended.json();
        assert_eq!(
            (ended.code, document["patterns"].as_array().unwrap().len()),
            (0, 4),
            "{document}"
        );
        document["vote"]["decision"].clone()
    };
    let decision = gate();
    assert_eq!(decision["outcome"]["choice"], "ship", "{decision}");
    let body = "MIIEpAIBAAKCAQEA7v3xTqzLw0kJ5m8ePdQf2rY1hUoVnXbWcGs9".repeat(8);
    let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----");
    fs::write(place.path("tree/key.md"), format!("# Key\n\n{key}\n")).unwrap();
    let decision = gate();
    assert_eq!(decision["outcome"]["choice"], "hold", "{decision}");
    has(&decision.to_string(), &["there may be secrets in it", "key.md:3"]);
}
