//! Events as messages of actors: who receives what, in which order, across restarts and with a bound.

use std::sync::Arc;

use protocol::RunId;
use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    context::Cx,
    events::{Draft, EventKind, Filter, Received, Target},
    limits::{EVENT_QUEUE, EVENT_SUBSCRIPTIONS_MAX},
    mailbox::{Mailbox, Overflow},
    node::Node,
    probe::Probe,
    spawn::Spawn,
    supervisor::{Restart, Supervisor},
};

use crate::support::{
    Do, HandJournal, Log, Puppet, act, blocked, handled, puppet, soon, tell, until,
};

const RUN: RunId = RunId::from_u128(7);

/// A message that adds what was received to the puppet's log, as `name type` or `name missed n`.
fn written(name: &'static str) -> impl Fn(Received) -> Do {
    move |received| {
        act(move |puppet, _| {
            puppet.log.add(match received {
                Received::Event(event) => format!("{name} {}", event.kind),
                Received::Missed(count) => format!("{name} missed {count}"),
            });
        })
    }
}

/// Subscribes `puppet` to what passes `filter`, and waits until it has.
async fn listening(puppet: &Addr<Do>, name: &'static str, filter: Filter) {
    tell(puppet, move |_, cx| cx.subscribe(filter, written(name)).unwrap());
    handled(puppet).await;
}

fn publish(node: &Node, draft: Draft) {
    node.publish_event(draft, "test").unwrap();
}

fn events(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| !line.starts_with("start")).collect()
}

#[tokio::test]
async fn events_become_messages_of_those_who_want_them_and_are_meant_in_their_order() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (eu, us) = (puppet(&node, "shop/eu", &log), puppet(&node, "shop/us", &log));
    listening(&eu, "eu", Filter::new()).await;
    listening(&us, "us", Filter::new().kinds(["sold", "closed"]).run(RUN)).await;
    publish(&node, Draft::new("price"));
    publish(&node, Draft::new("sold").to(Target::Name("shop/eu".into())));
    publish(&node, Draft::new("sold").to(Target::Name("shop/us".into())).run(RUN));
    publish(&node, Draft::new("lost").to(Target::Name("depot".into())));
    publish(&node, Draft::new("sold").to(Target::Run).run(RUN));
    publish(&node, Draft::new("closed").to(Target::Name("shop".into())).run(RUN));
    let heard = ["eu price", "eu sold", "eu closed", "us sold", "us sold", "us closed"];
    until("all are heard", || events(&log).len() == heard.len()).await;
    let mut sorted = events(&log);
    sorted.sort_by_key(|line| line.starts_with("us"));
    assert_eq!(sorted, heard);
}

#[tokio::test]
async fn an_event_leaves_behind_the_records_ahead_of_it_and_is_stamped_by_the_bus() {
    let journal = Arc::new(HandJournal::default());
    let node = Node::builder().journal(Arc::<HandJournal>::clone(&journal)).open().unwrap();
    let log = Log::default();
    let (own, mut watching) = (log.clone(), node.events().subscribe(Filter::new()).unwrap());
    let writer = node.spawn(Spawn::named("writer").journal(RUN), move || Puppet::new(&own));
    tell(&writer, |_, cx| {
        cx.record(&"decided");
        cx.publish_event(Draft::new(EventKind::MilestoneReached).run(RUN)).unwrap();
    });
    until("the record is with the journal", || journal.held() == 1).await;
    assert_eq!(watching.try_next(), None, "nobody sees what could still be lost");
    journal.acknowledge();
    let Some(Received::Event(event)) = soon(watching.next()).await else { panic!("no event") };
    assert_eq!((&*event.kind, &*event.source), ("milestone_reached", "writer"));
    assert!(event.published_at.is_some() && event.coordinator_id.is_some());
}

