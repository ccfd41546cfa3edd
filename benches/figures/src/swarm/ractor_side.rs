//! The reference: bare actors of ractor that count their ticks, on the same allocator and threads.
//!
//! One of them has the numbers of all: it gives each agent its own in a message, takes the answers, and begins the next tick with
//! the last of them.
use anyhow::{Context as _, ensure};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::AGENTS;
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::Outcome;

/// Answers with one more than it is told.
struct Agent;

struct Own {
    number: usize,
    host: ActorRef<Said>,
}

/// What an agent has counted.
enum Said {
    Begin(Vec<ActorRef<u32>>),
    Count(usize, u32),
}

impl Actor for Agent {
    type Msg = u32;
    type State = Own;
    type Arguments = Own;

    async fn pre_start(&self, _: ActorRef<u32>, own: Own) -> Result<Own, ActorProcessingErr> {
        Ok(own)
    }

    async fn handle(
        &self,
        _: ActorRef<u32>,
        count: u32,
        own: &mut Own,
    ) -> Result<(), ActorProcessingErr> {
        Ok(own.host.cast(Said::Count(own.number, count + 1))?)
    }
}

/// Begins a tick when all have answered to the one before.
struct Swarm;

struct Counted {
    agents: Vec<ActorRef<u32>>,
    counts: Vec<u32>,
    /// answers that are still to come
    left: usize,
    /// ticks that are still to be done
    ticks: u64,
    watch: Option<Watch>,
    done: Option<oneshot::Sender<(Watch, Vec<u32>)>>,
}

impl Counted {
    fn tick(&mut self) -> Result<(), ActorProcessingErr> {
        self.left = self.agents.len();
        for (agent, count) in self.agents.iter().zip(&self.counts) {
            agent.cast(*count)?;
        }
        Ok(())
    }
}

impl Actor for Swarm {
    type Msg = Said;
    type State = Counted;
    type Arguments = Counted;

    async fn pre_start(
        &self,
        _: ActorRef<Said>,
        own: Counted,
    ) -> Result<Counted, ActorProcessingErr> {
        Ok(own)
    }

    async fn handle(
        &self,
        _: ActorRef<Said>,
        said: Said,
        own: &mut Counted,
    ) -> Result<(), ActorProcessingErr> {
        match said {
            Said::Begin(agents) => {
                own.counts = vec![0; agents.len()];
                own.agents = agents;
                own.tick()
            }
            Said::Count(agent, count) => {
                if let Some(own) = own.counts.get_mut(agent) {
                    *own = count;
                }
                own.left -= 1;
                if own.left > 0 {
                    return Ok(());
                }
                let watch = *own.watch.get_or_insert_with(Watch::start);
                if own.ticks > 0 {
                    own.ticks -= 1;
                    return own.tick();
                }
                let counts = std::mem::take(&mut own.counts);
                own.done.take().map(|done| done.send((watch, counts)));
                Ok(())
            }
        }
    }
}

/// Everyone gets each tick and answers.
pub(crate) fn ticks(ticks: u64) -> Outcome {
    let time = on_workers(async move {
        let (done, finished) = oneshot::channel();
        let (agents, counts) = (Vec::new(), Vec::new());
        let own = Counted { agents, counts, left: 0, ticks, watch: None, done: Some(done) };
        let (host, _) = Actor::spawn(None, Swarm, own).await.context("spawn")?;
        let mut agents = Vec::new();
        for number in 0..usize::try_from(AGENTS)? {
            let own = Own { number, host: host.clone() };
            agents.push(Actor::spawn(None, Agent, own).await.context("spawn")?.0);
        }
        host.cast(Said::Begin(agents.clone())).context("begin")?;
        let (watch, counts) = finished.await.context("wait for the last tick")?;
        let time = watch.time();
        let is_whole = counts.iter().all(|count| u64::from(*count) == ticks + 1);
        ensure!(counts.len() == agents.len() && is_whole, "a tick was missed");
        agents.iter().for_each(|agent| agent.stop(None));
        host.stop(None);
        Ok(time)
    })?;
    Ok(Ok(per_second(ticks * u64::from(AGENTS), time)))
}
