//! Process agents: a long-running program that answers calls by JSON lines.
//!
//! A slot calls it; it starts the program at the first call through the [`Launcher`] and again after it died. One call
//! is in flight at a time: a slot with more concurrency holds more process agents. docs/AGENTS.md is the protocol.
//!
//! # Invariants
//! - The program goes back for the next call only if it is in step: it has read the request and answered it once.
//!   Every other end of a call, dropping it included, kills the program, and the next call starts a new one.
//! - Numbers of requests are never reused, so that no late answer is taken for another's.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use protocol::TaskId;
use runtime::work_cx::WorkCx;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::call::{AgentError, Behaviour, CallContext, Progress};
use super::launcher::{Input, Launch, Launcher, Running, lost};
use super::output::{garbage, said};
use super::program::Program;
use crate::limits::CLOSED_OUTPUT_WAIT;

/// Keeps a program running and asks it for one answer at a time.
///
/// ```
/// use synod_actors::agent::{AgentError, Launcher, ProcessAgent, Program};
/// # fn agent(launcher: &Launcher) -> Result<ProcessAgent, AgentError> {
/// ProcessAgent::new(Program::new(["python3", "reviewer.py"]), ".", launcher)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProcessAgent(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    program: Program,
    directory: PathBuf,
    launcher: Launcher,
    kept: Mutex<Kept>,
}

/// What stays between calls.
#[derive(Debug, Default)]
struct Kept {
    instance: Option<Running>,
    last_id: u64,
}

impl ProcessAgent {
    /// Makes the agent, with the working directory of its program; nothing is started yet.
    ///
    /// # Errors
    /// `Refused` when the command line is empty.
    pub fn new(
        program: Program,
        directory: impl Into<PathBuf>,
        launcher: &Launcher,
    ) -> Result<Self, AgentError> {
        if program.name().is_empty() {
            let reason = "the command is empty; name a program".to_owned();
            return Err(AgentError::Refused { reason });
        }
        let (directory, launcher) = (directory.into(), launcher.clone());
        Ok(Self(Arc::new(Settings { program, directory, launcher, kept: Mutex::default() })))
    }
}

impl<I: Serialize + Send + 'static> Behaviour<I, Value> for ProcessAgent {
    fn call(
        &self,
        input: I,
        context: CallContext,
    ) -> BoxFuture<'static, Result<Value, AgentError>> {
        let settings = Arc::clone(&self.0);
        async move { settings.answer(input, &context).await }.boxed()
    }

    fn rest(&self) {
        // A call that holds it is dropped with its slot, and ends the program itself.
        if let Ok(mut kept) = self.0.kept.try_lock() {
            kept.instance = None;
        }
    }
}

impl Settings {
    async fn answer(
        &self,
        input: impl Serialize + Send,
        context: &CallContext,
    ) -> Result<Value, AgentError> {
        let mut kept = self.kept.lock().await;
        kept.last_id += 1;
        let exchange = Exchange { id: kept.last_id, program: &self.program, context };
        let request = exchange.request(input)?;
        // Taken out until it has answered in step: whatever else happens drops it, and so kills it.
        let mut running = match kept.instance.take().and_then(waiting) {
            Some(running) => running,
            None => self.start()?,
        };
        running.halt = context.work.as_ref().map(WorkCx::halt);
        let exchanged = timeout(self.program.timeout, exchange.run(&mut running, &request)).await;
        let error = match exchanged {
            Ok(Ok(answer)) => {
                kept.instance = answer.in_step.then_some(running);
                return answer.outcome.map_err(|message| AgentError::Failed { message });
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => AgentError::TimedOut { after: self.program.timeout },
        };
        running.stop().await;
        Err(error)
    }

    fn start(&self) -> Result<Running, AgentError> {
        self.launcher.start(Launch {
            program: &self.program,
            arguments: self.program.command.iter().map(Into::into).collect(),
            directory: self.directory.clone(),
            environment: self.program.environment(),
            input: Input::Lifeline,
        })
    }
}

/// Keeps a program only if it waits for a request: it lives, and it has said nothing unasked.
fn waiting(mut running: Running) -> Option<Running> {
    let is_silent = running.stdout.fill_buf().now_or_never().is_none();
    (is_silent && running.errors.is_running()).then_some(running)
}

/// One request and all that is said until its answer.
#[derive(Debug)]
struct Exchange<'a> {
    id: u64,
    program: &'a Program,
    context: &'a CallContext,
}

