//! Test files against the parser and the reference page.

use super::*;

const RUN: &str = r#"
synod = 1
main = "review"
input.path = { type = "path", default = "." }
input.level = { type = "integer", default = 1 }
agents.typos = { builtin = "review.typos" }
agents.lint = { command = ["lint"], reads = "lines", optional = true }
agents.other = { command = ["other"], reads = "lines" }
map_reduce.review = { split = { use = "code.files", path = "{input.path}" }, all_of = ["typos", "lint"] }
map_reduce.more = { split = { use = "code.files" }, all_of = ["other"] }
"#;

fn run_file() -> RunFile {
    RunFile::parse("run.toml", RUN, &[]).unwrap()
}

fn parse(text: &str) -> Result<TestFile, Problems> {
    TestFile::parse("run.test.toml", text, &run_file())
}

fn problems(text: &str) -> Vec<(String, usize)> {
    let problems = parse(text).unwrap_err();
    let found = problems.iter();
    found.map(|one| (one.message().to_owned(), problems.place(one).line)).collect()
}

#[test]
fn a_test_file_becomes_typed_values() {
    let file = parse(
        r#"
synod = 1
[[test]]
name = "one"
input = { level = 3 }
mock = { lint = [{ fails = "no", slow = "5s" }, { says = "a.py:1: x", on = "*.py" }] }
faults = ["crash", "reorder"]
seeds = 7
never = { outcome = ["failed", "timed_out"] }
expect = [{ findings = "1..", calls = { lint = 2 } }, { finding = { rule = "lint.*", line = 1 } }]
[[test]]
name = "two"
run = "more"
mock.other = { says = [] }
cancel = "5s"
always = { failed = 0, outcome = "cancelled" }
[test.files]
"src/a.py" = "x = {1}"
"#,
    )
    .unwrap();
    let [one, two] = file.tests.as_slice() else { panic!("{file:?}") };
    assert_eq!((one.run.as_str(), one.seeds, one.inputs.len()), ("review", 7, 1));
    assert_eq!(one.inputs, [("level".to_owned(), "3".to_owned())]);
    let lint = one.mocks.values().next().unwrap();
    assert_eq!(lint[0].saying, Saying::Fails("no".to_owned()));
    assert_eq!(lint[1].on.globs(), ["*.py"]);
    assert_eq!(one.faults, [runtime::sim::Fault::Crash, runtime::sim::Fault::Delay]);
    assert_eq!(one.never[0].outcome, [OutcomeName::Failed, OutcomeName::TimedOut]);
    assert_eq!(one.never[0].written, ("{ outcome = [\"failed\", \"timed_out\"] }".to_owned(), 9));
    assert_eq!(one.expect[0].findings, Some(1..=u64::MAX));
    assert_eq!((two.run.as_str(), two.seeds), ("more", 20));
    assert_eq!((one.cancel, two.cancel), (None, Some(std::time::Duration::from_secs(5))));
    assert_eq!(two.always[0].outcome, [OutcomeName::Cancelled]);
    assert_eq!(two.files.values().collect::<Vec<_>>(), ["x = {1}"]);
}

