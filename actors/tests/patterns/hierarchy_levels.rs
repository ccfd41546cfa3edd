//! Supervision of a hierarchy, level by level: a worker is started again, then its leader decides, then the supervisor, then the run ends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{
    child::ChildRef,
    events::{EventKind, Filter, Received},
    retry::Retries,
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailureKind,
        hierarchy::{
            Assignment, AssignmentEnd, Decider, Decision, DecisionLevel, Delegation, Failure,
            Happened, Lead, Plan, Progress, Rules, Subject, Supervise, Supervisor, TaskEnd, Team,
            TeamCard, hierarchy,
        },
    },
    system::AgentSystem,
};

use crate::{
    hierarchy::{MINUTE, adds, numbers, system},
    until,
};

type Calls = Arc<Mutex<BTreeMap<u64, u64>>>;

fn count(calls: &Calls, n: u64) -> u64 {
    let mut calls = calls.lock().unwrap();
    let own = calls.entry(n).or_default();
    *own += 1;
    *own
}

/// An agent that panics at threes, so often; it counts what it is asked.
fn panics(system: &AgentSystem, name: &str, calls: &Calls, times: u64) -> Agent<u64, u64> {
    let calls = Arc::clone(calls);
    let agent = system.agent(name, move |n: u64, _| {
        let panics = count(&calls, n) <= times && n == 3;
        async move {
            assert!(!panics, "as told");
            Ok::<_, String>(n + 1)
        }
    });
    agent.concurrency(4).start().unwrap()
}

/// An agent that fails at threes.
fn fails(system: &AgentSystem, name: &str, calls: &Calls) -> Agent<u64, u64> {
    let calls = Arc::clone(calls);
    let agent = system.agent(name, move |n: u64, _| {
        count(&calls, n);
        async move { if n == 3 { Err("no threes") } else { Ok(n + 1) } }
    });
    agent.concurrency(4).start().unwrap()
}

fn once() -> Rules {
    Rules { retries: Retries::NEVER, ..Rules::default() }
}

/// What a supervisor that has one plan decides, and what it was asked.
struct Decides<F> {
    plan: Plan,
    decide: F,
}

impl<F: Fn(&Failure) -> Decision + Send + Sync + 'static> Supervise for Decides<F> {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Ok(self.plan.clone())
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        (self.decide)(failure)
    }
}

fn all() -> Plan {
    Plan::new().assign(numbers("all", "a", 0..6))
}

fn nobody(failure: &Failure) -> Decision {
    panic!("nobody should be asked: {failure:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_crashes_is_started_again_and_its_task_runs_once_more_siblings_are_kept() {
    let (system, calls) = (system(), Calls::default());
    let agent = panics(&system, "panics", &calls, 1);
    let retried = Filter::new().kinds([EventKind::TaskRetried]);
    let mut retried = system.node().events().subscribe(retried).unwrap();
    let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody });
    let team = Team::new("a").workers(3, &agent).authority(DecisionLevel::Inform);
    let done = system.run(run.team(team)).deadline(MINUTE).await.unwrap();
    assert_eq!((done.tally.done, done.tally.attempts, done.tally.retries), (6, 7, 1));
    assert!(done.value.decisions.is_empty());
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls, BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 2), (4, 1), (5, 1)]));
    let Some(Received::Event(event)) = retried.try_next() else { panic!("not told") };
    assert_eq!((&event.data["task"], &event.data["name"]), (&json!(null), &json!("t3")));
    assert!(event.data["error"].as_str().unwrap().contains("as told"), "{}", event.data);
}

/// Notes what it is asked, and decides so.
struct Leads(Arc<Mutex<Vec<Failure>>>, Option<Decision>);

