//! Conversations: what members hear, in which order, how asks end, and every refusal.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::{
    Code, Event, EventId, Value,
    limits::TEXT_BYTES_MAX,
    payload::coordination::{Coordination, Speech, Terms},
};
use runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::{AskError, Reply},
    budget::{Budget, Limits},
    clock::{ManualClock, Moment},
    context::Cx,
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
};
use synod_actors::{
    agent::{Agent, CallContext},
    conversation::{Heard, Member, Opened, Said, Say, Seat, Talk, Voice},
    limits::{CONVERSATION_MEMBERS_MAX, CONVERSATION_UNHEARD_MAX, SPEECH_BYTES_MAX},
    system::AgentSystem,
};

use crate::until;

const MINUTE: Duration = Duration::from_secs(60);

fn system() -> AgentSystem {
    AgentSystem::start(Node::in_memory().unwrap())
}

fn speech(content: impl Into<Value>) -> Speech {
    Speech::new("", content)
}

/// What must come soon.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap()
}

/// What a member heard, as text.
fn text(heard: &Heard) -> String {
    let from = &heard.from;
    match &*heard.act {
        Coordination::Tell(said) => format!("{from} tells {}", said.content),
        Coordination::Ask(said) => format!("{from} asks {}", said.content),
        Coordination::Broadcast(said) => format!("{from} says {}", said.content),
        Coordination::Join => format!("{from} joins"),
        Coordination::Leave => {
            format!("{from} leaves{}", heard.why.as_ref().map_or("", |_| " for a reason"))
        }
        Coordination::End { reason } => format!("{from} ends: {reason}"),
        Coordination::Answer(_)
        | Coordination::Open(_)
        | Coordination::Event(_)
        | Coordination::Subscribe { .. }
        | Coordination::Unsubscribe { .. } => panic!("{from} does {:?}", heard.act),
    }
}

async fn next(seat: &mut Seat) -> String {
    soon(seat.next()).await.map_or("nothing more".to_owned(), |(heard, _)| text(&heard))
}

fn code(outcome: Result<impl std::fmt::Debug, AskError>) -> Code {
    outcome.unwrap_err().code()
}

/// An actor that writes down what it hears and answers asks with their content; it keeps "keep", and ends on "end".
struct Scribe {
    heard: Arc<Mutex<Vec<String>>>,
    kept: Vec<Reply<Speech>>,
    voice: Option<Voice>,
}

enum Msg {
    Heard(Heard, Reply<Speech>),
    Said(Result<Said, AskError>),
}

impl Actor for Scribe {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Heard(heard, reply) => {
                self.heard.lock().unwrap().push(text(&heard));
                let Some(said) = heard.speech() else { return };
                match said.content.as_str() {
                    Some("end") => cx.stop(),
                    Some("keep") => self.kept.push(reply),
                    Some("speak") => {
                        let say = Say::ask(&*heard.from, speech("why?"), MINUTE);
                        cx.ask(&heard.voice, say, MINUTE, Msg::Said);
                        self.voice = Some(heard.voice.clone());
                    }
                    _ => cx.reply(reply, said.clone()),
                }
            }
            Msg::Said(outcome) => {
                let line = match outcome {
                    Ok(Said::Answered(answer)) => format!("answered {}", answer.content),
                    other => format!("{other:?}"),
                };
                self.heard.lock().unwrap().push(line);
            }
        }
    }
}

type Lines = Arc<Mutex<Vec<String>>>;

fn scribe(system: &AgentSystem, name: &str) -> (Addr<Msg>, Lines) {
    scribe_with(system, Spawn::named(name))
}

fn scribe_with(system: &AgentSystem, spawn: Spawn) -> (Addr<Msg>, Lines) {
    let lines = Lines::default();
    let heard = Arc::clone(&lines);
    let birth = move || Scribe { heard: Arc::clone(&heard), kept: Vec::new(), voice: None };
    (system.node().spawn(spawn, birth), lines)
}

