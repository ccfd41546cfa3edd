//! Effects: in step order, behind durable records, all of a step or none.

use std::sync::Arc;

use protocol::RunId;
use synod_runtime::{
    actor::ExitReason,
    address::Addr,
    engine::{journal::Journal, local::MemoryJournal},
    limits::{JOURNAL_APPEND_BYTES_MAX, JOURNAL_RECORD_BYTES_MAX, OUTBOX_EFFECTS_MAX},
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    supervisor::{Restart, Supervisor},
};

use crate::support::{
    Do, HandJournal, Log, Puppet, act, ask, blocked, handled, note, puppet, soon, tell, until,
};

const RUN: RunId = RunId::from_u128(7);

struct Stand {
    journal: Arc<HandJournal>,
    node: Node,
    log: Log,
    writer: Addr<Do>,
    reader: Addr<Do>,
}

/// A writer whose records wait for the test, and a reader to whom it sends.
fn stand() -> Stand {
    let (journal, log) = (Arc::new(HandJournal::default()), Log::default());
    let node = Node::builder().journal(Arc::<HandJournal>::clone(&journal)).open().unwrap();
    let own = log.clone();
    let writer = node.spawn(Spawn::named("writer").journal(RUN), move || Puppet::new(&own));
    let reader = puppet(&node, "reader", &log);
    Stand { journal, node, log, writer, reader }
}

fn lines(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| !line.starts_with("start")).collect()
}

#[tokio::test]
async fn effects_leave_in_step_order_and_none_before_the_records_ahead_of_it() {
    let Stand { journal, log, writer, reader, node: _node } = stand();
    let to = reader.clone();
    tell(&writer, move |puppet, cx| {
        cx.send(&to, note("before"));
        cx.record(&"one");
        cx.send(&to, note("after one"));
        cx.record(&"two");
        cx.send(&to, note("after two"));
        puppet.log.add("step");
    });
    until("the records are with the journal", || journal.held() == 1).await;
    // A later step without a record waits behind the one before it.
    let to = reader.clone();
    tell(&writer, move |puppet, cx| {
        cx.send(&to, note("later"));
        puppet.log.add("later step");
    });
    until("the later step is done", || log.has("later step")).await;
    handled(&reader).await;
    assert_eq!(lines(&log), ["step", "before", "later step"]);
    journal.acknowledge();
    handled(&writer).await;
    handled(&reader).await;
    assert_eq!(lines(&log)[3..], ["after one", "after two", "later"]);
}

#[tokio::test]
async fn answers_timers_children_and_tasks_wait_for_the_records_ahead_of_them_too() {
    let Stand { journal, log, writer, reader, node: _node } = stand();
    let answered = ask(&writer, |_, cx, to| {
        cx.record(&"first");
        cx.reply(to, ());
        cx.after(std::time::Duration::ZERO, note("timer"));
        cx.perform(async {}, |_| note("task"));
        let own = Log::default();
        cx.spawn(Spawn::named("child"), move || Puppet::new(&own));
    });
    let acknowledged = async {
        until("the record is with the journal", || journal.held() == 1).await;
        handled(&reader).await;
        assert_eq!(lines(&log), Vec::<String>::new());
        journal.acknowledge();
    };
    assert_eq!(tokio::join!(answered, acknowledged).0, Ok(()));
    until("timer and task came back", || log.has("timer") && log.has("task")).await;
}

#[tokio::test]
async fn a_refused_record_ends_the_actor_and_what_waited_behind_it() {
    let Stand { journal, log, writer, reader, node: _node } = stand();
    let to = reader.clone();
    tell(&writer, move |_, cx| {
        cx.record(&"kept");
        cx.send(&to, note("behind kept"));
    });
    until("the first is with the journal", || journal.held() == 1).await;
    let to = reader.clone();
    tell(&writer, move |_, cx| {
        cx.record(&"refused");
        cx.send(&to, note("behind refused"));
        // The refusal outweighs the actor's own wish.
        cx.stop();
    });
    until("the second is with the journal", || journal.held() == 2).await;
    journal.acknowledge();
    journal.refuse();
    let ExitReason::Journal(_) = soon(writer.stopped()).await else { panic!("not the journal's") };
    handled(&reader).await;
    assert_eq!(lines(&log), ["behind kept"]);
}

#[tokio::test]
async fn a_step_that_panics_or_cannot_record_leaves_no_effect_at_all() {
    let Stand { journal, log, reader, node, writer: _writer } = stand();
    for (name, faulty) in [
        ("panic", act(|_, _| panic!("at the end"))),
        ("record without a journal", act(|_, cx| cx.record(&"nowhere"))),
    ] {
        let (actor, to) = (puppet(&node, name, &log), reader.clone());
        tell(&actor, move |puppet, cx| {
            cx.send(&to, note("never"));
            let own = Log::default();
            let child = cx.spawn(Spawn::named("child"), move || Puppet::new(&own));
            faulty(puppet, cx);
            cx.send(&to, note("never"));
            drop(child);
        });
        let ExitReason::Crashed(_) = soon(actor.stopped()).await else { panic!("not crashed") };
        assert!(node.find::<Do>(&format!("{name}/child")).is_none(), "{name}");
    }
    handled(&reader).await;
    assert_eq!((lines(&log), journal.held()), (vec![], 0));
}

