//! Work that an actor hands out: guarded against panics, cancellable, its outcome always told.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::{
    FutureExt,
    future::{AbortRegistration, Abortable},
};
use tokio::sync::oneshot;

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked, with this text.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// `work` with its panics caught and its cancellation told.
///
/// Made of combinators: an async block keeps what it awaits twice, so each one around it would double what a task takes.
pub(crate) fn guarded<T>(
    work: impl Future<Output = T>,
    registration: AbortRegistration,
) -> impl Future<Output = Result<T, TaskError>> {
    Abortable::new(AssertUnwindSafe(work).catch_unwind(), registration).map(|ended| match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(TaskError::Panicked(panic_text(&*panic))),
        Err(_aborted) => Err(TaskError::Cancelled),
    })
}

/// `work` as a closure for a thread of its own, and the future that waits for it; it is not begun if nobody waits any more.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> (Box<dyn FnOnce() + Send>, impl Future<Output = Result<T, TaskError>> + Send + 'static) {
    let (done, waits) = oneshot::channel();
    let run = move || {
        if done.is_closed() {
            return;
        }
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(work));
        // Nobody waits any more when the task was cancelled.
        drop(done.send(outcome.map_err(|panic| TaskError::Panicked(panic_text(&*panic)))));
    };
    (Box::new(run), async move { waits.await.unwrap_or(Err(TaskError::Cancelled)) })
}

/// Runs code of others where its panic must not spread: it is logged as the panic of `what`.
pub(crate) fn contained(what: &'static str, run: impl FnOnce()) {
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(run)) {
        tracing::error!(what, panic = panic_text(&*panic), "code outside of a step panicked");
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}
