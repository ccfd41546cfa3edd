//! Counting: weights of stances into scores and leaders, for each method. Pure functions of numbers.

use super::{Exact, Method, Stance};

/// A stance and how much it counts.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// What a ballot is for.
    pub stance: Stance,
    /// Its weight.
    pub weight: Exact,
}

/// What ballots come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The score of each choice: weight, points, or with Schulze the number of choices that it beats or equals.
    pub scores: Vec<Exact>,
    /// The weight of all ballots that are for something.
    pub cast: Exact,
    /// The choices that lead: one, several with the same score, or none where nothing was cast.
    pub leaders: Vec<usize>,
    /// For rankings, by how much weight the first choice is before the second in more ballots than behind: `margins[first][second]`.
    pub margins: Vec<Vec<Exact>>,
}

/// Counts ballots on `choices` choices, before any quorum and any tie-breaker.
///
/// ```
/// use synod_actors::pattern::consensus::{Exact, Method, Stance, Weighed, count};
///
/// let ballot = |ranking: &[usize], weight: u32| Weighed {
///     stance: Stance::Ranking(ranking.to_vec()),
///     weight: Exact::from(weight),
/// };
/// // 45 voters rank five choices; the last one wins.
/// let ballots = [
///     ballot(&[0, 2, 1, 4, 3], 5), ballot(&[0, 3, 4, 2, 1], 5), ballot(&[1, 4, 3, 0, 2], 8), ballot(&[2, 0, 1, 4, 3], 3),
///     ballot(&[2, 0, 4, 1, 3], 7), ballot(&[2, 1, 0, 3, 4], 2), ballot(&[3, 2, 4, 1, 0], 7), ballot(&[4, 1, 0, 3, 2], 8),
/// ];
/// assert_eq!(count(Method::Schulze, 5, &ballots).leaders, [4]);
/// ```
pub fn count(method: Method, choices: usize, ballots: &[Weighed]) -> Count {
    let voted = ballots.iter().filter(|ballot| ballot.stance != Stance::Abstain);
    let cast = voted.map(|ballot| &ballot.weight).sum();
    let mut margins = Vec::new();
    let scores = match method {
        Method::Borda | Method::Schulze => {
            margins = pairwise(choices, ballots);
            if method == Method::Borda { borda(choices, ballots) } else { schulze(&margins) }
        }
        Method::Plurality
        | Method::Majority
        | Method::Supermajority
        | Method::Unanimity
        | Method::Approval => supports(choices, ballots),
    };
    let leaders = leaders(method, &scores, &cast);
    Count { scores, cast, leaders, margins }
}

/// The choices with the highest score, if any ballot counts for something; with Schulze, those that beat or equal all others.
fn leaders(method: Method, scores: &[Exact], cast: &Exact) -> Vec<usize> {
    let all = u32::try_from(scores.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let best = match method {
        Method::Schulze => Some(Exact::from(all)),
        Method::Plurality
        | Method::Majority
        | Method::Supermajority
        | Method::Unanimity
        | Method::Approval
        | Method::Borda => scores.iter().max().cloned(),
    };
    let leads = |score: &Exact| Some(score) == best.as_ref() && !cast.is_zero();
    let numbered = scores.iter().enumerate();
    numbered.filter(|(_, score)| leads(score)).map(|(choice, _)| choice).collect()
}

/// The weight of the ballots that support each choice.
pub(super) fn supports(choices: usize, ballots: &[Weighed]) -> Vec<Exact> {
    let mut scores = vec![Exact::ZERO; choices];
    for Weighed { stance, weight } in ballots {
        let mut add = |choice: usize| {
            if let Some(score) = scores.get_mut(choice) {
                *score = &*score + weight;
            }
        };
        match stance {
            Stance::Abstain => {}
            Stance::One(choice) => add(*choice),
            Stance::Set(set) => set.iter().for_each(|choice| add(*choice)),
            Stance::Ranking(ranking) => ranking.first().into_iter().for_each(|choice| add(*choice)),
        }
    }
    scores
}

/// The place of each choice in a ranking, from 0; those left out have none.
fn places(choices: usize, ranking: &[usize]) -> Vec<Option<usize>> {
    let mut places = vec![None; choices];
    for (place, choice) in ranking.iter().enumerate() {
        if let Some(own) = places.get_mut(*choice) {
            *own = Some(place);
        }
    }
    places
}

fn borda(choices: usize, ballots: &[Weighed]) -> Vec<Exact> {
    let mut scores = vec![Exact::ZERO; choices];
    for Weighed { stance, weight } in ballots {
        let Stance::Ranking(ranking) = stance else { continue };
        // Those left out share the places behind: their points are 0 to `left - 1`, half of `left - 1` on average.
        let left = choices.saturating_sub(ranking.len());
        let halves = |points: usize| {
            let halves = i64::try_from(points).unwrap_or(i64::MAX);
            Exact::ratio(halves, 2).unwrap_or_default()
        };
        let shared = halves(left.saturating_sub(1));
        for (score, place) in scores.iter_mut().zip(places(choices, ranking)) {
            let points = place.map_or_else(
                || shared.clone(),
                |place| halves(2 * choices.saturating_sub(1 + place)),
            );
            *score = &*score + &(&points * weight);
        }
    }
    scores
}

/// The margin of each choice over each other.
fn pairwise(choices: usize, ballots: &[Weighed]) -> Vec<Vec<Exact>> {
    let mut margins = vec![vec![Exact::ZERO; choices]; choices];
    for Weighed { stance, weight } in ballots {
        let Stance::Ranking(ranking) = stance else { continue };
        let places = places(choices, ranking);
        for (row, own) in margins.iter_mut().zip(&places) {
            for (margin, other) in row.iter_mut().zip(&places) {
                let place = |at: &Option<usize>| at.unwrap_or(usize::MAX);
                match place(own).cmp(&place(other)) {
                    std::cmp::Ordering::Less => *margin = &*margin + weight,
                    std::cmp::Ordering::Greater => *margin = &*margin - weight,
                    std::cmp::Ordering::Equal => {}
                }
            }
        }
    }
    margins
}

/// How many others each choice beats or equals by the strongest paths: Schulze 2011, strength by margins, paths along won
/// pairs only, found as widest paths in the manner of Floyd and Warshall.
fn schulze(margins: &[Vec<Exact>]) -> Vec<Exact> {
    let won = |margin: &Exact| if margin.is_negative() { Exact::ZERO } else { margin.clone() };
    let mut paths: Vec<Vec<Exact>> =
        margins.iter().map(|row| row.iter().map(won).collect()).collect();
    for via in 0..paths.len() {
        let Some(onward) = paths.get(via).cloned() else { continue };
        for row in &mut paths {
            let Some(first) = row.get(via).cloned() else { continue };
            for (strength, second) in row.iter_mut().zip(&onward) {
                let through = (&first).min(second);
                if *through > *strength {
                    *strength = through.clone();
                }
            }
        }
    }
    let beats = |own: usize, other: usize| {
        let path = |from: usize, to: usize| paths.get(from).and_then(|row| row.get(to));
        own != other && path(own, other) >= path(other, own)
    };
    let score = |own| (0..paths.len()).filter(|other| beats(own, *other)).count();
    (0..paths.len()).map(|own| Exact::from(u32::try_from(score(own)).unwrap_or(u32::MAX))).collect()
}
