//! Coordinators below their supervisor: where they stand in the tree, when they stop, and what they do when the roster is gone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::RunId;
use runtime::{
    actor::{Actor, ExitReason},
    ask::Reply,
    child::ChildRef,
    clock::Moment,
    context::Cx,
    node::Node,
    sim::World,
    spawn::Spawn,
    supervisor::ChildKind,
};
use synod_actors::{
    agent::handle::Agent,
    limits::ROSTER_RESTARTS,
    pattern::{
        FailureKind,
        map_reduce::{map_reduce, sum},
    },
    system::AgentSystem,
};

use crate::until;

const MINUTE: Duration = Duration::from_secs(60);

/// Does its first four parts and hangs at the others.
fn hangs_after_four(system: &AgentSystem) -> Agent<u64, u64> {
    let agent = system.agent("hangs", |n: u64, _| async move {
        if n > 4 {
            std::future::pending::<()>().await;
        }
        Ok::<_, String>(n)
    });
    agent.start().unwrap()
}

fn named(node: &Node, name: &str) -> Option<ChildRef> {
    node.actors().into_iter().find(|actor| actor.name() == name)
}

#[test]
fn a_run_whose_roster_has_ended_for_good_is_lost_at_once_with_what_it_has() {
    let world = World::new(1);
    let present = Arc::<Mutex<Option<_>>>::default();
    let boots = Arc::clone(&present);
    world.node("one", move |node| {
        let system = AgentSystem::start(node.clone());
        let agent = hangs_after_four(&system);
        *boots.lock().unwrap() = Some((system, agent));
    });
    let (system, agent) = present.lock().unwrap().take().unwrap();
    let (node, of, id) = (system.node().clone(), world.clone(), RunId::from_u128(7));
    let (lost, refused) = world
        .block_on(
            async move {
                let run = system.run(map_reduce(1..9, &agent).reduce(sum()));
                let run = run.id(id).deadline(60 * MINUTE).start().await.unwrap();
                node.sleep(MINUTE).await;
                let roster = named(&node, "agents/roster").unwrap();
                for _ in 0..=ROSTER_RESTARTS {
                    assert_eq!(roster.ended(), None, "it is restarted as often as it may");
                    roster.kill();
                    node.sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(roster.ended(), Some(ExitReason::Killed));
                let lost = run.outcome().await.unwrap_err();
                assert!(of.now() < Moment::START + 2 * MINUTE, "at once");
                (lost, system.run(map_reduce(1..9, &agent)).await.unwrap_err())
            },
            2 * 60 * MINUTE,
        )
        .unwrap();
    assert!(
        matches!(&lost.kind, FailureKind::NodeLost { why } if why.contains("roster")),
        "{lost}"
    );
    assert_eq!((lost.partial, lost.tally.done), (Some(1 + 2 + 3 + 4), 4));
    assert!(matches!(refused.kind, FailureKind::Rejected { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_a_run_that_goes_on_and_no_other() {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let agent = hangs_after_four(&system);
    let run = system.run(map_reduce(4..6, &agent)).deadline(MINUTE).start().await.unwrap();
    let actors = system.graph().actors;
    let runs = actors.iter().find(|actor| actor.name == "runs").unwrap();
    assert_eq!((runs.kind, runs.parent), (ChildKind::Supervisor, None));
    let below: Vec<_> = actors.iter().filter(|actor| actor.parent == Some(runs.id)).collect();
    assert_eq!(below.len(), 1);
    assert_eq!(below[0].name, format!("runs/{}", run.id()));

    let again = system.run(map_reduce(4..6, &agent)).id(run.id()).await.unwrap_err();
    assert!(matches!(&again.kind, FailureKind::Rejected { why } if why.contains("still goes on")));
    run.canceller().cancel();
    run.outcome().await.unwrap_err();
    let left = system.graph().actors;
    assert!(!left.iter().any(|actor| actor.name.starts_with("runs/")));
}

/// Writes down in which order others end.
struct Obituary(Vec<ChildRef>, Arc<Mutex<Vec<String>>>);

enum News {
    Watching(Reply<()>),
    Ended(String),
}

impl Actor for Obituary {
    type Msg = News;

    fn start(&mut self, cx: &mut Cx<Self>) {
        for actor in &self.0 {
            let name = actor.name().to_owned();
            cx.watch(actor, move |_| News::Ended(name));
        }
    }

    fn handle(&mut self, news: News, cx: &mut Cx<Self>) {
        match news {
            News::Watching(to) => cx.reply(to, ()),
            News::Ended(name) => self.1.lock().unwrap().push(name),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_its_runs_before_the_agents_that_they_work_with() {
    let (node, other) = (Node::in_memory().unwrap(), Node::in_memory().unwrap());
    let system = AgentSystem::start(node.clone());
    let agent = hangs_after_four(&system);
    let run = system.run(map_reduce(4..9, &agent)).deadline(MINUTE).start().await.unwrap();
    let coordinator = format!("runs/{}", run.id());
    let order = [&*coordinator, "runs", "agent/hangs/0/slot", "agents/roster"];
    let watched = order.map(|name| named(&node, name).unwrap());
    let ends = Arc::<Mutex<Vec<String>>>::default();
    // On a node of its own, which does not stop.
    let told = Arc::clone(&ends);
    let born = move || Obituary(watched.to_vec(), Arc::clone(&told));
    other.spawn(Spawn::named("obituary"), born).ask(News::Watching, MINUTE).await.unwrap();
    system.drain(Duration::ZERO).await.unwrap();
    until("all have ended", || ends.lock().unwrap().len() == order.len()).await;
    assert_eq!(*ends.lock().unwrap(), order);
    let cut_off = run.outcome().await.unwrap_err();
    assert!(matches!(cut_off.kind, FailureKind::NodeLost { .. }), "{cut_off}");
}
