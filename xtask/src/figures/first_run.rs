//! `first_run`: the README's first command on a fresh clone, beside a clean build of ractor and tokio alone.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::record::{Goal, Measured, OURS};
use crate::shell::{self, Watch};

/// The name of the figure.
pub(crate) const NAME: &str = "first_run";
/// The name of what it is compared with.
const REFERENCE: &str = "build of ractor and tokio";
/// The README's first command.
const COMMAND: &str = "cargo run --release -- run examples/code_review.toml";
/// Exit codes with which a review has ended and reported: nothing found, or findings.
const REPORTED: [i32; 2] = [0, 3];

/// Measures one run; each builds from nothing, so there is no short form.
///
/// # Errors
/// When the clone or the reference cannot be made. A first command that fails is why the figure cannot be measured.
pub(crate) fn measure(root: &Path, short: bool) -> Result<Measured> {
    let mut measured = Measured {
        name: NAME.to_owned(),
        unit: "s".to_owned(),
        goal: Goal {
            ratio: 12.0,
            at_least: false,
            reference: REFERENCE.to_owned(),
            absolute: Some(240.0),
        },
        peers: Vec::new(),
        rounds: Vec::new(),
        why: None,
    };
    if short {
        measured.why = Some("cannot be measured in short form: it builds from nothing".to_owned());
        return Ok(measured);
    }
    let work = tempfile::tempdir().context("make a folder to build in")?;
    let mut round = BTreeMap::from([(REFERENCE.to_owned(), reference(root, work.path())?)]);
    match ours(root, work.path())? {
        Ok(seconds) => {
            round.insert(OURS.to_owned(), seconds);
        }
        Err(why) => measured.why = Some(why),
    }
    measured.rounds.push(round);
    Ok(measured)
}

/// Runs the first command; the inner error says why it reported nothing.
fn ours(root: &Path, work: &Path) -> Result<Result<f64, String>> {
    let clone = work.join("clone");
    let mut git = shell::command(root, "git clone --quiet --no-hardlinks .");
    shell::read(git.arg(&clone))?;
    let mut command = clean(shell::command(&clone, COMMAND), &clone.join("target"));
    let watch = Watch::start();
    let output = command.output().with_context(|| format!("run {COMMAND}"))?;
    let seconds = watch.time().as_secs_f64();
    if output.status.code().is_some_and(|code| REPORTED.contains(&code))
        && !output.stdout.is_empty()
    {
        return Ok(Ok(seconds));
    }
    let errors = shell::last_lines(&String::from_utf8_lossy(&output.stderr), 5);
    Ok(Err(format!("cannot be measured: `{COMMAND}` ended with {}: {errors}", output.status)))
}

/// Builds a package with nothing but ractor and tokio, at the versions and features of this workspace.
fn reference(root: &Path, work: &Path) -> Result<f64> {
    let package = work.join("reference");
    fs::create_dir_all(package.join("src")).context("create the reference")?;
    let workspace =
        fs::read_to_string(root.join("Cargo.toml")).context("read the workspace's manifest")?;
    let (_, table) = workspace
        .split_once("[workspace.dependencies]")
        .context("find the workspace's dependencies")?;
    let line = |name: &str| table.lines().find(|line| line.starts_with(&format!("{name} = ")));
    let dependencies = ["ractor", "tokio"].map(|name| line(name).unwrap_or_default());
    let manifest = format!(
        "[package]\nname = \"reference\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{}\n",
        dependencies.join("\n")
    );
    fs::write(package.join("Cargo.toml"), manifest).context("write the reference's manifest")?;
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).context("copy the lock file")?;
    fs::write(package.join("src/main.rs"), "fn main() {}\n").context("write the reference")?;
    let target = package.join("target");
    shell::read(&mut clean(shell::command(&package, "cargo fetch --quiet"), &target))?;
    let watch = Watch::start();
    shell::read(&mut clean(shell::command(&package, "cargo build --release --quiet"), &target))?;
    Ok(watch.time().as_secs_f64())
}

/// Gives a build an empty target folder of its own and none of this build's settings.
fn clean(mut command: Command, target: &Path) -> Command {
    for (key, _) in
        std::env::vars().filter(|(key, _)| key.starts_with("CARGO_") && key != "CARGO_HOME")
    {
        command.env_remove(key);
    }
    command.env("CARGO_TARGET_DIR", target);
    command
}
