//! Swarms on a whole agent system: whoever hosts the agents, one seed has one course.

use std::{sync::Arc, time::Duration};

use runtime::{
    budget::Limits,
    engine::{
        journal::{Append, Journal},
        local::MemoryJournal,
    },
    events::{EventKind, Filter, Received},
    graph::ActorNode,
    node::Node,
};
use synod_actors::{
    pattern::{
        FailureKind,
        map_reduce::map_reduce,
        plan::Plan,
        swarm::{Record, Report, Swarm},
    },
    swarm::{
        Activation, Model,
        boids::{Boids, Polarised},
        course::{End, Missed, Setup},
        detect::{Detector, Reached},
        foraging::{Foragers, Options},
        path::{Convergence, PathColony},
        terrain::Grid,
        tsp::{Instance, Metric, Options as Search, TspColony},
    },
    system::AgentSystem,
};

use crate::swarm_ring::{Gate, Opens, Ring, bits_of, in_place, missed};

const MINUTE: Duration = Duration::from_secs(60);

fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

fn on(journal: &Arc<MemoryJournal>) -> AgentSystem {
    let journal = Arc::<MemoryJournal>::clone(journal);
    AgentSystem::start(Node::builder().journal(journal).open().unwrap())
}

/// Runs a swarm on so many threads.
fn on_threads<M: Model>(threads: usize, swarm: Swarm<M>) -> Report<M> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build().unwrap();
    runtime.block_on(async {
        let system = system();
        let done = system.run(swarm).deadline(MINUTE).await.unwrap();
        system.node().close().await.unwrap();
        done.value
    })
}

/// However agents are hosted, and on however many threads, a swarm comes to what it comes to in place.
fn is_one_course<M: Model, D: Detector<M>>(
    model: impl Fn() -> M,
    detector: impl Fn() -> D,
    (ticks, activation): (u64, Activation),
) {
    for (seed, hosting) in [(1, [1, 8, 1_000].as_slice()), (2, &[8])] {
        let mut setup = Setup::new(model(), ticks);
        setup.activation = activation;
        setup.detectors.push(Box::new(detector()));
        let expected = in_place(setup, seed, &Missed::new());
        let who = hosting.iter().flat_map(|agents| [1, 2, 4].map(|threads| (*agents, threads)));
        for (agents_per_actor, threads) in who {
            let swarm = Swarm::new(model()).ticks(ticks).seed(seed).activation(activation);
            let swarm = swarm.detector(detector()).agents_per_actor(agents_per_actor);
            let report = on_threads(threads, swarm);
            let who = format!("{agents_per_actor} an actor, {threads} threads, seed {seed}");
            assert_eq!(report.missed, 0, "{who}");
            assert!(bits_of(&report) == expected, "{who}, {activation:?}: {report:?}");
        }
    }
}

#[test]
fn one_seed_is_one_course_whoever_hosts_the_agents_and_in_whichever_order_they_act() {
    for activation in
        [Activation::Simultaneous, Activation::Staged(2), Activation::InOrder, Activation::Random]
    {
        is_one_course(|| Ring::of(20), || Reached(-1.0), (12, activation));
    }
}

