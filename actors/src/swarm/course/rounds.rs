//! The rounds of a tick: who decides at a time, before the actions of that round are applied.

use std::ops::Range;

use super::super::{Activation, Dice};

/// Agents that decide upon the same world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The stage of the tick.
    pub stage: u32,
    /// Those of these numbers that live.
    pub agents: Range<u32>,
}

/// The rounds of a tick that are left.
#[derive(Debug)]
pub(super) enum Rounds {
    /// All agents, once a stage that is left.
    Stages { left: Range<u32>, agents: u32 },
    /// One agent after the other.
    InOrder(Range<u32>),
    /// The same, in this order.
    Random(std::vec::IntoIter<u32>),
}

impl Default for Rounds {
    fn default() -> Self {
        Self::InOrder(0..0)
    }
}

impl Rounds {
    /// Those of a tick of so many agents.
    pub(super) fn of(activation: Activation, agents: u32, mut dice: Dice) -> Self {
        match activation {
            Activation::Simultaneous => Self::Stages { left: 0..1, agents },
            Activation::Staged(stages) => Self::Stages { left: 0..stages, agents },
            Activation::InOrder => Self::InOrder(0..agents),
            Activation::Random => {
                let mut order: Vec<u32> = (0..agents).collect();
                dice.shuffle(&mut order);
                Self::Random(order.into_iter())
            }
        }
    }

    /// The next one; agents that do not live have no turn of their own.
    pub(super) fn next(&mut self, lives: impl Fn(u32) -> bool) -> Option<Round> {
        let one = |agent: u32| Round { stage: 0, agents: agent..agent + 1 };
        match self {
            Self::Stages { left, agents } => {
                left.next().map(|stage| Round { stage, agents: 0..*agents })
            }
            Self::InOrder(left) => left.find(|agent| lives(*agent)).map(one),
            Self::Random(left) => left.find(|agent| lives(*agent)).map(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::Throws, *};

    fn all(activation: Activation, tick: u64) -> Vec<(u32, Range<u32>)> {
        let mut rounds = Rounds::of(activation, 5, Throws::new(1, tick, 0).of_swarm());
        let next = || rounds.next(|agent| agent != 2).map(|round| (round.stage, round.agents));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn agents_act_at_a_time_in_stages_in_order_or_at_random() {
        assert_eq!(all(Activation::Simultaneous, 1), [(0, 0..5)]);
        assert_eq!(all(Activation::Staged(2), 1), [(0, 0..5), (1, 0..5)]);
        let in_order = all(Activation::InOrder, 1);
        assert_eq!(in_order, [0, 1, 3, 4].map(|agent| (0, agent..agent + 1)));
        let random: Vec<_> = (1..20).map(|tick| all(Activation::Random, tick)).collect();
        assert!(random.iter().any(|order| *order != random[0]), "each tick has its own order");
        for mut order in random {
            order.sort_by_key(|(_, agents)| agents.start);
            assert_eq!(order, in_order);
        }
    }
}
