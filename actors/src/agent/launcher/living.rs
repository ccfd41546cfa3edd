//! The launchers that live, so that whoever ends can wait for them, or end what they run at once.
//!
//! [`super::Launcher::start`] enters each; an entry goes once its process has ended, whoever waits for that.
//!
//! # Invariants
//! - Only a process whose parent is a living launcher of ours is killed, by a handle and not by its number; and such a launcher,
//!   but only when it is stopped and has no child: so it never starts its program, and nothing escapes it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::child::{STOPPED, allow, parent, processes, state};
use crate::limits::{LAUNCHER_STOP_LOOK, LAUNCHER_STOP_WAIT};

/// The launchers that were started and have not ended.
#[derive(Debug, Default)]
pub(super) struct Living(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    is_closed: bool,
    launchers: Vec<Arc<Watched>>,
}

/// A launcher's process.
#[derive(Debug)]
struct Watched {
    pid: i32,
    handle: OwnedFd,
}

impl Watched {
    fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    fn ends_within(&self, wait: Duration) -> bool {
        let wait = Timespec::try_from(wait).unwrap_or_default();
        let ended = poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&wait));
        ended.is_ok_and(|ended| ended > 0)
    }

    /// Holds the launcher, kills its program, and lets it go on to kill what that one started; without a program kills the launcher.
    fn end(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let mut waited = Duration::ZERO;
        while !self.ends_within(LAUNCHER_STOP_LOOK) {
            // Looked at first: whoever holds still starts nothing while its children are looked for.
            let holds_still = state(self.pid) == Some(STOPPED);
            if kill_programs(std::slice::from_ref(&self))? > 0 {
                return self.signal(Signal::CONT);
            }
            if holds_still {
                return self.signal(Signal::KILL);
            }
            waited += LAUNCHER_STOP_LOOK;
            if waited >= LAUNCHER_STOP_WAIT {
                self.signal(Signal::CONT)?;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        allow(Errno::SRCH, pidfd_send_signal(&self.handle, signal))
    }
}

impl Living {
    /// Takes a launcher in, whose process nobody has waited for yet; tells whether it may go on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn enter(&self, pid: u32) -> io::Result<bool> {
        let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        let process = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let handle = pidfd_open(process, PidfdFlags::empty())?;
        let mut list = self.0.lock();
        list.launchers.retain(|launcher| !launcher.has_ended());
        list.launchers.push(Arc::new(Watched { pid, handle }));
        Ok(!list.is_closed)
    }

    /// Lets nobody start anything more.
    pub(super) fn close(&self) {
        self.0.lock().is_closed = true;
    }

    /// Tells whether none lives.
    pub(super) fn is_empty(&self) -> bool {
        self.living().is_empty()
    }

    /// Kills the programs; their launchers then kill what these started, and end.
    ///
    /// A launcher that is about to start its program is left for the next time.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn kill_programs(&self) -> io::Result<()> {
        let living = self.living();
        kill_programs(&living.iter().map(|launcher| &**launcher).collect::<Vec<_>>()).map(drop)
    }

    /// Ends one launcher, by its number, without grace: its program is killed, or never starts. Waits until the launcher holds
    /// still for that, at the most [`LAUNCHER_STOP_WAIT`].
    ///
    /// # Errors
    /// What the system says, `TimedOut` for a launcher that does not hold still.
    pub(super) fn end(&self, launcher: u32) -> io::Result<()> {
        let mut living = self.living();
        living.retain(|living| u32::try_from(living.pid) == Ok(launcher));
        living.iter().try_for_each(|launcher| launcher.end())
    }

    fn living(&self) -> Vec<Arc<Watched>> {
        let mut list = self.0.lock();
        list.launchers.retain(|launcher| !launcher.has_ended());
        list.launchers.clone()
    }
}

/// Kills the children of launchers; tells how many there were.
fn kill_programs(launchers: &[&Watched]) -> io::Result<usize> {
    if launchers.is_empty() {
        return Ok(0);
    }
    let mut killed = 0;
    for pid in processes()? {
        let of = parent(pid);
        let launcher = launchers.iter().find(|launcher| of == Some(launcher.pid));
        if let (Some(launcher), Some(process)) = (launcher, Pid::from_raw(pid)) {
            allow(Errno::SRCH, kill(process, launcher))?;
            killed += 1;
        }
    }
    Ok(killed)
}

/// Kills a process if it is, while we hold it, the child of a launcher that lives.
fn kill(process: Pid, launcher: &Watched) -> rustix::io::Result<()> {
    let held = pidfd_open(process, PidfdFlags::empty())?;
    let is_child = parent(process.as_raw_nonzero().get()) == Some(launcher.pid);
    if is_child && !launcher.has_ended() {
        pidfd_send_signal(held, Signal::KILL)?;
    }
    Ok(())
}
