//! The coordinator of one map_reduce: an actor that splits, hands out, collects, retries, speculates and reduces.
//!
//! Started by [`dispatch`](crate::dispatch). Asks the roster for places and the slots for results; its journal is the run's.
//!
//! # Invariants
//! - It ends in exactly one outcome, at the latest [`QUIESCENCE_WAIT`] after its deadline.
//! - A lease is given back once, behind the record of what came of it.
//! - After the phase `Running` nothing new is started.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use protocol::{RunId, TaskId, Value};
use runtime::{
    actor::Actor,
    address::Recipient,
    ask::{AskError, Reply},
    clock::Moment,
    context::{Cx, Task},
    events::EventKind,
    telemetry::trace::{self, Phase as SpanPhase},
    work::TaskError,
};
use serde_json::json;

use super::{
    Assignment, Branch, Datum, Done, Ended, Map, MapReduce, OnPartialFailure, Options, Piece,
    Record, Reduce, UnitId,
    board::{Attempt, Board, Unit, Verdict},
    telling::Counters,
};
use crate::{
    agent::{
        call::{AgentError, ProgressSink},
        slot::{self, Work},
    },
    assign::{Need, SlotId, Strategy},
    limits::{PARTS_MAX, QUIESCENCE_WAIT, SPECULATION_PLACES, SPLIT_RECORD_BYTES, UNITS_MAX},
    pattern::{Completed, FailedPart, FailureKind, Outcome, RunError, Tally},
    roster::{self, Demand, DemandId, Grant, Lease},
    system::AgentSystem,
};

/// What a coordinator is told.
pub(crate) enum Msg<P, O, T> {
    /// Says when the run is accepted, durably.
    Accepted(Reply<()>),
    /// Ends the run as cancelled.
    Cancel,
    Split(Result<Result<Vec<Piece<P>>, String>, TaskError>),
    Granted(Grant),
    Finished(UnitId, Lease, Result<Result<O, AgentError>, AskError>),
    Retry(UnitId),
    Tail,
    Deadline,
    Quiesced,
    Reduced(Result<Result<T, String>, TaskError>),
}

/// What a coordinator is started with.
pub(crate) struct Brief {
    pub(crate) system: AgentSystem,
    pub(crate) run: RunId,
    pub(crate) within: Duration,
    pub(crate) counters: Arc<Counters>,
}

/// The coordinator's state.
pub(crate) struct Coordinator<P, O, R: Reduce<O>> {
    brief: Brief,
    options: Options,
    branches: Vec<Branch<P, O>>,
    lanes: Vec<Need>,
    map: Option<Box<dyn Map<P>>>,
    reducer: Option<R>,
    pieces: Vec<Piece<P>>,
    split_done: bool,
    board: Board,
    kept: BTreeMap<u32, Done<O>>,
    failures: BTreeMap<u32, FailedPart>,
    restored: Vec<Restored<O>>,
    phase: Phase,
    ending: Option<FailureKind>,
    deadline: Moment,
    tally: Tally,
    reducing: Option<Task>,
    outcome: Option<Reply<Outcome<R::Output>>>,
    span: tracing::Span,
    phase_span: tracing::Span,
    began: bool,
    tail_timer: bool,
    spare_asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Splitting,
    Running,
    /// Attempts are cancelled; what they still bring is kept.
    Stopping,
    Reducing,
}

/// What the journal said before the split was known to be whole.
enum Restored<O> {
    Done(u32, O),
    Failed(u32, u32, AgentError),
}

/// Demands are numbered: lanes first, then speculation by lane, then single units.
const SPARE: u64 = 1 << 32;
const SINGLE: u64 = 1 << 33;

type In<P, O, R> = Cx<Coordinator<P, O, R>>;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// A coordinator; the first incarnation's takes the split and whoever waits for the outcome.
    pub(crate) fn new(
        brief: Brief,
        run: &mut MapReduceParts<P, O, R>,
        outcome: Option<Reply<Outcome<R::Output>>>,
    ) -> Self {
        let options = run.options.clone();
        let span = trace::execute(&brief.run.to_string(), "map_reduce", run.branches.len());
        Self {
            brief,
            options,
            branches: run.branches.clone(),
            lanes: Vec::new(),
            map: run.map.take(),
            reducer: Some((run.reduce)()),
            pieces: Vec::new(),
            split_done: false,
            board: Board::default(),
            kept: BTreeMap::new(),
            failures: BTreeMap::new(),
            restored: Vec::new(),
            phase: Phase::Splitting,
            ending: None,
            deadline: Moment::NEVER,
            tally: Tally::default(),
            reducing: None,
            outcome,
            phase_span: tracing::Span::none(),
            span,
            began: false,
            tail_timer: false,
            spare_asked: false,
        }
    }
}

