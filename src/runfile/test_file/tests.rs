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

#[test]
fn a_pattern_that_no_test_file_can_run_is_named_as_such() {
    let run = "synod = 1\nmain = \"gate\"\nagents.risk = { command = [\"risk\"], reads = \"json\" }\n\
        consensus.gate = { question = \"q\", choices = [\"a\", \"b\"], voters = { risk = 1 } }\n";
    let run = RunFile::parse("run.toml", run, &[]).unwrap();
    for (test, line) in [("name = \"x\"", 3), ("name = \"x\"\nrun = \"gate\"", 4)] {
        let test = format!("synod = 1\n[[test]]\n{test}\nexpect = {{ failed = 0 }}\n");
        let refused = TestFile::parse("run.test.toml", &test, &run).unwrap_err();
        let found: Vec<(&str, usize)> =
            refused.iter().map(|one| (one.message(), refused.place(one).line)).collect();
        let words = "`gate` is a consensus: `synod test` runs patterns of map_reduce alone";
        assert_eq!(found, [(words, line)]);
    }
}
