//! Time, and the runtime that workloads are timed on.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Threads that every workload has, whatever the machine.
pub(crate) const WORKERS: usize = 2;

/// Measures how long something takes.
#[derive(Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "figures are taken by the wall clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Tells the time since the start.
    pub(crate) fn time(self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs a workload on a fresh runtime; the future times itself, so that what it prepares does not count.
///
/// # Errors
/// When the runtime cannot be made, or the workload breaks.
pub(crate) fn on_workers<T: Send + 'static>(
    workload: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    on(WORKERS, workload)
}

/// The same, on so many threads.
///
/// # Errors
/// When the runtime cannot be made, or the workload breaks.
pub(crate) fn on<T: Send + 'static>(
    threads: usize,
    workload: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("start a runtime")?;
    // spawned, so that it runs on a worker and not on a third thread
    let result = runtime.block_on(runtime.spawn(workload)).context("join the workload")?;
    runtime.shutdown_timeout(Duration::from_secs(10));
    result
}

/// Tells how many of something were done a second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
