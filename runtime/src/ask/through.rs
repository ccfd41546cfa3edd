//! An answer on its way: whoever passes a question on hears first how that ended, and may ask somebody else.
//!
//! Made by [`Reply::through`]. The asker, its deadline and its place in the wait-for graph stay those of the reply behind it.
//!
//! # Invariants
//! - What passes is heard once: an answer, the reason why there is none, a reply that was dropped, or the end of the time.
//! - Nobody is held up by a lock while it is heard.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Answer, AskError, Reply, deadline::Deadline};
use crate::{kernel::Kernel, node::Node, timers::Due, waits::Holder};

impl<T: Send + 'static> Reply<T> {
    /// A reply for somebody else to answer; `then` hears how that ended and has this one: to answer with, or to ask another.
    ///
    /// Within a time, where one is given, it ends as [`AskError::TimedOut`]. It is wanted as long as this one is.
    #[must_use = "dropping a reply answers it"]
    pub fn through(
        self,
        within: Option<(&Node, Duration)>,
        then: impl FnOnce(Result<T, AskError>, Self) + Send + 'static,
    ) -> Self {
        let limit =
            within.map(|(node, within)| (Arc::clone(node.kernel()), within, Deadline::default()));
        let through = Arc::new(Through { open: Mutex::new(Some((self, then))), limit });
        if let Some((kernel, within, deadline)) = &through.limit {
            let due = Arc::<Through<T, _>>::clone(&through);
            deadline.set(&kernel.timers, kernel.now() + *within, due);
        }
        Self::new(through)
    }
}

struct Through<T, F> {
    open: Mutex<Option<(Reply<T>, F)>>,
    limit: Option<(Arc<Kernel>, Duration, Deadline)>,
}

impl<T, F: FnOnce(Result<T, AskError>, Reply<T>) + Send> Answer<T> for Through<T, F>
where
    T: Send,
{
    fn answer(&self, outcome: Result<T, AskError>) -> bool {
        if let Some((kernel, _, deadline)) = &self.limit {
            deadline.forget(&kernel.timers);
        }
        let Some((reply, then)) = self.open.lock().take() else { return false };
        let wanted = reply.is_wanted();
        then(outcome, reply);
        wanted
    }

    fn is_wanted(&self) -> bool {
        self.open.lock().as_ref().is_some_and(|(reply, _)| reply.is_wanted())
    }

    fn held_by(&self, holder: Holder) {
        if let Some((reply, _)) = &*self.open.lock() {
            reply.held_by(holder);
        }
    }

    fn asker(&self) -> Option<Arc<str>> {
        self.open.lock().as_ref()?.0.asker()
    }
}

impl<T, F: FnOnce(Result<T, AskError>, Reply<T>) + Send> Due for Through<T, F>
where
    T: Send,
{
    fn due(&self) {
        if let Some((_, within, _)) = &self.limit {
            self.answer(Err(AskError::TimedOut(*within)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn node() -> (Node, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        (Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap(), clock)
    }

    #[tokio::test]
    async fn what_was_dropped_is_heard_and_answered_by_another() {
        let (node, _) = node();
        let (reply, promise) = node.promise::<u32>(SECOND);
        drop(reply.through(None, |outcome, reply| {
            assert_eq!(outcome, Err(AskError::Dropped));
            reply.send(7);
        }));
        assert_eq!(promise.await, Ok(7));
    }

    #[tokio::test]
    async fn an_answer_passes_once_and_leaves_the_wheel() {
        let (node, _) = node();
        let (reply, promise) = node.promise::<u32>(SECOND);
        let through = reply.through(Some((&node, SECOND / 2)), |outcome, reply| {
            drop(outcome.map(|answer| reply.send(answer + 1)));
        });
        assert!(through.is_wanted());
        assert!(through.send(1), "somebody waited");
        assert_eq!((promise.await, node.pending_timers()), (Ok(2), 0));
    }

    #[tokio::test]
    async fn its_own_time_ends_before_that_of_the_asker() {
        let (node, clock) = node();
        let (reply, promise) = node.promise::<u32>(SECOND * 9);
        let through = reply.through(Some((&node, SECOND)), |outcome, reply| {
            assert_eq!(outcome, Err(AskError::TimedOut(SECOND)));
            reply.send(3);
        });
        let time = async {
            while node.pending_timers() > 0 {
                clock.advance(SECOND);
                tokio::task::yield_now().await;
            }
        };
        let (answer, ()) = tokio::join!(promise, time);
        assert_eq!((answer, through.is_wanted()), (Ok(3), false));
    }

    #[tokio::test]
    async fn it_is_not_wanted_once_its_asker_has_given_up() {
        let (node, _) = node();
        let (reply, promise) = node.promise::<u32>(SECOND);
        let heard = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let through = reply.through(None, move |_, reply| {
            hears.store(true, Ordering::SeqCst);
            assert!(!reply.is_wanted());
        });
        drop(promise);
        assert!(!through.is_wanted());
        assert!(!through.send(1), "nobody waited");
        assert!(heard.load(Ordering::SeqCst));
    }
}
