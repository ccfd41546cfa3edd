//! The suite of the `Link` port.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use protocol::NodeId;

use crate::{
    ask::{AskError, Reply},
    engine::link::{Arrival, Link, LinkError, Packet},
    limits::{LINK_CREDIT, LINK_FRAME_BYTES_MAX, LINK_GROUPS_MAX},
};

/// Longer than any rule takes.
const LONG: Duration = Duration::from_secs(60);

/// A deadline that passes.
const SHORT: Duration = Duration::from_millis(50);

const A: NodeId = NodeId::from_u128(1);
const B: NodeId = NodeId::from_u128(2);
const C: NodeId = NodeId::from_u128(3);

/// A network whose links are tried.
pub trait LinkRig: Send + Sync {
    /// Lets one of the nodes 1, 2 and 3 join, or join again in a new life.
    fn open(&self, node: NodeId) -> Arc<dyn Link>;
    /// Loses the next `frames` from one node to another.
    fn lose(&self, from: NodeId, to: NodeId, frames: u64);
}

/// Runs the suite of the `Link` port; `rig` makes a network without nodes.
///
/// # Panics
/// When a link breaks a rule of the port.
pub async fn link_conformance(rig: impl Fn() -> Box<dyn LinkRig>) {
    frames_arrive_whole_and_in_order(&*rig()).await;
    what_cannot_be_sent_is_refused(&*rig()).await;
    every_request_ends_once(&*rig()).await;
    nodes_ask_each_other_at_the_same_time(&*rig()).await;
    a_receiver_that_does_not_read_stops_its_sender_alone(&*rig()).await;
    a_loss_is_told_before_what_comes_behind_it(&*rig()).await;
    a_broadcast_reaches_the_group_and_nobody_else(&*rig()).await;
    who_has_no_credit_misses_a_broadcast_and_is_told(&*rig()).await;
    a_node_that_returns_is_another(&*rig()).await;
    a_closed_end_takes_part_in_nothing(&*rig()).await;
    a_link_that_is_closed_leaves_nobody_waiting(&*rig()).await;
}

async fn frames_arrive_whole_and_in_order(rig: &dyn LinkRig) {
    let (a, b) = (rig.open(A), rig.open(B));
    assert_eq!((a.me().node, b.me().node), (A, B));
    for number in 0..100 {
        assert_eq!(a.send(B, frame(number)), Ok(()));
    }
    assert_eq!(a.send(A, frame(7)), Ok(()), "a node may send to itself");
    for number in 0..100 {
        assert_eq!(heard(&*b).await, Heard::Frame(A, number));
    }
    assert_eq!(heard(&*a).await, Heard::Frame(A, 7));
    let largest: Packet = vec![7; LINK_FRAME_BYTES_MAX].into();
    assert_eq!(a.send(B, Arc::clone(&largest)), Ok(()));
    let arrived = match b.next().await {
        Some(Arrival::Frame { from, frame, reply: None }) if from == a.me() => Some(frame),
        _ => None,
    };
    assert!(
        arrived == Some(largest),
        "the largest frame arrives whole, from the life that sent it"
    );
}

async fn what_cannot_be_sent_is_refused(rig: &dyn LinkRig) {
    let a = rig.open(A);
    let unknown = LinkError::Unknown(B);
    is(a.send(B, frame(1)), Err(unknown), "nobody is there");
    is(a.request(B, frame(1), LONG).await, Err(AskError::NodeLost), "nobody is there to answer");
    is(a.ready(B).await, Err(unknown), "nobody will be ready");
    is(a.credit(B), 0, "nobody grants credit");
    let large: Packet = vec![7; LINK_FRAME_BYTES_MAX + 1].into();
    let too_large = LinkError::TooLarge { bytes: large.len() };
    let _b = rig.open(B);
    is(a.send(B, Arc::clone(&large)), Err(too_large), "too large to send");
    is(a.broadcast("g", Arc::clone(&large)), Err(too_large), "too large for a broadcast");
    let requested = a.request(B, large, LONG).await;
    assert!(matches!(requested, Err(AskError::Refused(_))), "too large to ask: {requested:?}");
    for group in 0..LINK_GROUPS_MAX {
        is(a.join(&group.to_string()), Ok(()), "a group that may be joined");
    }
    is(a.join("one more"), Err(LinkError::TooManyGroups), "groups are bounded");
    a.leave("0");
    is(a.join("one more"), Ok(()), "one was left");
}

