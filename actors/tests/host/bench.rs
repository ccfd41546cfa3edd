//! What the tests of programs stand on: a table of tests, a folder and a named pipe for each, and the host to kill.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use protocol::TaskId;
use serde_json::Value;
use synod_actors::agent::{
    AgentError, Behaviour, CallContext, CommandAgent, Launcher, Part, ProcessAgent, Program, Reads,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The first argument that makes this binary run one script until it is killed.
const HOST: &str = "--host-of";

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Test = (&'static str, fn(&Bench));

/// Runs the table as `cargo test` does, or is the host that a test kills.
pub(crate) fn run(launcher: &Launcher, table: Vec<Test>) -> ExitCode {
    let arguments = std::env::args().collect::<Vec<_>>();
    if let [_, word, script, folder] = arguments.as_slice()
        && word == HOST
    {
        let bench = Bench::new(launcher.clone());
        let part = Part { root: folder.into(), ..Part::default() };
        let outcome = bench.call(&bench.shell(script, Reads::Lines), part);
        panic!("the host was not killed: {outcome:?}");
    }
    let trials = table.into_iter().map(|(name, test)| {
        let launcher = launcher.clone();
        Trial::test(name, move || {
            test(&Bench::new(launcher));
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// One test's place: a folder, a runtime, the launcher.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) launcher: Launcher,
    pub(crate) runtime: Runtime,
}

impl Bench {
    fn new(launcher: Launcher) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { folder: tempfile::tempdir().unwrap(), launcher, runtime }
    }

    /// An agent that runs a script of the shell.
    pub(crate) fn shell(&self, script: &str, reads: Reads) -> CommandAgent {
        self.command(Program::new(["sh", "-c", script]), reads)
    }

    pub(crate) fn command(&self, program: Program, reads: Reads) -> CommandAgent {
        CommandAgent::new(program, reads, None, &self.launcher).unwrap()
    }

    /// An agent whose program reads requests in a loop of the shell; `$id` is the request's number.
    pub(crate) fn process(&self, body: &str) -> ProcessAgent {
        self.process_of(Program::new(["sh", "-c", &request_loop(body)]))
    }

    pub(crate) fn process_of(&self, program: Program) -> ProcessAgent {
        ProcessAgent::new(program, self.folder.path(), &self.launcher).unwrap()
    }

    pub(crate) fn part(&self) -> Part {
        Part { root: self.folder.path().into(), ..Part::default() }
    }

    pub(crate) fn call<I: 'static>(
        &self,
        agent: &impl Behaviour<I, Value>,
        input: I,
    ) -> Result<Value, AgentError> {
        let call = agent.call(input, context());
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await.unwrap() })
    }

    pub(crate) fn ask(&self, agent: &impl Behaviour<Part, Value>) -> Result<Value, AgentError> {
        self.call(agent, self.part())
    }

    /// Makes the named pipe `pipe` in the folder; what a script does with it is seen here.
    pub(crate) fn pipe(&self) -> Pipe {
        let path = self.folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Pipe::open(path)
    }

    /// Starts this binary as the host of a script.
    pub(crate) fn host(&self, script: &str) -> Child {
        let folder = self.folder.path().to_str().unwrap();
        Command::new("/proc/self/exe").args([HOST, script, folder]).spawn().unwrap()
    }
}

pub(crate) fn context() -> CallContext {
    CallContext::new(TaskId::from_u128(7))
}

pub(crate) fn request_loop(body: &str) -> String {
    format!("while read -r line; do id=${{line#*:}}; id=${{id%%,*}}; {body}; done")
}

/// The reading end of a named pipe: lines that were written to it, and its end once all writers are dead.
pub(crate) struct Pipe {
    path: PathBuf,
    lines: Receiver<String>,
}

impl Pipe {
    fn open(path: PathBuf) -> Self {
        let (sender, lines) = channel();
        let read = path.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(File::open(read).unwrap()).lines() {
                sender.send(line.unwrap()).unwrap();
            }
        });
        Self { path, lines }
    }

    /// Makes room for another pipe.
    pub(crate) fn remove(self) {
        std::fs::remove_file(self.path).unwrap();
    }

    /// Waits for a line.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until no process holds the pipe, whatever was written to it, and be it that none ever did.
    pub(crate) fn drain(&self) {
        drop(File::options().read(true).write(true).open(&self.path).unwrap());
        let lines = || self.lines.recv_timeout(PATIENCE);
        let end = std::iter::repeat_with(lines).find_map(Result::err);
        assert_eq!(end, Some(RecvTimeoutError::Disconnected));
    }

    /// Waits until no process holds the pipe, and for nothing else to be written.
    pub(crate) fn end(&self) {
        assert_eq!(self.lines.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}
