//! Leaders of teams that end in mid-run, and assignments that no leader takes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use runtime::{
    child::ChildRef,
    events::{EventKind, Filter, Received, Subscription},
};
use serde_json::Value;
use synod_actors::{
    agent::Agent,
    pattern::hierarchy::{
        Assignment, AssignmentEnd, Decision, Delegation, Failure, Lead, Offer, Plan, Progress,
        Rules, Subject, TaskEnd, Team, hierarchy,
    },
    system::AgentSystem,
};

use crate::{
    hierarchy::{MINUTE, adds, numbers, system},
    hierarchy_levels::{Calls, Decides, all, count, nobody},
    until,
};

/// An agent that waits at threes until it is let go, the first time.
pub(crate) fn waits(system: &AgentSystem, calls: &Calls) -> Agent<u64, u64> {
    let calls = Arc::clone(calls);
    let agent = system.agent("waits", move |n: u64, _| {
        let first = count(&calls, n) == 1;
        async move {
            if n >= 3 && first {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>(n + 1)
        }
    });
    agent.concurrency(4).start().unwrap()
}

/// The actor of a run with this end of its name.
pub(crate) fn named(system: &AgentSystem, name: &str) -> Option<ChildRef> {
    let actors = system.node().actors().into_iter();
    let mut own = actors.filter(|actor| actor.name().starts_with("runs/"));
    own.find(|actor| actor.name().ends_with(name) && actor.ended().is_none())
}

fn completions(system: &AgentSystem) -> Subscription {
    let kinds = Filter::new().kinds([EventKind::TaskCompleted]);
    system.node().events().subscribe(kinds).unwrap()
}

/// Waits until the supervisor has heard of three of team a's tasks, which its leader then takes with it no more.
async fn three(told: &mut Subscription) {
    let mut heard = 0;
    while heard < 3 {
        let Some(Received::Event(event)) = told.next().await else { panic!("an event was missed") };
        heard += u32::from(event.data["team"] == "a");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_in_mid_run_is_started_again_and_its_team_goes_on() {
    for kill in ["leader", "worker"] {
        let (system, calls) = (system(), Calls::default());
        let agent = waits(&system, &calls);
        let plan = Plan::new().assign(numbers("all", "a", 0..4)).assign(numbers("b", "b", 0..2));
        let other = adds(&system, "adds", 1);
        let lives = Arc::<Mutex<Vec<(u32, u64)>>>::default();
        let seen = Arc::clone(&lives);
        let monitor = move |progress: &Progress<'_>| {
            if progress.team == "a" {
                seen.lock().unwrap().push((progress.life, progress.number));
            }
            None
        };
        let run = hierarchy(Value::Null, Decides { plan, decide: nobody })
            .team(Team::new("a").workers(1, &agent))
            .team(Team::new("b").workers(1, &other))
            .monitor(monitor);
        let mut told = completions(&system);
        let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
        let at_work = || calls.lock().unwrap().get(&3).is_some();
        until("it is at the last", at_work).await;
        three(&mut told).await;
        let name = if kill == "leader" { "/a" } else { "/a/waits-1" };
        named(&system, name).unwrap().kill();
        let done = handle.outcome().await.unwrap();
        // Calls that a leader took with it are not counted.
        let attempts = if kill == "leader" { 6 } else { 7 };
        assert_eq!((done.tally.done, done.tally.attempts), (6, attempts), "{kill}");
        let calls = calls.lock().unwrap().clone();
        assert_eq!(calls, BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 2)]), "{kill}");
        let lives = lives.lock().unwrap();
        assert!(lives.is_sorted(), "in order over all lives: {lives:?}");
        assert_eq!(lives.last().unwrap().0, if kill == "leader" { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_too_often_is_for_the_supervisor_to_decide_on() {
    let table = [
        (Decision::Retry, 6, "a"),
        (Decision::REASSIGN, 6, "b"),
        (Decision::Inform, 3, "a"),
        (Decision::Replan { plan: Plan::new().assign(numbers("new", "b", 0..3)) }, 3, "a"),
    ];
    for (decision, tasks, team) in table {
        let (system, calls) = (system(), Calls::default());
        let agent = waits(&system, &calls);
        let helps = adds(&system, "helps", 4);
        let wanted = decision.clone();
        let decide = move |failure: &Failure| {
            assert_eq!((failure.of, failure.team.as_str()), (Subject::Team(0), "a"));
            assert!(failure.error.to_string().contains("its leader ended too often: killed"));
            wanted.clone()
        };
        let rules = Rules { leader_restarts: (0, MINUTE), ..Rules::default() };
        let run = hierarchy(Value::Null, Decides { plan: all(), decide }).rules(rules);
        let run =
            run.team(Team::new("a").workers(3, &agent)).team(Team::new("b").workers(1, &helps));
        let mut told = completions(&system);
        let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
        let at_work = || (3..6).all(|n| calls.lock().unwrap().get(&n).is_some());
        until("all are at the last", at_work).await;
        three(&mut told).await;
        named(&system, "/a").unwrap().kill();
        let done = handle.outcome().await.unwrap();
        let all = done.value.assignment("all").unwrap();
        assert_eq!(all.tasks[5].team.as_deref(), Some(team), "{decision:?}");
        let by = all.tasks.iter().filter(|task| matches!(task.end, TaskEnd::Done { .. })).count();
        assert_eq!(by, tasks, "{decision:?}");
        if let Decision::Replan { .. } = decision {
            assert_eq!((done.tally.done, done.tally.units), (6, 6));
            assert_eq!(all.end, AssignmentEnd::Replaced);
        }
        assert_eq!(done.failed.len(), if decision == Decision::Inform { 3 } else { 0 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_that_no_team_takes_may_be_given_up_with_what_comes_after_it() {
    let system = system();
    let adds = adds(&system, "adds", 2);
    let plan = Plan::new()
        .assign(Assignment::new("x", Delegation::Bid).task("t", 1))
        .assign(numbers("y", "a", 0..1).after(["x"]))
        .assign(numbers("z", "a", 0..1));
    struct Silent;
    impl Lead for Silent {
        fn bid(&self, _: &Offer<'_>) -> Option<f64> {
            None
        }
    }
    for (decision, done) in
        [(Decision::Inform, 1), (Decision::Reassign { to: Some("a".to_owned()) }, 3)]
    {
        let decide = move |failure: &Failure| {
            assert_eq!((failure.of, failure.assignment.as_str()), (Subject::Assignment(0), "x"));
            decision.clone()
        };
        let run = hierarchy(Value::Null, Decides { plan: plan.clone(), decide });
        let run = run.team(Team::new("a").workers(1, &adds).leader(Silent));
        let ended = system.run(run).deadline(MINUTE).await.unwrap();
        assert_eq!((ended.tally.done, ended.failed.len() as u64), (done, 3 - done));
        let (x, y) = (ended.value.assignment("x").unwrap(), ended.value.assignment("y").unwrap());
        match done {
            1 => {
                let because = AssignmentEnd::Skipped { because: "x".to_owned() };
                assert!(matches!(&x.end, AssignmentEnd::Failed { why } if why.contains("bids")));
                assert_eq!(y.end, because);
                assert!(ended.failed[1].error.contains("`x` failed before it"));
            }
            _ => assert_eq!((&x.end, &y.end), (&AssignmentEnd::Done, &AssignmentEnd::Done)),
        }
    }
}
