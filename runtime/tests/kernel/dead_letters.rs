//! Dead letters: what crashed an actor is noted, kept as the actor says, and replayed once.

use synod_runtime::{
    actor::Actor,
    ask::AskError,
    context::Cx,
    dead_letters::{Kept, ReplayError},
    limits::{DEAD_LETTER_TEXT_BYTES_MAX, DEAD_LETTERS_MAX},
    mailbox::{Mailbox, Overflow},
    node::Node,
    spawn::Spawn,
    supervisor::{Restart, Supervised, Supervisor},
};

use crate::support::{Log, SOON, soon, until};

/// Crashes on messages while it is told to be weak, and keeps them as each says.
struct Weak(Log);

#[derive(Clone, Debug)]
enum Msg {
    Text(&'static str),
    Clone(&'static str),
    Long(usize),
    Sync(std::sync::Arc<std::sync::atomic::AtomicBool>),
}

impl Actor for Weak {
    type Msg = Msg;

    fn keep(msg: &Msg) -> Kept<Msg> {
        match msg {
            Msg::Text(_) | Msg::Sync(_) => Kept::Text(format!("{msg:?}")),
            Msg::Clone(_) => Kept::Clone(msg.clone()),
            Msg::Long(bytes) => Kept::Text("ä".repeat(*bytes / 2)),
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Clone(text) if self.0.has("strong") => self.0.add(text),
            Msg::Clone(text) => panic!("{text} is too much"),
            Msg::Text(text) => cx.crash(text),
            Msg::Long(_) => cx.crash("too long"),
            Msg::Sync(done) => done.store(true, std::sync::atomic::Ordering::Release),
        }
    }
}

fn weak(mailbox: Mailbox) -> (Node, Log, Supervised) {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let own = log.clone();
    let top = node.supervise(Supervisor::one_for_one("top").intensity(10_000, SOON).child_with(
        Spawn::named("weak").mailbox(mailbox),
        Restart::Permanent,
        move || Weak(own.clone()),
    ));
    (node, log, top)
}

#[tokio::test]
async fn what_crashed_an_actor_is_noted_and_one_that_was_kept_is_replayed_once() {
    let (node, log, top) = weak(Mailbox::default());
    let actor = top.child::<Msg>("weak").unwrap();
    for msg in [Msg::Text("a"), Msg::Clone("b"), Msg::Long(10_001)] {
        actor.try_tell(msg).unwrap();
    }
    until("all have crashed it", || node.dead_letters().len() == 3).await;
    let letters = node.dead_letters();
    let what: Vec<_> = letters.iter().map(|letter| (letter.id, letter.incarnation)).collect();
    assert_eq!(what, [(1, Some(1)), (2, Some(2)), (3, Some(3))]);
    assert_eq!(letters[0].text.as_deref(), Some("Text(\"a\")"));
    assert_eq!((letters[1].text.as_deref(), letters[1].replayable), (None, true));
    assert_eq!(letters[1].why, AskError::Failed("b is too much".into()));
    let long = letters[2].text.as_ref().unwrap();
    assert_eq!(long.len(), DEAD_LETTER_TEXT_BYTES_MAX);
    assert!(letters.iter().all(|letter| letter.to.as_deref() == Some("top/weak")));

    assert_eq!(node.replay_dead_letter(1), Err(ReplayError::NotKept(1)));
    assert_eq!(node.replay_dead_letter(4), Err(ReplayError::Unknown(4)));
    log.add("strong");
    assert_eq!(node.replay_dead_letter(2), Ok(()));
    assert_eq!(node.replay_dead_letter(2), Err(ReplayError::NotKept(2)));
    assert!(!node.dead_letters()[1].replayable);
    until("it was handled", || log.has("b")).await;
    assert_eq!(log.lines(), ["strong", "b"]);
}

#[tokio::test]
async fn a_replay_that_meets_a_full_mailbox_can_be_tried_again_and_one_to_an_ended_actor_cannot() {
    let (node, log, top) = weak(Mailbox::new(1, Overflow::Reject));
    let actor = top.child::<Msg>("weak").unwrap();
    actor.try_tell(Msg::Clone("b")).unwrap();
    until("it has crashed", || node.dead_letters().len() == 1).await;
    log.add("strong");
    // One thread runs all: nobody takes this out before the replay.
    let done = std::sync::Arc::default();
    until("there is room", || actor.try_tell(Msg::Sync(std::sync::Arc::clone(&done))).is_ok())
        .await;
    assert_eq!(node.replay_dead_letter(1), Err(ReplayError::Refused(1, AskError::Full)));
    assert!(node.dead_letters()[0].replayable);
    until("there is room", || actor.tally().kept == 0).await;
    top.terminate_child("weak", SOON).await.unwrap();
    soon(actor.stopped()).await;
    assert_eq!(node.replay_dead_letter(1), Err(ReplayError::Refused(1, AskError::Stopped)));
    assert_eq!(node.replay_dead_letter(1), Err(ReplayError::NotKept(1)));
}

#[tokio::test]
async fn only_the_latest_dead_letters_are_kept() {
    let (node, _, top) = weak(Mailbox::new(2_000, Overflow::Reject));
    let actor = top.child::<Msg>("weak").unwrap();
    let count = DEAD_LETTERS_MAX + 7;
    for _ in 0..count {
        actor.try_tell(Msg::Text("a")).unwrap();
    }
    let latest = || node.dead_letters().last().map(|letter| letter.id);
    until("all have crashed it", || latest() == Some(count as u64)).await;
    let letters = node.dead_letters();
    assert_eq!((letters.len(), letters[0].id), (DEAD_LETTERS_MAX, 8));
}