#[test]
fn paths_tours_flocks_and_foragers_are_the_same_whoever_hosts_them() {
    let terrain = || Grid::new(9, 9).unwrap().terrain();
    let path = || PathColony::new(terrain(), 0, 80).ants(20);
    is_one_course(path, Convergence::default, (15, Activation::Simultaneous));
    let cities = (0..12_u32).map(|n| (f64::from(n * 37 % 101), f64::from(n * 53 % 97))).collect();
    let instance = Arc::new(Instance::at("few", Metric::Euclidean, cities).unwrap());
    let tour = || TspColony::new(Arc::clone(&instance), Search::searching()).unwrap();
    is_one_course(tour, || Reached(0.0), (6, Activation::Simultaneous));
    let flock = || Boids::new(40, 30.0);
    is_one_course(flock, Polarised::default, (20, Activation::Staged(2)));
    let options = Options { foragers: 20, brood: 2, ..Options::default() };
    let foragers = || Foragers::new(terrain(), 40, vec![(0, 9), (80, 9)], options);
    is_one_course(foragers, || Reached(0.0), (60, Activation::Simultaneous));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_agent_that_is_killed_in_mid_tick_is_asked_again_and_nothing_is_missed() {
    let gate = Gate::before(2, 3);
    let _opens = Opens(Arc::clone(&gate));
    let system = system();
    let swarm = Swarm::new(Ring { agents: 5, gate: Arc::clone(&gate) }).ticks(9).seed(4);
    let handle = system.run(swarm.tick_deadline(MINUTE)).deadline(MINUTE).start().await.unwrap();
    crate::until("the agent is at the gate", || gate.came() > 0).await;
    let name = format!("runs/{}/agent-2", handle.id());
    let agent = system.node().actors().into_iter().find(|own| own.name() == name).unwrap();
    agent.kill();
    gate.open();
    let done = handle.outcome().await.unwrap();
    let expected = in_place(Setup::new(Ring::of(5), 9), 4, &Missed::new());
    assert!(bits_of(&done.value) == expected);
    assert_eq!(done.value.missed, 0);
    // Ticks 1 to 3 with 5 agents, 4 to 6 with 6, 7 with 7, 8 and 9 with 6, since one is dead; and one was asked twice.
    assert_eq!(done.tally.attempts, 3 * 5 + 3 * 6 + 7 + 2 * 6 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_agent_that_does_not_answer_misses_its_moves_and_the_journal_replays_them_bit_by_bit() {
    let gate = Gate::before(2, 3);
    let opens = Opens(Arc::clone(&gate));
    let journal = Arc::new(MemoryJournal::default());
    let system = on(&journal);
    let swarm = Swarm::new(Ring { agents: 5, gate: Arc::clone(&gate) }).ticks(9).seed(4);
    let swarm = swarm.tick_deadline(Duration::from_millis(500)).snapshot_every(MINUTE);
    let handle = system.run(swarm).deadline(MINUTE).start().await.unwrap();
    let run = handle.id();
    crate::until("the agent is at the gate", || gate.came() > 0).await;
    // It is killed as well: the order waits for its step, the tick does not.
    let name = format!("runs/{run}/agent-2");
    system.node().actors().into_iter().find(|own| own.name() == name).unwrap().kill();
    let done = handle.outcome().await.unwrap();
    drop(opens);
    let missed = missed(&*journal, run).unwrap();
    let has_missed = |tick| missed.get(&(tick, 0)).is_some_and(|agents| agents.contains(2));
    assert_eq!((1..=9).filter(|tick| has_missed(*tick)).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
    let counted: u64 = missed.values().map(synod_actors::swarm::Spans::len).sum();
    assert_eq!(done.value.missed, counted);
    let replayed = in_place(Setup::new(Ring::of(5), 9), 4, &missed);
    assert!(bits_of(&done.value) == replayed);
    assert!(bits_of(&done.value) != in_place(Setup::new(Ring::of(5), 9), 4, &Missed::new()));

    // From its beginning: the snapshot of its end is put aside.
    let again = Arc::new(MemoryJournal::default());
    let records = journal.read(run, 0, usize::MAX).unwrap().into_iter().filter(|record| {
        let record = runtime::record::decode(record).unwrap();
        matches!(record, Record::Began { .. } | Record::Missed { .. })
    });
    let (append, appended) = Append::awaited(run, 0, records.collect());
    again.append(append);
    appended.await.unwrap();
    let swarm = Swarm::new(Ring::of(5)).ticks(9).seed(4).agents_per_actor(3);
    let resumed = on(&again).run(swarm).id(run).deadline(MINUTE).await.unwrap();
    assert_eq!((resumed.tally.resumed, resumed.value.missed), (0, counted));
    assert!(bits_of(&resumed.value) == replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_panics_misses_that_move_alone() {
    let journal = Arc::new(MemoryJournal::default());
    for agents_per_actor in [1, 8] {
        let swarm = Swarm::new(Ring::of(13)).ticks(5).agents_per_actor(agents_per_actor);
        let done = on(&journal).run(swarm).deadline(MINUTE).await.unwrap();
        let missed = missed(&*journal, done.run).unwrap();
        assert_eq!(missed.keys().collect::<Vec<_>>(), [&(2, 0)]);
        assert_eq!(missed[&(2, 0)], [1].into_iter().collect());
        assert_eq!(done.value.trace.rows[1].missed, 1);
        assert!(bits_of(&done.value) == in_place(Setup::new(Ring::of(13), 5), 0, &missed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_cut_off_at_any_moment_comes_to_what_an_undisturbed_one_comes_to() {
    let setup = || Setup::new(Ring::of(20), 40);
    let expected = in_place(setup(), 6, &Missed::new());
    let mut resumed = Vec::new();
    for moment in 0..50_u32 {
        let journal = Arc::new(MemoryJournal::default());
        let swarm = |agents_per_actor| {
            let swarm = Swarm::new(Ring::of(20)).ticks(40).seed(6);
            let swarm = swarm.snapshot_every(Duration::ZERO);
            swarm.agents_per_actor(agents_per_actor).tick_deadline(MINUTE)
        };
        let before = on(&journal);
        let handle = before.run(swarm(1)).deadline(MINUTE).start().await.unwrap();
        let run = handle.id();
        for _ in 0..moment * 8 {
            tokio::task::yield_now().await;
        }
        before.node().close().await.unwrap();
        drop(handle);
        let after = on(&journal);
        let done = after.run(swarm(1 + moment % 9)).id(run).deadline(MINUTE).await.unwrap();
        assert!(bits_of(&done.value) == expected, "cut off at {moment}: {:?}", done.value);
        assert_eq!((done.tally.done, done.tally.units), (40, 40));
        resumed.push(done.tally.resumed);
        after.node().close().await.unwrap();
    }
    assert!(resumed.iter().any(|ticks| (1..40).contains(ticks)), "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_swarm_has_its_best_so_far_and_goes_on_from_there() {
    let system = system();
    let swarm = || Swarm::new(Ring::of(20)).ticks(1_000_000).seed(3).agents_per_actor(4);
    let handle = system.run(swarm()).deadline(MINUTE).start().await.unwrap();
    let filter = Filter::new().run(handle.id()).kinds([EventKind::ProgressUpdate.as_str()]);
    let mut events = system.node().events().subscribe(filter).unwrap();
    events.next().await.expect("it comes further");
    handle.canceller().cancel();
    let cut = handle.outcome().await.unwrap_err();
    let report = cut.partial.as_ref().expect("there is a best so far");
    assert!(matches!(cut.kind, FailureKind::Cancelled { done, .. } if done == report.ticks));
    assert!(report.best.is_some() && report.end.is_none() && report.ticks > 0);
    let again = system.run(swarm()).id(cut.run).deadline(Duration::from_millis(50)).await;
    let again = again.unwrap_err();
    assert!(matches!(again.kind, FailureKind::TimedOut { .. }), "{again}");
    assert_eq!(again.tally.resumed, cut.tally.done, "it went on where it was");
    assert!(again.partial.expect("there is a best so far").ticks >= report.ticks);
    let other = system.run(swarm().seed(4)).id(cut.run).deadline(MINUTE).await.unwrap_err();
    assert!(other.to_string().contains("resume it with the same swarm"), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_ends_with_its_best_at_its_deadline_its_time_and_its_budget() {
    let system = system();
    let swarm = || Swarm::new(Ring::of(20)).ticks(u64::MAX);
    let late = system.run(swarm()).deadline(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(late.kind, FailureKind::TimedOut { .. }), "{late}");
    assert!(late.partial.unwrap().best.is_some());
    let timed =
        system.run(swarm().time(Duration::from_millis(100))).deadline(MINUTE).await.unwrap();
    assert_eq!(timed.value.end, Some(End::Time));
    assert!(timed.value.best.is_some());
    let limits = Limits { messages: Some(50), ..Limits::default() };
    let broke = system.run(swarm()).limits(limits).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(broke.kind, FailureKind::OverBudget { done: 2, .. }), "{broke}");
    assert_eq!((broke.tally.attempts, broke.partial.unwrap().ticks), (40, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_swarm_is_told_and_what_has_no_answer_is_an_error() {
    let system = system();
    let map = Grid::parse("type octile\nheight 3\nwidth 5\nmap\n..@..\n..@..\n..@..\n").unwrap();
    let path = |from, to| Swarm::new(PathColony::new(map.terrain(), from, to).ants(10));
    let wrong = [
        (Swarm::new(PathColony::new(map.terrain(), 0, 1).ants(0)), "a swarm has no agents"),
        (path(2, 4), "the start (2, 0) is inside an obstacle"),
        (path(0, 1).ticks(0), "a swarm of 0 ticks"),
        (path(0, 1).agents_per_actor(0), "actors of 0 agents"),
        (path(0, 1).tick_deadline(Duration::ZERO), "a tick without time"),
        (path(0, 1).activation(Activation::Staged(0)), "a tick of 0 stages"),
        (path(0, 1).change(1_001, |_, _, _| Ok(())), "a change comes before tick 1001"),
    ];
    for (swarm, why) in wrong {
        let error = system.run(swarm).deadline(MINUTE).await.unwrap_err();
        assert!(matches!(error.kind, FailureKind::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let apart = system.run(path(0, 4)).deadline(MINUTE).await.unwrap_err();
    assert!(matches!(&apart.kind, FailureKind::NoAnswer { why } if why.contains("no way leads")));
    assert_eq!(apart.partial.map(|partial| (partial.ticks, partial.best)), Some((1, None)));
    let there = system.run(path(3, 3)).deadline(MINUTE).await.unwrap();
    assert_eq!((there.value.ticks, there.value.best.map(|best| best.solution)), (0, Some(vec![3])));
    let failing = path(0, 1).change(2, |_, _, _| Err("the bridge is gone".to_owned()));
    let failed = system.run(failing).deadline(MINUTE).await.unwrap_err();
    assert!(failed.to_string().contains("before tick 2: the bridge is gone"), "{failed}");
    assert!(failed.partial.unwrap().best.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_of_which_nobody_lives_comes_to_its_end_too() {
    let options = Options { foragers: 5, lifespan: 3, brood: 0, ..Options::default() };
    let terrain = Grid::new(9, 9).unwrap().terrain();
    let foragers = Foragers::new(terrain, 40, vec![(41, 1)], options);
    let done = system().run(Swarm::new(foragers).ticks(20)).deadline(MINUTE).await;
    let report = match done {
        Ok(done) => done.value,
        Err(error) => {
            assert!(matches!(error.kind, FailureKind::NoAnswer { .. }), "{error}");
            error.partial.unwrap()
        }
    };
    assert_eq!(report.agents, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_tells_what_it_is_at_and_shows_its_agents_in_the_tree() {
    let gate = Gate::before(1, 30);
    let _opens = Opens(Arc::clone(&gate));
    let system = system();
    let mut watch = system.node().events().subscribe(Filter::new()).unwrap();
    let flock = Boids::new(30, 20.0);
    let flock = Swarm::new(flock).ticks(200).detector(Polarised(0.8)).agents_per_actor(10);
    let done = system.run(flock).deadline(MINUTE).await.unwrap();
    let emerged = done.value.emerged.first().expect("they fly one way").clone();
    let mut told = Vec::new();
    while let Some(Received::Event(event)) = watch.next().await {
        let is_end = event.kind == EventKind::RunEnded.as_str();
        told.push(event);
        if is_end {
            break;
        }
    }
    let of = |kind: EventKind| told.iter().filter(move |event| event.kind == kind.as_str());
    assert_eq!(of(EventKind::ProgressUpdate).count(), 100);
    let milestone = of(EventKind::MilestoneReached).next().expect("it was told");
    assert_eq!(milestone.data["tick"], emerged.since);

    let ring = Swarm::new(Ring { agents: 3, gate: Arc::clone(&gate) }).ticks(40);
    let handle = system.run(ring).deadline(MINUTE).start().await.unwrap();
    crate::until("the agent is at the gate", || gate.came() > 0).await;
    let names: Vec<String> = system.graph().actors.into_iter().map(|own| own.name).collect();
    for agent in ["agent-0", "agent-1", "agent-2", "agent-11"] {
        let name = format!("runs/{}/{agent}", handle.id());
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    gate.open();
    handle.outcome().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_is_a_task_of_a_plan_and_an_agent_of_others_and_ends_with_them() {
    let system = system();
    let swarm = |seed, ticks| Swarm::new(Ring::of(6)).ticks(ticks).seed(seed);
    let plan = Plan::new().task("first", &[], move |_| Ok(swarm(1, 5))).task(
        "second",
        &["first"],
        move |before| {
            let first = before.get("first").ok_or("it is after that")?;
            Ok(swarm(first["ticks"].as_u64().ok_or("it has ticks")?, 5))
        },
    );
    let done = system.run(plan).deadline(MINUTE).await.unwrap();
    let second = done.value.output("second").unwrap();
    let alone = system.run(swarm(5, 5)).deadline(MINUTE).await.unwrap().value;
    assert_eq!(second["best"]["cost"], alone.best.unwrap().cost);
    assert_eq!(second["ticks"], 5);

    let endless = system.pattern_agent("endless", move |seed: u64, _| swarm(seed, u64::MAX));
    let endless = endless.start().unwrap();
    let handle = system.run(map_reduce([1], &endless)).deadline(MINUTE).start().await.unwrap();
    let is_agent = |own: &ActorNode| own.name.ends_with("/agent-5");
    crate::until("the swarm below is at work", || system.graph().actors.iter().any(is_agent)).await;
    handle.canceller().cancel();
    let cut = handle.outcome().await.unwrap_err();
    assert!(matches!(cut.kind, FailureKind::Cancelled { .. }), "{cut}");
    crate::until("nobody of it is left", || !system.graph().actors.iter().any(is_agent)).await;
}
