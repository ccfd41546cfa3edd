//! The end of the programs that agents run; [`run`](super::run) waits for it last of all.
//!
//! # Invariants
//! - Programs have their grace, unless the user would not wait, or the time that is promised after Ctrl-C would pass.
//! - What is left then is killed, and nothing more is started.

use std::time::Duration;

use actors::{agent::Launcher, limits::PROGRAM_GRACE_DEFAULT};
use tokio::time::{Instant, sleep_until, timeout};

use super::output::tell;
use crate::{
    limits::{CANCELLED_STOP_WAIT, CANCELLED_WAIT, KILLED_WAIT, PROGRAMS_WAIT, STOP_WAIT},
    signals::Signals,
};

/// Knows how long the programs of agents have.
#[derive(Debug)]
pub(super) struct Leaving {
    launcher: Launcher,
    until: Option<Instant>,
}

impl Leaving {
    pub(super) fn new(launcher: &Launcher) -> Self {
        Self { launcher: launcher.clone(), until: None }
    }

    /// The run was cancelled now, and the program is to end in the time that is promised.
    pub(super) fn cancelled(&mut self) {
        self.until = Some(Instant::now() + CANCELLED_WAIT.saturating_sub(KILLED_WAIT));
    }

    /// The user does not wait any longer.
    pub(super) fn at_once(&mut self) {
        self.until = Some(Instant::now());
    }

    /// The time that the node has to stop.
    pub(super) fn stop_wait(&self) -> Duration {
        if self.until.is_some() { CANCELLED_STOP_WAIT } else { STOP_WAIT }
    }

    /// Waits until no program is left; kills those that are when the time is over, or at a signal.
    pub(super) async fn end(self, signals: &mut Signals) {
        let usual = || Instant::now() + PROGRAM_GRACE_DEFAULT + PROGRAMS_WAIT;
        tokio::select! {
            biased;
            () = self.launcher.quiet() => return,
            _ = signals.next() => {}
            () = sleep_until(self.until.unwrap_or_else(usual)) => {}
        }
        match timeout(KILLED_WAIT, self.launcher.kill()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tell(&format!("warning: programs of agents may still live: {error}\n"));
            }
            Err(_elapsed) => tell("warning: killed programs of agents are not gone yet\n"),
        }
    }
}
