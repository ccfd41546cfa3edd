//! What the runs of one pattern count on one node.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;

use runtime::telemetry::metrics::{
    ATTEMPT_SECONDS, ATTEMPTS, COMMUNICATION, CONSENSUS, Counter, Gauge, Histogram, IN_FLIGHT,
    Metrics, TASKS, band,
};

use super::{FailureKind, PatternKind};
use crate::{agent::call::AgentError, limits::TOPICS_MAX};

/// The label of all topics beyond those that are told apart.
const TOPIC_OTHER: &str = "other";

/// The counters of one node's runs of one pattern, looked up once.
#[derive(Debug)]
pub(crate) struct Counters {
    metrics: Metrics,
    pattern: &'static str,
    in_flight: Gauge,
    seconds: Histogram,
    done: Counter,
    late: Counter,
    failed: Counter,
    panicked: Counter,
    timed_out: Counter,
    cancelled: Counter,
    lost: Counter,
    garbage: Counter,
    held: Counter,
    /// How long consensus took, by topic and band of voters.
    topics: Mutex<BTreeMap<(String, &'static str), Histogram>>,
}

/// How long work takes from its handing out to its begin at the slot.
pub(crate) fn assignment_latency(metrics: &Metrics) -> Histogram {
    let labels =
        [("source", "coordinator"), ("destination", "agent"), ("message_type", "task_assignment")];
    metrics.histogram(COMMUNICATION, &labels)
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics, pattern: PatternKind) -> Self {
        let pattern = pattern.as_str();
        let attempts =
            |outcome| metrics.counter(ATTEMPTS, &[("pattern", pattern), ("outcome", outcome)]);
        Self {
            pattern,
            in_flight: metrics.gauge(IN_FLIGHT, &[("pattern", pattern)]),
            seconds: metrics.histogram(ATTEMPT_SECONDS, &[("pattern", pattern)]),
            done: attempts("done"),
            late: attempts("late"),
            failed: attempts("failed"),
            panicked: attempts("panicked"),
            timed_out: attempts("timed_out"),
            cancelled: attempts("cancelled"),
            lost: attempts("lost"),
            garbage: attempts("garbage"),
            held: attempts("held"),
            topics: Mutex::default(),
            metrics: metrics.clone(),
        }
    }

    pub(crate) fn begun(&self) {
        self.in_flight.increment(1.0);
    }

    pub(crate) fn done(&self, took: Duration) {
        self.in_flight.decrement(1.0);
        self.done.increment(1);
        self.seconds.record(took.as_secs_f64());
    }

    /// Attempts that nobody will hear of any more.
    pub(crate) fn abandoned(&self, attempts: usize) {
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        self.in_flight.decrement(f64::from(attempts));
    }

    pub(crate) fn late(&self) {
        self.in_flight.decrement(1.0);
        self.late.increment(1);
    }

    pub(crate) fn failed(&self, error: &AgentError) {
        self.in_flight.decrement(1.0);
        match error {
            AgentError::Failed { .. }
            | AgentError::Busy { .. }
            | AgentError::Refused { .. }
            | AgentError::NotFound { .. }
            | AgentError::NotExecutable { .. } => &self.failed,
            AgentError::Held { .. } => &self.held,
            AgentError::Panicked { .. } => &self.panicked,
            AgentError::TimedOut { .. } => &self.timed_out,
            AgentError::Cancelled => &self.cancelled,
            AgentError::Lost { .. } => &self.lost,
            AgentError::Garbage { .. } | AgentError::TooMuchOutput { .. } => &self.garbage,
        }
        .increment(1);
    }

    /// Notes how long it took to reach consensus on a topic; beyond so many topics all others are one.
    pub(crate) fn consensus(&self, topic: &str, voters: usize, took: Duration) {
        let voters = band(voters);
        let mut topics = self.topics.lock();
        let is_known = topics.keys().any(|(known, _)| known == topic);
        let different = topics.keys().map(|(known, _)| known).collect::<BTreeSet<_>>().len();
        let topic = if is_known || different < TOPICS_MAX { topic } else { TOPIC_OTHER };
        let histogram = topics.entry((topic.to_owned(), voters)).or_insert_with(|| {
            self.metrics.histogram_of(CONSENSUS, &[("topic", topic), ("participants", voters)])
        });
        histogram.record(took.as_secs_f64());
    }

    pub(crate) fn ended(&self, failure: Option<&FailureKind>, agents: usize) {
        let status = match failure {
            None => "completed",
            Some(FailureKind::Rejected { .. }) => "rejected",
            Some(FailureKind::TimedOut { .. }) => "timed_out",
            Some(FailureKind::Cancelled { .. }) => "cancelled",
            Some(FailureKind::NodeLost { .. }) => "node_lost",
            Some(FailureKind::OverBudget { .. }) => "over_budget",
            Some(
                FailureKind::Invalid { .. }
                | FailureKind::Split { .. }
                | FailureKind::Parts { .. }
                | FailureKind::Reduce { .. }
                | FailureKind::NoAnswer { .. }
                | FailureKind::Aborted { .. },
            ) => "failed",
        };
        let labels = [("pattern", self.pattern), ("agents", band(agents)), ("status", status)];
        self.metrics.counter(TASKS, &labels).increment(1);
    }
}
