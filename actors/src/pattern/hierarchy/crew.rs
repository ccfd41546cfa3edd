//! A crew: the workers of one boss, what each of them is at, and the places that they have together. A part of its boss's actor.
//!
//! Held by the [`leader`](super::leader) of a team, and by the [`coordinator`](super::coordinator) for the agents of its own acts.
//!
//! # Invariants
//! - A worker is at one task at a time; a place is with one worker at a time, and given back once or taken back by the roster.
//! - What a worker says that has ended since, or that was of another incarnation of the boss, is not heard; nor is what the roster
//!   says to such a one.

mod places;

use std::{sync::Arc, time::Duration};

use runtime::{
    actor::{Actor, ChildExit},
    address::{Addr, Recipient},
    context::Cx,
    mailbox::{Mailbox, Overflow},
    spawn::Spawn,
};
use serde_json::Value;

use super::{
    link::{Charge, Link},
    team::Member,
    worker::{self, Do, Post, Terms, Told, Worker},
};
use crate::{
    agent::{Walk, call::AgentError, note},
    pattern::{FailureKind, link::end},
    roster::{Enlisted, Grant, Lease},
};

pub(super) use places::Places;

/// How what concerns a crew becomes messages of its boss.
pub(super) struct Ties<M> {
    pub(super) told: fn(Box<Told>) -> M,
    pub(super) ended: fn(u32, ChildExit) -> M,
    pub(super) granted: fn(Grant) -> M,
    pub(super) lost: fn(FailureKind) -> M,
}

/// The workers of one boss.
pub(super) struct Crew {
    terms: Arc<Terms>,
    /// Which incarnation of the boss has it.
    boss: u32,
    seats: Vec<Seat>,
    places: Places,
    enlisted: Option<Enlisted>,
}

/// A worker.
struct Seat {
    member: Member,
    worker: Addr<worker::Msg>,
    life: u32,
    /// It ended and was not started again.
    is_down: bool,
    at: Option<Box<At>>,
}

/// What a worker is at.
struct At {
    charge: Arc<Charge>,
    attempt: u32,
    link: usize,
    walk: Option<Walk>,
    lease: Option<Lease>,
    /// Nobody wants what comes of it any more.
    is_vain: bool,
}

/// What came of a task.
pub(super) struct Outcome {
    pub(super) seat: u32,
    pub(super) charge: Arc<Charge>,
    pub(super) answer: Result<Arc<Value>, AgentError>,
    /// Whether a fallback answered.
    pub(super) fallback: bool,
    pub(super) at: i64,
    pub(super) took: Duration,
}

impl Crew {
    /// A crew of nobody.
    pub(super) fn new(terms: Terms) -> Self {
        let terms = Arc::new(terms);
        let (seats, places) = (Vec::new(), Places::default());
        Self { terms, boss: 0, seats, places, enlisted: None }
    }

    /// Starts a worker for each member, below the boss.
    pub(super) fn hire<A: Actor>(
        &mut self,
        members: impl IntoIterator<Item = Member>,
        ties: &Ties<A::Msg>,
        cx: &mut Cx<A>,
    ) {
        let told: Recipient<Box<Told>> = cx.me().recipient(ties.told);
        let boss = cx.incarnation();
        self.boss = boss;
        self.places.begin(boss);
        for (member, seat) in members.into_iter().zip(0..) {
            self.places.know(&member.links);
            let (terms, to) = (Arc::clone(&self.terms), told.clone());
            let (ended, own) = (ties.ended, member.clone());
            let post = Post { terms, member, seat, boss, to };
            // One task, its answer, and what an incarnation before was to do.
            let spawn = Spawn::named(&*own.name).mailbox(Mailbox::new(8, Overflow::Wait));
            let birth = move || Worker::new(post.clone());
            let worker = cx.spawn_supervised(spawn, birth, move |exit| ended(seat, exit));
            self.seats.push(Seat { member: own, worker, life: 1, is_down: false, at: None });
        }
        if !self.seats.is_empty() {
            self.enlisted = Some(self.terms.brief.enlist(cx, ties.granted, ties.lost));
        }
    }

