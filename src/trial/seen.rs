//! What was seen of one run: calls of agents, and how it ended.
//!
//! Written by the stand-ins and the caller of one seed, read by the [`judge`](super::judge).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use actors::pattern::{
    FailedPart, FailureKind, Outcome,
    consensus::{ClosedBy, Outcome as VoteOutcome},
    hierarchy::rollout::Standing,
    pipeline::PassageEnd,
};
use parking_lot::Mutex;
use review::Finding;

use crate::{
    job::{Product, Swarmed},
    limits::TRIAL_NAMES_SHOWN,
    runfile::OutcomeName,
};

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
    pub(super) failed: Vec<FailedPart>,
    /// What came of it, if anything did.
    product: Option<Product>,
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
    pub(super) fn ended(&self, outcome: Outcome<Product>) {
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
    fn of(outcome: Outcome<Product>) -> Self {
        let mut ended = Self::as_told(outcome);
        // What failed of several patterns are not these themselves but pieces of their work.
        if let Some(Product::Several(planned)) = &mut ended.product {
            ended.failed = std::mem::take(&mut planned.failed);
        }
        ended
    }

    fn as_told(outcome: Outcome<Product>) -> Self {
        match outcome {
            Ok(completed) => {
                let is_whole = completed.value.is_whole(&completed.failed);
                let outcome =
                    if is_whole { OutcomeName::Completed } else { OutcomeName::Incomplete };
                let (failed, product) = (completed.failed, Some(completed.value));
                Self { outcome, why: None, failed, product }
            }
            Err(error) => Self {
                outcome: name_of(&error.kind),
                why: Some(error.kind.to_string()),
                failed: error.failed,
                product: error.partial,
            },
        }
    }

    /// Whether it is right to say that the run ended so.
    pub(super) fn is(&self, name: OutcomeName) -> bool {
        let standing = match self.rollout() {
            Some(Standing::RolledOut) => Some(OutcomeName::RolledOut),
            Some(Standing::RolledBack) => Some(OutcomeName::RolledBack),
            Some(Standing::Open) | None => None,
        };
        self.outcome == name
            || standing == Some(name)
            || self.vote().map(VoteOutcome::name) == Some(name.name())
    }

    /// What the pattern has brought that the test runs, if that has begun.
    fn main(&self) -> Option<&Product> {
        match self.product.as_ref()? {
            Product::Several(planned) => planned.main(),
            own @ (Product::Review(_)
            | Product::Vote(_)
            | Product::Pipeline(_)
            | Product::Swarm(_)
            | Product::Hierarchy(_)) => Some(own),
        }
    }

    /// What its vote came to; one that was cut off came to nothing.
    fn vote(&self) -> Option<&VoteOutcome> {
        match self.main() {
            Some(Product::Vote(decision)) if decision.closed != ClosedBy::CutOff => {
                Some(&decision.outcome)
            }
            Some(_) | None => None,
        }
    }

    /// Where its rollout stands.
    fn rollout(&self) -> Option<Standing> {
        match self.main() {
            Some(Product::Hierarchy(account)) => Standing::of(account),
            Some(_) | None => None,
        }
    }

    /// The choice that its vote made.
    pub(super) fn choice(&self) -> Option<&str> {
        self.vote().and_then(VoteOutcome::choice)
    }

    /// What reviewers found.
    pub(super) fn findings(&self) -> &[Finding] {
        match self.main() {
            Some(Product::Review(report)) => &report.findings,
            Some(_) | None => &[],
        }
    }

    /// What its swarm came to.
    pub(super) fn swarm(&self) -> Option<&Swarmed> {
        match self.main() {
            Some(Product::Swarm(swarm)) => Some(swarm),
            Some(_) | None => None,
        }
    }

    /// How many documents have passed all stages.
    pub(super) fn done(&self) -> usize {
        match self.main() {
            Some(Product::Pipeline(passages)) => {
                passages.documents.iter().filter(|own| own.end == PassageEnd::Done).count()
            }
            Some(_) | None => 0,
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
        | FailureKind::NoAnswer { .. }
        | FailureKind::Aborted { .. }
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
        let product = match (self.main(), self.vote()) {
            (Some(Product::Vote(_)), Some(vote)) => match vote.choice() {
                Some(choice) => format!(", {}: {choice}", vote.name()),
                None => format!(", {}", vote.name()),
            },
            (Some(Product::Pipeline(_)), _) => format!(", done: {}", self.done()),
            (Some(Product::Review(_)), _) => {
                format!(", findings: {}", some(self.findings(), finding))
            }
            (Some(Product::Swarm(swarm)), _) => match &swarm.best {
                Some(best) => format!(", cost: {} after {} ticks", best.cost, swarm.ticks),
                None => format!(", no cost after {} ticks", swarm.ticks),
            },
            (Some(Product::Hierarchy(account)), _) => format!(", came to {}", account.output),
            (Some(Product::Vote(_) | Product::Several(_)) | None, _) => String::new(),
        };
        let failed = some(&self.failed, failure);
        format!("the run ended as {}{why}{product}, failed: {failed}", self.outcome.name())
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
