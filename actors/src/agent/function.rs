//! Function agents: Rust closures, async or computing on a thread of their own.

use std::{fmt::Display, future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use runtime::{tasks::Threads, work::TaskError};

use super::call::{AgentError, Behaviour, CallContext};

/// An agent that is an async closure.
///
/// It is polled on the actors' threads: what computes for long belongs into [`Blocking`].
#[derive(Clone, Debug)]
pub struct Function<F>(pub F);

impl<I, O, E, F, W> Behaviour<I, O> for Function<F>
where
    I: Send + 'static,
    O: Send + 'static,
    E: Display + Send + 'static,
    F: Fn(I, CallContext) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, E>> + Send + 'static,
{
    fn call(&self, input: I, context: CallContext) -> BoxFuture<'static, Result<O, AgentError>> {
        let work = (self.0)(input, context);
        Box::pin(async move {
            work.await.map_err(|error| AgentError::Failed { message: error.to_string() })
        })
    }
}

/// An agent that is a closure which blocks or computes, on threads of its own.
///
/// Calls beyond its number of threads wait in line. A cancelled call is not waited for; the closure sees
/// [`CallContext::cancelled`] and should end soon.
#[derive(Debug)]
pub struct Blocking<F> {
    function: F,
    threads: Arc<Threads>,
}

impl<F> Blocking<F> {
    /// `function` on at most `threads` threads at a time.
    pub fn new(function: F, threads: u32) -> Self {
        let threads = Threads::new(usize::try_from(threads).unwrap_or(usize::MAX));
        Self { function, threads: Arc::new(threads) }
    }
}

impl<I, O, E, F> Behaviour<I, O> for Blocking<F>
where
    I: Send + 'static,
    O: Send + 'static,
    E: Display + Send + 'static,
    F: Fn(I, CallContext) -> Result<O, E> + Clone + Send + Sync + 'static,
{
    fn call(&self, input: I, context: CallContext) -> BoxFuture<'static, Result<O, AgentError>> {
        let (function, cancelled) = (self.function.clone(), context.cancelled.clone());
        let threads = Arc::clone(&self.threads);
        Box::pin(async move {
            let _guard = CancelOnDrop(cancelled);
            match threads.run(move || function(input, context)).await {
                Ok(outcome) => {
                    outcome.map_err(|error| AgentError::Failed { message: error.to_string() })
                }
                Err(TaskError::Panicked(message)) => Err(AgentError::Panicked { message }),
                Err(TaskError::Cancelled) => Err(AgentError::Cancelled),
            }
        })
    }

    fn keeps_line(&self) -> bool {
        true
    }
}

/// Tells a computation that its call was dropped.
struct CancelOnDrop(super::call::Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
