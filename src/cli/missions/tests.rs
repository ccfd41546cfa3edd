//! A rollout that was rolled back, as people read it.

use std::sync::Arc;

use actors::pattern::hierarchy::{
    Assignment, Delegation, Plan,
    rollout::{Rollout, Strategy},
};
use serde_json::{Value, json};

use super::*;

/// When it began, in Unix milliseconds.
const BEGAN: i64 = 1_700_000_000_000;

/// Tasks of these assignments of a plan, one second each, from this second on; the rest was replaced.
fn done(plan: &Plan, count: usize, from: i64, output: &Value) -> Vec<AssignmentReport> {
    let report = |(number, own): (usize, &Assignment)| {
        let at = BEGAN + (from + i64::try_from(number).unwrap()) * 1_000;
        let end = |worker: &str| match number < count {
            true => TaskEnd::Done {
                output: Arc::new(output.clone()),
                worker: worker.to_owned(),
                attempts: 1,
                at,
                micros: 1_000_000,
                resumed: false,
            },
            false => TaskEnd::Open,
        };
        let Delegation::Team(team) = own.to.clone() else { panic!("{own:?}") };
        let task = |task: &actors::pattern::hierarchy::Task| TaskReport {
            name: task.name.clone(),
            team: Some(team.clone()),
            input: Arc::new(task.input.clone()),
            end: end("<w>"),
        };
        AssignmentReport {
            name: own.name.clone(),
            team: Some(team.clone()),
            after: own.after.clone(),
            end: if number < count { AssignmentEnd::Done } else { AssignmentEnd::Replaced },
            tasks: own.tasks.iter().map(task).collect(),
        }
    };
    plan.assignments.iter().enumerate().map(report).collect()
}

/// One of two instances was replaced, then requests failed.
fn rolled_back() -> Report {
    let rollout = Rollout::new(["a1", "a2"], ["b1", "b2"], Strategy::Rolling(1)).unwrap();
    // start-1, verify-1, shift-1, watch-1, stop-1, start-2, verify-2, shift-2; then the second watch fails.
    let mut assignments = done(&rollout.plan(), 8, 0, &json!({}));
    let watched = json!({ "seconds": [[BEGAN / 1_000 + 9, { "b1": [10, 2], "a2": [30, 0] }], ["no second"]] });
    assignments.extend(done(&rollout.rollback(), 5, 10, &watched));
    let tasks = assignments.iter().flat_map(|own| own.tasks.iter().map(move |task| (own, task)));
    let unit = tasks.zip(0..).find(|((own, _), _)| own.name == "watch-2").unwrap().1;
    let decided = Decided {
        at: BEGAN + 9_000,
        by: Decider::Supervisor,
        of: Subject::Task(unit),
        decision: Decision::Replan { plan: rollout.rollback() },
        team: None,
        avoid: None,
        why: "b1 <fails>".to_owned(),
    };
    Report {
        output: json!({ "outcome": "rolled_back" }),
        assignments,
        decisions: vec![decided],
        restarts: 0,
    }
}

#[test]
fn a_rollout_says_where_it_stands_and_why() {
    let report = rolled_back();
    assert_eq!(outcome(&report), "rolled back: watch-2/service: b1 <fails>");
    let text = text(&report);
    for line in [
        "  start-1 (infrastructure): done, 1 task in 1.000 s\n",
        "  watch-2 (monitoring): replaced by another plan\n",
        "  rollback-start (infrastructure): done, 2 tasks in 1.000 s\n",
        "1 decision:\n  watch-2/service: the supervisor decided to replan: b1 <fails>\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let table = markdown(&report, "t", &[]);
    assert!(
        table.contains("| watch-2 | service | monitoring |  | replaced by another plan |"),
        "{table}"
    );
    let mut open = report;
    open.assignments.truncate(3);
    open.assignments[2].end = AssignmentEnd::Open;
    open.assignments[2].tasks[0].end = TaskEnd::Open;
    assert_eq!(outcome(&open), "the rollout has not ended: 2 of 3 tasks done");
}

#[test]
fn the_picture_of_a_rollout_has_each_life_of_an_instance_its_traffic_and_what_failed() {
    let page = html(&rolled_back(), ("t", ""), &[]);
    let count = |what: &str| page.matches(what).count();
    // a1 was stopped, and started again on the way back.
    assert_eq!((count("a1: started"), count("a2: started"), count("b1: started")), (2, 1, 1));
    assert_eq!(
        (count("b2: with traffic"), count("b2: verified")),
        (1, 1),
        "the last shift was to both"
    );
    for shown in [
        "50 % to old instances",
        "50 % to new instances",
        "2 of 10 requests to new instances failed in this second",
        "0 of 30 requests to old instances failed in this second",
        "failed requests (%)",
        "seconds since the first task began",
        ">1: replan</text>",
        "b1 &lt;fails&gt;",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("<fails>") && !page.contains("<w>"), "names cannot leave the text");
}

#[test]
fn of_a_second_that_goes_on_after_the_last_task_both_bars_are_in_the_picture() {
    let rollout = Rollout::new(["a1"], ["b1"], Strategy::BlueGreen).unwrap();
    let watched = json!({ "seconds": [[BEGAN / 1_000, { "a1": [5, 0], "b1": [5, 1] }]] });
    let mut assignments = done(&rollout.plan(), 9, 0, &watched);
    for task in assignments.iter_mut().flat_map(|own| &mut own.tasks) {
        if let TaskEnd::Done { at, micros, .. } = &mut task.end {
            (*at, *micros) = (BEGAN + 100, 50_000);
        }
    }
    let page = html(&Report { assignments, ..Report::default() }, ("t", ""), &[]);
    let bars = page.split("<rect ").filter(|rect| rect.contains("failed in this second"));
    let width = |rect: &str| rect.split('"').nth(5).unwrap().parse::<i64>().unwrap();
    let widths: Vec<i64> = bars.map(width).collect();
    assert!(matches!(widths[..], [old, new] if old > 100 && new > 100), "{widths:?}");
}

#[test]
fn what_is_no_rollout_has_lanes_alone() {
    let mut report = rolled_back();
    for task in report.assignments.iter_mut().flat_map(|own| &mut own.tasks) {
        task.input = Arc::new(json!(7));
    }
    let page = html(&report, ("t", ""), &[]);
    assert!(!page.contains("Instances, traffic") && page.contains("What each team did when"));
    assert_eq!(outcome(&report), "16 of 16 tasks done");
    assert_eq!(lanes::svg(&Report::default()), None);
}

#[test]
fn an_instance_that_was_never_started_has_no_row() {
    let rollout = Rollout::new(["a1"], ["b1"], Strategy::BlueGreen).unwrap();
    let mut assignments = done(&rollout.plan(), 0, 0, &json!({}));
    assignments.extend(done(&rollout.rollback(), 5, 1, &json!({})));
    let page = html(&Report { assignments, ..Report::default() }, ("t", ""), &[]);
    assert!(page.contains(">a1</text>") && !page.contains(">b1</text>"), "{page}");
    assert!(!page.contains("failed requests"), "nobody says what failed");
}
