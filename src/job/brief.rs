//! What a pattern has brought, as those that come after it are told: in short, as JSON, and never more than one limit.
//!
//! [`Tasks`](super::Tasks) calls it at the end of each pattern.
//!
//! # Invariants
//! - What is told depends on the results alone, not on when or how fast they came.

use std::collections::BTreeSet;

use actors::pattern::{
    FailedPart,
    consensus::{Decision, Reason},
    hierarchy::{Decided, Report as Account, TaskEnd, rollout::Standing},
    pipeline::{Passage, PassageEnd, Report as Passages},
};
use review::{Severity, merge::Report};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Found, Swarmed};
use crate::limits::PRODUCT_BYTES_MAX;

/// The key of what came before, in the data of a question and of parts.
pub(super) const BEFORE: &str = "before";

/// What reviewers found, the worst first.
pub(super) fn of_review(report: &Report, failed: &[FailedPart]) -> Value {
    let of = |severity| report.findings.iter().filter(|one| one.severity == severity).count();
    let (findings, more) = fitting(&report.findings, PRODUCT_BYTES_MAX);
    json!({
        "errors": of(Severity::Error),
        "warnings": of(Severity::Warning),
        "notes": of(Severity::Note),
        "findings": findings,
        "more": more,
        "missing": failed.len(),
    })
}

/// What the ballots come to, and why.
pub(super) fn of_vote(decision: &Decision) -> Value {
    let said = |reason: &Reason| json!({ "voter": reason.voter, "reasoning": reason.reasoning });
    let (reasoning, unsaid) = fitting(decision.reasoning.iter().map(said), PRODUCT_BYTES_MAX / 2);
    let (dissent, more) = fitting(decision.dissent.iter().map(said), PRODUCT_BYTES_MAX / 2);
    json!({
        "outcome": decision.outcome.name(),
        "choice": decision.outcome.choice(),
        "confidence": decision.confidence,
        "reasoning": reasoning,
        "dissent": dissent,
        "more": unsaid + more,
    })
}

/// What came out of the documents, in their order.
pub(super) fn of_pipeline(passages: &Passages) -> Value {
    let done = passages.documents.iter().filter(|own| own.end == PassageEnd::Done);
    let output = |own: &Passage| json!({ "name": own.name, "output": own.output() });
    let (count, all) = (done.clone().count(), passages.documents.len());
    let (documents, more) = fitting(done.map(output), PRODUCT_BYTES_MAX);
    json!({ "done": count, "missing": all - count, "documents": documents, "more": more })
}

/// What a swarm has found, and why it ended.
pub(super) fn of_swarm(told: &Swarmed) -> Value {
    let mut brief = json!({
        "cost": told.best.as_ref().map(|best| best.cost),
        "ticks": told.ticks,
        "patterns": told.emerged.iter().map(|own| &own.pattern).collect::<BTreeSet<_>>(),
    });
    let found = told.best.as_ref().and_then(|best| best.found.as_ref());
    let (name, (found, more)) = match found {
        Some(Found::Way(way)) => ("way", fitting(way, PRODUCT_BYTES_MAX)),
        Some(Found::Tour(tour)) => ("tour", fitting(tour, PRODUCT_BYTES_MAX)),
        Some(Found::Brought(units)) => ("brought", (vec![json!(units)], 0)),
        None => return brief,
    };
    if let Some(own) = brief.as_object_mut() {
        let is_one = name == "brought";
        let found =
            if is_one { found.into_iter().next().unwrap_or_default() } else { found.into() };
        own.insert(name.to_owned(), found);
        own.insert("more".to_owned(), more.into());
    }
    brief
}

/// What teams have done, what the supervisor made of it, and what was decided on the way.
pub(super) fn of_hierarchy(account: &Account, failed: &[FailedPart]) -> Value {
    let tasks = account.assignments.iter().flat_map(|own| &own.tasks);
    let done = tasks.filter(|task| matches!(task.end, TaskEnd::Done { .. })).count();
    let (mut output, unsaid) = fitting([&account.output], PRODUCT_BYTES_MAX / 2);
    let decided =
        |own: &Decided| json!({ "decision": own.decision.level(), "by": own.by, "why": own.why });
    let (decisions, more) = fitting(account.decisions.iter().map(decided), PRODUCT_BYTES_MAX / 2);
    json!({
        "output": output.pop(),
        "done": done,
        "missing": failed.len(),
        "rolled_back": Standing::of(account) == Some(Standing::RolledBack),
        "decisions": decisions,
        "more": unsaid + more,
    })
}

/// The first of these that fit together into so many bytes of JSON, and how many do not.
fn fitting<T: Serialize>(
    all: impl IntoIterator<Item = T>,
    bytes_max: usize,
) -> (Vec<Value>, usize) {
    let (mut all, mut bytes, mut kept) = (all.into_iter(), 0, Vec::new());
    for one in all.by_ref() {
        let value = serde_json::to_value(one).unwrap_or_default();
        bytes += value.to_string().len() + 1;
        if bytes > bytes_max {
            return (kept, 1 + all.count());
        }
        kept.push(value);
    }
    (kept, 0)
}

#[cfg(test)]
mod tests {
    use review::Finding;

    use super::*;

    #[test]
    fn what_is_told_of_a_review_is_the_worst_of_it_and_never_too_much() {
        let finding = |line| Finding::new("a.rs", line, "rule", "m".repeat(1_000));
        let worst = finding(9_000).severity(Severity::Error);
        let findings = std::iter::once(worst).chain((1..200).map(finding)).collect();
        let told = of_review(&Report { findings, ..Report::default() }, &[]);
        assert!(told.to_string().len() < PRODUCT_BYTES_MAX + 200, "{}", told.to_string().len());
        assert_eq!((&told["errors"], &told["warnings"]), (&json!(1), &json!(199)));
        assert_eq!(told["findings"][0]["line"], 9_000);
        let kept = told["findings"].as_array().unwrap().len();
        assert!(kept > 10);
        assert_eq!(told["more"], 200 - kept);
        let whole = of_review(&Report { findings: vec![finding(1)], ..Report::default() }, &[]);
        assert_eq!((whole["findings"].as_array().unwrap().len(), &whole["more"]), (1, &json!(0)));
    }
}
