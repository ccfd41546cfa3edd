//! `review.duplicates`: packages that a lock file holds in more than one version.
//!
//! Reads the lock files of Cargo, uv, Poetry and npm. One finding a package names all of its versions.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::finding::{Finding, Review, Severity};
use crate::reviewer::{Reviewer, SourceFile};
use crate::text;

/// The reviewer of lock files.
#[derive(Debug, Clone, Copy)]
pub struct Duplicates;

/// Where each version of each package stands: package → version → line.
type Versions = BTreeMap<String, BTreeMap<String, u32>>;

impl Reviewer for Duplicates {
    fn name(&self) -> &'static str {
        "review.duplicates"
    }

    fn describe(&self) -> &'static str {
        "packages that a lock file holds in more than one version"
    }

    fn accepts(&self, path: &str) -> bool {
        matches!(
            text::file_name(path),
            "Cargo.lock" | "uv.lock" | "poetry.lock" | "package-lock.json" | "npm-shrinkwrap.json"
        )
    }

    fn review(&self, file: &SourceFile<'_>) -> Review {
        let text = text::decode(file.bytes);
        let npm = file.path.ends_with(".json");
        let versions = match if npm { from_json(&text) } else { from_tables(&text) } {
            Ok(versions) => versions,
            Err(why) => return Review::skip(file.path, format!("is no lock file: {why}")),
        };
        let why = match text::file_name(file.path) {
            "Cargo.lock" => "`cargo tree -d` shows what needs each",
            "package-lock.json" | "npm-shrinkwrap.json" => "`npm ls PACKAGE` shows what needs each",
            _ => "look for the packages that need the older one",
        };
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        let findings = several
            .map(|(name, versions)| finding(file.path, &name, &versions).suggest(why))
            .collect();
        Review { findings, ..Review::default() }
    }
}

fn finding(path: &str, name: &str, versions: &BTreeMap<String, u32>) -> Finding {
    let first = versions.values().min().copied().unwrap_or(1);
    let last = versions.values().max().copied().unwrap_or(first);
    let mut names: Vec<&str> = versions.keys().map(String::as_str).collect();
    names.sort_by_key(|version| numbers(version));
    let message = format!("`{name}` is locked in {} versions: {}", names.len(), names.join(", "));
    Finding::new(path, first, "duplicates.version", message).severity(Severity::Note).span(0, last)
}

/// The numbers of a version, by which versions are ordered.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Reads the `[[package]]` tables that Cargo, uv and Poetry write, one key a line.
///
/// # Errors
/// Says what is wrong, as in a file that ends too early or in which a merge left its marks.
fn from_tables(text: &str) -> Result<Versions, String> {
    let mut versions = Versions::new();
    let (mut name, mut open_lists): (Option<(&str, u32)>, usize) = (None, 0);
    for (number, line) in (1..).zip(text.lines()) {
        let within_list = open_lists > 0;
        if !within_list && !is_toml(line) {
            return Err(format!("line {number} is neither a table nor a key with a value"));
        }
        open_lists = lists_after(line, open_lists);
        if within_list {
            continue;
        }
        if line.starts_with('[') {
            name = None;
        }
        if let Some(value) = quoted(line, "name") {
            name = Some((value, number));
        } else if let (Some(version), Some((package, at))) = (quoted(line, "version"), name) {
            versions.entry(package.to_owned()).or_default().entry(version.to_owned()).or_insert(at);
        }
    }
    match (open_lists, versions.is_empty()) {
        (0, false) => Ok(versions),
        (0, true) => Err("it names no version of a package".to_owned()),
        (_, _) => Err("it ends within a list".to_owned()),
    }
}

/// Whether a line of TOML may look so outside of lists.
fn is_toml(line: &str) -> bool {
    let line = line.trim();
    let is_key = |key: &str| {
        let key = key.trim_end();
        !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.\"' ".contains(c))
    };
    line.is_empty()
        || line.starts_with(['#', '['])
        || line.split_once('=').is_some_and(|(key, _)| is_key(key))
}

