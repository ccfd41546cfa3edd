//! What agents print, read into findings.
//!
//! The root package hands in what an agent answered, as JSON; [`review`] tells the format by its shape.
//!
//! # Invariants
//! Paths become relative to the root; what lies outside it is skipped, by name. A message that would quote a
//! password is cut before it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::finding::{Finding, Review, Severity, Skipped, clip};
use crate::limits::CONVERTED_MAX;
use crate::sarif;

/// An answer that holds no findings in a format that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no review: found {found}; expected an object with `findings`, SARIF 2.1.0, the messages of \
     `cargo --message-format=json`, or the JSON of bandit or `shellcheck -f json1`"
)]
pub struct ConvertError {
    /// What the answer is instead.
    pub found: String,
}

/// Reads the answer of an agent.
///
/// # Errors
/// Says what was found and which formats are read.
pub fn review(answer: &Value, root: &Path) -> Result<Review, ConvertError> {
    if let Some(lines) = cargo_messages(answer) {
        return Ok(cargo(lines, root).finish());
    }
    let Some(object) = answer.as_object() else { return Err(unknown(answer)) };
    let list = |key: &str| object.get(key).and_then(Value::as_array);
    if object.contains_key("findings") {
        return own(answer, root);
    }
    if let Some(runs) = list("runs") {
        return match object.get("version").and_then(Value::as_str) {
            Some("2.1.0") => Ok(sarif::read(answer, root).finish()),
            version => Err(ConvertError {
                found: format!(
                    "SARIF with {} runs of version {}",
                    runs.len(),
                    version.unwrap_or("none")
                ),
            }),
        };
    }
    if let Some(comments) = list("comments") {
        return Ok(shellcheck(comments, root).finish());
    }
    match (list("results"), object.contains_key("errors") || object.contains_key("metrics")) {
        (Some(results), true) => Ok(bandit(answer, results, root).finish()),
        _ => Err(unknown(answer)),
    }
}

fn unknown(answer: &Value) -> ConvertError {
    let found = match answer {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("text, {} bytes", text.len()),
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(object) => {
            let keys: Vec<&str> = object.keys().take(8).map(String::as_str).collect();
            format!("an object with the keys [{}]", keys.join(", "))
        }
    };
    ConvertError { found: clip(found) }
}

/// Findings of one answer, cleaned as they come.
pub(crate) struct Gathered {
    root: PathBuf,
    review: Review,
    outside: BTreeSet<String>,
    dropped: usize,
}

impl Gathered {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            review: Review::default(),
            outside: BTreeSet::new(),
            dropped: 0,
        }
    }

    /// Takes a finding whose file is still an address as the tool gave it.
    pub(crate) fn add(&mut self, mut finding: Finding) {
        if self.review.findings.len() >= CONVERTED_MAX {
            self.dropped += 1;
            return;
        }
        let Some(file) = relative(&finding.file, &self.root) else {
            self.outside.insert(finding.file);
            return;
        };
        finding.file = file;
        finding.line = finding.line.max(1);
        finding.end_line = finding.end_line.max(finding.line);
        finding.message = clip(redact(&finding.rule, finding.message));
        finding.suggestion = finding.suggestion.map(clip);
        self.review.findings.push(finding);
    }

    fn skip(&mut self, file: &str, reason: impl Into<String>) {
        let file = relative(file, &self.root).unwrap_or_else(|| file.to_owned());
        self.review.skipped.push(Skipped { file, reason: clip(reason.into()) });
    }

    pub(crate) fn finish(mut self) -> Review {
        for file in std::mem::take(&mut self.outside) {
            let reason = "findings outside the reviewed folder are left out";
            self.review.skipped.push(Skipped { file: clip(file), reason: reason.to_owned() });
        }
        if self.dropped > 0 {
            self.skip(
                ".",
                format!("{} findings over the limit of {CONVERTED_MAX} an answer", self.dropped),
            );
        }
        self.review.findings.sort();
        self.review.findings.dedup();
        self.review
    }
}

