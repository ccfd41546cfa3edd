//! A slot: the actor that stands for one instance of an agent. It calls the agent, cancels it, and restarts with it.
//!
//! Coordinators give it work under a [`lease`](crate::roster); other actors ask it directly. Its supervisor starts it again when its
//! agent panics or hangs.
//!
//! # Invariants
//! - Every piece of work is answered once; a slot that ends drops its replies, which answers them too.
//! - A direct call never takes a place that the roster has given to somebody, and ends soon after its asker has given it up.
//! - Work that nobody waits for any more is not begun.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::FixedState;
use protocol::TaskId;
use runtime::{
    actor::Actor,
    breaker::Permit,
    context::{Cx, Task, Timer},
    events::EventKind,
    graph::ObservableState,
    scope::Scope,
    telemetry::metrics::Histogram,
    work::TaskError,
};

use serde_json::json;

use super::{
    call::{AgentError, Behaviour, CallContext, Cancelled, ProgressSink},
    gate::{Closed, Gate, Report, verdict},
    heartbeat::{Heart, Silence, Stethoscope},
};
use crate::{
    limits::{CALLS_QUEUED_MAX, GIVEN_UP_LOOK},
    roster::{Health, LeaseId},
    system::AgentSystem,
};

use msg::To;
pub use msg::{Msg, Work};

mod msg;

/// The slot's state.
pub struct Slot<I: 'static, O: 'static> {
    agent: Arc<dyn Behaviour<I, O>>,
    concurrency: usize,
    name: Arc<str>,
    system: Option<AgentSystem>,
    latency: Histogram,
    next: u64,
    /// By a hash that is the same in every process: whoever goes through it does so in the same order.
    running: HashMap<u64, Running<O>, FixedState>,
    /// How much of what runs has a lease.
    leased: usize,
    /// Work handed over ahead of its turn.
    ahead: VecDeque<(Box<Work<I>>, To<O>)>,
    calls: VecDeque<(I, To<O>)>,
    gate: Gate,
    /// Whom to tell what the gate says of the agent.
    report: Option<Report>,
    /// Listens to calls, where the agent declares a heartbeat.
    stethoscope: Option<Stethoscope>,
    /// Whether it waits for its turn under the rate limit.
    limited: bool,
    /// When it is next looked whether direct calls were given up; only while there are some.
    look: Option<Timer>,
}

struct Running<O> {
    lease: Option<LeaseId>,
    permit: Option<Permit>,
    timed_out: bool,
    task: Task,
    /// What the agent has started for it.
    scope: Scope,
    cancelled: Cancelled,
    reply: To<O>,
    /// What beats in the call, where the agent declares that.
    heart: Option<Heart>,
    /// When it is listened to next.
    ear: Option<Timer>,
    /// Why it was ended, when it showed no sign of life any more.
    silence: Option<Silence>,
}

impl<I: 'static, O: 'static> Slot<I, O> {
    /// A slot that gives `agent` at most `concurrency` pieces of work and as many direct calls at a time.
    pub fn new(agent: Arc<dyn Behaviour<I, O>>, concurrency: u32) -> Self {
        let concurrency = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        Self {
            agent,
            concurrency,
            name: "".into(),
            system: None,
            latency: Histogram::noop(),
            next: 0,
            running: HashMap::default(),
            leased: 0,
            ahead: VecDeque::new(),
            calls: VecDeque::new(),
            gate: Gate::default(),
            report: None,
            stethoscope: None,
            limited: false,
            look: None,
        }
    }

    /// Gives the slot its gate, which outlives it, and whom to tell when that closes and opens.
    #[must_use]
    pub(crate) fn behind(mut self, gate: Gate, report: Report) -> Self {
        (self.gate, self.report) = (gate, Some(report));
        self
    }

    /// Lets the slot listen to its calls.
    #[must_use]
    pub(crate) fn listening(mut self, stethoscope: Option<Stethoscope>) -> Self {
        self.stethoscope = stethoscope;
        self
    }

    /// Tells the slot where runs below its calls start.
    #[must_use]
    pub(crate) fn within(mut self, system: AgentSystem) -> Self {
        self.system = Some(system);
        self
    }

    /// Tells the slot its agent's name, and where the time goes that work takes to reach it, in seconds.
    #[must_use]
    pub fn of(mut self, name: Arc<str>, latency: Histogram) -> Self {
        (self.name, self.latency) = (name, latency);
        self
    }
}

impl<I: Send + 'static, O: Send + 'static> Actor for Slot<I, O> {
    type Msg = Msg<I, O>;

    fn start(&mut self, cx: &mut Cx<Self>) {
        let incarnation = cx.incarnation();
        if incarnation > 1 {
            let name = &self.name;
            cx.publish(
                EventKind::AgentRestarted,
                None,
                || json!({ "agent": **name, "restarts": incarnation - 1 }),
            );
        }
    }

    fn observe(&self) -> ObservableState {
        let waiting = self.ahead.len() + self.calls.len();
        ObservableState::of(&json!({
            "agent": *self.name,
            "running": self.running.len(),
            "waiting": waiting,
            "limited": self.limited,
            "breaker": self.gate.shown(),
        }))
    }

