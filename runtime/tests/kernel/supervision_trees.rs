//! Supervision at depth: escalation, backoff, children added at run time, and ends of whole trees.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    backoff::{Backoff, Jitter},
    clock::ManualClock,
    context::Cx,
    node::Node,
    spawn::{Shutdown, Spawn},
    supervisor::{ChildError, ChildSpec, ChildStatus, Restart, Strategy, Supervised, Supervisor},
};

use crate::support::{
    Do, Log, Puppet, SOON, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

fn born(log: &Log) -> impl FnMut() -> Puppet + Send + 'static {
    let log = log.clone();
    move || Puppet::new(&log)
}

fn spec(name: &str, log: &Log) -> ChildSpec {
    ChildSpec::new(Spawn::named(name), born(log))
}

fn child(supervised: &Supervised, name: &str) -> Addr<Do> {
    supervised.child::<Do>(name).unwrap()
}

fn crash(actor: &Addr<Do>) {
    tell(actor, |_, _| panic!("as asked"));
}

/// Every child of `supervised`, and whatever is below, has started and its supervisor knows.
async fn all_run(supervised: &Supervised) {
    let runs = |status| status == ChildStatus::Running;
    let all = || supervised.which_children().iter().all(|child| runs(child.status));
    until("all run", all).await;
}

/// A tree of `depth` supervisors, each with the workers `first` and `last` around the next one.
fn tree(depth: usize, log: &Log) -> Supervisor {
    let mut supervisor = Supervisor::one_for_all(format!("s{depth}")).intensity(0, MINUTE);
    supervisor = supervisor.child("first", born(log));
    if depth > 1 {
        supervisor = supervisor.supervisor(tree(depth - 1, log));
    }
    supervisor.child("last", born(log))
}

// As many threads as actors that are held inside of a step, and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_failure_escalates_to_whoever_may_restart_and_every_address_and_queue_below_is_kept() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = node
        .supervise(Supervisor::one_for_one("top").intensity(1, MINUTE).supervisor(tree(4, &log)));
    all_run(&top).await;
    let names = ["s4/first", "s4/s3/s2/first", "s4/s3/s2/s1/first", "s4/s3/s2/s1/last", "s4/last"];
    let workers: Vec<Addr<Do>> = names.iter().map(|name| child(&top, name)).collect();
    let supervisor = top.children()[0].clone();
    // Each is busy while the failure goes up and has messages behind.
    let mut releases = Vec::new();
    for worker in &workers {
        if worker.name().ends_with("s1/first") {
            continue;
        }
        releases.push(blocked(worker).await);
        for _ in 0..3 {
            worker.try_tell(note("kept")).unwrap();
        }
    }
    crash(&workers[2]);
    workers[2].try_tell(note("kept")).unwrap();
    drop(releases);
    let again = || log.lines().iter().filter(|line| *line == "start 2").count();
    until("all have started again", || again() == 8).await;
    for worker in &workers {
        assert_eq!(ask(worker, |_, cx, to| cx.reply(to, cx.incarnation())).await, Ok(2));
    }
    assert_eq!(log.lines().iter().filter(|line| *line == "kept").count(), 4 * 3 + 1);
    assert_eq!(again(), 8);
    assert_eq!(top.children()[0].id(), supervisor.id());
    // The top may restart once; the next failure anywhere below ends all, from the leaves up.
    crash(&workers[3]);
    let ExitReason::Intensity(why) = soon(top.stopped()).await else { panic!("not given up") };
    for part in ["top/s4: given up", "top/s4/s3/s2/s1/last: crashed: as asked"] {
        assert!(why.contains(part), "{why}");
    }
    for worker in &workers {
        soon(worker.stopped()).await;
    }
    assert!(node.actors().is_empty(), "{:?}", node.actors());
}

#[tokio::test]
async fn a_killed_supervisor_is_started_again_with_its_children() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = node.supervise(Supervisor::one_for_one("top").supervisor(
        Supervisor::rest_for_one("mid").child("one", born(&log)).child("two", born(&log)),
    ));
    until("all have started", || log.lines().len() == 2).await;
    let (one, two) = (child(&top, "mid/one"), child(&top, "mid/two"));
    top.children()[0].kill();
    until("all have started again", || log.lines().len() == 4).await;
    for actor in [&one, &two] {
        assert_eq!(ask(actor, |_, cx, to| cx.reply(to, cx.incarnation())).await, Ok(2));
    }
    // It has a budget of its own, unspent.
    crash(&two);
    handled(&two).await;
    top.stop();
    soon(top.stopped()).await;
    assert!(node.actors().is_empty());
}

