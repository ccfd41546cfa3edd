//! A slot on stage: cancels, panics, direct calls.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use runtime::{actor::ExitReason, address::Addr, ask::AskError, probe::Probe};

use super::*;
use crate::agent::function::Function;

/// Answers 0 never, panics at 1, else answers; counts what began and what was dropped.
#[derive(Clone, Default)]
struct Seen(Arc<(AtomicU32, AtomicU32)>);

struct Dropped(Seen);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Seen {
    fn began(&self) -> u32 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> u32 {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Behaviour<u32, u32> for Seen {
    fn call(&self, n: u32, _: CallContext) -> BoxFuture<'static, Result<u32, AgentError>> {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        let dropped = Dropped(self.clone());
        Box::pin(async move {
            let _dropped = dropped;
            match n {
                0 => std::future::pending().await,
                1 => panic!("one"),
                n => Ok(n),
            }
        })
    }
}

/// An asker: its asks are answered by messages.
struct Asker {
    slot: Addr<Msg<u32, u32>>,
    heard: Vec<Result<Result<u32, AgentError>, AskError>>,
}

enum Ask {
    Work(u64, u32, Duration),
    Call(u32, Duration),
    Heard(Result<Result<u32, AgentError>, AskError>),
}

impl Actor for Asker {
    type Msg = Ask;

    fn handle(&mut self, msg: Ask, cx: &mut Cx<Self>) {
        let (slot, sent) = (self.slot.clone(), cx.now());
        match msg {
            Ask::Work(lease, input, within) => {
                let work = Box::new(Work {
                    budget: None,
                    origin: None,
                    lease: Some(LeaseId(lease)),
                    task: TaskId::from_u128(7),
                    attempt: 1,
                    sent,
                    input,
                    progress: ProgressSink::default(),
                });
                let question = move |reply| Msg::Work(work, reply);
                cx.ask(&slot, question, within, Ask::Heard);
            }
            Ask::Call(input, within) => {
                cx.ask(&slot, move |reply| Msg::Call(input, reply), within, Ask::Heard);
            }
            Ask::Heard(answer) => self.heard.push(answer),
        }
    }
}

/// A slot and its asker; the slot's messages are taken from where the asker sends them.
struct Pair {
    slot: Probe<Slot<u32, u32>>,
    asker: Probe<Asker>,
    seen: Seen,
}

impl Pair {
    fn new(concurrency: u32) -> Self {
        let seen = Seen::default();
        let slot = Slot::new(Arc::new(seen.clone()), concurrency);
        let asker = Probe::new(Asker { slot: Addr::mock(), heard: Vec::new() });
        Self { slot: Probe::new(slot), asker, seen }
    }

    fn ask(&mut self, ask: Ask) {
        self.asker.tell(ask);
        self.deliver();
    }

