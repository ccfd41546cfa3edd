//! Monitors: what they see, and what they may do about it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use synod_actors::pattern::hierarchy::{
    Decider, Decision, DecisionLevel, Happened, Plan, Progress, Supervisor, TaskEnd, Team,
    hierarchy,
};

use crate::{
    hierarchy::{MINUTE, adds, numbers, system},
    hierarchy_leaders::waits,
    hierarchy_levels::{Calls, Decides, all, nobody, panics},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_intervenes_at_each_level() {
    // What it decides on the first end of task 3, the tasks done, the calls of task 3.
    let replan = Decision::Replan { plan: Plan::new().assign(numbers("new", "b", 7..8)) };
    let table = [
        (Decision::Inform, Some(6), 1),
        (Decision::Retry, Some(6), 2),
        (Decision::REASSIGN, Some(6), 2),
        (replan, None, 1),
    ];
    for (decision, tasks, attempts) in table {
        let (system, calls) = (system(), Calls::default());
        let agent = panics(&system, "counts", &calls, 0);
        let (wanted, first) = (decision.clone(), AtomicU64::new(0));
        let monitor = move |progress: &Progress<'_>| {
            let is_it = progress.task == "t3" && matches!(progress.what, Happened::Done { .. });
            (is_it && first.fetch_add(1, Ordering::SeqCst) == 0).then(|| wanted.clone())
        };
        let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody })
            .team(Team::new("a").workers(2, &agent))
            .team(Team::new("b").workers(2, &agent))
            .monitor(monitor);
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        let all = done.value.assignment("all").unwrap();
        assert_eq!(calls.lock().unwrap()[&3], attempts, "{decision:?}");
        let [decided] = done.value.decisions.as_slice() else { panic!("{:?}", done.value) };
        assert_eq!((decided.by, decided.decision.level()), (Decider::Monitor, decision.level()));
        match tasks {
            Some(tasks) => assert_eq!(done.tally.done, tasks, "{decision:?}"),
            // What was done by then is kept.
            None => assert_eq!(done.value.output["new"], json!({ "t7": 8 })),
        }
        assert!(matches!(all.tasks[3].end, TaskEnd::Done { .. }));
        let by = if decision == Decision::REASSIGN { "b" } else { "a" };
        assert_eq!(all.tasks[3].team.as_deref(), Some(by));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_ends_a_run_as_far_as_the_supervisor_may_and_whatever_it_does_by_a_panic() {
    for (level, panics) in [
        (DecisionLevel::Abort, false),
        (DecisionLevel::Replan, false),
        (DecisionLevel::Abort, true),
    ] {
        let (system, calls) = (system(), Calls::default());
        let agent = super::hierarchy_levels::panics(&system, "counts", &calls, 0);
        let monitor = move |progress: &Progress<'_>| {
            assert!(!panics, "as told");
            let is_it = progress.task == "t3" && progress.what == Happened::Began;
            is_it.then(|| Decision::Abort { why: "the error rate is too high".to_owned() })
        };
        let run = hierarchy(Value::Null, Supervisor::new(all()).level(level));
        let run = run.team(Team::new("a").workers(2, &agent)).monitor(monitor);
        let error = system.run(run).deadline(MINUTE).await.unwrap_err();
        let expected = match (panics, level) {
            (true, _) => "the monitor panicked: as told",
            (false, DecisionLevel::Abort) => {
                "team `a` failed at `all/t3`: the error rate is too high"
            }
            (false, _) => "to abort is above what the supervisor may, which is to replan",
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_a_monitor_takes_away_while_it_runs_is_cut_off() {
    let (system, calls) = (system(), Calls::default());
    let hangs = waits(&system, &calls);
    let helps = adds(&system, "helps", 1);
    let monitor = |progress: &Progress<'_>| {
        let began = progress.what == Happened::Began && progress.team == "a";
        (began && progress.task == "t3").then_some(Decision::Reassign { to: Some("b".to_owned()) })
    };
    let run = hierarchy(Value::Null, Plan::new().assign(numbers("all", "a", 0..4)))
        .team(Team::new("a").workers(1, &hangs))
        .team(Team::new("b").workers(1, &helps))
        .monitor(monitor);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    let task = &done.value.assignments[0].tasks[3];
    assert_eq!((done.tally.done, task.team.as_deref()), (4, Some("b")));
    until("no timer is left", || system.node().pending_timers() == 0).await;
}
