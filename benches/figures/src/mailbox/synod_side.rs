//! Synod's own side: bounded mailboxes, deadlines on every ask, counters on.
use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use synod::runtime::{
    actor::Actor, address::Addr, ask::Reply, child::ChildRef, context::Cx, mailbox::Mailbox,
    mailbox::Overflow, node::Node, spawn::Spawn,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{BATCH, BOUND, DEADLINE, RING, SENDERS, SWARM, WAVE};
use crate::clock::{Watch, on_workers, per_second};
use crate::figure::Outcome;

/// A mailbox that makes senders wait.
fn bounded(name: String) -> Spawn {
    Spawn::named(name).mailbox(Mailbox::new(BOUND, Overflow::Wait))
}

/// Counts messages and tells when all were handled.
struct Sink {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Sink {
    type Msg = u64;

    fn handle(&mut self, _: u64, _: &mut Cx<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

/// One task sends to one actor.
pub(crate) fn tell(count: u64) -> Outcome {
    fan(count, 1)
}

/// Several tasks send to one actor.
pub(crate) fn fan_in(count: u64) -> Outcome {
    fan(count, SENDERS)
}

fn fan(count: u64, senders: u64) -> Outcome {
    let each = count / senders;
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let (done, finished) = oneshot::channel();
        let mut done = Some(done);
        let sink = node.spawn(bounded("sink".to_owned()), move || Sink {
            left: each * senders,
            done: done.take(),
        });
        let watch = Watch::start();
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            let sink = sink.clone();
            tasks.spawn(async move {
                for number in 0..each {
                    sink.tell(number).await?;
                }
                Ok::<_, synod::runtime::address::TellError<u64>>(())
            });
        }
        while let Some(sent) = tasks.join_next().await {
            sent.context("join a sender")?.context("tell")?;
        }
        finished.await.context("wait for the last")?;
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(each * senders, time)))
}

/// Passes a token on.
struct Link {
    next: Option<Addr<Token>>,
    done: Option<oneshot::Sender<()>>,
}

enum Token {
    Next(Addr<Token>),
    Left(u64),
}

impl Actor for Link {
    type Msg = Token;

    fn handle(&mut self, token: Token, cx: &mut Cx<Self>) {
        let left = match token {
            Token::Next(next) => {
                self.next = Some(next);
                return;
            }
            Token::Left(left) => left,
        };
        if left <= 1
            && let Some(done) = self.done.take()
        {
            done.send(()).ok();
        } else if let Some(next) = &self.next {
            cx.send(next, Token::Left(left.saturating_sub(1).max(1)));
        }
    }
}

/// A token goes around.
pub(crate) fn ring(hops: u64) -> Outcome {
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let (done, finished) = oneshot::channel();
        let mut done = Some(done);
        let link = |number: usize, done: Option<oneshot::Sender<()>>| {
            let mut done = Some(done);
            node.spawn(bounded(format!("link-{number}")), move || Link {
                next: None,
                done: done.take().flatten(),
            })
        };
        let last = link(0, done.take());
        let mut next = last.clone();
        for number in 1..RING {
            let before = link(number, None);
            before.tell(Token::Next(next)).await.context("close the ring")?;
            next = before;
        }
        last.tell(Token::Next(next.clone())).await.context("close the ring")?;
        let watch = Watch::start();
        next.tell(Token::Left(hops)).await.context("start the token")?;
        finished.await.context("wait for the token")?;
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(hops, time)))
}

/// Answers with what it is asked.
struct Echo;

struct Question(u64, Reply<u64>);

impl Actor for Echo {
    type Msg = Question;

    fn handle(&mut self, Question(number, reply): Question, cx: &mut Cx<Self>) {
        cx.reply(reply, number);
    }
}

/// One task asks one actor, `open` questions at a time, each with a deadline.
pub(crate) fn ask(count: u64, open: usize) -> Outcome {
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let echo = node.spawn(bounded("echo".to_owned()), || Echo);
        let one = |number| question(&echo, number);
        let watch = Watch::start();
        if open == 1 {
            for number in 0..count {
                ensure!(one(number).await? == number, "a wrong answer");
            }
        } else {
            let mut asks: FuturesUnordered<_> = (0..open as u64).map(one).collect();
            let mut next = open as u64;
            while let Some(answer) = asks.next().await {
                answer?;
                if next < count {
                    asks.push(one(next));
                    next += 1;
                }
            }
        }
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(count, time)))
}

