//! The coordinator of one plan: an actor that starts the runs of tasks when it is their turn, writes down what they came to, and
//! ends the run.
//!
//! Started by [`dispatch`](crate::dispatch); its journal is the run's, each task's run has one of its own. Which task may run is the
//! [`Schedule`]'s to say.
//!
//! # Invariants
//! - It ends in exactly one outcome, at the latest [`QUIESCENCE_WAIT`] and [`PARTIAL_REDUCE_WAIT`] after its deadline.
//! - A task is given only outputs that are recorded.
//! - After the phase `Running` no task begins; what those that were begun still bring is kept.

mod ending;
mod settling;

use std::{collections::VecDeque, sync::Arc};

use settling::number;

use runtime::{
    actor::Actor,
    ask::Reply,
    clock::Moment,
    context::Cx,
    events::EventKind,
    graph::ObservableState,
    telemetry::trace::{self, Phase as SpanPhase},
    work::TaskError,
};
use serde_json::{Value, json};

use super::{
    Before, Record, Scheme, TaskBegan,
    report::Report,
    start::{Ending, Running, Shortfall},
};
use crate::{
    decompose::{Schedule, TaskGraph, TaskState},
    dispatch::{Canceller, Steered},
    limits::{PARTIAL_REDUCE_WAIT, QUIESCENCE_WAIT},
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
    /// Cancelled runs of tasks had their time to end.
    Quiesced,
    /// The run of a task has started, or was refused.
    Started(usize, Result<Result<Running, Shortfall>, TaskError>),
    Ended(usize, Result<Ending, TaskError>),
    /// A task whose run was refused may try again.
    Again(usize),
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
    schedule: Option<Schedule>,
    seats: Vec<Seat>,
    /// Tasks whose turn it is and that wait for a place.
    line: VecDeque<usize>,
    /// Tasks that have a place.
    at_work: usize,
    spending: Spending,
    tally: Tally,
    phase: Phase,
    ending: Option<FailureKind>,
    deadline: Moment,
    outcome: Option<Reply<Outcome<Report>>>,
    began: Option<Vec<TaskBegan>>,
    span: tracing::Span,
    phase_span: tracing::Span,
}

/// A task.
#[derive(Default)]
struct Seat {
    state: State,
    /// When it began, by the clock and in Unix milliseconds.
    since: Moment,
    at: i64,
}

#[derive(Default)]
enum State {
    /// It has not begun, or the run ended before it did, with what there is of it.
    #[default]
    Open,
    CutOff(Option<Value>),
    /// Its run was refused, and tries again after a while.
    Refused,
    Starting,
    Running(Canceller),
    Done(Box<Done>),
    Failed {
        why: String,
        partial: Option<Value>,
    },
}

