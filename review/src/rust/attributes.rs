//! What attributes and doc comments say of the code below them.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, Lit, Meta};

/// Lints of others that switch off a rule of ours on one item.
const ALLOWED: &[(&str, &str)] = &[
    ("unwrap_used", "rust.unwrap"),
    ("expect_used", "rust.expect"),
    ("panic", "rust.panic"),
    ("todo", "rust.todo"),
    ("unimplemented", "rust.todo"),
    ("undocumented_unsafe_blocks", "rust.unsafe"),
    ("cognitive_complexity", "rust.complexity"),
    ("too_many_lines", "rust.length"),
];

/// Whether the item below is only built for tests or benchmarks.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Some(name) = attribute.path().segments.last() else { return false };
        match &attribute.meta {
            Meta::List(list) if name.ident == "cfg" => mentions_test(list.tokens.clone()),
            Meta::Path(_) | Meta::List(_) | Meta::NameValue(_) => [
                "test",
                "bench",
                "rstest",
                "test_case",
                "quickcheck",
                "proptest",
                "wasm_bindgen_test",
            ]
            .iter()
            .any(|test| name.ident == test),
        }
    })
}

/// Whether `test` stands in a condition, outside any `not(…)`. Conditions nest as deep as the file may.
fn mentions_test(tokens: TokenStream) -> bool {
    let mut negated = false;
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "test" => return true,
            TokenTree::Ident(word) => negated = word == "not",
            TokenTree::Group(group) if !negated && mentions_test(group.stream()) => return true,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => negated = false,
        }
    }
    false
}

/// The rules that `allow` or `expect` attributes switch off.
pub(super) fn allowed(attributes: &[Attribute]) -> impl Iterator<Item = &'static str> {
    attributes
        .iter()
        .filter(|attribute| {
            attribute.path().is_ident("allow") || attribute.path().is_ident("expect")
        })
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) => Some(list.tokens.clone()),
            Meta::Path(_) | Meta::NameValue(_) => None,
        })
        .flatten()
        .filter_map(|token| match token {
            TokenTree::Ident(word) => {
                ALLOWED.iter().find(|(lint, _)| word == lint).map(|(_, rule)| *rule)
            }
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
        })
}

/// Whether the doc comment has a section of that name, such as `Panics`.
pub(super) fn documents(attributes: &[Attribute], section: &str) -> bool {
    let is_section = |line: &str| {
        line.trim()
            .strip_prefix('#')
            .is_some_and(|line| line.trim_start_matches('#').trim() == section)
    };
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).any(|attribute| {
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(literal) = &pair.value
            && let Lit::Str(text) = &literal.lit
        {
            text.value().lines().any(is_section)
        } else {
            false
        }
    })
}

/// The attributes of an item that may hold code.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other items hold no code, and the parser may add more"
)]
pub(super) fn of_item(item: &syn::Item) -> &[Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        _ => &[],
    }
}