/// The parts of a [`MapReduce`], kept for each incarnation.
pub(crate) struct MapReduceParts<P, O, R> {
    map: Option<Box<dyn Map<P>>>,
    branches: Vec<Branch<P, O>>,
    reduce: Box<dyn FnMut() -> R + Send>,
    options: Options,
}

impl<P, O, R> From<MapReduce<P, O, R>> for MapReduceParts<P, O, R> {
    fn from(run: MapReduce<P, O, R>) -> Self {
        let MapReduce { map, branches, reduce, options } = run;
        Self { map: Some(map), branches, reduce, options }
    }
}

impl<P: Datum, O: Datum, R: Reduce<O>> Actor for Coordinator<P, O, R> {
    type Msg = Msg<P, O, R::Output>;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        match runtime::record::decode::<Record<P, O>>(record)? {
            Record::Began { .. } => self.began = true,
            Record::Split { pieces, last } => {
                self.pieces.extend(pieces);
                self.split_done = last;
            }
            Record::Done { unit, output, .. } => self.restored.push(Restored::Done(unit, output)),
            Record::Failed { unit, attempts, error, .. } => {
                self.restored.push(Restored::Failed(unit, attempts, error));
            }
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Ended(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx<Self>) {
        self.deadline = cx.now() + self.brief.within;
        cx.after(self.brief.within, Msg::Deadline);
        if !self.began {
            let agents =
                self.branches.iter().map(|branch| branch.agent.name().to_string()).collect();
            let name = self.options.name.clone();
            cx.record(&Record::<P, O>::Began {
                at: millis(cx),
                pattern: "map_reduce".to_owned(),
                name,
                agents,
            });
        }
        let name = self.options.name.clone();
        self.publish(
            EventKind::RunStarted,
            cx,
            || json!({ "pattern": "map_reduce", "name": name }),
        );
        self.enter(SpanPhase::Map);
        if self.split_done {
            self.begin_units(cx);
        } else {
            self.pieces.clear();
            self.split(cx);
        }
    }

    fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Accepted(reply) => cx.reply(reply, ()),
            Msg::Cancel => {
                let (done, units) = (self.board.done, self.board.len());
                self.stop_early(FailureKind::Cancelled { done, units }, cx);
            }
            Msg::Split(split) => self.take_split(split, cx),
            Msg::Granted(grant) => self.take_grant(grant, cx),
            Msg::Finished(unit, lease, outcome) => self.finished(unit, lease, outcome, cx),
            Msg::Retry(unit) => self.demand_single(unit, cx),
            Msg::Tail => {
                self.tail_timer = false;
                self.speculate(cx);
            }
            Msg::Deadline => {
                let (after, done, units) = (self.brief.within, self.board.done, self.board.len());
                self.stop_early(FailureKind::TimedOut { after, done, units }, cx);
            }
            Msg::Quiesced => self.reduce(cx),
            Msg::Reduced(outcome) => self.reduced(outcome, cx),
        }
    }
}

