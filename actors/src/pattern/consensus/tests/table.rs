//! The table: each row is one vote with its exact outcome and what became of each of its ballots.

use super::{super::*, scenario::run};

/// What a row is about, rules, voters, ballots, outcome, fates.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // --- quorum, at its very boundary
    ("two of three are two thirds", "plurality quorum=2/3", "a b c", "a:ship b:ship c:hold", "consensus ship 2/3", "ccc"),
    ("two of three are not more than two thirds", "plurality quorum=2/3 strict", "a b c", "a:ship b:ship c:hold", "no_decision", "ccc"),
    ("0.66 is less than two thirds", "plurality quorum=0.66 strict", "a b c", "a:ship b:ship c:hold", "consensus ship 2/3", "ccc"),
    ("0.67 is more than two thirds", "plurality quorum=0.67", "a b c", "a:ship b:ship c:hold", "no_decision", "ccc"),
    ("three thirds are one", "plurality quorum=1 of=electorate", "a=1/3 b=1/3 c=1/3", "a:ship b:ship c:ship", "consensus ship 1", "ccc"),
    ("two weights of 1/3 reach 2/3 of the electorate", "plurality quorum=2/3 of=electorate", "a=1/3 b=1/3 c=1/3", "a:ship b:ship c:-", "consensus ship 2/3", "ccc"),
    ("ten tenths are one", "plurality quorum=1 of=electorate", "a=0.1 b=0.1 c=0.1 d=0.1 e=0.1 f=0.1 g=0.1 h=0.1 i=0.1 j=0.1",
        "a:ship b:ship c:ship d:ship e:ship f:ship g:ship h:ship i:ship j:ship", "consensus ship 1", "cccccccccc"),
    ("0.1 and 0.2 are exactly 0.3", "plurality quorum=1/2 strict", "a=0.1 b=0.2 c=0.3", "a:ship b:ship c:hold", "no_decision", "ccc"),
    ("0.1 and 0.2 tie with 0.3", "plurality tie=conservative on=tie", "a=0.1 b=0.2 c=0.3", "a:ship b:ship c:wait", "tie_broken hold 0 by conservative", "ccc"),
    ("a quorum of zero is reached by any leader", "plurality quorum=0 of=electorate", "a b", "a:ship", "consensus ship 1/2", "c"),
    ("a quorum of one of what is cast takes no dissent", "plurality quorum=1", "a b c", "a:ship b:ship c:-", "consensus ship 1", "ccc"),
    ("absent voters count against an electorate's quorum", "plurality quorum=2/3 of=electorate", "a b c d", "a:ship b:ship", "no_decision", "cc"),
    ("absent voters do not count against a quorum of what is cast", "plurality quorum=2/3", "a b c d", "a:ship b:ship", "consensus ship 1", "cc"),
    ("doubt counts against an electorate's quorum", "plurality quorum=2/3 of=electorate", "a b c", "a:ship*0.9 b:ship c:hold", "no_decision", "ccc"),
    // --- participation
    ("three of four are three quarters", "plurality part=0.75", "a b c d", "a:ship b:ship c:hold", "consensus ship 2/3", "ccc"),
    ("two of four are less than three quarters", "plurality part=0.75", "a b c d", "a:ship b:ship", "insufficient 2/4 of 3/4", "cc"),
    ("who abstains takes part", "plurality part=0.75", "a b c d", "a:ship b:- c:-", "consensus ship 1", "ccc"),
    ("participation is by head, not by weight", "plurality part=1/2", "a=100 b c", "a:ship", "insufficient 1/3 of 1/2", "c"),
    ("a weightless voter takes part", "plurality part=1", "a b=0", "a:ship b:hold", "consensus ship 1", "cc"),
    ("an invalid ballot is no participation", "plurality part=1", "a b", "a:ship b:nothing", "insufficient 1/2 of 1", "cx"),
    ("a foreign ballot is no participation", "plurality part=1", "a b", "a:ship z:ship", "insufficient 1/2 of 1", "cx"),
    ("too few are no matter for a tie-breaker", "plurality part=1 tie=conservative", "a b", "a:ship", "insufficient 1/2 of 1", "c"),
    ("nobody votes and nobody has to", "plurality", "a b", "", "no_decision", ""),
    ("all abstain", "plurality", "a b", "a:- b:-", "no_decision", "cc"),
    ("all abstain and the safe choice is made", "plurality tie=conservative", "a b", "a:- b:-", "tie_broken hold 0 by conservative", "cc"),
    ("all abstain is no tie", "plurality tie=conservative on=tie", "a b", "a:- b:-", "no_decision", "cc"),
    // --- weights
    ("confidence weighs", "plurality", "a b c", "a:ship*0.2 b:ship*0.2 c:hold*0.5", "consensus hold 5/9", "ccc"),
    ("confidence does not weigh where only expertise does", "plurality weigh=expertise", "a b c", "a:ship*0.2 b:ship*0.2 c:hold*0.5", "consensus ship 2/3", "ccc"),
    ("one expert outweighs two", "plurality", "a=5/2 b c", "a:hold b:ship c:ship", "consensus hold 5/9", "ccc"),
    ("without confidence nothing is decided", "plurality", "a b", "a:ship*0 b:ship*0", "no_decision", "cc"),
    ("confidence of 1.5 is refused", "plurality", "a b", "a:ship*1.5 b:hold*0.1", "consensus hold 1", "xc"),
    ("confidence below zero is refused", "plurality", "a b", "a:ship*-0.5 b:hold*0.1", "consensus hold 1", "xc"),
    // --- one voter's several ballots
    ("the first of final ballots stays", "plurality", "a b c", "a#1:ship a#2:hold b:ship c:hold", "consensus ship 2/3", "cfcc"),
    ("the highest sequence of revisable ballots counts", "plurality revisable", "a b c", "a#1:ship a#2:hold b:ship c:hold", "consensus hold 2/3", "rccc"),
    ("it does so when it comes first", "plurality revisable", "a b c", "a#2:hold a#1:ship b:ship c:hold", "consensus hold 2/3", "crcc"),
    ("the same ballot twice is one", "plurality", "a b c", "a:ship a:ship b:ship c:hold", "consensus ship 2/3", "cdcc"),
    ("two ballots of one sequence void each other", "plurality", "a b c", "a:ship a:hold b:ship c:hold", "no_decision", "eecc"),
    ("they do so where ballots may be revised", "plurality revisable", "a b c", "a:ship a:hold b:ship c:hold", "no_decision", "eecc"),
    ("a different confidence is a different ballot", "plurality part=1", "a b", "a:ship a:ship*0.5 b:ship", "insufficient 1/2 of 1", "eec"),
    ("who contradicted itself may revise", "plurality revisable", "a b c", "a:ship a:hold a#2:hold b:ship c:hold", "consensus hold 2/3", "eeccc"),
    ("a void revision leaves the valid ballot before it", "plurality revisable", "a b c", "a#1:ship a#2:hold a#2:wait b:ship c:hold", "consensus ship 2/3", "ceecc"),
    ("who contradicted itself has no second final ballot", "plurality part=2/3", "a b c", "a:ship a:hold a#2:hold b:ship", "insufficient 1/3 of 2/3", "eefc"),
    ("the third of a contradiction is void too", "plurality", "a b", "a:ship a:hold a:wait b:ship", "consensus ship 1", "eeec"),
    ("the repetition of a void ballot changes nothing", "plurality", "a b", "a:ship a:hold a:ship b:hold", "consensus hold 1", "eedc"),
    ("an invalid ballot does not void a valid one", "plurality", "a b", "a:nothing a:ship b:hold*0.5", "consensus ship 2/3", "xcc"),
    ("a voter may revise to an abstention", "plurality revisable", "a b", "a#1:ship a#2:- b:hold", "consensus hold 1", "rcc"),
    // --- time
    ("a ballot at the very close counts", "plurality", "a b", "a@60:ship", "consensus ship 1", "c"),
    ("a ballot after the close is late", "plurality part=1/2", "a b", "a@60.001:ship", "insufficient 0/2 of 1/2", "l"),
    ("a late revision changes nothing", "plurality revisable", "a b", "a#1:ship a#2@61:hold b:ship", "consensus ship 1", "clc"),
    ("a late contradiction changes nothing", "plurality", "a b", "a:ship a@61:hold b:ship", "consensus ship 1", "clc"),
    ("a ballot of another epoch is refused", "plurality", "a b", "a~2:ship b:hold", "consensus hold 1", "xc"),
    // --- voters that die
    ("a ballot counts whose voter died after it", "plurality part=1", "a b", "a:ship x:a b:ship", "consensus ship 1", "cc"),
    ("a dead voter without a ballot stays in the electorate", "plurality part=2/3", "a b c", "x:a x:b c:ship", "insufficient 1/3 of 2/3", "c"),
    ("the expertise of the dead stays in the base", "plurality quorum=1/2 of=electorate", "a=3 b c", "x:a b:ship c:ship", "no_decision", "cc"),
    ("nobody is left", "plurality part=1/3", "a b c", "x:a x:b x:c", "insufficient 0/3 of 1/3", ""),
    // --- methods of one choice
    ("plurality needs no half", "plurality", "a b c d e", "a:ship b:ship c:hold d:wait e:-", "consensus ship 1/2", "ccccc"),
    ("half is no majority", "majority", "a b c d", "a:ship b:ship c:hold d:wait", "no_decision", "cccc"),
    ("more than half is one", "majority", "a=1.000000001 b", "a:ship b:hold", "consensus ship 1000000001/2000000001", "cc"),
    ("a majority may need more by its quorum", "majority quorum=3/4", "a b c", "a:ship b:ship c:hold", "no_decision", "ccc"),
    ("a supermajority is two thirds", "supermajority", "a b c", "a:ship b:ship c:hold", "consensus ship 2/3", "ccc"),
    ("a supermajority may be three fifths", "supermajority quorum=3/5", "a b c d e", "a:ship b:ship c:ship d:hold e:wait", "consensus ship 3/5", "ccccc"),
    ("less than two thirds is none", "supermajority", "a b c d e", "a:ship b:ship c:ship d:hold e:wait", "no_decision", "ccccc"),
    ("unanimity takes abstentions", "unanimity", "a b c", "a:ship b:ship c:-", "consensus ship 1", "ccc"),
    ("unanimity takes no dissent", "unanimity", "a=1000 b=0.001", "a:ship b:hold", "no_decision", "cc"),
    ("unanimity of the electorate takes no abstention", "unanimity quorum=1 of=electorate", "a b c", "a:ship b:ship c:-", "no_decision", "ccc"),
    // --- sets and rankings
    ("approval adds up", "approval", "a b c", "a:ship+hold b:hold+wait c:ship+", "no_decision", "ccc"),
    ("approval has a leader", "approval", "a b c", "a:ship+hold b:hold+wait c:hold+", "consensus hold 1", "ccc"),
    ("an empty set is refused", "approval", "a b", "a:+ b:hold+", "consensus hold 1", "xc"),
    ("one choice is no set", "approval", "a b", "a:ship b:hold+", "consensus hold 1", "xc"),
    ("Borda prefers what all can live with", "borda", "a b c d e", "a:ship>hold>wait b:ship>hold>wait c:ship>hold>wait d:hold>wait>ship e:hold>wait>ship", "consensus hold 2/5", "ccccc"),
    ("who is left out of a ranking shares the last points", "borda tie=conservative on=tie", "a b", "a:ship> b:hold>", "tie_broken hold 1/2 by conservative", "cc"),
    ("so they may catch up with the first", "borda tie=status_quo on=tie", "a=4 b=3", "a:ship> b:hold>wait>ship", "tie_broken wait 0 by status_quo", "cc"),
    ("Schulze prefers who wins each pair", "schulze", "a b c d e", "a:ship>hold>wait b:ship>hold>wait c:ship>hold>wait d:hold>wait>ship e:hold>wait>ship", "consensus ship 3/5", "ccccc"),
    ("Schulze breaks a circle at its weakest link", "schulze", "a=4 b=3 c=2", "a:ship>hold>wait b:hold>wait>ship c:wait>ship>hold", "consensus ship 4/9", "ccc"),
    ("a perfect circle is a tie", "schulze tie=status_quo on=tie", "a b c", "a:ship>hold>wait b:hold>wait>ship c:wait>ship>hold", "tie_broken wait 1/3 by status_quo", "ccc"),
    ("a ranking that names a choice twice is refused", "borda", "a b", "a:ship>hold>ship b:hold>wait", "consensus hold 1", "xc"),
    // --- tie-breakers
    ("a tie without a tie-breaker", "plurality", "a b", "a:ship b:wait", "no_decision", "cc"),
    ("conservative: the safe choice", "plurality tie=conservative", "a b", "a:ship b:wait", "tie_broken hold 0 by conservative", "cc"),
    ("status quo: all stays", "plurality tie=status_quo", "a b", "a:ship b:wait", "tie_broken wait 1/2 by status_quo", "cc"),
    ("the surest ballot decides among equals", "plurality tie=highest_confidence", "a=1 b=2", "a:ship b:wait*0.5", "tie_broken ship 1/2 by highest_confidence", "cc"),
    ("as sure as each other they decline", "plurality tie=highest_confidence,conservative", "a b", "a:ship b:wait", "tie_broken hold 0 by conservative", "cc"),
    ("the chair decides", "plurality tie=chair:b", "a b", "a:ship b:wait", "tie_broken wait 1/2 by chair", "cc"),
    ("a chair that abstains declines", "plurality tie=chair:c", "a b c", "a:ship b:wait c:-", "no_decision", "ccc"),
    ("an absent chair declines", "plurality tie=chair:c", "a b c", "a:ship b:wait", "no_decision", "cc"),
    ("the chair of a ranking prefers among the tied", "borda tie=chair:c", "a b c=0", "a:ship>hold>wait b:hold>ship>wait c:wait>hold>ship", "tie_broken hold 1/2 by chair", "ccc"),
    ("the dice choose among the tied", "plurality tie=random seed=5", "a b", "a:ship b:wait", "tie_broken ship 1/2 by random", "cc"),
    ("other dice choose otherwise", "plurality tie=random seed=1", "a b", "a:ship b:wait", "tie_broken wait 1/2 by random", "cc"),
    ("a leader below the quorum is no tie", "plurality quorum=2/3 tie=conservative on=tie", "a b c d e", "a:ship b:ship c:ship d:hold e:wait", "no_decision", "ccccc"),
    ("a leader below the quorum falls to the tie-breaker", "plurality quorum=2/3 tie=conservative", "a b c d e", "a:ship b:ship c:ship d:hold e:wait", "tie_broken hold 1/5 by conservative", "ccccc"),
    // --- vetoes
    ("a veto blocks what leads", "plurality", "a b c!", "a:ship b:ship c:hold^ship", "vetoed ship by c", "ccc"),
    ("a veto of what does not lead changes nothing", "plurality", "a b c!", "a:ship b:ship c:hold^wait", "consensus ship 2/3", "ccc"),
    ("who abstains may block", "plurality", "a b!", "a:ship b:-^ship", "vetoed ship by b", "cc"),
    ("without the right to block a ballot is refused", "plurality", "a b c", "a:ship b:ship c:hold^ship", "consensus ship 1", "ccx"),
    ("nobody blocks what it is for", "plurality", "a! b=0.5", "a:ship^ship b:hold", "consensus hold 1", "xc"),
    ("a veto blocks what a tie-breaker chose", "plurality tie=conservative", "a! b", "a:ship^hold b:wait", "vetoed hold by a", "cc"),
    ("all who block are named", "plurality", "a! b! c=9", "a:hold^ship b:wait^ship c:ship", "vetoed ship by a,b", "ccc"),
    // --- rounds
    ("another round decides", "plurality tie=another_round rounds=2", "a b c", "a:ship b:wait | a:ship b:ship c:wait", "consensus ship 2/3", "ccccc"),
    ("the last round has no other", "plurality tie=another_round,conservative rounds=2", "a b", "a:ship b:wait | a:ship b:wait", "tie_broken hold 0 by conservative", "cccc"),
    ("ballots of an earlier round do not count", "plurality tie=another_round rounds=2 part=1/2", "a b", "a:ship b:wait | a~1:ship", "insufficient 0/2 of 1/2", "ccx"),
    ("Delphi ends with consensus", "plurality quorum=1 rounds=5 change=0", "a b c", "a:ship b:ship c:hold | a:ship b:ship c:ship", "consensus ship 1", "cccccc"),
    ("Delphi ends when nobody changes its mind", "plurality quorum=1 rounds=5 change=0 tie=conservative", "a b c", "a:ship b:ship c:hold | a:ship b:ship c:hold", "tie_broken hold 1/3 by conservative", "cccccc"),
    ("Delphi goes on while many do", "plurality quorum=1 rounds=3 change=1/3", "a b c", "a:ship b:ship c:hold | a:hold b:wait c:hold | a:hold b:hold c:hold", "consensus hold 1", "ccccccccc"),
    ("Delphi ends at its threshold", "plurality quorum=1 rounds=5 change=1/3", "a b c", "a:ship b:ship c:hold | a:ship b:wait c:hold", "no_decision", "cccccc"),
    ("Delphi ends with its last round", "plurality quorum=1 rounds=2 change=0", "a b", "a:ship b:hold | a:hold b:ship", "no_decision", "cccc"),
];

