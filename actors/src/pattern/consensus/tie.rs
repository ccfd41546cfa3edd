//! Tie-breakers: what decides where the ballots do not.

use runtime::clock::{Random as _, SeededRandom};

use super::{
    Exact, TieBreaker, TieBreakerOn,
    judge::{Finding, Judged},
};

/// What the tie-breakers say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// This choice, by this one.
    For(usize, TieBreaker),
    /// To vote again.
    AnotherRound,
    /// Nothing: all decline, or none was to be asked.
    Declined,
}

/// Asks the tie-breakers in turn.
pub(super) fn break_tie(judged: &Judged<'_>, round: u32) -> Broken {
    let (rules, finding) = (&judged.opening.rules, judged.finding());
    if rules.tie_breaker_on == TieBreakerOn::Tie && finding != Finding::Tied {
        return Broken::Declined;
    }
    let candidates = candidates(judged, finding);
    for breaker in &rules.tie_breakers {
        if *breaker == TieBreaker::AnotherRound {
            if round < rules.rounds {
                return Broken::AnotherRound;
            }
        } else if let Some(choice) = choose(judged, breaker, &candidates, round) {
            return Broken::For(choice, breaker.clone());
        }
    }
    Broken::Declined
}

/// The leaders if there are several, else every choice that a ballot is for.
fn candidates(judged: &Judged<'_>, finding: Finding) -> Vec<usize> {
    if finding == Finding::Tied {
        return judged.count.leaders.clone();
    }
    let supported = |choice: &usize| judged.counted.iter().any(|own| own.stance.supports(*choice));
    (0..judged.support.len()).filter(supported).collect()
}

fn choose(
    judged: &Judged<'_>,
    breaker: &TieBreaker,
    candidates: &[usize],
    round: u32,
) -> Option<usize> {
    let proposal = &judged.opening.proposal;
    match breaker {
        TieBreaker::AnotherRound => None,
        TieBreaker::Conservative => proposal.index(proposal.safest.as_ref()?),
        TieBreaker::StatusQuo => proposal.index(proposal.status_quo.as_ref()?),
        TieBreaker::HighestConfidence => surest(judged, candidates),
        TieBreaker::Chair(chair) => {
            let mut ballots = judged.counted.iter();
            let own = ballots.find(|counted| counted.received.ballot.voter == *chair)?;
            only(&own.stance.preferred(candidates))
        }
        TieBreaker::Random => {
            let dice = SeededRandom::new(judged.opening.seed ^ u64::from(round)).next_u64();
            let at = (u128::from(dice) * candidates.len() as u128) >> 64;
            candidates.get(usize::try_from(at).ok()?).copied()
        }
    }
}

/// The candidate of the surest ballot, if there is one.
fn surest(judged: &Judged<'_>, candidates: &[usize]) -> Option<usize> {
    let mut best: (Option<&Exact>, Vec<usize>) = (None, Vec::new());
    for counted in &judged.counted {
        let (sure, mut own) =
            (&counted.received.ballot.confidence, counted.stance.preferred(candidates));
        if own.is_empty() || best.0.is_some_and(|most| sure < most) {
            continue;
        }
        if best.0 == Some(sure) {
            best.1.append(&mut own);
        } else {
            best = (Some(sure), own);
        }
    }
    best.1.sort_unstable();
    best.1.dedup();
    only(&best.1)
}

fn only(choices: &[usize]) -> Option<usize> {
    if let [choice] = choices { Some(*choice) } else { None }
}