/// What a task came to.
struct Done {
    output: Arc<Value>,
    missing: u64,
    micros: u64,
    resumed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Runs of tasks are cancelled; what they still bring is kept.
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
        let mut schedule = scheme.graph.as_ref().ok().map(TaskGraph::schedule);
        if let Some(schedule) = &mut schedule {
            schedule.begin();
        }
        Self {
            seats: scheme.tasks().iter().map(|_| Seat::default()).collect(),
            spending: Spending::of(&brief),
            span: brief.span(PatternKind::Plan, scheme.tasks().len()),
            brief,
            scheme,
            schedule,
            line: VecDeque::new(),
            at_work: 0,
            tally: Tally::default(),
            phase: Phase::Running,
            ending: None,
            deadline: Moment::NEVER,
            outcome,
            began: None,
            phase_span: tracing::Span::none(),
        }
    }

    /// Records that the run began; one that is taken up again must have the tasks that it began with.
    fn begin_run(&self, cx: &mut In) -> Result<(), String> {
        self.scheme.graph.as_ref().map_err(Clone::clone)?;
        let tasks = self.scheme.began();
        match &self.began {
            Some(began) if *began != tasks => Err(format!(
                "the run began with the tasks {}, not {}; resume it with the same tasks in the same order",
                names(began),
                names(&tasks)
            )),
            Some(_) => Ok(()),
            None => {
                let (pattern, name) =
                    (PatternKind::Plan.as_str().to_owned(), self.scheme.name.clone());
                cx.record(&Record::Began { at: millis(cx), pattern, name, tasks });
                Ok(())
            }
        }
    }

    /// Goes on: begins tasks as far as there are places for them, and ends the run when nothing is left to be done.
    fn go_on(&mut self, cx: &mut In) {
        while self.phase == Phase::Running
            && self.at_work < self.scheme.at_once
            && let Some(task) = self.line.pop_front()
        {
            self.at_work += 1;
            self.begin(task, cx);
        }
        let is_over = match self.phase {
            Phase::Running => self.schedule.as_ref().is_none_or(Schedule::is_over),
            Phase::Stopping => self.at_work == 0,
            Phase::Ended => false,
        };
        if is_over {
            self.end(cx);
        }
    }

    /// Begins a task that has a place.
    fn begin(&mut self, task: usize, cx: &mut In) {
        let scheme = Arc::clone(&self.scheme);
        let Some(of) = scheme.tasks().get(task) else { return };
        let origin = self.brief.origin(self.deadline, &self.phase_span);
        let call = self.brief.call(task as u64, origin, cx);
        let start = (of.work)(call, of.name.clone(), self.before(task));
        let (since, at) = (cx.now(), millis(cx));
        if let Some(seat) = self.seats.get_mut(task) {
            *seat = Seat { state: State::Starting, since, at };
        }
        self.publish_task(EventKind::TaskAssigned, task, cx, &json!({}));
        cx.perform(start, move |started| Msg::Started(task, started));
    }

    /// What the predecessors of a task have brought.
    fn before(&self, task: usize) -> Before {
        let of = |before: &usize| match &self.seats.get(*before)?.state {
            State::Done(done) => {
                Some((self.scheme.task_name(*before).to_owned(), Arc::clone(&done.output)))
            }
            State::Open
            | State::CutOff(_)
            | State::Refused
            | State::Starting
            | State::Running(_)
            | State::Failed { .. } => None,
        };
        Before(self.scheme.after(task).iter().filter_map(of).collect())
    }

    fn units(&self) -> u64 {
        self.seats.len() as u64
    }

    fn publish(&self, kind: EventKind, cx: &mut In, data: impl FnOnce() -> Value) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    /// Publishes what became of a task.
    fn publish_task(&self, kind: EventKind, task: usize, cx: &mut In, more: &Value) {
        self.publish(kind, cx, || {
            let mut data =
                json!({ "unit": task, "part": task, "name": self.scheme.task_name(task) });
            if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
                data.extend(more.clone());
            }
            data
        });
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
        let data = || self.brief.started(PatternKind::Plan, &self.scheme.name);
        self.publish(EventKind::RunStarted, cx, data);
        if let Err(why) = refused {
            return self.stop_early(FailureKind::Invalid { why: clip(why) }, cx);
        }
        self.phase_span = trace::phase(&self.span, SpanPhase::Execute, self.seats.len());
        let is_ready = |task: &usize| {
            self.schedule.as_ref().and_then(|schedule| schedule.state(*task))
                == Some(TaskState::Ready)
        };
        self.line = (0..self.seats.len()).filter(is_ready).collect();
        let (units, done) = (self.units(), self.tally.done);
        self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        self.go_on(cx);
    }

    fn observe(&self) -> ObservableState {
        let (tasks, done, at_work) = (self.seats.len(), self.tally.done, self.at_work);
        ObservableState::of(&json!({ "tasks": tasks, "done": done, "at_work": at_work }))
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
            Msg::Started(task, started) => self.started(task, started, cx),
            Msg::Ended(task, ending) => self.ended(task, ending, cx),
            Msg::Again(task) => {
                let state = self.seats.get(task).map(|seat| &seat.state);
                if matches!(state, Some(State::Refused)) && self.phase == Phase::Running {
                    self.begin(task, cx);
                }
            }
        }
    }
}

fn names(tasks: &[TaskBegan]) -> String {
    let name = |at: &u32| tasks.get(*at as usize).map_or("?", |task| &task.name);
    let task = |task: &TaskBegan| match task.after.as_slice() {
        [] => task.name.clone(),
        after => {
            let after = after.iter().map(name).collect::<Vec<_>>().join(" and ");
            format!("{} after {after}", task.name)
        }
    };
    tasks.iter().map(task).collect::<Vec<_>>().join(", ")
}
