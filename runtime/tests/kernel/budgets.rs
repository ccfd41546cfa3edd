//! Budgets of actors: what they send and start is charged, and what is refused does not happen.

use std::time::Duration;

use protocol::{Code, Refusal};
use synod_runtime::{
    actor::{Actor, ExitReason},
    address::Addr,
    ask::AskError,
    budget::{Budget, Cost, Limits},
    clock::Moment,
    context::Cx,
    node::Node,
    spawn::Spawn,
};

use super::support::{Do, Log, Puppet, SOON, act, ask, handled, note, puppet, soon, tell, until};

fn budget(limits: Limits) -> Budget {
    Budget::root("run", limits, Moment::START)
}

/// A root puppet whose doings are charged.
fn spender(node: &Node, log: &Log, budget: &Budget) -> Addr<Do> {
    let log = log.clone();
    let spawn = Spawn::named("spender").budget(budget.clone());
    node.spawn(spawn, move || Puppet::new(&log))
}

#[tokio::test]
async fn a_message_beyond_the_budget_is_a_dead_letter_that_names_it() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits { messages: Some(2), ..Limits::default() });
    let (from, to) = (spender(&node, &log, &run), puppet(&node, "to", &log));
    let target = to.clone();
    tell(&from, move |_, cx| {
        for line in ["first", "second", "third"] {
            cx.send(&target, note(line));
        }
    });
    handled(&from).await;
    handled(&to).await;
    assert!(log.has("second") && !log.has("third"), "{:?}", log.lines());
    let letters = node.dead_letters();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    let refused = "budget `run` allows 2 messages: 0 left, 1 asked for".to_owned();
    assert_eq!(letter.why, Refusal::new(Code::Budget, refused).into());
    assert_eq!((run.spent(), run.reserved()), (Cost { messages: 2, ..Cost::ZERO }, Cost::ZERO));
}

#[tokio::test]
async fn an_ask_beyond_the_budget_is_answered_at_once_and_answers_cost_nothing() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits { messages: Some(1), ..Limits::default() });
    let (from, to) = (spender(&node, &log, &run), puppet(&node, "to", &log));
    let target = to.clone();
    tell(&from, move |_, cx| {
        for _ in 0..2 {
            let question = |to| act(move |_, cx| cx.reply(to, 7));
            cx.ask(&target, question, SOON, |answer: Result<i32, AskError>| {
                act(move |puppet, _| puppet.log.add(format!("{answer:?}")))
            });
        }
    });
    let refused = "Err(Refused(Refusal { code: Budget, text: \"budget `run` allows 1 messages: \
                   0 left, 1 asked for\", retry_after_ms: None }))";
    until("both are answered", || log.has("Ok(7)") && log.has(refused)).await;
    assert_eq!(run.spent().messages, 1);
}

#[tokio::test]
async fn a_message_of_a_step_that_crashed_costs_nothing() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits::default());
    let (from, to) = (spender(&node, &log, &run), puppet(&node, "to", &log));
    tell(&from, move |_, cx| {
        cx.send(&to, note("lost"));
        panic!("after sending");
    });
    soon(from.stopped()).await;
    assert_eq!(run.spent(), Cost::ZERO);
}

/// Starts a child below `cx` that does `does` when it starts.
fn child(cx: &mut Cx<Puppet>, name: &str, does: fn(&mut Puppet, &mut Cx<Puppet>)) -> Addr<Do> {
    let log = Log::default();
    cx.spawn(Spawn::named(name), move || Puppet::new(&log).starting(does))
}

#[tokio::test]
async fn children_inherit_the_budget_and_a_refused_one_ends_at_once() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits { children: Some(3), depth: Some(2), ..Limits::default() });
    let root = spender(&node, &log, &run);
    let first = ask(&root, |_, cx, to| {
        let first = child(cx, "first", |_, cx| {
            child(cx, "second", |_, cx| {
                child(cx, "too-deep", |_, _| {});
            });
        });
        cx.reply(to, first);
    });
    let first = first.await.unwrap();
    let ended = |name: &str| node.find::<Do>(name).is_none();
    let second = "spender/first/second";
    until("the second lives", || !ended(second)).await;
    until("the third was refused", || {
        ended("spender/first/second/too-deep") && run.spent().children == 2
    })
    .await;
    let beyond = ask(&root, |_, cx, to| {
        let pair = [child(cx, "third", |_, _| {}), child(cx, "fourth", |_, _| {})];
        cx.reply(to, pair);
    });
    let [third, fourth] = beyond.await.unwrap();
    let one = async {
        tokio::select! {
            reason = third.stopped() => reason,
            reason = fourth.stopped() => reason,
        }
    };
    let reason = soon(one).await;
    let refused = "budget `run` allows 3 children: 0 left, 1 asked for".to_owned();
    assert_eq!(reason, ExitReason::Refused(refused));
    assert_eq!(run.spent().children, 3);
    assert!(!first.is_stopped());
}

