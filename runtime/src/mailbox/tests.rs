//! The mailbox's own promises, without a host.

use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;
use std::task::{Context, Poll, Wake};

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rang(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) > 0
    }
}

fn slot(capacity: usize, overflow: Overflow) -> Slot<u64> {
    let kernel = Kernel::detached();
    let id = kernel.next_actor();
    Slot::new(kernel, id, "slot".into(), Mailbox::new(capacity, overflow))
}

/// Drives both ends of a slot and keeps its own books.
struct Books {
    slot: Slot<u64>,
    bell: Arc<Bell>,
    parked: bool,
    /// Parked before it has handled what it took.
    ahead: bool,
    batch: VecDeque<u64>,
    in_batch: usize,
    handled: Vec<u64>,
    offered: u64,
    refused: u64,
    left: u64,
    waiting: Vec<(Arc<Turn<u64>>, Arc<Bell>)>,
}

impl Books {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        Self {
            slot: slot(capacity, overflow),
            bell: Arc::default(),
            parked: false,
            ahead: false,
            batch: VecDeque::new(),
            in_batch: 0,
            handled: Vec::new(),
            offered: 0,
            refused: 0,
            left: 0,
            waiting: Vec::new(),
        }
    }

    fn act(&mut self, what: u8, which: usize) {
        match what {
            0 | 1 => self.offer(what == 1),
            2 if !self.waiting.is_empty() => {
                let (turn, _) = self.waiting.swap_remove(which % self.waiting.len());
                self.left += u64::from(self.slot.leave(&turn).is_some());
            }
            3 if self.batch.is_empty() => self.take(),
            4 => self.handle(),
            5 => {
                // The next incarnation looks for itself.
                self.ahead = false;
                self.slot.put_back(&mut self.batch);
            }
            _ => {}
        }
        self.check();
    }

    fn offer(&mut self, waits: bool) {
        let message = self.offered;
        self.offered += 1;
        let outcome = if waits {
            self.slot.offer_or_wait(message)
        } else {
            self.slot.offer(message).map(|()| None)
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(turn)) => {
                let bell = Arc::<Bell>::default();
                // A place may have come free at once.
                if turn.poll(&Arc::clone(&bell).into(), false).is_pending() {
                    self.waiting.push((turn, bell));
                }
            }
            Err((back, closed)) => {
                assert_eq!((back, closed), (message, Closed::Full));
                self.refused += 1;
            }
        }
    }

    fn take(&mut self) {
        let waker = Arc::clone(&self.bell).into();
        let cx = Context::from_waker(&waker);
        let taken = self.slot.poll_take(&cx, &mut VecDeque::new(), &mut self.batch, Intake::All);
        self.parked = taken.is_pending();
        self.ahead = taken == Poll::Ready(true);
        self.in_batch = 0;
    }

    fn handle(&mut self) {
        if let Some(message) = self.batch.pop_front() {
            self.in_batch += 1;
            self.slot.mark_handled(self.in_batch);
            self.handled.push(message);
        }
    }

    fn check(&mut self) {
        let tally = self.slot.tally();
        assert!(tally.kept <= self.slot.mailbox.capacity, "{tally:?}");
        assert!(self.handled.is_sorted(), "{:?}", self.handled);
        if self.ahead && self.batch.is_empty() {
            self.ahead = false;
            self.parked = !self.slot.is_roused();
        }
        if self.parked && tally.kept > 0 {
            assert!(self.bell.rang(), "a message for a parked host rang no bell");
            self.parked = false;
        }
        self.waiting.retain(|(turn, bell)| {
            assert!(turn.is_waiting() || bell.rang(), "a turn came and rang no bell");
            turn.is_waiting()
        });
        assert_eq!(tally.waiting, self.waiting.len());
    }

    /// Serves until nothing is left; every message must then have one place in the books.
    fn close(mut self) {
        while !self.parked {
            self.take();
            while !self.batch.is_empty() {
                self.handle();
                self.check();
            }
        }
        let tally = self.slot.tally();
        assert_eq!((tally.kept, tally.waiting, self.waiting.len()), (0, 0, 0));
        assert_eq!(tally.refused, self.refused);
        let newest = self.slot.mailbox.overflow == Overflow::DropNewest;
        let (dropped_new, dropped_old) =
            if newest { (tally.dropped, 0) } else { (0, tally.dropped) };
        assert_eq!(self.handled.len() as u64 + dropped_old, tally.accepted);
        assert_eq!(tally.accepted + dropped_new + self.refused + self.left, self.offered);
    }
}

fn policy() -> impl Strategy<Value = Overflow> {
    prop::sample::select(vec![
        Overflow::Wait,
        Overflow::Reject,
        Overflow::DropOldest,
        Overflow::DropNewest,
    ])
}

proptest! {
    #[test]
    fn every_message_has_one_fate_in_every_interleaving(
        overflow in policy(),
        capacity in 1_usize..6,
        acts in prop::collection::vec((0_u8..6, 0_usize..8), 0..300),
    ) {
        let mut books = Books::new(capacity, overflow);
        for (what, which) in acts {
            books.act(what, which);
        }
        books.slot.put_back(&mut books.batch);
        books.close();
    }
}