    fn handle(&mut self, msg: Msg<I, O>, cx: &mut Cx<Self>) {
        match msg {
            Msg::Work(work, reply) => {
                self.ahead.push_back((work, reply));
                self.next_work(cx);
            }
            Msg::Cancel(lease) => self.cancel(lease, false, cx),
            Msg::TimedOut(lease) => self.cancel(lease, true, cx),
            Msg::Turn => {
                self.limited = false;
                self.next_work(cx);
                self.next_call(cx);
            }
            Msg::Call(input, reply) => {
                self.drop_unwanted(cx);
                if self.calls.len() >= CALLS_QUEUED_MAX {
                    let reason = format!(
                        "{CALLS_QUEUED_MAX} calls wait for this agent already; try again later"
                    );
                    cx.reply(reply, Err(AgentError::Refused { reason }));
                } else {
                    self.calls.push_back((input, reply));
                    self.next_call(cx);
                }
            }
            Msg::Look => {
                self.look = None;
                self.drop_unwanted(cx);
                self.look_again(cx);
            }
            Msg::Done(call, outcome) => self.done(call, outcome, cx),
            Msg::Listen(call) => self.listen(call, cx),
        }
    }
}

impl<I: Send + 'static, O: Send + 'static> Slot<I, O> {
    fn begin(
        &mut self,
        mut work: Box<Work<I>>,
        permit: Option<Permit>,
        reply: To<O>,
        cx: &mut Cx<Self>,
    ) {
        let (call, lease, cancelled) = (self.next, work.lease, Cancelled::default());
        self.next += 1;
        // Nobody holds back messages for leased work: only direct calls can close a circle.
        let work_cx = if lease.is_some() {
            cx.work_cx()
        } else {
            cx.handler_cx(u32::try_from(self.concurrency).unwrap_or(u32::MAX), call)
        };
        // What a run's agent asks and starts is the run's.
        let work_cx = match &work.budget {
            Some(budget) => work_cx.charged_to(Some(budget.clone())),
            None => work_cx,
        };
        let (work_cx, scope) = work_cx.scoped();
        work_cx.take(&reply);
        let heart = self.stethoscope.as_ref().map(|of| Heart::new(of.every, cx.now()));
        if let Some(heart) = &heart {
            work.progress = work.progress.beating(heart.clone(), work_cx.clone());
        }
        // The agent's own code runs inside the task, so that its panics are the task's.
        let (agent, system) = (Arc::clone(&self.agent), self.system.clone());
        let (told, own) = (cancelled.clone(), work_cx.clone());
        let answer = work_cx.run(async move {
            let Work { task, attempt, input, progress, budget, origin, .. } = *work;
            let (cancelled, work) = (told, Some(own));
            let context =
                CallContext { task, attempt, progress, budget, cancelled, work, system, origin };
            agent.call(input, context).await
        });
        let task = cx.perform(answer, move |outcome| Msg::Done(call, outcome));
        self.leased += usize::from(lease.is_some());
        let (timed_out, silence, ear) = (false, None, None);
        let running = Running {
            lease,
            permit,
            timed_out,
            task,
            scope,
            cancelled,
            reply,
            heart,
            ear,
            silence,
        };
        self.running.insert(call, running);
        self.listen(call, cx);
        self.look_again(cx);
    }

    /// Listens to a call now, and again when its silence would be too long; ends one that shows no sign of life any more.
    fn listen(&mut self, call: u64, cx: &mut Cx<Self>) {
        let Some(running) = self.running.get_mut(&call) else { return };
        let (Some(heart), Some(of)) = (&running.heart, &self.stethoscope) else { return };
        match heart.listen(cx.now()) {
            Ok(wait) => running.ear = Some(cx.after(wait, Msg::Listen(call))),
            Err(silence) => {
                running.silence = Some(silence);
                running.cancelled.set();
                cx.cancel(&running.task);
                of.silent.increment(1);
                let (agent, seconds) = (&*self.name, silence.lasted.as_secs_f64());
                let data =
                    || json!({ "agent": agent, "silent_seconds": seconds, "phi": silence.phi });
                cx.publish(EventKind::AgentSilent, None, data);
            }
        }
    }

    /// Begins what was handed over, as far as there is room; an agent that keeps a line itself gets all of it.
    fn next_work(&mut self, cx: &mut Cx<Self>) {
        while self.agent.keeps_line() || self.leased < self.concurrency {
            let Some((work, reply)) = self.ahead.pop_front() else { return };
            if !reply.is_wanted() {
                continue;
            }
            let permit = match self.gate.admit(|| cx.now()) {
                Ok(permit) => permit,
                Err(Closed::Held(why)) => {
                    cx.reply(reply, Err(why));
                    continue;
                }
                Err(Closed::Limited(after)) => {
                    self.ahead.push_front((work, reply));
                    return self.wait_for_turn(after, cx);
                }
            };
            self.latency.record(cx.now().since(work.sent).as_secs_f64());
            self.begin(work, permit, reply, cx);
        }
    }

