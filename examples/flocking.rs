//! A flock of birds, as a library: what each bird does follows from those that it sees, and in the end all fly one way.
//!
//! ```text
//! cargo run --example flocking                        # a line every 20 ticks
//! cargo run --example flocking -- flock.csv           # and a row for each tick in a file
//! ```
//!
//! One seed has one course: the numbers are the same on every machine and with any number of actors.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{error::Error, time::Duration};

use synod::{
    actors::swarm::boids::{Boids, Polarised},
    prelude::*,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let node = Node::in_memory()?;
    let flock = Boids::new(200, 60.0).radius(8.0);
    let swarm = Swarm::new(flock).ticks(200).seed(7).agents_per_actor(20);
    let swarm = swarm.detector(Polarised::default());
    let done = node.run(swarm).deadline(Duration::from_secs(60)).await?.value;

    for row in done.trace.rows.iter().filter(|row| row.tick % 20 == 0) {
        let polarisation = row.measures.first().copied().unwrap_or_default();
        println!("tick {:>3}: polarisation {polarisation:.3}", row.tick);
    }
    for own in &done.emerged {
        println!("{} from tick {} on", own.pattern.name, own.since);
    }
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(path, done.trace.csv())?;
    }
    Ok(())
}
