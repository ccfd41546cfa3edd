//! The coordinator of one swarm: an actor that takes its course from tick to tick, has the agents decide, and keeps the time.
//!
//! Started by [`dispatch`](crate::dispatch). Starts the [hosts](super::host) of the agents; its journal is the run's. What a tick
//! does is the [`Course`]'s to say.
//!
//! # Invariants
//! - It ends in exactly one outcome, at its deadline at the latest: no agent holds that up.
//! - A tick ends by its deadline: agents whose actor has not answered miss their moves. One that was killed is asked again.
//! - Missed moves are recorded before what follows from them is told to anybody.

mod ending;
mod keeping;
mod ticking;

use std::sync::Arc;

use runtime::{
    actor::{Actor, ChildExit},
    address::Addr,
    ask::Reply,
    budget::Cost,
    child::ChildRef,
    clock::Moment,
    context::{Cx, Timer},
    events::EventKind,
    graph::ObservableState,
    mailbox::{Mailbox, Overflow},
    spawn::{Shutdown, Spawn},
    supervisor::Intensity,
    telemetry::trace::{self, Phase as SpanPhase},
};
use serde_json::{Value, json};

use super::{
    Report, Scheme,
    host::{Host, Job},
    record::{Past, Record},
};
use crate::{
    dispatch::Steered,
    limits::{HOST_RESTART_PERIOD, HOST_RESTARTS, HOSTS_MAX, PROGRESS_PARTS},
    pattern::{
        Brief, FailureKind, Outcome, PatternKind, Tally,
        bounds::clip,
        brief::{Spending, millis},
    },
    swarm::{
        Course, Model,
        course::{Acts, End, Missed, Round},
    },
};

/// What a coordinator is told.
pub(super) enum Msg<M: Model> {
    /// Says when the run is accepted, durably.
    Accepted(Reply<()>),
    /// Ends the run as cancelled.
    Cancel,
    Deadline,
    /// The time after which the run ends well is over.
    TimeOver,
    /// What the agents of a host have decided for a round.
    Decided(usize, u64, Acts<M::Action>),
    /// The deadline of this tick has passed.
    TickOver(u64),
    /// The next tick may begin.
    GoOn,
    HostEnded(usize, ChildExit),
}

impl<M: Model> Steered for Msg<M> {
    fn accepted(to: Reply<()>) -> Self {
        Self::Accepted(to)
    }

    fn cancel() -> Self {
        Self::Cancel
    }
}

/// The coordinator's state.
pub(super) struct Coordinator<M: Model> {
    brief: Brief,
    scheme: Arc<Scheme<M>>,
    past: Past,
    /// Moves that were missed in earlier lives, of ticks that are still to come.
    missed: Missed,
    course: Option<Course<M>>,
    seats: Vec<Seat<M>>,
    /// Rounds of this life.
    rounds: u64,
    /// The round that is open.
    asked: Option<Asked<M>>,
    tick: Tick,
    missed_in_all: u64,
    snapshots: Snapshots,
    restarts: Intensity,
    spending: Spending,
    tally: Tally,
    ended: bool,
    deadline: Moment,
    outcome: Option<Reply<Outcome<Report<M>>>>,
    span: tracing::Span,
    phase_span: tracing::Span,
}

/// An actor that hosts agents.
struct Seat<M: Model> {
    host: Addr<Job<M>>,
    child: ChildRef,
    /// The round that it owes an answer to.
    owes: Option<u64>,
    /// Room for the actions of its agents.
    room: Vec<M::Action>,
}

/// A round whose agents decide.
struct Asked<M: Model> {
    number: u64,
    round: Round,
    /// The first host of its agents.
    first: usize,
    /// By host, from that on, what its agents have decided.
    answers: Vec<Option<Acts<M::Action>>>,
    /// Hosts that were asked and have not answered.
    left: usize,
}

/// The tick that goes on.
#[derive(Default)]
struct Tick {
    timer: Option<Timer>,
    /// Its deadline has passed.
    over: bool,
    /// Somebody who lives was asked, or could not be.
    has_asked: bool,
    /// Moves that were missed in it.
    missed: u64,
}

/// When snapshots were taken.
struct Snapshots {
    began: Moment,
    last: Moment,
    /// The tick of the last one.
    tick: u64,
    /// The world has grown too large for them.
    too_large: bool,
}

type In<M> = Cx<Coordinator<M>>;

impl<M: Model> Coordinator<M> {
    /// A coordinator; the first incarnation's takes whoever waits for the outcome.
    pub(super) fn new(
        brief: Brief,
        scheme: Arc<Scheme<M>>,
        outcome: Option<Reply<Outcome<Report<M>>>>,
    ) -> Self {
        let snapshots =
            Snapshots { began: Moment::NEVER, last: Moment::NEVER, tick: 0, too_large: false };
        Self {
            spending: Spending::of(&brief),
            span: brief.span(PatternKind::Swarm, 0),
            brief,
            scheme,
            past: Past::default(),
            missed: Missed::new(),
            course: None,
            seats: Vec::new(),
            rounds: 0,
            asked: None,
            tick: Tick::default(),
            missed_in_all: 0,
            snapshots,
            restarts: Intensity::new(HOST_RESTARTS, HOST_RESTART_PERIOD),
            tally: Tally::default(),
            ended: false,
            deadline: Moment::NEVER,
            outcome,
            phase_span: tracing::Span::none(),
        }
    }