#[test]
fn every_edge_case_has_its_exact_outcome() {
    let mut wrong = Vec::new();
    for (name, rules, voters, ballots, outcome, fates) in TABLE {
        let ran = run(rules, voters, ballots);
        if (ran.outcome.as_str(), ran.fates.as_str()) != (*outcome, *fates) {
            wrong.push(format!("{name}: {} {}, not {outcome} {fates}", ran.outcome, ran.fates));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
    assert!(TABLE.len() >= 100);
}

#[test]
fn the_dice_are_fair() {
    let shipped = (0..1_000).filter(|seed| {
        let rules = format!("plurality tie=random seed={seed}");
        run(&rules, "a b", "a:ship b:wait").decision.outcome.choice() == Some("ship")
    });
    let shipped = shipped.count();
    assert!((430..570).contains(&shipped), "{shipped} of 1000");
}

#[test]
fn every_decision_is_made_anew_from_its_records_as_bytes() {
    for (name, rules, voters, ballots, _, _) in TABLE {
        let ran = run(rules, voters, ballots);
        let bytes: Vec<Vec<u8>> =
            ran.records.iter().map(|record| runtime::record::encode(record).unwrap()).collect();
        let records: Vec<VoteRecord> =
            bytes.iter().map(|bytes| runtime::record::decode(bytes).unwrap()).collect();
        let (_, decision) = Vote::replay(records).unwrap();
        assert_eq!(decision.as_deref(), Some(&ran.decision), "{name}");
        let json = serde_json::to_string(&ran.decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), ran.decision, "{name}");
    }
}

#[test]
fn a_decision_says_who_was_for_it_and_who_was_not_by_weight_then_name() {
    let ran = run("plurality quorum=1/2", "d=1 b=3 a=1 c=2 e=2", "d:ship b:hold a:ship c:ship e:-");
    assert_eq!(ran.outcome, "consensus ship 4/7");
    let names = |reasons: &[Reason]| {
        reasons.iter().map(|reason| reason.voter.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&ran.decision.reasoning), "c a d");
    assert_eq!(names(&ran.decision.dissent), "b");
    let Participation { counted, abstained, electorate } = ran.decision.participation;
    assert_eq!((counted, abstained, electorate), (5, 1, 5));
}

#[test]
fn expertise_is_that_of_the_topic() {
    let expert = |id| Voter::new(id).expertise_in("release", Exact::from(5_u32));
    let electorate = Electorate::new([expert("a"), Voter::new("b"), Voter::new("c")]).unwrap();
    let leader = |topic: &str| {
        let proposal = Proposal::new("?", ["ship", "hold"]).topic(topic);
        let opening = Opening::new(proposal, electorate.clone(), Rules::default(), 0).unwrap();
        let mut vote = Vote::new(opening, std::time::Duration::MAX);
        for (voter, choice) in [("a", "hold"), ("b", "ship"), ("c", "ship")] {
            vote.cast(Ballot::new(voter, Choice::one(choice)), std::time::Duration::ZERO);
        }
        let Closed::Decided(decision) = vote.close(ClosedBy::Complete, std::time::Duration::ZERO)
        else {
            panic!("another round")
        };
        decision.outcome.choice().map(str::to_owned)
    };
    assert_eq!(leader("release").as_deref(), Some("hold"));
    assert_eq!(leader("lunch").as_deref(), Some("ship"));
}
