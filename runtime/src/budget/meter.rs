//! One dimension of one budget: what of it is spent and reserved.
//!
//! Held by the accounts of [`Budget`](super::Budget). Each change is one atomic step, never a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// One dimension of one budget.
pub(super) struct Meter {
    /// What may be taken in all.
    pub(super) limit: u64,
    /// Spent or reserved; nobody adds what would exceed the limit.
    pub(super) taken: AtomicU64,
    reserved: AtomicU64,
}

impl Meter {
    pub(super) fn new(limit: Option<u64>) -> Self {
        let (taken, reserved) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limit: limit.unwrap_or(u64::MAX), taken, reserved }
    }

    /// Adds to what is taken, or says how much is left.
    pub(super) fn take(&self, amount: u64) -> Result<(), u64> {
        if amount == 0 {
            return Ok(());
        }
        let add = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= self.limit);
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add) {
            Ok(_) => Ok(()),
            Err(taken) => Err(self.limit.saturating_sub(taken)),
        }
    }

    pub(super) fn untake(&self, amount: u64) {
        subtract(&self.taken, amount);
    }

    /// Adds what was spent beyond the limit.
    pub(super) fn overdraw(&self, amount: u64) {
        let add = |taken: u64| Some(taken.saturating_add(amount));
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok();
    }

    pub(super) fn reserve(&self, amount: u64) {
        self.reserved.fetch_add(amount, Ordering::AcqRel);
    }

    pub(super) fn unreserve(&self, amount: u64) {
        subtract(&self.reserved, amount);
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// What may still be taken; `u64::MAX` where nothing limits it.
    pub(super) fn left(&self) -> u64 {
        if self.limit == u64::MAX {
            return u64::MAX;
        }
        self.limit.saturating_sub(self.taken.load(Ordering::Acquire))
    }

    pub(super) fn spent(&self) -> u64 {
        // Read first: what is reserved is taken before and untaken after.
        let reserved = self.reserved();
        self.taken.load(Ordering::Acquire).saturating_sub(reserved)
    }
}

/// Subtracts what was added before; the sum cannot fall below zero.
fn subtract(from: &AtomicU64, amount: u64) {
    if amount > 0 {
        from.fetch_sub(amount, Ordering::AcqRel);
    }
}