/// An agent that answers with what it heard.
fn echo(system: &AgentSystem, name: &str) -> Agent<Heard, Speech> {
    let agent = system.agent(name, |heard: Heard, _: CallContext| async move {
        Ok::<_, String>(speech(text(&heard)))
    });
    agent.start().unwrap()
}

fn open(system: &AgentSystem, talk: Talk) -> Opened {
    talk.open(system.node()).unwrap()
}

#[tokio::test]
async fn agents_actors_and_seats_tell_ask_and_broadcast_in_order() {
    let system = system();
    let (actor, lines) = scribe(&system, "scribe");
    let talk = Talk::new("release")
        .member("agent", Member::agent(&echo(&system, "echo")))
        .member("actor", Member::actor(&actor, Msg::Heard));
    let talk = open(&system, talk);
    let (mut one, mut two) = (talk.join("one").await.unwrap(), talk.join("two").await.unwrap());
    assert_eq!(
        soon(talk.members()).await.unwrap(),
        ["actor", "agent", "one", "two"].map(Arc::from)
    );
    one.tell("actor", speech(1)).await.unwrap();
    assert_eq!(one.broadcast(speech(2)).await, Ok(vec![]));
    assert_eq!(one.ask("agent", speech(3), MINUTE).await, Ok(speech("one asks 3")));
    assert_eq!(one.ask("actor", speech(4), MINUTE).await, Ok(speech(4)));
    one.tell("two", speech(5)).await.unwrap();
    assert_eq!(next(&mut one).await, "two joins");
    assert_eq!(next(&mut two).await, "one says 2");
    assert_eq!(next(&mut two).await, "one tells 5");
    let asked = soon(async {
        let answer = async {
            let (heard, reply) = two.next().await.unwrap();
            assert!(heard.is_ask());
            reply.send(speech("two's answer"));
        };
        tokio::join!(one.ask("two", speech(6), MINUTE), answer).0
    });
    assert_eq!(asked.await, Ok(speech("two's answer")));
    one.tell("actor", speech("speak")).await.unwrap();
    let (heard, reply) = soon(one.next()).await.unwrap();
    assert_eq!(text(&heard), "actor asks \"why?\"");
    reply.send(speech("because"));
    until("the actor is answered", || lines.lock().unwrap().len() == 7).await;
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "one joins",
            "two joins",
            "one tells 1",
            "one says 2",
            "one asks 4",
            "one tells \"speak\"",
            "answered \"because\""
        ]
    );
    let all = talk.lines().await.unwrap();
    let numbers: Vec<_> = all.iter().map(|line| line.number).collect();
    assert_eq!(
        numbers,
        [1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8, 8],
        "an answer has the number of the last said"
    );
    assert_eq!((&*all[0].from, all[0].to.as_deref()), ("one", Some("actor")));
}

#[tokio::test]
async fn an_ask_of_a_member_that_leaves_ends_at_once_and_others_hear_of_it() {
    let system = system();
    let talk = open(&system, Talk::new("release"));
    let (one, mut two) = (talk.join("one").await.unwrap(), talk.join("two").await.unwrap());
    let mut three = talk.join("three").await.unwrap();
    let leave = async {
        soon(two.next()).await; // three joins
        let (heard, _reply) = soon(two.next()).await.unwrap();
        assert!(heard.is_ask());
        two.leave().await.unwrap();
        assert_eq!(next(&mut two).await, "nothing more");
    };
    let (asked, ()) = tokio::join!(soon(one.ask("two", speech(1), MINUTE)), leave);
    let refused = asked.unwrap_err();
    assert!(refused.to_string().contains("`two` has left: by itself"), "{refused}");
    assert_eq!(next(&mut three).await, "two leaves");
    assert_eq!(code(two.tell("one", speech(1)).await), Code::UnknownTarget, "it may speak no more");
    drop(one);
    assert_eq!(next(&mut three).await, "one leaves", "a dropped seat is left");
}

