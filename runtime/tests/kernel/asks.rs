//! Asks: one outcome each, by the deadline.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use synod_runtime::{
    actor::ExitReason,
    ask::{AskError, Reply},
    clock::ManualClock,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    waits::Need,
};

use crate::support::{
    Do, Log, Puppet, SOON, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

fn narrow(node: &Node, overflow: Overflow, log: &Log) -> synod_runtime::address::Addr<Do> {
    let log = log.clone();
    let spawn = Spawn::named(format!("{overflow:?}")).mailbox(Mailbox::new(1, overflow));
    node.spawn(spawn, move || Puppet::new(&log))
}

/// A question that keeps its reply where nobody answers.
type Kept = Arc<Mutex<Option<Reply<u64>>>>;

fn keep(kept: &Kept) -> impl FnOnce(Reply<u64>) -> Do + Send + 'static {
    let kept = Arc::clone(kept);
    move |to| act(move |_, _| drop(kept.lock().replace(to)))
}

#[tokio::test]
async fn an_ask_ends_as_answered_dropped_or_stopped() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let actor = puppet(&node, "actor", &log);
    assert_eq!(ask(&actor, |_, cx, to| cx.reply(to, 7_u64)).await, Ok(7));
    assert_eq!(ask(&actor, |_, _, to: Reply<u64>| drop(to)).await, Err(AskError::Dropped));
    let poison = ask(&actor, |_, _, _: Reply<u64>| panic!("as asked")).await;
    assert_eq!(poison, Err(AskError::Dropped));
    assert_eq!(soon(actor.stopped()).await, ExitReason::Crashed("as asked".into()));
    assert_eq!(ask(&actor, |_, cx, to| cx.reply(to, 7_u64)).await, Err(AskError::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_of_a_full_mailbox_is_refused_dropped_or_waits_as_its_policy_says() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    for (overflow, outcome) in [
        (Overflow::Reject, Err(AskError::Full)),
        (Overflow::DropNewest, Err(AskError::Dropped)),
        (Overflow::Wait, Ok(7)),
        (Overflow::DropOldest, Ok(7)),
    ] {
        let actor = narrow(&node, overflow, &log);
        let release = blocked(&actor).await;
        tell(&actor, |_, _| {});
        let asked = ask(&actor, |_, cx, to| cx.reply(to, 7_u64));
        let released = async {
            if outcome.is_ok() {
                tokio::task::yield_now().await;
                drop(release);
            }
        };
        assert_eq!(tokio::join!(asked, released).0, outcome, "{overflow:?}");
    }
}

#[tokio::test]
async fn deadlines_are_those_of_the_nodes_clock() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let (log, kept) = (Log::default(), Kept::default());
    let actor = puppet(&node, "actor", &log);
    let question = keep(&kept);
    let asked = actor.ask(question, MINUTE);
    let time = async {
        until("the question is there", || kept.lock().is_some()).await;
        until("ask and sleep wait", || node.pending_timers() == 2).await;
        clock.advance(MINUTE - Duration::from_nanos(1));
        until("the sleep is over", || node.pending_timers() == 1).await;
        assert!(kept.lock().as_ref().unwrap().is_wanted());
        clock.advance(Duration::from_nanos(1));
    };
    let almost = node.sleep(MINUTE - Duration::from_millis(10));
    assert_eq!(tokio::join!(asked, almost, time).0, Err(AskError::TimedOut(MINUTE)));
    let late = kept.lock().take().unwrap();
    assert!(!late.is_wanted() && !late.send(7));
}

