//! Agents that ask agents, sleep, throw dice and read the time through their call's context.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use runtime::{
    actor::{Actor, ExitReason},
    ask::AskError,
    clock::ManualClock,
    context::Cx,
    node::Node,
    spawn::Spawn,
    work_cx::WorkCx,
};
use synod_actors::{
    agent::{Agent, CallContext},
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);

type Numbers = Agent<u32, u32>;

/// Agents by their names, for each other to ask.
type Others = Arc<[(&'static str, OnceLock<Numbers>)]>;

fn still() -> AgentSystem {
    AgentSystem::start(Node::builder().clock(Arc::new(ManualClock::new())).open().unwrap())
}

/// Agents in a ring, each with its number of calls at a time; each asks the next until the number is 0.
fn ring(system: &AgentSystem, agents: &[(&'static str, u32)]) -> Others {
    let others: Others = agents.iter().map(|(name, _)| (*name, OnceLock::new())).collect();
    for (at, (name, concurrency)) in agents.iter().enumerate() {
        let all = Arc::clone(&others);
        let agent = system.agent(*name, move |left: u32, cx: CallContext| {
            let next = all[(at + 1) % all.len()].1.get().unwrap().clone();
            async move {
                if left == 0 {
                    return Ok(0);
                }
                cx.ask(&next, left - 1, MINUTE).await.map(|steps| steps + 1)
            }
        });
        let agent = agent.concurrency(*concurrency).start().unwrap();
        assert!(others[at].1.set(agent).is_ok());
    }
    others
}

async fn asked(others: &Others, steps: u32) -> Result<u32, AskError> {
    let first = others[0].1.get().unwrap().ask(steps, MINUTE);
    tokio::time::timeout(Duration::from_secs(10), first).await.expect("it does not end")
}

#[tokio::test]
async fn agents_ask_agents() {
    let system = still();
    let others = ring(&system, &[("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(asked(&others, 2).await, Ok(2));
    assert_eq!(system.node().pending_waits(), 0);
}

#[tokio::test]
async fn a_circle_of_agents_whose_last_handlers_wait_is_refused_at_once_with_its_path() {
    let system = still();
    let others = ring(&system, &[("a", 1), ("b", 1), ("c", 1)]);
    let failed = asked(&others, 7).await.unwrap_err().to_string();
    for name in ["agent/a", "agent/b", "agent/c", "could never end"] {
        assert!(failed.contains(name), "{name} is not in {failed}");
    }
    assert_eq!((system.node().pending_waits(), system.node().pending_timers()), (0, 0));
    // Once it was refused, everyone is free again.
    assert_eq!(asked(&others, 2).await, Ok(2));
}

#[tokio::test]
async fn a_free_handler_answers_and_then_no_circle_is_closed() {
    let system = still();
    let others = ring(&system, &[("a", 2), ("b", 2)]);
    assert_eq!(asked(&others, 3).await, Ok(3), "two calls each are enough for three asks");
    let failed = asked(&others, 4).await.unwrap_err().to_string();
    assert!(failed.contains("could never end"), "the third handler of `a` is missing: {failed}");
}

#[tokio::test]
async fn an_agent_sleeps_and_reads_time_and_dice_of_its_node() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let system = AgentSystem::start(node);
    let agent = system.agent("sleeper", |(): (), cx: CallContext| async move {
        let (before, first, second) = (cx.now()?, cx.random()?, cx.random()?);
        cx.sleep(MINUTE).await?;
        Ok::<_, AskError>((cx.now()?.since(before), first != second))
    });
    let agent = agent.start().unwrap();
    let time = async {
        // The ask's deadline, the slot's look at it, the sleep.
        while system.node().pending_timers() < 3 {
            tokio::task::yield_now().await;
        }
        clock.advance(MINUTE);
    };
    let (slept, ()) = tokio::join!(agent.ask((), MINUTE * 2), time);
    assert_eq!(slept, Ok((MINUTE, true)));
    let alone = CallContext::new(protocol::TaskId::from_u128(1));
    assert!(matches!(alone.now(), Err(AskError::Refused(_))), "no node, no time");
}

/// Starts one below itself at its start, and does nothing else.
struct Nest(bool);

impl Actor for Nest {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        if self.0 {
            cx.spawn(Spawn::named("below"), || Self(false));
        }
    }

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

#[tokio::test]
async fn what_a_call_has_started_is_gone_when_its_answer_comes_and_it_starts_nobody_later() {
    let system = still();
    let kept: Arc<OnceLock<WorkCx>> = Arc::default();
    let keeps = Arc::clone(&kept);
    let agent = system.agent("starts", move |_: u32, cx: CallContext| {
        let work = cx.work.unwrap();
        let nest = work.spawn(Spawn::named("nest"), || Nest(true));
        keeps.set(work).unwrap();
        async move {
            nest.tell(()).await.unwrap();
            Ok::<_, String>(0_u32)
        }
    });
    let agent: Numbers = agent.start().unwrap();
    let before = system.node().actors().len();
    assert_eq!(agent.ask(1, MINUTE).await, Ok(0));
    assert_eq!(system.node().actors().len(), before);
    let late = kept.get().unwrap().spawn(Spawn::named("late"), || Nest(true));
    assert_eq!(late.stopped().await, ExitReason::Cancelled);
    assert_eq!(system.node().actors().len(), before);
}
