//! The tasks of Synod's developers, run as `cargo xtask TASK`.
//!
//! `test` is what continuous integration runs; it never writes into the tree. `fix` writes.
//! This package depends on no other crate of the workspace, so that it builds when they do not.
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod figures;
mod large_tree;
mod shell;
mod soak;
mod steps;
mod tidy;
mod tools;

/// The tasks of Synod's developers.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing, then formats, lints, tests, documents: all checks, no writes
    Test(steps::TestOptions),
    /// Writes what a program can mend: formatting, lint suggestions, golden vectors
    Fix,
    /// Checks the rules of the tree that no compiler checks
    Tidy,
    /// Measures the published figures beside their floors
    Figures(figures::Options),
    /// Runs the long forms of tests
    Soak(soak::Options),
    /// Unpacks a large tree of released packages into target/cache and prints its path
    LargeTree,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            shell::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a task; returns whether all that it checked passed.
fn run(command: Command) -> Result<bool> {
    let root = shell::root()?;
    match command.task {
        Task::Test(options) => return steps::test(&root, &options),
        Task::Fix => steps::fix(&root)?,
        Task::Tidy => tidy::check(&root)?,
        Task::Figures(options) => figures::run(&root, &options)?,
        Task::Soak(options) => soak::run(&root, &options)?,
        Task::LargeTree => shell::say(&large_tree::unpack(&root)?.display().to_string()),
    }
    Ok(true)
}