async fn every_request_ends_once(rig: &dyn LinkRig) {
    let (a, b) = (rig.open(A), rig.open(B));
    let answered = a.request(B, frame(1), LONG);
    let dropped = a.request(B, frame(2), LONG);
    let late = a.request(B, frame(3), SHORT);
    let refused = a.request(B, frame(4), LONG);
    let serve = async {
        let mut replies = Vec::new();
        for number in 1..=4 {
            let (asked, reply) = asked(&*b).await;
            assert_eq!(asked, number, "requests and frames arrive in one order");
            replies.push(reply);
        }
        let mut replies = replies.into_iter().flatten();
        assert!(replies.next().is_some_and(|reply| reply.send(frame(10))), "somebody waits");
        drop(replies.next());
        let kept = replies.next();
        let failed = AskError::Failed("as asked".to_owned());
        assert!(replies.next().is_some_and(|reply| reply.refuse(failed)));
        kept
    };
    let (outcomes, kept) = join(join_all([answered, dropped, late, refused]), serve).await;
    let late = AskError::TimedOut(SHORT);
    let failed = AskError::Failed("as asked".to_owned());
    let expected = [Ok(frame(10)), Err(AskError::Dropped), Err(late), Err(failed)];
    assert_eq!(outcomes, expected);
    assert!(kept.is_some_and(|reply| !reply.send(frame(30))), "nobody waits any more");
}

async fn nodes_ask_each_other_at_the_same_time(rig: &dyn LinkRig) {
    let (a, b) = (rig.open(A), rig.open(B));
    let serve = async |link: &dyn Link| {
        let (number, reply) = asked(link).await;
        assert!(reply.is_some_and(|reply| reply.send(frame(number * 10))));
    };
    let asks = join(a.request(B, frame(1), LONG), b.request(A, frame(2), LONG));
    let (answers, ((), ())) = join(asks, join(serve(&*a), serve(&*b))).await;
    assert_eq!(answers, (Ok(frame(10)), Ok(frame(20))));
}

async fn a_receiver_that_does_not_read_stops_its_sender_alone(rig: &dyn LinkRig) {
    let (a, b, c) = (rig.open(A), rig.open(B), rig.open(C));
    is(a.credit(B), LINK_CREDIT, "credit at first");
    sends(&*a, B, 0..LINK_CREDIT as u64);
    is(a.send(B, frame(0)), Err(LinkError::NoCredit(B)), "no more than its credit");
    let requested = a.request(B, frame(0), LONG).await;
    assert!(matches!(requested, Err(AskError::Refused(_))), "nor a request: {requested:?}");
    is(a.credit(B), 0, "credit is used up");
    sends(&*a, C, [1]);
    sends(&*c, B, [2]);
    let mut ready = a.ready(B);
    assert!((&mut ready).now_or_never().is_none(), "it waits for a credit");
    let (mut from_a, mut from_c) = (Vec::new(), Vec::new());
    for _ in 0..=LINK_CREDIT {
        match heard(&*b).await {
            Heard::Frame(A, number) => from_a.push(number),
            Heard::Frame(_, number) => from_c.push(number),
            Heard::Gap(..) | Heard::Nothing => {}
        }
    }
    is(from_a, (0..LINK_CREDIT as u64).collect(), "what was refused leaves no gap");
    is(from_c, vec![2], "others go on");
    is(ready.await, Ok(()), "a frame that is taken gives its credit back");
    is(a.credit(B), LINK_CREDIT, "all of it");
    sends(&*a, B, [9]);
    hears(&*b, Heard::Frame(A, 9), "it goes on").await;
}

