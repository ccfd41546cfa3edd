//! What a bus promises to those who publish and those who subscribe.

use futures_util::{FutureExt, StreamExt};
use protocol::Value;

use super::*;

const RUN: RunId = RunId::from_u128(5);
const COORDINATOR: ActorId = ActorId::from_u128(9);

fn event(id: u128, kind: EventKind) -> Event {
    Event::new(EventId::from_u128(id), kind, "agent/rust")
}

fn to(actor: u128) -> Option<Target> {
    Some(Target::Actor(ActorId::from_u128(actor)))
}

fn publish(bus: &Bus, event: Event) {
    bus.publish(event, 77, COORDINATOR).unwrap();
}

/// Reads all that waits: the ids of events, and how many were missed as a negative number.
fn heard(subscription: &mut Subscription) -> Vec<i128> {
    let heard = std::iter::from_fn(|| subscription.try_next());
    let heard = heard.map(|received| match received {
        Received::Event(event) => event.id.as_u128().cast_signed(),
        Received::Missed(count) => -i128::from(count),
    });
    heard.collect()
}

#[test]
fn an_event_reaches_those_who_want_its_type_run_or_target() {
    let bus = Bus::new();
    let mut everything = bus.subscribe(Filter::new()).unwrap();
    let mut ends = bus.subscribe(Filter::new().kinds([EventKind::RunEnded])).unwrap();
    let mut of_run = bus.subscribe(Filter::new().run(RUN)).unwrap();
    let mut own = bus.subscribe(Filter::new().receiver(ActorId::from_u128(1))).unwrap();
    publish(&bus, event(1, EventKind::RunStarted));
    publish(&bus, Event { run: Some(RUN), ..event(2, EventKind::RunEnded) });
    publish(&bus, Event { target: to(1), ..event(3, EventKind::StateChanged) });
    publish(&bus, Event { target: to(2), ..event(4, EventKind::StateChanged) });
    assert_eq!(heard(&mut everything), [1, 2, 3, 4]);
    assert_eq!(heard(&mut ends), [2]);
    assert_eq!(heard(&mut of_run), [2]);
    assert_eq!(heard(&mut own), [1, 2, 3]);
}

#[test]
fn the_bus_stamps_events_and_refuses_invalid_ones() {
    let bus = Bus::new();
    let mut subscription = bus.subscribe(Filter::new()).unwrap();
    let forged = Event { published_at: Some(1), ..event(1, EventKind::TaskCreated) };
    publish(&bus, forged);
    let Some(Received::Event(event)) = subscription.try_next() else { panic!("no event") };
    assert_eq!((event.published_at, event.coordinator_id), (Some(77), Some(COORDINATOR)));
    let nameless = Event::new(EventId::from_u128(2), "", "agent/rust");
    assert_eq!(bus.publish(nameless, 77, COORDINATOR).unwrap_err().field, "type");
    assert_eq!(subscription.try_next(), None);
}

#[test]
fn a_slow_subscriber_hears_how_many_it_missed_and_slows_nobody() {
    let bus = Bus::new();
    let mut slow = bus.subscribe_with(Filter::new(), 3).unwrap();
    let mut quick = bus.subscribe(Filter::new()).unwrap();
    for id in 0..10 {
        publish(&bus, event(id, EventKind::ProgressUpdate));
    }
    assert_eq!(heard(&mut quick), (0..10).collect::<Vec<_>>());
    assert_eq!(heard(&mut slow), [-7, 7, 8, 9]);
    assert_eq!(bus.missed(), 7);
    publish(&bus, event(10, EventKind::ProgressUpdate));
    assert_eq!(heard(&mut slow), [10], "and then keeps up");
}

