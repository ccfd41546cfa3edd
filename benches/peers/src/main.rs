//! The mailbox workloads on other actor libraries: `peers LIBRARY WORKLOAD` prints one line with a rate.
//!
//! Each workload is that of the same name in benches/figures, with the same counts, allocator and number of threads.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

mod actix_side;
mod kameo_side;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that run actors.
const WORKERS: usize = 2;
/// Messages that a bounded mailbox holds.
const BOUND: usize = 1024;
/// Tasks that send to one actor.
const SENDERS: u64 = 8;
/// Actors in a ring.
const RING: usize = 1000;
/// Questions open at any time.
const IN_FLIGHT: usize = 64;
/// Actors that get every tick.
const SWARM: usize = 10_000;
const TELLS: u64 = 1_000_000;
const HOPS: u64 = 500_000;
const ASKS: u64 = 200_000;
const TICKS: u64 = 30;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let (library, workload) =
        words.next().zip(words.next()).context("usage: peers LIBRARY WORKLOAD")?;
    let (count, time) = match library.as_str() {
        "kameo" => kameo_side::run(&workload)?,
        "actix" => actix_side::run(&workload)?,
        other => bail!("no library is called {other}"),
    };
    println!("{{\"per_second\": {}}}", count as f64 / time.as_secs_f64());
    Ok(())
}

/// Measures how long a workload takes from here on.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn time(self) -> Duration {
        self.0.elapsed()
    }
}
