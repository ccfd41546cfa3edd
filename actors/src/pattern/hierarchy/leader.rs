//! A team's leader: an actor that hands tasks to its workers, starts them again, decides what it may, and reports all that happens.
//!
//! Started and supervised by the [`coordinator`](super::coordinator), which is the supervisor; supervises the team's workers. It
//! keeps nothing that the supervisor does not know: where it ends, the next incarnation is given what is open.
//!
//! # Invariants
//! - Of each task that it is given one end is reported: done, crashed or failed; in order, and nothing after it.
//! - A worker is started again as often as the team's budget allows; a task runs once more for that, not twice.
//! - It does nothing that is meant for an incarnation before it.

mod deciding;
mod speaking;
mod working;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::{
    actor::{Actor, ChildExit},
    address::Addr,
    budget::Cost,
    clock::Moment,
    context::Cx,
    graph::ObservableState,
    supervisor::Intensity,
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{
    Decision, Failure, Scheme, Subject, Team, coordinator,
    crew::{Crew, Ties},
    link::Charge,
    worker::{Terms, Told},
};
use crate::{
    agent::call::AgentError,
    limits::HELD_RETRY_WAIT,
    pattern::{Brief, FailureKind},
    roster::Grant,
};

use speaking::Speech;
pub(super) use speaking::asked;

/// What a leader is told.
pub(super) enum Msg {
    /// Orders for the incarnation of this number.
    Orders(u32, Vec<Order>),
    Granted(Grant),
    /// What the run cannot go on without is lost.
    Lost(FailureKind),
    Told(Box<Told>),
    /// An incarnation of a worker has ended.
    Ended(u32, ChildExit),
    /// A task has waited for its next attempt.
    Rested(u64),
}

/// What a leader is to do.
pub(super) enum Order {
    /// To have a task done; its call is paid.
    Do(Box<Job>),
    /// To do no more for a task.
    Withdraw(u64),
    /// To bid for an assignment that has so many tasks, while the team has so many open.
    Bid { assignment: u32, name: Arc<str>, tasks: u64, open: u64 },
    /// To end all calls, and begin nothing new.
    Stop,
}

/// A task, as its leader is given it.
pub(super) struct Job {
    pub(super) charge: Arc<Charge>,
    /// The calls that were made for it, and what was decided on it.
    pub(super) attempts: u32,
    pub(super) decisions: u32,
    /// Workers that shall not have it again, as far as there are others.
    pub(super) avoid: Vec<u32>,
    /// It was run once more because its worker crashed.
    pub(super) has_crashed: bool,
    /// The leader's own agent does it.
    pub(super) by_leader: bool,
    /// How long it waits before it begins.
    pub(super) wait: Duration,
}

/// What a leader reports.
pub(super) enum News {
    /// A worker has a task. Only where a monitor sees that.
    Began {
        unit: u64,
        worker: u32,
    },
    Done(Box<Done>),
    /// Its worker crashed and was started again; the task is to be run once more.
    Crashed {
        unit: u64,
        worker: u32,
        attempts: u32,
        error: AgentError,
    },
    /// A task failed; what the leader decides, or nothing where that is not for it to decide.
    Failed {
        unit: u64,
        worker: u32,
        failure: Box<Failure>,
        decision: Option<Decision>,
    },
    /// What the team bids for an assignment, if it takes part.
    Bid(u32, Option<f64>),
    /// It was stopped, and no call goes on; the calls that were made for tasks of which nothing else is reported.
    Idle(Vec<(u64, u32)>),
}

/// A task that is done.
pub(super) struct Done {
    pub(super) unit: u64,
    pub(super) worker: u32,
    pub(super) output: Arc<Value>,
    pub(super) attempts: u32,
    pub(super) fallback: bool,
    pub(super) at: i64,
    pub(super) took: Duration,
}

/// What a leader is started with.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) brief: Brief,
    pub(super) scheme: Arc<Scheme>,
    /// Which team it leads.
    pub(super) team: u32,
    pub(super) deadline: Moment,
    /// The phase of the run in which it works.
    pub(super) span: tracing::Span,
    pub(super) to: Addr<coordinator::Msg>,
}

/// The leader's state.
pub(super) struct Leader {
    post: Post,
    crew: Crew,
    /// Tasks that wait for a worker.
    queue: VecDeque<Box<Job>>,
    /// Tasks that are with workers, or wait for their next attempt.
    begun: BTreeMap<u64, Box<Job>>,
    resting: BTreeMap<u64, Box<Job>>,
    /// What its own agent is asked now, and what after that.
    asking: Option<Speech>,
    speech: VecDeque<Speech>,
    restarts: Intensity,
    news: Vec<News>,
    /// Reports of this incarnation.
    number: u64,
    is_stopping: bool,
    said_idle: bool,
    /// Tasks that were cut off when it was stopped, with the calls that were made for them.
    cut_off: Vec<(u64, u32)>,
}

