//! Starting the run of a task, whatever its pattern is: its output is JSON from here on.
//!
//! Made by [`Plan`](super::Plan), called by its [`coordinator`](super::coordinator).
//!
//! # Invariants
//! - A run that was started is over, or cancelled, when what starts it or awaits its outcome is dropped.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::Before;
use crate::{
    agent::CallContext,
    dispatch::{Canceller, Pattern},
    pattern::{FailedPart, FailureKind, Outcome, RunError},
};

/// Starts the run of a task, of this name, below a call.
pub(super) type Start = Arc<
    dyn Fn(CallContext, String, Before) -> BoxFuture<'static, Result<Running, Shortfall>>
        + Send
        + Sync,
>;

/// The run of a task that has started.
pub(super) struct Running {
    pub(super) canceller: Canceller,
    pub(super) outcome: BoxFuture<'static, Ending>,
}

/// How the run of a task ended.
pub(super) type Ending = Result<Product, Shortfall>;

/// What a task came to.
pub(super) struct Product {
    pub(super) output: Value,
    /// Parts of its run without a result.
    pub(super) missing: u64,
}

/// Why the run of a task did not complete, and what there is of it.
pub(super) struct Shortfall {
    pub(super) kind: FailureKind,
    pub(super) partial: Option<Value>,
}

/// Starts what `make` makes; `output` says what a task came to that brought this, without these parts.
pub(super) fn by<P: Pattern, T: Serialize>(
    make: impl Fn(&Before) -> Result<P, String> + Send + Sync + 'static,
    output: impl Fn(P::Output, &[FailedPart]) -> T + Send + Sync + 'static,
) -> Start {
    let (make, output) = (Arc::new(make), Arc::new(output));
    Arc::new(move |call, name, before| {
        let (make, output) = (Arc::clone(&make), Arc::clone(&output));
        Box::pin(async move {
            let pattern = make(&before).map_err(invalid)?;
            drop(before);
            let below = call.begin(&name, pattern).await;
            let below = below.map_err(|error| shortfall(*error, &*output))?;
            let canceller = below.canceller();
            let outcome = async move { ending(below.outcome().await, &*output) };
            Ok(Running { canceller, outcome: Box::pin(outcome) })
        })
    })
}

fn invalid(why: String) -> Shortfall {
    Shortfall { kind: FailureKind::Invalid { why }, partial: None }
}

fn ending<V, T: Serialize>(outcome: Outcome<V>, output: impl Fn(V, &[FailedPart]) -> T) -> Ending {
    let done = outcome.map_err(|error| shortfall(*error, &output))?;
    match serde_json::to_value(output(done.value, &done.failed)) {
        Ok(output) => Ok(Product { output, missing: done.failed.len() as u64 }),
        Err(error) => {
            let why = format!("its output is no JSON: {error}");
            Err(Shortfall { kind: FailureKind::Reduce { why }, partial: None })
        }
    }
}

fn shortfall<V, T: Serialize>(
    error: RunError<V>,
    output: impl Fn(V, &[FailedPart]) -> T,
) -> Shortfall {
    let RunError { kind, partial, failed, .. } = error;
    let partial = partial.and_then(|partial| serde_json::to_value(output(partial, &failed)).ok());
    Shortfall { kind, partial }
}
