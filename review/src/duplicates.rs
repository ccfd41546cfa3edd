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
        let versions = match npm {
            false => from_tables(&text),
            true => match from_json(&text) {
                Ok(versions) => versions,
                Err(error) => {
                    return Review::skip(file.path, format!("is not a lock file in JSON: {error}"));
                }
            },
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
fn from_tables(text: &str) -> Versions {
    let mut versions = Versions::new();
    let mut name = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('[') {
            name = None;
        }
        if let Some(value) = quoted(line, "name") {
            name = Some((value, number));
        } else if let (Some(version), Some((package, at))) = (quoted(line, "version"), name) {
            versions.entry(package.to_owned()).or_default().entry(version.to_owned()).or_insert(at);
        }
    }
    versions
}

/// The value of `key = "value"`.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

/// Reads the `packages` of an npm lock file.
fn from_json(text: &str) -> Result<Versions, serde_json::Error> {
    let lock: Value = serde_json::from_str(text)?;
    let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(path) =
            line.trim_start().strip_prefix('"').and_then(|line| line.split_once("\":"))
        {
            lines.entry(path.0).or_insert(number);
        }
    }
    let mut versions = Versions::new();
    let packages = lock.get("packages").and_then(Value::as_object);
    for (path, package) in packages.into_iter().flatten() {
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
    fn a_broken_npm_lock_file_is_skipped_with_its_reason() {
        assert_eq!(review("package-lock.json", "{").skipped.len(), 1);
    }
}
