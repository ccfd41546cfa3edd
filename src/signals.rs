//! The signals that tell a program to end, and what they do once nobody listens any more.
//!
//! [`serve`](crate::serve()), [`watch`](crate::watch()) and `synod run` listen to them.
//!
//! # Invariants
//! - A signal that was left to the system before the first listener is so again after the last: the handler stays, for it can not be
//!   taken away, and does what the system would have done. So it is, too, when listening could not begin.
//! - One that somebody else had caught, or that was ignored, is left to them.
//! - While somebody decides what the signals mean, those who merely hear them hear none.

use std::{
    fs, io,
    sync::{
        Arc, LazyLock,
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

/// What a listener does with the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Says how the program ends: every signal is its.
    Decides,
    /// Hears the signals while nobody decides.
    Hears,
}

/// Who listens; of the process, as signals are.
static LISTENERS: LazyLock<Arc<Listeners>> = LazyLock::new(Arc::default);

/// Who listens, and what the signals do when nobody does.
#[derive(Debug)]
struct Listeners {
    count: Mutex<Count>,
    /// Whether the signals do by now what the system does with them.
    left: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Count {
    all: usize,
    deciding: usize,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { count: Mutex::default(), left: Arc::new(AtomicBool::new(true)) }
    }
}

impl Listeners {
    /// Begins to listen to what `signal` makes of each kind; where that fails, all is as it was.
    fn begin(
        self: &Arc<Self>,
        part: Part,
        signal: impl Fn(SignalKind) -> io::Result<Signal>,
    ) -> io::Result<Signals> {
        let mut count = self.count.lock();
        // What was registered here before is caught by now.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        for of in [SIGINT, SIGTERM].into_iter().filter(|of| is_default(&status, *of)) {
            register_conditional_default(of, Arc::clone(&self.left))?;
        }
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        count.all += 1;
        count.deciding += usize::from(part == Part::Decides);
        self.left.store(false, Ordering::SeqCst);
        Ok(Signals { interrupt, terminate, part, listeners: Arc::clone(self) })
    }
}

/// Listens to the signals until dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    part: Part,
    listeners: Arc<Listeners>,
}

impl Signals {
    /// Begins to listen: from now on no signal ends the program by itself.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn begin(part: Part) -> io::Result<Self> {
        LISTENERS.begin(part, signal)
    }

    /// Waits for the next signal that is for this listener.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Told {
        loop {
            let told = tokio::select! {
                _ = self.interrupt.recv() => Told::Interrupt,
                _ = self.terminate.recv() => Told::Terminate,
            };
            if self.part == Part::Decides || self.listeners.count.lock().deciding == 0 {
                return told;
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let mut count = self.listeners.count.lock();
        count.all -= 1;
        count.deciding -= usize::from(self.part == Part::Decides);
        self.listeners.left.store(count.all == 0, Ordering::SeqCst);
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

    impl Listeners {
        fn leave_signals_to_the_system(&self) -> bool {
            self.left.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn signals_are_given_back_when_the_last_has_ceased_to_listen() {
        let all = Arc::<Listeners>::default();
        let first = all.begin(Part::Decides, signal).unwrap();
        let second = all.begin(Part::Hears, signal).unwrap();
        drop(first);
        assert!(!all.leave_signals_to_the_system(), "the second still listens");
        drop(second);
        assert!(all.leave_signals_to_the_system());
    }

    #[tokio::test]
    async fn signals_are_left_to_the_system_when_only_one_of_them_can_be_listened_to() {
        let all = Arc::<Listeners>::default();
        let only_interrupt = |kind| {
            let is_interrupt = kind == SignalKind::interrupt();
            if is_interrupt { signal(kind) } else { Err(io::Error::other("no more")) }
        };
        assert!(all.begin(Part::Decides, only_interrupt).is_err());
        assert!(all.leave_signals_to_the_system());
        let listens = all.begin(Part::Decides, signal).unwrap();
        assert!(all.begin(Part::Decides, only_interrupt).is_err());
        assert!(!all.leave_signals_to_the_system(), "the first still listens");
        drop(listens);
        assert!(all.leave_signals_to_the_system());
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
