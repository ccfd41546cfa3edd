//! Foragers: ants that look for food, bring it to their nest, and leave a trail on their way home; they die, and are born.
//!
//! A forager sees the places within two steps: the food there and the trails. It remembers the way that it came by, without its
//! detours, and goes home along it once it has food, or when its strength runs low: each step costs a unit of that, and at the nest
//! it is fed again. It dies of old age, and what it carries stays where it is; the more is brought, the more are born.

use serde::{Deserialize, Serialize};

use super::{
    Candidate, Dice, Model, Moment, Turn, number,
    pheromone::Pheromone,
    resources::Resources,
    terrain::{Place, Terrain},
};
use crate::limits::AGENTS_MAX;

/// What a colony is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The foragers that it begins with.
    pub foragers: u32,
    /// The steps that a forager can do between two meals.
    pub strength: u32,
    /// The ticks that it lives.
    pub lifespan: u32,
    /// The units of food brought for which a forager is born; 0 for none ever.
    pub brood: u32,
    /// The share of all trails that evaporates in a tick.
    pub evaporation: f64,
    /// How much stronger food that is seen draws than the strongest trail.
    pub appetite: f64,
}

impl Default for Options {
    fn default() -> Self {
        let (foragers, strength, lifespan) = (50, 300, 5_000);
        Self { foragers, strength, lifespan, brood: 20, evaporation: 0.02, appetite: 10.0 }
    }
}

/// A colony of foragers with its nest and where food is.
#[derive(Debug)]
pub struct Foragers {
    terrain: Terrain,
    nest: Place,
    food: Vec<(Place, u32)>,
    options: Options,
}

impl Foragers {
    /// A colony whose nest is at a place of a terrain, with so many units of food at these places.
    pub fn new(terrain: Terrain, nest: Place, food: Vec<(Place, u32)>, options: Options) -> Self {
        Self { terrain, nest, food, options }
    }

    /// Where they walk.
    pub fn terrain(&self) -> &Terrain {
        &self.terrain
    }

    /// Where the nest is.
    pub fn nest(&self) -> Place {
        self.nest
    }

    /// Where food was at the beginning, and how much.
    pub fn food(&self) -> &[(Place, u32)] {
        &self.food
    }

    fn problems(&self) -> Vec<String> {
        let Options { foragers, strength, lifespan, appetite, .. } = self.options;
        let mut problems = Vec::new();
        if !self.terrain.is_open(self.nest) {
            let name = self.terrain.name(self.nest);
            problems.push(format!("the nest {name} is at no open place; give a free one"));
        }
        for (place, _) in self.food.iter().filter(|(place, _)| !self.terrain.is_open(*place)) {
            problems.push(format!("food lies at {}, no open place", self.terrain.name(*place)));
        }
        if self.food.iter().all(|(_, units)| *units == 0) {
            problems.push("there is no food; put some somewhere".to_owned());
        }
        if foragers as usize > AGENTS_MAX {
            problems.push(format!("{foragers} foragers; at most {AGENTS_MAX} are possible"));
        }
        if strength < 2 {
            problems.push(format!("a strength of {strength} is none; give 2 at the least"));
        }
        if lifespan == 0 {
            problems.push("a lifespan of 0 ticks; give one at the least".to_owned());
        }
        if !(appetite >= 0.0 && appetite.is_finite()) {
            problems.push(format!("an appetite of {appetite}; give one from 0"));
        }
        problems
    }
}

/// One forager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forager {
    /// The way from the nest to where it is, without detours.
    way: Vec<Place>,
    /// It has a unit of food.
    laden: bool,
    /// It goes home.
    homeward: bool,
    /// The steps that it has left until it must eat.
    strength: u32,
    /// The ticks that it has left; 0 of the dead.
    lifespan: u32,
}

impl Forager {
    fn at(nest: Place, Options { strength, lifespan, .. }: Options) -> Self {
        Self { way: vec![nest], laden: false, homeward: false, strength, lifespan }
    }

