//! The door: gives a request its deadline, its place among the active ones and its one acceptance, or a typed refusal.
//!
//! Whoever starts runs, and later the gateways, call [`Admission::admit`], make the effect durable, and only then
//! [`commit`](Admitted::commit) it. To admit reads no clock, waits for nothing and calls nobody.
//!
//! # Invariants
//! - A message id is remembered when its effect is committed, never before: what failed may be sent again.
//! - While one copy of a message is between the two, another is told to come back, not that it was accepted.
//! - A credit is taken once and returned once, however its holder ends.
//! - Whoever closes the door and then counts the active requests counts all that will ever be.
//!
//! Limits: [`ADMISSION_CREDITS`], [`DEDUP_IDS_MAX`], [`DEDUP_WINDOW`], [`DEADLINE_DEFAULT`], [`DEADLINE_MAX`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use protocol::{Code, MessageId, Refusal};
use tokio::sync::Notify;

use crate::{
    clock::Moment,
    limits::{
        ADMISSION_CREDITS, ADMISSION_RETRY_AFTER, DEADLINE_DEFAULT, DEADLINE_MAX, DEDUP_IDS_MAX,
        DEDUP_WINDOW,
    },
    planted::{self, Planted},
};

/// Decides what comes in.
///
/// ```
/// use protocol::MessageId;
/// use synod_runtime::{admission::{Admission, Request}, clock::Moment};
/// let admission = Admission::new();
/// let request = Request { id: MessageId::from_u128(1), time_left: None };
/// let admitted = admission.admit(&request, Moment::START)?;
/// let credit = admitted.commit(Moment::START); // after the effect is durable
/// assert_eq!(admission.admit(&request, Moment::START).unwrap_err().code, protocol::Code::Duplicate);
/// drop(credit); // when the work has ended
/// # Ok::<(), protocol::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Admission {
    credits: Credits,
    window: Arc<Mutex<Window>>,
    closed: Arc<AtomicBool>,
}

/// What admission must know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The identity under which a repeated request is known.
    pub id: MessageId,
    /// The time that the caller still gives it; [`DEADLINE_DEFAULT`] if the caller says nothing.
    pub time_left: Option<Duration>,
}

impl Admission {
    /// Makes a door with [`ADMISSION_CREDITS`] and a memory of [`DEDUP_IDS_MAX`] ids.
    pub fn new() -> Self {
        Self::with_limits(ADMISSION_CREDITS, DEDUP_IDS_MAX)
    }

    /// Makes a door that lets `credits` requests be active and remembers `ids_max` accepted ones.
    pub fn with_limits(credits: usize, ids_max: usize) -> Self {
        let window = Window { ids_max, ids: HashMap::new(), committed: VecDeque::new() };
        let window = Arc::new(Mutex::new(window));
        Self { credits: Credits::new(credits), window, closed: Arc::default() }
    }

    /// Lets a request in: it holds a credit and its id until it is committed or dropped.
    ///
    /// # Errors
    /// A refusal that says whether to come again: the id is nil, the deadline has passed or is too far, the message was
    /// accepted before or is just being accepted, or no credit is left.
    pub fn admit(&self, request: &Request, now: Moment) -> Result<Admitted, Refusal> {
        self.checked_open()?;
        let deadline = deadline_of(request, now)?;
        let reservation = self.reserve(request.id, now)?;
        let credit = self.credits.take()?;
        // Once more, now that this request is counted: either it sees the door closed, or who closes it sees the request.
        self.checked_open()?;
        Ok(Admitted { deadline, credit, reservation })
    }

    fn checked_open(&self) -> Result<(), Refusal> {
        if self.is_closed() {
            let text = "the node is stopping and takes nothing new; ask another one, or this one when it is back";
            return Err(Refusal::new(Code::Stopping, text));
        }
        Ok(())
    }

    /// Lets nothing in any more; what is active goes on. For every clone, for good.
    pub fn close(&self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            tracing::info!(active = self.active(), "admission closed");
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until nothing is active.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn idle(&self) {
        self.credits.all_returned().await;
    }

    /// The requests that are active now.
    pub fn active(&self) -> usize {
        self.credits.taken()
    }

    fn reserve(&self, id: MessageId, now: Moment) -> Result<Reservation, Refusal> {
        if id == MessageId::NIL || id == MessageId::ALL {
            return Err(Refusal::new(
                Code::Invalid,
                "the message id names no single message; make a new one",
            ));
        }
        self.window.lock().reserve(id, now)?;
        Ok(Reservation { id, window: Some(Arc::clone(&self.window)) })
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new()
    }
}

/// A request that was let in and whose effect is not yet committed; dropped, it leaves no trace.
#[derive(Debug)]
#[must_use = "dropping it undoes the admission"]
pub struct Admitted {
    deadline: Moment,
    credit: Credit,
    reservation: Reservation,
}

impl Admitted {
    /// The moment by which the work ends, one way or another.
    pub const fn deadline(&self) -> Moment {
        self.deadline
    }

