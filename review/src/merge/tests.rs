//! The laws of the fold, and what counts as the same finding.

use proptest::prelude::*;

use super::*;

fn finding(file: &str, line: u32, rule: &str, message: &str, agent: &str) -> Finding {
    let mut finding = Finding::new(file, line, rule, message);
    finding.agents.insert(agent.to_owned());
    finding
}

fn fold(findings: &[Finding]) -> Fold {
    let mut fold = Fold::default();
    fold.add(Review { findings: findings.to_vec(), ..Review::default() });
    fold
}

#[test]
fn the_same_rule_of_two_tools_on_one_line_is_one_finding() {
    let report = fold(&[
        finding("a.rs", 3, "rust.unwrap", "`.unwrap()` panics", "rust"),
        finding("a.rs", 3, "clippy.unwrap_used", "used `unwrap()` on an `Option` value", "clippy"),
        finding("a.rs", 4, "clippy.unwrap_used", "used `unwrap()` on an `Option` value", "clippy"),
        finding("b.py", 1, "ruff.S602", "`subprocess` call with `shell=True`", "ruff"),
        finding("b.py", 1, "bandit.B602", "subprocess call with shell=True identified", "bandit"),
    ])
    .report();
    let agents: Vec<Vec<&str>> = report
        .findings
        .iter()
        .map(|finding| finding.agents.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(agents, [vec!["clippy", "rust"], vec!["clippy"], vec!["bandit", "ruff"]]);
}

#[test]
fn two_words_on_one_line_are_two_findings() {
    let report = fold(&[
        finding("a.md", 1, "typos.word", "`a` is misspelt", "typos"),
        finding("a.md", 1, "typos.word", "`b` is misspelt", "typos"),
        finding("a.md", 1, "typos.word", "`b` is misspelt.", "other"),
    ])
    .report();
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn the_same_twice_on_one_line_is_two_findings_whoever_else_says_it() {
    let at = |column, agent| finding("a.rs", 1, "rust.unwrap", "panics", agent).span(column, 1);
    let found = |findings: &[Finding]| -> Vec<(u32, Vec<String>)> {
        let found = fold(findings).report().findings.into_iter();
        found.map(|finding| (finding.column, finding.agents.into_iter().collect())).collect()
    };
    let by = |agents: &[&str]| agents.iter().map(ToString::to_string).collect::<Vec<_>>();
    let twice = [at(5, "rust"), at(20, "rust")];
    assert_eq!(found(&twice), [(5, by(&["rust"])), (20, by(&["rust"]))]);
    let both = [twice.as_slice(), &[at(6, "clippy"), at(21, "clippy")]].concat();
    assert_eq!(found(&both), [(5, by(&["clippy", "rust"])), (20, by(&["clippy", "rust"]))]);
    let same = [twice.as_slice(), &[at(20, "clippy")]].concat();
    assert_eq!(found(&same), [(5, by(&["rust"])), (20, by(&["clippy", "rust"]))]);
    let unknown = [twice.as_slice(), &[at(0, "clippy")]].concat();
    assert_eq!(found(&unknown), [(0, by(&["clippy", "rust"])), (20, by(&["rust"]))]);
}

#[test]
fn findings_are_ranked_by_severity_file_and_line() {
    let mut worst = finding("z.rs", 9, "secrets.aws", "key", "secrets");
    worst.severity = Severity::Error;
    let report =
        fold(&[finding("b.rs", 1, "r", "x", "a"), finding("a.rs", 2, "r", "y", "a"), worst])
            .report();
    let places: Vec<_> =
        report.findings.iter().map(|finding| (finding.file.as_str(), finding.line)).collect();
    assert_eq!(places, [("z.rs", 9), ("a.rs", 2), ("b.rs", 1)]);
}

#[test]
fn suggestions_and_metrics_are_summed_up() {
    let mut fold = fold(&[
        finding("a.rs", 1, "rust.unwrap", "x", "rust").suggest("handle it"),
        finding("b.rs", 2, "rust.unwrap", "x", "rust").suggest("handle it"),
        finding("b.rs", 3, "q", "y", "rust").suggest("split it"),
    ]);
    let metrics = |file: &str, functions, complexity_max| FileMetrics {
        file: file.to_owned(),
        language: "rust".to_owned(),
        lines: 10,
        code_lines: 8,
        functions,
        complexity_max,
        ..FileMetrics::default()
    };
    fold.add(Review {
        metrics: vec![metrics("a.rs", 2, 7), metrics("b.rs", 0, 0)],
        ..Review::default()
    });
    fold.add(Review { metrics: vec![metrics("a.rs", 0, 0)], ..Review::default() });
    let report = fold.report();
    assert_eq!(
        (report.suggestions[0].text.as_str(), report.suggestions[0].count),
        ("handle it", 2)
    );
    assert_eq!(report.suggestions[0].places, ["a.rs:1", "b.rs:2"]);
    let total = &report.metrics.total;
    assert_eq!((total.files, total.lines, total.functions, total.complexity_max), (2, 20, 2, 7));
    assert_eq!(report.metrics.most_complex.len(), 1);
}

prop_compose! {
    fn any_finding()(
        severity in prop::sample::select(vec![Severity::Error, Severity::Warning, Severity::Note]),
        file in "[ab]", line in 1..3_u32, column in 0..3_u32, end in 1..4_u32,
        rule in prop::sample::select(vec!["rust.unwrap", "clippy.unwrap_used", "typos.word", "ruff.S602", "bandit.B602"]),
        message in "[xyX]\\.?", suggestion in prop::option::of("[st]"), agents in prop::collection::btree_set("[mno]", 0..3),
    ) -> Finding {
        Finding { severity, file, line, rule: rule.to_owned(), column, end_line: end, message, suggestion, agents }
    }
}

prop_compose! {
    fn any_review()(
        findings in prop::collection::vec(any_finding(), 0..8),
        metrics in prop::collection::vec(("[ab]", "(rust|go)?", 0..9_u32, 0..9_u32), 0..3),
        skipped in prop::collection::vec(("[ab]", "[xy]"), 0..3),
    ) -> Review {
        Review {
            findings,
            metrics: metrics.into_iter().map(|(file, language, lines, complexity_max)| FileMetrics {
                file, language, lines, complexity_max, ..FileMetrics::default()
            }).collect(),
            skipped: skipped.into_iter().map(|(file, reason)| Skipped { file, reason }).collect(),
        }
    }
}

fn folded(reviews: &[Review]) -> Fold {
    let mut fold = Fold::default();
    reviews.iter().cloned().for_each(|review| fold.add(review));
    fold
}

fn joined(mut a: Fold, b: Fold) -> Fold {
    a.join(b);
    a
}

proptest! {
    #[test]
    fn the_fold_is_associative_commutative_and_idempotent(a in any_review(), b in any_review(), c in any_review()) {
        let [a, b, c] = [a, b, c].map(|review| folded(&[review]));
        let left = joined(joined(a.clone(), b.clone()), c.clone());
        prop_assert_eq!(&left, &joined(a.clone(), joined(b.clone(), c)));
        prop_assert_eq!(joined(a.clone(), b.clone()), joined(b, a.clone()));
        prop_assert_eq!(&joined(a.clone(), a.clone()), &a);
        prop_assert_eq!(&joined(a.clone(), Fold::default()), &a);
        prop_assert_eq!(joined(left.clone(), a), left);
    }

    #[test]
    fn equal_sets_of_reviews_give_equal_bytes(
        reviews in prop::collection::vec(any_review(), 0..6), seed in any::<prop::sample::Index>(),
    ) {
        let mut turned = reviews.clone();
        if !turned.is_empty() {
            let by = seed.index(turned.len());
            turned.rotate_left(by);
            turned.push(turned[0].clone());
        }
        turned.reverse();
        let (one, other) = (folded(&reviews).report(), folded(&turned).report());
        prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    }
}