async fn a_loss_is_told_before_what_comes_behind_it(rig: &dyn LinkRig) {
    let (a, b, c) = (rig.open(A), rig.open(B), rig.open(C));
    sends(&*a, B, 0..1);
    hears(&*b, Heard::Frame(A, 0), "nothing is lost").await;
    rig.lose(A, B, 3);
    sends(&*a, B, 1..5);
    hears(&*b, Heard::Gap(A, 3), "the loss comes first").await;
    hears(&*b, Heard::Frame(A, 4), "then what was sent behind it").await;
    rig.lose(A, B, 2);
    sends(&*a, B, 5..7);
    sends(&*a, C, [1]);
    sends(&*b, A, [2]);
    hears(&*c, Heard::Frame(A, 1), "other pairs lose nothing").await;
    hears(&*a, Heard::Frame(B, 2), "nor does the way back").await;
    a.mark();
    a.mark();
    hears(&*b, Heard::Gap(A, 2), "a mark finds what was lost last").await;
    sends(&*a, B, [8]);
    hears(&*b, Heard::Frame(A, 8), "a loss is told once").await;
    rig.lose(A, B, 1);
    let unknown = Err(AskError::TimedOut(SHORT));
    is(a.request(B, frame(9), SHORT).await, unknown, "what became of a lost request nobody knows");
}

async fn a_broadcast_reaches_the_group_and_nobody_else(rig: &dyn LinkRig) {
    let (a, b, c) = (rig.open(A), rig.open(B), rig.open(C));
    is((a.join("g"), b.join("g")), (Ok(()), Ok(())), "two join");
    is(a.broadcast("g", frame(1)), Ok(()), "to the group");
    is(a.broadcast("nobody's", frame(2)), Ok(()), "to a group without members");
    sends(&*a, A, [3]);
    sends(&*a, C, [3]);
    hears(&*b, Heard::Frame(A, 1), "a member").await;
    hears(&*a, Heard::Frame(A, 3), "not whoever sends it").await;
    hears(&*c, Heard::Frame(A, 3), "nor who has not joined").await;
    is(c.join("g"), Ok(()), "another joins");
    b.leave("g");
    is(a.broadcast("g", frame(4)), Ok(()), "to the group as it is now");
    sends(&*a, B, [5]);
    hears(&*b, Heard::Frame(A, 5), "not who has left").await;
    hears(&*c, Heard::Frame(A, 4), "who has joined since").await;
}

async fn who_has_no_credit_misses_a_broadcast_and_is_told(rig: &dyn LinkRig) {
    let (a, b, c) = (rig.open(A), rig.open(B), rig.open(C));
    is((b.join("g"), c.join("g")), (Ok(()), Ok(())), "two join");
    sends(&*a, C, 0..LINK_CREDIT as u64);
    is(a.broadcast("g", frame(6)), Ok(()), "one without credit stops nobody");
    hears(&*b, Heard::Frame(A, 6), "the other hears it").await;
    for number in 0..LINK_CREDIT as u64 {
        hears(&*c, Heard::Frame(A, number), "what came before").await;
    }
    a.mark();
    hears(&*c, Heard::Gap(A, 1), "it is told that it missed something").await;
}

async fn a_node_that_returns_is_another(rig: &dyn LinkRig) {
    let (a, b) = (rig.open(A), rig.open(B));
    sends(&*a, B, 0..3);
    let asked = a.request(B, frame(3), LONG);
    is(b.join("g"), Ok(()), "it joins a group");
    let again = rig.open(B);
    assert!(again.me().incarnation > b.me().incarnation, "a later life has a greater number");
    is(asked.await, Err(AskError::NodeLost), "whoever was asked is gone");
    hears(&*b, Heard::Nothing, "the life before has ended").await;
    is(b.send(A, frame(4)), Err(LinkError::Closed), "and speaks no more");
    is(a.broadcast("g", frame(5)), Ok(()), "nor is it in its groups");
    is(a.credit(B), LINK_CREDIT, "credit begins anew");
    sends(&*a, B, [6]);
    hears(&*again, Heard::Frame(A, 6), "what was lost with the life before is no gap").await;
    sends(&*again, A, [7]);
    let arrival = a.next().await;
    let from = again.me();
    assert!(
        matches!(arrival, Some(Arrival::Frame { from: of, .. }) if of == from),
        "frames name the life that sent them: {arrival:?}"
    );
    drop(b);
    sends(&*a, B, [8]);
    hears(&*again, Heard::Frame(A, 8), "the end of the life before does not end the next").await;
}

