//! SARIF 2.1.0 as other tools print it, read into findings.

use std::path::Path;

use serde_json::Value;

use crate::convert::{Gathered, decode_percent, number, text_at};
use crate::finding::{Finding, Severity};

/// Reads all runs of a log.
pub(crate) fn read(log: &Value, root: &Path) -> Gathered {
    let mut gathered = Gathered::new(root);
    for run in log.get("runs").and_then(Value::as_array).into_iter().flatten() {
        let results = run.get("results").and_then(Value::as_array).into_iter().flatten();
        for result in results.filter(|result| is_open(result)) {
            read_result(&mut gathered, run, result);
        }
    }
    gathered
}

/// Whether a result is a problem that nobody suppressed.
fn is_open(result: &Value) -> bool {
    let kind = result.get("kind").and_then(Value::as_str).unwrap_or("fail");
    let suppressed =
        result.get("suppressions").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    matches!(kind, "fail" | "review" | "open") && !suppressed
}

fn read_result(gathered: &mut Gathered, run: &Value, result: &Value) {
    let tool =
        text_at(run, "/tool/driver/name").unwrap_or("sarif").to_lowercase().replace(' ', "-");
    let rule = rule_of(run, result);
    let id = ["/ruleId", "/rule/id"].iter().find_map(|path| text_at(result, path));
    let id = id.or_else(|| text_at(rule?, "/id")).unwrap_or("unnamed");
    let level = text_at(result, "/level").or_else(|| text_at(rule?, "/defaultConfiguration/level"));
    let message = message_of(rule, result);
    let location = result.pointer("/locations/0/physicalLocation").unwrap_or(&Value::Null);
    let region = |name: &str| location.pointer(&format!("/region/{name}")).and_then(number);
    let line = region("startLine").unwrap_or(1).max(1);
    let uri = uri_of(run, location.get("artifactLocation").unwrap_or(&Value::Null));
    let severity = severity(&tool, id, level.unwrap_or("warning"));
    let mut finding = Finding::new(&uri, line, &format!("{tool}.{id}"), message)
        .severity(severity)
        .span(region("startColumn").unwrap_or(0), region("endLine").unwrap_or(line));
    if let Some(fix) = text_at(result, "/fixes/0/description/text") {
        finding = finding.suggest(fix);
    }
    gathered.add(finding);
}

/// What the tool's list says of the rule of a result.
fn rule_of<'a>(run: &'a Value, result: &Value) -> Option<&'a Value> {
    let rules = run.pointer("/tool/driver/rules")?.as_array()?;
    let index =
        result.get("ruleIndex").or_else(|| result.pointer("/rule/index")).and_then(Value::as_u64);
    let by_index = index.and_then(|index| rules.get(usize::try_from(index).ok()?));
    by_index.or_else(|| {
        let id = text_at(result, "/ruleId")?;
        rules.iter().find(|rule| text_at(rule, "/id") == Some(id))
    })
}

fn message_of<'a>(rule: Option<&'a Value>, result: &'a Value) -> &'a str {
    let own = text_at(result, "/message/text").or_else(|| text_at(result, "/message/markdown"));
    own.or_else(|| {
        let id = text_at(result, "/message/id")?;
        rule?.get("messageStrings")?.get(id)?.get("text")?.as_str()
    })
    .or_else(|| text_at(rule?, "/shortDescription/text"))
    .unwrap_or("the tool gives no message")
}

/// The address of a file, through the log's list of files and of folders.
fn uri_of(run: &Value, location: &Value) -> String {
    let index =
        location.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    let listed = || run.get("artifacts")?.get(index?)?.get("location");
    let location =
        if location.get("uri").is_some() { location } else { listed().unwrap_or(location) };
    let uri = text_at(location, "/uri").unwrap_or(".");
    let base = text_at(location, "/uriBaseId")
        .and_then(|base| run.get("originalUriBaseIds")?.get(base)?.get("uri")?.as_str())
        .filter(|_| !uri.contains("://") && !uri.starts_with('/'));
    let whole = base.map_or_else(|| uri.to_owned(), |base| format!("{base}{uri}"));
    // addresses of files are decoded where they are made relative
    if whole.starts_with("file:") { whole } else { decode_percent(&whole) }
}

/// Some tools call everything an error; theirs are graded by rule.
fn severity(tool: &str, rule: &str, level: &str) -> Severity {
    const WRONG: &[&str] = &["invalid-syntax", "F821", "F822", "F823"];
    match level {
        "error" if tool == "ruff" && !rule.starts_with("E9") && !WRONG.contains(&rule) => {
            Severity::Warning
        }
        "error" => Severity::Error,
        "note" | "none" => Severity::Note,
        _ => Severity::Warning,
    }
}
