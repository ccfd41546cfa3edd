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
    pattern::{FailureKind, Outcome, RunError},
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

/// Starts what `make` makes.
pub(super) fn by<P: Pattern<Output: Serialize>>(
    make: impl Fn(&Before) -> Result<P, String> + Send + Sync + 'static,
) -> Start {
    let make = Arc::new(make);
    Arc::new(move |call, name, before| {
        let make = Arc::clone(&make);
        Box::pin(async move {
            let pattern = make(&before).map_err(invalid)?;
            drop(before);
            let below = call.begin(&name, pattern).await.map_err(|error| shortfall(*error))?;
            let canceller = below.canceller();
            Ok(Running { canceller, outcome: Box::pin(async { ending(below.outcome().await) }) })
        })
    })
}

fn invalid(why: String) -> Shortfall {
    Shortfall { kind: FailureKind::Invalid { why }, partial: None }
}

fn ending<T: Serialize>(outcome: Outcome<T>) -> Ending {
    let done = outcome.map_err(|error| shortfall(*error))?;
    match serde_json::to_value(&done.value) {
        Ok(output) => Ok(Product { output, missing: done.failed.len() as u64 }),
        Err(error) => {
            let why = format!("its output is no JSON: {error}");
            Err(Shortfall { kind: FailureKind::Reduce { why }, partial: None })
        }
    }
}

fn shortfall<T: Serialize>(error: RunError<T>) -> Shortfall {
    let partial = error.partial.and_then(|partial| serde_json::to_value(partial).ok());
    Shortfall { kind: error.kind, partial }
}