#[tokio::test]
async fn an_actor_that_ends_waits_for_its_records_and_lets_their_effects_leave() {
    let Stand { journal, log, writer, reader, node: _node } = stand();
    let to = reader.clone();
    tell(&writer, move |_, cx| {
        cx.record(&"last");
        cx.send(&to, note("last"));
        cx.stop();
    });
    until("the record is with the journal", || journal.held() == 1).await;
    assert!(!writer.is_stopped());
    journal.acknowledge();
    assert_eq!(soon(writer.stopped()).await, ExitReason::Normal);
    handled(&reader).await;
    assert_eq!(lines(&log), ["last"]);
}

#[tokio::test]
async fn each_incarnation_gets_the_records_of_those_before_it_in_order() {
    let (log, journal) = (Log::default(), Arc::new(MemoryJournal::default()));
    let node = Node::builder().journal(Arc::<MemoryJournal>::clone(&journal)).open().unwrap();
    let supervised =
        node.supervise(
            Supervisor::one_for_one("top")
                .intensity(9, std::time::Duration::from_secs(60))
                .child_with(Spawn::named("writer").journal(RUN), Restart::Transient, {
                    let log = log.clone();
                    move || Puppet::new(&log)
                }),
        );
    let writer = supervised.child::<Do>("writer").unwrap();
    for record in ["a", "b"] {
        tell(&writer, move |_, cx| {
            cx.record(&record);
            cx.crash("after a record");
        });
    }
    handled(&writer).await;
    let all = ["start 1", "replay a", "start 2", "replay a", "replay b", "start 3"];
    assert_eq!(log.lines(), all);
    assert_eq!(journal.next(RUN), Ok(2));
    // Another node goes on where this one was.
    node.close().await.unwrap();
    let (node, log) = (Node::builder().journal(journal).open().unwrap(), Log::default());
    let own = log.clone();
    let writer = node.spawn(Spawn::named("writer").journal(RUN), move || Puppet::new(&own));
    handled(&writer).await;
    assert_eq!(log.lines(), ["replay a", "replay b", "start 1"]);
    // A record that the actor cannot read ends it, and says which.
    tell(&writer, |_, cx| {
        cx.record(&"bad!");
        cx.stop();
    });
    soon(writer.stopped()).await;
    let writer = node.spawn(Spawn::named("writer").journal(RUN), move || Puppet::new(&log));
    let ExitReason::Journal(why) = soon(writer.stopped()).await else { panic!("read it") };
    assert!(why.contains("record 2") && why.contains("unreadable"), "{why}");
}

#[tokio::test]
async fn two_writers_of_one_run_cannot_both_go_on() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let writers = ["one", "two"].map(|name| {
        let log = log.clone();
        node.spawn(Spawn::named(name).journal(RUN), move || Puppet::new(&log))
    });
    for writer in &writers {
        handled(writer).await;
    }
    assert_eq!(
        ask(&writers[0], |_, cx, to| {
            cx.record(&1);
            cx.reply(to, ());
        })
        .await,
        Ok(())
    );
    ask(&writers[1], |_, cx, to| {
        cx.record(&2);
        cx.reply(to, ());
    })
    .await
    .unwrap_err();
    let ExitReason::Journal(why) = soon(writers[1].stopped()).await else { panic!("both wrote") };
    assert!(why.contains("another writer"), "{why}");
}

#[tokio::test]
async fn large_records_of_one_step_go_in_as_many_appends_as_the_journal_asks_for() {
    let Stand { journal, node, writer, .. } = stand();
    let large = || vec![0_u8; JOURNAL_RECORD_BYTES_MAX - 16];
    let count = JOURNAL_APPEND_BYTES_MAX / JOURNAL_RECORD_BYTES_MAX + 1;
    tell(&writer, move |_, cx| {
        for _ in 0..count {
            cx.record(&Bytes(large()));
        }
    });
    until("both are with the journal", || journal.held() == 2).await;
    journal.acknowledge();
    journal.acknowledge();
    handled(&writer).await;
    assert_eq!(node.journal().next(RUN), Ok(count as u64));
}

struct Bytes(Vec<u8>);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Fills the outbox behind a record that is not acknowledged: data waits, control does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_outbox_closes_the_data_lane_and_never_the_control_lane() {
    let Stand { journal, log, node, reader, writer: _writer } = stand();
    let spawn = Spawn::named("writer").journal(RunId::from_u128(8));
    let own = log.clone();
    let writer =
        node.spawn(spawn.mailbox(Mailbox::new(64, Overflow::Reject)), move || Puppet::new(&own));
    // All three are in one batch: the first fills the outbox.
    let release = blocked(&writer).await;
    tell(&writer, |_, cx| {
        // Timers that are due once the record is written, and one that is due now.
        cx.after(std::time::Duration::ZERO, note("control one"));
        cx.after(std::time::Duration::from_millis(20), note("control two"));
        cx.record(&"first");
        for _ in 0..OUTBOX_EFFECTS_MAX {
            cx.send(&cx.me(), note("follow-up"));
        }
    });
    tell(&writer, |puppet, _| puppet.log.add("data one"));
    tell(&writer, |puppet, _| puppet.log.add("data two"));
    drop(release);
    until("the record is with the journal", || journal.held() == 1).await;
    until("control passes", || log.has("control two")).await;
    handled(&reader).await;
    assert_eq!(lines(&log), ["control one", "control two"]);
    assert_eq!(writer.tally().kept, 2);
    journal.acknowledge();
    until("data passes", || log.has("data two")).await;
    until("all have come", || log.lines().len() == 3 + 4 + OUTBOX_EFFECTS_MAX).await;
}
