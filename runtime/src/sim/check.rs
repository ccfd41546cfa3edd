//! Runs a scenario under many seeds: faults first, then none, everything twice, what must never be after every step.
//!
//! Called by tests, by `cargo xtask soak` through them, and by those who build on Synod.
//!
//! # Invariants
//! - A failure says the seed, what was broken, the last steps and the command that replays it.
//! - A seed passes only if its second run took the very same steps.
//! - A seed passes only if its world came to rest, unless the scenario says that it never does.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    World,
    fault::{self, Fault},
    seeds,
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
    storm: Storm,
    healing: Duration,
    periodic: bool,
    always: Vec<Condition<S>>,
    finally: Vec<Condition<S>>,
    spared: Vec<String>,
    replay: Option<Replay>,
    planted: Option<Planted>,
}

/// How long faults strike.
#[derive(Clone, Copy)]
enum Storm {
    /// For so much virtual time.
    Time(Duration),
    /// Each within so many steps of actors after the one before.
    Steps(u64),
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
        storm: Storm::Time(Duration::from_secs(10)),
        healing: Duration::from_secs(60),
        periodic: false,
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
    /// How often faults struck, second runs not counted; see [`World::struck`].
    pub faults: u64,
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
    faults: u64,
    time: Duration,
}

/// A world on its way through storm and healing.
struct Passage<'a, S> {
    sim: &'a Sim<S>,
    world: &'a World,
    seen: &'a S,
    /// What it has done.
    turns: u64,
    /// The faults that wait for a step of the actors, the first one last.
    to_come: Vec<(u64, Fault)>,
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
        self.storm = Storm::Time(storm);
        self
    }

    /// Lets faults strike at steps that actors take, in place of at moments of virtual time: each at the most so many steps after
    /// the one before.
    ///
    /// So they meet the scenario at work, however little time that takes. To be met in all that it does, give the number of steps
    /// that it takes without faults. Those whose step does not come within the time of [`healing`](Sim::healing) do not strike.
    #[must_use]
    pub fn storm_steps(mut self, steps: u64) -> Self {
        self.storm = Storm::Steps(steps);
        self
    }

    /// How long the world has then to come to rest, without faults; 60 s of virtual time by default.
    ///
    /// At rest no task could run and no timer, deadline or event is to come; a world that is not by then fails the simulation.
    /// What is at rest sooner does not wait.
    #[must_use]
    pub fn healing(mut self, healing: Duration) -> Self {
        self.healing = healing;
        self
    }

    /// Says that actors of this scenario work for ever, by a timer that they set again and again: it need not come to rest.
    ///
    /// Clients must end all the same. Without this, an actor that never stops is a failure.
    #[must_use]
    pub fn with_periodic_actors(mut self) -> Self {
        self.periodic = true;
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
    /// With the [`Failure`] of the first seed that fails, and where [`check`](Sim::check) panics.
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
    ///
    /// # Panics
    /// When there is no seed to run, or `SYNOD_SEED` or `SYNOD_SEEDS` is no number.
    pub fn check(&self) -> Result<Report, Failure> {
        let chosen = seeds::chosen(self.seeds, seeds::variable);
        let refused = chosen.as_ref().err().cloned();
        assert!(refused.is_none(), "{}", refused.unwrap_or_default());
        let (first, count) = chosen.unwrap_or_default();
        // The threads below do not know which test they work for.
        let replay = self.command();
        let next = AtomicU64::new(0);
        let found: Mutex<(Report, Option<Failure>)> = Mutex::default();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count || found.lock().1.is_some() {
                    return;
                }
                let checked = self.twice(first.wrapping_add(number), &*replay);
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
        self.twice(seed, &*self.command())
    }

    /// The command that runs a seed alone; asked for on the thread of the test.
    fn command(&self) -> Box<dyn Fn(u64) -> String + Sync + '_> {
        match &self.replay {
            Some(replay) => Box::new(replay),
            None => Box::new(seeds::command()),
        }
    }

    fn twice(&self, seed: u64, replay: &(dyn Fn(u64) -> String + Sync)) -> Result<Report, Failure> {
        let failure = |problem, trace: &Trace| Failure {
            seed,
            problem,
            steps: trace.latest(),
            replay: replay(seed),
        };
        let first = self.once(seed, Trace::default());
        if let Some(problem) = first.problem {
            return Err(failure(problem, &first.trace));
        }
        let hash = first.trace.hash();
        let (steps, faults, time) = (first.steps, first.faults, first.time);
        let second = self.once(seed, Trace::like(first.trace.into_steps()));
        let late = (second.trace.hash() != hash)
            .then(|| "the second run of the seed took other steps".to_owned());
        match second.trace.difference().or(second.problem).or(late) {
            Some(problem) => Err(failure(problem, &second.trace)),
            None => Ok(Report { seeds: 1, steps, steps_min: steps, faults, time, hash }),
        }
    }

    fn once(&self, seed: u64, trace: Trace) -> Run {
        planted::plant(self.planted);
        let world = World::traced(seed, trace);
        *world.inner.spared.lock() = self.spared.clone();
        let live = || {
            let seen = (self.build)(&world);
            let passage =
                Passage { sim: self, world: &world, seen: &seen, turns: 0, to_come: Vec::new() };
            passage.live()
        };
        let problem = match catch_unwind(AssertUnwindSafe(live)) {
            Ok(problem) => problem,
            Err(panic) => Some(panic_text(&*panic)),
        };
        let (steps, faults) = (world.steps(), world.struck());
        let time = world.now().since(Moment::START);
        let run = Run { problem, steps, faults, time, trace: world.into_trace() };
        planted::plant(None);
        run
    }
}

