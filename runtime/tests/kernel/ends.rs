//! What ends with an actor: timers, tasks, watches, children.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::ExitReason,
    address::Addr,
    clock::ManualClock,
    context::{Cx, Timer},
    limits::MAILBOX_CAPACITY,
    node::Node,
    spawn::{Shutdown, Spawn},
    work::TaskError,
};

use crate::support::{
    Do, Log, Puppet, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

fn still() -> (Arc<ManualClock>, Node, Log) {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    (clock, node, Log::default())
}

#[tokio::test]
async fn a_timer_goes_off_at_its_moment_unless_cancelled_before() {
    let (clock, node, log) = still();
    let actor = puppet(&node, "actor", &log);
    let cancelled: Timer = ask(&actor, |_, cx, to| {
        cx.after(2 * MINUTE, note("second"));
        cx.after(MINUTE, note("first"));
        let timer = cx.after(MINUTE, note("never"));
        cx.reply(to, timer);
    })
    .await
    .unwrap();
    assert_eq!(node.pending_timers(), 3);
    tell(&actor, move |_, cx| {
        cx.cancel_timer(&cancelled);
        let at_once = cx.after(MINUTE, note("never"));
        cx.cancel_timer(&at_once);
    });
    handled(&actor).await;
    assert_eq!(node.pending_timers(), 2);
    clock.advance(MINUTE);
    until("the first went off", || log.has("first")).await;
    clock.advance(MINUTE);
    until("the second went off", || log.has("second")).await;
    assert_eq!(log.lines(), ["start 1", "first", "second"]);
    assert_eq!(node.pending_timers(), 0);
}

#[tokio::test]
async fn an_ended_actor_leaves_no_timer_and_no_watch_behind() {
    let (_, node, log) = still();
    let watched = puppet(&node, "watched", &log);
    for _ in 0..100 {
        let actor = puppet(&node, "short", &log);
        let target = watched.child();
        tell(&actor, move |_, cx| {
            cx.after(60 * MINUTE, note("never"));
            cx.watch(&target, |_| note("never"));
            cx.stop();
        });
        soon(actor.stopped()).await;
    }
    assert_eq!(node.pending_timers(), 0);
    // Whoever gives up waiting leaves nothing either.
    for _ in 0..100 {
        tokio::time::timeout(Duration::ZERO, watched.stopped()).await.unwrap_err();
    }
    assert_eq!(watched.tally().watchers, 0);
    watched.stop();
    soon(watched.stopped()).await;
    assert!(!log.has("never"));
}

#[tokio::test]
async fn a_watcher_gets_one_notice_of_the_final_end_at_once_if_it_is_past() {
    let (_, node, log) = still();
    let (watcher, watched) = (puppet(&node, "watcher", &log), puppet(&node, "watched", &log));
    let watch = |name: &'static str| {
        let target = watched.child();
        act(move |_, cx: &mut Cx<Puppet>| {
            cx.watch(&target, move |down| {
                act(move |puppet, _| puppet.log.add(format!("{name}: {}", down.reason)))
            });
        })
    };
    watcher.try_tell(watch("before")).unwrap();
    handled(&watcher).await;
    tell(&watched, |_, cx| cx.crash("bad day"));
    until("the notice came", || log.has("before: crashed: bad day")).await;
    watcher.try_tell(watch("after")).unwrap();
    until("the notice came", || log.has("after: crashed: bad day")).await;
    handled(&watcher).await;
    assert_eq!(log.lines().len(), 2 + 2);
}

