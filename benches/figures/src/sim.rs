//! `sim.speed`: how much virtual time the deterministic simulation passes in a second.
//!
//! Five nodes of twenty actors each; every actor sends ten messages in a virtual second, each by a timer of its own, to the actors
//! of all nodes in turn. The world is built before the clock starts. The wall clock, which passes one second in a second, is what
//! the same nodes would need in production.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use synod::{prelude::*, sim::World};

use crate::clock::Watch;
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "sim.speed",
    unit: "virtual s/s",
    rounds: None,
    goal: Goal::at_least(100.0, "wall clock"),
    contenders: &[Contender::synod(speed), Contender::floor("wall clock", |_| Ok(Ok(1.0)))],
}];

const NODES: usize = 5;
/// Actors of each node.
const ACTORS: usize = 20;
/// From one message of an actor to its next: ten in a second.
const PAUSE: Duration = Duration::from_millis(100);
/// Virtual seconds of the full form.
const SECONDS: u64 = 400;

/// Sends to its peers in turn.
struct Sender {
    peers: Vec<Addr<Msg>>,
    sent: usize,
}

enum Msg {
    Meet(Vec<Addr<Msg>>),
    Next,
    Hello,
}

impl Actor for Sender {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Meet(peers) => {
                self.peers = peers;
                cx.after(PAUSE, Msg::Next);
            }
            Msg::Next => {
                self.sent += 1;
                if let Some(peer) = self.peers.get(self.sent % self.peers.len().max(1)) {
                    cx.send(peer, Msg::Hello);
                }
                cx.after(PAUSE, Msg::Next);
            }
            Msg::Hello => {}
        }
    }
}

fn speed(settings: &Settings) -> Outcome {
    let world = World::new(1);
    let names: Vec<String> = (0..NODES).map(|node| format!("n{node}")).collect();
    for name in &names {
        world.node(name, |node| {
            for actor in 0..ACTORS {
                node.spawn(Spawn::named(format!("a{actor}")), || Sender {
                    peers: Vec::new(),
                    sent: 0,
                });
            }
        });
    }
    let mut all: Vec<Addr<Msg>> = Vec::new();
    for name in &names {
        for actor in 0..ACTORS {
            all.push(world.find(name, &format!("a{actor}")).context("find an actor")?);
        }
    }
    for actor in &all {
        ensure!(actor.try_tell(Msg::Meet(all.clone())).is_ok(), "an actor takes no message");
    }
    world.run_for(Duration::from_secs(1));
    let (seconds, before) = (settings.count(SECONDS), world.steps());
    let watch = Watch::start();
    world.run_for(Duration::from_secs(seconds));
    let time = watch.time();
    // A timer and a message are two steps; a pause lasts up to two ticks of the wheel longer than asked for.
    let least = seconds * (NODES * ACTORS) as u64 * 2 * 9;
    ensure!(world.steps() - before >= least, "only {} steps", world.steps() - before);
    Ok(Ok(crate::clock::per_second(seconds, time)))
}
