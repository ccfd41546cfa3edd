//! One `git` command: bounded in time and output, deaf to the environment's repository.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::limits::{GIT_ERROR_BYTES_MAX, GIT_OUTPUT_BYTES_MAX, GIT_SECONDS_MAX};

/// Why a `git` command gave no output.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program is not there.
    #[error("the program `git` cannot be started: install it, or review a path instead of a diff")]
    Start(#[source] std::io::Error),
    /// It ended with an error.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// The subcommand.
        command: String,
        /// What it printed as its error.
        message: String,
    },
    /// It took too long.
    #[error("`git {command}` took longer than {GIT_SECONDS_MAX} seconds and was stopped")]
    TimedOut {
        /// The subcommand.
        command: String,
    },
    /// It printed too much.
    #[error(
        "`git {command}` printed more than {GIT_OUTPUT_BYTES_MAX} bytes: review a smaller range or a folder"
    )]
    TooLarge {
        /// The subcommand.
        command: String,
    },
    /// It printed something else than expected.
    #[error("`git {command}` printed what is not understood: {what}")]
    Garbled {
        /// The subcommand.
        command: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// Variables by which the environment would point git to another repository or program.
const FOREIGN_VARIABLES: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_CONFIG_PARAMETERS",
    "GIT_PREFIX",
];

/// Runs one command in a folder, with some bytes as its input, and returns what it prints.
pub(super) fn run<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: &[S],
    input: &[u8],
) -> Result<Vec<u8>, GitError> {
    let name = arguments
        .first()
        .map_or(String::new(), |name| name.as_ref().to_string_lossy().into_owned());
    let mut child = start(folder, arguments)?;
    let output = std::thread::scope(|scope| {
        let (done, finished) = mpsc::channel();
        if let Some(mut stdin) = child.stdin.take() {
            // a git that ends early reads no more; its exit status says why
            scope.spawn(move || stdin.write_all(input).unwrap_or_default());
        }
        let errors = child
            .stderr
            .take()
            .map(|stderr| scope.spawn(move || drain(stderr, GIT_ERROR_BYTES_MAX)));
        if let Some(stdout) = child.stdout.take() {
            scope.spawn(move || done.send(bounded(stdout)).unwrap_or_default());
        }
        let output = finished.recv_timeout(Duration::from_secs(GIT_SECONDS_MAX));
        if output.is_err() {
            stop(&mut child);
        }
        let message = errors.and_then(|errors| errors.join().ok()).unwrap_or_default();
        (output, message)
    });
    let status = child.wait().map_err(GitError::Start)?;
    match output {
        (Err(_), _) => Err(GitError::TimedOut { command: name }),
        (Ok(None), _) => Err(GitError::TooLarge { command: name }),
        (Ok(Some(bytes)), _) if status.success() => Ok(bytes),
        (Ok(Some(_)), message) => {
            let message = String::from_utf8_lossy(&message).trim().to_owned();
            Err(GitError::Failed { command: name, message })
        }
    }
}

fn start<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Result<Child, GitError> {
    let mut command = Command::new("git");
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
    command
        .args(["--no-pager", "--literal-pathspecs", "-c", "core.fsmonitor=false"])
        .args(arguments)
        .current_dir(folder)
        .envs([
            ("LC_ALL", "C"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(GitError::Start)
}

fn stop(child: &mut Child) {
    // it may have ended by itself; `wait` tells
    child.kill().unwrap_or_default();
}

/// Everything that is printed, if it is within the limit.
fn bounded(output: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    output.take(GIT_OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= GIT_OUTPUT_BYTES_MAX).then_some(bytes)
}

/// Reads to the end and keeps the first bytes.
fn drain(mut output: impl Read, keep: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        let room = keep.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(read.min(room)));
    }
    kept
}