/// What the program answered, and whether it can be asked again.
#[derive(Debug)]
struct Answer {
    outcome: Result<Value, String>,
    in_step: bool,
}

impl Exchange<'_> {
    fn request(&self, part: impl Serialize) -> Result<Vec<u8>, AgentError> {
        let CallContext { task, attempt, .. } = *self.context;
        let request = Request { id: self.id, task, attempt, part };
        let mut line = serde_json::to_vec(&request)
            .map_err(|error| AgentError::Refused { reason: format!("cannot write it: {error}") })?;
        line.push(b'\n');
        Ok(line)
    }

    /// Writes the request, reads until the answer and drains standard error, all at once, so that no pipe fills up.
    async fn run(&self, running: &mut Running, request: &[u8]) -> Result<Answer, AgentError> {
        let Running { stdin: Some(stdin), stdout, errors, .. } = running else {
            return Err(AgentError::Cancelled);
        };
        let mut is_read = false;
        let answer = {
            let feeding = async {
                // A program that does not read its request is told apart by its answer, or by the lack of one.
                tokio::join!(errors.follow(), write(stdin, request).map(|all| is_read = all))
            };
            match select(pin!(self.answer(stdout)), pin!(feeding)).await {
                Either::Left((answer, _)) => answer?,
                Either::Right((_, answering)) => answering.await?,
            }
        };
        match answer {
            Some(outcome) => {
                Ok(Answer { outcome, in_step: is_read && running.stdout.buffer().is_empty() })
            }
            None => Err(end_without_answer(running).await),
        }
    }

    /// Reads lines until the answer, handing on progress; `None` when the output ends before it.
    async fn answer(
        &self,
        stdout: &mut BufReader<ChildStdout>,
    ) -> Result<Option<Result<Value, String>>, AgentError> {
        let limit = self.program.output_bytes_max;
        let mut left = limit;
        let mut line = Vec::new();
        loop {
            line.clear();
            let one_more = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
            let read = (&mut *stdout).take(one_more).read_until(b'\n', &mut line).await;
            let read = read.map_err(|error| lost("cannot read its output", &error))?;
            left = left.checked_sub(read).ok_or(AgentError::TooMuchOutput { limit })?;
            if line.last() != Some(&b'\n') {
                return Ok(None);
            }
            match self.understand(&line)? {
                Said::Result(value) => return Ok(Some(Ok(value))),
                Said::Error(message) => return Ok(Some(Err(message))),
                Said::Progress(progress) => self.context.progress.report(progress),
            }
        }
    }

    fn understand(&self, line: &[u8]) -> Result<Said, AgentError> {
        let wrong = |expected: &str| garbage(self.program.name(), expected, line);
        let response: Response = serde_json::from_slice(line)
            .map_err(|error| wrong(&format!("a line of the protocol: {error}")))?;
        if response.id != self.id {
            let id = self.id;
            return Err(wrong(&format!("an answer to request {id}, the only one without")));
        }
        match (response.result, response.error, response.progress) {
            (Some(value), None, None) => Ok(Said::Result(value)),
            (None, Some(message), None) => Ok(Said::Error(message)),
            (None, None, Some(share)) => Progress::new(share)
                .map(Said::Progress)
                .ok_or_else(|| wrong("a progress from 0 to 1")),
            _ => Err(wrong("exactly one of `result`, `error` and `progress`")),
        }
    }
}

