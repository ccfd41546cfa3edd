//! Swarms under the faults of the simulation: actors that panic, hang and are slow, nodes that crash, disks that forget.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::RunId;
use runtime::sim::{Fault, World, sim};
use synod_actors::{
    pattern::{FailureKind, swarm::Swarm},
    swarm::course::Setup,
    system::AgentSystem,
};

use crate::swarm_ring::{Ring, bits_of, in_place, missed};

const MINUTE: Duration = Duration::from_secs(60);
const RUN: RunId = RunId::from_u128(7);
const TICKS: u64 = 60;
/// The time of each tick.
const TICK: Duration = Duration::from_millis(300);

/// What came of it.
#[derive(Default)]
struct Seen {
    /// What the run came to, what its journal comes to in place, and the moves that were missed.
    ended: Option<(Vec<u8>, Vec<u8>, u64)>,
    undisturbed: bool,
    resumed: bool,
    wrong: Vec<String>,
}

fn ring(agents_per_actor: u32) -> Swarm<Ring> {
    let swarm = Swarm::new(Ring::of(8)).ticks(TICKS).seed(5).agents_per_actor(agents_per_actor);
    swarm.tick_deadline(TICK).snapshot_every(Duration::from_millis(20))
}

/// One swarm, taken up again after each loss until it completes.
fn one_swarm(world: &World) -> Arc<Mutex<Seen>> {
    let (present, seen) =
        (Arc::<Mutex<Option<AgentSystem>>>::default(), Arc::<Mutex<Seen>>::default());
    let boots = Arc::clone(&present);
    world.node("one", move |node| *boots.lock().unwrap() = Some(AgentSystem::start(node.clone())));
    let (outside, told) = (world.clone(), Arc::clone(&seen));
    world.client("caller", async move {
        for life in 0..200 {
            let here = outside.get("one").and_then(|_| present.lock().unwrap().clone());
            if let Some(system) = here {
                match system.run(ring(1 + life % 3)).id(RUN).deadline(MINUTE).await {
                    Ok(done) => {
                        // The node is gone once more; what it has done is not lost.
                        let journal = Arc::clone(system.node().journal());
                        let Some(missed) = missed(&*journal, RUN) else { continue };
                        let count = missed.values().map(synod_actors::swarm::Spans::len).sum();
                        let again = in_place(Setup::new(Ring::of(8), TICKS), 5, &missed);
                        let mut told = told.lock().unwrap();
                        told.undisturbed = missed.is_empty();
                        told.resumed = done.tally.resumed > 0;
                        told.ended = Some((bits_of(&done.value), again, count));
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

/// Seeds of this test, where `SYNOD_SWARMS` gives no other number.
const SEEDS: u64 = 40;

#[test]
fn whatever_happens_a_swarm_comes_to_what_its_journal_comes_to_bit_by_bit() {
    let seeds = std::env::var("SYNOD_SWARMS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = seeds.unwrap_or(SEEDS);
    let counts = Arc::new(Mutex::new([0_u64; 2]));
    let counted = Arc::clone(&counts);
    let report = sim(one_swarm)
        .seeds(seeds)
        .storm(Duration::from_secs(2))
        .healing(MINUTE * 5)
        .faults(Fault::ALL)
        .never("a swarm fails", |_, seen| {
            let wrong = &seen.lock().unwrap().wrong;
            assert!(wrong.is_empty(), "{wrong:?}");
            false
        })
        .never("a replay that comes to something else", |_, seen| {
            let seen = seen.lock().unwrap();
            seen.ended.as_ref().is_some_and(|(run, replay, _)| run != replay)
        })
        .finally("the swarm has ended", move |_, seen| {
            let seen = seen.lock().unwrap();
            let mut counts = counted.lock().unwrap();
            counts[0] += u64::from(!seen.undisturbed);
            counts[1] += u64::from(seen.resumed);
            seen.ended.is_some()
        })
        .run();
    assert_eq!(report.seeds, seeds);
    let [disturbed, resumed] = *counts.lock().unwrap();
    assert!(disturbed > 0 && resumed > 0, "{disturbed} missed moves, {resumed} were taken up");
    println!("| swarms | {seeds} seeds | replayed alike, {disturbed} with missed moves |");
}