#[tokio::test]
async fn an_ask_of_a_member_that_dies_ends_at_once_and_others_are_told_why() {
    let system = system();
    let (actor, _) = scribe(&system, "scribe");
    let agent = echo(&system, "echo");
    let talk =
        open(&system, Talk::new("release").member("actor", Member::actor(&actor, Msg::Heard)));
    let mut one = talk.join("one").await.unwrap();
    talk.add("agent", Member::agent(&agent)).await.unwrap();
    let kill = async {
        while talk.lines().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        actor.child().kill();
    };
    let (asked, ()) = tokio::join!(soon(one.ask("actor", speech("keep"), MINUTE)), kill);
    let refused = asked.unwrap_err();
    assert!(matches!(refused, AskError::Dropped | AskError::Refused(_)), "{refused}");
    agent.stop();
    assert_eq!(next(&mut one).await, "agent joins");
    assert_eq!(next(&mut one).await, "actor leaves for a reason");
    assert_eq!(next(&mut one).await, "agent leaves for a reason");
    assert_eq!(talk.members().await.unwrap(), [Arc::from("one")]);
}

#[tokio::test]
async fn every_refusal_says_which_conversation_what_and_what_to_do() {
    let system = system();
    let talk = open(&system, Talk::new("release").messages_max(1_000));
    let (one, _two) = (talk.join("one").await.unwrap(), talk.join("two").await.unwrap());
    let says = |outcome: Result<(), AskError>, says: &str| {
        let refused = outcome.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("conversation `release`: ") && text.contains(says), "{text}");
        refused.code()
    };
    let unknown = one.tell("three", speech(1)).await;
    assert_eq!(says(unknown, "no member `three`; members are one, two"), Code::UnknownTarget);
    assert_eq!(says(one.tell("one", speech(1)).await, "name another"), Code::Invalid);
    let large = vec!["x".repeat(1_000); SPEECH_BYTES_MAX / 1_000 + 1];
    assert_eq!(says(one.tell("two", speech(large)).await, "say it in parts"), Code::TooLarge);
    let topic = Speech::new("a\nb", 1);
    assert_eq!(says(one.tell("two", topic).await, "field topic"), Code::Invalid);
    let reason = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(says(one.end(reason).await, "field reason"), Code::Invalid);
    let event = Event::new(EventId::from_u128(1), "sold", "shop");
    let types = vec!["sold".to_owned()];
    for (act, what) in [
        (Coordination::Open(Terms::default()), "open already"),
        (Coordination::Join, "a member already"),
        (Coordination::Answer(speech(1)), "by the reply that came with the ask"),
        (Coordination::Event(event), "over the node's bus"),
        (Coordination::Subscribe { types: types.clone() }, "over the node's bus"),
        (Coordination::Unsubscribe { types }, "over the node's bus"),
        (Coordination::Tell(speech(1)), "says not to whom"),
        (Coordination::Ask(speech(1)), "says not to whom"),
    ] {
        let said = one.say(Say::act(None, act, MINUTE), MINUTE).await.map(drop);
        assert_eq!(says(said, what), Code::NotSupported);
    }
    for _ in 0..CONVERSATION_UNHEARD_MAX {
        one.tell("two", speech(1)).await.unwrap();
    }
    assert_eq!(says(one.tell("two", speech(1)).await, "wait for it"), Code::Overloaded);
    assert_eq!(
        one.broadcast(speech(1)).await,
        Ok(vec![Arc::from("two")]),
        "nor can it be told by this"
    );
    assert_eq!(code(talk.join("two").await), Code::Duplicate);
    assert_eq!(code(talk.join("").await), Code::Invalid);
    for at in 2..CONVERSATION_MEMBERS_MAX {
        talk.add(at.to_string(), Member::agent(&Agent::mock())).await.unwrap();
    }
    assert_eq!(code(talk.join("one too many").await), Code::TooLarge);
    talk.end("enough");
    soon(talk.ended()).await;
    assert!(matches!(one.tell("two", speech(1)).await, Err(AskError::Stopped)));
    assert!(matches!(talk.join("late").await, Err(AskError::Stopped)));
}

