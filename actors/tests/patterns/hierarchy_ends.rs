//! Hierarchies that do not begin, or that end early.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use runtime::{
    budget::Limits,
    events::{EventKind, Filter, Received},
};
use serde_json::json;
use synod_actors::{
    agent::Agent,
    pattern::{
        FailureKind,
        hierarchy::{Assignment, Delegation, Plan, TaskEnd, Team, TeamCard, hierarchy},
        map_reduce::{map_reduce, sum},
    },
    system::AgentSystem,
};

use crate::{
    hierarchy::{MINUTE, adds, numbers, system},
    until,
};

/// Hangs at threes.
fn hangs(system: &AgentSystem) -> Agent<u64, u64> {
    let agent = system.agent("hangs", |n: u64, _| async move {
        if n == 3 {
            std::future::pending::<()>().await;
        }
        Ok::<_, String>(n)
    });
    agent.concurrency(4).start().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_and_a_cancel_end_the_run_with_what_is_done() {
    for cancel in [false, true] {
        let system = system();
        let agent = hangs(&system);
        let within = if cancel { MINUTE } else { Duration::from_secs(1) };
        let told = Filter::new().kinds([EventKind::TaskCompleted]);
        let mut told = system.node().events().subscribe(told).unwrap();
        let plan = Plan::new()
            .assign(numbers("first", "a", 0..5))
            .assign(numbers("other", "b", 5..8))
            .assign(numbers("last", "b", 8..9).after(["first"]));
        let run = hierarchy(json!(null), plan)
            .team(Team::new("a").workers(4, &agent))
            .team(Team::new("b").workers(1, &agent));
        let handle = system.run(run).deadline(within).start().await.unwrap();
        let id = handle.id();
        if cancel {
            for _ in 0..7 {
                assert!(matches!(told.next().await, Some(Received::Event(_))));
            }
            handle.canceller().cancel();
        }
        let error = handle.outcome().await.unwrap_err();
        let in_time = matches!(error.kind, FailureKind::Cancelled { done: 7, units: 9 });
        let late = matches!(error.kind, FailureKind::TimedOut { done: 7, units: 9, .. });
        assert_eq!((in_time, late), (cancel, !cancel), "{error}");
        let partial = error.partial.unwrap();
        assert_eq!(partial.task("first", "t4"), Some(&json!(4)));
        assert_eq!(partial.assignment("first").unwrap().tasks[3].end, TaskEnd::Open);
        assert_eq!((partial.output, error.tally.attempts), (json!(null), 8));
        until("no timer is left", || system.node().pending_timers() == 0).await;
        let gone =
            || !system.graph().actors.iter().any(|actor| actor.name.contains(&id.to_string()));
        until("nobody of the run is left", gone).await;
        // The place of the call that was cut off is free again.
        let four = system.run(map_reduce(4..8, &agent).reduce(sum())).deadline(MINUTE);
        assert_eq!(four.await.unwrap().value, 22);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_a_hard_stop_and_a_retry_costs_as_much_as_a_first_call() {
    let system = system();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let fails = system.agent("fails", move |n: u64, cx: synod_actors::agent::CallContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { if cx.attempt == 1 { Err("at first") } else { Ok(n) } }
    });
    let fails = fails.start().unwrap();
    let run = hierarchy(json!(null), Plan::new().assign(numbers("all", "a", 0..6)));
    let limits = Limits { messages: Some(9), ..Limits::default() };
    let run = system.run(run.team(Team::new("a").workers(2, &fails))).deadline(MINUTE);
    let error = run.limits(limits).await.unwrap_err();
    // Six first calls, three of the second.
    assert!(matches!(error.kind, FailureKind::OverBudget { done: 3, units: 6, .. }), "{error}");
    assert_eq!(
        (calls.load(Ordering::SeqCst), error.tally.attempts, error.tally.retries),
        (9, 9, 3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_share_agents_and_give_places_back() {
    let system = system();
    let node = system.node().clone();
    let agent = system.agent("shared", move |n: u64, _| {
        let node = node.clone();
        async move {
            node.sleep(Duration::from_millis(1)).await;
            Ok::<_, String>(n)
        }
    });
    let agent = agent.count(2).start().unwrap();
    let run = || {
        let plan =
            Plan::new().assign(numbers("one", "a", 0..15)).assign(numbers("two", "b", 15..30));
        let run = hierarchy(json!(null), plan)
            .team(Team::new("a").workers(3, &agent))
            .team(Team::new("b").workers(2, &agent));
        system.run(run).deadline(MINUTE)
    };
    let others = system.run(map_reduce(0..30, &agent).reduce(sum())).deadline(MINUTE);
    let (one, two, three) = tokio::join!(run(), run(), others);
    assert_eq!((one.unwrap().tally.done, two.unwrap().tally.done), (30, 30));
    assert_eq!(three.unwrap().value, 435);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teams_that_contradict_themselves_do_not_begin_and_all_of_it_is_told() {
    let system = system();
    let agent = adds(&system, "one", 1);
    let plan = || Plan::new().assign(numbers("all", "a", 0..1));
    let none = system.run(hierarchy(json!(null), plan())).deadline(MINUTE).await.unwrap_err();
    assert!(
        matches!(&none.kind, FailureKind::Invalid { why } if why.contains("no teams")),
        "{none}"
    );
    let run = hierarchy(json!(null), plan())
        .team(Team::new("a").workers(1, &agent))
        .team(Team::new("a").workers(1, &agent))
        .team(Team::new("b/c").workers(2_000, &agent))
        .team(Team::new("empty"));
    let wrong = system.run(run).deadline(MINUTE).await.unwrap_err();
    let why = wrong.kind.to_string();
    for part in [
        "two teams are called `a`",
        "`b/c` is no name of a team",
        "team `b/c` has more than 1024 workers",
        "team `empty` has neither workers nor a leader with an agent",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(wrong.tally.attempts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_cannot_be_carried_out_ends_the_run_before_anything_is_done() {
    let system = system();
    let agent = adds(&system, "one", 1);
    let task = |name: &str, to: Delegation| Assignment::new(name, to).task("t", 1);
    let team = || Delegation::team("a");
    let table: Vec<(&str, Plan)> = vec![
        ("the plan has no assignments", Plan::new()),
        (
            "assignment `x` is for team `c`, which there is not; the teams are `a`, `led`",
            Plan::new().assign(task("x", Delegation::team("c"))),
        ),
        (
            "assignment `x` is for the specialisation `rust`, which no team has; there are `go`",
            Plan::new().assign(task("x", Delegation::specialisation("rust"))),
        ),
        (
            "no task of a circle could ever start: x → y → x",
            Plan::new()
                .assign(task("x", team()).after(["y"]))
                .assign(task("y", team()).after(["x"])),
        ),
        ("`x` is after itself", Plan::new().assign(task("x", team()).after(["x"]))),
        (
            "`x` is after \"z\", which is no task",
            Plan::new().assign(task("x", team()).after(["z"])),
        ),
        (
            "two tasks are called `x`",
            Plan::new().assign(task("x", team())).assign(task("x", team())),
        ),
        (
            "two tasks of assignment `x` are called `t`",
            Plan::new().assign(task("x", team()).task("t", 2)),
        ),
        ("is no name of a task", Plan::new().assign(task("", team()))),
        (
            "a task of assignment `x` is called \"\"",
            Plan::new().assign(task("x", team()).task("", 2)),
        ),
        (
            "assignment `x` has tasks for workers, and team `led` has none",
            Plan::new().assign(task("x", Delegation::team("led"))),
        ),
        (
            "assignment `x` has no tasks, and the leader of team `a` has no agent",
            Plan::new().assign(Assignment::new("x", team())),
        ),
    ];
    for (expected, plan) in table {
        let run = hierarchy(json!(null), plan)
            .team(Team::new("a").specialisation("go").workers(1, &agent))
            .team(Team::new("led").led_by(&agent));
        let wrong = system.run(run).deadline(MINUTE).await.unwrap_err();
        assert!(
            matches!(&wrong.kind, FailureKind::Split { why } if why.contains(expected)),
            "{expected}: {wrong}"
        );
        assert_eq!(wrong.tally.attempts, 0);
    }
    let fails = |_: &serde_json::Value, _: &[TeamCard]| Err("nothing to be done".to_owned());
    let panics = |_: &serde_json::Value, _: &[TeamCard]| panic!("as told");
    let team = || Team::new("a").workers(1, &agent);
    let failed = system.run(hierarchy(json!(1), fails).team(team())).await.unwrap_err();
    assert!(failed.to_string().contains("nothing to be done"), "{failed}");
    let failed = system.run(hierarchy(json!(1), panics).team(team())).await.unwrap_err();
    assert!(failed.to_string().contains("the supervisor panicked: as told"), "{failed}");
}
