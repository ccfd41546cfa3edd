//! Patterns below a hierarchy: a team whose worker runs a map_reduce whose reducer is a vote, one that is a swarm, and a leader that
//! asks for a vote.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::budget::Limits;
use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailureKind,
        consensus::{Opinion, Proposal, Request, Voter, consensus},
        hierarchy::{
            Assignment, Decider, Decision, Delegation, Hierarchy, Plan, Report, TaskEnd, Team,
            hierarchy,
        },
        swarm::Swarm,
    },
    swarm::{
        detect::{Detector, Finding, Sight},
        path::{Convergence, PathColony},
        terrain::Grid,
    },
    system::AgentSystem,
};

use crate::{
    compose::{Seen, Spans, TEXT, everybody, judge, nobody, world},
    hierarchy::MINUTE,
};

fn top(system: &AgentSystem, seen: &Arc<Seen>, hangs: fn(&str) -> bool) -> Hierarchy {
    let assignment = Assignment::new("judge", Delegation::Load).task("text", TEXT);
    let team = Team::new("judges").workers(1, &judge(system, seen, hangs));
    hierarchy(Value::Null, Plan::new().assign(assignment)).team(team)
}

#[test]
fn a_worker_may_run_a_map_reduce_whose_reducer_is_a_vote_and_the_trace_shows_one_tree() {
    let (world, system) = world(1);
    let (seen, spans) = (Arc::<Seen>::default(), Spans::default());
    let done = tracing::subscriber::with_default(spans.clone(), || {
        let run = system.run(top(&system, &seen, nobody)).deadline(MINUTE);
        world.block_on(async move { run.await }, MINUTE).expect("it ends").unwrap()
    });
    let decision = &done.value.output["judge"]["text"];
    assert_eq!(decision["outcome"], json!({ "outcome": "consensus", "choice": "long" }));
    assert_eq!((seen.counted.load(Ordering::SeqCst), seen.asked()), (3, 3));
    let way = [r#""consensus""#, r#""map_reduce""#, r#""hierarchy""#];
    assert_eq!(spans.way_up("consensus"), way);
}

#[test]
fn a_cancel_of_a_hierarchy_reaches_the_bottom_within_100_ms_and_nothing_is_done_afterwards() {
    for seed in 0..20 {
        let (world, system) = world(seed);
        let seen = Arc::<Seen>::default();
        let run = system.run(top(&system, &seen, everybody)).deadline(MINUTE);
        let (outside, at_work) = (world.clone(), Arc::clone(&seen));
        let cancelled = async move {
            let handle = run.start().await.unwrap();
            while at_work.asked() < 3 {
                outside.wait(Duration::from_millis(1)).await;
            }
            let began = outside.now();
            handle.canceller().cancel();
            while at_work.dropped.load(Ordering::SeqCst) < 3 {
                outside.wait(Duration::from_millis(1)).await;
            }
            (outside.now().since(began), handle.outcome().await)
        };
        let (took, outcome) = world.block_on(cancelled, MINUTE).expect("it ends");
        assert!(took <= Duration::from_millis(100), "{took:?}, seed {seed}");
        let kind = outcome.unwrap_err().kind;
        assert!(matches!(kind, FailureKind::Cancelled { done: 0, units: 1 }), "{kind}");
        world.run_for(MINUTE);
        assert_eq!((seen.counted.load(Ordering::SeqCst), seen.asked()), (3, 3));
        let graph = system.graph();
        let left = graph.actors.iter().filter(|actor| actor.name.starts_with("runs/")).count();
        assert_eq!((left, system.node().pending_timers()), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_budget_of_a_hierarchy_is_that_of_all_below() {
    for (messages, enough) in [(7, true), (6, false)] {
        let (world, system) = world(2);
        let seen = Arc::<Seen>::default();
        // One call of the worker, three of lines, three of voters.
        let limits = Limits { messages: Some(messages), ..Limits::default() };
        let run = system.run(top(&system, &seen, nobody)).deadline(MINUTE).limits(limits);
        let outcome = world.block_on(async move { run.await }, MINUTE).expect("it ends");
        match outcome {
            Ok(done) => assert_eq!((enough, done.failed.len()), (true, 0)),
            Err(error) => {
                assert!(matches!(error.kind, FailureKind::OverBudget { .. }), "{error}");
                assert!(!enough);
            }
        }
        assert!(seen.counted.load(Ordering::SeqCst) + seen.asked() < messages);
    }
}

/// Ants that look for the way across a map of so many cells a side.
fn colony(side: u32) -> PathColony {
    PathColony::new(Grid::new(side, side).unwrap().terrain(), 0, side * side - 1).ants(5)
}

#[test]
fn one_team_may_judge_and_another_be_a_swarm_and_both_are_in_one_trace() {
    let (world, system) = world(3);
    let (seen, spans) = (Arc::<Seen>::default(), Spans::default());
    let ants = system.pattern_agent("ants", |side: u32, _: CallContext| {
        let swarm = Swarm::new(colony(side)).ticks(200).seed(7).agents_per_actor(2);
        swarm.detector(Convergence::default())
    });
    let plan = Plan::new()
        .assign(Assignment::new("judge", Delegation::team("judges")).task("text", TEXT))
        .assign(Assignment::new("walk", Delegation::team("walkers")).task("six", 6));
    let run = hierarchy(Value::Null, plan)
        .team(Team::new("judges").workers(1, &judge(&system, &seen, nobody)))
        .team(Team::new("walkers").workers(1, &ants.start().unwrap()));
    let done = tracing::subscriber::with_default(spans.clone(), || {
        let run = system.run(run).deadline(MINUTE);
        world.block_on(async move { run.await }, MINUTE).expect("it ends").unwrap()
    });
    let walked = done.value.task("walk", "six").unwrap();
    // Five steps along the diagonal.
    let shortest = 5.0 * std::f64::consts::SQRT_2;
    assert!((walked["best"]["cost"].as_f64().unwrap() - shortest).abs() < 1e-9, "{walked}");
    assert_eq!(done.value.output["judge"]["text"]["outcome"]["choice"], "long");
    assert_eq!(spans.way_up("swarm"), [r#""swarm""#, r#""hierarchy""#]);
    let way = [r#""consensus""#, r#""map_reduce""#, r#""hierarchy""#];
    assert_eq!(spans.way_up("consensus"), way);
}

/// Cancels the run above from within a tick of the swarm: in the simulation ticks take no time.
struct Cuts(Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>);

impl Detector<PathColony> for Cuts {
    fn detect(&self, _: &PathColony, sight: Sight<'_, PathColony>) -> Finding<Vec<u32>> {
        if let Some(cancel) = self.0.get().filter(|_| sight.tick > 20) {
            cancel();
        }
        Finding::Nothing
    }
}

#[test]
fn a_cancel_of_a_hierarchy_ends_the_swarm_below_within_100_ms() {
    for seed in 0..5 {
        let (world, system) = world(seed);
        let (cut, began) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
        let cuts = Arc::clone(&cut);
        let ants = system.pattern_agent("ants", move |side: u32, _: CallContext| {
            Swarm::new(colony(side))
                .ticks(20_000)
                .agents_per_actor(2)
                .detector(Cuts(Arc::clone(&cuts)))
        });
        let plan = Plan::new().assign(Assignment::new("walk", Delegation::Load).task("four", 4));
        let team = Team::new("walkers").workers(1, &ants.start().unwrap());
        let run = system.run(hierarchy(Value::Null, plan).team(team)).deadline(MINUTE);
        let (outside, since, below) = (world.clone(), Arc::clone(&began), system.clone());
        let hosts = move || {
            let actors = below.graph().actors.into_iter();
            actors.filter(|own| own.name.contains("/agents-")).count()
        };
        let cancelled = async move {
            let handle = run.start().await.unwrap();
            let (canceller, clock) = (handle.canceller(), outside.clone());
            let cancel = move || {
                since.get_or_init(|| clock.now());
                canceller.cancel();
            };
            assert!(cut.set(Box::new(cancel)).is_ok());
            let outcome = handle.outcome().await;
            while hosts() > 0 {
                outside.wait(Duration::from_millis(1)).await;
            }
            (outside.now(), outcome)
        };
        let (ended, outcome) = world.block_on(cancelled, MINUTE).expect("it ends");
        let kind = outcome.unwrap_err().kind;
        assert!(matches!(kind, FailureKind::Cancelled { done: 0, units: 1 }), "{kind}");
        let took = ended.since(*began.get().expect("the swarm was at work"));
        assert!(took <= Duration::from_millis(100), "{took:?}, seed {seed}");
        world.run_for(MINUTE);
        let graph = system.graph();
        let left = graph.actors.iter().filter(|actor| actor.name.starts_with("runs/")).count();
        assert_eq!((left, system.node().pending_timers()), (0, 0), "seed {seed}");
    }
}

/// A leader that has three voters vote on whether what failed is tried again; so many of them are for it.
fn chair(system: &AgentSystem, yes: usize) -> Agent<Value, Value> {
    let voters: Vec<_> = ["ann", "bob", "cid"]
        .into_iter()
        .enumerate()
        .map(|(number, name)| {
            let choice = if number < yes { "retry" } else { "inform" };
            let voter = system.agent(name, move |request: Request, _| async move {
                assert_eq!(request.proposal.data["task"], "t");
                Ok::<_, String>(Opinion::one(choice))
            });
            (Voter::new(name), voter.start().unwrap())
        })
        .collect();
    let chair = system.agent("chair", move |ask: Value, cx: CallContext| {
        let again = Proposal::new("Again?", ["retry", "inform"]).data(ask["failure"].clone());
        let vote = consensus(again, voters.clone());
        async move {
            let done = cx.run("vote", vote).await.map_err(|error| error.to_string())?;
            let choice = done.value.outcome.choice().ok_or("they did not agree")?;
            Ok::<_, String>(json!({ "decision": choice }))
        }
    });
    chair.start().unwrap()
}

#[test]
fn a_leader_may_ask_for_a_vote_on_what_failed() {
    for (yes, attempts) in [(2, 2), (1, 1)] {
        let (world, system) = world(5);
        let (spans, calls) = (Spans::default(), Arc::<AtomicU64>::default());
        let counts = Arc::clone(&calls);
        let once = system.agent("once", move |n: u64, _| {
            let is_first = counts.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if is_first { Err("not today".to_owned()) } else { Ok(n + 1) } }
        });
        let plan = Plan::new().assign(Assignment::new("all", Delegation::Load).task("t", 1));
        let team = Team::new("team").workers(1, &once.start().unwrap());
        let run = hierarchy(Value::Null, plan).team(team.led_by(&chair(&system, yes)));
        let done = tracing::subscriber::with_default(spans.clone(), || {
            let run = system.run(run).deadline(MINUTE);
            world.block_on(async move { run.await }, MINUTE).expect("it ends").unwrap()
        });
        let Report { assignments, decisions, .. } = done.value;
        let decided: Vec<_> = decisions.iter().map(|own| (own.by, &own.decision)).collect();
        let (decision, output) = match yes {
            2 => (Decision::Retry, Some(json!(2))),
            _ => (Decision::Inform, None),
        };
        assert_eq!(decided, [(Decider::Leader, &decision)]);
        let end = &assignments[0].tasks[0].end;
        let brought = match end {
            TaskEnd::Done { output, .. } => Some(Value::clone(output)),
            TaskEnd::GivenUp { .. } | TaskEnd::Open => None,
        };
        assert_eq!((brought, calls.load(Ordering::SeqCst)), (output, attempts), "{end:?}");
        assert_eq!(spans.way_up("consensus"), [r#""consensus""#, r#""hierarchy""#]);
    }
}
