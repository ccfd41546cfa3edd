//! What a round comes to, and what a ballot weighs: the two judgements of a vote.

use super::{
    Ballot, BallotError, Exact, Opening, Outcome, Weigh, Weighting,
    judge::{Finding, Judged},
    tie::{Broken, break_tie},
};
use crate::guard::guarded;

/// How a round ends, and the choice that is made; none if another follows.
pub(super) fn outcome(
    judged: &Judged<'_>,
    round: u32,
    changed: Option<&Exact>,
) -> Option<(Outcome, Option<usize>)> {
    let rules = &judged.opening.rules;
    if !judged.is_enough(0) {
        let participation = judged.participation();
        let outcome = Outcome::InsufficientParticipation {
            counted: participation.counted,
            electorate: participation.electorate,
            needed: rules.min_participation.clone(),
        };
        return Some((outcome, None));
    }
    let made = match judged.finding() {
        Finding::Reached(choice) => Some((choice, None)),
        Finding::Below | Finding::Tied | Finding::Nothing => {
            let moves = rules.change_threshold.as_ref().is_some_and(|threshold| {
                round < rules.rounds && changed.is_none_or(|changed| changed > threshold)
            });
            if moves {
                return None;
            }
            match break_tie(judged, round) {
                Broken::AnotherRound => return None,
                Broken::For(choice, by) => Some((choice, Some(by))),
                Broken::Declined => None,
            }
        }
    };
    let Some((at, by)) = made else { return Some((Outcome::NoDecision, None)) };
    let choice = judged.opening.proposal.choices.get(at).cloned().unwrap_or_default();
    let blocked = judged.blocked_by(at);
    Some(match by {
        _ if !blocked.is_empty() => (Outcome::Vetoed { choice, by: blocked }, None),
        None => (Outcome::Consensus { choice }, Some(at)),
        Some(by) => (Outcome::TieBroken { choice, by }, Some(at)),
    })
}

/// How much a valid ballot weighs.
pub(super) fn weight(
    opening: &Opening,
    weigh: Option<&Weigh>,
    ballot: &Ballot,
    voter: usize,
) -> Result<Exact, BallotError> {
    let refused = |reason: String| BallotError::Weight { reason };
    let (proposal, voters) = (&opening.proposal, opening.electorate.voters());
    let voter =
        voters.get(voter).ok_or_else(|| BallotError::Foreign { voter: ballot.voter.clone() })?;
    let expertise = voter.expertise_on(&proposal.topic);
    match (opening.rules.weighting, weigh) {
        (Weighting::Expertise, _) => Ok(expertise.clone()),
        (Weighting::Confident, _) => Ok(expertise * &ballot.confidence),
        (Weighting::Custom, None) => Err(refused("no function was given to weigh it".to_owned())),
        (Weighting::Custom, Some(weigh)) => {
            let weight = guarded("the weight function", || weigh(ballot, proposal, voter));
            not_negative(ballot, weight.flatten().map_err(refused)?)
        }
    }
}

pub(super) fn not_negative(ballot: &Ballot, weight: Exact) -> Result<Exact, BallotError> {
    if weight.is_negative() {
        let reason = format!("the weight of `{}` is {weight}, below zero", ballot.voter);
        return Err(BallotError::Weight { reason });
    }
    Ok(weight)
}
