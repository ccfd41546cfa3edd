//! Supervision: who is started again, how often, and in which order all end.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::Reply,
    child::ChildRef,
    clock::ManualClock,
    context::Cx,
    limits::KILL_WAIT,
    node::Node,
    spawn::{Shutdown, Spawn},
    supervisor::{ChildSpec, Restart, Supervised, Supervisor},
};

use crate::support::{
    Do, Log, Puppet, SOON, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

fn born(log: &Log) -> impl FnMut() -> Puppet + Send + 'static {
    let log = log.clone();
    move || Puppet::new(&log)
}

fn child(supervised: &Supervised, name: &str) -> Addr<Do> {
    supervised.child::<Do>(name).unwrap()
}

fn crash(actor: &Addr<Do>) {
    tell(actor, |_, _| panic!("as asked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_address_and_the_queue_and_loses_the_poison_alone() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = node.supervise(Supervisor::one_for_one("top").child("one", born(&log)));
    let one = child(&top, "one");
    let release = blocked(&one).await;
    for n in 0..300 {
        tell(&one, move |puppet, _| puppet.seen.push(n));
        if n == 149 {
            tell(&one, |_, cx| {
                cx.send(&cx.me(), act(|puppet, _| puppet.seen.push(1_000)));
                panic!("poison");
            });
        }
    }
    drop(release);
    // The state of the first half went with its incarnation; the queue behind the poison is whole.
    let seen = ask(&one, |puppet, cx, to| cx.reply(to, puppet.seen.clone())).await.unwrap();
    assert_eq!(seen, (150..300).collect::<Vec<_>>());
    assert_eq!(log.lines(), ["start 1", "start 2"]);
}

#[tokio::test]
async fn one_restart_more_than_the_period_allows_ends_the_supervisor_and_every_child() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let (log, other) = (Log::default(), Log::default());
    let top = node.supervise(
        Supervisor::one_for_one("top")
            .intensity(3, MINUTE)
            .child("one", born(&log))
            .child("two", born(&other)),
    );
    let (one, two) = (child(&top, "one"), child(&top, "two"));
    for _ in 0..3 {
        crash(&one);
        handled(&one).await;
    }
    // A restart counts until its period is over, the last moment of it included.
    clock.advance(MINUTE + Duration::from_nanos(1));
    for _ in 0..3 {
        crash(&one);
        handled(&one).await;
    }
    clock.advance(MINUTE);
    crash(&one);
    let ExitReason::Intensity(why) = soon(top.stopped()).await else { panic!("not given up") };
    assert!(why.contains("top/one") && why.contains("more than 3 restarts within 60s"), "{why}");
    assert_eq!(soon(one.stopped()).await, ExitReason::Crashed("as asked".into()));
    assert_eq!(soon(two.stopped()).await, ExitReason::Shutdown);
    assert_eq!((log.lines().len(), other.lines()), (7, vec!["start 1".to_owned()]));
}

#[tokio::test]
async fn a_child_is_started_again_as_its_kind_says() {
    for (kind, after_stop, after_crash) in [
        (Restart::Permanent, true, true),
        (Restart::Transient, false, true),
        (Restart::Temporary, false, false),
    ] {
        for (fails, again) in [(false, after_stop), (true, after_crash)] {
            let (node, log) = (Node::in_memory().unwrap(), Log::default());
            let top = node.supervise(
                Supervisor::one_for_one("top")
                    .child_with(Spawn::named("one"), kind, born(&log))
                    .child("two", born(&Log::default())),
            );
            let (one, two) = (child(&top, "one"), child(&top, "two"));
            tell(&one, move |_, cx| if fails { cx.crash("as asked") } else { cx.stop() });
            if again {
                handled(&one).await;
                assert_eq!(log.lines(), ["start 1", "start 2"]);
            } else {
                let reason = soon(one.stopped()).await;
                assert_eq!(reason.is_failure(), fails, "{kind:?}: {reason}");
                assert_eq!(log.lines(), ["start 1"]);
            }
            handled(&two).await;
        }
    }
}

#[tokio::test]
async fn children_stop_in_the_reverse_order_of_their_start() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let mut supervisor = Supervisor::one_for_one("top");
    for n in 0..10 {
        supervisor = supervisor.child(n.to_string(), born(&log));
    }
    let top = node.supervise(supervisor);
    let order = Log::default();
    let watcher = puppet(&node, "watcher", &order);
    let children: Vec<ChildRef> = top.children().to_vec();
    tell(&watcher, move |_, cx| {
        for child in children {
            let name = child.name().to_owned();
            cx.watch(&child, move |_| act(move |puppet, _| puppet.log.add(name)));
        }
    });
    handled(&watcher).await;
    top.stop();
    assert_eq!(soon(top.stopped()).await, ExitReason::Shutdown);
    until("all were seen to end", || order.lines().len() == 11).await;
    let reversed: Vec<String> = (0..10).rev().map(|n| format!("top/{n}")).collect();
    assert_eq!(order.lines()[1..], reversed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_reaches_a_child_that_crashes_at_the_same_time() {
    for _ in 0..200 {
        let (node, log) = (Node::in_memory().unwrap(), Log::default());
        let top = node.supervise(
            Supervisor::one_for_one("top").intensity(9, MINUTE).child("one", born(&log)),
        );
        let one = child(&top, "one");
        crash(&one);
        top.stop();
        soon(top.stopped()).await;
        soon(one.stopped()).await;
        assert!(node.actors().is_empty());
    }
}

#[tokio::test]
async fn a_birth_that_panics_is_a_crash_like_any_other() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (own, mut births) = (log.clone(), 0);
    let top = node.supervise(Supervisor::one_for_one("top").intensity(2, MINUTE).child(
        "one",
        move || {
            births += 1;
            assert!(births == 2, "stillborn");
            Puppet::new(&own)
        },
    ));
    let one = child(&top, "one");
    handled(&one).await;
    assert_eq!(log.lines(), ["start 2"]);
}

/// A parent of its own making: it is told, and decides.
#[tokio::test]
async fn a_parent_hears_of_each_end_of_a_child_and_decides() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let parent = puppet(&node, "parent", &log);
    let born = born(&Log::default());
    let one: Addr<Do> = ask(&parent, move |_, cx, to| {
        let child = cx.spawn_supervised(Spawn::named("one"), born, |exit| {
            act(move |puppet: &mut Puppet, _: &mut Cx<Puppet>| {
                puppet.log.add(format!("{} {}", exit.incarnation, exit.reason));
            })
        });
        cx.reply(to, child);
    })
    .await
    .unwrap();
    assert_eq!(one.name(), "parent/one");
    crash(&one);
    until("the parent heard", || log.has("1 crashed: as asked")).await;
    // Until the parent decides, the address takes messages in and nobody handles them.
    one.try_tell(note("kept")).unwrap();
    let child = one.child();
    tell(&parent, move |_, cx| cx.restart(&child));
    handled(&one).await;
    tell(&one, |_, cx| cx.stop());
    until("the parent heard", || log.has("2 stopped by itself")).await;
    let child = one.child();
    tell(&parent, move |_, cx| cx.stop_child(&child));
    assert_eq!(soon(one.stopped()).await, ExitReason::Normal);
    handled(&parent).await;
}

