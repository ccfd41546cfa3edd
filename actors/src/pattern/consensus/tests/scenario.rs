//! Votes written as one line of text each, for tables: see [`run`].

use std::time::Duration;

use super::super::*;

/// What a vote came to, in short, and the records it was made of.
pub(super) struct Ran {
    pub(super) outcome: String,
    pub(super) fates: String,
    pub(super) decision: Decision,
    pub(super) records: Vec<VoteRecord>,
}

/// The time that a round of these votes has, in seconds.
pub(super) const ROUND: u64 = 60;

/// Runs a vote on `ship`, `hold` (the safest) and `wait` (the status quo), each round to its very close.
///
/// - `rules`: a method, then `quorum=2/3 of=electorate strict part=3/4 tie=chair:a,random on=tie revisable weigh=expertise rounds=3
///   change=1/4 seed=7`
/// - `voters`: `a b=1/3 c!`: names, their expertise, and `!` for the right to block
/// - `ballots`: `a:ship`, ranking `a:ship>hold`, set `a:ship+hold`, abstention `a:-`; after it `*0.5` the confidence and `^hold` a veto;
///   before the colon `#2` the sequence, `@61` the second, `~2` the epoch. `x:a` says that a has ended, `|` closes a round.
pub(super) fn run(rules: &str, voters: &str, ballots: &str) -> Ran {
    let opening = opening(rules, voters).unwrap();
    let within = Duration::from_secs(ROUND);
    let mut records = vec![VoteRecord::Opened { opening: Box::new(opening.clone()), within }];
    let mut vote = Vote::new(opening, within);
    let mut started = Duration::ZERO;
    let mut decision = None;
    for round in ballots.split('|') {
        assert_eq!(decision, None, "a round after the decision: {round}");
        for word in round.split_whitespace() {
            if let Some(voter) = word.strip_prefix("x:") {
                vote.voter_ended(voter);
                records.push(VoteRecord::VoterEnded { voter: voter.to_owned() });
                continue;
            }
            let (ballot, second) = ballot(word, vote.round());
            records.push(VoteRecord::cast(vote.cast(ballot, started + second)));
        }
        let (by, at) = (ClosedBy::Deadline, vote.closes());
        records.push(VoteRecord::Closed { by, at });
        started = at;
        if let Closed::Decided(decided) = vote.close(by, at) {
            decision = Some(*decided);
        }
    }
    let decision = decision.unwrap_or_else(|| panic!("no decision after {} rounds", vote.round()));
    Ran { outcome: in_short(&decision), fates: fates(&decision), decision, records }
}

/// The opening of a vote; see [`run`].
pub(super) fn opening(rules: &str, voters: &str) -> Result<Opening, OpeningError> {
    let proposal = Proposal::new("Does it go out?", ["ship", "hold", "wait"])
        .topic("release")
        .safest("hold")
        .status_quo("wait");
    let voters = voters.split_whitespace().map(|word| {
        let (name, expertise) = word.trim_end_matches('!').split_once('=').unwrap_or((word, "1"));
        let voter = Voter::new(name.trim_end_matches('!')).expertise(exact(expertise));
        if word.ends_with('!') { voter.with_veto() } else { voter }
    });
    let seed = rules.split_whitespace().find_map(|word| word.strip_prefix("seed="));
    let seed = seed.map_or(0, |seed| seed.parse().unwrap());
    Opening::new(proposal, Electorate::new(voters)?, self::rules(rules), seed)
}

pub(super) fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

/// A value by its name in records.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(serde_json::json!(name)).unwrap()
}

fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    let mut quorum = None::<Quorum>;
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "quorum" => quorum = Some(Quorum::of_cast(exact(value))),
            "of" => quorum.as_mut().unwrap().of = named(value),
            "strict" => quorum.as_mut().unwrap().strict = true,
            "part" => rules.min_participation = exact(value),
            "tie" => rules.tie_breakers = value.split(',').map(tie_breaker).collect(),
            "on" => rules.tie_breaker_on = named(value),
            "revisable" => rules.revisable = true,
            "weigh" => rules.weighting = named(value),
            "rounds" => rules.rounds = value.parse().unwrap(),
            "change" => rules.change_threshold = Some(exact(value)),
            "seed" => {}
            method => rules.method = named(method),
        }
    }
    Rules { quorum, ..rules }
}

fn tie_breaker(text: &str) -> TieBreaker {
    match text.split_once(':') {
        Some(("chair", voter)) => TieBreaker::Chair(voter.to_owned()),
        _ => named(text),
    }
}

/// One ballot, and the second at which it comes.
pub(super) fn ballot(word: &str, round: u32) -> (Ballot, Duration) {
    let (who, what) = word.split_once(':').unwrap();
    let part = |text: &str, mark: char| -> Option<String> {
        let (_, rest) = text.split_once(mark)?;
        Some(rest.split(['#', '@', '~', '*', '^']).next().unwrap().to_owned())
    };
    let (voter, choice) =
        (who.split(['#', '@', '~']).next().unwrap(), what.split(['*', '^']).next().unwrap());
    let choice = match choice {
        "-" => Choice::Abstain,
        ranking if ranking.contains('>') => {
            Choice::ranking(ranking.split('>').filter(|own| !own.is_empty()))
        }
        set if set.contains('+') => Choice::set(set.split('+').filter(|own| !own.is_empty())),
        one => Choice::one(one),
    };
    let mut ballot = Ballot::new(voter, choice);
    ballot.epoch = part(who, '~').map_or(round, |epoch| epoch.parse().unwrap());
    ballot.sequence = part(who, '#').map_or(1, |sequence| sequence.parse().unwrap());
    ballot.confidence = part(what, '*').map_or(Exact::ONE, |sure| exact(&sure));
    ballot.veto = part(what, '^').into_iter().collect();
    let second: f64 = part(who, '@').map_or(1.0, |second| second.parse().unwrap());
    (ballot, Duration::from_secs_f64(second))
}

/// An outcome in words: `consensus ship 2/3`, `tie_broken hold 1/2 by conservative`, `vetoed ship by a,b`.
pub(super) fn in_short(decision: &Decision) -> String {
    let name = decision.outcome.name();
    match &decision.outcome {
        Outcome::Consensus { choice } => format!("{name} {choice} {}", decision.confidence),
        Outcome::TieBroken { choice, by } => {
            let by = serde_json::to_value(by).unwrap();
            let by = by.as_str().map_or("chair".to_owned(), str::to_owned);
            format!("{name} {choice} {} by {by}", decision.confidence)
        }
        Outcome::NoDecision => name.to_owned(),
        Outcome::InsufficientParticipation { counted, electorate, needed } => {
            format!("insufficient {counted}/{electorate} of {needed}")
        }
        Outcome::Vetoed { choice, by } => format!("{name} {choice} by {}", by.join(",")),
    }
}

fn fates(decision: &Decision) -> String {
    let letter = |received: &Received| match received.fate {
        Fate::Counted => 'c',
        Fate::Replaced { .. } => 'r',
        Fate::Final => 'f',
        Fate::Duplicate => 'd',
        Fate::Equivocation => 'e',
        Fate::Late => 'l',
        Fate::Refused(_) => 'x',
    };
    decision.ballots.iter().map(letter).collect()
}
