//! `test`: every check in a fixed order, each named and timed; `fix`: what a program can mend.
//!
//! # Invariants
//! `test` runs one profile (dev), takes `Cargo.lock` as it is, and leaves the tree as it found it;
//! the step `unchanged` proves that.
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::shell::{self, Watch};
use crate::tidy;
use crate::tools::{self, Tools};

/// The longest that one step may take.
const STEP_LIMIT: Duration = Duration::from_secs(40 * 60);
/// The longest that one example may run.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);
/// How many lines of a failed step's output are shown; its log has all.
const SHOWN_LINES: usize = 300;

/// Another library counts what our rules of voting decide.
const VOTES: Reader = Reader {
    name: "votes",
    example: "-p synod-actors --example ranked_winners",
    script: "tests/voting_reader.py",
    pinned: include_str!("../votes.txt"),
    closing: "elections",
};
/// Another library ranks the sentences that our LexRank ranks.
const SUMMARIES: Reader = Reader {
    name: "summaries",
    example: "-p synod-documents --example lexrank_scores",
    script: "tests/lexrank_reader.py",
    pinned: include_str!("../summaries.txt"),
    closing: "sumy agrees",
};

/// What the Python package for agents is tested with.
const PYTHON_SDK: &str = include_str!("../sdk.txt");

/// A program in another language that computes once more what an example of ours prints.
struct Reader {
    /// of its Python environment
    name: &'static str,
    example: &'static str,
    script: &'static str,
    /// its Python packages
    pinned: &'static str,
    /// what its line for the reader of the log has in it
    closing: &'static str,
}

/// Which steps to run.
#[derive(Args)]
pub(crate) struct TestOptions {
    /// Run only this step (may be repeated)
    #[arg(long, value_name = "STEP", value_enum)]
    only: Vec<Step>,
}

/// The steps, in the order in which they run: the quick ones first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting
    Fmt,
    /// The rules of the tree that no compiler checks
    Tidy,
    /// Lints of every target, warnings denied
    Clippy,
    /// Licences, banned crates and sources of the dependencies
    Deny,
    /// All tests
    Tests,
    /// A reader in another language decodes every golden frame
    GoldenReader,
    /// Another library counts random elections once more
    VotingReader,
    /// A summariser in another language ranks the same sentences alike
    SummaryReader,
    /// Types and tests of the Python package for agents
    PythonSdk,
    /// Types and tests of the TypeScript package for agents
    TypescriptSdk,
    /// The code in the documentation
    DocTests,
    /// Every example runs and asserts its result
    Examples,
    /// The documentation builds without a warning
    Docs,
    /// Nothing above has written into the tree
    Unchanged,
}

/// Runs the steps and prints a table of their times.
/// Returns whether all passed; it stops at the first that does not, after showing its output.
///
/// # Errors
/// When the tools cannot be installed or the state of the tree cannot be read.
pub(crate) fn test(root: &Path, options: &TestOptions) -> Result<bool> {
    let whole = Watch::start();
    let (tools, time) = timed(|| Tools::install(root));
    let mut table = vec![("tools".to_owned(), time)];
    let bench = Bench { root, tools: tools.context("install tools")?, before: state(root)? };
    let mut passed = true;
    for step in Step::value_variants() {
        if !options.only.is_empty() && !options.only.contains(step) {
            continue;
        }
        let name = step.name();
        shell::say(&format!("── {name}"));
        let (result, time) = timed(|| bench.run(*step));
        table.push((name, time));
        if let Err(error) = result {
            shell::say(&format!("error: {error:#}"));
            passed = false;
            break;
        }
    }
    let outcome = if passed { "passed" } else { "failed" };
    shell::say(&format!("\n{}", times(&table, whole.time(), outcome)));
    Ok(passed)
}

/// Writes what a program can mend: formatting, lint suggestions, golden vectors.
///
/// # Errors
/// When one of the programs fails.
pub(crate) fn fix(root: &Path) -> Result<()> {
    shell::read(&mut shell::command(root, "cargo fmt --all"))?;
    let clippy = "cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets";
    shell::read(&mut shell::command(root, clippy))?;
    shell::read(&mut shell::command(root, "cargo fmt --all"))?;
    let bless = "cargo test -p synod-protocol golden";
    shell::read(shell::command(root, bless).env("SYNOD_BLESS", "1"))?;
    Ok(())
}

/// What a step needs.
struct Bench<'a> {
    root: &'a Path,
    tools: Tools,
    /// the state of the tree before the first step
    before: String,
}

