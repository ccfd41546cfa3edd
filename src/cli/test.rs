//! `synod test`: the tests of a test file, seed by seed, and the recording of their cassettes.
//!
//! # Invariants
//! - Nothing is run when the test file, its run file or a test's files are wrong; all problems of a file are told at once.
//! - A test that fails says the seed, what was broken and the one command that runs this seed alone.

use std::{
    collections::BTreeMap,
    panic,
    path::{Path, PathBuf},
};

use actors::agent::Launcher;
use runtime::{
    clock::{Clock, Moment, SystemClock},
    sim::{Failure as Broken, Report},
};
use serde_json::json;

use super::{
    args,
    exit::Exit,
    logs::Screen,
    output::{Failure, clean, counted, print},
    run::{read_file, wrong},
};
use crate::{
    job::catalogue,
    limits::LINE_EVERY,
    runfile::{RunFile, Test, TestFile},
    trial::{Recorded, Trial, record},
};

/// A test file that was read, with the run file that it tests.
struct Read {
    /// As the user wrote it.
    name: String,
    run_file: RunFile,
    tests: Vec<Test>,
}

/// What came of one test.
struct Verdict {
    name: String,
    /// Whether the test wants any.
    faults: bool,
    skipped: Vec<String>,
    report: Report,
    broken: Option<Broken>,
}

/// What is said of a test whose faults changed nothing.
const MISSED: &str = "  it shows nothing about its `faults`: none of them struck anything while the run lasted; choose others, or \
                      more `seeds`\n";

