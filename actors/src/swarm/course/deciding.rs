//! Deciding: what some agents do in one stage of one tick. Called by the actors of agents, and by a course that runs in place.

use std::ops::Range;

use super::super::{Model, Spans, Throws, Turn};
use crate::guard::guarded;

/// What is asked of some agents.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The swarm's seed.
    pub seed: u64,
    /// The tick, from 1.
    pub tick: u64,
    /// Its stage.
    pub stage: u32,
    /// Who, as far as they live.
    pub agents: Range<u32>,
    /// Who of them misses the move.
    pub except: &'a Spans,
}

/// What they have decided.
#[derive(Clone, Debug)]
pub struct Acts<A> {
    /// The first of those who were asked.
    first: u32,
    /// By agent, of those who decided.
    actions: Vec<A>,
    /// Boxed, since mostly everybody decides and what is sent by the million is to be small.
    odd: Option<Box<Odd>>,
}

/// What is to be said where not everybody from the first on has decided.
#[derive(Clone, Debug, Default)]
struct Odd {
    /// Who decided.
    who: Vec<u32>,
    missed: Spans,
    /// Of these, who panicked, and what the first of them said.
    panicked: Option<(Spans, String)>,
}

impl<A> Acts<A> {
    /// How many have decided.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Who has missed the move; none where nobody has.
    pub fn missed(&self) -> Option<&Spans> {
        self.odd.as_ref().map(|odd| &odd.missed).filter(|missed| !missed.is_empty())
    }

    /// Of these, who panicked, and what the first of them said.
    pub fn panicked(&self) -> Option<(&Spans, &str)> {
        self.odd.as_ref()?.panicked.as_ref().map(|(who, why)| (who, why.as_str()))
    }

    /// Gives away the actions in the order of agents; what is left is room for others.
    pub(super) fn each(self, mut take: impl FnMut(u32, A)) -> Vec<A> {
        let Self { first, mut actions, odd } = self;
        match odd {
            None => (first..).zip(actions.drain(..)).for_each(|(agent, act)| take(agent, act)),
            Some(odd) => {
                odd.who.into_iter().zip(actions.drain(..)).for_each(|(n, act)| take(n, act));
            }
        }
        actions
    }

    fn push(&mut self, agent: u32, action: A) {
        self.actions.push(action);
        if let Some(odd) = &mut self.odd {
            odd.who.push(agent);
        }
    }

    /// Leaves an agent out.
    fn skip(&mut self, agent: u32) -> &mut Odd {
        let before = self.first..agent;
        self.odd.get_or_insert_with(|| Box::new(Odd { who: before.collect(), ..Odd::default() }))
    }
}

/// Lets agents decide; `room` is room for their actions.
pub fn decide<M: Model>(
    model: &M,
    world: &M::World,
    job: Job<'_>,
    scratch: &mut M::Scratch,
    mut room: Vec<M::Action>,
) -> Acts<M::Action> {
    let Job { seed, tick, stage, agents, except } = job;
    let throws = Throws::new(seed, tick, stage);
    room.clear();
    room.reserve(agents.len());
    let mut acts = Acts { first: agents.start, actions: room, odd: None };
    let misses = !except.is_empty();
    let (mut next, end) = (agents.start, agents.end);
    while next < end {
        let decided = guarded("an agent", || {
            while next < end {
                let agent = next;
                next += 1;
                if !model.lives(world, agent) {
                    acts.skip(agent);
                } else if misses && except.contains(agent) {
                    acts.skip(agent).missed.add(agent..next);
                } else {
                    let mut turn = Turn { tick, stage, agent, dice: throws.of(agent) };
                    let action = model.decide(model.view(world, agent), &mut turn, scratch);
                    acts.push(agent, action);
                }
            }
        });
        if let Err(why) = decided {
            let agent = next - 1;
            let odd = acts.skip(agent);
            odd.missed.add(agent..next);
            let (panicked, _) = odd.panicked.get_or_insert_with(|| (Spans::default(), why));
            panicked.add(agent..next);
            *scratch = M::Scratch::default();
        }
    }
    acts
}
