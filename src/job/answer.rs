//! What a program said of a part, read as a review.
//!
//! # Invariants
//! - An answer that is no review is the program's failure, with what was found.
//! - What is over the limit of one answer is counted in the review itself, never dropped in silence.

use actors::agent::{AgentError, Part};
use review::{Finding, Review, Severity, Skipped, convert};
use serde_json::{Value, json};

use super::Files;
use crate::limits::ANSWER_BYTES_MAX;

/// Reads what `agent` said of `part`.
///
/// # Errors
/// [`AgentError::Garbage`] when it is no review.
pub(super) fn read(
    answer: &Value,
    agent: &str,
    part: &Part,
    files: &Files,
) -> Result<Value, AgentError> {
    let review = match (exit_code(answer), lines(answer)) {
        (Some(code), _) => exited(code, agent, part),
        (None, Some(lines)) => concerning(said(&lines, agent, files)?, files),
        (None, None) => concerning(converted(answer, agent, files)?, files),
    };
    to_value(review.by(agent))
}

/// Turns a review into what is journaled, cut to the limit of one answer.
///
/// # Errors
/// [`AgentError::Refused`] when it cannot be written as JSON.
pub(super) fn to_value(mut review: Review) -> Result<Value, AgentError> {
    let refused = |error: serde_json::Error| AgentError::Refused { reason: error.to_string() };
    review.findings.sort();
    let mut bytes = serde_json::to_vec(&(&review.metrics, &review.skipped)).map_err(refused)?.len();
    let mut kept = 0;
    for finding in &review.findings {
        bytes += serde_json::to_vec(finding).map_err(refused)?.len() + 1;
        if bytes > ANSWER_BYTES_MAX {
            break;
        }
        kept += 1;
    }
    let left = review.findings.split_off(kept);
    if let Some(first) = left.first() {
        let count = left.len();
        let reason = format!(
            "{count} findings, the least severe, are over the limit of {ANSWER_BYTES_MAX} bytes an answer; make smaller parts"
        );
        review.skipped.push(Skipped { file: first.file.clone(), reason });
    }
    serde_json::to_value(review).map_err(refused)
}

fn concerning(mut review: Review, files: &Files) -> Review {
    review.findings.retain(|finding| files.concerns(finding));
    review
}

fn converted(answer: &Value, agent: &str, files: &Files) -> Result<Review, AgentError> {
    convert::review(answer, files.root()).map_err(|error| AgentError::Garbage {
        what: agent.to_owned(),
        expected: format!("a review; {error}"),
        excerpt: answer.to_string().chars().take(200).collect(),
    })
}

/// What `reads = "exit"` gives.
fn exit_code(answer: &Value) -> Option<i64> {
    let object = answer.as_object()?;
    object.get("exit").filter(|_| object.len() == 1)?.as_i64()
}

/// A program that says by its exit code alone that something is wrong.
fn exited(code: i64, agent: &str, part: &Part) -> Review {
    if code == 0 {
        return Review::default();
    }
    let file = part.files.first().map_or(".", String::as_str);
    let message = format!("{agent} exited with code {code} for {}", part.name);
    let finding = Finding::new(file, 1, &format!("{agent}.exit"), message);
    Review { findings: vec![finding], ..Review::default() }
}

/// What `reads = "lines"` gives for lines that are not JSON.
fn lines(answer: &Value) -> Option<Vec<&str>> {
    let lines = answer.as_array()?;
    if lines.is_empty() {
        return None;
    }
    lines.iter().map(Value::as_str).collect()
}

/// Reads lines as `path:line: message` or `path:line:column: message`.
fn said(lines: &[&str], agent: &str, files: &Files) -> Result<Review, AgentError> {
    let (mut findings, mut others) = (Vec::new(), Vec::new());
    for line in lines {
        match finding(line, agent) {
            Some(finding) => findings.push(finding),
            None => others.push(*line),
        }
    }
    let mut review = converted(&json!({ "findings": findings }), agent, files)?;
    if let Some(first) = others.first() {
        let first: String = first.chars().take(100).collect();
        let reason = format!(
            "{} lines of {agent} are not `path:line: message`, the first: {first:?}",
            others.len()
        );
        review.skipped.push(Skipped { file: ".".to_owned(), reason });
    }
    Ok(review)
}

