//! Ants that look for the shortest way between two places of a terrain, by the trails that the best of them leave.
//!
//! In a tick every ant walks once, from the start until it finds the goal. It sees the steps from where it stands, the trails on
//! them, and, on a grid, the direction of the goal: no distances around obstacles. It takes no place twice; where it cannot go on
//! it turns back. At the goal it goes home along its own way, and where two places of it lie next to each other it leaves out
//! what is between them.
//!
//! By default the trails are those of the MAX–MIN ant system, with the parameters of [`PathColony::new`].

mod convergence;
mod rules;
#[cfg(test)]
mod tests;
mod walk;

use serde::{Deserialize, Serialize};

pub use convergence::Convergence;
pub use rules::{
    Compass, Crowd, DecisionRule, MaxMin, MovementRule, PheromoneRule, ProportionalChoice,
    PseudoProportionalChoice, Step,
};
pub use walk::{Action, Exit, Surroundings, Walk, WalkScratch};

use super::{
    Candidate, Dice, Model, Moment, Turn, number,
    pheromone::Pheromone,
    terrain::{Place, Terrain},
};
use crate::limits::AGENTS_MAX;

/// A colony of ants with a start and a goal.
pub struct PathColony {
    terrain: Terrain,
    start: Place,
    goal: Place,
    ants: u32,
    evaporation: f64,
    movement: Box<dyn MovementRule>,
    decision: Box<dyn DecisionRule>,
    laying: Box<dyn PheromoneRule>,
    /// By step, how much ants want to take it, whatever the trail on it is.
    desires: Vec<f64>,
}

impl PathColony {
    /// 100 ants, of whose trails a tenth evaporates in each tick, who follow the [`Compass`], choose in proportion, and lay
    /// trails by [`MaxMin`].
    pub fn new(terrain: Terrain, start: Place, goal: Place) -> Self {
        let own = Self {
            terrain,
            start,
            goal,
            ants: 100,
            evaporation: 0.1,
            movement: Box::new(Compass::default()),
            decision: Box::new(ProportionalChoice),
            laying: Box::new(MaxMin::default()),
            desires: Vec::new(),
        };
        own.weighed()
    }

    /// Sets how many ants there are.
    #[must_use]
    pub fn ants(mut self, ants: u32) -> Self {
        self.ants = ants;
        self
    }

    /// Sets the share of all trails that evaporates in a tick.
    #[must_use]
    pub fn evaporation(mut self, share: f64) -> Self {
        self.evaporation = share;
        self
    }

    /// Sets how much ants want to take a step, whatever the trail on it is.
    #[must_use]
    pub fn movement(mut self, rule: impl MovementRule) -> Self {
        self.movement = Box::new(rule);
        self.weighed()
    }

    /// Sets how ants choose among steps.
    #[must_use]
    pub fn decision(mut self, rule: impl DecisionRule) -> Self {
        self.decision = Box::new(rule);
        self
    }

    /// Sets who leaves which trails.
    #[must_use]
    pub fn laying(mut self, rule: impl PheromoneRule) -> Self {
        self.laying = Box::new(rule);
        self
    }

    fn weighed(mut self) -> Self {
        let Self { terrain, movement, goal, .. } = &self;
        let of = |place: Place| {
            terrain.steps(place).map(move |step| {
                let before = terrain.bearing(place, *goal);
                let after = terrain.bearing(terrain.target(step), *goal);
                movement.desire(Step { cost: terrain.cost(step), before, after })
            })
        };
        self.desires = (0..number(terrain.places())).flat_map(of).collect();
        self
    }

    /// Where the ants walk.
    pub fn terrain(&self) -> &Terrain {
        &self.terrain
    }

    /// Where they start, and where they want to.
    pub fn ends(&self) -> (Place, Place) {
        (self.start, self.goal)
    }

    /// Puts an obstacle on a place, from now on; steps to it and past it are closed.
    ///
    /// # Errors
    /// It is the start, the goal, or no open place.
    pub fn block(&self, world: &mut PathWorld, place: Place) -> Result<(), String> {
        let name = self.terrain.name(place);
        if place == self.start || place == self.goal {
            return Err(format!("{name} is the start or the goal; put the obstacle elsewhere"));
        }
        if !self.terrain.is_open(place) {
            return Err(format!("{name} is no open place"));
        }
        world.blocked.push(place);
        world.closed.extend(self.terrain.past(place));
        world.closed.sort_unstable();
        world.closed.dedup();
        world.enclosed = false;
        Ok(())
    }

    /// What a way costs from start to goal; none where it is none, or leads over a closed step.
    pub fn cost_of(&self, world: &PathWorld, way: &[Place]) -> Option<f64> {
        if way.first() != Some(&self.start) || way.last() != Some(&self.goal) {
            return None;
        }
        let steps = way.iter().zip(way.iter().skip(1));
        let costs = steps.map(|(from, to)| {
            let step = self.terrain.step(*from, *to)?;
            (!world.is_closed(step)).then(|| self.terrain.cost(step))
        });
        costs.sum()
    }

    /// How strong the trail is along a way: that on its weakest step.
    pub fn strength_of(&self, world: &PathWorld, way: &[Place]) -> f64 {
        let steps = way.iter().zip(way.iter().skip(1));
        let strength = |(from, to): (&Place, &Place)| {
            self.terrain.step(*from, *to).map_or(0.0, |step| world.trails.strength(step))
        };
        steps.map(strength).fold(1.0, f64::min)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (what, place) in [("start", self.start), ("goal", self.goal)] {
            let name = self.terrain.name(place);
            if place as usize >= self.terrain.places() {
                problems.push(format!("the {what} {name} is outside of the terrain"));
            } else if !self.terrain.is_open(place) {
                problems
                    .push(format!("the {what} {name} is inside an obstacle; give a free place"));
            }
        }
        if self.ants as usize > AGENTS_MAX {
            problems.push(format!("{} ants; at most {AGENTS_MAX} are possible", self.ants));
        }
        problems
    }
}

