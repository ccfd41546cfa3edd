//! The course of a swarm: from tick to tick, whoever decides for its agents.
//!
//! [`begin_tick`](Course::begin_tick), then for each [`Round`] what its agents decided to [`apply`](Course::apply), then
//! [`end_tick`](Course::end_tick). [`run`](Course::run) does all of it in place; the pattern's coordinator has actors decide.

mod deciding;
mod rounds;
mod saved;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use deciding::{Acts, Job, decide};
pub use rounds::Round;
use rounds::Rounds;
pub use saved::Missed;

use super::{
    Activation, Best, Candidate, Model, Moment, Spans, Throws,
    detect::{Detector, Emerged, Finding, Pattern, Sight},
    number,
    trace::{Row, Trace},
};
use crate::{guard::guarded, limits::EMERGED_MAX};

/// The stage that the dice of the swarm as a whole are of.
const NO_STAGE: u32 = u32::MAX;

/// Changes the world from outside, before a tick; it is told the best so far.
pub type Change<M> = Box<
    dyn Fn(
            &M,
            &mut <M as Model>::World,
            Option<&Best<<M as Model>::Solution>>,
        ) -> Result<(), String>
        + Send
        + Sync,
>;

/// All that a course follows from, but its seed.
pub struct Setup<M: Model> {
    /// What the swarm is.
    pub model: Arc<M>,
    /// In which order agents act.
    pub activation: Activation,
    /// The ticks after which it ends.
    pub ticks: u64,
    /// What happens from outside, before which ticks.
    pub changes: Vec<(u64, Change<M>)>,
    /// What looks at the world after each tick.
    pub detectors: Vec<Box<dyn Detector<M>>>,
}

impl<M: Model> Setup<M> {
    /// So many ticks, all agents at a time, nothing from outside, and nobody who looks.
    pub fn new(model: M, ticks: u64) -> Self {
        Self::of(Arc::new(model), ticks)
    }

    /// The same, of a model that others have too.
    pub fn of(model: Arc<M>, ticks: u64) -> Self {
        let (activation, changes, detectors) = (Activation::default(), Vec::new(), Vec::new());
        Self { model, activation, ticks, changes, detectors }
    }
}

impl<M: Model> fmt::Debug for Setup<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { activation, ticks, changes, detectors, .. } = self;
        let counts = (changes.len(), detectors.len());
        write!(out, "Setup({activation:?}, {ticks} ticks, {counts:?} changes and detectors)")
    }
}

/// Why a course is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// A detector found a solution, for this reason.
    Solution {
        /// Which.
        why: String,
    },
    /// All ticks are done.
    Ticks,
    /// Its time is over.
    Time,
    /// There can be no solution, for this reason.
    Hopeless {
        /// Which.
        why: String,
    },
}

/// A swarm between two ticks, or in one.
pub struct Course<M: Model> {
    setup: Arc<Setup<M>>,
    seed: u64,
    world: Arc<M::World>,
    /// Ticks that are done.
    tick: u64,
    best: Option<Best<M::Solution>>,
    emerged: Vec<Emerged<M::Solution>>,
    /// Why the last tick's best solves it, if it does.
    solved: Option<String>,
    trace: Trace,
    rounds: Rounds,
    /// Something of the next tick is in the world already.
    torn: bool,
}

impl<M: Model> Course<M> {
    /// A swarm before its first tick.
    ///
    /// # Errors
    /// What is wrong with the setup, and what to change.
    pub fn begin(setup: Arc<Setup<M>>, seed: u64) -> Result<Self, String> {
        check(&setup)?;
        let model = &setup.model;
        let mut dice = Throws::new(seed, 0, NO_STAGE).of_swarm();
        let world = guarded("the making of the world", || model.world(&mut dice)).flatten()?;
        if model.born(&world) == 0 {
            return Err("a swarm has no agents; give it one at the least".to_owned());
        }
        let known = guarded("the look for an answer", || model.at_once(&world))?;
        let trace = Trace::new(model.measures());
        let mut course = Self {
            world: Arc::new(world),
            setup,
            seed,
            tick: 0,
            best: None,
            emerged: Vec::new(),
            solved: None,
            trace,
            rounds: Rounds::default(),
            torn: false,
        };
        course.consider(known);
        Ok(course)
    }

    /// Runs it to its end, in place: the moves in `missed` are missed.
    ///
    /// # Errors
    /// The model panicked, or a change was not possible.
    pub fn run(&mut self, missed: &Missed) -> Result<End, String> {
        loop {
            if let Some(end) = self.over()? {
                return Ok(end);
            }
            self.tick(missed)?;
        }
    }