/// The text at a JSON pointer.
pub(crate) fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// A number that fits a line or column.
pub(crate) fn number(value: &Value) -> Option<u32> {
    value.as_u64().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn number_at(value: &Value, key: &str) -> u32 {
    value.get(key).and_then(number).unwrap_or(0)
}

/// What a tool says of a hard-coded password, without what it quotes of it.
fn redact(rule: &str, message: String) -> String {
    const QUOTING: &[&str] =
        &["bandit.B105", "bandit.B106", "bandit.B107", "ruff.S105", "ruff.S106", "ruff.S107"];
    if QUOTING.contains(&rule) { "possible hard-coded password".to_owned() } else { message }
}

/// A path or `file:` address relative to the root, with `/`; `None` outside of it.
fn relative(address: &str, root: &Path) -> Option<String> {
    let path = match address.strip_prefix("file:") {
        Some(rest) => {
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            let host = rest.find('/').unwrap_or(0);
            decode_percent(rest.get(host..)?)
        }
        None if address.contains("://") => return None,
        None => address.to_owned(),
    };
    let path = Path::new(&path);
    let inside = if path.is_absolute() {
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        path.strip_prefix(root).or_else(|_| path.strip_prefix(&real)).ok()?
    } else {
        path
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in inside.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// Replaces each `%xx` by its byte; what is no text then becomes replacement characters.
pub(crate) fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn own(answer: &Value, root: &Path) -> Result<Review, ConvertError> {
    let review = Review::deserialize(answer).map_err(|error| ConvertError {
        found: format!("an object with `findings` that is not a review: {error}"),
    })?;
    let mut gathered = Gathered::new(root);
    for finding in review.findings {
        gathered.add(finding);
    }
    for skipped in review.skipped {
        gathered.skip(&skipped.file, skipped.reason);
    }
    gathered.review.metrics = review.metrics;
    Ok(gathered.finish())
}

/// The messages of cargo: a list of objects with a `reason`, or a single one. An empty list says that nothing was found.
fn cargo_messages(answer: &Value) -> Option<&[Value]> {
    if answer.get("reason").is_some() {
        return Some(std::slice::from_ref(answer));
    }
    let lines = answer.as_array()?;
    lines.iter().all(|line| line.get("reason").is_some()).then_some(lines)
}

fn cargo(lines: &[Value], root: &Path) -> Gathered {
    let mut gathered = Gathered::new(root);
    let messages = lines.iter().filter(|line| text_at(line, "/reason") == Some("compiler-message"));
    for message in messages.filter_map(|line| line.get("message")) {
        let severity = match text_at(message, "/level") {
            Some("error" | "error: internal compiler error") => Severity::Error,
            Some("warning") => Severity::Warning,
            _ => continue,
        };
        let spans = message.get("spans").and_then(Value::as_array).into_iter().flatten();
        let primary =
            spans.into_iter().find(|span| span.get("is_primary") == Some(&Value::Bool(true)));
        // a message without a place counts the others
        let Some(span) = primary else { continue };
        let rule = match text_at(message, "/code/code") {
            Some(code) => code
                .strip_prefix("clippy::")
                .map_or(format!("rustc.{code}"), |lint| format!("clippy.{lint}")),
            None => "rustc".to_owned(),
        };
        let file = text_at(span, "/file_name").unwrap_or(".");
        let text = text_at(message, "/message").unwrap_or("the compiler gives no message");
        let mut finding = Finding::new(file, number_at(span, "line_start"), &rule, text)
            .severity(severity)
            .span(number_at(span, "column_start"), number_at(span, "line_end"));
        finding.suggestion = cargo_help(message);
        gathered.add(finding);
    }
    gathered
}

/// The first help of a compiler message, with what to write.
fn cargo_help(message: &Value) -> Option<String> {
    let children = message.get("children")?.as_array()?;
    let advice = |help: &&Value| {
        text_at(help, "/level") == Some("help")
            && !text_at(help, "/message").is_some_and(is_about_lint)
    };
    let help = children.iter().find(advice)?;
    let text = text_at(help, "/message")?;
    let replacement = text_at(help, "/spans/0/suggested_replacement")
        .filter(|replacement| !replacement.trim().is_empty());
    Some(
        replacement.map_or_else(
            || text.to_owned(),
            |replacement| format!("{text}: `{}`", replacement.trim()),
        ),
    )
}

/// Whether a help is about the lint, not about the code.
fn is_about_lint(text: &str) -> bool {
    text.starts_with("for further information visit") || text.starts_with("to override `-")
}

fn bandit(answer: &Value, results: &[Value], root: &Path) -> Gathered {
    let mut gathered = Gathered::new(root);
    for result in results {
        let severity = match text_at(result, "/issue_severity") {
            Some("HIGH") => Severity::Error,
            Some("MEDIUM") => Severity::Warning,
            _ => Severity::Note,
        };
        let lines = result.get("line_range").and_then(Value::as_array).into_iter().flatten();
        let last = lines.filter_map(number).max().unwrap_or(0);
        let rule = format!("bandit.{}", text_at(result, "/test_id").unwrap_or("unnamed"));
        let text = text_at(result, "/issue_text").unwrap_or("bandit gives no message");
        let column =
            result.get("col_offset").and_then(number).map_or(0, |offset| offset.saturating_add(1));
        let file = text_at(result, "/filename").unwrap_or(".");
        let finding = Finding::new(file, number_at(result, "line_number"), &rule, text);
        gathered.add(finding.severity(severity).span(column, last));
    }
    for error in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let reason = format!("bandit: {}", text_at(error, "/reason").unwrap_or("unknown reason"));
        gathered.skip(text_at(error, "/filename").unwrap_or("."), reason);
    }
    gathered
}

fn shellcheck(comments: &[Value], root: &Path) -> Gathered {
    let mut gathered = Gathered::new(root);
    for comment in comments {
        let severity = match text_at(comment, "/level") {
            Some("error") => Severity::Error,
            Some("warning") => Severity::Warning,
            _ => Severity::Note,
        };
        let rule = format!("shellcheck.SC{}", number_at(comment, "code"));
        let text = text_at(comment, "/message").unwrap_or("shellcheck gives no message");
        let file = text_at(comment, "/file").unwrap_or(".");
        let finding = Finding::new(file, number_at(comment, "line"), &rule, text)
            .severity(severity)
            .span(number_at(comment, "column"), number_at(comment, "endLine"));
        gathered.add(finding);
    }
    gathered
}

#[cfg(test)]
mod tests;
