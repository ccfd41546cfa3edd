//! What each kind of report shows, and that nothing in a finding becomes markup.

use serde_json::Value;

use super::*;
use crate::finding::{FileMetrics, Review};
use crate::merge::{Fold, Report};

const HOSTILE: &str = "<script>alert(1)</script> & \"x\" | [a](b) \n# c";

fn report() -> Report {
    let mut fold = Fold::default();
    let metrics = FileMetrics {
        file: "a b.rs".into(),
        language: "rust".into(),
        lines: 9,
        code_lines: 7,
        functions: 2,
        complexity_max: 3,
        ..FileMetrics::default()
    };
    let findings = vec![
        Finding::new("a b.rs", 3, "rust.unwrap", "`.unwrap()` panics")
            .span(5, 3)
            .suggest("use `?`"),
        Finding::new("a b.rs", 9, "rust.unwrap", "`.unwrap()` panics")
            .span(5, 9)
            .suggest("use `?`"),
        Finding::new("<b>.py", 1, "secrets.aws", HOSTILE).severity(Severity::Error),
    ];
    let skipped = vec![Skipped { file: "c<i>.bin".into(), reason: "is binary".into() }];
    fold.add(Review { findings, metrics: vec![metrics], skipped }.by("rust"));
    fold.report()
}

fn extras() -> Extras {
    Extras {
        title: "Review <1>".to_owned(),
        summary: vec!["took 3 s".to_owned()],
        failed: vec![("part <7>".to_owned(), "timed out".to_owned())],
        skipped_agents: vec![("ruff".to_owned(), "not installed".to_owned())],
        waterfall: Some("<svg id=\"w\"></svg>".to_owned()),
    }
}

#[test]
fn markdown_says_everything_once() {
    let text = markdown(&report(), &extras());
    for expected in [
        "# Review \\<1\\>",
        "- took 3 s",
        "- 1 error, 2 warnings, 0 notes",
        "- **part \\<7\\>**: timed out",
        "- **ruff**: not installed",
        "## Errors",
        "### `a b.rs`",
        "- lines 3, 9: `.unwrap()` panics; use `?` (`rust.unwrap`, by rust)",
        "- 2× use `?` (first at `a b.rs:3`)",
        "| rust | 1 | 9 | 7 | 2 | 3 |",
        "- `c<i>.bin`: is binary",
    ] {
        assert!(text.contains(expected), "{expected}\n---\n{text}");
    }
    let text = text.strip_prefix(MARKDOWN_OPENING).unwrap();
    let outside_code: String = text.split('`').step_by(2).collect();
    assert_eq!(outside_code.matches('<').count(), outside_code.matches("\\<").count(), "{text}");
    assert!(!text.contains("\n# c") && !text.contains("[a]("), "{text}");
}

#[test]
fn html_escapes_everything_and_loads_nothing() {
    let page = html(&report(), &extras());
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;x&quot;"), "{page}");
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<i>") && !page.contains("<b>") && !page.contains("<7>"));
    for loading in ["http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(loading), "{loading}");
    }
    for expected in [
        "<svg id=\"w\">",
        "prefers-color-scheme: dark",
        "<code>.unwrap()</code> panics",
        "value=\"error\"",
        "2 warnings",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn sarif_is_what_code_hosts_load() {
    let log: Value = serde_json::from_str(&sarif(&report())).unwrap();
    let run = &log["runs"][0];
    assert_eq!(
        (log["version"].as_str(), run["tool"]["driver"]["name"].as_str()),
        (Some("2.1.0"), Some("synod"))
    );
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for result in results {
        let position = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        let rule = &run["tool"]["driver"]["rules"][position];
        assert_eq!(rule["id"], result["ruleId"]);
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty());
        }
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
        assert_eq!(result["partialFingerprints"]["synodFinding/v1"].as_str().unwrap().len(), 16);
    }
    assert_eq!(results[0]["level"], "error");
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "a%20b.rs"
    );
    assert_ne!(results[1]["partialFingerprints"], results[2]["partialFingerprints"]);
    assert_eq!(
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
        "not reviewed: is binary"
    );
}

#[test]
fn a_fingerprint_does_not_change_when_lines_move() {
    let prints = |moved: u32| {
        let mut report = report();
        report.findings.iter_mut().for_each(|finding| finding.line += moved);
        let log: Value = serde_json::from_str(&sarif(&report)).unwrap();
        log["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["partialFingerprints"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(prints(0), prints(7));
}

#[test]
fn our_own_sarif_reads_back_as_findings() {
    let log: Value = serde_json::from_str(&sarif(&report())).unwrap();
    let read = crate::convert::review(&log, std::path::Path::new("/")).unwrap();
    let places = |findings: &[Finding]| {
        findings
            .iter()
            .map(|finding| (finding.file.clone(), finding.line, finding.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&read.findings).len(), places(&report().findings).len());
    assert!(read.findings.iter().any(|finding| finding.file == "<b>.py"), "{read:?}");
}

#[test]
fn a_report_is_known_by_how_it_begins_and_nothing_else_is() {
    let (report, extras) = (report(), extras());
    for own in [markdown(&report, &extras), html(&report, &extras), sarif(&report)] {
        assert!(is_own(own.as_bytes()), "{own}");
        assert!(!is_own(format!(" {own}").as_bytes()));
        assert!(!is_own(own.replacen("synod", "other", 1).as_bytes()));
    }
    assert!(!is_own(b""));
}

#[test]
fn an_empty_report_is_a_report() {
    let (report, extras) = (Report::default(), Extras::default());
    assert!(markdown(&report, &extras).contains("0 errors, 0 warnings, 0 notes"));
    assert!(html(&report, &extras).contains("Nothing was found."));
    assert!(sarif(&report).contains("\"results\": []"));
}
