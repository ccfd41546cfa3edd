//! `review.rust`: Rust by its syntax tree: panics, `unsafe` without a reason, long and complex functions.
//!
//! Code that only tests, examples, benchmarks or the build run is measured, but may panic.
//!
//! # Invariants
//! Nothing in a file aborts the review: what does not parse is a finding, what nests too deep is skipped.

mod attributes;
mod calls;
mod guard;
mod rules;
mod safety;
mod visit;

use syn::parse::Parser;

use crate::finding::{Finding, Review, Severity};
use crate::limits::{SYNTAX_DEPTH_INLINE, SYNTAX_DEPTH_MAX, SYNTAX_STACK_BYTES};
use crate::reviewer::{Reviewer, SourceFile};

/// The reviewer of Rust files.
#[derive(Debug, Clone, Copy)]
pub struct Rust;

impl Reviewer for Rust {
    fn name(&self) -> &'static str {
        "review.rust"
    }

    fn describe(&self) -> &'static str {
        "Rust: unwraps and panics outside tests, unsafe without a reason, long and complex functions"
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".rs")
    }

    fn review(&self, file: &SourceFile<'_>) -> Review {
        let Ok(text) = std::str::from_utf8(file.bytes) else {
            let finding = Finding::new(file.path, 1, "rust.parse", "the file is not valid UTF-8");
            return Review {
                findings: vec![finding.severity(Severity::Error)],
                ..Review::default()
            };
        };
        let depth = guard::depth(text);
        if depth <= SYNTAX_DEPTH_INLINE {
            parse_and_visit(file, text)
        } else if depth <= SYNTAX_DEPTH_MAX {
            on_large_stack(file, text)
        } else {
            Review::skip(
                file.path,
                format!("nests {depth} levels of syntax; the limit is {SYNTAX_DEPTH_MAX}"),
            )
        }
    }
}

fn on_large_stack(file: &SourceFile<'_>, text: &str) -> Review {
    let large =
        std::thread::Builder::new().name("review.rust".to_owned()).stack_size(SYNTAX_STACK_BYTES);
    std::thread::scope(|scope| match large.spawn_scoped(scope, || parse_and_visit(file, text)) {
        Ok(parsing) => parsing
            .join()
            .unwrap_or_else(|_| Review::skip(file.path, "the parser failed on this file")),
        Err(error) => Review::skip(
            file.path,
            format!("nests deep, and no thread could be started for it: {error}"),
        ),
    })
}

fn parse_and_visit(file: &SourceFile<'_>, text: &str) -> Review {
    let review = match syn::parse_file(text) {
        Ok(tree) => visit::file(file, text, &tree),
        // what `include!` reads is a fragment: statements or one expression
        Err(error) => match syn::Block::parse_within.parse_str(text) {
            Ok(statements) => visit::statements(file, text, &statements),
            Err(_) => Review { findings: vec![does_not_parse(file, &error)], ..Review::default() },
        },
    };
    // the parser keeps each text that it has read, for its spans, until it is told that none is used any more
    proc_macro2::extra::invalidate_current_thread_spans();
    review
}

fn does_not_parse(file: &SourceFile<'_>, error: &syn::Error) -> Finding {
    let start = error.span().start();
    let severity = if file.test { Severity::Note } else { Severity::Error };
    let line = visit::number(start.line).max(1);
    Finding::new(file.path, line, "rust.parse", format!("does not parse as Rust: {error}"))
        .severity(severity)
        .span(visit::number(start.column).saturating_add(1), line)
}

#[cfg(test)]
mod tests;