/// Splitting.
impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    fn split(&mut self, cx: &mut In<P, O, R>) {
        let Some(mut map) = self.map.take() else {
            let why =
                "the split was not recorded and cannot be made again after a crash".to_owned();
            return self.stop_early(FailureKind::Split { why }, cx);
        };
        let split = move || {
            let pieces = map.map()?;
            check_split(&pieces)?;
            map.validate(&pieces)?;
            Ok(pieces)
        };
        cx.perform_blocking(split, Msg::Split);
    }

    fn take_split(
        &mut self,
        split: Result<Result<Vec<Piece<P>>, String>, TaskError>,
        cx: &mut In<P, O, R>,
    ) {
        if self.phase != Phase::Splitting {
            return;
        }
        let recorded = match split {
            Ok(Ok(pieces)) => {
                self.pieces = pieces;
                self.record_split(cx)
            }
            Ok(Err(why)) => Err(why),
            Err(error) => Err(format!("the split {error}")),
        };
        match recorded {
            Ok(()) => self.begin_units(cx),
            Err(why) => self.stop_early(FailureKind::Split { why }, cx),
        }
    }

    /// Records the parts, several to a record.
    fn record_split(&self, cx: &mut In<P, O, R>) -> Result<(), String> {
        let mut rest = self.pieces.as_slice();
        loop {
            let (chunk, after) = rest.split_at(chunk_length(rest)?);
            rest = after;
            cx.record(&SplitRecord { record: "split", pieces: chunk, last: rest.is_empty() });
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes the board from the parts, gives it what the journal knew, and begins.
    fn begin_units(&mut self, cx: &mut In<P, O, R>) {
        let units = match self.units() {
            Ok(units) => units,
            Err(why) => return self.stop_early(FailureKind::Split { why }, cx),
        };
        self.board = Board::new(units, self.lanes.len());
        for restored in std::mem::take(&mut self.restored) {
            self.restore(restored);
        }
        self.board.forget_final();
        self.tally.units = self.board.len();
        self.tally.resumed = self.board.done;
        self.phase = Phase::Running;
        self.enter(SpanPhase::Execute);
        let (units, done) = (self.board.len(), self.board.done);
        self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        for lane in 0..self.lanes.len() {
            let lane = u32::try_from(lane).unwrap_or(u32::MAX);
            let count = u32::try_from(self.board.waiting(lane)).unwrap_or(u32::MAX);
            self.demand(DemandId(u64::from(lane)), lane, count, cx);
        }
        self.go_on(cx);
    }

    /// Every unit as (part, branch, lane), in the order of the split; the same at each resume.
    fn units(&mut self) -> Result<Vec<(u32, u32, u32)>, String> {
        let mut units = Vec::new();
        let mut lanes: Vec<Need> = Vec::new();
        for (piece, part) in self.pieces.iter().zip(0_u32..) {
            let takers: Vec<u32> = (0..)
                .zip(&self.branches)
                .filter(|(_, branch)| takes(branch, piece))
                .map(|(id, _)| id)
                .collect();
            match self.options.assignment {
                Assignment::AllOf => {
                    for branch in takers {
                        let need =
                            Need { agents: self.agent_names(&[branch]), capabilities: Vec::new() };
                        units.push((part, branch, lane_of(&mut lanes, need)));
                    }
                }
                Assignment::AnyOf(_) => {
                    let need = Need {
                        agents: self.agent_names(&takers),
                        capabilities: piece.needs.clone(),
                    };
                    if takers.is_empty() {
                        return Err(format!("no agent takes {}", self.piece_name(part)));
                    }
                    units.push((part, 0, lane_of(&mut lanes, need)));
                }
            }
        }
        self.lanes = lanes;
        if units.len() > UNITS_MAX {
            return Err(format!(
                "{} pieces of work are more than {UNITS_MAX}; make larger parts",
                units.len()
            ));
        }
        Ok(units)
    }

    fn restore(&mut self, restored: Restored<O>) {
        match restored {
            Restored::Done(unit, output) => {
                if self.board.restore_done(UnitId(unit)) {
                    self.keep(UnitId(unit), None, output);
                }
            }
            Restored::Failed(unit, attempts, error) => {
                if self.board.restore_failed(UnitId(unit), attempts) {
                    self.note_failure(UnitId(unit), attempts, &error);
                }
            }
        }
    }
}

/// Handing out.
impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    fn demand(&self, id: DemandId, lane: u32, count: u32, cx: &mut In<P, O, R>) {
        let (Some(need), true) = (self.lanes.get(lane as usize), count > 0) else { return };
        let strategy = match self.options.assignment {
            Assignment::AllOf => Strategy::RoundRobin,
            Assignment::AnyOf(strategy) => strategy,
        };
        let demand = Demand {
            id,
            need: need.clone(),
            strategy,
            count,
            avoid: Vec::new(),
            spare: (SPARE..SINGLE).contains(&id.0),
            to: self.grants(cx),
            owner: cx.me().child(),
        };
        cx.send(self.brief.system.roster(), roster::Msg::Demand(demand));
    }

    fn demand_single(&self, unit: UnitId, cx: &mut In<P, O, R>) {
        if self.phase != Phase::Running || !self.board.is_open(unit) {
            return;
        }
        let Some(state) = self.board.unit(unit) else { return };
        let Some(need) = self.lanes.get(state.lane as usize) else { return };
        let elsewhere = self.options.on_partial_failure == OnPartialFailure::RetryElsewhere;
        let strategy = match self.options.assignment {
            Assignment::AllOf => Strategy::RoundRobin,
            Assignment::AnyOf(strategy) => strategy,
        };
        let demand = Demand {
            id: DemandId(SINGLE + u64::from(unit.0)),
            need: need.clone(),
            strategy,
            count: 1,
            avoid: if elsewhere { state.tried.clone() } else { Vec::new() },
            spare: false,
            to: self.grants(cx),
            owner: cx.me().child(),
        };
        cx.send(self.brief.system.roster(), roster::Msg::Demand(demand));
    }

    fn take_grant(&mut self, grant: Grant, cx: &mut In<P, O, R>) {
        match grant {
            Grant::Leases { demand, leases } => {
                let mut unused = Vec::new();
                for lease in leases {
                    match self.choose(demand, lease.slot, cx.now()) {
                        Some(unit) if self.phase == Phase::Running => self.attempt(unit, lease, cx),
                        _ => unused.push(lease),
                    }
                }
                self.release(unused, cx);
                if demand.0 < SPARE {
                    self.speculate(cx);
                }
            }
            Grant::Denied { demand, why } => self.denied(demand, &why, cx),
        }
    }

    /// The unit that a place is for.
    fn choose(&mut self, demand: DemandId, slot: SlotId, now: Moment) -> Option<UnitId> {
        if demand.0 >= SINGLE {
            let unit = UnitId(u32::try_from(demand.0 - SINGLE).ok()?);
            return self.board.is_open(unit).then_some(unit);
        }
        if demand.0 >= SPARE {
            self.spare_asked = false;
            let lane = u32::try_from(demand.0 - SPARE).ok()?;
            return self
                .board
                .straggler(lane, Some(slot), now, |unit| may_speculate(&self.pieces, unit));
        }
        self.board.take_waiting(u32::try_from(demand.0).ok()?)
    }

    /// Gives the unit to the slot of the lease.
    fn attempt(&mut self, unit: UnitId, lease: Lease, cx: &mut In<P, O, R>) {
        let found = self.branches.iter().position(|branch| branch.agent.slot(lease.slot).is_some());
        let Some((branch, at)) = found.and_then(|at| Some((self.branches.get(at)?, at))) else {
            return self.release(vec![lease], cx);
        };
        let input =
            self.board.unit(unit).and_then(|unit| self.pieces.get(unit.piece as usize)).and_then(
                |piece| match &branch.narrow {
                    None => Some(piece.input.clone()),
                    Some(narrow) => narrow(&piece.input),
                },
            );
        let (Some(input), Some(slot)) = (input, branch.agent.slot(lease.slot).cloned()) else {
            return self.release(vec![lease], cx);
        };
        let timeout =
            branch.timeout.unwrap_or(self.options.timeout).min(cx.now().until(self.deadline));
        let before = self.board.unit(unit).map_or(0, |unit| unit.running().len());
        let Some(attempt) = self.board.begin(unit, lease, cx.now()) else {
            return self.release(vec![lease], cx);
        };
        self.count_attempt(attempt, before);
        let (task, number, progress) =
            (self.task_id(unit), attempt.number, self.progress(unit, cx));
        let question = move |reply| {
            slot::Msg::Work(Work { lease: lease.id, task, attempt: number, input, progress, reply })
        };
        cx.ask(&slot, question, timeout, move |outcome| Msg::Finished(unit, lease, outcome));
        self.publish_unit(EventKind::TaskAssigned, unit, Some((at, &attempt)), cx, |_| {});
    }

    fn count_attempt(&mut self, attempt: Attempt, running_before: usize) {
        self.tally.attempts += 1;
        if running_before > 0 {
            self.tally.speculative += 1;
        } else if attempt.number > 1 {
            self.tally.retries += 1;
        }
        self.brief.counters.begun();
    }

    /// Asks for spare places, or sets a timer for when somebody will have run long enough.
    fn speculate(&mut self, cx: &mut In<P, O, R>) {
        let idle = self.phase == Phase::Running && self.options.speculate && self.board.is_tail();
        if !idle || self.spare_asked || self.tail_timer || self.board.in_flight() == 0 {
            return;
        }
        let Some(median) = self.board.median() else { return };
        let now = cx.now();
        for lane in 0..self.lanes.len() {
            let lane = u32::try_from(lane).unwrap_or(u32::MAX);
            if self
                .board
                .straggler(lane, None, now, |unit| may_speculate(&self.pieces, unit))
                .is_some()
            {
                let count = u32::try_from(self.board.in_flight())
                    .unwrap_or(u32::MAX)
                    .min(SPECULATION_PLACES);
                self.spare_asked = true;
                self.demand(DemandId(SPARE + u64::from(lane)), lane, count, cx);
            }
        }
        if !self.spare_asked {
            self.tail_timer = true;
            cx.after(median.max(Duration::from_millis(1)) / 2, Msg::Tail);
        }
    }

    fn denied(&mut self, demand: DemandId, why: &str, cx: &mut In<P, O, R>) {
        let error = AgentError::Lost { reason: why.to_owned() };
        if demand.0 >= SINGLE {
            if let Ok(unit) = u32::try_from(demand.0 - SINGLE) {
                self.give_up(UnitId(unit), error, cx);
            }
        } else if demand.0 < SPARE {
            let lane = u32::try_from(demand.0).unwrap_or(u32::MAX);
            while let Some(unit) = self.board.take_waiting(lane) {
                self.give_up(unit, error.clone(), cx);
            }
        }
        self.go_on(cx);
    }
}

