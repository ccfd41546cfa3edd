//! A simulated node with a system of agents, and options of breakers and retries without dice.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use runtime::{
    backoff::{Backoff, Jitter},
    breaker::Options as Breaker,
    sim::World,
};
use synod_actors::{
    pattern::map_reduce::{Options, Retries},
    system::AgentSystem,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A world with a system of agents on its one node.
pub(crate) fn world(seed: u64) -> (World, AgentSystem) {
    let world = World::new(seed);
    let present: Arc<Mutex<Option<AgentSystem>>> = Arc::default();
    let boots = Arc::clone(&present);
    world.node("one", move |node| *boots.lock().unwrap() = Some(AgentSystem::start(node.clone())));
    let system = present.lock().unwrap().take().unwrap();
    (world, system)
}

/// Opens after so many failures, each time for as long.
pub(crate) fn breaker(failures: u32, open: Duration) -> Breaker {
    let open = Backoff::new(open, open).jitter(Jitter::None);
    Breaker { failures, open, ..Breaker::default() }
}

/// So many attempts of a second each, soon after one another.
pub(crate) fn tries(attempts: u32) -> Options {
    let backoff = Backoff::new(SECOND / 100, SECOND / 10);
    Options { retries: Retries { attempts, backoff }, timeout: SECOND, ..Options::default() }
}
