//! Actors that set messages aside or rest, under faults: nothing accepted is lost, nothing is handled twice, order is kept.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use synod_runtime::{
    actor::Actor,
    context::Cx,
    dead_letters::Kept,
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
