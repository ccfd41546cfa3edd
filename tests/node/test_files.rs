//! `synod test` as a real process: what it runs, what it says of a failure, and that it can fail.

use std::fs;

use serde_json::Value;

use super::place::{Ended, Place};

const FILE: &str = "examples/code_review.test.toml";

/// The example's files in a place of their own, the run file changed by `plant`.
fn example(plant: impl Fn(String) -> String) -> Place {
    let place = Place::new(&[]);
    for name in ["code_review.toml", "code_review.test.toml"] {
        let text = fs::read_to_string(format!("examples/{name}")).unwrap();
        let text = if name == "code_review.toml" { plant(text) } else { text };
        fs::write(place.path(name), text).unwrap();
    }
    place
}

fn planted(from: &'static str, to: &'static str) -> Place {
    example(move |text| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

fn test(place: &Place, more: &[&str]) -> Ended {
    place.run(&[&["test", "code_review.test.toml"], more].concat())
}

/// The names of the tests that failed.
fn failed(document: &Value) -> Vec<&str> {
    let tests = document["tests"].as_array().unwrap().iter();
    let failed = tests.filter(|test| test["passed"] == false);
    failed.map(|test| test["name"].as_str().unwrap()).collect()
}

#[test]
fn the_example_passes_from_anywhere_and_the_same_in_every_process() {
    let place = Place::new(&[]);
    let file = fs::canonicalize(FILE).unwrap();
    let document = || {
        let ended = place.run(&["test", file.to_str().unwrap(), "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        // A slow machine is told how far it is, and nothing else.
        assert!(ended.err.lines().all(|line| line.contains(": seed ")), "{}", ended.err);
        ended.json()
    };
    let first = document();
    assert_eq!((&first["passed"], &first["failed"]), (&4.into(), &0.into()));
    assert_eq!(first["tests"][1]["seeds"], 50);
    assert_eq!(first, document(), "the traces are the same in another process");
}

#[test]
fn a_planted_mistake_is_found_and_its_seed_is_replayed_by_the_command_that_is_shown() {
    // Without a second attempt, nobody asks a linter again.
    let place = planted("attempts = 3", "attempts = 1");
    let ended = test(&place, &["--json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let document = ended.json();
    let names = failed(&document);
    assert!(names.contains(&"a linter that fails is asked again"), "{names:?}");
    let ended = test(&place, &["--test", "a linter that fails is asked again"]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("ruff at tool.py: the agent was lost"), "{}", ended.out);
    let replay =
        "synod test code_review.test.toml --test 'a linter that fails is asked again' --seed 1";
    assert!(ended.out.contains(&format!("replay it: {replay}\n")), "{}", ended.out);
    let again = test(&place, &["--test", "a linter that fails is asked again", "--seed", "1"]);
    assert_eq!((again.code, again.out), (1, ended.out), "one seed is one run");
}

#[test]
fn a_run_that_fails_at_the_first_mistake_breaks_what_must_never_be() {
    let place = planted("on_partial_failure = \"keep\"", "on_partial_failure = \"fail\"");
    let ended = test(&place, &["--json"]);
    let document = ended.json();
    assert_eq!(failed(&document), ["a linter that hangs is named, and what others found is kept"]);
}

/// Runs one test of a linter that answers at once, under crashes.
fn crashed(more: &str) -> Ended {
    let place = example(|text| text);
    let text = format!(
        "synod = 1\nruns = \"code_review.toml\"\n[[test]]\nname = \"x\"\nseeds = 100\n\
         files = {{ \"a.py\" = \"x = 1\\n\" }}\nmock = {{ ruff = {{ says = [] }} }}\nfaults = [\"crash\"]\n{more}\n"
    );
    fs::write(place.path("other.toml"), text).unwrap();
    place.run(&["test", "other.toml"])
}

#[test]
fn faults_strike_a_run_that_is_over_within_milliseconds() {
    // Some crash of these comes in the middle of the one call, which is then made anew.
    let broken = crashed("always = { calls = { ruff = \"..1\" } }");
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(broken.out.contains("ruff 2"), "{}", broken.out);
    let kept = crashed("expect = { outcome = \"completed\", findings = 0 }");
    assert_eq!(kept.code, 0, "{kept:?}");
    assert!(kept.out.contains(" faults, "), "{}", kept.out);
}

#[test]
fn a_test_whose_faults_struck_nothing_says_that_it_shows_nothing_about_them() {
    let place = Place::new(&[]);
    place.run_file(&[("lint", "command = [\"lint\", \"{files}\"], reads = \"lines\"")], "");
    let text = "synod = 1\n[[test]]\nname = \"x\"\nfiles = { \"a.py\" = \"x = 1\\n\" }\nmock = { lint = { says = [] } }\n\
                faults = [\"duplicate\"]\nexpect = { outcome = \"completed\" }\n";
    fs::write(place.path("run.test.toml"), text).unwrap();
    let of_seed = |seed: u64, more: &[&str]| {
        let seed = seed.to_string();
        place.run(&[&["test", "run.test.toml", "--seed", &seed], more].concat())
    };
    let struck = |seed: &u64| of_seed(*seed, &["--json"]).json()["tests"][0]["faults"] != 0;
    // Messages that may come twice are few: some seeds find one, some none.
    let some = (1..200).find(struck).unwrap();
    let none = (1..200).find(|seed| !struck(seed)).unwrap();
    let missed = |seed: u64| {
        let ended = of_seed(seed, &[]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let words = [", no fault struck)", "it shows nothing about its `faults`"];
        words.map(|words| ended.out.contains(words))
    };
    assert_eq!((missed(none), missed(some)), ([true, true], [false, false]));
}

#[test]
fn what_must_never_be_is_told_when_it_is_so() {
    let place = example(|text| text);
    let text = "synod = 1\nruns = \"code_review.toml\"\n[[test]]\nname = \"x\"\nseeds = 2\n\
                files = { \"a.md\" = \"recieve\\n\" }\nnever = { calls = { typos = \"1..\" } }\n";
    fs::write(place.path("other.toml"), text).unwrap();
    let ended = place.run(&["test", "other.toml"]);
    assert_eq!(ended.code, 1);
    let says = "seed 1: happened though it must never: { calls = { typos = \"1..\" } }, line 7";
    assert!(ended.out.contains(says), "{}", ended.out);
    assert!(ended.out.contains("the run has not ended; calls: "), "{}", ended.out);
}

#[test]
fn a_run_that_a_test_cancels_ends_as_cancelled_with_what_was_finished_whatever_strikes() {
    let place = example(|text| text);
    let hanging = "files = { \"a.md\" = \"recieve\\n\", \"run.sh\" = \"echo\\n\" }\nmock = { shellcheck = { hang = true } }";
    let test = |name: &str, more: &str| format!("[[test]]\nname = {name:?}\n{hanging}\n{more}\n");
    let kept = "cancel = \"2s\"\nexpect = { outcome = \"cancelled\", findings = 1, calls = { shellcheck = 1 } }";
    let struck =
        "cancel = \"2s\"\nfaults = [\"crash\", \"delay\"]\nexpect = { outcome = \"cancelled\" }";
    let not = "expect = { outcome = \"incomplete\" }";
    let tests = [test("kept", kept), test("struck", struck), test("not", not)].concat();
    let text = format!("synod = 1\nruns = \"code_review.toml\"\n{tests}");
    fs::write(place.path("other.toml"), text).unwrap();
    let ended = place.run(&["test", "other.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn all_mistakes_of_a_test_file_are_shown_and_nothing_is_run() {
    let place = example(|text| text);
    let text = "synod = 1\n[[test]]\nname = \"x\"\nmock = { rufff = { hang = true } }\nfaults = [\"crsh\"]\nexpect = { failed = 0 }\n";
    fs::write(place.path("code_review.test.toml"), text).unwrap();
    let ended = test(&place, &[]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("did you mean `ruff`?"), "{}", ended.err);
    assert!(ended.err.contains("did you mean `crash`?"), "{}", ended.err);
    assert!(ended.err.contains("code_review.test.toml:4:10"), "{}", ended.err);
    assert!(ended.err.contains("2 problems with code_review.test.toml"), "{}", ended.err);

    let ended = place.run(&["test", "code_review.toml"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("NAME.test.toml, beside NAME.toml"), "{}", ended.err);
    let ended = place.run(&["test", "none.test.toml"]);
    assert!(ended.err.contains("cannot read the test file none.test.toml"), "{}", ended.err);
}

#[test]
fn a_recorded_program_is_played_back_and_a_changed_request_is_named() {
    let place = Place::new(&[("a.py", "x = 1\n"), ("b.sh", "x\n")]);
    let lint = "command = [\"sh\", \"-c\", \"echo $PWD/a.py:1: of $#\", \"lint\", \"{files}\"], reads = \"lines\"";
    place.run_file(&[("lint", lint)], "");
    let text = "synod = 1\n[[test]]\nname = \"x\"\ncassette = \"lint.json\"\n\
                faults = [\"crash\", \"panic\", \"delay\"]\nexpect = { findings = 1, finding = { file = \"a.py\", agent = \"lint\" } }\n";
    fs::write(place.path("run.test.toml"), text).unwrap();
    let none = place.run(&["test", "run.test.toml"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("lint.json") && none.err.contains("--record"), "{}", none.err);
    assert_eq!(none.err.matches("No such file").count(), 1, "{}", none.err);

    let recorded = place.run(&["test", "run.test.toml", "--record"]);
    assert_eq!(
        (recorded.code, recorded.out.as_str()),
        (0, "lint.json: 2 answers\n"),
        "{recorded:?}"
    );
    let cassette = fs::read_to_string(place.path("lint.json")).unwrap();
    assert!(cassette.contains("{root}/a.py:1: of 1"), "{cassette}");

    // The program is gone; its answers are not.
    place.run_file(&[("lint", &lint.replace("\"sh\"", "\"no-such-program\""))], "");
    let played = place.run(&["test", "run.test.toml"]);
    assert_eq!(played.code, 0, "{played:?}");

    fs::write(place.path("tree/a.py"), "x = 2\n").unwrap();
    let changed = place.run(&["test", "run.test.toml"]);
    assert_eq!(changed.code, 1, "{changed:?}");
    let says = "the cassette has no answer of agent `lint` to the request ";
    assert!(changed.out.contains(says) && changed.out.contains("files: a.py"), "{}", changed.out);
}

/// The code blocks of a language in docs/TESTING.md.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string("docs/TESTING.md").unwrap();
    let open = format!("```{language}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_on_tests_shows_what_the_program_says() {
    let place = Place::new(&[]);
    let files = blocks("toml");
    assert_eq!(files.len(), 2);
    fs::write(place.path("review.toml"), &files[0]).unwrap();
    fs::write(place.path("review.test.toml"), &files[1]).unwrap();
    let ended = place.run(&["test", "review.test.toml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    // How many steps a seed takes, and which finds something first, is the kernel's own business.
    let (out, page) = (without_numbers(&ended.out), blocks("console"));
    for shown in page.iter().filter(|shown| shown.contains("linter")) {
        let shown = shown.strip_prefix("$ synod test review.test.toml\n").unwrap_or(shown);
        let shown = without_numbers(shown);
        assert!(out.contains(&shown), "the page shows\n{shown}\nbut it says\n{out}");
    }
}

fn without_numbers(text: &str) -> String {
    let words = text.split(|c: char| c.is_ascii_digit());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("#")
}
