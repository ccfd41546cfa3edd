//! The report as SARIF 2.1.0, for code hosts and editors.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rules;
use crate::finding::{Finding, Severity, Skipped};
use crate::limits::SARIF_RESULTS_MAX;
use crate::merge::Report;

/// The base that code hosts resolve relative addresses against.
const ROOT: &str = "%SRCROOT%";

/// Renders a report as a SARIF log with one run.
pub fn sarif(report: &Report) -> String {
    let shown = report.findings.get(..SARIF_RESULTS_MAX).unwrap_or(&report.findings);
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in shown {
        // the worst finding of a rule stands first
        rules.entry(&finding.rule).or_insert(finding);
    }
    let positions: BTreeMap<&str, usize> = rules.keys().copied().zip(0..).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> =
        shown.iter().map(|finding| result(finding, &positions, &mut seen)).collect();
    let mut notifications: Vec<Value> = report.skipped.iter().map(notification).collect();
    if shown.len() < report.findings.len() {
        let text = format!(
            "{} findings over the limit of {SARIF_RESULTS_MAX}",
            report.findings.len() - shown.len()
        );
        notifications.push(json!({"level": "warning", "message": {"text": text}}));
    }
    let driver = Driver {
        name: "synod",
        semantic_version: env!("CARGO_PKG_VERSION"),
        rules: rules.into_values().map(rule).collect(),
    };
    let run = Run {
        tool: Tool { driver },
        column_kind: "unicodeCodePoints",
        original_uri_base_ids: json!({ROOT: {"description": {"text": "The folder that was reviewed."}}}),
        invocations: json!([{"executionSuccessful": true, "toolExecutionNotifications": notifications}]),
        results,
    };
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [run],
    };
    // strings and numbers alone cannot fail to be written
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

/// A log; its keys are written in this order, so that it begins as [`SARIF_OPENING`](super::SARIF_OPENING) says.
#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    original_uri_base_ids: Value,
    invocations: Value,
    results: Vec<Value>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Value>,
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What a code host shows of a rule; it wants all four texts.
fn rule(example: &Finding) -> Value {
    let description = rules::describe(&example.rule);
    let help = example.suggestion.as_deref().unwrap_or(description);
    json!({
        "id": example.rule,
        "name": example.rule,
        "shortDescription": {"text": description},
        "fullDescription": {"text": description},
        "help": {"text": help},
        "defaultConfiguration": {"level": level(example.severity)},
    })
}

fn result<'a>(
    finding: &'a Finding,
    positions: &BTreeMap<&str, usize>,
    seen: &mut BTreeMap<(&'a str, &'a str, &'a str), u32>,
) -> Value {
    let ordinal = seen.entry((&finding.rule, &finding.file, &finding.message)).or_insert(0);
    *ordinal += 1;
    let text = match &finding.suggestion {
        Some(suggestion) => {
            format!("{}. Suggestion: {suggestion}.", finding.message.trim_end_matches('.'))
        }
        None => finding.message.clone(),
    };
    json!({
        "ruleId": finding.rule,
        "ruleIndex": positions.get(finding.rule.as_str()),
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": location(&finding.file), "region": region(finding)}}],
        "partialFingerprints": {"synodFinding/v1": fingerprint(finding, *ordinal)},
        "properties": {"agents": finding.agents},
    })
}

fn notification(skipped: &Skipped) -> Value {
    json!({
        "level": "note",
        "message": {"text": format!("not reviewed: {}", skipped.reason)},
        "locations": [{"physicalLocation": {"artifactLocation": location(&skipped.file)}}],
    })
}

fn location(file: &str) -> Value {
    json!({"uri": encode(file), "uriBaseId": ROOT})
}

fn region(finding: &Finding) -> Value {
    let mut region = Map::new();
    region.insert("startLine".to_owned(), finding.line.max(1).into());
    if finding.column > 0 {
        region.insert("startColumn".to_owned(), finding.column.into());
    }
    if finding.end_line > finding.line {
        region.insert("endLine".to_owned(), finding.end_line.into());
    }
    Value::Object(region)
}

/// Tells a finding again when lines above it were added or removed: rule, file, text and which of several equal ones.
fn fingerprint(finding: &Finding, ordinal: u32) -> String {
    // FNV-1a, whose values are the same for ever, unlike those of the standard library
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let ordinal = ordinal.to_string();
    for part in [&finding.rule, &finding.file, &finding.message, &ordinal] {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// A path as a relative reference: all but unreserved characters and `/` as `%XX`.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
