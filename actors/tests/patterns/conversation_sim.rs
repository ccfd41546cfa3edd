//! Conversations in the deterministic simulation: members that crash, hang and are slow leave nobody waiting.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::payload::coordination::Speech;
use runtime::{
    ask::AskError,
    sim::{Fault, World, sim},
};
use synod_actors::{
    agent::CallContext,
    conversation::{Heard, Member, Talk},
    system::AgentSystem,
};

const SECOND: Duration = Duration::from_secs(1);
const ASKS: usize = 60;

/// What the asks of one world came to.
type Ends = Arc<Mutex<Vec<Result<u64, AskError>>>>;

/// Three agents in one conversation; each asks the next before it answers, the last one does not.
fn chain(world: &World) -> Ends {
    let ends = Ends::default();
    let told = Arc::clone(&ends);
    world.node("one", move |node| {
        let (system, told) = (AgentSystem::start(node.clone()), Arc::clone(&told));
        let agent = |name: &str, next: Option<&'static str>| {
            let agent = system.agent(name, move |heard: Heard, cx: CallContext| async move {
                let number = heard.speech().and_then(|said| said.content.as_u64()).unwrap_or(0);
                cx.sleep(Duration::from_millis(number % 5 * 10)).await?;
                let Some(next) = next else { return Ok(Speech::new("", number + 1)) };
                cx.speak(&heard.voice)?.ask(next, Speech::new("", number), SECOND * 2).await
            });
            Member::agent(&agent.concurrency(4).start().unwrap())
        };
        let talk = Talk::new("chain")
            .member("a", agent("a", Some("b")))
            .member("b", agent("b", Some("c")))
            .member("c", agent("c", None));
        let asker =
            system.agent("asker", move |talk: Arc<Mutex<Option<Talk>>>, cx: CallContext| {
                let told = Arc::clone(&told);
                async move {
                    let Some(talk) = talk.lock().unwrap().take() else { return Ok(()) };
                    let talk = cx.open(talk)?;
                    let seat = cx.join(&talk, "asker").await?;
                    for number in 0..ASKS as u64 {
                        let answer = seat.ask("a", Speech::new("", number), SECOND * 3).await;
                        let answer = answer.map(|said| said.content.as_u64().unwrap_or(0));
                        told.lock().unwrap().push(answer);
                        cx.sleep(Duration::from_millis(20)).await?;
                    }
                    Ok::<_, AskError>(())
                }
            });
        let (asker, talk) = (asker.start().unwrap(), Arc::new(Mutex::new(Some(talk))));
        let work = async move { drop(asker.ask(talk, SECOND * 600).await) };
        node.run_task(runtime::tasks::TaskKind::Service, Box::pin(work));
    });
    ends
}

#[test]
fn where_nothing_fails_every_ask_is_answered() {
    let report = sim(chain)
        .seeds(5)
        .count(0)
        .healing(SECOND * 600)
        .finally("all are answered", |_, ends| {
            let ends = ends.lock().unwrap();
            ends.len() == ASKS && ends.iter().all(Result::is_ok)
        })
        .run();
    assert_eq!(report.seeds, 5);
}

#[test]
fn every_ask_in_a_conversation_ends_once_whatever_happens_to_its_members() {
    let report = sim(chain)
        .seeds(20)
        .count(8)
        .faults([Fault::Panic, Fault::Slow, Fault::Hang, Fault::Delay])
        .storm(SECOND * 3)
        .healing(SECOND * 600)
        .never("an answer is wrong or of another ask", |_, ends| {
            let ends = ends.lock().unwrap();
            ends.iter().enumerate().any(|(at, end)| end.as_ref().is_ok_and(|n| *n != at as u64 + 1))
        })
        .finally("no ask is left waiting", |world, ends| {
            // A panic of the asker or of its table ends them all; then nobody waits either.
            let ended = ends.lock().unwrap().len();
            ended <= ASKS && (ended == ASKS || world.is_quiet())
        })
        .run();
    assert_eq!(report.seeds, 20);
}
