//! Rollouts by three teams on a service that is a table: they finish, or are taken back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use synod_actors::{
    agent::{Agent, AgentError, Behaviour, CallContext},
    pattern::{
        Completed, FailureKind,
        hierarchy::{
            Hierarchy, Report, Supervisor, Team, hierarchy,
            rollout::{
                APPLICATION, INFRASTRUCTURE, MONITORING, Rollout, Standing, Step, Strategy,
                Surveyed,
            },
        },
    },
    system::AgentSystem,
};

use crate::{
    hierarchy::{MINUTE, system},
    hierarchy_leaders::named,
    until,
};

/// The service.
#[derive(Debug, Default)]
struct Service {
    running: BTreeSet<String>,
    verified: BTreeSet<String>,
    weights: BTreeMap<String, u64>,
    /// New instances fail from this share on.
    fails_from: Option<u32>,
    /// The share at which whoever watches hangs once.
    hangs_at: Option<u32>,
}

type Shared = Arc<Mutex<Service>>;

impl Service {
    /// Does a step; what no rollout may do is a panic of the test.
    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Start { instance } => {
                self.running.insert(instance);
            }
            Step::Verify { instance } => {
                if !self.running.contains(&instance) {
                    return Err(format!("{instance} does not run"));
                }
                self.verified.insert(instance);
            }
            Step::Shift { weights, .. } => {
                let safe = |instance: &String| {
                    self.running.contains(instance) && self.verified.contains(instance)
                };
                assert!(weights.keys().all(safe), "traffic to {weights:?}: {self:?}");
                self.weights = weights;
            }
            Step::Watch { percent } => {
                if self.fails_from.is_some_and(|from| percent >= from) {
                    return Err("20 % of the requests fail".to_owned());
                }
            }
            Step::Stop { instance } => {
                assert!(!self.weights.contains_key(&instance), "{instance} has traffic: {self:?}");
                self.running.remove(&instance);
                self.verified.remove(&instance);
            }
        }
        Ok(())
    }

    /// Whether these instances run, and have all the traffic.
    fn is_served_by(&self, names: &[&str]) -> bool {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.running == names && self.weights.keys().cloned().collect::<BTreeSet<_>>() == names
    }
}

/// Does steps on the service.
struct Hands(Shared);

impl Behaviour<Step, Value> for Hands {
    fn call(
        &self,
        step: Step,
        _: CallContext,
    ) -> futures_util::future::BoxFuture<'static, Result<Value, AgentError>> {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            let watched = if let Step::Watch { percent } = step { Some(percent) } else { None };
            let hangs = {
                let mut service = service.lock().unwrap();
                service.hangs_at.is_some() && service.hangs_at == watched && {
                    service.hangs_at = None;
                    true
                }
            };
            if hangs {
                std::future::pending::<()>().await;
            }
            // What is seen is no fault of whoever sees it: nobody is to look again.
            let done = service.lock().unwrap().take(step);
            done.map(|()| json!("done")).map_err(|reason| AgentError::Refused { reason })
        })
    }
}

fn described(system: &AgentSystem, service: &Shared, strategy: Strategy) -> Hierarchy {
    let rollout = Rollout::new(["a1", "a2", "a3"], ["b1", "b2", "b3"], strategy).unwrap();
    teams(hierarchy(json!("deploy"), rollout), (system, service))
}

fn teams(run: Hierarchy, (system, service): (&AgentSystem, &Shared)) -> Hierarchy {
    let agent = |name: &str| -> Agent<Step, Value> {
        system.agent_of(name, Arc::new(Hands(Arc::clone(service)))).concurrency(4).start().unwrap()
    };
    run.team(Team::new(INFRASTRUCTURE).workers(2, &agent("infra")))
        .team(Team::new(APPLICATION).workers(2, &agent("app")))
        .team(Team::new(MONITORING).workers(1, &agent("watch")))
}

fn service(fails_from: Option<u32>, hangs_at: Option<u32>) -> Shared {
    let names: BTreeSet<String> = ["a1", "a2", "a3"].map(str::to_owned).into();
    let weights = names.iter().map(|name| (name.clone(), 1)).collect();
    let (running, verified) = (names.clone(), names);
    Arc::new(Mutex::new(Service { running, verified, weights, fails_from, hangs_at }))
}

