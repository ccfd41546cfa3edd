//! What a swarm is: a world, the agents in it, what each sees and does in a tick, and what the swarm has found.
//!
//! Implemented by the models of this folder and by users; called by [`Course`](super::Course) and by the actors of agents.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Dice;

/// What a swarm is and by which rules it lives.
///
/// Agents are numbered from 0 in the order of their births; a number is never given twice. In a tick each agent that lives is given
/// its [`view`](Self::view) and [`decide`](Self::decide)s, perhaps on another thread; then all actions are
/// [`apply`](Self::apply)ed in the order of agents, and [`advance`](Self::advance) does what the environment does by itself.
/// All of these must be functions of their arguments alone.
pub trait Model: Send + Sync + 'static {
    /// All that changes: environment, pheromones, resources, the agents' own states. It is what snapshots hold.
    type World: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What one agent can see of it, itself included.
    type View<'a>
    where
        Self: 'a;
    /// What an agent does in one tick.
    type Action: Send + 'static;
    /// Room to work in that an actor keeps from tick to tick; what is in it must not change what an agent does.
    type Scratch: Default + Send + 'static;
    /// What the swarm looks for.
    type Solution: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Says what it is, with all that its course depends on: a run that is taken up again must have the same.
    fn describe(&self) -> String;

    /// Whether it looks for a solution: a run of one that does and has found none has failed.
    fn seeks(&self) -> bool {
        true
    }

    /// The world before the first tick.
    ///
    /// # Errors
    /// What is wrong with the model, and what to change.
    fn world(&self, dice: &mut Dice) -> Result<Self::World, String>;

    /// The agents that were ever born: those with a number below this. It never falls.
    fn born(&self, world: &Self::World) -> u32;

    /// Whether an agent lives; who has died stays dead.
    fn lives(&self, world: &Self::World, agent: u32) -> bool {
        let _ = (world, agent);
        true
    }

    /// What an agent sees.
    fn view<'a>(&'a self, world: &'a Self::World, agent: u32) -> Self::View<'a>;

    /// What an agent does about it. A panic is that agent's missed move.
    fn decide(
        &self,
        view: Self::View<'_>,
        turn: &mut Turn,
        scratch: &mut Self::Scratch,
    ) -> Self::Action;

    /// Does in the world what an agent does; called for those alone that live.
    fn apply(&self, world: &mut Self::World, agent: u32, action: Self::Action);

    /// Ends a tick: evaporation and deposits, growth and decay, births and deaths. Tells what the tick has found.
    fn advance(
        &self,
        world: &mut Self::World,
        moment: Moment<'_, Self::Solution>,
    ) -> Option<Candidate<Self::Solution>>;

    /// What is known before the first tick, if that is an answer already.
    fn at_once(&self, world: &Self::World) -> Option<Candidate<Self::Solution>> {
        let _ = world;
        None
    }

    /// What a solution costs in the world as it is now; none where it is not possible any more.
    ///
    /// Asked of the best so far after each change of the world from outside, and of what patterns are extracted to.
    fn price(&self, world: &Self::World, solution: &Self::Solution) -> Option<f64>;

    /// Why there can be no solution in the world as it is, if that is known.
    fn hopeless(&self, world: &Self::World) -> Option<String> {
        let _ = world;
        None
    }

    /// The names of what [`measure`](Self::measure) measures.
    fn measures(&self) -> &'static [&'static str] {
        &[]
    }

    /// Measures the world after a tick, for the trace: one number for each name.
    fn measure(&self, world: &Self::World) -> Vec<f64> {
        let _ = world;
        Vec::new()
    }
}

/// One agent's turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The tick, from 1.
    pub tick: u64,
    /// The stage of the tick, from 0.
    pub stage: u32,
    /// Which agent it is.
    pub agent: u32,
    /// The agent's own dice.
    pub dice: Dice,
}

/// The end of a tick.
#[derive(Debug)]
pub struct Moment<'a, S> {
    /// The tick, from 1.
    pub tick: u64,
    /// The best so far, this tick's not included.
    pub best: Option<&'a Best<S>>,
    /// The dice of the swarm as a whole.
    pub dice: Dice,
}

/// What a tick has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<S> {
    /// What it costs: the less, the better. One that is no number is no candidate.
    pub cost: f64,
    /// What it is.
    pub solution: S,
}

/// The best so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best<S> {
    /// The tick that found it; 0 where it was known before.
    pub tick: u64,
    /// What it costs.
    pub cost: f64,
    /// What it is.
    pub solution: S,
}

/// In which order the agents of a tick see the world and act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// All see the same world; then all act.
    #[default]
    Simultaneous,
    /// So often in each tick all see the same world and act: once a stage.
    Staged(u32),
    /// Each sees what those of lower numbers have done in this tick.
    InOrder,
    /// As `InOrder`, in an order that each tick throws anew.
    Random,
}
