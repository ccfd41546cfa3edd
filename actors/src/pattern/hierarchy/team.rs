//! A team: who leads it, what its leader may decide alone, and who works in it.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Decision, DecisionLevel, Failure,
    link::{Errand, Link, links},
};
use crate::{
    agent::handle::Agent,
    limits::{TEAM_NAME_BYTES_MAX, TEAM_RESTART_PERIOD, TEAM_RESTARTS, TEAM_WORKERS_MAX},
    pattern::link::taken,
};

/// What a leader says for its team where no agent does. The defaults are what a leader without one says.
///
/// It is asked in a step of the leader's actor: it computes for a moment, and waits for nothing. One that panics says nothing.
pub trait Lead: Send + Sync + 'static {
    /// What the team bids for an assignment: the lowest bid has it. None, or what is no number from 0 up, takes no part.
    fn bid(&self, offer: &Offer<'_>) -> Option<f64> {
        Some(offer.load())
    }

    /// What is to be done about a failure; none leaves it to the supervisor, and so does what is above the leader's authority.
    fn decide(&self, failure: &Failure) -> Option<Decision> {
        if failure.may_retry {
            Some(Decision::Retry)
        } else if failure.others > 0 {
            Some(Decision::REASSIGN)
        } else {
            None
        }
    }
}

/// The leader that follows the plan: a task that failed is tried again, then given to another worker, then to the supervisor.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByTheBook;

impl Lead for ByTheBook {}

/// An assignment that teams bid for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Offer<'a> {
    /// The team that is asked.
    pub team: &'a str,
    /// The assignment.
    pub assignment: &'a str,
    /// How many tasks it has.
    pub tasks: u64,
    /// Tasks that the team has and that are not done.
    pub open: u64,
    /// The team's workers.
    pub workers: u64,
}

impl Offer<'_> {
    /// The team's open tasks a worker.
    #[expect(clippy::cast_precision_loss, reason = "far fewer tasks than 2^53")]
    pub fn load(&self) -> f64 {
        self.open as f64 / self.workers.max(1) as f64
    }
}

/// One of a team, with the agent that it works by and those behind that.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) links: Arc<[Arc<dyn Link>]>,
}

/// A team before the run starts.
#[derive(Clone)]
#[must_use = "a team works where a hierarchy has it"]
pub struct Team {
    pub(super) name: Arc<str>,
    pub(super) specialisation: Arc<str>,
    pub(super) workers: Vec<Member>,
    pub(super) lead: Arc<dyn Lead>,
    pub(super) led_by: Option<Member>,
    pub(super) authority: DecisionLevel,
    pub(super) restarts: (u32, Duration),
}

impl Team {
    /// A team without workers, whose leader follows the plan and may have tasks done again and by other workers of the team.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            specialisation: "".into(),
            workers: Vec::new(),
            lead: Arc::new(ByTheBook),
            led_by: None,
            authority: DecisionLevel::Reassign,
            restarts: (TEAM_RESTARTS, TEAM_RESTART_PERIOD),
        }
    }

    /// Says what it is good at.
    pub fn specialisation(mut self, name: impl Into<Arc<str>>) -> Self {
        self.specialisation = name.into();
        self
    }

    /// Adds so many workers that work by `agent`: each gives it the input of one task at a time.
    ///
    /// They are called as the agent and their number in the team. The agent's own fallbacks stand behind it.
    pub fn workers<I, O>(self, count: usize, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.workers_with(count, agent, |errand| taken(errand.input))
    }

    /// As [`workers`](Self::workers), for an agent that gets what `take` makes of a task, and of what came before it.
    pub fn workers_with<I, O>(
        mut self,
        count: usize,
        agent: &Agent<I, O>,
        take: impl Fn(&Errand<'_>) -> Result<I, String> + Send + Sync + 'static,
    ) -> Self
    where
        I: Send + 'static,
        O: Serialize + Send + 'static,
    {
        let links = links(agent, take);
        for _ in 0..count.min(TEAM_WORKERS_MAX + 1) {
            let name = format!("{}-{}", agent.name(), self.workers.len() + 1).into();
            self.workers.push(Member { name, links: Arc::clone(&links) });
        }
        self
    }

    /// Has `lead` speak for the team.
    pub fn leader(mut self, lead: impl Lead) -> Self {
        self.lead = Arc::new(lead);
        self
    }

    /// Has an agent lead the team: it is asked what the team bids, what is to be done about a failure, and to do assignments that
    /// have no tasks.
    ///
    /// It gets JSON: `{"act": "bid", "offer": ..}`, to which it says a number, or null to take no part; `{"act": "decide", "failure": ..}`,
    /// to which it says a [`Decision`], or null to leave it to the supervisor; and `{"act": "lead", "assignment": name, "input": .., "before": ..}`.
    pub fn led_by<I, O>(mut self, agent: &Agent<I, O>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        let links = links(agent, |errand| taken(errand.input));
        self.led_by = Some(Member { name: LEADER.into(), links });
        self
    }

    /// Says what its leader may decide alone; to reassign, by default.
    pub fn authority(mut self, level: DecisionLevel) -> Self {
        self.authority = level;
        self
    }

    /// Lets its workers be started again so often within `period`, all together; then the leader decides. Three times within a
    /// minute by default.
    pub fn restarts(mut self, restarts: u32, period: Duration) -> Self {
        self.restarts = (restarts, period);
        self
    }

    /// The name of a worker.
    pub(super) fn worker(&self, worker: u32) -> &str {
        match self.workers.get(worker as usize) {
            Some(worker) => &worker.name,
            None => LEADER,
        }
    }

    /// Whether it can do an assignment: one without tasks, which its leader's own agent does, or one with.
    pub(super) fn can(&self, by_leader: bool) -> bool {
        if by_leader { self.led_by.is_some() } else { !self.workers.is_empty() }
    }

    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<String> {
        let (name, mut problems) = (&self.name, Vec::new());
        if name.is_empty() || name.contains('/') || name.len() > TEAM_NAME_BYTES_MAX {
            problems.push(format!(
                "`{name}` is no name of a team; give it 1 to {TEAM_NAME_BYTES_MAX} bytes without `/`"
            ));
        }
        if self.workers.len() > TEAM_WORKERS_MAX {
            problems.push(format!(
                "team `{name}` has more than {TEAM_WORKERS_MAX} workers; make several teams of it"
            ));
        }
        if self.workers.is_empty() && self.led_by.is_none() {
            problems.push(format!(
                "team `{name}` has neither workers nor a leader with an agent; give it one of them"
            ));
        }
        problems
    }
}

/// What the actor is called by which a leader's agent is asked.
pub(super) const LEADER: &str = "leader";

impl fmt::Debug for Team {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, workers) = (&self.name, self.workers.len());
        write!(out, "Team({name}, {workers} workers, may {})", self.authority)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Member({})", self.name)
    }
}
