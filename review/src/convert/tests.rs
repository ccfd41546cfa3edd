//! Outputs as the programs print them, and what is none of them.

use serde_json::json;

use super::*;

fn root() -> &'static Path {
    Path::new("/src/project")
}

/// Severity, file, line, column, last line, rule and message of the only finding.
fn only(answer: &Value) -> Finding {
    let review = review(answer, root()).unwrap();
    assert_eq!(review.findings.len(), 1, "{review:?}");
    review.findings.into_iter().next().unwrap()
}

fn sarif(result: &Value) -> Value {
    json!({"version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "ruff", "rules": [{"id": "F401", "shortDescription": {"text": "unused import"}}]}},
        "originalUriBaseIds": {"ROOT": {"uri": "file:///src/project/"}},
        "results": [result]
    }]})
}

#[test]
fn sarif_as_ruff_prints_it() {
    let finding = only(&sarif(&json!({
        "ruleId": "F401", "level": "error", "message": {"text": "`os` imported but unused"},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": "file:///src/project/a%20b/c.py"},
            "region": {"startLine": 3, "startColumn": 8, "endLine": 4, "endColumn": 10}
        }}],
        "fixes": [{"description": {"text": "Remove unused import: `os`"}}]
    })));
    assert_eq!(
        (finding.file.as_str(), finding.line, finding.column, finding.end_line),
        ("a b/c.py", 3, 8, 4)
    );
    assert_eq!((finding.rule.as_str(), finding.severity), ("ruff.F401", Severity::Warning));
    assert_eq!(finding.suggestion.as_deref(), Some("Remove unused import: `os`"));
}

#[test]
fn sarif_with_base_ids_indexes_and_defaults() {
    let finding = only(&sarif(&json!({
        "ruleIndex": 0, "message": {},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "x.py", "uriBaseId": "ROOT"}}}]
    })));
    assert_eq!(
        (finding.file.as_str(), finding.line, finding.message.as_str()),
        ("x.py", 1, "unused import")
    );
    let suppressed = sarif(
        &json!({"ruleId": "a", "message": {"text": "b"}, "suppressions": [{"kind": "inSource"}]}),
    );
    assert_eq!(review(&suppressed, root()).unwrap(), Review::default());
}

#[test]
fn cargo_messages_as_lines() {
    let span = json!({"file_name": "src/a.rs", "line_start": 2, "line_end": 2, "column_start": 5, "column_end": 9, "is_primary": true});
    let help = json!([{"level": "help", "message": "for further information visit https://x", "spans": []},
        {"level": "help", "message": "use", "spans": [{"suggested_replacement": "b?"}]}]);
    let finding = only(&json!([
        {"reason": "compiler-artifact"},
        {"reason": "compiler-message", "message": {
            "level": "warning", "message": "used `unwrap()`", "code": {"code": "clippy::unwrap_used"},
            "spans": [span], "children": help}},
        {"reason": "compiler-message", "message": {"level": "warning", "message": "1 warning emitted", "spans": [], "children": []}},
        {"reason": "build-finished", "success": true}
    ]));
    assert_eq!(
        (finding.rule.as_str(), finding.file.as_str(), finding.line),
        ("clippy.unwrap_used", "src/a.rs", 2)
    );
    assert_eq!(finding.suggestion.as_deref(), Some("use: `b?`"));
}

#[test]
fn an_empty_list_is_an_answer_without_findings() {
    assert_eq!(review(&json!([]), root()).unwrap(), Review::default());
}

#[test]
fn bandit_never_passes_a_password_on() {
    let answer = json!({"errors": [{"filename": "./b.py", "reason": "syntax error"}], "metrics": {}, "results": [{
        "filename": "./a.py", "line_number": 7, "line_range": [7, 8], "col_offset": 4, "test_id": "B105",
        "issue_severity": "LOW", "issue_text": "Possible hardcoded password: 'hunter2'", "code": "7 x = 'hunter2'"
    }]});
    let finding = only(&answer);
    assert_eq!(
        (finding.file.as_str(), finding.line, finding.end_line, finding.column),
        ("a.py", 7, 8, 5)
    );
    assert_eq!(finding.message, "possible hard-coded password");
    assert_eq!(review(&answer, root()).unwrap().skipped[0].file, "b.py");
}

#[test]
fn shellcheck_json1() {
    let finding = only(&json!({"comments": [{
        "file": "a.sh", "line": 3, "endLine": 3, "column": 6, "level": "info", "code": 2086, "message": "Double quote", "fix": null
    }]}));
    assert_eq!((finding.rule.as_str(), finding.severity), ("shellcheck.SC2086", Severity::Note));
}

#[test]
fn our_own_review() {
    let finding = only(&json!({"findings": [
        {"severity": "error", "file": "/src/project/a.rs", "line": 0, "rule": "mine", "message": "m"}
    ]}));
    assert_eq!((finding.file.as_str(), finding.line, finding.end_line), ("a.rs", 1, 1));
    let error = review(&json!({"findings": [{"file": 1}]}), root()).unwrap_err();
    assert!(error.to_string().contains("not a review"), "{error}");
}

#[test]
fn what_a_built_in_reviewer_says_comes_back_whole() {
    let file = crate::SourceFile::new("src/a.rs", b"fn a() { b().unwrap() }");
    let said = crate::reviewer("review.rust").unwrap().review(&file).by("rust");
    assert_eq!((said.findings.len(), said.metrics.len()), (1, 1));
    assert_eq!(review(&serde_json::to_value(&said).unwrap(), root()).unwrap(), said);
}

#[test]
fn what_lies_outside_the_root_is_skipped_by_name() {
    for file in ["/etc/passwd", "../a", "https://a.example/b", "a/../../b"] {
        let answer = json!({"findings": [{"severity": "note", "file": file, "line": 1, "rule": "r", "message": "m"}]});
        let review = review(&answer, root()).unwrap();
        assert_eq!((review.findings.len(), review.skipped[0].file.as_str()), (0, file));
    }
}

#[test]
fn anything_else_says_what_was_found_and_what_is_expected() {
    for (answer, found) in [
        (json!(null), "nothing"),
        (json!("all good"), "text, 8 bytes"),
        (json!([1, 2]), "a list of 2 items"),
        (json!({"a": 1, "b": 2}), "the keys [a, b]"),
        (json!({"version": "1.0.0", "runs": []}), "version 1.0.0"),
        (json!({"results": []}), "the keys [results]"),
    ] {
        let error = review(&answer, root()).unwrap_err().to_string();
        assert!(error.contains(found) && error.contains("SARIF 2.1.0"), "{error}");
    }
}

/// JSON with the keys that the formats have, in any shape.
fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let keys = prop::sample::select(vec![
        "findings",
        "runs",
        "version",
        "results",
        "errors",
        "comments",
        "reason",
        "message",
        "spans",
        "locations",
        "physicalLocation",
        "artifactLocation",
        "uri",
        "region",
        "startLine",
        "ruleIndex",
        "tool",
        "driver",
        "rules",
        "level",
        "line",
        "file",
        "is_primary",
        "children",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec!["2.1.0", "compiler-message", "help", "file://%f", "/", "..", ""])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn any_answer_is_read_or_refused(answer in any_json()) {
        if let Ok(review) = review(&answer, root()) {
            for finding in review.findings {
                assert!(finding.line >= 1 && finding.end_line >= finding.line && !finding.file.starts_with('/'));
            }
        }
    }
}
