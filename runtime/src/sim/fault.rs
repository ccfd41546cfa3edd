//! The faults of a simulation, and when they strike.
//!
//! Planned by [`Sim`](super::Sim) from the seed's own dice; struck through the [`World`]'s public methods, which a test may call too.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Inner, World, core::Core};
use crate::{
    clock::{Moment, Random},
    limits::{SIM_DELAY_MAX, SIM_DOWN_MAX, SIM_HANG_MAX},
};

/// What can go wrong in a simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The next step of an actor panics before its effects are performed.
    Panic,
    /// An actor and its tasks do not run for a while.
    Hang,
    /// An actor and its tasks run slowly for a while.
    Slow,
    /// For a while some messages are held up, so that those of different senders overtake each other.
    Delay,
    /// For a while some messages come twice, of the types that [may](World::may_duplicate).
    Duplicate,
    /// A node dies with all that it has in memory and boots again on its disk.
    Crash,
    /// A node's power fails: a crash in which its disk loses an end of what it had not synced.
    DiskCrash,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 7] = [
        Self::Panic,
        Self::Hang,
        Self::Slow,
        Self::Delay,
        Self::Duplicate,
        Self::Crash,
        Self::DiskCrash,
    ];
}

/// Plans `count` faults of these kinds, at moments within `storm`.
pub(crate) fn plan(world: &World, kinds: &[Fault], count: u32, storm: Duration) {
    let core = &world.inner.core;
    for _ in 0..count {
        let at = Moment::START + short(world, storm);
        let Some(kind) = pick(world, kinds).copied() else { return };
        let inner = Arc::downgrade(&world.inner);
        core.at(
            at,
            Box::new(move |_| {
                if let Some(inner) = inner.upgrade() {
                    strike(&World { inner, owner: false }, kind);
                }
            }),
        );
    }
}

/// Plans `count` faults of these kinds, each some steps of actors after the one before, at the most `steps` of them; the first
/// one stands last.
///
/// Not at moments that are drawn for each alone: where a scenario begins anew after a crash, it would be crashed so often in its
/// first steps that it came no further before all faults had struck.
pub(crate) fn plan_by_steps(
    world: &World,
    kinds: &[Fault],
    (count, steps): (u32, u64),
) -> Vec<(u64, Fault)> {
    let mut at = 0;
    let mut one = |_| {
        at += 1 + world.below(1 + world.below(steps.max(1)));
        Some((at, pick(world, kinds).copied()?))
    };
    let mut planned: Vec<(u64, Fault)> = (0..count).filter_map(&mut one).collect();
    planned.reverse();
    planned
}

/// Lets a fault happen now, unless the world was told to be calm.
pub(crate) fn strike(world: &World, fault: Fault) {
    if world.inner.calm.load(Ordering::Relaxed) {
        return;
    }
    match fault {
        Fault::Crash | Fault::DiskCrash => {
            let nodes = world.node_names();
            let Some(node) = pick(world, &nodes) else { return };
            let down = short(world, SIM_DOWN_MAX);
            if fault == Fault::Crash {
                world.crash(node, down);
            } else {
                world.crash_disk(node, down);
            }
        }
        Fault::Delay => {
            let most = short(world, SIM_DELAY_MAX);
            world.delay(50 + world.below(300), most);
            later(world, Duration::from_secs(1), |inner| inner.weather.delay(0, Duration::ZERO));
        }
        Fault::Duplicate => {
            world.duplicate(50 + world.below(300));
            later(world, Duration::from_secs(1), |inner| inner.weather.double(0));
        }
        Fault::Panic | Fault::Hang | Fault::Slow => {
            let victims = world.victims();
            let Some((node, actor)) = pick(world, &victims) else { return };
            match fault {
                Fault::Hang => world.hang(node, actor.name(), short(world, SIM_HANG_MAX)),
                Fault::Slow => {
                    let (every, time) =
                        (short(world, SIM_DELAY_MAX / 10), short(world, SIM_HANG_MAX));
                    world.slow(node, actor.name(), every, time);
                }
                Fault::Panic
                | Fault::Delay
                | Fault::Duplicate
                | Fault::Crash
                | Fault::DiskCrash => {
                    let spared = world.inner.spared.lock().iter().any(|name| name == actor.name());
                    if !spared {
                        world.panic(node, actor.name());
                    }
                }
            }
        }
    }
}

/// Ends a weather some time within `most`.
fn later(world: &World, most: Duration, end: impl FnOnce(&Inner) + Send + 'static) {
    let inner = Arc::downgrade(&world.inner);
    let at = world.now() + short(world, most);
    let end = move |_: &Arc<Core>| {
        if let Some(inner) = inner.upgrade() {
            end(&inner);
        }
    };
    world.inner.core.at(at, Box::new(end));
}

/// Some time up to `most`, short ones likelier: half of them below a quarter of it.
fn short(world: &World, most: Duration) -> Duration {
    let dice = &world.inner.core.fates;
    most.mul_f64(dice.unit() * dice.unit().max(0.05))
}

fn pick<'a, T>(world: &World, of: &'a [T]) -> Option<&'a T> {
    of.get(usize::try_from(world.below(of.len() as u64)).unwrap_or(0))
}
