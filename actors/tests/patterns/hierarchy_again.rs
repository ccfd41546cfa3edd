//! Hierarchies that are cut off and taken up again: what is done, planned and decided stays so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    budget::Limits,
    engine::{journal::Journal, local::MemoryJournal},
    node::Node,
    retry::Retries,
};
use serde_json::{Value, json};
use synod_actors::{
    pattern::{
        FailureKind,
        hierarchy::{
            Assignment, Decision, Delegation, Failure, Hierarchy, Plan, Record, Recount, Report,
            Rules, Supervise, TaskEnd, Team, TeamCard, hierarchy, recount,
        },
    },
    system::AgentSystem,
};

use crate::hierarchy::{MINUTE, numbers};

/// Moments at which a run is cut off.
const MOMENTS: u64 = 60;
const TASKS: u64 = 8;

/// What was called how often: tasks by their number, then the acts of the supervisor.
#[derive(Default)]
struct Calls {
    tasks: [AtomicU64; 16],
    plans: AtomicU64,
    decisions: AtomicU64,
}

fn system(journal: &Arc<MemoryJournal>) -> AgentSystem {
    let journal = Arc::<MemoryJournal>::clone(journal);
    AgentSystem::start(Node::builder().journal(journal).open().unwrap())
}

/// Has the tasks that are for nobody given up.
struct Gives(Arc<Calls>);

impl Supervise for Gives {
    fn plan(&self, _: &Value, _: &[TeamCard]) -> Result<Plan, String> {
        self.0.plans.fetch_add(1, Ordering::SeqCst);
        let second = numbers("second", "b", TASKS..2 * TASKS).after(["first"]);
        let second = Assignment { to: Delegation::Load, ..second };
        Ok(Plan::new().assign(numbers("first", "a", 0..TASKS)).assign(second))
    }

    fn intervene(&self, failure: &Failure) -> Decision {
        self.0.decisions.fetch_add(1, Ordering::SeqCst);
        assert_eq!(failure.error.to_string(), "not fives");
        if failure.task == "t5" { Decision::Inform } else { Decision::REASSIGN }
    }
}

/// Two teams; from the fatal call on their agents hang. Fives fail at team a.
fn run(system: &AgentSystem, calls: &Arc<Calls>, fatal: u64) -> Hierarchy {
    let begun = Arc::new(AtomicU64::new(0));
    let agent = |name: &str, fails: bool| {
        let (calls, begun) = (Arc::clone(calls), Arc::clone(&begun));
        let agent = system.agent(name, move |n: u64, _| {
            calls.tasks[usize::try_from(n).unwrap()].fetch_add(1, Ordering::SeqCst);
            let hangs = begun.fetch_add(1, Ordering::SeqCst) >= fatal;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                if fails && n == 5 { Err("not fives") } else { Ok(n + 100) }
            }
        });
        agent.concurrency(3).start().unwrap()
    };
    let team = |name: &'static str, fails: bool| Team::new(name).workers(2, &agent(name, fails));
    let rules = Rules { retries: Retries::NEVER, ..Rules::default() };
    let run = hierarchy(json!("count"), Gives(Arc::clone(calls))).rules(rules);
    // Two agents may fail at it.
    run.team(team("a", true)).team(team("b", false))
}

fn records(journal: &MemoryJournal, run: RunId) -> Vec<Record> {
    let records = journal.read(run, 0, 10_000).unwrap();
    records.iter().map(|record| runtime::record::decode(record).unwrap()).collect()
}

