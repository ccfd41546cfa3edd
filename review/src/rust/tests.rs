//! Each rule of `review.rust`, both ways.

use super::*;
use crate::limits::FINDINGS_PER_FILE_MAX;

fn review(path: &str, text: &str) -> Review {
    Rust.review(&SourceFile::new(path, text.as_bytes()))
}

/// Rule and line of each finding in `src/a.rs`.
fn found(text: &str) -> Vec<(String, u32)> {
    review("src/a.rs", text)
        .findings
        .into_iter()
        .map(|finding| (finding.rule, finding.line))
        .collect()
}

fn check(text: &str, expected: &[(&str, u32)]) {
    let mut found = found(text);
    found.sort_by_key(|(_, line)| *line);
    let expected: Vec<_> =
        expected.iter().map(|(rule, line)| ((*rule).to_owned(), *line)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    check(
        "fn a() {\n    b().unwrap();\n    println!(\"{}\", c.unwrap());\n}",
        &[("rust.unwrap", 2), ("rust.unwrap", 3)],
    );
}

#[test]
fn an_unwrap_in_a_test_is_not() {
    check("#[cfg(test)]\nmod tests { fn a() { b().unwrap() } }", &[]);
    check("#[cfg(all(test, unix))]\nmod tests { fn a() { b().unwrap() } }", &[]);
    check("#[tokio::test]\nasync fn a() { b().unwrap() }", &[]);
    check("impl A { #[cfg(test)] fn a() { b().unwrap() } }", &[]);
    check("#![cfg(test)]\nfn a() { b().unwrap() }", &[]);
    check("#[cfg(not(test))]\nfn a() { b().unwrap() }", &[("rust.unwrap", 2)]);
    assert_eq!(review("tests/a.rs", "fn a() { b().unwrap() }").findings, []);
    assert_eq!(review("build.rs", "fn a() { b().unwrap() }").findings, []);
}

#[test]
fn an_unwrap_that_passes_a_panic_on_or_runs_in_the_compiler_is_not() {
    check("fn a() { b.lock().unwrap(); c.read().unwrap(); }", &[]);
    check("const A: B = C::new(5).unwrap();\nstatic D: E = F::new(1).unwrap();", &[]);
    check("static A: B = LazyLock::new(|| c().unwrap());", &[("rust.unwrap", 1)]);
}

#[test]
fn an_expect_with_a_message_is_found_and_a_parser_s_own_is_not() {
    check("fn a() {\n b().expect(\"c\"); }", &[("rust.expect", 2)]);
    check("fn a() -> R { self.expect(Token::A)?; self.expect(\"b\")?; self.expect('c'); }", &[]);
    check("/// A.\n///\n/// # Panics\n/// Always.\nfn a() { b().expect(\"c\"); panic!() }", &[]);
}

#[test]
fn macros_that_panic_are_found() {
    check(
        "fn a() {\n todo!();\n unimplemented!(\"b\");\n panic!(\"c\");\n}",
        &[("rust.todo", 2), ("rust.todo", 3), ("rust.panic", 4)],
    );
}

#[test]
fn an_allowed_lint_switches_a_rule_off() {
    check(
        "#[allow(clippy::unwrap_used)]\nfn a() { b().unwrap() }\nfn c() { d().unwrap() }",
        &[("rust.unwrap", 3)],
    );
}

#[test]
fn unsafe_without_a_reason_is_found() {
    check("// SAFETY: b\nfn a() {\n    unsafe { b() }\n}", &[("rust.unsafe", 3)]);
    check(
        "fn a() {\n    unsafe { b() }\n}\nunsafe impl C for D {}",
        &[("rust.unsafe", 2), ("rust.unsafe", 4)],
    );
}

#[test]
fn unsafe_with_a_reason_is_not() {
    check("fn a() {\n    // SAFETY: b is sound\n    // for all c.\n    unsafe { b() }\n}", &[]);
    check("fn a() {\n    // SAFETY: b is sound\n    let c =\n        d(unsafe { b() });\n}", &[]);
    check("fn a() {\n    unsafe {\n        // SAFETY: b\n        b()\n    }\n}", &[]);
    check("fn a() {\n    // SAFETY: b\n    C {\n        d: unsafe { e() },\n    }\n}", &[]);
    check("// SAFETY: D has no state.\n#[cfg(unix)]\nunsafe impl C for D {}", &[]);
    check("/// A.\n///\n/// # Safety\n/// `b` holds.\nunsafe fn a() { unsafe { b() } }", &[]);
    check("fn a() { match b {\n // SAFETY: c\n 1 => unsafe { c() },\n _ => {}\n} }", &[]);
}

#[test]
fn a_function_over_the_limits_is_found() {
    let nested = format!("fn a() {{\n{}b();{}\n}}", "if c {\n".repeat(7), "}".repeat(7));
    check(&nested, &[("rust.complexity", 1)]);
    let long = format!("fn a() {{\n{}\n}}", "b();\n".repeat(120));
    check(&long, &[("rust.length", 1)]);
    let flat = format!("fn a() {{ match b {{ {} }} }}", "1 => c,".repeat(60));
    check(&flat, &[]);
    let commented = format!("fn a() {{\n{}\n}}", "// b\n\n".repeat(120));
    check(&commented, &[]);
}

#[test]
fn complexity_counts_what_a_reader_has_to_follow() {
    let complexity = |body: &str| {
        let metrics = review("a.rs", &format!("fn a() {{ {body} }}")).metrics;
        (metrics[0].complexity_max, metrics[0].cyclomatic_max)
    };
    assert_eq!(complexity(""), (0, 1));
    assert_eq!(complexity("if a {} else if b {} else {}"), (3, 3));
    assert_eq!(complexity("for a in b { if c {} }"), (3, 3));
    assert_eq!(complexity("if a && b && c {}"), (2, 4));
    assert_eq!(complexity("if a && b || c {}"), (3, 4));
    assert_eq!(complexity("match a { 1 => {}, 2 => {}, _ => {} }"), (1, 3));
    assert_eq!(complexity("let Some(a) = b else { return };"), (1, 2));
}

#[test]
fn a_file_that_does_not_parse_is_a_finding() {
    check("fn a() {\n  let = ;\n}", &[("rust.parse", 2)]);
    let review = Rust.review(&SourceFile::new("a.rs", b"fn a() { \"\xff\" }"));
    assert_eq!(review.findings[0].rule, "rust.parse");
}

#[test]
fn a_fragment_for_include_is_not() {
    check("let a = b;\na.c()", &[]);
    check("[1, 2, 3]", &[]);
}

#[test]
fn deep_syntax_neither_overflows_nor_aborts() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("!", ""),
        ("&", ""),
        ("-", ""),
        ("|a| ", ""),
        ("return ", ""),
        ("a = ", ""),
        ("match a { _ => ", "}"),
        ("if a { ", "}"),
        ("b(|a| ", ")"),
        ("fn a() { ", "}"),
        ("mod a { ", "}"),
        ("a! { ", "}"),
        ("A { a: ", "}"),
        ("unsafe { a[", "] }"),
    ] {
        for depth in [40, 180, 900, 3_000, 100_000] {
            let text = format!("fn a() {{ {}b{} }}", open.repeat(depth), close.repeat(depth));
            let review = review("a.rs", &text);
            let parsed = !review.metrics.is_empty()
                || review.findings.iter().any(|found| found.rule == "rust.parse");
            assert_ne!(parsed, !review.skipped.is_empty(), "{depth} × {open}");
        }
    }
    for (first, again, last) in [
        ("let a: ", "A<", ";"),
        ("a", ".b()", ";"),
        ("a", " + a", ";"),
        ("a", "?", ";"),
        ("if a {}", " else if b {}", ""),
    ] {
        for depth in [40, 180, 900, 3_000, 100_000] {
            let close =
                if again == "A<" { format!("u8{}", ">".repeat(depth)) } else { String::new() };
            let text = format!("fn a() {{ {first}{}{close}{last} }}", again.repeat(depth));
            drop(review("a.rs", &text));
        }
    }
}

