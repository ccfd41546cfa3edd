//! The ballot box of one round: every ballot that came in, and what became of it.
//!
//! Kept by [`Vote`](super::Vote).
//!
//! # Invariants
//! - At most one ballot of each voter counts.
//! - What came after the close changes nothing of what came before.
//! - Where ballots may be revised, the order in which they came in makes no difference; where they are final, only the order of one
//!   voter's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ballot, BallotError, Exact, Opening, Stance};
use crate::limits::{BALLOTS_PER_VOTER_MAX, REFUSED_KEPT_MAX};

/// A ballot that came in, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// What it says.
    pub ballot: Ballot,
    /// When it came in, since the vote was opened.
    pub at: Duration,
    /// How much it weighs.
    pub weight: Exact,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It is its voter's say.
    Counted,
    /// A ballot of a higher sequence took its place.
    Replaced {
        /// Its sequence.
        by: u64,
    },
    /// Its voter had cast its ballot, and ballots are final.
    Final,
    /// The same ballot came in before.
    Duplicate,
    /// A different ballot came under the same sequence: neither counts.
    Equivocation,
    /// It came after the close.
    Late,
    /// It is not valid.
    Refused(BallotError),
}

/// All ballots of one round.
#[derive(Clone, Debug, Default)]
pub(super) struct BallotBox {
    round: u32,
    received: Vec<Received>,
    /// By the number of the voter.
    seats: Vec<Seat>,
    /// Refused ballots that are kept, and those that are only counted.
    refused: usize,
    pub(super) dropped: u64,
}

#[derive(Clone, Debug, Default)]
struct Seat {
    /// Its valid ballots in time, as they came in, with what they are for.
    cast: Vec<(usize, Stance)>,
    counted: Option<usize>,
    ended: bool,
}

/// A ballot that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    pub(super) received: &'a Received,
    pub(super) stance: &'a Stance,
}

impl BallotBox {
    pub(super) fn new(round: u32, voters: usize) -> Self {
        Self { round, seats: vec![Seat::default(); voters], ..Self::default() }
    }

    pub(super) fn round(&self) -> u32 {
        self.round
    }

    pub(super) fn received(&self) -> &[Received] {
        &self.received
    }

    /// Takes a ballot in; `weigh` is asked only for a valid one. `None` if it is one of too many refused ones and only counted.
    pub(super) fn receive(
        &mut self,
        opening: &Opening,
        ballot: Ballot,
        (at, is_late): (Duration, bool),
        weigh: impl FnOnce(&Ballot, usize) -> Result<Exact, BallotError>,
    ) -> Option<&Received> {
        let checked = self.check(opening, &ballot, is_late);
        let weighed = checked.and_then(|(voter, stance)| {
            weigh(&ballot, voter).map(|weight| (voter, stance, weight))
        });
        let index = self.received.len();
        match weighed {
            Ok((voter, stance, weight)) => {
                let fate = if is_late { Fate::Late } else { Fate::Counted };
                self.received.push(Received { ballot, at, weight, fate });
                if let Some(seat) = self.seats.get_mut(voter).filter(|_| !is_late) {
                    seat.cast.push((index, stance));
                    seat.settle(&mut self.received, opening.rules.revisable);
                }
            }
            Err(why) => self.refuse(ballot, at, why),
        }
        self.received.get(index)
    }

    /// Keeps a refused ballot, as long as there are not too many.
    pub(super) fn refuse(&mut self, ballot: Ballot, at: Duration, why: BallotError) {
        if self.refused >= REFUSED_KEPT_MAX {
            self.dropped += 1;
            return;
        }
        self.refused += 1;
        let ballot = if why == BallotError::TooLarge { ballot.clipped() } else { ballot };
        self.received.push(Received { ballot, at, weight: Exact::ZERO, fate: Fate::Refused(why) });
    }

    fn check(
        &self,
        opening: &Opening,
        ballot: &Ballot,
        is_late: bool,
    ) -> Result<(usize, Stance), BallotError> {
        let (voter, stance) = ballot.check(opening, self.round)?;
        let cast = self.received.iter().filter(|other| other.ballot.voter == ballot.voter);
        let full = is_late && cast.count() >= BALLOTS_PER_VOTER_MAX
            || self.seats.get(voter).is_some_and(|seat| seat.cast.len() >= BALLOTS_PER_VOTER_MAX);
        if full {
            return Err(BallotError::TooMany { voter: ballot.voter.clone() });
        }
        Ok((voter, stance))
    }

