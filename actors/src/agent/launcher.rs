//! Starts programs so that nothing of them outlives their call: this program runs itself again, twice.
//!
//! Command and process agents call [`Launcher`]. `start` runs our own binary as a *launcher* process, which runs it once
//! more as the *program stage*, which becomes the program ([`child`] is what happens there):
//!
//! ```text
//! this process ──lifeline (stdin)──▶ launcher ──▶ program in a session of its own ──▶ its descendants
//! ```
//!
//! The launcher's standard input is the lifeline: its other end is held by this process alone, so the launcher sees it
//! hang up when the call ends early and when this process dies in any way, SIGKILL included. It then kills the program's
//! process group, then, as their subreaper, every descendant that left the group, reaps all of them and ends.
//! It does the same when the program ends by itself. If the launcher is killed, the kernel kills the program.
//!
//! # Invariants
//! - Dropping a [`Running`] kills its program: the lifeline is a field of it. After an emergency stop it does so without grace.
//! - The last thing on the launcher's standard error, after all others that could write there are dead, is its
//!   [`Report`] behind a zero byte; so an exit code, a signal and a failed start are told apart for sure.

mod child;
mod living;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runtime::emergency::Halt;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, BufReader, sink};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use self::living::Living;
use super::call::AgentError;
use super::output::{Tail, collect};
use super::program::{Program, ProgramLimits};
use crate::limits::{LIVING_LOOK, REPORT_REASON_BYTES_MAX, STOP_WAIT};

/// The first argument that makes this program a launcher.
const WORD: &str = "__synod_launcher";

/// What a process runs to become this program again, also after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Starts programs through a binary that calls [`Launcher::intercept`] first in its `main`.
///
/// Its clones are one launcher.
#[derive(Clone, Debug)]
pub struct Launcher {
    binary: PathBuf,
    living: Arc<Living>,
}

impl Launcher {
    /// Serves as the launcher if this process was started as one; else gives the launcher that this program can be.
    ///
    /// Must be the first thing in `main`, before any thread, because a program waits for it.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use synod_actors::agent::Launcher;
    /// fn main() -> ExitCode {
    ///     let launcher = match Launcher::intercept() {
    ///         Ok(launcher) => launcher,
    ///         Err(served) => return served,
    ///     };
    ///     println!("{launcher:?} is for agents that are programs");
    ///     ExitCode::SUCCESS
    /// }
    /// ```
    ///
    /// # Errors
    /// The code to return from `main` at once, when this process was a launcher; its work is done.
    pub fn intercept() -> Result<Self, ExitCode> {
        let mut arguments = std::env::args_os().skip(1);
        if arguments.next().is_some_and(|word| word == WORD) {
            return Err(child::serve(arguments));
        }
        Ok(Self::at(OWN_PROGRAM))
    }

    /// Uses another binary that intercepts, such as an installed `synod`.
    pub fn at(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), living: Arc::default() }
    }

    /// Waits until nothing is left of all that was started: each program, and what it started, ends with its call.
    ///
    /// # Cancel safety
    /// Dropping the future ends the waiting and nothing else.
    pub async fn quiet(&self) {
        while !self.living.is_empty() {
            sleep(LIVING_LOOK).await;
        }
    }

    /// Starts nothing any more, kills at once all that was started, and waits until nothing is left of it.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Cancel safety
    /// What was not killed when the future is dropped has its grace.
    pub async fn kill(&self) -> io::Result<()> {
        self.living.close();
        while !self.living.is_empty() {
            self.living.kill_programs()?;
            sleep(LIVING_LOOK).await;
        }
        Ok(())
    }

    /// Starts a program; it runs until it ends, or until the [`Running`] is dropped.
    ///
    /// # Errors
    /// `NotFound` and `NotExecutable` for the program, `Refused` for its directory, `Lost` when the system starts no more processes.
    pub(super) fn start(&self, launch: Launch<'_>) -> Result<Running, AgentError> {
        let order = launch.order()?;
        let program = launch.program.find()?;
        if !launch.directory.is_dir() {
            let reason =
                format!("the working directory {} is not a directory", launch.directory.display());
            return Err(AgentError::Refused { reason });
        }
        let mut command = Command::new(&self.binary);
        command.arg0("synod-launcher").arg(WORD).arg(order).arg(program).args(launch.arguments);
        command.env_clear().envs(launch.environment).current_dir(launch.directory);
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| lost("cannot start its launcher", &error))?;
        let may_go_on = child.id().map_or(Ok(true), |pid| self.living.enter(pid));
        if !may_go_on.map_err(|error| lost("cannot watch its launcher", &error))? {
            let killed = child.id().map_or(Ok(()), |pid| self.living.end(pid));
            killed.map_err(|error| lost("cannot end its launcher", &error))?;
            return Err(AgentError::Refused { reason: "all programs are being ended".to_owned() });
        }
        Running::new(child, launch.program.grace, Arc::clone(&self.living))
    }
}

