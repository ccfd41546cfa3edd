//! The node's one timer wheel and the task that turns it.
//!
//! Asks put their deadlines here, actors their timers, tasks their sleeps. The driver sleeps while the wheel is empty.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    clock::{Clock, Moment},
    wheel::{Key, TICK_NANOS, Wheel},
    work::contained,
};

pub(crate) type TimerKey = Key;

/// Something that happens at a moment.
pub(crate) trait Due: Send + Sync {
    /// Called once, on the driver's task, after the moment has passed.
    fn due(&self);
}

/// The wheel behind its lock, and how its driver is woken.
pub(crate) struct Timers {
    wheel: Mutex<Wheel<Arc<dyn Due>>>,
    /// Set while the driver has nothing to wait for.
    idle: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            wheel: Mutex::new(Wheel::new()),
            idle: AtomicBool::new(false),
            driver: Mutex::new(None),
        }
    }

    pub(crate) fn insert(&self, at: Moment, entry: Arc<dyn Due>) -> TimerKey {
        let key = self.wheel.lock().insert(at, entry);
        if self.idle.load(Ordering::Acquire) && self.idle.swap(false, Ordering::AcqRel) {
            let waker = self.driver.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        key
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        // Dropped outside of the lock: an entry may own an address, an ask or a task.
        let entry = self.wheel.lock().cancel(key);
        drop(entry);
    }

    /// How many entries wait.
    pub(crate) fn pending(&self) -> usize {
        self.wheel.lock().len()
    }

    /// Runs everything that is due at `now`; returns whether anything is left to wait for.
    pub(crate) fn turn(&self, now: Moment) -> bool {
        let mut due = Vec::new();
        let pending = {
            let mut wheel = self.wheel.lock();
            wheel.expire(now, &mut due);
            !wheel.is_empty()
        };
        for entry in due {
            // One entry's panic must not end the driver, on which every deadline of the node depends.
            contained("a timer", || {
                entry.due();
                drop(entry);
            });
        }
        pending
    }

    /// When to turn the wheel next; never late, perhaps early.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.wheel.lock().next_due()
    }

    /// Drops every entry.
    pub(crate) fn clear(&self) {
        let mut all = Vec::new();
        self.wheel.lock().expire(Moment::NEVER, &mut all);
        contained("dropping the timers of a node", || drop(all));
    }

    /// Waits until the wheel holds an entry; ready after the first, even if that has left by then.
    async fn wanted(&self) {
        let mut asleep = false;
        poll_fn(|cx| {
            if mem::replace(&mut asleep, true) && !self.idle.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.poll_entry(cx)
        })
        .await;
    }

    /// Ready if the wheel holds an entry; else whoever puts in the next one wakes the driver.
    fn poll_entry(&self, cx: &Context<'_>) -> Poll<()> {
        *self.driver.lock() = Some(cx.waker().clone());
        self.idle.store(true, Ordering::SeqCst);
        if !self.wheel.lock().is_empty() {
            self.idle.store(false, Ordering::SeqCst);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Waits until a moment has passed.
pub(crate) struct Sleep {
    cell: Arc<SleepCell>,
    key: TimerKey,
    timers: Arc<Timers>,
}

#[derive(Default)]
struct SleepCell {
    passed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Due for SleepCell {
    fn due(&self) {
        self.passed.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Sleep {
    pub(crate) fn until(timers: &Arc<Timers>, at: Moment) -> Self {
        let cell = Arc::<SleepCell>::default();
        let key = timers.insert(at, Arc::<SleepCell>::clone(&cell));
        Self { cell, key, timers: Arc::clone(timers) }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.cell.waker.lock() = Some(cx.waker().clone());
        if self.cell.passed.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timers.cancel(self.key);
    }
}

/// Turns the wheel for ever, whenever a tick of it is over while it holds anything; ends when dropped.
///
/// It waits until the end of the wheel's own tick by `sleep`, so what is due then is not late by a part of the next one. Once woken
/// it stays until then: asks that are answered at once, one after the other, wake it once a tick and not each time.
#[expect(clippy::infinite_loop, reason = "ends when dropped")]
pub(crate) async fn drive<W: Future<Output = ()>>(
    timers: Arc<Timers>,
    clock: Arc<dyn Clock>,
    sleep: impl Fn(Duration) -> W,
) {
    loop {
        timers.wanted().await;
        timers.turn(clock.now());
        sleep(left_of_tick(clock.now())).await;
        while timers.turn(clock.now()) {
            sleep(left_of_tick(clock.now())).await;
        }
    }
}

/// How long the wheel's present tick lasts from `now` on.
fn left_of_tick(now: Moment) -> Duration {
    Duration::from_nanos(TICK_NANOS - now.as_nanos() % TICK_NANOS)
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::atomic::AtomicUsize, task::Wake};

    use super::*;
    use crate::{clock::ManualClock, limits::WHEEL_TICK};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// An ask that is answered before the driver has its turn.
    fn ask(timers: &Timers) {
        let key =
            timers.insert(Moment::START + Duration::from_secs(1), Arc::<SleepCell>::default());
        timers.cancel(key);
    }

    #[test]
    fn asks_that_are_answered_at_once_wake_the_driver_once_a_tick() {
        let timers = Arc::new(Timers::new());
        let (wakes, ticks) = (Arc::<Wakes>::default(), Arc::new(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        let tick = |_| {
            let (ticks, begun) = (Arc::clone(&ticks), ticks.load(Ordering::SeqCst));
            poll_fn(move |_| {
                if ticks.load(Ordering::SeqCst) > begun { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        let mut driver = pin!(drive(Arc::clone(&timers), Arc::<ManualClock>::default(), tick));
        assert!(driver.as_mut().poll(cx).is_pending());
        for round in 1..=3 {
            (0..100).for_each(|_| ask(&timers));
            assert_eq!(wakes.0.load(Ordering::SeqCst), round, "the driver slept");
            assert!(driver.as_mut().poll(cx).is_pending());
            (0..100).for_each(|_| ask(&timers));
            assert_eq!(wakes.0.load(Ordering::SeqCst), round, "the driver waits for the tick");
            ticks.fetch_add(1, Ordering::SeqCst);
            assert!(driver.as_mut().poll(cx).is_pending());
        }
    }

    #[test]
    fn the_driver_turns_the_wheel_when_a_tick_is_over_whenever_it_was_woken() {
        let (timers, clock) = (Arc::new(Timers::new()), Arc::<ManualClock>::default());
        let rests = Mutex::new(Vec::new());
        let sleep = |rest| {
            rests.lock().push(rest);
            std::future::pending()
        };
        clock.advance(WHEEL_TICK * 7 + WHEEL_TICK / 5);
        let mut driver = pin!(drive(Arc::clone(&timers), Arc::<ManualClock>::clone(&clock), sleep));
        timers.insert(Moment::START + Duration::from_secs(1), Arc::<SleepCell>::default());
        assert!(driver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(*rests.lock(), [WHEEL_TICK * 4 / 5]);
    }
}
