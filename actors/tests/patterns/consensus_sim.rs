//! Votes under the faults of the simulation: nodes that crash, disks that forget, voters that hang, fail and are late.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::RunId;
use runtime::{
    limits::{SIM_SYNC_MAX, WHEEL_TICK},
    node::Node,
    retry::Retries,
    sim::{Fault, World, sim},
};
use synod_actors::{
    agent::{Agent, CallContext},
    pattern::{
        FailureKind,
        consensus::{
            ClosedBy, Consensus, Decision, Fate, Opinion, Proposal, Quorum, Request, Rules,
            TieBreaker, Voter, consensus, recount,
        },
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const RUN: RunId = RunId::from_u128(5);
/// The time of each round.
const WITHIN: Duration = Duration::from_secs(4);

/// What runs on the one node, in its present life.
type Present = Arc<Mutex<Option<(AgentSystem, Consensus)>>>;

/// What came of it, and of each attempt at it.
#[derive(Default)]
struct Seen {
    decision: Option<Decision>,
    recounted: Option<Decision>,
    wrong: Vec<String>,
}

/// Voters of all kinds: quick, slow, one that fails at first, one that hangs at first, one that says what is none of the choices.
fn boot(node: &Node) -> (AgentSystem, Consensus) {
    let system = AgentSystem::start(node.clone());
    let heir = agent(&system, "heir", None);
    let names = ["quick", "slow", "moody", "hangs", "odd", "mute"];
    let voters = names.map(|name| {
        let heir = (name == "odd").then_some(&heir);
        (Voter::new(name), agent(&system, name, heir))
    });
    let rules = Rules {
        quorum: Some(Quorum::of_electorate("2/3".parse().unwrap())),
        rounds: 2,
        tie_breakers: vec![TieBreaker::AnotherRound, TieBreaker::Conservative],
        ..Rules::default()
    };
    let proposal = Proposal::new("Does it go out?", ["ship", "hold"]).safest("hold");
    let retries = Retries { attempts: 3, ..Retries::default() };
    (system, consensus(proposal, voters).rules(rules).within(WITHIN).retries(retries))
}

fn agent(
    system: &AgentSystem,
    name: &'static str,
    heir: Option<&Agent<Request, Opinion>>,
) -> Agent<Request, Opinion> {
    let agent = system.agent(name, move |request: Request, cx: CallContext| async move {
        let pause = Duration::from_millis(10 + cx.random().unwrap_or(0) % 300);
        cx.sleep(pause).await.map_err(|error| error.to_string())?;
        let (first, second) = (cx.attempt == 1, request.round > 1);
        match name {
            "moody" if first => return Err("not at first".to_owned()),
            "hangs" if first => std::future::pending().await,
            "mute" if !second => std::future::pending().await,
            "odd" => return Ok(Opinion::one("nowhere")),
            "slow" => cx.sleep(Duration::from_secs(2)).await.map_err(|error| error.to_string())?,
            _ => {}
        }
        let choice = if second || pause.as_millis().is_multiple_of(2) { "ship" } else { "hold" };
        Ok(Opinion::one(choice))
    });
    let agent = agent.timeout(Duration::from_secs(1));
    let agent = if name == "slow" { agent.timeout(Duration::from_secs(3)) } else { agent };
    match heir {
        Some(heir) => agent.fallback(heir).start().unwrap(),
        None => agent.start().unwrap(),
    }
}

/// One vote, taken up again after each loss until it completes.
fn one_vote(world: &World) -> Arc<Mutex<Seen>> {
    let (present, seen) = (Present::default(), Arc::<Mutex<Seen>>::default());
    let boots = Arc::clone(&present);
    world.node("one", move |node| *boots.lock().unwrap() = Some(boot(node)));
    let (outside, told) = (world.clone(), Arc::clone(&seen));
    world.client("caller", async move {
        for _ in 0..200 {
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            if let Some((system, vote)) = here {
                match system.run(vote).id(RUN).deadline(MINUTE).await {
                    Ok(done) => {
                        let (_, again) = recount(&**system.node().journal(), RUN).unwrap();
                        let mut told = told.lock().unwrap();
                        told.recounted = again.map(|again| *again);
                        told.decision = Some(done.value);
                        return;
                    }
                    // The node is gone; or it is back already, and its journal does not take the run yet.
                    Err(error)
                        if matches!(
                            error.kind,
                            FailureKind::NodeLost { .. } | FailureKind::Rejected { .. }
                        ) => {}
                    Err(error) => told.lock().unwrap().wrong.push(error.to_string()),
                }
            }
            outside.wait(Duration::from_millis(200)).await;
        }
    });
    seen
}

/// Each voter's ballot counts at most once a round, and none is lost that the decision rests on.
fn is_sound(seen: &Seen) -> bool {
    let Some(decision) = &seen.decision else { return true };
    let counted = || decision.ballots.iter().filter(|own| own.fate == Fate::Counted);
    let different: BTreeSet<_> =
        counted().map(|own| (own.ballot.epoch, own.ballot.voter.as_str())).collect();
    let last = counted().filter(|own| own.ballot.epoch == decision.round).count();
    different.len() == counted().count()
        && last == usize::try_from(decision.participation.counted).unwrap()
        && seen.recounted.as_ref() == Some(decision)
}

/// Seeds of this test, where `SYNOD_VOTES` gives no other number.
const SEEDS: u64 = 40;

#[test]
fn a_vote_comes_to_one_decision_whatever_happens_and_its_journal_to_the_same() {
    let seeds = std::env::var("SYNOD_VOTES").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = seeds.unwrap_or(SEEDS);
    let report = sim(one_vote)
        .seeds(seeds)
        .storm(Duration::from_secs(6))
        .healing(MINUTE * 5)
        .faults([Fault::Crash, Fault::DiskCrash, Fault::Slow, Fault::Hang, Fault::Delay])
        .never("a vote fails", |_, seen| {
            let wrong = &seen.lock().unwrap().wrong;
            assert!(wrong.is_empty(), "{wrong:?}");
            false
        })
        .never("a decision that is not sound", |_, seen| !is_sound(&seen.lock().unwrap()))
        .finally("the vote was decided", |_, seen| seen.lock().unwrap().decision.is_some())
        .run();
    assert_eq!(report.seeds, seeds);
    println!("| votes | {seeds} seeds | decided once, recounted alike |");
}

#[test]
fn a_vote_with_a_voter_that_never_answers_ends_at_its_deadline_as_far_as_clock_and_disk_allow() {
    // A timer is late by one tick at the most, and the close is durable before it is told; nobody else is waited for.
    let latest = WITHIN + WHEEL_TICK + SIM_SYNC_MAX + Duration::from_micros(500);
    for (seed, a_round) in (0..20).zip([Some(WITHIN), None].into_iter().cycle()) {
        let world = World::new(seed);
        let present: Arc<Mutex<Option<AgentSystem>>> = Arc::default();
        let boots = Arc::clone(&present);
        world.node("one", move |node| {
            *boots.lock().unwrap() = Some(AgentSystem::start(node.clone()));
        });
        let system = present.lock().unwrap().take().unwrap();
        let quick =
            system.agent("quick", |_: Request, _| async { Ok::<_, String>(Opinion::one("ship")) });
        let silent = system
            .agent("silent", |_: Request, _| std::future::pending::<Result<Opinion, String>>());
        let voters = [("ann", quick.start().unwrap()), ("bob", silent.start().unwrap())];
        let voters = voters.map(|(name, agent)| (Voter::new(name), agent));
        let proposal = Proposal::new("Does it go out?", ["ship", "hold"]);
        let rules = Rules {
            quorum: Some(Quorum::of_electorate("1/2".parse().unwrap())),
            close_early: false,
            ..Rules::default()
        };
        let vote = consensus(proposal, voters).rules(rules);
        let (vote, deadline) = match a_round {
            Some(a_round) => (vote.within(a_round), MINUTE),
            None => (vote, WITHIN),
        };
        let began = world.now();
        let run = system.run(vote).deadline(deadline);
        let ended = world.block_on(async move { run.await }, MINUTE).expect("it ends").unwrap();
        let took = world.now().since(began);
        assert!((WITHIN..=latest).contains(&took), "{took:?}, {a_round:?}, seed {seed}");
        assert_eq!(
            (ended.value.closed, ended.value.participation.counted),
            (ClosedBy::Deadline, 1)
        );
    }
}
