//! Mailboxes: order, overflow, lines of waiting senders.

use std::{
    future::Future,
    pin::pin,
    sync::mpsc,
    task::{Context, Waker},
};

use synod_runtime::{
    actor::Actor,
    address::TellError,
    ask::Reply,
    context::Cx,
    mailbox::{Mailbox, Overflow},
    node::{Node, Stopped},
    spawn::Spawn,
};

use crate::support::{Log, SOON, act, ask, blocked, handled, puppet, tell, until};

struct Counter(Vec<u64>);

enum Msg {
    Add(u64),
    Seen(Reply<Vec<u64>>),
    Block(mpsc::Receiver<()>, Reply<()>),
}

impl Actor for Counter {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Add(n) => self.0.push(n),
            Msg::Seen(to) => cx.reply(to, self.0.clone()),
            Msg::Block(until, to) => {
                to.send(());
                until.recv().ok();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_are_handled_in_order_and_asks_behind_them() {
    let node = Node::in_memory().unwrap();
    let counter = node.spawn(Spawn::named("counter"), || Counter(Vec::new()));
    for n in 0..5_000 {
        counter.tell(Msg::Add(n)).await.unwrap();
    }
    assert_eq!(counter.ask(Msg::Seen, SOON).await.unwrap(), (0..5_000).collect::<Vec<_>>());
    assert_eq!(node.close().await.unwrap(), Stopped::Clean);
    assert!(matches!(counter.tell(Msg::Add(0)).await, Err(TellError::Stopped(Msg::Add(0)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_in_line_are_served_in_turn_and_one_that_leaves_passes_its_turn_on() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let spawn = Spawn::named("narrow").mailbox(Mailbox::new(1, Overflow::Wait));
    let narrow = node.spawn(spawn, {
        let log = log.clone();
        move || crate::support::Puppet::new(&log)
    });
    let release = blocked(&narrow).await;
    let say = |line: &'static str| crate::support::note(line);
    narrow.try_tell(say("held")).unwrap();
    let mut first = pin!(narrow.tell(say("first")));
    let mut second = Box::pin(narrow.tell(say("second")));
    let mut third = pin!(narrow.tell(say("third")));
    let mut idle = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut idle).is_pending());
    assert!(second.as_mut().poll(&mut idle).is_pending());
    assert!(third.as_mut().poll(&mut idle).is_pending());
    assert_eq!(narrow.tally().waiting, 3);
    drop(second);
    assert_eq!(narrow.tally().waiting, 2);
    drop(release);
    first.await.unwrap();
    third.await.unwrap();
    handled(&narrow).await;
    assert_eq!(log.lines(), ["start 1", "held", "first", "third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_in_line_gets_its_message_back_when_the_actor_ends() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let spawn = Spawn::named("narrow").mailbox(Mailbox::new(1, Overflow::Wait));
    let narrow = node.spawn(spawn, || Counter(Vec::new()));
    let (release, blocks) = mpsc::channel();
    narrow.ask(|to| Msg::Block(blocks, to), SOON).await.unwrap();
    narrow.try_tell(Msg::Add(1)).unwrap();
    let mut waits = pin!(narrow.tell(Msg::Add(2)));
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    // An actor waits in the same line; what comes back to it is a dead letter.
    let (sender, to) = (puppet(&node, "sender", &log), narrow.clone());
    tell(&sender, move |_, cx| cx.send(&to, Msg::Add(3)));
    until("both wait", || narrow.tally().waiting == 2).await;
    narrow.stop();
    drop(release);
    assert!(matches!(waits.await, Err(TellError::Stopped(Msg::Add(2)))));
    until("two dead letters", || node.dead_letters().len() == 2).await;
    handled(&sender).await;
}

/// Two actors that fill each other's narrow mailboxes wake each other from within their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_in_each_others_lines_do_not_lock_up() {
    const EACH: u64 = 4_000;
    const ROUNDS: u64 = 5;
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let pair = ["left", "right"].map(|name| {
        let log = log.clone();
        let spawn = Spawn::named(name).mailbox(Mailbox::new(2, Overflow::Wait));
        node.spawn(spawn, move || crate::support::Puppet::new(&log))
    });
    for _ in 0..ROUNDS {
        for (me, other) in [(0, 1), (1, 0)] {
            let to = pair[other].clone();
            let sends = act(move |_, cx| {
                for n in 0..EACH {
                    cx.send(&to, act(move |puppet, _| puppet.seen.push(n)));
                }
            });
            pair[me].tell(sends).await.unwrap();
        }
        for actor in &pair {
            handled(actor).await;
        }
    }
    for actor in &pair {
        let seen = ask(actor, |puppet, cx, to| cx.reply(to, puppet.seen.clone())).await.unwrap();
        let sent: Vec<u64> = (0..ROUNDS).flat_map(|_| 0..EACH).collect();
        assert!(seen == sent, "{} of {}", seen.len(), sent.len());
    }
}

#[tokio::test]
async fn messages_to_oneself_pass_a_full_mailbox_and_let_others_run() {
    fn again(puppet: &mut crate::support::Puppet, cx: &mut Cx<crate::support::Puppet>) {
        if !puppet.log.has("enough") {
            cx.send(&cx.me(), act(again));
        }
    }
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let spawn = Spawn::named("restless").mailbox(Mailbox::new(1, Overflow::Wait));
    let restless = node.spawn(spawn, {
        let log = log.clone();
        move || crate::support::Puppet::new(&log)
    });
    // One thread for all: an actor that never rests must still leave it to this test.
    tell(&restless, again);
    until("it has begun", || restless.tally().accepted > 1_000).await;
    log.add("enough");
    handled(&restless).await;
}
