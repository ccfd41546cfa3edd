//! Metrics: names, labels and the recorder of one node.
//!
//! A node brings its own recorder, so many nodes in one process do not mix. Label values come from closed sets; agents, runs and
//! tasks are never labels (the seed's sketch labelled by agent id, which grows without bound).

use std::{fmt, sync::Arc, time::Duration};

pub use metrics::{Counter, Gauge, Histogram};
use metrics::{Key, Label, Level, Metadata, NoopRecorder, Recorder, Unit};

/// Tasks ended, by pattern, band of agent count and status.
pub const TASKS: &str = "collaboration_tasks_total";
/// Seconds from a message's sending to its handling, by kind of sender, receiver and message.
pub const COMMUNICATION: &str = "agent_communication_latency_seconds";
/// Seconds until a consensus was reached, by topic and band of participants.
pub const CONSENSUS: &str = "consensus_achievement_seconds";
/// Messages that nobody took.
pub const DEAD_LETTERS: &str = "synod_dead_letters_total";
/// Incarnations that began after the first.
pub const RESTARTS: &str = "synod_restarts_total";
/// Ends of actors that took longer than their shutdown time.
pub const SHUTDOWN_OVERRUNS: &str = "synod_shutdown_overruns_total";
/// Seconds from a cancel to the end of the last whom it reached.
pub const CANCEL_SECONDS: &str = "synod_cancel_seconds";
/// Messages to an incarnation that has ended, dropped, by `kind`: answer, timer, notice, task, unserved.
pub const STALE: &str = "synod_stale_total";
/// Messages and children that a budget refused.
pub const BUDGET_REFUSALS: &str = "synod_budget_refusals_total";
/// Circuit breakers of agents that opened.
pub const BREAKERS_OPENED: &str = "synod_breakers_opened_total";
/// Calls and parts that went on to an agent's fallback, by `reason`: how the agent before it failed.
pub const FALLBACKS: &str = "synod_fallbacks_total";
/// Calls that were ended because their agent showed no sign of life any more.
pub const AGENTS_SILENT: &str = "synod_agents_silent_total";
/// Attempts at parts, by outcome.
pub const ATTEMPTS: &str = "synod_attempts_total";
/// Parts that are with an agent now.
pub const IN_FLIGHT: &str = "synod_parts_in_flight";
/// Seconds that an attempt at a part took, by outcome.
pub const ATTEMPT_SECONDS: &str = "synod_attempt_seconds";

/// The recorder of one node.
#[derive(Clone)]
pub struct Metrics(Arc<dyn Recorder + Send + Sync>);

