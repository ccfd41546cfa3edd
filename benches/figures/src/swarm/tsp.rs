//! Ant colonies on published instances of the travelling salesman's problem.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use synod::actors::pattern::swarm::Swarm;
use synod::actors::swarm::detect::Reached;
use synod::actors::swarm::tsp::{Instance, Options, TspColony};
use synod::actors::system::AgentSystem;
use synod::runtime::node::Node;

use crate::clock::{Watch, on_workers};
use crate::figure::{Outcome, Settings};

/// The folder of the published files.
const FOLDER: &str = "SYNOD_TEST_DATA";
/// Seeds of which the worst counts, and what each has.
const SEEDS: u64 = 20;
const EACH: Duration = Duration::from_secs(5);
/// What a colony with local search has; one that takes longer counts as this.
const SEARCH: Duration = Duration::from_secs(30);
/// What the run has.
const DEADLINE: Duration = Duration::from_secs(600);

/// A published instance and the length of its shortest round.
struct Published {
    name: &'static str,
    shortest: u32,
}

const KRO_A100: Published = Published { name: "kroA100", shortest: 21_282 };
const LIN318: Published = Published { name: "lin318", shortest: 42_029 };

/// How much longer than the shortest round the worst colony's is, in percent.
pub(crate) fn gap(settings: &Settings) -> Outcome {
    let Some(instance) = KRO_A100.read()? else { return Ok(Err(missing())) };
    let options = Options::constructing(instance.cities());
    let seeds = if settings.short { 1 } else { SEEDS };
    let mut worst = 0.0_f64;
    for seed in 1..=seeds {
        let (length, _) = search(&instance, options, KRO_A100.shortest, (seed, EACH))?;
        worst = worst.max((length / f64::from(KRO_A100.shortest) - 1.0) * 100.0);
    }
    Ok(Ok(worst))
}

/// How long a colony takes to the shortest round, in seconds.
pub(crate) fn time(settings: &Settings) -> Outcome {
    let Some(instance) = LIN318.read()? else { return Ok(Err(missing())) };
    let seed = u64::from(settings.round.get()) + 1;
    let (_, time) = search(&instance, Options::searching(), LIN318.shortest, (seed, SEARCH))?;
    Ok(Ok(time.as_secs_f64()))
}

/// Has a colony look for the shortest round for so long at the most; gives the length that it found, and the time.
fn search(
    instance: &Arc<Instance>,
    options: Options,
    shortest: u32,
    (seed, within): (u64, Duration),
) -> Result<(f64, Duration)> {
    let instance = Arc::clone(instance);
    on_workers(async move {
        let system = AgentSystem::start(Node::in_memory().context("open a node")?);
        let watch = Watch::start();
        let colony = TspColony::new(Arc::clone(&instance), options).map_err(|why| anyhow!(why))?;
        let swarm = Swarm::new(colony).ticks(u64::MAX).seed(seed).time(within);
        let swarm = swarm.detector(Reached(f64::from(shortest)));
        // Four actors keep two threads busy to the end of a tick.
        let done =
            system.run(swarm.agents_per_actor(options.ants.div_ceil(4))).deadline(DEADLINE).await?;
        let time = watch.time();
        let best = done.value.best.context("a colony without a round")?;
        let length =
            instance.length(&best.solution.cities).context("what was found is no round")?;
        ensure!(length >= u64::from(shortest), "a round is shorter than the shortest");
        system.node().close().await.context("stop the node")?;
        Ok((f64::from(u32::try_from(length)?), time))
    })
}

impl Published {
    /// Reads it, if there is a folder to read it from.
    fn read(&self) -> Result<Option<Arc<Instance>>> {
        let Some(folder) = std::env::var_os(FOLDER) else { return Ok(None) };
        let path = PathBuf::from(folder).join(format!("tsplib/{}.tsp", self.name));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let instance = Instance::parse(&text)
            .map_err(|why| anyhow!("{why}"))
            .with_context(|| format!("parse {}", path.display()))?;
        Ok(Some(Arc::new(instance)))
    }
}

fn missing() -> String {
    format!("set {FOLDER} to a folder with the folder tsplib, which has kroA100.tsp and lin318.tsp")
}
