//! The coordinator of one map_reduce: an actor that splits, hands out, collects, retries, speculates and reduces.
//!
//! Started by [`dispatch`](crate::dispatch). Asks the roster for places and the slots for results; its journal is the run's.
//!
//! # Invariants
//! - It ends in exactly one outcome, at the latest [`QUIESCENCE_WAIT`] and [`PARTIAL_REDUCE_WAIT`] after its deadline.
//! - A lease is given back once, behind the record of what came of it.
//! - After the phase `Running` nothing new is started.

mod collecting;
mod ending;
mod falling;
mod handing;
mod splitting;
mod telling;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::FixedState;
use protocol::Value;
use runtime::{
    actor::Actor,
    ask::{AskError, Reply},
    budget::Cost,
    clock::Moment,
    context::{Cx, Task},
    events::EventKind,
    telemetry::trace::{self, Phase as SpanPhase},
    work::TaskError,
};
use serde_json::json;

use super::{
    Assignment, Branch, Datum, Done, Map, MapReduce, OnPartialFailure, Options, Piece, Record,
    Reduce, UnitId,
    board::{Attempt, Board, Unit, Verdict},
};
use falling::Falls;
use telling::About;

use crate::{
    agent::{
        Walk,
        call::AgentError,
        slot::{self, Work},
    },
    assign::{AgentKey, Need, SlotId, Strategy},
    dispatch::{Coordination, Launch, Pattern, Steered},
    guard::guarded,
    limits::{
        CANCELLED_REDUCE_WAIT, DATUM_BYTES_MAX, HELD_RETRY_WAIT, PARTIAL_REDUCE_WAIT, PARTS_MAX,
        QUIESCENCE_WAIT, RETRIES_ASKED_MAX, SPECULATION_PLACES, SPLIT_RECORD_BYTES,
        STRAGGLER_TIME_MIN, UNITS_MAX,
    },
    pattern::{
        Brief, FailedPart, FailureKind, Outcome, PatternKind, Tally,
        bounds::{check_datum, clip, clipped},
        brief::{Spending, millis},
    },
    roster::{self, Demand, DemandId, Enlisted, Grant, Lease, LeaseId},
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
    /// The instances of a lane's agent have rested until this moment.
    Rested(u32, Moment),
    Tail,
    Deadline,
    Quiesced,
    /// The results of a run that ended early had their time to be put together.
    Overdue,
    /// What the run cannot go on without is lost.
    Lost(FailureKind),
    Reduced(Result<Result<T, String>, TaskError>),
}

/// The coordinator's state.
pub(crate) struct Coordinator<P, O, R: Reduce<O>> {
    brief: Brief,
    options: Options,
    /// Those of the run, then their fallbacks.
    branches: Vec<Branch<P, O>>,
    falls: Falls,
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
    reducing: Option<Reduction>,
    outcome: Option<Reply<Outcome<R::Output>>>,
    span: tracing::Span,
    phase_span: tracing::Span,
    began: Option<Vec<String>>,
    tail_timer: bool,
    /// Places for speculation that were asked for and not granted yet, by lane.
    spare: BTreeMap<u32, u32>,
    /// Retries that wait at the roster, and those that wait for their turn to do so.
    singles: BTreeSet<UnitId>,
    /// Lanes whose agent rests behind open breakers, and until when: their parts go to its fallback as far as that has places.
    resting: BTreeMap<u32, Moment>,
    retrying: VecDeque<UnitId>,
    unnamed: Arc<str>,
    /// Whether a place may be used again at once: nobody else waits for places.
    keeps_places: bool,
    lane_of_lease: HashMap<LeaseId, u32, FixedState>,
    spending: Spending,
    /// Among those whom a new incarnation of the roster asks.
    enlisted: Option<Enlisted>,
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
    Done { unit: u32, agent: u32, output: O },
    Failed { unit: u32, agent: u32, attempts: u32, error: AgentError },
    FellBack { unit: u32, agent: u32, to: u32, attempts: u32, error: AgentError },
}

/// Demands are numbered: lanes first, then speculation by lane, then single units.
const SPARE: u64 = 1 << 32;
const SINGLE: u64 = 1 << 33;

type In<P, O, R> = Cx<Coordinator<P, O, R>>;

