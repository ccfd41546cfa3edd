//! The actor workloads on other actor libraries: `peers LIBRARY WORKLOAD` prints one line with a rate, or with bytes an actor.
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
/// Actors of one wave that come and go.
const WAVE: usize = 1000;
/// Numbers in one message of a batch.
const BATCH: u64 = 32;
/// Actors that idle.
const IDLE: usize = 100_000;
/// Bytes of a page, as the kernel counts a process's memory.
const PAGE: usize = 4096;
const TELLS: u64 = 1_000_000;
const HOPS: u64 = 500_000;
const ASKS: u64 = 200_000;
const TICKS: u64 = 30;
const WAVES: u64 = 30;
const BATCHES: u64 = 200_000;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let (library, workload) =
        words.next().zip(words.next()).context("usage: peers LIBRARY WORKLOAD")?;
    let done = match library.as_str() {
        "kameo" => kameo_side::run(&workload)?,
        "actix" => actix_side::run(&workload)?,
        other => bail!("no library is called {other}"),
    };
    match done {
        Done::InTime(count, time) => {
            println!("{{\"per_second\": {}}}", count as f64 / time.as_secs_f64());
        }
        Done::Grown(bytes) => println!("{{\"bytes\": {}}}", bytes as f64 / IDLE as f64),
    }
    Ok(())
}

/// What a workload came to.
enum Done {
    /// So many of something in so much time.
    InTime(u64, Duration),
    /// The process grew by so many bytes for all idle actors.
    Grown(usize),
}

/// Memory of this process in bytes.
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("find the resident pages")?;
    Ok(pages.parse::<usize>().context("read the resident pages")? * PAGE)
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
