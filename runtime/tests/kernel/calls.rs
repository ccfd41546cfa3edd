//! Calls: an actor that asks and serves nothing else, and the waits that could never end.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use protocol::RunId;
use synod_runtime::{
    actor::ExitReason,
    address::Addr,
    ask::{AskError, Reply},
    clock::ManualClock,
    engine::journal::Journal,
    mailbox::{Mailbox, Overflow},
    node::Node,
    probe::Probe,
    spawn::Spawn,
    supervisor::Supervisor,
    waits::Need,
    work_cx::WorkCx,
};

use crate::support::{
    Do, HandJournal, Log, Puppet, act, ask, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A node whose time stands still: what ends, ends at once.
pub(crate) fn still() -> Node {
    Node::builder().clock(Arc::new(ManualClock::new())).open().unwrap()
}

/// Calls `target` to do something, and logs the outcome with a name.
pub(crate) fn call(
    by: &Addr<Do>,
    target: &Addr<Do>,
    name: &'static str,
    does: impl FnOnce(&mut Puppet, &mut synod_runtime::context::Cx<Puppet>, Reply<u64>) + Send + 'static,
) {
    let target = target.clone();
    tell(by, move |_, cx| {
        let question = |to| act(move |puppet: &mut Puppet, cx| does(puppet, cx, to));
        cx.call(&target, question, MINUTE, heard(name));
    });
}

/// Logs an outcome.
fn heard<T: std::fmt::Debug>(
    name: &'static str,
) -> impl FnOnce(Result<T, AskError>) -> Do + Send + 'static {
    move |outcome| {
        let line = match outcome {
            Ok(answer) => format!("{name}: {answer:?}"),
            Err(AskError::Deadlock(path)) => format!("{name}: {path}"),
            Err(other) => format!("{name}: {other:?}"),
        };
        act(move |puppet, _| puppet.log.add(line))
    }
}

pub(crate) type Kept = Arc<Mutex<Option<Reply<u64>>>>;

#[tokio::test]
async fn an_actor_in_a_call_serves_nothing_but_its_answer_and_orders() {
    let (node, log, kept) = (still(), Log::default(), Kept::default());
    let (caller, target) = (puppet(&node, "caller", &log), puppet(&node, "target", &log));
    let hold = Arc::clone(&kept);
    tell(&caller, |_, cx| {
        cx.send(&cx.me(), note("to itself"));
        cx.after(Duration::ZERO, note("timer"));
    });
    call(&caller, &target, "call", move |_, _, to| drop(hold.lock().replace(to)));
    tell(&caller, |puppet, _| puppet.log.add("queued"));
    until("the question is held", || kept.lock().is_some()).await;
    handled(&target).await;
    assert_eq!(node.pending_waits(), 1);
    assert!(!log.has("queued"), "{:?}", log.lines());
    kept.lock().take().unwrap().send(7);
    handled(&caller).await;
    assert_eq!(node.pending_waits(), 0);
    let lines = log.lines();
    let at = |line: &str| lines.iter().position(|of| of == line).unwrap();
    assert!(at("call: 7") < at("queued"), "{lines:?}");
    // An order to stop does not wait.
    call(&caller, &target, "late", |puppet, _, to| puppet.keep(to));
    handled(&target).await;
    caller.stop();
    assert_eq!(soon(caller.stopped()).await, ExitReason::Shutdown);
    assert_eq!((node.pending_waits(), node.pending_timers()), (0, 0), "both left with the waiter");
}

#[tokio::test]
async fn calls_of_one_step_are_open_together_and_what_was_deferred_keeps_its_order() {
    let (node, log) = (still(), Log::default());
    let (caller, target) = (puppet(&node, "caller", &log), puppet(&node, "target", &log));
    tell(&caller, move |_, cx| {
        cx.send(&cx.me(), note("first"));
        for name in ["one", "two"] {
            cx.call(&target, |to| act(move |_, cx| cx.reply(to, 7_u64)), MINUTE, heard(name));
        }
        cx.send(&cx.me(), note("second"));
    });
    tell(&caller, |puppet, _| puppet.log.add("third"));
    handled(&caller).await;
    let lines = log.lines();
    assert_eq!(lines[lines.len() - 5..], ["one: 7", "two: 7", "first", "second", "third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_three_calls_is_refused_with_its_path_and_without_time() {
    let (node, log) = (still(), Log::default());
    let [a, b, c] = ["a", "b", "c"].map(|name| puppet(&node, name, &log));
    let (to_a, to_c, by_c) = (a.clone(), c.clone(), c.clone());
    call(&a, &b, "a", move |_, cx, reply| {
        let third = move |to| {
            act(move |_, cx| {
                let back = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 1));
                cx.call(&to_a, back, MINUTE, move |outcome| {
                    act(move |puppet, cx| {
                        heard("c")(outcome)(puppet, cx);
                        cx.reply(to, 3_u64);
                    })
                });
            })
        };
        cx.call(&to_c, third, MINUTE, move |outcome: Result<u64, AskError>| {
            act(move |_, cx| cx.reply(reply, outcome.unwrap() + 1))
        });
    });
    until("all have ended", || log.has("a: 4")).await;
    assert!(log.has("c: c → a → b → c"), "{:?}", log.lines());
    // Only the third was refused; the others were answered, by a clock that never moved.
    for actor in [&a, &b, &by_c] {
        handled(actor).await;
    }
    assert_eq!((node.pending_waits(), node.pending_timers()), (0, 0));
}

