//! The emergency stop: it overtakes whatever is full or hangs, ends everything, is written down, and needs the right to it.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use protocol::{RunId, payload::work::StopScope};
use synod_runtime::{
    actor::{Actor, ExitReason},
    address::TellError,
    ask::Reply,
    clock::ManualClock,
    context::Cx,
    emergency::{Audit, EmergencyError, Privilege},
    engine::local::RedbJournal,
    events::{EventKind, Filter, Received},
    limits::EMERGENCY_WAIT,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    supervisor::Supervisor,
    tasks::TaskKind,
};

use crate::support::{
    HandJournal, Log, Puppet, act, blocked, child_of, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);
const RUN: RunId = RunId::from_u128(7);

/// A node whose clock stands still, so that nothing ends by the passing of time.
fn still() -> (Node, Privilege, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let builder = Node::builder().clock(Arc::<ManualClock>::clone(&clock));
    let (node, privilege) = builder.open_privileged().unwrap();
    (node, privilege, clock)
}

#[tokio::test]
async fn it_overtakes_full_mailboxes_and_open_calls_and_ends_who_waits() {
    let ((node, privilege, _), log) = (still(), Log::default());
    let own = log.clone();
    let spawn = Spawn::named("full").mailbox(Mailbox::new(1, Overflow::Wait));
    let full = node.spawn(spawn, move || Puppet::new(&own));
    let target = puppet(&node, "target", &log);
    let sender = puppet(&node, "sender", &log);
    // It serves nothing but the answer of a call that is never given.
    let to = target.clone();
    let keeps = |to: Reply<u64>| act(move |puppet, _| puppet.keep(to));
    tell(&full, move |_, cx| cx.call(&to, keeps, MINUTE, |_| note("answered")));
    until("the call is open", || node.pending_waits() == 1).await;
    full.tell(note("queued")).await.unwrap();
    let mut outside = Box::pin(full.tell(note("in line")));
    assert!((&mut outside).now_or_never().is_none());
    let to = full.clone();
    tell(&sender, move |_, cx| cx.send(&to, note("in line too")));
    until("both are in line", || full.tally().waiting == 2).await;
    let halted = node.emergency_stop(&privilege, "a test", "too much of it").unwrap();
    let halted = soon(halted).await;
    assert!(halted.is_quiet(), "{halted:?}");
    assert_eq!((halted.actors, halted.audit), (3, Audit::Durable));
    assert!(matches!(outside.await, Err(TellError::Stopped(_))));
    for actor in [full, target, sender] {
        assert_eq!(actor.stopped().await, ExitReason::Cancelled);
    }
    assert_eq!(log.lines(), ["start 1"; 3], "nobody has handled anything more");
    assert_eq!((node.pending_timers(), node.pending_waits()), (0, 0));
}