#[tokio::test]
async fn an_event_that_is_not_valid_is_refused_in_the_step_and_reaches_nobody() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (one, mut watching) =
        (puppet(&node, "one", &log), node.events().subscribe(Filter::new()).unwrap());
    tell(&one, |puppet, cx| {
        let refused = cx.publish_event(Draft::new("sold").to(Target::Run)).unwrap_err();
        puppet.log.add(format!("{} {}", refused.publisher, refused.fault.field));
    });
    handled(&one).await;
    assert_eq!(events(&log), ["one target"]);
    assert!(node.publish_event(Draft::new(""), "test").is_err());
    assert_eq!(watching.try_next(), None);
}

#[tokio::test]
async fn a_restart_loses_no_event_and_hears_none_twice() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let own = log.clone();
    let supervisor = Supervisor::one_for_one("all").intensity(5, crate::support::SOON).child_with(
        Spawn::named("one").mailbox(Mailbox::new(2, Overflow::Reject)),
        Restart::Permanent,
        move || {
            Puppet::new(&own).starting(|_, cx| {
                cx.subscribe(Filter::new(), |received| {
                    act(move |puppet, cx| {
                        let Received::Event(event) = received else { return };
                        puppet.log.add(format!("{} of {}", event.kind, cx.incarnation()));
                        if event.kind == "poison" {
                            cx.crash("as asked");
                        }
                    })
                })
                .unwrap();
            })
        },
    );
    let supervised = node.supervise(supervisor);
    until("it has started", || log.has("start 1")).await;
    let one = supervised.child::<Do>("one").unwrap();
    handled(&one).await;
    // More than the mailbox holds: the rest waits on the bus.
    for kind in ["a", "poison", "b", "c", "d", "e", "f"] {
        publish(&node, Draft::new(kind));
    }
    let heard = ["a of 1", "poison of 1", "b of 2", "c of 2", "d of 2", "e of 2", "f of 2"];
    until("all are heard", || events(&log).len() >= heard.len()).await;
    handled(&one).await;
    assert_eq!(events(&log), heard);
    assert_eq!(
        node.events().subscriptions(),
        1,
        "the second incarnation took the first one's over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_is_told_how_many_it_missed_and_slows_nobody() {
    let (node, log, slow_log) = (Node::in_memory().unwrap(), Log::default(), Log::default());
    let own = slow_log.clone();
    let spawn = Spawn::named("slow").mailbox(Mailbox::new(4, Overflow::DropOldest));
    let slow = node.spawn(spawn, move || Puppet::new(&own));
    let quick = puppet(&node, "quick", &log);
    listening(&slow, "slow", Filter::new()).await;
    listening(&quick, "quick", Filter::new()).await;
    let release = blocked(&slow).await;
    let published = EVENT_QUEUE + 200;
    for sent in 1..=published {
        publish(&node, Draft::new("tick"));
        until("the quick one keeps up", || events(&log).len() == sent).await;
    }
    drop(release);
    until("the slow one has caught up", || {
        let (ticks, missed) = counted(&slow_log);
        ticks + missed == published
    })
    .await;
    let (_, missed) = counted(&slow_log);
    assert!(missed > 0 && missed as u64 == node.events().missed(), "{missed}");
    assert_eq!(slow.tally().dropped, 0, "an event in line evicts nobody");
}

/// How many ticks a log has, and how many it says were missed.
fn counted(log: &Log) -> (usize, usize) {
    let lines = events(log);
    let missed = lines.iter().filter_map(|line| line.strip_prefix("slow missed "));
    let missed = missed.map(|count| count.parse::<usize>().unwrap()).sum();
    (lines.iter().filter(|line| *line == "slow tick").count(), missed)
}

#[tokio::test]
async fn a_subscription_ends_when_unsubscribed_and_with_its_actor() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let one = puppet(&node, "one", &log);
    listening(&one, "one", Filter::new().kinds(["a"])).await;
    listening(&one, "one", Filter::new().kinds(["b"])).await;
    listening(&one, "again", Filter::new().kinds(["b"])).await;
    assert_eq!(node.events().subscriptions(), 2, "an equal one replaces the one before");
    tell(&one, |_, cx| cx.unsubscribe(Filter::new().kinds(["a"])));
    handled(&one).await;
    publish(&node, Draft::new("a"));
    publish(&node, Draft::new("b"));
    until("the other is heard", || log.has("again b")).await;
    assert_eq!(events(&log), ["again b"]);
    one.stop();
    soon(one.stopped()).await;
    until("nothing is left", || node.events().subscriptions() == 0).await;
}