#[test]
fn the_same_bytes_give_the_same_review() {
    let text = "fn a() { b().unwrap(); unsafe { c() } }";
    assert_eq!(review("a.rs", text), review("a.rs", text));
}

#[test]
fn findings_over_the_limit_are_counted_not_lost() {
    let text = "fn a() { b().unwrap() }\n".repeat(FINDINGS_PER_FILE_MAX + 7);
    let review = review("a.rs", &text);
    assert_eq!(review.findings.len(), FINDINGS_PER_FILE_MAX);
    assert!(review.skipped[0].reason.starts_with("7 findings over the limit"));
}

#[test]
fn a_file_that_nests_too_deep_is_skipped_with_its_depth() {
    let review = review("a.rs", &format!("fn a() {{ {} }}", "(".repeat(5_000)));
    assert!(review.skipped[0].reason.starts_with("nests 500"), "{:?}", review.skipped);
}

#[test]
fn what_a_program_made_is_measured_and_not_blamed() {
    check("// @generated\nfn a() { b().unwrap(); unsafe { c() } }", &[]);
    assert_eq!(review("vendor/x/a.rs", "fn a() { b().unwrap() }").findings, []);
    assert_eq!(review("vendor/x/a.rs", "fn a() { b().unwrap() }").metrics[0].functions, 1);
}
