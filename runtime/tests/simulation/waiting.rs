//! Actors that set messages aside or rest, under faults: nothing accepted is lost, nothing is handled twice, order is kept.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::Reply,
    clock::Moment,
    context::Cx,
    dead_letters::Kept,
    keyed::{Keyed, Keys},
    sim::{Fault, sim},
    supervisor::Supervisor,
};

const SECOND: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_millis(40);
const MESSAGES: u64 = 60;

/// Handles numbers while it is open and sets them aside while it is not; it opens when it has heard nothing for a while.
struct Gate {
    open: bool,
    handled: Arc<Mutex<Vec<u64>>>,
}

#[derive(Debug)]
enum Msg {
    Number(u64),
    Close,
    Quiet,
}

impl Actor for Gate {
    type Msg = Msg;

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.receive_timeout(QUIET, || Msg::Quiet);
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Number(number) if self.open => self.handled.lock().push(number),
            Msg::Number(_) => cx.stash(msg).unwrap(),
            Msg::Close => {
                self.open = false;
                cx.receive_timeout(QUIET, || Msg::Quiet);
            }
            Msg::Quiet => {
                self.open = true;
                cx.unstash_all();
                cx.cancel_receive_timeout();
            }
        }
    }

    fn keep(msg: &Msg) -> Kept<Msg> {
        match msg {
            Msg::Number(number) => Kept::Text(number.to_string()),
            Msg::Close | Msg::Quiet => Kept::Nothing,
        }
    }
}

#[test]
fn what_is_stashed_is_handled_once_and_in_order_whoever_crashes() {
    let report = sim(|world| {
        let handled: Arc<Mutex<Vec<u64>>> = Arc::default();
        let log = Arc::clone(&handled);
        world.node("one", move |node| {
            let log = Arc::clone(&log);
            let supervisor = Supervisor::one_for_one("top").intensity(1_000, SECOND);
            node.supervise(
                supervisor.child("gate", move || Gate { open: false, handled: Arc::clone(&log) }),
            );
        });
        let outside = world.clone();
        world.client("sender", async move {
            let gate = outside.find::<Msg>("one", "top/gate").unwrap();
            for number in 0..MESSAGES {
                let pause = outside.below(20) + if number % 20 == 0 { 60 } else { 0 };
                outside.wait(Duration::from_millis(pause)).await;
                gate.tell(Msg::Number(number)).await.unwrap();
                if number % 7 == 0 {
                    gate.tell(Msg::Close).await.unwrap();
                }
            }
        });
        handled
    })
    .seeds(60)
    .count(12)
    .faults([Fault::Panic, Fault::Slow])
    .finally("each number was handled once, in order, or crashed its actor", |world, handled| {
        world.settle(SECOND);
        let handled = handled.lock();
        let poisoned: Vec<u64> = world
            .get("one")
            .unwrap()
            .dead_letters()
            .iter()
            .filter_map(|letter| letter.text.as_ref()?.parse().ok())
            .collect();
        handled.is_sorted_by(|a, b| a < b)
            && (0..MESSAGES).all(|n| handled.contains(&n) || poisoned.contains(&n))
    })
    .run();
    assert_eq!(report.seeds, 60);
}

/// Notes down what it is told, with its key.
struct Tenant {
    key: u64,
    seen: Seen,
}

/// Key, sender and number of what was handled, in order.
type Seen = Arc<Mutex<Vec<(u64, u64, u64)>>>;

/// What the node has started.
type Shared = Arc<Mutex<Option<Keyed<u64, (u64, u64)>>>>;

impl Actor for Tenant {
    type Msg = (u64, u64);

    fn handle(&mut self, (sender, number): (u64, u64), _: &mut Cx<Self>) {
        self.seen.lock().push((self.key, sender, number));
    }
}

