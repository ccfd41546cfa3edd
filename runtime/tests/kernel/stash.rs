//! The stash: messages set aside keep their order, survive a restart and are never lost silently.

use std::time::Duration;

use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::Reply,
    context::Cx,
    limits::STASH_MESSAGES_MAX,
    mailbox::{Mailbox, Overflow},
    node::Node,
    probe::Probe,
    spawn::Spawn,
    stash::StashFull,
    supervisor::{Restart, Supervisor},
};

use crate::support::{
    Do, Log, Puppet, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets `puppet` set notes of these lines aside.
fn stash(puppet: &Addr<Do>, lines: &'static [&'static str]) {
    tell(puppet, move |_, cx| lines.iter().for_each(|line| cx.stash(note(line)).unwrap()));
}

fn supervised(node: &Node, log: &Log, mailbox: Mailbox) -> Addr<Do> {
    let births = log.clone();
    let supervisor = Supervisor::one_for_one("top").intensity(9, MINUTE).child_with(
        Spawn::named("child").mailbox(mailbox),
        Restart::Permanent,
        move || Puppet::new(&births),
    );
    node.supervise(supervisor).child("child").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stashed_comes_before_what_is_queued_and_in_its_order() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let actor = puppet(&node, "actor", &log);
    let release = blocked(&actor).await;
    stash(&actor, &["1", "2"]);
    actor.try_tell(note("3")).unwrap();
    tell(&actor, |_, cx| {
        cx.stash(note("4")).unwrap();
        cx.unstash_all();
        cx.stash(note("kept")).unwrap();
        assert_eq!(cx.stashed(), 1);
    });
    actor.try_tell(note("5")).unwrap();
    drop(release);
    handled(&actor).await;
    assert_eq!(log.lines(), ["start 1", "3", "1", "2", "4", "5"]);
    // From a control message, while nothing is queued.
    tell(&actor, |_, cx| {
        let open = act(|_, cx: &mut Cx<Puppet>| cx.unstash_all());
        cx.after(Duration::ZERO, open);
    });
    until("the last one is handled", || log.has("kept")).await;
    assert_eq!(actor.tally().kept, 0);
}

#[tokio::test]
async fn during_a_call_it_waits_and_then_keeps_its_place() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (actor, other) = (puppet(&node, "actor", &log), puppet(&node, "other", &log));
    stash(&actor, &["1", "2"]);
    tell(&actor, move |_, cx| {
        cx.unstash_all();
        let answers = |to: Reply<u64>| act(move |_, cx| cx.reply(to, 7));
        cx.call(&other, answers, MINUTE, |_| note("answered"));
    });
    actor.try_tell(note("3")).unwrap();
    handled(&actor).await;
    assert_eq!(log.lines()[2..], ["answered", "1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_puts_it_back_to_the_front_of_the_queue() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    // A full mailbox of two does not drop what comes back.
    let actor = supervised(&node, &log, Mailbox::new(8, Overflow::Reject));
    handled(&actor).await;
    let release = blocked(&actor).await;
    stash(&actor, &["1", "2", "3", "4", "5"]);
    tell(&actor, |_, cx| {
        // Behind what was there before, and no longer stashed.
        cx.stash(note("6")).unwrap();
        cx.unstash_all();
        cx.crash("as asked");
    });
    for line in ["7", "8", "9", "10", "11", "12"] {
        actor.try_tell(note(line)).unwrap();
    }
    drop(release);
    until("the last one is handled", || log.has("12")).await;
    let lines = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    assert_eq!(log.lines()[2..], lines);
    assert_eq!((actor.tally().dropped, actor.tally().kept), (0, 0));
}

#[tokio::test]
async fn a_step_that_fails_has_stashed_nothing() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let actor = supervised(&node, &log, Mailbox::default());
    stash(&actor, &["kept"]);
    tell(&actor, |_, cx| {
        cx.stash(note("lost")).unwrap();
        cx.unstash_all();
        cx.stash(note("lost too")).unwrap();
        panic!("as asked");
    });
    until("the next incarnation", || log.has("start 2")).await;
    handled(&actor).await;
    assert_eq!(log.lines()[2..], ["kept"]);
}

#[tokio::test]
async fn an_end_for_good_makes_dead_letters_of_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let actor = puppet(&node, "actor", &log);
    stash(&actor, &["1", "2"]);
    ask(&actor, |_, cx, to| cx.reply(to, ())).await.unwrap();
    assert_eq!(node.dead_letters().len(), 0);
    actor.stop();
    assert_eq!(soon(actor.stopped()).await, ExitReason::Shutdown);
    assert_eq!(node.dead_letters().len(), 2);
}

/// Sets aside whatever is not zero.
struct Hoard(Vec<u64>);

impl Actor for Hoard {
    type Msg = u64;

    fn handle(&mut self, message: u64, cx: &mut Cx<Self>) {
        if message == 0 {
            cx.unstash_all();
        } else if self.0.is_empty() {
            self.0.extend(cx.stash(message).err().map(|StashFull(message)| message));
        } else {
            self.0.push(message);
        }
    }
}

#[test]
fn a_full_stash_hands_the_message_back() {
    let mut probe = Probe::new(Hoard(Vec::new()));
    let most = STASH_MESSAGES_MAX as u64;
    (1..=most).for_each(|n| probe.tell(n));
    assert!(probe.0.is_empty());
    probe.tell(most + 1);
    assert_eq!(probe.0, [most + 1]);
    assert!(StashFull(0).to_string().contains("holds 1024 messages"));
    probe.tell(0);
    assert_eq!(probe.0[1..], (1..=most).collect::<Vec<_>>());
}