impl Bench<'_> {
    fn run(&self, step: Step) -> Result<()> {
        let cargo = |words: &str| {
            let mut cargo = shell::command(self.root, &format!("cargo {words}"));
            cargo.env("CARGO_TERM_COLOR", "never");
            cargo
        };
        match step {
            Step::Fmt => self.log(step, cargo("fmt --all -- --check --color never"), ""),
            Step::Tidy => tidy::check(self.root),
            Step::Clippy => {
                let lint =
                    "clippy --locked --workspace --all-features --all-targets -- -D warnings";
                self.log(step, cargo(lint), "")
            }
            Step::Deny => self.log(step, self.deny(), ""),
            Step::Tests => self.log(step, self.nextest()?, "Summary ["),
            Step::GoldenReader => {
                let mut reader = Command::new(self.tools.program("python3"));
                reader.current_dir(self.root).arg("tests/golden_reader.py");
                self.tools.prepare(&mut reader)?;
                self.log(step, reader, "golden")
            }
            Step::VotingReader => self.reader(step, &VOTES),
            Step::SummaryReader => self.reader(step, &SUMMARIES),
            Step::PythonSdk => self.python_sdk(step),
            Step::TypescriptSdk => self.typescript_sdk(step),
            Step::DocTests => {
                let mut tests = cargo("test --locked --workspace --all-features --doc");
                self.tools.prepare(&mut tests)?;
                self.log(step, tests, "test result:")
            }
            Step::Examples => self.examples(step),
            Step::Docs => {
                let mut docs = cargo("doc --locked --workspace --all-features --no-deps");
                docs.env("RUSTDOCFLAGS", "-D warnings");
                self.log(step, docs, "")
            }
            Step::Unchanged => self.unchanged(),
        }
    }

    /// Runs one program of a step; shows its lines with `closing` in them, or all when it fails.
    fn log(&self, step: Step, mut command: Command, closing: &str) -> Result<()> {
        let log = self.new_log(step)?;
        let result = shell::run_logged(&mut command, &log, STEP_LIMIT);
        let text = fs::read(&log).with_context(|| format!("read log {}", log.display()))?;
        let text = String::from_utf8_lossy(&text);
        if result.is_err() {
            shell::say(&shell::last_lines(&text, SHOWN_LINES));
        } else if !closing.is_empty() {
            text.lines().filter(|line| line.contains(closing)).for_each(shell::say);
        }
        result.with_context(|| {
            format!("step {} failed; all of its output: {}", step.name(), log.display())
        })
    }

    fn new_log(&self, step: Step) -> Result<PathBuf> {
        let folder = shell::target(self.root).join("xtask");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let log = folder.join(format!("{}.log", step.name()));
        fs::write(&log, "").with_context(|| format!("empty {}", log.display()))?;
        Ok(log)
    }

    fn deny(&self) -> Command {
        let mut deny = Command::new(self.tools.program("cargo-deny"));
        deny.current_dir(self.root).args(["--locked", "check", "bans", "licenses", "sources"]);
        deny
    }

    fn nextest(&self) -> Result<Command> {
        let mut nextest = Command::new(self.tools.program("cargo-nextest"));
        nextest.current_dir(self.root).args([
            "nextest",
            "run",
            "--locked",
            "--workspace",
            "--all-features",
        ]);
        self.tools.prepare(&mut nextest)?;
        Ok(nextest)
    }

    /// Has what an example of ours prints computed once more by a program in another language.
    fn reader(&self, step: Step, reader: &Reader) -> Result<()> {
        let print = format!("cargo run --locked --quiet {}", reader.example);
        let printed = shell::read(&mut shell::command(self.root, &print))?;
        let file = self.new_log(step)?.with_extension("jsonl");
        fs::write(&file, printed).with_context(|| format!("write {}", file.display()))?;
        let file = fs::File::open(&file).with_context(|| format!("open {}", file.display()))?;
        let python =
            tools::environment(self.root, reader.name, reader.pinned, tools::Brings::Nothing)?
                .join("bin/python3");
        let mut command = Command::new(python);
        command.current_dir(self.root).args(["-B", reader.script]).stdin(file);
        self.log(step, command, reader.closing)
    }

    /// Checks the Python package with what `xtask/sdk.txt` pins.
    fn python_sdk(&self, step: Step) -> Result<()> {
        let home = tools::environment(self.root, "sdk", PYTHON_SDK, tools::Brings::Nothing)?;
        let run = |words: &str| {
            let mut run = Command::new(home.join("bin/python3"));
            run.current_dir(self.root.join("sdk/python"));
            run.args(["-B", "-m"]).args(words.split_whitespace()).stdin(Stdio::null());
            run
        };
        self.log(step, run("mypy --cache-dir /dev/null"), "")?;
        self.log(step, run("pytest --quiet"), "passed")
    }

    /// Checks the TypeScript package with what its lock file pins.
    fn typescript_sdk(&self, step: Step) -> Result<()> {
        let folder = self.root.join("sdk/typescript");
        self.log(step, shell::command(&folder, "npm ci --no-audit --no-fund"), "")?;
        self.log(step, shell::command(&folder, "npm test"), "# pass")
    }

    fn examples(&self, step: Step) -> Result<()> {
        let build = "cargo build --locked --workspace --all-features --examples";
        self.log(step, shell::command(self.root, build), "")?;
        let describe = "cargo metadata --locked --no-deps --format-version 1";
        let metadata = shell::read(&mut shell::command(self.root, describe))?;
        let names = examples(&metadata)?;
        ensure!(!names.is_empty(), "the workspace has no example: examples/ is empty or not found");
        for name in names {
            let log = self.new_log(step)?;
            let program = shell::target(self.root).join("debug/examples").join(&name);
            let mut example = Command::new(program);
            example.current_dir(self.root).stdin(Stdio::null());
            let (result, time) = timed(|| shell::run_logged(&mut example, &log, EXAMPLE_LIMIT));
            if let Err(error) = result {
                let text = fs::read_to_string(&log).unwrap_or_default();
                shell::say(&shell::last_lines(&text, SHOWN_LINES));
                bail!(error.context(format!("example {name} failed")));
            }
            shell::say(&format!("   {name} {:.1} s", time.as_secs_f64()));
        }
        Ok(())
    }

    fn unchanged(&self) -> Result<()> {
        let after = state(self.root)?;
        ensure!(
            after == self.before,
            "a step has written into the tree; `git status` before:\n{}\nand after:\n{after}",
            self.before
        );
        Ok(())
    }
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Describes every file of the tree that is not as committed.
fn state(root: &Path) -> Result<String> {
    let changed = shell::read(&mut shell::command(root, "git status --porcelain"))?;
    let content = shell::read(&mut shell::command(root, "git diff"))?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    Ok(format!("{changed}(content {:016x})", hasher.finish()))
}