    /// Whether a worker can be given a task.
    pub(super) fn is_free(&self, seat: u32) -> bool {
        self.seat(seat).is_some_and(|seat| !seat.is_down && seat.at.is_none())
    }

    pub(super) fn is_down(&self, seat: u32) -> bool {
        self.seat(seat).is_none_or(|seat| seat.is_down)
    }

    /// Whether nobody is at anything.
    pub(super) fn is_idle(&self) -> bool {
        self.seats.iter().all(|seat| seat.at.is_none())
    }

    /// Gives a free worker a task; it begins once there is a place, see [`settle`](Self::settle).
    pub(super) fn give(&mut self, seat: u32, charge: Arc<Charge>, attempt: u32) {
        let Some(of) = self.seats.get_mut(seat as usize) else { return };
        let at = At { charge, attempt, link: 0, walk: None, lease: None, is_vain: false };
        of.at = Some(Box::new(at));
        self.places.wait(seat, &of.member.links, 0);
    }

    /// Hands out the places that there are, asks for those that are missing, and gives back what nobody needs.
    pub(super) fn settle<A: Actor>(&mut self, cx: &mut Cx<A>) {
        while let Some((seat, lease)) = self.places.next() {
            self.begin(seat, lease, cx);
        }
        let is_idle = self.is_idle();
        self.places.settle(is_idle, &self.terms.brief, cx);
    }

    fn begin<A: Actor>(&mut self, seat: u32, lease: Lease, cx: &mut Cx<A>) {
        let Some(of) = self.seats.get_mut(seat as usize) else { return };
        let Some(at) = &mut of.at else { return self.places.drop_place(lease) };
        let is_there =
            of.member.links.get(at.link).is_some_and(|link| link.agent().has(lease.slot));
        if !is_there {
            // It has ended since its place was found.
            self.places.drop_place(lease);
            return self.places.wait(seat, &of.member.links, at.link);
        }
        at.lease = Some(lease);
        let (life, charge) = (of.life, Arc::clone(&at.charge));
        let order = Do { life, charge, attempt: at.attempt, link: at.link, lease };
        cx.send(&of.worker, worker::Msg::Do(Box::new(order)));
    }

    /// Takes what the roster says; tells what came of tasks that can have no place.
    pub(super) fn granted<A: Actor>(&mut self, grant: Grant, cx: &mut Cx<A>) -> Vec<Outcome> {
        let claimed = self.seats.iter().filter_map(|seat| seat.at.as_ref()?.lease);
        if let Grant::Anew(incarnation) = grant {
            let held = claimed.collect();
            self.places.claim(incarnation, held, &self.terms.brief, cx);
            return Vec::new();
        }
        let denied = self.places.granted(grant, cx.now());
        denied.into_iter().filter_map(|(seat, error)| self.failed(seat, error, cx)).collect()
    }

    /// Takes what a worker says; tells what came of its task, unless another agent is asked.
    pub(super) fn told<A: Actor>(&mut self, told: Told, cx: &mut Cx<A>) -> Option<Outcome> {
        let Told { seat, boss, life, answer, usable, at, took } = told;
        let is_own = |seat: &&mut Seat| seat.life == life && self.boss == boss;
        let of = self.seats.get_mut(seat as usize).filter(is_own)?;
        let current = of.at.as_mut()?;
        match current.lease.take() {
            Some(lease) if usable => self.places.put_back(lease, &of.member.links, current.link),
            Some(lease) => self.places.drop_place(lease),
            None => {}
        }
        if current.is_vain {
            of.at = None;
            return None;
        }
        let output = match answer {
            Ok(output) => output,
            Err(error) => return self.failed(seat, error, cx),
        };
        let At { charge, link, .. } = *of.at.take()?;
        let (answer, fallback) = (Ok(output), link > 0);
        Some(Outcome { seat, charge, answer, fallback, at, took })
    }