/// Collecting.
impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    fn finished(
        &mut self,
        _: UnitId,
        lease: Lease,
        outcome: Result<Result<O, AgentError>, AskError>,
        cx: &mut In<P, O, R>,
    ) {
        let timed_out = matches!(outcome, Err(AskError::TimedOut(_)));
        match outcome {
            Ok(Ok(output)) => self.succeeded(lease, output, cx),
            Ok(Err(error)) => self.failed(lease, error, cx),
            Err(error) => self.failed(lease, lost(error), cx),
        }
        if timed_out {
            self.cancel_at(lease, cx);
        }
        self.release(vec![lease], cx);
        self.go_on(cx);
    }

    fn succeeded(&mut self, lease: Lease, output: O, cx: &mut In<P, O, R>) {
        let now = cx.now();
        let Some((unit, attempt, verdict)) = self.board.succeed(lease.id, now) else { return };
        let Verdict::Accepted(others) = verdict else { return self.brief.counters.late() };
        let took = now.since(attempt.since);
        self.brief.counters.done(took);
        cx.record(&DoneRecord {
            record: "done",
            unit: unit.0,
            attempt: attempt.number,
            slot: lease.slot.0,
            at: millis(cx) - i64::try_from(took.as_millis()).unwrap_or(0),
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            output: &output,
        });
        for other in others {
            self.cancel_at(other.lease, cx);
        }
        let branch = self.branch_of(lease.slot);
        self.publish_unit(
            EventKind::TaskCompleted,
            unit,
            branch.map(|at| (at, &attempt)),
            cx,
            |data| {
                data.insert(
                    "micros".to_owned(),
                    json!(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
                );
            },
        );
        self.keep(unit, branch, output);
    }

    fn failed(&mut self, lease: Lease, error: AgentError, cx: &mut In<P, O, R>) {
        let Some((unit, attempt, verdict)) = self.board.fail(lease.id) else { return };
        if verdict == Verdict::Late {
            return self.brief.counters.late();
        }
        self.brief.counters.failed(&error);
        if self.phase != Phase::Running || verdict == Verdict::StillRunning {
            return;
        }
        let attempts = self.board.unit(unit).map_or(0, |unit| unit.attempts);
        let never = matches!(error.retry(), protocol::Retry::Never);
        if never || !self.options.retries.allows(attempts) {
            return self.give_up(unit, error, cx);
        }
        let branch = self.branch_of(lease.slot);
        self.publish_unit(
            EventKind::TaskRetried,
            unit,
            branch.map(|at| (at, &attempt)),
            cx,
            |data| {
                data.insert("error".to_owned(), json!(error.to_string()));
            },
        );
        let wait = self.options.retries.wait(attempts, cx.random());
        cx.after(wait, Msg::Retry(unit));
    }

    /// Gives a unit up for good.
    fn give_up(&mut self, unit: UnitId, error: AgentError, cx: &mut In<P, O, R>) {
        if !self.board.give_up(unit) {
            return;
        }
        let attempts = self.board.unit(unit).map_or(0, |unit| unit.attempts);
        cx.record(&Record::<P, O>::Failed {
            unit: unit.0,
            attempts,
            at: millis(cx),
            error: error.clone(),
        });
        self.note_failure(unit, attempts, &error);
        self.publish_unit(EventKind::TaskFailed, unit, None, cx, |data| {
            data.insert("error".to_owned(), json!(error.to_string()));
        });
        if self.options.on_partial_failure == OnPartialFailure::Fail {
            let (failed, units) = (self.board.failed, self.board.len());
            self.stop_early(FailureKind::Parts { failed, units, first: error.to_string() }, cx);
        }
    }

    /// Absorbs a result, or keeps it for the end.
    fn keep(&mut self, unit: UnitId, branch: Option<usize>, output: O) {
        let Some(state) = self.board.unit(unit) else { return };
        let branch = branch.unwrap_or(state.branch as usize);
        let agent = self
            .branches
            .get(branch)
            .map_or_else(|| "".into(), |branch| Arc::clone(branch.agent.name()));
        let name = self.pieces.get(state.piece as usize).map_or("", |piece| &piece.name).into();
        let done = Done { part: state.piece, name, agent, output };
        let kept = match &mut self.reducer {
            Some(reducer) => reducer.absorb(done),
            None => Some(done),
        };
        if let Some(done) = kept {
            self.kept.insert(unit.0, done);
        }
    }

    fn note_failure(&mut self, unit: UnitId, attempts: u32, error: &AgentError) {
        let Some(state) = self.board.unit(unit) else { return };
        let agent = self
            .branches
            .get(state.branch as usize)
            .map_or("", |branch| branch.agent.name())
            .to_owned();
        let (part, name) = (state.piece, self.piece_name(state.piece));
        self.failures
            .insert(unit.0, FailedPart { part, name, agent, attempts, error: error.to_string() });
    }
}