impl Lead for Leads {
    fn decide(&self, failure: &Failure) -> Option<Decision> {
        self.0.lock().unwrap().push(failure.clone());
        self.1.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_of_restarts_that_is_spent_is_for_the_leader_to_decide_on() {
    // Without a budget of restarts, and with one that a task may use once: either way its leader decides, and is obeyed.
    for (restarts, crashes, attempts) in [(0, 1, 2), (5, 2, 3)] {
        let (system, calls) = (system(), Calls::default());
        let agent = panics(&system, "panics", &calls, crashes);
        let asked = Arc::default();
        let lead = Leads(Arc::clone(&asked), Some(Decision::REASSIGN));
        let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody });
        let team = Team::new("a").workers(2, &agent).restarts(restarts, MINUTE).leader(lead);
        let done = system.run(run.team(team)).deadline(MINUTE).await.unwrap();
        assert_eq!((done.tally.done, done.tally.attempts), (6, 5 + attempts));
        let asked = asked.lock().unwrap();
        let [failure] = asked.as_slice() else { panic!("{asked:?}") };
        assert!(failure.crashed && failure.error.to_string().contains("as told"), "{failure:?}");
        assert_eq!((failure.others, u64::from(failure.attempts)), (1, attempts - 1));
        let [decided] = done.value.decisions.as_slice() else { panic!("{:?}", done.value) };
        assert_eq!((decided.by, decided.of), (Decider::Leader, Subject::Task(3)));
        let TaskEnd::Done { worker, .. } = &done.value.assignments[0].tasks[3].end else {
            panic!()
        };
        assert_ne!(*worker, failure.worker, "somebody else did it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_of_its_own_a_team_retries_then_reassigns_then_asks_the_supervisor() {
    let (system, calls) = (system(), Calls::default());
    let agent = fails(&system, "fails", &calls);
    let rules =
        Rules { retries: Retries { attempts: 2, ..Retries::default() }, ..Rules::default() };
    let decide = |failure: &Failure| {
        assert_eq!((failure.team.as_str(), failure.task.as_str()), ("a", "t3"));
        assert_eq!((failure.attempts, failure.others, failure.decisions), (4, 0, 3));
        assert_eq!((failure.crashed, failure.note.as_str()), (false, ""));
        Decision::Reassign { to: Some("b".to_owned()) }
    };
    let helps = adds(&system, "helps", 1);
    let run = hierarchy(Value::Null, Decides { plan: all(), decide }).rules(rules);
    let run = run.team(Team::new("a").workers(3, &agent)).team(Team::new("b").workers(1, &helps));
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    let levels: Vec<_> =
        done.value.decisions.iter().map(|own| (own.by, own.decision.level())).collect();
    let leader = |level| (Decider::Leader, level);
    assert_eq!(
        levels,
        [
            leader(DecisionLevel::Retry),
            leader(DecisionLevel::Reassign),
            leader(DecisionLevel::Reassign),
            (Decider::Supervisor, DecisionLevel::Reassign)
        ]
    );
    let task = &done.value.assignments[0].tasks[3];
    assert_eq!((task.team.as_deref(), done.tally.attempts), (Some("b"), 10));
    assert_eq!(calls.lock().unwrap()[&3], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_above_a_leaders_authority_is_for_the_supervisor_to_decide_on() {
    let wanted = [
        (Decision::Retry, DecisionLevel::Inform),
        (Decision::REASSIGN, DecisionLevel::Retry),
        (Decision::Replan { plan: all() }, DecisionLevel::Reassign),
        (Decision::Abort { why: "why".to_owned() }, DecisionLevel::Replan),
    ];
    for (decision, authority) in wanted {
        let (system, calls) = (system(), Calls::default());
        let agent = fails(&system, "fails", &calls);
        let lead = Leads(Arc::default(), Some(decision.clone()));
        let note =
            format!("its leader would {}, and may {authority} at the most", decision.level());
        let asked = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&asked);
        let decide = move |failure: &Failure| {
            seen.fetch_add(1, Ordering::SeqCst);
            assert_eq!(failure.note, note);
            Decision::Inform
        };
        let run = hierarchy(Value::Null, Decides { plan: all(), decide });
        let team = Team::new("a").workers(2, &agent).leader(lead).authority(authority);
        let done = system.run(run.team(team)).deadline(MINUTE).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let failed: Vec<_> = done.failed.iter().map(|part| part.name.as_str()).collect();
        assert_eq!((done.tally.done, failed), (5, vec!["all/t3"]));
        assert_eq!(done.value.output["all"].as_object().unwrap().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_may_be_let_to_replan_and_to_end_the_run() {
    let (system, calls) = (system(), Calls::default());
    let agent = fails(&system, "fails", &calls);
    let plan = || Plan::new().assign(numbers("other", "a", 7..9));
    let lead = Leads(Arc::default(), Some(Decision::Replan { plan: plan() }));
    let team = Team::new("a").workers(2, &agent).authority(DecisionLevel::Abort);
    let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody });
    let run = system.run(run.team(team.clone().leader(lead))).deadline(MINUTE);
    let done = run.await.unwrap();
    assert_eq!(done.value.output, json!({ "other": { "t7": 8, "t8": 9 } }));
    assert_eq!(done.value.assignment("all").unwrap().end, AssignmentEnd::Replaced);
    assert!(done.failed.is_empty());
    let lead = Leads(Arc::default(), Some(Decision::Abort { why: "it is no use".to_owned() }));
    let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody });
    let error = system.run(run.team(team.leader(lead))).deadline(MINUTE).await.unwrap_err();
    let aborted = FailureKind::Aborted {
        team: "a".to_owned(),
        task: "all/t3".to_owned(),
        why: "it is no use".to_owned(),
    };
    assert_eq!(error.kind, aborted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_above_the_supervisors_level_ends_the_run_with_team_task_and_reason() {
    let decisions = [
        (Decision::Retry, DecisionLevel::Inform),
        (Decision::REASSIGN, DecisionLevel::Retry),
        (Decision::Replan { plan: all() }, DecisionLevel::Reassign),
        (Decision::Abort { why: "why".to_owned() }, DecisionLevel::Replan),
    ];
    for (decision, level) in decisions {
        let (system, calls) = (system(), Calls::default());
        let agent = fails(&system, "fails", &calls);
        let wanted = decision.level();
        let own = Decides { plan: all(), decide: move |_: &Failure| decision.clone() };
        let run = hierarchy(Value::Null, Supervisor::new(own).level(level)).rules(once());
        let run = run.team(Team::new("a").workers(1, &agent));
        let error = system.run(run).deadline(MINUTE).await.unwrap_err();
        let FailureKind::Aborted { team, task, why } = &error.kind else { panic!("{error}") };
        assert_eq!((team.as_str(), task.as_str()), ("a", "all/t3"));
        let above = format!("to {wanted} is above what the supervisor may, which is to {level}");
        assert!(why.contains("no threes") && why.contains(&above), "{why}");
        assert_eq!(error.failed[0].name, "all/t3");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_that_are_in_vain_come_to_an_end() {
    let (system, calls) = (system(), Calls::default());
    let agent = fails(&system, "fails", &calls);
    let retries = Retries { attempts: 1, ..Retries::NEVER };
    let own = Decides { plan: all(), decide: |_: &Failure| Decision::Retry };
    let run = hierarchy(Value::Null, own).rules(Rules { retries, ..Rules::default() });
    let error = system.run(run.team(Team::new("a").workers(1, &agent))).await.unwrap_err();
    assert!(error.to_string().contains("32 decisions on it were in vain"), "{error}");
    assert_eq!(calls.lock().unwrap()[&3], 33);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_cannot_be_carried_out_ends_the_run_and_says_why() {
    let plan = || Plan::new().assign(numbers("x", "nobody", 0..1));
    let table = [
        (Decision::REASSIGN, "no other team can take it"),
        (
            Decision::Reassign { to: Some("b".to_owned()) },
            "it was reassigned to team `b`, which cannot take it",
        ),
        (
            Decision::Replan { plan: plan() },
            "the new plan is none: the plan: assignment `x` is for team `nobody`",
        ),
        (Decision::Replan { plan: Plan::new() }, "the plan has no assignments"),
    ];
    for (decision, expected) in table {
        let (system, calls) = (system(), Calls::default());
        let agent = fails(&system, "fails", &calls);
        let own = Decides { plan: all(), decide: move |_: &Failure| decision.clone() };
        let run = hierarchy(Value::Null, own).rules(once());
        let run = system.run(run.team(Team::new("a").workers(1, &agent))).deadline(MINUTE);
        let error = run.await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

/// The actor of a run with this end of its name.
fn named(system: &AgentSystem, name: &str) -> Option<ChildRef> {
    let actors = system.node().actors().into_iter();
    let mut own = actors.filter(|actor| actor.name().starts_with("runs/"));
    own.find(|actor| actor.name().ends_with(name) && actor.ended().is_none())
}

/// An agent that waits at threes until it is let go, the first time.
fn waits(system: &AgentSystem, calls: &Calls) -> Agent<u64, u64> {
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
        let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
        let at_work = || calls.lock().unwrap().get(&3).is_some();
        until("it is at the last", at_work).await;
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
        let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
        let at_work = || (3..6).all(|n| calls.lock().unwrap().get(&n).is_some());
        until("all are at the last", at_work).await;
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
        fn bid(&self, _: &synod_actors::pattern::hierarchy::Offer<'_>) -> Option<f64> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaders_agent_and_a_supervisors_agent_decide_too() {
    let (system, calls) = (system(), Calls::default());
    let agent = fails(&system, "fails", &calls);
    let leader = system.agent("leader", |ask: Value, _: CallContext| async move {
        match ask["failure"]["attempts"].as_u64() {
            Some(1) => Ok(json!({ "decision": "retry" })),
            Some(2) => Ok(json!({ "decision": "abort", "why": "too hard" })),
            Some(3) => Ok(Value::Null),
            _ => Err("what is that?"),
        }
    });
    let supervisor = system.agent("supervisor", |ask: Value, _: CallContext| async move {
        let failure = &ask["failure"];
        assert_eq!(
            (&ask["act"], &failure["error"]["error"]),
            (&json!("intervene"), &json!("failed"))
        );
        match failure["attempts"].as_u64() {
            Some(2) => {
                assert!(failure["note"].as_str().unwrap().contains("would abort"));
                Ok::<_, String>(json!({ "decision": "retry" }))
            }
            Some(3) => Ok(json!({ "decision": "reassign", "to": "a" })),
            _ => {
                assert!(failure["note"].as_str().unwrap().contains("what is that?"));
                Ok(json!({ "decision": "inform" }))
            }
        }
    });
    let led = Supervisor::new(all()).intervene_by(&supervisor.start().unwrap());
    let run = hierarchy(Value::Null, led)
        .team(Team::new("a").workers(2, &agent).led_by(&leader.start().unwrap()));
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    let levels: Vec<_> =
        done.value.decisions.iter().map(|own| (own.by, own.decision.level())).collect();
    assert_eq!(
        levels,
        [
            (Decider::Leader, DecisionLevel::Retry),
            (Decider::Supervisor, DecisionLevel::Retry),
            (Decider::Supervisor, DecisionLevel::Reassign),
            (Decider::Supervisor, DecisionLevel::Inform),
        ]
    );
    assert_eq!((calls.lock().unwrap()[&3], done.failed.len()), (4, 1));
    assert_eq!(done.failed[0].attempts, 4);
}

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
        let agent = self::panics(&system, "counts", &calls, 0);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_workers_agent_has_failed_at_goes_to_its_fallback_before_anyone_decides() {
    let (system, calls) = (system(), Calls::default());
    let heir = adds(&system, "heir", 1);
    let own = Arc::clone(&calls);
    let fails = system.agent("fails", move |n: u64, _| {
        count(&own, n);
        async move { if n == 3 { Err("no threes") } else { Ok(n + 1) } }
    });
    let fails = fails.fallback(&heir).start().unwrap();
    let run = hierarchy(Value::Null, Decides { plan: all(), decide: nobody });
    let run = run.team(Team::new("a").workers(2, &fails).authority(DecisionLevel::Inform));
    let done = system.run(run).deadline(Duration::from_secs(20)).await.unwrap();
    assert_eq!((done.tally.done, done.tally.fallbacks), (6, 1));
    assert_eq!(calls.lock().unwrap()[&3], 1);
}
