//! Events among actors that crash and are slow: each is heard once, in order, or known to be lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use synod_runtime::{
    actor::Actor,
    context::Cx,
    events::{Draft, Filter, Received},
    mailbox::{Mailbox, Overflow},
    sim::{Fault, World, sim},
    spawn::Spawn,
    supervisor::{Restart, Supervisor},
};

const SECOND: Duration = Duration::from_secs(1);
const EVENTS: u64 = 400;
const LISTENERS: usize = 3;

/// What one listener heard, over all its incarnations.
#[derive(Clone, Debug, Default)]
struct Notes {
    numbers: Vec<u64>,
    missed: u64,
    starts: u64,
}

type Book = Arc<Mutex<Vec<Notes>>>;

struct Listener(usize, Book);

impl Listener {
    fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.1.lock().unwrap()[self.0]);
    }
}

impl Actor for Listener {
    type Msg = Received;

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.subscribe(Filter::new().kinds(["count"]), |received| received).unwrap();
        self.note(|notes| notes.starts += 1);
    }

    fn handle(&mut self, received: Received, _: &mut Cx<Self>) {
        self.note(|notes| match received {
            Received::Event(event) => notes.numbers.push(event.read().unwrap()),
            Received::Missed(count) => notes.missed += count,
        });
    }
}

/// Publishes a number each time, for as long as there are some.
struct Counter(Arc<Mutex<u64>>);

impl Actor for Counter {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        cx.after(Duration::from_millis(10), ());
    }

    fn handle(&mut self, (): (), cx: &mut Cx<Self>) {
        let mut sent = self.0.lock().unwrap();
        if *sent < EVENTS {
            // Numbers follow the order of publication even where a step fails.
            *sent += 1;
            cx.publish_event(Draft::new("count").data((*sent).into())).unwrap();
            cx.after(Duration::from_millis(10), ());
        }
    }
}

fn listeners(world: &World) -> (Book, Arc<Mutex<u64>>) {
    let book: Book = Arc::new(Mutex::new(vec![Notes::default(); LISTENERS]));
    let sent = Arc::new(Mutex::new(0));
    let (notes, count) = (Arc::clone(&book), Arc::clone(&sent));
    world.node("one", move |node| {
        let mut supervisor = Supervisor::one_for_one("all").intensity(1_000, SECOND);
        for at in 0..LISTENERS {
            let notes = Arc::clone(&notes);
            let spawn =
                Spawn::named(format!("listener{at}")).mailbox(Mailbox::new(4, Overflow::Reject));
            supervisor = supervisor
                .child_with(spawn, Restart::Permanent, move || Listener(at, Arc::clone(&notes)));
        }
        let count = Arc::clone(&count);
        node.supervise(supervisor.child("counter", move || Counter(Arc::clone(&count))));
    });
    (book, sent)
}

fn is_ascending(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn no_listener_hears_an_event_twice_or_out_of_order_and_a_crash_loses_one_at_most() {
    let report = sim(listeners)
        .seeds(40)
        .count(12)
        .faults([Fault::Panic, Fault::Slow, Fault::Hang, Fault::Delay])
        .storm(SECOND * 4)
        .never("an event is heard twice or out of order", |_, (book, _)| {
            book.lock().unwrap().iter().any(|notes| !is_ascending(&notes.numbers))
        })
        .finally(
            "what was published is heard, lost in a crash, or told as missed",
            |_, (book, sent)| {
                // A step of the counter that failed published nothing; it counts as a crash of everyone.
                let (book, sent) = (book.lock().unwrap(), *sent.lock().unwrap());
                sent == EVENTS
                    && book.iter().all(|notes| {
                        let heard = notes.numbers.len() as u64 + notes.missed;
                        heard <= EVENTS && heard + notes.starts + 12 > EVENTS
                    })
            },
        )
        .run();
    assert_eq!(report.seeds, 40);
}