/// Ending.
impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// Looks what is next after something was settled.
    fn go_on(&mut self, cx: &mut In<P, O, R>) {
        match self.phase {
            Phase::Running if self.board.is_settled() => {
                self.cancel_all(cx);
                self.reduce(cx);
            }
            Phase::Running => self.speculate(cx),
            Phase::Stopping if self.board.in_flight() == 0 => self.reduce(cx),
            Phase::Splitting | Phase::Stopping | Phase::Reducing => {}
        }
    }

    /// Ends the run before all is done: running attempts are cancelled and given a moment to end.
    fn stop_early(&mut self, kind: FailureKind, cx: &mut In<P, O, R>) {
        match self.phase {
            Phase::Splitting => {
                self.ending = Some(kind);
                self.phase = Phase::Reducing;
                self.end(None, cx);
            }
            Phase::Running => {
                self.ending = Some(kind);
                self.phase = Phase::Stopping;
                self.cancel_all(cx);
                cx.after(QUIESCENCE_WAIT, Msg::Quiesced);
                self.go_on(cx);
            }
            Phase::Stopping => {}
            Phase::Reducing => {
                self.ending.get_or_insert(kind);
                if let Some(task) = &self.reducing {
                    cx.cancel(task);
                }
            }
        }
    }

    fn cancel_all(&self, cx: &mut In<P, O, R>) {
        cx.send(self.brief.system.roster(), roster::Msg::Forget(cx.id()));
        let running: Vec<Lease> = self.board.leases().collect();
        for lease in running {
            self.cancel_at(lease, cx);
        }
    }

    fn cancel_at(&self, lease: Lease, cx: &mut In<P, O, R>) {
        if let Some(slot) = self.branches.iter().find_map(|branch| branch.agent.slot(lease.slot)) {
            cx.send(slot, slot::Msg::Cancel(lease.id));
        }
    }

    fn release(&self, leases: Vec<Lease>, cx: &mut In<P, O, R>) {
        if !leases.is_empty() {
            cx.send(self.brief.system.roster(), roster::Msg::Release(leases));
        }
    }

    /// Puts the results together on a thread of its own.
    fn reduce(&mut self, cx: &mut In<P, O, R>) {
        if self.phase == Phase::Reducing {
            return;
        }
        self.phase = Phase::Reducing;
        self.enter(SpanPhase::Reduce);
        let Some(reducer) = self.reducer.take() else { return self.end(None, cx) };
        let results = std::mem::take(&mut self.kept).into_values().collect();
        let missing: Vec<FailedPart> = self.failures.values().cloned().collect();
        let early = self.ending.as_ref().map(ToString::to_string);
        let work = move || put_together(reducer, results, &missing, early.as_deref());
        self.reducing = Some(cx.perform_blocking(work, Msg::Reduced));
    }

    fn reduced(
        &mut self,
        outcome: Result<Result<R::Output, String>, TaskError>,
        cx: &mut In<P, O, R>,
    ) {
        let value = match outcome {
            Ok(Ok(value)) => Some(value),
            Ok(Err(why)) => {
                self.ending.get_or_insert(FailureKind::Reduce { why });
                None
            }
            Err(error) => {
                self.ending.get_or_insert(FailureKind::Reduce { why: error.to_string() });
                None
            }
        };
        self.end(value, cx);
    }

    /// Records how the run ended, tells whoever waits, and stops.
    fn end(&mut self, value: Option<R::Output>, cx: &mut In<P, O, R>) {
        self.tally.done = self.board.done;
        let failed: Vec<FailedPart> = std::mem::take(&mut self.failures).into_values().collect();
        let (run, tally, failure) = (self.brief.run, self.tally.clone(), self.ending.take());
        let ended = Ended {
            at: millis(cx),
            failure: failure.clone(),
            failed: failed.clone(),
            tally: tally.clone(),
        };
        cx.record(&Record::<P, O>::Ended(ended));
        self.brief.counters.ended(failure.as_ref(), self.branches.len());
        let data = failure.as_ref().map_or(Value::Null, |kind| json!(kind));
        self.publish(EventKind::RunEnded, cx, || json!({ "failure": data }));
        let outcome = match (failure, value) {
            (None, Some(value)) => Ok(Completed { run, value, failed, tally }),
            (failure, partial) => {
                let kind =
                    failure.unwrap_or(FailureKind::Reduce { why: "nothing came of it".to_owned() });
                Err(Box::new(RunError { run, kind, partial, failed, tally }))
            }
        };
        if let Some(reply) = self.outcome.take() {
            cx.reply(reply, outcome);
        }
        self.phase_span = tracing::Span::none();
        cx.stop();
    }
}

