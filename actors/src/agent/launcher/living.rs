//! The launchers that live, so that whoever ends can wait for them, or end what they run at once.
//!
//! [`super::Launcher::start`] enters each; an entry goes once its process has ended, whoever waits for that.
//!
//! # Invariants
//! - Only a process whose parent is a living launcher of ours is killed, by a handle and not by its number.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::child::{allow, parent, processes};

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
        let ended =
            poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&Timespec::default()));
        ended.is_ok_and(|ended| ended > 0)
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
        kill_programs(&self.living())
    }

    /// Kills the program of one launcher, by that one's number.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn kill_program(&self, launcher: u32) -> io::Result<()> {
        let mut living = self.living();
        living.retain(|living| u32::try_from(living.pid) == Ok(launcher));
        kill_programs(&living)
    }

    fn living(&self) -> Vec<Arc<Watched>> {
        let mut list = self.0.lock();
        list.launchers.retain(|launcher| !launcher.has_ended());
        list.launchers.clone()
    }
}

/// Kills the children of launchers.
fn kill_programs(launchers: &[Arc<Watched>]) -> io::Result<()> {
    if launchers.is_empty() {
        return Ok(());
    }
    for pid in processes()? {
        let of = parent(pid);
        let launcher = launchers.iter().find(|launcher| of == Some(launcher.pid));
        if let (Some(launcher), Some(process)) = (launcher, Pid::from_raw(pid)) {
            allow(Errno::SRCH, kill(process, launcher))?;
        }
    }
    Ok(())
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
