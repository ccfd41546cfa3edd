//! Agents that ask agents, sleep, throw dice and read the time through their call's context.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use runtime::{
    actor::{Actor, ExitReason},
    ask::AskError,
    clock::ManualClock,
    context::Cx,
    events::Filter,
    node::Node,
    sim::{Fault, World, sim},
    spawn::Spawn,
    waits::Need,
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

/// Two agents that answer one call at a time: `back` asks `first` something else before it answers, and `first` does `work`.
fn pair<W>(
    system: &AgentSystem,
    work: impl Fn(Numbers, CallContext) -> W + Send + Sync + 'static,
) -> Numbers
where
    W: Future<Output = Result<u32, AskError>> + Send + 'static,
{
    let cell = Arc::<OnceLock<Numbers>>::default();
    let first = Arc::clone(&cell);
    let back = system.agent("back", move |n: u32, cx: CallContext| {
        let first = first.get().unwrap().clone();
        async move {
            match n {
                0 => Ok(0),
                _ => cx.ask(&first, 0, MINUTE).await,
            }
        }
    });
    let back = back.start().unwrap();
    let first = system.agent("first", move |n: u32, cx: CallContext| {
        let work = (n > 0).then(|| work(back.clone(), cx));
        async move {
            match work {
                Some(work) => work.await,
                None => Ok(7),
            }
        }
    });
    let first = first.start().unwrap();
    assert!(cell.set(first.clone()).is_ok());
    first
}

/// Asks `first`, and calls `then` as soon as `back` waits for it and nobody else waits for anything.
async fn meanwhile(
    system: &AgentSystem,
    first: &Numbers,
    then: impl FnOnce(),
) -> Result<u32, AskError> {
    let seen = async {
        while system.node().pending_waits() == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(system.node().pending_waits(), 1, "`first` goes on by itself");
        then();
    };
    let both = async { tokio::join!(first.ask(1, MINUTE * 2), seen).0 };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("it does not end")
}

async fn once(first: &Numbers) -> Result<u32, AskError> {
    let asked = first.ask(1, MINUTE * 2);
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it does not end")
}

fn is_stuck(outcome: &Result<u32, AskError>) -> bool {
    matches!(outcome, Err(AskError::Failed(why)) if why.contains("could never end"))
}

#[tokio::test]
async fn an_agent_that_listens_to_a_channel_beside_its_ask_is_not_stuck() {
    let system = still();
    let (to, from) = tokio::sync::oneshot::channel();
    let from = Mutex::new(Some(from));
    let first = pair(&system, move |back, cx| {
        let from = from.lock().unwrap().take().unwrap();
        async move {
            tokio::select! {
                answer = cx.ask(&back, 1, MINUTE) => answer,
                heard = from => Ok(heard.unwrap()),
            }
        }
    });
    assert_eq!(meanwhile(&system, &first, || to.send(3).unwrap()).await, Ok(3));
}

#[tokio::test]
async fn an_agent_that_sleeps_beside_its_ask_is_not_stuck() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let system = AgentSystem::start(node);
    let first = pair(&system, |back, cx| async move {
        tokio::select! {
            answer = cx.ask(&back, 1, MINUTE) => answer,
            slept = cx.sleep(MINUTE / 2) => slept.map(|()| 4),
        }
    });
    assert_eq!(
        meanwhile(&system, &first, || {
            clock.advance(MINUTE / 2);
        })
        .await,
        Ok(4)
    );
}

#[tokio::test]
async fn an_agent_that_wakes_itself_is_not_stuck() {
    let system = still();
    let spins = Arc::new(AtomicBool::new(true));
    let until = Arc::clone(&spins);
    let first = pair(&system, move |back, cx| {
        let spins = Arc::clone(&spins);
        async move {
            let spun = std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if spins.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(Ok(5)) }
            });
            tokio::select! {
                answer = cx.ask(&back, 1, MINUTE) => answer,
                spun = spun => spun,
            }
        }
    });
    assert_eq!(meanwhile(&system, &first, || until.store(false, Ordering::SeqCst)).await, Ok(5));
}

