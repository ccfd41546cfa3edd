//! `deadlock.cost`: what it costs that a call which could never be answered is refused.
//!
//! One actor calls a second, which calls a third before it answers, and calls again after the answer: each call opens an edge of
//! the wait-for graph, the second one behind another. Beside it the same on a node whose detection is switched off.
use anyhow::{Context as _, Result};
use synod::prelude::*;
use synod::runtime::node::Node as Kernel;
use tokio::sync::mpsc;

use crate::clock::{Watch, on_workers, per_second};
use crate::figure::{Contender, Figure, Goal, Outcome};
use crate::mailbox::DEADLINE;

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "deadlock.cost",
    unit: "calls/s",
    goal: Goal::at_least(0.9, "without"),
    contenders: &[
        Contender::synod(|settings| calls(settings.count(ROUNDS), true)),
        Contender::floor("without", |settings| calls(settings.count(ROUNDS), false)),
    ],
}];

/// Each of two calls.
const ROUNDS: u64 = 200_000;

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