/// Telling.
impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    fn enter(&mut self, phase: SpanPhase) {
        self.phase_span = trace::phase(&self.span, phase, self.branches.len());
    }

    fn publish(&self, kind: EventKind, cx: &mut In<P, O, R>, data: impl FnOnce() -> Value) {
        cx.publish(kind, Some(self.brief.run), data);
    }

    fn publish_unit(
        &self,
        kind: EventKind,
        unit: UnitId,
        attempt: Option<(usize, &Attempt)>,
        cx: &mut In<P, O, R>,
        more: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) {
        self.publish(kind, cx, || {
            let state = self.board.unit(unit);
            let branch = attempt
                .map_or_else(|| state.map_or(0, |unit| unit.branch as usize), |(branch, _)| branch);
            let agent = self.branches.get(branch).map_or("", |branch| branch.agent.name());
            let part = state.map_or(0, |unit| unit.piece);
            let mut data = serde_json::Map::new();
            data.insert("unit".to_owned(), json!(unit.0));
            data.insert("part".to_owned(), json!(part));
            data.insert("name".to_owned(), json!(self.piece_name(part)));
            data.insert("agent".to_owned(), json!(agent));
            if let Some((_, attempt)) = attempt {
                data.insert("slot".to_owned(), json!(attempt.lease.slot));
                data.insert("attempt".to_owned(), json!(attempt.number));
            }
            more(&mut data);
            Value::Object(data)
        });
    }

    fn progress(&self, unit: UnitId, cx: &In<P, O, R>) -> ProgressSink {
        let node = self.brief.system.node();
        let run = self.brief.run;
        if !node.events().wants(EventKind::ProgressUpdate.as_str(), Some(run)) {
            return ProgressSink::default();
        }
        let (node, source) = (node.clone(), cx.me().name().to_owned());
        ProgressSink::new(move |progress| {
            node.publish(
                EventKind::ProgressUpdate,
                &source,
                run,
                json!({ "unit": unit.0, "share": progress.share() }),
            );
        })
    }

    fn piece_name(&self, part: u32) -> String {
        match self.pieces.get(part as usize) {
            Some(piece) if !piece.name.is_empty() => piece.name.clone(),
            _ => format!("part {part}"),
        }
    }

    fn agent_names(&self, branches: &[u32]) -> Vec<Arc<str>> {
        let named = branches.iter().filter_map(|branch| self.branches.get(*branch as usize));
        named.map(|branch| Arc::clone(branch.agent.name())).collect()
    }

    fn branch_of(&self, slot: SlotId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.agent.slot(slot).is_some())
    }

    /// One id for all attempts at a unit, so that effects can be told apart by it: the run's id with the unit's number mixed in.
    fn task_id(&self, unit: UnitId) -> TaskId {
        TaskId::from_u128(self.brief.run.as_u128() ^ u128::from(unit.0))
    }

    fn grants(&self, cx: &In<P, O, R>) -> Recipient<Grant> {
        cx.me().recipient(Msg::Granted)
    }
}

