//! Circuit breakers and rate limits of agents in runs of the program.

use std::fs;

use super::place::{Place, findings};

const TREE: [(&str, &str); 3] = [("a.txt", "one\n"), ("b.txt", "two\n"), ("c.txt", "three\n")];

/// An agent that notes each of its calls, and then does this.
fn noting(place: &Place, then: &str, more: &str) -> String {
    let script = format!("echo $1 >> {}; {then}", place.path("calls").display());
    format!(
        "command = [\"sh\", \"-c\", {script:?}, \"agent\", \"{{files}}\"], reads = \"lines\", {more}"
    )
}

fn calls(place: &Place) -> usize {
    fs::read_to_string(place.path("calls")).unwrap().lines().count()
}

#[test]
fn a_program_that_fails_again_and_again_is_left_alone_and_its_fallback_does_the_work() {
    let place = Place::new(&TREE);
    let breaker = "breaker = { failures = 2, open = \"1h\" }, fallback = \"sound\"";
    let flaky = noting(&place, "exit 9", breaker);
    let sound = "command = [\"sh\", \"-c\", \"echo $1:1: error: found\", \"sound\", \"{files}\"], reads = \"lines\"";
    let pattern = "retry = { attempts = 5, backoff = \"1ms\" }";
    place.run_file_of("all_of = [\"flaky\"]", &[("flaky", &flaky), ("sound", sound)], pattern);
    let (code, document) = place.run_json(&["--metrics"]);
    assert_eq!((code, &document["outcome"]), (0, &"completed".into()), "{document}");
    assert_eq!(findings(&document).len(), 3, "{document}");
    assert_eq!(document["tally"]["fallbacks"], 3, "{document}");
    assert_eq!(calls(&place), 2, "the second failure opened the breaker");
    let metrics = document["metrics"].as_str().unwrap();
    assert!(metrics.contains("synod_breakers_opened_total 1"), "{metrics}");
    let run = document["run"].as_str().unwrap();
    let shown = place.run(&["show", run, "--json"]).json();
    for work in shown["work"].as_array().unwrap() {
        let instead = &work["instead_of"][0];
        let error = instead["error"].as_str().unwrap();
        assert_eq!(
            (&work["agent"], &instead["agent"]),
            (&"sound".into(), &"flaky".into()),
            "{work}"
        );
        assert!(error.contains("circuit breaker"), "{error}");
    }
}

#[test]
fn agents_of_one_key_begin_no_more_calls_than_their_rate_allows() {
    let place = Place::new(&TREE);
    let limit = "rate_limit = { key = \"shared\", count = 2, per = \"1h\" }, timeout = \"3s\"";
    let agent = noting(&place, "exit 0", limit);
    let pattern = "retry = { attempts = 1 }";
    place.run_file(&[("one", &agent), ("other", &agent)], pattern);
    let (_, document) = place.run_json(&[]);
    assert_eq!(calls(&place), 2, "{document}");
    assert_eq!(document["tally"]["units"], 6, "{document}");
    for failed in document["failed_parts"].as_array().unwrap() {
        assert!(failed["error"].as_str().unwrap().contains("3s"), "{failed}");
    }
}

#[test]
fn two_rates_of_one_key_are_refused_by_check() {
    let place = Place::new(&TREE);
    let limit = |count: u32| {
        let limit = format!("rate_limit = {{ key = \"shared\", count = {count}, per = \"1h\" }}");
        noting(&place, "exit 0", &limit)
    };
    place.run_file(&[("one", &limit(1)), ("other", &limit(2))], "");
    let ended = place.run(&["check", "run.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("`one` and `other` limit `shared` to two rates"), "{}", ended.err);
}
