//! A worker's actor: has an agent do one task at a time, at the place that it is given, and tells its boss what came of it.
//!
//! Started and supervised by its boss: the leader of its team, or the supervisor for what agents do in its own place. The boss
//! finds the places, so that a whole team asks the roster as one.
//!
//! # Invariants
//! - Of each task that it is given one answer is told, unless it ends before.
//! - An agent that panics or is lost ends its worker with it: its boss decides what follows.

use std::{sync::Arc, time::Duration};

use runtime::{
    actor::Actor, address::Recipient, clock::Moment, context::Cx, events::EventKind,
    graph::ObservableState,
};
use serde_json::{Value, json};

use super::{
    link::{Call, Charge, Errand, Link},
    team::Member,
};
use crate::{
    agent::call::AgentError,
    limits::QUIESCENCE_WAIT,
    pattern::{
        Brief,
        bounds::{check_datum, clipped},
        brief::millis,
        link::end,
    },
    roster::Lease,
};

/// What a worker is told.
pub(super) enum Msg {
    Do(Box<Do>),
    /// The agent has answered, or not within this time.
    Answered(Result<Result<Value, AgentError>, Duration>),
}

/// A task, with the place to do it at.
pub(super) struct Do {
    /// Which incarnation of the worker is meant.
    pub(super) life: u32,
    pub(super) charge: Arc<Charge>,
    pub(super) attempt: u32,
    /// Which agent of the chain.
    pub(super) link: usize,
    pub(super) lease: Lease,
}

/// What came of a task.
pub(super) struct Told {
    /// Which of its boss's it is, of which incarnation of the boss, and which incarnation of it.
    pub(super) seat: u32,
    pub(super) boss: u32,
    pub(super) life: u32,
    pub(super) answer: Result<Arc<Value>, AgentError>,
    /// Whether the place may be used again.
    pub(super) usable: bool,
    /// When the call began, in Unix milliseconds, and how long it took.
    pub(super) at: i64,
    pub(super) took: Duration,
}

/// What a worker is started with.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) terms: Arc<Terms>,
    pub(super) member: Member,
    pub(super) seat: u32,
    /// Which incarnation of its boss it is of.
    pub(super) boss: u32,
    pub(super) to: Recipient<Box<Told>>,
}

/// The same for all workers of one boss.
pub(super) struct Terms {
    pub(super) brief: Brief,
    /// The team, for those who read along; empty where it is none.
    pub(super) team: Arc<str>,
    /// The time that each call has.
    pub(super) timeout: Duration,
    pub(super) deadline: Moment,
    /// The phase of the run in which they work.
    pub(super) span: tracing::Span,
}

/// The worker's state.
pub(super) struct Worker {
    post: Post,
    call: Option<Begun>,
}

/// A call that goes on.
struct Begun {
    order: Box<Do>,
    since: Moment,
    at: i64,
}

type In = Cx<Worker>;

impl Worker {
    pub(super) fn new(post: Post) -> Self {
        Self { post, call: None }
    }

    fn begin(&mut self, order: Box<Do>, cx: &mut In) {
        if order.life != cx.incarnation() {
            return;
        }
        let (since, at) = (cx.now(), millis(cx));
        let Some(link) = self.post.member.links.get(order.link).map(Arc::clone) else { return };
        if let Err(message) = self.ask(&link, &order, since, cx) {
            let told = (Err(AgentError::Failed { message }), true, Duration::ZERO);
            return self.tell(told, at, cx);
        }
        self.post.terms.brief.counters.begun();
        self.publish(&order, &link, cx);
        self.call = Some(Begun { order, since, at });
    }

    fn ask(
        &self,
        link: &Arc<dyn Link>,
        order: &Do,
        sent: Moment,
        cx: &mut In,
    ) -> Result<(), String> {
        let Terms { brief, timeout, deadline, span, .. } = &*self.post.terms;
        let Do { charge, lease, .. } = order;
        // The deadline ends a call by a cancel; should the slot not answer that either, the ask ends behind it.
        let left = sent.until(*deadline) + 2 * QUIESCENCE_WAIT;
        let timeout = link.agent().timeout().unwrap_or(*timeout).min(*timeout).min(left);
        let errand = Errand {
            assignment: &charge.assignment,
            task: &charge.task,
            input: &charge.input,
            before: &charge.before,
            attempt: order.attempt,
        };
        let call = Call {
            errand,
            lease: *lease,
            task: brief.task_id(charge.unit),
            sent,
            progress: brief.progress(charge.unit, cx.me().name()),
            budget: brief.budget.clone(),
            origin: brief.origin((sent + timeout).min(*deadline), span),
            timeout,
        };
        link.ask(call, cx)
    }

    fn publish(&self, order: &Do, link: &Arc<dyn Link>, cx: &mut In) {
        let (Terms { brief, team, .. }, member) = (&*self.post.terms, &self.post.member);
        cx.publish(EventKind::TaskAssigned, Some(brief.run), || {
            json!({
                "unit": order.charge.unit,
                "part": order.charge.unit,
                "name": *order.charge.task,
                "assignment": *order.charge.assignment,
                "team": **team,
                "worker": *member.name,
                "agent": **link.agent().name(),
                "slot": order.lease.slot,
                "attempt": order.attempt,
            })
        });
    }

    fn answered(&mut self, answer: Result<Result<Value, AgentError>, Duration>, cx: &mut In) {
        let Some(Begun { order, since, at }) = self.call.take() else { return };
        let took = cx.now().since(since);
        let Some(link) = self.post.member.links.get(order.link).map(Arc::clone) else { return };
        let slot = order.lease.slot;
        if answer.is_err() {
            end(link.agent(), order.lease, true, cx);
        }
        let held = matches!(&answer, Ok(Err(AgentError::Held { .. })));
        let usable = answer.is_ok() && !held && link.agent().has(slot);
        let answer = answer.unwrap_or_else(|after| Err(AgentError::TimedOut { after }));
        let answer = answer.and_then(|output| check_datum(&output).map(|()| Arc::new(output)));
        let counters = &self.post.terms.brief.counters;
        match &answer {
            Ok(_) => counters.done(took),
            Err(error) => counters.failed(error),
        }
        match answer {
            Err(error @ (AgentError::Panicked { .. } | AgentError::Lost { .. })) => {
                cx.crash(clipped(error).to_string());
            }
            answer => self.tell((answer.map_err(clipped), usable, took), at, cx),
        }
    }

    fn tell(
        &self,
        (answer, usable, took): (Result<Arc<Value>, AgentError>, bool, Duration),
        at: i64,
        cx: &mut In,
    ) {
        let (Post { seat, boss, .. }, life) = (&self.post, cx.incarnation());
        let (seat, boss) = (*seat, *boss);
        cx.send(&self.post.to, Box::new(Told { seat, boss, life, answer, usable, at, took }));
    }
}

impl Actor for Worker {
    type Msg = Msg;

    fn observe(&self) -> ObservableState {
        let task = self.call.as_ref().map(|call| &*call.order.charge.task);
        let attempt = self.call.as_ref().map(|call| call.order.attempt);
        ObservableState::of(&json!({ "task": task, "attempt": attempt }))
    }

    fn handle(&mut self, msg: Msg, cx: &mut In) {
        match msg {
            Msg::Do(order) => self.begin(order, cx),
            Msg::Answered(answer) => self.answered(answer, cx),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.post.terms.brief.counters.abandoned(usize::from(self.call.is_some()));
    }
}
