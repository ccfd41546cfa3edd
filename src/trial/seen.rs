//! What was seen of one run: calls of agents, and how it ended.
//!
//! Written by the stand-ins and the caller of one seed, read by the [`judge`](super::judge).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use actors::pattern::{FailedPart, FailureKind, Outcome};
use parking_lot::Mutex;
use review::{Finding, merge::Report};

use crate::{limits::TRIAL_NAMES_SHOWN, runfile::OutcomeName};

/// What was seen of one run so far.
#[derive(Debug, Default)]
pub struct Seen {
    state: Mutex<State>,
    /// Whether anything changed since somebody looked.
    news: AtomicBool,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct State {
    /// How often each agent was called.
    pub(super) calls: BTreeMap<String, u64>,
    /// How often each agent was given each request.
    requests: BTreeMap<(String, String), u64>,
    pub(super) ended: Option<Ended>,
    /// What cannot be a test's result, whatever it says.
    pub(super) broken: Option<String>,
}

/// How the run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: OutcomeName,
    /// Why, where it did not complete.
    pub(super) why: Option<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) failed: Vec<FailedPart>,
}

impl Seen {
    /// Takes a call of `agent`; gives its number, from 0.
    pub(super) fn called(&self, agent: &str) -> u64 {
        self.change(|state| count(state.calls.entry(agent.to_owned()).or_default()))
    }

    /// Takes a request to `agent`; gives how often it came before.
    pub(super) fn requested(&self, agent: &str, request: &str) -> u64 {
        let key = (agent.to_owned(), request.to_owned());
        self.change(|state| count(state.requests.entry(key).or_default()))
    }

    /// Takes how the run ended.
    pub(super) fn ended(&self, outcome: Outcome<Report>) {
        let ended = Ended::of(outcome);
        self.change(|state| state.ended = Some(ended));
    }

    /// Takes why nothing that follows counts.
    pub(super) fn broken(&self, why: String) {
        self.change(|state| {
            state.broken.get_or_insert(why);
        });
    }

    /// Whether anything changed since the last time.
    pub(super) fn is_news(&self) -> bool {
        self.news.swap(false, Ordering::Relaxed)
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.news.store(true, Ordering::Relaxed);
        change(&mut self.state.lock())
    }
}

fn count(count: &mut u64) -> u64 {
    *count += 1;
    *count - 1
}

impl Ended {
    fn of(outcome: Outcome<Report>) -> Self {
        let findings = |report: Option<Report>| report.unwrap_or_default().findings;
        match outcome {
            Ok(completed) => {
                let whole = completed.failed.is_empty();
                let outcome = if whole { OutcomeName::Completed } else { OutcomeName::Incomplete };
                let findings = findings(Some(completed.value));
                Self { outcome, why: None, findings, failed: completed.failed }
            }
            Err(error) => Self {
                outcome: name_of(&error.kind),
                why: Some(error.kind.to_string()),
                findings: findings(error.partial),
                failed: error.failed,
            },
        }
    }
}

const fn name_of(kind: &FailureKind) -> OutcomeName {
    match kind {
        FailureKind::TimedOut { .. } => OutcomeName::TimedOut,
        FailureKind::OverBudget { .. } => OutcomeName::OverBudget,
        FailureKind::Cancelled { .. } => OutcomeName::Cancelled,
        FailureKind::Rejected { .. }
        | FailureKind::Invalid { .. }
        | FailureKind::Split { .. }
        | FailureKind::Parts { .. }
        | FailureKind::Reduce { .. }
        | FailureKind::NodeLost { .. } => OutcomeName::Failed,
    }
}

impl State {
    /// What was seen, for people.
    pub(super) fn words(&self) -> String {
        let mut words = match &self.ended {
            None => "the run has not ended".to_owned(),
            Some(ended) => ended.words(),
        };
        let calls = self.calls.iter().map(|(agent, calls)| format!("{agent} {calls}"));
        let calls: Vec<String> = calls.collect();
        if !calls.is_empty() {
            // Writing to a string cannot fail.
            write!(words, "; calls: {}", calls.join(", ")).ok();
        }
        words
    }
}

impl Ended {
    fn words(&self) -> String {
        let finding = |one: &Finding| format!("{} at {}:{}", one.rule, one.file, one.line);
        let failure = |one: &FailedPart| format!("{} at {}: {}", one.agent, one.name, one.error);
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!(
            "the run ended as {}{why}, findings: {}, failed: {}",
            self.outcome.name(),
            some(&self.findings, finding),
            some(&self.failed, failure)
        )
    }
}

/// How many there are, and the first of them.
fn some<T>(all: &[T], name: impl Fn(&T) -> String) -> String {
    let first: Vec<String> = all.iter().take(TRIAL_NAMES_SHOWN).map(name).collect();
    let more = all.len() - first.len();
    match (all.len(), more) {
        (0, _) => "0".to_owned(),
        (count, 0) => format!("{count} ({})", first.join("; ")),
        (count, more) => format!("{count} ({}; and {more} more)", first.join("; ")),
    }
}