#[test]
fn a_talk_that_is_not_valid_is_not_opened() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _guard = runtime.enter();
    let node = Node::in_memory().unwrap();
    let agent = || Member::agent(&Agent::mock());
    let code = |talk: Talk| talk.open(&node).unwrap_err().code;
    assert_eq!(code(Talk::new("a\nb")), Code::Invalid);
    assert_eq!(code(Talk::new("a").member("", agent())), Code::Invalid);
    assert_eq!(code(Talk::new("a").member("b", agent()).member("b", agent())), Code::Duplicate);
    let all = (0..=CONVERSATION_MEMBERS_MAX)
        .fold(Talk::new("a"), |talk, at| talk.member(at.to_string(), agent()));
    assert_eq!(code(all), Code::TooLarge);
}

#[tokio::test]
async fn a_budget_limits_what_is_said_and_a_refusal_names_it() {
    let system = system();
    let limits = Limits { messages: Some(3), ..Limits::default() };
    let budget = Budget::root("run", limits, Moment::START);
    let talk = open(&system, Talk::new("release").budget(budget.clone()));
    let one = talk.join("one").await.unwrap();
    let (_two, _three) = (talk.join("two").await.unwrap(), talk.join("three").await.unwrap());
    one.broadcast(speech(1)).await.unwrap();
    assert_eq!(code(one.broadcast(speech(2)).await), Code::Budget, "all are told or nobody");
    one.tell("two", speech(3)).await.unwrap();
    let refused = one.tell("two", speech(4)).await.unwrap_err();
    assert!(refused.to_string().contains("budget `run` allows 3 messages: 0 left"), "{refused}");
    assert_eq!(budget.spent().messages, 3);
}

#[tokio::test]
async fn it_ends_when_its_messages_are_said_and_the_last_ask_is_answered() {
    let system = system();
    let talk = open(&system, Talk::new("release").messages_max(2));
    let (one, mut two) = (talk.join("one").await.unwrap(), talk.join("two").await.unwrap());
    one.tell("two", speech(1)).await.unwrap();
    assert_eq!(next(&mut two).await, "one tells 1");
    let answer = async {
        let (_, reply) = soon(two.next()).await.unwrap();
        assert_eq!(code(one.tell("two", speech(3)).await), Code::Budget, "no third");
        assert!(!talk.has_ended());
        reply.send(speech("yes"));
    };
    let (asked, ()) = tokio::join!(soon(one.ask("two", speech(2), MINUTE)), answer);
    assert_eq!(asked, Ok(speech("yes")));
    assert_eq!(next(&mut two).await, "release ends: its 2 messages are said");
    assert_eq!(next(&mut two).await, "nothing more");
    assert_eq!(soon(talk.ended()).await, ExitReason::Normal);
}

#[tokio::test]
async fn it_ends_with_its_time_and_asks_end_with_it_or_with_their_own() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let system = AgentSystem::start(node);
    let talk = open(&system, Talk::new("release").lasts(MINUTE));
    let (one, _two) = (talk.join("one").await.unwrap(), talk.join("two").await.unwrap());
    let time = async {
        while talk.lines().await.is_ok_and(|lines| lines.len() < 2) {
            tokio::task::yield_now().await;
        }
        clock.advance(MINUTE / 2);
    };
    let short = async {
        let outcome = one.ask("two", speech(1), Duration::from_secs(1)).await;
        clock.advance(MINUTE / 2);
        outcome
    };
    let long = one.ask("two", speech(2), MINUTE * 9);
    let (short, long, ()) = Box::pin(soon(async { tokio::join!(short, long, time) })).await;
    assert_eq!(short, Err(AskError::TimedOut(Duration::from_secs(1))));
    assert!(matches!(code(long), Code::Cancelled | Code::DeadlinePassed));
    soon(talk.ended()).await;
}

#[tokio::test]
async fn it_ends_when_its_opener_drops_it_and_seats_are_closed() {
    let system = system();
    let talk = open(&system, Talk::new("release"));
    let mut one = talk.join("one").await.unwrap();
    let conversation = talk.clone();
    drop(talk);
    assert_eq!(next(&mut one).await, "release ends: its opener is gone");
    assert_eq!(next(&mut one).await, "nothing more");
    soon(conversation.ended()).await;
}

