//! Cancelling a tree: everybody below hears of it at once, nothing is spent afterwards.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::{Actor, ExitReason},
    budget::{Budget, Cost, Limits},
    clock::Moment,
    context::Cx,
    node::Node,
    spawn::Spawn,
    supervisor::Supervisor,
    tasks::TaskKind,
};

use super::support::{Log, Puppet, SOON, blocked, child_of, puppet, soon, tell, until};

/// Between two messages of a leaf; so long that ten thousand of them leave a busy machine room for births.
const PAUSE: Duration = Duration::from_millis(100);

/// An actor with as many children, each with a level less; the leaves spend without end, the first of each family without pause.
struct Branch {
    levels: u32,
    children: usize,
    restless: bool,
    /// Held by everyone whose step may still run.
    alive: Arc<()>,
}

impl Actor for Branch {
    /// Whether it is to spend.
    type Msg = bool;

    fn start(&mut self, cx: &mut Cx<Self>) {
        if let Some(levels) = self.levels.checked_sub(1) {
            let children = self.children;
            for n in 0..children {
                let alive = Arc::clone(&self.alive);
                cx.spawn(Spawn::named(n.to_string()), move || {
                    let alive = Arc::clone(&alive);
                    Branch { levels, children, restless: n == 0, alive }
                });
            }
        } else {
            cx.after(PAUSE, true);
            cx.perform(std::future::pending::<()>(), |_| false);
        }
    }

    fn handle(&mut self, spends: bool, cx: &mut Cx<Self>) {
        if self.restless || spends {
            let me = cx.me();
            cx.send(&me, false);
        } else {
            cx.after(PAUSE, true);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_actors_four_levels_deep_are_quiet_and_spend_nothing() {
    let node = Node::in_memory().unwrap();
    let run = Budget::root("run", Limits::default(), Moment::START);
    let spawn = Spawn::named("root").budget(run.clone());
    let alive = Arc::new(());
    let of_all = Arc::clone(&alive);
    let root = node.spawn(spawn, move || {
        let alive = Arc::clone(&of_all);
        Branch { levels: 3, children: 22, restless: false, alive }
    });
    let all = 1 + 22 + 22 * 22 + 22 * 22 * 22;
    until("all are born and some spend", || node.actors().len() == all && run.spent().messages > 0)
        .await;
    root.cancel();
    assert_eq!(soon(root.stopped()).await, ExitReason::Cancelled);
    // On a busy machine some may be left behind by those above them; they end all the same.
    until("nobody is left", || node.actors().is_empty()).await;
    until("the last step is done", || Arc::strong_count(&alive) == 1).await;
    until("no timer of theirs is left", || node.pending_timers() == 0).await;
    let spent = run.spent();
    assert_eq!((spent.children, run.reserved()), (all as u64 - 1, Cost::ZERO));
    let (done, waited) = node.promise::<()>(SOON);
    node.run_task(
        TaskKind::Work,
        Box::pin(async move {
            done.send(());
        }),
    );
    waited.await.unwrap();
    assert_eq!(run.spent(), spent, "nothing is spent afterwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_those_below_an_actor_that_is_stuck_in_a_step() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let root = puppet(&node, "root", &log);
    let child = child_of(&root).await;
    let release = blocked(&root).await;
    root.cancel();
    assert_eq!(soon(child.stopped()).await, ExitReason::Cancelled);
    assert!(!root.is_stopped(), "it is in its step");
    drop(release);
    assert_eq!(soon(root.stopped()).await, ExitReason::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_does_not_restart_what_was_cancelled_with_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let births = log.clone();
    let supervisor = Supervisor::one_for_one("top")
        .supervisor(Supervisor::one_for_all("inner").child("worker", move || Puppet::new(&births)));
    let supervised = node.supervise(supervisor);
    until("the worker lives", || log.has("start 1")).await;
    supervised.actor().cancel();
    assert_eq!(soon(supervised.stopped()).await, ExitReason::Cancelled);
    assert!(node.actors().is_empty(), "{:?}", node.actors());
    assert!(!log.has("start 2"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_child_that_is_born_into_a_cancelled_tree_ends_with_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let root = puppet(&node, "root", &log);
    let cancelled = root.clone();
    tell(&root, move |puppet, cx| {
        cancelled.cancel();
        let log = puppet.log.clone();
        cx.spawn(Spawn::named("late"), move || Puppet::new(&log));
    });
    assert_eq!(soon(root.stopped()).await, ExitReason::Cancelled);
    until("nobody is left", || node.actors().is_empty()).await;
}
