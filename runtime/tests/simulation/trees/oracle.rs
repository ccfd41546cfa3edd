//! What the test knows that the actors do not: every ask, task, watch, restart and result, and what must be true of them.
//!
//! # Invariants
//! The first rule that is broken is kept as text; the test looks after every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use synod_runtime::{
    ask::{AskError, Reply},
    child::ChildRef,
    clock::Moment,
    sim::World,
};

/// How much later than its moment a deadline may be told: a tick of the wheel, and the polls at that moment.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// From here on nobody is held up by a fault.
const CALM: Moment = Moment::from_nanos(5_000_000_000);

/// The knowledge of one run.
#[derive(Clone, Default)]
pub(crate) struct Oracle(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    broken: Option<String>,
    last: u64,
    /// Questions that were dropped without an answer, and when.
    forgotten: BTreeMap<u64, Moment>,
    /// Incarnations that have ended.
    ended: BTreeSet<u64>,
    /// Asks of incarnations that still live.
    open: BTreeMap<u64, u64>,
    /// Messages that living incarnations have set aside.
    aside: BTreeMap<u64, BTreeSet<u64>>,
    watches: BTreeMap<u64, Watch>,
    /// Results that somebody was told are kept, by the ledger that said so.
    accepted: BTreeMap<usize, BTreeSet<u64>>,
    /// How often the children of a supervisor were born, by the life of its node.
    births: BTreeMap<(usize, u32), BTreeMap<String, u64>>,
    /// How often somebody asked a supervisor for a birth.
    requests: BTreeMap<((usize, u32), String), u64>,
}

struct Watch {
    watcher: u64,
    target: ChildRef,
    downs: u32,
}

impl Oracle {
    /// What is broken, if anything is.
    pub(crate) fn broken(&self) -> Option<String> {
        self.0.lock().broken.clone()
    }

    pub(crate) fn fail(&self, what: String) {
        self.0.lock().broken.get_or_insert(what);
    }

    /// A number that nobody else has.
    pub(crate) fn number(&self) -> u64 {
        let mut known = self.0.lock();
        known.last += 1;
        known.last
    }

    /// An ask ended for a caller that nothing held up.
    pub(crate) fn told(&self, ask: u64, deadline: Moment, error: Option<&AskError>, now: Moment) {
        if now > deadline + SLACK {
            self.fail(format!("ask {ask} was told at {now:?}, its deadline was {deadline:?}"));
        }
        self.outcome(ask, deadline, error);
    }

    /// An ask ended by its deadline though its question had been dropped before.
    pub(crate) fn outcome(&self, ask: u64, deadline: Moment, error: Option<&AskError>) {
        let timed_out = matches!(error, Some(AskError::TimedOut(_)));
        let forgotten = self.0.lock().forgotten.remove(&ask);
        if let (true, Some(at)) = (timed_out, forgotten.filter(|at| *at + SLACK < deadline)) {
            self.fail(format!(
                "ask {ask} was dropped without an answer at {at:?}, its caller heard of it at its deadline {deadline:?}"
            ));
        }
    }

    /// Somebody who may have been held up until [`CALM`] heard how an ask ended, at the most so much later than it had to end.
    pub(crate) fn waited(&self, ask: u64, deadline: Moment, slack: Duration, now: Moment) {
        if now > deadline.max(CALM) + slack {
            self.fail(format!("ask {ask} was heard of at {now:?}, its deadline was {deadline:?}"));
        }
    }

    /// An incarnation of a worker begins, asks or hears.
    pub(crate) fn asks(&self, incarnation: u64, change: i64) {
        let mut known = self.0.lock();
        let open = known.open.entry(incarnation).or_default();
        *open = open.saturating_add_signed(change);
    }

    pub(crate) fn ends(&self, incarnation: u64) {
        let mut known = self.0.lock();
        known.ended.insert(incarnation);
        known.open.remove(&incarnation);
        known.aside.remove(&incarnation);
    }

    /// An incarnation has set a message aside.
    pub(crate) fn aside(&self, incarnation: u64, message: u64) {
        self.0.lock().aside.entry(incarnation).or_default().insert(message);
    }

