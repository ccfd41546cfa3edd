//! Splitting: the task into parts, the parts into units, the journal's knowledge into the board.

use super::*;

impl<P: Datum, O: Datum, R: Reduce<O>> Coordinator<P, O, R> {
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
            let (chunk, after) = rest.split_at(chunk_length(rest)?);
            rest = after;
            cx.record(&SplitRecord { record: "split", pieces: chunk, last: rest.is_empty() });
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
    pub(super) fn units(&mut self) -> Result<Vec<(u32, u32, u32)>, String> {
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

    pub(super) fn restore(&mut self, restored: Restored<O>) {
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

/// The record of some parts, without a copy of them.
#[derive(serde::Serialize)]
struct SplitRecord<'a, P> {
    record: &'static str,
    pieces: &'a [Piece<P>],
    last: bool,
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
