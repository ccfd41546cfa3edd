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

/// A place with a vote of two, and these tests of it.
fn gate(tests: &str) -> Place {
    let place = Place::new(&[]);
    let run = "synod = 1\nmain = \"gate\"\n\
               agents.risk = { command = [\"no-such-program\"], reads = \"json\", timeout = \"20s\" }\n\
               agents.tests = { command = [\"no-such-program\"], reads = \"json\" }\n\
               [consensus.gate]\nquestion = \"Does it go out?\"\nchoices = [\"ship\", \"hold\"]\n\
               voters = { risk = 1, tests = 1 }\nretry = { attempts = 1 }\n\
               quorum = { share = \"1/2\", of = \"electorate\", strict = true }\n";
    fs::write(place.path("run.toml"), run).unwrap();
    fs::write(place.path("run.test.toml"), format!("synod = 1\n{tests}")).unwrap();
    place
}

/// That one voter never answers, and the other wants to ship.
const SILENT: &str = "[[test]]\nname = \"a silent voter\"\n\
                      mock = { risk = { hang = true }, tests = { says = \"ship\", confidence = 0.9 } }\n";

#[test]
fn what_a_vote_chose_is_held_against_its_test() {
    // The same voter, awake: the choice is made, so the test fails.
    let awake = SILENT.replace("{ hang = true }", "{ says = \"ship\" }");
    let place = gate(&format!("{awake}never = {{ choice = \"ship\" }}\n"));
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let says = "happened though it must never: { choice = \"ship\" }";
    assert!(ended.out.contains(says), "{}", ended.out);
    assert!(ended.out.contains("ended as completed, consensus: ship, failed: 0"), "{}", ended.out);
    let replay = "replay it: synod test run.test.toml --test 'a silent voter' --seed 1\n";
    assert!(ended.out.contains(replay), "{}", ended.out);

    // A vote without a decision has chosen nothing, and whoever is silent is named.
    let place = gate(&format!("{SILENT}expect = {{ choice = [\"ship\", \"hold\"] }}\n"));
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("(choice)"), "{}", ended.out);
    let says = "ended as incomplete, no_decision, failed: 1 (risk at risk: no answer within 20s";
    assert!(ended.out.contains(says), "{}", ended.out);
}

