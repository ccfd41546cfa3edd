//! The reference of `stragglers`: an ideal scheduler in virtual time, which duplicates on idle agents.
//!
//! It sees at once how long every attempt will take, starts what was never started first, and else duplicates,
//! without end, the part that would finish last. How long an attempt takes is drawn from a seed, the part's number
//! and the attempt's, so that Synod meets the same draws whatever order it chooses.

use crate::figure::{Outcome, Settings};

/// Parts of a run.
pub(crate) const PARTS: usize = 64;
/// Agents that share them, one part each at a time.
pub(crate) const AGENTS: usize = 16;
/// Virtual time of an attempt, unless it straggles.
pub(crate) const ATTEMPT: u64 = 100;
/// How many times longer a straggler takes.
pub(crate) const SLOWER: u64 = 10;
/// Stragglers in a hundred attempts.
pub(crate) const PERCENT: u64 = 5;
/// Runs whose mean is taken, each from its own seed.
pub(crate) const SEEDS: u64 = 200;

/// Tells the mean length of a run, as a multiple of a run without stragglers.
pub(crate) fn ideal(_: &Settings) -> Outcome {
    let whole: u64 = (0..SEEDS)
        .map(|seed| length(PARTS, AGENTS, |part, attempt| draw(seed, part, attempt)))
        .sum();
    Ok(Ok(relative(whole)))
}

/// Turns the sum of the lengths of all seeds' runs into the published value.
#[expect(clippy::cast_precision_loss, reason = "virtual times are far below 2^52")]
pub(crate) fn relative(whole: u64) -> f64 {
    let undisturbed = SEEDS * ATTEMPT * PARTS.div_ceil(AGENTS) as u64;
    whole as f64 / undisturbed as f64
}

/// Draws how long an attempt takes, the first attempt of a part being number 0.
pub(crate) fn draw(seed: u64, part: usize, attempt: usize) -> u64 {
    let mixed =
        [part as u64, attempt as u64].into_iter().fold(mix(seed), |state, word| mix(state ^ word));
    if mixed % 100 < PERCENT { ATTEMPT * SLOWER } else { ATTEMPT }
}

/// Mixes all bits of a word (the finaliser of splitmix64).
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A part that was started.
struct Running {
    part: usize,
    attempts: usize,
    agents: usize,
    /// when its first attempt to finish does
    ends: u64,
}

/// Simulates the ideal scheduler and returns when the last part is done.
fn length(parts: usize, agents: usize, draw: impl Fn(usize, usize) -> u64) -> u64 {
    let (mut now, mut idle) = (0, agents);
    let mut waiting = 0..parts;
    let mut running: Vec<Running> = Vec::new();
    loop {
        for part in waiting.by_ref().take(idle) {
            idle -= 1;
            running.push(Running { part, attempts: 1, agents: 1, ends: now + draw(part, 0) });
        }
        while idle > 0 {
            let Some(last) = running
                .iter_mut()
                .max_by_key(|run| run.ends)
                .filter(|run| run.ends > now + ATTEMPT)
            else {
                break;
            };
            last.ends = last.ends.min(now + draw(last.part, last.attempts));
            last.attempts += 1;
            last.agents += 1;
            idle -= 1;
        }
        let Some(next) = running.iter().map(|run| run.ends).min() else { return now };
        now = next;
        // the first attempt that finishes frees the agents of all others of its part
        running.retain(|run| {
            let done = run.ends <= now;
            idle += if done { run.agents } else { 0 };
            !done
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: usize, agents: usize, slow: &[(usize, usize)], expected: u64) {
        let draw = |part, attempt| if slow.contains(&(part, attempt)) { 1000 } else { 100 };
        assert_eq!(length(parts, agents, draw), expected);
    }

    #[test]
    fn without_stragglers_it_takes_as_many_rounds_as_needed() {
        check(64, 16, &[], 400);
        check(65, 16, &[], 500);
        check(0, 16, &[], 0);
    }

    #[test]
    fn a_straggler_is_duplicated_as_soon_as_an_agent_is_idle() {
        check(2, 2, &[(0, 0)], 200);
        check(4, 2, &[(0, 0)], 400);
    }

    #[test]
    fn a_duplicate_that_straggles_too_is_duplicated_again() {
        check(2, 2, &[(0, 0), (0, 1)], 1000);
        check(3, 3, &[(0, 0), (0, 1)], 200);
    }

    #[test]
    fn a_straggler_with_one_agent_is_waited_for() {
        check(1, 1, &[(0, 0)], 1000);
    }

    #[test]
    fn draws_are_repeatable_and_about_as_many_straggle_as_should() {
        let all = || (0..200).flat_map(|seed| (0..64).map(move |part| draw(seed, part, 0)));
        assert!(all().eq(all()));
        let slow = all().filter(|time| *time > ATTEMPT).count();
        assert!((512..768).contains(&slow), "{slow} of 12,800");
    }
}
