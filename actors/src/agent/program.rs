//! A program that is an agent: its command line, its environment, its limits, and where it is installed.
//!
//! Command and process agents hold one and hand it to the launcher.
//!
//! # Invariants
//! - A program sees only the environment variables of [`VARIABLES`], the ones named by [`Program::variables`] and its
//!   call's own: never a token of ours.
//! - Limits only ever lower what the system allows.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::call::AgentError;
use crate::limits;

/// The variables that every program sees, where they are set.
pub const VARIABLES: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"];

/// Describes a program that is to be an agent.
///
/// ```
/// use std::time::Duration;
/// use synod_actors::agent::Program;
/// let mut ruff = Program::new(["ruff", "check", "--output-format=sarif", "{files}"]);
/// ruff.timeout = Duration::from_secs(30);
/// assert_eq!(ruff.name(), "ruff");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; a name without a slash is looked up on `PATH`.
    pub command: Vec<String>,
    /// The names of further environment variables that it may see.
    pub variables: Vec<String>,
    /// The time for one answer; after it the program is killed.
    pub timeout: Duration,
    /// The bytes that it may print for one answer; beyond them it is killed.
    pub output_bytes_max: usize,
    /// The time between being asked to end and being killed; zero kills at once.
    pub grace: Duration,
    /// What the system gives it.
    pub limits: ProgramLimits,
}

impl Program {
    /// Describes a program by its command line, with the default for everything else.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            timeout: limits::AGENT_TIMEOUT_DEFAULT,
            output_bytes_max: limits::OUTPUT_BYTES_DEFAULT,
            grace: limits::PROGRAM_GRACE_DEFAULT,
            limits: ProgramLimits::default(),
        }
    }

    /// Gives the program as it was asked for; empty when the command line is.
    pub fn name(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// Finds the program's file.
    ///
    /// # Errors
    /// `NotFound` when it is not installed, `NotExecutable` when this user may not run its file.
    pub fn find(&self) -> Result<PathBuf, AgentError> {
        probe(self.name()).map_err(|error| match error {
            NoProgram::NotFound(program) => AgentError::NotFound { program },
            NoProgram::NotExecutable(file) => {
                AgentError::NotExecutable { program: file.display().to_string() }
            }
        })
    }

    /// Gives the variables that the program may see, with the values of this process.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let names = VARIABLES.into_iter().chain(self.variables.iter().map(String::as_str));
        names.filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect()
    }
}

/// Limits the resources of every process of a program; `None` leaves what the system gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramLimits {
    /// Private writable memory of each process, in bytes; reserved address space does not count.
    pub memory_bytes: Option<u64>,
    /// Processor time of each process, in whole seconds.
    pub cpu_seconds: Option<u64>,
    /// Processes and threads of the *user*, this program and all others together; root is exempt.
    pub processes: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// The size of each file written, in bytes.
    pub file_bytes: Option<u64>,
}

impl Default for ProgramLimits {
    fn default() -> Self {
        Self {
            memory_bytes: Some(limits::PROGRAM_MEMORY_BYTES_DEFAULT),
            cpu_seconds: Some(limits::PROGRAM_CPU_SECONDS_DEFAULT),
            processes: None,
            open_files: Some(limits::PROGRAM_OPEN_FILES_DEFAULT),
            file_bytes: Some(limits::PROGRAM_FILE_BYTES_DEFAULT),
        }
    }
}

impl ProgramLimits {
    /// Limits the calling process and all that it starts; core dumps are always off.
    ///
    /// # Errors
    /// What the system says when it refuses a limit.
    pub(super) fn apply(&self) -> io::Result<()> {
        let limits = [
            (Resource::Core, Some(0)),
            (Resource::Data, self.memory_bytes),
            (Resource::Cpu, self.cpu_seconds),
            (Resource::Nproc, self.processes),
            (Resource::Nofile, self.open_files),
            (Resource::Fsize, self.file_bytes),
        ];
        for (resource, limit) in limits {
            if let Some(limit) = limit {
                lower(resource, limit)?;
            }
        }
        Ok(())
    }
}

/// Lowers one limit; processor time keeps a second between the signal that names the reason and the one that kills.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let held = getrlimit(resource);
    let spare = u64::from(resource == Resource::Cpu);
    let under = |wanted: u64, held: Option<u64>| Some(held.map_or(wanted, |held| held.min(wanted)));
    let maximum = under(limit.saturating_add(spare), held.maximum);
    Ok(setrlimit(resource, Rlimit { current: under(limit, maximum), maximum })?)
}

/// Why there is no program to start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    /// No file has its name.
    #[error("program `{0}` was not found; install it")]
    NotFound(String),
    /// A file has its name, and this user may not run it.
    #[error("program {} is not executable; make it so: chmod +x {}", .0.display(), .0.display())]
    NotExecutable(PathBuf),
}

/// Finds a program: a name without a slash on `PATH`, any other as a path from the current directory.
///
/// # Errors
/// [`NoProgram`]; of several files that are not executable, the first is named.
pub fn probe(program: &str) -> Result<PathBuf, NoProgram> {
    let files: Vec<PathBuf> = candidates(program).filter(|path| path.is_file()).collect();
    if let Some(found) = files.iter().find(|path| access(*path, Access::EXEC_OK).is_ok()) {
        return Ok(found.clone());
    }
    let not_executable = files.into_iter().next().map(NoProgram::NotExecutable);
    Err(not_executable.unwrap_or_else(|| NoProgram::NotFound(program.to_owned())))
}

/// Where a program may be, the best place first.
fn candidates(program: &str) -> impl Iterator<Item = PathBuf> {
    let is_path = program.contains('/');
    let given = is_path.then(|| std::path::absolute(program).ok()).flatten();
    let is_name = !is_path && !program.is_empty();
    let search = is_name.then(|| std::env::var_os("PATH")).flatten().unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&search).filter(|folder| folder.is_absolute()).collect();
    given.into_iter().chain(folders.into_iter().map(move |folder| folder.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_and_by_path_and_a_missing_one_is_named() {
        let shell = probe("sh").unwrap();
        assert!(shell.is_absolute());
        assert_eq!(probe(shell.to_str().unwrap()), Ok(shell));
        for missing in ["", "no-such-program", "/", "./no-such-program"] {
            assert_eq!(probe(missing), Err(NoProgram::NotFound(missing.to_owned())));
        }
        let error = Program::new(["no-such-program"]).find().unwrap_err();
        assert_eq!(error, AgentError::NotFound { program: "no-such-program".to_owned() });
    }

    #[test]
    fn a_file_that_is_not_executable_is_named_with_what_to_do() {
        let plain = tempfile::NamedTempFile::new().unwrap();
        let path = plain.path().to_str().unwrap();
        assert_eq!(probe(path), Err(NoProgram::NotExecutable(plain.path().to_owned())));
        let error = Program::new([path]).find().unwrap_err().to_string();
        assert!(error.contains(&format!("chmod +x {path}")), "{error}");
    }

    #[test]
    fn only_named_variables_are_seen() {
        let mut program = Program::new(["sh"]);
        let names = |program: &Program| -> Vec<OsString> {
            program.environment().into_iter().map(|(name, _)| name).collect()
        };
        assert!(names(&program).iter().all(|name| VARIABLES.iter().any(|known| name == known)));
        assert!(!names(&program).contains(&"CARGO_PKG_NAME".into()));
        program.variables.push("CARGO_PKG_NAME".to_owned());
        assert!(names(&program).contains(&"CARGO_PKG_NAME".into()));
    }
}