async fn a_link_that_is_closed_leaves_nobody_waiting(rig: &dyn LinkRig) {
    let (a, b, c) = (rig.open(A), rig.open(B), rig.open(C));
    let unread = a.request(B, frame(1), LONG);
    sends(&*a, B, 2..LINK_CREDIT as u64);
    let read = c.request(B, frame(2), LONG);
    sends(&*a, B, [3]);
    let ready = a.ready(B);
    let mut kept = None;
    while kept.is_none() {
        kept = asked(&*b).await.1;
    }
    b.close();
    let lost = Err(AskError::NodeLost);
    is(join(unread, read).await, (lost.clone(), lost), "requests end, read or not");
    assert!(kept.is_some_and(|reply| !reply.send(frame(9))), "its answer comes too late");
    // The credit of what was read may have come before the end.
    let ready = ready.await;
    assert!(matches!(ready, Ok(()) | Err(LinkError::Unknown(B))), "nobody waits: {ready:?}");
    is(a.send(B, frame(4)), Err(LinkError::Unknown(B)), "it is gone");
}

async fn a_closed_end_takes_part_in_nothing(rig: &dyn LinkRig) {
    let (a, b) = (rig.open(A), rig.open(B));
    sends(&*a, B, [1]);
    b.close();
    hears(&*b, Heard::Nothing, "it hears nothing").await;
    is(b.send(A, frame(5)), Err(LinkError::Closed), "it sends nothing");
    is(b.broadcast("g", frame(5)), Err(LinkError::Closed), "to no group either");
    is(b.join("g"), Err(LinkError::Closed), "it joins nothing");
    is(b.ready(A).await, Err(LinkError::Closed), "it is never ready");
    let requested = b.request(A, frame(6), LONG).await;
    assert!(matches!(requested, Err(AskError::Refused(_))), "it asks nothing: {requested:?}");
}

/// Sends frames of these numbers, which must be possible.
fn sends(link: &dyn Link, to: NodeId, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        assert_eq!(link.send(to, frame(number)), Ok(()), "frame {number} from {}", link.me());
    }
}

/// Hears exactly this next.
async fn hears(link: &dyn Link, expected: Heard, why: &str) {
    assert_eq!(heard(link).await, expected, "at {}: {why}", link.me());
}

/// Everything is as it should be.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made in place")]
fn is<T: PartialEq + std::fmt::Debug>(found: T, expected: T, why: &str) {
    assert_eq!(found, expected, "{why}");
}

/// What was heard, and from whom.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Frame(NodeId, u64),
    Gap(NodeId, u64),
    Nothing,
}

async fn heard(link: &dyn Link) -> Heard {
    match link.next().await {
        Some(Arrival::Frame { from, frame, .. }) => Heard::Frame(from.node, number(&frame)),
        Some(Arrival::Gap { from, lost }) => Heard::Gap(from.node, lost),
        None => Heard::Nothing,
    }
}

/// The number of the next frame, and the right to answer it.
async fn asked(link: &dyn Link) -> (u64, Option<Reply<Packet>>) {
    match link.next().await {
        Some(Arrival::Frame { frame, reply, .. }) => (number(&frame), reply),
        other => {
            assert!(other.is_none(), "{other:?} where a request should be");
            (u64::MAX, None)
        }
    }
}

fn frame(number: u64) -> Packet {
    number.to_be_bytes().to_vec().into()
}

fn number(frame: &Packet) -> u64 {
    frame.first_chunk().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes))
}
