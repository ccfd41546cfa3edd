//! The documents of one stage, from their coming in until they are gone: in any order, or in that of the intake. Pure bookkeeping.
//!
//! # Invariants
//! - A document that is ready keeps its place until it has gone on: so a slow stage holds up those before it, down to the intake.
//! - In order, no document goes on before an earlier one that is still inside.

use std::collections::{BTreeSet, VecDeque};

/// One stage's documents.
#[derive(Debug)]
pub(super) struct Line {
    inside: usize,
    most: usize,
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    /// As they become ready.
    Any(VecDeque<u32>),
    InOrder {
        inside: BTreeSet<u32>,
        ready: BTreeSet<u32>,
    },
}

impl Line {
    pub(super) fn new(ordered: bool) -> Self {
        let ready = match ordered {
            false => Ready::Any(VecDeque::new()),
            true => Ready::InOrder { inside: BTreeSet::new(), ready: BTreeSet::new() },
        };
        Self { inside: 0, most: 0, ready }
    }

    /// Documents that have a place, those that are ready included.
    pub(super) fn len(&self) -> usize {
        self.inside
    }

    /// The most that had one at a time.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn enter(&mut self, document: u32) {
        self.inside += 1;
        self.most = self.most.max(self.inside);
        if let Ready::InOrder { inside, .. } = &mut self.ready {
            inside.insert(document);
        }
    }

    /// A document has passed the stage and may go on.
    pub(super) fn ready(&mut self, document: u32) {
        match &mut self.ready {
            Ready::Any(ready) => ready.push_back(document),
            Ready::InOrder { ready, .. } => drop(ready.insert(document)),
        }
    }

    /// A document has failed, and leaves.
    pub(super) fn leave(&mut self, document: u32) {
        self.inside = self.inside.saturating_sub(1);
        if let Ready::InOrder { inside, .. } = &mut self.ready {
            inside.remove(&document);
        }
    }

    /// The next that may go on; it leaves.
    pub(super) fn next(&mut self) -> Option<u32> {
        let next = match &mut self.ready {
            Ready::Any(ready) => ready.pop_front()?,
            Ready::InOrder { inside, ready } => {
                let first = *ready.first()?;
                if inside.first() != Some(&first) {
                    return None;
                }
                ready.remove(&first);
                first
            }
        };
        self.leave(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ordered: bool) -> Line {
        let mut line = Line::new(ordered);
        (0..3).for_each(|document| line.enter(document));
        line
    }

    #[test]
    fn in_any_order_they_go_on_as_they_become_ready() {
        let mut line = line(false);
        line.ready(2);
        line.ready(0);
        assert_eq!((line.next(), line.next(), line.next()), (Some(2), Some(0), None));
        assert_eq!((line.len(), line.most()), (1, 3));
    }

    #[test]
    fn in_order_the_first_holds_up_the_others_and_one_that_fails_does_not() {
        let mut line = line(true);
        line.ready(2);
        assert_eq!((line.next(), line.len()), (None, 3), "what is ready keeps its place");
        line.ready(0);
        assert_eq!((line.next(), line.next()), (Some(0), None));
        line.leave(1);
        assert_eq!((line.next(), line.next(), line.len()), (Some(2), None, 0));
    }
}