impl std::fmt::Debug for PathColony {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.describe())
    }
}

/// What changes in the course of a colony.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathWorld {
    trails: Pheromone,
    /// Places that are closed since the beginning, and the steps that are therefore, ascending.
    blocked: Vec<Place>,
    closed: Vec<u32>,
    /// What the ants of this tick have brought, by ant.
    walks: Vec<Option<Walk>>,
    /// What became of the last tick's ants.
    crowd: Crowd,
    /// An ant has seen all that there is, and the goal was not there.
    enclosed: bool,
}

impl PathWorld {
    /// The trails, by step.
    pub fn trails(&self) -> &Pheromone {
        &self.trails
    }

    /// Places that became obstacles in the course of the swarm.
    pub fn blocked(&self) -> &[Place] {
        &self.blocked
    }

    /// What became of the last tick's ants.
    pub fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Whether a step cannot be taken any more.
    #[inline]
    pub fn is_closed(&self, step: usize) -> bool {
        !self.closed.is_empty() && self.closed.binary_search(&number(step)).is_ok()
    }
}

impl Model for PathColony {
    type World = PathWorld;
    type View<'a> = Surroundings<'a>;
    type Action = Action;
    type Scratch = WalkScratch;
    type Solution = Vec<Place>;

    fn describe(&self) -> String {
        let Self { terrain, ants, evaporation, .. } = self;
        let (start, goal) = (terrain.name(self.start), terrain.name(self.goal));
        let (places, steps) = (terrain.places(), terrain.len());
        format!(
            "{ants} ants from {start} to {goal} over {places} places and {steps} steps, evaporation {evaporation}"
        )
    }

    fn world(&self, _: &mut Dice) -> Result<PathWorld, String> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let trails = Pheromone::new(self.terrain.len(), self.evaporation, self.laying.first())?;
        let (blocked, closed) = (Vec::new(), Vec::new());
        let walks = vec![None; self.ants as usize];
        Ok(PathWorld { trails, blocked, closed, walks, crowd: Crowd::default(), enclosed: false })
    }

    fn born(&self, _: &PathWorld) -> u32 {
        self.ants
    }

    fn view<'a>(&'a self, world: &'a PathWorld, _: u32) -> Surroundings<'a> {
        Surroundings::new(self, world)
    }

    fn decide(&self, view: Surroundings<'_>, turn: &mut Turn, scratch: &mut WalkScratch) -> Action {
        view.walk(&*self.decision, &mut turn.dice, scratch)
    }

    fn apply(&self, world: &mut PathWorld, agent: u32, action: Action) {
        match action {
            Action::Arrived(walk) => {
                if let Some(own) = world.walks.get_mut(agent as usize) {
                    *own = Some(walk);
                }
            }
            Action::Enclosed => world.enclosed = true,
        }
    }

    fn advance(
        &self,
        world: &mut PathWorld,
        moment: Moment<'_, Vec<Place>>,
    ) -> Option<Candidate<Vec<Place>>> {
        let walks: Vec<Walk> = world.walks.iter_mut().filter_map(Option::take).collect();
        world.crowd = Crowd::of(&walks, self.ants);
        self.lay(world, &walks, &moment);
        walks
            .iter()
            .reduce(cheaper)
            .map(|walk| Candidate { cost: walk.cost, solution: walk.way.clone() })
    }

    fn at_once(&self, _: &PathWorld) -> Option<Candidate<Vec<Place>>> {
        let is_there = self.start == self.goal;
        is_there.then(|| Candidate { cost: 0.0, solution: vec![self.start] })
    }

    fn price(&self, world: &PathWorld, way: &Vec<Place>) -> Option<f64> {
        self.cost_of(world, way)
    }

    fn hopeless(&self, world: &PathWorld) -> Option<String> {
        let (start, goal) = (self.terrain.name(self.start), self.terrain.name(self.goal));
        let why =
            || format!("no way leads from {start} to {goal}: an ant has been everywhere else");
        world.enclosed.then(why)
    }

    fn measures(&self) -> &'static [&'static str] {
        &["arrived", "share", "strength"]
    }

    fn measure(&self, world: &PathWorld) -> Vec<f64> {
        let Crowd { arrived, share, way, .. } = &world.crowd;
        vec![f64::from(*arrived), *share, self.strength_of(world, way)]
    }
}

impl PathColony {
    /// Lets the ants of a tick lay their trails.
    fn lay(&self, world: &mut PathWorld, walks: &[Walk], moment: &Moment<'_, Vec<Place>>) {
        let found = walks.iter().reduce(cheaper);
        let known = moment.best.map(|best| Walk { cost: best.cost, way: best.solution.clone() });
        let best = known.iter().chain(found).reduce(cheaper);
        let tick = rules::Tick { tick: moment.tick, walks, found, best };
        self.laying.lay(&self.terrain, &mut world.trails, tick);
    }
}

/// The cheaper of two walks; the first one where they cost the same.
fn cheaper<'a>(one: &'a Walk, other: &'a Walk) -> &'a Walk {
    if other.cost < one.cost { other } else { one }
}
