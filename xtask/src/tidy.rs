//! The rules of the tree that no compiler checks, also run as a test of this package.
//!
//! Each rule is a small pure function over text; this file walks the tree and says which rule is for which file.
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::shell;

mod crates;
mod lexer;
mod logs;
mod markdown;
mod size;

/// Files whose size is known to be above the limit; the list may only shrink.
const RATCHET: &str = "xtask/ratchet.txt";

/// Checks all rules over all files that are, or would be, under version control.
///
/// # Errors
/// When a rule is broken: the error has one line for each place.
pub(crate) fn check(root: &Path) -> Result<()> {
    let problems = problems(root)?;
    if !problems.is_empty() {
        bail!("{} broken rules of the tree:\n{}", problems.len(), problems.join("\n"));
    }
    Ok(())
}

fn problems(root: &Path) -> Result<Vec<String>> {
    let ratchet =
        fs::read_to_string(root.join(RATCHET)).with_context(|| format!("read {RATCHET}"))?;
    let ratchet = size::Ratchet::parse(&ratchet)?;
    let mut problems = Vec::new();
    let files = files(root)?;
    for path in &files {
        let bytes = fs::read(root.join(path)).with_context(|| format!("read {path}"))?;
        problems.extend(size::bytes(path, bytes.len()));
        if let Ok(text) = String::from_utf8(bytes) {
            problems.extend(text_problems(root, path, &text, &ratchet)?);
        }
    }
    problems.extend(ratchet.unused(&files));
    Ok(problems)
}

/// Applies the rules of one text file.
fn text_problems(
    root: &Path,
    path: &str,
    text: &str,
    ratchet: &size::Ratchet,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    match Path::new(path).extension().and_then(|ending| ending.to_str()) {
        Some("rs") => {
            let code = lexer::blank(text);
            problems.extend(size::header(path, text));
            problems.extend(ratchet.lines(path, text));
            problems.extend(crates::foreign(path, &code.code));
            problems.extend(crates::inner(path, &code.code));
            problems.extend(sleeps(path, &code.code));
            problems.extend(logs::messages(path, text, &code));
        }
        Some("toml") if path.ends_with("Cargo.toml") => problems.extend(crates::arrows(path, text)),
        Some("md") => problems.extend(links(root, path, text)?),
        _ => {}
    }
    Ok(problems)
}

/// Lists the files under version control and those that `git add` would take.
fn files(root: &Path) -> Result<Vec<String>> {
    let list = "git ls-files -z --cached --others --exclude-standard";
    let list = shell::read(&mut shell::command(root, list))?;
    let mut files: Vec<String> = list.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files.retain(|path| root.join(path).is_file());
    Ok(files)
}

/// Tests wait for a state, never for the clock.
fn sleeps(path: &str, code: &str) -> Vec<String> {
    let tests = size::tests_start(path, code);
    let lines = code.lines().enumerate().skip(tests);
    lines
        .filter(|(_, line)| {
            lexer::words(line).any(|(at, word)| {
                word == "sleep"
                    && line.get(at + 5..).is_some_and(|rest| rest.starts_with('('))
                    // the sleeps of a node and of an agent's context are themselves under test
                    && !line.get(..at).is_some_and(|before| {
                        ["node.", "cx."].iter().any(|own| before.ends_with(own))
                    })
            })
        })
        .map(|(at, _)| format!("{path}:{}: a test sleeps: wait for a state instead", at + 1))
        .collect()
}

/// Every link to a file or a heading of this tree leads somewhere.
fn links(root: &Path, path: &str, text: &str) -> Result<Vec<String>> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for link in markdown::links(text) {
        let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
        let target = if file.is_empty() { root.join(path) } else { root.join(folder).join(file) };
        if !target.exists() {
            problems
                .push(format!("{path}:{}: the link to {} leads nowhere", link.line, link.target));
        } else if !anchor.is_empty() && target.extension().is_some_and(|ending| ending == "md") {
            let text = fs::read_to_string(&target)
                .with_context(|| format!("read {}", target.display()))?;
            if !markdown::anchors(&text).contains(anchor) {
                problems.push(format!("{path}:{}: no heading is called #{anchor}", link.line));
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        check(&shell::root().unwrap()).unwrap();
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let code = "fn a() { clock.sleep(1); }\n#[cfg(test)]\nmod tests {\n    sleep(2);\n}\n";
        assert_eq!(sleeps("src/a.rs", code).len(), 1);
        assert!(sleeps("src/a.rs", code).concat().contains("src/a.rs:4"));
        assert_eq!(sleeps("tests/node/a.rs", "sleep(2)\n").len(), 1);
        assert!(sleeps("tests/node/a.rs", "no_sleep(2); sleepy(3)\n").is_empty());
        assert!(sleeps("tests/node/a.rs", "node.sleep(TICK).await;\n").is_empty());
    }

    #[test]
    fn a_link_is_checked_to_its_heading() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.md"), "# One word\n").unwrap();
        let problems =
            links(dir.path(), "a.md", "[x](b.md#one-word) [y](b.md#two) [z](c.md)").unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
