//! The coordinator of one pipeline: an actor that lets documents in, writes down what they pass, moves them on, and ends the run.
//!
//! Started by [`dispatch`](crate::dispatch). Starts a [`worker`] for each stage; its journal is the run's.
//!
//! # Invariants
//! - It ends in exactly one outcome, at the latest [`QUIESCENCE_WAIT`] after its deadline.
//! - A document moves on only behind the record of what it has passed; every call is paid before it is made.
//! - After the phase `Running` nothing moves; what stages still bring is kept.

mod ending;
mod moving;
mod restoring;

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use runtime::{
    actor::{Actor, Down},
    address::Addr,
    ask::Reply,
    budget::Cost,
    clock::Moment,
    context::Cx,
    events::EventKind,
    graph::ObservableState,
    mailbox::{Mailbox, Overflow},
    spawn::Spawn,
    supervisor::Intensity,
    telemetry::trace::{self, Phase as SpanPhase},
};
use serde_json::{Value, json};

use super::{
    Plan, Record,
    document::Source,
    line::Line,
    report::{Report, StageFigures, Step},
    worker::{self, Entrant, Failed, News, Passed, Post, Worker},
};
use crate::{
    agent::call::AgentError,
    dispatch::Steered,
    limits::{DOCUMENTS_MAX, QUIESCENCE_WAIT, STAGE_RESTART_PERIOD, STAGE_RESTARTS},
    pattern::{
        Brief, FailureKind, Outcome, PatternKind, Tally,
        bounds::clip,
        brief::{Spending, millis},
    },
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
    /// What a stage's worker, the so many-th of it, says of documents.
    Told(u32, u32, Vec<(u32, News)>),
    /// A stage's worker, the so many-th of it, has ended.
    Ended(u32, u32, Down),
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
    plan: Arc<Plan>,
    source: Arc<Mutex<Source>>,
    /// There are no more documents than those that came in.
    dry: bool,
    documents: Vec<Entry>,
    /// Documents that came in in an earlier life and have not passed the first stage.
    returning: VecDeque<u32>,
    seats: Vec<Seat>,
    /// Documents that are done or have failed.
    closed: u64,
    /// Calls that are paid and of which nothing was heard yet.
    owed: usize,
    /// Why no more calls can be paid: the run ends once those that are have ended.
    broke: Option<String>,
    spending: Spending,
    tally: Tally,
    phase: Phase,
    ending: Option<FailureKind>,
    deadline: Moment,
    outcome: Option<Reply<Outcome<Report>>>,
    began: Option<Vec<super::StageBegan>>,
    restarts: Intensity,
    span: tracing::Span,
    phase_span: tracing::Span,
}

/// A document that came in.
struct Entry {
    name: Arc<str>,
    /// What the first stage gets, until it has passed that.
    content: Option<Arc<Value>>,
    steps: Vec<Step>,
    at: At,
    /// Its next call is paid, and nothing was heard of it yet.
    paid: bool,
    /// Who has failed at it where it is, and how.
    fallen: Vec<(u32, AgentError)>,
    /// The calls that they made.
    attempts: u32,
}

/// Where a document is.
#[derive(Debug)]
enum At {
    /// Nowhere yet.
    Outside,
    In(u32),
    /// It has passed this stage and waits for room at the next, or for its turn.
    Ready(u32),
    Done,
    Failed(Box<Fate>),
}

/// How a document failed.
#[derive(Debug)]
struct Fate {
    stage: u32,
    agent: Option<u32>,
    attempts: u32,
    error: AgentError,
    why: String,
}

