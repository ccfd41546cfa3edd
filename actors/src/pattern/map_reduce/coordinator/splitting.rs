//! Splitting: the task into parts, the parts into units, the journal's knowledge into the board.

use std::collections::HashMap;

use super::*;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
    /// Records that the run began; a run that is taken up again must have the agents that it began with, by which units are numbered.
    pub(super) fn begin_run(&self, cx: &mut In<P, O, R>) -> Result<(), String> {
        let agents: Vec<String> =
            self.branches.iter().map(|branch| branch.agent.name().to_string()).collect();
        match &self.began {
            Some(began) if *began != agents => {
                return Err(format!(
                    "the run began with the agents {began:?}, not {agents:?}; resume it with the same agents in the same order"
                ));
            }
            Some(_) => {}
            None => {
                let (pattern, name) =
                    (PatternKind::MapReduce.as_str().to_owned(), self.options.name.clone());
                cx.record(&Record::<P, O>::Began { at: millis(cx), pattern, name, agents });
            }
        }
        if self.branches.is_empty() {
            return Err("there is no agent to do the parts".to_owned());
        }
        Ok(())
    }

    pub(super) fn split(&mut self, cx: &mut In<P, O, R>) {
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

    pub(super) fn take_split(
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
    pub(super) fn record_split(&self, cx: &mut In<P, O, R>) -> Result<(), String> {
        let mut rest = self.pieces.as_slice();
        loop {
            let from = u32::try_from(self.pieces.len() - rest.len()).unwrap_or(u32::MAX);
            let (pieces, after) = rest.split_at(chunk_length(rest)?);
            rest = after;
            cx.record(&SplitRecord { record: "split", pieces, from, last: rest.is_empty() });
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes the board from the parts, gives it what the journal knew, and begins.
    pub(super) fn begin_units(&mut self, cx: &mut In<P, O, R>) {
        let units = match self.units() {
            Ok(units) => units,
            Err(why) => return self.stop_early(FailureKind::Split { why }, cx),
        };
        self.board = Board::new(units, self.lanes.len());
        for restored in std::mem::take(&mut self.restored) {
            if let Err(why) = self.restore(restored) {
                return self.stop_early(FailureKind::Reduce { why }, cx);
            }
        }
        let fallen = self.restore_falls();
        self.board.forget_final();
        self.tally.units = self.board.len();
        self.tally.resumed = self.board.done;
        self.phase = Phase::Running;
        self.enter(SpanPhase::Execute);
        let (units, done) = (self.board.len(), self.board.done);
        self.publish(EventKind::TaskCreated, cx, || json!({ "units": units, "done": done }));
        self.demand_lanes(cx);
        for unit in fallen {
            self.retry(unit, cx);
        }
        self.go_on(cx);
    }

    /// Every unit as (part, branch, lane), in the order of the split; the same at each resume.
    pub(super) fn units(&mut self) -> Result<Vec<(u32, u32, u32)>, String> {
        let mut units = Vec::with_capacity(self.pieces.len());
        let (mut lanes, mut takers) = (Lanes::default(), Vec::new());
        for (piece, part) in self.pieces.iter().zip(0_u32..) {
            takers.clear();
            for (branch, id) in self.falls.own(&self.branches).zip(0..) {
                if takes(branch, piece)? {
                    takers.push(id);
                }
            }
            match self.options.assignment {
                Assignment::AllOf => {
                    for branch in &takers {
                        let taker = std::slice::from_ref(branch);
                        units.push((
                            part,
                            *branch,
                            lanes.find(taker, &[], |to| self.agent_keys(to)),
                        ));
                    }
                }
                Assignment::AnyOf(_) => {
                    let Some(first) = takers.first() else {
                        return Err(format!("no agent takes {}", self.piece_name(part)));
                    };
                    let lane = lanes.find(&takers, &piece.needs, |to| self.agent_keys(to));
                    units.push((part, *first, lane));
                }
            }
        }
        for branch in self.falls.heirs(self.branches.len()) {
            let lane = lanes.find(&[branch], &[], |to| self.agent_keys(to));
            self.falls.add_lane(lane);
        }
        self.lanes = lanes.needs;
        if units.len() > UNITS_MAX {
            return Err(format!(
                "{} pieces of work are more than {UNITS_MAX}; make larger parts",
                units.len()
            ));
        }
        Ok(units)
    }

    pub(super) fn restore(&mut self, restored: Restored<O>) -> Result<(), String> {
        match restored {
            Restored::Done { unit, agent, output } => {
                if self.board.restore_done(UnitId(unit)) {
                    self.tally.fallbacks += u64::from(self.falls.has_fallen(UnitId(unit)));
                    return self.keep(UnitId(unit), agent as usize, output);
                }
            }
            // A run that fails with its first failed part is taken up again to try that part again.
            Restored::Failed { unit, .. }
                if self.options.on_partial_failure == OnPartialFailure::Fail =>
            {
                self.falls.forget(UnitId(unit));
            }
            Restored::FellBack { unit, agent, to, attempts, error } => {
                self.restore_fall(UnitId(unit), (agent, to), attempts, &error);
            }
            Restored::Failed { unit, agent, attempts, error } => {
                if self.board.restore_failed(UnitId(unit), agent, attempts) {
                    self.note_failure(UnitId(unit), attempts, &error);
                }
            }
        }
        Ok(())
    }
}

/// The record of some parts, without a copy of them.
#[derive(serde::Serialize)]
struct SplitRecord<'a, P> {
    record: &'static str,
    pieces: &'a [Piece<P>],
    from: u32,
    last: bool,
}

fn takes<P, O>(branch: &Branch<P, O>, piece: &Piece<P>) -> Result<bool, String> {
    branch.narrow.as_ref().map_or(Ok(true), |narrow| {
        guarded("a branch's `narrow`", || narrow(&piece.input).is_some())
    })
}

/// The different needs of units, in the order in which they came up.
#[derive(Default)]
struct Lanes {
    needs: Vec<Need>,
    at: HashMap<Need, u32>,
    /// The branches and capabilities of the unit before: mostly the next one's too.
    latest: Option<(Vec<u32>, Vec<String>, u32)>,
}

impl Lanes {
    fn find(
        &mut self,
        takers: &[u32],
        capabilities: &[String],
        keys: impl FnOnce(&[u32]) -> Vec<AgentKey>,
    ) -> u32 {
        if let Some((same, with, lane)) = &self.latest
            && (same.as_slice(), with.as_slice()) == (takers, capabilities)
        {
            return *lane;
        }
        let need = Need { agents: keys(takers), capabilities: capabilities.to_vec() };
        let next = u32::try_from(self.needs.len()).unwrap_or(u32::MAX);
        let lane = *self.at.entry(need).or_insert_with_key(|need| {
            self.needs.push(need.clone());
            next
        });
        self.latest = Some((takers.to_vec(), capabilities.to_vec(), lane));
        lane
    }
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
        let size = runtime::record::size(piece)?;
        if size > DATUM_BYTES_MAX {
            return Err(format!(
                "the part `{}` takes {size} bytes, {DATUM_BYTES_MAX} are possible; make smaller parts, or name files instead of holding them",
                piece.name
            ));
        }
        bytes += size;
        if bytes > SPLIT_RECORD_BYTES {
            return Ok(at.max(1));
        }
    }
    Ok(pieces.len())
}
