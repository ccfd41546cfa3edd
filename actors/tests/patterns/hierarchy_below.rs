//! Patterns below a hierarchy: a team whose worker runs a map_reduce whose reducer is a vote.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use runtime::budget::Limits;
use serde_json::{Value, json};
use synod_actors::{
    pattern::{
        FailureKind,
        hierarchy::{Assignment, Delegation, Hierarchy, Plan, Team, hierarchy},
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