    /// An agent has failed at a task: the next of its chain is asked, if there is one.
    fn failed<A: Actor>(
        &mut self,
        seat: u32,
        error: AgentError,
        cx: &mut Cx<A>,
    ) -> Option<Outcome> {
        let of = self.seats.get_mut(seat as usize)?;
        let (links, at) = (Arc::clone(&of.member.links), of.at.as_mut()?);
        let agent: &Arc<dyn Link> = links.get(at.link)?;
        let walk = at.walk.get_or_insert_with(|| Walk::new(links.len()));
        if let Some(next) = walk.failed(agent.agent().name(), &error)
            && let Some(heir) = links.get(next)
            && !at.is_vain
        {
            note(self.terms.brief.system.node(), agent.agent().name(), &error, heir.agent().name());
            at.link = next;
            self.places.wait(seat, &links, next);
            return None;
        }
        let story = walk.story();
        let At { charge, link, is_vain, .. } = *of.at.take()?;
        if is_vain {
            return None;
        }
        let (answer, fallback) = (Err(error.with(&story)), link > 0);
        let (at, took) = (crate::pattern::brief::millis(cx), Duration::ZERO);
        Some(Outcome { seat, charge, answer, fallback, at, took })
    }

    /// Takes that an incarnation of a worker has ended; gives back what it was at, unless nobody wants that.
    pub(super) fn ended<A: Actor>(
        &mut self,
        seat: u32,
        exit: &ChildExit,
        cx: &mut Cx<A>,
    ) -> Option<Arc<Charge>> {
        let of = self.seats.get_mut(seat as usize)?;
        of.life = exit.incarnation + 1;
        of.is_down = true;
        let at = of.at.take()?;
        self.places.leave(seat);
        if let Some(lease) = at.lease {
            cut_off(&of.member, at.link, lease, cx);
            self.places.drop_place(lease);
        }
        (!at.is_vain).then_some(at.charge)
    }

    /// Starts a worker again that has ended.
    pub(super) fn restart<A: Actor>(&mut self, seat: u32, cx: &mut Cx<A>) {
        if let Some(of) = self.seats.get_mut(seat as usize)
            && std::mem::replace(&mut of.is_down, false)
        {
            cx.restart(&of.worker.child());
        }
    }

    /// Ends what is done for a task; nothing of it is told any more.
    pub(super) fn withdraw<A: Actor>(&mut self, unit: u64, cx: &mut Cx<A>) {
        let is_it = |seat: &&mut Seat| seat.at.as_ref().is_some_and(|at| at.charge.unit == unit);
        let found = (0..).zip(&mut self.seats).find(|(_, seat)| is_it(seat));
        let Some((seat, of)) = found else { return };
        let Some(at) = &mut of.at else { return };
        at.is_vain = true;
        match at.lease {
            Some(lease) => cut_off(&of.member, at.link, lease, cx),
            None => {
                of.at = None;
                self.places.leave(seat);
            }
        }
    }

    /// Ends everything that is done; what still comes of it is told.
    pub(super) fn stop<A: Actor>(&mut self, cx: &mut Cx<A>) {
        for (of, seat) in self.seats.iter_mut().zip(0..) {
            match of.at.as_ref().map(|at| (at.lease, at.link)) {
                Some((Some(lease), link)) => cut_off(&of.member, link, lease, cx),
                Some((None, _)) => {
                    of.at = None;
                    self.places.leave(seat);
                }
                None => {}
            }
        }
        self.settle(cx);
    }

    fn seat(&self, seat: u32) -> Option<&Seat> {
        self.seats.get(seat as usize)
    }
}

/// Tells the agent at a place that nobody wants its answer any more.
fn cut_off<A: Actor>(member: &Member, link: usize, lease: Lease, cx: &mut Cx<A>) {
    if let Some(link) = member.links.get(link) {
        end(link.agent(), lease, false, cx);
    }
}
