//! The faults of a simulation, and when they strike.
//!
//! Planned by [`Sim`](super::Sim) from the seed's own dice; struck through the [`World`]'s public methods, which a test may call too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Inner, World, core::Core, ground::Weather};
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

impl World {
    /// From now on, holds so many of a thousand messages up, each for at most `most`. Order is kept from a sender to a receiver.
    pub fn delay(&self, per_mille: u64, most: Duration) {
        self.inner.weather.delay(per_mille, most);
    }

    /// From now on, sends so many of a thousand messages twice, of the types that [may](Self::may_duplicate).
    pub fn duplicate(&self, per_mille: u64) {
        self.inner.weather.double(per_mille);
    }

    /// Makes the next step of an actor panic.
    pub fn panic(&self, node: &str, actor: &str) {
        if let Some(number) = self.inner.number(node) {
            self.inner.note(number, actor, "panic");
            self.inner.weather.panic_next(number, actor.into());
        }
    }

    /// Keeps an actor and its tasks from running for `time`.
    pub fn hang(&self, node: &str, actor: &str, time: Duration) {
        if let Some(number) = self.inner.number(node) {
            self.inner.note(number, actor, "hang");
            self.inner.struck.fetch_add(1, Ordering::Relaxed);
            self.inner.core.hold(number, actor.into(), None, time);
        }
    }

    /// Makes each turn of an actor and its tasks take `every`, for `time`.
    pub fn slow(&self, node: &str, actor: &str, every: Duration, time: Duration) {
        if let Some(number) = self.inner.number(node) {
            self.inner.note(number, actor, "slow");
            self.inner.struck.fetch_add(1, Ordering::Relaxed);
            self.inner.core.hold(number, actor.into(), Some(every), time);
        }
    }

    /// Kills a node: all that it has in memory is gone, what it wrote stays on its disk. It boots again after `down`.
    pub fn crash(&self, node: &str, down: Duration) {
        self.kill(node, false, down);
    }

    /// Cuts a node's power: as [`crash`](Self::crash), and of what its disk had not synced, an end is lost.
    pub fn crash_disk(&self, node: &str, down: Duration) {
        self.kill(node, true, down);
    }

    fn kill(&self, node: &str, power: bool, down: Duration) {
        let Some(number) = self.inner.number(node) else { return };
        self.inner.note(number, node, if power { "crash of the disk" } else { "crash" });
        self.inner.kill(number, power);
        let inner = Arc::downgrade(&self.inner);
        let boot = move |_: &Arc<Core>| {
            if let Some(inner) = inner.upgrade() {
                inner.boot(number);
            }
        };
        self.inner.core.at(self.now() + down, Box::new(boot));
    }

    /// Ends all faults: what was held goes on, no message is delayed or doubled any more, and none of those that a
    /// [`Sim`](super::Sim) has planned strikes from now on. Crashed nodes come back at their time.
    pub fn calm(&self) {
        self.inner.calm.store(true, Ordering::Relaxed);
        self.inner.weather.calm();
        self.inner.core.release_all();
    }

    /// The appends that disks lost when their power failed.
    pub fn lost_appends(&self) -> u64 {
        self.inner.nodes.lock().iter().map(|node| node.disk.lost()).sum()
    }

    /// Counts of what the faults did: panics, messages delayed, messages doubled.
    pub fn weather(&self) -> (u64, u64, u64) {
        let Weather { panicked, delayed, doubled, .. } = &*self.inner.weather;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(panicked), read(delayed), read(doubled))
    }

    /// How many faults have struck: nodes that crashed, actors that were held or panicked, and times of delay or doubles that met
    /// a message, each counted once however many it met.
    pub fn faults(&self) -> u64 {
        let Weather { panicked, spells, .. } = &*self.inner.weather;
        let met = panicked.load(Ordering::Relaxed) + spells.load(Ordering::Relaxed);
        self.inner.struck.load(Ordering::Relaxed) + met
    }

    /// How often faults have struck: nodes that crashed, actors that were held or panicked, messages held up or doubled.
    pub fn struck(&self) -> u64 {
        let (panicked, delayed, doubled) = self.weather();
        self.inner.struck.load(Ordering::Relaxed) + panicked + delayed + doubled
    }
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
