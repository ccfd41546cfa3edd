//! Tests of run files as a whole.

mod after;
mod hierarchy;
mod keys;
mod options;
mod pipeline;
mod properties;
mod reference;
mod swarm;
mod vote;

use std::time::Duration;

use runtime::{
    backoff::{Backoff, Jitter},
    breaker,
    limiter::Rate,
};

use super::limits::{
    AGENTS_MAX, FALLBACKS_MAX, FILE_BYTES_MAX, INSTANCES_MAX, LINE_BYTES_MAX, PROBLEMS_SHOWN_MAX,
};
use super::*;

const GOOD: &str = include_str!("tests/good.toml");

/// Parses a text and compares the rendered problems; an empty expectation: there are none.
fn check(text: &str, expected: &str) {
    check_with(text, &[], expected);
}

/// Parses a text with `--set` options and compares the rendered problems.
fn check_with(text: &str, overrides: &[&str], expected: &str) {
    let found = parse(text, overrides).err().map(|problems| problems.to_string());
    let found = found.unwrap_or_default();
    assert_eq!(found.trim(), expected.trim(), "\n--- found\n{found}");
}

fn parse(text: &str, overrides: &[&str]) -> Result<RunFile, Problems> {
    let overrides: Vec<Set> = overrides.iter().map(|set| Set((*set).to_owned())).collect();
    RunFile::parse("run.toml", text, &overrides)
}

/// Gives the messages of the problems of a text.
fn messages(text: &str) -> Vec<String> {
    match parse(text, &[]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.message().to_owned()).collect(),
    }
}

#[test]
fn a_good_file_has_no_problem() {
    check(GOOD, "");
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    check(include_str!("tests/wrong.toml"), include_str!("tests/wrong.txt"));
}

#[test]
fn broken_toml_and_wrong_keys_come_together() {
    check(include_str!("tests/broken.toml"), include_str!("tests/broken.txt"));
}

#[test]
fn one_mistake_of_syntax_is_one_problem() {
    let broken = [
        ("[agents]", "[agents"),
        ("\"review\"\n", "\"review\n"),
        (
            "all_of = [\"secrets\", \"rust\", \"ruff\", \"clippy\", \"lint\"]",
            "all_of = [\"secrets\" \"rust\"]",
        ),
        ("count = 2", "count = "),
        ("timeout = \"2m\"", "timeout = 2m"),
    ];
    for (good, bad) in broken {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD);
        assert_eq!(messages(&text).len(), 1, "{bad}: {:?}", messages(&text));
    }
}

#[test]
fn an_empty_file_lacks_what_every_file_has() {
    let lacks =
        ["`synod`", "`main`", "`agents`", "pattern"].map(|key| format!("the file has no {key}"));
    assert_eq!(messages(""), lacks);
}

#[test]
fn a_file_without_agents_or_patterns_is_refused() {
    let text = "synod = 1\nmain = \"a\"\nagents = {}\nmap_reduce = {}\n";
    assert_eq!(messages(text), ["`agents` is empty", "`map_reduce` is empty"]);
}

#[test]
fn an_agent_is_not_a_main_and_a_pattern_is_not_a_worker() {
    let text = GOOD.replace("main = \"review\"", "main = \"rust\"");
    assert_eq!(messages(&text), ["`rust` is an agent, `main` is a pattern"]);
    let text = GOOD.replace("any_of = [\"secrets\", \"quota\"]", "any_of = [\"review\"]");
    assert_eq!(messages(&text), ["`review` is a pattern"]);
}

#[test]
fn a_heartbeat_is_longer_than_a_busy_machine_takes_and_shorter_than_the_timeout() {
    let text = |keys: &str| {
        format!(
            "synod = 1\nmain = \"a\"\nagents.p = {{ process = [\"p\"], {keys} }}\n\
             map_reduce.a = {{ split = {{ use = \"code.files\" }}, all_of = [\"p\"] }}\n"
        )
    };
    let found = |keys: &str| messages(&text(keys));
    assert_eq!(found("heartbeat = \"5s\""), [""; 0]);
    assert_eq!(found("heartbeat = \"99ms\""), ["a heartbeat of 99ms is too short"]);
    let unnoticed =
        |timeout: &str| [format!("the timeout of {timeout} is over before a heartbeat is missed")];
    assert_eq!(found("heartbeat = \"3m\""), unnoticed("120s"));
    assert_eq!(found("heartbeat = \"1s\", timeout = \"1s\""), unnoticed("1s"));
}

/// A small file with these agents.
fn agents(agents: &[&str]) -> String {
    let agents: String = ["p", "q"]
        .iter()
        .zip(agents)
        .map(|(name, keys)| format!("agents.{name} = {{ builtin = \"b\", {keys} }}\n"))
        .collect();
    format!(
        "synod = 1\nmain = \"a\"\n{agents}map_reduce.a = {{ split = {{ use = \"code.files\" }}, all_of = [\"p\"] }}\n"
    )
}

