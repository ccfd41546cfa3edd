//! Votes by real agents: how they end, whatever becomes of their voters, and how they are taken up again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use runtime::{
    budget::Limits,
    engine::local::MemoryJournal,
    events::{EventKind, Filter, Received},
    node::Node,
    retry::Retries,
};
use synod_actors::{
    agent::Agent,
    pattern::{
        FailureKind,
        consensus::{
            Choice, ClosedBy, Consensus, Decision, Exact, Fate, Opinion, Outcome, Proposal, Quorum,
            Request, Rules, TieBreaker, Voter, consensus, recount,
        },
        map_reduce::{map_reduce, sum},
    },
    system::AgentSystem,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const SHORT: Duration = Duration::from_millis(80);

pub(crate) fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

pub(crate) fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

pub(crate) fn ship() -> Proposal {
    Proposal::new("Does it go out?", ["ship", "hold"]).topic("release").safest("hold")
}

/// What the voter is for: a choice, or how it ends.
pub(crate) fn voter(
    system: &AgentSystem,
    name: &str,
    says: &'static str,
) -> Agent<Request, Opinion> {
    let agent = system.agent(name, move |_: Request, _| async move {
        match says {
            "silence" => std::future::pending().await,
            "panic" => panic!("as told"),
            "failure" => Err("as told"),
            choice => Ok(Opinion::one(choice).because(format!("{choice}, as told"))),
        }
    });
    agent.start().unwrap()
}

/// A vote of agents that say this.
pub(crate) fn vote(system: &AgentSystem, voters: &[(&str, &'static str)]) -> Consensus {
    let voters = voters.iter().map(|(name, says)| (Voter::new(*name), voter(system, name, says)));
    consensus(ship(), voters.collect::<Vec<_>>()).retries(Retries::NEVER)
}

pub(crate) fn two_thirds() -> Rules {
    Rules { quorum: Some(Quorum::of_electorate(exact("2/3"))), ..Rules::default() }
}

pub(crate) fn consensus_on(choice: &str) -> Outcome {
    Outcome::Consensus { choice: choice.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ballots_come_to_a_decision_that_its_journal_gives_again() {
    let journal = Arc::new(MemoryJournal::default());
    let node = Node::builder().journal(Arc::<MemoryJournal>::clone(&journal)).open().unwrap();
    let system = AgentSystem::start(node);
    let vote = vote(&system, &[("ann", "ship"), ("bob", "hold"), ("cid", "ship")]);
    let rules = || Rules { close_early: false, ..two_thirds() };
    let done = system.run(vote.rules(rules())).deadline(MINUTE).await.unwrap();
    assert_eq!(done.value.outcome, consensus_on("ship"));
    assert_eq!(done.value.confidence, exact("2/3"));
    assert_eq!(done.value.closed, ClosedBy::Complete);
    assert_eq!(done.value.dissent[0].reasoning, "hold, as told");
    assert_eq!((done.tally.units, done.tally.done, done.tally.attempts), (3, 3, 3));
    let (_, again) = recount(&*journal, done.run).unwrap();
    assert_eq!(again.as_deref(), Some(&done.value));
    // Whoever asks for the run again is told the same.
    let vote = self::vote(&system, &[("ann", "hold"), ("bob", "hold"), ("cid", "hold")]);
    let again = system.run(vote.rules(rules())).id(done.run).deadline(MINUTE).await.unwrap();
    assert_eq!((again.value, again.tally.attempts), (done.value, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_voter_ends_a_vote_by_its_deadline_and_a_dead_one_at_once() {
    let system = system();
    let silent = vote(&system, &[("ann", "ship"), ("bob", "ship"), ("cid", "silence")]);
    let rules = || Rules { quorum: Some(Quorum::of_electorate(Exact::ONE)), ..Rules::default() };
    let slow = || Rules { close_early: false, ..rules() };
    let done = system.run(silent.rules(slow()).within(SHORT)).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value.outcome, done.value.closed), (Outcome::NoDecision, ClosedBy::Deadline));
    assert_eq!((done.value.participation.counted, done.failed.len()), (2, 0));
    // A run without a time of its own for rounds closes them by its deadline, and completes.
    let silent = vote(&system, &[("ann", "ship"), ("cid", "silence")]);
    let done = system.run(silent.rules(slow())).deadline(SHORT).await.unwrap();
    assert_eq!(done.value.closed, ClosedBy::Deadline);
    for death in ["panic", "failure"] {
        let dead = vote(&system, &[("ann", "ship"), ("bob", "ship"), ("cid", death)]);
        let done = system.run(dead.rules(slow())).deadline(MINUTE).await.unwrap();
        assert_eq!(done.value.closed, ClosedBy::Complete, "{death}");
        assert_eq!((done.value.participation.counted, done.value.participation.electorate), (2, 3));
        let failed = &done.failed[0];
        assert_eq!((failed.name.as_str(), failed.attempts), ("cid", 1));
        assert!(failed.error.contains("as told"), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_close_cancels_the_others_and_gives_their_places_back() {
    let system = system();
    let (open, slow) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (of, begun) = (Arc::clone(&open), Arc::clone(&slow));
    struct Open(Arc<AtomicU64>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let silent = system.agent("silent", move |_: Request, _| {
        of.fetch_add(1, Ordering::SeqCst);
        begun.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&of));
        async move {
            let _open = open;
            std::future::pending::<Result<Opinion, String>>().await
        }
    });
    let silent = silent.start().unwrap();
    let others = [("ann", "ship"), ("bob", "ship")].map(|(name, says)| {
        let says = voter(&system, name, says);
        let (after, node) = (Arc::clone(&slow), system.node().clone());
        let waits = system.agent(name, move |request: Request, cx| {
            let (after, says, node) = (Arc::clone(&after), says.clone(), node.clone());
            async move {
                let _held: synod_actors::agent::CallContext = cx;
                // The silent one is at it when the others have said all that matters.
                while after.load(Ordering::SeqCst) == 0 {
                    node.sleep(Duration::from_millis(1)).await;
                }
                says.ask(request, MINUTE).await.map_err(|error| error.to_string())
            }
        });
        (Voter::new(name), waits.start().unwrap())
    });
    let voters = others.into_iter().chain([(Voter::new("cid"), silent)]);
    let done = system.run(consensus(ship(), voters)).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value.outcome, done.value.closed), (consensus_on("ship"), ClosedBy::Settled));
    crate::until("the silent call is cancelled", || open.load(Ordering::SeqCst) == 0).await;
    // All places are free for others.
    let count = system.agent("count", |n: u64, _| async move { Ok::<_, String>(n) });
    let count = count.start().unwrap();
    let run = system.run(map_reduce(0..10, &count).reduce(sum()));
    assert_eq!(run.deadline(MINUTE).await.unwrap().value, 45);
}

/// A voter that answers with what the round before came to.
fn delphi(
    system: &AgentSystem,
    name: &'static str,
    first: &'static str,
) -> Agent<Request, Opinion> {
    let agent = system.agent(name, move |request: Request, _| async move {
        let opinion = match &request.before {
            None => Opinion::one(first).because(format!("because of {first}")),
            Some(before) => {
                assert_eq!((before.round + 1, request.round), (request.round, 2));
                assert!(before.reasons.contains(&"because of ship".to_owned()), "{before:?}");
                let told = serde_json::to_string(&request).unwrap();
                assert!(!told.contains("bob") || name == "bob", "{told} names a voter");
                Opinion::one("ship")
            }
        };
        Ok::<_, String>(opinion)
    });
    agent.start().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_of_a_further_round_know_what_the_last_one_came_to() {
    let system = system();
    let voters = [("ann", "ship"), ("bob", "hold")]
        .map(|(name, first)| (Voter::new(name), delphi(&system, name, first)));
    let rules = Rules {
        method: synod_actors::pattern::consensus::Method::Unanimity,
        rounds: 3,
        change_threshold: Some(Exact::ZERO),
        ..Rules::default()
    };
    let done = system.run(consensus(ship(), voters).rules(rules)).deadline(MINUTE).await.unwrap();
    assert_eq!((done.value.outcome.clone(), done.value.round), (consensus_on("ship"), 2));
    assert_eq!((done.value.rounds.len(), done.value.ballots.len()), (1, 4));
    assert_eq!((done.tally.units, done.tally.done), (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_allows_no_more_asks_ends_a_vote_with_what_there_is() {
    let system = system();
    let names = ["a", "b", "c", "d", "e"];
    let vote = vote(&system, &names.map(|name| (name, "ship")));
    let rules = Rules { close_early: false, ..Rules::default() };
    let limits = Limits { messages: Some(3), ..Limits::default() };
    let run = system.run(vote.rules(rules)).limits(limits).deadline(MINUTE);
    let error = run.await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::OverBudget { units: 5, .. }), "{error}");
    let partial = error.partial.unwrap();
    assert_eq!(partial.closed, ClosedBy::CutOff);
    assert_eq!(error.tally.attempts, 3);
    assert_eq!(u64::from(partial.participation.counted), error.tally.done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_vote_ends_at_once_with_what_there_is() {
    let system = system();
    let mut events =
        system.node().events().subscribe(Filter::new().kinds([EventKind::TaskCompleted])).unwrap();
    let vote = vote(&system, &[("ann", "hold"), ("bob", "silence")]);
    let rules = Rules { close_early: false, ..Rules::default() };
    let handle = system.run(vote.rules(rules)).deadline(MINUTE).start().await.unwrap();
    assert!(matches!(events.next().await, Some(Received::Event(_))));
    handle.canceller().cancel();
    let error = handle.outcome().await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::Cancelled { done: 1, units: 2 }), "{error}");
    assert_eq!(error.partial.unwrap().outcome, consensus_on("hold"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_round_for_which_no_time_is_left_is_timed_out() {
    let system = system();
    let vote = vote(&system, &[("ann", "ship"), ("bob", "hold"), ("cid", "silence")]);
    let rules =
        Rules { rounds: 2, tie_breakers: vec![TieBreaker::AnotherRound], ..Rules::default() };
    let error = system.run(vote.rules(rules)).deadline(SHORT).await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::TimedOut { .. }), "{error}");
    let vote = self::vote(&system, &[("ann", "ship"), ("bob", "silence")]);
    let rules = Rules { close_early: false, ..Rules::default() };
    let error = system.run(vote.rules(rules).within(MINUTE)).deadline(SHORT).await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::TimedOut { done: 1, units: 2, .. }), "{error}");
    assert_eq!(error.partial.unwrap().outcome, consensus_on("ship"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_votes_for_its_voter() {
    let system = system();
    for failing in ["panic", "failure", "nowhere"] {
        let heir = voter(&system, "heir", "ship");
        let agent = system.agent("first", move |_: Request, _| async move {
            match failing {
                "panic" => panic!("as told"),
                // It answers, with a ballot that is none.
                "nowhere" => Ok(Opinion::one("nowhere")),
                _ => Err("as told"),
            }
        });
        let agent = agent.fallback(&heir).start().unwrap();
        let vote = consensus(ship(), [(Voter::new("ann"), agent)]).retries(Retries::NEVER);
        let done = system.run(vote).deadline(MINUTE).await.unwrap();
        assert_eq!(done.value.outcome, consensus_on("ship"), "{failing}");
        assert_eq!(done.value.reasoning[0].voter, "ann");
        assert_eq!((done.tally.fallbacks, done.tally.attempts, done.failed.len()), (1, 2, 0));
        let refused = done.value.ballots.iter().filter(|own| matches!(own.fate, Fate::Refused(_)));
        assert_eq!(refused.count(), usize::from(failing == "nowhere"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_failed_is_asked_again_and_one_whose_ballot_was_refused_is_not() {
    let system = system();
    let calls = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let of = Arc::clone(&calls);
    let agent =
        system.agent("moody", move |request: Request, cx: synod_actors::agent::CallContext| {
            *of.lock().unwrap().entry(request.voter.clone()).or_default() += 1;
            async move {
                match request.voter.as_str() {
                    "again" if cx.attempt < 3 => Err("not yet"),
                    "unsure" => Ok(Opinion::one("ship").confidence(exact("3/2"))),
                    _ => Ok(Opinion::one("ship")),
                }
            }
        });
    let agent = agent.count(2).start().unwrap();
    let voters = ["again", "unsure", "ann"].map(|name| (Voter::new(name), agent.clone()));
    let rules = Rules { close_early: false, ..Rules::default() };
    let vote = consensus(ship(), voters).rules(rules);
    let done = system.run(vote).deadline(MINUTE).await.unwrap();
    let asked = |name: &str, times| (name.to_owned(), times);
    let expected = [asked("again", 3), asked("ann", 1), asked("unsure", 1)];
    assert_eq!(*calls.lock().unwrap(), BTreeMap::from(expected));
    assert_eq!((done.value.participation.counted, done.tally.retries), (2, 2));
    assert!(
        done.failed[0].error.contains("confidence 3/2 is not from 0 to 1"),
        "{:?}",
        done.failed
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booth_takes_ballots_while_their_voter_works_and_the_last_one_counts_where_they_are_revisable()
 {
    let system = system();
    for revisable in [false, true] {
        let agent = system.agent("ann", move |request: Request, _| async move {
            request.booth.cast(Opinion::one("hold").because("at first")).unwrap();
            request.booth.cast(Opinion::one("ship").because("then")).unwrap();
            std::future::pending::<Result<Opinion, String>>().await
        });
        let agent = agent.start().unwrap();
        let rules = Rules { revisable, ..Rules::default() };
        let vote = consensus(ship(), [(Voter::new("ann"), agent)]).rules(rules).within(SHORT);
        let done = system.run(vote).deadline(MINUTE).await.unwrap();
        let (choice, closed) = match revisable {
            true => ("ship", ClosedBy::Deadline),
            false => ("hold", ClosedBy::Complete),
        };
        assert_eq!((done.value.outcome, done.value.closed), (consensus_on(choice), closed));
        let fates: Vec<&Fate> = done.value.ballots.iter().map(|own| &own.fate).collect();
        if revisable {
            assert_eq!(fates, [&Fate::Replaced { by: 2 }, &Fate::Counted]);
        } else {
            assert_eq!(fates[0], &Fate::Counted);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_that_contradicts_itself_is_not_opened_and_nobody_is_asked() {
    let system = system();
    let ann = || (Voter::new("ann"), voter(&system, "ann", "panic"));
    let nobody: [(Voter, Agent<Request, Opinion>); 0] = [];
    let quorum =
        |share: &str| Rules { quorum: Some(Quorum::of_cast(exact(share))), ..Rules::default() };
    let custom = Rules {
        weighting: synod_actors::pattern::consensus::Weighting::Custom,
        ..Rules::default()
    };
    let wrong = [
        (consensus(ship(), nobody), "the electorate is empty"),
        (consensus(ship(), [ann(), ann()]), "`ann` is in the electorate twice"),
        (consensus(ship(), [ann()]).rules(quorum("3/2")), "quorum is 3/2"),
        (consensus(ship(), [ann()]).rules(custom), "no function was given"),
        (consensus(ship().data("x".repeat(2 << 20).into()), [ann()]), "the proposal is too large"),
    ];
    for (vote, expected) in wrong {
        let error = system.run(vote).deadline(MINUTE).await.unwrap_err();
        assert!(
            matches!(&error.kind, FailureKind::Invalid { why } if why.contains(expected)),
            "{error}: {expected}"
        );
        assert_eq!(error.tally.attempts, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_told_of_by_events_and_metrics() {
    let recorded = Arc::new(crate::ends::Latencies::default());
    let recorder = Arc::<crate::ends::Latencies>::clone(&recorded);
    let metrics = runtime::telemetry::metrics::Metrics::new(recorder);
    let system = AgentSystem::start(Node::builder().metrics(metrics).open().unwrap());
    let mut events = system.node().events().subscribe(Filter::new()).unwrap();
    let vote = vote(&system, &[("ann", "ship"), ("bob", "failure")]).name("gate");
    let done = system.run(vote).deadline(MINUTE).await.unwrap();
    let mut told: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    while let Some(Received::Event(event)) = events.try_next() {
        if event.run == Some(done.run) {
            told.entry(event.kind.clone()).or_default().push(event.data.clone());
        }
    }
    let first = |kind: &str| told.get(kind).and_then(|events| events.first()).cloned().unwrap();
    assert_eq!(first("run_started"), serde_json::json!({ "pattern": "consensus", "name": "gate" }));
    assert_eq!(told["vote_requested"].len(), 2);
    assert_eq!(
        (&first("vote_requested")["name"], &first("vote_requested")["round"]),
        (&"ann".into(), &1.into())
    );
    assert_eq!(first("task_failed")["name"], "bob");
    assert_eq!(first("consensus_reached")["choice"], "ship");
    assert_eq!(first("run_ended")["decision"]["outcome"], "consensus");
    let recorded = recorded.0.lock().unwrap();
    let (key, count) =
        recorded.iter().find(|(key, _)| key.contains("consensus_achievement_seconds")).unwrap();
    assert!(key.contains("topic = release") && key.contains("participants = 2-4"), "{key}");
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ballots_are_weighed_by_the_function_that_is_given() {
    let system = system();
    let vote = vote(&system, &[("ann", "hold"), ("bob", "ship"), ("cid", "ship")]);
    let vote = vote.weigh(|ballot, proposal, voter| {
        assert_eq!(
            (proposal.topic.as_str(), ballot.voter.as_str()),
            ("release", voter.id.as_str())
        );
        Ok(if ballot.choice == Choice::one("hold") { exact("3") } else { Exact::ONE })
    });
    let done: Decision = system.run(vote).deadline(MINUTE).await.unwrap().value;
    assert_eq!((done.outcome, done.tally.cast), (consensus_on("hold"), exact("5")));
}
