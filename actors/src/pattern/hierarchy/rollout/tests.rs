//! Rollouts as plans, line by line.

use serde_json::json;

use super::*;
use crate::{agent::AgentError, pattern::hierarchy::Team};

/// A plan as people read it: name, team, what it is after, steps.
fn lines(plan: &Plan) -> Vec<String> {
    let step = |step: Step| match step {
        Step::Start { instance } => format!("start {instance}"),
        Step::Verify { instance } => format!("verify {instance}"),
        Step::Stop { instance } => format!("stop {instance}"),
        Step::Watch { percent } => format!("watch at {percent} %"),
        Step::Shift { percent, weights } => format!("shift to {percent} %: {weights:?}"),
    };
    let line = |own: &Assignment| {
        let Delegation::Team(team) = &own.to else { panic!("{own:?}") };
        let steps = own.tasks.iter().map(|task| serde_json::from_value(task.input.clone()));
        let steps: Vec<String> = steps.map(|own| step(own.unwrap())).collect();
        format!("{} ({team}) after {:?}: {}", own.name, own.after, steps.join(", "))
    };
    plan.assignments.iter().map(line).collect()
}

fn rollout(strategy: Strategy) -> Rollout {
    Rollout::new(["a1", "a2"], ["b1", "b2"], strategy).unwrap()
}

const BACK: [&str; 5] = [
    "rollback-start (infrastructure) after []: start a1, start a2",
    r#"rollback-verify (application) after ["rollback-start"]: verify a1, verify a2"#,
    r#"rollback-shift (application) after ["rollback-verify"]: shift to 0 %: {"a1": 1, "a2": 1}"#,
    r#"rollback-watch (monitoring) after ["rollback-shift"]: watch at 0 %"#,
    r#"rollback-stop (infrastructure) after ["rollback-watch"]: stop b1, stop b2"#,
];

#[test]
fn blue_green_moves_all_traffic_at_once() {
    let rollout = rollout(Strategy::BlueGreen);
    let expected = [
        "start (infrastructure) after []: start b1, start b2",
        r#"verify (application) after ["start"]: verify b1, verify b2"#,
        r#"shift (application) after ["verify"]: shift to 100 %: {"b1": 1, "b2": 1}"#,
        r#"watch (monitoring) after ["shift"]: watch at 100 %"#,
        r#"stop (infrastructure) after ["watch"]: stop a1, stop a2"#,
    ];
    assert_eq!(lines(&rollout.plan()), expected);
    assert_eq!(lines(&rollout.rollback()), BACK);
    let shift = &rollout.plan().assignments[2].tasks[0];
    let input = json!({ "step": "shift", "percent": 100, "weights": { "b1": 1, "b2": 1 } });
    assert_eq!((shift.name.as_str(), &shift.input), ("traffic", &input));
}

#[test]
fn a_canary_moves_traffic_in_steps_that_are_watched() {
    let rollout = rollout(Strategy::Canary(vec![5, 50]));
    let expected = [
        "start (infrastructure) after []: start b1, start b2",
        r#"verify (application) after ["start"]: verify b1, verify b2"#,
        r#"shift-5 (application) after ["verify"]: shift to 5 %: {"a1": 19, "a2": 19, "b1": 1, "b2": 1}"#,
        r#"watch-5 (monitoring) after ["shift-5"]: watch at 5 %"#,
        r#"shift-50 (application) after ["watch-5"]: shift to 50 %: {"a1": 1, "a2": 1, "b1": 1, "b2": 1}"#,
        r#"watch-50 (monitoring) after ["shift-50"]: watch at 50 %"#,
        r#"shift-100 (application) after ["watch-50"]: shift to 100 %: {"b1": 1, "b2": 1}"#,
        r#"watch-100 (monitoring) after ["shift-100"]: watch at 100 %"#,
        r#"stop (infrastructure) after ["watch-100"]: stop a1, stop a2"#,
    ];
    assert_eq!(lines(&rollout.plan()), expected);
    assert_eq!(lines(&rollout.rollback()), BACK);
    let uneven = Rollout::new(["a"], ["b1", "b2", "b3"], Strategy::Canary(vec![10, 100])).unwrap();
    assert_eq!(
        lines(&uneven.plan())[2],
        r#"shift-10 (application) after ["verify"]: shift to 10 %: {"a": 27, "b1": 1, "b2": 1, "b3": 1}"#
    );
}

#[test]
fn a_rolling_rollout_puts_a_few_in_the_place_of_a_few() {
    let rollout =
        Rollout::new(["a1", "a2", "a3"], ["b1", "b2", "b3"], Strategy::Rolling(2)).unwrap();
    let expected = [
        "start-1 (infrastructure) after []: start b1, start b2",
        r#"verify-1 (application) after ["start-1"]: verify b1, verify b2"#,
        r#"shift-1 (application) after ["verify-1"]: shift to 66 %: {"a3": 1, "b1": 1, "b2": 1}"#,
        r#"watch-1 (monitoring) after ["shift-1"]: watch at 66 %"#,
        r#"stop-1 (infrastructure) after ["watch-1"]: stop a1, stop a2"#,
        r#"start-2 (infrastructure) after ["stop-1"]: start b3"#,
        r#"verify-2 (application) after ["start-2"]: verify b3"#,
        r#"shift-2 (application) after ["verify-2"]: shift to 100 %: {"b1": 1, "b2": 1, "b3": 1}"#,
        r#"watch-2 (monitoring) after ["shift-2"]: watch at 100 %"#,
        r#"stop-2 (infrastructure) after ["watch-2"]: stop a3"#,
    ];
    assert_eq!(lines(&rollout.plan()), expected);
    assert_eq!(lines(&rollout.rollback()).len(), 5);
}

