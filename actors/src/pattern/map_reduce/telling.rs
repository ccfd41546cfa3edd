//! What map_reduce counts.

use std::time::Duration;

use runtime::telemetry::metrics::{
    ATTEMPT_SECONDS, ATTEMPTS, COMMUNICATION, Counter, Gauge, Histogram, IN_FLIGHT, Metrics, TASKS,
    band,
};

use crate::{agent::call::AgentError, pattern::FailureKind};

/// The counters of one node's map_reduce runs, looked up once.
#[derive(Debug)]
pub(crate) struct Counters {
    metrics: Metrics,
    in_flight: Gauge,
    seconds: Histogram,
    /// From the handing out of work to its begin at the slot.
    pub(crate) latency: Histogram,
    done: Counter,
    late: Counter,
    failed: Counter,
    panicked: Counter,
    timed_out: Counter,
    cancelled: Counter,
    lost: Counter,
    garbage: Counter,
    held: Counter,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let attempts =
            |outcome| metrics.counter(ATTEMPTS, &[("pattern", "map_reduce"), ("outcome", outcome)]);
        Self {
            in_flight: metrics.gauge(IN_FLIGHT, &[("pattern", "map_reduce")]),
            seconds: metrics.histogram(ATTEMPT_SECONDS, &[("pattern", "map_reduce")]),
            latency: metrics.histogram(
                COMMUNICATION,
                &[
                    ("source", "coordinator"),
                    ("destination", "agent"),
                    ("message_type", "task_assignment"),
                ],
            ),
            done: attempts("done"),
            late: attempts("late"),
            failed: attempts("failed"),
            panicked: attempts("panicked"),
            timed_out: attempts("timed_out"),
            cancelled: attempts("cancelled"),
            lost: attempts("lost"),
            garbage: attempts("garbage"),
            held: attempts("held"),
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
            | AgentError::NotFound { .. } => &self.failed,
            AgentError::Held { .. } => &self.held,
            AgentError::Panicked { .. } => &self.panicked,
            AgentError::TimedOut { .. } => &self.timed_out,
            AgentError::Cancelled => &self.cancelled,
            AgentError::Lost { .. } => &self.lost,
            AgentError::Garbage { .. } | AgentError::TooMuchOutput { .. } => &self.garbage,
        }
        .increment(1);
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
                FailureKind::Split { .. } | FailureKind::Parts { .. } | FailureKind::Reduce { .. },
            ) => "failed",
        };
        let labels = [("pattern", "map_reduce"), ("agents", band(agents)), ("status", status)];
        self.metrics.counter(TASKS, &labels).increment(1);
    }
}
