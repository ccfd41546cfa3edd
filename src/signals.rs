//! The signals that tell an engineer's own program to end, and what they do once nobody listens any more.
//!
//! [`watch`](crate::watch()) and [`serve`](crate::serve()) listen to them.
//!
//! # Invariants
//! - A signal that was left to the system before the first listener is so again after the last: the handler stays, for it can not be
//!   taken away, and does what the system would have done.
//! - One that somebody else had caught, or that was ignored, is left to them.

use std::{
    fs, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::register_conditional_default,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the program is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// By Ctrl-C.
    Interrupt,
    /// By SIGTERM.
    Terminate,
}

/// Whether the signals do by now what the system does with them; of the process, as signals are.
static LEFT_TO_SYSTEM: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How many listen.
static LISTENING: Mutex<usize> = Mutex::new(0);

/// Listens to the signals until dropped.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    left: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn begin() -> io::Result<Self> {
        let mut listening = LISTENING.lock();
        let mut first = false;
        let left = LEFT_TO_SYSTEM.get_or_init(|| {
            first = true;
            Arc::default()
        });
        let left = Arc::clone(left);
        if first {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            for of in [SIGINT, SIGTERM].into_iter().filter(|of| is_default(&status, *of)) {
                register_conditional_default(of, Arc::clone(&left))?;
            }
        }
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        *listening += 1;
        left.store(false, Ordering::SeqCst);
        Ok(Self { interrupt, terminate, left })
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.terminate.recv() => Told::Terminate,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let mut listening = LISTENING.lock();
        *listening -= 1;
        self.left.store(*listening == 0, Ordering::SeqCst);
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

    #[tokio::test]
    async fn signals_are_given_back_when_the_last_has_ceased_to_listen() {
        let (first, second) = (Signals::begin().unwrap(), Signals::begin().unwrap());
        let left = Arc::clone(&first.left);
        drop(first);
        assert!(!left.load(Ordering::SeqCst), "the second still listens");
        drop(second);
        assert!(left.load(Ordering::SeqCst));
    }

    #[test]
    fn a_signal_that_somebody_catches_or_ignores_is_left_to_them() {
        let status = "Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000002\n";
        assert!(!is_default(status, SIGINT), "caught");
        assert!(is_default(status, SIGTERM));
        assert!(!is_default(status, 13), "ignored");
        assert!(!is_default("", SIGTERM), "not known");
    }
}
