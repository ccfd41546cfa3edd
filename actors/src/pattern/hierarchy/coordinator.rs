//! The coordinator of one hierarchy: the supervisor's actor. It has the mission planned, hands assignments to the leaders of teams,
//! writes down what they report, decides on what they may not, has the results put together, and ends the run.
//!
//! Started by [`dispatch`](crate::dispatch). Supervises a [`leader`] for each team; its journal is the run's. What may be done next
//! is the [`Board`]'s to say.
//!
//! # Invariants
//! - It ends in exactly one outcome, at the latest [`QUIESCENCE_WAIT`] after its deadline.
//! - A decision is carried out, and an assignment begun, only behind the records of what it follows from; every call is paid before it is made.
//! - After the phase `Running` nothing begins; what leaders still bring is kept.

mod acting;
mod deciding;
mod delegating;
mod ending;
mod hearing;
mod leading;
mod restoring;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::{
    actor::{Actor, ChildExit},
    address::Addr,
    ask::Reply,
    budget::Cost,
    clock::Moment,
    context::Cx,
    events::EventKind,
    graph::ObservableState,
    supervisor::Intensity,
    telemetry::trace::{self, Phase as SpanPhase},
};
use serde_json::{Value, json};

use hearing::Source;

use super::{
    Decided, Decider, Decision, Failure, Record, Report, Scheme, Subject, TeamBegan,
    board::Board,
    crew::{Crew, Ties},
    leader::{self, Leader, News, Order},
    record::BeganRecord,
    supervise::Act,
    worker::{Terms, Told},
};
use crate::{
    dispatch::Steered,
    limits::QUIESCENCE_WAIT,
    pattern::{
        Brief, FailureKind, Outcome, PatternKind, Tally,
        bounds::clip,
        brief::{Spending, millis},
    },
    roster::Grant,
};

/// What a coordinator is told.
pub(super) enum Msg {
    /// Says when the run is accepted, durably.
    Accepted(Reply<()>),
    /// Ends the run as cancelled.
    Cancel,
    Deadline,
    /// Cancelled calls had their time to end.
    Quiesced,
    /// What the run cannot go on without is lost.
    Lost(FailureKind),
    /// What a leader reports; the number of the first of it among all that this incarnation of it reports.
    Told {
        team: u32,
        life: u32,
        first: u64,
        news: Vec<News>,
    },
    /// An incarnation of a leader has ended.
    Ended(u32, ChildExit),
    /// Places for agents in the place of the supervisor's own acts.
    Granted(Grant),
    /// What such an agent says.
    Said(Box<Told>),
    /// The actor by which such an agent is asked has ended.
    Unsaid(u32, ChildExit),
    /// An agent that failed at an act may be asked again.
    ActAgain,
}

impl Steered for Msg {
    fn accepted(to: Reply<()>) -> Self {
        Self::Accepted(to)
    }

    fn cancel() -> Self {
        Self::Cancel
    }
}

/// The coordinator's state.
pub(super) struct Coordinator {
    brief: Brief,
    scheme: Arc<Scheme>,
    board: Board,
    is_planned: bool,
    /// What the supervisor made of the results.
    output: Option<Value>,
    decided: Vec<Decided>,
    seats: Vec<Seat>,
    restarts: Intensity,
    /// Agents in the place of the supervisor's own acts, and the one that is asked now.
    crew: Crew,
    acting: Option<Acting>,
    /// Failures that wait for the supervisor's decision.
    troubles: VecDeque<Box<Failure>>,
    /// By assignment and team, what was bid; none where that is still to be heard.
    bids: BTreeMap<usize, BTreeMap<u32, Option<Option<f64>>>>,
    /// How long tasks wait that are done again.
    waits: BTreeMap<u64, Duration>,
    /// Calls that are paid and of which nothing was heard yet.
    owed: usize,
    /// Why no more calls can be paid: the run ends once those that are have ended.
    broke: Option<String>,
    spending: Spending,
    /// Something was spent of which the journal is to know before anything leaves.
    has_spent: bool,
    tally: Tally,
    phase: Phase,
    ending: Option<FailureKind>,
    deadline: Moment,
    outcome: Option<Reply<Outcome<Report>>>,
    began: Option<(Value, Vec<TeamBegan>)>,
    span: tracing::Span,
    phase_span: tracing::Span,
}

