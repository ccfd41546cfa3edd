//! The signals that end watching, and what they do when it has ended.
//!
//! # Invariants
//! - A signal that was left to the system before the first watching is so again after each: the handler stays, for it can not be
//!   taken away, and does what the system would have done.
//! - One that somebody else had caught, or that was ignored, is left to them.

use std::{
    fs, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::register_conditional_default,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::WatchError;

/// Whether the signals do by now what the system does with them; of the process, as signals are.
static LEFT_TO_SYSTEM: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Listens to the signals until dropped.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    left: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn begin() -> io::Result<Self> {
        let mut first = false;
        let left = LEFT_TO_SYSTEM.get_or_init(|| {
            first = true;
            Arc::default()
        });
        let left = Arc::clone(left);
        left.store(false, Ordering::SeqCst);
        if first {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            for of in [SIGINT, SIGTERM].into_iter().filter(|of| is_default(&status, *of)) {
                register_conditional_default(of, Arc::clone(&left))?;
            }
        }
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            left,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> WatchError {
        tokio::select! {
            _ = self.interrupt.recv() => WatchError::Interrupted,
            _ = self.terminate.recv() => WatchError::Terminated,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.left.store(true, Ordering::SeqCst);
    }
}

/// Whether a signal is neither caught nor ignored, by what `/proc/self/status` says; not known is no.
fn is_default(status: &str, signal: i32) -> bool {
    let has = |mask: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(mask))?;
        let bits = u64::from_str_radix(line.trim(), 16).ok()?;
        Some(bits >> (signal - 1) & 1 == 1)
    };
    has("SigIgn:") == Some(false) && has("SigCgt:") == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_somebody_catches_or_ignores_is_left_to_them() {
        let status = "Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000002\n";
        assert!(!is_default(status, SIGINT), "caught");
        assert!(is_default(status, SIGTERM));
        assert!(!is_default(status, 13), "ignored");
        assert!(!is_default("", SIGTERM), "not known");
    }
}
