//! Which files of a source a file names: Rust modules, Python, JavaScript and Go imports, line by line, best effort.

use std::collections::{BTreeMap, BTreeSet};

use super::FileFact;
use crate::limits::IMPORTS_MAX;

/// Something that a file names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Import {
    /// One of these paths.
    File(Vec<String>),
    /// One of these paths, which is built for tests only.
    Test(Vec<String>),
    /// All files of the folder at whose end this path ends.
    Package(String),
}

/// Everything that a file names.
pub(super) fn of(path: &str, kind: &str, text: &str) -> Vec<Import> {
    let lines = text.lines().map(str::trim_start);
    let imports: Vec<Import> = match kind {
        "rust" => rust(path, lines).take(IMPORTS_MAX).collect(),
        "python" => lines.filter_map(|line| python(path, line)).take(IMPORTS_MAX).collect(),
        "javascript" | "typescript" => {
            lines.filter_map(|line| javascript(path, line)).take(IMPORTS_MAX).collect()
        }
        "go" => go(lines).take(IMPORTS_MAX).collect(),
        _ => Vec::new(),
    };
    imports
}

/// Fills in which other files each file depends on.
pub(super) fn link(files: &mut [FileFact], imports: &[Vec<Import>]) {
    let mut positions = BTreeMap::new();
    let mut folders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, file) in files.iter().enumerate() {
        positions.insert(file.path.clone(), position);
        if file.kind == "go" {
            folders.entry(folder(&file.path).to_owned()).or_default().push(position);
        }
    }
    let first = |paths: &[String]| paths.iter().find_map(|path| positions.get(path)).copied();
    let mut tests = Vec::new();
    for (own, (file, imports)) in files.iter_mut().zip(imports).enumerate() {
        let mut found = BTreeSet::new();
        for import in imports {
            match import {
                Import::File(paths) => found.extend(first(paths)),
                Import::Test(paths) => {
                    tests.extend(first(paths));
                    found.extend(first(paths));
                }
                Import::Package(package) => found.extend(package_files(&folders, package)),
            }
        }
        found.remove(&own);
        file.depends_on = found.into_iter().take(IMPORTS_MAX).collect();
    }
    mark_tests(files, tests);
}

/// Marks Rust modules that only tests see, and the modules below them.
fn mark_tests(files: &mut [FileFact], mut tests: Vec<usize>) {
    while let Some(file) = tests.pop().and_then(|position| files.get_mut(position)) {
        if !file.test {
            file.test = true;
            tests.extend(&file.depends_on);
        }
    }
}

/// The files of the longest folder at which the path of a package ends.
fn package_files<'a>(
    folders: &'a BTreeMap<String, Vec<usize>>,
    package: &str,
) -> impl Iterator<Item = usize> + 'a {
    let tails =
        std::iter::successors(Some(package), |tail| tail.split_once('/').map(|(_, tail)| tail));
    let files = tails.into_iter().find_map(|tail| folders.get(tail));
    files.into_iter().flatten().copied()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Joins a folder and a relative path; `None` above the root.
fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The modules that a Rust file declares; those right behind `#[cfg(test)]` are tests.
fn rust<'a>(
    path: &'a str,
    lines: impl Iterator<Item = &'a str> + 'a,
) -> impl Iterator<Item = Import> + 'a {
    let mut test = false;
    lines.filter_map(move |line| {
        let paths = rust_module(path, line);
        let behind_test = test;
        test = line.starts_with("#[cfg(test)]") || (test && line.starts_with("#["));
        paths.map(|paths| if behind_test { Import::Test(paths) } else { Import::File(paths) })
    })
}

fn rust_module(path: &str, line: &str) -> Option<Vec<String>> {
    let line =
        line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    let name = line.strip_prefix("mod ")?.trim_end().strip_suffix(';')?.trim();
    let root = matches!(crate::text::file_name(path), "lib.rs" | "main.rs" | "mod.rs");
    let base = if root { folder(path) } else { path.strip_suffix(".rs")? };
    Some(vec![join(base, &format!("{name}.rs"))?, join(base, &format!("{name}/mod.rs"))?])
}

fn python(path: &str, line: &str) -> Option<Import> {
    let (module, item) = if let Some(rest) = line.strip_prefix("from ") {
        let (module, items) = rest.split_once(" import ")?;
        (module.trim(), items.split([',', ' ', '(', '#']).find(|item| !item.is_empty()))
    } else {
        (line.strip_prefix("import ")?.split([' ', ',', '#']).next()?, None)
    };
    let dots = module.len() - module.trim_start_matches('.').len();
    let inside = module.get(dots..)?.replace('.', "/");
    let mut bases = vec![join(folder(path), &"../".repeat(dots.saturating_sub(1)))?];
    if dots == 0 {
        bases.extend([String::new(), "src".to_owned()]);
    }
    let mut paths = Vec::new();
    for base in bases {
        let module = join(&base, &inside)?;
        paths.extend(item.and_then(|item| join(&module, &format!("{item}.py"))));
        paths.push(format!("{module}.py"));
        paths.extend(join(&module, "__init__.py"));
    }
    Some(Import::File(paths))
}