    /// Remembers the message as accepted, now that its effect will survive; the credit goes with the work.
    pub fn commit(mut self, now: Moment) -> Credit {
        if let Some(window) = self.reservation.window.take() {
            window.lock().commit(self.reservation.id, now);
        }
        self.credit
    }
}

/// A bounded number of places; clones share them.
#[derive(Clone, Debug)]
pub struct Credits {
    places: Arc<Places>,
    total: usize,
}

#[derive(Debug)]
struct Places {
    free: AtomicUsize,
    returned: Notify,
}

impl Credits {
    /// Makes `total` credits.
    pub fn new(total: usize) -> Self {
        let places = Places { free: AtomicUsize::new(total), returned: Notify::new() };
        Self { places: Arc::new(places), total }
    }

    /// Takes one.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when all are taken.
    pub fn take(&self) -> Result<Credit, Refusal> {
        let less = |free: usize| free.checked_sub(1);
        match self.places.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Ok(Credit(Arc::clone(&self.places))),
            Err(_) => {
                let text = format!("all {} places are taken; retry when one is free", self.total);
                Err(Refusal::new(Code::Overloaded, text).after(ADMISSION_RETRY_AFTER))
            }
        }
    }

    /// The credits that are taken.
    pub fn taken(&self) -> usize {
        self.total.saturating_sub(self.places.free.load(Ordering::SeqCst))
    }

    /// Waits until none is taken.
    async fn all_returned(&self) {
        loop {
            let returned = self.places.returned.notified();
            if self.taken() == 0 {
                return;
            }
            returned.await;
        }
    }
}

/// One of some [`Credits`]; returned when dropped.
#[derive(Debug)]
#[must_use = "dropping it returns the credit"]
pub struct Credit(Arc<Places>);

impl Drop for Credit {
    fn drop(&mut self) {
        if planted::strikes(Planted::LeakedCredit, 10) {
            return;
        }
        self.0.free.fetch_add(1, Ordering::AcqRel);
        self.0.returned.notify_waiters();
    }
}

fn deadline_of(request: &Request, now: Moment) -> Result<Moment, Refusal> {
    let time_left = request.time_left.unwrap_or(DEADLINE_DEFAULT);
    if time_left.is_zero() {
        return Err(Refusal::new(
            Code::DeadlinePassed,
            "the deadline passed before the request came in",
        ));
    }
    if time_left > DEADLINE_MAX {
        let (asked, days) = (time_left.as_secs(), DEADLINE_MAX.as_secs() / 86_400);
        let text = format!("the deadline lies {asked} s ahead; name one within {days} days");
        return Err(Refusal::new(Code::TooLarge, text));
    }
    Ok(now + time_left)
}

/// Holds an id back from other copies of its message until it is known how this one ends.
#[derive(Debug)]
struct Reservation {
    id: MessageId,
    /// Taken out at the commit.
    window: Option<Arc<Mutex<Window>>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(window) = &self.window {
            if planted::is_planted(Planted::EarlyDedup) {
                window.lock().ids.insert(self.id, Standing::Committed);
                return;
            }
            window.lock().ids.remove(&self.id);
        }
    }
}

/// The ids of messages that are being accepted, as many as there are credits, and of those that were.
#[derive(Debug)]
struct Window {
    ids_max: usize,
    ids: HashMap<MessageId, Standing>,
    /// By the time of their commit.
    committed: VecDeque<(Moment, MessageId)>,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Reserved,
    Committed,
}

impl Window {
    fn reserve(&mut self, id: MessageId, now: Moment) -> Result<(), Refusal> {
        self.forget_old(now);
        match self.ids.get(&id) {
            None => {
                self.ids.insert(id, Standing::Reserved);
                Ok(())
            }
            Some(Standing::Reserved) => {
                let text =
                    format!("message {id} is just being accepted; retry to learn how that ended");
                Err(Refusal::new(Code::Overloaded, text).after(ADMISSION_RETRY_AFTER))
            }
            Some(Standing::Committed) => {
                let text = format!("message {id} was accepted before; its outcome stands");
                Err(Refusal::new(Code::Duplicate, text))
            }
        }
    }

    fn commit(&mut self, id: MessageId, now: Moment) {
        self.ids.insert(id, Standing::Committed);
        self.committed.push_back((now, id));
        self.forget_old(now);
    }

