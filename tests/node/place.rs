//! A place of its own for each test: files to look at, a folder for runs, pipes to agents, and the program.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a tree to look at, a run file and the runs.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("tree")).unwrap();
        for (name, text) in files {
            let path = place.path("tree").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the run file: a head with the agents, and the pattern that all of them work on.
    pub(crate) fn run_file(&self, agents: &[(&str, &str)], pattern: &str) {
        let names: Vec<String> = agents.iter().map(|(name, _)| format!("{name:?}")).collect();
        self.run_file_of(&format!("all_of = [{}]", names.join(", ")), agents, pattern);
    }

    /// As [`run_file`](Self::run_file), with a line that says which of the agents work on the pattern.
    pub(crate) fn run_file_of(&self, workers: &str, agents: &[(&str, &str)], pattern: &str) {
        let mut text = "synod = 1\nmain = \"review\"\n[agents]\n".to_owned();
        for (name, agent) in agents {
            text.push_str(&format!("{name} = {{ {agent} }}\n"));
        }
        let tree = self.path("tree");
        text.push_str(&format!(
            "[map_reduce.review]\n{workers}\nsplit = {{ use = \"code.files\", path = {:?}, max_files = 1 }}\n{pattern}\n",
            tree.to_str().unwrap()
        ));
        fs::write(self.path("run.toml"), text).unwrap();
    }

    /// Runs git in the tree, which becomes a repository by `init`.
    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"]);
        let output = git.arg(self.path("tree")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The program with arguments, its runs in this place.
    pub(crate) fn synod(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("SYNOD_DATA", self.path("data")).env_remove("SYNOD_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::new(self.synod(arguments).spawn().unwrap())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// Runs the run file and gives the document that it prints.
    pub(crate) fn run_json(&self, more: &[&str]) -> (i32, Value) {
        let arguments = [&["run", "run.toml", "--json"], more].concat();
        let ended = self.run(&arguments);
        (ended.code, ended.json())
    }

    /// Makes a named pipe; what programs write to it is read here.
    pub(crate) fn pipe(&self, name: &str) -> Pipe {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Pipe::open(path)
    }

    /// Reads a pipe again whose end was seen.
    pub(crate) fn pipe_again(&self, name: &str) -> Pipe {
        Pipe::open(self.path(name))
    }

    /// Writes a run file whose only agent, in as many instances, tells the pipe of each file and holds on to it until there is a
    /// file `go`; it then finds something in its first line.
    pub(crate) fn run_file_of_slow_agents(&self, count: usize) -> Pipe {
        let pipe = self.pipe("begun");
        let script = format!(
            "echo $1 > {}; until test -e {}; do sleep 0.01; done; echo $1:1: error: found",
            pipe.path().display(),
            self.path("go").display()
        );
        let agent = format!(
            "command = [\"sh\", \"-c\", {script:?}, \"slow\", \"{{files}}\"], reads = \"lines\", count = {count}"
        );
        self.run_file(&[("slow", &agent)], "");
        pipe
    }

    /// The names of what is kept of runs.
    pub(crate) fn kept(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("data/runs")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A process of the program.
pub(crate) struct Running {
    id: u32,
    ended: Receiver<Output>,
    /// What it says on standard error, and what was read of that.
    lines: Receiver<String>,
    told: RefCell<String>,
}

impl Running {
    pub(crate) fn new(mut child: Child) -> Self {
        let id = child.id();
        let (said, lines) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let mut stderr = BufReader::new(stderr);
                let mut line = Vec::new();
                while stderr.read_until(b'\n', &mut line).unwrap() > 0 {
                    if said.send(String::from_utf8(std::mem::take(&mut line)).unwrap()).is_err() {
                        return;
                    }
                }
            });
        }
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        Self { id, ended, lines, told: RefCell::default() }
    }

    /// Waits until it has told these words on standard error.
    pub(crate) fn tells(&self, words: &str) {
        while !self.told.borrow().contains(words) {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {words:?} in {:?}", self.told.borrow()));
            self.told.borrow_mut().push_str(&line);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    pub(crate) fn end_within(self, patience: Duration) -> Ended {
        let output = self.ended.recv_timeout(patience);
        let output = output.unwrap_or_else(|_| {
            self.signal(Signal::KILL);
            panic!("the program ends in time")
        });
        let mut err = self.told.into_inner();
        err.extend(self.lines);
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err,
        }
    }
}

/// How the program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The reading end of a named pipe: lines, and its end once all writers are dead.
pub(crate) struct Pipe {
    path: PathBuf,
    lines: Receiver<String>,
    /// A writer of our own, so that the pipe has no end between two programs.
    held: Cell<Option<File>>,
}

impl Pipe {
    fn open(path: PathBuf) -> Self {
        let held = File::options().read(true).write(true).open(&path).unwrap();
        let (sender, lines) = channel();
        let read = path.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(File::open(read).unwrap()).lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { path, lines, held: Cell::new(Some(held)) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a line.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes in time")
    }

    /// Waits until no process holds the pipe, and gives what was written until then.
    pub(crate) fn drain(&self) -> Vec<String> {
        drop(self.held.take());
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("a process still holds the pipe"),
            }
        }
    }
}

/// The findings of a document as `file:line rule`, sorted.
pub(crate) fn findings(document: &Value) -> Vec<String> {
    let findings = document["report"]["findings"].as_array().unwrap();
    let text = |finding: &Value| {
        let word = |key: &str| finding[key].as_str().unwrap().to_owned();
        format!("{}:{} {}", word("file"), finding["line"], word("rule"))
    };
    let mut found: Vec<String> = findings.iter().map(text).collect();
    found.sort();
    found
}

/// A file that takes no room on the disk, however long it is.
pub(crate) fn sparse(path: &Path, bytes: u64) {
    File::create(path).unwrap().set_len(bytes).unwrap();
}

/// Whether this process may read a file; the superuser may read all.
pub(crate) fn may_read(path: &Path) -> bool {
    File::open(path).and_then(|mut file| file.read(&mut [0; 1])).is_ok()
}
