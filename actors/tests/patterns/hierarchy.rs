//! Hierarchies of real agents: planned, delegated, reported, put together; and what is refused.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{
    events::{EventKind, Filter, Received},
    node::Node,
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailureKind,
        hierarchy::{
            Assignment, AssignmentEnd, Decision, Delegation, Happened, Hierarchy, Lead, Offer,
            Plan, Progress, Report, Results, Supervise, Supervisor, TaskEnd, Team, TeamCard,
            hierarchy,
        },
    },
    system::AgentSystem,
};

use crate::until;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

/// Says one more than it is given.
pub(crate) fn adds(system: &AgentSystem, name: &str, places: u32) -> Agent<u64, u64> {
    let agent = system.agent(name, |n: u64, _| async move { Ok::<_, String>(n + 1) });
    agent.concurrency(places).start().unwrap()
}

/// An assignment to a team by name, with tasks that are numbers.
pub(crate) fn numbers(name: &str, team: &str, of: std::ops::Range<u64>) -> Assignment {
    let assignment = Assignment::new(name, Delegation::team(team));
    of.fold(assignment, |assignment, n| assignment.task(format!("t{n}"), n))
}

/// The team that an assignment went to.
fn team_of<'a>(report: &'a Report, assignment: &str) -> Option<&'a str> {
    report.assignment(assignment)?.team.as_deref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mission_is_planned_delegated_done_and_put_together() {
    let system = system();
    let adds = adds(&system, "adds", 4);
    let sums = system.agent("sums", |numbers: Vec<u64>, _| async move {
        Ok::<_, String>(numbers.iter().sum::<u64>())
    });
    let sums = sums.start().unwrap();
    let plan = |mission: &Value, teams: &[TeamCard]| {
        assert_eq!((teams.len(), teams[0].workers, &*teams[1].specialisation), (2, 3, "sums"));
        let upto = mission["upto"].as_u64().ok_or("no number")?;
        let sum = Assignment::new("sum", Delegation::specialisation("sums"));
        let sum = sum.after(["low", "high"]).task("all", Value::Null);
        let low = numbers("low", "adders", 0..upto / 2);
        Ok(Plan::new().assign(sum).assign(low).assign(numbers("high", "adders", upto / 2..upto)))
    };
    let adders = Team::new("adders").workers(3, &adds);
    let summers = Team::new("summers").specialisation("sums").workers_with(1, &sums, |errand| {
        let done = errand.before.iter().flat_map(|result| &result.outputs);
        done.map(|(_, output)| output.as_u64().ok_or_else(|| "no number".to_owned())).collect()
    });
    let mut events = system.node().events().subscribe(Filter::new()).unwrap();
    let run = hierarchy(json!({ "upto": 10 }), plan).team(adders).team(summers).name("sum up");
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value.output["sum"], json!({ "all": 55 }));
    assert_eq!(done.value.output["low"]["t3"], json!(4));
    assert_eq!(done.value.task("high", "t9"), Some(&json!(10)));
    let tally = &done.tally;
    assert_eq!((tally.units, tally.done, tally.attempts, tally.retries), (11, 11, 11, 0));
    assert_eq!(team_of(&done.value, "sum"), Some("summers"));
    let TaskEnd::Done { worker, attempts, .. } = &done.value.assignments[0].tasks[0].end else {
        panic!("{:?}", done.value)
    };
    assert_eq!((worker.as_str(), *attempts), ("sums-1", 1));
    let mut kinds: Vec<String> = Vec::new();
    while let Some(Received::Event(event)) = events.try_next() {
        if event.run == Some(done.run) {
            kinds.push(event.kind.to_string());
        }
    }
    let count = |kind: EventKind| kinds.iter().filter(|own| **own == kind.as_str()).count();
    assert_eq!((kinds[0].as_str(), kinds.last().unwrap().as_str()), ("run_started", "run_ended"));
    assert_eq!((count(EventKind::Delegated), count(EventKind::TaskCreated)), (3, 1));
    assert_eq!((count(EventKind::TaskAssigned), count(EventKind::TaskCompleted)), (11, 11));
    until("all places are free, and no timer is left", || system.node().pending_timers() == 0)
        .await;
}

/// Bids what it is made with.
struct Bids(Option<f64>);