#[test]
fn no_message_is_lost_or_handled_twice_while_keyed_actors_come_and_go() {
    const KEYS: u64 = 3;
    const SENDERS: u64 = 4;
    let report = sim(|world| {
        let seen = Seen::default();
        let (log, keyed) = (Arc::clone(&seen), Arc::new(Mutex::new(None)));
        let made: Shared = Arc::clone(&keyed);
        world.node("one", move |node| {
            let seen = Arc::clone(&log);
            let tenant = move |key: &u64| Tenant { key: *key, seen: Arc::clone(&seen) };
            let keys = Keys::named("tenants", tenant).idle(QUIET);
            drop(made.lock().replace(node.keyed(keys)));
        });
        for sender in 0..SENDERS {
            let (outside, keyed) = (world.clone(), keyed.lock().clone().unwrap());
            world.client(&format!("sender {sender}"), async move {
                for number in 0..MESSAGES {
                    // About as long as an idle actor lives, to the tick.
                    let pause = QUIET * u32::from(outside.below(4) > 0);
                    outside.wait(pause + Duration::from_micros(outside.below(6_000))).await;
                    keyed.tell(outside.below(KEYS), (sender, number)).await.unwrap();
                }
            });
        }
        (seen, keyed)
    })
    .seeds(40)
    .count(8)
    .storm(SECOND * 4)
    .faults([Fault::Slow, Fault::Hang])
    .finally(
        "each message was handled once, in order, and nobody lives idle",
        |world, (seen, keyed)| {
            world.settle(SECOND);
            let (seen, keyed) = (seen.lock(), keyed.lock().clone());
            let of = |sender: u64| {
                let mut numbers: Vec<u64> =
                    seen.iter().filter(|(_, by, _)| *by == sender).map(|(_, _, n)| *n).collect();
                let ordered = (0..KEYS).all(|key| {
                    let of_key = seen.iter().filter(|(at, by, _)| (*at, *by) == (key, sender));
                    of_key.map(|(_, _, number)| number).is_sorted()
                });
                numbers.sort_unstable();
                ordered && numbers == (0..MESSAGES).collect::<Vec<_>>()
            };
            (0..SENDERS).all(of) && keyed.is_some_and(|keyed| keyed.live() == 0)
        },
    )
    .run();
    assert_eq!(report.seeds, 40);
}

/// Says how long a question was on its way.
struct Timer;

impl Actor for Timer {
    type Msg = (Moment, Reply<Duration>);

    fn handle(&mut self, (sent, to): Self::Msg, cx: &mut Cx<Self>) {
        let way = cx.now().since(sent);
        cx.reply(to, way);
    }
}

/// Lets async work ask for it.
struct Asker {
    timer: Addr<(Moment, Reply<Duration>)>,
    ways: Arc<Mutex<Vec<Duration>>>,
}

impl Actor for Asker {
    type Msg = u64;

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.after(SECOND / 4, 40);
    }

    fn handle(&mut self, left: u64, cx: &mut Cx<Self>) {
        if left == 0 {
            return;
        }
        let (work, timer, ways) = (cx.work_cx(), self.timer.clone(), Arc::clone(&self.ways));
        let asks = async move {
            let sent = work.now();
            let way = work.ask(&timer, move |to| (sent, to), SECOND).await.unwrap();
            ways.lock().push(way);
        };
        cx.perform(asks, |_| 0);
        cx.after(SECOND / 4, left - 1);
    }
}

#[test]
fn questions_of_async_work_are_held_up_as_messages_of_actors_are() {
    let ways: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let told = Arc::clone(&ways);
    sim(move |world| {
        let ways = Arc::clone(&told);
        world.node("one", move |node| {
            let supervisor = Supervisor::one_for_one("top").child("timer", || Timer);
            let timer = node.supervise(supervisor).child("timer").unwrap();
            let ways = Arc::clone(&ways);
            let asker = move || Asker { timer: timer.clone(), ways: Arc::clone(&ways) };
            node.supervise(Supervisor::one_for_one("work").child("asker", asker));
        });
    })
    .seeds(10)
    .faults([Fault::Delay])
    .run();
    let ways = ways.lock();
    // A step takes microseconds.
    let held_up = ways.iter().filter(|way| **way > Duration::from_millis(1)).count();
    assert!((10..ways.len()).contains(&held_up), "{held_up} of {} were held up", ways.len());
}