/// Who puts the results together.
enum Reduction {
    /// The reducer, on a thread.
    Computed(Task),
    /// Agents, by a call of the reducer.
    ByAgents(Task),
}

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// A coordinator; the first incarnation's takes the split and whoever waits for the outcome.
    pub(crate) fn new(
        brief: Brief,
        run: &mut MapReduceParts<P, O, R>,
        outcome: Option<Reply<Outcome<R::Output>>>,
    ) -> Self {
        let options = run.options.clone();
        let spending = Spending::of(&brief);
        let span = brief.span(PatternKind::MapReduce, run.branches.len());
        let (branches, falls) = Falls::of(&run.branches, options.timeout);
        Self {
            brief,
            options,
            branches,
            falls,
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
            began: None,
            tail_timer: false,
            spare: BTreeMap::new(),
            singles: BTreeSet::new(),
            resting: BTreeMap::new(),
            retrying: VecDeque::new(),
            unnamed: "".into(),
            keeps_places: false,
            lane_of_lease: HashMap::default(),
            spending,
            enlisted: None,
        }
    }

    /// Records what the run has spent, if a resume must know of it and does not.
    fn record_spent(&mut self, cx: &mut In<P, O, R>) {
        self.spending.write(&self.brief, Record::<P, O>::Spent, cx);
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

impl<P: Datum, O: Datum, R: Reduce<O>> Pattern for MapReduce<P, O, R> {
    type Output = R::Output;

    fn launch(self, launch: Launch<R::Output>) -> Coordination {
        let mut parts = MapReduceParts::from(self);
        launch.start(PatternKind::MapReduce, move |brief, outcome| {
            Coordinator::<P, O, R>::new(brief, &mut parts, outcome)
        })
    }
}

impl<P: Datum, O: Datum, T: Send + 'static> Steered for Msg<P, O, T> {
    fn accepted(to: Reply<()>) -> Self {
        Self::Accepted(to)
    }

    fn cancel() -> Self {
        Self::Cancel
    }
}

impl<P: Datum, O: Datum, R: Reduce<O>> Actor for Coordinator<P, O, R> {
    type Msg = Msg<P, O, R::Output>;

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        match runtime::record::decode::<Record<P, O>>(record)? {
            Record::Began { agents, .. } => self.began = Some(agents),
            Record::Split { pieces, from, last } => {
                self.pieces.truncate(from as usize);
                self.pieces.extend(pieces);
                self.split_done = last;
            }
            Record::Done { unit, agent, output, .. } => {
                self.restored.push(Restored::Done { unit, agent, output });
            }
            Record::Failed { unit, agent, attempts, error, .. } => {
                self.restored.push(Restored::Failed { unit, agent, attempts, error });
            }
            Record::FellBack { unit, agent, to, attempts, error, .. } => {
                self.restored.push(Restored::FellBack { unit, agent, to, attempts, error });
            }
            Record::Spent(cost) => self.spending.replay(cost),
            // The run was ended by its deadline or its owner and is now taken up again.
            Record::Ended(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx<Self>) {
        let now = cx.now();
        self.deadline = self.brief.deadline(now);
        cx.after(now.until(self.deadline), Msg::Deadline);
        self.spending.take_up(&self.brief, now);
        self.enlisted = Some(self.brief.enlist(cx, Msg::Granted, Msg::Lost));
        let refused = self.begin_run(cx);
        let data = || self.brief.started(PatternKind::MapReduce, &self.options.name);
        self.publish(EventKind::RunStarted, cx, data);
        self.enter(SpanPhase::Map);
        match refused {
            Err(why) => self.stop_early(FailureKind::Split { why }, cx),
            Ok(()) if self.split_done => self.begin_units(cx),
            Ok(()) => {
                self.pieces.clear();
                self.split(cx);
            }
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
            Msg::Retry(unit) => self.retry(unit, cx),
            Msg::Rested(lane, until) => self.rested(lane, until, cx),
            Msg::Tail => {
                self.tail_timer = false;
                self.speculate(cx);
            }
            Msg::Deadline => {
                let why =
                    self.brief.out_of_time(self.deadline, (self.board.done, self.board.len()));
                self.stop_early(why, cx);
            }
            Msg::Quiesced => self.reduce(cx),
            Msg::Overdue => {
                if let Some(Reduction::Computed(task) | Reduction::ByAgents(task)) = &self.reducing
                {
                    cx.cancel(task);
                }
            }
            Msg::Lost(kind) => self.stop_early(kind, cx),
            Msg::Reduced(outcome) => self.reduced(outcome, cx),
        }
    }
}

impl<P, O, R: Reduce<O>> Drop for Coordinator<P, O, R> {
    fn drop(&mut self) {
        self.brief.counters.abandoned(self.board.in_flight());
    }
}
