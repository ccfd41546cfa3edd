//! The reference of `speed_up`: two bare threads that share parts of pure computing.
//!
//! All contenders and rounds compute the same parts and are compared with the same run on one thread.
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::clock::{WORKERS, Watch};
use crate::figure::{Outcome, Settings};

/// How long one part computes, about.
const PART: Duration = Duration::from_millis(10);
/// Parts in one measurement.
const PARTS: u64 = 160;
/// Iterations of the first guess at how fast this machine is.
const GUESS: u64 = 1_000_000;

/// Computes for a number of iterations; every step needs the one before.
pub(crate) fn part(iterations: u64) -> u64 {
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..iterations {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}

/// What every measurement computes, and how long one thread takes for it.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) parts: u64,
    pub(crate) iterations: u64,
    pub(crate) alone: Duration,
}

impl Work {
    /// The work of this process, sized and timed alone when it is first asked for.
    pub(crate) fn of(settings: &Settings) -> Result<Self> {
        static WORK: OnceLock<Work> = OnceLock::new();
        if let Some(work) = WORK.get() {
            return Ok(*work);
        }
        let (parts, iterations) = (settings.count(PARTS), iterations());
        let alone = run(1, parts, iterations)?;
        Ok(*WORK.get_or_init(|| Self { parts, iterations, alone }))
    }

    /// How many times faster than alone it was done.
    pub(crate) fn speed_up(&self, time: Duration) -> f64 {
        self.alone.as_secs_f64() / time.as_secs_f64()
    }
}

/// Finds how many iterations take as long as a part should: the best of several tries, so that noise only lengthens parts.
fn iterations() -> u64 {
    let time = |_| {
        let watch = Watch::start();
        part(GUESS);
        watch.time()
    };
    let best = (0..10).map(time).min().unwrap_or(PART).max(Duration::from_nanos(1));
    let scaled = u128::from(GUESS) * PART.as_nanos() / best.as_nanos();
    u64::try_from(scaled).unwrap_or(GUESS)
}

/// Tells how many times faster two threads are than one.
pub(crate) fn threads(settings: &Settings) -> Outcome {
    let work = Work::of(settings)?;
    Ok(Ok(work.speed_up(run(WORKERS, work.parts, work.iterations)?)))
}

/// Runs all parts on some threads, each taking the next that nobody has.
fn run(count: usize, parts: u64, iterations: u64) -> Result<Duration> {
    let next = AtomicU64::new(0);
    let work = || {
        while next.fetch_add(1, Ordering::Relaxed) < parts {
            part(iterations);
        }
    };
    let watch = Watch::start();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")))
    })?;
    Ok(watch.time())
}