/// Tells when it is dropped.
struct Bell(Log, &'static str);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

#[tokio::test]
async fn a_task_tells_its_result_its_panic_or_its_cancellation() {
    let (_, node, log) = still();
    let actor = puppet(&node, "actor", &log);
    let told = |outcome: Result<u64, TaskError>| {
        act(move |puppet: &mut Puppet, _: &mut Cx<Puppet>| puppet.log.add(format!("{outcome:?}")))
    };
    tell(&actor, move |_, cx| {
        cx.perform(async { 1 }, told);
        cx.perform(
            async {
                tokio::task::yield_now().await;
                2
            },
            told,
        );
        cx.perform(async { panic!("at once") }, told);
        cx.perform_blocking(|| 3, told);
        cx.perform_blocking(|| panic!("on a thread"), told);
        let endless = cx.perform(std::future::pending(), told);
        cx.cancel(&endless);
    });
    until("all have told", || log.lines().len() == 1 + 6).await;
    for line in [
        "Ok(1)",
        "Ok(2)",
        "Ok(3)",
        "Err(Panicked(\"at once\"))",
        "Err(Panicked(\"on a thread\"))",
        "Err(Cancelled)",
    ] {
        assert!(log.has(line), "{line} is not in {:?}", log.lines());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_have_ended_before_their_actor_has() {
    let (_, node, log) = still();
    for round in 0..50 {
        let actor = puppet(&node, "actor", &log);
        let gone = Log::default();
        let bell = Bell(gone.clone(), "dropped");
        tell(&actor, move |_, cx| {
            let work = async move {
                let _bell = bell;
                std::future::pending::<()>().await;
            };
            cx.perform(work, |_| note("never"));
            if round % 2 == 0 { cx.stop() } else { cx.crash("with a task") }
        });
        soon(actor.stopped()).await;
        assert_eq!(gone.lines(), ["dropped"]);
    }
    assert!(!log.has("never"));
}

#[tokio::test]
async fn children_end_before_their_parent_in_the_reverse_order_of_their_start() {
    fn family(puppet: &mut Puppet, cx: &mut Cx<Puppet>) {
        for name in ["first", "second"] {
            let log = puppet.log.clone();
            let bell = if name == "first" { "first gone" } else { "second gone" };
            let child = cx.spawn(Spawn::named(name), move || {
                Puppet::new(&log).starting(|puppet, cx| {
                    let log = puppet.log.clone();
                    cx.spawn(Spawn::named("grandchild"), move || Puppet::new(&log));
                })
            });
            let log = puppet.log.clone();
            let held = Bell(log, bell);
            cx.send(
                &child,
                act(move |_, cx| {
                    let work = async move {
                        let _held = held;
                        std::future::pending::<()>().await;
                    };
                    cx.perform(work, |_| note("never"));
                }),
            );
        }
    }
    let (_, node, log) = still();
    let own = log.clone();
    let parent = node.spawn(Spawn::named("parent"), move || Puppet::new(&own).starting(family));
    until("all have started", || log.lines().len() == 5).await;
    let names: Vec<String> = node.actors().iter().map(|actor| actor.name().to_owned()).collect();
    let all = [
        "parent",
        "parent/first",
        "parent/first/grandchild",
        "parent/second",
        "parent/second/grandchild",
    ];
    assert_eq!(names, all);
    for name in ["parent/first", "parent/second"] {
        handled(&node.find::<Do>(name).unwrap()).await;
    }
    parent.stop();
    assert_eq!(soon(parent.stopped()).await, ExitReason::Shutdown);
    assert_eq!(log.lines()[5..], ["second gone", "first gone"]);
    assert!(node.actors().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_hangs_is_left_behind_when_its_parent_is_out_of_time_and_no_sibling_is_forgotten()
 {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let own = log.clone();
    let spawn = Spawn::named("parent").shutdown(Duration::from_millis(50));
    let parent = node.spawn(spawn, move || {
        Puppet::new(&own).starting(|puppet, cx| {
            for name in ["sibling", "stuck"] {
                let log = puppet.log.clone();
                cx.spawn(Spawn::named(name), move || Puppet::new(&log));
            }
        })
    });
    handled(&parent).await;
    let (sibling, stuck) =
        (node.find::<Do>("parent/sibling").unwrap(), node.find::<Do>("parent/stuck").unwrap());
    let release = blocked(&stuck).await;
    parent.stop();
    assert_eq!(soon(parent.stopped()).await, ExitReason::Shutdown);
    for child in [&sibling, &stuck] {
        assert!(child.is_stopped(), "its parent has waited for it");
        assert_eq!(soon(child.stopped()).await, ExitReason::Killed);
    }
    drop(release);
}

/// A customer that ends within `shutdown`, its message in line before a window that nobody serves.
async fn customer_in_line(node: &Node, shutdown: Shutdown) -> (Addr<Do>, Addr<Do>) {
    let window = Addr::<Do>::mock();
    for _ in 0..MAILBOX_CAPACITY {
        window.try_tell(note("queued")).unwrap();
    }
    let customer =
        node.spawn(Spawn::named("customer").shutdown(shutdown), || Puppet::new(&Log::default()));
    let to = window.clone();
    tell(&customer, move |_, cx| {
        cx.after(MINUTE, note("never"));
        cx.send(&to, note("in line"));
    });
    until("the customer waits", || window.tally().waiting == 1).await;
    (customer, window)
}

#[tokio::test]
async fn messages_of_an_ended_actor_leave_the_lines_it_stood_in() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let clerk = puppet(&node, "clerk", &log);
    let shutdown = Shutdown::Within(Duration::from_millis(1));
    let (customer, window) = customer_in_line(&node, shutdown).await;
    customer.stop();
    soon(customer.stopped()).await;
    assert_eq!(window.tally().waiting, 0);
    handled(&clerk).await;
}

#[tokio::test]
async fn an_actor_ends_as_soon_as_its_last_message_has_left_the_line() {
    let node = Node::in_memory().unwrap();
    let (customer, window) = customer_in_line(&node, Shutdown::Infinity).await;
    customer.stop();
    until("the customer winds down, its timer gone", || node.pending_timers() == 0).await;
    assert_eq!(window.take().len(), MAILBOX_CAPACITY + 1);
    assert_eq!(soon(customer.stopped()).await, ExitReason::Shutdown);
}
