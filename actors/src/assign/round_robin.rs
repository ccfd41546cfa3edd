//! Round robin that stays fair while agents come and go.
//!
//! A counter modulo the length of a changing list favours whoever stands behind a leaver; so the slot whose last turn is longest ago
//! is next, and a slot that joins counts as having just had its turn.

use super::{Candidate, SlotId};

/// The candidate whose last turn is longest ago; the lowest id among equals.
pub fn round_robin(candidates: &[Candidate<'_>]) -> Option<SlotId> {
    candidates
        .iter()
        .min_by_key(|candidate| (candidate.last_turn, candidate.slot))
        .map(|candidate| candidate.slot)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::assign::Card;

    proptest! {
        /// Joins and leaves happen in any order; between two picks every present slot is free.
        #[test]
        fn shares_differ_by_at_most_one_since_the_youngest_joined(steps in prop::collection::vec(0_u8..8, 1..400)) {
            let card = Card::default();
            let mut slots: BTreeMap<SlotId, (u64, u64)> = BTreeMap::new();
            let (mut turn, mut next) = (0_u64, 0_u32);
            for step in steps {
                match step {
                    0 => {
                        slots.insert(SlotId(next), (turn, 0));
                        next += 1;
                        slots.values_mut().for_each(|(_, share)| *share = 0);
                    }
                    1 => {
                        let first = slots.keys().next().copied();
                        first.map(|id| slots.remove(&id));
                    }
                    _ => {
                        let table: Vec<_> = slots
                            .iter()
                            .map(|(id, (last_turn, _))| Candidate { slot: *id, card: &card, leased: 0, last_turn: *last_turn })
                            .collect();
                        if let Some(picked) = round_robin(&table) {
                            turn += 1;
                            let slot = slots.get_mut(&picked).unwrap();
                            *slot = (turn, slot.1 + 1);
                        }
                    }
                }
                let shares: Vec<u64> = slots.values().map(|(_, share)| *share).collect();
                if let (Some(most), Some(least)) = (shares.iter().max(), shares.iter().min()) {
                    prop_assert!(most - least <= 1, "{shares:?}");
                }
            }
        }
    }
}