#[test]
fn the_second_event_of_an_id_is_dropped_as_far_as_memory_reaches() {
    let bus = Bus::new();
    let mut subscription = bus.subscribe_with(Filter::new(), EVENT_QUEUE_MAX).unwrap();
    publish(&bus, event(1, EventKind::TaskCompleted));
    publish(&bus, event(1, EventKind::TaskCompleted));
    assert_eq!(heard(&mut subscription), [1]);
    for id in 0..EVENT_IDS_MAX as u128 {
        publish(&bus, event(100 + id, EventKind::TaskCompleted));
    }
    assert_eq!(bus.0.state.lock().published.len(), EVENT_IDS_MAX);
    heard(&mut subscription);
    publish(&bus, event(1, EventKind::TaskCompleted));
    assert_eq!(heard(&mut subscription), [1]);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_and_ends_with_the_bus() {
    let bus = Bus::new();
    let mut subscription = bus.subscribe(Filter::new()).unwrap();
    assert!(subscription.next().now_or_never().is_none());
    let (received, ()) = tokio::join!(subscription.next(), async {
        publish(&bus, event(1, EventKind::MilestoneReached));
    });
    assert!(matches!(received, Some(Received::Event(_))));
    publish(&bus, event(2, EventKind::MilestoneReached));
    let (rest, ()) = tokio::join!(subscription.by_ref().count(), async { drop(bus) });
    assert_eq!(rest, 1, "what was published before the end is still read");
    assert_eq!(subscription.next().await, None);
}

#[test]
fn a_dropped_subscription_leaves_nothing_behind() {
    let bus = Bus::new();
    assert!(!bus.wants("run_ended", None), "nobody is there");
    let filter = Filter::new().kinds(["run_ended"]).run(RUN);
    let subscription = bus.subscribe(filter).unwrap();
    assert!(bus.wants("run_ended", Some(RUN)));
    assert!(!bus.wants("run_ended", None) && !bus.wants("run_started", Some(RUN)));
    drop(subscription);
    assert!(!bus.wants("run_ended", Some(RUN)));
    assert_eq!(bus.0.state.lock().seats.len(), 0);
}

#[test]
fn subscriptions_are_bounded() {
    let bus = Bus::new();
    let mut open: Vec<_> =
        (0..EVENT_SUBSCRIPTIONS_MAX).map(|_| bus.subscribe(Filter::new()).unwrap()).collect();
    assert_eq!(bus.subscribe(Filter::new()).unwrap_err().code, Code::Overloaded);
    open.pop();
    assert!(bus.subscribe(Filter::new()).is_ok());
}

#[test]
fn every_type_has_a_word_of_its_own() {
    for kind in EventKind::EVERY {
        assert_eq!(EventKind::of(kind.as_str()), Some(*kind));
    }
    assert_eq!(EventKind::of("price_changed"), None);
}

#[test]
fn what_is_for_somebody_reaches_those_who_are_meant_and_those_who_watch() {
    let bus = Bus::new();
    let subscribe = |filter: Filter| bus.subscribe(filter).unwrap();
    let mut watching = subscribe(Filter::new());
    let mut worker = subscribe(Filter::new().receiver_named("team/worker"));
    let mut stranger = subscribe(Filter::new().receiver_named("teams"));
    let mut follower = subscribe(Filter::new().receiver_named("follower").run(RUN));
    let mut remote = subscribe(Filter::new().receiver(ActorId::from_u128(1)));
    let targeted = |id, target| {
        let event = event(id, EventKind::VoteRequested);
        publish(&bus, Event { target, run: Some(RUN), ..event });
    };
    targeted(1, None);
    targeted(2, Some(Target::Run));
    targeted(3, to(1));
    targeted(4, Some(Target::Name("team/worker".into())));
    targeted(5, Some(Target::Name("team".into())));
    targeted(6, Some(Target::Name("team/worker/hand".into())));
    assert_eq!(heard(&mut watching), [1, 2, 3, 4, 5, 6]);
    assert_eq!(heard(&mut worker), [1, 4, 5]);
    assert_eq!(heard(&mut stranger), [1]);
    assert_eq!(heard(&mut follower), [1, 2]);
    assert_eq!(heard(&mut remote), [1, 3]);
}

#[test]
fn a_draft_that_is_not_valid_says_what_of_whose_event_is_wrong_and_what_to_do() {
    let refused = |draft: Draft| match draft.event(EventId::from_u128(1), "shop/eu") {
        Ok(event) => panic!("`{}` is valid", event.kind),
        Err(error) => error,
    };
    let error = refused(Draft::new("price_changed").to(Target::Run));
    assert_eq!(
        error.to_string(),
        "event `price_changed` of shop/eu reaches nobody: its field target is the run, but the event is of none; name it in \
         `run`; mend that and publish it again"
    );
    assert_eq!(refused(Draft::new("")).fault.field, "type");
    assert_eq!(refused(Draft::new("a\nb")).fault.field, "type");
    assert_eq!(refused(Draft::new("a").label("", "b")).fault.field, "metadata");
    let heavy = vec!["x".repeat(1_000); EVENT_DATA_BYTES_MAX / 1_000 + 1];
    assert_eq!(refused(Draft::new("a").data(heavy.into())).fault.field, "data");
    let mut deep = Value::Null;
    for _ in 0..100 {
        deep = Value::Array(vec![deep]);
    }
    assert!(Draft::new("a").data(deep).event(EventId::from_u128(1), "shop").is_ok());
}