#[test]
fn a_rolling_rollout_to_more_or_fewer_instances_leaves_no_old_one() {
    let stops = |old: &[&str], new: &[&str]| {
        let rollout = Rollout::new(old.to_vec(), new.to_vec(), Strategy::Rolling(1)).unwrap();
        let lines = lines(&rollout.plan());
        let own = lines.into_iter().filter(|line| line.starts_with("stop"));
        own.map(|line| line.split(": ").last().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stops(&["a1", "a2", "a3"], &["b1", "b2"]), ["stop a1", "stop a2, stop a3"]);
    assert_eq!(stops(&["a1"], &["b1", "b2"]), ["stop a1"]);
}

#[test]
fn a_first_rollout_has_nothing_to_go_back_to() {
    let first = Rollout::new([], ["b1"], Strategy::Canary(vec![10])).unwrap();
    let shift = r#"shift-10 (application) after ["verify"]: shift to 10 %: {"b1": 1}"#;
    assert_eq!(lines(&first.plan())[2], shift);
    assert!(!lines(&first.plan()).iter().any(|line| line.starts_with("stop")));
    let back = [
        "rollback-shift (application) after []: shift to 0 %: {}",
        r#"rollback-stop (infrastructure) after ["rollback-shift"]: stop b1"#,
    ];
    assert_eq!(lines(&first.rollback()), back);
}

#[test]
fn a_rollout_that_makes_no_steps_is_refused() {
    let table = [
        (vec!["a"], vec![], Strategy::BlueGreen, "no new instances"),
        (vec!["a"], vec!["b", "a"], Strategy::BlueGreen, "two instances are called `a`"),
        (vec![], vec!["b"], Strategy::Canary(vec![]), "rising percents"),
        (vec![], vec!["b"], Strategy::Canary(vec![0, 5]), "rising percents"),
        (vec![], vec!["b"], Strategy::Canary(vec![50, 50]), "rising percents"),
        (vec![], vec!["b"], Strategy::Canary(vec![50, 101]), "rising percents"),
        (vec![], vec!["b"], Strategy::Rolling(0), "0 instances at a time"),
    ];
    for (old, new, strategy, expected) in table {
        let refused = Rollout::new(old, new, strategy).unwrap_err();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
}

#[test]
fn every_plan_fits_its_teams_and_a_rollback_fits_behind_whatever_is_done() {
    let agent = crate::agent::Agent::<Value, Value>::mock();
    let team = |name: &'static str| Team::new(name).workers(1, &agent);
    let teams = [INFRASTRUCTURE, APPLICATION, MONITORING].map(team);
    for strategy in [Strategy::BlueGreen, Strategy::Canary(vec![1, 10]), Strategy::Rolling(1)] {
        let rollout = rollout(strategy);
        let plan = rollout.plan();
        assert_eq!(plan.check(&teams, &[]), Ok(()));
        let names: Vec<&str> = plan.assignments.iter().map(|own| own.name.as_str()).collect();
        for done in 0..names.len() {
            assert_eq!(rollout.rollback().check(&teams, &names[..done]), Ok(()));
        }
    }
}

#[test]
fn a_rollout_decides_to_roll_back_and_a_rollback_that_fails_to_give_up() {
    let rollout = rollout(Strategy::BlueGreen);
    let failure = |of: Subject, assignment: &str| Failure {
        of,
        team: "monitoring".to_owned(),
        assignment: assignment.to_owned(),
        task: "service".to_owned(),
        worker: "w".to_owned(),
        error: AgentError::Failed { message: "20 % of the requests fail".to_owned() },
        crashed: false,
        attempts: 1,
        may_retry: false,
        others: 0,
        decisions: 0,
        note: String::new(),
    };
    let back = rollout.intervene(&failure(Subject::Task(7), "watch"));
    assert_eq!(back, Decision::Replan { plan: rollout.rollback() });
    for last in [failure(Subject::Task(9), "rollback-watch"), failure(Subject::Mission, "")] {
        assert_eq!(rollout.intervene(&last).level(), super::super::DecisionLevel::Abort);
    }
    let leaderless = failure(Subject::Team(1), "");
    assert_eq!(rollout.intervene(&leaderless), Decision::Retry, "nothing can go on without it");
}

#[test]
fn a_rollout_is_known_again_by_its_plan() {
    for strategy in [Strategy::BlueGreen, Strategy::Canary(vec![5, 50]), Strategy::Rolling(1)] {
        for (old, new) in [(vec!["a1", "a2"], vec!["b1"]), (vec![], vec!["b1", "b2"])] {
            let rollout = Rollout::new(old, new, strategy.clone()).unwrap();
            assert_eq!(Rollout::of(&rollout.plan(), strategy.clone()), Ok(rollout));
        }
    }
    let other = Plan::new().assign(Assignment::new("a", Delegation::Load).task("t", json!(7)));
    let refused = Rollout::of(&other, Strategy::BlueGreen).unwrap_err();
    assert!(refused.contains("task `t` is no step"), "{refused}");
    let surveyed = Surveyed::new(Strategy::BlueGreen);
    assert!(surveyed.integrate(&json!(null), &Results::default()).is_err(), "before the plan");
    surveyed.planned(&other);
    surveyed.planned(&rollout(Strategy::BlueGreen).plan());
    let refused = surveyed.integrate(&json!(null), &Results::default()).unwrap_err();
    assert!(refused.contains("not that of a rollout"), "{refused}");
}