/// Says what to start, and how.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    /// The program, its limits and its grace.
    pub(super) program: &'a Program,
    /// The arguments, the name first.
    pub(super) arguments: Vec<OsString>,
    /// The working directory.
    pub(super) directory: PathBuf,
    /// All variables of its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// What it reads.
    pub(super) input: Input,
}

impl Launch<'_> {
    fn order(&self) -> Result<String, AgentError> {
        let grace_ms = u64::try_from(self.program.grace.as_millis()).unwrap_or(u64::MAX);
        let order =
            Order { stage: Stage::Watch, input: self.input, grace_ms, limits: self.program.limits };
        order.to_text().map_err(|error| AgentError::Refused { reason: error.to_string() })
    }
}

/// Says what a program reads from its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Input {
    /// Nothing.
    Null,
    /// What is written to the lifeline; its end asks the program to end.
    Lifeline,
}

/// Tells a process of ours what it is to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    stage: Stage,
    input: Input,
    grace_ms: u64,
    limits: ProgramLimits,
}

impl Order {
    fn to_text(self) -> serde_json::Result<String> {
        serde_json::to_string(&self)
    }
}

/// The two processes between us and a program.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Stage {
    /// The launcher.
    Watch,
    /// What becomes the program, as long as its parent is this launcher.
    Become { launcher: i32 },
}

/// Tells how a program ended, as its launcher saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// It ended with an exit code.
    Exited(i32),
    /// A signal killed it.
    Killed(i32),
    /// It was never started.
    NotStarted(String),
}

impl Report {
    fn not_started(what: &str, error: &io::Error) -> Self {
        let mut reason = format!("{what}: {error}");
        reason.truncate(reason.floor_char_boundary(REPORT_REASON_BYTES_MAX));
        Self::NotStarted(reason)
    }

    /// Takes the report off the end of standard error; the program stage's own comes before its launcher's.
    fn take(tail: &mut Vec<u8>) -> Option<Self> {
        let last = Self::take_last(tail)?;
        match Self::take_last(tail) {
            Some(failed @ Self::NotStarted(_)) => Some(failed),
            Some(_) | None => Some(last),
        }
    }

    fn take_last(tail: &mut Vec<u8>) -> Option<Self> {
        let start = tail.iter().rposition(|byte| *byte == 0)?;
        let report = serde_json::from_slice(tail.get(start + 1..)?).ok()?;
        tail.truncate(start);
        Some(report)
    }
}

/// Tells how a program ended and what it last said on its standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    report: Result<Report, String>,
    pub(super) stderr: String,
}

impl Ended {
    fn new(tail: Tail, launcher: ExitStatus) -> Self {
        let mut tail = tail.into_bytes();
        let report = Report::take(&mut tail).ok_or_else(|| format!("its launcher: {launcher}"));
        Self { report, stderr: String::from_utf8_lossy(&tail).trim().to_owned() }
    }

    /// Gives the exit code.
    ///
    /// # Errors
    /// `Lost` when a signal killed the program or its launcher, or when it could not be started.
    pub(super) fn code(&self) -> Result<i32, AgentError> {
        match &self.report {
            Ok(Report::Exited(code)) => Ok(*code),
            Ok(Report::Killed(signal)) => Err(AgentError::Lost { reason: self.killed_by(*signal) }),
            Ok(Report::NotStarted(reason)) | Err(reason) => {
                Err(AgentError::Lost { reason: reason.clone() })
            }
        }
    }

    fn killed_by(&self, signal: i32) -> String {
        let why = match Signal::from_named_raw(signal) {
            Some(Signal::XCPU) => ", its limit of processor time",
            Some(Signal::XFSZ) => ", its limit of file size",
            Some(_) | None => "",
        };
        format!("killed by signal {signal}{why}{}", super::output::said(&self.stderr))
    }
}

/// Holds a running program; dropping it kills the program and all that it started.
#[derive(Debug)]
pub(super) struct Running {
    /// The lifeline; `None` once it was cut.
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: BufReader<ChildStdout>,
    pub(super) errors: Errors,
    /// Whether the node of its last call was stopped in an emergency; none where it was called on no node.
    pub(super) halt: Option<Halt>,
    grace: Duration,
    living: Arc<Living>,
}