/// Runs the tests of a test file, or records their cassettes.
///
/// # Errors
/// [`Failure`] when there is nothing to run, or a file is wrong.
pub fn test(options: &args::Test, launcher: &Launcher, screen: &Screen) -> Result<Exit, Failure> {
    let read = read(options)?;
    if options.record {
        return recorded(&read, launcher, screen);
    }
    // Everything is prepared before anything is run.
    let prepare = |test: &Test| Trial::prepare(test, &read.run_file);
    let trials = read.tests.iter().map(prepare).collect::<Result<Vec<_>, _>>();
    let trials = trials.map_err(|error| Failure::usage(&error))?;
    let mut verdicts = Vec::new();
    for (test, trial) in read.tests.iter().zip(&trials) {
        let seeds = options.seed.map_or(1..=options.seeds.unwrap_or(test.seeds), |one| one..=one);
        let verdict = check(test, trial, seeds, &Replay { file: &read.name, screen });
        if !options.json {
            print(&verdict.text())?;
        }
        verdicts.push(verdict);
    }
    let failed = verdicts.iter().filter(|verdict| verdict.broken.is_some()).count();
    if options.json {
        print(&document(&read.name, &verdicts))?;
    } else {
        let passed = counted((verdicts.len() - failed) as u64, "test");
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        print(&format!("{passed} passed{failed}\n"))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// Reads the test file and the run file beside it, and goes to their folder.
fn read(options: &args::Test) -> Result<Read, Failure> {
    let name = options.file.display().to_string();
    let text = read_file("test file", &options.file)?;
    let run_path = run_path(&options.file, &text)?;
    let run_text = read_file("run file", &run_path)?;
    let run_name = run_path.display().to_string();
    let run_file = RunFile::parse_for(&catalogue(), &run_name, &run_text, &[])
        .map_err(|problems| wrong(&problems))?;
    let file = TestFile::parse(&name, &text, &run_file).map_err(|problems| wrong(&problems))?;
    let mut tests = file.tests;
    if let Some(only) = &options.test {
        let names: Vec<String> = tests.iter().map(|test| format!("\n  {}", test.name)).collect();
        tests.retain(|test| test.name == *only);
        if tests.is_empty() {
            let words = format!("{name} has no test `{only}`; its tests are:");
            let message = format!("error: {}{}\n", clean(&words), names.concat());
            return Err(Failure { exit: Exit::Usage, message });
        }
    }
    let folder = folder_of(&options.file);
    std::env::set_current_dir(folder).map_err(|error| {
        Failure::words(Exit::Usage, format!("cannot go to {}: {error}", folder.display()))
    })?;
    Ok(Read { name, run_file, tests })
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The run file that a test file names, else the one of its name.
fn run_path(file: &Path, text: &str) -> Result<PathBuf, Failure> {
    if let Some(named) = TestFile::runs(text) {
        return Ok(folder_of(file).join(named));
    }
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.strip_suffix(".test.toml") {
        Some(stem) if !stem.is_empty() => Ok(folder_of(file).join(format!("{stem}.toml"))),
        _ => {
            let words = format!(
                "{}: which run file does it test? Call it NAME.test.toml, beside NAME.toml, or write `runs = \"NAME.toml\"` in it",
                file.display()
            );
            Err(Failure::words(Exit::Usage, words))
        }
    }
}

/// What a seed is replayed with, and where progress is told.
struct Replay<'a> {
    file: &'a str,
    screen: &'a Screen,
}

/// Checks a test under each seed, until one fails; tells now and then how far it is.
fn check(
    test: &Test,
    trial: &Trial,
    seeds: std::ops::RangeInclusive<u64>,
    replay: &Replay<'_>,
) -> Verdict {
    let command =
        format!("synod test {} --test {} --seed ", quoted(replay.file), quoted(&test.name));
    // A panic is the finding of a seed, not the program's.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let sim = trial.sim(move |seed| format!("{command}{seed}"));
    let clock = SystemClock::new();
    let mut told: Moment = clock.now();
    let (mut report, mut broken) = (Report::default(), None);
    let last = *seeds.end();
    for seed in seeds {
        match sim.check_seed(seed) {
            Ok(one) => report.add(&one),
            Err(failure) => {
                broken = Some(failure);
                break;
            }
        }
        if clock.now().since(told) >= LINE_EVERY {
            told = clock.now();
            replay.screen.tell(&format!("{}: seed {seed} of {last}", test.name));
        }
    }
    panic::set_hook(hook);
    let skipped = trial.skipped().iter().map(|one| one.agent.clone()).collect();
    let faults = !test.faults.is_empty();
    Verdict { name: test.name.clone(), faults, skipped, report, broken }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Verdict {
    fn text(&self) -> String {
        let name = clean(&self.name);
        match &self.broken {
            None => {
                let Report { seeds, steps, faults, .. } = self.report;
                let without = match self.skipped.as_slice() {
                    [] => String::new(),
                    skipped => format!(", without {}", skipped.join(", ")),
                };
                let seeds = counted(seeds, "seed");
                let (struck, missed) = match (self.faults, faults) {
                    (false, _) => (String::new(), ""),
                    (true, 0) => (", no fault struck".to_owned(), MISSED),
                    (true, faults) => (format!(", {}", counted(faults, "fault")), ""),
                };
                format!("ok      {name} ({seeds}, {steps} steps{struck}{without})\n{missed}")
            }
            Some(broken) => {
                let lines: String =
                    broken.to_string().lines().map(|line| format!("  {}\n", clean(line))).collect();
                format!("FAILED  {name}\n{lines}")
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        let failure = self.broken.as_ref().map(|broken| {
            json!({
                "seed": broken.seed,
                "problem": broken.problem,
                "steps": broken.steps.lines().map(str::trim).collect::<Vec<_>>(),
                "replay": broken.replay,
            })
        });
        json!({
            "name": self.name,
            "passed": self.broken.is_none(),
            "seeds": self.report.seeds,
            "steps": self.report.steps,
            "faults": self.report.faults,
            "virtual_ms": u64::try_from(self.report.time.as_millis()).unwrap_or(u64::MAX),
            "trace": format!("{:016x}", self.report.hash),
            "skipped": self.skipped,
            "failure": failure,
        })
    }
}

fn document(file: &str, verdicts: &[Verdict]) -> String {
    let passed = verdicts.iter().filter(|verdict| verdict.broken.is_none()).count();
    let tests: Vec<serde_json::Value> = verdicts.iter().map(Verdict::json).collect();
    let failed = verdicts.len() - passed;
    let document = json!({ "file": file, "passed": passed, "failed": failed, "tests": tests });
    format!("{document:#}\n")
}

/// Runs the programs of all tests that have a cassette, and writes what they answered.
fn recorded(read: &Read, launcher: &Launcher, screen: &Screen) -> Result<Exit, Failure> {
    let tests = read.tests.iter();
    let with: Vec<(&Test, PathBuf)> =
        tests.filter_map(|test| Some((test, test.cassette.clone()?))).collect();
    if with.is_empty() {
        let words = "there is nothing to record: no test has a `cassette`";
        return Err(Failure::words(Exit::Usage, words));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(&error))?;
    let mut cassettes = BTreeMap::new();
    for (test, path) in with {
        screen.tell(&format!("recording: {}", test.name));
        let recording = Box::pin(record(test, path, &read.run_file, launcher));
        let recorded = runtime.block_on(recording).map_err(|error| Failure::failed(&error))?;
        let Recorded { path, cassette, cancelled } = recorded;
        if let Some(after) = cancelled {
            let after = humantime::format_duration(after);
            let words = format!(
                "{}: the test has cancelled its run after {after}; what was answered until then is kept",
                test.name
            );
            screen.tell(&words);
        }
        let whole: &mut crate::trial::cassette::Cassette = cassettes.entry(path).or_default();
        whole.add(cassette);
    }
    runtime.shutdown_background();
    for (path, cassette) in cassettes {
        cassette.write(&path).map_err(|error| Failure::failed(&error))?;
        let answers = counted(cassette.len() as u64, "answer");
        print(&format!("{}: {answers}\n", clean(&path.display().to_string())))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("examples/a.test.toml"), "examples/a.test.toml");
        assert_eq!(quoted("it doesn't end"), "'it doesn'\\''t end'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_test_file_is_beside_its_run_file() {
        let path = |file: &str, text: &str| run_path(Path::new(file), text).ok();
        assert_eq!(path("a/b.test.toml", ""), Some(PathBuf::from("a/b.toml")));
        assert_eq!(path("b.test.toml", "runs = \"c.toml\""), Some(PathBuf::from("./c.toml")));
        assert_eq!(path("b.toml", ""), None);
    }
}
