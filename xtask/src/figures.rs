//! `figures`: measures what the README claims, beside its floors, on the machine it runs on.
//!
//! The package `synod-figures` holds the workloads and prints one raw line a figure; this task builds and runs it,
//! adds `first_run`, which is a build and so no workload of a program, and renders records as a table or as JSON.
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{large_tree, shell};

mod first_run;
mod peers;
mod record;
mod table;

use record::{Measured, Record};

/// What to measure and how to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// Measure only the figures with these names, or of these families (such as mailbox)
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Less work and fewer runs: under 10 s a figure
    #[arg(long)]
    short: bool,
    /// Measure other frameworks beside it, as far as they can be installed
    #[arg(long)]
    peers: bool,
    #[command(flatten)]
    output: Output,
    /// The profile to build with; published figures use the default
    #[arg(long, default_value = "dist")]
    profile: String,
}

/// Where the figures go, beside the terminal.
#[derive(Args)]
struct Output {
    /// One line of JSON a figure
    #[arg(long)]
    json: bool,
    /// Write the table to docs/FIGURES.md; with `--only`, what is not measured stays there as it is
    #[arg(long, conflicts_with = "short")]
    write: bool,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Measures and prints the figures.
///
/// # Errors
/// When the workloads do not build, one of them breaks, or a name fits no figure. A figure that misses its goal is no error.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let mut measured = Vec::new();
    if options.wants(first_run::NAME) {
        shell::complain(first_run::NAME);
        measured.push(first_run::measure(root, options.short)?);
    }
    if options.only.is_empty() || options.only.iter().any(|only| only != first_run::NAME) {
        measured.extend(workloads(root, options)?);
    }
    ensure!(
        !measured.is_empty(),
        "no figure and no family is called {}",
        options.only.join(" or ")
    );
    let records: Vec<Record> = measured.iter().map(Measured::record).collect();
    if options.output.json {
        for record in &records {
            shell::say(&serde_json::to_string(record).context("print a record")?);
        }
    } else {
        shell::say(&table::render(&measured, &records));
    }
    if options.output.write {
        let path = root.join("docs/FIGURES.md");
        fs::create_dir_all(root.join("docs")).context("create docs")?;
        let old = fs::read_to_string(&path).unwrap_or_default();
        let page = table::page(&table::machine(root)?, &old, &measured, &records)?;
        fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Builds and runs the program that holds the workloads.
fn workloads(root: &Path, options: &Options) -> Result<Vec<Measured>> {
    let build = format!(
        "cargo build --locked --quiet --package synod-figures --profile {}",
        options.profile
    );
    shell::read(&mut shell::command(root, &build))?;
    let folder = if options.profile == "dev" { "debug" } else { &options.profile };
    let program = shell::target(root).join(folder).join("synod-figures");
    let mut command = shell::command(root, &program.to_string_lossy());
    command.stdin(Stdio::null());
    options.only.iter().for_each(|name| {
        command.args(["--only", name]);
    });
    if options.short {
        command.arg("--short");
    }
    if options.wants("review.wall") || options.wants("review") {
        command.arg("--tree").arg(large_tree::unpack(root)?);
    }
    if options.peers {
        command.arg("--peers").arg(peers::install(root, &options.profile)?);
    }
    let lines = shell::read(&mut command)?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("parse `{line}`")))
        .collect()
}
