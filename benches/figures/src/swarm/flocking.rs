//! The flockers of `krabmaga`'s example on our swarm: the same birds, field, radius, weights and formulas.
//!
//! Ours sees past the edges too, where krabmaga's search ends, and computes with 64 bits instead of 32.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use synod::actors::pattern::swarm::Swarm;
use synod::actors::swarm::Dice;
use synod::actors::swarm::boids::{Boids, FlightRule, Surroundings, Vector};
use synod::actors::system::AgentSystem;
use synod::runtime::node::Node;

use super::laps::Laps;
use crate::clock::{on, per_second};
use crate::figure::{Outcome, Settings};

/// The birds and the square without edges that they fly on.
const BIRDS: u32 = 10_000;
const SIDE: f64 = 1_000.0;
/// How far they see, and how far they fly in a step.
const RADIUS: f64 = 10.0;
const JUMP: f64 = 0.7;
/// The weights of their urges.
const COHESION: f64 = 0.8;
const AVOIDANCE: f64 = 1.0;
const RANDOMNESS: f64 = 1.1;
const CONSISTENCY: f64 = 0.7;
const MOMENTUM: f64 = 1.0;

/// Steps that are timed.
const STEPS: u64 = 500;
/// What the run has.
const DEADLINE: Duration = Duration::from_secs(600);

/// How the birds of the example turn.
struct Flockers;

impl FlightRule for Flockers {
    fn turn(&self, view: &Surroundings<'_>, dice: &mut Dice) -> Vector {
        let (mut apart, mut away, mut heading) =
            (Vector::default(), Vector::default(), Vector::default());
        let mut count = 0_u32;
        // The offset is to the other bird; the example's is from it.
        view.each(|offset, velocity, square| {
            apart = apart.plus(offset, -1.0 / (square * square + 1.0));
            away = away.plus(offset, -1.0);
            heading = heading.plus(velocity, 1.0);
            count += 1;
        });
        let each = 1.0 / f64::from(count.max(1));
        let (x, y) = (dice.unit() * 2.0 - 1.0, dice.unit() * 2.0 - 1.0);
        Vector::default()
            .plus(away, COHESION * -each / 10.0)
            .plus(apart, AVOIDANCE * each * 400.0)
            .plus(heading, CONSISTENCY * each * each)
            .plus(Vector::new(x, y).of_length(0.05), RANDOMNESS)
            .plus(view.own().velocity, MOMENTUM)
    }
}

/// Steps of the flock on so many threads; each has one actor with its share of the birds.
pub(crate) fn steps(settings: &Settings, threads: u32) -> Outcome {
    let steps = settings.count(STEPS);
    let time = on(usize::try_from(threads)?, async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let (laps, flock) = (Laps::default(), Boids::new(BIRDS, SIDE).radius(RADIUS).speed(JUMP));
        let swarm = Swarm::new(flock.rule(Flockers)).ticks(steps + 1).detector(laps.clone());
        let swarm = swarm.agents_per_actor(BIRDS.div_ceil(threads));
        let done = system.run(swarm).deadline(DEADLINE).await?;
        let flock = done.value.world.context("the flock at the end")?;
        let all = flock.birds().iter().all(|bird| (bird.velocity.length() - JUMP).abs() < 1e-9);
        ensure!(all && done.value.missed == 0, "a bird does not fly");
        system.node().close().await.context("stop the node")?;
        laps.time()
    })?;
    Ok(Ok(per_second(steps, time)))
}