fn javascript(path: &str, line: &str) -> Option<Import> {
    let named = ["import", "export", "const", "let", "var", "}", "require"]
        .iter()
        .any(|word| line.starts_with(word));
    let after = line
        .split_once("from ")
        .or_else(|| line.split_once("require("))
        .or_else(|| line.split_once("import "));
    let quoted = after.filter(|_| named)?.1.trim_start();
    let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let target = quoted.get(1..)?.split_once(quote)?.0;
    if !target.starts_with('.') {
        return None;
    }
    let file = join(folder(path), target)?;
    let endings = ["", ".js", ".ts", ".jsx", ".tsx", ".mjs", "/index.js", "/index.ts"];
    Some(Import::File(endings.iter().map(|ending| format!("{file}{ending}")).collect()))
}

fn go<'a>(lines: impl Iterator<Item = &'a str> + 'a) -> impl Iterator<Item = Import> + 'a {
    let mut in_block = false;
    lines.filter_map(move |line| {
        if line.starts_with("import (") {
            in_block = true;
            return None;
        }
        in_block &= !line.starts_with(')');
        let named = line.strip_prefix("import ").or(in_block.then_some(line))?;
        let path = named.split('"').nth(1)?;
        path.contains('/').then(|| Import::Package(path.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(files: &[(&str, &str)]) -> Vec<FileFact> {
        let mut facts: Vec<FileFact> = files
            .iter()
            .map(|(path, text)| FileFact {
                path: (*path).to_owned(),
                bytes: text.len() as u64,
                kind: crate::text::language(path).to_owned(),
                complexity: 1,
                depends_on: Vec::new(),
                test: false,
                changed: None,
            })
            .collect();
        let imports: Vec<_> = facts
            .iter()
            .zip(files)
            .map(|(fact, (path, text))| of(path, &fact.kind, text))
            .collect();
        link(&mut facts, &imports);
        facts
    }

    /// Which files the first of some files depends on.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let found: Vec<_> = linked(files)[0].depends_on.iter().map(|at| files[*at].0).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rust_modules_are_found_beside_and_below() {
        check(
            &[
                ("src/lib.rs", "mod a;\npub mod b;\nmod c { }\n"),
                ("src/a.rs", ""),
                ("src/b/mod.rs", ""),
            ],
            &["src/a.rs", "src/b/mod.rs"],
        );
        check(&[("src/a.rs", "mod b;"), ("src/a/b.rs", ""), ("src/b.rs", "")], &["src/a/b.rs"]);
    }

    #[test]
    fn modules_behind_cfg_test_are_tests_with_all_below_them() {
        let text = "#[cfg(test)]\nmod a;\nmod b;\n#[cfg(test)]\n#[path = \"x\"]\npub mod d;\n";
        let files = [
            ("src/lib.rs", text),
            ("src/a.rs", "mod c;"),
            ("src/a/c.rs", ""),
            ("src/b.rs", ""),
            ("src/d.rs", ""),
        ];
        let tests: Vec<bool> = linked(&files).iter().map(|fact| fact.test).collect();
        assert_eq!(tests, [false, true, true, false, true]);
    }

    #[test]
    fn python_modules_are_found_relative_and_absolute() {
        let text = "import p.q\nfrom . import r\nfrom ..s import t\nimport os\n";
        check(
            &[("p/x/a.py", text), ("p/q.py", ""), ("p/x/r.py", ""), ("p/s/__init__.py", "")],
            &["p/q.py", "p/x/r.py", "p/s/__init__.py"],
        );
    }

    #[test]
    fn javascript_modules_are_found_relative_only() {
        let text = "import a from './a'\nconst b = require(\"../b.js\")\nimport x from 'x'\n";
        check(
            &[("s/m.js", text), ("s/a/index.js", ""), ("b.js", ""), ("x.js", "")],
            &["s/a/index.js", "b.js"],
        );
    }

    #[test]
    fn go_packages_are_all_files_of_a_folder() {
        let text = "package m\nimport (\n\t\"fmt\"\n\t\"example.org/m/sub/deep\"\n)\n";
        check(
            &[("main.go", text), ("sub/deep/a.go", ""), ("sub/deep/b.go", ""), ("deep/c.go", "")],
            &["sub/deep/a.go", "sub/deep/b.go"],
        );
    }

    #[test]
    fn a_path_above_the_root_is_no_import() {
        assert_eq!(join("a", "../../b"), None);
        check(&[("a.js", "import a from '../../../etc/passwd'"), ("etc/passwd", "")], &[]);
    }
}
