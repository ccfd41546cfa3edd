//! Laws: what must not change an outcome does not, and an early close never differs from the full count.

use std::{sync::Arc, time::Duration};

use proptest::{prelude::*, sample::Index};

use super::super::*;

const CHOICES: [&str; 3] = ["ship", "hold", "wait"];
const CLOSE: Duration = Duration::from_secs(60);

/// A vote of random voters with one ballot each, as far as they vote.
#[derive(Clone, Debug)]
struct Case {
    rules: Rules,
    voters: Vec<Voter>,
    /// By voter; `None` is absent.
    ballots: Vec<Option<Ballot>>,
}

impl Case {
    fn opening(&self) -> Option<Opening> {
        let proposal = Proposal::new("?", CHOICES).safest("hold").status_quo("wait");
        let electorate = Electorate::new(self.voters.clone()).unwrap();
        Opening::new(proposal, electorate, self.rules.clone(), 7).ok()
    }

    fn vote(&self) -> Option<Vote> {
        Some(Vote::new(self.opening()?, CLOSE))
    }

    fn decide(&self) -> Option<Decision> {
        let mut vote = self.vote()?;
        for ballot in self.ballots.iter().flatten() {
            vote.cast(ballot.clone(), Duration::ZERO);
        }
        Some(decided(vote.close(ClosedBy::Deadline, CLOSE)))
    }
}

fn decided(closed: Closed) -> Decision {
    match closed {
        Closed::Decided(decision) => *decision,
        Closed::Next(round) => panic!("another round after {round:?}"),
    }
}