impl<S> Passage<'_, S> {
    /// Lets the storm pass and the world heal; returns what was broken.
    fn live(mut self) -> Option<String> {
        let (sim, world) = (self.sim, self.world);
        if !sim.faults.is_empty() {
            let broken = match sim.storm {
                Storm::Time(time) => {
                    fault::plan(world, &sim.faults, sim.count, time);
                    self.until(Moment::START + time, |_| false)
                }
                Storm::Steps(steps) => {
                    self.to_come = fault::plan_by_steps(world, &sim.faults, (sim.count, steps));
                    self.until(Moment::START + sim.healing, |passage| passage.to_come.is_empty())
                }
            };
            if broken.is_some() {
                return broken;
            }
            self.to_come.clear();
            world.calm();
        }
        let broken = self.until(world.now() + sim.healing, |_| false);
        broken.or_else(|| self.unrest()).or_else(|| {
            let mut conditions = sim.finally.iter();
            conditions.find_map(|wrong| wrong(world, self.seen))
        })
    }

    /// Says who is not at rest though the world should have healed.
    fn unrest(&self) -> Option<String> {
        let (world, time) = (self.world, self.sim.healing);
        if let Some(client) = world.clients().first() {
            return Some(format!("client {client} still waits, {time:?} after the last fault"));
        }
        if self.sim.periodic || world.is_quiet() {
            return None;
        }
        let busy = world.busy();
        let who = match busy.is_empty() {
            true => "a timer is to come that nobody waits for".to_owned(),
            false => format!("still at work: {}", busy.join(", ")),
        };
        Some(format!(
            "does not come to rest within {time:?} after the last fault; {who}\n  let it end, give it longer by `healing`, or \
             say `with_periodic_actors()` if it works for ever"
        ))
    }

    /// Runs the world until `limit`, or until what is to come is `spent`; returns what was broken.
    fn until(&mut self, limit: Moment, spent: impl Fn(&Self) -> bool) -> Option<String> {
        let (world, seen) = (self.world, self.seen);
        let core = &world.inner.core;
        while world.now() < limit && !spent(self) && core.step(limit) {
            self.turns += 1;
            if self.turns > SIM_STEPS_MAX {
                return Some(format!("does not come to rest in {SIM_STEPS_MAX} steps"));
            }
            while let Some((_, fault)) = self.to_come.pop_if(|(at, _)| *at <= world.steps()) {
                fault::strike(world, fault);
            }
            if let Some(broken) = core.broken() {
                return Some(broken);
            }
            let wrong = self.sim.always.iter().find_map(|wrong| wrong(world, seen));
            if wrong.is_some() {
                return wrong;
            }
        }
        if !spent(self) {
            core.clock.advance_to(limit.min(core.next_due().unwrap_or(core.now())));
        }
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
        self.faults += other.faults;
        self.time += other.time;
        // In whatever order the threads come.
        self.hash = self.hash.wrapping_add(other.hash);
    }
}
