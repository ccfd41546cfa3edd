//! Rollouts in the deterministic simulation: leaders and workers panic in the middle of them, and each ends on one of its sides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::RunId;
use runtime::{
    backoff::Backoff,
    node::Node,
    retry::Retries,
    sim::{Fault, World, sim},
};
use serde_json::json;
use synod_actors::{
    agent::{Agent, AgentError, CallContext},
    pattern::{
        Completed,
        hierarchy::{
            DecisionLevel, Hierarchy, Report, Rules, Team, hierarchy,
            rollout::{APPLICATION, INFRASTRUCTURE, MONITORING, Rollout, Standing, Step, Strategy},
        },
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);
const RUN: RunId = RunId::from_u128(6);

/// The service, which outlives whoever works on it, and what the run told.
#[derive(Debug, Default)]
struct Service {
    running: BTreeSet<String>,
    weights: BTreeMap<String, u64>,
    /// New instances fail from this share of the traffic on.
    fails_from: Option<u32>,
    wrong: Vec<String>,
    done: Option<Completed<Report>>,
}

type Shared = Arc<Mutex<Service>>;

impl Service {
    /// Does a step, which may have been done before.
    fn take(&mut self, step: Step) -> Result<(), AgentError> {
        match step {
            Step::Start { instance } => drop(self.running.insert(instance)),
            Step::Verify { instance } if !self.running.contains(&instance) => {
                return Err(AgentError::Failed { message: format!("{instance} does not run") });
            }
            Step::Verify { .. } => {}
            Step::Shift { weights, .. } => {
                if !weights.keys().all(|instance| self.running.contains(instance)) {
                    self.wrong.push(format!("traffic to {weights:?}"));
                }
                self.weights = weights;
            }
            Step::Watch { percent } if self.fails_from.is_some_and(|from| percent >= from) => {
                return Err(AgentError::Failed { message: "requests fail".to_owned() });
            }
            Step::Watch { .. } => {}
            Step::Stop { instance } => {
                if self.weights.contains_key(&instance) {
                    self.wrong.push(format!("{instance} was stopped with traffic"));
                }
                self.running.remove(&instance);
            }
        }
        Ok(())
    }

    /// Whether it is as it should be in the end, and the report says so.
    fn is_right(&self) -> bool {
        let (standing, names) = match self.fails_from {
            None => (Standing::RolledOut, ["b1", "b2"]),
            Some(_) => (Standing::RolledBack, ["a1", "a2"]),
        };
        let told = self.done.as_ref().and_then(|done| Standing::of(&done.value));
        let names: BTreeSet<String> = names.map(str::to_owned).into();
        let served: BTreeSet<String> = self.weights.keys().cloned().collect();
        self.wrong.is_empty() && told == Some(standing) && self.running == names && served == names
    }
}

type Hands = (AgentSystem, Agent<Step, ()>);

fn boot(node: &Node, service: &Shared) -> Hands {
    let system = AgentSystem::start(node.clone());
    let service = Arc::clone(service);
    let hands = system.agent("hands", move |step: Step, cx: CallContext| {
        let service = Arc::clone(&service);
        async move {
            let slept = cx.sleep(Duration::from_millis(20)).await;
            slept.map_err(|error| AgentError::Failed { message: error.to_string() })?;
            service.lock().unwrap().take(step)
        }
    });
    let hands = hands.count(2).concurrency(2).start().unwrap();
    (system, hands)
}

fn described(hands: &Agent<Step, ()>, strategy: Strategy, fails: bool) -> Hierarchy {
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
    let rules = Rules {
        timeout: Duration::from_secs(3),
        retries: Retries { attempts: 100, backoff },
        leader_restarts: (10_000, MINUTE),
    };
    let team = |name| Team::new(name).workers(2, hands).restarts(10_000, MINUTE);
    // What a watch does not like is not to be looked at again; a panic of whoever watches well is.
    let level = if fails { DecisionLevel::Inform } else { DecisionLevel::Retry };
    let watches = team(MONITORING).authority(level);
    let rollout = Rollout::new(["a1", "a2"], ["b1", "b2"], strategy).unwrap();
    let run = hierarchy(json!("deploy"), rollout).rules(rules);
    run.team(team(INFRASTRUCTURE)).team(team(APPLICATION)).team(watches)
}

/// One rollout on one node.
fn caller(world: &World, strategy: Strategy, fails_from: Option<u32>) -> Shared {
    let names: BTreeSet<String> = ["a1", "a2"].map(str::to_owned).into();
    let weights = names.iter().map(|name| (name.clone(), 1)).collect();
    let service = Service { running: names, weights, fails_from, ..Service::default() };
    let (service, present) =
        (Arc::new(Mutex::new(service)), Arc::<Mutex<Option<Hands>>>::default());
    let (boots, of) = (Arc::clone(&present), Arc::clone(&service));
    world.node("one", move |node| *boots.lock().unwrap() = Some(boot(node, &of)));
    let told = Arc::clone(&service);
    world.client("caller", async move {
        let here = present.lock().unwrap().clone();
        let Some((system, hands)) = here else { return };
        match system
            .run(described(&hands, strategy, fails_from.is_some()))
            .id(RUN)
            .deadline(MINUTE)
            .await
        {
            Ok(done) => told.lock().unwrap().done = Some(done),
            Err(error) => told.lock().unwrap().wrong.push(error.to_string()),
        }
    });
    service
}

#[test]
fn a_panic_of_a_leader_or_a_worker_in_mid_rollout_holds_up_neither_way() {
    let own = ["agent/hands/0/slot", "agent/hands/1/slot", "agents/roster"].map(str::to_owned);
    let spared: Vec<String> = own.into_iter().chain([format!("runs/{RUN}")]).collect();
    for strategy in [Strategy::BlueGreen, Strategy::Canary(vec![50]), Strategy::Rolling(1)] {
        for fails_from in [None, Some(50)] {
            let restarts = Arc::new(AtomicU64::new(0));
            let (counted, of) = (Arc::clone(&restarts), strategy.clone());
            let report = sim(move |world: &World| caller(world, of.clone(), fails_from))
                .seeds(100)
                .storm(Duration::from_millis(400))
                .count(6)
                .healing(MINUTE * 5)
                .faults(vec![Fault::Panic, Fault::Delay])
                .spare(spared.clone())
                .finally("it ends on one of its sides", move |_, service| {
                    let service = service.lock().unwrap();
                    let own = service.done.as_ref().map_or(0, |done| done.value.restarts);
                    counted.fetch_add(own, Ordering::SeqCst);
                    service.is_right()
                })
                .run();
            let restarts = restarts.load(Ordering::SeqCst);
            assert!(restarts * 4 > report.seeds || report.seeds == 1, "{strategy:?}: {restarts}");
        }
    }
}