#[test]
fn a_breaker_that_is_only_wanted_is_that_of_the_library_and_a_table_changes_it() {
    let breaker = |keys: &str| parse(&agents(&[keys]), &[]).unwrap().agents[0].breaker;
    let usual = breaker::Options::default();
    assert_eq!(breaker("breaker = false"), None);
    assert_eq!(breaker("breaker = true"), Some(usual));
    assert_eq!(breaker("breaker = {}"), Some(usual));
    let own =
        breaker("breaker = { failures = 2, open = \"3s..5s\", probes = 4, patience = \"6s\" }");
    let second = Duration::from_secs(1);
    let open = Backoff::new(3 * second, 5 * second).jitter(Jitter::Equal);
    assert_eq!(own, Some(breaker::Options { failures: 2, open, probes: 4, patience: 6 * second }));
    let found =
        messages(&agents(&["breaker = { failures = 0, threshold = 3, open = \"5s..1s\" }"]));
    let expected = [
        "`agents.p.breaker.failures` is out of range",
        "`threshold` is no key of `agents.p.breaker`",
        "`5s..1s` ends before it begins",
    ];
    assert_eq!(found, expected);
}

#[test]
fn agents_of_one_key_state_one_rate() {
    let limit = |key: &str, count: u32, per: &str| {
        format!("rate_limit = {{ key = \"{key}\", count = {count}, per = \"{per}\" }}")
    };
    let both = |one: &str, other: &str| parse(&agents(&[one, other]), &[]).map(|file| file.agents);
    let same = both(&limit("k", 60, "1m"), &limit("k", 60, "60s")).unwrap();
    let expected = RateLimit { key: "k".to_owned(), rate: Rate::new(60, Duration::from_secs(60)) };
    assert!(same.iter().all(|agent| agent.rate_limit.as_ref() == Some(&expected)), "{same:?}");
    assert!(both(&limit("k", 60, "1m"), &limit("other", 1, "1m")).is_ok());
    for other in [limit("k", 1, "1m"), limit("k", 60, "1s")] {
        let problems = both(&limit("k", 60, "1m"), &other).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.message(), "`p` and `q` limit `k` to two rates");
        assert!(problem.help().unwrap().contains("state one rate"), "{problems}");
    }
    let lacking = messages(&agents(&["rate_limit = { count = 0 }"]));
    let expected = [
        "`agents.p.rate_limit` has no `key`",
        "`agents.p.rate_limit` has no `per`",
        "`agents.p.rate_limit.count` is out of range",
    ];
    assert_eq!(lacking, expected);
}

#[test]
fn names_that_the_program_does_not_know_are_refused() {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let catalogue = Catalogue {
        builtins: names(&["review.secrets", "review.rusty"]),
        actors: names(&[]),
        reducers: names(&["findings.merge"]),
    };
    let problems = RunFile::parse_for(&catalogue, "run.toml", GOOD, &[]).unwrap_err();
    let found: Vec<_> =
        problems.iter().map(|found| (found.message(), found.help().unwrap())).collect();
    let expected = [
        ("there is no built-in agent `review.rust`", "did you mean `review.rusty`?"),
        ("there is no registered actor `quota`", "there are none"),
    ];
    assert_eq!(found, expected);
}

/// A file whose agents have these fallbacks.
fn chained(fallbacks: &[(&str, &str)]) -> String {
    let agents = fallbacks.iter().map(|(name, heir)| {
        let heir = if heir.is_empty() { String::new() } else { format!(", fallback = {heir:?}") };
        format!("agents.{name} = {{ builtin = \"b\"{heir} }}\n")
    });
    let agents: String = agents.collect();
    let pattern = "map_reduce.m = { split = { use = \"code.files\" }, any_of = [\"a\"] }\n";
    format!("synod = 1\nmain = \"m\"\n{agents}{pattern}")
}

#[test]
fn a_fallback_is_an_agent_of_the_file() {
    let file = parse(&chained(&[("a", "slow"), ("slow", "")]), &[]).unwrap();
    let heirs: Vec<_> = file.agents.iter().map(|agent| agent.fallback.clone()).collect();
    assert_eq!(heirs, [Name::new("slow"), None]);
    for (heir, message, help) in [
        ("slwo", "there is no agent `slwo`", "did you mean `slow`?"),
        ("m", "`m` is a pattern", "did you mean `a`?"),
    ] {
        let problems = parse(&chained(&[("a", heir), ("slow", "")]), &[]).unwrap_err();
        let found: Vec<_> =
            problems.iter().map(|found| (found.message(), found.help().unwrap())).collect();
        assert_eq!(found, [(message, help)]);
    }
}

#[test]
fn fallbacks_in_a_circle_are_refused_once_with_their_path() {
    let circle = |path| [format!("fallbacks go in a circle: {path}")];
    assert_eq!(messages(&chained(&[("a", "a")])), circle("`a` → `a`"));
    let three = [("a", "c"), ("b", "a"), ("c", "b"), ("into", "b")];
    assert_eq!(messages(&chained(&three)), circle("`a` → `c` → `b` → `a`"));
    let two = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")];
    assert_eq!(messages(&chained(&two)).len(), 2);
}