#[test]
fn the_newest_of_one_place_replaces_what_the_host_has_taken_and_not_handled() {
    let slot = slot(1, Overflow::DropOldest);
    let bell = Arc::<Bell>::default().into();
    let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
    slot.offer(1).unwrap();
    let cx = Context::from_waker(&bell);
    assert_eq!(slot.poll_take(&cx, &mut control, &mut batch, Intake::All), Poll::Ready(true));
    slot.offer(2).unwrap();
    assert_eq!(slot.tally(), Tally { accepted: 2, kept: 1, ..Tally::default() });
    slot.put_back(&mut batch);
    assert_eq!(slot.tally(), Tally { accepted: 2, dropped: 1, kept: 1, ..Tally::default() });
    assert_eq!(slot.drain(), [2]);
}

#[test]
fn of_two_places_the_oldest_queued_makes_room() {
    let slot = slot(2, Overflow::DropOldest);
    for n in 0..5 {
        slot.offer(n).unwrap();
    }
    assert_eq!(slot.tally(), Tally { accepted: 5, dropped: 3, kept: 2, ..Tally::default() });
    assert_eq!(slot.drain(), [3, 4]);
}

#[test]
fn an_order_to_stop_outlives_every_incarnation_and_takes_no_room() {
    let slot = slot(1, Overflow::Wait);
    let bell = Arc::<Bell>::default().into();
    let cx = Context::from_waker(&bell);
    slot.begin();
    for _ in 0..1_000 {
        slot.order_stop();
    }
    for _ in 0..2 {
        let mut control = VecDeque::new();
        assert!(slot.poll_take(&cx, &mut control, &mut VecDeque::new(), Intake::All).is_ready());
        assert!(matches!(control.make_contiguous(), [Control::End(ExitReason::Shutdown)]));
        // The incarnation crashes before it obeys; a parent would have it restarted.
        slot.retire();
        slot.order_restart();
        assert_eq!(slot.poll_verdict(&cx), Poll::Ready(Verdict::End));
        slot.begin();
    }
}

#[test]
fn a_restart_is_for_an_incarnation_that_has_ended() {
    let slot = slot(1, Overflow::Wait);
    let bell = Arc::<Bell>::default().into();
    let cx = Context::from_waker(&bell);
    slot.begin();
    slot.order_restart();
    slot.retire();
    assert_eq!(slot.poll_verdict(&cx), Poll::Pending);
    slot.order_restart();
    assert_eq!(slot.poll_verdict(&cx), Poll::Ready(Verdict::Restart));
    assert_eq!(slot.begin(), 2);
    slot.retire();
    assert_eq!(slot.poll_verdict(&cx), Poll::Pending);
}

#[test]
fn what_was_meant_for_an_earlier_incarnation_is_dropped_and_counted() {
    let slot = slot(4, Overflow::Wait);
    let first = slot.begin();
    slot.deliver(first, 1);
    slot.retire();
    slot.deliver(first, 2);
    slot.notify(2);
    assert_eq!(slot.tally().stale, 2);
    let second = slot.begin();
    slot.deliver(first, 3);
    slot.deliver(second, 4);
    let bell = Arc::<Bell>::default().into();
    let mut control = VecDeque::new();
    let cx = Context::from_waker(&bell);
    assert!(slot.poll_take(&cx, &mut control, &mut VecDeque::new(), Intake::All).is_ready());
    assert!(matches!(control.make_contiguous(), [Control::Message(4)]));
    assert_eq!(slot.tally().stale, 4);
}

#[test]
fn a_host_that_parked_ahead_is_roused_by_whatever_comes() {
    let bell = Arc::<Bell>::default();
    let waker = Arc::clone(&bell).into();
    let cx = Context::from_waker(&waker);
    let arrivals: [fn(&Slot<u64>); 5] = [
        |slot| slot.offer(2).unwrap(),
        |slot| slot.follow_up(2).unwrap(),
        |slot| slot.deliver(1, 2),
        |slot| slot.nudge(),
        |slot| slot.order_stop(),
    ];
    for arrive in arrivals {
        let slot = slot(4, Overflow::Wait);
        let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
        slot.begin();
        slot.offer(1).unwrap();
        let taken = slot.poll_take(&cx, &mut control, &mut batch, Intake::All);
        assert_eq!((taken, slot.is_roused(), bell.rang()), (Poll::Ready(true), false, false));
        arrive(&slot);
        assert!(slot.is_roused() && bell.rang());
    }
}