    /// Where it is.
    pub fn place(&self) -> Option<Place> {
        self.way.last().copied()
    }

    /// Whether it has a unit of food.
    pub fn is_laden(&self) -> bool {
        self.laden
    }
}

/// What changes in the course of a colony.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Colony {
    food: Resources,
    /// By place.
    trails: Pheromone,
    foragers: Vec<Forager>,
    living: u32,
    /// Units that were brought home.
    brought: u64,
}

impl Colony {
    /// The food that is left.
    pub fn food(&self) -> &Resources {
        &self.food
    }

    /// The trails, by place.
    pub fn trails(&self) -> &Pheromone {
        &self.trails
    }

    /// All foragers that were ever born, by number.
    pub fn foragers(&self) -> &[Forager] {
        &self.foragers
    }

    /// The units of food that were brought home.
    pub fn brought(&self) -> u64 {
        self.brought
    }
}

/// What a forager sees: itself, and what lies within two steps.
#[derive(Clone, Copy, Debug)]
pub struct Vicinity<'a> {
    foragers: &'a Foragers,
    colony: &'a Colony,
    agent: u32,
}

impl<'a> Vicinity<'a> {
    fn own(&self) -> Option<&'a Forager> {
        self.colony.foragers.get(self.agent as usize)
    }

    /// The places one step away.
    fn beside(self, place: Place) -> impl Iterator<Item = Place> {
        let terrain = &self.foragers.terrain;
        terrain.steps(place).map(|step| terrain.target(step))
    }

    /// How much a place draws: by the trail on it, and by food on it or beside it.
    fn draw(self, place: Place) -> f64 {
        let food = &self.colony.food;
        let (trails, appetite) = (&self.colony.trails, self.foragers.options.appetite);
        let smells = food.at(place) > 0 || self.beside(place).any(|next| food.at(next) > 0);
        let (_, high) = trails.bounds();
        trails.trail(place as usize) + if smells { appetite * high } else { 0.0 }
    }
}

/// What a forager does in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It stays where it is.
    Stay,
    /// It goes on to a place beside.
    Go(Place),
    /// It takes a unit of food from where it is.
    Take,
    /// It goes one step back on its way, and leaves a trail if it has food.
    Return,
}

impl Model for Foragers {
    type World = Colony;
    type View<'a> = Vicinity<'a>;
    type Action = Deed;
    type Scratch = (Vec<Place>, Vec<f64>);
    type Solution = u64;

    fn describe(&self) -> String {
        let Self { terrain, nest, food, options } = self;
        let units: u64 = food.iter().map(|(_, units)| u64::from(*units)).sum();
        let (places, nest) = (terrain.places(), terrain.name(*nest));
        format!("foragers of {nest} and {units} units of food on {places} places, {options:?}")
    }

