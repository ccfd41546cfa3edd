//! The actor graph as data, and actors that show their state.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use protocol::Value;
use synod_runtime::{
    actor::Actor,
    ask::{AskError, Reply},
    clock::ManualClock,
    context::Cx,
    graph::{ActorState, Graph, Observed},
    limits::OBSERVERS_MAX,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    supervisor::{ChildKind, Supervisor},
};

use crate::support::{
    Do, Log, Puppet, SOON, UNSPEAKABLE, act, ask, blocked, handled, puppet, soon, tell, until,
};

/// Shows nothing.
struct Mute;

impl Actor for Mute {
    type Msg = Reply<()>;
    fn handle(&mut self, to: Reply<()>, cx: &mut Cx<Self>) {
        cx.reply(to, ());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_has_who_runs_where_with_which_queue_and_who_watches_whom() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let births = log.clone();
    let small = Spawn::named("worker").mailbox(Mailbox::new(4, Overflow::Wait));
    let inner = Supervisor::one_for_one("inner").child_with(
        small,
        synod_runtime::supervisor::Restart::Permanent,
        move || Puppet::new(&births),
    );
    let top = node.supervise(Supervisor::one_for_all("top").supervisor(inner));
    let worker = top.child::<Do>("inner/worker").unwrap();
    let watcher = puppet(&node, "watcher", &log);
    let watched = worker.child();
    ask(&watcher, move |_, cx, to| {
        cx.watch(&watched, |_| act(|_, _| ()));
        cx.reply(to, ());
    })
    .await
    .unwrap();
    tell(&worker, |_, _| panic!("as asked"));
    let release = blocked(&worker).await;
    (0..3).for_each(|_| tell(&worker, |_, _| ()));
    let graph = node.graph();
    let [top, inner, seen, watcher] =
        ["top", "top/inner", "top/inner/worker", "watcher"].map(|name| graph.named(name).unwrap());
    assert_eq!((top.kind, top.parent, inner.parent), (ChildKind::Supervisor, None, Some(top.id)));
    assert_eq!((seen.kind, seen.parent, seen.id), (ChildKind::Worker, Some(inner.id), worker.id()));
    assert!(seen.actor.ends_with("::Puppet"), "{}", seen.actor);
    assert_eq!((seen.state, seen.queued, seen.capacity), (ActorState::Running, 3, 4));
    assert_eq!((seen.incarnation, seen.restarts), (2, 1));
    assert_eq!(seen.last_exit.as_deref(), Some("crashed: as asked"));
    assert_eq!((&*watcher.watches, &*inner.watches), (&[seen.id][..], &[seen.id][..]));
    let json = serde_json::to_value(&graph).unwrap();
    assert_eq!(json["actors"].as_array().unwrap().len(), 4);
    let shown = json["actors"].as_array().unwrap().iter().find(|actor| actor["restarts"] == 1);
    let shown = shown.unwrap();
    assert_eq!(
        (&shown["state"], &shown["kind"]),
        (&Value::from("running"), &Value::from("worker"))
    );
    drop(release);
    handled(&worker).await;
    until("the worker is idle", || {
        node.graph().named("top/inner/worker").unwrap().state == ActorState::Idle
    })
    .await;
}

#[tokio::test]
async fn an_actor_between_two_incarnations_is_paused_and_one_in_a_call_waits() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let log = Log::default();
    let births = log.clone();
    let top = Supervisor::one_for_one("top").intensity(9, SOON).backoff(Default::default());
    let top = node.supervise(top.child("worker", move || Puppet::new(&births)));
    let worker = top.child::<Do>("worker").unwrap();
    let state = |name: &str| node.graph().named(name).unwrap().state;
    // The first restart is immediate, the second waits for a clock that stands still.
    for incarnation in ["start 1", "start 2"] {
        until("the worker lives", || log.has(incarnation)).await;
        tell(&worker, |_, _| panic!("as asked"));
    }
    until("the worker is paused", || state("top/worker") == ActorState::Paused).await;
    let refused = node.observe(&worker, SOON).await.unwrap_err();
    assert!(refused.to_string().contains("has no incarnation"), "{refused}");

