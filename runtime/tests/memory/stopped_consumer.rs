//! A consumer that has stopped keeps no more than its mailbox, whatever it is sent.

use std::{sync::mpsc, time::Duration};

use synod_runtime::{
    actor::Actor,
    ask::Reply,
    context::Cx,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    tasks::TaskKind,
};

/// Longer than the test takes, so that only a hang meets it.
const SOON: Duration = Duration::from_secs(120);

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

/// Waits until `holds`, and fails when it does not hold soon.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "{what} does not hold");
}

/// The bytes of memory that this process has in use.
fn resident() -> u64 {
    const PAGE: u64 = 4_096;
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
    sizes.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_consumer_keeps_no_more_than_its_mailbox_under_every_policy() {
    const TELLS: u64 = 1_000_000;
    const CAPACITY: usize = 1_000;
    const SENDERS: u64 = 100;
    const GROWTH_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
    let node = Node::in_memory().unwrap();
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest, Overflow::Wait] {
        let spawn = Spawn::named(format!("{overflow:?}")).mailbox(Mailbox::new(CAPACITY, overflow));
        let counter = node.spawn(spawn, || Counter(Vec::new()));
        let (release, blocks) = mpsc::channel();
        counter.ask(|to| Msg::Block(blocks, to), SOON).await.unwrap();
        let before = resident();
        let rest = TELLS - CAPACITY as u64;
        if overflow == Overflow::Wait {
            // Whoever waits sends no more: a hundred senders stand in line with one message each.
            for _ in 0..SENDERS {
                let late = counter.clone();
                let tells = async move {
                    for n in 0..TELLS / SENDERS {
                        late.tell(Msg::Add(n)).await.unwrap();
                    }
                };
                node.run_task(TaskKind::Work, Box::pin(tells));
            }
            until("all senders wait", || counter.tally().waiting as u64 == SENDERS).await;
        } else {
            let tells = 0..TELLS;
            let refused = tells.filter(|n| counter.try_tell(Msg::Add(*n)).is_err()).count() as u64;
            let refuses = overflow == Overflow::Reject;
            let (all_refused, all_dropped) = if refuses { (rest, 0) } else { (0, rest) };
            let tally = counter.tally();
            assert_eq!((refused, tally.refused), (all_refused, all_refused), "{overflow:?}");
            assert_eq!((tally.dropped, tally.waiting), (all_dropped, 0), "{overflow:?}");
        }
        assert_eq!(counter.tally().kept, CAPACITY, "{overflow:?}");
        let grown = resident().saturating_sub(before);
        assert!(grown < GROWTH_BYTES_MAX, "{overflow:?}: {grown} bytes more");
        release.send(()).unwrap();
        let handled = if overflow == Overflow::Wait { TELLS } else { CAPACITY as u64 };
        until("all are handled", || {
            let tally = counter.tally();
            tally.accepted > handled && tally.kept + tally.waiting == 0
        })
        .await;
        let seen = counter.ask(Msg::Seen, SOON).await.unwrap();
        assert_eq!(seen.len() as u64, handled, "{overflow:?}");
        let first = if overflow == Overflow::DropOldest { rest } else { 0 };
        assert_eq!(seen.first(), Some(&first), "{overflow:?}");
    }
}
