//! Budgets: what a run, an agent or a subtree may use at the most, reserved before it is used.
//!
//! Budgets form a tree. Whoever is about to spend reserves all the way up to the root, or is refused by the first budget that has
//! not enough left; afterwards it settles what was really spent, and the rest is returned. Actors carry one by
//! [`Spawn::budget`](crate::spawn::Spawn::budget): their children inherit it, and the kernel charges their messages and children.
//!
//! # Invariants
//! - What is spent and what is reserved never exceed a limit together, whoever reserves at the same time.
//! - A reservation is settled or returned once, however its holder ends.
//! - A refusal takes nothing, and names the budget and the dimension.
//!
//! It reads no clock: the present moment is an argument. A reservation is one atomic step per level and dimension, never a lock.

mod meter;

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::meter::Meter;
use crate::clock::Moment;

/// What a budget allows; `None` sets no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of models, read and written.
    pub tokens: Option<u64>,
    /// Money, in millionths of a dollar.
    pub micro_dollars: Option<u64>,
    /// Messages that its actors send, asks and those to themselves included, answers and timers not.
    pub messages: Option<u64>,
    /// Actors that are started below it, in all and not at a time.
    pub children: Option<u64>,
    /// Levels of actors below the one that it was given to.
    pub depth: Option<u32>,
    /// Time from its making; then nothing may be reserved.
    pub wall_clock: Option<Duration>,
}

/// An amount of what can be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens of models.
    pub tokens: u64,
    /// Money, in millionths of a dollar.
    pub micro_dollars: u64,
    /// Messages.
    pub messages: u64,
    /// Actors started.
    #[serde(default)]
    pub children: u64,
}

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self { tokens: 0, micro_dollars: 0, messages: 0, children: 0 };
    /// One message.
    pub const MESSAGE: Self = Self { messages: 1, ..Self::ZERO };
    /// One child.
    pub const CHILD: Self = Self { children: 1, ..Self::ZERO };

    const fn amounts(self) -> [u64; METERED.len()] {
        [self.tokens, self.micro_dollars, self.messages, self.children]
    }

    const fn of([tokens, micro_dollars, messages, children]: [u64; METERED.len()]) -> Self {
        Self { tokens, micro_dollars, messages, children }
    }
}

/// What a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Tokens of models.
    Tokens,
    /// Money.
    MicroDollars,
    /// Messages sent.
    Messages,
    /// Actors started.
    Children,
    /// Levels of actors.
    Depth,
    /// Time.
    WallClock,
}

/// The dimensions that are counted, in the order of [`Cost::amounts`].
const METERED: [Dimension; 4] =
    [Dimension::Tokens, Dimension::MicroDollars, Dimension::Messages, Dimension::Children];

impl fmt::Display for Dimension {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tokens => "tokens",
            Self::MicroDollars => "micro-dollars",
            Self::Messages => "messages",
            Self::Children => "children",
            Self::Depth => "levels of children",
            Self::WallClock => "ms of wall clock",
        })
    }
}

/// A budget said no.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("budget `{budget}` allows {limit} {dimension}: {left} left, {asked} asked for")]
pub struct Exceeded {
    /// Which budget of the tree, by its path from the root.
    pub budget: Arc<str>,
    /// What of it is used up.
    pub dimension: Dimension,
    /// What it allows, in the dimension's unit; milliseconds of wall clock.
    pub limit: u64,
    /// What was left of it.
    pub left: u64,
    /// What was asked for.
    pub asked: u64,
}

/// A budget, or one's place in it; clones share what there is.
///
/// ```
/// use synod_runtime::{budget::{Budget, Cost, Limits}, clock::Moment};
/// let run = Budget::root("run", Limits { tokens: Some(1_000), ..Limits::default() }, Moment::START);
/// let agent = run.subtree("agent", Limits { tokens: Some(600), ..Limits::default() }, Moment::START);
///
/// let reserved = agent.reserve(Cost { tokens: 500, ..Cost::ZERO }, Moment::START)?;
/// let refused = agent.reserve(Cost { tokens: 500, ..Cost::ZERO }, Moment::START).unwrap_err();
/// assert_eq!(refused.to_string(), "budget `run/agent` allows 600 tokens: 100 left, 500 asked for");
/// reserved.settle(Cost { tokens: 200, ..Cost::ZERO })?; // the call took less
/// assert_eq!((agent.left().tokens, run.left().tokens), (400, 800));
/// # Ok::<(), synod_runtime::budget::Exceeded>(())
/// ```
#[derive(Clone)]
pub struct Budget {
    account: Arc<Account>,
    /// Levels of actors below the root's holder.
    level: u32,
    /// How far below the place where the account was made its first holder stands.
    lead: u32,
}