    let (caller, target) = (puppet(&node, "caller", &log), puppet(&node, "target", &log));
    let asked = target.clone();
    tell(&caller, move |puppet, cx| {
        puppet.seen.push(7);
        let question = |to| act(move |puppet, _| puppet.keep(to));
        cx.call(&asked, question, Duration::from_secs(60), |_: Result<u64, _>| act(|_, _| ()));
    });
    until("the call waits", || state("caller") == ActorState::Waiting).await;
    let graph = node.graph();
    let (caller_node, target_node) =
        (graph.named("caller").unwrap(), graph.named("target").unwrap());
    let [wait] = &*caller_node.waits else { panic!("{:?}", caller_node.waits) };
    assert_eq!((wait.need, &*wait.on), (1, &[target_node.id][..]));
    assert!(graph.to_string().contains("waits for target"), "{graph}");
    // It shows its state all the same.
    let shown = soon(node.observe(&caller, SOON)).await.unwrap();
    assert_eq!(shown.into_value(), Some(Value::from(vec![7])));
    assert_eq!(state("caller"), ActorState::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_actor_hangs_no_observer() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (stuck, other) = (puppet(&node, "stuck", &log), puppet(&node, "other", &log));
    let mute = node.spawn(Spawn::named("mute"), || Mute);
    tell(&other, |puppet, _| puppet.seen.push(3));
    handled(&other).await;
    mute.ask(|to| to, SOON).await.unwrap();
    let release = blocked(&stuck).await;
    let within = Duration::from_millis(20);
    assert_eq!(soon(node.observe(&stuck, within)).await, Err(AskError::TimedOut(within)));
    assert_eq!(node.observe(&mute, SOON).await.unwrap().value(), None);
    let graph = soon(node.observed_graph(Duration::from_millis(200))).await;
    let shows = |name: &str| graph.named(name).unwrap().shows.clone();
    assert_eq!(shows("other"), Some(Observed::State(Value::from(vec![3]))));
    assert!(matches!(shows("stuck"), Some(Observed::Unanswered(_))), "{:?}", shows("stuck"));
    assert_eq!(shows("mute"), None);
    drop(release);
    handled(&stuck).await;
    assert_eq!(
        soon(node.observe(&stuck, SOON)).await.unwrap().into_value(),
        Some(Value::Array(vec![]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_of_a_stuck_actor_are_bounded() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let stuck = puppet(&node, "stuck", &log);
    let release = blocked(&stuck).await;
    let within = Duration::from_millis(1);
    for _ in 0..OBSERVERS_MAX {
        assert_eq!(node.observe(&stuck, within).await, Err(AskError::TimedOut(within)));
    }
    let refused = node.observe(&stuck, SOON).await.unwrap_err();
    assert!(refused.to_string().contains("observers wait"), "{refused}");
    drop(release);
}

#[tokio::test]
async fn showing_a_state_that_panics_leaves_the_actor_as_it_was() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let actor = puppet(&node, "actor", &log);
    tell(&actor, |puppet, _| puppet.seen.push(UNSPEAKABLE));
    handled(&actor).await;
    let failed = soon(node.observe(&actor, SOON)).await;
    assert_eq!(failed, Err(AskError::Failed("it cannot be shown".to_owned())));
    let seen = ask(&actor, |puppet, cx, to| cx.reply(to, puppet.seen.clone())).await.unwrap();
    assert_eq!(seen, [UNSPEAKABLE]);
    actor.stop();
    soon(actor.stopped()).await;
    assert_eq!(node.observe(&actor, SOON).await, Err(AskError::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_works_while_its_tasks_run_or_its_asks_are_open_and_is_idle_afterwards() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (asker, asked) = (puppet(&node, "asker", &log), puppet(&node, "asked", &log));
    let is = |state: ActorState| {
        let holds = move |graph: Graph| {
            graph.named("asker").is_some_and(|actor| actor.state == state && actor.queued == 0)
        };
        let node = node.clone();
        async move { until(state.as_str(), || holds(node.graph())).await }
    };
    is(ActorState::Idle).await;
    let (end, wait) = tokio::sync::oneshot::channel::<()>();
    tell(&asker, move |_, cx| drop(cx.perform(wait, |_| act(|_, _| ()))));
    is(ActorState::Working).await;
    let (answer, question) = mpsc::channel::<Reply<u64>>();
    let to = asked.clone();
    tell(&asker, move |_, cx| {
        cx.ask(&to, move |to| act(move |_, _| answer.send(to).unwrap()), SOON, |_| act(|_, _| ()));
    });
    let question = tokio::task::block_in_place(|| question.recv_timeout(SOON)).unwrap();
    end.send(()).unwrap();
    // The task has ended, the answer is still to come.
    handled(&asker).await;
    is(ActorState::Working).await;
    question.send(7);
    is(ActorState::Idle).await;
    assert_eq!(node.graph().named("asked").unwrap().state, ActorState::Idle);
}
