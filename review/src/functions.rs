//! `review.functions`: long and complex functions of Python, JavaScript and Go.
//!
//! TypeScript is read as JavaScript, where it parses as that. A function is judged without the functions inside
//! it, which are judged by themselves.
//!
//! # Invariants
//! Parsing and walking are iterative and bounded in steps, not in time, so equal bytes give an equal review.

mod language;

use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use self::language::{Kind, Language};
use crate::complexity::Counts;
use crate::finding::{FileMetrics, Finding, Review, Severity};
use crate::limits::{COMPLEXITY_MAX, FUNCTION_LINES_MAX, PARSE_STEPS_MAX};
use crate::reviewer::{Reviewer, SourceFile};
use crate::text;

/// The reviewer of functions in Python, JavaScript and Go.
#[derive(Debug, Clone, Copy)]
pub struct Functions;

impl Reviewer for Functions {
    fn name(&self) -> &'static str {
        "review.functions"
    }

    fn describe(&self) -> &'static str {
        "long and complex functions in Python, JavaScript and Go"
    }

    fn accepts(&self, path: &str) -> bool {
        language::of(path).is_some() && !text::is_foreign(path)
    }

    fn review(&self, file: &SourceFile<'_>) -> Review {
        let Some(language) = language::of(file.path) else { return Review::default() };
        let text = text::decode(file.bytes);
        if text::says_generated(&text) {
            return Review { metrics: vec![text::measure(file.path, &text)], ..Review::default() };
        }
        match parse(language, &text, PARSE_STEPS_MAX) {
            Ok(tree) => match first_error(&tree) {
                Some(line) => Review::skip(file.path, language.refusal(line)),
                None => Walk::new(file, &text, language).review(&tree),
            },
            Err(reason) => Review::skip(file.path, reason),
        }
    }
}

fn parse(language: &Language, text: &str, steps_max: u32) -> Result<Tree, String> {
    let mut parser = Parser::new();
    parser
        .set_language(&(language.grammar)())
        .map_err(|error| format!("the grammar does not load: {error}"))?;
    let mut steps = 0_u32;
    let mut bounded = |_: &ParseState| {
        steps += 1;
        if steps > steps_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = text.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut bounded);
    let tree = parser.parse_with_options(
        &mut |at, _| bytes.get(at..).unwrap_or_default(),
        None,
        Some(options),
    );
    tree.ok_or_else(|| format!("takes more than {steps_max} steps to parse as {}", language.name))
}

/// The line of the first place that does not parse.
fn first_error(tree: &Tree) -> Option<u32> {
    if !tree.root_node().has_error() {
        return None;
    }
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            return Some(line(node.start_position().row));
        }
        let down = node.has_error() && cursor.goto_first_child();
        if !down && !cursor.goto_next_sibling() {
            return Some(line(node.start_position().row));
        }
    }
}

/// A row of the parser as a line.
fn line(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1)
}

/// A function that is being walked through.
#[derive(Default)]
struct Function {
    name: Option<String>,
    line: u32,
    column: u32,
    counts: Counts,
    /// Lines of code of the functions inside.
    inner_lines: u32,
}

struct Walk<'a> {
    path: &'a str,
    test: bool,
    text: &'a str,
    lines: Vec<&'a str>,
    language: &'a Language,
    metrics: FileMetrics,
    findings: Vec<Finding>,
    functions: Vec<Function>,
}

impl<'a> Walk<'a> {
    fn new(file: &SourceFile<'a>, text: &'a str, language: &'a Language) -> Self {
        let (lines, metrics) = (text.lines().collect(), text::measure(file.path, text));
        Self {
            path: file.path,
            test: file.test,
            text,
            lines,
            language,
            metrics,
            findings: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Walks through the whole tree, depth first, without recursion.
    fn review(mut self, tree: &Tree) -> Review {
        let mut cursor = tree.walk();
        loop {
            self.enter(cursor.node());
            if cursor.goto_first_child() {
                continue;
            }
            self.leave(cursor.node());
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    self.findings.sort();
                    return Review {
                        findings: self.findings,
                        metrics: vec![self.metrics],
                        skipped: Vec::new(),
                    };
                }
                self.leave(cursor.node());
            }
        }
    }

