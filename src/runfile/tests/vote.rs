//! `[consensus.NAME]`: what of it is right, and what is told of what is not.

use actors::pattern::consensus::{Exact, Method, QuorumOf, TieBreaker, Weighting};

use super::*;

const HEAD: &str = "synod = 1\nmain = \"gate\"\n[agents]\n\
    risk = { command = [\"risk\"], reads = \"json\" }\n\
    tests = { process = [\"tests\"] }\n\
    typos = { builtin = \"review.typos\" }\n\
    lint = { command = [\"lint\", \"{files}\"], reads = \"exit\" }\n";

/// A vote with these keys in place of, or beside, those of a right one.
fn vote(keys: &[(&str, &str)]) -> String {
    let mut table = std::collections::BTreeMap::from([
        ("question", "\"Ship?\""),
        ("choices", "[\"ship\", \"hold\"]"),
        ("voters", "{ risk = 2, tests = \"1/2\" }"),
    ]);
    table.extend(keys.iter().copied());
    let lines: String = table.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("{HEAD}[consensus.gate]\n{lines}")
}

#[test]
fn a_vote_is_read_with_all_that_it_says() {
    let text = vote(&[
        ("quorum", "{ share = \"2/3\", of = \"electorate\", strict = true, participation = 0.75 }"),
        ("rule", "\"majority\""),
        ("weight", "\"expertise\""),
        ("otherwise", "\"hold\""),
        ("tie_breakers", "[\"another_round\"]"),
        ("chair", "\"risk\""),
        ("veto", "[\"tests\"]"),
        ("rounds", "{ most = 3 }"),
        ("within", "\"2m\""),
        ("early", "false"),
    ]);
    let file = RunFile::parse("run.toml", &text, &[]).unwrap();
    let gate = &file.votes[0];
    let rules = &gate.rules;
    let quorum = rules.quorum.as_ref().unwrap();
    assert_eq!(quorum.share, Exact::ratio(2, 3).unwrap());
    assert_eq!((quorum.of, quorum.strict), (QuorumOf::Electorate, true));
    assert_eq!(rules.min_participation, Exact::ratio(3, 4).unwrap());
    assert_eq!((rules.method, rules.weighting), (Method::Majority, Weighting::Expertise));
    let breakers =
        [TieBreaker::AnotherRound, TieBreaker::Chair("risk".into()), TieBreaker::Conservative];
    assert_eq!(rules.tie_breakers, breakers);
    assert_eq!((rules.rounds, rules.close_early, gate.within.unwrap().as_secs()), (3, false, 120));
    let voters: Vec<_> = gate
        .voters
        .iter()
        .map(|own| (own.id.as_str(), own.expertise.to_string(), own.veto))
        .collect();
    assert_eq!(voters, [("risk", "2".into(), false), ("tests", "1/2".into(), true)]);
}

#[test]
fn each_mistake_of_a_vote_is_told_at_its_place_with_what_to_do() {
    let wrong = [
        ("voters", "{}", "the electorate of `consensus.gate` is empty"),
        ("voters", "{ risk = nan }", "is not finite"),
        ("voters", "{ risk = -1 }", "-1 is less than 0"),
        ("voters", "{ risk = \"much\" }", "`much` is not a number to count with"),
        ("voters", "{ risk = 0, tests = 0 }", "no voter has any expertise"),
        ("voters", "{ risky = 1 }", "there is no agent `risky`"),
        ("voters", "{ gate = 1 }", "`gate` is a pattern"),
        ("voters", "{ typos = 1 }", "`typos` has no vote"),
        ("voters", "{ lint = 1 }", "a voter is given no files"),
        ("quorum", "{ share = 1.5 }", "3/2 is not from 0 to 1"),
        ("quorum", "{ share = \"-1/3\" }", "-1/3 is not from 0 to 1"),
        ("quorum", "{ participation = 2 }", "2 is not from 0 to 1"),
        ("quorum", "{ shore = 1 }", "`shore` is no key of `consensus.gate.quorum`"),
        ("choices", "[\"ship\"]", "there is nothing to choose"),
        ("choices", "[\"ship\", \"ship\"]", "a choice is named twice"),
        ("otherwise", "\"hode\"", "`hode` is no choice"),
        ("veto", "[\"lint\"]", "`lint` in `veto` is no voter"),
        ("tie_breakers", "[\"status_quo\"]", "there is no `status_quo` to decide for"),
        ("quorum", "{ of = \"cast\" }", "`of` says nothing without a `share`"),
        ("tie_breakers", "[\"another_round\"]", "needs `rounds` of at least 2"),
        ("rounds", "{ change_threshold = 2 }", "2 is not from 0 to 1"),
        ("revisable", "true", "`revisable` is not in this version"),
        ("rule", "\"most\"", "`most` is no value of `consensus.gate.rule`"),
    ];
    for (key, value, expected) in wrong {
        let text = vote(&[(key, value)]);
        let problems = RunFile::parse("run.toml", &text, &[]).unwrap_err();
        let found: Vec<_> = problems.iter().collect();
        assert_eq!(found.len(), 1, "{key} = {value}: {problems}");
        assert!(found[0].message().contains(expected), "{key} = {value}: {}", found[0].message());
        assert!(found[0].help().is_some() || value.contains("nan"), "{key} = {value}");
        assert!(problems.place(found[0]).line > 1, "{key} = {value}");
    }
    let quorum = vote(&[("rule", "\"borda\""), ("quorum", "{ share = 0.5 }")]);
    assert_eq!(messages(&quorum).len(), 1);
}

#[test]
fn all_mistakes_of_a_vote_are_told_at_once() {
    let text = vote(&[
        ("voters", "{ risky = -1, typos = 1 }"),
        ("quorum", "{ share = 7 }"),
        ("otherwise", "\"hode\""),
        ("chair", "\"nobody\""),
    ]);
    assert_eq!(messages(&text).len(), 6, "{:?}", messages(&text));
}

#[test]
fn two_patterns_have_two_names() {
    let text = format!(
        "{}[map_reduce.gate]\nsplit = {{ use = \"code.files\" }}\nall_of = [\"typos\"]\n",
        vote(&[])
    );
    assert_eq!(messages(&text), ["`gate` names two patterns"]);
}
