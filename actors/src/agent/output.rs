//! What a program prints: read within bounds, and understood as what it was said to be.
//!
//! Command agents decode through [`Reads`]; command and process agents share the bounded readers.
//!
//! # Invariants
//! - No reader keeps more bytes than its limit, however long the program prints.
//! - Text of a program reaches an error only cut to a limit, and quoted or lossily decoded.

use std::collections::VecDeque;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::call::AgentError;
use super::launcher::lost;
use crate::limits::{EXCERPT_CHARS_MAX, STDERR_SHOWN_CHARS_MAX, STDERR_TAIL_BYTES};

/// Says how what a program prints, or its exit code, becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// A SARIF log: an object with an array `runs`.
    Sarif,
    /// One JSON value.
    Json,
    /// An array with an element for each line that is not blank: objects if each line is a JSON object, else strings.
    Lines,
    /// `{"exit": code}`, whatever was printed.
    Exit,
}

impl Reads {
    /// Understands the output of `program`, which ended with `code`.
    ///
    /// # Errors
    /// `Garbage` when the output is not what it was said to be.
    pub fn decode(self, program: &str, stdout: &[u8], code: i32) -> Result<Value, AgentError> {
        let decoded = match self {
            Self::Sarif => sarif(stdout),
            Self::Json => json(stdout),
            Self::Lines => lines(stdout),
            Self::Exit => Ok(serde_json::json!({ "exit": code })),
        };
        decoded.map_err(|expected| garbage(program, &expected, stdout))
    }
}

fn sarif(stdout: &[u8]) -> Result<Value, String> {
    let log: Value =
        serde_json::from_slice(stdout).map_err(|error| format!("a SARIF log: {error}"))?;
    let has_runs = log.get("runs").is_some_and(Value::is_array);
    has_runs.then_some(log).ok_or_else(|| "a SARIF log: an object with an array `runs`".to_owned())
}

fn json(stdout: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(stdout).map_err(|error| format!("a JSON value: {error}"))
}

fn lines(stdout: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(stdout).map_err(|error| format!("lines of UTF-8 text: {error}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let objects = lines.clone().map(object).collect::<Option<Vec<_>>>();
    Ok(Value::Array(objects.unwrap_or_else(|| lines.map(Value::from).collect())))
}

fn object(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

/// Makes the error for output that is not what was expected.
pub(super) fn garbage(program: &str, expected: &str, output: &[u8]) -> AgentError {
    let beginning = output.get(..EXCERPT_CHARS_MAX * 4).unwrap_or(output);
    let excerpt = String::from_utf8_lossy(beginning).chars().take(EXCERPT_CHARS_MAX).collect();
    AgentError::Garbage { what: program.to_owned(), expected: expected.to_owned(), excerpt }
}

/// Quotes the end of what a program said on its standard error, for the end of an error's text.
pub(super) fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        return String::new();
    }
    let skipped = stderr.chars().count().saturating_sub(STDERR_SHOWN_CHARS_MAX);
    let shown: String = stderr.chars().skip(skipped).collect();
    format!("; it said {shown:?}")
}

/// Reads all of a program's output.
///
/// # Errors
/// `TooMuchOutput` as soon as there are more than `bytes_max` bytes, `Lost` when the pipe fails.
pub(super) async fn collect(
    output: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> Result<Vec<u8>, AgentError> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = output.take(one_more).read_to_end(&mut bytes).await;
    match read.map_err(|error| lost("cannot read its output", &error))? {
        read if read > bytes_max => Err(AgentError::TooMuchOutput { limit: bytes_max }),
        _ => Ok(bytes),
    }
}

/// Keeps the last [`STDERR_TAIL_BYTES`] of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads a stream to its end, keeping the tail.
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub(super) async fn follow(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut chunk = vec![0; STDERR_TAIL_BYTES];
        loop {
            let read = stream.read(&mut chunk).await?;
            let Some(bytes @ [_, ..]) = chunk.get(..read) else { return Ok(()) };
            self.push(bytes);
        }
    }

    /// Appends bytes, forgetting the oldest beyond the limit.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(STDERR_TAIL_BYTES);
        self.0.drain(..excess);
    }

    /// Gives what was kept.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(reads: Reads, stdout: &str, expected: &Result<Value, &str>) {
        let decoded = reads.decode("tool", stdout.as_bytes(), 3);
        match (&decoded, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            _ => panic!("{decoded:?} is not {expected:?}"),
        }
    }

    #[test]
    fn sarif_is_an_object_with_an_array_of_runs() {
        check(Reads::Sarif, r#"{"runs":[]}"#, &Ok(json!({"runs": []})));
        for wrong in [r#"{"runs":{}}"#, r#"{"run":[]}"#, "[]", "7"] {
            check(Reads::Sarif, wrong, &Err("an array `runs`"));
        }
        check(Reads::Sarif, "", &Err("a SARIF log: EOF"));
    }

    #[test]
    fn json_is_exactly_one_value() {
        check(Reads::Json, "[1, 2]\n", &Ok(json!([1, 2])));
        check(Reads::Json, "1 2", &Err("trailing characters at line 1 column 3"));
        check(Reads::Json, "error: oops", &Err(r#"tool printed "error: oops""#));
        check(Reads::Json, &"[".repeat(10_000), &Err("recursion limit"));
    }

    #[test]
    fn lines_are_objects_only_if_every_one_is() {
        check(Reads::Lines, "{\"a\":1}\n\n{\"a\":2}\n", &Ok(json!([{"a": 1}, {"a": 2}])));
        check(Reads::Lines, "{\"a\":1}\n7\n", &Ok(json!(["{\"a\":1}", "7"])));
        check(Reads::Lines, "", &Ok(json!([])));
        let bytes = Reads::Lines.decode("tool", b"ok\n\xff", 0).unwrap_err();
        assert!(bytes.to_string().contains("UTF-8"), "{bytes}");
    }

    #[test]
    fn an_exit_code_is_a_value_whatever_was_printed() {
        check(Reads::Exit, "noise", &Ok(json!({"exit": 3})));
    }

    #[test]
    fn an_excerpt_is_bounded_and_its_control_characters_are_escaped() {
        let error = garbage("tool", "JSON", "\u{1b}[31m".repeat(100_000).as_bytes());
        let text = error.to_string();
        assert!(!text.contains('\u{1b}') && text.len() < EXCERPT_CHARS_MAX * 8, "{text}");
    }

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; STDERR_TAIL_BYTES * 3]);
        tail.push(b"end");
        let kept = tail.into_bytes();
        assert_eq!(kept.len(), STDERR_TAIL_BYTES);
        assert!(kept.ends_with(b"aend"));
    }

    #[test]
    fn what_it_said_is_quoted_from_its_end() {
        assert_eq!(said(""), "");
        assert_eq!(said("no\nway"), r#"; it said "no\nway""#);
        let long = said(&format!("{}end", "x".repeat(STDERR_SHOWN_CHARS_MAX)));
        assert!(long.ends_with("xend\"") && long.len() < STDERR_SHOWN_CHARS_MAX + 50);
    }
}
