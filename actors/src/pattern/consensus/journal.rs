//! What a consensus writes to its run's journal: what a resume needs, and what people want to know of it.

use runtime::{
    budget::Cost,
    engine::journal::{Journal, records},
};
use serde::{Deserialize, Serialize};

use super::{Decision, Vote, VoteRecord};
use crate::{agent::call::AgentError, pattern::Ended};

/// One record. Names are part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The run was accepted.
    Began {
        /// Unix milliseconds.
        at: i64,
        /// Which pattern.
        pattern: String,
        /// The run's name.
        name: String,
        /// The agent of each voter, by ascending id of the voter.
        agents: Vec<String>,
    },
    /// Something that the decision rests on.
    Vote(VoteRecord),
    /// An agent has answered with a ballot that is refused, and follows; one that is taken has [its answer](super::Answer) with it.
    Answered {
        /// For whom.
        voter: String,
        /// In which round.
        round: u32,
        /// Which agent: the voter's, or one that stands behind it.
        agent: String,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// Which instance.
        slot: u32,
        /// When the attempt began, in Unix milliseconds.
        at: i64,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// A voter's last agent has failed for good: the voter has ended.
    Failed {
        /// Who.
        voter: String,
        /// In which round.
        round: u32,
        /// The last of its agents.
        agent: String,
        /// The attempts that were made.
        attempts: u32,
        /// When that was, in Unix milliseconds.
        at: i64,
        /// What the last of them ended with.
        error: AgentError,
    },
    /// A voter's agent has failed for good, and the next one is asked for it.
    FellBack {
        /// For whom.
        voter: String,
        /// In which round.
        round: u32,
        /// Which agent failed.
        agent: String,
        /// Which one is asked now.
        to: String,
        /// The attempts that were made so far.
        attempts: u32,
        /// When that was, in Unix milliseconds.
        at: i64,
        /// How it failed.
        error: AgentError,
    },
    /// What the run has spent of its budget so far.
    Spent(Cost),
    /// The run ended.
    Ended(Ended),
}

/// Makes a vote anew from the journal of its run, with its decision if it was made: what an audit compares.
///
/// # Errors
/// The journal cannot be read, or is not that of a vote.
pub fn recount(journal: &dyn Journal, run: protocol::RunId) -> Result<Recounted, String> {
    let mut votes = Vec::new();
    for record in records(journal, run) {
        let record = record.map_err(|error| error.to_string())?;
        if let Record::Vote(record) = runtime::record::decode::<Record>(&record)? {
            votes.push(record);
        }
    }
    Vote::replay(votes)
}

/// A vote made anew, and the decision that it came to, if it did.
pub type Recounted = (Vote, Option<Box<Decision>>);
