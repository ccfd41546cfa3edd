//! How the work of a handler is woken, so that it can be seen whether it awaits anything but answers.
//!
//! Made with a handler, whose run polls its work with one waker and lets the asks of that work keep another. Whoever else may ever
//! wake the work has to keep a clone of the first one, and the clones are counted.
//!
//! # Invariants
//! - Both wakers wake the task that polled the run last.
//! - An alarm that is quiet after a poll stays so until the next one: nobody has what could ring it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    task::{Wake, Waker},
};

use parking_lot::Mutex;

/// The two wakers of one run.
pub(super) struct Alarm {
    bell: Arc<Bell>,
    /// Rings the bell: what the work is polled with.
    rings: Waker,
    /// Wakes the task all the same, and rings nothing: what the asks keep.
    answers: Waker,
}

/// Who holds the bell while nobody has a clone of the waker that rings it: the alarm, and that waker.
const HELD: usize = 2;

struct Bell {
    sleeper: Arc<Sleeper>,
    rang: AtomicBool,
}

struct Sleeper(Mutex<Waker>);

impl Alarm {
    /// An alarm that wakes nobody yet.
    pub(super) fn new() -> Self {
        let sleeper = Arc::new(Sleeper(Mutex::new(Waker::noop().clone())));
        let bell = Arc::new(Bell { sleeper: Arc::clone(&sleeper), rang: AtomicBool::new(false) });
        Self { rings: Waker::from(Arc::clone(&bell)), answers: Waker::from(sleeper), bell }
    }

    /// Begins a poll: from now on `task` is woken, and what rang before is forgotten.
    pub(super) fn set(&self, task: &Waker) {
        self.bell.sleeper.change(task);
        self.bell.rang.store(false, Ordering::Release);
    }

    /// Wakes nobody any more.
    pub(super) fn forget(&self) {
        self.bell.sleeper.change(Waker::noop());
    }

    /// What the work is polled with.
    pub(super) fn waker(&self) -> &Waker {
        &self.rings
    }

    /// What an ask keeps that is polled with `given`: the waker that rings nothing, if `given` would wake the same.
    pub(super) fn for_answers<'a>(&'a self, given: &'a Waker) -> &'a Waker {
        if given.will_wake(&self.rings) { &self.answers } else { given }
    }

    /// Whether it has not rung since the poll began, and nobody is left who could ring it.
    pub(super) fn is_quiet(&self) -> bool {
        if Arc::strong_count(&self.bell) > HELD {
            return false;
        }
        // Whoever gave its clone back rang before that.
        fence(Ordering::Acquire);
        !self.bell.rang.load(Ordering::Acquire)
    }
}

impl Sleeper {
    fn change(&self, task: &Waker) {
        let mut known = self.0.lock();
        if known.will_wake(task) {
            return;
        }
        let before = std::mem::replace(&mut *known, task.clone());
        drop(known);
        // The last waker of a task may drop the task.
        drop(before);
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = self.0.lock().clone();
        task.wake();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.sleeper.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn task() -> (Arc<Woken>, Waker) {
        let woken = Arc::<Woken>::default();
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn a_clone_that_somebody_keeps_makes_it_loud_until_it_is_given_back() {
        let ((woken, waker), alarm) = (task(), Alarm::new());
        alarm.set(&waker);
        assert!(alarm.is_quiet());
        let kept = alarm.waker().clone();
        assert!(!alarm.is_quiet());
        kept.wake();
        assert!(!alarm.is_quiet(), "it rang");
        alarm.set(&waker);
        assert!(alarm.is_quiet(), "that was before this poll");
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn work_that_wakes_itself_rings() {
        let ((woken, waker), alarm) = (task(), Alarm::new());
        alarm.set(&waker);
        alarm.waker().wake_by_ref();
        assert!(!alarm.is_quiet());
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_answer_wakes_and_rings_nothing() {
        let ((woken, waker), alarm) = (task(), Alarm::new());
        alarm.set(&waker);
        let kept = alarm.for_answers(alarm.waker()).clone();
        assert!(alarm.is_quiet());
        kept.wake();
        assert!(alarm.is_quiet());
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_ask_that_is_polled_with_another_waker_keeps_that_one() {
        let ((_, waker), alarm) = (task(), Alarm::new());
        assert!(alarm.for_answers(&waker).will_wake(&waker));
    }

    #[test]
    fn the_task_that_polled_last_is_woken_and_after_the_end_nobody() {
        let ((first, one), (second, two), alarm) = (task(), task(), Alarm::new());
        alarm.set(&one);
        let kept = (alarm.waker().clone(), alarm.for_answers(alarm.waker()).clone());
        alarm.set(&two);
        kept.0.wake_by_ref();
        kept.1.wake_by_ref();
        let woken = || (first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst));
        assert_eq!(woken(), (0, 2));
        alarm.forget();
        kept.0.wake();
        kept.1.wake();
        assert_eq!(woken(), (0, 2));
    }
}
