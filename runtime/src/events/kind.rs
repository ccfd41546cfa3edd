//! The types of events that Synod itself publishes.

use std::fmt;

use protocol::event;

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $word:expr,)+) => {
        /// The types of events that Synod itself publishes: a closed set, fit for metric labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[$doc])* $name,)+ }

        impl EventKind {
            /// Every type.
            pub const EVERY: &'static [Self] = &[$(Self::$name,)+];

            /// Gives the word that stands in events.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

event_kinds! {
    /// A run was accepted and begins.
    RunStarted = "run_started",
    /// A run ended, in whatever way.
    RunEnded = "run_ended",
    /// A run was split and this task came to be.
    TaskCreated = event::TASK_CREATED,
    /// An agent was picked for a task.
    TaskAssigned = event::TASK_ASSIGNED,
    /// A task ended with a result.
    TaskCompleted = event::TASK_COMPLETED,
    /// A task ended without a result.
    TaskFailed = "task_failed",
    /// A task is tried again.
    TaskRetried = "task_retried",
    /// An assignment of a hierarchy was given to a team.
    Delegated = "delegated",
    /// A leader, a supervisor or a monitor decided on what failed.
    Intervened = "intervened",
    /// An agent crashed and was started again.
    AgentRestarted = "agent_restarted",
    /// An agent that declares a heartbeat showed no sign of life any more and was ended.
    AgentSilent = "agent_silent",
    /// An optional agent is not there, so its tasks are left out.
    AgentSkipped = "agent_skipped",
    /// The node was stopped in an emergency.
    EmergencyStop = "emergency_stop",
    /// A document of shared state changed.
    StateChanged = event::STATE_CHANGED,
    /// Somebody asks for synchronisation at once.
    SyncRequested = event::SYNC_REQUESTED,
    /// A vote was opened.
    VoteRequested = event::VOTE_REQUESTED,
    /// A vote ended with a decision.
    ConsensusReached = event::CONSENSUS_REACHED,
    /// A task or run came further.
    ProgressUpdate = event::PROGRESS_UPDATE,
    /// A task or run reached a named point.
    MilestoneReached = event::MILESTONE_REACHED,
}

impl EventKind {
    /// Reads the word of an event; `None` for a word of the user's own.
    pub fn of(word: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.as_str().to_owned()
    }
}