/// Writes a request; tells whether all of it could be written.
async fn write(stdin: &mut ChildStdin, request: &[u8]) -> bool {
    stdin.write_all(request).await.is_ok() && stdin.flush().await.is_ok()
}

/// Names the end of a program that closed its output: its own death, if that follows at once.
async fn end_without_answer(running: &mut Running) -> AgentError {
    match timeout(CLOSED_OUTPUT_WAIT, running.errors.end()).await {
        Ok(Ok(ended)) => ended.code().map_or_else(
            |error| error,
            |code| {
                let said = said(&ended.stderr);
                AgentError::Lost {
                    reason: format!("it exited with code {code} before it answered{said}"),
                }
            },
        ),
        Ok(Err(error)) => error,
        Err(_elapsed) => {
            AgentError::Lost { reason: "it closed its output before it answered".to_owned() }
        }
    }
}

/// What the program reads.
#[derive(Debug, Serialize)]
struct Request<P> {
    id: u64,
    task: TaskId,
    attempt: u32,
    part: P,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    id: u64,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<String>,
    progress: Option<f64>,
}

/// Keeps a result that is `null` apart from no result.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Debug, PartialEq)]
enum Said {
    Result(Value),
    Error(String),
    Progress(Progress),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn understand(line: &str) -> Result<Said, AgentError> {
        let program = Program::new(["reviewer"]);
        let context = CallContext::new(TaskId::from_u128(1));
        Exchange { id: 7, program: &program, context: &context }.understand(line.as_bytes())
    }

    #[test]
    fn a_line_is_a_result_an_error_or_progress() {
        assert_eq!(understand(r#"{"id":7,"result":[1]}"#), Ok(Said::Result(json!([1]))));
        assert_eq!(understand(r#"{"id":7,"result":null}"#), Ok(Said::Result(Value::Null)));
        assert_eq!(understand(r#"{"id":7,"error":"no"}"#), Ok(Said::Error("no".to_owned())));
        let half = Progress::new(0.5).map(Said::Progress);
        assert_eq!(understand(r#"{"id":7,"progress":0.5}"#).ok(), half);
    }

    #[test]
    fn every_other_line_is_garbage_and_is_shown() {
        let wrong = [
            ("hello", "a line of the protocol"),
            ("", "a line of the protocol"),
            (r#"{"id":6,"result":1}"#, "request 7"),
            (r#"{"id":8,"progress":0.1}"#, "request 7"),
            (r#"{"id":7}"#, "exactly one"),
            (r#"{"id":7,"result":1,"error":"x"}"#, "exactly one"),
            (r#"{"id":7,"progress":1.5}"#, "from 0 to 1"),
            (r#"{"id":7,"results":1}"#, "unknown field `results`"),
            (r#"{"id":-7,"result":1}"#, "a line of the protocol"),
        ];
        for (line, expected) in wrong {
            let error = understand(line).unwrap_err();
            let AgentError::Garbage { what, .. } = &error else { panic!("{line}: {error}") };
            assert_eq!(what, "reviewer");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_request_is_one_line_with_its_number_task_attempt_and_part() {
        let program = Program::new(["reviewer"]);
        let context = CallContext::new(TaskId::from_u128(1));
        let exchange = Exchange { id: 7, program: &program, context: &context };
        let line = exchange.request(json!({"name": "a\nb"})).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["id"], 7);
        assert_eq!(value["task"], TaskId::from_u128(1).to_string());
        assert_eq!(value["attempt"], 1);
        assert_eq!(value["part"]["name"], "a\nb");
    }

    #[test]
    fn an_empty_command_is_refused() {
        let none: [&str; 0] = [];
        for command in [Program::new(none), Program::new([""])] {
            let refused = ProcessAgent::new(command, ".", &Launcher::at("/bin/false"));
            assert!(matches!(refused, Err(AgentError::Refused { .. })));
        }
    }
}