    fn counts(&mut self) -> Option<&mut Counts> {
        self.functions.last_mut().map(|function| &mut function.counts)
    }

    fn enter(&mut self, node: Node<'_>) {
        let kind = self.language.kind(node);
        if kind == Kind::Function {
            let start = node.start_position();
            self.functions.push(Function {
                name: self.name(node),
                line: line(start.row),
                column: line(start.column),
                ..Function::default()
            });
        }
        let continues = kind == Kind::Logical && self.language.continues(node);
        let Some(counts) = self.counts() else { return };
        match kind {
            Kind::Branch | Kind::Loop => {
                counts.nested_branch(1);
                counts.enter();
            }
            Kind::Choice => {
                counts.nested_branch(0);
                counts.enter();
            }
            Kind::ElseIf => counts.flat_branch(1),
            Kind::Else => counts.flat_branch(0),
            Kind::Case => counts.path(),
            Kind::Logical if continues => counts.path(),
            Kind::Logical => counts.flat_branch(1),
            Kind::Function | Kind::Other => {}
        }
    }

    fn leave(&mut self, node: Node<'_>) {
        match self.language.kind(node) {
            Kind::Function => self.judge(node),
            Kind::Branch | Kind::Loop | Kind::Choice => {
                if let Some(counts) = self.counts() {
                    counts.leave();
                }
            }
            Kind::ElseIf | Kind::Else | Kind::Case | Kind::Logical | Kind::Other => {}
        }
    }

    /// The name of a function, or of the variable that it is given to.
    fn name(&self, node: Node<'_>) -> Option<String> {
        let named = node.child_by_field_name("name").or_else(|| {
            let parent = node.parent()?;
            parent.child_by_field_name("name").or_else(|| parent.child_by_field_name("key"))
        })?;
        self.text.get(named.byte_range()).map(ToOwned::to_owned)
    }

