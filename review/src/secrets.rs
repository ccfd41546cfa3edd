//! `review.secrets`: keys and passwords that were written into a file, by known formats and by entropy.
//!
//! Known formats are told by their prefix, alphabet and length; anything else must stand behind a name that says
//! it is a secret, look random, and not look like a placeholder. Test code, lock files and what programs made are
//! not searched.
//!
//! # Invariants
//! A finding never holds more of a secret than the public prefix of its format.

mod entropy;
mod formats;
mod names;

use crate::finding::{Finding, Review, Severity};
use crate::limits::{FINDINGS_PER_FILE_MAX, LINE_BYTES_MAX};
use crate::reviewer::{Reviewer, SourceFile};
use crate::{Skipped, text};

/// The reviewer that looks for secrets.
#[derive(Debug, Clone, Copy)]
pub struct Secrets;

const ROTATE: &str =
    "revoke it, take it from the environment or a secret store, and remove it from the history";

impl Reviewer for Secrets {
    fn name(&self) -> &'static str {
        "review.secrets"
    }

    fn describe(&self) -> &'static str {
        "secrets in files: known key formats, private keys, random values behind names such as `password`"
    }

    fn accepts(&self, path: &str) -> bool {
        !(text::is_test(path) || text::is_lock(path) || text::is_foreign(path))
    }

    fn review(&self, file: &SourceFile<'_>) -> Review {
        if file.test {
            return Review::default();
        }
        let text = text::decode(file.bytes);
        let mut review = Review::default();
        let mut dropped = 0_usize;
        let unquoted = names::allows_unquoted(file.path);
        for (number, line) in (1_u32..).zip(text::until_tests(file.path, &text)) {
            for finding in in_line(file.path, number, line, unquoted) {
                if review.findings.len() < FINDINGS_PER_FILE_MAX {
                    review.findings.push(finding);
                } else {
                    dropped += 1;
                }
            }
        }
        review.findings.extend(private_keys(file.path, &text));
        if dropped > 0 {
            let reason =
                format!("{dropped} findings over the limit of {FINDINGS_PER_FILE_MAX} a file");
            review.skipped.push(Skipped { file: file.path.to_owned(), reason });
        }
        review.findings.sort();
        review
    }
}

/// All secrets of one line; a known format hides what entropy would say of the same line.
fn in_line(path: &str, number: u32, line: &str, unquoted: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> = formats::find(line)
        .map(|hit| {
            let message =
                format!("{} (`{}…`, {} characters)", hit.format.what, hit.format.shown, hit.length);
            Finding::new(path, number, hit.format.rule, message)
                .severity(hit.format.severity)
                .span(column(line, hit.start), number)
                .suggest(ROTATE)
        })
        .collect();
    if found.is_empty() && line.len() <= LINE_BYTES_MAX {
        found.extend(names::url_password(line).map(|start| {
            Finding::new(path, number, "secrets.url", "a URL holds a user's password")
                .span(column(line, start), number)
                .suggest(ROTATE)
        }));
    }
    if found.is_empty() && line.len() <= LINE_BYTES_MAX {
        found.extend(names::assignment(line, unquoted).map(|hit| {
            let message =
                format!("`{}` holds a random value of {} characters", hit.name, hit.length);
            Finding::new(path, number, "secrets.assignment", message)
                .span(column(line, hit.start), number)
                .suggest(ROTATE)
        }));
    }
    found
}

/// Blocks of a private key: the marker followed by at least one line of its body.
fn private_keys(path: &str, text: &str) -> Vec<Finding> {
    let mut lines = (1_u32..).zip(text::until_tests(path, text)).peekable();
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(start) = line.find("-----BEGIN ") else { continue };
        let marker = line.get(start..).unwrap_or_default();
        let private =
            marker.contains("PRIVATE KEY-----") || marker.contains("PRIVATE KEY BLOCK-----");
        let inline = marker.split_once("KEY-----").is_some_and(|(_, rest)| has_key_body(rest));
        if private && (inline || lines.peek().is_some_and(|(_, next)| is_key_body(next))) {
            let finding = Finding::new(path, number, "secrets.private_key", "a private key")
                .severity(Severity::Error)
                .span(column(line, start), number)
                .suggest(ROTATE);
            found.push(finding);
        }
    }
    found
}

/// Whether a line is one of a key's body or of its header.
fn is_key_body(line: &str) -> bool {
    let line = line
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '+' | '\\'));
    line.starts_with("Proc-Type:") || line.starts_with("Version:") || has_key_body(line)
}

fn has_key_body(text: &str) -> bool {
    let body = text.trim_start_matches(['\\', 'n', 'r', ' ', '"', '\'']);
    let body: String = body
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
        .collect();
    body.len() >= 40 && entropy::bits(body.as_bytes()) >= 3.5
}

fn column(line: &str, start: usize) -> u32 {
    let characters = line.get(..start).map_or(0, |before| before.chars().count());
    u32::try_from(characters).map_or(u32::MAX, |characters| characters.saturating_add(1))
}

#[cfg(test)]
mod tests;
