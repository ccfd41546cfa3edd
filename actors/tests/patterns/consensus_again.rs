//! Votes that are cut off and taken up again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use runtime::{engine::local::MemoryJournal, node::Node};
use synod_actors::{
    agent::Agent,
    pattern::consensus::{Fate, Opinion, Outcome, Request, Rules, Voter, consensus, recount},
    system::AgentSystem,
};

use crate::consensus::{MINUTE, SHORT, consensus_on, exact, ship, system, two_thirds, vote};

/// Moments at which a vote is cut off.
const MOMENTS: u64 = 50;
const VOTERS: usize = 7;

/// Voters that count their calls; from the fatal one on they hang.
fn counting(
    system: &AgentSystem,
    calls: &Arc<[AtomicU64]>,
    fatal: u64,
) -> Vec<(Voter, Agent<Request, Opinion>)> {
    let (calls, begun) = (Arc::clone(calls), Arc::new(AtomicU64::new(0)));
    let agent = system.agent("voter", move |request: Request, _| {
        let number: usize = request.voter.trim_start_matches('v').parse().unwrap();
        calls[number].fetch_add(1, Ordering::SeqCst);
        let hangs = begun.fetch_add(1, Ordering::SeqCst) >= fatal;
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            let choice = if number.is_multiple_of(3) { "hold" } else { "ship" };
            Ok::<_, String>(Opinion::one(choice).confidence(exact("0.9")))
        }
    });
    let agent = agent.count(3).start().unwrap();
    (0..VOTERS).map(|n| (Voter::new(format!("v{n}")), agent.clone())).collect()
}

/// The voters whose ballots a journal knows.
fn recorded(journal: &MemoryJournal, run: protocol::RunId) -> Vec<usize> {
    let Ok((vote, _)) = recount(journal, run) else { return Vec::new() };
    let own = vote.received().iter().filter(|own| own.fate == Fate::Counted);
    own.map(|own| own.ballot.voter.trim_start_matches('v').parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_cut_off_at_any_moment_asks_nobody_again_whose_ballot_it_has() {
    for moment in 0..MOMENTS {
        let journal = Arc::new(MemoryJournal::default());
        let open = || {
            let journal = Arc::<MemoryJournal>::clone(&journal);
            AgentSystem::start(Node::builder().journal(journal).open().unwrap())
        };
        let rules = || Rules { close_early: false, ..two_thirds() };
        let calls: Arc<[AtomicU64]> = (0..VOTERS).map(|_| AtomicU64::new(0)).collect();
        let before = open();
        let fatal = moment % (VOTERS as u64 + 1);
        let vote = consensus(ship(), counting(&before, &calls, fatal)).rules(rules());
        let handle = before.run(vote).deadline(MINUTE).start().await.unwrap();
        let run = handle.id();
        for _ in 0..moment * 3 {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let known = recorded(&journal, run);
        let called: Vec<u64> = calls.iter().map(|calls| calls.load(Ordering::SeqCst)).collect();

        let after = open();
        let vote = consensus(ship(), counting(&after, &calls, u64::MAX)).rules(rules());
        let done = after.run(vote).id(run).deadline(MINUTE).await.unwrap();
        assert_eq!(done.value.outcome, Outcome::NoDecision, "cut off at {moment}");
        assert_eq!(done.value.participation.counted as usize, VOTERS, "cut off at {moment}");
        assert_eq!(done.tally.resumed, known.len() as u64, "cut off at {moment}");
        for voter in known {
            let now = calls[voter].load(Ordering::SeqCst);
            assert_eq!(now, called[voter], "voter {voter} was asked again");
        }
        let (_, again) = recount(&*journal, run).unwrap();
        assert_eq!(again.as_deref(), Some(&done.value));
        after.node().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_taken_up_as_it_was_opened_or_not_at_all() {
    let system = system();
    let rules = || Rules { close_early: false, ..Rules::default() };
    let first = vote(&system, &[("ann", "ship"), ("bob", "silence")]).rules(rules()).within(MINUTE);
    let cut = system.run(first).deadline(SHORT).await.unwrap_err();
    let other = vote(&system, &[("ann", "ship"), ("bob", "ship")]).rules(two_thirds());
    let error = system.run(other).id(cut.run).deadline(MINUTE).await.unwrap_err();
    assert!(
        error.to_string().contains("opened with another proposal, electorate or rules"),
        "{error}"
    );
    let other = vote(&system, &[("ann", "ship"), ("eve", "ship")]).rules(rules());
    let error = system.run(other).id(cut.run).deadline(MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("[\"ann\", \"bob\"]"), "{error}");
    let same = vote(&system, &[("ann", "panic"), ("bob", "ship")]).rules(rules());
    let done = system.run(same).id(cut.run).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value.outcome, done.tally.resumed), (consensus_on("ship"), 1));
}
