//! What cannot be voted on, and by whom, is refused with words that say what to do.

use std::{sync::Arc, time::Duration};

use super::{
    super::*,
    scenario::{exact, opening},
};

fn refused(rules: &str, voters: &str) -> String {
    opening(rules, voters).unwrap_err().to_string()
}

#[test]
fn an_opening_that_contradicts_itself_is_refused() {
    let cases = [
        (refused("plurality", ""), "the electorate is empty: a vote needs at least one voter"),
        (refused("plurality", "a a"), "`a` is in the electorate twice"),
        (refused("plurality", "a=-1"), "the expertise of `a` is -1; it must be 0 or more"),
        (
            refused("plurality", "a=0 b=0"),
            "no voter has any expertise in `release`: nothing could be decided",
        ),
        (refused("plurality quorum=1.01", "a"), "quorum is 101/100; it must be from 0 to 1"),
        (refused("plurality quorum=-1/3", "a"), "quorum is -1/3; it must be from 0 to 1"),
        (refused("plurality part=2", "a"), "min_participation is 2; it must be from 0 to 1"),
        (
            refused("plurality change=1.5 rounds=2", "a"),
            "change_threshold is 3/2; it must be from 0 to 1",
        ),
        (refused("plurality rounds=0", "a"), "a vote of 0 rounds is not possible; 1 to 64 are"),
        (
            refused("plurality tie=another_round", "a"),
            "a change threshold or the tie-breaker another_round needs `rounds` of at least 2",
        ),
        (
            refused("plurality change=0", "a"),
            "a change threshold or the tie-breaker another_round needs `rounds` of at least 2",
        ),
        (
            refused("plurality rounds=2", "a"),
            "nothing asks for the 2 rounds: set change_threshold, or the tie-breaker another_round",
        ),
        (refused("plurality tie=chair:z", "a"), "the chair `z` is not in the electorate"),
        (
            refused("borda quorum=1/2", "a"),
            "a quorum applies to methods of one choice only; use min_participation, or another method",
        ),
        (
            refused("supermajority quorum=1/2", "a"),
            "a supermajority of 1/2 is none: its quorum must be above 1/2",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text, expected);
    }
}