    /// Notes that a voter has ended: it stays in the electorate, and what it cast counts.
    pub(super) fn ended(&mut self, voter: usize) {
        if let Some(seat) = self.seats.get_mut(voter) {
            seat.ended = true;
        }
    }

    /// The ballots that count, by ascending voter.
    pub(super) fn counted(&self) -> impl Iterator<Item = Counted<'_>> {
        self.seats.iter().filter_map(|seat| {
            let counted = seat.counted?;
            let (_, stance) = seat.cast.iter().find(|(index, _)| *index == counted)?;
            Some(Counted { received: self.received.get(counted)?, stance })
        })
    }

    /// The ballot that counts of a voter.
    pub(super) fn counted_of(&self, voter: usize) -> Option<&Received> {
        self.received.get(self.seats.get(voter)?.counted?)
    }

    /// Whether a voter's say is still to come, where ballots are final.
    pub(super) fn awaits(&self, voter: usize) -> bool {
        self.seats.get(voter).is_some_and(Seat::awaits)
    }

    /// Voters whose say is still to come, where ballots are final.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = usize> {
        let seats = self.seats.iter().enumerate();
        seats.filter(|(_, seat)| seat.awaits()).map(|(voter, _)| voter)
    }
}

impl Seat {
    fn awaits(&self) -> bool {
        self.cast.is_empty() && !self.ended
    }

    /// Says anew what becomes of each of a voter's ballots.
    fn settle(&mut self, all: &mut [Received], revisable: bool) {
        if let [(index, _)] = self.cast.as_slice() {
            self.counted = Some(*index);
            return;
        }
        let own: Vec<usize> = self.cast.iter().map(|(index, _)| *index).collect();
        let ballots: Vec<&Ballot> =
            own.iter().filter_map(|index| all.get(*index)).map(|own| &own.ballot).collect();
        let (counted, fates) = fates(&ballots, revisable);
        self.counted = counted.and_then(|at| own.get(at).copied());
        for (index, fate) in own.into_iter().zip(fates) {
            if let Some(received) = all.get_mut(index) {
                received.fate = fate;
            }
        }
    }
}

/// Which of one voter's valid ballots counts, in the order in which they came in, and what becomes of each.
fn fates(ballots: &[&Ballot], revisable: bool) -> (Option<usize>, Vec<Fate>) {
    let mut fates = vec![Fate::Counted; ballots.len()];
    for (at, ballot) in ballots.iter().enumerate() {
        let before = ballots.iter().take(at).filter(|other| other.sequence == ballot.sequence);
        let same = |other: &&&Ballot| other.sequence == ballot.sequence;
        let void = ballots.iter().filter(same).any(|other| other != ballot);
        let again = before.clone().any(|other| other == ballot);
        if let Some(fate) = fates.get_mut(at) {
            *fate = match (again, void) {
                (true, _) => Fate::Duplicate,
                (false, true) => Fate::Equivocation,
                (false, false) => Fate::Counted,
            };
        }
    }
    // A final ballot is the first that came in, void or not; of ballots that may be revised the last that is not void.
    let first = ballots.first().map(|ballot| ballot.sequence);
    let valid = || fates.iter().zip(ballots).filter(|(fate, _)| **fate == Fate::Counted);
    let kept = match revisable {
        true => valid().map(|(_, ballot)| ballot.sequence).max(),
        false => first,
    };
    let is_kept = |sequence: u64| Some(sequence) == kept;
    let mut counted = None;
    for (at, (fate, ballot)) in fates.iter_mut().zip(ballots).enumerate() {
        if is_kept(ballot.sequence) {
            if *fate == Fate::Counted {
                counted = Some(at);
            }
        } else if !revisable {
            *fate = Fate::Final;
        } else if *fate == Fate::Counted {
            *fate = Fate::Replaced { by: kept.unwrap_or(ballot.sequence) };
        }
    }
    (counted, fates)
}