impl Metrics {
    /// Metrics that go to `recorder`, described at once.
    pub fn new(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        let counters = [
            (TASKS, "Collaborative tasks ended"),
            (DEAD_LETTERS, "Messages that nobody took"),
            (RESTARTS, "Incarnations that began after the first"),
            (SHUTDOWN_OVERRUNS, "Ends of actors that took longer than their shutdown time"),
            (STALE, "Messages to an incarnation that has ended, dropped"),
            (BUDGET_REFUSALS, "Messages and children that a budget refused"),
            (BREAKERS_OPENED, "Circuit breakers of agents that opened"),
            (FALLBACKS, "Calls and parts that went on to an agent's fallback"),
            (
                AGENTS_SILENT,
                "Calls that were ended because their agent showed no sign of life any more",
            ),
            (ATTEMPTS, "Attempts at parts"),
        ];
        for (name, text) in counters {
            recorder.describe_counter(name.into(), Some(Unit::Count), text.into());
        }
        recorder.describe_gauge(
            IN_FLIGHT.into(),
            Some(Unit::Count),
            "Parts that are with an agent now".into(),
        );
        let histograms = [
            (COMMUNICATION, "Seconds from a message's sending to its handling"),
            (CONSENSUS, "Seconds until a consensus was reached"),
            (CANCEL_SECONDS, "Seconds from a cancel to the end of the last whom it reached"),
            (ATTEMPT_SECONDS, "Seconds that an attempt at a part took"),
        ];
        for (name, text) in histograms {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), text.into());
        }
        Self(recorder)
    }

    /// Metrics that nobody reads.
    pub fn unrecorded() -> Self {
        Self(Arc::new(NoopRecorder))
    }

    /// A counter; keep it, looking it up costs more than counting.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.0.register_counter(&key(name, labels), &METADATA)
    }

    /// A histogram with values of labels that are not known beforehand; whoever asks for it bounds how many there are.
    pub fn histogram_of(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        let label = |(key, value): &(&'static str, &str)| Label::new(*key, (*value).to_owned());
        let key = Key::from_parts(name, labels.iter().map(label).collect::<Vec<_>>());
        self.0.register_histogram(&key, &METADATA)
    }

    /// A gauge; keep it.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.0.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram; keep it.
    pub fn histogram(
        &self,
        name: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Histogram {
        self.0.register_histogram(&key(name, labels), &METADATA)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

/// A count as a label: a closed set of bands.
pub fn band(count: usize) -> &'static str {
    match count {
        0 => "0",
        1 => "1",
        2..=4 => "2-4",
        5..=16 => "5-16",
        17..=64 => "17-64",
        _ => "65+",
    }
}

static METADATA: Metadata<'static> = Metadata::new("synod", Level::INFO, Some(module_path!()));

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    Key::from_parts(
        name,
        labels.iter().map(|(key, value)| Label::from_static_parts(key, value)).collect::<Vec<_>>(),
    )
}

/// What a message was that came for an incarnation which had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The answer to an ask or a call.
    Answer,
    /// The message of a timer.
    Timer,
    /// A notice: of an end that was watched, of a child, of a failed subscription.
    Notice,
    /// The result of a task.
    Task,
    /// Any of them, or a message to itself, which came in time and was not handled before the end.
    Unserved,
}

impl Stale {
    const ALL: [Self; 5] = [Self::Answer, Self::Timer, Self::Notice, Self::Task, Self::Unserved];

    const fn label(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Timer => "timer",
            Self::Notice => "notice",
            Self::Task => "task",
            Self::Unserved => "unserved",
        }
    }
}

/// The counters of the kernel itself.
#[derive(Debug)]
pub(crate) struct KernelMetrics {
    pub(crate) all: Metrics,
    dead_letters: Counter,
    restarts: Counter,
    overruns: Counter,
    budget_refusals: Counter,
    stale: [Counter; Stale::ALL.len()],
    cancels: Histogram,
}

impl KernelMetrics {
    pub(crate) fn new(all: Metrics) -> Self {
        Self {
            dead_letters: all.counter(DEAD_LETTERS, &[]),
            restarts: all.counter(RESTARTS, &[]),
            overruns: all.counter(SHUTDOWN_OVERRUNS, &[]),
            budget_refusals: all.counter(BUDGET_REFUSALS, &[]),
            stale: Stale::ALL.map(|stale| all.counter(STALE, &[("kind", stale.label())])),
            cancels: all.histogram(CANCEL_SECONDS, &[]),
            all,
        }
    }

    pub(crate) fn unrecorded() -> Self {
        Self::new(Metrics::unrecorded())
    }

    pub(crate) fn dead_letters(&self, count: u64) {
        self.dead_letters.increment(count);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.increment(1);
    }

    /// Counts messages that an ended incarnation would have got.
    pub(crate) fn stale(&self, what: Stale, count: u64) {
        if let Some(counter) = self.stale.get(what as usize) {
            counter.increment(count);
        }
    }

    pub(crate) fn budget_refusal(&self) {
        self.budget_refusals.increment(1);
    }

    pub(crate) fn quiesced(&self, took: Duration) {
        self.cancels.record(took.as_secs_f64());
    }

    pub(crate) fn shutdown_overrun(&self) {
        self.overruns.increment(1);
    }
}