#[tokio::test]
async fn trees_end_from_the_last_leaf_up() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = node.supervise(tree(3, &log));
    until("all have started", || log.lines().len() == 6).await;
    let order = Log::default();
    let watcher = puppet(&node, "watcher", &order);
    for actor in node.actors() {
        if actor.name() == "watcher" {
            continue;
        }
        tell(&watcher, move |_, cx| {
            let name = actor.name().to_owned();
            cx.watch(&actor, move |_| act(move |puppet, _| puppet.log.add(name)));
        });
    }
    handled(&watcher).await;
    top.stop();
    assert_eq!(soon(top.stopped()).await, ExitReason::Shutdown);
    until("all were seen to end", || order.lines().len() == 1 + 9).await;
    let up = [
        "s3/last",
        "s3/s2/last",
        "s3/s2/s1/last",
        "s3/s2/s1/first",
        "s3/s2/s1",
        "s3/s2/first",
        "s3/s2",
        "s3/first",
        "s3",
    ];
    assert_eq!(order.lines()[1..], up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_has_the_time_of_all_its_children_and_leaves_a_stuck_one_behind() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let short = Duration::from_millis(5);
    let top = node.supervise(
        Supervisor::one_for_one("top").supervisor(
            Supervisor::one_for_one("mid")
                .child("early", born(&log))
                .spec(spec("stuck", &log).shutdown(short)),
        ),
    );
    all_run(&top).await;
    let (early, stuck) = (child(&top, "mid/early"), child(&top, "mid/stuck"));
    let release = blocked(&stuck).await;
    top.stop();
    assert_eq!(soon(top.stopped()).await, ExitReason::Shutdown);
    assert_eq!(soon(stuck.stopped()).await, ExitReason::Killed);
    assert_eq!(soon(early.stopped()).await, ExitReason::Shutdown);
    assert!(node.actors().is_empty());
    drop(release);
}

#[tokio::test]
async fn children_start_in_order_each_when_the_one_before_has_started() {
    struct Starter(Log, &'static str);
    impl Actor for Starter {
        type Msg = ();
        fn start(&mut self, _: &mut Cx<Self>) {
            self.0.add(self.1);
        }
        fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
    }
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let (node, log) = (Node::in_memory().unwrap(), Log::default());
        let own = log.clone();
        let mut births = 0;
        let one = move || {
            births += 1;
            assert!(births > 2, "stillborn twice");
            Starter(own.clone(), "one")
        };
        let (second, third) = (log.clone(), log.clone());
        let nested = Supervisor::new("nested", strategy)
            .intensity(2, MINUTE)
            .child("one", one)
            .child("two", move || Starter(second.clone(), "two"));
        let top = node.supervise(
            Supervisor::new("top", strategy)
                .supervisor(nested)
                .child("three", move || Starter(third.clone(), "three")),
        );
        until("all have started", || log.lines().len() == 3).await;
        assert_eq!(log.lines(), ["one", "two", "three"], "{strategy:?}");
        top.stop();
        soon(top.stopped()).await;
    }
}

#[tokio::test]
async fn a_child_that_fails_in_every_start_spends_the_intensity_and_escalates() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let (node, log) = (Node::in_memory().unwrap(), Log::default());
        let own = log.clone();
        let failing = move || Puppet::new(&own).starting(|_, cx| cx.crash("in start"));
        let top = node.supervise(
            Supervisor::new("top", strategy)
                .intensity(3, MINUTE)
                .child("failing", failing)
                .child("behind", born(&log)),
        );
        let ExitReason::Intensity(why) = soon(top.stopped()).await else { panic!("still tries") };
        assert!(why.contains("in start"), "{why}");
        assert_eq!(log.lines(), ["start 1", "start 2", "start 3", "start 4"], "{strategy:?}");
        assert!(node.actors().is_empty());
    }
}