impl Running {
    fn new(mut child: Child, grace: Duration, living: Arc<Living>) -> Result<Self, AgentError> {
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(AgentError::Lost { reason: "its launcher has no pipes".to_owned() });
        };
        let errors = Errors { child, stderr, tail: Tail::default() };
        let stdout = BufReader::new(stdout);
        Ok(Self { stdin: Some(stdin), stdout, errors, halt: None, grace, living })
    }

    /// Reads all that the program prints, at most `bytes_max`, and waits for its end.
    ///
    /// # Errors
    /// `TooMuchOutput` at once, while the program still runs; `Lost` when its pipes fail.
    pub(super) async fn gather(
        &mut self,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, Ended), AgentError> {
        tokio::try_join!(collect(&mut self.stdout, bytes_max), self.errors.end())
    }

    /// Cuts the lifeline and waits, within its grace and [`STOP_WAIT`], until every process is gone.
    ///
    /// When they are not, the launcher is killed, and the program with it; whoever runs this program is told.
    pub(super) async fn stop(&mut self) {
        drop(self.stdin.take());
        let wait = self.grace.saturating_add(STOP_WAIT);
        let quiet = async { tokio::join!(drain(&mut self.stdout), self.errors.end()) };
        let stopped = match timeout(wait, quiet).await {
            Ok((Ok(_), ended)) => ended.map(drop),
            Ok((Err(error), _)) => Err(lost("cannot read its output", &error)),
            Err(_elapsed) => Err(AgentError::TimedOut { after: wait }),
        };
        if let Err(why) = stopped {
            tracing::error!(%why, "a killed program may have left processes behind");
            self.errors.kill();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.halt.as_ref().is_some_and(Halt::is_ordered) {
            return;
        }
        // Before the lifeline is cut, which would be the begin of its grace.
        if let Some(Err(why)) = self.errors.child.id().map(|pid| self.living.end(pid)) {
            tracing::error!(%why, "cannot kill a program at once; it has its grace");
        }
    }
}

/// Follows a launcher through its standard error until it ends.
#[derive(Debug)]
pub(super) struct Errors {
    child: Child,
    stderr: ChildStderr,
    tail: Tail,
}

impl Errors {
    /// Reads standard error until its end, keeping the tail.
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub(super) async fn follow(&mut self) -> Result<(), AgentError> {
        self.tail
            .follow(&mut self.stderr)
            .await
            .map_err(|error| lost("cannot read its errors", &error))
    }

    /// Waits until the launcher, and with it every process of the program, is gone.
    ///
    /// # Cancel safety
    /// Safe: it can be awaited again, until it has given the end.
    pub(super) async fn end(&mut self) -> Result<Ended, AgentError> {
        self.follow().await?;
        let status = self.child.wait().await;
        let status = status.map_err(|error| lost("cannot wait for its launcher", &error))?;
        Ok(Ended::new(std::mem::take(&mut self.tail), status))
    }

    /// Tells whether the launcher, and so the program or what it started, is still there.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn kill(&mut self) {
        if let Err(why) = self.child.start_kill() {
            tracing::error!(%why, "cannot kill a launcher");
        }
    }
}

async fn drain(stdout: &mut (impl AsyncRead + Unpin)) -> io::Result<u64> {
    tokio::io::copy(stdout, &mut sink()).await
}

pub(super) fn lost(what: &str, error: &io::Error) -> AgentError {
    AgentError::Lost { reason: format!("{what}: {error}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn ended(stderr: &[u8]) -> Ended {
        let mut tail = Tail::default();
        tail.push(stderr);
        Ended::new(tail, ExitStatus::from_raw(9))
    }

    #[test]
    fn the_launcher_has_the_last_word_and_the_program_cannot_take_it() {
        let honest = ended(b"warning\0{\"Exited\":3}");
        assert_eq!((honest.code(), honest.stderr.as_str()), (Ok(3), "warning"));
        let forged = ended(b"\0{\"Exited\":0}\0{\"Killed\":9}");
        assert_eq!(
            forged.code().unwrap_err().to_string(),
            "the agent was lost: killed by signal 9"
        );
    }

    #[test]
    fn an_exit_code_over_128_is_not_a_signal() {
        assert_eq!(ended(b"\0{\"Exited\":137}").code(), Ok(137));
    }

    #[test]
    fn a_program_that_could_not_start_is_lost_for_that_reason() {
        let failed = ended(b"\0{\"NotStarted\":\"exec format error\"}\0{\"Exited\":127}");
        let reason = "exec format error".to_owned();
        assert_eq!(failed.code(), Err(AgentError::Lost { reason }));
    }

    #[test]
    fn a_launcher_that_was_killed_makes_no_report_and_is_named() {
        let error = ended(b"half a line").code().unwrap_err();
        assert!(error.to_string().contains("its launcher: signal: 9"), "{error}");
    }

    #[test]
    fn a_limit_of_the_system_is_named_with_its_signal() {
        let error = ended(b"\0{\"Killed\":24}").code().unwrap_err().to_string();
        assert!(error.contains("limit of processor time"), "{error}");
    }
}