#[tokio::test]
async fn a_state_that_panics_when_dropped_takes_nobody_with_it() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in drop");
            }
        }
    }
    struct Carrier(Option<Bomb>);
    impl synod_runtime::actor::Actor for Carrier {
        type Msg = ();
        fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
            cx.crash(if self.0.is_some() { "with a bomb" } else { "without" });
        }
    }
    let (node, mut births) = (Node::in_memory().unwrap(), 0);
    let top = node.supervise(Supervisor::one_for_one("top").child("one", move || {
        births += 1;
        Carrier((births == 1).then(|| Bomb))
    }));
    let one = top.child::<()>("one").unwrap();
    one.tell(()).await.unwrap();
    one.tell(()).await.unwrap();
    let ExitReason::Intensity(why) = soon(top.stopped()).await else { panic!("not restarted") };
    assert!(why.contains("crashed: without"), "{why}");
}

/// A supervised actor whose `start` spawns a child; and that child, which is in the middle of a step.
async fn killed_above_a_busy_child(node: &Node, log: &Log) -> (Addr<Do>, mpsc::Sender<()>) {
    let own = log.clone();
    let born = move || {
        Puppet::new(&own).starting(|_, cx| {
            cx.spawn(Spawn::named("child"), || Puppet::new(&Log::default()));
        })
    };
    let top = node.supervise(Supervisor::one_for_one("top").child("parent", born));
    let parent = child(&top, "parent");
    handled(&parent).await;
    let busy = node.find::<Do>("top/parent/child").unwrap();
    // Else its first step might stand behind one of others that waits for this thread.
    handled(&busy).await;
    let release = blocked(&busy).await;
    until("no deadline of the test's own is left", || node.pending_timers() == 0).await;
    parent.child().kill();
    until("the parent waits for its child", || node.pending_timers() == 1).await;
    assert_eq!(log.lines(), ["start 1"]);
    assert!(!busy.is_stopped());
    (busy, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_killed_actor_begins_again_when_its_children_have_ended() {
    let clock = Arc::new(ManualClock::new());
    for left_behind in [false, true] {
        let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
        let log = Log::default();
        let (busy, release) = killed_above_a_busy_child(&node, &log).await;
        if left_behind {
            clock.advance(KILL_WAIT);
        } else {
            drop(release);
        }
        until("it begins again", || log.has("start 2")).await;
        assert_eq!(soon(busy.stopped()).await, ExitReason::Killed);
        let parent = node.find::<Do>("top/parent").unwrap();
        handled(&parent).await;
        let again = node.find::<Do>("top/parent/child").expect("the name is free again");
        assert_ne!(again.id(), busy.id());
        assert_eq!(node.actors().len(), 3, "{:?}", node.actors());
    }
}

#[tokio::test]
async fn messages_to_oneself_outlive_a_restart_in_their_order_before_what_is_queued() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top =
        node.supervise(Supervisor::one_for_one("top").intensity(2, SOON).child("one", born(&log)));
    let one = child(&top, "one");
    tell(&one, |_, cx| {
        let me = cx.me();
        cx.send(&me, note("first"));
        cx.send(&me, act(|_, _| panic!("poison")));
        cx.send(&me, note("second"));
        cx.send(&me, note("third"));
        cx.crash("with messages to itself");
    });
    one.try_tell(note("queued")).unwrap();
    until("all are handled", || log.has("queued")).await;
    // The second restart finds what the host had taken already.
    assert_eq!(
        log.lines(),
        ["start 1", "start 2", "first", "start 3", "second", "third", "queued"]
    );
    assert_eq!(one.tally().stale, 0);
    assert_eq!(node.dead_letters().len(), 2, "those that it crashed on");
}

#[tokio::test]
async fn messages_to_oneself_that_nobody_handles_any_more_are_dead_letters() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let one = puppet(&node, "one", &log);
    tell(&one, |_, cx| {
        let me = cx.me();
        cx.send(&me, note("first"));
        cx.send(&me, note("second"));
        cx.stop();
    });
    assert_eq!(soon(one.stopped()).await, ExitReason::Normal);
    until("they are noted", || node.dead_letters().len() == 2).await;
    assert_eq!(log.lines(), ["start 1"]);
}