#[tokio::test]
async fn what_an_agent_no_longer_awaits_does_not_hide_that_it_is_stuck() {
    let system = still();
    let first = pair(&system, |back, cx| async move {
        let mut events = cx.subscribe(Filter::new())?;
        let (kept, heard) = tokio::sync::oneshot::channel::<u32>();
        tokio::select! {
            biased;
            _ = events.next() => panic!("no event"),
            slept = cx.sleep(MINUTE) => panic!("no time has passed: {slept:?}"),
            heard = heard => panic!("nobody has spoken: {heard:?}"),
            answer = cx.ask(&back, 0, MINUTE) => assert_eq!(answer, Ok(0)),
        }
        drop(kept);
        let answer = cx.ask(&back, 1, MINUTE).await;
        drop(events);
        answer
    });
    let outcome = once(&first).await;
    assert!(is_stuck(&outcome), "{outcome:?}");
    assert_eq!((system.node().pending_waits(), system.node().pending_timers()), (0, 0));
}

#[tokio::test]
async fn an_agent_that_joins_two_asks_which_are_stuck_is_refused_at_once() {
    let system = still();
    let first = pair(&system, |back, cx| async move {
        let (one, two) = tokio::join!(cx.ask(&back, 1, MINUTE), cx.ask(&back, 2, MINUTE));
        one.and(two)
    });
    let outcome = once(&first).await;
    assert!(is_stuck(&outcome), "{outcome:?}");
    assert_eq!((system.node().pending_waits(), system.node().pending_timers()), (0, 0));
}

/// Agents that answer one call at a time: `stuck` asks `first` back, `free` answers 5, and `first` asks both, of whom `need` must answer.
fn asks_both(system: &AgentSystem, need: Need) -> Agent<u32, Vec<String>> {
    let cell = Arc::<OnceLock<Agent<u32, Vec<String>>>>::default();
    let back = Arc::clone(&cell);
    let stuck = system.agent("stuck", move |_: u32, cx: CallContext| {
        let first = back.get().unwrap().clone();
        async move { cx.ask(&first, 0, MINUTE).await.map(|told| told.len()) }
    });
    let stuck = stuck.start().unwrap();
    let free = system.agent("free", |_: u32, _| async move { Ok::<_, AskError>(5) });
    let free = free.start().unwrap();
    let first = system.agent("first", move |n: u32, cx: CallContext| {
        let targets = [&stuck, &free].map(|agent| (agent.clone(), 1_u32));
        async move {
            if n == 0 {
                return Ok(Vec::new());
            }
            let outcomes = cx.ask_many(targets, need, MINUTE).await;
            let told = outcomes.iter().map(|outcome| match outcome {
                Ok(answer) => answer.to_string(),
                Err(why) => why.to_string(),
            });
            Ok::<_, AskError>(told.collect())
        }
    });
    let first = first.start().unwrap();
    assert!(cell.set(first.clone()).is_ok());
    first
}

async fn told(first: &Agent<u32, Vec<String>>) -> Vec<String> {
    let asked = first.ask(1, MINUTE * 2);
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it does not end").unwrap()
}

/// Waits until nobody waits for anything; whoever asked back is answered once `first` is free.
async fn ends(system: &AgentSystem) {
    let left = || (system.node().pending_waits(), system.node().pending_timers());
    super::until("nobody waits", || left() == (0, 0)).await;
}

#[tokio::test]
async fn an_agent_that_joins_two_of_whom_one_asks_back_is_told_at_once_though_the_other_is_free() {
    let system = still();
    let told = told(&asks_both(&system, Need::All)).await;
    assert!(told[0].contains("could never end"), "{told:?}");
    for name in ["agent/first", "agent/stuck"] {
        assert!(told[0].contains(name), "{name} is not in {told:?}");
    }
    ends(&system).await;
}