/// An act that an agent is asked for.
struct Acting {
    act: Act,
    input: Arc<Value>,
    unit: u64,
    attempt: u32,
    /// What it is to decide on.
    failure: Option<Box<Failure>>,
}

/// A team, as the coordinator sees it.
struct Seat {
    leader: Addr<leader::Msg>,
    life: u32,
    /// Its leader ended and was not started again.
    is_down: bool,
    /// What its leader is about to be told.
    orders: Vec<Order>,
    /// It was stopped, and no call goes on.
    is_idle: bool,
    restarts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Calls are cancelled; what they still bring is kept.
    Stopping,
    Ended,
}

type In = Cx<Coordinator>;

impl Coordinator {
    /// A coordinator; the first incarnation's takes whoever waits for the outcome.
    pub(super) fn new(
        brief: Brief,
        scheme: Arc<Scheme>,
        outcome: Option<Reply<Outcome<Report>>>,
    ) -> Self {
        let (restarts, period) = scheme.rules.leader_restarts;
        let span = brief.span(PatternKind::Hierarchy, scheme.workers());
        let terms = Terms {
            brief: brief.clone(),
            team: "".into(),
            timeout: scheme.rules.timeout,
            deadline: Moment::NEVER,
            span: tracing::Span::none(),
        };
        Self {
            board: Board::new(scheme.teams.iter().map(|team| Arc::clone(&team.name)).collect()),
            crew: Crew::new(terms),
            spending: Spending::of(&brief),
            brief,
            scheme,
            is_planned: false,
            output: None,
            decided: Vec::new(),
            seats: Vec::new(),
            restarts: Intensity::new(restarts, period),
            acting: None,
            troubles: VecDeque::new(),
            bids: BTreeMap::new(),
            waits: BTreeMap::new(),
            owed: 0,
            broke: None,
            has_spent: false,
            tally: Tally::default(),
            phase: Phase::Running,
            ending: None,
            deadline: Moment::NEVER,
            outcome,
            began: None,
            phase_span: tracing::Span::none(),
            span,
        }
    }

    /// Records that the run began; one that is taken up again must have the mission and the teams that it began with.
    fn begin_run(&self, cx: &mut In) -> Result<(), String> {
        self.scheme.check()?;
        let teams = self.scheme.began();
        match &self.began {
            Some((_, began)) if *began != teams => Err(format!(
                "the run began with the teams {}, not {}; resume it with the same teams and workers in the same order",
                names(began),
                names(&teams)
            )),
            Some((mission, _)) if *mission != *self.scheme.mission => {
                Err("the run began with another mission; resume it with the same".to_owned())
            }
            Some(_) => Ok(()),
            None => {
                crate::pattern::bounds::check_datum(&*self.scheme.mission).map_err(|error| {
                    format!(
                        "the mission is too large to be kept, name files in it instead: {error}"
                    )
                })?;
                cx.record(&BeganRecord {
                    record: "began",
                    at: millis(cx),
                    pattern: PatternKind::Hierarchy.as_str(),
                    name: &self.scheme.name,
                    mission: &self.scheme.mission,
                    teams: &teams,
                });
                Ok(())
            }
        }
    }

    /// Goes on as far as there is anything to do; ends the run once all is done.
    fn go_on(&mut self, cx: &mut In) {
        while self.phase == Phase::Running && self.advance(cx) {}
        if std::mem::take(&mut self.has_spent) {
            self.record_spent(cx);
        }
        self.tell_leaders(cx);
        self.crew.settle(cx);
        match self.phase {
            Phase::Running if self.broke.is_some() && self.owed == 0 => {
                let (done, units) = (self.board.done, self.board.units);
                let why = self.broke.take().unwrap_or_default();
                self.stop_early(FailureKind::OverBudget { why, done, units }, cx);
                self.go_on(cx);
            }
            Phase::Stopping
                if self.crew.is_idle() && self.seats.iter().all(|seat| seat.is_idle) =>
            {
                self.end(cx);
            }
            Phase::Running | Phase::Stopping | Phase::Ended => {}
        }
    }

    /// Does what can be done now; tells whether more can be done for that.
    fn advance(&mut self, cx: &mut In) -> bool {
        if self.broke.is_some() {
            return false;
        }
        if !self.is_planned {
            return self.plan(cx);
        }
        self.delegate(cx);
        self.hand_out(cx);
        if self.acting.is_some() {
            return false;
        }
        match self.troubles.pop_front() {
            Some(failure) => self.intervene(failure, cx),
            None if self.board.is_over() => self.integrate(cx),
            None => false,
        }
    }

