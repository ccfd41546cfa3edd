//! Random elections by rankings with whole weights, and who leads each by every method: one line of JSON an election.
//!
//! `tests/voting_reader.py` counts them once more with another library, in another language. Prints 10,000 elections; the first
//! argument is another number, the second another seed.

use std::io::{self, BufWriter, Write};

use runtime::clock::{Random, SeededRandom};
use serde_json::json;
use synod_actors::pattern::consensus::{Exact, Method, Stance, Weighed, count};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let elections: u64 = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let dice = SeededRandom::new(seed);
    let mut out = BufWriter::new(io::stdout().lock());
    for _ in 0..elections {
        writeln!(out, "{}", election(&dice))?;
    }
    out.flush()?;
    Ok(())
}

/// Two to seven choices, one to nine voters that rank all of them: few enough that ties are common.
fn election(dice: &impl Random) -> serde_json::Value {
    let (choices, voters) = (2 + below(dice, 6), 1 + below(dice, 9));
    let most = if below(dice, 2) == 0 { 3 } else { 30 };
    let ballots: Vec<(Vec<usize>, usize)> =
        (0..voters).map(|_| (ranking(dice, choices), 1 + below(dice, most))).collect();
    let cast = |stance: &dyn Fn(&[usize]) -> Stance| -> Vec<Weighed> {
        let weighed = |(ranking, weight): &(Vec<usize>, usize)| Weighed {
            stance: stance(ranking),
            weight: Exact::from(u32::try_from(*weight).unwrap_or(u32::MAX)),
        };
        ballots.iter().map(weighed).collect()
    };
    let ranked = cast(&|ranking| Stance::Ranking(ranking.to_vec()));
    let first = cast(&|ranking| ranking.first().map_or(Stance::Abstain, |own| Stance::One(*own)));
    let borda = count(Method::Borda, choices, &ranked);
    json!({
        "rankings": ballots.iter().map(|(ranking, _)| ranking).collect::<Vec<_>>(),
        "weights": ballots.iter().map(|(_, weight)| weight).collect::<Vec<_>>(),
        "margins": borda.margins,
        "plurality": count(Method::Plurality, choices, &first).leaders,
        "borda_scores": borda.scores,
        "borda": borda.leaders,
        "schulze": count(Method::Schulze, choices, &ranked).leaders,
    })
}

/// All choices in random order.
fn ranking(dice: &impl Random, choices: usize) -> Vec<usize> {
    let mut ranking: Vec<usize> = (0..choices).collect();
    for at in (1..choices).rev() {
        ranking.swap(at, below(dice, at + 1));
    }
    ranking
}

fn below(dice: &impl Random, end: usize) -> usize {
    usize::try_from(dice.next_u64() % end as u64).unwrap_or_default()
}
