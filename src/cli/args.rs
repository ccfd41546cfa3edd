//! The command line, as clap reads it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use review::Severity;

use super::exit::Exit;
use crate::{
    limits::DRAIN_WAIT,
    runfile::{Set, limits::SEEDS_MAX},
};

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(name = "synod", version, about = ABOUT, after_help = after_help(), max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const ABOUT: &str = "Runs teams of agents as supervised actors";

fn after_help() -> String {
    format!(
        "Exit codes:\n{}\nRuns are kept in $SYNOD_DATA, else $XDG_STATE_HOME/synod, else ~/.local/state/synod.\n\
         SYNOD_LOG chooses what is logged to standard error, as `info` or `synod_actors=debug`.",
        Exit::help()
    )
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a run file and prints its report
    Run(Run),
    /// Takes an interrupted run up again; what was finished is not run again
    Resume(Resume),
    /// Finds every mistake of a run file and runs nothing
    Check(Check),
    /// Runs the tests of a test file in the simulation: faults and order from seeds, no program, no network
    Test(Test),
    /// Lists the runs that are kept
    Runs(Listing),
    /// Shows a run: its outcome, its parts, and where the time went
    Show(Show),
    /// Cancels a run that another process runs, or stops it in an emergency
    Cancel(Cancel),
    /// Serves one built-in agent over standard input and output, for a run file's `process`
    Agent {
        /// The built-in agent, as `review.rust`
        name: String,
    },
    /// Prints the JSON Schema of run files, for editors
    Schema {
        /// That of test files
        #[arg(long)]
        tests: bool,
    },
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page
    Man,
}

/// `synod run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The run file
    pub file: PathBuf,
    /// Gives an input of the run file its value
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    pub inputs: Vec<(String, String)>,
    /// Changes a key of the run file for this run, as `limit.deadline=1h`
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = set)]
    pub overrides: Vec<Set>,
    /// How the result is shown
    #[command(flatten)]
    pub view: View,
    /// Where runs are kept
    #[command(flatten)]
    pub data: Data,
}

/// `synod resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// Changes a limit of the run file from now on, as `limit.messages=1000`
    #[arg(long = "set", value_name = "limit.KEY=VALUE", value_parser = set_limit)]
    pub limits: Vec<Set>,
    /// How the result is shown
    #[command(flatten)]
    pub view: View,
    /// Where runs are kept
    #[command(flatten)]
    pub data: Data,
}

/// How the result of a run is shown.
#[derive(Debug, Clone, Args)]
pub struct View {
    /// Prints one JSON document on standard output and nothing else
    #[arg(long, conflicts_with = "report")]
    pub json: bool,
    /// Writes the whole report to a file, its format by its ending: .md, .html or .sarif
    #[arg(long, value_name = "FILE", value_parser = report)]
    pub report: Option<ReportFile>,
    /// Draws the live graph of actors on the terminal while the run goes on
    #[arg(long)]
    pub watch: bool,
    /// Ends with exit code 5 if there are findings of this severity or worse
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<FailOn>,
    /// Prints the node's metrics in the text format of Prometheus at the end
    #[arg(long)]
    pub metrics: bool,
    /// Lets the run go on for so long after SIGTERM before it is cancelled
    #[arg(long, value_name = "TIME", default_value = DRAIN_WAIT, value_parser = humantime::parse_duration)]
    pub drain: Duration,
}

/// The file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Where it is written.
    pub path: PathBuf,
    /// What is written.
    pub format: ReportFormat,
}

/// What is written as a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// For people and merge requests.
    Markdown,
    /// One page with everything in it.
    Html,
    /// For code hosts.
    Sarif,
}

/// From which severity on findings change the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors only
    Error,
    /// Errors and warnings
    Warning,
    /// Any finding
    Note,
}

impl FailOn {
    /// Gives the least severity that counts.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

/// `synod check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The run file
    pub file: PathBuf,
    /// Changes a key of the run file before it is checked
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = set)]
    pub overrides: Vec<Set>,
}

