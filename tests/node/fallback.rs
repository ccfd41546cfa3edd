//! Fallbacks of agents in runs of the program: what an agent has failed at is done by another one, and told.

use std::fs;

use serde_json::Value;

use super::place::{Place, findings};

const TREE: [(&str, &str); 3] = [("a.txt", "one\n"), ("b.txt", "two\n"), ("sub/c.txt", "three\n")];

/// An agent that finds something in the first line of each file.
const SOUND: &str = "command = [\"sh\", \"-c\", \"for file; do echo $file:1: error: found; done\", \"sound\", \"{files}\"], reads = \"lines\"";

/// An agent that notes each of its calls and fails.
fn failing(place: &Place, fallback: &str) -> String {
    let script = format!("echo $1 >> {}; exit 9", place.path("calls").display());
    format!(
        "command = [\"sh\", \"-c\", {script:?}, \"flaky\", \"{{files}}\"], reads = \"lines\", fallback = {fallback:?}"
    )
}

/// Parts of one file, tried twice.
const PATTERN: &str = "retry = { attempts = 2, backoff = \"1ms\" }\n";

/// The report of the sound agent alone.
fn alone() -> Value {
    let place = Place::new(&TREE);
    place.run_file(&[("sound", SOUND)], PATTERN);
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, findings(&document).len()), (0, 3));
    document["report"].clone()
}

#[test]
fn the_report_of_an_agent_that_always_fails_is_that_of_its_fallback_alone() {
    let place = Place::new(&TREE);
    let agent = failing(&place, "sound");
    place.run_file_of("all_of = [\"flaky\"]", &[("flaky", &agent), ("sound", SOUND)], PATTERN);
    let (code, document) = place.run_json(&["--metrics"]);
    assert_eq!((code, &document["outcome"]), (0, &"completed".into()), "{document}");
    assert_eq!(document["report"], alone());
    let units = &document["tally"]["units"];
    assert_eq!((&document["tally"]["done"], &document["tally"]["fallbacks"]), (units, units));
    let calls = fs::read_to_string(place.path("calls")).unwrap();
    let units = units.as_u64().unwrap();
    assert_eq!(calls.lines().count() as u64, units * 2, "its retries came first");
    let metrics = document["metrics"].as_str().unwrap();
    let counted = format!("synod_fallbacks_total{{reason=\"failed\"}} {units}");
    assert!(metrics.contains(&counted), "{metrics}");

    let run = document["run"].as_str().unwrap();
    let shown = place.run(&["show", run, "--json"]).json();
    for work in shown["work"].as_array().unwrap() {
        assert_eq!(work["agent"], "sound", "{work}");
        assert_eq!(work["instead_of"][0]["agent"], "flaky", "{work}");
        let error = work["instead_of"][0]["error"].as_str().unwrap();
        assert!(error.contains("exited with code 9"), "{error}");
    }
    let told = place.run(&["show", run, "--events"]);
    assert!(told.out.contains("flaky left a.txt to its fallback"), "{}", told.out);
    let ended = place.run(&["run", "run.toml"]);
    assert!(ended.out.contains(&format!("{units} by a fallback")), "{}", ended.out);
}

#[test]
fn a_program_that_is_not_installed_is_replaced_by_its_fallback() {
    let place = Place::new(&TREE);
    let gone = "command = [\"no-such-program\", \"{files}\"], reads = \"lines\"";
    let replaced = format!("{gone}, fallback = \"sound\"");
    place.run_file_of("all_of = [\"gone\"]", &[("gone", &replaced), ("sound", SOUND)], PATTERN);
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["report"]), (0, &alone()), "{document}");
    assert_eq!(document["tally"]["fallbacks"], document["tally"]["units"]);

    place.run_file(&[("gone", gone)], PATTERN);
    let ended = place.run(&["run", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("no-such-program"), "{}", ended.err);
}

#[test]
fn where_the_fallback_fails_too_the_part_names_both() {
    let place = Place::new(&TREE[..1]);
    let (first, second) =
        (failing(&place, "second"), "command = [\"sh\", \"-c\", \"exit 7\"], reads = \"lines\"");
    place.run_file_of("all_of = [\"first\"]", &[("first", &first), ("second", second)], PATTERN);
    let (_, document) = place.run_json(&[]);
    let failed = &document["failed_parts"][0];
    let error = failed["error"].as_str().unwrap();
    assert_eq!((&failed["agent"], &failed["attempts"]), (&"second".into(), &4.into()), "{failed}");
    assert!(error.contains("code 7") && error.contains("tried before: first: "), "{error}");
    assert_eq!(document["tally"]["fallbacks"], 0);
}

#[test]
fn a_circle_of_fallbacks_is_refused_by_check() {
    let place = Place::new(&TREE[..1]);
    let (one, two) = (failing(&place, "two"), failing(&place, "one"));
    place.run_file(&[("one", &one), ("two", &two)], "");
    let ended = place.run(&["check", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("fallbacks go in a circle: `one` → `two` → `one`"), "{}", ended.err);
}

#[test]
fn the_fallback_of_a_mocked_agent_is_tested_by_a_test_file() {
    let place = Place::new(&TREE);
    let agent = failing(&place, "sound");
    place.run_file_of("all_of = [\"flaky\"]", &[("flaky", &agent), ("sound", SOUND)], PATTERN);
    let test = |fallback: &str| {
        format!(
            "synod = 1\n[[test]]\nname = \"it falls back\"\nfiles = {{ \"a.txt\" = \"one\" }}\n\
             mock = {{ flaky = {{ fails = \"broken\" }}, sound = {{ {fallback} }} }}\n\
             expect = [{{ outcome = \"completed\", findings = 1, calls = {{ flaky = 2, sound = 1 }} }}]\n"
        )
    };
    fs::write(place.path("run.test.toml"), test("says = [\"a.txt:1: error: found\"]")).unwrap();
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    fs::write(place.path("run.test.toml"), test("fails = \"broken too\"")).unwrap();
    assert_ne!(place.run(&["test", "run.test.toml"]).code, 0);
}