#[tokio::test]
async fn it_drops_an_outbox_whose_journal_never_syncs_and_says_that_it_is_not_audited() {
    let (clock, journal) = (Arc::new(ManualClock::new()), Arc::new(HandJournal::default()));
    let builder = Node::builder().clock(Arc::<ManualClock>::clone(&clock));
    let (node, privilege) =
        builder.journal(Arc::<HandJournal>::clone(&journal)).open_privileged().unwrap();
    let log = Log::default();
    let (own, target) = (log.clone(), puppet(&node, "target", &log));
    let actor = node.spawn(Spawn::named("actor").journal(RUN), move || Puppet::new(&own));
    let to = target.clone();
    tell(&actor, move |_, cx| {
        cx.record(&"held");
        // More than an outbox holds: its data lane is closed from here on.
        (0..10_000).for_each(|_| cx.send(&to, note("an effect")));
    });
    until("the record is held", || journal.held() == 1).await;
    actor.try_tell(note("queued")).unwrap();
    let halted = node.emergency_stop(&privilege, "a test", "its disk hangs").unwrap();
    assert_eq!(soon(actor.stopped()).await, ExitReason::Cancelled);
    assert_eq!(soon(target.stopped()).await, ExitReason::Cancelled);
    assert!(!log.has("an effect") && !log.has("queued"), "{:?}", log.lines());
    let passes = async {
        until("it waits for its audit alone", || node.pending_timers() == 1).await;
        clock.advance(EMERGENCY_WAIT);
    };
    let (halted, ()) = soon(async { tokio::join!(halted, passes) }).await;
    assert!(halted.is_quiet(), "{halted:?}");
    assert_eq!((halted.took, halted.audit), (EMERGENCY_WAIT, Audit::Unknown));
    assert_eq!(journal.held(), 2, "the audit's record may become durable yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whoever_hangs_is_named_and_nobody_waits_for_them_any_more() {
    let ((node, privilege, clock), log) = (still(), Log::default());
    let root = puppet(&node, "root", &log);
    let child = child_of(&root).await;
    let (go, gate) = std::sync::mpsc::channel::<()>();
    node.run_blocking(TaskKind::Work, move || {
        gate.recv().ok();
    });
    node.run_task(TaskKind::Work, Box::pin(std::future::pending()));
    let release = blocked(&root).await;
    let halted = node.emergency_stop(&privilege, "a test", "they hang").unwrap();
    assert_eq!(soon(child.stopped()).await, ExitReason::Cancelled);
    let passes = async {
        until("it waits", || node.pending_timers() == 1).await;
        clock.advance(EMERGENCY_WAIT);
    };
    let (halted, ()) = soon(async { tokio::join!(halted, passes) }).await;
    assert_eq!(halted.alive, ["root".into()]);
    assert_eq!((halted.tasks, halted.is_quiet()), (1, false), "the one that blocks a thread");
    assert!(root.is_stopped(), "its address is closed");
    drop((release, go));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_halted_node_takes_no_new_work_and_restarts_nobody() {
    let ((node, privilege, _), log) = (still(), Log::default());
    let own = log.clone();
    let supervisor = Supervisor::one_for_one("top").intensity(9, MINUTE);
    let top = node.supervise(supervisor.child("child", move || Puppet::new(&own)));
    let child = top.child("child").unwrap();
    handled(&child).await;
    let parent = puppet(&node, "parent", &log);
    let release = blocked(&parent).await;
    let own = log.clone();
    tell(&parent, |_, _| {});
    let halted = node.emergency_stop(&privilege, "a test", "enough").unwrap();
    assert!(node.is_halted());
    let late = puppet(&node, "late", &own);
    assert!(late.is_stopped());
    let (done, promise) = node.promise::<()>(MINUTE);
    let work = async move {
        std::future::pending::<()>().await;
        done.send(());
    };
    node.run_task(TaskKind::Service, Box::pin(work));
    assert!(soon(promise).await.is_err(), "a new task is dropped");
    drop(release);
    let halted = soon(halted).await;
    assert!(halted.is_quiet(), "{halted:?}");
    assert!(node.actors().is_empty(), "{:?}", node.actors());
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
}

/// Has a child with each message.
struct Fertile(Log);

impl Actor for Fertile {
    type Msg = std::sync::mpsc::Receiver<()>;

    fn handle(&mut self, until: Self::Msg, cx: &mut Cx<Self>) {
        self.0.add("handles");
        until.recv().ok();
        let log = self.0.clone();
        cx.spawn(Spawn::named("late"), move || Puppet::new(&log));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_is_born_into_the_stop_never_runs() {
    let ((node, privilege, _), log) = (still(), Log::default());
    let own = log.clone();
    let parent = node.spawn(Spawn::named("parent"), move || Fertile(own.clone()));
    let (release, until_then) = std::sync::mpsc::channel();
    parent.try_tell(until_then).unwrap();
    until("it is in its step", || log.has("handles")).await;
    let halted = node.emergency_stop(&privilege, "a test", "enough").unwrap();
    release.send(()).unwrap();
    assert!(soon(halted).await.is_quiet());
    assert_eq!(log.lines(), ["handles"]);
    assert!(node.actors().is_empty(), "{:?}", node.actors());
}

#[tokio::test]
async fn it_is_audited_durably_and_told_on_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("synod.redb");
    let journal = Arc::new(RedbJournal::open(&path).unwrap());
    let (node, privilege) = Node::builder().journal(journal).open_privileged().unwrap();
    let filter = Filter::new().kinds([EventKind::EmergencyStop]);
    let mut heard = node.events().subscribe(filter).unwrap();
    for reason in ["wrong repository", &"x".repeat(10_000)] {
        let halted = node.emergency_stop(&privilege, "ada", reason).unwrap();
        let halted = soon(halted).await;
        assert_eq!((halted.is_quiet(), halted.audit), (true, Audit::Durable));
    }
    let Some(Received::Event(event)) = soon(heard.next()).await else { panic!("no event") };
    assert_eq!(
        (&event.data["by"], &event.data["reason"]),
        (&"ada".into(), &"wrong repository".into())
    );
    node.close().await.unwrap();
    drop((node, privilege));
    let journal = Arc::new(RedbJournal::open(&path).unwrap());
    let node = Node::builder().journal(journal).open().unwrap();
    let stops = node.emergency_stops().unwrap();
    assert_eq!(stops.len(), 2);
    let first = &stops[0];
    assert_eq!((first.by.as_str(), first.stop.reason.as_str()), ("ada", "wrong repository"));
    assert_eq!((first.stop.scope, first.at > 0), (StopScope::Everything, true));
    assert_eq!(stops[1].stop.reason.len(), 4_096);
    assert!(!node.is_halted(), "another node on the same journal works");
}

#[tokio::test]
async fn without_the_privilege_of_this_node_or_a_reason_nothing_is_stopped() {
    let ((node, privilege, _), (_other, foreign, _)) = (still(), still());
    let log = Log::default();
    let actor = puppet(&node, "actor", &log);
    let refused = |privilege: &Privilege, by, reason| {
        node.emergency_stop(privilege, by, reason).map(drop).unwrap_err()
    };
    assert_eq!(refused(&foreign, "a test", "no right"), EmergencyError::NotPrivileged);
    assert_eq!(refused(&privilege, "a test", "  "), EmergencyError::NoReason);
    assert_eq!(refused(&privilege, "", "a reason"), EmergencyError::NoReason);
    handled(&actor).await;
    assert!(!node.is_halted() && node.emergency_stops().unwrap().is_empty());
}
