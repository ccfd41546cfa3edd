//! What a process of ours does when it was started as a launcher, or as what becomes the program.
//!
//! [`super::Launcher::intercept`] comes here first in `main`, so there is one thread, no runtime and no output of ours.
//!
//! # Invariants
//! - The launcher ends only when it has no child left, and its last write is the report.
//! - Only children that were not yet reaped are killed by number, so no number can have been given to another process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process,
    kill_process_group, pidfd_open, set_child_subreaper, set_parent_process_death_signal, setsid,
    wait, waitpgid, waitpid,
};
use rustix::stdio::{dup2_stdout, stdin};

use super::{Input, OWN_PROGRAM, Order, Report, Stage, WORD};

/// The exit code of a program stage that could not become the program.
const NOT_STARTED: u8 = 127;

/// Obeys an order: its text, the program's path, its name, its arguments.
pub(super) fn serve(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let order = match arguments.next().map(|text| read(&text)) {
        Some(Ok(order)) => order,
        Some(Err(error)) => return fail("cannot read its order", &error),
        None => return fail("cannot read its order", &io::ErrorKind::UnexpectedEof.into()),
    };
    let command = arguments.collect::<Vec<_>>();
    match order.stage {
        Stage::Watch => match watch(order, &command) {
            Ok(report) => say(&report),
            Err(error) => fail("cannot launch", &error),
        },
        Stage::Become { launcher } => match become_program(order, launcher, &command) {
            Ok(never) => match never {},
            Err(error) => fail(&format!("cannot run {}", shown(&command)), &error),
        },
    }
}

fn read(text: &OsString) -> io::Result<Order> {
    Ok(serde_json::from_slice(text.as_encoded_bytes())?)
}

fn shown(command: &[OsString]) -> String {
    command.first().map(|path| path.display().to_string()).unwrap_or_default()
}

fn fail(what: &str, error: &io::Error) -> ExitCode {
    say(&Report::not_started(what, error));
    ExitCode::from(NOT_STARTED)
}

/// Writes the report; when nobody is left to read it, nobody waits for it.
fn say(report: &Report) -> ExitCode {
    let mut line = vec![0];
    match serde_json::to_writer(&mut line, report).map(|()| io::stderr().write_all(&line)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

/// Starts the program, waits for its end or for the lifeline's, and leaves nothing of it behind.
fn watch(order: Order, command: &[OsString]) -> io::Result<Report> {
    set_child_subreaper(Some(getpid()))?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    let stage = Stage::Become { launcher: getpid().as_raw_nonzero().get() };
    let child = Command::new(OWN_PROGRAM)
        .arg0("synod-program")
        .args([WORD, &Order { stage, ..order }.to_text()?])
        .args(command)
        .stdin(match order.input {
            Input::Null => Stdio::null(),
            Input::Lifeline => Stdio::inherit(),
        })
        .spawn()?;
    let leader = Pid::from_child(&child);
    let closed = dup2_stdout(&nowhere);
    let watched = closed.map_err(io::Error::from).and_then(|()| await_end(leader, order));
    let status = sweep(leader)?;
    watched?;
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Report::Exited(code),
        (None, signal) => Report::Killed(signal.unwrap_or_default()),
    })
}

/// Returns when the program has ended, or should be killed.
fn await_end(leader: Pid, order: Order) -> io::Result<()> {
    let program = pidfd_open(leader, PidfdFlags::empty())?;
    let ended = PollFd::new(&program, PollFlags::IN);
    let lifeline = stdin();
    // No event is asked for: a hang-up is always told, and data is the program's to read.
    let mut both = [ended.clone(), PollFd::new(&lifeline, PollFlags::empty())];
    rustix::io::retry_on_intr(|| poll(&mut both, None))?;
    if both.iter().any(|one| one.revents().contains(PollFlags::IN)) || order.grace_ms == 0 {
        return Ok(());
    }
    if order.input == Input::Null {
        // A program that cannot see the lifeline's end is asked by signal; it may have ended just now.
        allow(Errno::SRCH, kill_process_group(leader, Signal::TERM))?;
    }
    let grace = Timespec::try_from(Duration::from_millis(order.grace_ms));
    let grace = grace.map_err(|_| io::ErrorKind::InvalidInput)?;
    rustix::io::retry_on_intr(|| poll(&mut [ended.clone()], Some(&grace)))?;
    Ok(())
}

/// Kills and reaps the program's group, then whatever left it, until no descendant is left.
fn sweep(leader: Pid) -> io::Result<WaitStatus> {
    allow(Errno::SRCH, kill_process_group(leader, Signal::KILL))?;
    allow(Errno::SRCH, kill_process(leader, Signal::KILL))?;
    let reaped = rustix::io::retry_on_intr(|| waitpid(Some(leader), WaitOptions::empty()))?;
    let Some((_, status)) = reaped else { return Err(io::ErrorKind::NotFound.into()) };
    while reap(|| waitpgid(leader, WaitOptions::empty()))? == Reaped::One {}
    loop {
        match reap(|| wait(WaitOptions::NOHANG))? {
            Reaped::One => {}
            Reaped::Last => return Ok(status),
            // The death of a child makes its children ours, so killing children until none is left kills the tree.
            Reaped::NoneYet => {
                for child in children()? {
                    allow(Errno::SRCH, kill_process(child, Signal::KILL))?;
                }
                reap(|| wait(WaitOptions::empty()))?;
            }
        }
    }
}

#[derive(PartialEq)]
enum Reaped {
    One,
    NoneYet,
    Last,
}

fn reap(wait: impl FnMut() -> rustix::io::Result<Option<(Pid, WaitStatus)>>) -> io::Result<Reaped> {
    match rustix::io::retry_on_intr(wait) {
        Ok(Some(_)) => Ok(Reaped::One),
        Ok(None) => Ok(Reaped::NoneYet),
        Err(Errno::CHILD) => Ok(Reaped::Last),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn allow(expected: Errno, result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error != expected => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Lists our children by every process's parent; not every kernel lists them by itself.
fn children() -> io::Result<Vec<Pid>> {
    let own = getpid().as_raw_nonzero().get();
    Ok(processes()?.filter(|pid| parent(*pid) == Some(own)).filter_map(Pid::from_raw).collect())
}

/// Lists every process that this one may see.
pub(super) fn processes() -> io::Result<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir("/proc")?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Reads the parent of a process, which may be gone.
pub(super) fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The state of a process that was stopped by a signal.
pub(super) const STOPPED: u8 = b'T';

/// Reads the state of a process, which may be gone.
pub(super) fn state(pid: i32) -> Option<u8> {
    stat(pid)?.split_ascii_whitespace().next()?.bytes().next()
}

/// What stands behind the name in `pid (name) state parent …`, since the name may hold anything.
fn stat(pid: i32) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplitn(2, |byte| *byte == b')').next()?;
    String::from_utf8(after_name.to_vec()).ok()
}

/// Ties this process to its launcher's life, leads a session of its own, takes the limits, and becomes the program.
fn become_program(
    order: Order,
    launcher: i32,
    command: &[OsString],
) -> io::Result<std::convert::Infallible> {
    let [program, name, arguments @ ..] = command else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program is named"));
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Pid::from_raw(launcher) {
        return Err(io::Error::other("its launcher is gone"));
    }
    setsid()?;
    let mut program = Command::new(program);
    program.arg0(name).args(arguments);
    order.limits.apply()?;
    Err(program.exec())
}