struct Account {
    name: Arc<str>,
    parent: Option<Arc<Account>>,
    meters: [Meter; METERED.len()],
    /// The nearest end of time on the way up, and what the refusal of it says.
    ends: Moment,
    ended: Option<Exceeded>,
    /// The deepest level that this account allows if its first holder stands where it was made.
    own_depth: Option<Depth>,
    /// The nearest depth above.
    depth_above: Option<Depth>,
}

/// How deep actors may stand.
#[derive(Clone)]
struct Depth {
    deepest: u32,
    /// What the refusal of one that is deeper says.
    refusal: Exceeded,
}

impl Budget {
    /// A budget of its own, called `name`, whose wall clock starts now.
    pub fn root(name: impl Into<Arc<str>>, limits: Limits, now: Moment) -> Self {
        let account = Account::new(name.into(), None, limits, now);
        Self { account: Arc::new(account), level: 0, lead: 0 }
    }

    /// A budget within this one: what it spends counts for both, and each of the two may refuse.
    pub fn subtree(&self, name: &str, limits: Limits, now: Moment) -> Self {
        let name = format!("{}/{name}", self.name());
        let account = Account::new(name.into(), Some(self), limits, now);
        Self { account: Arc::new(account), level: self.level, lead: 0 }
    }

    /// The budget's path from the root of its tree.
    pub fn name(&self) -> &Arc<str> {
        &self.account.name
    }

    /// Reserves `cost` here and all the way up.
    ///
    /// # Errors
    /// [`Exceeded`] names the first budget on the way that has not enough left; nothing is reserved then.
    pub fn reserve(&self, cost: Cost, now: Moment) -> Result<Reservation, Exceeded> {
        self.take(cost, now)?;
        for account in self.account.up() {
            account.each(cost, |meter, amount| meter.reserve(amount));
        }
        Ok(Reservation { account: Arc::clone(&self.account), cost })
    }

    /// Spends `cost` at once, for what costs exactly what is known before: a message, a child.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn spend(&self, cost: Cost, now: Moment) -> Result<(), Exceeded> {
        self.take(cost, now)
    }

    /// The place of a child in this budget, a level deeper.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { level: self.level.saturating_add(1), ..self.clone() }
    }

    /// This budget, held by a child of the holder of `above`: a level below that, if both are of one tree.
    #[must_use]
    pub(crate) fn held_below(mut self, above: &Self) -> Self {
        let level = above.level.saturating_add(1);
        if self.level >= level || !std::ptr::eq(self.account.root(), above.account.root()) {
            return self;
        }
        // Whoever is the first to hold a budget of its own has all of its depth below.
        if !above.account.up().any(|account| std::ptr::eq(account, &*self.account)) {
            self.lead = self.lead.saturating_add(level - self.level);
        }
        self.level = level;
        self
    }

    /// Spends one child, which will have the place [`below`](Self::below).
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), and when the child would be too deep.
    pub fn spend_child(&self, now: Moment) -> Result<(), Exceeded> {
        match self.depth().filter(|depth| self.level >= depth.deepest) {
            Some(depth) => Err(depth.refusal),
            None => self.spend(Cost::CHILD, now),
        }
    }

    /// The nearest depth here and all the way up.
    fn depth(&self) -> Option<Depth> {
        let own = self.account.own_depth.iter().map(|own| {
            let deepest = own.deepest.saturating_add(self.lead);
            Depth { deepest, ..own.clone() }
        });
        own.chain(self.account.depth_above.clone()).min_by_key(|depth| depth.deepest)
    }

    /// What may be reserved now, here and all the way up; `u64::MAX` where nothing limits it.
    pub fn left(&self) -> Cost {
        let mut left = [u64::MAX; METERED.len()];
        for account in self.account.up() {
            for (left, meter) in left.iter_mut().zip(&account.meters) {
                *left = (*left).min(meter.left());
            }
        }
        Cost::of(left)
    }

    /// What was spent of this budget, reservations not counted.
    pub fn spent(&self) -> Cost {
        Cost::of(self.account.meters.each_ref().map(Meter::spent))
    }

    /// What is reserved of this budget and neither settled nor returned.
    pub fn reserved(&self) -> Cost {
        Cost::of(self.account.meters.each_ref().map(Meter::reserved))
    }

    /// When the wall clock here and all the way up has run out; [`Moment::NEVER`] if it does not.
    pub fn ends(&self) -> Moment {
        self.account.ends
    }

    /// Whether there is time left, here and all the way up, at `now`.
    ///
    /// # Errors
    /// [`Exceeded`] names the budget whose wall clock has run out by then.
    pub fn has_time(&self, now: Moment) -> Result<(), Exceeded> {
        match &self.account.ended {
            Some(ended) if now >= self.account.ends => Err(ended.clone()),
            _ => Ok(()),
        }
    }

    fn take(&self, cost: Cost, now: Moment) -> Result<(), Exceeded> {
        self.has_time(now)?;
        for account in self.account.up() {
            if let Err(refused) = account.take(cost) {
                for below in self.account.up().take_while(|below| !std::ptr::eq(*below, account)) {
                    below.each(cost, Meter::untake);
                }
                return Err(refused);
            }
        }
        Ok(())
    }
}

