//! A stage's actor: takes documents in, finds places for them, has agents called, and judges what they say.
//!
//! Started by the coordinator, below it. Asks the roster for places and the slots for answers; tells the coordinator what came
//! of each document.
//!
//! # Invariants
//! - Of each document that came in one end is told: passed or failed. After [`Msg::Stop`] nothing new is begun.
//! - A call is made under a lease, and only after the coordinator has paid for it.
//! - Its end is final: the roster takes its leases back, and another one takes its place.

mod collecting;
mod handing;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::{
    actor::Actor, address::Addr, clock::Moment, context::Cx, events::EventKind,
    graph::ObservableState,
};
use serde_json::{Value, json};

use super::{Plan, Stage, coordinator, link::Link};
use crate::{
    agent::{Walk, call::AgentError},
    limits::NEWS_MAX,
    pattern::{Brief, FailureKind, link::end},
    roster::{self, DemandId, Enlisted, Grant, Lease},
};

/// What a worker is told.
pub(super) enum Msg {
    /// Documents come in; the first call of each is paid.
    Enter(Vec<Entrant>),
    /// The next call for a document is paid.
    Go(u32),
    /// Calls are ended, and nothing new is begun.
    Stop,
    Granted(Grant),
    /// A call has ended, or not within its time.
    Answered(u32, Lease, Result<Result<Value, AgentError>, Duration>),
    /// A document has waited for its next attempt.
    Rested(u32),
    /// A document that a circuit breaker held back waits for a place again.
    Held(u32),
    /// The answers that were here when there was something to tell are heard.
    Report,
    /// What the run cannot go on without is lost.
    Lost(FailureKind),
}

/// A document that comes in.
pub(super) struct Entrant {
    pub(super) document: u32,
    pub(super) name: Arc<str>,
    pub(super) content: Arc<Value>,
    /// Who has failed at it in an earlier life, and how.
    pub(super) passed: Vec<(u32, AgentError)>,
    /// The calls that they made.
    pub(super) attempts: u32,
}

/// What a worker says of a document.
pub(super) enum News {
    Passed(Passed),
    Failed(Failed),
    /// It asks for another call, perhaps of the next agent.
    Again(Calls, Option<Fell>),
    /// It was stopped and no call of it goes on; what it has not told before.
    Idle(Calls),
}

/// Calls that were made since the last news, and those of them that were not the first for their document at the stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) made: u32,
    pub(super) again: u32,
}

/// A document has passed.
pub(super) struct Passed {
    pub(super) output: Arc<Value>,
    pub(super) link: u32,
    pub(super) slot: u32,
    pub(super) attempts: u32,
    pub(super) calls: Calls,
    pub(super) waited: Duration,
    pub(super) took: Duration,
}

/// A document has failed for good.
pub(super) struct Failed {
    /// Who failed last; none where nobody was asked.
    pub(super) link: Option<u32>,
    pub(super) attempts: u32,
    pub(super) calls: Calls,
    pub(super) error: AgentError,
    /// The error, and who was asked before.
    pub(super) why: String,
}

impl Failed {
    /// A document that is refused before anybody is asked.
    pub(super) fn unasked(reason: String) -> Self {
        let error = AgentError::Refused { reason };
        let (calls, why) = (Calls::default(), error.to_string());
        Self { link: None, attempts: 0, calls, error, why }
    }
}

/// An agent has failed at a document for good.
pub(super) struct Fell {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) attempts: u32,
    pub(super) error: AgentError,
}

/// What a worker is started with.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) brief: Brief,
    pub(super) plan: Arc<Plan>,
    pub(super) stage: u32,
    /// Which worker of this stage it is, from 1.
    pub(super) life: u32,
    pub(super) deadline: Moment,
    /// The phase of the run in which it works.
    pub(super) span: tracing::Span,
    pub(super) to: Addr<coordinator::Msg>,
}

/// The worker's state.
pub(super) struct Worker {
    post: Post,
    /// What the coordinator is not told yet.
    news: Vec<(u32, News)>,
    /// Boxed, since the places in the map move.
    guests: BTreeMap<u32, Box<Guest>>,
    /// One a link of the chain.
    lanes: Vec<Lane>,
    demands: BTreeMap<DemandId, Asked>,
    next_demand: u64,
    running: usize,
    /// Whether nobody else waits for places: they may be kept.
    alone: bool,
    stopping: bool,
    /// Among those whom a new incarnation of the roster asks.
    enlisted: Option<Enlisted>,
}

/// A document that is in the stage.
struct Guest {
    name: Arc<str>,
    content: Arc<Value>,
    since: Moment,
    link: usize,
    /// All calls at this stage, and of these those by links before.
    attempts: u32,
    before: u32,
    /// Those that the coordinator does not know of.
    calls: Calls,
    walk: Option<Walk>,
    call: Option<Placed>,
}

/// The place of a call, and when it began.
type Placed = (Lease, Moment);

/// Those who wait for one agent, and the places at it that nobody uses now.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<u32>,
    idle: Vec<Lease>,
    /// Places asked for and not granted yet.
    asked: u32,
}

/// An open demand.
struct Asked {
    link: usize,
    left: u32,
}

type In = Cx<Worker>;

impl Worker {
    pub(super) fn new(post: Post) -> Self {
        let links = post.plan.stage(post.stage).map_or(0, |stage| stage.links.len());
        Self {
            post,
            news: Vec::new(),
            guests: BTreeMap::new(),
            lanes: std::iter::repeat_with(Lane::default).take(links).collect(),
            demands: BTreeMap::new(),
            next_demand: 0,
            running: 0,
            alone: false,
            stopping: false,
            enlisted: None,
        }
    }