type In = Cx<Leader>;

impl Leader {
    pub(super) fn new(post: Post) -> Self {
        let (restarts, period) = post.team().map_or((0, Duration::ZERO), |team| team.restarts);
        let terms = Terms {
            brief: post.brief.clone(),
            team: post.team().map_or_else(|| "".into(), |team| Arc::clone(&team.name)),
            timeout: post.scheme.rules.timeout,
            deadline: post.deadline,
            span: post.span.clone(),
        };
        Self {
            crew: Crew::new(terms),
            post,
            queue: VecDeque::new(),
            begun: BTreeMap::new(),
            resting: BTreeMap::new(),
            asking: None,
            speech: VecDeque::new(),
            restarts: Intensity::new(restarts, period),
            news: Vec::new(),
            number: 0,
            is_stopping: false,
            said_idle: false,
            cut_off: Vec::new(),
        }
    }

    fn obey(&mut self, order: Order, cx: &mut In) {
        match order {
            Order::Do(job) if self.is_stopping => drop(job),
            Order::Do(job) if job.wait > Duration::ZERO => {
                let unit = job.charge.unit;
                cx.after(job.wait, Msg::Rested(unit));
                self.resting.insert(unit, job);
            }
            Order::Do(job) => self.line_up(job),
            Order::Withdraw(unit) => {
                self.queue.retain(|job| job.charge.unit != unit);
                self.resting.remove(&unit);
                self.begun.remove(&unit);
                self.unsay(unit);
                self.crew.withdraw(unit, cx);
            }
            Order::Bid { assignment, name, tasks, open } => {
                self.bid(assignment, &name, (tasks, open));
            }
            Order::Stop => self.stop(cx),
        }
    }

    fn stop(&mut self, cx: &mut In) {
        self.is_stopping = true;
        self.queue.clear();
        self.resting.clear();
        self.speech.clear();
        self.crew.stop(cx);
    }

    /// Puts a task where it waits for whoever is to do it.
    fn line_up(&mut self, job: Box<Job>) {
        if job.by_leader {
            self.speech.push_back(Speech::Lead(job));
        } else {
            self.queue.push_back(job);
        }
    }

    /// Goes on as far as there is anything to do, and reports what happened.
    fn go_on(&mut self, cx: &mut In) {
        if !self.is_stopping {
            self.dispatch(cx);
            self.speak(cx);
            self.crew.settle(cx);
        }
        if self.is_stopping && self.crew.is_idle() && !std::mem::replace(&mut self.said_idle, true)
        {
            self.news.push(News::Idle(std::mem::take(&mut self.cut_off)));
        }
        if !self.news.is_empty() {
            let (news, first) = (std::mem::take(&mut self.news), self.number + 1);
            self.number += news.len() as u64;
            let (team, life) = (self.post.team, cx.incarnation());
            cx.send(&self.post.to, coordinator::Msg::Told { team, life, first, news });
        }
    }
}

impl Post {
    fn team(&self) -> Option<&Team> {
        self.scheme.team(self.team)
    }
}

impl Actor for Leader {
    type Msg = Msg;

    fn start(&mut self, cx: &mut In) {
        let ties =
            Ties { told: Msg::Told, ended: Msg::Ended, granted: Msg::Granted, lost: Msg::Lost };
        let scheme = Arc::clone(&self.post.scheme);
        let Some(team) = scheme.team(self.post.team) else { return };
        self.crew.hire(team.workers.iter().chain(&team.led_by).cloned(), &ties, cx);
    }

    fn observe(&self) -> ObservableState {
        ObservableState::of(&json!({
            "waiting": self.queue.len() + self.resting.len(),
            "running": self.begun.len(),
            "reported": self.number,
        }))
    }

    fn handle(&mut self, msg: Msg, cx: &mut In) {
        match msg {
            Msg::Orders(life, orders) if life == cx.incarnation() => {
                for order in orders {
                    self.obey(order, cx);
                }
            }
            Msg::Orders(..) => return,
            Msg::Granted(grant) => {
                for outcome in self.crew.granted(grant, cx) {
                    self.heard(outcome, cx);
                }
            }
            Msg::Lost(kind) => cx.send(&self.post.to, coordinator::Msg::Lost(kind)),
            Msg::Told(told) => {
                if let Some(outcome) = self.crew.told(*told, cx) {
                    self.heard(outcome, cx);
                }
            }
            Msg::Ended(worker, exit) => self.worker_ended(worker, &exit, cx),
            Msg::Rested(unit) => {
                if let Some(job) = self.resting.remove(&unit) {
                    self.line_up(job);
                }
            }
        }
        self.go_on(cx);
    }
}