    fn world(&self, _: &mut Dice) -> Result<Colony, String> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let Options { foragers, evaporation, .. } = self.options;
        let places = self.terrain.places();
        let mut food = Resources::new(places);
        self.food.iter().for_each(|(place, units)| food.put(*place, *units));
        let mut trails = Pheromone::new(places, evaporation, (LEAST, LEAST))?;
        trails.set_bounds(LEAST, 1.0);
        let foragers =
            (0..foragers).map(|_| Forager::at(self.nest, self.options)).collect::<Vec<_>>();
        Ok(Colony { food, trails, living: number(foragers.len()), foragers, brought: 0 })
    }

    fn born(&self, colony: &Colony) -> u32 {
        number(colony.foragers.len())
    }

    fn lives(&self, colony: &Colony, agent: u32) -> bool {
        colony.foragers.get(agent as usize).is_some_and(|own| own.lifespan > 0)
    }

    fn view<'a>(&'a self, colony: &'a Colony, agent: u32) -> Vicinity<'a> {
        Vicinity { foragers: self, colony, agent }
    }

    fn decide(&self, view: Vicinity<'_>, turn: &mut Turn, scratch: &mut Self::Scratch) -> Deed {
        let Some((own, here)) = view.own().and_then(|own| Some((own, own.place()?))) else {
            return Deed::Stay;
        };
        if !own.laden && view.colony.food.at(here) > 0 {
            return Deed::Take;
        }
        if own.homeward && own.way.len() > 1 {
            return Deed::Return;
        }
        let (places, draws) = scratch;
        places.clear();
        draws.clear();
        let before = own.way.len().checked_sub(2).and_then(|at| own.way.get(at)).copied();
        for place in view.beside(here) {
            // Back is where there is nothing else.
            let draw = if Some(place) == before { 0.0 } else { view.draw(place) };
            places.push(place);
            draws.push(draw);
        }
        let chosen = turn.dice.weighted(draws).or_else(|| (!places.is_empty()).then_some(0));
        chosen.and_then(|at| places.get(at)).map_or(Deed::Stay, |place| Deed::Go(*place))
    }

    fn apply(&self, colony: &mut Colony, agent: u32, deed: Deed) {
        let Colony { food, trails, foragers, living, brought } = colony;
        let Some(own) = foragers.get_mut(agent as usize) else { return };
        match deed {
            Deed::Stay => {}
            Deed::Go(place) => match own.way.iter().position(|known| *known == place) {
                // It was here before: what it did since was a detour.
                Some(at) => own.way.truncate(at + 1),
                None => own.way.push(place),
            },
            // Somebody else may have taken the last one.
            Deed::Take => own.laden = own.place().is_some_and(|here| food.take(here)),
            Deed::Return => {
                if let (true, Some(here)) = (own.laden, own.place()) {
                    trails.lay(here as usize, TRAIL);
                }
                own.way.pop();
            }
        }
        own.strength = own.strength.saturating_sub(1);
        own.homeward = own.laden || own.homeward || own.way.len() + MARGIN >= own.strength as usize;
        if own.way.len() == 1 {
            *brought += u64::from(std::mem::take(&mut own.laden));
            (own.homeward, own.strength) = (false, self.options.strength);
        }
        own.lifespan -= 1;
        if own.lifespan == 0 {
            *living -= 1;
            if let (true, Some(here)) = (std::mem::take(&mut own.laden), own.place()) {
                food.put(here, 1);
            }
        }
    }

    fn advance(&self, colony: &mut Colony, moment: Moment<'_, u64>) -> Option<Candidate<u64>> {
        colony.trails.evaporate();
        let Options { brood, foragers, .. } = self.options;
        if let Some(hatched) = colony.brought.checked_div(u64::from(brood)) {
            let born = u64::from(foragers) + hatched;
            while (colony.foragers.len() as u64) < born.min(AGENTS_MAX as u64) {
                colony.foragers.push(Forager::at(self.nest, self.options));
                colony.living += 1;
            }
        }
        let total: u64 = self.food.iter().map(|(_, units)| u64::from(*units)).sum();
        let known = moment.best.map_or(0, |best| best.solution);
        let left = total.saturating_sub(colony.brought);
        (colony.brought > known)
            .then_some(Candidate { cost: left as f64, solution: colony.brought })
    }

    fn price(&self, _: &Colony, brought: &u64) -> Option<f64> {
        let total: u64 = self.food.iter().map(|(_, units)| u64::from(*units)).sum();
        Some(total.saturating_sub(*brought) as f64)
    }

    fn hopeless(&self, colony: &Colony) -> Option<String> {
        (colony.living == 0).then(|| "all foragers are dead".to_owned())
    }

    fn measures(&self) -> &'static [&'static str] {
        &["food", "brought"]
    }

    fn measure(&self, colony: &Colony) -> Vec<f64> {
        vec![colony.food.left() as f64, colony.brought as f64]
    }
}

/// The least trail, the most being 1.
const LEAST: f64 = 0.01;

/// What a laden forager lays on a place that it leaves.
const TRAIL: f64 = 0.25;

