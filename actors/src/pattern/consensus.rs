//! consensus: a proposal goes to voters, their ballots come to a decision.
//!
//! [`consensus`] describes a run; [`AgentSystem::run`](crate::system::AgentSystem::run) starts its coordinator, which asks the agents of
//! the voters, takes their ballots down in the run's journal, and closes each round in time.
//!
//! The other values here are pure: [`Opening`] fixes proposal, electorate and rules; a [`Vote`] takes ballots in and says when it may
//! close; a [`Decision`] says what it came to and why. Time and dice are arguments, all arithmetic is [`Exact`].
//!
//! # Invariants
//! - Every ballot that came in is in the decision, with what became of it.
//! - A decision made anew from the records of its vote is the same.
//! - A tie that was broken is never called consensus.
//! - A ballot is in the journal before its voter's place is given away, before it is reported and before the round closes; a run that
//!   is taken up again asks nobody whose ballot is there.

mod ballot;
mod ballot_box;
mod coordinator;
mod count;
mod decision;
mod journal;
mod judge;
mod number;
mod opening;
mod outcome;
mod plan;
mod proposal;
mod reading;
mod record;
mod request;
mod rules;
mod tie;
mod vote;

pub use ballot::{Ballot, BallotError, Choice, Evidence, Stance};
pub use ballot_box::{Fate, Received};
pub use count::{Count, Weighed, count};
pub use decision::{ClosedBy, Decision, Outcome, Participation, Reason, Round, Score, Tally};
pub use journal::{Record, Recounted, recount};
pub use number::{Exact, NumberError};
pub use opening::{Opening, OpeningError};
pub use plan::{Consensus, consensus};
pub use proposal::{Electorate, Proposal, Voter};
pub use record::{Answer, VoteRecord};
pub use request::{Booth, Opinion, Request};
pub use rules::{Method, Quorum, QuorumOf, Rules, TieBreaker, TieBreakerOn, Weighting};
pub use vote::{Closed, Vote, Weigh};

#[cfg(test)]
mod tests;