/// `synod test`.
#[derive(Debug, Args)]
pub struct Test {
    /// The test file, as review.test.toml beside review.toml
    pub file: PathBuf,
    /// Runs the test of this name alone
    #[arg(long, value_name = "NAME")]
    pub test: Option<String>,
    /// Runs this seed alone
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "record"])]
    pub seed: Option<u64>,
    /// Runs under so many seeds, whatever the tests say
    #[arg(long, value_name = "N", conflicts_with = "record", value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX as u64))]
    pub seeds: Option<u64>,
    /// Runs the programs of the tests once, for real, and writes their answers to the cassettes
    #[arg(long, conflicts_with = "json")]
    pub record: bool,
    /// Prints one JSON document on standard output and nothing else
    #[arg(long)]
    pub json: bool,
}

/// `synod runs`.
#[derive(Debug, Args)]
pub struct Listing {
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub data: Data,
}

/// `synod show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// Lists what happened to each piece of work, in the order of time
    #[arg(long, conflicts_with = "json")]
    pub events: bool,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub data: Data,
}

/// `synod cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// Stops everything at once: programs are killed without grace, nothing is reported; who did it and why is kept with the run
    #[arg(long)]
    pub emergency: bool,
    /// Why, for those who look at the run later
    #[arg(long, value_name = "TEXT", requires = "emergency", default_value = "no reason given")]
    pub reason: String,
    /// Where runs are kept
    #[command(flatten)]
    pub data: Data,
}

/// Where runs are kept.
#[derive(Debug, Args)]
pub struct Data {
    /// The folder that runs are kept in
    #[arg(long = "data", value_name = "DIR", env = "SYNOD_DATA")]
    pub folder: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn set(text: &str) -> Result<Set, String> {
    pair(text).map(|_| Set(text.to_owned())).map_err(|_| "write PATH=VALUE".to_owned())
}

/// What a run was split and assigned by cannot change once it began; what it may use can.
fn set_limit(text: &str) -> Result<Set, String> {
    let set = set(text)?;
    if !text.trim_start().starts_with("limit.") {
        return Err("only limits can be changed when a run is resumed: limit.KEY=VALUE".to_owned());
    }
    Ok(set)
}

fn report(text: &str) -> Result<ReportFile, String> {
    let path = PathBuf::from(text);
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => ReportFormat::Markdown,
        Some("html") => ReportFormat::Html,
        Some("sarif") => ReportFormat::Sarif,
        Some(_) | None => return Err("name a file that ends in .md, .html or .sarif".to_owned()),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(format!("there is no folder {}; make it first", folder.display()))
        }
        _ => Ok(ReportFile { path, format }),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_a_run_are_read() {
        let line = [
            "synod",
            "run",
            "a.toml",
            "--input",
            "path=x=y",
            "--set",
            "a.b=1",
            "--report",
            "out.sarif",
        ];
        let Command::Run(run) = Cli::parse_from(line).command else { panic!("not a run") };
        assert_eq!(run.inputs, [("path".to_owned(), "x=y".to_owned())]);
        assert_eq!(run.overrides, [Set("a.b=1".to_owned())]);
        assert_eq!(run.view.report.unwrap().format, ReportFormat::Sarif);
    }

    #[test]
    fn a_resumed_run_takes_other_limits_and_nothing_else() {
        let parse = |set: &str| Cli::try_parse_from(["synod", "resume", "last", "--set", set]);
        let Ok(Cli { command: Command::Resume(resume) }) = parse("limit.messages=5") else {
            panic!("not a resume");
        };
        assert_eq!(resume.limits, [Set("limit.messages=5".to_owned())]);
        for wrong in ["agents.ruff.count=2", "limit.messages", "main=x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        for line in [
            &["--report", "out.pdf"][..],
            &["--report", "no/such/folder/out.md"],
            &["--input", "path"],
            &["--set", "=1"],
            &["--json", "--report", "out.md"],
            &["--fail-on", "sometimes"],
        ] {
            let line = ["synod", "run", "a.toml"].iter().chain(line);
            assert!(Cli::try_parse_from(line).is_err());
        }
    }
}