impl Lead for Bids {
    fn bid(&self, offer: &Offer<'_>) -> Option<f64> {
        assert_eq!((offer.tasks, offer.workers), (2, 1));
        self.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_goes_to_the_team_that_its_delegation_means() {
    let system = system();
    let agent = adds(&system, "adds", 8);
    let team = |name: &'static str, bid: Option<f64>| {
        Team::new(name).workers(1, &agent).specialisation("sums").leader(Bids(bid))
    };
    // Bids by team, in an order that is not that of their names; who has it; what the delegation is.
    let bid = Delegation::Bid;
    let sums = Delegation::specialisation("sums");
    let table: [([Option<f64>; 3], &str, &Delegation); 7] = [
        ([Some(2.0), Some(1.0), Some(3.0)], "b", &bid),
        ([Some(2.0), Some(2.0), Some(2.0)], "a", &bid),
        ([None, Some(f64::NAN), Some(9.0)], "c", &bid),
        ([Some(-1.0), Some(f64::INFINITY), Some(0.0)], "c", &bid),
        ([None; 3], "b", &Delegation::team("b")),
        ([None; 3], "a", &Delegation::Load),
        ([None; 3], "a", &sums),
    ];
    for (bids, expected, to) in table {
        let assignment = Assignment::new("x", to.clone()).task("one", 1).task("two", 2);
        let run = hierarchy(Value::Null, Plan::new().assign(assignment))
            .team(team("c", bids[2]))
            .team(team("a", bids[0]))
            .team(team("b", bids[1]));
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        assert_eq!(team_of(&done.value, "x"), Some(expected), "{to:?} {bids:?}");
    }
    let none = Assignment::new("x", bid).task("one", 1).task("two", 2);
    let run = hierarchy(Value::Null, Plan::new().assign(none)).team(team("a", None));
    let error = system.run(run).deadline(MINUTE).await.unwrap_err();
    let FailureKind::Aborted { team, task, why } = &error.kind else { panic!("{error}") };
    assert_eq!((team.as_str(), task.as_str()), ("", "x"));
    assert!(why.contains("no team bids for it"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_least_loaded_team_is_that_with_the_fewest_open_tasks_a_worker() {
    let system = system();
    let hangs = system.agent("hangs", |_: u64, _| std::future::pending::<Result<u64, String>>());
    let hangs = hangs.start().unwrap();
    let team = |name: &'static str, workers| Team::new(name).workers(workers, &hangs);
    let tasks = |name: &str, to, count| {
        (0..count).fold(Assignment::new(name, to), |all, n| all.task(format!("t{n}"), n))
    };
    // Two workers with three tasks have less to do than one with two.
    let plan = Plan::new()
        .assign(tasks("one", Delegation::team("a"), 2))
        .assign(tasks("two", Delegation::team("b"), 3))
        .assign(tasks("three", Delegation::Load, 1))
        .assign(tasks("four", Delegation::Load, 1));
    let run = hierarchy(Value::Null, plan).team(team("a", 1)).team(team("b", 2));
    let error = system.run(run).deadline(Duration::from_millis(300)).await.unwrap_err();
    let report = error.partial.unwrap();
    // Then both have two a worker, and the name decides.
    assert_eq!((team_of(&report, "three"), team_of(&report, "four")), (Some("b"), Some("a")));
}

/// What was reported, as far as it concerns order: team, life, number, task, what.
type Reports = Arc<Mutex<Vec<(String, u32, u64, String, &'static str)>>>;

fn watches(reports: &Reports) -> impl Fn(&Progress<'_>) -> Option<Decision> + use<> {
    let reports = Arc::clone(reports);
    move |progress: &Progress<'_>| {
        let what = match progress.what {
            Happened::Began => "began",
            Happened::Done { .. } => "done",
            Happened::Crashed { .. } => "crashed",
            Happened::Failed { .. } => "failed",
        };
        let (team, task) = (progress.team.to_owned(), progress.task.to_owned());
        reports.lock().unwrap().push((team, progress.life, progress.number, task, what));
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_arrives_in_order_for_each_team() {
    let system = system();
    let agent = adds(&system, "adds", 8);
    let reports = Reports::default();
    let plan = ["a", "b", "c"]
        .iter()
        .fold(Plan::new(), |plan, team| plan.assign(numbers(team, team, 0..40)));
    let run = ["a", "b", "c"]
        .iter()
        .fold(hierarchy(Value::Null, plan), |run, team| {
            run.team(Team::new(*team).workers(4, &agent))
        })
        .monitor(watches(&reports));
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!(done.tally.done, 120);
    let reports = reports.lock().unwrap();
    for team in ["a", "b", "c"] {
        let own = || reports.iter().filter(|(of, ..)| of == team);
        let numbers: Vec<u64> = own().map(|(_, _, number, ..)| *number).collect();
        assert_eq!(numbers, (1..=80).collect::<Vec<u64>>(), "team {team}");
        for task in 0..40 {
            let name = format!("t{task}");
            let way: Vec<_> =
                own().filter(|(_, _, _, of, _)| *of == name).map(|own| own.4).collect();
            assert_eq!(way, ["began", "done"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_the_supervisor_its_leaders_and_their_workers() {
    let system = system();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let hangs = system.agent("hangs", move |_: u64, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Result<u64, String>>()
    });
    let hangs = hangs.concurrency(9).start().unwrap();
    let plan = Plan::new().assign(numbers("x", "a", 0..2)).assign(numbers("y", "b", 0..1));
    let run = hierarchy(Value::Null, plan)
        .team(Team::new("a").workers(2, &hangs))
        .team(Team::new("b").workers(1, &hangs));
    let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
    until("all are at work", || calls.load(Ordering::SeqCst) == 3).await;
    let graph = system.node().observed_graph(MINUTE).await;
    let top = graph.named(&format!("runs/{}", handle.id())).unwrap();
    let below = |id| {
        let below = graph.actors.iter().filter(move |actor| actor.parent == Some(id));
        below.map(|actor| (actor.name.rsplit('/').next().unwrap().to_owned(), actor.id))
    };
    let teams: Vec<_> = below(top.id).collect();
    let names: Vec<&str> = teams.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let workers: Vec<String> = below(teams[0].1).map(|(name, _)| name).collect();
    assert_eq!(workers, ["hangs-1", "hangs-2"]);
    handle.canceller().cancel();
    handle.outcome().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_may_plan_lead_bid_and_put_together() {
    let system = system();
    let supervisor = system.agent("supervisor", |ask: Value, cx: CallContext| async move {
        if cx.attempt == 1 {
            return Err("not at first".to_owned());
        }
        match ask["act"].as_str() {
            Some("plan") => Ok(json!({ "assignments": [
                { "name": "draft", "to": "bid", "input": ask["mission"] },
                { "name": "print", "to": { "team": "printers" }, "after": ["draft"],
                  "tasks": [{ "name": "copy", "input": 3 }] },
            ] })),
            Some("integrate") => Ok(json!({
                "by": ask["results"]["draft"]["team"],
                "draft": ask["results"]["draft"]["outputs"]["draft"],
                "copies": ask["results"]["print"]["outputs"]["copy"],
                "teams": ask["teams"],
            })),
            other => Err(format!("what is {other:?}?")),
        }
    });
    let supervisor = supervisor.start().unwrap();
    let leader = |name: &'static str, bid: f64| {
        let agent = system.agent(name, move |ask: Value, _: CallContext| async move {
            match ask["act"].as_str() {
                Some("bid") => Ok(json!(bid)),
                Some("lead") => Ok(json!(format!("{}!", ask["input"].as_str().unwrap_or("?")))),
                other => Err(format!("what is {other:?}?")),
            }
        });
        agent.start().unwrap()
    };
    let printer = adds(&system, "printer", 1);
    let led = Supervisor::planned_by(&supervisor).integrate_by(&supervisor);
    let run = hierarchy("a letter", led)
        .team(Team::new("dear").led_by(&leader("dear", 7.0)))
        .team(Team::new("cheap").led_by(&leader("cheap", 1.5)))
        .team(Team::new("printers").workers(1, &printer));
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    let expected = json!({ "by": "cheap", "draft": "a letter!", "copies": 4, "teams": null });
    assert_eq!(done.value.output, expected);
    assert_eq!((done.tally.units, done.tally.done), (2, 2));
    let draft = &done.value.assignment("draft").unwrap().tasks[0].end;
    assert!(matches!(draft, TaskEnd::Done { worker, .. } if worker == "leader"), "{draft:?}");
}

/// Puts nothing together until it was asked so often.
struct Slow(AtomicU64);

impl Supervise for Slow {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Ok(Plan::new().assign(numbers("x", "a", 0..1)))
    }

    fn integrate(&self, _: &Value, results: &Results) -> Result<Value, String> {
        match (self.0.fetch_add(1, Ordering::SeqCst), results.get("y")) {
            (0, _) => Err("not at first".to_owned()),
            (_, None) => Err("there is no y".to_owned()),
            (_, Some(y)) => Ok(y.output("t1").cloned().unwrap_or_default()),
        }
    }

    fn intervene(&self, failure: &synod_actors::pattern::hierarchy::Failure) -> Decision {
        match failure.error.to_string().as_str() {
            "not at first" => Decision::Retry,
            _ => {
                Decision::Replan { plan: Plan::new().assign(numbers("y", "a", 1..2).after(["x"])) }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_cannot_be_put_together_are_put_together_again_or_replanned_for() {
    let system = system();
    let agent = adds(&system, "adds", 1);
    let team = || Team::new("a").workers(1, &agent);
    let run = hierarchy(Value::Null, Slow(AtomicU64::new(0))).team(team());
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value.output, done.value.decisions.len()), (json!(2), 2));
    assert_eq!(done.value.assignments[0].end, AssignmentEnd::Done);
    struct Never;
    impl Supervise for Never {
        fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
            Ok(Plan::new().assign(numbers("x", "a", 0..1)))
        }
        fn integrate(&self, _: &Value, _: &Results) -> Result<Value, String> {
            Err("never".to_owned())
        }
    }
    let run: Hierarchy = hierarchy(Value::Null, Never).team(team());
    let error = system.run(run).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(&error.kind, FailureKind::Reduce { why } if why == "never"), "{error}");
    assert_eq!(error.partial.unwrap().task("x", "t0"), Some(&json!(1)));
}