async fn question(echo: &Addr<Question>, number: u64) -> Result<u64> {
    echo.ask(|reply| Question(number, reply), DEADLINE).await.context("ask")
}

/// Tells the gatherer of every tick.
struct Ant(Addr<u64>);

impl Actor for Ant {
    type Msg = u64;

    fn handle(&mut self, tick: u64, cx: &mut Cx<Self>) {
        cx.send(&self.0, tick);
    }
}

/// Counts replies and lets the next tick start after the last.
struct Gatherer {
    count: usize,
    next: mpsc::Sender<()>,
}

impl Actor for Gatherer {
    type Msg = u64;

    fn handle(&mut self, _: u64, _: &mut Cx<Self>) {
        self.count += 1;
        if self.count == SWARM {
            self.count = 0;
            self.next.try_send(()).ok();
        }
    }
}

/// Everyone gets a tick and tells the gatherer.
pub(crate) fn swarm_tick(ticks: u64) -> Outcome {
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let (next, mut go) = mpsc::channel(1);
        let gatherer = node.spawn(bounded("gatherer".to_owned()), move || Gatherer {
            count: 0,
            next: next.clone(),
        });
        let ants: Vec<_> = (0..SWARM)
            .map(|number| {
                let gatherer = gatherer.clone();
                node.spawn(bounded(format!("ant-{number}")), move || Ant(gatherer.clone()))
            })
            .collect();
        let mut watch = Watch::start();
        for tick in 0..=ticks {
            for ant in &ants {
                ant.tell(tick).await.context("tick")?;
            }
            go.recv().await.context("gather")?;
            if tick == 0 {
                watch = Watch::start();
            }
        }
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(ticks * SWARM as u64, time)))
}

/// Does nothing for as long as it lives.
struct Idle;

impl Actor for Idle {
    type Msg = ();

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// Starts a wave of children, then stops it, and tells when the last has ended.
struct Parent {
    wave: Vec<ChildRef>,
    left: usize,
    next: mpsc::Sender<()>,
}

enum Wave {
    Start,
    Stop,
    Ended,
}

impl Actor for Parent {
    type Msg = Wave;

    fn handle(&mut self, message: Wave, cx: &mut Cx<Self>) {
        match message {
            Wave::Start => {
                self.left = WAVE;
                for _ in 0..WAVE {
                    let child = cx.spawn(bounded("child".to_owned()), || Idle).child();
                    cx.watch(&child, |_| Wave::Ended);
                    self.wave.push(child);
                }
                cx.send(&cx.me(), Wave::Stop);
            }
            Wave::Stop => self.wave.drain(..).for_each(|child| cx.stop_child(&child)),
            Wave::Ended => {
                self.left -= 1;
                if self.left == 0 {
                    self.next.try_send(()).ok();
                }
            }
        }
    }
}

/// Actors come and go in waves.
pub(crate) fn spawn(waves: u64) -> Outcome {
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let (next, mut over) = mpsc::channel(1);
        let parent = node.spawn(bounded("parent".to_owned()), move || Parent {
            wave: Vec::new(),
            left: 0,
            next: next.clone(),
        });
        let watch = Watch::start();
        for _ in 0..waves {
            parent.tell(Wave::Start).await.context("start a wave")?;
            over.recv().await.context("end a wave")?;
        }
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(waves * WAVE as u64, time)))
}

/// Counts the numbers of batches and tells when all were handled.
struct BatchSink {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for BatchSink {
    type Msg = Vec<u64>;

    fn handle(&mut self, batch: Vec<u64>, _: &mut Cx<Self>) {
        self.left -= batch.len() as u64;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
    }
}

/// One task sends batches to one actor.
pub(crate) fn batch(batches: u64) -> Outcome {
    let time = on_workers(async move {
        let node = Node::in_memory().context("open a node")?;
        let (done, finished) = oneshot::channel();
        let mut done = Some(done);
        let sink = node.spawn(bounded("sink".to_owned()), move || BatchSink {
            left: batches * BATCH,
            done: done.take(),
        });
        let watch = Watch::start();
        for batch in 0..batches {
            sink.tell((batch..batch + BATCH).collect()).await.context("tell")?;
        }
        finished.await.context("wait for the last")?;
        let time = watch.time();
        node.close().await.context("stop the node")?;
        Ok(time)
    })?;
    Ok(Ok(per_second(batches * BATCH, time)))
}