#[tokio::test]
async fn a_step_that_fails_subscribes_to_nothing() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let one = puppet(&node, "one", &log);
    tell(&one, |_, cx| {
        cx.subscribe(Filter::new(), written("one")).unwrap();
        panic!("as asked");
    });
    assert!(matches!(soon(one.stopped()).await, ExitReason::Crashed(_)));
    assert_eq!(node.events().subscriptions(), 0);
}

#[tokio::test]
async fn a_handler_that_panics_crashes_its_own_actor_and_nobody_else() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let (broken, sound) = (puppet(&node, "broken", &log), puppet(&node, "sound", &log));
    tell(&broken, |_, cx| {
        cx.subscribe(Filter::new(), |_| panic!("no such event")).unwrap();
    });
    handled(&broken).await;
    listening(&sound, "sound", Filter::new()).await;
    publish(&node, Draft::new("a"));
    assert_eq!(soon(broken.stopped()).await, ExitReason::Crashed("no such event".into()));
    until("the other hears it", || log.has("sound a")).await;
}

#[tokio::test]
async fn a_bus_with_no_place_refuses_a_subscription_in_the_step() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let all: Vec<_> = (0..EVENT_SUBSCRIPTIONS_MAX)
        .map(|_| node.events().subscribe(Filter::new()).unwrap())
        .collect();
    let one = puppet(&node, "one", &log);
    tell(&one, |puppet, cx| {
        let refusal = cx.subscribe(Filter::new(), written("one")).unwrap_err();
        puppet.log.add(refusal.text);
    });
    handled(&one).await;
    assert!(events(&log)[0].contains("subscriptions are open; end one first"), "{:?}", log.lines());
    drop(all);
}

#[tokio::test]
async fn an_actor_takes_its_subscription_over_though_the_bus_has_no_place() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let own = log.clone();
    let born = move || {
        Puppet::new(&own)
            .starting(|_, cx| cx.subscribe(Filter::new().kinds(["a"]), written("one")).unwrap())
    };
    let top = node.supervise(Supervisor::one_for_one("top").child("one", born));
    let one = top.child::<Do>("one").unwrap();
    handled(&one).await;
    let all: Vec<_> = (1..EVENT_SUBSCRIPTIONS_MAX)
        .map(|_| node.events().subscribe(Filter::new()).unwrap())
        .collect();
    tell(&one, |_, _| panic!("as asked"));
    handled(&one).await;
    publish(&node, Draft::new("a"));
    until("it hears on", || log.has("one a")).await;
    // One that ends in the same step makes the place for the next.
    tell(&one, |_, cx| {
        cx.unsubscribe(Filter::new().kinds(["a"]));
        cx.subscribe(Filter::new().kinds(["a"]), written("new")).unwrap();
    });
    handled(&one).await;
    publish(&node, Draft::new("a"));
    until("the new one hears", || log.has("new a")).await;
    assert_eq!(log.lines(), ["start 1", "start 2", "one a", "new a"]);
    drop(all);
}

/// Answers every `ping` with a `pong`.
struct Echo(usize);

impl Actor for Echo {
    type Msg = Received;

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.subscribe(Filter::new().kinds(["ping"]), |received| received).unwrap();
    }

    fn handle(&mut self, _: Received, cx: &mut Cx<Self>) {
        self.0 += 1;
        cx.publish_event(Draft::new("pong")).unwrap();
    }
}

#[test]
fn a_probe_hears_and_publishes_events() {
    let mut echo = Probe::new(Echo(0));
    let mut heard = echo.events().subscribe(Filter::new().kinds(["pong"])).unwrap();
    echo.publish(Draft::new("ping"), "test").unwrap();
    echo.publish(Draft::new("other"), "test").unwrap();
    assert_eq!(echo.0, 1);
    assert!(matches!(heard.try_next(), Some(Received::Event(event)) if event.source == "probe"));
}