/// Returns the names of all example targets in cargo's description of the workspace.
fn examples(metadata: &str) -> Result<Vec<String>> {
    let metadata: serde_json::Value =
        serde_json::from_str(metadata).context("parse cargo's description of the workspace")?;
    let packages = metadata.get("packages").and_then(|list| list.as_array());
    let targets =
        packages.into_iter().flatten().filter_map(|package| package.get("targets")?.as_array());
    let mut names: Vec<String> = targets
        .flatten()
        .filter(|target| {
            target.get("kind").is_some_and(|kind| kind == &serde_json::json!(["example"]))
        })
        .filter_map(|target| Some(target.get("name")?.as_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let watch = Watch::start();
    let result = what();
    (result, watch.time())
}

/// Renders the table of steps and times; the last line has the outcome.
fn times(table: &[(String, Duration)], whole: Duration, outcome: &str) -> String {
    let mut text = String::new();
    for (name, time) in table {
        text.push_str(&format!("{name:<14}{:>8.1} s\n", time.as_secs_f64()));
    }
    text.push_str(&format!("{:<14}{:>8.1} s  {outcome}", "all", whole.as_secs_f64()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_all_packages_are_found_and_nothing_else() {
        let metadata = r#"{"packages": [
            {"targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["example"], "name": "quota"}]},
            {"targets": [{"kind": ["example"], "name": "first"}, {"kind": ["test"], "name": "t"}]}]}"#;
        assert_eq!(examples(metadata).unwrap(), ["first", "quota"]);
        assert!(examples("no json").is_err());
    }

    #[test]
    fn the_last_line_of_the_table_is_the_outcome() {
        let table = [("fmt".to_owned(), Duration::from_millis(1500))];
        let text = times(&table, Duration::from_secs(2), "failed");
        assert_eq!(text, "fmt                1.5 s\nall                2.0 s  failed");
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> =
            Step::value_variants().iter().map(|step| step.name()).collect();
        assert_eq!(names.len(), Step::value_variants().len());
        assert!(names.contains("doc-tests"));
    }
}