#[tokio::test]
async fn the_first_restart_is_immediate_the_next_waits_and_the_wait_does_not_age_the_period() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
        let clock = Arc::new(ManualClock::new());
        let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
        let (log, other) = (Log::default(), Log::default());
        let backoff = Backoff::new(MINUTE, 60 * MINUTE).jitter(Jitter::None);
        let top = node.supervise(
            Supervisor::new("top", strategy)
                .intensity(3, MINUTE)
                .backoff(backoff)
                .child("one", born(&log))
                .child("two", born(&other)),
        );
        let (one, two) = (child(&top, "one"), child(&top, "two"));
        crash(&one);
        handled(&one).await;
        for wait in [MINUTE, 2 * MINUTE] {
            let starts = log.lines().len();
            crash(&one);
            until("the backoff is set", || node.pending_timers() == 1).await;
            clock.advance(wait - Duration::from_nanos(1));
            if strategy == Strategy::OneForOne {
                handled(&two).await;
            }
            assert_eq!(log.lines().len(), starts, "{strategy:?}");
            clock.advance(Duration::from_nanos(1));
            handled(&one).await;
            handled(&two).await;
            assert_eq!(log.lines().len(), starts + 1);
        }
        // Three minutes have passed, all of them waiting: the fourth within the minute ends the supervisor.
        crash(&one);
        let reason = soon(top.stopped()).await;
        assert!(matches!(reason, ExitReason::Intensity(_)), "{reason}");
        let of_two = if strategy == Strategy::OneForOne { 1 } else { 4 };
        assert_eq!((log.lines().len(), other.lines().len()), (4, of_two));
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_backoff() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(clock).open().unwrap();
    let log = Log::default();
    let top = node.supervise(
        Supervisor::one_for_one("top")
            .intensity(9, MINUTE)
            .backoff(Backoff::new(MINUTE, MINUTE).jitter(Jitter::None))
            .child("one", born(&log)),
    );
    let one = child(&top, "one");
    crash(&one);
    handled(&one).await;
    crash(&one);
    until("the backoff is set", || node.pending_timers() == 1).await;
    one.try_tell(note("never handled")).unwrap();
    top.stop();
    assert_eq!(soon(top.stopped()).await, ExitReason::Shutdown);
    assert!(one.is_stopped());
    // Two crashed it, one was queued.
    assert_eq!((node.dead_letters().len(), node.pending_timers()), (2 + 1, 0));
}

#[tokio::test]
async fn children_come_and_go_at_run_time_with_the_answers_of_otp() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = node.supervise(Supervisor::one_for_one("top").child("one", born(&log)));
    let started = top.start_child(spec("two", &log), SOON).await.unwrap();
    let two = started.addr::<Do>().unwrap();
    handled(&two).await;
    assert_eq!(top.child::<Do>("two"), Some(two.clone()));
    let taken = top.start_child(spec("two", &log), SOON).await.unwrap_err();
    assert!(
        matches!(&taken, ChildError::AlreadyStarted(child) if child.id() == two.id()),
        "{taken}"
    );
    let counts = top.count_children();
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (2, 2, 2, 0));

    let runs = top.delete_child("two", SOON).await.unwrap_err();
    assert!(matches!(runs, ChildError::Running(_)), "{runs}");
    let runs = top.restart_child("two", SOON).await.unwrap_err();
    assert!(matches!(runs, ChildError::Running(_)), "{runs}");
    top.terminate_child("two", SOON).await.unwrap();
    assert!(two.is_stopped());
    top.terminate_child("two", SOON).await.unwrap();
    let statuses: Vec<ChildStatus> = top.which_children().iter().map(|info| info.status).collect();
    assert_eq!(statuses, [ChildStatus::Running, ChildStatus::Stopped]);
    let present = top.start_child(spec("two", &log), SOON).await.unwrap_err();
    assert!(matches!(present, ChildError::AlreadyPresent(_)), "{present}");
    let again = top.restart_child("two", SOON).await.unwrap();
    assert_ne!(again.id(), two.id());
    handled(&child(&top, "two")).await;
    top.terminate_child("two", SOON).await.unwrap();
    top.delete_child("two", SOON).await.unwrap();
    for missing in [
        top.terminate_child("two", SOON).await.unwrap_err(),
        top.delete_child("two", SOON).await.unwrap_err(),
        top.restart_child("two", SOON).await.unwrap_err(),
    ] {
        assert!(matches!(missing, ChildError::NotFound(_)), "{missing}");
    }
    // A temporary child takes its specification with it.
    top.start_child(spec("brief", &log).restart(Restart::Temporary), SOON).await.unwrap();
    tell(&child(&top, "brief"), |_, cx| cx.stop());
    until("it is gone", || top.which_children().len() == 1).await;
    // One that does not start is told, and forgotten.
    let own = log.clone();
    let failing = ChildSpec::new(Spawn::named("failing"), move || {
        Puppet::new(&own).starting(|_, cx| cx.crash("in start"))
    });
    let failed = top.start_child(failing, SOON).await.unwrap_err();
    assert!(matches!(&failed, ChildError::Failed(reason) if reason.is_failure()), "{failed}");
    assert_eq!(top.which_children().len(), 1, "it is gone when that is told");
    top.stop();
    soon(top.stopped()).await;
    let late = top.start_child(spec("late", &log), SOON).await.unwrap_err();
    assert!(matches!(late, ChildError::Unanswered(_)), "{late}");
}