    /// Puts a document in the lane of its agent.
    fn enter(&mut self, entrant: Entrant, cx: &mut In) {
        let Entrant { document, name, content, passed, attempts } = entrant;
        if self.stopping || self.guests.contains_key(&document) {
            return;
        }
        let Some(stage) = self.post.plan.stage(self.post.stage) else { return };
        let mut walk = (!passed.is_empty()).then(|| Walk::new(stage.links.len()));
        for (link, error) in &passed {
            if let (Some(walk), Some(link)) = (&mut walk, stage.links.get(*link as usize)) {
                walk.passed(link.agent().name(), error);
            }
        }
        let (link, since) = (passed.len().min(self.lanes.len().saturating_sub(1)), cx.now());
        let (before, calls, call) = (attempts, Calls::default(), None);
        let guest = Guest { name, content, since, link, attempts, before, calls, walk, call };
        self.guests.insert(document, Box::new(guest));
        if let Some(lane) = self.lanes.get_mut(link) {
            lane.waiting.push_back(document);
        }
    }

    fn stop(&mut self, cx: &mut In) {
        self.stopping = true;
        self.report(cx);
        cx.send(self.post.brief.system.roster(), roster::Msg::Forget(cx.id()));
        let mut idle = Vec::new();
        for lane in &mut self.lanes {
            lane.waiting.clear();
            lane.asked = 0;
            idle.append(&mut lane.idle);
        }
        self.demands.clear();
        self.release(idle, cx);
        for guest in self.guests.values() {
            if let (Some((lease, _)), Some(link)) = (guest.call, self.link(guest.link)) {
                end(link.agent(), lease, false, cx);
            }
        }
        self.say_idle(cx);
    }

    fn say_idle(&mut self, cx: &mut In) {
        if self.stopping && self.running == 0 {
            let mut calls = Calls::default();
            for guest in self.guests.values() {
                calls.made += guest.calls.made;
                calls.again += guest.calls.again;
            }
            self.tell(0, News::Idle(calls), cx);
        }
    }

    /// Says something of a document, together with what the answers bring that are here already.
    fn tell(&mut self, document: u32, news: News, cx: &mut In) {
        self.news.push((document, news));
        match self.news.len() {
            _ if self.stopping => self.report(cx),
            NEWS_MAX.. => self.report(cx),
            1 => {
                let me = cx.me();
                cx.send(&me, Msg::Report);
            }
            _ => {}
        }
    }

    /// Tells the coordinator all that it is not told yet.
    fn report(&mut self, cx: &mut In) {
        if !self.news.is_empty() {
            let news = std::mem::take(&mut self.news);
            let Post { to, stage, life, .. } = &self.post;
            cx.send(to, coordinator::Msg::Told(*stage, *life, news));
        }
    }

    fn stage(&self) -> Option<&Stage> {
        self.post.plan.stage(self.post.stage)
    }

    fn link(&self, link: usize) -> Option<&Arc<dyn Link>> {
        self.stage()?.links.get(link)
    }

    /// Publishes what happens with a document.
    fn publish(
        &self,
        kind: EventKind,
        document: u32,
        cx: &mut In,
        more: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) {
        cx.publish(kind, Some(self.post.brief.run), || {
            let guest = self.guests.get(&document);
            let agent =
                guest.and_then(|guest| self.link(guest.link)).map(|link| &**link.agent().name());
            let name = guest.map_or("", |guest| &guest.name);
            let mut data = self.post.plan.about(document, self.post.stage, name);
            data.insert("agent".to_owned(), json!(agent));
            more(&mut data);
            Value::Object(data)
        });
    }
}

impl Actor for Worker {
    type Msg = Msg;

    fn start(&mut self, cx: &mut In) {
        self.enlisted = Some(self.post.brief.enlist(cx, Msg::Granted, Msg::Lost));
    }

    fn observe(&self) -> ObservableState {
        let waiting: usize = self.lanes.iter().map(|lane| lane.waiting.len()).sum();
        ObservableState::of(&json!({
            "documents": self.guests.len(),
            "waiting": waiting,
            "running": self.running,
            "places": self.running + self.lanes.iter().map(|lane| lane.idle.len()).sum::<usize>(),
        }))
    }

    fn handle(&mut self, msg: Msg, cx: &mut In) {
        match msg {
            Msg::Enter(entrants) => {
                for entrant in entrants {
                    self.enter(entrant, cx);
                }
                for link in 0..self.lanes.len() {
                    self.serve(link, cx);
                }
            }
            Msg::Report => self.report(cx),
            Msg::Go(document) | Msg::Held(document) => self.wait(document, cx),
            Msg::Stop => self.stop(cx),
            Msg::Granted(grant) => self.take_grant(grant, cx),
            Msg::Lost(kind) => cx.send(&self.post.to, coordinator::Msg::Lost(kind)),
            Msg::Answered(document, lease, outcome) => self.answered(document, lease, outcome, cx),
            Msg::Rested(document) => {
                if let Some(guest) = self.guests.get_mut(&document).filter(|_| !self.stopping) {
                    let calls = std::mem::take(&mut guest.calls);
                    self.tell(document, News::Again(calls, None), cx);
                }
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.post.brief.counters.abandoned(self.running);
    }
}
