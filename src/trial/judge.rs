//! Holds the conditions of a test against what was seen of a run.
//!
//! # Invariants
//! - Before the end only what can no longer change counts: `never` is broken by what is certainly so, `always` by what certainly
//!   is not.

use std::sync::Arc;

use actors::pattern::FailedPart;
use review::{Finding, Severity};

use super::seen::{Ended, Seen, State};
use crate::{
    job::Swarmed,
    runfile::{Condition, Count, FailureMatch, FindingMatch, Test},
};

/// The conditions of one test.
pub(super) struct Judge {
    test: Arc<Test>,
}

/// What is known of a part of a condition: that it is so, that it is not, or nothing yet.
type Verdict = Option<bool>;

impl Judge {
    pub(super) fn new(test: Arc<Test>) -> Self {
        Self { test }
    }

    /// What is broken now, if anything is.
    pub(super) fn broken_now(&self, seen: &Seen) -> Option<String> {
        if !seen.is_news() {
            return None;
        }
        seen.look(|state| {
            let never = self.test.never.iter();
            let never = never.filter(|condition| {
                verdicts(condition, state).iter().all(|(_, verdict)| *verdict == Some(true))
            });
            let never = never.map(|condition| say("happened though it must never", condition));
            let always = self.test.always.iter().filter_map(|condition| {
                let (part, _) = verdicts(condition, state)
                    .into_iter()
                    .find(|(_, verdict)| *verdict == Some(false))?;
                Some(format!("{} ({part})", say("does not always hold", condition)))
            });
            let broken = state.broken.iter().cloned().chain(never).chain(always).next()?;
            Some(format!("{broken}\n  {}", state.words()))
        })
    }

    /// What does not hold in the end.
    pub(super) fn broken_in_the_end(&self, seen: &Seen) -> Option<String> {
        seen.look(|state| {
            self.test.expect.iter().find_map(|condition| {
                let (part, _) = verdicts(condition, state)
                    .into_iter()
                    .find(|(_, verdict)| *verdict != Some(true))?;
                let broken = say("expected", condition);
                Some(format!("{broken} ({part})\n  {}", state.words()))
            })
        })
    }
}

fn say(what: &str, condition: &Condition) -> String {
    let (text, line) = &condition.written;
    format!("{what}: {text}, line {line}")
}

/// What is known of each part of a condition, with its name.
fn verdicts(condition: &Condition, state: &State) -> Vec<(&'static str, Verdict)> {
    let Condition { written: _, outcome, choice, findings, finding, done, .. } = condition;
    let Condition { cost, ticks, pattern, failed, failure, calls, .. } = condition;
    let ended = state.ended.as_ref();
    let mut verdicts = Vec::new();
    if !outcome.is_empty() {
        verdicts.push(("outcome", ended.map(|ended| outcome.iter().any(|name| ended.is(*name)))));
    }
    if !choice.is_empty() {
        let any =
            |made: Option<&str>| made.is_some_and(|made| choice.iter().any(|one| one == made));
        verdicts.push(("choice", ended.map(|ended| any(ended.choice()))));
    }
    if let Some(count) = findings {
        verdicts.push(("findings", ended.map(|ended| has(count, ended.findings().len()))));
    }
    for matches in finding {
        let any = |found: &[Finding]| found.iter().any(|one| is_finding(matches, one));
        verdicts.push(("finding", ended.map(|ended| any(ended.findings()))));
    }
    if let Some(count) = done {
        verdicts.push(("done", ended.map(|ended| has(count, ended.done()))));
    }
    if let Some(count) = failed {
        verdicts.push(("failed", ended.map(|ended| has(count, ended.failed.len()))));
    }
    for matches in failure {
        let any = |failed: &[FailedPart]| failed.iter().any(|one| is_failure(matches, one));
        verdicts.push(("failure", ended.map(|ended| any(&ended.failed))));
    }
    verdicts.extend(of_swarm((*cost, ticks.as_ref(), pattern), state));
    for (agent, count) in calls {
        let so_far = state.calls.get(agent.as_str()).copied().unwrap_or(0);
        verdicts.push(("calls", called(count, so_far, ended.is_some())));
    }
    verdicts
}

/// The same, of what is said of a swarm.
fn of_swarm(
    (cost, ticks, pattern): (Option<f64>, Option<&Count>, &[String]),
    state: &State,
) -> Vec<(&'static str, Verdict)> {
    let swarm = state.ended.as_ref().map(Ended::swarm);
    let mut verdicts = Vec::new();
    if let Some(most) = cost {
        let holds = |told: &Swarmed| told.best.as_ref().is_some_and(|best| best.cost <= most);
        verdicts.push(("cost", swarm.map(|told| told.is_some_and(holds))));
    }
    if let Some(count) = ticks {
        let holds = |told: &Swarmed| count.contains(&told.ticks);
        verdicts.push(("ticks", swarm.map(|told| told.is_some_and(holds))));
    }
    for name in pattern {
        let holds = |told: &Swarmed| told.emerged.iter().any(|own| own.pattern == *name);
        verdicts.push(("pattern", swarm.map(|told| told.is_some_and(holds))));
    }
    verdicts
}

/// Calls only ever become more.
fn called(count: &Count, so_far: u64, ended: bool) -> Verdict {
    if so_far > *count.end() {
        Some(false)
    } else if ended {
        Some(count.contains(&so_far))
    } else {
        (*count.end() == u64::MAX && so_far >= *count.start()).then_some(true)
    }
}

fn has(count: &Count, length: usize) -> bool {
    count.contains(&(length as u64))
}

fn is_finding(matches: &FindingMatch, one: &Finding) -> bool {
    let FindingMatch { rule, file, line, severity, agent, message } = matches;
    rule.as_ref().is_none_or(|rule| rule.matches(&one.rule))
        && file.as_ref().is_none_or(|file| file.matches(&one.file))
        && line.is_none_or(|line| line == one.line)
        && severity.as_ref().is_none_or(|severity| severity == name_of(one.severity))
        && agent.as_ref().is_none_or(|agent| one.agents.contains(agent))
        && message.as_ref().is_none_or(|message| one.message.contains(message))
}

const fn name_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn is_failure(matches: &FailureMatch, one: &FailedPart) -> bool {
    let FailureMatch { agent, part, error } = matches;
    agent.as_ref().is_none_or(|agent| *agent == one.agent)
        && part.as_ref().is_none_or(|part| one.name.contains(part))
        && error.as_ref().is_none_or(|error| one.error.contains(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_certain_once_they_can_no_longer_change() {
        for (count, so_far, ended, verdict) in [
            (0..=3, 4, false, Some(false)),
            (0..=3, 3, false, None),
            (0..=3, 3, true, Some(true)),
            (2..=u64::MAX, 1, false, None),
            (2..=u64::MAX, 2, false, Some(true)),
            (2..=u64::MAX, 1, true, Some(false)),
            (2..=3, 2, false, None),
        ] {
            assert_eq!(called(&count, so_far, ended), verdict, "{count:?} {so_far} {ended}");
        }
    }
}