#[tokio::test]
async fn a_cancel_of_whoever_opened_it_ends_it_and_every_ask_in_it() {
    let system = system();
    let slot = Arc::new(Mutex::new(None));
    let told = Arc::clone(&slot);
    let lead = system.agent("lead", move |(): (), cx: CallContext| {
        let told = Arc::clone(&told);
        async move {
            let talk = cx.open(Talk::new("release"))?;
            let mut seat = cx.join(&talk, "lead").await?;
            *told.lock().unwrap() = Some((*talk).clone());
            while seat.next().await.is_some() {}
            Ok::<_, AskError>(())
        }
    });
    let lead = lead.start().unwrap();
    let call = lead.ask((), MINUTE);
    let work = async {
        until("it is open", || slot.lock().unwrap().is_some()).await;
        let talk = slot.lock().unwrap().clone().unwrap();
        let one = talk.join("one").await.unwrap();
        let cancel = async {
            while talk.lines().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            for actor in system.node().actors() {
                if actor.name().starts_with("agent/lead") {
                    actor.cancel();
                }
            }
        };
        let (asked, ()) = tokio::join!(soon(one.ask("lead", speech(1), MINUTE)), cancel);
        assert!(asked.is_err());
        assert_eq!(soon(talk.ended()).await, ExitReason::Cancelled);
    };
    let (call, ()) = tokio::join!(soon(call), work);
    assert!(call.is_err());
}

#[tokio::test]
async fn a_member_with_a_full_mailbox_holds_up_nobody_else() {
    let system = system();
    let spawn = Spawn::named("slow").mailbox(Mailbox::new(1, Overflow::Wait));
    let slow = system.node().spawn(spawn, || Calls(Addr::mock()));
    slow.tell(CallsMsg::Call).await.unwrap();
    let talk = Talk::new("release").member("slow", Member::actor(&slow, CallsMsg::Heard));
    let talk = open(&system, talk.member("echo", Member::agent(&echo(&system, "echo"))));
    let one = talk.join("one").await.unwrap();
    for n in 0..20 {
        one.broadcast(speech(n)).await.unwrap();
    }
    let answer = soon(one.ask("echo", speech("still there?"), MINUTE)).await;
    assert_eq!(answer, Ok(speech("one asks \"still there?\"")));
}

/// Serves nothing once it has called somebody who never answers.
struct Calls(Addr<Reply<()>>);

enum CallsMsg {
    Call,
    Heard(Heard, Reply<Speech>),
    Done(Result<(), AskError>),
}

impl Actor for Calls {
    type Msg = CallsMsg;

    fn handle(&mut self, msg: CallsMsg, cx: &mut Cx<Self>) {
        match msg {
            CallsMsg::Call => cx.call(&self.0, |reply| reply, MINUTE, CallsMsg::Done),
            CallsMsg::Heard(heard, reply) => drop((heard, reply)),
            CallsMsg::Done(outcome) => drop(outcome),
        }
    }
}

#[tokio::test]
async fn an_agent_speaks_in_the_conversation_while_it_is_called() {
    let system = system();
    let asker = system.agent("asker", |heard: Heard, cx: CallContext| async move {
        let voice = cx.speak(&heard.voice)?;
        voice.ask("expert", speech("how many?"), MINUTE).await
    });
    let asker = asker.start().unwrap();
    let expert = system.agent("expert", |heard: Heard, _: CallContext| async move {
        Ok::<_, AskError>(speech(format!("{} for {}", 7, heard.from)))
    });
    let talk = Talk::new("release")
        .member("asker", Member::agent(&asker))
        .member("expert", Member::agent(&expert.start().unwrap()));
    let talk = open(&system, talk);
    let one = talk.join("one").await.unwrap();
    assert_eq!(soon(one.ask("asker", speech(1), MINUTE)).await, Ok(speech("7 for asker")));
    let panics = Member::actor(&Addr::<()>::mock(), |_, _| panic!("cannot hear"));
    talk.add("deaf", panics).await.unwrap();
    let refused = soon(one.ask("deaf", speech(1), MINUTE)).await.unwrap_err();
    assert!(refused.to_string().contains("`deaf` could not hear it: cannot hear"), "{refused}");
}
