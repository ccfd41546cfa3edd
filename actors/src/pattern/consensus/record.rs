//! What is recorded of a vote, and the vote made anew from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Ballot, BallotError, Closed, ClosedBy, Decision, Exact, Fate, Opening, Received, Vote,
    outcome::not_negative,
};

/// What is known of a vote, in order: enough to make its decision anew. Names are part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "vote", rename_all = "snake_case")]
pub enum VoteRecord {
    /// It was opened.
    Opened {
        /// On what, by whom, how.
        opening: Box<Opening>,
        /// The time that each round has.
        within: Duration,
    },
    /// A ballot came in.
    Cast {
        /// What it says.
        ballot: Box<Ballot>,
        /// When, since the opening.
        at: Duration,
        /// How much it weighs.
        weight: Exact,
        /// Why it was refused, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<BallotError>,
    },
    /// A ballot was refused and is not kept, since too many were.
    Dropped,
    /// A voter has ended.
    VoterEnded {
        /// Who.
        voter: String,
    },
    /// A round was closed.
    Closed {
        /// Why then.
        by: ClosedBy,
        /// When, since the opening.
        at: Duration,
    },
}

impl VoteRecord {
    /// The record of a ballot that came in, as [`Vote::cast`] gives it back.
    pub fn cast(received: Option<&Received>) -> Self {
        let Some(Received { ballot, at, weight, fate }) = received else { return Self::Dropped };
        let refused = if let Fate::Refused(why) = fate { Some(why.clone()) } else { None };
        Self::Cast { ballot: Box::new(ballot.clone()), at: *at, weight: weight.clone(), refused }
    }
}

impl Vote {
    /// Makes a vote anew from what was recorded of it, with its decision if it was made. Weights are those that were recorded.
    ///
    /// # Errors
    /// The records do not begin with an opening, or the opening is not valid.
    pub fn replay(
        records: impl IntoIterator<Item = VoteRecord>,
    ) -> Result<(Self, Option<Box<Decision>>), String> {
        let mut records = records.into_iter();
        let Some(VoteRecord::Opened { opening, within }) = records.next() else {
            return Err("the records of a vote begin with its opening".to_owned());
        };
        let mut vote = Self::reopen(*opening, within)?;
        let mut decision = None;
        for record in records {
            if let Some(decided) = vote.redo(record)? {
                decision = Some(decided);
            }
        }
        Ok((vote, decision))
    }

    /// Does again what a record tells.
    ///
    /// # Errors
    /// The vote was opened before.
    pub fn redo(&mut self, record: VoteRecord) -> Result<Option<Box<Decision>>, String> {
        match record {
            VoteRecord::Opened { .. } => return Err("a vote is opened once".to_owned()),
            VoteRecord::Cast { ballot, at, refused: Some(why), .. } => {
                self.open.refuse(*ballot, at, why);
            }
            VoteRecord::Cast { ballot, at, weight, refused: None } => {
                self.take(*ballot, at, |ballot, _| not_negative(ballot, weight));
            }
            VoteRecord::Dropped => self.open.dropped += 1,
            VoteRecord::VoterEnded { voter } => self.voter_ended(&voter),
            VoteRecord::Closed { by, at } => {
                if let Closed::Decided(decision) = self.close(by, at) {
                    return Ok(Some(decision));
                }
            }
        }
        Ok(None)
    }
}