    /// Does one tick, in place.
    fn tick(&mut self, missed: &Missed) -> Result<(), String> {
        let nobody = Spans::default();
        let (mut scratch, mut count) = (M::Scratch::default(), 0);
        self.begin_tick()?;
        while let Some(Round { stage, agents }) = self.next_round() {
            let except = missed.get(&(self.tick + 1, stage)).unwrap_or(&nobody);
            let job = self.job(stage, agents, except);
            let world = Arc::clone(&self.world);
            let acts = decide(&*self.setup.model, &world, job, &mut scratch, Vec::new());
            drop(world);
            count += acts.missed().map_or(0, Spans::len);
            self.apply(acts)?;
        }
        self.end_tick(count)
    }

    /// What is asked of these agents in this stage.
    pub fn job<'a>(&self, stage: u32, agents: std::ops::Range<u32>, except: &'a Spans) -> Job<'a> {
        Job { seed: self.seed, tick: self.tick + 1, stage, agents, except }
    }

    /// Begins the next tick: does what happens from outside, and orders the agents.
    ///
    /// # Errors
    /// A change was not possible.
    pub fn begin_tick(&mut self) -> Result<(), String> {
        let (setup, next) = (Arc::clone(&self.setup), self.tick + 1);
        for (_, change) in setup.changes.iter().filter(|(tick, _)| *tick == next) {
            let (model, best) = (&*setup.model, self.best.as_ref());
            let world = Arc::make_mut(&mut self.world);
            guarded("a change from outside", || change(model, world, best))
                .flatten()
                .map_err(|why| format!("what happens before tick {next}: {why}"))?;
            self.torn = true;
            self.price_again()?;
        }
        let dice = Throws::new(self.seed, next, NO_STAGE).of_swarm();
        self.rounds = Rounds::of(setup.activation, self.born(), dice);
        Ok(())
    }

    /// The next round of the tick.
    pub fn next_round(&mut self) -> Option<Round> {
        let (model, world) = (&self.setup.model, &self.world);
        self.rounds.next(|agent| model.lives(world, agent))
    }

    /// Does in the world what agents have decided.
    ///
    /// # Errors
    /// The model panicked.
    pub fn apply(&mut self, acts: Acts<M::Action>) -> Result<Vec<M::Action>, String> {
        self.torn |= !acts.is_empty();
        let (model, world) = (&*self.setup.model, Arc::make_mut(&mut self.world));
        guarded("the doing of actions", || {
            acts.each(|agent, action| {
                if model.lives(world, agent) {
                    model.apply(world, agent, action);
                }
            })
        })
    }

    /// Ends the tick, in which so many moves were missed.
    ///
    /// # Errors
    /// The model panicked.
    pub fn end_tick(&mut self, missed: u64) -> Result<(), String> {
        let (setup, tick) = (Arc::clone(&self.setup), self.tick + 1);
        let (model, seed, best) = (&*setup.model, self.seed, self.best.as_ref());
        let world = Arc::make_mut(&mut self.world);
        let dice = Throws::new(seed, tick, NO_STAGE - 1).of_swarm();
        let found =
            guarded("the end of a tick", || model.advance(world, Moment { tick, best, dice }))?;
        (self.tick, self.solved, self.torn) = (tick, None, false);
        let cost = found.as_ref().map(|found| found.cost).filter(|cost| cost.is_finite());
        self.consider(found);
        self.look()?;
        let measures = guarded("the measures of a tick", || model.measure(&self.world))?;
        let best = self.best.as_ref().map(|best| best.cost);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.trace.push(Row { tick, agents: self.living(), missed, found: cost, best, measures });
        Ok(())
    }

    /// Why it is over, if it is: to be asked between two ticks.
    ///
    /// # Errors
    /// The model panicked.
    pub fn over(&self) -> Result<Option<End>, String> {
        if let (Some(why), Some(_)) = (&self.solved, &self.best) {
            return Ok(Some(End::Solution { why: why.clone() }));
        }
        let is_known = self.tick == 0 && self.best.is_some();
        if is_known {
            return Ok(Some(End::Solution {
                why: "it was known before the first tick".to_owned(),
            }));
        }
        if self.tick >= self.setup.ticks {
            return Ok(Some(End::Ticks));
        }
        let is_settled = self.setup.changes.iter().all(|(tick, _)| *tick <= self.tick);
        if self.best.is_some() || !is_settled {
            return Ok(None);
        }
        let model = &self.setup.model;
        let why = guarded("the look for hope", || model.hopeless(&self.world))?;
        Ok(why.map(|why| End::Hopeless { why }))
    }

    /// Lets the detectors look at the tick that has ended.
    fn look(&mut self) -> Result<(), String> {
        let setup = Arc::clone(&self.setup);
        for detector in &setup.detectors {
            let sight = Sight { world: &*self.world, tick: self.tick, best: self.best.as_ref() };
            match guarded("a detector", || detector.detect(&setup.model, sight))? {
                Finding::Nothing => {}
                Finding::Solution(why) => self.solved = Some(why),
                Finding::Pattern(pattern) => self.extract(pattern)?,
            }
        }
        Ok(())
    }

    /// Takes a pattern, and what it comes to.
    fn extract(&mut self, pattern: Pattern<M::Solution>) -> Result<(), String> {
        if let Some(solution) = pattern.extracted.clone() {
            let price = || self.setup.model.price(&self.world, &solution);
            let cost = guarded("the pricing of a solution", price)?;
            self.consider(cost.map(|cost| Candidate { cost, solution }));
        }
        self.note(pattern);
        Ok(())
    }

    /// Notes a pattern: that of the tick before goes on, or one that comes to the same is back, or another one begins.
    fn note(&mut self, pattern: Pattern<M::Solution>) {
        let (tick, is_full) = (self.tick, self.emerged.len() >= EMERGED_MAX);
        let last = self.emerged.iter_mut().rev().find(|own| own.pattern.name == pattern.name);
        let is_same =
            |own: &Emerged<M::Solution>| match (&own.pattern.extracted, &pattern.extracted) {
                (Some(own), Some(new)) => own == new,
                (None, _) | (_, None) => own.until + 1 >= tick,
            };
        match last {
            Some(own) if is_full || is_same(own) => own.until = tick,
            None if is_full => {}
            Some(_) | None => self.emerged.push(Emerged { since: tick, until: tick, pattern }),
        }
    }

    /// Takes what was found for the best so far, if it is better.
    fn consider(&mut self, found: Option<Candidate<M::Solution>>) {
        let Some(Candidate { cost, solution }) = found else { return };
        let is_better = match &self.best {
            Some(best) => cost < best.cost,
            None => !cost.is_nan(),
        };
        if is_better {
            self.best = Some(Best { tick: self.tick, cost, solution });
        }
    }

    /// The world has changed from outside: what the best so far costs now.
    fn price_again(&mut self) -> Result<(), String> {
        let Some(best) = self.best.take() else { return Ok(()) };
        let model = &self.setup.model;
        let cost =
            guarded("the pricing of a solution", || model.price(&self.world, &best.solution))?;
        self.best = cost.map(|cost| Best { cost, ..best });
        Ok(())
    }

    /// The ticks that are done.
    pub fn ticks(&self) -> u64 {
        self.tick
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The best so far.
    pub fn best(&self) -> Option<&Best<M::Solution>> {
        self.best.as_ref()
    }

    /// The patterns that have emerged, in the order in which they did first.
    pub fn emerged(&self) -> &[Emerged<M::Solution>] {
        &self.emerged
    }

    /// A row for each tick.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The world as it is.
    pub fn world(&self) -> &Arc<M::World> {
        &self.world
    }

    /// What the course follows from.
    pub fn setup(&self) -> &Arc<Setup<M>> {
        &self.setup
    }

    /// The agents that were ever born.
    pub fn born(&self) -> u32 {
        self.setup.model.born(&self.world)
    }

    /// The agents that live.
    pub fn living(&self) -> u32 {
        let (model, world) = (&self.setup.model, &self.world);
        number((0..self.born()).filter(|agent| model.lives(world, *agent)).count())
    }
}

impl<M: Model> fmt::Debug for Course<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = self.best.as_ref().map(|best| best.cost);
        write!(out, "Course(seed {}, {} ticks, best {best:?})", self.seed, self.tick)
    }
}

/// Everything that is wrong with a setup.
fn check<M: Model>(setup: &Setup<M>) -> Result<(), String> {
    let mut problems = Vec::new();
    if setup.ticks == 0 {
        problems.push("a swarm of 0 ticks finds nothing; give it one at the least".to_owned());
    }
    if setup.activation == Activation::Staged(0) {
        problems.push("a tick of 0 stages moves nobody; give it one at the least".to_owned());
    }
    let mut late = BTreeMap::new();
    for (tick, _) in setup.changes.iter().filter(|(tick, _)| *tick == 0 || *tick > setup.ticks) {
        *late.entry(tick).or_insert(0) += 1;
    }
    problems.extend(
        late.keys().map(|tick| {
            format!("a change comes before tick {tick}, of ticks 1 to {}", setup.ticks)
        }),
    );
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
