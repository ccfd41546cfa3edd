//! Runs a scenario under many seeds: faults first, then none, everything twice, what must never be after every step.
//!
//! Called by tests, by `cargo xtask soak` through them, and by those who build on Synod.
//!
//! # Invariants
//! - A failure says the seed, what was broken, the last steps and the command that replays it.
//! - A seed passes only if its second run took the very same steps.

use std::{
    env, fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    World,
    fault::{self, Fault},
    trace::Trace,
};
use crate::{
    clock::Moment,
    limits::SIM_STEPS_MAX,
    planted::{self, Planted},
    work::panic_text,
};

/// Says what is wrong with the world and with what the scenario made, if anything is.
type Condition<S> = Box<dyn Fn(&World, &S) -> Option<String> + Send + Sync>;

/// The command that runs a seed alone.
type Replay = Box<dyn Fn(u64) -> String + Send + Sync>;

/// Builds nodes and clients in a world; returns what the conditions look at.
type Build<S> = Box<dyn Fn(&World) -> S + Send + Sync>;

/// A scenario, the seeds and faults to run it under, and what must hold.
pub struct Sim<S> {
    build: Build<S>,
    seeds: u64,
    threads: usize,
    faults: Vec<Fault>,
    count: u32,
    storm: Duration,
    healing: Duration,
    always: Vec<Condition<S>>,
    finally: Vec<Condition<S>>,
    spared: Vec<String>,
    replay: Option<Replay>,
    planted: Option<Planted>,
}

/// Describes a simulation of what `build` starts in a world.
///
/// What `build` returns is shown to the conditions of [`never`](Sim::never) and [`finally`](Sim::finally).
pub fn sim<S>(build: impl Fn(&World) -> S + Send + Sync + 'static) -> Sim<S> {
    Sim {
        build: Box::new(build),
        seeds: 100,
        threads: 1,
        faults: Vec::new(),
        count: 10,
        storm: Duration::from_secs(10),
        healing: Duration::from_secs(60),
        always: Vec::new(),
        finally: Vec::new(),
        spared: Vec::new(),
        replay: None,
        planted: None,
    }
}

/// What a simulation did, over all seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The seeds that passed.
    pub seeds: u64,
    /// The steps that actors took, second runs not counted.
    pub steps: u64,
    /// The fewest steps of one seed.
    pub steps_min: u64,
    /// The virtual time that passed, second runs not counted.
    pub time: Duration,
    /// All traces in one hash: what another process must get for the same seeds.
    pub hash: u64,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub seed: u64,
    /// What was broken.
    pub problem: String,
    /// The last steps before it, a line each.
    pub steps: String,
    /// The command that runs this seed alone.
    pub replay: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, problem, steps, replay } = self;
        write!(out, "seed {seed}: {problem}\n  the last steps:\n{steps}  replay it: {replay}")
    }
}

impl std::error::Error for Failure {}

/// One run of one seed.
struct Run {
    problem: Option<String>,
    trace: Trace,
    steps: u64,
    time: Duration,
}

