//! A swarm to try swarms with: agents on a ring, of which one can be held up; and what a swarm has come to, bit by bit.

use std::sync::{Arc, Condvar, Mutex};

use protocol::RunId;
use runtime::engine::journal::Journal;
use serde::{Deserialize, Serialize};
use synod_actors::{
    pattern::swarm::{Record, Report},
    swarm::{
        Best, Candidate, Course, Dice, Model, Moment, Turn,
        course::{Missed, Setup},
        detect::Emerged,
        trace::Row,
    },
};

/// Agents on a ring: each goes on by what it throws, and by how far its neighbour is. One dies, and others are born.
pub(crate) struct Ring {
    pub(crate) agents: u32,
    pub(crate) gate: Arc<Gate>,
}

/// Agents of which one stays before a gate from a tick on, until that is opened.
#[derive(Default)]
pub(crate) struct Gate {
    /// Who, and from which tick on.
    closed: Mutex<Option<(u32, u64)>>,
    opened: Condvar,
    /// How often somebody has come to it.
    came: Mutex<u32>,
}

impl Gate {
    pub(crate) fn before(agent: u32, tick: u64) -> Arc<Self> {
        Arc::new(Self { closed: Mutex::new(Some((agent, tick))), ..Self::default() })
    }

    fn pass(&self, agent: u32, tick: u64) {
        let mut closed = self.closed.lock().unwrap();
        while closed.is_some_and(|(who, from)| who == agent && tick >= from) {
            *self.came.lock().unwrap() += 1;
            closed = self.opened.wait(closed).unwrap();
        }
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = None;
        self.opened.notify_all();
    }

    pub(crate) fn came(&self) -> u32 {
        *self.came.lock().unwrap()
    }
}

/// Opens a gate when a test fails, so that no thread stays before it.
pub(crate) struct Opens(pub(crate) Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Places {
    at: Vec<u64>,
    dead: Vec<bool>,
    /// Follows from all moves in their order.
    log: u64,
}

impl Ring {
    pub(crate) fn of(agents: u32) -> Self {
        Self { agents, gate: Arc::default() }
    }
}

impl Model for Ring {
    type World = Places;
    type View<'a> = (u64, u64);
    type Action = u64;
    type Scratch = ();
    type Solution = u64;

    fn describe(&self) -> String {
        format!("{} on a ring", self.agents)
    }

    fn world(&self, dice: &mut Dice) -> Result<Places, String> {
        let at: Vec<u64> = (0..self.agents).map(|_| u64::from(dice.below(100))).collect();
        Ok(Places { dead: vec![false; at.len()], at, log: 0 })
    }

    fn born(&self, world: &Places) -> u32 {
        u32::try_from(world.at.len()).unwrap()
    }

    fn lives(&self, world: &Places, agent: u32) -> bool {
        !world.dead[agent as usize]
    }

    fn view<'a>(&'a self, world: &'a Places, agent: u32) -> (u64, u64) {
        let next = (agent as usize + 1) % world.at.len();
        (world.at[agent as usize], world.at[next])
    }

    fn decide(&self, (own, next): (u64, u64), turn: &mut Turn, (): &mut ()) -> u64 {
        self.gate.pass(turn.agent, turn.tick);
        assert!(turn.agent != 1 || turn.tick != 2 || self.agents != 13, "it dislikes this tick");
        own.wrapping_mul(3).wrapping_add(next).wrapping_add(turn.dice.next() >> 8)
    }

    fn apply(&self, world: &mut Places, agent: u32, action: u64) {
        world.at[agent as usize] = action;
        world.log = world.log.wrapping_mul(31).wrapping_add(action);
    }

    fn advance(&self, world: &mut Places, moment: Moment<'_, u64>) -> Option<Candidate<u64>> {
        if moment.tick.is_multiple_of(3) && world.at.len() < 30 {
            world.at.push(moment.tick);
            world.dead.push(false);
        }
        if moment.tick == 7 {
            world.dead[0] = true;
        }
        let least = *world.at.iter().min()?;
        Some(Candidate { cost: least as f64, solution: least })
    }

    fn price(&self, _: &Places, solution: &u64) -> Option<f64> {
        Some(*solution as f64)
    }
}

/// All that a course has come to, bit by bit.
fn bits<M: Model>(
    best: Option<&Best<M::Solution>>,
    emerged: &[Emerged<M::Solution>],
    rows: &[Row],
    world: &M::World,
) -> Vec<u8> {
    runtime::record::encode(&(best, emerged, rows, world)).unwrap()
}

pub(crate) fn bits_of<M: Model>(report: &Report<M>) -> Vec<u8> {
    bits::<M>(
        report.best.as_ref(),
        &report.emerged,
        &report.trace.rows,
        report.world.as_ref().unwrap(),
    )
}

/// What a setup comes to where nobody is an actor.
pub(crate) fn in_place<M: Model>(setup: Setup<M>, seed: u64, missed: &Missed) -> Vec<u8> {
    let mut course = Course::begin(Arc::new(setup), seed).unwrap();
    course.run(missed).unwrap();
    bits::<M>(course.best(), course.emerged(), &course.trace().rows, course.world())
}

/// The moves that a journal says were missed; none where it is closed.
pub(crate) fn missed(journal: &dyn Journal, run: RunId) -> Option<Missed> {
    let mut missed = Missed::new();
    for record in journal.read(run, 0, usize::MAX).ok()? {
        if let Record::Missed { tick, stage, agents } = runtime::record::decode(&record).unwrap() {
            missed.entry((tick, stage)).or_default().join(&agents);
        }
    }
    Some(missed)
}