/// The tasks that a journal knows as done, and whether it knows a plan and decisions of the supervisor.
fn known(journal: &MemoryJournal, run: RunId) -> (Vec<u64>, u64, u64) {
    let (mut done, mut plans, mut decisions) = (Vec::new(), 0, 0);
    for record in records(journal, run) {
        match record {
            Record::Done { unit, .. } => done.push(unit),
            Record::Planned { .. } => plans += 1,
            Record::Decided(_) => decisions += 1,
            Record::Began { .. }
            | Record::Delegated { .. }
            | Record::Failed { .. }
            | Record::Integrated { .. }
            | Record::Spent { .. }
            | Record::Ended(_) => {}
        }
    }
    (done, plans, decisions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hierarchy_cut_off_at_any_moment_does_nothing_again_that_it_has() {
    for moment in 0..MOMENTS {
        let (journal, calls) = (Arc::new(MemoryJournal::default()), Arc::new(Calls::default()));
        let before = system(&journal);
        let fatal = moment % (2 * TASKS + 2);
        let handle =
            before.run(run(&before, &calls, fatal)).deadline(MINUTE).start().await.unwrap();
        let id = handle.id();
        for _ in 0..moment * 5 {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let (done, plans, decisions) = known(&journal, id);
        let called: Vec<u64> = calls.tasks.iter().map(|n| n.load(Ordering::SeqCst)).collect();
        let (planned, decided) =
            (calls.plans.load(Ordering::SeqCst), calls.decisions.load(Ordering::SeqCst));
        let after = system(&journal);
        let again = after.run(run(&after, &calls, u64::MAX)).id(id).deadline(MINUTE);
        let ended = again.await.unwrap();
        let count = 2 * TASKS - 1;
        assert_eq!((ended.tally.done, ended.failed.len()), (count, 1), "cut off at {moment}");
        assert_eq!(ended.tally.resumed, done.len() as u64, "cut off at {moment}");
        assert_eq!(ended.value.output["second"]["t15"], json!(115));
        for unit in done {
            let now = calls.tasks[usize::try_from(unit).unwrap()].load(Ordering::SeqCst);
            assert_eq!(now, called[usize::try_from(unit).unwrap()], "task {unit} was done again");
        }
        let (plans_now, decisions_now) =
            (calls.plans.load(Ordering::SeqCst), calls.decisions.load(Ordering::SeqCst));
        assert_eq!(plans_now, planned + u64::from(plans == 0), "cut off at {moment}");
        if decisions >= 2 {
            assert_eq!(decisions_now, decided, "cut off at {moment}");
        }
        // The leader has the five given to its other worker, then the supervisor has it given up.
        let (done, plans, decisions) = known(&journal, id);
        assert_eq!(
            (done.len() as u64, plans, decisions),
            (count, 1, 2),
            "each is written down once"
        );
        assert_eq!(ended.value.decisions.len(), 2, "cut off at {moment}");
        let given = |record: &Record| {
            if let Record::Delegated { assignment, team } = record {
                Some((*assignment, *team))
            } else {
                None
            }
        };
        let delegated: Vec<_> = records(&journal, id).iter().filter_map(given).collect();
        assert_eq!(delegated.len(), 2, "cut off at {moment}: {delegated:?}");
        // Whoever asks for the run again is told the same.
        let third = after.run(run(&after, &calls, u64::MAX)).id(id).deadline(MINUTE).await.unwrap();
        assert_eq!((third.value.output, third.tally.attempts), (ended.value.output, 0));
        after.node().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hierarchy_is_taken_up_with_the_same_teams_and_mission_or_not_at_all() {
    let (journal, calls) = (Arc::new(MemoryJournal::default()), Arc::new(Calls::default()));
    let system = system(&journal);
    let cut = system.run(run(&system, &calls, 3)).deadline(Duration::from_secs(1)).await;
    let cut = cut.unwrap_err();
    assert!(matches!(cut.kind, FailureKind::TimedOut { done: 3, units: 16, .. }), "{cut}");
    let partial = cut.partial.unwrap();
    assert_eq!(partial.assignment("first").unwrap().tasks.len(), 8, "{partial:?}");
    let other = hierarchy(json!("other"), Gives(Arc::clone(&calls)));
    let agent = crate::hierarchy::adds(&system, "x", 1);
    let wrong = system.run(other.team(Team::new("a").workers(1, &agent))).id(cut.run).await;
    let wrong = wrong.unwrap_err().to_string();
    let teams = "began with the teams a (a-1, a-2), b (b-1, b-2), not a (x-1)";
    assert!(wrong.contains(teams), "{wrong}");
    let same = run(&system, &calls, u64::MAX);
    let done = system.run(same).id(cut.run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.tally.done, done.tally.resumed), (15, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_goes_on_with_what_its_budget_has_left() {
    let journal = Arc::new(MemoryJournal::default());
    let limits = || Limits { messages: Some(12), ..Limits::default() };
    let (mut called, mut id) = (0, None);
    for life in 0..2 {
        let (system, calls) = (system(&journal), Arc::new(Calls::default()));
        let fatal = if life == 0 { 5 } else { u64::MAX };
        let described = system.run(run(&system, &calls, fatal)).limits(limits());
        let described = match id {
            Some(id) => described.id(id).deadline(MINUTE),
            None => described.deadline(Duration::from_secs(1)),
        };
        let error = described.await.unwrap_err();
        id = Some(error.run);
        called += calls.tasks.iter().map(|calls| calls.load(Ordering::SeqCst)).sum::<u64>();
        if life == 1 {
            assert!(matches!(error.kind, FailureKind::OverBudget { .. }), "{error}");
        }
        system.node().close().await.unwrap();
    }
    // Tasks that were paid and had no worker yet when the first life ended were not called.
    assert!((9..=12).contains(&called), "{called}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_made_together_are_written_down_as_spent_once_and_before_any_of_them() {
    const RUN: RunId = RunId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003);
    let spent = |journal: &MemoryJournal| {
        let records = records(journal, RUN).into_iter();
        let spent = records.filter_map(|record| {
            if let Record::Spent(cost) = record { Some(cost.messages) } else { None }
        });
        spent.collect::<Vec<u64>>()
    };
    let (journal, calls) = (Arc::new(MemoryJournal::default()), Arc::<AtomicU64>::default());
    let (system, seen, begun) = (system(&journal), Arc::clone(&journal), Arc::clone(&calls));
    let agent = system.agent("counts", move |n: u64, _| {
        let call = begun.fetch_add(1, Ordering::SeqCst) + 1;
        let known = spent(&seen).pop().unwrap_or(0);
        async move { if known >= call { Ok(n) } else { Err(format!("call {call} of {known}")) } }
    });
    let plan = Plan::new()
        .assign(numbers("one", "a", 0..3))
        .assign(numbers("two", "a", 3..5).after(["one"]));
    let team = Team::new("a").workers(2, &agent.start().unwrap());
    let run = system.run(hierarchy(Value::Null, plan).team(team)).id(RUN).deadline(MINUTE);
    let limits = Limits { messages: Some(9), ..Limits::default() };
    let done = run.limits(limits).await.unwrap();
    assert!(done.failed.is_empty() && calls.load(Ordering::SeqCst) == 5, "{:?}", done.failed);
    assert_eq!(spent(&journal), [3, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_alone_tells_what_the_run_told_as_far_as_it_came() {
    let (journal, calls) = (Arc::new(MemoryJournal::default()), Arc::new(Calls::default()));
    let system = system(&journal);
    let whole = system.run(run(&system, &calls, u64::MAX)).deadline(MINUTE).await.unwrap();
    assert_eq!(recount(&*journal, whole.run), Ok(whole.value.clone()));
    assert_eq!(whole.value.decisions.len(), 2);
    let cut = system.run(run(&system, &calls, 3)).deadline(Duration::from_secs(1)).await;
    let cut = cut.unwrap_err();
    let told = recount(&*journal, cut.run).unwrap();
    let done = |report: &Report| {
        let tasks = report.assignments.iter().flat_map(|own| &own.tasks);
        tasks.filter(|task| matches!(task.end, TaskEnd::Done { .. })).count()
    };
    assert_eq!((done(&told), told.assignments.len()), (3, 2));
    assert_eq!(told.output, json!(null));
    assert_eq!(Some(told), cut.partial);
    // At any moment before that too.
    let all = records(&journal, whole.run);
    let mut last = 0;
    for end in 0..=all.len() {
        let mut recount = Recount::default();
        all[..end].iter().for_each(|record| recount.take(record.clone()).unwrap());
        let now = done(&recount.report());
        assert!(now == last || now == last + 1, "{now} after {last}");
        last = now;
    }
    assert_eq!(last, 15);
}

#[test]
fn records_of_what_was_never_planned_are_no_hierarchy() {
    let done = Record::Delegated { assignment: 0, team: 0 };
    assert_eq!(Recount::default().take(done).unwrap_err(), "assignment 0 was never planned");
    let json = json!({ "record": "done", "unit": 3, "team": 0, "worker": 0, "attempts": 1, "at": 0, "micros": 0, "output": null });
    let done: Record = serde_json::from_value(json).unwrap();
    assert_eq!(Recount::default().take(done).unwrap_err(), "the run has no team 0");
}
