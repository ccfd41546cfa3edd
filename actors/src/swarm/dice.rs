//! Dice of agents: each throw follows from the seed, the agent, the tick and the stage alone.
//!
//! SplitMix64 (Steele, Lea and Flood 2014), begun at a hash of the four: fast, well spread, not secret.

/// The odd constant by which SplitMix64 goes on.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that stands for the swarm as a whole where an agent's would stand.
const NOBODY: u64 = u64::MAX;

/// The dice of all agents in one stage of one tick.
#[derive(Clone, Copy, Debug)]
pub struct Throws {
    base: u64,
}

impl Throws {
    /// The dice of this stage of this tick.
    pub const fn new(seed: u64, tick: u64, stage: u32) -> Self {
        let of_tick = mixed(seed ^ mixed(tick.wrapping_mul(GOLDEN)));
        Self { base: mixed(of_tick.wrapping_add(stage as u64)) }
    }

    /// Those of one agent.
    #[inline]
    pub const fn of(self, agent: u32) -> Dice {
        self.begin(agent as u64)
    }

    /// Those of the swarm as a whole.
    pub const fn of_swarm(self) -> Dice {
        self.begin(NOBODY)
    }

    #[inline]
    const fn begin(self, who: u64) -> Dice {
        Dice { state: mixed(self.base ^ who.wrapping_mul(GOLDEN)) }
    }
}

/// Dice that always fall the same way.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// A number from the whole range.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mixed(self.state)
    }

    /// A number in `[0, 1)` with 53 random bits.
    #[inline]
    pub const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `0..bound`, without bias; 0 for a bound of 0.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper and the lower half of a product"
    )]
    pub const fn below(&mut self, bound: u32) -> u32 {
        // Lemire, "Fast Random Integer Generation in an Interval", 2019: multiply, reject the uneven rest.
        loop {
            let product = (self.next() >> 32) * bound as u64;
            if bound == 0 || product as u32 >= bound.wrapping_neg() % bound {
                return (product >> 32) as u32;
            }
        }
    }

    /// Puts `values` into a random order, each as likely as any other.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(super::number(last + 1)) as usize;
            values.swap(last, other);
        }
    }

    /// The place of one of `weights`, each as likely as it is heavy; the last positive one where rounding leaves nobody, none
    /// where none is positive.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let last = weights.iter().rposition(|weight| *weight > 0.0)?;
        let mut left = self.unit() * weights.iter().filter(|weight| **weight > 0.0).sum::<f64>();
        for (at, weight) in weights.iter().enumerate().take(last) {
            if *weight > 0.0 {
                left -= weight;
                if left < 0.0 {
                    return Some(at);
                }
            }
        }
        Some(last)
    }
}

/// SplitMix64's finaliser: every bit of the argument changes about half of those of the result.
#[inline]
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_agent_tick_stage_and_seed_has_dice_of_its_own() {
        let mut firsts = BTreeSet::new();
        for seed in 0..4 {
            for tick in 0..10 {
                for stage in 0..3 {
                    let throws = Throws::new(seed, tick, stage);
                    firsts.insert(throws.of_swarm().next());
                    firsts.extend((0..50).map(|agent| throws.of(agent).next()));
                }
            }
        }
        assert_eq!(firsts.len(), 4 * 10 * 3 * 51);
        let again = |agent| Throws::new(7, 8, 9).of(agent).next();
        assert_eq!(again(3), again(3));
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly_and_so_are_shuffles() {
        let mut dice = Throws::new(1, 2, 3).of(4);
        let mut counts = [0_u32; 6];
        (0..60_000).for_each(|_| counts[dice.below(6) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        let mut firsts = [0_u32; 4];
        for _ in 0..8_000 {
            let mut cards = [0, 1, 2, 3];
            dice.shuffle(&mut cards);
            firsts[cards[0]] += 1;
            cards.sort_unstable();
            assert_eq!(cards, [0, 1, 2, 3]);
        }
        assert!(firsts.iter().all(|count| (1_850..2_150).contains(count)), "{firsts:?}");
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
    }

    #[test]
    fn weights_are_obeyed_and_what_weighs_nothing_is_never_chosen() {
        let mut dice = Throws::new(5, 0, 0).of(0);
        let mut counts = [0_u32; 4];
        for _ in 0..30_000 {
            counts[dice.weighted(&[0.0, 1.0, 2.0, 0.0]).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((9_600..10_400).contains(&counts[1]), "{counts:?}");
        assert_eq!(dice.weighted(&[]), None);
        assert_eq!(dice.weighted(&[0.0, f64::NAN, -1.0]), None);
    }
}