fn finding(line: &str, agent: &str) -> Option<Finding> {
    let (path, rest) = line.split_once(':')?;
    let (number, rest) = rest.split_once(':')?;
    let number = number.trim().parse().ok()?;
    let column =
        rest.split_once(':').and_then(|(column, rest)| Some((column.trim().parse().ok()?, rest)));
    let (column, message): (u32, &str) = column.unwrap_or((0, rest));
    let message = message.trim();
    let severity = match message.split(|c: char| !c.is_alphabetic()).next() {
        Some("error" | "fatal") => Severity::Error,
        Some("note" | "info" | "style") => Severity::Note,
        Some(_) | None => Severity::Warning,
    };
    (!path.is_empty() && !message.is_empty()).then(|| {
        Finding::new(path.trim(), number, agent, message).severity(severity).span(column, number)
    })
}

#[cfg(test)]
mod tests {
    use review::source;

    use super::*;

    fn files() -> Files {
        let path = env!("CARGO_MANIFEST_DIR").to_owned() + "/src/job";
        Files::new(source::list(&source::Options { path: path.into(), diff: None }).unwrap())
    }

    fn part() -> Part {
        Part { name: "a part".to_owned(), files: vec!["answer.rs".to_owned()], ..Part::default() }
    }

    fn review(answer: &Value) -> Review {
        serde_json::from_value(read(answer, "tool", &part(), &files()).unwrap()).unwrap()
    }

    #[test]
    fn lines_become_findings_and_others_are_named() {
        let review = review(&json!([
            "answer.rs:3:7: error: wrong here",
            "./answer.rs:9: careful",
            "checked 1 file",
        ]));
        let places: Vec<_> = review
            .findings
            .iter()
            .map(|f| (f.file.as_str(), f.line, f.column, f.severity, f.message.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                ("answer.rs", 3, 7, Severity::Error, "error: wrong here"),
                ("answer.rs", 9, 0, Severity::Warning, "careful"),
            ]
        );
        assert!(review.findings.iter().all(|finding| finding.agents.contains("tool")));
        assert!(review.skipped[0].reason.contains("\"checked 1 file\""), "{:?}", review.skipped);
    }

    #[test]
    fn an_exit_code_is_a_finding_unless_it_is_0() {
        assert_eq!(review(&json!({ "exit": 0 })), Review::default());
        let review = review(&json!({ "exit": 3 }));
        assert_eq!(review.findings[0].file, "answer.rs");
        assert_eq!(review.findings[0].message, "tool exited with code 3 for a part");
    }

    #[test]
    fn an_answer_that_is_no_review_is_garbage() {
        for answer in [json!(7), json!({ "answer": 42 }), json!([1])] {
            let error = read(&answer, "tool", &part(), &files()).unwrap_err();
            assert!(matches!(error, AgentError::Garbage { .. }), "{error}");
            assert!(error.to_string().contains("a review"), "{error}");
        }
    }

    #[test]
    fn an_answer_over_the_limit_keeps_the_worst_and_counts_the_rest() {
        let one = |line: u32| Finding::new("a", line, "r", "m".repeat(1_000));
        let mut findings: Vec<Finding> = (1..2_000).map(one).collect();
        findings.push(one(7_000).severity(Severity::Error));
        let review = Review { findings, ..Review::default() };
        let value = to_value(review).unwrap();
        assert!(value.to_string().len() < ANSWER_BYTES_MAX + 1_000);
        let kept: Review = serde_json::from_value(value).unwrap();
        assert_eq!(kept.findings[0].line, 7_000);
        let dropped = 2_000 - kept.findings.len();
        assert!(
            kept.skipped[0].reason.starts_with(&format!("{dropped} findings")),
            "{:?}",
            kept.skipped
        );
    }
}
