//! Command agents: a program that is run once for each part.
//!
//! A slot calls it; it starts the program through the [`Launcher`], waits for its end within bounds and decodes what it
//! printed through [`Reads`]. docs/AGENTS.md tells the authors of programs what they are given.
//!
//! # Invariants
//! - When a call resolves, or its future was dropped, the program and all that it started are dead or dying.
//! - A file of a part is always its own argument, never read as an option, and never outside the working directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use runtime::work_cx::WorkCx;
use serde_json::Value;
use tokio::time::timeout;

use super::call::{AgentError, Behaviour, CallContext, Part};
use super::launcher::{Ended, Input, Launch, Launcher, Running};
use super::output::{Reads, said};
use super::program::Program;
use crate::limits::{ARGUMENT_BYTES_MAX, COMMAND_LINE_BYTES_MAX};

/// Stands for the part's files, each as its own argument.
const FILES: &str = "{files}";

/// Runs a program once a part and reads its output.
///
/// ```
/// use synod_actors::agent::{CommandAgent, Launcher, Program, Reads};
/// # fn agent(launcher: &Launcher) -> Result<CommandAgent, synod_actors::agent::AgentError> {
/// let ruff = Program::new(["ruff", "check", "--output-format=sarif", "{files}"]);
/// CommandAgent::new(ruff, Reads::Sarif, Some([0, 1].into()), launcher)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CommandAgent(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    program: Program,
    reads: Reads,
    exit_ok: Option<BTreeSet<u8>>,
    launcher: Launcher,
}

impl CommandAgent {
    /// Makes the agent; without `exit_ok`, code 0 is good, and with `Reads::Exit` every code is.
    ///
    /// # Errors
    /// `Refused` when the command line is empty, or `{files}` is not an argument of its own after the program.
    pub fn new(
        program: Program,
        reads: Reads,
        exit_ok: Option<BTreeSet<u8>>,
        launcher: &Launcher,
    ) -> Result<Self, AgentError> {
        check_command(&program.command)?;
        let launcher = launcher.clone();
        Ok(Self(Arc::new(Settings { program, reads, exit_ok, launcher })))
    }
}

impl Behaviour<Part, Value> for CommandAgent {
    fn call(
        &self,
        part: Part,
        context: CallContext,
    ) -> BoxFuture<'static, Result<Value, AgentError>> {
        let settings = Arc::clone(&self.0);
        async move { settings.run(&part, &context).await }.boxed()
    }
}

impl Settings {
    async fn run(&self, part: &Part, context: &CallContext) -> Result<Value, AgentError> {
        let mut running = self.start(part, context)?;
        running.halt = context.work.as_ref().map(WorkCx::halt);
        let gathered = running.gather(self.program.output_bytes_max);
        let error = match timeout(self.program.timeout, gathered).await {
            Ok(Ok((stdout, ended))) => return self.judge(&stdout, &ended),
            Ok(Err(error)) => error,
            Err(_elapsed) => AgentError::TimedOut { after: self.program.timeout },
        };
        running.stop().await;
        Err(error)
    }

    fn start(&self, part: &Part, context: &CallContext) -> Result<Running, AgentError> {
        let mut environment = self.program.environment();
        environment.push(("SYNOD_TASK".into(), context.task.to_string().into()));
        environment.push(("SYNOD_PART".into(), part.id.to_string().into()));
        environment.push(("SYNOD_ATTEMPT".into(), context.attempt.to_string().into()));
        self.launcher.start(Launch {
            program: &self.program,
            arguments: expand(&self.program.command, &part.files)?,
            directory: part.root.clone(),
            environment,
            input: Input::Null,
        })
    }

    fn judge(&self, stdout: &[u8], ended: &Ended) -> Result<Value, AgentError> {
        let code = ended.code()?;
        if !self.is_good(code) {
            let name = self.program.name();
            let said = said(&ended.stderr);
            let message = format!("{name} exited with code {code}, expected {}{said}", self.good());
            return Err(AgentError::Failed { message });
        }
        self.reads.decode(self.program.name(), stdout, code)
    }

    fn is_good(&self, code: i32) -> bool {
        match &self.exit_ok {
            Some(good) => u8::try_from(code).is_ok_and(|code| good.contains(&code)),
            None => code == 0 || self.reads == Reads::Exit,
        }
    }

    fn good(&self) -> String {
        let codes = self.exit_ok.iter().flatten().map(u8::to_string).collect::<Vec<_>>();
        if codes.is_empty() { "0".to_owned() } else { codes.join(" or ") }
    }
}

