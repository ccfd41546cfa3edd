//! The signals that end a run; [`run`](super::run) listens to them from the listing of the files to the last line of the result.
//!
//! # Invariants
//! - Once they are listened to, no signal ends the program by itself: whoever takes long waits for [`Signals::next`] beside it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;

/// The signals that end a run.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal, and says how it ends the program.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Cancelled,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}