fn strategies() -> [Strategy; 3] {
    [Strategy::BlueGreen, Strategy::Canary(vec![5, 50]), Strategy::Rolling(2)]
}

fn outcome(done: &Completed<Report>) -> &str {
    done.value.output["outcome"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_version_takes_the_place_of_the_old_one() {
    for strategy in strategies() {
        let (system, service) = (system(), service(None, None));
        let run = described(&system, &service, strategy.clone());
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        assert_eq!(outcome(&done), "rolled_out", "{strategy:?}");
        assert_eq!(Standing::of(&done.value), Some(Standing::RolledOut));
        let service = service.lock().unwrap();
        assert!(service.is_served_by(&["b1", "b2", "b3"]), "{strategy:?}: {service:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_fails_is_taken_back_from_wherever_it_came_to() {
    for (strategy, fails_from) in
        strategies().into_iter().flat_map(|own| [1, 50, 100].map(|from| (own.clone(), from)))
    {
        let (system, service) = (system(), service(Some(fails_from), None));
        let run = described(&system, &service, strategy.clone());
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        assert_eq!(outcome(&done), "rolled_back", "{strategy:?} {fails_from}");
        assert_eq!(Standing::of(&done.value), Some(Standing::RolledBack));
        assert_eq!(done.value.decisions.len(), 1);
        assert!(done.value.decisions[0].why.contains("20 % of the requests fail"));
        let service = service.lock().unwrap();
        assert!(service.is_served_by(&["a1", "a2", "a3"]), "{strategy:?}: {service:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_die_in_mid_rollout_hold_up_neither_way() {
    for (strategy, fails) in strategies().into_iter().zip([None, Some(100), None]) {
        let (system, service) = (system(), service(fails, None));
        let at = match strategy {
            Strategy::BlueGreen => 100,
            Strategy::Canary(_) => 5,
            Strategy::Rolling(_) => 66,
        };
        service.lock().unwrap().hangs_at = Some(at);
        let run = described(&system, &service, strategy.clone());
        let handle = system.run(run).deadline(MINUTE).start().await.unwrap();
        let watching = || service.lock().unwrap().hangs_at.is_none();
        until("somebody watches", watching).await;
        // The last of them is what the rollout waits for.
        for team in [INFRASTRUCTURE, APPLICATION, MONITORING] {
            named(&system, &format!("/{team}")).unwrap().kill();
        }
        let done = handle.outcome().await.unwrap();
        let (expected, names) = match fails {
            None => ("rolled_out", ["b1", "b2", "b3"]),
            Some(_) => ("rolled_back", ["a1", "a2", "a3"]),
        };
        assert_eq!(outcome(&done), expected, "{strategy:?}");
        // A team that has nothing more to do is not waited for.
        assert!((2..=3).contains(&done.value.restarts), "{strategy:?}");
        assert!(service.lock().unwrap().is_served_by(&names), "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_fails_ends_the_run_and_says_where() {
    let (system, service) = (system(), service(Some(0), None));
    let run = described(&system, &service, Strategy::BlueGreen);
    let error = system.run(run).deadline(MINUTE).await.unwrap_err();
    let FailureKind::Aborted { team, task, .. } = &error.kind else { panic!("{error}") };
    assert_eq!((team.as_str(), task.as_str()), (MONITORING, "rollback-watch/service"));
    assert!(error.partial.unwrap().assignment("rollback-shift").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_of_instances_that_an_agent_names_is_taken_back_too() {
    for fails_from in [None, Some(50)] {
        let (system, service) = (system(), service(fails_from, None));
        let plans = system.agent("inventory", |_: Value, _| async {
            let rollout = Rollout::new(["a1", "a2", "a3"], ["b1"], Strategy::BlueGreen)?;
            Ok::<_, String>(rollout.plan())
        });
        let supervisor = Supervisor::new(Surveyed::new(Strategy::BlueGreen));
        let run = teams(
            hierarchy(json!("deploy"), supervisor.plan_by(&plans.start().unwrap())),
            (&system, &service),
        );
        let done = system.run(run).deadline(MINUTE).await.unwrap();
        let (expected, names): (_, &[&str]) = match fails_from {
            None => ("rolled_out", &["b1"]),
            Some(_) => ("rolled_back", &["a1", "a2", "a3"]),
        };
        assert_eq!(outcome(&done), expected);
        assert!(service.lock().unwrap().is_served_by(names));
    }
}