/// A stage, as the coordinator sees it.
struct Seat {
    worker: Addr<worker::Msg>,
    life: u32,
    line: Line,
    /// Documents that are about to be given to it.
    entrants: Vec<Entrant>,
    figures: StageFigures,
    /// It was stopped, and no call goes on.
    idle: bool,
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
        plan: Arc<Plan>,
        source: Arc<Mutex<Source>>,
        outcome: Option<Reply<Outcome<Report>>>,
    ) -> Self {
        let spending = Spending::of(&brief);
        let span = brief.span(PatternKind::Pipeline, plan.agents());
        Self {
            brief,
            plan,
            source,
            dry: false,
            documents: Vec::new(),
            returning: VecDeque::new(),
            seats: Vec::new(),
            closed: 0,
            owed: 0,
            broke: None,
            spending,
            tally: Tally::default(),
            phase: Phase::Running,
            ending: None,
            deadline: Moment::NEVER,
            outcome,
            began: None,
            restarts: Intensity::new(STAGE_RESTARTS, STAGE_RESTART_PERIOD),
            phase_span: tracing::Span::none(),
            span,
        }
    }

    /// Records that the run began; one that is taken up again must have the stages that it began with.
    fn begin_run(&self, cx: &mut In) -> Result<(), String> {
        let stages = self.plan.began();
        match &self.began {
            Some(began) if *began != stages => {
                let (was, is) = (names(began), names(&stages));
                return Err(format!(
                    "the run began with the stages {was}, not {is}; resume it with the same stages and agents in the same order"
                ));
            }
            Some(_) => {}
            None => {
                let (pattern, name) = ("pipeline".to_owned(), self.plan.name.clone());
                cx.record(&Record::Began { at: millis(cx), pattern, name, stages });
            }
        }
        self.plan.check()
    }

    /// Starts the worker of a stage, the first or the next.
    fn post(&self, stage: u32, life: u32, cx: &mut In) -> Option<Addr<worker::Msg>> {
        let of = self.plan.stage(stage)?;
        let (brief, plan, deadline, to) =
            (self.brief.clone(), Arc::clone(&self.plan), self.deadline, cx.me());
        let span = self.phase_span.clone();
        let post = Post { brief, plan, stage, life, deadline, span, to };
        // Its documents, the orders for them, and a few words more.
        let mailbox = Mailbox::new(2 * of.window + 16, Overflow::Wait);
        let spawn = Spawn::named(&*of.name).mailbox(mailbox);
        let worker = cx.spawn(spawn, move || Worker::new(post.clone()));
        cx.watch(&worker.child(), move |down| Msg::Ended(stage, life, down));
        Some(worker)
    }

    fn publish(&self, kind: EventKind, cx: &mut In, data: impl FnOnce() -> Value) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    /// Publishes what became of a document at a stage.
    fn publish_document(
        &self,
        kind: EventKind,
        (document, stage): (u32, u32),
        cx: &mut In,
        more: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) {
        self.publish(kind, cx, || {
            let name = self.documents.get(document as usize).map_or("", |entry| &*entry.name);
            let mut data = self.plan.about(document, stage, name);
            more(&mut data);
            Value::Object(data)
        });
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    fn record_spent(&mut self, cx: &mut In) {
        self.spending.write(&self.brief, Record::Spent, cx);
    }

    fn entry(&mut self, document: u32) -> Option<&mut Entry> {
        self.documents.get_mut(document as usize)
    }

    fn seat(&mut self, stage: u32) -> Option<&mut Seat> {
        self.seats.get_mut(stage as usize)
    }

    /// Documents that came in, and those that are known to come.
    fn units(&self) -> u64 {
        let coming = if self.dry { 0 } else { self.source.lock().left() };
        self.documents.len() as u64 + coming as u64
    }
}

impl Actor for Coordinator {
    type Msg = Msg;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        let record = runtime::record::decode::<Record>(record)?;
        self.restore(record)
    }

    fn start(&mut self, cx: &mut In) {
        let now = cx.now();
        self.deadline = self.brief.deadline(now);
        cx.after(now.until(self.deadline), Msg::Deadline);
        self.spending.take_up(&self.brief, now);
        let refused = self.begin_run(cx);
        let data = || self.brief.started(PatternKind::Pipeline, &self.plan.name);
        self.publish(EventKind::RunStarted, cx, data);
        if let Err(why) = refused {
            return self.stop_early(FailureKind::Invalid { why: clip(why) }, cx);
        }
        self.phase_span = trace::phase(&self.span, SpanPhase::Execute, self.plan.agents());
        for (stage, number) in self.plan.stages.iter().zip(0..) {
            let Some(worker) = self.post(number, 1, cx) else { continue };
            let name = stage.name.to_string();
            let (line, figures) =
                (Line::new(self.plan.ordered), StageFigures { name, ..StageFigures::default() });
            let entrants = Vec::new();
            self.seats.push(Seat { worker, life: 1, line, entrants, figures, idle: false });
        }
        self.take_up();
        let stages = self.plan.stages.len() as u64;
        let (units, done) = (
            self.units() * stages,
            self.documents.iter().map(|entry| entry.steps.len()).sum::<usize>(),
        );
        self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        self.go_on(cx);
    }

    fn observe(&self) -> ObservableState {
        let inside: serde_json::Map<String, Value> = self
            .seats
            .iter()
            .map(|seat| (seat.figures.name.clone(), json!(seat.line.len())))
            .collect();
        let (came_in, closed) = (self.documents.len(), self.closed);
        ObservableState::of(&json!({ "documents": came_in, "closed": closed, "inside": inside }))
    }

    fn handle(&mut self, msg: Msg, cx: &mut In) {
        match msg {
            Msg::Accepted(reply) => cx.reply(reply, ()),
            Msg::Cancel => {
                let (done, units) = (self.tally.done, self.units());
                self.stop_early(FailureKind::Cancelled { done, units }, cx);
            }
            Msg::Deadline => {
                let why = self.brief.out_of_time(self.deadline, (self.tally.done, self.units()));
                self.stop_early(why, cx);
            }
            Msg::Quiesced => self.end(cx),
            Msg::Lost(kind) => self.stop_early(kind, cx),
            Msg::Told(stage, life, news) => self.told((stage, life), news, cx),
            Msg::Ended(stage, life, down) => self.replace(stage, life, &down, cx),
        }
    }
}

fn names(stages: &[super::StageBegan]) -> String {
    let stage = |stage: &super::StageBegan| format!("{} ({})", stage.name, stage.agents.join(", "));
    stages.iter().map(stage).collect::<Vec<_>>().join(", ")
}
