//! What a coordinator is started with, and what its run has spent: the same for all patterns.
//!
//! Made by [`dispatch`](crate::dispatch), held by coordinators.

use std::{sync::Arc, time::Duration};

use protocol::{RunId, TaskId};
use runtime::{
    actor::{Actor, Down},
    budget::{Budget, Cost},
    clock::Moment,
    context::Cx,
    events::EventKind,
    telemetry::trace,
};
use serde::Serialize;
use serde_json::json;

use super::{Counters, FailureKind, PatternKind};
use crate::{
    agent::{CallContext, below::Origin, call::ProgressSink},
    dispatch::ActivePlace,
    roster::{Enlisted, Grant},
    system::AgentSystem,
};

/// What a coordinator is started with.
#[derive(Clone)]
pub(crate) struct Brief {
    pub(crate) system: AgentSystem,
    pub(crate) run: RunId,
    pub(crate) within: Duration,
    /// What the run may use; its attempts are charged to it, and its agents get it with each call.
    pub(crate) budget: Budget,
    pub(crate) counters: Arc<Counters>,
    /// The call that it is below, where it is below one.
    pub(crate) origin: Option<Origin>,
    /// Given back when nothing of the coordinator is left.
    pub(crate) _place: Option<Arc<ActivePlace>>,
}

impl Brief {
    /// The span of the run, in that of the call that it is below.
    pub(super) fn span(&self, pattern: PatternKind, agents: usize) -> tracing::Span {
        let open = || trace::execute(&self.run.to_string(), pattern.as_str(), agents);
        match &self.origin {
            Some(above) => above.span.in_scope(open),
            None => open(),
        }
    }

    /// When a run that starts now is out of time: by its deadline, or by a budget, whichever ends first.
    pub(super) fn deadline(&self, now: Moment) -> Moment {
        (now + self.within).min(self.budget.ends())
    }

    /// Why a run ends that is out of time since `deadline`, with so many of its parts done.
    pub(super) fn out_of_time(&self, deadline: Moment, (done, units): (u64, u64)) -> FailureKind {
        match self.budget.has_time(deadline) {
            Ok(()) => FailureKind::TimedOut { after: self.within, done, units },
            Err(exceeded) => FailureKind::OverBudget { why: exceeded.to_string(), done, units },
        }
    }

    /// What the event says by which the run starts.
    pub(super) fn started(&self, pattern: PatternKind, name: &str) -> serde_json::Value {
        let mut data = json!({ "pattern": pattern, "name": name });
        if let (Some(above), Some(data)) = (&self.origin, data.as_object_mut()) {
            data.insert("above".to_owned(), json!(above.run));
        }
        data
    }

    /// What calls of the run's agents are part of: to be answered by `until`, in this phase of it.
    pub(super) fn origin(&self, until: Moment, phase: &tracing::Span) -> Option<Origin> {
        Some(Origin { run: self.run, until, span: phase.clone() })
    }

    /// The call by which the coordinator itself starts a run below its own, as the piece of work of this number.
    pub(super) fn call<A: Actor>(
        &self,
        unit: u64,
        origin: Option<Origin>,
        cx: &Cx<A>,
    ) -> CallContext {
        let (budget, call) = (&self.budget, CallContext::new(self.task_id(unit)));
        CallContext {
            budget: Some(budget.clone()),
            work: Some(cx.work_cx().charged_to(Some(budget.clone()))),
            system: Some(self.system.clone()),
            origin,
            ..call
        }
    }

    /// Takes what an agent says about its progress with a piece of work to whoever watches the run.
    pub(super) fn progress(&self, unit: u64, source: &str) -> ProgressSink {
        let (node, run) = (self.system.node(), self.run);
        if !node.events().wants(EventKind::ProgressUpdate.as_str(), Some(run)) {
            return ProgressSink::default();
        }
        let (node, source) = (node.clone(), source.to_owned());
        ProgressSink::new(move |progress| {
            let data = json!({ "unit": unit, "share": progress.share() });
            node.publish(EventKind::ProgressUpdate, &source, run, data);
        })
    }

    /// One id for all attempts at a piece of work, so that effects can be told apart by it: the run's id with its number mixed in.
    pub(super) fn task_id(&self, unit: u64) -> TaskId {
        task_id(self.run, unit)
    }

    /// Puts the coordinator among those whom each new incarnation of the roster asks, for as long as what is returned lives.
    ///
    /// `lost` tells it when the roster has ended for good: no more places will come, and the run is to end with what it has.
    pub(super) fn enlist<A: Actor>(
        &self,
        cx: &mut Cx<A>,
        granted: impl Fn(Grant) -> A::Msg + Send + Sync + 'static,
        lost: impl FnOnce(FailureKind) -> A::Msg + Send + 'static,
    ) -> Enlisted {
        let Self { system, .. } = self;
        cx.watch(&system.roster().child(), move |Down { reason, .. }| {
            let why = format!("the roster of the node's agents has ended ({reason})");
            lost(FailureKind::NodeLost { why })
        });
        system.known().enlist(cx.id(), cx.me().recipient(granted), system.roster())
    }
}

/// The id of a run's piece of work of this number.
pub(super) fn task_id(run: RunId, unit: u64) -> TaskId {
    TaskId::from_u128(run.as_u128() ^ u128::from(unit))
}

/// What the journal says a run has spent; nothing where its budget limits nothing of that.
#[derive(Debug)]
pub(super) struct Spending(Option<Cost>);

impl Spending {
    /// The spending of a run that begins; that of a run below another one stands in the records of the one above.
    pub(super) fn of(brief: &Brief) -> Self {
        if brief.origin.is_some() {
            return Self(None);
        }
        let Cost { messages, tokens, micro_dollars, children } = brief.budget.left();
        let limited =
            [messages, tokens, micro_dollars, children].iter().any(|left| *left != u64::MAX);
        Self(limited.then_some(Cost::ZERO))
    }

    /// Takes what the journal says.
    pub(super) fn replay(&mut self, cost: Cost) {
        if let Some(spent) = &mut self.0 {
            *spent = cost;
        }
    }

    /// Takes what earlier lives of the run have spent from its budget, as far as that still has so much.
    pub(super) fn take_up(&self, brief: &Brief, now: Moment) {
        let (Some(spent), left) = (self.0, brief.budget.left()) else { return };
        let before = Cost {
            messages: spent.messages.min(left.messages),
            tokens: spent.tokens.min(left.tokens),
            micro_dollars: spent.micro_dollars.min(left.micro_dollars),
            children: spent.children.min(left.children),
        };
        if let Err(exceeded) = brief.budget.spend(before, now) {
            tracing::warn!(%exceeded, run = %brief.run, "a resumed run's budget is used up");
        }
    }

    /// Writes down what the run has spent, if a resume must know of it and the journal does not.
    pub(super) fn write<A: Actor, R: Serialize>(
        &mut self,
        brief: &Brief,
        record: impl FnOnce(Cost) -> R,
        cx: &mut Cx<A>,
    ) {
        let (Some(known), spent) = (self.0, brief.budget.spent()) else { return };
        if spent != known {
            self.0 = Some(spent);
            cx.record(&record(spent));
        }
    }
}

/// The time for records, in Unix milliseconds.
pub(super) fn millis<A: Actor>(cx: &Cx<A>) -> i64 {
    cx.unix_nanos() / 1_000_000
}
