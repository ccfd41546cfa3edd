//! Programs, their output and their time: the only file that prints, reads the clock or starts a program.
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How often a running program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How many lines of a failed program's output go into the error.
const SHOWN_LINES: usize = 60;

/// Prints one line for the user.
pub(crate) fn say(line: &str) {
    // a closed pipe behind `cargo xtask … | head` is no error of ours
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints one line about what is under way or went wrong, beside the results.
pub(crate) fn complain(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Measures how long something takes.
#[derive(Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "developers' tasks are timed by the wall clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Tells the time since the start.
    pub(crate) fn time(self) -> Duration {
        self.0.elapsed()
    }
}

/// Tells where the workspace is.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("find the workspace above xtask")?;
    root.canonicalize().with_context(|| format!("open workspace {}", root.display()))
}

/// Tells where build output goes: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Makes a command that runs in `dir`, its words split at spaces.
pub(crate) fn command(dir: &Path, words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs a program and returns what it printed on standard output; its errors pass through.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("run {shown}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "`{shown}` ended with {}\n{}",
        output.status,
        last_lines(&said, SHOWN_LINES)
    );
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {shown}"))
}

/// Runs a program, all of its output in the file `log`, at most for `limit`.
///
/// # Errors
/// When it cannot be started, fails, or does not end in time; then it is killed.
pub(crate) fn run_logged(command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    let shown = show(command);
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("open log {}", log.display()))?;
    let errors = file.try_clone().context("share the log")?;
    let mut child =
        command.stdout(file).stderr(errors).spawn().with_context(|| format!("start {shown}"))?;
    let status = wait(&mut child, limit).with_context(|| format!("run {shown}"))?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// Waits for a program at most for `limit`, then kills it.
fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let watch = Watch::start();
    // nobody sends: receiving is how this thread rests between two looks
    let (_open, rest) = mpsc::channel::<()>();
    loop {
        if let Some(status) = child.try_wait().context("wait for it")? {
            return Ok(status);
        }
        if watch.time() > limit {
            child.kill().context("kill it")?;
            child.wait().context("reap it")?;
            bail!("not done after {} s; killed", limit.as_secs());
        }
        rest.recv_timeout(POLL).err();
    }
}

/// Tells whether a program can be started.
pub(crate) fn is_installed(words: &str) -> bool {
    let mut command = command(Path::new("."), words);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Returns the last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// Writes a command as a person would type it.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_killed_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let mut hang = command(dir.path(), "tail -f /dev/null");
        let error = run_logged(&mut hang, &dir.path().join("log"), Duration::from_millis(50));
        assert!(format!("{:#}", error.unwrap_err()).contains("killed"));
    }

    #[test]
    fn a_failing_program_is_named_with_its_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut fail = command(dir.path(), "ls --no-such-option");
        let error = run_logged(&mut fail, &dir.path().join("log"), Duration::from_secs(60));
        assert!(error.unwrap_err().to_string().contains("ls --no-such-option"));
        assert!(std::fs::read_to_string(dir.path().join("log")).unwrap().contains("no-such"));
    }

    #[test]
    fn the_last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
    }
}