    fn publish(&self, kind: EventKind, cx: &mut In, data: impl FnOnce() -> Value) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    /// Publishes what became of a task.
    fn publish_task(
        &self,
        kind: EventKind,
        (unit, team): (u64, u32),
        cx: &mut In,
        more: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) {
        self.publish(kind, cx, || {
            let mut data = serde_json::Map::new();
            let name = self.board.job(unit).map(|job| &*job.name);
            let assignment = self.board.duty_of(unit).map(|duty| &*duty.name);
            data.insert("unit".to_owned(), json!(unit));
            data.insert("part".to_owned(), json!(unit));
            data.insert("name".to_owned(), json!(name));
            data.insert("assignment".to_owned(), json!(assignment));
            data.insert("team".to_owned(), json!(self.team_name(team)));
            more(&mut data);
            Value::Object(data)
        });
    }

    fn team_name(&self, team: u32) -> &str {
        self.scheme.team(team).map_or("", |team| &team.name)
    }

    fn seat(&mut self, team: u32) -> Option<&mut Seat> {
        self.seats.get_mut(team as usize)
    }
}

impl Actor for Coordinator {
    type Msg = Msg;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        self.restore(runtime::record::decode(record)?);
        Ok(())
    }

    fn start(&mut self, cx: &mut In) {
        let now = cx.now();
        self.deadline = self.brief.deadline(now);
        cx.after(now.until(self.deadline), Msg::Deadline);
        self.spending.take_up(&self.brief, now);
        let refused = self.begin_run(cx);
        let data = || self.brief.started(PatternKind::Hierarchy, &self.scheme.name);
        self.publish(EventKind::RunStarted, cx, data);
        if let Err(why) = refused {
            self.stop_early(FailureKind::Invalid { why: clip(why) }, cx);
        } else if self.output.is_some() {
            self.end(cx);
        } else {
            self.take_up(cx);
        }
        self.go_on(cx);
    }

    fn observe(&self) -> ObservableState {
        let (tasks, done) = (self.board.units, self.board.done);
        let acting = self.acting.as_ref().map(|acting| acting.act.as_str());
        let open: serde_json::Map<String, Value> = (0..)
            .zip(&self.scheme.teams)
            .map(|(number, team)| (team.name.to_string(), json!(self.board.load(number))))
            .collect();
        ObservableState::of(&json!({
            "tasks": tasks,
            "done": done,
            "open": open,
            "acting": acting,
            "undecided": self.troubles.len(),
        }))
    }

    fn handle(&mut self, msg: Msg, cx: &mut In) {
        match msg {
            Msg::Accepted(reply) => return cx.reply(reply, ()),
            Msg::Cancel => {
                let (done, units) = (self.board.done, self.board.units);
                self.stop_early(FailureKind::Cancelled { done, units }, cx);
            }
            Msg::Deadline => {
                let parts = (self.board.done, self.board.units);
                let why = self.brief.out_of_time(self.deadline, parts);
                self.stop_early(why, cx);
            }
            Msg::Quiesced => return self.end(cx),
            Msg::Lost(kind) => self.stop_early(kind, cx),
            Msg::Told { team, life, first, news } => {
                for (news, number) in news.into_iter().zip(first..) {
                    self.hear(Source { team, life, number }, news, cx);
                }
            }
            Msg::Ended(team, exit) => self.leader_ended(team, &exit, cx),
            Msg::Granted(grant) => {
                for outcome in self.crew.granted(grant, cx) {
                    self.acted(outcome.answer, cx);
                }
            }
            Msg::Said(told) => {
                if let Some(outcome) = self.crew.told(*told, cx) {
                    self.acted(outcome.answer, cx);
                }
            }
            Msg::Unsaid(seat, exit) => self.act_ended(seat, &exit, cx),
            Msg::ActAgain => self.act_again(cx),
        }
        self.go_on(cx);
    }
}

fn names(teams: &[TeamBegan]) -> String {
    let team = |team: &TeamBegan| format!("{} ({})", team.name, team.workers.join(", "));
    teams.iter().map(team).collect::<Vec<_>>().join(", ")
}