#[test]
fn every_mistake_of_a_test_file_is_reported_at_once_with_its_line() {
    let found = problems(
        r#"synod = 1
[[test]]
nam = "one"
run = "reviw"
faults = ["crsh"]
[[test]]
name = "two"
seeds = 0
input = { path = 3, nope = 1 }
mock = { lnt = { hang = true }, typos = { hang = true, fails = "x" } }
expect = { finding = {}, calls = { other = 1 }, findings = "3..1" }
[[test]]
name = "two"
files = { "../x" = "y" }
never = {}
always = { outcome = ["failed", "cancelled"] }
"#,
    );
    let expected = [
        ("`test` has no `name`", 2),
        ("the test does not say what must hold", 2),
        ("`nam` is no key of `test`", 3),
        ("there is no pattern `reviw` in the run file", 4),
        ("`crsh` is no value of `test.faults`", 5),
        ("`test.seeds` is out of range", 8),
        ("this is no value of input `path`", 9),
        ("there is no input `nope`", 9),
        ("`review` has no agent `lnt`", 10),
        ("`hang` and `fails` exclude each other", 10),
        ("`finding` says nothing", 11),
        ("`review` has no agent `other`", 11),
        ("`3..1` ends before it begins", 11),
        ("there are two tests `two`", 13),
        ("`../x` is no path below a folder", 14),
        ("`never` says nothing", 15),
        ("nothing cancels the run of this test", 16),
    ];
    let expected: Vec<(String, usize)> =
        expected.iter().map(|(text, line)| ((*text).to_owned(), *line)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_suggestion() {
    let shown = parse("synod = 1\n[[test]]\nname = \"x\"\nmock = { lnt = { hang = true } }\n")
        .unwrap_err()
        .to_string();
    assert!(shown.contains("run.test.toml:4:10"), "{shown}");
    assert!(shown.contains("mock = { lnt = { hang = true } }"), "{shown}");
    assert!(shown.contains("did you mean `lint`?"), "{shown}");
}

#[test]
fn a_program_for_which_nobody_answers_is_named() {
    let test = |more: &str| {
        format!(
            "synod = 1\n[[test]]\nname = \"x\"\nrun = \"more\"\nexpect = {{ failed = 0 }}\n{more}"
        )
    };
    let found = problems(&test(""));
    assert_eq!(found, [("nobody answers for `other`, which no test starts".to_owned(), 3)]);
    assert!(parse(&test("mock = { other = { hang = true } }")).is_ok());
    assert!(parse(&test("cassette = \"c.json\"")).is_ok());
}

#[test]
fn a_test_that_demands_nothing_is_refused() {
    let test = |more: &str| format!("synod = 1\n[[test]]\nname = \"x\"\n{more}");
    let found = problems(&test("faults = [\"crash\"]"));
    assert_eq!(found, [("the test does not say what must hold".to_owned(), 3)]);
    for demand in ["never", "always", "expect"] {
        assert!(parse(&test(&format!("{demand} = {{ failed = 0 }}"))).is_ok(), "{demand}");
    }
}

#[test]
fn a_test_says_what_the_variables_of_the_run_file_are_and_takes_none_from_the_machine() {
    let run = RUN.replace("[\"lint\"]", "[\"lint\", \"{env.HOME}\"]");
    let run_file = RunFile::parse("run.toml", &run, &[]).unwrap();
    let parse = |env: &str| {
        let text = format!("synod = 1\n[[test]]\nname = \"x\"\nexpect = {{ failed = 0 }}\n{env}");
        TestFile::parse("run.test.toml", &text, &run_file)
    };
    let given = parse("env = { HOME = \"/home/someone\" }").unwrap();
    assert_eq!(given.tests[0].env["HOME"], "/home/someone");
    let open = parse("").unwrap_err().to_string();
    assert!(open.contains("the run file uses `{env.HOME}`"), "{open}");
    assert!(open.contains("`env = { HOME = \"…\" }`"), "{open}");
    let unused = parse("env = { HOME = \"/\", HOEM = \"/\" }").unwrap_err().to_string();
    assert!(unused.contains("does not use `{env.HOEM}`"), "{unused}");
    assert!(unused.contains("did you mean `HOME`?"), "{unused}");
}

#[test]
fn a_test_file_may_name_its_run_file() {
    assert_eq!(TestFile::runs("runs = \"a.toml\"\nx ="), Some("a.toml".to_owned()));
    assert_eq!(TestFile::runs("synod = 1"), None);
}

const OTHERS: &str = r#"
synod = 1
main = "gate"
limit = { deadline = "1m" }
agents.risk = { command = ["risk"], reads = "json" }
agents.tests = { command = ["tests"], reads = "json" }
agents.read = { command = ["read"], reads = "json" }
consensus.gate = { question = "q", choices = ["ship", "hold"], voters = { risk = 1, tests = 1 } }
pipeline.texts = { documents = ".", stages = [{ name = "extraction", agent = "read" }, { name = "analysis", agent = "read" }] }
"#;

#[test]
fn votes_and_pipelines_are_tested_by_what_is_so_of_them() {
    let run = RunFile::parse("run.toml", OTHERS, &[]).unwrap();
    let file = TestFile::parse(
        "run.test.toml",
        r#"
synod = 1
[[test]]
name = "a silent voter cannot ship"
run = "gate"
mock = { risk = { hang = true }, tests = { says = "ship", confidence = 0.9, reasoning = "all pass" } }
never = { choice = "ship" }
expect = { outcome = ["no_decision", "vetoed"], failure = { agent = "risk", part = "risk" } }
[[test]]
name = "an abstention counts"
mock = { risk = [{ says = "hold" }, { abstains = true, reasoning = "?" }], tests = { says = { choice = "hold", veto = ["ship"] } } }
expect = { choice = ["hold", "ship"] }
[[test]]
name = "documents"
run = "texts"
mock = { read = [{ passes = true, stage = "analysis" }, { fails = "no", on = "*.md" }] }
expect = { done = 2, failed = "1.." }
"#,
        &run,
    )
    .unwrap();
    let [silent, abstains, texts] = file.tests.as_slice() else { panic!("{file:?}") };
    let mock = |test: &Test, agent: &str, at: usize| {
        test.mocks[&super::super::model::Name::new(agent).unwrap()][at].clone()
    };
    let ballot =
        serde_json::json!({ "choice": "ship", "confidence": 0.9, "reasoning": "all pass" });
    assert_eq!(mock(silent, "tests", 0).saying, Saying::Says(ballot));
    assert_eq!(silent.never[0].choice, ["ship"]);
    assert_eq!(silent.expect[0].outcome, [OutcomeName::NoDecision, OutcomeName::Vetoed]);
    assert_eq!(mock(abstains, "risk", 0).saying, Saying::Says("hold".into()));
    let none = serde_json::json!({ "choice": null, "reasoning": "?" });
    assert_eq!(mock(abstains, "risk", 1).saying, Saying::Says(none));
    assert_eq!(mock(texts, "read", 0).saying, Saying::Passes);
    assert_eq!(mock(texts, "read", 0).stage.unwrap().as_str(), "analysis");
    assert_eq!(texts.expect[0].done, Some(2..=2));
}

/// What is wrong with a test of a vote or a pipeline whose agents are mocked; each with its help.
fn wrong(test: &str) -> Vec<(String, String)> {
    let run = RunFile::parse("run.toml", OTHERS, &[]).unwrap();
    let text = format!("synod = 1\n[[test]]\nname = \"x\"\n{test}\n");
    let problems = TestFile::parse("run.test.toml", &text, &run).unwrap_err();
    let found = problems.iter();
    found.map(|one| (one.message().to_owned(), one.help().unwrap_or("").to_owned())).collect()
}

#[test]
fn what_there_is_not_in_a_vote_or_a_pipeline_is_named_with_what_is_near() {
    let hold = "mock = { risk = { says = \"hold\" }, tests = { says = \"hold\" } }\n";
    let pass = "run = \"texts\"\nmock = { read = { passes = true } }\n";
    let near = |word: &str| format!("did you mean `{word}`?");
    for (test, message, help) in [
        (format!("{hold}never = {{ choice = \"shp\" }}"), "`gate` has no choice `shp`", near("ship")),
        (
            hold.replacen("hold", "hol", 1) + "never = { choice = \"ship\" }",
            "`gate` has no choice `hol`",
            near("hold"),
        ),
        (
            "mock = { risk = { says = { choice = [\"shipp\"] } }, tests = { hang = true } }\nexpect = { failed = 1 }"
                .to_owned(),
            "`gate` has no choice `shipp`",
            near("ship"),
        ),
        (
            hold.replace("tests", "test") + "cassette = \"c\"\nexpect = { choice = \"hold\" }",
            "`gate` has no agent `test`",
            near("tests"),
        ),
        (format!("{hold}expect = {{ calls = {{ riks = 1 }} }}"), "`gate` has no agent `riks`", near("risk")),
        (
            pass.replace("true", "true, stage = \"analyses\"") + "expect = { done = 1 }",
            "`texts` has no stage `analyses`",
            near("analysis"),
        ),
        (
            format!("{pass}expect = {{ choice = \"ship\" }}"),
            "`choice` says nothing of a pipeline",
            "delete it: `texts` is a pipeline".to_owned(),
        ),
        (
            format!("{hold}expect = {{ findings = 1 }}"),
            "`findings` says nothing of a consensus",
            "delete it: `gate` is a consensus".to_owned(),
        ),
        (
            format!("{pass}expect = {{ outcome = \"vetoed\" }}"),
            "`texts` is no vote",
            "delete it, or name a consensus in `run`".to_owned(),
        ),
        (
            hold.replacen("says", "on = \"a\", says", 1) + "expect = { choice = \"hold\" }",
            "`on` says nothing of a consensus",
            "delete it; a list of mocks is for the voter's calls one after the other".to_owned(),
        ),
        (
            "mock = { risk = { hang = true, confidence = 1 }, tests = { hang = true } }\nexpect = { failed = 2 }"
                .to_owned(),
            "`confidence` is that of no choice",
            "write the choice beside it, as in `says = \"ship\"`".to_owned(),
        ),
    ] {
        assert_eq!(wrong(&test), [(message.to_owned(), help)], "{test}");
    }
    let nobody = wrong("expect = { choice = \"hold\" }");
    assert_eq!(nobody[0].0, "nobody answers for `risk` and `tests`, which no test starts");
    assert!(nobody[0].1.starts_with("write `mock = { risk = { says = \"ship\" } }`"), "{nobody:?}");
}

#[test]
fn a_cancel_that_comes_after_the_deadline_is_refused_with_its_line() {
    let test = |cancel: &str| {
        let text = format!(
            "synod = 1\n[[test]]\nname = \"x\"\ncancel = \"{cancel}\"\nexpect = {{ outcome = \"cancelled\" }}\n\
             mock = {{ risk = {{ hang = true }}, tests = {{ hang = true }} }}\n"
        );
        TestFile::parse("run.test.toml", &text, &RunFile::parse("run.toml", OTHERS, &[]).unwrap())
    };
    assert!(test("59s").is_ok());
    for late in ["1m", "2h"] {
        let problems = test(late).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.message(), "the run has ended by then: its deadline is 1m");
        assert_eq!(problems.place(problem).line, 4);
    }
}

#[test]
fn a_program_that_is_given_the_time_is_not_recorded() {
    let run =
        OTHERS.replace("agent = \"read\" }, {", "agent = \"read\", transform = \"metadata\" }, {");
    let run = RunFile::parse("run.toml", &run, &[]).unwrap();
    let parse = |mock: &str| {
        let text = format!(
            "synod = 1\n[[test]]\nname = \"x\"\nrun = \"texts\"\ncassette = \"c.json\"\nexpect = {{ done = 1 }}\n{mock}"
        );
        TestFile::parse("run.test.toml", &text, &run)
    };
    let refused = parse("").unwrap_err();
    let problem = refused.iter().next().unwrap();
    assert!(problem.message().contains("stage `analysis`"), "{problem:?}");
    assert_eq!(refused.place(problem).line, 5);
    assert!(parse("mock = { read = { passes = true } }").is_ok());
}

#[test]
fn mocks_and_cassettes_are_held_against_all_patterns_that_run() {
    let run = r#"
synod = 1
main = "gate"
agents.lint = { command = ["lint"], reads = "json" }
agents.read = { process = ["read"] }
agents.risk = { command = ["risk"], reads = "json" }
map_reduce.code = { split = { use = "code.files" }, all_of = ["lint"] }
pipeline.texts = { documents = "docs", stages = [{ name = "one", agent = "read", transform = "metadata" }] }
consensus.gate = { question = "?", choices = ["ship", "hold"], voters = { risk = 1, lint = 1 }, after = ["code", "texts"] }
"#;
    let run = RunFile::parse("run.toml", run, &[]).unwrap();
    let messages = |test: &str| {
        let text = format!(
            "synod = 1\n[[test]]\nname = \"t\"\n{test}\nexpect = {{ choice = \"ship\" }}\n"
        );
        let problems = TestFile::parse("run.test.toml", &text, &run).err();
        problems.map_or_else(Vec::new, |problems| {
            problems.iter().map(|one| one.message().to_owned()).collect::<Vec<_>>()
        })
    };
    let all =
        "mock = { lint = { says = [] }, read = { passes = true }, risk = { says = \"ship\" } }";
    assert_eq!(messages(all), [""; 0]);
    let votes = all.replace("says = []", "abstains = true");
    assert_eq!(messages(&votes), [""; 0], "it works in a review, and votes too");
    let wrong = all.replace("passes = true", "abstains = true");
    assert_eq!(messages(&wrong), ["`abstains` says nothing of a pipeline"]);
    let timed = "cassette = \"c.json\"\nmock = { lint = { says = [] }, read = { passes = true } }";
    let told = "what `gate` is told of `texts` says by `metadata` when it was made, so no recorded answer fits it";
    assert_eq!(messages(timed), [told]);
    let alone = messages(&format!("run = \"code\"\n{all}"));
    assert!(alone.contains(&"`code` has no agent `read`".to_owned()), "{alone:?}");
}