    fn forget_old(&mut self, now: Moment) {
        while let Some((at, id)) = self.committed.front()
            && (now.since(*at) >= DEDUP_WINDOW || self.committed.len() > self.ids_max)
        {
            self.ids.remove(id);
            self.committed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, panic, thread};

    use futures_util::FutureExt;
    use protocol::Retry;

    use super::*;

    fn request(id: u128) -> Request {
        Request { id: MessageId::from_u128(id), time_left: None }
    }

    fn refusal(admission: &Admission, id: u128, now: Moment) -> Code {
        admission.admit(&request(id), now).unwrap_err().code
    }

    #[test]
    fn a_message_whose_effect_failed_may_be_sent_again() {
        // The form that was wrong: the id is marked at the door, before anybody knows whether the effect will be kept.
        let mut naive_seen = HashSet::new();
        let mut naive_admit = |id: u128| naive_seen.insert(id);
        assert!(naive_admit(1));
        let delivered = false;
        assert!(
            !naive_admit(1) && !delivered,
            "marked early, the retry is dropped and the message lost"
        );

        let admission = Admission::new();
        let first = admission.admit(&request(1), Moment::START).unwrap();
        drop(first);
        let second = admission.admit(&request(1), Moment::START).unwrap();
        drop(second.commit(Moment::START));
        assert_eq!(refusal(&admission, 1, Moment::START), Code::Duplicate);
    }

    #[test]
    fn a_copy_that_comes_during_the_acceptance_is_told_to_come_back() {
        let admission = Admission::new();
        let first = admission.admit(&request(1), Moment::START).unwrap();
        let copy = admission.admit(&request(1), Moment::START).unwrap_err();
        assert_eq!(
            (copy.code, copy.retry()),
            (Code::Overloaded, Retry::After(ADMISSION_RETRY_AFTER))
        );
        let credit = first.commit(Moment::START);
        assert_eq!(refusal(&admission, 1, Moment::START), Code::Duplicate);
        drop(credit);
        assert_eq!(
            refusal(&admission, 1, Moment::START),
            Code::Duplicate,
            "also when the work has ended"
        );
    }

    #[test]
    fn the_memory_of_messages_is_bounded_in_time_and_number() {
        let admission = Admission::with_limits(10, 2);
        let accept = |id, now| drop(admission.admit(&request(id), now).unwrap().commit(now));
        let later = Moment::START + DEDUP_WINDOW / 2;
        accept(1, Moment::START);
        accept(2, later);
        assert_eq!(refusal(&admission, 1, later), Code::Duplicate);
        let end = Moment::START + DEDUP_WINDOW;
        accept(1, end);
        assert_eq!(refusal(&admission, 2, end), Code::Duplicate);
        accept(3, end);
        assert_eq!(admission.window.lock().ids.len(), 2);
        accept(2, end);
        assert_eq!(refusal(&admission, 3, end), Code::Duplicate);
    }

    #[test]
    fn every_request_gets_a_deadline_within_bounds() {
        let admission = Admission::new();
        let admit = |time_left| {
            let request = Request { id: MessageId::from_u128(1), time_left };
            let admitted = admission.admit(&request, Moment::from_nanos(7));
            admitted.map(|admitted| admitted.deadline()).map_err(|refusal| refusal.code)
        };
        assert_eq!(admit(None), Ok(Moment::from_nanos(7) + DEADLINE_DEFAULT));
        assert_eq!(admit(Some(DEADLINE_MAX)), Ok(Moment::from_nanos(7) + DEADLINE_MAX));
        assert_eq!(admit(Some(Duration::from_nanos(1))), Ok(Moment::from_nanos(8)));
        assert_eq!(admit(Some(Duration::ZERO)), Err(Code::DeadlinePassed));
        assert_eq!(admit(Some(Duration::MAX)), Err(Code::TooLarge));
    }

    #[test]
    fn a_refused_request_leaves_no_trace() {
        let admission = Admission::with_limits(1, 10);
        let first = admission.admit(&request(1), Moment::START).unwrap();
        assert_eq!(refusal(&admission, 2, Moment::START), Code::Overloaded);
        drop(first);
        assert!(admission.admit(&request(2), Moment::START).is_ok());
        assert_eq!(refusal(&admission, 0, Moment::START), Code::Invalid);
        assert_eq!(refusal(&admission, u128::MAX, Moment::START), Code::Invalid);
        assert_eq!((admission.active(), admission.window.lock().ids.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_closed_door_lets_nothing_in_and_tells_when_all_is_done() {
        let admission = Admission::new();
        let credit = admission.admit(&request(1), Moment::START).unwrap().commit(Moment::START);
        admission.close();
        let refused = admission.admit(&request(2), Moment::START).unwrap_err();
        assert_eq!((refused.code, refused.retry()), (Code::Stopping, Retry::Elsewhere));
        let mut idle = Box::pin(admission.idle());
        assert!((&mut idle).now_or_never().is_none(), "one is active");
        drop(credit);
        assert!(idle.now_or_never().is_some());
    }

    #[test]
    fn a_credit_is_returned_once_however_its_holder_ends() {
        let credits = Credits::new(3);
        let kept = credits.take().unwrap();
        thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let _credit = credits.take().unwrap();
                panic::resume_unwind(Box::new("the holder ends badly"));
            });
            assert!(holder.join().is_err());
        });
        assert_eq!(credits.taken(), 1);
        let (second, third) = (credits.take().unwrap(), credits.take().unwrap());
        assert_eq!(credits.take().unwrap_err().retry(), Retry::After(ADMISSION_RETRY_AFTER));
        drop((kept, second, third));
        assert_eq!(credits.taken(), 0);
    }

    #[test]
    fn no_more_than_the_credits_are_ever_active() {
        let credits = Credits::new(4);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let credit = credits.take();
                        assert!(credits.taken() <= 4);
                        drop(credit);
                    }
                });
            }
        });
        assert_eq!(credits.taken(), 0);
    }
}
