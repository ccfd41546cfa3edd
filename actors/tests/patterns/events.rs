//! Agents and events: agents that are called for events, that publish and that wait for some during a call.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::Code;
use runtime::{
    ask::AskError,
    events::{Draft, EventKind, Filter, Received, Target},
    limits::EVENT_SUBSCRIPTIONS_MAX,
    node::Node,
};
use serde_json::json;
use synod_actors::{agent::CallContext, system::AgentSystem};

use crate::until;

const MINUTE: Duration = Duration::from_secs(60);

type Heard = Arc<Mutex<Vec<u64>>>;

fn number(received: &Received) -> Option<u64> {
    match received {
        Received::Event(event) => event.read().ok(),
        Received::Missed(_) => None,
    }
}

/// An agent that writes down each number that it is given, and fails at 13.
fn writer(system: &AgentSystem, heard: &Heard) -> synod_actors::agent::Agent<u64, ()> {
    let heard = Arc::clone(heard);
    let agent = system.agent("writer", move |n: u64, _| {
        let heard = Arc::clone(&heard);
        async move {
            heard.lock().unwrap().push(n);
            if n == 13 { Err("unlucky") } else { Ok(()) }
        }
    });
    agent.start().unwrap()
}

#[tokio::test]
async fn an_agent_is_called_for_each_event_that_it_wants_and_that_is_meant_for_it() {
    let (system, heard) = (AgentSystem::start(Node::in_memory().unwrap()), Heard::default());
    let agent = writer(&system, &heard);
    let failures = Filter::new().kinds([EventKind::TaskFailed]);
    let mut failures = system.node().events().subscribe(failures).unwrap();
    let on = system.on(Filter::new().kinds(["n"]), &agent, MINUTE, |received| {
        let n = number(&received);
        assert_ne!(n, Some(99), "no such number");
        n
    });
    let on = on.unwrap();
    let publish = |draft: Draft| system.node().publish_event(draft, "test").unwrap();
    publish(Draft::new("n").data(json!(1)));
    publish(Draft::new("m").data(json!(2)));
    publish(Draft::new("n").data(json!(3)).to(Target::Name("agent/other".into())));
    publish(Draft::new("n").data(json!(4)).to(Target::Name("agent/writer".into())));
    publish(Draft::new("n").data(json!("no number")));
    for n in [13, 99, 5] {
        publish(Draft::new("n").data(json!(n)));
    }
    until("all are heard", || *heard.lock().unwrap() == [1, 4, 13, 5]).await;
    for why in ["unlucky", "no such number"] {
        let failed = tokio::time::timeout(Duration::from_secs(10), failures.next()).await.unwrap();
        let Some(Received::Event(event)) = failed else { panic!("no failure is told") };
        assert_eq!(event.data["agent"], "writer");
        assert!(event.data["error"].as_str().unwrap().contains(why), "{}", event.data);
    }
    agent.stop();
    assert_eq!(on.stopped().await, runtime::actor::ExitReason::Normal, "it ends with its agent");
}

#[tokio::test]
async fn an_agent_waits_for_an_event_during_a_call_and_publishes_its_own() {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let first = system.agent("first", |(): (), cx: CallContext| async move {
        let mut answers = cx.subscribe(Filter::new().kinds(["answer"]))?;
        cx.publish(Draft::new("question").data(json!(20)))?;
        match answers.next().await {
            Some(Received::Event(event)) => Ok::<u64, AskError>(event.read().unwrap()),
            other => panic!("{other:?}"),
        }
    });
    let second = system.agent("second", |n: u64, cx: CallContext| async move {
        let answer = Draft::new("answer").to(Target::Name("agent/first".into()));
        cx.publish(answer.data(json!(n + 1))).map(drop)
    });
    let (first, second) = (first.start().unwrap(), second.start().unwrap());
    system.on(Filter::new().kinds(["question"]), &second, MINUTE, |event| number(&event)).unwrap();
    assert_eq!(first.ask((), Duration::from_secs(10)).await, Ok(21));
    assert_eq!(system.node().events().subscriptions(), 1, "a call's subscription ends with it");
}

#[tokio::test]
async fn an_agent_that_waits_for_an_event_and_an_answer_is_not_taken_for_stuck() {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let itself = Arc::new(std::sync::OnceLock::<synod_actors::agent::Agent<bool, u64>>::new());
    let own = Arc::clone(&itself);
    let agent = system.agent("one", move |first: bool, cx: CallContext| {
        let own = own.get().unwrap().clone();
        async move {
            if !first {
                return Ok::<_, AskError>(1);
            }
            let mut go = cx.subscribe(Filter::new().kinds(["go"]))?;
            tokio::select! {
                _ = go.next() => Ok(2),
                // Its only handler is this one: alone, this could never be answered.
                answer = cx.ask(&own, false, MINUTE) => answer,
            }
        }
    });
    assert!(itself.set(agent.start().unwrap()).is_ok());
    let asked = itself.get().unwrap().ask(true, Duration::from_secs(10));
    let go = async {
        until("it listens", || system.node().events().subscriptions() == 1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        system.node().publish_event(Draft::new("go"), "test").unwrap();
    };
    let (answer, ()) = tokio::join!(asked, go);
    assert_eq!(answer, Ok(2));
}

#[tokio::test]
async fn a_call_on_no_node_and_an_invalid_event_are_refused() {
    let alone = CallContext::new(protocol::TaskId::from_u128(1));
    assert!(matches!(alone.subscribe(Filter::new()), Err(AskError::Refused(_))));
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let agent = system.agent("one", |(): (), cx: CallContext| async move {
        cx.publish(Draft::new("")).map(drop)
    });
    let refused = agent.start().unwrap().ask((), MINUTE).await.unwrap_err();
    assert!(refused.to_string().contains("its field type is empty"), "{refused}");
}

#[tokio::test]
async fn an_agent_for_whom_the_bus_has_no_seat_is_refused_and_may_come_again() {
    let (system, heard) = (AgentSystem::start(Node::in_memory().unwrap()), Heard::default());
    let (agent, bus) = (writer(&system, &heard), system.node().events());
    let mut others: Vec<_> =
        (0..EVENT_SUBSCRIPTIONS_MAX).map(|_| bus.subscribe(Filter::new()).unwrap()).collect();
    let listen = || system.on(Filter::new().kinds(["n"]), &agent, MINUTE, |event| number(&event));
    let refused = listen().unwrap_err();
    assert_eq!(refused.code, Code::Overloaded, "{refused}");
    others.pop();
    listen().unwrap();
    system.node().publish_event(Draft::new("n").data(json!(7)), "test").unwrap();
    until("it is heard", || *heard.lock().unwrap() == [7]).await;
}
