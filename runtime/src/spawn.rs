//! How an actor comes to life: its options, its slot, and the future that serves it.

use std::{sync::Arc, time::Duration};

use protocol::RunId;

use crate::{
    actor::{Actor, ChildExit},
    address::Addr,
    budget::Budget,
    kernel::Kernel,
    limits::{ACTOR_NAME_BYTES_MAX, SHUTDOWN_DEFAULT},
    mailbox::{Mailbox, Slot},
    serve::{Curtain, Life, serve},
};

/// Makes the state of each incarnation.
pub(crate) type Birth<A> = Box<dyn FnMut() -> A + Send>;

/// Tells a parent that an incarnation of its child ended.
pub(crate) type Report = Box<dyn Fn(ChildExit) + Send>;

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
    pub(crate) shutdown: Duration,
    pub(crate) budget: Option<Budget>,
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
            shutdown: SHUTDOWN_DEFAULT,
            budget: None,
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

    /// How long an end may take: effects to leave and children to stop; 5 s by default.
    #[must_use]
    pub fn shutdown(mut self, within: Duration) -> Self {
        self.shutdown = within;
        self
    }

    /// Charges every message that the actor sends and every child that it starts to `budget`; its children inherit it.
    ///
    /// What the budget refuses does not happen: a message becomes a dead letter, an ask is answered
    /// [`Refused`](crate::ask::AskError::Refused), a child ends as [`Refused`](crate::actor::ExitReason::Refused).
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Makes it a child of an actor with `budget`: charged to that, and inheriting it unless it has one of its own.
    pub(crate) fn inheriting(mut self, budget: Option<&Budget>) -> Self {
        self.budget = self.budget.or_else(|| budget.map(Budget::below));
        self.charge = budget.cloned();
        self
    }
}

/// Makes the slot of a new actor and the closure that launches it; dropping that closes the slot.
pub(crate) fn prepare<A: Actor>(
    kernel: &Arc<Kernel>,
    parent: Option<&str>,
    spawn: Spawn,
    birth: Birth<A>,
    report: Option<Report>,
) -> (Addr<A::Msg>, impl FnOnce() + Send + 'static) {
    let Spawn { name, mailbox, journal, shutdown, budget, charge } = spawn;
    let name: Arc<str> = match parent {
        Some(parent) => format!("{parent}/{name}").into(),
        None => name.into(),
    };
    let id = kernel.next_actor();
    let slot = kernel.registry.add(name, id, |name| {
        Slot::<A::Msg>::new(Arc::clone(kernel), id, name, mailbox).charged_to(budget)
    });
    let addr = Addr(Arc::clone(&slot));
    let (child, host) = (addr.child(), Arc::clone(&kernel.host));
    let curtain = Curtain::new(slot);
    let life = Life { curtain, birth, report, journal, shutdown, charge };
    (addr, move || host.launch(child, Box::pin(serve(life))))
}
