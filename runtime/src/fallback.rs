//! The fallback chain: whom to ask next when an attempt failed, and after which wait.
//!
//! A chain names nobody; it numbers its links from 0, the preferred one first, and whoever walks it knows who they are. Each link
//! has its own retries. A pure value: dice are an argument.
//!
//! # Invariants
//! - Links are tried in order, none again after the next one was begun.
//! - What can never succeed ends the walk at once: another link would be asked the same.

use std::time::Duration;

use protocol::Retry;

use crate::retry::Retries;

/// A walk along a chain of fallbacks.
///
/// ```
/// use std::time::Duration;
/// use protocol::Retry;
/// use synod_runtime::{fallback::{Fallback, Next}, retry::Retries};
/// let mut walk = Fallback::new(2, Retries::NEVER);
/// assert_eq!(walk.at(), Some(0));
/// assert_eq!(walk.failed(Retry::Elsewhere, 0), Next::Link { at: 1, wait: Duration::ZERO });
/// assert_eq!(walk.failed(Retry::Elsewhere, 0), Next::Exhausted);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    links: usize,
    retries: Retries,
    at: usize,
    attempts: u32,
}

/// What follows on a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Asks the link `at` (the same one or the next) after a wait.
    Link {
        /// Which link, from 0.
        at: usize,
        /// How long to wait before.
        wait: Duration,
    },
    /// Asks nobody any more.
    Exhausted,
}

impl Fallback {
    /// A walk along `links`, each tried as `retries` say.
    pub const fn new(links: usize, retries: Retries) -> Self {
        Self { links, retries, at: 0, attempts: 0 }
    }

    /// Which link to ask now; `None` at the end of the chain.
    pub fn at(&self) -> Option<usize> {
        (self.at < self.links).then_some(self.at)
    }

    /// Takes the failure of an attempt at the present link, with what it says about trying again.
    ///
    /// `After` and `Elsewhere` go on here while the retries allow it: the first not before its wait, the second on the next link
    /// if there is one.
    pub fn failed(&mut self, advice: Retry, dice: u64) -> Next {
        if self.at().is_none() {
            return Next::Exhausted;
        }
        self.attempts = self.attempts.saturating_add(1);
        let has_next = self.at.saturating_add(1) < self.links;
        let again = match advice {
            Retry::Never => return self.end(),
            Retry::Elsewhere if has_next => None,
            Retry::Elsewhere => self.retries.next(self.attempts, None, dice),
            Retry::After(asked) => self.retries.next(self.attempts, Some(asked), dice),
        };
        match again {
            Some(wait) => Next::Link { at: self.at, wait },
            None if has_next => {
                self.at += 1;
                self.attempts = 0;
                Next::Link { at: self.at, wait: Duration::ZERO }
            }
            None => self.end(),
        }
    }

    /// Passes the present link by without an attempt: its breaker is open, its limit reached, its budget used up.
    pub fn skip(&mut self) -> Next {
        self.attempts = 0;
        self.at = self.at.saturating_add(1).min(self.links);
        self.at().map_or(Next::Exhausted, |at| Next::Link { at, wait: Duration::ZERO })
    }

    fn end(&mut self) -> Next {
        self.at = self.links;
        Next::Exhausted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backoff::Backoff;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_asks_to_be_left_alone_is_asked_again_then_the_next() {
        let retries = Retries { attempts: 2, backoff: Backoff::NONE };
        let mut walk = Fallback::new(2, retries);
        assert_eq!(walk.failed(Retry::After(SECOND), 0), Next::Link { at: 0, wait: SECOND });
        let next = Next::Link { at: 1, wait: Duration::ZERO };
        assert_eq!(walk.failed(Retry::After(SECOND), 0), next);
        assert_eq!(walk.failed(Retry::Elsewhere, 0), next, "the last one is tried again");
        assert_eq!(walk.failed(Retry::Elsewhere, 0), Next::Exhausted);
        assert_eq!((walk.at(), walk.failed(Retry::Elsewhere, 0)), (None, Next::Exhausted));
    }

    #[test]
    fn what_can_never_succeed_asks_nobody_else() {
        let mut walk = Fallback::new(3, Retries::default());
        assert_eq!(walk.failed(Retry::Never, 0), Next::Exhausted);
        assert_eq!((walk.at(), Fallback::new(0, Retries::NEVER).at()), (None, None));
    }

    #[test]
    fn a_link_may_be_passed_by() {
        let mut walk = Fallback::new(2, Retries::default());
        assert_eq!(walk.skip(), Next::Link { at: 1, wait: Duration::ZERO });
        assert_eq!((walk.skip(), walk.skip()), (Next::Exhausted, Next::Exhausted));
    }

    proptest! {
        #[test]
        fn every_walk_ends_and_never_goes_back(
            links in 0..6_usize, attempts in 1..5_u32, advice in proptest::collection::vec(0..4_u8, 64),
        ) {
            let mut walk = Fallback::new(links, Retries { attempts, backoff: Backoff::default() });
            let (mut before, mut steps) = (0, 0);
            for advice in advice {
                let next = match advice {
                    0 => walk.failed(Retry::After(SECOND), 7),
                    3 => walk.skip(),
                    _ => walk.failed(Retry::Elsewhere, 7),
                };
                let Next::Link { at, .. } = next else { break };
                prop_assert!(at >= before && at < links);
                (before, steps) = (at, steps + 1);
            }
            prop_assert!(steps <= links * attempts as usize);
            prop_assert_eq!(walk.at(), None);
        }
    }
}