    fn deliver(&mut self) {
        for message in self.asker.slot.take() {
            self.slot.tell(message);
        }
        self.slot.settle();
        self.asker.settle();
    }
}

const LONG: Duration = Duration::from_secs(100);

#[test]
fn work_is_answered_and_a_cancel_hits_its_own_lease_alone() {
    let mut pair = Pair::new(3);
    pair.ask(Ask::Work(1, 0, LONG));
    pair.ask(Ask::Work(2, 0, LONG));
    pair.ask(Ask::Work(3, 5, LONG));
    assert_eq!(pair.asker.heard, [Ok(Ok(5))]);
    pair.slot.tell(Msg::Cancel(LeaseId(3)));
    pair.slot.tell(Msg::Cancel(LeaseId(2)));
    pair.deliver();
    assert_eq!(pair.asker.heard[1..], [Ok(Err(AgentError::Cancelled))]);
    assert_eq!((pair.slot.running.len(), pair.seen.dropped()), (1, 2));
}

#[test]
fn a_panic_is_answered_before_the_slot_crashes_and_the_others_hear_that_they_are_lost() {
    let mut pair = Pair::new(2);
    pair.ask(Ask::Work(1, 0, LONG));
    pair.ask(Ask::Work(2, 1, LONG));
    let panicked = AgentError::Panicked { message: "one".to_owned() };
    assert_eq!(pair.asker.heard, [Ok(Err(panicked))]);
    assert!(matches!(pair.slot.exit(), Some(ExitReason::Crashed(why)) if why.contains("one")));
    drop(pair.slot);
    pair.asker.settle();
    assert_eq!(pair.asker.heard[1..], [Err(AskError::Dropped)]);
}

#[test]
fn direct_calls_wait_for_each_other_but_not_for_work() {
    let mut pair = Pair::new(1);
    pair.ask(Ask::Work(1, 0, LONG));
    pair.ask(Ask::Call(7, LONG));
    assert_eq!(pair.asker.heard, [Ok(Ok(7))]);
    pair.ask(Ask::Call(0, LONG));
    for _ in 0..CALLS_QUEUED_MAX {
        pair.ask(Ask::Call(2, LONG));
    }
    assert_eq!((pair.slot.calls.len(), pair.seen.began()), (CALLS_QUEUED_MAX, 3));
    pair.ask(Ask::Call(2, LONG));
    let Some(Ok(Err(AgentError::Refused { reason }))) = pair.asker.heard.last() else {
        panic!("{:?}", pair.asker.heard.last())
    };
    assert!(reason.contains("1024 calls wait"), "{reason}");
}

#[test]
fn a_direct_call_that_was_given_up_does_not_hang_in_the_way_of_the_next() {
    let mut pair = Pair::new(1);
    pair.ask(Ask::Call(0, Duration::from_secs(1)));
    pair.ask(Ask::Call(0, Duration::from_secs(1)));
    pair.asker.advance(Duration::from_secs(1));
    assert!(pair.asker.heard.iter().all(|heard| matches!(heard, Err(AskError::TimedOut(_)))));
    pair.ask(Ask::Call(9, LONG));
    assert_eq!(pair.asker.heard.last(), Some(&Ok(Ok(9))));
    assert_eq!((pair.seen.began(), pair.seen.dropped()), (2, 2), "the second was never begun");
}

#[test]
fn a_direct_call_that_was_given_up_ends_soon_though_nobody_else_calls() {
    let mut pair = Pair::new(1);
    pair.ask(Ask::Call(0, Duration::from_secs(1)));
    pair.slot.advance(GIVEN_UP_LOOK);
    assert_eq!(pair.seen.dropped(), 0, "its asker waits");
    pair.asker.advance(Duration::from_secs(1));
    pair.slot.advance(GIVEN_UP_LOOK);
    pair.slot.advance(GIVEN_UP_LOOK);
    assert_eq!((pair.seen.dropped(), pair.slot.running.len()), (1, 0));
    assert!(pair.slot.look.is_none(), "nobody looks where nothing runs");
}

#[test]
fn work_handed_over_ahead_waits_for_its_turn_and_can_be_cancelled_there() {
    let mut pair = Pair::new(1);
    pair.ask(Ask::Work(1, 0, LONG));
    pair.ask(Ask::Work(2, 5, LONG));
    pair.ask(Ask::Work(3, 6, LONG));
    assert_eq!((pair.asker.heard.len(), pair.seen.began()), (0, 1));
    pair.slot.tell(Msg::Cancel(LeaseId(2)));
    pair.deliver();
    assert_eq!(pair.asker.heard, [Ok(Err(AgentError::Cancelled))]);
    pair.slot.tell(Msg::Cancel(LeaseId(1)));
    pair.deliver();
    assert_eq!(pair.asker.heard[1..], [Ok(Err(AgentError::Cancelled)), Ok(Ok(6))]);
    assert_eq!((pair.slot.leased, pair.seen.began()), (0, 2));
}

#[test]
fn work_that_nobody_waits_for_any_more_is_not_begun() {
    let mut pair = Pair::new(1);
    pair.asker.tell(Ask::Work(1, 5, Duration::from_secs(1)));
    pair.asker.advance(Duration::from_secs(1));
    pair.deliver();
    assert_eq!((pair.asker.heard.len(), pair.seen.began()), (1, 0));
}

#[test]
fn a_closure_that_panics_before_its_future_is_made_is_a_panic_of_the_agent() {
    let agent = Function(|n: u32, _: CallContext| {
        assert!(n > 3, "too small");
        async move { Ok::<_, String>(n) }
    });
    let mut slot = Probe::new(Slot::new(Arc::new(agent), 1));
    let answer = slot.ask(|reply| Msg::Call(1, reply));
    assert!(matches!(&answer, Ok(Err(AgentError::Panicked { message })) if message == "too small"));
    assert!(matches!(slot.exit(), Some(ExitReason::Crashed(_))));
}
