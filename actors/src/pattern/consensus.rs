//! consensus: a proposal goes to voters, their ballots come to a decision.
//!
//! The values here are pure: [`Opening`] fixes proposal, electorate and rules; a [`Vote`] takes ballots in and says when it may
//! close; a [`Decision`] says what it came to and why. Time and dice are arguments, all arithmetic is [`Exact`].
//!
//! # Invariants
//! - Every ballot that came in is in the decision, with what became of it.
//! - A decision made anew from the records of its vote is the same.
//! - A tie that was broken is never called consensus.

mod ballot;
mod ballot_box;
mod count;
mod decision;
mod judge;
mod number;
mod opening;
mod outcome;
mod proposal;
mod record;
mod rules;
mod tie;
mod vote;

pub use ballot::{Ballot, BallotError, Choice, Evidence, Stance};
pub use ballot_box::{Fate, Received};
pub use count::{Count, Weighed, count};
pub use decision::{ClosedBy, Decision, Outcome, Participation, Reason, Round, Score, Tally};
pub use number::{Exact, NumberError};
pub use opening::{Opening, OpeningError};
pub use proposal::{Electorate, Proposal, Voter};
pub use record::VoteRecord;
pub use rules::{Method, Quorum, QuorumOf, Rules, TieBreaker, TieBreakerOn, Weighting};
pub use vote::{Closed, Vote, Weigh};

#[cfg(test)]
mod tests;
