//! The course of one run: it is started, and cancelled when its moment has come.
//!
//! In the simulation and where cassettes are recorded, whatever the plan is; whoever calls it says by which clock.

use std::pin::pin;

use actors::{dispatch::Pattern, pattern::Outcome};
use futures_util::future::{Either, select};
use protocol::RunId;

use crate::{
    job::{Follow, Plan, Product, Ready},
    node::Node,
};

/// Runs to the end, and says whether the run was cancelled before, at `moment`.
///
/// # Cancel safety
/// The run goes on when the future is dropped.
pub(super) async fn run(
    node: &Node,
    of: (&Plan, RunId),
    ready: Ready,
    moment: impl Future<Output = ()>,
) -> (Outcome<Product>, bool) {
    ready.follow(Caller { node, of, moment }).await
}

/// Whoever starts a run, and cancels it at a moment.
struct Caller<'a, M> {
    node: &'a Node,
    of: (&'a Plan, RunId),
    moment: M,
}

impl<M: Future<Output = ()>> Follow for Caller<'_, M> {
    type Ended = (Outcome<Product>, bool);

    async fn follow<P: Pattern>(
        self,
        run: P,
        into: impl Fn(P::Output) -> Product + Send + Sync + 'static,
    ) -> (Outcome<Product>, bool) {
        follow(self.node, self.of, (run, into), self.moment).await
    }
}

async fn follow<P: Pattern>(
    node: &Node,
    (plan, id): (&Plan, RunId),
    (run, into): (P, impl Fn(P::Output) -> Product),
    moment: impl Future<Output = ()>,
) -> (Outcome<Product>, bool) {
    let run = node.run(run).id(id).deadline(plan.deadline()).limits(plan.limits());
    let handle = match run.start().await {
        Ok(handle) => handle,
        Err(error) => return (Product::outcome(Err(error), into), false),
    };
    let canceller = handle.canceller();
    let (mut outcome, moment) = (pin!(handle.outcome()), pin!(moment));
    let (outcome, is_cancelled) = match select(outcome.as_mut(), moment).await {
        Either::Left((outcome, _)) => (outcome, false),
        Either::Right(((), outcome)) => {
            canceller.cancel();
            (outcome.await, true)
        }
    };
    (Product::outcome(outcome, into), is_cancelled)
}
