//! Keyed actors: started by their first message, put to rest when idle, started again when they crash.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::ExitReason,
    address::Addr,
    ask::{AskError, Reply},
    clock::ManualClock,
    context::Cx,
    keyed::{Keyed, Keys, Undelivered},
    limits::{DEAD_LETTERS_MAX, KEYED_LINE_MAX},
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
};

use crate::support::{Do, Log, Puppet, SOON, act, handled, note, puppet, soon, tell, until};

const SECOND: Duration = Duration::from_secs(1);

/// A log for each incarnation of each key: `key: start n`.
fn keys(log: &Log) -> Keys<&'static str, Puppet> {
    let log = log.clone();
    Keys::named("keys", move |key| {
        log.add(format!("birth of {key}"));
        Puppet::new(&log)
    })
    .idle(SECOND)
}

/// Waits until the actor of `key` has handled what was sent to it before.
async fn all_handled(keyed: &Keyed<&'static str, Do>, key: &'static str) {
    let answer = |to: Reply<()>| act(move |_, cx| cx.reply(to, ()));
    keyed.ask(key, answer, SOON).await.unwrap();
}

fn still() -> (Node, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    (node, clock)
}

fn names(node: &Node) -> Vec<String> {
    node.actors().iter().map(|actor| actor.name().to_owned()).collect()
}

#[tokio::test]
async fn a_key_has_one_actor_from_its_first_message_until_it_is_idle() {
    let ((node, clock), log) = (still(), Log::default());
    let keyed = node.keyed(keys(&log));
    for key in ["a", "b", "a"] {
        keyed.tell(key, note("told")).await.unwrap();
    }
    all_handled(&keyed, "a").await;
    all_handled(&keyed, "b").await;
    assert_eq!(log.lines().iter().filter(|line| line.starts_with("birth")).count(), 2);
    assert_eq!(
        (names(&node), keyed.live()),
        (vec!["keys".into(), "keys/a".into(), "keys/b".into()], 2)
    );
    clock.advance(SECOND / 2);
    all_handled(&keyed, "a").await;
    clock.advance(SECOND / 2);
    until("b rests", || keyed.live() == 1).await;
    until("its address has ended", || node.actors().len() == 2).await;
    assert_eq!(names(&node), ["keys", "keys/a"]);
    // It comes back as another incarnation under the same name.
    all_handled(&keyed, "b").await;
    assert_eq!(names(&node), ["keys", "keys/a", "keys/b"]);
    assert_eq!(log.lines().iter().filter(|line| *line == "birth of b").count(), 2);
    assert_eq!(node.dead_letters().len(), 0);
}

#[tokio::test]
async fn what_is_queued_when_an_actor_ends_starts_its_next_incarnation() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let keyed = node.keyed(keys(&log).idle(SECOND * 60));
    let again = keyed.clone();
    // Sends to itself by its key, which goes by the router, and ends.
    let ends = act(move |_, cx| {
        cx.send(&again.at("a"), note("after the end"));
        cx.stop();
    });
    keyed.tell("a", ends).await.unwrap();
    until("it is handled", || log.has("after the end")).await;
    assert_eq!(node.dead_letters().len(), 0);
}

#[tokio::test]
async fn a_crash_keeps_the_queue_and_one_too_many_ends_that_key_alone() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let keyed = node.keyed(keys(&log).intensity(1, SECOND * 60).idle(SECOND * 60));
    keyed.tell("b", note("b lives")).await.unwrap();
    let crash = move || act(|_, _| panic!("as asked"));
    keyed.tell("a", crash()).await.unwrap();
    keyed.tell("a", note("kept")).await.unwrap();
    until("the queue is kept", || log.has("kept")).await;
    let first = node.find::<Do>("keys/a").unwrap();
    keyed.tell("a", crash()).await.unwrap();
    assert!(matches!(soon(first.stopped()).await, ExitReason::Crashed(_)));
    all_handled(&keyed, "a").await;
    all_handled(&keyed, "b").await;
    assert_eq!(log.lines().iter().filter(|line| *line == "birth of b").count(), 1);
    assert_eq!(log.lines().iter().filter(|line| *line == "birth of a").count(), 3);
    assert_ne!(node.find::<Do>("keys/a").unwrap(), first, "it was given up");
}

#[tokio::test]
async fn one_key_too_many_is_refused_with_a_text_that_helps() {
    let ((node, clock), log) = (still(), Log::default());
    let keyed = node.keyed(keys(&log).most(2));
    all_handled(&keyed, "a").await;
    all_handled(&keyed, "b").await;
    let Undelivered { why, message } = keyed.tell("c", note("c")).await.unwrap_err();
    assert!(matches!(&why, AskError::Refused(_)), "{why}");
    assert!(why.to_string().contains("2 keys of `keys` live"), "{why}");
    let asked: Result<(), _> = keyed.ask("c", |to| act(move |_, _| drop(to)), SOON).await;
    assert_eq!(asked, Err(why.clone()));
    // The same from within a step.
    let (asker, at) = (puppet(&node, "asker", &log), keyed.at("c"));
    tell(&asker, move |_, cx| {
        cx.send(&at, note("dead letter"));
        let answers = |to: Reply<()>| act(move |_, cx| cx.reply(to, ()));
        cx.ask(&at, answers, SOON, |outcome| {
            act(move |puppet, _| puppet.log.add(format!("{:?}", outcome.unwrap_err().code())))
        });
    });
    until("the step is answered", || log.has("Overloaded")).await;
    assert_eq!(node.dead_letters().len(), 1);
    // Those that live are not refused, and a place is free when one rests.
    all_handled(&keyed, "a").await;
    clock.advance(SECOND);
    until("both rest", || keyed.live() == 0).await;
    keyed.tell("c", message).await.unwrap();
    until("c lives", || log.has("c")).await;
}