#[tokio::test]
async fn an_agent_that_needs_one_of_two_has_the_answer_of_the_free_one_though_the_other_asks_back()
{
    let system = still();
    assert_eq!(told(&asks_both(&system, Need::Any)).await[1], "5");
    ends(&system).await;
}

#[tokio::test]
async fn without_a_node_each_question_is_refused() {
    let system = still();
    let free = system.agent("free", |_: u32, _| async move { Ok::<_, AskError>(5_u32) });
    let free = free.start().unwrap();
    let alone = CallContext::new(protocol::TaskId::from_u128(1));
    let targets = [(free.clone(), 1), (free, 2)];
    let outcomes: Vec<Result<u32, _>> = alone.ask_many(targets, Need::All, MINUTE).await;
    assert!(matches!(&outcomes[..], [Err(AskError::Refused(_)), Err(AskError::Refused(_))]));
}

/// How the asks of a client ended: answered, and refused as stuck.
type Ends = Arc<Mutex<(u32, u32)>>;

/// Four agents with three calls at a time each; each asks two others, of whom it needs one or both, a few levels deep.
fn quorums(world: &World) -> Ends {
    let agents: Arc<Mutex<Vec<Numbers>>> = Arc::default();
    let boots = Arc::clone(&agents);
    world.node("one", move |node| {
        let (system, of) = (AgentSystem::start(node.clone()), Arc::clone(&boots));
        boots.lock().unwrap().clear();
        for name in ["a", "b", "c", "d"] {
            let others = Arc::clone(&of);
            let agent = system.agent(name, move |left: u32, cx: CallContext| {
                let others = others.lock().unwrap().clone();
                async move {
                    cx.sleep(Duration::from_millis(cx.random()? % 20)).await?;
                    if left == 0 {
                        return Ok(1);
                    }
                    let dice = cx.random()?;
                    let need = if dice % 4 == 0 { Need::Any } else { Need::All };
                    let targets = [dice / 4, dice / 16].map(|at| {
                        let at = usize::try_from(at % others.len() as u64).unwrap();
                        (others[at].clone(), left - 1)
                    });
                    let outcomes = cx.ask_many(targets, need, Duration::from_secs(5)).await;
                    outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(1))
                }
            });
            boots.lock().unwrap().push(agent.concurrency(3).start().unwrap());
        }
        system
    });
    let ends = Ends::default();
    for client in ["first", "second", "third"] {
        let (outside, agents, ends) = (world.clone(), Arc::clone(&agents), Arc::clone(&ends));
        world.client(client, async move {
            for _ in 0..8 {
                let at = usize::try_from(outside.below(4)).unwrap();
                let agent = agents.lock().unwrap()[at].clone();
                let outcome = agent.ask(2, Duration::from_secs(20)).await;
                let mut ends = ends.lock().unwrap();
                match outcome {
                    Ok(_) => ends.0 += 1,
                    Err(why) if why.to_string().contains("could never end") => ends.1 += 1,
                    Err(_) => {}
                }
            }
        });
    }
    ends
}

#[test]
fn agents_that_join_and_race_do_the_same_for_the_same_seed_and_leave_no_wait() {
    let sum = Ends::default();
    let of = Arc::clone(&sum);
    let report = sim(quorums)
        .seeds(20)
        .faults([Fault::Slow, Fault::Delay])
        .finally("nobody waits, and no deadline is left", move |world, ends| {
            let (answered, stuck) = *ends.lock().unwrap();
            let mut sum = of.lock().unwrap();
            *sum = (sum.0 + answered, sum.1 + stuck);
            let node = world.get("one").unwrap();
            node.pending_waits() == 0
        })
        .run();
    assert_eq!(report.seeds, 20);
    let (answered, stuck) = *sum.lock().unwrap();
    assert!(answered > 100 && stuck > 20, "{answered} answered, {stuck} refused as stuck");
}