    /// An incarnation handles a message, set aside before or not.
    pub(crate) fn takes_up(&self, incarnation: u64, message: u64) {
        if let Some(aside) = self.0.lock().aside.get_mut(&incarnation) {
            aside.remove(&message);
        }
    }

    /// Somebody asks a supervisor to start a child again, which is no restart of its own.
    pub(crate) fn allows_birth(&self, life: (usize, u32), supervisor: &str) {
        *self.0.lock().requests.entry((life, supervisor.to_owned())).or_default() += 1;
    }

    /// A task of an incarnation runs.
    pub(crate) fn runs(&self, incarnation: u64) {
        if self.0.lock().ended.contains(&incarnation) {
            self.fail(format!("a task of incarnation {incarnation} ran after its owner had ended"));
        }
    }

    pub(crate) fn watches(&self, watch: u64, watcher: u64, target: ChildRef) {
        self.0.lock().watches.insert(watch, Watch { watcher, target, downs: 0 });
    }

    pub(crate) fn down(&self, watch: u64) {
        let mut known = self.0.lock();
        let Some(watch) = known.watches.get_mut(&watch) else { return };
        watch.downs += 1;
        let (twice, name) = (watch.downs > 1, watch.target.name().to_owned());
        drop(known);
        if twice {
            self.fail(format!("a watcher of {name} was told twice of its end"));
        }
    }

    pub(crate) fn accepted(&self, ledger: usize, result: u64) {
        self.0.lock().accepted.entry(ledger).or_default().insert(result);
    }

    pub(crate) fn accepted_by(&self, ledger: usize) -> BTreeSet<u64> {
        self.0.lock().accepted.get(&ledger).cloned().unwrap_or_default()
    }

    /// A child of a supervisor that allows `intensity` restarts in all is born.
    pub(crate) fn born(&self, life: (usize, u32), supervisor: &str, children: u64, intensity: u64) {
        let mut known = self.0.lock();
        let births =
            known.births.entry(life).or_default().entry(supervisor.to_owned()).or_default();
        *births += 1;
        let births = *births;
        let asked = known.requests.get(&(life, supervisor.to_owned())).copied().unwrap_or(0);
        let restarts = births.saturating_sub(children + asked);
        drop(known);
        if restarts > intensity {
            self.fail(format!("{supervisor} restarted {restarts} times, allowed are {intensity}"));
        }
    }

    /// What must hold when nothing is left to do.
    pub(crate) fn at_rest(&self) {
        let known = self.0.lock();
        let waiting: Vec<_> = known.open.iter().filter(|(_, open)| **open > 0).collect();
        assert!(waiting.is_empty(), "incarnations wait for answers that never come: {waiting:?}");
        let aside: Vec<_> = known.aside.iter().filter(|(_, aside)| !aside.is_empty()).collect();
        assert!(aside.is_empty(), "messages that were set aside are never taken up: {aside:?}");
        for watch in known.watches.values() {
            let expected = u32::from(watch.target.ended().is_some());
            let lives = !known.ended.contains(&watch.watcher);
            let name = watch.target.name();
            assert!(
                !lives || watch.downs == expected,
                "a watcher of {name} heard {} ends",
                watch.downs
            );
        }
    }
}

/// A question on its way: notes when it is dropped without an answer.
#[derive(Debug)]
pub(crate) struct Question<T> {
    pub(crate) number: u64,
    reply: Option<Reply<T>>,
    oracle: Noted,
}

/// Where a dropped question is noted.
#[derive(Clone)]
pub(crate) struct Noted {
    pub(crate) oracle: Oracle,
    pub(crate) world: World,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Noted")
    }
}

impl<T> Question<T> {
    pub(crate) fn new(number: u64, reply: Reply<T>, oracle: Noted) -> Self {
        Self { number, reply: Some(reply), oracle }
    }

    /// The reply, to be answered.
    pub(crate) fn take(mut self) -> Option<Reply<T>> {
        self.reply.take()
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            let now = self.oracle.world.now();
            if reply.is_wanted() {
                self.oracle.oracle.0.lock().forgotten.insert(self.number, now);
            }
            drop(reply);
        }
    }
}
