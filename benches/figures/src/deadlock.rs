//! `deadlock.*`: what it costs that a call which could never be answered is refused, and how soon it is.
//!
//! | workload | what happens |
//! |---|---|
//! | cost | one actor calls a second, which calls a third before it answers, and calls again after the answer: each call opens an edge of the wait-for graph, the second one behind another; beside it the same on a node whose detection is switched off |
//! | refusal | A calls B, which calls C, which calls A; whoever's wait comes last, mostly C's, is refused: the time runs from its call to the step in which it reads the path of the circle, and the value is the 99th percentile of the rounds |
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use synod::prelude::*;
use synod::runtime::node::Node as Kernel;
use tokio::sync::mpsc;

use crate::cancel::percentile_99;
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Contender, Figure, Goal, Outcome};
use crate::mailbox::DEADLINE;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "deadlock.cost",
        unit: "calls/s",
        rounds: None,
        goal: Goal::at_least(0.9, "without"),
        contenders: &[
            Contender::synod(|settings| calls(settings.count(ROUNDS), true)),
            Contender::floor("without", |settings| calls(settings.count(ROUNDS), false)),
        ],
    },
    Figure {
        name: "deadlock.refusal",
        unit: "µs",
        rounds: None,
        goal: Goal::at_most(1_000.0, "1 µs"),
        contenders: &[
            Contender::synod(|settings| refusals(settings.count(CIRCLES))),
            Contender::floor("1 µs", |_| Ok(Ok(1.0))),
        ],
    },
];

/// Each of two calls.
const ROUNDS: u64 = 200_000;
/// Circles of three calls.
const CIRCLES: u64 = 20_000;

/// Answers at once.
struct Last;

struct Question(u64, Reply<u64>);

impl Actor for Last {
    type Msg = Question;

    fn handle(&mut self, Question(number, to): Question, cx: &mut Cx<Self>) {
        cx.reply(to, number);
    }
}

/// Answers when the last one has.
struct Middle(Addr<Question>);

enum Ask {
    First(u64, Reply<u64>),
    Then(Result<u64, AskError>, Reply<u64>),
}

impl Actor for Middle {
    type Msg = Ask;

    fn handle(&mut self, ask: Ask, cx: &mut Cx<Self>) {
        match ask {
            Ask::First(number, to) => {
                let question = move |to| Question(number, to);
                cx.call(&self.0, question, DEADLINE, move |answer| Ask::Then(answer, to));
            }
            Ask::Then(Ok(number), to) => cx.reply(to, number),
            Ask::Then(Err(why), to) => cx.refuse(to, why),
        }
    }
}

/// Calls again after each answer, and says how many failed when all were given.
struct First {
    middle: Addr<Ask>,
    left: u64,
    done: mpsc::Sender<Result<(), AskError>>,
}

impl Actor for First {
    type Msg = Result<u64, AskError>;

    fn handle(&mut self, answer: Self::Msg, cx: &mut Cx<Self>) {
        let left = self.left;
        if left == 0 || answer.is_err() {
            self.done.try_send(answer.map(drop)).ok();
            return;
        }
        self.left -= 1;
        cx.call(&self.middle, move |to| Ask::First(left, to), DEADLINE, |answer| answer);
    }
}

/// Calls in a row on a node with detection or without.
fn calls(rounds: u64, detection: bool) -> Outcome {
    let time = on_workers(async move {
        let node = Kernel::builder().deadlock_detection(detection).open().context("open a node")?;
        let last = node.spawn(Spawn::named("last"), || Last);
        let middle = node.spawn(Spawn::named("middle"), move || Middle(last.clone()));
        let (done, mut finished) = mpsc::channel(1);
        let first = node.spawn(Spawn::named("first"), move || First {
            middle: middle.clone(),
            left: rounds,
            done: done.clone(),
        });
        let watch = Watch::start();
        first.tell(Ok(0)).await.context("begin")?;
        finished.recv().await.context("wait for the last answer")?.context("call")?;
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Result::<_>::Ok(time)
    })?;
    Ok(Ok(per_second(2 * rounds, time)))
}

/// One of a circle; on two threads any of them may be the last to begin its wait.
struct Member {
    next: Option<Addr<Turn>>,
    called: Option<Watch>,
    refused: mpsc::UnboundedSender<(Duration, String)>,
}

enum Turn {
    Next(Addr<Self>),
    Go(u32, Reply<()>),
    Over(Result<(), AskError>, Reply<()>),
}

impl Actor for Member {
    type Msg = Turn;

    fn handle(&mut self, turn: Turn, cx: &mut Cx<Self>) {
        match turn {
            Turn::Next(next) => self.next = Some(next),
            // The question of whoever was refused is still there, and goes no further.
            Turn::Go(0, to) => cx.reply(to, ()),
            Turn::Go(members, to) => {
                let Some(next) = &self.next else { return };
                self.called = Some(Watch::start());
                let question = move |to| Turn::Go(members.saturating_sub(1), to);
                cx.call(next, question, DEADLINE, move |outcome| Turn::Over(outcome, to));
            }
            Turn::Over(outcome, to) => {
                if let (Some(watch), Err(AskError::Deadlock(path))) = (self.called, &outcome) {
                    self.refused.send((watch.time(), path.to_string())).ok();
                }
                cx.reply(to, ());
            }
        }
    }
}

/// The way around, from whoever is refused.
const CIRCLE: [&str; 3] = ["a → b → c → a", "b → c → a → b", "c → a → b → c"];

/// The time from a call that closes a circle of three to its refusal, the 99th percentile in microseconds.
fn refusals(rounds: u64) -> Outcome {
    let times = on_workers(async move {
        let node = Kernel::builder().open().context("open a node")?;
        let (refused, mut heard) = mpsc::unbounded_channel();
        let [a, b, c] = ["a", "b", "c"].map(|name| {
            let refused = refused.clone();
            let member = move || Member { next: None, called: None, refused: refused.clone() };
            node.spawn(Spawn::named(name), member)
        });
        for (member, next) in [(&a, &b), (&b, &c), (&c, &a)] {
            member.tell(Turn::Next(next.clone())).await.context("close the circle")?;
        }
        let mut times = Vec::new();
        for _ in 0..rounds {
            a.ask(|to| Turn::Go(3, to), DEADLINE).await.context("go around")?;
            let (time, path) = heard.recv().await.context("hear of the refusal")?;
            ensure!(CIRCLE.contains(&path.as_str()), "the path of the refusal is {path}");
            times.push(time);
        }
        node.close().await.context("stop the node")?;
        Ok(times)
    })?;
    Ok(Ok(percentile_99(times) * 1_000.0))
}