#[test]
fn voters_are_silent_abstain_and_are_cancelled_as_their_test_says() {
    let silent = "expect = { outcome = [\"no_decision\"], failed = 1, failure = { agent = \"risk\", error = \"no answer\" }, calls = { risk = 1, tests = 1 } }\n";
    let mild = SILENT.replace("silent", "mild").replace("hang", "abstains");
    let abstains = "expect = { outcome = \"no_decision\", failed = 0 }\n";
    let cut = SILENT.replace("silent", "cancelled");
    let cancelled = "cancel = \"10s\"\nnever = { outcome = [\"consensus\", \"no_decision\"] }\nexpect = { outcome = \"cancelled\" }\n";
    let place = gate(&[SILENT, silent, &mild, abstains, &cut, cancelled].concat());
    let ended = place.run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn the_patterns_of_the_examples_pass_and_a_planted_mistake_is_found() {
    for (name, from, to, broken) in [
        (
            "deployment_consensus",
            "participation = 0.75",
            "participation = 0.25",
            "two silent voters keep a version back",
        ),
        (
            "document_pipeline",
            "required = [\"path\", \"document\", \"analysis\"] }",
            "required = [\"path\"] }",
            "what is not analysed is not summarised",
        ),
        (
            "release_gate",
            "all_of = [\"keys\"]",
            "all_of = [\"keys\"]\non_partial_failure = \"fail\"",
            "a review that is missing a part does not keep the vote from being held",
        ),
        (
            "software_deployment",
            "authority = \"inform\"",
            "authority = \"retry\"",
            "a version that fails requests is rolled back",
        ),
    ] {
        let file = fs::canonicalize(format!("examples/{name}.test.toml")).unwrap();
        let place = Place::new(&[]);
        let ended = place.run(&["test", file.to_str().unwrap(), "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let count = fs::read_to_string(&file).unwrap().matches("[[test]]").count();
        assert_eq!(ended.json()["passed"], count);

        let text = fs::read_to_string(format!("examples/{name}.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(place.path(&format!("{name}.toml")), text.replace(from, to)).unwrap();
        fs::copy(file, place.path(&format!("{name}.test.toml"))).unwrap();
        let ended = place.run(&["test", &format!("{name}.test.toml"), "--json"]);
        assert_eq!((ended.code, failed(&ended.json())), (1, vec![broken]), "{ended:?}");
    }
}

/// A place with two stages, done by programs of which there are none, and these tests of it.
fn texts(tests: &str) -> Place {
    let place = Place::new(&[]);
    let run = "synod = 1\nmain = \"texts\"\n\
               agents.read = { command = [\"no-such-program\"], reads = \"json\" }\n\
               agents.count = { command = [\"no-such-program\"], reads = \"json\" }\n\
               [pipeline.texts]\ndocuments = \".\"\naccepts = [\"*.txt\"]\n\
               [[pipeline.texts.stages]]\nname = \"reading\"\nagent = \"read\"\n\
               [[pipeline.texts.stages]]\nname = \"counting\"\nagent = \"count\"\n\
               input = { type = \"object\", required = [\"path\"] }\n\
               output = { type = \"object\", required = [\"words\"] }\n";
    fs::write(place.path("run.toml"), run).unwrap();
    let files = "files = { \"a.txt\" = \"a\", \"b.txt\" = \"b\" }";
    let tests = tests.replace("FILES", files);
    fs::write(place.path("run.test.toml"), format!("synod = 1\n{tests}")).unwrap();
    place
}

#[test]
fn stages_give_what_their_mocks_say_and_a_failed_document_is_seen() {
    let counted = "mock = { read = { passes = true }, count = { says = { words = 1 } } }";
    let tests = [
        format!("[[test]]\nname = \"done\"\nFILES\n{counted}\nfaults = [\"crash\", \"delay\"]\nexpect = {{ outcome = \"completed\", done = 2 }}\n"),
        "[[test]]\nname = \"hangs\"\nFILES\nmock = { read = { says = { path = \"p\", words = 1 } }, count = { hang = true, on = \"b.txt\" } }\n\
         expect = { outcome = \"incomplete\", done = 1, failure = { part = \"b.txt\", error = \"no answer\" } }\n".to_owned(),
        "[[test]]\nname = \"fails\"\nFILES\nmock = { read = { fails = \"torn\" }, count = { hang = true } }\n\
         expect = { outcome = \"incomplete\", done = 0, failed = 2, failure = { agent = \"read\", error = \"torn\" } }\n".to_owned(),
    ];
    let ended = texts(&tests.concat()).run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");

    // What is broken is seen: a document that fails, one that is missing.
    for (mock, says) in [
        ("{ says = { letters = 1 } }", "done: 0, failed: 2 ("),
        ("{ hang = true, on = \"b.txt\" }", "stage `counting`: "),
    ] {
        let broken = counted.replace("{ says = { words = 1 } }", mock);
        let test = format!(
            "[[test]]\nname = \"x\"\nFILES\n{broken}\nexpect = {{ done = 2, failed = 0 }}\n"
        );
        let ended = texts(&test).run(&["test", "run.test.toml"]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.out.contains("(done)") && ended.out.contains(says), "{}", ended.out);
    }
}

#[test]
fn the_answers_of_voters_and_stages_are_recorded_and_played_back() {
    for (run, expect) in [
        (
            "agents.risk = { command = [\"sh\", \"-c\", \"echo '\\\"hold\\\"'\"], reads = \"json\" }\n\
             consensus.x = { question = \"q\", choices = [\"ship\", \"hold\"], voters = { risk = 1 } }\n",
            "outcome = \"consensus\", choice = \"hold\", failed = 0",
        ),
        (
            "agents.risk = { command = [\"sh\", \"-c\", \"echo 1\"], reads = \"json\" }\n\
             pipeline.x = { documents = \"tree\", accepts = [\"*.txt\"], stages = [{ name = \"one\", agent = \"risk\" }] }\n",
            "outcome = \"completed\", done = 1",
        ),
    ] {
        let place = Place::new(&[("a.txt", "a")]);
        let file = |run: &str| format!("synod = 1\nmain = \"x\"\n{run}");
        fs::write(place.path("run.toml"), file(run)).unwrap();
        let test = format!(
            "synod = 1\n[[test]]\nname = \"x\"\ncassette = \"c.json\"\nfaults = [\"crash\", \"delay\"]\nexpect = {{ {expect} }}\n"
        );
        fs::write(place.path("run.test.toml"), test).unwrap();
        let recorded = place.run(&["test", "run.test.toml", "--record"]);
        assert_eq!(
            (recorded.code, recorded.out.as_str()),
            (0, "c.json: 1 answer\n"),
            "{recorded:?}"
        );
        fs::write(place.path("run.toml"), file(&run.replace("\"sh\"", "\"no-such-program\"")))
            .unwrap();
        let played = place.run(&["test", "run.test.toml"]);
        assert_eq!(played.code, 0, "{played:?}");
    }
}

#[test]
fn a_recording_is_cancelled_as_its_test_is_and_what_was_not_answered_hangs_when_it_is_played_back()
{
    let place = Place::new(&[("a.py", "x = 1\n")]);
    let lint =
        "command = [\"sh\", \"-c\", \"sleep 600\", \"lint\", \"{files}\"], reads = \"lines\"";
    place.run_file(&[("lint", lint)], "");
    let text = "synod = 1\n[[test]]\nname = \"x\"\ncassette = \"lint.json\"\ncancel = \"2s\"\n\
                expect = { outcome = \"cancelled\", findings = 0, calls = { lint = 1 } }\n";
    fs::write(place.path("run.test.toml"), text).unwrap();
    let recorded = place.run(&["test", "run.test.toml", "--record"]);
    assert_eq!(
        (recorded.code, recorded.out.as_str()),
        (0, "lint.json: 1 answer\n"),
        "{recorded:?}"
    );
    let says = "x: the test has cancelled its run after 2s; what was answered until then is kept";
    assert!(recorded.err.contains(says), "{}", recorded.err);
    let cassette = fs::read_to_string(place.path("lint.json")).unwrap();
    assert!(cassette.contains("\"said\": \"silent\""), "{cassette}");
    let played = place.run(&["test", "run.test.toml"]);
    assert_eq!(played.code, 0, "{played:?}");
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
    assert_eq!(files.len(), 3);
    let ended = gate(&files[2]).run(&["test", "run.test.toml"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("(200 seeds, ") && ended.out.contains(" faults)"), "{}", ended.out);
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