#[tokio::test]
async fn options_of_an_actor_are_those_of_its_key_and_a_panic_in_them_is_a_refusal() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let keyed = node.keyed(keys(&log).spawn(|key| {
        assert_ne!(*key, "bad", "no such key");
        Spawn::named(format!("of {key}")).mailbox(Mailbox::new(1, Overflow::Reject))
    }));
    let failed = keyed.tell("bad", note("never")).await.unwrap_err();
    assert!(failed.why.to_string().contains("no such key"), "{}", failed.why);
    all_handled(&keyed, "good").await;
    assert!(node.find::<Do>("keys/of good").is_some());
    // Nobody takes from its queue meanwhile, since this test holds the only thread.
    keyed.tell("good", note("1")).await.unwrap();
    assert_eq!(keyed.tell("good", note("2")).await.unwrap_err().why, AskError::Full);
}

#[tokio::test]
async fn steps_reach_keys_and_an_ended_router_says_so() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let root = puppet(&node, "root", &log);
    let specs = keys(&log).idle(SECOND * 60);
    let slot: Arc<parking_lot::Mutex<Option<Keyed<&'static str, Do>>>> = Arc::default();
    let made = Arc::clone(&slot);
    tell(&root, move |_, cx| {
        let keyed = cx.keyed(specs);
        for line in ["1", "2", "3"] {
            cx.send(&keyed.at("a"), note(line));
        }
        cx.ask(
            &keyed.at("a"),
            |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7)),
            SOON,
            |answer| act(move |puppet, _| puppet.log.add(format!("answer {}", answer.unwrap()))),
        );
        drop(made.lock().replace(keyed));
    });
    until("the answer is there", || log.has("answer 7")).await;
    assert_eq!(log.lines()[1..], ["birth of a", "start 1", "1", "2", "3", "answer 7"]);
    assert_eq!(names(&node), ["root", "root/keys", "root/keys/a"]);
    handled(&root).await;
    let keyed = slot.lock().clone().unwrap();
    keyed.router().stop();
    soon(keyed.router().stopped()).await;
    for key in ["a", "b"] {
        let failed = keyed.tell(key, note("late")).await.unwrap_err();
        assert_eq!(failed.why, AskError::Stopped);
    }
}

/// A key that waits for an answer, from an actor that is returned and keeps it until it ends.
async fn busy(node: &Node, keyed: &Keyed<&'static str, Do>, key: &'static str) -> Addr<Do> {
    let log = Log::default();
    let keeper = puppet(node, "keeper", &log);
    let target = keeper.clone();
    let waits = act(move |_, cx| {
        let keep = |to| act(move |puppet: &mut Puppet, _: &mut Cx<Puppet>| puppet.keep(to));
        cx.call(&target, keep, 60 * SECOND, |_: Result<u64, _>| act(|_, _| ()));
    });
    keyed.tell(key, waits).await.unwrap();
    until("it waits", || node.pending_waits() == 1).await;
    keeper
}

#[tokio::test]
async fn a_slow_key_holds_up_nobody_else_and_loses_nothing() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let keyed = node.keyed(
        keys(&log)
            .idle(SECOND * 60)
            .spawn(|key| Spawn::named(*key).mailbox(Mailbox::new(4, Overflow::Wait))),
    );
    let keeper = busy(&node, &keyed, "slow").await;
    let (from, at, other) = (puppet(&node, "from", &log), keyed.at("slow"), keyed.at("next"));
    tell(&from, move |_, cx| {
        for number in 0..20 {
            let note = move |puppet: &mut Puppet, _: &mut Cx<Puppet>| {
                puppet.log.add(format!("slow {number}"));
            };
            cx.send(&at, act(note));
        }
        cx.send(&other, note("next"));
    });
    until("a key that was sent to later has its message", || log.has("next")).await;
    keyed.tell("other", note("other")).await.unwrap();
    until("a key that was told later has its message", || log.has("other")).await;
    assert!(!log.has("slow 0"), "it still waits");
    keeper.stop();
    until("the slow key has all of its own", || log.has("slow 19")).await;
    let slow: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("slow")).collect();
    assert_eq!(slow, (0..20).map(|number| format!("slow {number}")).collect::<Vec<_>>());
    assert_eq!(node.dead_letters().len(), 0);
}

#[tokio::test]
async fn the_line_of_a_key_is_bounded_and_ends_with_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let keyed = node.keyed(
        keys(&log)
            .idle(SECOND * 60)
            .intensity(0, SECOND)
            .spawn(|key| Spawn::named(*key).mailbox(Mailbox::new(1, Overflow::Wait))),
    );
    let _keeper = busy(&node, &keyed, "slow").await;
    let (from, at) = (puppet(&node, "from", &log), keyed.at("slow"));
    tell(&from, move |_, cx| {
        for _ in 0..KEYED_LINE_MAX + 1 {
            cx.send(&at, note("never"));
        }
        let question = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
        cx.ask(&at, question, SOON, |answer| {
            act(move |puppet, _| puppet.log.add(answer.unwrap_err().to_string()))
        });
    });
    let full = "refused: 16384 messages wait in line for the mailbox of `keys/slow`; send less, \
                or give it a mailbox that drops";
    until("one more is refused", || log.has(full)).await;
    assert_eq!(node.dead_letters().len(), 0);
    node.find::<Do>("keys/slow").unwrap().child().kill();
    until("the line has ended", || node.dead_letters().len() == DEAD_LETTERS_MAX).await;
    assert!(!log.has("never"));
    all_handled(&keyed, "slow").await;
}