fn number() -> impl Strategy<Value = Exact> {
    let texts = ["0", "1", "1", "2", "3", "1/3", "2/3", "0.1", "0.3", "0.7"];
    prop::sample::select(texts.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn share() -> impl Strategy<Value = Exact> {
    let texts = ["0", "1/10", "1/3", "1/2", "2/3", "0.75", "0.9", "1", "1"];
    prop::sample::select(texts.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn method() -> impl Strategy<Value = Method> {
    use Method::*;
    prop::sample::select(vec![
        Plurality,
        Majority,
        Supermajority,
        Unanimity,
        Approval,
        Borda,
        Schulze,
    ])
}

prop_compose! {
    fn rules()(
        method in method(),
        quorum in prop::option::of((share(), any::<bool>(), any::<bool>())),
        min_participation in share(),
        weighting in prop::sample::select(vec![Weighting::Confident, Weighting::Expertise]),
        tie_breakers in prop::collection::vec(prop::sample::select(vec![
            TieBreaker::Conservative, TieBreaker::StatusQuo, TieBreaker::HighestConfidence,
            TieBreaker::Chair("v0".to_owned()), TieBreaker::Random,
        ]), 0..3),
        tie_breaker_on in prop::sample::select(vec![TieBreakerOn::NoConsensus, TieBreakerOn::Tie]),
    ) -> Rules {
        let quorum = quorum.filter(|_| method.is_single()).map(|(share, all, strict)| {
            let of = if all { QuorumOf::Electorate } else { QuorumOf::Cast };
            let half = Exact::ratio(1, 2).unwrap();
            let high = method != Method::Supermajority || share > half;
            Quorum { share: if high { share } else { Exact::ONE }, of, strict }
        });
        Rules { method, quorum, min_participation, weighting, tie_breakers, tie_breaker_on, ..Rules::default() }
    }
}

/// A valid ballot of voter `at`.
fn ballot(method: Method, at: usize, may_block: bool) -> impl Strategy<Value = Ballot> {
    let order = Just(CHOICES.to_vec()).prop_shuffle();
    (order, 1..=3_usize, 0..10_u8, share(), prop::option::of(Just(()))).prop_map(
        move |(order, length, abstains, confidence, blocks)| {
            let named = order[..length].iter().copied();
            let choice = match method {
                _ if abstains == 0 => Choice::Abstain,
                Method::Approval => Choice::set(named),
                Method::Borda | Method::Schulze => Choice::ranking(named),
                Method::Plurality
                | Method::Majority
                | Method::Supermajority
                | Method::Unanimity => Choice::one(order[0]),
            };
            let mut ballot = Ballot::new(format!("v{at}"), choice);
            ballot.confidence = confidence;
            // The last in order is never one that the ballot is for, unless it is a full set.
            if may_block && blocks.is_some() && !(length == 3 && method == Method::Approval) {
                ballot.veto.insert(order[2].to_owned());
            }
            ballot
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let voter = (number(), 0..6_u8);
    (rules(), prop::collection::vec(voter, 1..7)).prop_flat_map(|(rules, voters)| {
        let voters: Vec<Voter> = (0..)
            .zip(voters)
            .map(|(at, (expertise, veto))| {
                let voter = Voter::new(format!("v{at}")).expertise(expertise);
                if veto == 0 { voter.with_veto() } else { voter }
            })
            .collect();
        let ballots: Vec<_> = voters
            .iter()
            .enumerate()
            .map(|(at, voter)| prop::option::weighted(0.85, ballot(rules.method, at, voter.veto)))
            .collect();
        (Just(rules), Just(voters), ballots).prop_map(|(rules, voters, ballots)| Case {
            rules,
            voters,
            ballots,
        })
    })
}

/// A decision without the order in which its ballots came in.
fn unordered(mut decision: Decision) -> Decision {
    let key = |own: &Received| (own.ballot.voter.clone(), own.ballot.sequence, format!("{own:?}"));
    decision.ballots.sort_by_key(key);
    decision
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_order_of_ballots_makes_no_difference(case in case(), seed in any::<u64>()) {
        let Some(decision) = case.decide() else { return Ok(()) };
        let mut shuffled = case;
        let mut dice = seed;
        shuffled.ballots.sort_by_key(|_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            dice >> 33
        });
        prop_assert_eq!(unordered(shuffled.decide().unwrap()), unordered(decision));
    }

    #[test]
    fn the_order_of_revisions_and_contradictions_makes_no_difference(
        ballots in prop::collection::vec((0..3_usize, 0..3_u64, 0..3_usize, 50..70_u64), 0..16),
        order in prop::collection::vec(any::<Index>(), 16),
    ) {
        let run = |ballots: &[(usize, u64, usize, u64)]| {
            let rules = Rules { revisable: true, ..Rules::default() };
            let voters = (0..3).map(|at| Voter::new(format!("v{at}"))).collect();
            let mut vote = Case { rules, voters, ballots: Vec::new() }.vote().unwrap();
            for (voter, sequence, choice, second) in ballots {
                let choice = Choice::one(CHOICES[*choice]);
                let ballot = Ballot { sequence: *sequence, ..Ballot::new(format!("v{voter}"), choice) };
                vote.cast(ballot, Duration::from_secs(*second));
            }
            let decision = decided(vote.close(ClosedBy::Deadline, CLOSE));
            (decision.outcome, decision.tally, decision.participation)
        };
        let mut mixed = ballots.clone();
        for (at, index) in order.iter().enumerate().take(ballots.len()) {
            mixed.swap(at, index.index(ballots.len()));
        }
        prop_assert_eq!(run(&mixed), run(&ballots));
    }

    #[test]
    fn a_voter_split_in_two_of_half_the_weight_changes_nothing(case in case(), which in any::<Index>()) {
        // By head a split voter takes part twice; the chair is one voter.
        let mut case = case;
        case.rules.min_participation = Exact::ZERO;
        case.rules.tie_breakers.retain(|own| !matches!(own, TieBreaker::Chair(_)));
        let Some(whole) = case.decide() else { return Ok(()) };
        let at = which.index(case.voters.len());
        let mut twin = case.voters[at].clone();
        twin.expertise = twin.expertise.over(&Exact::from(2_u32)).unwrap();
        case.voters[at] = twin.clone();
        twin.id.push_str("-twin");
        case.voters.push(twin.clone());
        let ballot = case.ballots[at].clone().map(|own| Ballot { voter: twin.id, ..own });
        case.ballots.push(ballot);
        let split = case.decide().unwrap();
        prop_assert_eq!(&split.tally, &whole.tally);
        prop_assert_eq!(&split.confidence, &whole.confidence);
        prop_assert_eq!(split.outcome.choice(), whole.outcome.choice());
        prop_assert_eq!(split.outcome.name(), whole.outcome.name());
    }

    #[test]
    fn the_scale_of_weights_makes_no_difference(case in case(), parts in 1..1_000_i64, whole in 1..1_000_i64) {
        let Some(decision) = case.decide() else { return Ok(()) };
        let mut scaled = case;
        let factor = Exact::ratio(parts, whole).unwrap();
        for voter in &mut scaled.voters {
            voter.expertise = &voter.expertise * &factor;
        }
        let other = scaled.decide().unwrap();
        prop_assert_eq!(other.outcome, decision.outcome);
        prop_assert_eq!(other.confidence, decision.confidence);
        prop_assert_eq!(other.tally.leaders, decision.tally.leaders);
    }

    #[test]
    fn an_early_close_never_differs_from_the_full_count(case in case(), dead in any::<u8>()) {
        let Some(mut vote) = case.vote() else { return Ok(()) };
        // The absent may be known to be dead, so that a vote is complete without them.
        for (at, ballot) in case.ballots.iter().enumerate() {
            if ballot.is_none() && dead & (1 << at) != 0 {
                vote.voter_ended(&format!("v{at}"));
            }
        }
        let full = case.decide().unwrap();
        let same = |early: &Outcome| match (early, &full.outcome) {
            // Who blocks, and how many took part, may be known only in part; that they do, or were too few, is not.
            (Outcome::Vetoed { choice, .. }, Outcome::Vetoed { choice: other, .. }) => choice == other,
            (Outcome::InsufficientParticipation { .. }, other) => other.name() == early.name(),
            (early, other) => early == other,
        };
        let mut rest = case.ballots.iter().flatten();
        loop {
            if vote.may_close().is_some() {
                let early = decided(vote.close(ClosedBy::Settled, Duration::ZERO));
                prop_assert!(same(&early.outcome), "{:?} early, {:?} in full", early.outcome, full.outcome);
                break;
            }
            let Some(ballot) = rest.next() else { break };
            vote.cast(ballot.clone(), Duration::ZERO);
        }
    }
}

/// How often random votes close before all ballots are in: a rule that never does would pass every test above.
#[test]
fn votes_do_close_early() {
    let early = |method, ballots: &[&str]| {
        let voters = (0..5).map(|at| Voter::new(format!("v{at}"))).collect();
        let rules =
            Rules { method, tie_breakers: vec![TieBreaker::Conservative], ..Rules::default() };
        let mut vote = Case { rules, voters, ballots: Vec::new() }.vote().unwrap();
        for (at, word) in ballots.iter().enumerate() {
            assert_eq!(vote.may_close(), None, "{method:?} after {at}");
            let (ballot, _) = super::scenario::ballot(&format!("v{at}:{word}"), 1);
            vote.cast(ballot, Duration::ZERO);
        }
        assert_eq!(vote.may_close(), Some(ClosedBy::Settled), "{method:?}");
        decided(vote.close(ClosedBy::Settled, Duration::ZERO)).outcome.name()
    };
    assert_eq!(early(Method::Plurality, &["ship", "ship", "ship"]), "consensus");
    assert_eq!(early(Method::Majority, &["ship", "hold", "ship", "ship"]), "consensus");
    assert_eq!(early(Method::Supermajority, &["ship", "ship", "ship", "ship"]), "consensus");
    assert_eq!(early(Method::Supermajority, &["ship", "hold", "ship", "hold"]), "tie_broken");
    assert_eq!(early(Method::Unanimity, &["ship", "hold"]), "tie_broken");
    assert_eq!(early(Method::Approval, &["ship+hold", "ship+", "ship+", "ship+"]), "consensus");
    assert_eq!(early(Method::Borda, &["ship>hold>wait"; 4]), "consensus");
    assert_eq!(early(Method::Schulze, &["ship>hold>wait"; 3]), "consensus");
}

#[test]
fn votes_stay_open_for_what_cannot_be_known() {
    let open = |rules: &str, ballots: &[&str]| {
        let opening = super::scenario::opening(rules, "a b c").unwrap();
        let mut vote = Vote::new(opening, CLOSE).weigh(Arc::new(|_, _, _| Ok(Exact::ONE)));
        for word in ballots {
            vote.cast(super::scenario::ballot(word, 1).0, Duration::ZERO);
        }
        vote
    };
    let two = ["a:ship", "b:ship"];
    assert_eq!(open("plurality", &two).may_close(), Some(ClosedBy::Settled));
    assert_eq!(open("plurality weigh=custom", &two).may_close(), None, "c may weigh anything");
    assert_eq!(open("plurality revisable", &two).may_close(), None, "a and b may think again");
    assert_eq!(open("plurality part=1", &two).may_close(), None, "c may stay away");
    // Nobody can win any more, but whether there is another round is up to c.
    let mut vote = open("unanimity tie=another_round rounds=2", &["a:ship", "b:hold"]);
    assert_eq!(vote.may_close(), None);
    assert!(matches!(vote.close(ClosedBy::Deadline, CLOSE), Closed::Next(_)));
    for word in ["a:ship", "b:hold"] {
        vote.cast(super::scenario::ballot(word, 2).0, CLOSE);
    }
    assert_eq!(vote.may_close(), Some(ClosedBy::Settled), "the last round has no other");
}
