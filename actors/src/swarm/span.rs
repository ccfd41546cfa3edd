//! Sets of agents as spans of their numbers: what records, reports and replays say of missed moves.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A set of agents: spans of numbers, ascending, apart from each other; the end of each is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans(Vec<(u32, u32)>);

impl Spans {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are in it.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(from, to)| u64::from(to - from)).sum()
    }

    /// Whether this agent is in it.
    pub fn contains(&self, agent: u32) -> bool {
        let behind = self.0.partition_point(|(from, _)| *from <= agent);
        let span = behind.checked_sub(1).and_then(|at| self.0.get(at));
        span.is_some_and(|(_, to)| agent < *to)
    }

    /// Puts these agents into it.
    pub fn add(&mut self, agents: Range<u32>) {
        let Range { start: mut from, end: mut to } = agents;
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|(_, end)| *end < from);
        let behind = self.0.partition_point(|(start, _)| *start <= to);
        for (start, end) in self.0.drain(first..behind) {
            (from, to) = (from.min(start), to.max(end));
        }
        self.0.insert(first, (from, to));
    }

    /// Puts all agents of `other` into it.
    pub fn join(&mut self, other: &Self) {
        other.ranges().for_each(|span| self.add(span));
    }

    /// Those of it that are among `agents`.
    pub fn within(&self, agents: &Range<u32>) -> Self {
        let cut = |span: Range<u32>| (span.start.max(agents.start), span.end.min(agents.end));
        Self(self.ranges().map(cut).filter(|(from, to)| from < to).collect())
    }

    /// The same in sets of at most so many spans each.
    pub fn parts(&self, most: usize) -> impl Iterator<Item = Self> {
        self.0.chunks(most.max(1)).map(|spans| Self(spans.to_vec()))
    }

    /// The spans.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.iter().map(|(from, to)| *from..*to)
    }
}

impl FromIterator<u32> for Spans {
    fn from_iter<I: IntoIterator<Item = u32>>(agents: I) -> Self {
        let mut spans = Self::default();
        agents.into_iter().for_each(|agent| spans.add(agent..agent.saturating_add(1)));
        spans
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_are_a_set_of_numbers(
            added in prop::collection::vec((0_u32..60, 0_u32..12), 0..20),
            within in (0_u32..60, 0_u32..30),
        ) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (from, count) in added {
                spans.add(from..from + count);
                set.extend(from..from + count);
            }
            prop_assert_eq!(spans.len(), set.len() as u64);
            prop_assert!((0..80).all(|agent| spans.contains(agent) == set.contains(&agent)));
            let ranges: Vec<_> = spans.ranges().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            let within = within.0..within.0 + within.1;
            let cut: BTreeSet<u32> = spans.within(&within).ranges().flatten().collect();
            prop_assert_eq!(&cut, &set.iter().copied().filter(|n| within.contains(n)).collect());
            prop_assert_eq!(spans.clone(), set.into_iter().collect());
            let mut joined = Spans::default();
            spans.parts(2).for_each(|part| joined.join(&part));
            prop_assert_eq!(&joined, &spans);
            joined.join(&spans);
            prop_assert_eq!(joined, spans);
        }
    }
}