impl<S> Sim<S> {
    /// Runs under the seeds 1 to `seeds`; 100 by default. `SYNOD_SEEDS` in the environment overrides it, `SYNOD_SEED` names one.
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Runs so many seeds at a time, each on one thread; 1 by default.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Lets faults of these kinds strike; none by default.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().collect();
        self
    }

    /// Makes no actor of these names panic, as supervisors are not: those on whom others depend and whom nobody restarts.
    #[must_use]
    pub fn spare(mut self, actors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.spared = actors.into_iter().map(Into::into).collect();
        self
    }

    /// How many faults strike in a run; 10 by default.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// How long faults strike; 10 s of virtual time by default.
    #[must_use]
    pub fn storm(mut self, storm: Duration) -> Self {
        self.storm = storm;
        self
    }

    /// How long the world has then to come to rest, without faults; 60 s of virtual time by default.
    #[must_use]
    pub fn healing(mut self, healing: Duration) -> Self {
        self.healing = healing;
        self
    }

    /// Fails when the condition holds after any step.
    #[must_use]
    pub fn never(
        self,
        what: impl Into<String>,
        holds: impl Fn(&World, &S) -> bool + Send + Sync + 'static,
    ) -> Self {
        let broken = format!("happened though it must never: {}", what.into());
        self.invariant(move |world, seen| holds(world, seen).then(|| broken.clone()))
    }

    /// Fails, after any step, with what `wrong` says then.
    #[must_use]
    pub fn invariant(
        mut self,
        wrong: impl Fn(&World, &S) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.always.push(Box::new(wrong));
        self
    }

    /// Fails when the condition does not hold once the world has healed.
    #[must_use]
    pub fn finally(
        self,
        what: impl Into<String>,
        holds: impl Fn(&World, &S) -> bool + Send + Sync + 'static,
    ) -> Self {
        let broken = format!("does not hold in the end: {}", what.into());
        self.outcome(move |world, seen| (!holds(world, seen)).then(|| broken.clone()))
    }

    /// Fails, once the world has healed, with what `wrong` says then.
    #[must_use]
    pub fn outcome(
        mut self,
        wrong: impl Fn(&World, &S) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.finally.push(Box::new(wrong));
        self
    }

    /// Says with which command a failed seed runs alone; without it, `SYNOD_SEED` and `cargo test` with the test's name.
    #[must_use]
    pub fn replay(mut self, command: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        self.replay = Some(Box::new(command));
        self
    }

    /// Gives the kernel a fault, to see it found.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn plant(mut self, fault: Planted) -> Self {
        self.planted = Some(fault);
        self
    }

    /// Runs all seeds.
    ///
    /// # Panics
    /// With the [`Failure`] of the first seed that fails.
    pub fn run(&self) -> Report {
        let checked = self.check();
        let failure = checked.as_ref().err().map(ToString::to_string);
        assert!(failure.is_none(), "{}", failure.unwrap_or_default());
        checked.unwrap_or_default()
    }

    /// Runs all seeds, until one fails.
    ///
    /// # Errors
    /// The failure of the lowest seed among those that failed.
    pub fn check(&self) -> Result<Report, Failure> {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let (first, last) = match number("SYNOD_SEED") {
            Some(seed) => (seed, seed),
            None => (1, number("SYNOD_SEEDS").unwrap_or(self.seeds)),
        };
        let next = AtomicU64::new(first);
        let found: Mutex<(Report, Option<Failure>)> = Mutex::default();
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > last || found.lock().1.is_some() {
                    return;
                }
                let checked = self.check_seed(seed);
                let (report, failure) = &mut *found.lock();
                match checked {
                    Ok(run) => report.add(&run),
                    Err(new) if failure.as_ref().is_none_or(|old| new.seed < old.seed) => {
                        *failure = Some(new);
                    }
                    Err(_) => {}
                }
            }
        };
        if self.threads == 1 {
            work();
        } else {
            thread::scope(|scope| {
                for _ in 0..self.threads {
                    scope.spawn(work);
                }
            });
        }
        let (report, failure) = found.into_inner();
        failure.map_or(Ok(report), Err)
    }

    /// Runs one seed twice.
    ///
    /// # Errors
    /// What was broken in it.
    pub fn check_seed(&self, seed: u64) -> Result<Report, Failure> {
        let first = self.once(seed, Trace::default());
        if let Some(problem) = first.problem {
            return Err(self.failure(seed, problem, &first.trace));
        }
        let hash = first.trace.hash();
        let (steps, time) = (first.steps, first.time);
        let second = self.once(seed, Trace::like(first.trace.into_steps()));
        let late = (second.trace.hash() != hash)
            .then(|| "the second run of the seed took other steps".to_owned());
        match second.trace.difference().or(second.problem).or(late) {
            Some(problem) => Err(self.failure(seed, problem, &second.trace)),
            None => Ok(Report { seeds: 1, steps, steps_min: steps, time, hash }),
        }
    }

    fn failure(&self, seed: u64, problem: String, trace: &Trace) -> Failure {
        let replay = match &self.replay {
            Some(replay) => replay(seed),
            None => format!("SYNOD_SEED={seed} cargo test {}", test_name()),
        };
        Failure { seed, problem, steps: trace.latest(), replay }
    }

    fn once(&self, seed: u64, trace: Trace) -> Run {
        planted::plant(self.planted);
        let world = World::traced(seed, trace);
        *world.inner.spared.lock() = self.spared.clone();
        let live = || {
            let seen = (self.build)(&world);
            self.live(&world, &seen)
        };
        let problem = match catch_unwind(AssertUnwindSafe(live)) {
            Ok(problem) => problem,
            Err(panic) => Some(panic_text(&*panic)),
        };
        let (steps, time) = (world.steps(), world.now().since(Moment::START));
        let run = Run { problem, steps, time, trace: world.into_trace() };
        planted::plant(None);
        run
    }

    /// Lets the storm pass and the world heal; returns what was broken.
    fn live(&self, world: &World, seen: &S) -> Option<String> {
        let mut steps = 0;
        if !self.faults.is_empty() {
            fault::plan(world, &self.faults, self.count, self.storm);
            let broken = self.until(world, seen, Moment::START + self.storm, &mut steps);
            if broken.is_some() {
                return broken;
            }
            world.calm();
        }
        let healed = world.now() + self.healing;
        let broken = self.until(world, seen, healed, &mut steps);
        if broken.is_some() {
            return broken;
        }
        let clients = world.clients();
        if let Some(client) = clients.first() {
            let time = self.healing;
            return Some(format!("client {client} still waits, {time:?} after the last fault"));
        }
        self.finally.iter().find_map(|wrong| wrong(world, seen))
    }

    /// Runs the world until `limit`; returns what was broken.
    fn until(&self, world: &World, seen: &S, limit: Moment, steps: &mut u64) -> Option<String> {
        let core = &world.inner.core;
        while world.now() < limit && core.step(limit) {
            *steps += 1;
            if *steps > SIM_STEPS_MAX {
                return Some(format!("does not come to rest in {SIM_STEPS_MAX} steps"));
            }
            if let Some(broken) = core.broken() {
                return Some(broken);
            }
            let wrong = self.always.iter().find_map(|wrong| wrong(world, seen));
            if wrong.is_some() {
                return wrong;
            }
        }
        core.clock.advance_to(limit.min(core.next_due().unwrap_or(core.now())));
        None
    }
}

impl<S> fmt::Debug for Sim<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sim({} seeds, {:?})", self.seeds, self.faults)
    }
}

impl Report {
    /// Adds what another seed did.
    pub fn add(&mut self, other: &Self) {
        self.steps_min =
            if self.seeds == 0 { other.steps_min } else { self.steps_min.min(other.steps_min) };
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.time += other.time;
        // In whatever order the threads come.
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

/// The name of the present test, as `cargo test` would find it.
fn test_name() -> String {
    let named = thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    // A runner that starts a process a test names it last.
    named
        .or_else(|| {
            env::args().skip(1).filter(|word| !word.starts_with('-')).reduce(|_, last| last)
        })
        .unwrap_or_default()
}