#[tokio::test]
async fn an_actors_ask_comes_back_as_a_message_whatever_its_outcome() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let (log, kept) = (Log::default(), Kept::default());
    let (asker, target) = (puppet(&node, "asker", &log), puppet(&node, "target", &log));
    let ended = puppet(&node, "ended", &log);
    ended.stop();
    soon(ended.stopped()).await;
    let question = keep(&kept);
    tell(&asker, move |_, cx| {
        let heard = |name: &'static str| {
            move |outcome: Result<u64, AskError>| {
                act(move |puppet, _| puppet.log.add(format!("{name}: {outcome:?}")))
            }
        };
        let answer = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
        cx.ask(&target, answer, MINUTE, heard("answered"));
        cx.ask(&target, |to: Reply<u64>| act(move |_, _| drop(to)), MINUTE, heard("dropped"));
        cx.ask(&ended, answer, MINUTE, heard("stopped"));
        cx.ask(&target, question, MINUTE, heard("late"));
        // To ask oneself must not wait for oneself.
        cx.ask(&cx.me(), answer, MINUTE, heard("oneself"));
    });
    until("four have ended", || log.lines().len() == 3 + 4).await;
    until("the last is asked", || kept.lock().is_some()).await;
    clock.advance(MINUTE);
    until("all have ended", || log.lines().len() == 3 + 5).await;
    for line in [
        "answered: Ok(7)",
        "dropped: Err(Dropped)",
        "stopped: Err(Stopped)",
        "late: Err(TimedOut(60s))",
        "oneself: Ok(7)",
    ] {
        assert!(log.has(line), "{line} is not in {:?}", log.lines());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_makes_a_message_crashes_its_own_actor_and_nobody_else() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (asker, target) = (puppet(&node, "asker", &log), puppet(&node, "target", &log));
    let to = target.clone();
    tell(&asker, move |_, cx| {
        let answer = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
        cx.ask(&to, answer, SOON, |_| panic!("in the asker's function"));
    });
    assert_eq!(soon(asker.stopped()).await, ExitReason::Crashed("in the asker's function".into()));
    handled(&target).await;
    // So too when the deadline calls it: the timers go on for everyone.
    let (asker, kept, to) = (puppet(&node, "asker", &log), Kept::default(), target.clone());
    let question = keep(&kept);
    tell(&asker, move |_, cx| {
        cx.ask(&to, question, Duration::from_millis(1), |_| panic!("in the deadline"));
    });
    assert_eq!(soon(asker.stopped()).await, ExitReason::Crashed("in the deadline".into()));
    node.sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn a_crash_on_an_ask_of_oneself_does_not_lock_up() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let supervised =
        node.supervise(synod_runtime::supervisor::Supervisor::one_for_one("top").child("self", {
            let log = log.clone();
            move || Puppet::new(&log)
        }));
    let actor = supervised.child::<Do>("self").unwrap();
    tell(&actor, |_, cx| {
        // The question waits in the control lane while this incarnation crashes before it.
        cx.ask(
            &cx.me(),
            |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7)),
            SOON,
            |_| act(|_, _| {}),
        );
        cx.crash("with a question to itself");
    });
    handled(&actor).await;
    assert_eq!(log.lines(), ["start 1", "start 2"]);
}

#[tokio::test]
async fn an_answered_or_abandoned_ask_leaves_no_deadline_behind() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (actor, kept) = (puppet(&node, "actor", &log), Kept::default());
    for _ in 0..100 {
        handled(&actor).await;
    }
    let question = keep(&kept);
    let abandoned = tokio::time::timeout(Duration::from_millis(1), actor.ask(question, MINUTE));
    assert!(abandoned.await.is_err());
    assert_eq!(node.pending_timers(), 0);
}

/// Counts the deadlines that are left when somebody is told of an answer.
struct Told {
    node: Node,
    left: Mutex<Vec<usize>>,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.left.lock().push(self.node.pending_timers());
    }
}

#[tokio::test]
async fn whoever_hears_an_answer_finds_its_deadline_gone() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let told = Arc::new(Told { node: node.clone(), left: Mutex::default() });
    let (reply, promise) = node.promise::<u64>(MINUTE);
    let mut promise = std::pin::pin!(promise);
    let waker = Waker::from(Arc::clone(&told));
    assert!(promise.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(node.pending_timers(), 1);
    reply.send(7);
    assert_eq!(*told.left.lock(), [0], "the wheel when the waiter was woken");

    let (asker, target) = (puppet(&node, "asker", &log), puppet(&node, "target", &log));
    let (heard, to, both) = (Arc::clone(&told), target.clone(), target);
    let answers = |to| act(move |_, cx| cx.reply::<u64>(to, 1));
    tell(&asker, move |_, cx| {
        let asked = Arc::clone(&heard);
        cx.ask(&to, answers, MINUTE, move |_| {
            Arc::clone(&asked).wake();
            act(move |_, cx| {
                let targets = [(both.clone(), answers), (both, answers)];
                cx.call_many(targets, Need::All, MINUTE, move |_| {
                    heard.wake();
                    note("both")
                });
            })
        });
    });
    until("both calls are answered", || log.has("both")).await;
    assert_eq!(*told.left.lock(), [0; 3], "the wheel when a message was made of the answer");
}
