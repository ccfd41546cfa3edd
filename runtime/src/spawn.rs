//! How an actor comes to life: its options, its slot, and the future that serves it.

use std::{sync::Arc, time::Duration};

use protocol::RunId;

use crate::{
    actor::{Actor, ActorId, ChildExit},
    address::Addr,
    budget::Budget,
    ending::{Household, Kept},
    kernel::Kernel,
    limits::{ACTOR_NAME_BYTES_MAX, SHUTDOWN_DEFAULT},
    mailbox::{Mailbox, Slot},
    serve::{Curtain, Life, Ties, serve},
};

/// Makes the state of each incarnation.
pub(crate) type Birth<A> = Box<dyn FnMut() -> A + Send>;

/// Tells a parent how its child fares.
pub(crate) type Report = Arc<dyn Fn(News) + Send + Sync>;

/// What a parent hears of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The first step of an incarnation is done; of a supervisor: its children's too.
    Started,
    /// An incarnation has ended, and waits for the parent's decision.
    Exited(ChildExit),
}

/// How long whoever ends an actor waits for it, under OTP's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Until this time has passed; then it is killed.
    Within(Duration),
    /// Not at all: it is killed at once (`brutal_kill`).
    Brutal,
    /// For ever; the default of supervisors, whose children have their own times.
    Infinity,
}

impl Default for Shutdown {
    /// 5 s, OTP's default for workers.
    fn default() -> Self {
        Self::Within(SHUTDOWN_DEFAULT)
    }
}

impl From<Duration> for Shutdown {
    fn from(within: Duration) -> Self {
        Self::Within(within)
    }
}

/// Options of a new actor.
///
/// ```
/// use synod_runtime::{mailbox::{Mailbox, Overflow}, spawn::Spawn};
/// let spawn = Spawn::named("quota").mailbox(Mailbox::new(64, Overflow::Reject));
/// # drop(spawn);
/// ```
#[derive(Clone, Debug)]
pub struct Spawn {
    pub(crate) name: String,
    pub(crate) mailbox: Mailbox,
    pub(crate) journal: Option<RunId>,
    pub(crate) shutdown: Shutdown,
    pub(crate) budget: Option<Budget>,
    pub(crate) passivate: Option<Duration>,
    /// The parent's, which its birth is charged to.
    pub(crate) charge: Option<Budget>,
}

impl Spawn {
    /// An actor called `name` below its parent, with the default mailbox and no journal.
    ///
    /// Names longer than 128 bytes are cut; `/` separates the levels of the tree.
    pub fn named(name: impl Into<String>) -> Self {
        let mut name: String = name.into();
        name.truncate(name.floor_char_boundary(ACTOR_NAME_BYTES_MAX));
        Self {
            name,
            mailbox: Mailbox::default(),
            journal: None,
            shutdown: Shutdown::default(),
            budget: None,
            passivate: None,
            charge: None,
        }
    }

    /// Sets size and policy of the mailbox.
    #[must_use]
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Lets the actor record into the journal of `run`, and replays that journal at each incarnation.
    #[must_use]
    pub fn journal(mut self, run: RunId) -> Self {
        self.journal = Some(run);
        self
    }

    /// How long an end may take, effects to leave and children to stop included: a time or a [`Shutdown`]; 5 s by default.
    #[must_use]
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = shutdown.into();
        self
    }

    /// Charges every message that the actor sends and every child that it starts to `budget`; its children inherit it.
    ///
    /// So are the asks and children of its tasks, where they go by [`WorkCx`](crate::work_cx::WorkCx); what a task does with an
    /// address alone comes from outside, as it does for any other bystander.
    ///
    /// What the budget refuses does not happen: a message becomes a dead letter, an ask is answered
    /// [`Refused`](crate::ask::AskError::Refused), a child ends as [`Refused`](crate::actor::ExitReason::Refused).
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Ends an incarnation as [`Normal`](crate::actor::ExitReason::Normal) when it has handled nothing for `idle`; what follows is
    /// its parent's decision. Queued messages stay queued.
    ///
    /// An actor with a running task, a timer, an open call, a living child or effects that wait is not idle. An answer to an
    /// [`ask`](crate::context::Cx::ask) that comes later than `idle` is one for an ended incarnation, and dropped. A
    /// [`receive_timeout`](crate::context::Cx::receive_timeout) of the actor's own takes the place of this one.
    #[must_use]
    pub fn passivate(mut self, idle: Duration) -> Self {
        self.passivate = Some(idle);
        self
    }

    /// Makes it a child of an actor with `budget`: charged to that, and inheriting it unless it has one of its own.
    pub(crate) fn inheriting(mut self, budget: Option<&Budget>) -> Self {
        if let Some(above) = budget {
            let own = self.budget.take();
            self.budget = Some(own.map_or_else(|| above.below(), |own| own.held_below(above)));
        }
        self.charge = budget.cloned();
        self
    }
}

/// Where a new actor stands in the tree.
#[derive(Default)]
pub(crate) struct Place<'a> {
    /// The parent and its name.
    pub(crate) parent: Option<(ActorId, &'a str)>,
    /// The parent's budget.
    pub(crate) budget: Option<&'a Budget>,
    /// Who decides on the end of an incarnation; without it every end is final.
    pub(crate) report: Option<Report>,
    /// Children that outlive its incarnations; whoever has some reports its start by itself.
    pub(crate) kept: Option<Arc<dyn Kept>>,
}

/// Makes the slot of a new actor and the closure that launches it; dropping that closes the slot.
pub(crate) fn prepare<A: Actor>(
    kernel: &Arc<Kernel>,
    place: Place<'_>,
    spawn: Spawn,
    birth: Birth<A>,
) -> (Addr<A::Msg>, impl FnOnce() + Send + 'static) {
    let Place { parent, budget, report, kept } = place;
    let spawn = spawn.inheriting(budget);
    let Spawn { name, mailbox, journal, shutdown, budget, passivate, charge } = spawn;
    let name: Arc<str> = match parent {
        Some((_, parent)) => [parent, "/", &name].concat().into(),
        None => name.into(),
    };
    let id = kernel.next_actor();
    let slot = kernel.registry.add(name, id, |name| {
        let slot = Slot::<A::Msg>::new(Arc::clone(kernel), id, name, mailbox);
        slot.below(parent.map(|(id, _)| id), budget).played_by::<A>()
    });
    if kernel.is_halted() {
        slot.order_cancel(None);
    }
    let addr = Addr(Arc::clone(&slot));
    let (child, host) = (addr.child(), Arc::clone(&kernel.host));
    let ties = Ties { household: Household(kept), report, shutdown };
    let life = Life { ties, curtain: Curtain::new(slot), birth, journal, charge, passivate };
    (addr, move || host.launch(child, Box::pin(serve(life))))
}