#[tokio::test]
async fn without_detection_a_circle_ends_by_its_deadlines() {
    let clock = Arc::new(ManualClock::new());
    let builder = Node::builder().clock(Arc::<ManualClock>::clone(&clock));
    let node = builder.deadlock_detection(false).open().unwrap();
    let log = Log::default();
    let alone = puppet(&node, "alone", &log);
    call(&alone, &alone, "alone", |_, cx, to| cx.reply(to, 1));
    until("the call waits", || node.pending_timers() == 1).await;
    clock.advance(MINUTE);
    handled(&alone).await;
    assert!(log.has("alone: TimedOut(60s)"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_call_of_oneself_is_refused() {
    let (node, log) = (still(), Log::default());
    let alone = puppet(&node, "alone", &log);
    call(&alone, &alone, "alone", |_, cx, to| cx.reply(to, 1));
    handled(&alone).await;
    assert!(log.has("alone: alone → alone"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_reply_given_away_is_no_edge_to_whoever_gave_it() {
    let (node, log) = (still(), Log::default());
    let [a, b, c] = ["a", "b", "c"].map(|name| puppet(&node, name, &log));
    for delegated in [true, false] {
        let (to_a, to_c) = (a.clone(), c.clone());
        // B passes the reply on to C, then calls A, which waits for C alone.
        call(&a, &b, if delegated { "given" } else { "kept" }, move |_, cx, to| {
            let to = if delegated { to.delegated() } else { to };
            let back = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 1));
            cx.call(&to_a, back, MINUTE, heard(if delegated { "b given" } else { "b kept" }));
            cx.send(&to_c, act(move |_, cx| cx.reply(to, 3)));
        });
        until("both have ended", || {
            let lines = log.lines();
            lines.iter().filter(|line| line.starts_with(['g', 'k', 'b'])).count()
                == if delegated { 2 } else { 4 }
        })
        .await;
    }
    for line in ["given: 3", "b given: 1", "kept: 3", "b kept: b → a → b"] {
        assert!(log.has(line), "{line} is not in {:?}", log.lines());
    }
}

#[tokio::test]
async fn a_call_of_an_actor_that_has_ended_or_ends_says_so_at_once() {
    let (node, log) = (still(), Log::default());
    let (caller, ended) = (puppet(&node, "caller", &log), puppet(&node, "ended", &log));
    ended.stop();
    soon(ended.stopped()).await;
    call(&caller, &ended, "ended", |_, cx, to| cx.reply(to, 1));
    handled(&caller).await;
    let crashes = puppet(&node, "crashes", &log);
    call(&caller, &crashes, "crashes", |_, _, to| {
        let _to = to;
        panic!("with the question");
    });
    handled(&caller).await;
    assert!(log.has("ended: Stopped") && log.has("crashes: Dropped"), "{:?}", log.lines());
    assert_eq!(node.pending_waits(), 0);
}

#[tokio::test]
async fn a_call_of_a_restarting_actor_is_answered_by_its_next_incarnation() {
    let (node, log) = (still(), Log::default());
    let caller = puppet(&node, "caller", &log);
    let supervised = node.supervise(Supervisor::one_for_one("top").child("child", {
        let log = log.clone();
        move || Puppet::new(&log)
    }));
    let child = supervised.child::<Do>("child").unwrap();
    tell(&child, |_, cx| cx.crash("before the question"));
    call(&caller, &child, "call", |_, cx, to| cx.reply(to, u64::from(cx.incarnation())));
    handled(&caller).await;
    assert!(log.has("call: 2"), "{:?}", log.lines());
}

/// A node whose time stands still and whose records wait for the test, and two actors that call each other: the second records
/// something in the step of its call, a join if it calls `many`, and, if it `frees`, answers the first behind that.
async fn call_back_behind_a_record(many: bool, frees: bool) -> (Node, Arc<HandJournal>, Log) {
    let (journal, log) = (Arc::new(HandJournal::default()), Log::default());
    let clock = Arc::new(ManualClock::new());
    let kept: Arc<dyn Journal> = Arc::<HandJournal>::clone(&journal);
    let node = Node::builder().clock(clock).journal(kept).open().unwrap();
    let (first, own) = (puppet(&node, "first", &log), log.clone());
    let spawn = Spawn::named("second").journal(RunId::from_u128(7));
    let second = node.spawn(spawn, move || Puppet::new(&own));
    let back = first.clone();
    call(&first, &second, "first", move |puppet, cx, to| {
        let (question, told) = (|to| act(move |_, cx| cx.reply(to, 2_u64)), heard("second"));
        if many {
            let told = |mut outcomes: Vec<_>| told(outcomes.remove(0));
            cx.call_many([(back, question)], Need::All, MINUTE, told);
        } else {
            cx.call(&back, question, MINUTE, told);
        }
        cx.record(&"decided");
        if frees { cx.reply(to, 1) } else { puppet.keep(to) }
    });
    until("the record is with the journal", || journal.held() == 1).await;
    (node, journal, log)
}

#[tokio::test]
async fn a_call_is_no_circle_while_the_same_step_holds_back_what_breaks_it() {
    for many in [false, true] {
        let (node, journal, log) = call_back_behind_a_record(many, true).await;
        assert_eq!(node.pending_waits(), 1, "the second may still free the first");
        journal.acknowledge();
        until("both have their answers", || log.has("first: 1") && log.has("second: 2")).await;
        assert_eq!((node.pending_waits(), node.pending_timers()), (0, 0));
    }
}

#[tokio::test]
async fn a_circle_is_refused_as_soon_as_nothing_is_held_back_that_could_break_it() {
    for many in [false, true] {
        let (node, journal, log) = call_back_behind_a_record(many, false).await;
        assert_eq!(node.pending_waits(), 1);
        journal.acknowledge();
        until("the circle is refused", || log.has("second: second → first → second")).await;
        assert_eq!(node.pending_waits(), 1, "the first waits for what the second still has");
    }
}

#[tokio::test]
async fn a_waiter_that_crashes_leaves_no_edge_and_its_next_incarnation_serves() {
    let (node, log) = (still(), Log::default());
    let supervised = node.supervise(Supervisor::one_for_one("top").child("child", {
        let log = log.clone();
        move || Puppet::new(&log)
    }));
    let (child, target) = (supervised.child::<Do>("child").unwrap(), puppet(&node, "target", &log));
    let to = target.clone();
    tell(&child, move |_, cx| {
        cx.call(&to, |to| act(move |puppet, _| puppet.keep(to)), MINUTE, heard("stale"));
        // Only a crash gets through to an actor in a call: here that of the function that makes an answer.
        cx.call(&to, |to| act(move |_, cx| cx.reply(to, 1_u64)), MINUTE, |_| panic!("made none"));
    });
    until("the next incarnation", || log.has("start 2")).await;
    handled(&child).await;
    assert_eq!((node.pending_waits(), node.pending_timers()), (0, 0));
    // The holder may call its former waiter: nobody waits any more.
    call(&target, &child, "back", |_, cx, to| cx.reply(to, 1));
    handled(&target).await;
    assert!(log.has("back: 1") && !log.has("stale: 1"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_join_a_race_and_a_quorum_end_as_soon_as_they_can() {
    let (node, log) = (still(), Log::default());
    let caller = puppet(&node, "caller", &log);
    let targets = ["one", "two", "three"].map(|name| puppet(&node, name, &log));
    // Each target answers, drops the question or keeps it.
    for (name, need, acts) in [
        ("any", Need::Any, "drop keep answer"),
        ("two", Need::AtLeast(2), "answer keep answer"),
        ("too few", Need::AtLeast(2), "drop keep drop"),
        ("four", Need::AtLeast(4), "answer answer answer"),
        ("none", Need::AtLeast(0), "answer answer answer"),
        ("all", Need::All, "answer answer answer"),
        ("not all", Need::All, "answer drop keep"),
    ] {
        let questions = targets.clone().into_iter().zip(acts.split(' ')).map(|(target, does)| {
            let question = move |to: Reply<u64>| {
                act(move |puppet, cx| match does {
                    "answer" => cx.reply(to, 7),
                    "drop" => drop(to),
                    _ => puppet.keep(to),
                })
            };
            (target, question)
        });
        let questions: Vec<_> = questions.collect();
        tell(&caller, move |_, cx| {
            cx.call_many(questions, need, MINUTE, move |outcomes| {
                let short = outcomes.iter().map(|outcome: &Result<u64, AskError>| match outcome {
                    Ok(answer) => answer.to_string(),
                    Err(AskError::Refused(_)) => "refused".to_owned(),
                    Err(why) => format!("{why:?}"),
                });
                let line = format!("{name}: {}", short.collect::<Vec<_>>().join(" "));
                act(move |puppet, _| puppet.log.add(line))
            });
        });
        handled(&caller).await;
    }
    for line in [
        "any: Dropped Cancelled 7",
        "two: 7 Cancelled 7",
        "too few: Dropped Cancelled Dropped",
        "four: refused refused refused",
        "none: Cancelled Cancelled Cancelled",
        "all: 7 7 7",
        "not all: 7 Dropped Cancelled",
    ] {
        assert!(log.has(line), "{line} is not in {:?}", log.lines());
    }
    assert_eq!(node.pending_waits(), 0);
}

#[tokio::test]
async fn two_actors_with_full_outboxes_in_each_others_lines_go_on() {
    const MESSAGES: usize = 10_000;
    let (node, log) = (still(), Log::default());
    let narrow = |name: &str| {
        let log = log.clone();
        let spawn = Spawn::named(name).mailbox(Mailbox::new(1, Overflow::Wait));
        node.spawn(spawn, move || Puppet::new(&log))
    };
    let (a, b) = (narrow("a"), narrow("b"));
    let flood = |from: &Addr<Do>, to: &Addr<Do>| {
        let to = to.clone();
        tell(from, move |_, cx| {
            for _ in 0..MESSAGES {
                cx.send(&to, act(|puppet, _| puppet.seen.push(0)));
            }
        });
    };
    flood(&a, &b);
    flood(&b, &a);
    soon(async {
        a.tell(note("a goes on")).await.unwrap();
        b.tell(note("b goes on")).await.unwrap();
    })
    .await;
    until("both go on", || log.has("a goes on") && log.has("b goes on")).await;
    let lost = node.dead_letters();
    assert!(!lost.is_empty(), "somebody's message gave way");
    assert!(lost.iter().all(|letter| matches!(letter.why, AskError::Deadlock(_))), "{lost:?}");
    until("nobody stands in line", || node.pending_waits() == 0).await;
}

#[test]
fn a_probe_calls_too() {
    let mut probe = Probe::new(Puppet::new(&Log::default()));
    let target = Addr::<Do>::mock();
    let to = target.clone();
    probe.tell(act(move |_, cx| {
        cx.call(&to, |to: Reply<u64>| act(move |_, cx| cx.reply(to, 1)), MINUTE, heard("call"));
        cx.send(&cx.me(), note("deferred"));
    }));
    assert_eq!(probe.log.lines(), ["start 1"]);
    assert_eq!(target.take().len(), 1);
    probe.settle();
    assert_eq!(probe.log.lines(), ["start 1", "call: Dropped", "deferred"]);
}

/// Asks `target`, on behalf of a handler, a question that is kept until somebody answers it.
fn kept_ask(
    work: &WorkCx,
    target: &Addr<Do>,
    within: Duration,
) -> (Kept, impl Future<Output = Result<u64, AskError>> + use<>) {
    let kept = Kept::default();
    let hold = Arc::clone(&kept);
    let question = move |to| act(move |_, _| drop(hold.lock().replace(to)));
    (kept, work.ask(target, question, within))
}

#[tokio::test]
async fn a_handler_with_an_outcome_that_it_has_not_looked_at_is_not_stuck() {
    for late in [false, true] {
        let clock = Arc::new(ManualClock::new());
        let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
        let log = Log::default();
        let (agent, one, two) =
            (puppet(&node, "agent", &log), puppet(&node, "one", &log), puppet(&node, "two", &log));
        let work = ask(&agent, |_, cx, to| cx.reply(to, cx.handler_cx(1, 0))).await.unwrap();
        let (first, ask_one) = kept_ask(&work, &one, MINUTE / 2);
        let (second, ask_two) = kept_ask(&work, &two, MINUTE);
        let mut run =
            Box::pin(work.run(futures_util::future::select(Box::pin(ask_one), Box::pin(ask_two))));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(run.as_mut().poll(&mut cx).is_pending());
        until("both are asked", || first.lock().is_some() && second.lock().is_some()).await;
        assert_eq!(node.pending_waits(), 1, "it waits for either");
        if late {
            clock.advance(MINUTE / 2);
            until("one is too late", || node.pending_timers() == 1).await;
        } else {
            first.lock().take().unwrap().send(1);
        }
        assert_eq!(node.pending_waits(), 0, "it has something to do");
        // Somebody who waits for the agent gets the question that is left.
        call(&two, &agent, "two calls", |puppet, _, to| puppet.keep(to));
        until("a call", || node.pending_waits() == 1).await;
        let passed = second.lock().take().unwrap().passed_to(two.id());
        assert!(passed.is_wanted(), "it was refused");
        assert!(run.as_mut().poll(&mut cx).is_ready());
        drop(run);
    }
}
