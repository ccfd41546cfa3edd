//! The reference page against the table of keys and the parser.

use super::super::check::expected;
use super::super::keys::{Form, Key, SHAPES, Shape, TEST_SHAPES};
use super::*;

const PAGE: &str = include_str!("../../../docs/RUN_FILES.md");

fn table(shape: &Shape) -> String {
    let rows: String = shape.keys.iter().map(row).collect();
    format!("| key | type | default | example | meaning |\n|---|---|---|---|---|\n{rows}")
}

/// The table that a value is, or is made of.
fn shape_in(form: &'static Form) -> Option<&'static Shape> {
    match form {
        Form::Table(shape) | Form::Named(shape) | Form::BooleanOr(shape) => Some(shape),
        Form::List(each) | Form::OneOrMany(each) | Form::Map { each, .. } => shape_in(each),
        Form::Boolean
        | Form::Integer { .. }
        | Form::Text(_)
        | Form::Choice { .. }
        | Form::Size
        | Form::Scalar
        | Form::Free
        | Form::Any
        | Form::Count
        | Form::Weight
        | Form::Share
        | Form::Schema
        | Form::Cell => None,
    }
}

fn row(key: &'static Key) -> String {
    let kind = expected(&key.form);
    let kind = match shape_in(&key.form) {
        Some(shape) => format!("{kind}, see `{}`", shape.title),
        None => kind,
    };
    let default = match (key.default, key.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".to_owned(),
        (None, false) => "none".to_owned(),
    };
    format!("| `{}` | {kind} | {default} | `{}` | {} |\n", key.name, key.example, key.about)
}

#[test]
fn the_page_has_the_table_of_every_shape() {
    let section =
        |shape: &&Shape| format!("## `{}`\n\n{}\n\n{}", shape.title, shape.about, table(shape));
    let missing: Vec<String> =
        SHAPES.iter().map(section).filter(|section| !PAGE.contains(section)).collect();
    assert!(missing.is_empty(), "docs/RUN_FILES.md lacks or differs from:\n{}", missing.join("\n"));
}

#[test]
fn the_page_on_tests_has_the_table_of_every_shape() {
    let page = include_str!("../../../docs/TESTING.md");
    let section =
        |shape: &&Shape| format!("### `{}`\n\n{}\n\n{}", shape.title, shape.about, table(shape));
    let missing: Vec<String> =
        TEST_SHAPES.iter().map(section).filter(|section| !page.contains(section)).collect();
    assert!(missing.is_empty(), "docs/TESTING.md lacks or differs from:\n{}", missing.join("\n"));
}

#[test]
fn every_snippet_of_the_page_is_a_run_file() {
    let snippets: Vec<&str> =
        PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(snippets.len() >= 4, "only {} snippets", snippets.len());
    for snippet in snippets {
        check(snippet, "");
    }
}

#[test]
fn the_page_names_what_a_later_version_brings() {
    for later in SHAPES.iter().flat_map(|shape| shape.later) {
        assert!(PAGE.contains(&format!("`{}`", later.name)), "{}", later.name);
    }
}

#[test]
fn the_page_shows_the_mistake_as_it_is_shown() {
    let text = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown = PAGE.split("$ synod run review.toml --set agents.rufff").nth(1).unwrap();
    let (option, rest) = shown.split_once('\n').unwrap();
    let option = Set(format!("agents.rufff{option}"));
    let problems = RunFile::parse("review.toml", text, &[option]).unwrap_err();
    assert_eq!(rest.split("```").next().unwrap(), problems.to_string());
}