/// The steps beyond its way home that a forager keeps in hand.
const MARGIN: usize = 2;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::swarm::{
        Course,
        course::{End, Missed, Setup},
        detect::Reached,
        terrain::Grid,
    };

    fn colony(options: Options) -> Foragers {
        let terrain = Grid::new(15, 15).unwrap().terrain();
        Foragers::new(terrain, 112, vec![(16, 30), (208, 30)], options)
    }

    fn course(foragers: Foragers, ticks: u64) -> (Course<Foragers>, End) {
        let mut setup = Setup::new(foragers, ticks);
        setup.detectors.push(Box::new(Reached(0.0)));
        let mut course = Course::begin(Arc::new(setup), 3).unwrap();
        let end = course.run(&Missed::new()).unwrap();
        (course, end)
    }

    #[test]
    fn foragers_bring_all_food_home_and_more_of_them_are_born() {
        let (course, end) = course(colony(Options::default()), 5_000);
        assert!(matches!(end, End::Solution { .. }), "{end:?}: {course:?}");
        let world = course.world();
        assert_eq!((world.food().left(), world.brought()), (0, 60));
        assert_eq!(course.best().unwrap().solution, 60);
        assert_eq!(course.born(), 50 + 60 / 20, "one for each brood");
        let foods: Vec<_> = course.trace().rows.iter().map(|row| row.measures[0]).collect();
        assert!(foods.is_sorted_by(|one, next| one >= next) && foods[0] > 0.0);
    }

    #[test]
    fn trails_lead_foragers_to_the_food() {
        let gathered = |evaporation| {
            let options = Options { evaporation, brood: 0, ..Options::default() };
            let terrain = Grid::new(31, 31).unwrap().terrain();
            let far = Foragers::new(terrain, 480, vec![(32, 1_000)], options);
            (0..3)
                .map(|seed| {
                    let setup = Arc::new(Setup::new(Foragers { ..clone(&far) }, 1_500));
                    let mut course = Course::begin(setup, seed).unwrap();
                    course.run(&Missed::new()).unwrap();
                    course.world().brought()
                })
                .sum::<u64>()
        };
        let (with, without) = (gathered(0.02), gathered(1.0));
        assert!(with > 2 * without, "{with} with trails, {without} without");
    }

    fn clone(foragers: &Foragers) -> Foragers {
        let Foragers { terrain, nest, food, options } = foragers;
        Foragers { terrain: terrain.clone(), nest: *nest, food: food.clone(), options: *options }
    }

    #[test]
    fn foragers_turn_back_in_time_and_die_of_old_age() {
        let options = Options { strength: 6, lifespan: 40, brood: 0, ..Options::default() };
        let (course, end) = course(colony(options), 50);
        let why = "all foragers are dead".to_owned();
        assert_eq!((end, course.ticks()), (End::Hopeless { why }, 40), "the food is too far");
        let (all, living) = (course.trace().rows.first().unwrap(), course.living());
        assert_eq!((all.agents, living, course.born()), (50, 0, 50));

        // Each dies on its way home: whatever it carries lies there for others.
        let (course, _) = self::course(colony(Options { lifespan: 60, ..options_at_large() }), 80);
        let world = course.world();
        assert_eq!(world.food().left() + world.brought(), 60);
        assert!(world.food().at(16) + world.food().at(208) < 60 && course.living() == 0);
    }

    fn options_at_large() -> Options {
        Options { brood: 0, ..Options::default() }
    }

    #[test]
    fn what_is_wrong_with_a_colony_is_told() {
        let mut wrong = colony(Options { strength: 0, lifespan: 0, ..Options::default() });
        (wrong.nest, wrong.food) = (999, vec![(998, 0)]);
        let why = Course::begin(Arc::new(Setup::new(wrong, 5)), 1).map(|_| ()).unwrap_err();
        for part in ["the nest", "food lies at", "no food", "a strength of 0", "a lifespan of 0"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}