    fn judge(&mut self, node: Node<'_>) {
        let Some(function) = self.functions.pop() else { return };
        let last = line(node.end_position().row);
        let all = text::code_lines(&self.lines, function.line, last, self.language.comment);
        if let Some(outer) = self.functions.last_mut() {
            outer.inner_lines = outer.inner_lines.saturating_add(all);
        }
        let (lines, counts) = (all.saturating_sub(function.inner_lines), function.counts);
        self.metrics.functions = self.metrics.functions.saturating_add(1);
        self.metrics.function_lines_max = self.metrics.function_lines_max.max(lines);
        self.metrics.cyclomatic_max = self.metrics.cyclomatic_max.max(counts.cyclomatic());
        self.metrics.complexity_max = self.metrics.complexity_max.max(counts.cognitive());
        if self.test {
            return;
        }
        let name = function
            .name
            .as_ref()
            .map_or("a function".to_owned(), |name| format!("function `{name}`"));
        if counts.cognitive() > COMPLEXITY_MAX {
            let (effort, paths) = (counts.cognitive(), counts.cyclomatic());
            let message = format!(
                "{name} has a cognitive complexity of {effort} (limit {COMPLEXITY_MAX}) and {paths} paths"
            );
            let finding = Finding::new(self.path, function.line, "functions.complexity", message)
                .suggest("move nested branches into functions of their own, or return early");
            self.findings.push(finding.span(function.column, last));
        }
        if lines > FUNCTION_LINES_MAX {
            let message = format!("{name} has {lines} lines of code (limit {FUNCTION_LINES_MAX})");
            let finding = Finding::new(self.path, function.line, "functions.length", message)
                .severity(Severity::Note)
                .suggest("split it by what its parts do");
            self.findings.push(finding.span(function.column, last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(path: &str, text: &str) -> Review {
        assert!(Functions.accepts(path));
        Functions.review(&SourceFile::new(path, text.as_bytes()))
    }

    /// Cognitive complexity and paths of the only function.
    fn complexity(path: &str, text: &str) -> (u32, u32) {
        let review = review(path, text);
        assert_eq!(review.skipped, [], "{text}");
        assert_eq!(review.metrics[0].functions, 1, "{text}");
        (review.metrics[0].complexity_max, review.metrics[0].cyclomatic_max)
    }

    #[test]
    fn the_branches_of_each_language_count() {
        let python = "def a(b):\n    for c in b:\n        if c and d and e:\n            pass\n        elif f:\n            pass\n        else:\n            pass\n";
        assert_eq!(complexity("a.py", python), (6, 6));
        let go = "package a\nfunc a() {\n for {\n  if b && c && d {\n  } else if e {\n  } else {\n  }\n }\n}\n";
        assert_eq!(complexity("a.go", go), (6, 6));
        let javascript = "function a() { for (;;) { if (b && c && d) {} else if (e) {} else {} } }";
        assert_eq!(complexity("a.js", javascript), (6, 6));
        assert_eq!(
            complexity("a.go", "package a\nfunc a() {\n switch b {\n case 1:\n case 2:\n }\n}\n"),
            (1, 3)
        );
        assert_eq!(
            complexity("a.js", "const a = () => { switch (b) { case 1: case 2: default: } }"),
            (1, 3)
        );
        assert_eq!(
            complexity("a.py", "def a():\n    try:\n        b()\n    except C:\n        pass\n"),
            (1, 2)
        );
        assert_eq!(complexity("a.py", "def a():\n    return b if c else d\n"), (1, 2));
    }

    #[test]
    fn a_complex_function_is_found_at_its_line_with_its_name() {
        let nested = |depth: usize| {
            let body: String =
                (1..=depth).map(|level| format!("{}if b:\n", "    ".repeat(level))).collect();
            format!("\ndef a(b):\n{body}{}pass\n", "    ".repeat(depth + 1))
        };
        let review = review("a.py", &nested(7));
        assert_eq!(review.findings.len(), 1);
        assert_eq!(
            (review.findings[0].rule.as_str(), review.findings[0].line),
            ("functions.complexity", 2)
        );
        assert!(review.findings[0].message.contains("`a`"));
        assert_eq!(super::tests::review("a.py", &nested(4)).findings, []);
        assert_eq!(super::tests::review("tests/a.py", &nested(7)).findings, []);
    }

    #[test]
    fn a_long_function_is_judged_without_those_inside_it() {
        let long = format!("const a = function () {{\n{}}};\n", "b();\n".repeat(120));
        assert_eq!(review("a.js", &long).findings[0].rule, "functions.length");
        let inner = format!("c(function () {{\n{}}});\n", "b();\n".repeat(60));
        let outer = format!("(function () {{\n{}}})();\n", inner.repeat(3));
        assert_eq!(review("a.js", &outer).findings, []);
    }

    #[test]
    fn what_does_not_parse_is_skipped_with_its_line() {
        let review = review("a.py", "a = 1\ndef (:\n");
        assert_eq!(review.skipped[0].reason, "does not parse as Python at line 2");
        let typed = super::tests::review("a.ts", "function a(b: Array<string>): void {}\n");
        assert_eq!(typed.skipped[0].reason, "is TypeScript that is not also JavaScript");
        assert_eq!(super::tests::review("a.ts", "function a(b) {}\n").metrics[0].functions, 1);
    }

    #[test]
    fn parsing_stops_after_a_bounded_number_of_steps() {
        let text = "a = 1\n".repeat(2_000);
        let python = language::of("a.py").unwrap();
        assert!(
            parse(python, &text, 1).unwrap_err().contains("more than 1 steps to parse as Python")
        );
        assert!(parse(python, &text, PARSE_STEPS_MAX).is_ok());
    }

    #[test]
    fn deep_syntax_neither_overflows_nor_aborts() {
        for (path, open) in [
            ("a.py", "("),
            ("a.js", "["),
            ("a.js", "{"),
            ("a.go", "("),
            ("a.js", "!"),
            ("a.js", "a=>"),
        ] {
            drop(review(path, &open.repeat(100_000)));
        }
    }
}
