//! Capability match: full matches only, the best fit first.
//!
//! The reference scores `matched / required + min(0.3, 0.1 · extra relevant)`, which is 0/0 where nothing is required and prefers the
//! agent that could do much else. Here a full match is a condition; among full matches the least busy in proportion goes first, then
//! the more specialised (fewer capabilities that this work does not need), then the one whose turn it is.

use std::cmp::Ordering;

use super::{Candidate, Need, SlotId, WILDCARD, has_all};

/// The best fit among the candidates that have every capability that `need` asks for.
pub fn capability_match(need: &Need, candidates: &[Candidate<'_>]) -> Option<SlotId> {
    candidates
        .iter()
        .filter(|candidate| has_all(&candidate.card.capabilities, &need.capabilities))
        .min_by(|a, b| {
            busier(a, b)
                .then_with(|| spare(need, a).cmp(&spare(need, b)))
                .then_with(|| turn(a).cmp(&turn(b)))
        })
        .map(|candidate| candidate.slot)
}

/// Compares the shares of their concurrency that are taken, without a division.
fn busier(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let share = |of: &Candidate<'_>, by: &Candidate<'_>| {
        u64::from(of.leased) * u64::from(by.card.concurrency.max(1))
    };
    share(a, b).cmp(&share(b, a))
}

/// Capabilities beyond what is needed; a generalist by wildcard has more of them than anyone.
fn spare(need: &Need, candidate: &Candidate<'_>) -> usize {
    let capabilities = &candidate.card.capabilities;
    if capabilities.contains(WILDCARD) {
        usize::MAX
    } else {
        capabilities.len().saturating_sub(need.capabilities.len())
    }
}

fn turn(candidate: &Candidate<'_>) -> (u64, SlotId) {
    (candidate.last_turn, candidate.slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::Card;

    fn card(capabilities: &[&str]) -> Card {
        Card {
            capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
            concurrency: 4,
            ..Card::default()
        }
    }

    fn pick(required: &[&str], slots: &[(&Card, u32)]) -> Option<SlotId> {
        let need = Need {
            capabilities: required.iter().map(|name| (*name).to_owned()).collect(),
            ..Need::default()
        };
        let table: Vec<_> = (0..)
            .zip(slots)
            .map(|(id, (card, leased))| Candidate {
                slot: SlotId(id),
                card,
                leased: *leased,
                last_turn: 0,
            })
            .collect();
        capability_match(&need, &table)
    }

    #[test]
    fn only_full_matches_are_picked_and_specialists_before_generalists() {
        let (python, both, all) = (card(&["python"]), card(&["python", "go"]), card(&["all"]));
        assert_eq!(pick(&["python"], &[(&all, 0), (&both, 0), (&python, 0)]), Some(SlotId(2)));
        assert_eq!(
            pick(&["python", "go"], &[(&all, 0), (&both, 0), (&python, 0)]),
            Some(SlotId(1))
        );
        assert_eq!(pick(&["rust"], &[(&both, 0), (&python, 0)]), None);
        assert_eq!(pick(&["rust"], &[(&both, 0), (&all, 0)]), Some(SlotId(1)));
    }

    #[test]
    fn a_busy_specialist_gives_way_and_no_requirement_means_anyone() {
        let (python, both) = (card(&["python"]), card(&["python", "go"]));
        assert_eq!(pick(&["python"], &[(&python, 2), (&both, 1)]), Some(SlotId(1)));
        assert_eq!(pick(&[], &[(&python, 0), (&both, 0)]), Some(SlotId(0)));
        assert_eq!(pick(&[], &[]), None);
    }
}
