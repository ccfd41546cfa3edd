//! Receive timeouts: a message, or the end, when an actor has handled nothing for a while.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use synod_runtime::{
    actor::{Actor, ExitReason},
    ask::Reply,
    clock::ManualClock,
    context::{Cx, Timer},
    node::Node,
    probe::Probe,
    spawn::Spawn,
    supervisor::Supervisor,
};

use crate::support::{Log, Puppet, act, blocked, handled, note, puppet, soon, tell, until};

const SECOND: Duration = Duration::from_secs(1);

/// Counts its timeouts; told a number of seconds, it waits that long from then on, and for ever at 0.
struct Patient {
    timeouts: u32,
    others: u32,
}

enum Msg {
    Set(u32),
    Other,
    Idle,
}

impl Actor for Patient {
    type Msg = Msg;

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.receive_timeout(SECOND * 10, || Msg::Idle);
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Set(0) => cx.cancel_receive_timeout(),
            Msg::Set(seconds) => cx.receive_timeout(SECOND * seconds, || Msg::Idle),
            Msg::Other => self.others += 1,
            Msg::Idle => self.timeouts += 1,
        }
    }
}

#[test]
fn it_comes_when_nothing_was_handled_for_that_long_and_comes_again() {
    let mut probe = Probe::new(Patient { timeouts: 0, others: 0 });
    let (almost, rest) = (SECOND * 10 - Duration::from_millis(10), Duration::from_millis(10));
    probe.advance(almost);
    probe.tell(Msg::Other);
    probe.advance(almost);
    assert_eq!(probe.timeouts, 0, "a message begins the wait anew");
    probe.advance(rest);
    assert_eq!(probe.timeouts, 1);
    probe.advance(almost);
    assert_eq!(probe.timeouts, 1, "so does the timeout itself");
    probe.advance(rest);
    assert_eq!(probe.timeouts, 2);
    probe.tell(Msg::Set(1));
    probe.advance(SECOND);
    assert_eq!(probe.timeouts, 3, "a shorter one takes its place at once");
    probe.tell(Msg::Set(20));
    probe.advance(SECOND * 19);
    assert_eq!(probe.timeouts, 3, "and so does a longer one");
    probe.tell(Msg::Set(0));
    probe.advance(SECOND * 100);
    assert_eq!((probe.timeouts, probe.others), (3, 1));
}

fn still() -> (Node, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    (node, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_takes_long_is_no_idleness() {
    let ((node, clock), log) = (still(), Log::default());
    let actor = puppet(&node, "actor", &log);
    tell(&actor, |_, cx| cx.receive_timeout(SECOND, || note("idle")));
    let release = blocked(&actor).await;
    clock.advance(SECOND * 5);
    until("its timer has gone off", || node.pending_timers() == 0).await;
    drop(release);
    handled(&actor).await;
    assert!(!log.has("idle"), "{:?}", log.lines());
    assert_eq!(node.pending_timers(), 1, "there is one timer, whatever is handled");
    // The wait counts from the end of the last step, which may come after its answer.
    let passes = || {
        clock.advance(SECOND);
        log.has("idle")
    };
    until("now it is idle", passes).await;
}

#[tokio::test]
async fn it_belongs_to_the_incarnation_and_a_maker_that_panics_crashes_that() {
    let ((node, clock), log) = (still(), Log::default());
    let births = log.clone();
    let supervisor = Supervisor::one_for_one("top").child("child", move || Puppet::new(&births));
    let child = node.supervise(supervisor).child("child").unwrap();
    tell(&child, |_, cx| cx.receive_timeout(SECOND, || panic!("makes nothing")));
    handled(&child).await;
    clock.advance(SECOND);
    until("the next incarnation", || log.has("start 2")).await;
    handled(&child).await;
    assert_eq!(node.pending_timers(), 0);
    assert_eq!(child.tally().stale, 0, "what was never due is not stale");
}

#[tokio::test]
async fn it_waits_for_the_end_of_a_call() {
    let ((node, clock), log) = (still(), Log::default());
    let (caller, target) = (puppet(&node, "caller", &log), puppet(&node, "target", &log));
    let kept: Arc<Mutex<Option<Reply<u64>>>> = Arc::default();
    let (hold, to) = (Arc::clone(&kept), target.clone());
    tell(&caller, move |_, cx| {
        cx.receive_timeout(SECOND, || note("idle"));
        let question = move |reply| act(move |_, _| drop(hold.lock().replace(reply)));
        cx.call(&to, question, SECOND * 60, |_| note("answered"));
    });
    until("the call is held", || kept.lock().is_some()).await;
    clock.advance(SECOND * 2);
    until("the timer has gone off", || node.pending_timers() == 1).await;
    kept.lock().take().unwrap().send(7);
    handled(&caller).await;
    assert!(log.has("answered") && !log.has("idle"), "{:?}", log.lines());
}

#[tokio::test]
async fn an_idle_actor_is_passivated_but_not_one_that_waits_for_something() {
    let ((node, clock), log) = (still(), Log::default());
    let births = log.clone();
    let spawn = Spawn::named("actor").passivate(SECOND);
    let actor = node.spawn(spawn, move || Puppet::new(&births));
    let timer: Arc<Mutex<Option<Timer>>> = Arc::default();
    let kept = Arc::clone(&timer);
    tell(&actor, move |_, cx| *kept.lock() = Some(cx.after(SECOND * 3, note("timer"))));
    handled(&actor).await;
    clock.advance(SECOND * 2);
    node.sleep(Duration::ZERO).await;
    handled(&actor).await;
    assert!(!actor.is_stopped() && !log.has("timer"), "a timer waited");
    clock.advance(SECOND);
    until("its timer has gone off", || log.has("timer")).await;
    handled(&actor).await;
    clock.advance(SECOND);
    assert_eq!(soon(actor.stopped()).await, ExitReason::Normal);
    assert!(timer.lock().is_some(), "that a timer which went off is still held is no matter");
}