#[test]
fn a_host_looks_again_at_what_it_puts_back_and_at_whoever_stands_in_line() {
    let slot = slot(1, Overflow::Wait);
    let cx = Context::from_waker(Waker::noop());
    let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
    slot.begin();
    slot.offer(1).unwrap();
    let turn = slot.offer_or_wait(2).unwrap();
    let taken = slot.poll_take(&cx, &mut control, &mut batch, Intake::All);
    assert_eq!(taken, Poll::Ready(false), "somebody stands in line");
    assert_eq!(slot.leave(&turn.unwrap()), Some(2));
    batch.clear();
    slot.mark_handled(1);
    slot.offer(3).unwrap();
    let taken = slot.poll_take(&cx, &mut control, &mut batch, Intake::All);
    assert_eq!((taken, slot.is_roused()), (Poll::Ready(true), false));
    slot.hold(&mut control, &mut batch);
    assert!(slot.is_roused());
}

#[test]
fn a_sender_that_waits_quietly_is_woken_only_for_what_comes_back() {
    let cx = Context::from_waker(Waker::noop());
    for (quiet, taken_in) in [(true, true), (true, false), (false, true), (false, false)] {
        let slot = slot(1, Overflow::Wait);
        slot.begin();
        slot.offer(1).unwrap();
        let turn = slot.offer_or_wait(2).unwrap().unwrap();
        let bell = Arc::<Bell>::default();
        assert!(turn.poll(&Arc::clone(&bell).into(), quiet).is_pending());
        if taken_in {
            for _ in 0..2 {
                let batch = &mut VecDeque::new();
                assert!(slot.poll_take(&cx, &mut VecDeque::new(), batch, Intake::All).is_ready());
            }
        } else {
            slot.close(&ExitReason::Normal);
        }
        assert_eq!(bell.rang(), !(quiet && taken_in));
        let fate = turn.poll(Waker::noop(), quiet);
        assert_eq!(fate, Poll::Ready(if taken_in { Ok(()) } else { Err(2) }));
    }
}

#[test]
fn a_closed_address_hands_everything_back() {
    let slot = slot(1, Overflow::Wait);
    slot.offer(1).unwrap();
    let turn = slot.offer_or_wait(2).unwrap().unwrap();
    assert_eq!(slot.close(&ExitReason::Normal), [1]);
    assert_eq!(turn.poll(Waker::noop(), false), Poll::Ready(Err(2)));
    assert_eq!(slot.offer(3), Err((3, Closed::Stopped)));
    assert_eq!(slot.follow_up(4), Err((4, Closed::Stopped)));
    assert!(slot.close(&ExitReason::Shutdown).is_empty());
    assert_eq!(slot.ended(), Some(ExitReason::Normal));
}

#[test]
fn messages_to_oneself_are_bounded() {
    let slot = slot(1, Overflow::Wait);
    slot.begin();
    for n in 0..FOLLOW_UPS_MAX as u64 {
        slot.follow_up(n).unwrap();
    }
    assert_eq!(slot.follow_up(0), Err((0, Closed::Full)));
    assert_eq!(slot.tally().refused, 1);
}

#[test]
fn a_watcher_hears_once_and_one_that_left_does_not() {
    let slot = slot(1, Overflow::Wait);
    let heard = Arc::new(AtomicU64::new(0));
    let watch = || {
        let heard = Arc::clone(&heard);
        slot.watch(
            None,
            Box::new(move |down| {
                assert_eq!(down.reason, ExitReason::Normal);
                heard.fetch_add(1, Ordering::Relaxed);
            }),
        )
    };
    let (stays, leaves) = (watch(), watch());
    assert!(stays.is_some());
    slot.unwatch(leaves.unwrap());
    slot.close(&ExitReason::Normal);
    slot.close(&ExitReason::Normal);
    assert_eq!(heard.load(Ordering::Relaxed), 1);
    assert_eq!(watch(), None);
    assert_eq!(heard.load(Ordering::Relaxed), 2);
}

#[test]
fn an_idle_mailbox_gives_back_what_a_burst_needed() {
    let slot = slot(100_000, Overflow::Wait);
    let bell = Arc::<Bell>::default().into();
    let cx = Context::from_waker(&bell);
    let (mut control, mut batch) = (VecDeque::new(), VecDeque::new());
    slot.begin();
    for n in 0..10_000 {
        slot.offer(n).unwrap();
        slot.follow_up(n).unwrap();
    }
    while slot.poll_take(&cx, &mut control, &mut batch, Intake::All).is_ready() {
        control.clear();
        batch.clear();
    }
    let lanes = slot.lanes.lock();
    let most = crate::limits::QUEUE_SHRINK_ABOVE * 2;
    assert!(lanes.data.capacity() <= most && batch.capacity() <= most);
    assert!(lanes.control.capacity() <= most, "{}", lanes.control.capacity());
}

#[test]
fn an_actor_at_rest_that_has_a_message_to_itself_is_used() {
    let slot = slot(1, Overflow::Wait);
    slot.begin();
    slot.follow_up(1).unwrap();
    slot.deliver(1, 2);
    slot.retire();
    assert!(!slot.end_if_unused());
    slot.begin();
    assert_eq!(slot.tally().stale, 1, "the timer was the last incarnation's");
    slot.retire();
    assert_eq!(slot.close(&ExitReason::Normal), [1]);
}