/// The record of a result, without a copy of it.
#[derive(serde::Serialize)]
struct DoneRecord<'a, O> {
    record: &'static str,
    unit: u32,
    attempt: u32,
    slot: u32,
    at: i64,
    micros: u64,
    output: &'a O,
}

/// The record of some parts, without a copy of them.
#[derive(serde::Serialize)]
struct SplitRecord<'a, P> {
    record: &'static str,
    pieces: &'a [Piece<P>],
    last: bool,
}

fn may_speculate<P>(pieces: &[Piece<P>], unit: &Unit) -> bool {
    pieces.get(unit.piece as usize).is_some_and(|piece| piece.speculate)
}

fn takes<P, O>(branch: &Branch<P, O>, piece: &Piece<P>) -> bool {
    branch.narrow.as_ref().is_none_or(|narrow| narrow(&piece.input).is_some())
}

fn lane_of(lanes: &mut Vec<Need>, need: Need) -> u32 {
    let at = lanes.iter().position(|lane| *lane == need).unwrap_or_else(|| {
        lanes.push(need);
        lanes.len() - 1
    });
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What holds for every split: there are parts, not too many.
fn check_split<P>(pieces: &[Piece<P>]) -> Result<(), String> {
    match pieces.len() {
        0 => Err("the split made no parts: there is nothing to do".to_owned()),
        count if count > PARTS_MAX => {
            Err(format!("the split made {count} parts or more; {PARTS_MAX} are possible"))
        }
        _ => Ok(()),
    }
}

/// How many of `pieces` fit one record.
fn chunk_length<P: Datum>(pieces: &[Piece<P>]) -> Result<usize, String> {
    let mut bytes = 0;
    for (piece, at) in pieces.iter().zip(0..) {
        bytes += runtime::record::size(piece)?;
        if bytes > SPLIT_RECORD_BYTES {
            return Ok(at.max(1));
        }
    }
    Ok(pieces.len())
}

/// Reduces, partially if parts are missing or the reduction fails; a panic counts as failing.
fn put_together<O, R: Reduce<O>>(
    mut reducer: R,
    results: Vec<Done<O>>,
    missing: &[FailedPart],
    early: Option<&str>,
) -> Result<R::Output, String> {
    if missing.is_empty() && early.is_none() {
        match reducer.reduce(&results) {
            Ok(value) => return Ok(value),
            Err(why) => return reducer.reduce_partial(&results, missing, Some(&why)),
        }
    }
    reducer.reduce_partial(&results, missing, early)
}

/// An ask that ended without an answer of the agent, as the attempt's error.
fn lost(error: AskError) -> AgentError {
    match error {
        AskError::TimedOut(after) => AgentError::TimedOut { after },
        other => AgentError::Lost { reason: other.to_string() },
    }
}

fn millis<A: Actor>(cx: &Cx<A>) -> i64 {
    cx.unix_nanos() / 1_000_000
}
