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
    events::{EventKind, Filter, Received},
    retry::Retries,
};
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailureKind,
        hierarchy::{
            AssignmentEnd, Decider, Decision, DecisionLevel, Failure, Lead, Plan, Rules, Subject,
            Supervise, Supervisor, TaskEnd, Team, TeamCard, hierarchy,
        },
    },
    system::AgentSystem,
};

use crate::hierarchy::{MINUTE, adds, numbers, system};

pub(crate) type Calls = Arc<Mutex<BTreeMap<u64, u64>>>;

pub(crate) fn count(calls: &Calls, n: u64) -> u64 {
    let mut calls = calls.lock().unwrap();
    let own = calls.entry(n).or_default();
    *own += 1;
    *own
}

/// An agent that panics at threes, so often; it counts what it is asked.
pub(crate) fn panics(
    system: &AgentSystem,
    name: &str,
    calls: &Calls,
    times: u64,
) -> Agent<u64, u64> {
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
pub(crate) struct Decides<F> {
    pub(crate) plan: Plan,
    pub(crate) decide: F,
}

impl<F: Fn(&Failure) -> Decision + Send + Sync + 'static> Supervise for Decides<F> {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        Ok(self.plan.clone())
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        (self.decide)(failure)
    }
}

pub(crate) fn all() -> Plan {
    Plan::new().assign(numbers("all", "a", 0..6))
}

pub(crate) fn nobody(failure: &Failure) -> Decision {
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