    fn wait_for_turn(&mut self, after: Duration, cx: &mut Cx<Self>) {
        if !std::mem::replace(&mut self.limited, true) {
            cx.after(after, Msg::Turn);
        }
    }

    fn cancel(&mut self, lease: LeaseId, timed_out: bool, cx: &mut Cx<Self>) {
        if let Some(at) = self.ahead.iter().position(|(work, _)| work.lease == Some(lease))
            && let Some((_, reply)) = self.ahead.remove(at)
        {
            return cx.reply(reply, Err(AgentError::Cancelled));
        }
        let mut running = self.running.values_mut();
        if let Some(running) = running.find(|running| running.lease == Some(lease)) {
            running.timed_out |= timed_out;
            running.cancelled.set();
            cx.cancel(&running.task);
        }
    }

    /// Sees to it that a direct call ends soon after its asker has, though nobody else calls.
    fn look_again(&mut self, cx: &mut Cx<Self>) {
        match (&self.look, self.running.len() > self.leased) {
            (None, true) => self.look = Some(cx.after(GIVEN_UP_LOOK, Msg::Look)),
            (Some(timer), false) => {
                cx.cancel_timer(timer);
                self.look = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Cancels direct calls whose askers have given them up, so that none hangs in the way of the next.
    fn drop_unwanted(&mut self, cx: &mut Cx<Self>) {
        self.calls.retain(|(_, reply)| reply.is_wanted());
        let running = self.running.values();
        for call in running.filter(|call| call.lease.is_none() && !call.reply.is_wanted()) {
            call.cancelled.set();
            cx.cancel(&call.task);
        }
    }

    fn next_call(&mut self, cx: &mut Cx<Self>) {
        while self.running.len() - self.leased < self.concurrency {
            let Some((input, reply)) = self.calls.pop_front() else { return };
            let permit = match self.gate.admit(|| cx.now()) {
                Ok(permit) => permit,
                Err(Closed::Held(why)) => {
                    cx.reply(reply, Err(why));
                    continue;
                }
                Err(Closed::Limited(after)) => {
                    self.calls.push_front((input, reply));
                    return self.wait_for_turn(after, cx);
                }
            };
            let task = TaskId::from_u128(u128::from(cx.random()) << 64 | u128::from(cx.random()));
            let (sent, progress) = (cx.now(), ProgressSink::default());
            let (lease, budget, origin) = (None, None, None);
            let work = Work { lease, task, attempt: 1, sent, input, progress, budget, origin };
            self.begin(Box::new(work), permit, reply, cx);
        }
    }

    /// Tells the gate how a call ended, and the roster what follows from it, before anyone gives the place back.
    fn judge(&self, permit: Option<Permit>, ok: Option<bool>, cx: &mut Cx<Self>) {
        let Some(permit) = permit else { return };
        let health = self.gate.ended(permit, ok, cx.now(), || cx.random());
        let (Some(health), Some(report)) = (health, &self.report) else { return };
        if let Health::Resting { .. } = health {
            report.opened.increment(1);
            tracing::warn!(agent = &*self.name, "circuit breaker opened");
        }
        cx.send(&report.to, health);
    }

    fn done(
        &mut self,
        call: u64,
        outcome: Result<Result<O, AgentError>, TaskError>,
        cx: &mut Cx<Self>,
    ) {
        let Some(mut running) = self.running.remove(&call) else { return };
        if let Some(ear) = running.ear.take() {
            cx.cancel_timer(&ear);
        }
        if let Some(gone) = running.scope.end(cx) {
            // The call is over when what it has started is.
            running.heart = None;
            self.running.insert(call, running);
            cx.perform(gone, move |_| Msg::Done(call, outcome));
            return;
        }
        self.leased -= usize::from(running.lease.is_some());
        self.look_again(cx);
        let (answer, crash) = match (outcome, running.silence.map(AgentError::from)) {
            (Ok(Err(AgentError::Panicked { message })) | Err(TaskError::Panicked(message)), _) => {
                let crash = format!("the agent panicked: {message}");
                (Err(AgentError::Panicked { message }), Some(crash))
            }
            (Ok(answer), _) => (answer, None),
            (Err(TaskError::Cancelled), Some(silence)) => {
                let crash = silence.to_string();
                (Err(silence), Some(crash))
            }
            (Err(TaskError::Cancelled), None) => (Err(AgentError::Cancelled), None),
        };
        self.judge(running.permit, verdict(&answer, running.timed_out), cx);
        cx.reply(running.reply, answer);
        match crash {
            Some(reason) => cx.crash(reason),
            None => {
                self.next_work(cx);
                self.next_call(cx);
            }
        }
    }
}

impl<I: 'static, O: 'static> Drop for Slot<I, O> {
    fn drop(&mut self) {
        self.agent.rest();
    }
}

impl<I: 'static, O: 'static> fmt::Debug for Slot<I, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "Slot({} running, {} queued)",
            self.running.len(),
            self.ahead.len() + self.calls.len()
        )
    }
}

#[cfg(test)]
mod tests;
