//! The kernel as a whole, on ractor and tokio: mailboxes, asks, records, restarts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use synod_runtime::{
    actor::{Actor, ExitReason},
    ask::{AskError, Reply},
    context::Cx,
    mailbox::{Mailbox, Overflow},
    node::{Node, Stopped},
    spawn::Spawn,
    supervisor::Supervisor,
};

const SOON: Duration = Duration::from_secs(10);

struct Counter {
    count: u64,
    seen: Vec<u64>,
}

enum Msg {
    Add(u64),
    Read(Reply<u64>),
    Seen(Reply<Vec<u64>>),
    Keep(Reply<u64>),
    Panic,
    Block(mpsc::Receiver<()>, Reply<()>),
    AddThenPanic(u64),
}

impl Counter {
    fn new() -> Self {
        Self { count: 0, seen: Vec::new() }
    }
}

impl Actor for Counter {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Add(n) => {
                self.count += n;
                self.seen.push(n);
            }
            Msg::Read(to) => cx.reply(to, self.count),
            Msg::Seen(to) => cx.reply(to, self.seen.clone()),
            Msg::Keep(to) => drop(to),
            Msg::Panic => panic!("as asked"),
            Msg::Block(until, to) => {
                cx.reply(to, ());
                until.recv().ok();
            }
            Msg::AddThenPanic(n) => {
                cx.send(&cx.me(), Msg::Add(n));
                panic!("after a send");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_are_handled_in_order_and_asks_are_answered() {
    let node = Node::in_memory().unwrap();
    let counter = node.spawn(Spawn::named("counter"), Counter::new);
    for n in 0..5_000 {
        counter.tell(Msg::Add(n)).await.unwrap();
    }
    assert_eq!(counter.ask(Msg::Read, SOON).await, Ok(4_999 * 5_000 / 2));
    assert_eq!(counter.ask(Msg::Seen, SOON).await.unwrap(), (0..5_000).collect::<Vec<_>>());
    assert_eq!(node.close().await.unwrap(), Stopped::Clean);
    assert_eq!(counter.ask(Msg::Read, SOON).await, Err(AskError::Stopped));
}

#[tokio::test]
async fn an_ask_ends_at_once_when_its_reply_is_dropped_and_by_its_deadline_when_it_is_kept() {
    let node = Node::in_memory().unwrap();
    let counter = node.spawn(Spawn::named("counter"), Counter::new);
    assert_eq!(counter.ask(Msg::Keep, SOON).await, Err(AskError::Dropped));
    assert_eq!(counter.ask(|to| Msg::Seen(to), SOON).await, Ok(vec![]));
    counter.tell(Msg::Panic).await.unwrap();
    assert_eq!(counter.stopped().await, ExitReason::Crashed("as asked".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_address_and_the_queue_and_loses_the_poison_alone() {
    let node = Node::in_memory().unwrap();
    let births = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&births);
    let supervised = node.supervise(
        Supervisor::one_for_one("counters").intensity(3, Duration::from_secs(60)).child(
            "one",
            move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Counter::new()
            },
        ),
    );
    let counter = loop {
        if let Some(found) = supervised.child::<Msg>("one") {
            break found;
        }
        tokio::task::yield_now().await;
    };
    let (release, blocked) = mpsc::channel();
    counter.ask(|to| Msg::Block(blocked, to), SOON).await.ok();
    for n in 0..100 {
        counter.tell(Msg::Add(n)).await.unwrap();
        if n == 49 {
            counter.tell(Msg::AddThenPanic(1_000)).await.unwrap();
        }
    }
    release.send(()).unwrap();
    // The second half was queued behind the poison; the state of the first half went with its incarnation.
    assert_eq!(counter.ask(Msg::Seen, SOON).await.unwrap(), (50..100).collect::<Vec<_>>());
    assert_eq!(births.load(Ordering::Relaxed), 2);
    for _ in 0..3 {
        counter.tell(Msg::Panic).await.unwrap();
    }
    let ExitReason::Intensity(_) = supervised.stopped().await else { panic!("not given up") };
    assert!(counter.is_stopped());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_consumer_keeps_no_more_than_its_mailbox_under_every_policy() {
    const TELLS: u64 = 1_000_000;
    const CAPACITY: usize = 1_000;
    let node = Node::in_memory().unwrap();
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest, Overflow::Wait] {
        let mailbox = Mailbox::new(CAPACITY, overflow);
        let counter =
            node.spawn(Spawn::named(format!("{overflow:?}")).mailbox(mailbox), Counter::new);
        let (release, blocked) = mpsc::channel();
        let started = tokio::spawn({
            let counter = counter.clone();
            async move { counter.ask(|to| Msg::Block(blocked, to), SOON).await }
        });
        // The consumer is stopped once its mailbox is empty while it has accepted the blocking message.
        while counter.tally().accepted == 0 || counter.tally().kept > 0 {
            tokio::task::yield_now().await;
        }
        let refused = (0..TELLS).filter(|n| counter.try_tell(Msg::Add(*n)).is_err()).count() as u64;
        let tally = counter.tally();
        assert_eq!(tally.kept, CAPACITY, "{overflow:?}");
        let rest = TELLS - CAPACITY as u64;
        let (expected_refused, expected_dropped) = match overflow {
            Overflow::Reject | Overflow::Wait => (rest, 0),
            Overflow::DropOldest | Overflow::DropNewest => (0, rest),
        };
        assert_eq!((refused, tally.dropped), (expected_refused, expected_dropped), "{overflow:?}");
        if overflow == Overflow::Wait {
            let late = tokio::spawn({
                let counter = counter.clone();
                async move { counter.tell(Msg::Add(7)).await }
            });
            while counter.tally().waiting == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(counter.tally().kept, CAPACITY);
            release.send(()).unwrap();
            late.await.unwrap().unwrap();
        } else {
            release.send(()).unwrap();
        }
        started.await.unwrap().ok();
        let seen = counter.ask(Msg::Seen, SOON).await.unwrap();
        let first = if overflow == Overflow::DropOldest { rest } else { 0 };
        assert_eq!(seen.first(), Some(&first), "{overflow:?}");
        assert_eq!(seen.len(), CAPACITY + usize::from(overflow == Overflow::Wait), "{overflow:?}");
    }
}