/// The lists that are open behind a line, of those that were before; brackets in texts and comments do not count.
fn lists_after(line: &str, before: usize) -> usize {
    let (mut open, mut quote, mut escaped) = (before, None, false);
    for c in line.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(opening), _) => quote = Some(opening).filter(|opening| *opening != c),
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => break,
            (None, '[') => open += 1,
            (None, ']') => open = open.saturating_sub(1),
            (None, _) => {}
        }
    }
    open
}

/// The value of `key = "value"`.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

/// Reads the `packages` of an npm lock file.
///
/// # Errors
/// Says what is wrong.
fn from_json(text: &str) -> Result<Versions, String> {
    let lock: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(packages) = lock.get("packages").and_then(Value::as_object) else {
        return Err("it has no `packages`, which npm 7 and later write".to_owned());
    };
    let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(path) =
            line.trim_start().strip_prefix('"').and_then(|line| line.split_once("\":"))
        {
            lines.entry(path.0).or_insert(number);
        }
    }
    let mut versions = Versions::new();
    for (path, package) in packages {
        let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
        let Some(version) = package.get("version").and_then(Value::as_str) else { continue };
        let line = lines.get(path.as_str()).copied().unwrap_or(1);
        versions.entry(name.to_owned()).or_default().entry(version.to_owned()).or_insert(line);
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(path: &str, text: &str) -> Review {
        assert!(Duplicates.accepts(path));
        Duplicates.review(&SourceFile::new(path, text.as_bytes()))
    }

    const CARGO: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"10.0.0\"\ndependencies = [\n \"a\",\n]\n";

    #[test]
    fn a_package_in_two_versions_is_found_once() {
        let review = review("x/Cargo.lock", CARGO);
        assert_eq!(review.findings.len(), 1);
        let finding = &review.findings[0];
        assert_eq!((finding.line, finding.end_line), (8, 12));
        assert_eq!(finding.message, "`b` is locked in 2 versions: 2.0.0, 10.0.0");
    }

    #[test]
    fn a_package_of_the_same_version_from_two_sources_is_not() {
        assert_eq!(review("Cargo.lock", &CARGO.replace("10.0.0", "2.0.0")).findings, []);
    }

    #[test]
    fn npm_packages_are_told_by_their_last_folder() {
        let text = r#"{"lockfileVersion": 3, "packages": {
            "": {"version": "1.0.0"},
            "node_modules/a": {"version": "1.0.0"},
            "node_modules/@s/b": {"version": "1.0.0"},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0"},
            "node_modules/c/node_modules/a": {"version": "1.0.0"}
        }}"#;
        let review = review("package-lock.json", text);
        assert_eq!(review.findings.len(), 1);
        assert_eq!(review.findings[0].message, "`@s/b` is locked in 2 versions: 1.0.0, 2.0.0");
        assert_eq!(review.findings[0].line, 4);
    }

    #[test]
    fn a_broken_lock_file_is_skipped_with_its_reason() {
        let (cut, _) = CARGO.rsplit_once(" \"a\"").unwrap();
        let merged = CARGO
            .replace("\n[[package]]\nname = \"b\"", "\n<<<<<<< HEAD\n[[package]]\nname = \"b\"");
        for (path, text, reason) in [
            ("Cargo.lock", "hello\n", "line 1 is neither a table nor a key with a value"),
            ("Cargo.lock", merged.as_str(), "line 7 is neither"),
            ("Cargo.lock", cut, "it ends within a list"),
            ("Cargo.lock", "version = 4\n", "it names no version of a package"),
            ("package-lock.json", "{", "EOF while parsing an object"),
            ("package-lock.json", "{\"lockfileVersion\": 1}", "it has no `packages`"),
        ] {
            let review = review(path, text);
            assert_eq!(review.findings, [], "{text}");
            let told = format!("is no lock file: {reason}");
            assert!(review.skipped[0].reason.starts_with(&told), "{:?}", review.skipped);
        }
    }

    #[test]
    fn brackets_in_texts_and_comments_open_no_list() {
        assert_eq!(lists_after(r#"a = [ "]", ']', "\"]" # ]"#, 0), 1);
        assert_eq!(lists_after("] # [", 1), 0);
        assert_eq!(lists_after("[[package]]", 0), 0);
    }
}