#[tokio::test]
async fn a_brutal_shutdown_drops_what_waits_and_an_orderly_one_lets_it_leave() {
    for (shutdown, arrives) in [(Shutdown::Brutal, 0), (Shutdown::Infinity, 2)] {
        let node = Node::in_memory().unwrap();
        let window = Addr::<u64>::mock();
        for n in 0..1_024 {
            window.try_tell(n).unwrap();
        }
        let to = window.clone();
        struct Clerk(Addr<u64>);
        impl Actor for Clerk {
            type Msg = Reply<()>;
            fn handle(&mut self, to: Reply<()>, cx: &mut Cx<Self>) {
                cx.reply(to, ());
                cx.send(&self.0, 1);
                cx.send(&self.0, 2);
            }
        }
        let spec = ChildSpec::new(Spawn::named("clerk"), move || Clerk(to.clone()));
        let top = node.supervise(Supervisor::one_for_one("top").spec(spec.shutdown(shutdown)));
        let clerk = top.child::<Reply<()>>("clerk").unwrap();
        clerk.ask(|to| to, SOON).await.unwrap();
        until("the clerk is in line", || window.tally().waiting == 1).await;
        top.stop();
        if arrives > 0 {
            tokio::task::yield_now().await;
            assert_eq!(window.take().len(), 1_025);
        }
        let reason = soon(clerk.stopped()).await;
        let killed = shutdown == Shutdown::Brutal;
        assert_eq!(reason, if killed { ExitReason::Killed } else { ExitReason::Shutdown });
        soon(top.stopped()).await;
        assert_eq!(window.take().len(), if killed { 1_024 } else { 1 });
    }
}
