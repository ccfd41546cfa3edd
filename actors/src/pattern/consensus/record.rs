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
        /// The answer of an agent that it is, if it is one: not cast by the booth, and not refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Box<Answer>>,
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

/// How an agent came to the answer that a ballot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which agent: the voter's, or one that stands behind it.
    pub agent: String,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Which instance.
    pub slot: u32,
    /// When the attempt began, in Unix milliseconds.
    pub at: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// [`VoteRecord::Opened`] as a [record of the run](super::Record), without a copy of the opening.
#[derive(Serialize)]
pub(super) struct OpenedRecord<'a> {
    record: &'static str,
    vote: &'static str,
    opening: &'a Opening,
    within: Duration,
}

impl<'a> OpenedRecord<'a> {
    pub(super) fn new(opening: &'a Opening, within: Duration) -> Self {
        Self { record: "vote", vote: "opened", opening, within }
    }
}

/// [`VoteRecord::Cast`] as a [record of the run](super::Record), without a copy of the ballot.
#[derive(Serialize)]
pub(super) struct CastRecord<'a> {
    record: &'static str,
    vote: &'static str,
    ballot: &'a Ballot,
    at: Duration,
    weight: &'a Exact,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a BallotError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a AnswerRecord<'a>>,
}

/// [`Answer`], without a copy of the agent's name.
#[derive(Serialize)]
pub(super) struct AnswerRecord<'a> {
    pub(super) agent: &'a str,
    pub(super) attempt: u32,
    pub(super) slot: u32,
    pub(super) at: i64,
    pub(super) micros: u64,
}

impl<'a> CastRecord<'a> {
    pub(super) fn new(received: &'a Received, answer: Option<&'a AnswerRecord<'a>>) -> Self {
        let Received { ballot, at, weight, fate } = received;
        let refused = if let Fate::Refused(why) = fate { Some(why) } else { None };
        Self { record: "vote", vote: "cast", ballot, at: *at, weight, refused, answer }
    }
}

impl VoteRecord {
    /// The record of a ballot that came in, as [`Vote::cast`] gives it back.
    pub fn cast(received: Option<&Received>) -> Self {
        let Some(Received { ballot, at, weight, fate }) = received else { return Self::Dropped };
        let refused = if let Fate::Refused(why) = fate { Some(why.clone()) } else { None };
        let (ballot, weight) = (Box::new(ballot.clone()), weight.clone());
        Self::Cast { ballot, at: *at, weight, refused, answer: None }
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
            VoteRecord::Cast { ballot, at, weight, refused: None, .. } => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::consensus::{Choice, Electorate, Proposal, Record, Rules, Voter};

    fn opening() -> Opening {
        let proposal = Proposal::new("Does it go out?", ["ship", "hold"]);
        let electorate = Electorate::new(["ann", "bob"].map(Voter::new)).unwrap();
        Opening::new(proposal, electorate, Rules::default(), 7).unwrap()
    }

    fn read(record: &impl Serialize) -> Record {
        runtime::record::decode(&runtime::record::encode(record).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_without_a_copy_is_read_as_the_record_that_it_is() {
        let (opening, within) = (opening(), Duration::from_secs(60));
        let opened = VoteRecord::Opened { opening: Box::new(opening.clone()), within };
        assert_eq!(read(&OpenedRecord::new(&opening, within)), Record::Vote(opened));
        let mut vote = Vote::new(opening, within);
        let third = Exact::ratio(1, 3).unwrap();
        let ballot = Ballot { confidence: third, ..Ballot::new("ann", Choice::one("ship")) };
        for (ballot, at) in
            [(ballot.clone(), 1), (ballot, 90), (Ballot::new("eve", Choice::Abstain), 2)]
        {
            let received = vote.cast(ballot, Duration::from_secs(at)).unwrap();
            let record = Record::Vote(VoteRecord::cast(Some(received)));
            assert_eq!(read(&CastRecord::new(received, None)), record);
            assert_eq!(read(&record), record);
            let of = AnswerRecord { agent: "a", attempt: 2, slot: 3, at: -4, micros: 5 };
            let is = Answer { agent: "a".to_owned(), attempt: 2, slot: 3, at: -4, micros: 5 };
            let Record::Vote(VoteRecord::Cast { answer: Some(answer), .. }) =
                read(&CastRecord::new(received, Some(&of)))
            else {
                panic!("the answer is gone: {is:?}")
            };
            assert_eq!(*answer, is);
        }
    }

    #[test]
    fn records_of_a_ballot_and_its_answer_apart_are_read_as_ever() {
        let answered = serde_json::json!({
            "record": "answered", "voter": "ann", "round": 1, "agent": "a", "attempt": 1, "slot": 0, "at": 0, "micros": 9
        });
        assert!(matches!(read(&answered), Record::Answered { micros: 9, .. }));
        let cast = serde_json::json!({
            "record": "vote", "vote": "cast", "at": {"secs": 1, "nanos": 0}, "weight": "3",
            "ballot": {"voter": "ann", "epoch": 1, "sequence": 1, "choice": {"one": "ship"}, "confidence": "1"}
        });
        let Record::Vote(VoteRecord::Cast { ballot, weight, answer: None, .. }) = read(&cast)
        else {
            panic!("no ballot")
        };
        assert_eq!(*ballot, Ballot::new("ann", Choice::one("ship")));
        assert_eq!(weight, Exact::from(3_u32));
    }
}
