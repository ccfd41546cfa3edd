//! What a slot is told, and the work that it is given.

use std::fmt;

use protocol::TaskId;
use runtime::{ask::Reply, budget::Budget, clock::Moment, work::TaskError};

use super::super::{
    below::Origin,
    call::{AgentError, ProgressSink},
};
use crate::roster::LeaseId;

/// One piece of work for one instance of an agent.
pub struct Work<I> {
    /// The place that was reserved for it; none for a direct call.
    pub lease: Option<LeaseId>,
    /// The task that it is part of.
    pub task: TaskId,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// When it was sent.
    pub sent: Moment,
    /// What the agent gets.
    pub input: I,
    /// Where the agent's progress goes.
    pub progress: ProgressSink,
    /// What the agent may use.
    pub budget: Option<Budget>,
    /// The run that it is of, for runs below it.
    pub origin: Option<Origin>,
}

/// Where what an agent answers goes.
pub(super) type To<O> = Reply<Result<O, AgentError>>;

/// What a slot is told.
pub enum Msg<I, O> {
    /// Work under a lease; boxed, since it is handed on often.
    Work(Box<Work<I>>, To<O>),
    /// The work under this lease is not wanted any more.
    Cancel(LeaseId),
    /// As [`Cancel`](Self::Cancel), because its time is up: the agent has failed at it.
    TimedOut(LeaseId),
    /// A direct call.
    Call(I, To<O>),
    /// Direct calls may have been given up.
    Look,
    /// The agent is done with a call.
    Done(u64, Result<Result<O, AgentError>, TaskError>),
    /// The rate limit may let the next call through now.
    Turn,
    /// By now it can be told whether a call still shows signs of life.
    Listen(u64),
}

impl<I> fmt::Debug for Work<I> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Work({:?}, {}, attempt {})", self.lease, self.task, self.attempt)
    }
}

impl<I, O> fmt::Debug for Msg<I, O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(work, _) => work.fmt(out),
            Self::Cancel(lease) => write!(out, "Cancel({lease:?})"),
            Self::TimedOut(lease) => write!(out, "TimedOut({lease:?})"),
            Self::Turn => out.write_str("Turn"),
            Self::Call(..) => out.write_str("Call"),
            Self::Look => out.write_str("Look"),
            Self::Done(call, _) => write!(out, "Done({call})"),
            Self::Listen(call) => write!(out, "Listen({call})"),
        }
    }
}