#[test]
fn too_many_fallbacks_behind_one_another_are_refused() {
    let names: Vec<String> = (0..=FALLBACKS_MAX + 1).map(|n| format!("f{n}")).collect();
    let mut chain = vec![("a", "f0")];
    chain.extend(names.iter().zip(&names[1..]).map(|(name, heir)| (name.as_str(), heir.as_str())));
    chain.push((names.last().unwrap(), ""));
    let text = chained(&chain);
    let found = messages(&text);
    let count = names.len();
    assert_eq!(found[0], format!("`a` has {count} fallbacks behind one another"));
    let fits = text.replace("fallback = \"f2\"", "fallback = \"f3\"");
    assert_eq!(messages(&fits).len(), 1, "one fewer: {:?}", messages(&fits));
    let fits = fits.replace("fallback = \"f1\"", "fallback = \"f3\"");
    assert_eq!(messages(&fits), [""; 0]);
}

#[test]
fn places_in_texts_are_checked_where_they_stand() {
    let base = GOOD.replace("[\"python3\", \"agent.py\", \"{env.HOME}/rules\"]", "ARGV");
    for (argv, expected) in [
        ("[\"x\", \"{files}\"]", "`{files}` cannot stand here"),
        ("[\"x\", \"a{input.diff}\"]", "input `diff` may have no value"),
        ("[\"{input.diff}\"]", "`process` names no program"),
        ("[\"\"]", "`process` names no program"),
        ("[\"x\", \"{input.nope}\"]", "there is no input `nope`"),
        ("[\"x\", \"{home}\"]", "`{home}` is no place to fill in"),
        ("[\"x\", \"a\\u0000b\"]", "`agents.lint.process` cannot be this text"),
    ] {
        assert_eq!(messages(&base.replace("ARGV", argv)), [expected], "{argv}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let long = format!("# {}", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(messages(&long), [format!("line 1 has more than {LINE_BYTES_MAX} bytes")]);
    let size = FILE_BYTES_MAX + 1;
    let large = "#\n".repeat(size.div_ceil(2));
    assert!(messages(&large)[0].starts_with("the file has 10485"), "{:?}", messages(&large));
}

#[test]
fn too_many_agents_are_refused() {
    let agents: String =
        (0..=AGENTS_MAX).map(|n| format!("agents.a{n} = {{ builtin = \"b\" }}\n")).collect();
    let text = format!(
        "synod = 1\nmain = \"m\"\n{agents}map_reduce.m = {{ split = {{ use = \"code.files\" }}, any_of = [\"a1\"] }}\n"
    );
    assert_eq!(messages(&text), [format!("`agents` has {} entries", AGENTS_MAX + 1)]);
}

#[test]
fn too_many_instances_of_all_agents_together_are_refused() {
    let file = |agents: &str| {
        let names = "any_of = [\"a\", \"b\"]";
        let split = "split = { use = \"code.files\" }";
        format!("synod = 1\nmain = \"m\"\n{agents}map_reduce.m = {{ {split}, {names} }}\n")
    };
    let builtins = "agents.a = { builtin = \"b\", count = 1024 }\n";
    let process = |count: u32, concurrency: u32| {
        format!(
            "agents.b = {{ process = [\"x\"], count = {count}, concurrency = {concurrency} }}\n"
        )
    };
    let right = file(&format!("{builtins}{}", process(12, 256)));
    assert!(!messages(&right).iter().any(|message| message.contains("instances")), "{right}");
    let wrong = file(&format!("{builtins}{}", process(1024, 256)));
    let all = 1024 + 1024 * 256;
    let told = format!("the agents have {all} instances together, at most {INSTANCES_MAX}");
    assert!(messages(&wrong).contains(&told), "{:?}", messages(&wrong));
    let problems = parse(&wrong, &[]).unwrap_err();
    let place = problems.iter().map(|problem| problems.place(problem).line);
    assert!(place.eq([4]), "it points at the agent with the most: {problems}");
}

#[test]
fn only_the_first_of_very_many_problems_are_shown() {
    let text: String = (0..500).map(|n| format!("k{n} = 1\n")).collect();
    let shown = parse(&text, &[]).unwrap_err().to_string();
    assert_eq!(shown.matches("Error:").count(), PROBLEMS_SHOWN_MAX);
    assert!(shown.ends_with("504 problems with run.toml, the first 100 shown\n"), "{shown}");
}

#[test]
fn colours_are_used_only_when_asked_for() {
    let problems = parse("", &[]).unwrap_err();
    assert!(problems.render(true).contains('\u{1b}'));
    assert!(!problems.render(false).contains('\u{1b}'));
}

#[test]
fn a_file_cannot_steer_the_terminal() {
    let text = "synod = 1\nmain = \"\\u001b[2J\"\n# \u{202e}\n\"\u{1b}[31m\" = 1\n";
    let shown = parse(text, &[]).unwrap_err().to_string();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn a_problem_has_its_line_and_column_in_characters() {
    let problems = parse("synod = 1 # é\n\"é\" = 1 # é\n  wrong = 1\n", &[]).unwrap_err();
    let place = problems.place(problems.iter().last().unwrap());
    assert_eq!(place, Place { source: "run.toml".to_owned(), line: 3, column: 3 });
}
