//! Function agents: Rust closures, async or computing on a thread of their own.

use std::{fmt::Display, future::Future};

use futures_util::future::BoxFuture;
use runtime::{tasks::on_thread, work::TaskError};

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

/// An agent that is a closure which blocks or computes, each call on a thread of its own.
///
/// A cancelled call is not waited for; the closure sees [`CallContext::cancelled`] and should end soon.
#[derive(Clone, Debug)]
pub struct Blocking<F>(pub F);

impl<I, O, E, F> Behaviour<I, O> for Blocking<F>
where
    I: Send + 'static,
    O: Send + 'static,
    E: Display + Send + 'static,
    F: Fn(I, CallContext) -> Result<O, E> + Clone + Send + Sync + 'static,
{
    fn call(&self, input: I, context: CallContext) -> BoxFuture<'static, Result<O, AgentError>> {
        let (function, cancelled) = (self.0.clone(), context.cancelled.clone());
        Box::pin(async move {
            let _guard = CancelOnDrop(cancelled);
            match on_thread(move || function(input, context)).await {
                Ok(outcome) => {
                    outcome.map_err(|error| AgentError::Failed { message: error.to_string() })
                }
                Err(TaskError::Panicked(message)) => Err(AgentError::Panicked { message }),
                Err(TaskError::Cancelled) => Err(AgentError::Cancelled),
            }
        })
    }
}

/// Tells a computation that its call was dropped.
struct CancelOnDrop(super::call::Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