#[tokio::test]
async fn children_added_at_run_time_survive_a_restart_of_their_supervisor() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top =
        node.supervise(Supervisor::one_for_one("top").supervisor(
            Supervisor::one_for_one("mid").intensity(0, MINUTE).child("one", born(&log)),
        ));
    let parent = puppet(&node, "asker", &Log::default());
    let mid = node.find::<synod_runtime::supervisor::Command>("top/mid").unwrap();
    let added = spec("added", &log);
    // An actor asks a supervisor as it asks anybody.
    tell(&parent, move |_, cx| {
        cx.ask(
            &mid,
            |to| synod_runtime::supervisor::Command::start_child(added, to),
            SOON,
            |outcome| {
                act(move |puppet, _| {
                    puppet.log.add(outcome.unwrap().map_or("failed", |_| "added"));
                })
            },
        );
    });
    until("it has started", || log.lines().len() == 2).await;
    let added = child(&top, "mid/added");
    crash(&child(&top, "mid/one"));
    until("both have started again", || log.lines().len() == 4).await;
    assert_eq!(ask(&added, |_, cx, to| cx.reply(to, cx.incarnation())).await, Ok(2));
}

#[tokio::test]
async fn a_supervisor_below_an_actor_ends_with_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let parent = puppet(&node, "parent", &Log::default());
    let own = log.clone();
    let below: Supervised = ask(&parent, move |_, cx, to| {
        let below = cx.supervise(Supervisor::one_for_one("below").child("one", born(&own)));
        cx.reply(to, below);
    })
    .await
    .unwrap();
    let one = child(&below, "one");
    assert_eq!(one.name(), "parent/below/one");
    crash(&one);
    handled(&one).await;
    parent.stop();
    soon(parent.stopped()).await;
    assert!(one.is_stopped() && below.addr().is_stopped());
    assert!(node.actors().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_ends_leave_nobody_behind() {
    for round in 0_u64..60 {
        let (node, log) = (Node::in_memory().unwrap(), Log::default());
        let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        let strategy = |at: u64| strategies[usize::try_from((round + at) % 3).unwrap()];
        let mut top = Supervisor::new("top", strategy(0)).intensity(20, MINUTE);
        for at in 0..3 {
            let mut mid = Supervisor::new(format!("mid{at}"), strategy(at)).intensity(2, MINUTE);
            for leaf in 0..4 {
                let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary]
                    [usize::try_from((leaf + round) % 3).unwrap()];
                mid = mid.spec(spec(&format!("leaf{leaf}"), &log).restart(restart));
            }
            top = top.supervisor(mid);
        }
        let top = node.supervise(top);
        let all = node.actors();
        for step in 0..30_u64 {
            let victim = &all[usize::try_from((step * 7 + round * 3) % 16).unwrap()];
            match (step + round) % 5 {
                0 => victim.kill(),
                1 if step % 4 == 0 => victim.stop(),
                _ => {
                    if let Some(leaf) = victim.addr::<Do>() {
                        leaf.try_tell(act(|_, cx| cx.crash("at random"))).ok();
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        top.stop();
        soon(top.stopped()).await;
        until("all have ended", || node.actors().is_empty()).await;
        for actor in all {
            assert!(actor.ended().is_some(), "{actor:?}");
        }
        assert_eq!(node.pending_timers(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sibling_that_is_stuck_is_waited_for_before_it_goes_on() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let log = Log::default();
    let top = node.supervise(
        Supervisor::one_for_all("top")
            .child("one", born(&log))
            .spec(spec("stuck", &log).shutdown(Shutdown::Within(MINUTE))),
    );
    let (one, stuck) = (child(&top, "one"), child(&top, "stuck"));
    all_run(&top).await;
    let release = blocked(&stuck).await;
    assert_eq!(node.pending_timers(), 0, "no deadline of the test's own is left");
    stuck.try_tell(note("kept")).unwrap();
    crash(&one);
    until("it is told to rest", || node.pending_timers() == 1).await;
    clock.advance(MINUTE);
    until("its time is over", || node.pending_timers() == 0).await;
    assert_eq!(log.lines().len(), 2);
    drop(release);
    handled(&stuck).await;
    handled(&one).await;
    assert_eq!(log.lines(), ["start 1", "start 1", "start 2", "start 2", "kept"]);
}