fn check_command(command: &[String]) -> Result<(), AgentError> {
    let refuse = |reason: String| Err(AgentError::Refused { reason });
    let Some((program, arguments)) = command.split_first() else {
        return refuse("the command is empty; name a program".to_owned());
    };
    if program.is_empty() || program.contains(FILES) {
        return refuse(format!("the command begins with {program:?}; name a program"));
    }
    match arguments.iter().find(|argument| argument.contains(FILES) && *argument != FILES) {
        Some(wrong) => refuse(format!("{wrong:?}: write {FILES:?} as an argument of its own")),
        None => Ok(()),
    }
}

/// Puts the files in the place of `{files}`.
fn expand(command: &[String], files: &[String]) -> Result<Vec<OsString>, AgentError> {
    let mut expanded = Vec::new();
    for argument in command {
        if argument == FILES {
            for file in files {
                expanded.push(file_argument(file)?);
            }
        } else {
            expanded.push(argument.clone());
        }
    }
    if files.is_empty() && command.iter().any(|argument| argument == FILES) {
        let reason = format!("the part has no files for {FILES:?}");
        return Err(AgentError::Refused { reason });
    }
    check_length(&expanded)?;
    Ok(expanded.into_iter().map(OsString::from).collect())
}

/// Gives a file as an argument that cannot be taken for an option.
fn file_argument(file: &str) -> Result<String, AgentError> {
    let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if file.is_empty() || file.contains('\0') || !Path::new(file).components().all(is_inside) {
        let reason = format!("the file {file:?} is not below the part's working directory");
        return Err(AgentError::Refused { reason });
    }
    Ok(if file.starts_with('-') { format!("./{file}") } else { file.to_owned() })
}

fn check_length(arguments: &[String]) -> Result<(), AgentError> {
    let refuse = |reason| Err(AgentError::Refused { reason });
    if let Some(long) = arguments.iter().find(|argument| argument.len() > ARGUMENT_BYTES_MAX) {
        let bytes = long.len();
        return refuse(format!(
            "an argument has {bytes} bytes, the limit is {ARGUMENT_BYTES_MAX}; shorten it"
        ));
    }
    let pointer_and_zero = size_of::<usize>() + 1;
    let bytes: usize = arguments.iter().map(|argument| argument.len() + pointer_and_zero).sum();
    if bytes > COMMAND_LINE_BYTES_MAX {
        return refuse(format!(
            "the command line has {bytes} bytes, the limit is {COMMAND_LINE_BYTES_MAX}; \
             split into parts of fewer files"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().copied().map(String::from).collect()
    }

    fn refusal(command: &[&str], files: &[&str]) -> String {
        let checked = check_command(&strings(command));
        checked.and_then(|()| expand(&strings(command), &strings(files))).unwrap_err().to_string()
    }

    #[test]
    fn each_file_is_an_argument_and_none_is_an_option() {
        let command = strings(&["lint", "--strict", "{files}", "--end"]);
        let arguments =
            expand(&command, &strings(&["a b.py", "-rf", "./c/d.py", "{files}"])).unwrap();
        let expected = ["lint", "--strict", "a b.py", "./-rf", "./c/d.py", "{files}", "--end"];
        assert_eq!(arguments, expected.map(OsString::from));
        assert_eq!(expand(&strings(&["make"]), &strings(&["a"])).unwrap(), ["make"]);
    }

    #[test]
    fn files_outside_of_the_working_directory_are_refused() {
        for outside in ["/etc/passwd", "../a", "a/../../b", "", "a\0b"] {
            let reason = refusal(&["lint", "{files}"], &["fine", outside]);
            assert!(reason.contains("is not below"), "{outside}: {reason}");
        }
    }

    #[test]
    fn a_command_line_that_can_never_run_is_refused() {
        assert!(refusal(&[], &[]).contains("the command is empty"));
        assert!(refusal(&["{files}"], &["a"]).contains("name a program"));
        assert!(refusal(&["lint", "--in={files}"], &["a"]).contains("an argument of its own"));
        assert!(refusal(&["lint", "{files}"], &[]).contains("no files"));
    }

    #[test]
    fn a_command_line_over_the_limit_of_the_system_is_refused_with_both_numbers() {
        let long = "x".repeat(ARGUMENT_BYTES_MAX + 1);
        assert!(refusal(&["lint", "{files}"], &[&long]).contains("131072 bytes"));
        let many = vec!["a/file/with/some/name.py"; 40_000];
        let reason = refusal(&["lint", "{files}"], &many);
        assert!(reason.contains("limit is 1048576") && reason.contains("fewer files"), "{reason}");
    }
}