impl PartialEq for Budget {
    /// Whether both are the same place in the same budget.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.account, &other.account) && self.level == other.level
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spent, reserved) = (self.spent(), self.reserved());
        write!(out, "Budget({}, spent {spent:?}, reserved {reserved:?})", self.name())
    }
}

/// What was reserved and not yet spent; dropped, it is returned.
#[must_use = "dropping it returns what was reserved"]
pub struct Reservation {
    account: Arc<Account>,
    cost: Cost,
}

impl Reservation {
    /// What is reserved.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Spends `actual` of it and returns the rest.
    ///
    /// # Errors
    /// [`Exceeded`] when more was spent than a limit allows. It is counted all the same, since it was spent; what comes after it is
    /// refused.
    pub fn settle(mut self, actual: Cost) -> Result<(), Exceeded> {
        let reserved = std::mem::take(&mut self.cost);
        let mut outcome = Ok(());
        for account in self.account.up() {
            let settled = account.settle(reserved, actual);
            outcome = outcome.and(settled);
        }
        outcome
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for account in self.account.up() {
            account.each(self.cost, |meter, amount| {
                meter.unreserve(amount);
                meter.untake(amount);
            });
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reservation({}, {:?})", self.account.name, self.cost)
    }
}

impl Account {
    fn new(name: Arc<str>, above: Option<&Budget>, limits: Limits, now: Moment) -> Self {
        let refusal = |dimension, limit| Exceeded {
            budget: Arc::clone(&name),
            dimension,
            limit,
            left: 0,
            asked: 1,
        };
        let parent = above.map(|above| Arc::clone(&above.account));
        let mut ends = above.map_or(Moment::NEVER, Budget::ends);
        let mut ended = parent.as_ref().and_then(|parent| parent.ended.clone());
        if let Some(within) = limits.wall_clock.filter(|within| now + *within < ends) {
            let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            ends = now + within;
            ended = Some(refusal(Dimension::WallClock, millis));
        }
        let level = above.map_or(0, |above| above.level);
        let own_depth = limits.depth.map(|depth| Depth {
            deepest: level.saturating_add(depth),
            refusal: refusal(Dimension::Depth, u64::from(depth)),
        });
        let depth_above = above.and_then(Budget::depth);
        let Limits { tokens, micro_dollars, messages, children, .. } = limits;
        let meters = [tokens, micro_dollars, messages, children].map(Meter::new);
        Self { name, parent, meters, ends, ended, own_depth, depth_above }
    }

    fn root(&self) -> &Self {
        self.up().last().unwrap_or(self)
    }

    /// This account and those above it.
    fn up(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |account| account.parent.as_deref())
    }

    /// Calls `act` for each dimension of which `cost` is not zero.
    fn each(&self, cost: Cost, act: impl Fn(&Meter, u64)) {
        for (meter, amount) in self.meters.iter().zip(cost.amounts()) {
            if amount > 0 {
                act(meter, amount);
            }
        }
    }

    /// Takes all of `cost` or nothing.
    fn take(&self, cost: Cost) -> Result<(), Exceeded> {
        let amounts = || self.meters.iter().zip(METERED).zip(cost.amounts());
        for (at, ((meter, dimension), amount)) in amounts().enumerate() {
            let Err(left) = meter.take(amount) else { continue };
            for ((taken, _), amount) in amounts().take(at) {
                taken.untake(amount);
            }
            return Err(self.exceeded(dimension, meter.limit, left, amount));
        }
        Ok(())
    }

    fn settle(&self, reserved: Cost, actual: Cost) -> Result<(), Exceeded> {
        let mut outcome = Ok(());
        let amounts = reserved.amounts().into_iter().zip(actual.amounts());
        for ((meter, dimension), (reserved, actual)) in self.meters.iter().zip(METERED).zip(amounts)
        {
            meter.unreserve(reserved);
            if let Some(beyond) = actual.checked_sub(reserved).filter(|beyond| *beyond > 0) {
                if let Err(left) = meter.take(beyond) {
                    meter.overdraw(beyond);
                    let refused = self.exceeded(dimension, meter.limit, left, beyond);
                    outcome = outcome.and(Err(refused));
                }
            } else {
                meter.untake(reserved - actual);
            }
        }
        outcome
    }

    fn exceeded(&self, dimension: Dimension, limit: u64, left: u64, asked: u64) -> Exceeded {
        Exceeded { budget: Arc::clone(&self.name), dimension, limit, left, asked }
    }
}

#[cfg(test)]
mod tests;