    /// Records that the run began; one that is taken up again must have the course that it began with.
    fn begin_run(&mut self, cx: &mut In<M>) -> Result<(), String> {
        self.scheme.check()?;
        let course = self.scheme.describe();
        match &self.past.course {
            Some(began) if *began != course => {
                return Err(format!(
                    "the run began as `{began}`, not as `{course}`; resume it with the same swarm"
                ));
            }
            Some(_) => {}
            None => {
                let (pattern, name) =
                    (PatternKind::Swarm.as_str().to_owned(), self.scheme.name.clone());
                let seed = self.scheme.options.seed;
                cx.record(&Record::Began { at: millis(cx), pattern, name, course, seed });
            }
        }
        self.course = Some(self.take_up()?);
        Ok(())
    }

    /// Starts the hosts of all agents that were born and have none.
    fn host_all(&mut self, cx: &mut In<M>) {
        let Some(born) = self.course.as_ref().map(Course::born) else { return };
        let hosts = born.checked_sub(1).map_or(0, |last| self.scheme.host(last) + 1);
        for number in self.seats.len()..hosts.min(HOSTS_MAX) {
            let agents = self.scheme.hosted(number, born);
            let name = match agents.len() {
                1 => format!("agent-{}", agents.start),
                _ => format!("agents-{}", agents.start),
            };
            // A host that is late may have the jobs of several ticks before it.
            let mailbox = Mailbox::new(HOST_MAILBOX, Overflow::Wait);
            let spawn = Spawn::named(name).mailbox(mailbox).shutdown(Shutdown::Brutal);
            let (model, seed, to) =
                (Arc::clone(&self.scheme.setup.model), self.scheme.options.seed, cx.me());
            let birth = move || Host::new(number, Arc::clone(&model), seed, to.clone());
            let host = cx.spawn_supervised(spawn, birth, move |exit| Msg::HostEnded(number, exit));
            self.seats.push(Seat { child: host.child(), host, owes: None, room: Vec::new() });
        }
    }

    /// A host has ended: it is started again, and asked once more for what it owes; it would have said the same.
    fn host_ended(&mut self, number: usize, exit: &ChildExit, cx: &mut In<M>) {
        if self.ended {
            return;
        }
        let Some(seat) = self.seats.get_mut(number) else { return };
        let owed = seat.owes.take();
        let child = seat.child.clone();
        if self.restarts.spend(number as u64, cx.now()).is_none() {
            let why = format!("the actors of its agents end too often: {}", exit.reason);
            return self.stop_early(FailureKind::NodeLost { why }, cx);
        }
        tracing::warn!(run = %self.brief.run, host = number, reason = %exit.reason, "a host of agents ended and is started anew");
        cx.restart(&child);
        match (owed, &mut self.asked) {
            (Some(round), Some(asked)) if asked.number == round => {
                asked.left -= 1;
                self.ask(number, cx);
            }
            (Some(_), _) => self.freed(number, cx),
            (None, _) => {}
        }
    }

    fn publish(&self, kind: EventKind, cx: &mut In<M>, data: impl FnOnce() -> Value) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    /// The ticks that are done, of how many.
    fn done(&self) -> (u64, u64) {
        (self.course.as_ref().map_or(0, Course::ticks), self.scheme.setup.ticks)
    }
}

/// Jobs that one host is given at a time: the last round's, and those that a restart has left.
const HOST_MAILBOX: usize = 4;

impl<M: Model> Actor for Coordinator<M> {
    type Msg = Msg<M>;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        self.restore(runtime::record::decode(record)?);
        Ok(())
    }

    fn start(&mut self, cx: &mut In<M>) {
        let now = cx.now();
        self.deadline = self.brief.deadline(now);
        cx.after(now.until(self.deadline), Msg::Deadline);
        if let Some(time) = self.scheme.options.time {
            cx.after(time, Msg::TimeOver);
        }
        self.spending.take_up(&self.brief, now);
        let refused = self.begin_run(cx);
        let data = || self.brief.started(PatternKind::Swarm, &self.scheme.name);
        self.publish(EventKind::RunStarted, cx, data);
        if let Err(why) = refused {
            return self.stop_early(FailureKind::Invalid { why: clip(why) }, cx);
        }
        let agents = self.course.as_ref().map_or(0, Course::born);
        self.phase_span = trace::phase(&self.span, SpanPhase::Execute, agents as usize);
        let (done, units) = self.done();
        self.tally.resumed = done;
        self.snapshots = Snapshots { began: now, last: now, tick: done, too_large: false };
        self.publish(
            EventKind::TaskCreated,
            cx,
            || json!({ "units": units, "done": done, "unit": "tick" }),
        );
        self.host_all(cx);
        self.begin_tick(cx);
    }

    fn observe(&self) -> ObservableState {
        let best = self.course.as_ref().and_then(Course::best).map(|best| best.cost);
        let ((tick, ticks), hosts) = (self.done(), self.seats.len());
        let agents = self.course.as_ref().map_or(0, Course::living);
        ObservableState::of(
            &json!({ "tick": tick, "ticks": ticks, "agents": agents, "hosts": hosts, "best": best }),
        )
    }

    fn handle(&mut self, msg: Msg<M>, cx: &mut In<M>) {
        match msg {
            Msg::Accepted(reply) => cx.reply(reply, ()),
            Msg::Cancel => {
                let (done, units) = self.done();
                self.stop_early(FailureKind::Cancelled { done, units }, cx);
            }
            Msg::Deadline => {
                let why = self.brief.out_of_time(self.deadline, self.done());
                self.stop_early(why, cx);
            }
            Msg::TimeOver => self.end_well(End::Time, cx),
            Msg::Decided(host, round, acts) => self.decided(host, round, acts, cx),
            Msg::TickOver(tick) => self.tick_over(tick, cx),
            Msg::GoOn => self.begin_tick(cx),
            Msg::HostEnded(host, exit) => self.host_ended(host, &exit, cx),
        }
    }
}
