//! `--watch`, and a program that watches, on a real pseudo-terminal: what is drawn, and that the terminal is as it was afterwards.

use std::{
    fs::{self, File},
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use synod::prelude::*;

use super::place::{PATIENCE, Pipe, Place, Running};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const FRAME: &str = "\x1b[?2026h";

/// A terminal that nobody sits at.
struct Terminal {
    ours: OwnedFd,
    chunks: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// A terminal of this size, and its end that programs write to.
    fn open(columns: u16, rows: u16) -> (Self, File) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let theirs = File::options().read(true).write(true).open(path).unwrap();
        let (sender, chunks) = channel();
        let mut read = File::from(ours.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut chunk = vec![0; 65_536];
            // The end of a terminal that nobody holds any more is an error.
            while let Ok(count @ 1..) = read.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = Self { ours, chunks, shown: String::new() };
        terminal.resize(columns, rows);
        (terminal, theirs)
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.ours, size).unwrap();
    }

    /// Reads until the latest whole frame is as `wanted`; gives its lines.
    fn frame(&mut self, what: &str, wanted: impl Fn(&[&str]) -> bool) {
        loop {
            let mut frames = self.shown.rsplit(FRAME);
            // The last one may not be whole.
            frames.next();
            if let Some(frame) = frames.next().filter(|_| self.shown.contains(ENTER)) {
                let lines: Vec<&str> = frame
                    .split("\x1b[2K")
                    .skip(1)
                    .map(|line| line.split('\x1b').next().unwrap())
                    .collect();
                if wanted(&lines) {
                    return;
                }
            }
            let chunk = self.chunks.recv_timeout(PATIENCE);
            let chunk = chunk.unwrap_or_else(|_| panic!("no frame with {what}: {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Reads until what was shown is as `wanted`.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        while !wanted(&self.shown) {
            let chunk = self.chunks.recv_timeout(PATIENCE);
            let chunk = chunk.unwrap_or_else(|_| panic!("not {what}: {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Reads until nobody holds the terminal any more.
    fn read_to_end(&mut self) {
        while let Ok(chunk) = self.chunks.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Reads to the end; the program has left the alternate screen and drawn nothing afterwards.
    fn must_be_left_clean(mut self) {
        self.read_to_end();
        assert_eq!(self.shown.matches(ENTER).count(), 1);
        let (drawn, after) = self.shown.rsplit_once(LEAVE).expect("it left the alternate screen");
        assert!(drawn.contains(ENTER) && !after.contains(FRAME), "{after:?}");
    }
}

/// A run whose two parts hold on until there is a file `go`, drawn on a terminal.
fn watched(columns: u16, rows: u16) -> (Place, Pipe, Running, Terminal) {
    let place = Place::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    let pipe = place.run_file_of_slow_agents(2);
    let (terminal, theirs) = Terminal::open(columns, rows);
    let mut command = place.synod(&["run", "run.toml", "--watch", "--json"]);
    command.env("NO_COLOR", "1").env("TERM", "xterm").stderr(Stdio::from(theirs));
    let running = Running::new(command.spawn().unwrap());
    drop(command);
    (0..2).for_each(|_| drop(pipe.line()));
    (place, pipe, running, terminal)
}

#[test]
fn a_watched_run_draws_its_actors_follows_the_terminals_size_and_leaves_it_clean() {
    let (place, _pipe, running, mut terminal) = watched(100, 30);
    terminal.frame("both parts", |lines| {
        let has = |word: &str| lines.iter().any(|line| line.contains(word));
        has("2 pieces of work: 0 done, 2 running")
            && has("slow: 0 done, 2 running")
            && has("roster")
            && lines.iter().any(|line| line.contains(" working ") && line.contains("running 1"))
            && has(" supervisor ")
            && has("restarts")
    });
    terminal.resize(40, 8);
    terminal.frame("the new size", |lines| {
        lines.len() == 8 && lines.iter().all(|line| line.chars().count() <= 40)
    });
    fs::write(place.path("go"), "").unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["tally"]["done"], 2);
    terminal.must_be_left_clean();
}

#[test]
fn ctrl_c_ends_a_watched_run_and_the_drawing() {
    let (_place, pipe, running, mut terminal) = watched(80, 24);
    terminal.frame("both parts", |lines| lines.iter().any(|line| line.contains("2 running")));
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert_eq!(ended.json()["outcome"], "cancelled");
    assert_eq!(pipe.drain(), [""; 0], "no program is left");
    terminal.must_be_left_clean();
}

#[test]
fn where_nothing_can_be_drawn_a_watched_run_goes_on_in_plain_lines() {
    let place = Place::new(&[("a.txt", "one\n")]);
    place.run_file(&[("slow", "command = [\"true\"], reads = \"lines\"")], "");
    let ended = place.run(&["run", "run.toml", "--watch", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("no terminal that can be drawn on"), "{ended:?}");
    let (mut terminal, theirs) = Terminal::open(80, 24);
    let mut command = place.synod(&["run", "run.toml", "--watch", "--json"]);
    let running = Running::new(command.env("TERM", "dumb").stderr(theirs).spawn().unwrap());
    drop(command);
    assert_eq!(running.end().code, 0);
    terminal.read_to_end();
    assert!(terminal.shown.contains("no terminal that can be drawn on"), "{:?}", terminal.shown);
    assert!(!terminal.shown.contains('\x1b'), "{:?}", terminal.shown);
}

/// Set for the process that is watched by a test, which is this very test once more.
const CHILD: &str = "SYNOD_TEST_WATCHES";

struct Poisoned;

impl Actor for Poisoned {
    type Msg = ();
    fn handle(&mut self, (): (), _: &mut Cx<Self>) {
        panic!("no such coin");
    }
}

/// A user's own program: watches an actor that crashes, and stays when it is told to end.
fn watching_program() -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async {
        let node = Node::in_memory().unwrap();
        let tills = node.supervise(Supervisor::one_for_one("tills").child("left", || Poisoned));
        let left = tills.child::<()>("left").unwrap();
        let work = async {
            left.tell(()).await.unwrap();
            std::future::pending::<()>().await;
        };
        synod::watch(&node, work).await
    });
    eprintln!("watching ended: {}", ended.unwrap_err());
    loop {
        std::thread::park();
    }
}

#[test]
fn sigterm_ends_the_watching_of_a_program_and_signals_are_then_again_what_they_were() {
    if std::env::var_os(CHILD).is_some() {
        watching_program();
    }
    let (mut terminal, theirs) = Terminal::open(100, 24);
    let myself =
        "watch::sigterm_ends_the_watching_of_a_program_and_signals_are_then_again_what_they_were";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([myself, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("NO_COLOR", "1")
        .env("TERM", "xterm");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(theirs);
    let running = Running::new(command.spawn().unwrap());
    drop(command);
    terminal.frame("the restart and why", |lines| {
        let has = |words: &str| lines.iter().any(|line| line.contains(words));
        has("1 restart: crashed: no such coin") && has("panicked at") && has("Ctrl-C ends it")
    });
    running.signal(Signal::TERM);
    terminal.until("the end of the drawing", |shown| {
        shown.split_once(LEAVE).is_some_and(|(_, after)| {
            after.contains(": no such coin")
                && after.contains("watching ended: stopped watching by SIGTERM")
        })
    });
    running.signal(Signal::INT);
    assert_eq!(running.end().code, -1, "the signal itself ended it");
    terminal.must_be_left_clean();
}
