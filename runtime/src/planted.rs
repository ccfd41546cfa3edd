//! Faults planted on purpose, to prove that the simulation finds what it is there to find.
//!
//! Compiled in by the feature `planted` alone, which no release has; even then nothing is planted unless
//! `Sim::plant`, which that feature brings, says so, and only on the threads of that simulation.

/// A fault that the kernel can be made to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Planted {
    /// Every tenth reply that is dropped does not tell its asker, who then waits for its whole deadline.
    ForgottenReply,
    /// A supervisor restarts once more than its intensity allows.
    IntensityOffByOne,
    /// Every tenth credit that is returned is lost.
    LeakedCredit,
    /// The end of an incarnation does not reach the first of its tasks.
    LostCancel,
    /// A message counts as accepted as soon as it was let in, though its effect failed.
    EarlyDedup,
}

impl Planted {
    /// Every fault there is.
    pub const ALL: [Self; 5] = [
        Self::ForgottenReply,
        Self::IntensityOffByOne,
        Self::LeakedCredit,
        Self::LostCancel,
        Self::EarlyDedup,
    ];
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        static PRESENT: Cell<(Option<Planted>, u32)> = const { Cell::new((None, 0)) };
    }

    /// Plants `fault` in the present thread, instead of the one before.
    pub(crate) fn plant(fault: Option<Planted>) {
        PRESENT.set((fault, 0));
    }

    /// Whether `fault` is planted here.
    pub(crate) fn is_planted(fault: Planted) -> bool {
        PRESENT.get().0 == Some(fault)
    }

    /// Whether `fault` is planted here, each `nth` time that this is asked.
    pub(crate) fn strikes(fault: Planted, nth: u32) -> bool {
        let (present, times) = PRESENT.get();
        if present != Some(fault) {
            return false;
        }
        PRESENT.set((present, times + 1));
        (times + 1).is_multiple_of(nth)
    }
}

#[cfg(not(feature = "planted"))]
mod switch {
    use super::Planted;

    /// Nothing is ever planted in a kernel without the feature.
    pub(crate) const fn is_planted(_: Planted) -> bool {
        false
    }

    /// Does nothing.
    pub(crate) const fn plant(_: Option<Planted>) {}

    /// See [`is_planted`].
    pub(crate) const fn strikes(_: Planted, _: u32) -> bool {
        false
    }
}

pub(crate) use switch::*;