#[tokio::test]
async fn a_supervising_parent_is_told_that_its_child_was_refused() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits { children: Some(0), ..Limits::default() });
    let parent = spender(&node, &log, &run);
    tell(&parent, |puppet, cx| {
        let log = puppet.log.clone();
        cx.spawn_supervised(
            Spawn::named("child"),
            move || Puppet::new(&log),
            |exit| {
                act(move |puppet, _| {
                    puppet.log.add(format!("{} {}", exit.incarnation, exit.reason));
                })
            },
        );
    });
    let line = "0 not started: budget `run` allows 0 children: 0 left, 1 asked for";
    until("the parent is told", || log.has(line)).await;
}

#[tokio::test]
async fn a_budget_whose_time_is_over_lets_nothing_through() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let limits = Limits { wall_clock: Some(Duration::from_millis(20)), ..Limits::default() };
    let run = Budget::root("run", limits, node.now());
    let (from, to) = (spender(&node, &log, &run), puppet(&node, "to", &log));
    until("the time is over", || node.now() >= run.ends()).await;
    tell(&from, move |_, cx| cx.send(&to, note("late")));
    handled(&from).await;
    let letters = node.dead_letters();
    let why = letters.first().map(|letter| letter.why.to_string());
    let refused = "refused: budget `run` allows 20 ms of wall clock: 0 left, 1 asked for";
    assert_eq!(why.as_deref(), Some(refused));
}

#[tokio::test]
async fn what_the_task_of_an_actor_asks_and_starts_is_charged_to_the_actor() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let run = budget(Limits { messages: Some(2), children: Some(1), ..Limits::default() });
    let (from, to) = (spender(&node, &log, &run), puppet(&node, "to", &log));
    tell(&from, move |_, cx| {
        let work = cx.work_cx();
        let doing = async move {
            let mut answers = Vec::new();
            for number in 0..1_000_u64 {
                let question = move |to| act(move |_, cx| cx.reply(to, number));
                answers.push(work.ask(&to, question, SOON).await);
            }
            let log = Log::default();
            let born = |name: &str| {
                let log = log.clone();
                work.spawn(Spawn::named(name), move || Puppet::new(&log))
            };
            let (_first, second) = (born("first"), born("second"));
            (answers, second.stopped().await)
        };
        cx.perform(doing, |done| {
            act(move |puppet, _| {
                let (answers, second) = done.unwrap();
                let answered = answers.iter().filter(|answer| answer.is_ok()).count();
                puppet
                    .log
                    .add(format!("{answered}, {}, {second}", answers[2].clone().unwrap_err()));
            })
        });
    });
    let line = "2, refused: budget `run` allows 2 messages: 0 left, 1 asked for, \
                not started: budget `run` allows 1 children: 0 left, 1 asked for";
    until("the task is done", || log.has(line)).await;
    assert_eq!(run.spent(), Cost { messages: 2, children: 1, ..Cost::ZERO });
}

#[tokio::test]
async fn a_task_with_a_budget_of_its_own_is_charged_to_that() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let [own, call] = ["own", "call"].map(|name| Budget::root(name, Limits::default(), node.now()));
    let (from, to) = (spender(&node, &log, &own), puppet(&node, "to", &log));
    let charged = call.clone();
    tell(&from, move |_, cx| {
        let work = cx.work_cx().charged_to(Some(charged));
        let question = |to| act(move |_, cx| cx.reply(to, 7_u64));
        let doing = async move { work.ask(&to, question, SOON).await };
        cx.perform(doing, |done| act(move |puppet, _| puppet.log.add(format!("{done:?}"))));
    });
    until("it is answered", || log.has("Ok(Ok(7))")).await;
    assert_eq!((own.spent().messages, call.spent().messages), (0, 1));
}

/// Starts a child with a budget of its own, made from its own.
struct Digs(u32);

impl Actor for Digs {
    type Msg = ();

    fn start(&mut self, cx: &mut Cx<Self>) {
        let Some(left) = self.0.checked_sub(1) else { return };
        let own = cx.budget().unwrap().subtree("own", Limits::default(), Moment::START);
        cx.spawn(Spawn::named("d").budget(own), move || Self(left));
    }

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

#[tokio::test]
async fn a_budget_of_its_own_gives_a_child_no_more_depth_than_that_it_comes_from() {
    let node = Node::in_memory().unwrap();
    let run = budget(Limits { depth: Some(2), ..Limits::default() });
    let top = node.spawn(Spawn::named("top").budget(run.clone()), || Digs(10));
    until("the last one is refused", || run.spent().children == 2 && node.actors().len() == 3)
        .await;
    top.stop();
    soon(top.stopped()).await;
    assert_eq!(run.spent().children, 2);
}