#[test]
fn a_proposal_without_a_question_to_decide_is_refused() {
    let refused = |proposal: Proposal, rules: Rules| {
        let electorate = Electorate::new([Voter::new("a")]).unwrap();
        Opening::new(proposal, electorate, rules, 0).unwrap_err().to_string()
    };
    let conservative = Rules { tie_breakers: vec![TieBreaker::Conservative], ..Rules::default() };
    let cases = [
        (refused(Proposal::new("?", ["a"]), Rules::default()), "1 choices; 2 to 64"),
        (refused(Proposal::new("?", vec!["a"; 99]), Rules::default()), "65 choices"),
        (refused(Proposal::new("?", ["a", "a"]), Rules::default()), "all different"),
        (refused(Proposal::new("?", ["a", ""]), Rules::default()), "need names"),
        (refused(Proposal::new("?", ["a", "b"]).safest("c"), Rules::default()), "`c` is declared"),
        (refused(Proposal::new("?", ["a", "b"]), conservative), "declares as `safest`"),
    ];
    for (text, expected) in cases {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_is_no_number_is_no_weight() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let text = Exact::try_from(value).unwrap_err().to_string();
        assert!(text.contains("it is not finite"), "{text}");
    }
    let long = "1".repeat(65);
    for text in ["", "x", "1/0", "1/", "0.5/2", "1e999", "1e-999", "--1", "1.-5", ".", "NaN", &long]
    {
        let error = text.parse::<Exact>().unwrap_err().to_string();
        assert!(error.contains("write it as 2/3, 0.75 or 3"), "{error}");
    }
    let read = serde_json::from_str::<Voter>(r#"{"id": "a", "expertise": "much"}"#);
    assert!(read.unwrap_err().to_string().contains("`much` is not a number"));
}

/// A vote by a function that weighs every ballot so.
fn weighed(weight: &'static str) -> Vote {
    let weigh: Weigh = Arc::new(move |ballot, _, voter| match weight {
        "panic" => panic!("no scales"),
        "nan" => Exact::try_from(f64::NAN).map_err(|error| error.to_string()),
        _ => Ok(&exact(weight) * &(&ballot.confidence + &voter.expertise)),
    });
    Vote::new(opening("plurality weigh=custom", "a b").unwrap(), Duration::MAX).weigh(weigh)
}

#[test]
fn a_ballot_that_cannot_be_weighed_is_refused_with_the_reason_and_stays_so_in_the_records() {
    let cases = [
        ("-1", "the weight of `a` is -2, below zero"),
        ("nan", "it is not finite"),
        ("panic", "the weight function panicked: no scales"),
    ];
    for (weight, why) in cases {
        let mut vote = weighed(weight);
        let received = vote.cast(Ballot::new("a", Choice::one("ship")), Duration::ZERO);
        let record = VoteRecord::cast(received);
        let Fate::Refused(error) = &received.unwrap().fate else { panic!("{weight} counts") };
        assert!(error.to_string().contains(why), "{error}");
        let mut again = weighed("1");
        assert_eq!(again.redo(record), Ok(None));
        assert!(!again.has_counted("a"));
    }
    let mut vote = weighed("1/2");
    let received = vote.cast(Ballot::new("a", Choice::one("ship")), Duration::ZERO);
    assert_eq!(received.map(|own| &own.weight), Some(&Exact::ONE));
    let mut vote = Vote::new(opening("plurality weigh=custom", "a b").unwrap(), Duration::MAX);
    vote.cast(Ballot::new("a", Choice::one("ship")), Duration::ZERO);
    assert!(!vote.has_counted("a"));
}

#[test]
fn too_many_ballots_are_bounded() {
    let rules = "plurality revisable";
    let mut vote = Vote::new(opening(rules, "a b").unwrap(), Duration::from_secs(1));
    let mut records = vec![VoteRecord::Opened {
        opening: Box::new(vote.opening().clone()),
        within: Duration::from_secs(1),
    }];
    for sequence in 0..2_000 {
        let late = Duration::from_secs(u64::from(sequence % 2 == 1) * 9);
        let ballot = Ballot { sequence, ..Ballot::new("a", Choice::one("ship")) };
        records.push(VoteRecord::cast(vote.cast(ballot, late)));
    }
    records.push(VoteRecord::Closed { by: ClosedBy::Deadline, at: Duration::from_secs(1) });
    let Closed::Decided(decision) = vote.close(ClosedBy::Deadline, Duration::from_secs(1)) else {
        panic!("another round")
    };
    assert!(decision.ballots.len() < 1_300, "{}", decision.ballots.len());
    assert_eq!(decision.ballots.len() as u64 + decision.refused_more, 2_000);
    assert_eq!(Vote::replay(records).unwrap().1, Some(decision));
}

#[test]
fn a_ballot_that_says_too_much_is_refused_and_not_kept() {
    let long = || "x".repeat(65 << 10);
    let shown = |bytes: usize| Evidence {
        claim: "it is slow".to_owned(),
        source: "benches".to_owned(),
        data: serde_json::json!("x".repeat(bytes)),
    };
    let plain = || Ballot::new("a", Choice::one("ship"));
    let cases = [
        Ballot { reasoning: long(), ..plain() },
        Ballot { evidence: vec![shown(0); 257], ..plain() },
        Ballot { evidence: vec![shown(64 << 10); 5], ..plain() },
        Ballot { veto: [long()].into(), ..plain() },
        Ballot::new("a", Choice::ranking([long()])),
        Ballot::new(long(), Choice::Abstain),
    ];
    for ballot in cases {
        let mut vote = Vote::new(opening("plurality", "a b").unwrap(), Duration::MAX);
        let record = VoteRecord::cast(vote.cast(ballot, Duration::ZERO));
        assert!(runtime::record::size(&record).unwrap() < 1_000);
        let VoteRecord::Cast { refused, .. } = &record else { panic!("{record:?}") };
        assert_eq!(*refused, Some(BallotError::TooLarge));
        let mut again = Vote::new(opening("plurality", "a b").unwrap(), Duration::MAX);
        assert_eq!(again.redo(record), Ok(None));
        let decided = |mut vote: Vote| vote.close(ClosedBy::Deadline, Duration::ZERO);
        assert_eq!(decided(again), decided(vote));
    }
    let mut vote = Vote::new(opening("plurality", "a b").unwrap(), Duration::MAX);
    let full =
        Ballot { reasoning: "x".repeat(60_000), evidence: vec![shown(60 << 10); 4], ..plain() };
    vote.cast(full, Duration::ZERO);
    assert!(vote.has_counted("a"));
}

#[test]
fn records_that_tell_no_vote_are_refused() {
    assert!(Vote::replay([]).unwrap_err().contains("begin with its opening"));
    let mut opened = opening("plurality", "a").unwrap();
    opened.rules.rounds = 0;
    let opened = VoteRecord::Opened { opening: Box::new(opened), within: Duration::MAX };
    assert!(Vote::replay([opened.clone()]).unwrap_err().contains("0 rounds"));
    let mut vote = Vote::new(opening("plurality", "a").unwrap(), Duration::MAX);
    assert!(vote.redo(opened).is_err());
}
